//! The hands of a plan: start tasks, say what happened, end what runs. Nothing here blocks but [`Host::wait`].

use std::time::Duration;

use crate::{
    domain::plan::{
        TaskIndex,
        event::{Artifact, Millis},
        state::Reason,
    },
    ports::runner::Interrupt,
};

/// One attempt to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Which task.
    pub task: TaskIndex,
    /// Counted over all passages, from 1.
    pub attempt: u32,
    /// Counted in this passage, from 1.
    pub round: u32,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// An attempt is over.
    Ended(Done),
    /// Somebody asked for the end of the run, from another process.
    CancelRequested,
    /// A signal asked this process to end.
    Interrupted,
}

/// A finished attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Which task.
    pub task: TaskIndex,
    /// How it ended.
    pub exit: Exit,
    /// When, in milliseconds since 1970.
    pub at: Millis,
    /// How long it took, in microseconds.
    pub us: u64,
    /// What was kept of its outputs.
    pub artifacts: Vec<Artifact>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this code; a signal is its number, negative.
    Code(i32),
    /// By its deadline.
    TimedOut,
    /// Before it began, because of this.
    NotStarted(Reason, String),
    /// By an equal success in the past.
    Cached,
}

/// Runs tasks.
pub trait Host {
    /// Starts an attempt; its end arrives by [`Host::wait`], also where it could not be started.
    fn start(&mut self, order: Order);

    /// Returns what happened, as soon as something did, or nothing once `limit` has passed.
    fn wait(&mut self, limit: Option<Duration>) -> Vec<Happening>;

    /// Ends everything that runs, with all it has started.
    fn end_all(&mut self, how: Interrupt);

    /// Returns the milliseconds since 1970.
    fn now(&self) -> Millis;

    /// Returns time since some fixed moment; it never goes backwards.
    fn monotonic(&self) -> Duration;
}
