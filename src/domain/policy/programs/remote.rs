//! Programs that change what lies on other machines: infrastructure, deployments, secrets, backups, registries.
//!
//! Asking is network, like any other; changing is more than that, so a rule that allows the network does not allow it.

use crate::domain::policy::{
    programs::{Options, is_question},
    rule::Trait,
    shell::Machine,
    text::UNKNOWN,
};

/// Verbs that stay on this machine, for all of these programs.
const LOCAL: &str = "
fmt validate version help completion --version --help -h -v lint synth synthesize template schema docs console-none init-none
convert hash check format generate
";
/// Verbs that only ask.
const ASKS: &str = "
plan show list ls get describe status state-list output logs log diff preview refresh-none search view whoami who info inspect history
graph providers outputs find stats snapshots read top tail ps env-list account-get events versions verify stack config-get check-access
dump-none cat checks watch-none about doctor
";

fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|own| own == word)
}

/// What a verb of such a program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It stays on this machine.
    Here,
    /// It asks another machine.
    Asks,
    /// It changes something on another machine.
    Changes,
}

/// Finds out what the words of a program do: the first of them that says something decides.
pub(super) fn reach(words: &[&str]) -> Reach {
    match words {
        [] => Reach::Here,
        [first, ..] if is_in(LOCAL, first) => Reach::Here,
        [first, second, ..] if is_in(ASKS, second) && !is_in(ASKS, first) => Reach::Asks,
        [
            "state" | "stack" | "workspace" | "config" | "account" | "auth",
            second,
            ..,
        ] if is_in(ASKS, second) => Reach::Asks,
        ["state" | "stack" | "workspace", _, ..] => Reach::Changes,
        [first, ..] if is_in(ASKS, first) => Reach::Asks,
        _ => Reach::Changes,
    }
}

impl Machine<'_, '_> {
    /// Looks at such a program.
    pub(super) fn remote(&mut self, name: &str, args: &[String]) -> String {
        let options = Options::leading(
            args,
            "CRrgpn",
            &[
                "chdir",
                "repo",
                "project",
                "profile",
                "cwd",
                "stack",
                "namespace",
            ],
        );
        let words: Vec<&str> = options
            .rest
            .iter()
            .map(String::as_str)
            .filter(|word| !word.starts_with('-'))
            .collect();
        let asks = args
            .iter()
            .any(|arg| arg == "--help" || arg == "-h" || arg == "--version");
        if !asks && !is_question(args) {
            self.remote_verb(name, &words);
        }
        UNKNOWN.to_string()
    }

    /// Records what a program with these words does on other machines.
    pub(super) fn remote_verb(&mut self, name: &str, words: &[&str]) {
        let verb = words.first().copied().unwrap_or("");
        match reach(words) {
            Reach::Here => {}
            Reach::Asks => self.reading.does(
                Trait::Network,
                format!("{name} {verb} asks another machine"),
            ),
            Reach::Changes => {
                self.reading.does(
                    Trait::Network,
                    format!("{name} {verb} talks to another machine"),
                );
                self.reading.does(
                    Trait::System,
                    format!("{name} {verb} changes what lies on another machine"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_and_changing_are_told_apart() {
        assert_eq!(reach(&["fmt"]), Reach::Here);
        assert_eq!(reach(&["plan"]), Reach::Asks);
        assert_eq!(reach(&["state", "list"]), Reach::Asks);
        assert_eq!(reach(&["state", "rm", "x"]), Reach::Changes);
        assert_eq!(reach(&["pr", "view", "1"]), Reach::Asks);
        assert_eq!(reach(&["repo", "delete", "x"]), Reach::Changes);
        assert_eq!(reach(&["destroy"]), Reach::Changes);
        assert_eq!(reach(&["apply"]), Reach::Changes);
    }
}
