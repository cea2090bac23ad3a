//! Which commands may run: decisions are ordered, the strictest wins, every verdict names its reasons.

use serde::{Deserialize, Serialize};

/// What may happen to a command. The order is the strictness: combine with `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may run.
    Allow,
    /// A person has to say yes first.
    Ask,
    /// It must not run.
    Deny,
}
