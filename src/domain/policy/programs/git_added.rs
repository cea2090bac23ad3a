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
        self.state.has_added_keys |= keys || self.state.has_copied_keys;
    }

    /// Looks at the words of git as they were written, for a message that is made from a file with keys.
    pub(in crate::domain::policy) fn tells_git_keys<'w>(
        &mut self,
        words: impl IntoIterator<Item = &'w str>,
    ) {
        let words: Vec<&str> = words.into_iter().collect();
        // Behind git's own options stands the verb.
        let mut verbs = words.iter();
        let mut verb = verbs.next();
        while let Some(option) = verb.filter(|word| word.starts_with('-')) {
            if ["-C", "-c"].contains(option) {
                verbs.next();
            }
            verb = verbs.next();
        }
        self.state.has_added_keys |= verb == Some(&"commit") && self.state.has_copied_keys;
        let has_keys = |word: &str| {
            let inside = word.split_once("$(").or_else(|| word.split_once('`'));
            inside.is_some_and(|(_, code)| {
                let mut names = code.split(|c: char| c.is_whitespace() || "()<>|;\"'`".contains(c));
                names.any(holds_keys)
            })
        };
        let by_file = words
            .windows(2)
            .any(|pair| matches!(pair, ["-F" | "--file", file] if holds_keys(file)))
            || words.iter().any(|word| {
                let file = word
                    .strip_prefix("--file=")
                    .or_else(|| word.strip_prefix("-F"));
                file.is_some_and(holds_keys)
            });
        if by_file || words.into_iter().any(has_keys) {
            self.reading.does(
                EffectKind::Network,
                "hands a file with keys to git in a message, and the next push sends it",
            );
        }
    }

    /// Looks at a push of what the command itself added.
    pub(super) fn git_push_keys(&mut self, args: &[String]) {
        let tries = args.iter().any(|arg| arg == "-n" || arg == "--dry-run");
        if self.state.has_added_keys && !tries {
            self.reading.does(
                EffectKind::Network,
                "git push sends a file with keys that the command added",
            );
        }
    }
}

/// Returns whether a file holds keys, by its name.
pub(in crate::domain::policy) fn holds_keys(word: &str) -> bool {
    let name = base_name(word).to_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_key = is_in(FILES, &name)
        || is_in(ENDINGS, ending)
        || name.starts_with(".env.")
        || name.starts_with("id_") && name.ends_with("rsa");
    is_key && !is_in(EXAMPLES, ending)
}
