//! Rules: what to look for in the effects of a command, and what follows. Plain data, as written in files.

use serde::{Deserialize, Serialize};

use crate::domain::{
    command::{Command, CommandKind},
    policy::Decision,
};

/// A shipped set of rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyPreset {
    /// Keeps the root workable and everything outside it untouched.
    #[default]
    Careful,
    /// As careful, and besides nothing is deleted, fetched or left to guessing.
    Strict,
    /// For an agent beside a person: the ordinary runs, what is outward or costly is asked about, what destroys is refused.
    /// Work that git does not hold may go where a checkpoint of it is made first.
    Guard,
    /// Only what destroys a folder of the system, a home or a disk is refused: the floor under what a person wrote. No
    /// configuration chooses it.
    Minimal,
    /// No rules besides the lists of texts and patterns, as in the original program.
    Original,
}

impl PolicyPreset {
    /// Returns whether what is not understood counts against a command.
    pub(super) const fn doubts(self) -> bool {
        !matches!(self, Self::Original | Self::Minimal)
    }
}

/// An effect that a rule can be about without naming a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Talks to another machine, or opens a socket.
    Network,
    /// Takes or hands out rights the caller does not have.
    Privilege,
    /// Loses work or history of a repository.
    GitDestructive,
    /// Leaves something behind that runs later by itself.
    Persistence,
    /// Brings foreign programs onto the machine.
    PackageInstall,
    /// Changes the machine itself: power, disks, services, other people's processes.
    System,
    /// Cannot be known from the text.
    Opaque,
}

impl EffectKind {
    /// Returns the word for this effect in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Privilege => "privilege",
            Self::GitDestructive => "git_destructive",
            Self::Persistence => "persistence",
            Self::PackageInstall => "package_install",
            Self::System => "system",
            Self::Opaque => "opaque",
        }
    }
}

/// One rule. All conditions that are present have to hold; a rule has at least one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct PolicyRule {
    /// The name that verdicts show.
    pub name: String,
    /// What follows when the rule matches.
    pub decision: Decision,
    /// Why, for the person who reads the verdict.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Program names (globs, without regard to case on Windows interpreters); any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub program: Vec<String>,
    /// The first arguments, one glob each; alternatives are separated by `|`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Globs of which every one has to match some argument; alternatives are separated by `|`. In a rule that allows, every
    /// argument also has to match one of these or of `args`: what nobody named is not allowed by what stands beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any_arg: Vec<String>,
    /// Effects; any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effect: Vec<EffectKind>,
    /// Globs of paths the command would change or create; any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<String>,
    /// Globs of paths the command would remove or empty; any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deletes: Vec<String>,
    /// Globs of paths the command would read; any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// Commands the rule has to match; checked when the rules are loaded.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<RuleExample>,
    /// Commands the rule must not match; checked when the rules are loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_match: Vec<RuleExample>,
}

impl PolicyRule {
    /// Returns whether anything narrows the rule down.
    pub fn has_condition(&self) -> bool {
        let lists = [
            &self.program,
            &self.args,
            &self.any_arg,
            &self.writes,
            &self.deletes,
            &self.reads,
        ];
        !self.effect.is_empty() || lists.iter().any(|list| !list.is_empty())
    }

    /// Returns how a rule that allows does so for more than it seems to, as the end of a sentence; `None` where it does not.
    pub fn overbroad_reason(&self) -> Option<String> {
        if self.decision != Decision::Allow {
            return None;
        }
        let is_any = |glob: &String| glob.split('|').any(|glob| matches!(glob, "*" | "**"));
        let about_effects = !self.effect.is_empty()
            || [&self.writes, &self.deletes, &self.reads]
                .iter()
                .any(|list| !list.is_empty());
        let everything = "allows whatever else the command does";
        if self.program.is_empty() && about_effects {
            return Some("allows it to every program: name the `program`".to_owned());
        }
        if self.program.is_empty() || self.program.iter().any(is_any) {
            return Some(format!("{everything}, of any program: name the `program`"));
        }
        if !about_effects {
            return Some(format!(
                "{everything}: name the `effect`, or the paths it `reads`, `writes` or `deletes`"
            ));
        }
        if self.effect.contains(&EffectKind::Network)
            && self.args.is_empty()
            && self.any_arg.is_empty()
        {
            return Some("allows every address: name them in `any_arg`".to_owned());
        }
        let wide = self
            .any_arg
            .iter()
            .chain(&self.args)
            .find(|globs| is_any(globs))?;
        Some(format!("allows any argument by `{wide}`: name them"))
    }
}

/// A command used to check a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct RuleExample {
    /// What interprets it; `bash` unless the text starts with another type and a colon.
    pub kind: CommandKind,
    /// The command.
    pub code: String,
}

impl RuleExample {
    /// Returns the example as a command.
    pub(super) fn command(&self) -> Command {
        let exec = self.kind == CommandKind::Exec;
        Command {
            kind: self.kind.clone(),
            code: if exec {
                String::new()
            } else {
                self.code.clone()
            },
            argv: self
                .code
                .split_whitespace()
                .filter(|_| exec)
                .map(str::to_owned)
                .collect(),
        }
    }
}

impl From<String> for RuleExample {
    fn from(text: String) -> Self {
        let typed = text.split_once(':').and_then(|(word, code)| {
            let kind = CommandKind::KNOWN
                .into_iter()
                .find(|kind| kind.as_str() == word)?;
            Some((kind, code.trim_start().to_owned()))
        });
        let (kind, code) = typed.unwrap_or((CommandKind::Bash, text));
        Self { kind, code }
    }
}

impl From<RuleExample> for String {
    fn from(example: RuleExample) -> Self {
        if example.kind == CommandKind::Bash {
            example.code
        } else {
            format!("{}: {}", example.kind.as_str(), example.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_allows_too_much_says_so() {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let narrow = PolicyRule {
            decision: Decision::Allow,
            program: list(&["curl"]),
            any_arg: list(&["https://mirror.example.org/*"]),
            effect: vec![EffectKind::Network],
            ..PolicyRule::default()
        };
        assert_eq!(narrow.overbroad_reason(), None);
        let wide = [
            PolicyRule {
                program: Vec::new(),
                ..narrow.clone()
            },
            PolicyRule {
                program: list(&["*"]),
                ..narrow.clone()
            },
            PolicyRule {
                effect: Vec::new(),
                ..narrow.clone()
            },
            PolicyRule {
                any_arg: Vec::new(),
                ..narrow.clone()
            },
            PolicyRule {
                any_arg: list(&["https://a/*|*"]),
                ..narrow.clone()
            },
        ];
        for rule in wide {
            assert!(rule.overbroad_reason().is_some(), "{rule:?}");
        }
        let denies = PolicyRule {
            decision: Decision::Deny,
            effect: Vec::new(),
            ..narrow
        };
        assert_eq!(denies.overbroad_reason(), None);
    }
}
