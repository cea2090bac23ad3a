//! Files with keys that are given to git: whoever fetches has them from then on, and no later commit takes them back.

use crate::domain::policy::{
    interpretation::SimpleCommand,
    partial_text::{base_name, is_in, is_vague},
    programs::Options,
    resolved_path,
    resolved_path::ResolvedPath,
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Files that hold keys, by their whole name.
const FILES: &str = ".env .netrc .pgpass .htpasswd .git-credentials .vault-token .dockercfg credentials credentials.json id_rsa id_dsa id_ecdsa
    id_ed25519 secrets.yml secrets.yaml secrets.json secrets.toml service-account.json serviceaccount.json master.key
    terraform.tfstate terraform.tfvars wp-config.php";
/// Endings of such files.
const ENDINGS: &str = "pem key p12 pfx jks keystore kdbx ppk tfstate";
/// Endings of examples without a value.
const EXAMPLES: &str = "example sample template tpl dist defaults test ci schema md vault";

impl ShellInterpreter<'_, '_> {
    /// Looks at what is given to git: files that it is told to leave out, by force, and files with keys.
    pub(super) fn git_add(&mut self, args: &[String]) {
        let options = Options::parse(args, "", &["chmod", "pathspec-from-file"]);
        if options.has(&["n", "dry-run"]) {
            return;
        }
        let forced = options.has(&["f", "force"]);
        let is_all = |word: &String| ["*", ".", ":/", "./"].contains(&word.as_str());
        let all = options.has(&["A", "all"]) || options.rest.iter().any(is_all);
        let keys = options.rest.iter().any(|word| holds_keys(word));
        if forced && (all || keys) {
            self.reading.does(
                EffectKind::Network,
                "git add gives it files with keys that it was told to leave out, and the next push sends them",
            );
        }
        let is_copy = all || options.rest.iter().any(|word| self.holds_copy(word));
        if is_copy && !self.state.copied_keys.is_empty() {
            self.reading.does(
                EffectKind::Network,
                "git add takes in a copy of a file with keys, and the next push sends it",
            );
        }
        self.state.has_added_keys |= keys || self.state.has_copied_keys;
    }

    /// Looks at the words of git as they were written, for a message that is made from a file with keys.
    pub(in crate::domain::policy) fn tells_git_keys<'w>(
        &mut self,
        words: impl IntoIterator<Item = &'w str>,
    ) {
        let has_keys = |word: &str| {
            let inside = word.split_once("$(").or_else(|| word.split_once('`'));
            inside.is_some_and(|(_, code)| {
                let mut names = code.split(|c: char| c.is_whitespace() || "()<>|;\"'`".contains(c));
                names.any(holds_keys)
            })
        };
        if words.into_iter().any(has_keys) {
            self.tells_keys();
        }
    }

    fn tells_keys(&mut self) {
        self.reading.does(
            EffectKind::Network,
            "hands a file with keys to git in a message, and the next push sends it",
        );
    }

    /// Notes that what a file holds goes into another, if it holds keys. One of the same name is left out by git as the first is; which file it goes
    /// to is unknown where the target is empty.
    pub(in crate::domain::policy) fn copies_keys(&mut self, source: &str, target: &str) {
        if !holds_keys(source) || base_name(source) == base_name(target) {
            return;
        }
        self.copied(target);
    }

    /// Notes that what a file with keys says stands in another now.
    pub(in crate::domain::policy) fn copied(&mut self, target: &str) {
        self.state.has_copied_keys = true;
        let is_inside = |place: &ResolvedPath| matches!(place, ResolvedPath::Inside(_));
        if !target.is_empty() && self.resolve_all(target).iter().any(is_inside) {
            let path = resolved_path::absolute(target, self.folder());
            self.state.copied_keys.extend(path);
        }
    }

    /// Returns whether a word of git names a copy of a file with keys, or a folder with one.
    fn holds_copy(&self, word: &str) -> bool {
        let Some(path) = resolved_path::absolute(word, self.folder()) else {
            return true;
        };
        let mut copies = self.state.copied_keys.iter();
        is_vague(&path) || copies.any(|copy| resolved_path::lies_in(copy, &path))
    }

    /// Notes what a command prints into a file, if it prints keys: what files with keys say, or the settings of containers with all their values.
    pub(in crate::domain::policy) fn prints_keys(&mut self, words: &[String], target: &str) {
        const PRINTERS: &str = "cat tac head tail sed gsed awk gawk grep egrep cut sort uniq tr base64 xxd od jq yq rev nl column paste comm join diff strings
            envsubst tee gzip zcat openssl gpg dotenv";
        const QUIET: [&str; 8] = [
            "-q",
            "--quiet",
            "--services",
            "--images",
            "--volumes",
            "--profiles",
            "--no-interpolate",
            "--environment",
        ];
        let name = words.first().map_or("", |name| base_name(name));
        // The names alone are no keys.
        let names_only = words
            .iter()
            .any(|word| word.contains("=.*/") || word.starts_with("-f1"))
            || words.iter().any(|word| word == "-o")
                && words
                    .iter()
                    .any(|word| word.starts_with("^[") && !word.contains(['.', '=']));
        if is_in(PRINTERS, name) && !names_only {
            for word in words.iter().skip(1) {
                self.copies_keys(word, target);
            }
        }
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        let is_compose = is_in("docker podman nerdctl", name)
            && words.get(1).is_some_and(|word| word == "compose")
            || name == "docker-compose";
        if is_compose && has("config") && !QUIET.iter().any(|option| has(option)) {
            self.copied(target);
        }
    }

    /// Notes the same of the commands of a group, whose output goes into one file.
    pub(in crate::domain::policy) fn group_prints_keys(&mut self, from: usize, target: &str) {
        let acts = self.reading.acts.get(from..).unwrap_or_default();
        let named = |act: &&SimpleCommand| act.words.iter().skip(1).any(|word| holds_keys(word));
        let words: Vec<Vec<String>> = acts
            .iter()
            .filter(named)
            .map(|act| act.words.clone())
            .collect();
        for words in words {
            self.prints_keys(&words, target);
        }
    }

    /// Looks at a file with keys that a shell sources while it shows each command, and so each value.
    pub(in crate::domain::policy) fn traces_keys(&mut self, file: &str) {
        if self.state.traces {
            self.traces_file(file);
        }
    }

    /// Looks at a file that a shell runs while it shows each command.
    pub(super) fn traces_file(&mut self, file: &str) {
        if holds_keys(file) {
            self.shows_environment(
                "a shell that shows each command, and so each value in that file",
            );
        }
    }

    /// Looks at a verb of git for keys: in a commit of what was copied, in a file with a message, in a push of what was added.
    pub(super) fn git_keys(&mut self, verb: &str, args: &[String]) {
        const TELLS: [&str; 5] = ["commit", "tag", "notes", "merge", "commit-tree"];
        if verb == "commit" && self.state.has_copied_keys {
            self.state.has_added_keys = true;
            let cluster = |arg: &String| {
                let short = arg
                    .strip_prefix('-')
                    .filter(|rest| !rest.starts_with('-'))?;
                Some(short.split('m').next().unwrap_or("").contains('a'))
            };
            let is_all = |arg: &String| arg == "--all" || cluster(arg) == Some(true);
            if args.iter().any(is_all) && !self.state.copied_keys.is_empty() {
                self.reading.does(
                    EffectKind::Network,
                    "git commit takes in a copy of a file with keys, and the next push sends it",
                );
            }
        }
        if TELLS.contains(&verb) {
            let options = Options::parse(args, "FmCct", &["file", "message"]);
            let mut files = options.values(&["F", "file"]);
            if files.any(holds_keys) {
                self.tells_keys();
            }
        }
        let tries = args.iter().any(|arg| arg == "-n" || arg == "--dry-run");
        if verb == "push" && self.state.has_added_keys && !tries {
            self.reading.does(
                EffectKind::Network,
                "git push sends a file with keys that the command added",
            );
        }
    }
}

/// Returns whether a text of code is the name of a file with keys. Words that may stand for anything there, `credentials` and names with a dot, are none.
pub(in crate::domain::policy) fn is_key_file(text: &str) -> bool {
    let name = base_name(text);
    let is_name = name.len() < 40 && name.starts_with(['.', 's', 'c', 'i', 'm', 't', 'w']);
    let is_meant = name.contains('.') || name.starts_with("id_");
    is_name && is_meant && (is_in(FILES, name) || name.starts_with(".env.") && holds_keys(name))
}

/// Returns whether a file holds keys, by its name.
fn holds_keys(word: &str) -> bool {
    let name = base_name(word).to_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_key = is_in(FILES, &name)
        || is_in(ENDINGS, ending)
        || name.starts_with(".env.")
        || name.starts_with("id_") && name.ends_with("rsa");
    is_key && !is_in(EXAMPLES, ending)
}
