//! Programs that make, change, move and remove files.

use crate::domain::policy::{
    interpretation::CommandEffect,
    partial_text::{FRESH, NAME, UNKNOWN, base_name, is_in, is_vague},
    patch_paths::{PatchStrip, strip_of},
    programs::{Options, is_stream},
    resolved_path::ResolvedPath,
    rule::EffectKind,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    /// Looks at a program that changes files.
    pub(super) fn file_program(&mut self, name: &str, args: &[String], stdin: &str) -> String {
        match name {
            "rm" | "rmdir" | "unlink" | "shred" | "srm" | "wipe" | "trash" | "trash-put"
            | "rimraf" | "tmpreaper" | "tmpwatch" => {
                self.remove(name, args);
            }
            "gio"
                if args
                    .first()
                    .is_some_and(|arg| arg == "trash" || arg == "remove") =>
            {
                self.remove(name, args.get(1..).unwrap_or_default());
            }
            "mv" | "rename" | "prename" | "mmv" => self.move_files(name, args),
            "cp" | "install" | "ln" | "link" | "ditto" => self.copy(name, args),
            "dd" => self.dd(args),
            "tee" | "sponge" => return self.tee(args, stdin),
            "chmod" => self.change_mode(args),
            "chown" | "chgrp" | "chattr" | "setfacl" | "setfattr" | "xattr" => {
                self.change_owner(args);
            }
            "setcap" => self
                .reading
                .does(EffectKind::Privilege, "setcap hands out capabilities"),
            "mknod"
                if args
                    .iter()
                    .any(|arg| ["b", "c", "u"].contains(&arg.as_str())) =>
            {
                self.reading
                    .does(EffectKind::System, "mknod makes a device");
            }
            "truncate" | "touch" | "mkdir" | "mkfifo" | "mknod" | "fallocate" | "dos2unix"
            | "unix2dos" => self.write_all(name, args),
            "sort" => return self.sort(args, stdin),
            "split" | "csplit" => self.split_files(name, args, stdin),
            "patch" => self.patch(args, stdin),
            "fuser"
                if args
                    .iter()
                    .any(|arg| arg.starts_with("-k") || arg == "--kill") =>
            {
                self.reading
                    .does(EffectKind::System, "fuser ends processes");
            }
            "logrotate" | "update-alternatives" => self
                .reading
                .does(EffectKind::System, format!("{name} changes the system")),
            _ => {}
        }
        String::new()
    }

    fn remove(&mut self, name: &str, args: &[String]) {
        let values = if ["shred", "srm", "wipe"].contains(&name) {
            "ns"
        } else {
            ""
        };
        let options = Options::parse(args, values, &["iterations", "size", "random-source"]);
        for file in &options.rest {
            self.deletes(file);
            // What stands in the file goes under all of its names.
            if name == "shred" {
                self.changes(file);
            }
        }
        if options.rest.is_empty()
            && options.has(&["r", "recursive"])
            && args.iter().any(|arg| arg.contains(UNKNOWN))
        {
            self.reading
                .opaque(format!("{name} gets names that are only known at run time"));
        }
    }

    fn move_files(&mut self, name: &str, args: &[String]) {
        let options = Options::parse(args, "tS", &["target-directory", "suffix"]);
        let target = options
            .value("t")
            .or_else(|| options.value("target-directory"))
            .map(str::to_owned);
        let mut sources = options.rest.clone();
        if name != "mv" {
            for file in sources.iter().skip(1) {
                self.writes(file);
            }
            return;
        }
        let target = target.or_else(|| sources.pop());
        for source in &sources {
            self.deletes(source);
        }
        if let Some(target) = target {
            self.puts_tests_away(&sources, &target);
            self.writes(&target);
            for source in &sources {
                self.carry(source, &target);
            }
        }
    }

    fn copy(&mut self, name: &str, args: &[String]) {
        let options = Options::parse(
            args,
            "tSmgo",
            &["target-directory", "suffix", "mode", "owner", "group"],
        );
        self.install_mode(name, &options);
        if name == "install" && options.has(&["d", "directory"]) {
            for folder in &options.rest {
                self.writes(folder);
            }
            return;
        }
        let mut sources = options.rest.clone();
        let target = options
            .value("t")
            .or_else(|| options.value("target-directory"))
            .map(str::to_owned);
        let target = if name == "ln" && sources.len() == 1 {
            Some(".".to_owned())
        } else {
            target.or_else(|| sources.pop())
        };
        let Some(target) = target else {
            return;
        };
        // One file over all of them leaves none.
        if let [source] = sources.as_slice()
            && name == "cp"
            && !is_vague(source)
        {
            self.empties(&target);
        }
        self.writes(&target);
        if options.has(&["r", "R", "a", "recursive", "archive"]) {
            self.blurs_below(&target);
        }
        let links = ["ln", "link"].contains(&name)
            || name == "cp" && options.has(&["s", "l", "symbolic-link", "link"]);
        // A second name of the same file: whoever writes to it writes to the first.
        let is_second_name = match name {
            "ln" => !options.has(&["s", "symbolic"]),
            "link" => true,
            _ => name == "cp" && options.has(&["l", "link"]),
        };
        for source in &sources {
            if is_second_name {
                self.changes(source);
                if name == "cp" {
                    self.changes(&format!("{}/{NAME}", source.trim_end_matches('/')));
                }
            }
            if name != "ln" {
                self.reads(source);
                self.reads(&format!("{}/{NAME}", source.trim_end_matches('/')));
            }
            self.carry(source, &target);
            if links {
                let below = format!("{}/{}", target.trim_end_matches('/'), base_name(source));
                self.link(&target, source);
                self.link(&below, source);
            }
        }
    }

    fn install_mode(&mut self, name: &str, options: &Options) {
        let mode = options.value("m").or_else(|| options.value("mode"));
        if name == "install" && mode.is_some_and(sets_id) {
            self.reading.does(
                EffectKind::Privilege,
                "install makes a file that runs with its owner's rights",
            );
        }
    }

    /// Remembers where a copy, a link or a moved file came from, so that its new name hides nothing.
    fn carry(&mut self, source: &str, target: &str) {
        let below = format!("{}/{}", target.trim_end_matches('/'), base_name(source));
        for target in [target, &below] {
            if let Some(text) = self.remembered(source) {
                self.remember(target, &text, false);
            } else {
                self.blurs(target);
            }
            self.copies_keys(source, target);
            self.carries_below(source, target);
            self.bind(target, source);
        }
    }

    /// Looks for sizes that no disk holds.
    fn needs_space(&mut self, name: &str, args: &[String]) {
        let is_huge = |arg: &String| {
            let size = arg
                .rsplit('=')
                .next()
                .unwrap_or(arg)
                .trim_start_matches(['-', 's', 'l', '+']);
            let digits: String = size.chars().take_while(char::is_ascii_digit).collect();
            let unit = size.get(digits.len()..).unwrap_or("").to_uppercase();
            let number = digits.parse::<u64>().unwrap_or(0);
            number > 0 && unit.starts_with(['T', 'P', 'E', 'Z'])
                || number >= 20 && unit.starts_with('G')
                || number >= 1 << 40
        };
        let endless = name == "dd"
            && args.iter().any(|arg| {
                ["if=/dev/zero", "if=/dev/urandom", "if=/dev/random"].contains(&arg.as_str())
            })
            && args
                .iter()
                .any(|arg| arg.starts_with("of=") && arg != "of=/dev/null")
            && !args.iter().any(|arg| arg.starts_with("count="));
        if endless || name != "dd" && args.iter().any(is_huge) {
            self.reading
                .does(EffectKind::System, format!("{name} fills the disk"));
        }
    }

    fn dd(&mut self, args: &[String]) {
        self.needs_space("dd", args);
        for arg in args {
            if let Some(file) = arg.strip_prefix("of=") {
                if args.iter().any(|arg| arg == "if=/dev/null") {
                    self.empties(file);
                }
                self.writes(file);
            } else if let Some(file) = arg.strip_prefix("if=") {
                self.reads(file);
            }
        }
    }

    fn tee(&mut self, args: &[String], stdin: &str) -> String {
        let options = Options::parse(args, "", &["output-error"]);
        let append = options.has(&["a", "append"]);
        for file in &options.rest {
            if append {
                self.appends(file);
            } else {
                if stdin.is_empty() {
                    self.empties(file);
                }
                self.makes(file);
            }
            self.remember(file, stdin, append);
        }
        stdin.to_owned()
    }

    fn change_mode(&mut self, args: &[String]) {
        let mut words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
        words.retain(|arg| {
            !(arg.starts_with('-') && arg.chars().skip(1).all(|c| "RvcfhHLP".contains(c)))
        });
        let Some((mode, files)) = words.split_first() else {
            return;
        };
        if sets_id(mode) {
            self.reading.does(
                EffectKind::Privilege,
                "chmod makes a file run with its owner's rights",
            );
        }
        let files: Vec<String> = files.iter().map(|file| (*file).clone()).collect();
        let opens = |mode: &str| {
            let last = mode.chars().last().and_then(|c| c.to_digit(8));
            let is_number = mode.len() >= 3 && mode.chars().all(|c| c.is_digit(8));
            let named = mode.split(',').any(|part| {
                let (who, what) = part.split_once(['+', '=']).unwrap_or(("u", ""));
                (who.contains(['o', 'a'])) && what.contains('w')
            });
            is_number && last.is_some_and(|bits| bits & 2 != 0) || named
        };
        let recursive = args.iter().any(|arg| {
            arg == "--recursive"
                || arg.starts_with('-') && !arg.starts_with("--") && arg.contains('R')
        });
        let mode = args.iter().find(|arg| !arg.starts_with('-'));
        let is_left = |file: &String| {
            let first = file
                .trim_start_matches("./")
                .split('/')
                .next()
                .unwrap_or("");
            !file.contains("..") && file.contains(FRESH)
                || !file.contains("..")
                    && is_in(
                        "build dist target out tmp storage node_modules coverage cache .cache logs",
                        first,
                    )
        };
        if recursive && mode.is_some_and(|mode| opens(mode)) && !files.iter().all(is_left) {
            let why = "chmod lets everybody on the machine change what lies in there";
            self.reading.does(EffectKind::Privilege, why);
        }
        self.changes_rights("chmod", args, &files);
    }

    /// Records whose rights change; a whole part of the machine is more than its files.
    fn changes_rights(&mut self, name: &str, args: &[String], files: &[String]) {
        let is_wide = |place: &ResolvedPath| match place {
            ResolvedPath::Outside(path) => {
                path.trim_end_matches(['/', '*']).matches('/').count() < 2
            }
            ResolvedPath::Home(path) => path.trim_end_matches(['/', '*']).is_empty(),
            ResolvedPath::Inside(_)
            | ResolvedPath::Scratch(_)
            | ResolvedPath::Device
            | ResolvedPath::Unknown(_) => false,
        };
        let is_deep = args.iter().any(|arg| {
            arg == "--recursive"
                || arg.starts_with('-') && !arg.starts_with("--") && arg.contains('R')
        });
        for file in files {
            if is_deep && self.resolve_all(file).iter().any(is_wide) {
                let why = format!("{name} changes the rights of a whole part of the machine");
                self.reading.does(EffectKind::System, why);
            }
            self.changes(file);
        }
    }

    fn change_owner(&mut self, args: &[String]) {
        let files = args.iter().filter(|arg| !arg.starts_with('-')).skip(1);
        let files: Vec<String> = files.cloned().collect();
        self.changes_rights("chown", args, &files);
    }

    fn write_all(&mut self, name: &str, args: &[String]) {
        let (short, long): (&str, &[&str]) = match name {
            "truncate" => ("sr", &["size", "reference"]),
            "touch" => ("drt", &["date", "reference", "time"]),
            "fallocate" => ("lo", &["length", "offset"]),
            _ => ("m", &["mode"]),
        };
        let options = Options::parse(args, short, long);
        if ["truncate", "fallocate"].contains(&name) {
            self.needs_space(name, args);
        }
        let empties = name == "truncate"
            && options
                .value("s")
                .or_else(|| options.value("size"))
                .is_some_and(|size| size.starts_with(['0', '-', '<']));
        for file in &options.rest {
            if empties {
                self.empties(file);
                self.deletes(file);
                self.changes(file);
                let is_all = options.value("s").or_else(|| options.value("size")) == Some("0");
                if is_all && self.remembered(file).is_some() {
                    self.remember(file, "", false);
                } else {
                    self.blurs(file);
                }
            } else if name == "touch" {
                self.touches(file);
            } else if name == "mkdir" {
                self.makes(file);
            } else {
                self.writes(file);
            }
        }
    }

    fn sort(&mut self, args: &[String], stdin: &str) -> String {
        let options = Options::parse(
            args,
            "okStT",
            &[
                "output",
                "key",
                "buffer-size",
                "field-separator",
                "compress-program",
                "temporary-directory",
                "files0-from",
            ],
        );
        for file in options.values(&["o", "output"]) {
            self.writes(file);
        }
        for code in options.values(&["compress-program"]) {
            drop(self.run_text(code, "sort", UNKNOWN.to_string()));
        }
        if options.rest.is_empty() {
            stdin.to_owned()
        } else {
            UNKNOWN.to_string()
        }
    }

    fn split_files(&mut self, name: &str, args: &[String], stdin: &str) {
        let options = Options::parse(
            args,
            if name == "csplit" { "fbn" } else { "abClnt" },
            &[
                "prefix",
                "suffix-format",
                "digits",
                "filter",
                "bytes",
                "lines",
                "number",
                "suffix-length",
                "additional-suffix",
                "line-bytes",
            ],
        );
        let pieces = self.split_pieces(&options, stdin);
        for code in options.values(&["filter"]) {
            super::vague_code(self, code, "split");
            for piece in &pieces {
                drop(self.run_text(code, "split", piece.clone()));
            }
        }
        let named = if name == "csplit" {
            options
                .value("f")
                .or_else(|| options.value("prefix"))
                .map(str::to_owned)
        } else {
            options.rest.get(1).cloned()
        };
        let prefix = named.unwrap_or_else(|| "x".to_owned());
        if !options.has(&["filter"]) {
            self.writes(&prefix);
        }
    }

    /// Returns what the filter of `split` is fed, one text for each time it runs.
    fn split_pieces(&self, options: &Options, stdin: &str) -> Vec<String> {
        const MOST_PIECES: usize = 16;
        let text = match options.rest.first() {
            Some(file) if !is_stream(file) || self.remembered(file).is_some() => {
                self.contents(file)
            }
            _ => stdin.to_owned(),
        };
        // Whatever cuts within lines makes other commands of them.
        let cuts = [
            "b",
            "bytes",
            "C",
            "line-bytes",
            "n",
            "number",
            "t",
            "separator",
        ];
        let size = options.value("l").or_else(|| options.value("lines"));
        let size = size.map_or(Some(1000), |size| size.parse::<usize>().ok());
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        match size.filter(|size| *size > 0 && !options.has(&cuts)) {
            Some(_) if text.is_empty() => vec![text],
            Some(size)
                if !text.contains(UNKNOWN) && lines.len() <= size.saturating_mul(MOST_PIECES) =>
            {
                lines.chunks(size).map(<[&str]>::concat).collect()
            }
            _ => vec![UNKNOWN.to_string()],
        }
    }

    fn patch(&mut self, args: &[String], stdin: &str) {
        let options = Options::parse(
            args,
            "pidoBFgrYzDV",
            &["input", "directory", "output", "strip"],
        );
        if options.has(&["dry-run"]) {
            return;
        }
        let folder = options
            .value("d")
            .or_else(|| options.value("directory"))
            .unwrap_or(".")
            .to_owned();
        self.writes(&folder);
        for file in options
            .values(&["o", "output"])
            .map(str::to_owned)
            .chain(options.rest.iter().take(1).cloned())
        {
            self.edits(&file);
        }
        let strip = strip_of(args.iter().map(String::as_str));
        let strip = strip.map_or(PatchStrip::AsPatch, PatchStrip::Folders);
        let named = options.value("i").or_else(|| options.value("input"));
        let named = named.or_else(|| options.rest.get(1).map(String::as_str));
        let patch = match named {
            Some(file) if !is_stream(file) => self.contents(file),
            _ => stdin.to_owned(),
        };
        self.patched(&[folder], &patch, strip);
    }

    /// Records that everything below a word is removed.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything that is not named has no meaning here"
    )]
    pub(super) fn deletes_below(&mut self, word: &str) {
        for place in self.resolve_all(word) {
            let place = match place {
                ResolvedPath::Inside(path) if path.is_empty() => {
                    ResolvedPath::Inside("*".to_owned())
                }
                other => other,
            };
            self.reading.effect(CommandEffect::Delete(place));
        }
    }
}

/// Returns whether a mode makes files run with their owner's or group's rights.
pub(super) fn sets_id(mode: &str) -> bool {
    let octal = mode
        .trim_start_matches("0o")
        .trim_start_matches('=')
        .trim_start_matches('+');
    if !octal.is_empty() && octal.chars().all(|c| c.is_digit(8)) {
        let bits = u32::from_str_radix(octal, 8).unwrap_or(0);
        return bits & 0o6000 != 0;
    }
    mode.split(',').any(|part| {
        part.split_once(['+', '=']).is_some_and(|(who, what)| {
            what.contains('s') && (who.is_empty() || who.contains(['u', 'g', 'a']))
        })
    })
}
