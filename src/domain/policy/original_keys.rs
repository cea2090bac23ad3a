//! The keys the policy has always had: default action, forbidden texts, allowed types, forbidden patterns.
//!
//! The first key that hits decides, in this order. Texts and patterns are looked for in the command as it is
//! written and in the command as it will be understood, without regard to case.

use regex::Regex;

use crate::domain::{command::CommandKind, job::rules::PolicyRules, policy::PolicyVerdict};

/// The four keys, made ready.
#[derive(Debug)]
pub(super) struct OriginalKeys {
    default_allow: bool,
    texts: Vec<ForbiddenText>,
    types: Vec<CommandKind>,
    patterns: Vec<Regex>,
}

/// A forbidden text: as the user wrote it, and in lower case.
#[derive(Debug)]
struct ForbiddenText {
    written: String,
    lower: String,
}

impl OriginalKeys {
    /// Makes the keys ready; the error is the pattern that does not compile.
    pub(super) fn new(rules: &PolicyRules) -> Result<Self, (String, regex::Error)> {
        let compile = |pattern: &String| {
            regex::RegexBuilder::new(pattern)
                .case_insensitive(true)
                .build()
                .map_err(|source| (pattern.clone(), source))
        };
        Ok(Self {
            default_allow: rules.default_allow,
            texts: rules
                .deny_if_contains
                .iter()
                .map(|text| ForbiddenText::new(text))
                .collect(),
            types: rules.allow_types.clone(),
            patterns: rules
                .deny_patterns
                .iter()
                .map(compile)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Returns keys that let every command of this system pass.
    pub(super) fn none() -> Self {
        Self {
            default_allow: true,
            texts: Vec::new(),
            types: CommandKind::of_this_system(),
            patterns: Vec::new(),
        }
    }

    /// Returns whether any key looks at the text of a command.
    pub(super) fn wants_normal_form(&self) -> bool {
        self.default_allow && !(self.texts.is_empty() && self.patterns.is_empty())
    }

    /// Returns the refusal of the first key that hits, if one does; `texts` are the forms of the command.
    pub(super) fn refuse(&self, kind: &CommandKind, texts: &[&str]) -> Option<PolicyVerdict> {
        if !self.default_allow {
            let reason = "execution_policy.default_action is `deny`: no command may run";
            return Some(PolicyVerdict::refused(reason, None));
        }
        self.forbidden_text(texts)
            .or_else(|| self.forbidden_type(kind))
            .or_else(|| self.forbidden_pattern(texts))
    }

    fn forbidden_text(&self, forms: &[&str]) -> Option<PolicyVerdict> {
        if self.texts.is_empty() {
            return None;
        }
        let lower: Vec<String> = forms.iter().map(|form| form.to_lowercase()).collect();
        let hit = self
            .texts
            .iter()
            .find(|text| lower.iter().any(|form| form.contains(&text.lower)))?;
        let reason = format!(
            "contains `{}`, which deny_if_contains forbids",
            hit.written.trim()
        );
        Some(PolicyVerdict::refused(&reason, Some(&hit.written)))
    }

    fn forbidden_type(&self, kind: &CommandKind) -> Option<PolicyVerdict> {
        let word = kind.as_str();
        if matches!(kind, CommandKind::Other(_)) {
            let reason = format!("type `{word}` is not one that can be started");
            return Some(PolicyVerdict::refused(&reason, None));
        }
        if self.types.contains(kind) {
            return None;
        }
        let reason = format!("type `{word}` is not in allow_types");
        Some(PolicyVerdict::refused(&reason, None))
    }

    fn forbidden_pattern(&self, forms: &[&str]) -> Option<PolicyVerdict> {
        let hit = self
            .patterns
            .iter()
            .find(|pattern| forms.iter().any(|form| pattern.is_match(form)))?;
        let reason = format!("matches `{hit}`, which deny_patterns forbids");
        Some(PolicyVerdict::refused(&reason, Some(hit.as_str())))
    }
}

impl ForbiddenText {
    fn new(written: &str) -> Self {
        Self {
            written: written.to_owned(),
            lower: written.to_lowercase(),
        }
    }
}
