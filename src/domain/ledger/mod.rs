//! The ledger: what tos did and saw, written down so that freedom can be earned and lost.
//!
//! A record is evidence. It says who wrote it, when, under which policy and gates, and one [`LedgerEntry`].
//! Records are chained by hash ([`chain`]); nothing here is ever changed or removed, only voided.

pub mod chain;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

/// The version of the format that this program writes.
pub const VERSION: u32 = 1;

/// The circumstances a record is written under, its session among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordMetadata {
    /// When, with the local offset.
    pub at: Timestamp,
    /// Time since the machine started, sleep included.
    pub boottime_ms: u64,
    /// Which start of the machine.
    pub boot_id: String,
    /// Who: a user name, or `tos`.
    pub actor: String,
    /// The version of tos.
    pub tool: String,
    /// Digest of the policy in force.
    pub policy: String,
    /// Digest of the gates in force.
    pub gates: String,
    /// The session, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// One line of the ledger, without its hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerRecord {
    /// The version of the format.
    pub v: u32,
    /// Grows by one from record to record.
    pub seq: u64,
    /// The hash of the record before.
    pub prev: String,
    /// Circumstances.
    pub stamp: RecordMetadata,
    /// What happened.
    pub entry: LedgerEntry,
}

/// How a guarded task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskOutcome {
    /// Its work was accepted.
    Success,
    /// It was tried and rolled back.
    Failed,
    /// It was left out because a task before it failed.
    Skipped,
    /// It was never started.
    NotRun,
    /// It was stopped by a person or a limit of the session.
    Blocked,
}

impl TaskOutcome {
    /// Returns whether the task reached a verdict.
    pub const fn is_conclusive(self) -> bool {
        matches!(self, Self::Success | Self::Failed)
    }

    /// Returns the word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::NotRun => "not_run",
            Self::Blocked => "blocked",
        }
    }
}

/// What is known of a guarded task that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskEnd {
    /// The task's id.
    pub task: String,
    /// Digest of repository, class, prompt and the resulting change.
    pub fingerprint: String,
    /// The kind of work: fix, feature, test, deps, refactor, or `unclassified`.
    pub class: String,
    /// How it ended.
    pub outcome: TaskOutcome,
    /// Why, in one line.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Files changed.
    pub files: u32,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
    /// How long it took.
    pub seconds: u64,
    /// The commit that holds the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// False for drills and smoke runs.
    pub real: bool,
    /// What it was for, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub goal: String,
    /// What the agent says it cost, in millionths of a dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
}

/// What is known of a session at its start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionStart {
    /// A person sat at the terminal and said go.
    pub attended: bool,
    /// How long it may take.
    pub planned_s: u64,
    /// It started inside the window of the night.
    pub at_night: bool,
    /// What confines the agent.
    pub backend: String,
    /// What the backend proved that it can do.
    pub capabilities: Vec<String>,
    /// The agent program.
    pub agent: String,
    /// What the agent says its version is.
    pub agent_version: String,
    /// Digest of gates, backend, agent, limits and policy.
    pub conditions: String,
    /// What keeps the machine awake.
    pub sleep_guard: String,
    /// A person overrode the gate, so the session proves nothing.
    pub overridden: bool,
    /// The process that runs it.
    pub pid: u32,
    /// The run it belongs to; a run that was interrupted has several sessions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// The list of tasks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub list: String,
    /// Digest of the list's text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub list_digest: String,
    /// The commit the run started from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// Files of the checkout that every task got a copy of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_files: Vec<String>,
    /// How many tasks the list has.
    #[serde(default)]
    pub tasks: u32,
}

/// What is known of a session at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionEnd {
    /// `queue_empty`, `time_cap`, `two_failures`, `limit`, `task_failed`, `quota`, `budget`, `broken`,
    /// `operator` or `crash`.
    pub ended_by: String,
    /// Wall time.
    pub wall_s: u64,
    /// Time in which a task was under way.
    pub active_s: u64,
    /// Time the machine slept although it should not have.
    pub suspend_s: u64,
    /// 1 when the session did not end by itself.
    pub abnormal: u32,
    /// Rollbacks that did not restore the state before.
    pub rollback_failed: u32,
    /// Promises found broken at the end.
    pub invariant_broken: u32,
    /// Limits reached.
    pub limit_breach: u32,
    /// Notifications delivered.
    pub notified: u32,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields say what the variant's sentence says"
)]
pub enum LedgerEntry {
    /// A session began.
    #[serde(rename = "session.start")]
    SessionStart { start: SessionStart },
    /// A session ended.
    #[serde(rename = "session.end")]
    SessionEnd { end: SessionEnd },
    /// A guarded task ended.
    #[serde(rename = "task")]
    Task { end: TaskEnd },
    /// A failed task is tried again.
    #[serde(rename = "retry.start")]
    RetryStart { task: String, reason: String },
    /// The second try was accepted.
    #[serde(rename = "retry.success")]
    RetrySuccess { task: String },
    /// The second try failed too.
    #[serde(rename = "retry.failed")]
    RetryFailed { task: String, reason: String },
    /// A worktree was put back; `ok` means that the trees were compared and are equal.
    #[serde(rename = "rollback")]
    Rollback {
        task: String,
        target: String,
        ok: bool,
        before: String,
        after: String,
        /// Where what was tried is kept: a reference, or a folder; `None` = nowhere, or an older record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
    },
    /// A limit was reached.
    #[serde(rename = "limit")]
    Limit {
        task: String,
        name: String,
        actual: u64,
        limit: u64,
    },
    /// Something got out of its confinement.
    #[serde(rename = "isolation_breach")]
    IsolationBreach { what: String, path: String },
    /// A promise about the user's own checkout was found broken.
    #[serde(rename = "invariant_broken")]
    InvariantBroken { what: String, path: String },
    /// A drill was run.
    #[serde(rename = "drill")]
    Drill {
        name: String,
        /// What the scripted agents were told to do.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        scenario: Vec<String>,
        expected: Vec<String>,
        observed: Vec<String>,
        passed: bool,
        note: String,
    },
    /// A question about this machine was examined and answered.
    #[serde(rename = "poc")]
    Poc {
        subject: String,
        verdict: String,
        probes: Vec<String>,
    },
    /// A stable point was reached.
    #[serde(rename = "checkpoint")]
    Checkpoint {
        number: u32,
        commit: String,
        tests_ok: bool,
    },
    /// The work since the last stable point did not hold as a whole and was given up.
    #[serde(rename = "checkpoint.restore")]
    Restore {
        number: u32,
        commit: String,
        undone: Vec<String>,
        reason: String,
    },
    /// The agent's quota was used up, and the session waited for its renewal.
    #[serde(rename = "quota.wait")]
    QuotaWait {
        task: String,
        seconds: u64,
        until: Timestamp,
    },
    /// The agent's provider did not answer as it should, and the session waited before it asked again.
    #[serde(rename = "provider.wait")]
    ProviderWait {
        task: String,
        seconds: u64,
        until: Timestamp,
        reason: String,
    },
    /// The phase changed.
    #[serde(rename = "phase")]
    Phase {
        track: String,
        from: String,
        to: String,
        mode: PhaseTransition,
        lock: bool,
        reason: String,
        evidence: Vec<u64>,
    },
    /// Unattended work is refused until further notice.
    #[serde(rename = "hold")]
    Hold { reason: String },
    /// A hold by a person ends.
    #[serde(rename = "unhold")]
    Unhold { reason: String },
    /// A lock ends.
    #[serde(rename = "unlock")]
    Unlock { reason: String },
    /// A person allowed what the gate refuses, for a while.
    #[serde(rename = "override")]
    Override { reason: String, expires: Timestamp },
    /// A person judged the work of a task.
    #[serde(rename = "review")]
    Review {
        task: String,
        accepted: bool,
        reason: String,
    },
    /// A person declared one piece of good evidence worthless.
    #[serde(rename = "void")]
    Void { target: u64, reason: String },
    /// A person took note of a broken ledger and began a new one.
    #[serde(rename = "gap")]
    Gap {
        file: String,
        sha256: String,
        reason: String,
    },
    /// A person states something no program can see.
    #[serde(rename = "attested")]
    Attested { name: String, statement: String },
    /// tos saw something on this machine.
    #[serde(rename = "observed")]
    Observed { name: String, detail: String },
}

/// How a phase changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseTransition {
    /// A person promoted it on the strength of evidence.
    Promote,
    /// A person demoted it.
    Demote,
    /// A demotion rule fired.
    Auto,
}

impl PhaseTransition {
    /// Returns the word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Auto => "auto",
        }
    }
}

impl LedgerEntry {
    /// Returns the word for what a record says, as gates count it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SessionStart { .. } => "session.start",
            Self::SessionEnd { .. } => "session.end",
            Self::Task { .. } => "task",
            Self::RetryStart { .. } => "retry.start",
            Self::RetrySuccess { .. } => "retry.success",
            Self::RetryFailed { .. } => "retry.failed",
            Self::Rollback { ok: true, .. } => "rollback",
            Self::Rollback { ok: false, .. } => "rollback_failed",
            Self::Limit { .. } => "limit",
            Self::IsolationBreach { .. } => "isolation_breach",
            Self::InvariantBroken { .. } => "invariant_broken",
            Self::Drill { .. } => "drill",
            Self::Poc { .. } => "poc",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Restore { .. } => "checkpoint.restore",
            Self::QuotaWait { .. } => "quota.wait",
            Self::ProviderWait { .. } => "provider.wait",
            Self::Phase { .. } => "phase",
            Self::Hold { .. } => "hold",
            Self::Unhold { .. } => "unhold",
            Self::Unlock { .. } => "unlock",
            Self::Override { .. } => "override",
            Self::Review { .. } => "review",
            Self::Void { .. } => "void",
            Self::Gap { .. } => "gap",
            Self::Attested { .. } => "attested",
            Self::Observed { .. } => "observed",
        }
    }

    /// Returns whether this changes what may be done without a person, or what counts for it.
    pub const fn changes_freedom(&self) -> bool {
        matches!(
            self,
            Self::Phase { .. }
                | Self::Hold { .. }
                | Self::Unhold { .. }
                | Self::Unlock { .. }
                | Self::Override { .. }
                | Self::Gap { .. }
                | Self::Void { .. }
        )
    }

    /// Returns whether this speaks for more freedom. Only such records can be voided: what speaks
    /// against it stays, whoever asks.
    pub const fn is_favourable(&self) -> bool {
        match self {
            Self::Task { end } => matches!(end.outcome, TaskOutcome::Success),
            Self::SessionEnd { end } => {
                end.abnormal == 0
                    && end.rollback_failed == 0
                    && end.invariant_broken == 0
                    && end.limit_breach == 0
            }
            Self::Drill { passed, .. } => *passed,
            Self::Review { accepted, .. } => *accepted,
            Self::RetrySuccess { .. }
            | Self::Poc { .. }
            | Self::Checkpoint { .. }
            | Self::Attested { .. }
            | Self::Observed { .. } => true,
            Self::SessionStart { .. }
            | Self::RetryStart { .. }
            | Self::RetryFailed { .. }
            | Self::Rollback { .. }
            | Self::Limit { .. }
            | Self::Restore { .. }
            | Self::QuotaWait { .. }
            | Self::ProviderWait { .. }
            | Self::IsolationBreach { .. }
            | Self::InvariantBroken { .. }
            | Self::Phase { .. }
            | Self::Hold { .. }
            | Self::Unhold { .. }
            | Self::Unlock { .. }
            | Self::Override { .. }
            | Self::Void { .. }
            | Self::Gap { .. } => false,
        }
    }

    /// Returns one line for people.
    #[expect(clippy::too_many_lines, reason = "one line a kind")]
    pub fn display_line(&self) -> String {
        match self {
            Self::SessionStart { start } => format!(
                "{}, planned {} s, {} {}, {}",
                if start.attended {
                    "attended"
                } else {
                    "unattended"
                },
                start.planned_s,
                start.agent,
                start.agent_version,
                start.backend
            ),
            Self::SessionEnd { end } => format!(
                "{}, {} s active of {} s",
                end.ended_by, end.active_s, end.wall_s
            ),
            Self::Task { end } => format!(
                "{} {} ({}): {}",
                end.task,
                end.outcome.as_str(),
                end.class,
                end.reason
            ),
            Self::RetryStart { task, reason } | Self::RetryFailed { task, reason } => {
                format!("{task}: {reason}")
            }
            Self::RetrySuccess { task } => task.clone(),
            Self::Rollback { task, target, .. } => format!("{task} to {target}"),
            Self::Limit {
                task,
                name,
                actual,
                limit,
            } => {
                format!("{task}: {name} {actual} of {limit}")
            }
            Self::IsolationBreach { what, path } | Self::InvariantBroken { what, path } => {
                format!("{what} {path}")
            }
            Self::Drill {
                name, passed, note, ..
            } => {
                let word = if *passed { "passed" } else { "failed" };
                format!("{name} {word} {note}").trim_end().to_owned()
            }
            Self::Poc {
                subject, verdict, ..
            } => format!("{subject}: {verdict}"),
            Self::Checkpoint { number, commit, .. } => format!("{number} at {commit}"),
            Self::Restore {
                number,
                undone,
                reason,
                ..
            } => format!("to {number}, undone {}: {reason}", undone.join(", ")),
            Self::QuotaWait {
                task,
                seconds,
                until,
            } => format!(
                "{task}: {seconds} s, until {}",
                until.format("%Y-%m-%d %H:%M:%S %:z")
            ),
            Self::ProviderWait {
                task,
                seconds,
                until,
                reason,
            } => format!(
                "{task}: {seconds} s, until {}: {reason}",
                until.format("%Y-%m-%d %H:%M:%S %:z")
            ),
            Self::Phase {
                from,
                to,
                mode,
                reason,
                ..
            } => format!("{from} -> {to} ({}) {reason}", mode.as_str())
                .trim_end()
                .to_owned(),
            Self::Hold { reason } | Self::Unhold { reason } | Self::Unlock { reason } => {
                reason.clone()
            }
            Self::Override { reason, expires } => format!("until {expires}: {reason}"),
            Self::Review {
                task,
                accepted,
                reason,
            } => {
                let word = if *accepted { "accepted" } else { "rejected" };
                format!("{task} {word} {reason}").trim_end().to_owned()
            }
            Self::Void { target, reason } => format!("record {target}: {reason}"),
            Self::Gap { file, reason, .. } => format!("{file}: {reason}"),
            Self::Attested { name, statement } => format!("{name}: {statement}"),
            Self::Observed { name, detail } => format!("{name}: {detail}"),
        }
    }
}

#[cfg(test)]
impl LedgerRecord {
    /// A record as tests of other parts need it, in a chain that nobody follows.
    pub fn unchained(seq: u64, at: Timestamp, session: Option<&str>, entry: LedgerEntry) -> Self {
        Self {
            v: VERSION,
            seq,
            prev: String::new(),
            stamp: RecordMetadata {
                at,
                boottime_ms: 0,
                boot_id: String::new(),
                actor: "tos".into(),
                tool: "0.4.0".into(),
                policy: "p".into(),
                gates: "g".into(),
                session: session.map(str::to_owned),
            },
            entry,
        }
    }
}
