//! Files with keys that are given to git: whoever fetches has them from then on, and no later commit takes them back.

use crate::domain::policy::{
    partial_text::{base_name, is_in},
    programs::Options,
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
        if self.state.has_copied_keys {
            self.reading.does(
                EffectKind::Network,
                "git add after a copy of a file with keys was made, and the next push sends it",
            );
        }
        self.state.has_added_keys |= keys;
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

    /// Notes that what a file holds goes into another, if it holds keys and the other is not called like one that does: that is left out by git
    /// as the first is.
    pub(in crate::domain::policy) fn copies_keys(&mut self, source: &str, target: &str) {
        self.state.has_copied_keys |= holds_keys(source) && !holds_keys(target);
    }

    /// Notes what a command prints into a file, if it prints keys: what files with keys say, or the settings of containers with all their values.
    pub(in crate::domain::policy) fn prints_keys(&mut self, words: &[String], target: &str) {
        // What these print are the words.
        let is_text = words.first().is_some_and(|name| is_in("echo printf", name));
        for word in words.iter().skip(1).filter(|_| !is_text) {
            self.copies_keys(word, target);
        }
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        let is_compose =
            has("compose") || words.first().is_some_and(|name| name == "docker-compose");
        let leaves_out = [
            "-q",
            "--quiet",
            "--services",
            "--images",
            "--volumes",
            "--profiles",
            "--no-interpolate",
            "--environment",
        ];
        self.state.has_copied_keys |=
            is_compose && has("config") && !leaves_out.iter().any(|option| has(option));
    }

    /// Looks at a verb of git for keys: in a commit of what was copied, in a file with a message, in a push of what was added.
    pub(super) fn git_keys(&mut self, verb: &str, args: &[String]) {
        const TELLS: [&str; 5] = ["commit", "tag", "notes", "merge", "commit-tree"];
        let is_all = |arg: &String| {
            arg == "--all"
                || arg
                    .strip_prefix('-')
                    .is_some_and(|short| short.starts_with('a'))
        };
        self.state.has_added_keys |= verb == "commit" && self.state.has_copied_keys;
        if verb == "commit" && self.state.has_copied_keys && args.iter().any(is_all) {
            self.reading.does(
                EffectKind::Network,
                "git commit takes in a copy of a file with keys, and the next push sends it",
            );
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
