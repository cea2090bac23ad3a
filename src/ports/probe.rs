//! The eyes: looks at what a done condition asks about.

use crate::{
    domain::{gate::Sight, rules::Check},
    ports::BoxFuture,
};

/// Looks; never judges.
pub trait Probe: Send + Sync {
    /// Returns what is there, one entry a check, in order.
    fn look<'a>(&'a self, checks: &'a [Check]) -> BoxFuture<'a, Vec<Sight>>;
}
