//! Bugs put in on purpose.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Batches are appended without saying where the log should end.
    NothingExpected,
    /// A second try of a message is a message of its own.
    NoIds,
    /// A controller that was deposed takes its batch for written.
    DeposedGoesOn,
    /// A worker begins whatever it is given.
    ClaimIgnored,
    /// A worker begins an order anew whose holder is not heard of.
    BegunAgain,
    /// A controller takes an order back because it sees no claim, without taking the claim.
    TakenBackByLooking,
    /// A controller that cannot write to the log any more keeps the leader's key.
    BrokenLeadsOn,
    /// A worker is never taken for gone.
    NobodyIsEverGone,
    /// A worker waits for ever for an answer that was lost.
    NoPatience,
}

pub(crate) const ALL: [Bug; 9] = [
    Bug::NothingExpected,
    Bug::NoIds,
    Bug::DeposedGoesOn,
    Bug::ClaimIgnored,
    Bug::BegunAgain,
    Bug::TakenBackByLooking,
    Bug::BrokenLeadsOn,
    Bug::NobodyIsEverGone,
    Bug::NoPatience,
];
