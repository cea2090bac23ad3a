//! The state of a job loop: the fold of its events, live and after a crash alike.
//!
//! [`JobLoopState::apply`] is the only way to change it. It trusts no order: an event that does not fit is
//! absorbed as far as it makes sense and never panics, because a log may have been cut anywhere.

use serde::{Deserialize, Serialize};

use crate::domain::{
    job::{budget::BudgetUsage, event::RunSettingsRecord, history, outcome::StepOutcome},
    model::ModelRole,
    time::Timestamp,
};

mod fold;
mod progress;
pub mod step;

pub use progress::RepeatedSteps;
use step::role_index;
pub use step::{CommandDisposition, CommandTotals, RoleTurn, StepEnd, StepStage, StepState};

/// Everything known about a job loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobLoopState {
    /// The number of the last event.
    pub seq: u64,
    /// The run that wrote it.
    pub run: String,
    /// True from a run's start to its end; true at a start means that tos crashed.
    pub running: bool,
    /// The settings of the last run.
    pub facts: RunSettingsRecord,
    /// The sprints of all runs, newest last, no neighbour repeated.
    pub sprints: Vec<String>,
    /// The job that is under way or comes next, from 1.
    pub job_index: u32,
    /// Jobs that reached their goal.
    pub jobs_done: u32,
    /// The next free step number.
    pub next_step: u32,
    /// The job under way.
    pub job: Option<JobState>,
    /// A wait that has to be observed.
    pub parked: Option<PendingWait>,
    /// The loop size for which completion was recorded, and where.
    pub complete: Option<CompletionRecord>,
    /// How the last step or run ended.
    pub last: LastResult,
    /// Step logs that were there before the run log, and are not told of one by one.
    #[serde(default)]
    pub adopted_logs: u32,
    /// One entry a step log, in order.
    pub steps: Vec<StepOverview>,
    /// Sums over all steps.
    pub totals: CommandTotals,
    /// The step that ended last, for its record.
    pub closed: Option<Box<StepState>>,
    /// Where a clean start is moving the records.
    pub cleaning: Option<String>,
    /// Time of the last event.
    pub updated_at: Option<Timestamp>,
}

/// A wait that has to be observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingWait {
    /// When it was decided; an earlier clock means that the clock was set back.
    pub since: Timestamp,
    /// When it is over.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// The record that all jobs are done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletionRecord {
    /// The loop's size then.
    pub max_jobs: u32,
    /// The number of the record.
    pub step: u32,
    /// When.
    pub at: Timestamp,
    /// In words.
    pub reason: String,
}

/// How the last step or run ended: the content of the phase state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LastResult {
    /// The phase; `None` before anything ended.
    pub phase: Option<StepOutcome>,
    /// Why, in words.
    pub reason: String,
    /// The step it happened in, 0 before the first.
    pub step: u32,
    /// The end reason of the last finished run.
    pub end_reason: Option<String>,
}

/// One step in the phase summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepOverview {
    /// Its number.
    pub step: u32,
    /// How it ended.
    pub phase: StepOutcome,
    /// Why.
    pub reason: String,
    /// Whether the run stopped there.
    pub stopped: bool,
    /// When.
    pub at: Timestamp,
    /// The job it worked for; `None` when the loop was off.
    pub job: Option<u32>,
    /// Tokens it used.
    pub tokens: u64,
    /// What it cost; `None` = nobody knows, because a model has no price.
    pub cost: Option<f64>,
}

/// A job under way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobState {
    /// Its index in the loop, from 1.
    pub index: u32,
    /// Files moved away at its start; `None` until that was done.
    pub set_aside: Option<Vec<String>>,
    /// Whether the done condition was looked at before the first step, and held.
    pub head: Option<bool>,
    /// Steps of this run that count against `max_steps`.
    pub passage_steps: u32,
    /// Whether this run has run out of steps.
    pub exhausted: bool,
    /// What the models are told about earlier steps.
    pub history: Vec<history::StepHistory>,
    /// Replies received from each role (draft, review, final), whatever became of them.
    pub turns: [u32; 3],
    /// What it has used.
    pub spent: BudgetUsage,
    /// The step under way.
    pub step: Option<Box<StepState>>,
    /// The failed step whose good replies the next step takes over.
    pub suspended: Option<Box<StepState>>,
    /// How often the last step was only repeated in this run.
    #[serde(default)]
    pub repeats: RepeatedSteps,
}

impl JobLoopState {
    /// Returns tokens and cost of all steps together, the one under way included.
    pub fn tokens_and_cost(&self) -> (u64, Option<f64>) {
        let open = self.job.as_ref().and_then(|job| job.step.as_ref());
        let open = open.map_or((0, Some(0.0)), |step| step.tokens_and_cost());
        let (tokens, cost) = tokens_and_cost(&self.steps);
        let both = cost.zip(open.1).map(|(cost, open)| cost + open);
        (tokens + open.0, both)
    }
}

/// Returns tokens and cost of some steps together; nothing costs `0`, never `-0`, and what nobody knows of one, nobody knows of all.
pub fn tokens_and_cost(steps: &[StepOverview]) -> (u64, Option<f64>) {
    let tokens = steps.iter().map(|line| line.tokens).sum();
    let cost = steps
        .iter()
        .try_fold(0.0, |sum, line| Some(sum + line.cost?));
    (tokens, cost)
}

/// Returns a cost in words.
pub fn cost_words(cost: Option<f64>) -> String {
    cost.map_or_else(
        || "cost unknown".to_owned(),
        |cost| format!("cost {cost:.4}"),
    )
}

impl Default for JobLoopState {
    fn default() -> Self {
        Self {
            seq: 0,
            run: String::new(),
            running: false,
            facts: RunSettingsRecord::default(),
            sprints: Vec::new(),
            job_index: 1,
            jobs_done: 0,
            next_step: 1,
            job: None,
            parked: None,
            complete: None,
            last: LastResult::default(),
            adopted_logs: 0,
            steps: Vec::new(),
            totals: CommandTotals::default(),
            closed: None,
            cleaning: None,
            updated_at: None,
        }
    }
}

impl JobState {
    /// Returns whether its last step ended with the goal reached.
    pub fn has_reached_its_goal(&self) -> bool {
        self.history
            .last()
            .is_some_and(|item| item.phase == StepOutcome::Done)
    }

    /// Returns how many replies `role` has given in this job.
    pub fn reply_count(&self, role: ModelRole) -> u32 {
        self.turns.get(role_index(role)).copied().unwrap_or(0)
    }
}
