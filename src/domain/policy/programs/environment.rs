//! What shows the environment as a whole, which holds the keys of the account as often as not.
//!
//! Naming one variable is ordinary work, and so is picking a few by a pattern: what only goes through a filter counts as picked.

use crate::domain::policy::{
    partial_text::SECRET,
    programs::{is_in, table::ProgramFamily},
    shell::ShellInterpreter,
};

/// Programs that pick lines or words.
const FILTERS: &str =
    "grep egrep fgrep rg ag awk gawk sed wc cut select-string sls where-object where findstr find";
/// Words in the name of a variable that say its value is a key or a password.
const SECRETS: &str =
    "TOKEN SECRET SECRETS PASSWORD PASSWD PASSPHRASE APIKEY CREDENTIAL CREDENTIALS PAT";
/// Words in front of `KEY` that say the same.
const KEYED: &str = "API ACCESS SECRET PRIVATE AUTH ENCRYPTION SIGNING MASTER SERVICE ACCOUNT ADMIN DEPLOY ROLE ANON LICENSE SSH GPG STORAGE APP";
/// Words at the end of such a name with which its value is something about the key.
const ABOUT: &str = "FILE PATH DIR URL URI NAME COUNT LIMIT LENGTH TTL EXPIRY TYPE HEADER FORMAT HELPER PUBLIC SIZE MAX TIMEOUT ENABLED ENDPOINT";
/// Words of a pattern that picks the keys themselves.
const KEYS: [&str; 8] = [
    "token", "secret", "pass", "key", "cred", "auth", "aws_", ".",
];

/// Returns whether a command picks a few of the lines that it is given.
pub(in crate::domain::policy) fn narrows(name: &str, args: &[&str]) -> bool {
    // An edit lets every line through, unless it is told to print some.
    let edits = is_in("sed gsed", name)
        && !args
            .iter()
            .any(|arg| arg.starts_with("-n") || *arg == "--quiet" || arg.contains("=.*/"));
    let is_filter = is_in(FILTERS, name) && !edits;
    let inverts = args
        .iter()
        .any(|arg| arg.starts_with('-') && !arg.starts_with("--") && arg.contains('v'));
    let mut words = args.iter().filter(|arg| !arg.starts_with('-'));
    let plain = |word: &&str| word.trim_matches(['\'', '"', '^', '=']).to_lowercase();
    let names_keys = words.next().map(plain).is_some_and(|pattern| {
        pattern.is_empty()
            || KEYS.iter().any(|key| {
                if *key == "." {
                    pattern == "."
                } else {
                    pattern.contains(key)
                }
            })
    });
    is_filter && !inverts && !names_keys
}

/// Returns whether a variable of the environment holds a key or a password, by its name.
pub(in crate::domain::policy) fn names_secret(name: &str) -> bool {
    if name.contains(|c: char| c.is_ascii_lowercase()) || name.len() < 5 {
        return false;
    }
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let is_about = words.last().is_some_and(|last| is_in(ABOUT, last));
    let has_key = words.windows(2).any(|pair| {
        matches!(pair, [before, "KEY" | "KEYS"] if is_in(KEYED, before))
            || matches!(pair, [before, last @ ("PASS" | "PWD" | "PW")] if *before != "OLD" && words.last() == Some(last))
    });
    let last = name.strip_suffix("_KEY");
    let other = last.is_some_and(|own| {
        !is_in(
            "PUBLIC PRIMARY FOREIGN CACHE SORT PARTITION GROUP HOT",
            own.rsplit('_').next().unwrap_or(own),
        )
    });
    let says = words
        .iter()
        .any(|word| is_in(SECRETS, word) || word.ends_with("PASSWORD"));
    !is_about && words.len() > usize::from(!says) && (says || has_key || other)
}

/// Returns whether a program that reads secrets through a pipe hands them on: what only counts or compares does not.
pub(super) fn hands_on(family: ProgramFamily, name: &str, args: &[String]) -> bool {
    /// Programs of other families that print what they are given, or make something of it that can be taken apart again.
    const PRINTING: &str = "sed gsed awk gawk mawk nawk original-awk sort dd m4 cpp gpg gpg2 gzip bzip2 xz lzma zstd lz4 compress pigz
        pbzip2 brotli lzop gunzip bunzip2 unxz unlzma unzstd";
    const COUNTS: &str = "wc cksum md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum shasum md5 true false test [ sleep ls cmp
        diff seq date read";
    let quiet = |arg: &String| {
        arg == "--quiet"
            || arg == "--count"
            || arg.starts_with('-') && !arg.starts_with("--") && arg.contains(['q', 'c'])
    };
    let is_quiet = ["grep", "egrep", "fgrep", "rg"].contains(&name) && args.iter().any(quiet);
    match family {
        ProgramFamily::Print => !is_in(COUNTS, name) && !is_quiet,
        ProgramFamily::Language(_) => prints_input(args),
        ProgramFamily::Files | ProgramFamily::Tool | ProgramFamily::System => {
            is_in(PRINTING, name) && !args.iter().any(|arg| arg.starts_with("of=") || arg == "-o")
        }
        ProgramFamily::Transfer => {
            let prints = ["-c", "-dc", "-cd", "--stdout", "--to-stdout"];
            let files = args.iter().any(|arg| !arg.starts_with('-'));
            is_in(PRINTING, name)
                && (!files || args.iter().any(|arg| prints.contains(&arg.as_str())))
        }
        ProgramFamily::Wrapper(_)
        | ProgramFamily::Privilege(_)
        | ProgramFamily::Shell
        | ProgramFamily::Git
        | ProgramFamily::Network
        | ProgramFamily::Install
        | ProgramFamily::Remote => false,
    }
}

/// Returns whether a program prints the words that it is given, or parts of them.
pub(super) fn prints_words(name: &str) -> bool {
    const WORDS: &str =
        "expr basename dirname awk gawk mawk nawk original-awk jq yq seq numfmt realpath";
    is_in(WORDS, name)
}

/// Returns whether code that stands in an option prints what comes in, as far as it neither counts nor hashes it.
fn prints_input(args: &[String]) -> bool {
    const HASHES: [&str; 6] = ["sha1", "sha2", "sha5", "md5", "hash", "len("];
    let is_code = |arg: &String| {
        let cluster = arg.strip_prefix('-').unwrap_or("-");
        !cluster.starts_with('-') && cluster.ends_with(['c', 'e', 'E', 'p', 'n', 'r'])
            || ["--eval", "--print"].contains(&arg.as_str())
    };
    let at = args.iter().position(is_code);
    let code = at.and_then(|at| args.get(at..)).unwrap_or_default();
    !code.is_empty()
        && !code
            .iter()
            .any(|word| HASHES.iter().any(|hash| word.contains(hash)))
}

/// Returns whether a text of one of the little languages names the environment without saying which variable.
fn takes_all(text: &str, name: &str, picked: &[&str]) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let after = text.get(at + name.len()..).unwrap_or("").trim_start();
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        !before.is_some_and(is_name)
            && !after.starts_with(is_name)
            && !picked.iter().any(|start| after.starts_with(start))
    })
}

/// Returns whether a filter of jq names a variable of the environment that holds a key.
fn picks_secret(text: &str) -> bool {
    let mut places = text
        .match_indices("$ENV.")
        .chain(text.match_indices("env."));
    places.any(|(at, start)| {
        let rest = text.get(at + start.len()..).unwrap_or("");
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        names_secret(rest.get(..end.unwrap_or(rest.len())).unwrap_or(""))
    })
}

impl ShellInterpreter<'_, '_> {
    /// Records that the whole environment is shown, unless what is shown goes through a filter.
    pub(in crate::domain::policy) fn shows_environment(&mut self, how: &str) {
        if !self.state.filters {
            self.reading.opaque(format!(
                "{how}, which shows the whole environment and the keys in it"
            ));
        }
    }

    /// Looks at what the command as a whole prints: the value of a key is nobody's to see.
    pub(in crate::domain::policy) fn shows_secret(&mut self, printed: &str) {
        if printed.contains(SECRET) {
            let how =
                "what it prints holds the value of a variable whose name says that it is a key";
            self.reading.opaque(how);
        }
    }

    /// Looks at programs that can show the environment, by their words.
    pub(super) fn environment_words(&mut self, name: &str, args: &[String]) {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let shows = match (name, words.as_slice()) {
            ("env", rest) => rest
                .iter()
                .all(|word| ["-0", "--null", "-v"].contains(word)),
            ("printenv", rest) => {
                let is_key = |word: &&str| names_secret(&word.to_uppercase());
                rest.iter().all(|word| ["-0", "--null"].contains(word)) || rest.iter().any(is_key)
            }
            ("cmake", ["-E", "environment"]) | ("npm" | "pnpm" | "yarn", ["run", "env"]) => true,
            ("systemctl", rest) => rest.contains(&"show-environment"),
            (_, rest)
                if !is_in("ls stat test [ readlink", name)
                    && rest
                        .iter()
                        .any(|word| word.starts_with("/proc/") && word.ends_with("/environ")) =>
            {
                true
            }
            ("ps", [first, ..]) => {
                !first.starts_with('-')
                    && first.contains('e')
                    && first.chars().all(char::is_alphabetic)
            }
            ("jq" | "gojq" | "jaq", rest) => rest.iter().any(|text| {
                *text == "env"
                    || picks_secret(text)
                    || takes_all(text, "$ENV", &["."])
                    || takes_all(&text.replace(".env", ""), "env", &[".", ":", "="])
                        && !text.starts_with('-')
                        && text.contains('|')
            }),
            _ => false,
        };
        if shows {
            self.shows_environment(name);
        }
    }

    /// Looks at code that hands the environment as a whole to something that shows it.
    pub(in crate::domain::policy) fn environment_in_code(&mut self, code: &str) {
        const SHOWS: [&str; 22] = [
            "print(",
            "dict(",
            "dumps(",
            "stringify(",
            "log(",
            "entries(",
            "table(",
            "inspect(",
            "print_r(",
            "var_dump(",
            "sorted(",
            "list(",
            "pprint(",
            "puts ",
            "p ",
            "var_export(",
            "json_encode(",
            "keys ",
            "in(",
            "dir(",
            "print ",
            "pp ",
        ];
        const ALL: [&str; 7] = [
            "os.environ",
            "process.env",
            "ENV",
            "$_ENV",
            "$_SERVER",
            "%ENV",
            "getenv()",
        ];
        let plain: String = code.replace(['\n', '\t'], " ");
        let shows = ALL.iter().any(|name| {
            plain.match_indices(name).any(|(at, _)| {
                let head = plain.get(..at).unwrap_or("").trim_end_matches(' ');
                let spaced = plain.get(..at).unwrap_or("");
                let after = plain.get(at + name.len()..).unwrap_or("");
                let is_part = head
                    .ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '$')
                    && head.len() == spaced.len()
                    || after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                let lists = [
                    ".items()", ".copy()", ".to_a", ".each", ".to_h", ".inspect", ".map", ".sort",
                ];
                let goes = SHOWS
                    .iter()
                    .any(|show| spaced.ends_with(show) || head.ends_with(show))
                    || plain.trim() == *name;
                let is_one = after.starts_with(['[', '{'])
                    || after.starts_with(".get")
                    || after.starts_with('.') && !lists.iter().any(|list| after.starts_with(list));
                !is_part && !is_one && (goes || lists.iter().any(|list| after.starts_with(list)))
            })
        });
        let walks = takes_all(code, "ENVIRON", &["["]);
        if shows || walks {
            self.shows_environment("the code");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_picks_by_a_pattern_that_names_no_keys() {
        assert!(
            narrows("grep", &["PATH"])
                && narrows("grep", &["-i", "node"])
                && narrows("wc", &["-l"])
        );
        assert!(
            !narrows("grep", &["-v", "PATH"])
                && !narrows("grep", &["-i", "TOKEN"])
                && !narrows("sort", &[])
        );
        assert!(!narrows("grep", &["."]) && !narrows("head", &["-5"]));
    }

    #[test]
    fn variables_that_hold_keys_are_known_by_their_names() {
        for name in [
            "OPENAI_API_KEY",
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "DB_PASSWORD",
            "PGPASSWORD",
            "MYSQL_PWD",
            "STRIPE_KEY",
            "NPM_TOKEN",
        ] {
            assert!(names_secret(name), "{name}");
        }
        for name in [
            "PATH",
            "PWD",
            "OLDPWD",
            "KEY",
            "token",
            "SSH_PUBLIC_KEY",
            "TOKEN_FILE",
            "MAX_TOKENS",
            "PRIMARY_KEY",
            "SECRET_NAME",
            "PASS",
            "KEYS",
            "HOTKEY",
        ] {
            assert!(!names_secret(name), "{name}");
        }
    }

    #[test]
    fn one_variable_is_not_the_whole_environment() {
        assert!(takes_all("$ENV | keys", "$ENV", &["."]));
        assert!(!takes_all("$ENV.HOME", "$ENV", &["."]) && !takes_all("$ENVIRONS", "$ENV", &["."]));
        assert!(takes_all("for (k in ENVIRON) print", "ENVIRON", &["["]));
        assert!(!takes_all("print ENVIRON[\"HOME\"]", "ENVIRON", &["["]));
    }
}
