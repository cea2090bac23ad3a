//! The way to a person who can say yes.

use crate::{domain::command::Command, ports::BoxFuture};

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalAnswer {
    /// Whether the command may run.
    pub yes: bool,
    /// Who or what answered, for the record.
    pub by: String,
}

/// Asks whether a command may run. Where nobody can answer, the answer is no.
pub trait Approvals: Send + Sync {
    /// Asks, and returns the wait for the answer. Where the question lies in files, it lies there when this returns, so
    /// whoever is told of it can answer at once.
    fn ask<'a>(
        &'a self,
        id: &'a str,
        command: &'a Command,
        reason: &'a str,
    ) -> BoxFuture<'a, ApprovalAnswer>;
}

/// Makes a yes last: rules that let a command pass from now on.
pub trait AllowRuleStore: Send + Sync {
    /// Returns where the rules would be written; `None` where no rule can say yes to just this.
    fn rule_destination(&self, command: &Command) -> Option<String>;

    /// Writes the rules. The error is a sentence for a person.
    fn save_rule(&self, command: &Command) -> Result<(), String>;
}
