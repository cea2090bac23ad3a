//! The answer of the policy: an ordered decision, one sentence of reason, and everything that was found.

use serde::{Deserialize, Serialize};

/// What may happen to a command. The order is the strictness: combine with `max`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may run.
    #[default]
    Allow,
    /// A person has to say yes first.
    Ask,
    /// It must not run.
    Deny,
}

impl Decision {
    /// Returns the word for this decision in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// One thing a command would do, and the rule that decided about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFinding {
    /// The name of the rule.
    pub rule: String,
    /// What that rule decides.
    pub decision: Decision,
    /// What would happen, in words: the effect and what it falls on.
    pub effect: String,
    /// Which command it is, counted from 1 in the order they were read.
    pub at: usize,
    /// The programs through which it was reached, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
    /// The command's words after all quoting and expansion.
    pub words: Vec<String>,
    /// The line of the text that it stands in, counted from 1, where the text has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

impl PolicyFinding {
    /// Returns the command for people; a redirection alone has no words.
    pub fn command(&self) -> String {
        let text = self.words.join(" ");
        if text.trim().is_empty() {
            "(no program)".to_owned()
        } else {
            text
        }
    }
}

/// The judgement of one command.
#[must_use = "a verdict that nobody looks at protects nothing"]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVerdict {
    /// What may happen to the command.
    pub decision: Decision,
    /// One line naming the keyword, pattern, type or rule that decided.
    pub reason: String,
    /// The keyword or pattern of the configuration that was found, or the name of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<String>,
    /// What the rules found, in the order of the command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<PolicyFinding>,
}

impl PolicyVerdict {
    /// Returns a verdict that follows from one key of the configuration.
    pub(super) fn refused(reason: &str, matched: Option<&str>) -> Self {
        Self {
            decision: Decision::Deny,
            reason: one_line(reason),
            matched: matched.map(str::to_owned),
            findings: Vec::new(),
        }
    }

    /// Returns the verdict about a command in which nothing was found.
    pub fn without_findings() -> Self {
        Self::allowed()
    }

    /// Returns the verdict about a command in which nothing was found.
    pub(super) fn allowed() -> Self {
        Self {
            decision: Decision::Allow,
            reason: "no rule forbids it".to_owned(),
            matched: None,
            findings: Vec::new(),
        }
    }

    /// Says which line of a text of several lines it is about; a text of one line needs no such word.
    pub(super) fn with_lines(mut self, text: &str) -> Self {
        if text.trim().lines().count() < 2 {
            for finding in &mut self.findings {
                finding.line = None;
            }
            return self;
        }
        for finding in &mut self.findings {
            finding.line = finding.line.or_else(|| line_of(text, &finding.words));
        }
        let strictest = self
            .findings
            .iter()
            .rev()
            .max_by_key(|finding| finding.decision);
        if let Some(line) = strictest.and_then(|finding| finding.line)
            && self.decision != Decision::Allow
        {
            let shown = text
                .lines()
                .nth(line.saturating_sub(1))
                .unwrap_or("")
                .trim();
            let short: String = shown.chars().take(MOST_SHOWN).collect();
            let cut = if short.len() < shown.len() {
                "\u{2026}"
            } else {
                ""
            };
            if !short.is_empty() {
                let place = format!(" (line {line}: `{short}{cut}`)");
                self.reason.push_str(&one_line(&place));
            }
        }
        self
    }

    /// Returns whether the command may run without a question.
    pub fn is_allowed(&self) -> bool {
        self.decision == Decision::Allow
    }
}

/// Characters of a line that a reason quotes.
const MOST_SHOWN: usize = 80;

/// Returns the only line of a text that names a command.
fn line_of(text: &str, words: &[String]) -> Option<usize> {
    let (first, second) = (words.first()?, words.get(1));
    let names = |line: &str, word: &str| line.to_lowercase().contains(&word.to_lowercase());
    let lines: Vec<(usize, &str)> = text.lines().enumerate().collect();
    let with = |both: bool| {
        let fits = |line: &str| {
            names(line, first) && (!both || second.is_none_or(|second| names(line, second)))
        };
        let mut found = lines.iter().filter(|(_, line)| fits(line));
        let only = found.next().map(|(at, _)| at + 1);
        only.filter(|_| found.next().is_none())
    };
    if first.is_empty() {
        return None;
    }
    with(true).or_else(|| with(false))
}

/// Makes any text fit for one line of a log: control characters become blanks.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
