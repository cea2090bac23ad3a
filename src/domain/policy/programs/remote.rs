//! Programs that change what lies on other machines: infrastructure, deployments, secrets, backups, registries.
//!
//! Asking is network, like any other; changing is more than that, so a rule that allows the network does not allow it.

use crate::domain::policy::{
    partial_text::UNKNOWN,
    programs::{Options, is_in, is_question, network::is_local_verb},
    rule::EffectKind,
    shell::ShellInterpreter,
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

/// What a verb of such a program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VerbEffect {
    /// It stays on this machine.
    Here,
    /// It asks another machine.
    Asks,
    /// It changes something on another machine.
    Changes,
}

/// Finds out what the words of a program do: the first of them that says something decides.
pub(super) fn reach(words: &[&str]) -> VerbEffect {
    match words {
        [] => VerbEffect::Here,
        [first, ..] if is_in(LOCAL, first) => VerbEffect::Here,
        [first, second, ..] if is_in(ASKS, second) && !is_in(ASKS, first) => VerbEffect::Asks,
        [
            "state" | "stack" | "workspace" | "config" | "account" | "auth",
            second,
            ..,
        ] if is_in(ASKS, second) => VerbEffect::Asks,
        ["state" | "stack" | "workspace", _, ..] => VerbEffect::Changes,
        [first, ..] if is_in(ASKS, first) => VerbEffect::Asks,
        _ => VerbEffect::Changes,
    }
}

impl ShellInterpreter<'_, '_> {
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
        let looks = [
            "--help",
            "--version",
            "--syntax-check",
            "--list-tasks",
            "--list-hosts",
            "--list-tags",
        ];
        let asks = args.iter().any(|arg| looks.contains(&arg.as_str()))
            || args.last().is_some_and(|arg| arg == "-h");
        let stays = words.first().is_some_and(|verb| is_local_verb(name, verb));
        let builds = |word: &&str| ["run", "list", "ls", "changed", "test"].contains(word);
        let is_local = name == "lerna" && words.first().is_some_and(builds);
        if is_local {
            self.runs_project();
        } else if is_client(name)
            && super::loopback::is_local_host(args)
            && (named_host(args) || ["createdb", "pgbench", "pg_isready"].contains(&name))
        {
            // A server on this machine, named so.
        } else if !asks && !is_question(args) && !stays {
            self.remote_verb(name, &words);
        }
        UNKNOWN.to_string()
    }

    /// Records what a program with these words does on other machines.
    pub(super) fn remote_verb(&mut self, name: &str, words: &[&str]) {
        let verb = words.first().copied().unwrap_or("");
        match reach(words) {
            VerbEffect::Here => {}
            VerbEffect::Asks => self.reading.does(
                EffectKind::Network,
                format!("{name} {verb} asks another machine"),
            ),
            VerbEffect::Changes => {
                self.reading.does(
                    EffectKind::Network,
                    format!("{name} {verb} talks to another machine"),
                );
                self.reading.does(
                    EffectKind::System,
                    format!("{name} {verb} changes what lies on another machine"),
                );
            }
        }
    }
}

/// Returns whether a program talks to one server, which its options name, and destroys nothing by itself.
fn is_client(name: &str) -> bool {
    [
        "createdb",
        "pgbench",
        "pg_isready",
        "createuser",
        "clickhouse-client",
        "cqlsh",
    ]
    .contains(&name)
}

fn named_host(args: &[String]) -> bool {
    args.iter()
        .any(|arg| arg.starts_with("-h") || arg.starts_with("--host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_and_changing_are_told_apart() {
        assert_eq!(reach(&["fmt"]), VerbEffect::Here);
        assert_eq!(reach(&["plan"]), VerbEffect::Asks);
        assert_eq!(reach(&["state", "list"]), VerbEffect::Asks);
        assert_eq!(reach(&["state", "rm", "x"]), VerbEffect::Changes);
        assert_eq!(reach(&["pr", "view", "1"]), VerbEffect::Asks);
        assert_eq!(reach(&["repo", "delete", "x"]), VerbEffect::Changes);
        assert_eq!(reach(&["destroy"]), VerbEffect::Changes);
        assert_eq!(reach(&["apply"]), VerbEffect::Changes);
    }
}
