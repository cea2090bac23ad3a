//! What became true, in the order it became true: the only record a job has.
//!
//! Every change of a job's state is one of these events; [`crate::domain::job::state::JobLoopState::apply`] folds
//! them, live and after a crash alike. An effect that touches the world is announced by an event before
//! it is performed and closed by one after, so a log that ends between the two says «unknown».
//!
//! Danger: the variants are a file format (`docs/run-log-format.md`). Fields may be added with a
//! default; renaming or removing one needs a new [`RUN_LOG_VERSION`].

use serde::{Deserialize, Serialize};

use crate::domain::{
    command::Command,
    job::{
        done_condition::ConditionEvidence,
        outcome::{JobRunOutcome, StepOutcome},
    },
    model::{ModelError as ModelFailure, ModelReply, ModelRole},
    policy::PolicyVerdict,
    process::CommandResult,
    time::Timestamp,
};

/// The version of the run log's lines that this program writes.
pub const RUN_LOG_VERSION: u32 = 1;

/// One line of the run log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunLogEvent {
    /// The format's version.
    pub v: u32,
    /// The line's number in its log, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The run that wrote it: tos from start to exit.
    pub run: String,
    /// What became true.
    pub event: EventKind,
}

/// The settings of a run that its records need, so that records can be rebuilt from the log alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunSettingsRecord {
    /// `run`, `test`, `cleanrun` or the automatic test of `rollback`.
    pub mode: String,
    /// The version of tos.
    pub version: String,
    /// The sprint named in the configuration.
    pub sprint: Option<String>,
    /// Whether the run is marked experimental.
    pub experimental: bool,
    /// The job loop's size; `None` when the loop is off.
    pub max_jobs: Option<u32>,
    /// The configured size of the loop, also where it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured_jobs: Option<u32>,
    /// The job's name: the payload's, else the configured one, else `default`.
    pub job_name: String,
    /// Where the job's result goes, relative to the root, with forward slashes.
    pub job_result: String,
    /// The external input of the job, if any.
    pub payload: Option<JobInputRecord>,
    /// The models of the three roles, as `provider:model`.
    pub models: [String; 3],
    /// The configured `stop_on_deny`.
    pub stop_on_deny: bool,
    /// What confines the commands of this run, in words; empty when nothing does.
    #[serde(default)]
    pub confinement: String,
    /// A mark of what the job is for; another mark means another goal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
}

/// The external input of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobInputRecord {
    /// The JSON object on one line, secrets redacted.
    pub json: String,
    /// The size of the file, in bytes.
    pub bytes: u64,
}

/// Where a stopped run of the original program stood, taken over from its state file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportedState {
    /// The file it was read from, relative to the root; empty when only step logs were found.
    pub from: String,
    /// The job that comes next, if the file said so.
    pub job_index: Option<u32>,
    /// The next free step number.
    pub next_step: u32,
    /// Step logs that are there and that the run log knows nothing of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub step_logs: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What became true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// A run began.
    RunStarted {
        /// Its settings.
        facts: Box<RunSettingsRecord>,
    },
    /// The state of an older layout was taken over.
    StateAdopted {
        /// What was found.
        adopted: ImportedState,
    },
    /// Something on disk was not as the log says; a sentence says what was done about it.
    Repaired {
        /// The sentence.
        note: String,
    },
    /// The person asked for a clean start; the records are on their way to the archive.
    CleanStarted {
        /// The archive folder, relative to the root.
        archive: String,
    },
    /// A job began.
    JobStarted {
        /// Its index in the loop, from 1; 1 when the loop is off.
        job: u32,
    },
    /// Files that would satisfy the done condition were moved away; the job starts from nothing.
    ResultsSetAside {
        /// Where they went, relative to the root, one entry a file.
        files: Vec<String>,
    },
    /// A run over an unfinished job began anew after the last one ran out of steps.
    PassageStarted,
    /// A step began.
    StepStarted {
        /// Its number, which is also its file's.
        step: u32,
        /// The failed step whose good replies it takes over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        carried_from: Option<u32>,
    },
    /// A model is about to be asked.
    QueryStarted {
        /// Who.
        role: ModelRole,
        /// The attempt at this query, from 1.
        attempt: u32,
        /// The whole prompt.
        prompt: String,
    },
    /// A reply arrived.
    QueryAnswered {
        /// From whom.
        role: ModelRole,
        /// The reply.
        reply: ModelReply,
        /// Its cost, where a price is known.
        cost: Option<f64>,
    },
    /// A reply is what its role has to deliver; the step goes on with it.
    ReplyAccepted {
        /// From whom.
        role: ModelRole,
    },
    /// A reply cannot be used.
    ReplyUnusable {
        /// From whom.
        role: ModelRole,
        /// Why.
        why: String,
    },
    /// A call failed.
    QueryFailed {
        /// Who was asked.
        role: ModelRole,
        /// How it failed.
        failure: ModelFailure,
        /// How long to wait before the next attempt, in milliseconds; absent when there is none.
        wait_ms: Option<u64>,
    },
    /// All commands of the step were judged.
    Judged {
        /// The commands, in order.
        commands: Vec<Command>,
        /// The verdicts, one a command.
        verdicts: Vec<PolicyVerdict>,
    },
    /// A person was asked about a command.
    ApprovalAsked {
        /// The command's place in the step, from 0.
        index: u32,
        /// The id with which it can be answered.
        id: String,
    },
    /// The question was answered.
    ApprovalGiven {
        /// The command's place in the step, from 0.
        index: u32,
        /// Whether it may run.
        approved: bool,
        /// Who or what answered.
        by: String,
    },
    /// A command is about to run.
    CommandStarted {
        /// Its place in the step, from 0.
        index: u32,
    },
    /// A command ended.
    CommandEnded {
        /// Its place in the step, from 0.
        index: u32,
        /// How.
        end: CommandResult,
    },
    /// A command could not be started.
    CommandNotStarted {
        /// Its place in the step, from 0.
        index: u32,
        /// Why.
        why: String,
    },
    /// A command that had started before a crash is given up; its end stays unknown.
    CommandAbandoned {
        /// Its place in the step, from 0.
        index: u32,
    },
    /// The done condition was looked at.
    Observed {
        /// What was seen, one entry a check.
        evidence: Vec<ConditionEvidence>,
    },
    /// A step ended.
    StepEnded {
        /// How.
        phase: StepOutcome,
        /// Why, in words.
        reason: String,
        /// Whether the run stopped here.
        stopped: bool,
    },
    /// A record without a step of its own: the loop is complete, or the steps are used up.
    Recorded {
        /// The number of its file.
        step: u32,
        /// Which of the two.
        phase: StepOutcome,
        /// Why, in words.
        reason: String,
    },
    /// A job reached its goal.
    JobEnded {
        /// Its index.
        job: u32,
    },
    /// Nothing may be done before this time.
    Parked {
        /// When it may go on.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// A run ended.
    RunEnded {
        /// How.
        outcome: JobRunOutcome,
    },
}

impl EventKind {
    /// Returns whether this event has to be on the disk before the next effect is performed.
    ///
    /// True for everything that announces an effect on the world or closes one that cost something.
    /// The others may be lost with the last moments before a power cut: what they announce is asked
    /// for again, or follows from what is kept.
    pub const fn needs_sync(&self) -> bool {
        match self {
            Self::CleanStarted { .. }
            | Self::ResultsSetAside { .. }
            | Self::QueryAnswered { .. }
            | Self::ApprovalGiven { .. }
            | Self::CommandStarted { .. }
            | Self::CommandEnded { .. }
            | Self::StepEnded { .. }
            | Self::Recorded { .. }
            | Self::JobEnded { .. }
            | Self::Parked { .. }
            | Self::RunEnded { .. } => true,
            Self::RunStarted { .. }
            | Self::StateAdopted { .. }
            | Self::Repaired { .. }
            | Self::JobStarted { .. }
            | Self::PassageStarted
            | Self::StepStarted { .. }
            | Self::QueryStarted { .. }
            | Self::ReplyAccepted { .. }
            | Self::ReplyUnusable { .. }
            | Self::QueryFailed { .. }
            | Self::Judged { .. }
            | Self::ApprovalAsked { .. }
            | Self::CommandNotStarted { .. }
            | Self::CommandAbandoned { .. }
            | Self::Observed { .. } => false,
        }
    }
}
