//! What shows the environment as a whole, which holds the keys of the account as often as not.
//!
//! Naming one variable is ordinary work, and so is picking a few by a pattern: what only goes through a filter counts as picked.

use crate::domain::policy::{programs::is_in, shell::Machine};

/// Programs that pick lines or words.
const FILTERS: &str =
    "grep egrep fgrep rg ag awk gawk sed wc cut select-string sls where-object where findstr find";
/// Words of a pattern that picks the keys themselves.
const KEYS: [&str; 8] = [
    "token", "secret", "passw", "key", "cred", "auth", "aws_", ".",
];

/// Returns whether a command picks a few of the lines that it is given.
pub(in crate::domain::policy) fn narrows(name: &str, args: &[&str]) -> bool {
    let is_filter = is_in(FILTERS, name);
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

impl Machine<'_, '_> {
    /// Records that the whole environment is shown, unless what is shown goes through a filter.
    pub(in crate::domain::policy) fn shows_environment(&mut self, how: &str) {
        if !self.state.filters {
            self.reading.opaque(format!(
                "{how}, which shows the whole environment and the keys in it"
            ));
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
                let is_key = |word: &&str| {
                    let word = word.to_lowercase();
                    ["token", "secret", "passw", "_key", "cred"]
                        .iter()
                        .any(|key| word.contains(key))
                };
                rest.iter().all(|word| ["-0", "--null"].contains(word)) || rest.iter().any(is_key)
            }
            ("cmake", ["-E", "environment"]) | ("npm" | "pnpm" | "yarn", ["run", "env"]) => true,
            ("systemctl", rest) => rest.contains(&"show-environment"),
            ("ps", [first, ..]) => {
                !first.starts_with('-')
                    && first.contains('e')
                    && first.chars().all(char::is_alphabetic)
            }
            ("jq" | "gojq" | "jaq", rest) => rest.iter().any(|text| {
                *text == "env"
                    || takes_all(text, "$ENV", &["."])
                    || takes_all(text, "env", &[".", ":", "="])
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
    fn one_variable_is_not_the_whole_environment() {
        assert!(takes_all("$ENV | keys", "$ENV", &["."]));
        assert!(!takes_all("$ENV.HOME", "$ENV", &["."]) && !takes_all("$ENVIRONS", "$ENV", &["."]));
        assert!(takes_all("for (k in ENVIRON) print", "ENVIRON", &["["]));
        assert!(!takes_all("print ENVIRON[\"HOME\"]", "ENVIRON", &["["]));
    }
}
