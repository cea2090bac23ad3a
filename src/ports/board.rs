//! The board, as the API, the page and the commands of people see it: one place to ask, one way to change something.
//!
//! Names of logs are numbers and names of processes, never paths, so that no request can lead out of the folder of logs.
//! Danger: a caller that shows something else than [`ServiceBackend::snapshot`] says can contradict the decisions.

use std::{collections::BTreeSet, sync::Arc};

use crate::domain::{
    board::{
        Board, BoardResponse, Event, Fence, Input, Millis, ProcessName, Refusal, RefusalCode,
        RunId, SessionId,
    },
    cluster::ClusterView,
    gates::AutonomyAccount,
};

use super::{BoxFuture, board_store::Error as StoreError};

/// An event that is durable, and its number, which only grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequencedEvent {
    /// Its number; 1 is the first.
    pub seq: u64,
    /// What happened.
    pub event: Arc<Event>,
}

/// Why an input did not lead to an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The board refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be made durable; nothing was changed.
    #[error("nothing was changed: {0}")]
    Store(#[from] StoreError),
    /// The service ends.
    #[error("the service is ending")]
    Ending,
}

/// Why something could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// What was asked makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The disk, git or the service does not do it now.
    #[error("{0}")]
    Unavailable(String),
}

/// What a feed of events says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedUpdate {
    /// The next event.
    Event(Box<SequencedEvent>),
    /// The reader was too slow: what it missed is to be read by [`ServiceBackend::events_after`].
    Missed,
    /// The service ends.
    End,
}

/// Events from the moment of subscription on.
pub trait EventFeed: Send {
    /// Waits for the next news. Dropping the wait loses nothing.
    fn next(&mut self) -> BoxFuture<'_, FeedUpdate>;
}

/// Whose log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// Of one run.
    Run(RunId),
    /// Of an agent or another process.
    Process(ProcessName),
    /// Of a session.
    Session(SessionId),
}

/// What is to be known of a log beyond its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogState {
    /// More may come.
    #[default]
    Growing,
    /// It is being made on another machine: what programs print comes here when they have ended.
    ComesAtTheEnd,
    /// Nothing more comes.
    Complete,
    /// It is over, and nothing that programs printed is here: they printed nothing, or it stayed on another machine.
    Absent,
}

impl LogState {
    /// Returns the word used by the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::ComesAtTheEnd => "comes_at_the_end",
            Self::Complete => "complete",
            Self::Absent => "absent",
        }
    }
}

/// A piece of a log, already free of secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogChunk {
    /// The text from `offset` to `next`.
    pub text: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Where the next piece begins.
    pub next: u64,
    /// How long the log is now.
    pub total: u64,
    /// Whether that is all of it.
    pub state: LogState,
}

/// One line of the logs of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessLogLine {
    /// When.
    pub at: Millis,
    /// Whose: the name of a process.
    pub source: String,
    /// Its place in that log, from 1.
    pub number: u64,
    /// The line.
    pub text: String,
}

/// What clearing the logs did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClearedLogs {
    /// Logs in use, which are empty now.
    pub truncated: usize,
    /// Logs not in use, which are gone.
    pub removed: usize,
    /// Logs that could not be cleared.
    pub failed: usize,
}

/// What was done about processes that an earlier service left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrphanCleanup {
    /// Processes found.
    pub matched: usize,
    /// Processes told to end.
    pub signaled: usize,
    /// Processes killed because they did not.
    pub killed: usize,
    /// Their numbers.
    pub pids: Vec<u32>,
}

/// One setting of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None` for a secret.
    pub value: Option<String>,
    /// It is a secret: it can be written, and never be read.
    pub is_secret: bool,
    /// It has a value.
    pub is_set: bool,
    /// Where the value comes from: `default`, a file, `environment`, `board`.
    pub origin: String,
    /// What it means.
    pub meaning: String,
    /// Processes that have to be started again for a change to count.
    pub restart: Vec<ProcessName>,
}

/// A night, a run of a plan: something past that is shown as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its name.
    pub id: String,
    /// In one line.
    pub title: String,
    /// Where it stands, in one word.
    pub status: String,
    /// When it began.
    pub at: Option<Millis>,
    /// Figures: name and value.
    pub facts: Vec<(String, String)>,
    /// Its report, as text.
    pub text: String,
}

/// Which past work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryKind {
    /// Runs of plans.
    PlanRuns,
    /// Nights and other sessions.
    Nights,
}

/// Something that has to be well for the service to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadinessCheck {
    /// What.
    pub name: String,
    /// It is well.
    pub ok: bool,
    /// What is wrong with it.
    pub detail: String,
}

/// Something that GitHub told by itself, as it came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// Its identifier, which a second sending has as well.
    pub id: String,
    /// The name of the event.
    pub event: String,
    /// The signature of the body.
    pub signature: String,
    /// The body, byte by byte, which is what is signed.
    pub body: Vec<u8>,
    /// The JSON in it.
    pub payload: Vec<u8>,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// No secret is set, so nothing is taken.
    Off,
    /// It is not signed with the secret.
    Unsigned,
    /// It came before.
    Again,
    /// It is being dealt with.
    UnderWay,
    /// It was dealt with, in words.
    Done(String),
}

/// All that the API and the page need.
pub trait ServiceBackend: Send + Sync {
    /// Returns the time, in milliseconds since 1970.
    fn now(&self) -> Millis;

    /// Asks the board for something; answers once it is durable. What ends work answers once its programs are gone, or after a
    /// while; [`ServiceBackend::stopping`] says what is left.
    fn submit(&self, input: Input) -> BoxFuture<'_, Result<BoardResponse, SubmitError>>;

    /// Begins the session that a command has laid down for a run.
    fn open_session(&self, run: String) -> BoxFuture<'_, Result<BoardResponse, SubmitError>> {
        let reason = format!("no session is laid down for \"{run}\"");
        let refusal = Refusal::new(RefusalCode::NotFound, reason, "`tos night start LIST`");
        Box::pin(std::future::ready(Err(refusal.into())))
    }

    /// Returns the board as it is now; never waits for a writer.
    fn snapshot(&self) -> Arc<Board>;

    /// Returns the work that the board has given up and whose programs are not gone yet.
    fn stopping(&self) -> BTreeSet<Fence> {
        BTreeSet::new()
    }

    /// Returns the number of the last durable event.
    fn last_event(&self) -> u64;

    /// Tells what becomes durable from now on.
    fn subscribe(&self) -> Box<dyn EventFeed>;

    /// Returns events after a number, oldest first.
    fn events_after(
        &self,
        seq: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<SequencedEvent>, BoardError>>;

    /// Returns a piece of a log from an offset on; with none, the end of it. That of a run is put together of several files, so
    /// only its end is to be asked for.
    fn log(
        &self,
        source: LogSource,
        offset: Option<u64>,
        limit: u64,
    ) -> BoxFuture<'_, Result<LogChunk, BoardError>>;

    /// Returns the last lines of the logs of all processes since a moment, oldest first.
    fn logs_of_all(
        &self,
        since: Millis,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ProcessLogLine>, BoardError>>;

    /// Clears the logs: those in use become empty, the others are removed.
    fn clear_logs(&self) -> BoxFuture<'_, Result<ClearedLogs, BoardError>>;

    /// Returns what a run changed, as a unified diff.
    fn diff(&self, run: RunId) -> BoxFuture<'_, Result<String, BoardError>>;

    /// Returns the settings in the order in which they are shown.
    fn configuration(&self) -> BoxFuture<'_, Result<Vec<ConfigEntry>, BoardError>>;

    /// Changes settings, all or none; says which processes have to be started again.
    fn configure(
        &self,
        changes: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Vec<ProcessName>, BoardError>>;

    /// Returns the requirement that is kept in a file; empty = none.
    fn requirement(&self) -> BoxFuture<'_, Result<String, BoardError>>;

    /// Returns the requirement that a file of the repository holds, named from its root.
    fn requirement_in(&self, path: String) -> BoxFuture<'_, Result<String, BoardError>> {
        let missing = BoardError::NotFound(format!("there is no file {path}"));
        Box::pin(std::future::ready(Err(missing)))
    }

    /// Writes the requirement.
    fn write_requirement(&self, text: String) -> BoxFuture<'_, Result<(), BoardError>>;

    /// Writes all events to a file of its own, before the board is emptied; returns which.
    fn archive(&self) -> BoxFuture<'_, Result<String, BoardError>>;

    /// Removes the references to what the runs of the board, as it was, left; returns how many there were.
    fn remove_attempts(&self, board: Arc<Board>) -> BoxFuture<'_, Result<usize, BoardError>> {
        drop(board);
        Box::pin(std::future::ready(Ok(0)))
    }

    /// Ends processes that an earlier service of this folder left behind.
    fn end_orphans(&self) -> BoxFuture<'_, Result<OrphanCleanup, BoardError>>;

    /// Returns past work, newest first.
    fn past(&self, kind: HistoryKind) -> BoxFuture<'_, Result<Vec<HistoryEntry>, BoardError>>;

    /// Returns what may be done without a person, what is missing for more, and how it came to that.
    fn autonomy(&self) -> BoxFuture<'_, Result<AutonomyAccount, BoardError>>;

    /// Returns who works elsewhere and what lies in the queue, or why that is not known; `None` where all work is done here.
    fn cluster(&self) -> BoxFuture<'_, Option<Result<ClusterView, BoardError>>> {
        Box::pin(std::future::ready(None))
    }

    /// Takes what GitHub told by itself.
    fn deliver(
        &self,
        delivery: WebhookDelivery,
    ) -> BoxFuture<'_, Result<WebhookAnswer, BoardError>> {
        drop(delivery);
        Box::pin(std::future::ready(Ok(WebhookAnswer::Off)))
    }

    /// Says what has to be well and whether it is.
    fn readiness(&self) -> BoxFuture<'_, Vec<ReadinessCheck>>;
}
