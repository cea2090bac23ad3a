//! Looks at what a done condition asks about.

use crate::{
    domain::job::{done_condition::Observation, rules::DoneCheck},
    ports::BoxFuture,
};

/// Looks; never judges.
pub trait ConditionProbe: Send + Sync {
    /// Returns what is there, one entry a check, in order.
    fn observe<'a>(&'a self, checks: &'a [DoneCheck]) -> BoxFuture<'a, Vec<Observation>>;
}
