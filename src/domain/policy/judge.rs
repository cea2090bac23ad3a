//! The judge: puts the keys, the reading of the command and the rules together.

use thiserror::Error;

use crate::domain::{
    command::Command,
    policy::{Verdict, World, original::Keys},
    rules::PolicyRules,
};

/// Why a policy cannot be made from its configuration.
#[derive(Debug, Error)]
pub enum Error {
    /// A pattern is not a regular expression.
    #[error("execution_policy.deny_patterns: `{pattern}` is not a regular expression")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// What the expression compiler says.
        #[source]
        source: Box<regex::Error>,
    },
}

/// A policy made ready: judges commands, changes nothing.
#[derive(Debug)]
pub struct Policy {
    keys: Keys,
}

impl Policy {
    /// Makes a policy ready, checking every pattern, rule and example of the configuration.
    pub fn new(rules: &PolicyRules) -> Result<Self, Error> {
        let keys = Keys::new(rules).map_err(|(pattern, source)| Error::Pattern {
            pattern,
            source: Box::new(source),
        })?;
        Ok(Self { keys })
    }

    /// Judges one command under the given circumstances.
    pub fn judge(&self, command: &Command, _world: &World) -> Verdict {
        let text = command.text();
        let plain = command.argv.join(" ");
        self.keys
            .refuse(&command.kind, &[&text, &plain])
            .unwrap_or_else(Verdict::allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::Kind;

    fn rules() -> PolicyRules {
        PolicyRules {
            allow_types: vec![Kind::Powershell, Kind::Bash, Kind::Exec],
            ..PolicyRules::default()
        }
    }

    fn command(kind: Kind, code: &str) -> Command {
        Command {
            kind,
            code: code.to_owned(),
            argv: Vec::new(),
        }
    }

    fn verdict(rules: &PolicyRules, command: &Command) -> Verdict {
        let world = World::unattended("/srv/job/root");
        Policy::new(rules).unwrap().judge(command, &world)
    }

    #[test]
    fn a_default_action_of_deny_refuses_everything_first() {
        let rules = PolicyRules {
            default_allow: false,
            deny_if_contains: vec!["ls".into()],
            ..rules()
        };
        let found = verdict(&rules, &command(Kind::Other("python".into()), "ls"));
        assert_eq!(
            found,
            Verdict::refused(
                "execution_policy.default_action is `deny`: no command may run",
                None
            )
        );
    }

    #[test]
    fn a_forbidden_text_is_found_before_the_type_and_without_regard_to_case() {
        let rules = PolicyRules {
            deny_if_contains: vec!["Remove-Item".into()],
            ..rules()
        };
        let found = verdict(&rules, &command(Kind::Cmd, "REMOVE-ITEM x"));
        assert_eq!(
            found,
            Verdict::refused(
                "contains `Remove-Item`, which deny_if_contains forbids",
                Some("Remove-Item")
            )
        );
    }

    #[test]
    fn a_type_outside_allow_types_is_refused_before_the_patterns() {
        let rules = PolicyRules {
            deny_patterns: vec!["x".into()],
            ..rules()
        };
        let found = verdict(&rules, &command(Kind::Cmd, "x"));
        assert_eq!(found.reason, "type `cmd` is not in allow_types");
    }

    #[test]
    fn w22_a_type_nobody_can_start_is_refused_even_when_it_is_listed() {
        let python = Kind::Other("python".into());
        let rules = PolicyRules {
            allow_types: vec![python.clone()],
            ..rules()
        };
        let found = verdict(&rules, &command(python, "print(1)"));
        assert_eq!(found.reason, "type `python` is not one that can be started");
    }

    #[test]
    fn a_forbidden_pattern_ignores_case_and_is_named() {
        let rules = PolicyRules {
            deny_patterns: vec![r"format\s+c".into()],
            ..rules()
        };
        let found = verdict(&rules, &command(Kind::Bash, "FORMAT  C:"));
        assert_eq!(found.matched.as_deref(), Some(r"format\s+c"));
    }

    #[test]
    fn w21_a_pattern_that_does_not_compile_is_an_error_naming_it() {
        let rules = PolicyRules {
            deny_patterns: vec!["(".into()],
            ..rules()
        };
        let error = Policy::new(&rules).unwrap_err();
        assert_eq!(
            error.to_string(),
            "execution_policy.deny_patterns: `(` is not a regular expression"
        );
    }

    #[test]
    fn an_argument_vector_is_searched_quoted_and_unquoted() {
        let rules = PolicyRules {
            deny_if_contains: vec!["rm it's".into()],
            ..rules()
        };
        let command = Command {
            kind: Kind::Exec,
            code: String::new(),
            argv: vec!["rm".into(), "it's".into()],
        };
        assert_eq!(
            verdict(&rules, &command).matched.as_deref(),
            Some("rm it's")
        );
    }
}
