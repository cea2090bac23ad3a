//! The judge: puts the keys, the reading of the command and the rules together.

use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

use crate::domain::{
    command::{Command, CommandKind},
    job::rules::PolicyRules,
    policy::{
        Decision, PolicyContext, PolicyPreset, PolicyRule, PolicyVerdict, cmd,
        decide::{RuleSet, matches_reading, preset_rules},
        interpretation::{CommandEffect, Interpretation, LIMITS},
        loss,
        original_keys::OriginalKeys,
        partial_text::is_mark,
        powershell, resolved_path,
        resolved_path::ResolvedPath,
        rule::RuleExample,
        shell::{ShellInterpreter, WrittenFiles},
    },
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
    /// A rule has no condition and would match every command.
    #[error(
        "execution_policy.rules: rule `{rule}` has no condition; name a program, an effect or a path"
    )]
    NoCondition {
        /// The name of the rule.
        rule: String,
    },
    /// An example of a rule does not do what the rule says.
    #[error("execution_policy.rules: rule `{rule}` {}: `{example}`", if *.wanted { "does not match its example" } else { "matches its counter-example" })]
    Example {
        /// The name of the rule.
        rule: String,
        /// The example.
        example: String,
        /// Whether it should have matched.
        wanted: bool,
    },
}

/// A policy made ready: judges commands, changes nothing.
#[derive(Debug)]
pub struct Policy {
    keys: OriginalKeys,
    pub(super) rules: RuleSet,
    /// Policies that decide as well; the strictest verdict counts.
    beside: Vec<Self>,
}

impl Policy {
    /// Makes a policy ready, checking every pattern, rule and example of the configuration.
    pub fn new(rules: &PolicyRules) -> Result<Self, Error> {
        let keys = OriginalKeys::new(rules).map_err(|(pattern, source)| Error::Pattern {
            pattern,
            source: Box::new(source),
        })?;
        check_examples(&rules.rules)?;
        let rules = RuleSet::new(rules.rules.clone(), rules.preset, rules.on_opaque);
        let beside = Vec::new();
        Ok(Self {
            keys,
            rules,
            beside,
        })
    }

    /// Returns the policy that refuses only what destroys the machine, a home or a disk.
    pub fn minimal() -> Self {
        Self {
            keys: OriginalKeys::none(),
            rules: RuleSet::new(Vec::new(), PolicyPreset::Minimal, Decision::Allow),
            beside: Vec::new(),
        }
    }

    /// Puts another policy beside this one: what it asks about or refuses, this one lets pass no longer.
    #[must_use]
    pub fn combined_with(mut self, other: Self) -> Self {
        self.beside.push(other);
        self
    }

    /// Decides by all the rules there are; the first of the strictest verdicts counts.
    fn decide(&self, reading: &Interpretation<'_>) -> PolicyVerdict {
        let own = self.rules.decide(reading);
        self.beside.iter().fold(own, |strictest, other| {
            let verdict = other.decide(reading);
            if verdict.decision > strictest.decision {
                verdict
            } else {
                strictest
            }
        })
    }

    /// Returns what a command would lose inside the root.
    pub fn losses(command: &Command, world: &PolicyContext) -> Vec<loss::DataLoss> {
        let mut reading = Interpretation::new(world);
        read(command, &mut reading);
        loss::losses_of(&reading)
    }

    /// Returns what a tool that writes or removes a file would lose inside the root.
    pub fn file_losses(
        access: FileAccess,
        path: &str,
        world: &PolicyContext,
    ) -> Vec<loss::DataLoss> {
        let mut reading = Interpretation::new(world);
        read_file("", access, path, &mut reading);
        loss::losses_of(&reading)
    }

    /// Returns why a rule decides as it does; empty where nobody has said so.
    pub fn reason_of(&self, rule: &str) -> &str {
        let own = self.rules.reason_of(rule);
        let mut others = self.beside.iter().map(|other| other.reason_of(rule));
        if own.is_empty() {
            others.find(|reason| !reason.is_empty()).unwrap_or("")
        } else {
            own
        }
    }

    /// Checks the examples of a preset; returns how many there are.
    pub fn check_preset(preset: PolicyPreset) -> Result<usize, Error> {
        check_examples(preset_rules(preset))
    }

    /// Judges one command under the given circumstances. A text on which the judge itself fails is refused.
    pub fn judge(&self, command: &Command, world: &PolicyContext) -> PolicyVerdict {
        self.judge_next(command, world, &mut WrittenFiles::default())
    }

    /// Judges what a tool would do to one file without a command; `path` starts in the folder where commands start.
    pub fn judge_file(
        &self,
        tool: &str,
        access: FileAccess,
        path: &str,
        world: &PolicyContext,
    ) -> PolicyVerdict {
        let mut reading = Interpretation::new(world);
        read_file(tool, access, path, &mut reading);
        self.decide(&reading)
    }

    /// Judges commands that run one after the other: what one of them writes is known when the next is judged.
    pub fn judge_sequence(
        &self,
        commands: &[Command],
        world: &PolicyContext,
    ) -> Vec<PolicyVerdict> {
        let mut written = WrittenFiles::default();
        let each = commands.iter();
        each.map(|command| self.judge_next(command, world, &mut written))
            .collect()
    }

    fn judge_next(
        &self,
        command: &Command,
        world: &PolicyContext,
        written: &mut WrittenFiles,
    ) -> PolicyVerdict {
        let judged = catch_unwind(AssertUnwindSafe(|| {
            self.judge_text(command, world, written)
        }));
        let failed = "the judge failed on this text, which is a fault of tos; write it differently";
        judged.unwrap_or_else(|_| PolicyVerdict::refused(failed, None))
    }

    fn judge_text(
        &self,
        command: &Command,
        world: &PolicyContext,
        written: &mut WrittenFiles,
    ) -> PolicyVerdict {
        let text = command.text();
        if self.rules.is_empty() && !self.keys.wants_normal_form() {
            let refused = self.keys.refuse(&command.kind, &[&text]);
            return refused.unwrap_or_else(PolicyVerdict::allowed);
        }
        if text.len() > LIMITS.bytes {
            let refused = self.keys.refuse(&command.kind, &[&text]);
            let mut reading = Interpretation::new(world);
            reading.opaque("a text of more than 64 KiB");
            return refused.unwrap_or_else(|| self.decide(&reading));
        }
        let mut reading = Interpretation::new(world);
        read_after(command, &mut reading, written);
        let normal = self.normal_form(&reading);
        let refused = self.keys.refuse(&command.kind, &[&text, &normal]);
        refused.unwrap_or_else(|| self.decide(&reading).with_lines(&text))
    }

    /// Returns the command as it was understood, one line for each part; empty when no key looks at it.
    fn normal_form(&self, reading: &Interpretation<'_>) -> String {
        if !self.keys.wants_normal_form() {
            return String::new();
        }
        let lines: Vec<String> = reading.acts.iter().map(|act| act.words.join(" ")).collect();
        lines.join("\n")
    }
}

/// What a tool does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAccess {
    /// Looks into it.
    Read,
    /// Changes or creates it.
    Write,
    /// Removes it.
    Delete,
}

/// Notes what a tool would do to a file.
fn read_file(tool: &str, access: FileAccess, path: &str, reading: &mut Interpretation<'_>) {
    let world = reading.world;
    let folder = resolved_path::slashed(world.folder.as_deref().unwrap_or(&world.root));
    let home = resolved_path::home(world);
    let path = match path.strip_prefix('~') {
        Some("") => home,
        Some(rest) if rest.starts_with('/') => format!("{home}{rest}"),
        _ => path.to_owned(),
    };
    reading.act(&[tool.to_owned(), path.clone()]);
    let seat = |path: &str| match access {
        FileAccess::Delete => resolved_path::resolve_entry(path, world),
        FileAccess::Read | FileAccess::Write => resolved_path::place(path, world),
    };
    let place = match resolved_path::absolute(&path, Some(&folder)) {
        Some(path) if !path.contains(is_mark) => seat(&path),
        _ => ResolvedPath::Unknown(path),
    };
    reading.effect(match access {
        FileAccess::Read => CommandEffect::Read(place),
        FileAccess::Write => CommandEffect::Write(place),
        FileAccess::Delete => CommandEffect::Delete(place),
    });
}

/// Reads a command as its interpreter would.
pub(super) fn read(command: &Command, reading: &mut Interpretation<'_>) {
    read_after(command, reading, &mut WrittenFiles::default());
}

/// Reads a command that runs after others, and notes what it writes.
fn read_after(command: &Command, reading: &mut Interpretation<'_>, written: &mut WrittenFiles) {
    if command.code.contains(is_mark) || command.argv.iter().any(|word| word.contains(is_mark)) {
        reading.given_up = Some("it contains characters that have no meaning");
        return;
    }
    let mut machine = ShellInterpreter::after(reading, written);
    match command.kind {
        CommandKind::Bash | CommandKind::Sh => {
            let printed = machine.run_top(&command.code, String::new());
            machine.shows_secret(&printed);
            machine.reading.leaves_servers();
        }
        CommandKind::Exec => {
            let printed = machine.dispatch(command.argv.clone(), String::new());
            machine.shows_secret(&printed);
            machine.reading.leaves_servers();
        }
        CommandKind::Powershell => {
            powershell::read(&mut machine, &command.code);
            machine.secrets_on_windows(&command.code, "env:", ['\n', ';']);
        }
        CommandKind::Cmd => {
            cmd::read(&mut machine, &command.code);
            machine.secrets_on_windows(&command.code, "%", ['\n', '&']);
        }
        CommandKind::Other(_) => {}
    }
    *written = machine.written();
}

/// Checks every example of the rules; returns how many there are.
fn check_examples(rules: &[PolicyRule]) -> Result<usize, Error> {
    let mut count = 0;
    for rule in rules {
        if !rule.has_condition() {
            return Err(Error::NoCondition {
                rule: rule.name.clone(),
            });
        }
        let wanted = rule.matches.iter().map(|example| (example, true));
        for (example, wanted) in wanted.chain(rule.no_match.iter().map(|example| (example, false)))
        {
            count += 1;
            if matches_example(rule, example) != wanted {
                return Err(Error::Example {
                    rule: rule.name.clone(),
                    example: String::from(example.clone()),
                    wanted,
                });
            }
        }
    }
    Ok(count)
}

pub(super) fn matches_example(rule: &PolicyRule, example: &RuleExample) -> bool {
    let world = PolicyContext::unattended("/srv/job/root");
    let mut reading = Interpretation::new(&world);
    read(&example.command(), &mut reading);
    matches_reading(rule, &reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> PolicyRules {
        PolicyRules {
            allow_types: vec![
                CommandKind::Powershell,
                CommandKind::Bash,
                CommandKind::Exec,
            ],
            preset: PolicyPreset::Original,
            ..PolicyRules::default()
        }
    }

    fn command(kind: CommandKind, code: &str) -> Command {
        Command {
            kind,
            code: code.to_owned(),
            argv: Vec::new(),
        }
    }

    fn verdict(rules: &PolicyRules, command: &Command) -> PolicyVerdict {
        let world = PolicyContext::unattended("/srv/job/root");
        Policy::new(rules).unwrap().judge(command, &world)
    }

    #[test]
    fn a_default_action_of_deny_refuses_everything_first() {
        let rules = PolicyRules {
            default_allow: false,
            deny_if_contains: vec!["ls".into()],
            ..rules()
        };
        let found = verdict(&rules, &command(CommandKind::Other("python".into()), "ls"));
        assert_eq!(
            found,
            PolicyVerdict::refused(
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
        let found = verdict(&rules, &command(CommandKind::Cmd, "REMOVE-ITEM x"));
        assert_eq!(
            found,
            PolicyVerdict::refused(
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
        let found = verdict(&rules, &command(CommandKind::Cmd, "x"));
        assert_eq!(found.reason, "type `cmd` is not in allow_types");
    }

    #[test]
    fn w22_a_type_nobody_can_start_is_refused_even_when_it_is_listed() {
        let python = CommandKind::Other("python".into());
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
        let found = verdict(&rules, &command(CommandKind::Bash, "FORMAT  C:"));
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
    fn every_example_of_the_shipped_rules_holds() {
        assert_eq!(Policy::check_preset(PolicyPreset::Careful).unwrap(), 30);
        assert_eq!(Policy::check_preset(PolicyPreset::Strict).unwrap(), 38);
        assert!(Policy::check_preset(PolicyPreset::Guard).unwrap() > 25);
        assert!(Policy::check_preset(PolicyPreset::Minimal).unwrap() > 15);
    }

    #[test]
    fn an_argument_vector_is_searched_quoted_and_unquoted() {
        let rules = PolicyRules {
            deny_if_contains: vec!["rm it's".into()],
            ..rules()
        };
        let command = Command {
            kind: CommandKind::Exec,
            code: String::new(),
            argv: vec!["rm".into(), "it's".into()],
        };
        assert_eq!(
            verdict(&rules, &command).matched.as_deref(),
            Some("rm it's")
        );
    }
}
