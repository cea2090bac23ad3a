//! Tasks, runs and judgements as the API shows them: the seed's names, times as text, identifiers as numbers.

use std::{collections::BTreeSet, fmt};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};
use utoipa::ToSchema;

use crate::domain::board::{
    Board, Fence, Judgement, MergeQueueEntry, Millis, OnDependencyCancelled, Run, RunStatus, Spend,
    Task, Why,
};

/// Writes a time.
pub(in crate::interfaces::http) fn time(at: Millis) -> String {
    i64::try_from(at)
        .ok()
        .and_then(DateTime::<Utc>::from_timestamp_millis)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What was used up.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::interfaces::http) struct SpendView {
    /// Calls of an agent.
    calls: u64,
    /// Tokens; null = nobody told any.
    tokens: Option<u64>,
    /// Millionths of a dollar; null = nobody told what it cost.
    micro_usd: Option<u64>,
}

impl From<Spend> for SpendView {
    fn from(spend: Spend) -> Self {
        Self {
            calls: spend.calls,
            tokens: spend.known_tokens(),
            micro_usd: spend.known_micro_usd(),
        }
    }
}

/// When something happens to a task by itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::interfaces::http) struct RetryView {
    /// Something will.
    auto_retry: bool,
    /// Why: `cooldown_pending`, `retry_due`, `retry_exhausted`, `non_retryable_failure`, `awaiting_judge`, `quota_wait`,
    /// `needs_rework`.
    reason: String,
    /// When.
    retry_at: Option<String>,
    /// Seconds until then.
    retry_in_seconds: Option<u64>,
    /// The wait that is configured for it, in milliseconds.
    cooldown_ms: u64,
    /// How often it failed.
    retry_count: u32,
    /// How often it may fail.
    retry_limit: Option<u32>,
    /// The category of the failure.
    failure_category: Option<String>,
}

/// A task that has to be merged first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object with the number of the task, as {\"task\": 7}"
)]
pub(in crate::interfaces::http) struct DependencyView {
    /// Which.
    #[serde(deserialize_with = "task_number")]
    pub(super) task: u64,
    /// What its cancellation means: block or continue.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) on_fail: OnDependencyCancelled,
}

/// Reads the number of a task; whatever else stands there is told how such a number is written.
fn task_number<'de, D: Deserializer<'de>>(reader: D) -> Result<u64, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = u64;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("the number of a task without quotes, as 7; `tos board list` shows them")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }
    }
    reader.deserialize_u64(Number)
}

/// What the next attempt is told of an earlier one.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::interfaces::http) struct LessonView {
    /// The run it is about.
    run: Option<u64>,
    /// Who said it: worker, judge, merge or a person.
    from: String,
    /// The reasons.
    reasons: Vec<String>,
}

/// A task.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::interfaces::http) struct TaskView {
    /// Its number.
    id: u64,
    /// One line.
    title: String,
    /// What the agent is asked to do.
    goal: String,
    /// queued, running, done, failed, blocked or cancelled.
    status: &'static str,
    /// Why it is blocked: `awaiting_judge`, `quota_wait`, `needs_rework` or `issue_linking`.
    block_reason: Option<&'static str>,
    /// One line about how it came there.
    detail: String,
    /// Who takes it out of there.
    resolver: String,
    /// Who does it: worker, tester or docser.
    role: &'static str,
    /// Which share of the slots it takes.
    lane: &'static str,
    /// low, medium or high.
    risk: String,
    /// Higher goes first.
    priority: i32,
    /// The kind of change.
    class: String,
    /// What it may touch.
    paths: Vec<String>,
    /// Files the agent reads first.
    context_files: Vec<String>,
    /// The command that must succeed.
    test_command: Vec<String>,
    /// Checks it may change.
    may_change_checks: Vec<String>,
    /// Modules it may import.
    allowed_imports: Vec<String>,
    /// What the machine has to have that does it, as labels of workers.
    requires: Vec<String>,
    /// How long one run may take; 0 = as long as the service allows.
    timebox_minutes: u32,
    /// What has to be merged first.
    dependencies: Vec<DependencyView>,
    /// The agent of the configuration; empty = the usual one.
    agent: String,
    /// The branch; empty = the usual one.
    branch: String,
    /// What it is linked to.
    link: String,
    /// The key it was made with.
    key: String,
    /// Who made it.
    source: String,
    /// The session it is a part of.
    session: Option<u64>,
    /// When it was made.
    created_at: String,
    /// When anything about it changed.
    updated_at: String,
    /// Since when it stands where it is.
    since: String,
    /// How often it failed.
    retry_count: u32,
    /// When something happens by itself; only for failed and blocked tasks.
    retry: Option<RetryView>,
    /// The run at work, or the last one.
    run: Option<u64>,
    /// The judgement under way, or the last one.
    judgement: Option<u64>,
    /// The question whether it may start.
    approval: Option<u64>,
    /// What it used up.
    spent: SpendView,
    /// The commit that brought it to its branch.
    merged_commit: Option<String>,
    /// What the next attempt is told.
    lessons: Vec<LessonView>,
}

impl TaskView {
    pub(in crate::interfaces::http) fn of(board: &Board, task: &Task, now: Millis) -> Self {
        let spec = &task.spec;
        let dependency = |needed: &crate::domain::board::Dependency| DependencyView {
            task: needed.task.0,
            on_fail: needed.on_fail,
        };
        let lesson = |lesson: &crate::domain::board::RetryFeedback| LessonView {
            run: lesson.run.map(|id| id.0),
            from: lesson.from.clone(),
            reasons: lesson.reasons.clone(),
        };
        Self {
            id: task.id.0,
            title: spec.title.clone(),
            goal: spec.goal.clone(),
            status: task.status.as_str(),
            block_reason: task.block.map(crate::domain::board::BlockReason::as_str),
            detail: task.detail.clone(),
            resolver: word(&task.resolver),
            role: spec.role.as_str(),
            lane: spec.lane.as_str(),
            risk: word(&spec.risk),
            priority: spec.priority,
            class: spec.class.clone(),
            paths: spec.paths.clone(),
            context_files: spec.context_files.clone(),
            test_command: spec.test_command.clone(),
            may_change_checks: spec.may_change_checks.clone(),
            allowed_imports: spec.allowed_imports.clone(),
            requires: spec.requires.clone(),
            timebox_minutes: spec.timebox_minutes,
            dependencies: spec.dependencies.iter().map(dependency).collect(),
            agent: spec.agent.clone(),
            branch: spec.branch.clone(),
            link: spec.link.clone(),
            key: spec.key.clone(),
            source: spec.source.clone(),
            session: spec.session.map(|id| id.0),
            created_at: time(task.created_at),
            updated_at: time(task.updated_at),
            since: time(task.since),
            retry_count: task.counters.failures,
            retry: retry(board, task, now),
            run: task.run.map(|id| id.0),
            judgement: task.judgement.map(|id| id.0),
            approval: task.approval.map(|id| id.0),
            spent: task.spent.into(),
            merged_commit: task.merged.clone(),
            lessons: task.lessons.iter().map(lesson).collect(),
        }
    }
}

fn retry(board: &Board, task: &Task, now: Millis) -> Option<RetryView> {
    let countdown = board.countdown(task, now)?;
    let settings = board.settings();
    Some(RetryView {
        auto_retry: countdown.auto,
        retry_at: countdown.at.map(time),
        retry_in_seconds: countdown.in_ms.map(|ms| ms.div_ceil(1000)),
        cooldown_ms: match countdown.reason.as_str() {
            "cooldown_pending" | "retry_due" => settings.failed_cooldown_ms,
            "quota_wait" => settings.quota_base_ms,
            _ => settings.blocked_cooldown_ms,
        },
        retry_count: countdown.count,
        retry_limit: countdown.limit,
        failure_category: countdown.failure.map(|kind| kind.as_str().to_owned()),
        reason: countdown.reason,
    })
}

/// Returns the word that files have for a value.
pub(in crate::interfaces::http) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// One sentence about why a task is where it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::interfaces::http) struct WhyView {
    /// The sentence.
    pub(in crate::interfaces::http) text: String,
    /// Who or what changes that.
    pub(in crate::interfaces::http) resolver: String,
    /// When, where that is known.
    pub(in crate::interfaces::http) at: Option<String>,
    /// What a person can do.
    pub(in crate::interfaces::http) remedy: String,
}

impl WhyView {
    pub(in crate::interfaces::http) fn all(why: Why) -> Vec<Self> {
        let view = |sentence: crate::domain::board::ExplanationSentence| Self {
            resolver: word(&sentence.resolver),
            at: sentence.at.map(time),
            text: sentence.text,
            remedy: sentence.remedy,
        };
        why.sentences.into_iter().map(view).collect()
    }
}

/// A run.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::interfaces::http) struct RunView {
    /// Its number.
    id: u64,
    /// The task.
    task_id: u64,
    /// Who works, or worked.
    agent_id: String,
    /// running, success, failed or cancelled.
    status: &'static str,
    /// It is over for the board, and its programs are not gone yet.
    stopping: bool,
    /// When it began.
    started_at: String,
    /// When it ended.
    finished_at: Option<String>,
    /// Why it failed or was cancelled; empty = neither.
    error_message: String,
    /// The kind of failure.
    failure_code: Option<&'static str>,
    /// Tokens it used up.
    cost_tokens: u64,
    /// All it used up.
    spent: SpendView,
    /// Where its log lies, below the root.
    log_path: String,
    /// The number of its lease.
    fence: u64,
    /// Until when its lease lasts; only while it runs.
    lease_until: Option<String>,
    /// The commit it left.
    commit: Option<String>,
}

impl RunView {
    /// Shows a run; `stopping` is the work whose programs are not gone yet.
    pub(in crate::interfaces::http) fn of(run: &Run, stopping: &BTreeSet<Fence>) -> Self {
        Self {
            id: run.id.0,
            task_id: run.task.0,
            agent_id: run.agent.agent_name(),
            status: run.status.as_str(),
            stopping: run.status == RunStatus::Cancelled && stopping.contains(&run.lease.fence),
            started_at: time(run.started_at),
            finished_at: run.finished_at.map(time),
            error_message: run.error.clone(),
            failure_code: run.failure.map(crate::domain::board::FailureKind::as_str),
            cost_tokens: run.spent.tokens,
            spent: run.spent.into(),
            log_path: run.log.clone(),
            fence: run.lease.fence.0,
            lease_until: run.finished_at.is_none().then(|| time(run.lease.until)),
            commit: run
                .kept
                .as_ref()
                .map(|kept| kept.commit.clone())
                .filter(|commit| !commit.is_empty()),
        }
    }
}

/// An entry of the merge queue.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::interfaces::http) struct MergeView {
    /// Its number.
    id: u64,
    /// The branch.
    branch: String,
    /// The commit that is published.
    commit: String,
    /// pending, processing, waiting, merged, failed or cancelled.
    status: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// What it waits for.
    detail: String,
    /// When it is tried again.
    not_before: Option<String>,
}

impl From<&MergeQueueEntry> for MergeView {
    fn from(entry: &MergeQueueEntry) -> Self {
        Self {
            id: entry.id.0,
            branch: entry.branch.clone(),
            commit: entry.commit.clone(),
            status: entry.status.as_str(),
            attempts: entry.attempts,
            detail: entry.detail.clone(),
            not_before: entry.not_before.map(time),
        }
    }
}

/// A judgement.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::interfaces::http) struct JudgementView {
    /// Its number.
    id: u64,
    /// The task.
    task_id: u64,
    /// The run whose work is judged.
    run_id: u64,
    /// Who judges.
    agent_id: String,
    /// `approve`, `request_changes`, `conflict` or `no_verdict`; none while it is under way.
    verdict: Option<&'static str>,
    /// The reasons.
    reasons: Vec<String>,
    /// When it began.
    started_at: String,
    /// When it ended.
    finished_at: Option<String>,
    /// Its entry in the merge queue.
    merge: Option<MergeView>,
}

impl JudgementView {
    pub(in crate::interfaces::http) fn of(board: &Board, judgement: &Judgement) -> Self {
        let verdict = judgement.verdict.as_ref();
        let task = board.task(judgement.task);
        let merge = task
            .and_then(|task| task.merge)
            .and_then(|id| board.merge(id));
        Self {
            id: judgement.id.0,
            task_id: judgement.task.0,
            run_id: judgement.run.0,
            agent_id: judgement.agent.agent_name(),
            verdict: verdict.map(crate::domain::board::Verdict::as_str),
            reasons: verdict
                .map(crate::domain::board::Verdict::reasons)
                .unwrap_or_default(),
            started_at: time(judgement.started_at),
            finished_at: judgement.finished_at.map(time),
            merge: merge
                .filter(|merge| merge.judgement == judgement.id)
                .map(Into::into),
        }
    }
}
