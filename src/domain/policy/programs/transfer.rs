//! Packers and copiers: their options can run commands, remove what they pack and talk to other machines.

use crate::domain::policy::{
    partial_text::{NAME, UNKNOWN},
    programs::{Options, vague_code},
    rule::EffectKind,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    /// Looks at a packer, unpacker or copier.
    pub(super) fn transfer(&mut self, name: &str, args: &[String], stdin: &str) -> String {
        match name {
            "tar" | "gtar" | "bsdtar" | "star" => self.tar(args),
            "zip" => self.zip(args),
            "unzip" | "unrar" | "rar" | "7z" | "7za" | "7zr" => self.unpack(name, args),
            "rsync" => self.rsync(args),
            "cpio" | "pax" | "ar" => self.cpio(name, args, stdin),
            _ => self.squeeze(name, args),
        }
        UNKNOWN.to_string()
    }

    fn tar(&mut self, args: &[String]) {
        let dashed = dashed(args);
        let options = Options::parse(
            &dashed,
            "fCITXbgHKLNVF",
            &[
                "file",
                "directory",
                "use-compress-program",
                "to-command",
                "checkpoint-action",
                "info-script",
                "new-volume-script",
                "rsh-command",
                "rmt-command",
                "exclude",
                "files-from",
                "exclude-from",
                "transform",
                "strip-components",
                "owner",
                "group",
                "mode",
            ],
        );
        if options.has(&["P", "absolute-names"]) && options.has(&["x", "extract", "get"]) {
            self.reading
                .opaque("tar with names that lead wherever the archive says");
        }
        let coded = [
            "I",
            "use-compress-program",
            "to-command",
            "info-script",
            "new-volume-script",
            "F",
            "rsh-command",
            "rmt-command",
        ];
        for code in options.values(&coded) {
            drop(self.run_text(code, "tar", String::new()));
        }
        for action in options.values(&["checkpoint-action"]) {
            if let Some(code) = action.strip_prefix("exec=") {
                drop(self.run_text(code, "tar", String::new()));
            }
        }
        let folder = options
            .value("C")
            .or_else(|| options.value("directory"))
            .map(str::to_owned);
        let archive = options
            .value("f")
            .or_else(|| options.value("file"))
            .map(str::to_owned);
        self.tar_files(&options, folder.as_deref(), archive.as_deref());
    }

    fn tar_files(&mut self, options: &Options, folder: Option<&str>, archive: Option<&str>) {
        if archive.is_some_and(|archive| archive.contains(':') && !options.has(&["force-local"])) {
            self.reading
                .does(EffectKind::Network, "tar writes to another machine");
        }
        if options.has(&["x", "extract", "get"]) {
            self.unpacks_into(archive, folder.unwrap_or("."));
            return;
        }
        if options.has(&["c", "create", "r", "append", "u", "update"]) {
            self.aside(|shell| {
                if let Some(folder) = folder {
                    shell.go_to(folder);
                }
                for file in &options.rest {
                    shell.reads(file);
                    shell.reads(&format!("{}/{NAME}", file.trim_end_matches('/')));
                }
            });
        }
        let removes = options.has(&["remove-files"])
            || options.given.iter().any(|(name, _)| name == "remove-files");
        if options.has(&["c", "create", "r", "append", "u", "update", "A", "delete"])
            && let Some(archive) = archive.filter(|archive| *archive != "-")
        {
            self.writes(archive);
            for file in &options.rest {
                self.copies_keys(file, archive);
            }
        }
        if removes {
            self.packs_away(archive);
            self.aside(|shell| {
                if let Some(folder) = folder {
                    shell.go_to(folder);
                }
                for file in &options.rest {
                    shell.deletes(file);
                }
            });
        }
    }

    fn zip(&mut self, args: &[String]) {
        // Options of zip may be words after one dash.
        let at = args
            .iter()
            .position(|arg| arg == "-TT" || arg == "--unzip-command");
        if let Some(code) = at.and_then(|at| args.get(at + 1)) {
            drop(self.run_text(&code.clone(), "zip", String::new()));
        }
        let options = Options::parse(
            args,
            "bntiuxPsO",
            &["unzip-command", "temp-path", "password", "output-file"],
        );
        for code in options.values(&["unzip-command"]) {
            drop(self.run_text(code, "zip", String::new()));
        }
        for file in options.rest.iter().skip(1) {
            self.reads(file);
            self.reads(&format!("{}/{NAME}", file.trim_end_matches('/')));
        }
        let moves = options.has(&["move"])
            || args
                .iter()
                .any(|arg| arg.starts_with('-') && !arg.starts_with("--") && arg.contains('m'));
        let mut files = args.iter().filter(|arg| !arg.starts_with('-'));
        let archive = files.next();
        if let Some(archive) = archive {
            self.writes(&archive.clone());
            for file in files.clone() {
                self.copies_keys(file, archive);
            }
        }
        if moves {
            self.packs_away(archive.map(String::as_str));
            for file in files {
                self.deletes(&file.clone());
            }
        }
    }

    fn unpack(&mut self, name: &str, args: &[String]) {
        if args
            .iter()
            .any(|arg| ["-l", "-t", "-v", "-Z", "l", "t", "-p"].contains(&arg.as_str()))
        {
            return;
        }
        if name.starts_with('7') || name == "rar" {
            if args
                .iter()
                .any(|arg| arg == "-sdel" || arg == "-df" || arg == "d" || arg == "m")
            {
                self.packs_away(args.get(1).map(String::as_str));
                for file in args.iter().filter(|arg| !arg.starts_with('-')).skip(2) {
                    self.deletes(file);
                }
            }
            if let Some(archive) = args.get(1).filter(|_| {
                args.first()
                    .is_some_and(|verb| ["a", "u", "m", "d"].contains(&verb.as_str()))
            }) {
                self.writes(&archive.clone());
                return;
            }
        }
        let options = Options::parse(args, "dxP", &[]);
        let folder = args.iter().find_map(|arg| {
            arg.strip_prefix("-o")
                .filter(|folder| name.starts_with('7') && !folder.is_empty())
        });
        let folder = folder
            .or_else(|| options.value("d"))
            .unwrap_or(".")
            .to_owned();
        let words = options.rest.iter().find(|word| word.contains('.'));
        self.unpacks_into(words.map(String::as_str), &folder);
    }

    fn rsync(&mut self, args: &[String]) {
        let options = Options::parse(
            args,
            "eTfBM",
            &[
                "rsh",
                "rsync-path",
                "exclude",
                "include",
                "filter",
                "files-from",
                "exclude-from",
                "include-from",
                "backup-dir",
                "temp-dir",
                "log-file",
                "out-format",
                "password-file",
                "compare-dest",
                "link-dest",
                "chmod",
                "chown",
                "port",
                "bwlimit",
            ],
        );
        for code in options.values(&["e", "rsh", "rsync-path"]) {
            drop(self.run_text(code, "rsync", String::new()));
        }
        if options.rest.iter().any(|path| is_remote(path)) {
            self.reading
                .does(EffectKind::Network, "rsync talks to another machine");
        }
        if options.has(&["n", "dry-run", "list-only", "version", "help"]) {
            return;
        }
        if options.has(&["remove-source-files"]) {
            let count = options.rest.len().saturating_sub(1);
            for source in options.rest.iter().take(count) {
                self.deletes(source);
            }
        }
        let removes = |(name, _): &(String, Option<String>)| name.starts_with("del");
        if options.rest.last().is_some_and(|target| is_remote(target))
            && options.given.iter().any(removes)
        {
            let why = "rsync removes what lies on another machine";
            self.reading.does(EffectKind::System, why);
        }
        if let Some(target) = options
            .rest
            .last()
            .filter(|target| !is_remote(target) && options.rest.len() > 1)
        {
            let deletes = options
                .given
                .iter()
                .any(|(name, _)| name.starts_with("del"));
            if deletes {
                self.deletes_below(target);
            }
            self.writes_below(target);
        }
    }

    fn cpio(&mut self, name: &str, args: &[String], stdin: &str) {
        let options = Options::parse(args, "FIODEHCMR", &["file", "directory", "rsh-command"]);
        for code in options.values(&["rsh-command"]) {
            drop(self.run_text(code, name, String::new()));
        }
        if options.has(&["i", "extract", "p", "pass-through", "r"]) {
            let target = options
                .rest
                .last()
                .cloned()
                .unwrap_or_else(|| ".".to_owned());
            self.writes_below(&target);
        }
        for file in options.values(&["F", "O", "file"]) {
            self.writes(file);
        }
        if stdin.contains(UNKNOWN) && options.has(&["i"]) {
            vague_code(self, "", name);
        }
    }

    /// Packers that replace the file itself.
    fn squeeze(&mut self, name: &str, args: &[String]) {
        let options = Options::parse(args, "SobpTM", &["suffix", "threads", "output"]);
        for file in options.values(&["o"]) {
            self.writes(file);
        }
        let keeps = options.has(&[
            "c",
            "stdout",
            "to-stdout",
            "k",
            "keep",
            "t",
            "test",
            "l",
            "list",
            "version",
            "help",
            "V",
            "h",
        ]);
        let keeps =
            keeps || (["zstd", "unzstd", "lz4", "brotli"].contains(&name) && !options.has(&["rm"]));
        for file in &options.rest {
            if keeps && !options.has(&["c", "stdout", "to-stdout", "t", "l", "list", "test"]) {
                self.writes(file);
            } else if !keeps {
                self.deletes(file);
            }
        }
    }
}

/// Puts the dash in front of the first word of `tar xf`.
fn dashed(args: &[String]) -> Vec<String> {
    let mut words = args.to_vec();
    if let Some(first) = words
        .first_mut()
        .filter(|first| !first.starts_with('-') && first.chars().all(char::is_alphanumeric))
    {
        // In the old form the values follow in the order of the letters.
        let letters: Vec<char> = first.chars().collect();
        let valued: Vec<char> = letters
            .iter()
            .copied()
            .filter(|c| "fCITXb".contains(*c))
            .collect();
        if valued.len() <= 1 {
            let mut ordered: String = letters.iter().filter(|c| !valued.contains(c)).collect();
            ordered.extend(valued);
            *first = format!("-{ordered}");
        } else {
            *first = format!(
                "-{}",
                letters
                    .iter()
                    .filter(|c| !valued.contains(c))
                    .collect::<String>()
            );
            let values: Vec<String> = words.drain(1..=valued.len().min(words.len() - 1)).collect();
            for (letter, value) in valued.iter().zip(values).rev() {
                words.insert(1, format!("-{letter}{value}"));
            }
        }
    }
    words
}

/// Returns whether a path names another machine.
pub(super) fn is_remote(path: &str) -> bool {
    if path.contains("://") || path.contains("::") {
        return !path.starts_with("file://");
    }
    path.split_once(':')
        .is_some_and(|(host, _)| !host.is_empty() && !host.contains('/') && host.len() > 1)
}

/// Returns whether a remote word names a host rather than a branch mapping such as `HEAD:main`.
pub(super) fn looks_like_host(word: &str) -> bool {
    word.contains("://")
        || word.contains('@')
        || word
            .split(':')
            .next()
            .is_some_and(|host| host.contains('.'))
            && word.contains('/')
}
