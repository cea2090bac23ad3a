//! The state of a job loop: the fold of its events, live and after a crash alike.
//!
//! [`State::apply`] is the only way to change it. It trusts no order: an event that does not fit is
//! absorbed as far as it makes sense and never panics, because a log may have been cut anywhere.

use serde::{Deserialize, Serialize};

use crate::domain::{
    budget::Spent,
    command::Command,
    event::RunFacts,
    gate::Evidence,
    history,
    model::{Reply, Role},
    outcome::Phase,
    policy::{Decision, Verdict},
    process::End,
    time::Timestamp,
};

mod fold;
mod progress;

pub use progress::Repeats;

/// Everything known about a job loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The number of the last event.
    pub seq: u64,
    /// The run that wrote it.
    pub run: String,
    /// True from a run's start to its end; true at a start means that tos crashed.
    pub running: bool,
    /// The settings of the last run.
    pub facts: RunFacts,
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
    pub parked: Option<Parked>,
    /// The loop size for which completion was recorded, and where.
    pub complete: Option<Complete>,
    /// How the last step or run ended.
    pub last: Last,
    /// Step logs that were there before the run log, and are not told of one by one.
    #[serde(default)]
    pub adopted_logs: u32,
    /// One entry a step log, in order.
    pub steps: Vec<StepLine>,
    /// Sums over all steps.
    pub totals: Totals,
    /// The step that ended last, for its record.
    pub closed: Option<Box<StepState>>,
    /// Where a clean start is moving the records.
    pub cleaning: Option<String>,
    /// Time of the last event.
    pub updated_at: Option<Timestamp>,
}

/// A wait that has to be observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// When it was decided; an earlier clock means that the clock was set back.
    pub since: Timestamp,
    /// When it is over.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// The record that all jobs are done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Complete {
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
pub struct Last {
    /// The phase; `None` before anything ended.
    pub phase: Option<Phase>,
    /// Why, in words.
    pub reason: String,
    /// The step it happened in, 0 before the first.
    pub step: u32,
    /// The end reason of the last finished run.
    pub end_reason: Option<String>,
}

/// One step in the phase summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepLine {
    /// Its number.
    pub step: u32,
    /// How it ended.
    pub phase: Phase,
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
    /// What it cost, where prices are known.
    pub cost: f64,
}

/// Sums over commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Commands that ran to an end of their own.
    pub executed: u32,
    /// Commands that were refused.
    pub denied: u32,
    /// Commands that outlived their deadline or hung.
    pub timeout: u32,
    /// Commands that could not be started, or whose end is unknown.
    pub failed: u32,
}

impl Totals {
    /// Adds another sum.
    pub const fn add(&mut self, other: Self) {
        self.executed += other.executed;
        self.denied += other.denied;
        self.timeout += other.timeout;
        self.failed += other.failed;
    }
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
    /// Steps of this passage that count against `max_steps`.
    pub passage_steps: u32,
    /// Whether this passage has run out of steps.
    pub exhausted: bool,
    /// What the models are told about earlier steps.
    pub history: Vec<history::Item>,
    /// Replies received from each role (draft, review, final), whatever became of them.
    pub turns: [u32; 3],
    /// What it has used.
    pub spent: Spent,
    /// The step under way.
    pub step: Option<Box<StepState>>,
    /// The failed step whose good replies the next step takes over.
    pub suspended: Option<Box<StepState>>,
    /// How often the last step was only repeated in this run.
    #[serde(default)]
    pub repeats: Repeats,
}

/// What one role contributed to a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The last prompt.
    pub prompt: Option<String>,
    /// The last reply, usable or not.
    pub reply: Option<Reply>,
    /// Whether the reply is what the role has to deliver.
    pub accepted: bool,
    /// Why replies could not be used, in order.
    pub unusable: Vec<String>,
    /// Failed calls of this step, in words, in order.
    pub failures: Vec<String>,
    /// Tokens of all replies in this step.
    pub tokens: u64,
    /// Cost of all replies in this step, where a price is known.
    pub cost: Option<f64>,
}

/// A step under way, or just ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepState {
    /// Its number.
    pub number: u32,
    /// The job it works for.
    pub job: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// The failed step whose replies it took over.
    pub carried_from: Option<u32>,
    /// What each role contributed (draft, review, final).
    pub turns: [Turn; 3],
    /// The commands of the final.
    pub commands: Vec<Command>,
    /// Their verdicts.
    pub verdicts: Vec<Verdict>,
    /// A person's answers, where the verdict was to ask.
    pub approvals: Vec<Option<bool>>,
    /// What became of each command.
    pub results: Vec<Fate>,
    /// What the probe saw.
    pub evidence: Vec<Evidence>,
    /// Where the step stands.
    pub stage: Stage,
    /// How it ended, once it has.
    pub end: Option<StepEnd>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEnd {
    /// The phase.
    pub phase: Phase,
    /// Why, in words.
    pub reason: String,
    /// Whether the run stopped there.
    pub stopped: bool,
    /// When.
    pub at: Timestamp,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum Stage {
    /// A role has to be asked, or asked again.
    Ask {
        /// Which.
        role: Role,
        /// Calls of the present query that were started.
        attempts: u32,
    },
    /// A reply is there and has not been looked at.
    Answered {
        /// Whose.
        role: Role,
    },
    /// All replies are accepted; the commands have to be judged.
    Judge,
    /// Commands are judged and run one after the other.
    Run,
    /// A command was started and its end is not known yet.
    Open {
        /// Its place in the step.
        index: u32,
    },
    /// A command could not be started.
    NotStarted {
        /// Its place in the step.
        index: u32,
        /// Why.
        why: String,
    },
    /// The done condition has been looked at.
    Observed,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// Nothing yet.
    Waiting,
    /// It ran.
    Ended {
        /// How it ended.
        end: Box<End>,
    },
    /// It could not be started.
    NotStarted {
        /// Why.
        why: String,
    },
    /// It started before a crash; its end is unknown.
    Unknown,
}

/// Returns tokens and cost of some steps together; nothing costs `0`, never `-0`.
pub fn bill(steps: &[StepLine]) -> (u64, f64) {
    let tokens = steps.iter().map(|line| line.tokens).sum();
    let cost = steps.iter().fold(0.0, |sum, line| sum + line.cost);
    (tokens, cost)
}

impl Default for State {
    fn default() -> Self {
        Self {
            seq: 0,
            run: String::new(),
            running: false,
            facts: RunFacts::default(),
            sprints: Vec::new(),
            job_index: 1,
            jobs_done: 0,
            next_step: 1,
            job: None,
            parked: None,
            complete: None,
            last: Last::default(),
            adopted_logs: 0,
            steps: Vec::new(),
            totals: Totals::default(),
            closed: None,
            cleaning: None,
            updated_at: None,
        }
    }
}

const fn place(role: Role) -> usize {
    match role {
        Role::Draft => 0,
        Role::Review => 1,
        Role::Final => 2,
    }
}

impl StepState {
    /// Returns what `role` contributed.
    pub fn turn(&self, role: Role) -> &Turn {
        let [draft, review, last] = &self.turns;
        match role {
            Role::Draft => draft,
            Role::Review => review,
            Role::Final => last,
        }
    }

    pub(super) fn turn_mut(&mut self, role: Role) -> &mut Turn {
        let [draft, review, last] = &mut self.turns;
        match role {
            Role::Draft => draft,
            Role::Review => review,
            Role::Final => last,
        }
    }

    /// Returns the text of the accepted reply of `role`.
    pub fn accepted(&self, role: Role) -> Option<&str> {
        let turn = self.turn(role);
        turn.reply
            .as_ref()
            .filter(|_| turn.accepted)
            .map(|reply| reply.text.as_str())
    }

    /// Returns what finally counts for command `index`: the verdict, or the person's answer to an ask.
    /// An ask that nobody has answered stays an ask.
    pub fn decision(&self, index: usize) -> Decision {
        let decision = self
            .verdicts
            .get(index)
            .map_or(Decision::Deny, |verdict| verdict.decision);
        match (decision, self.approvals.get(index).copied().flatten()) {
            (Decision::Ask, Some(true)) => Decision::Allow,
            (Decision::Ask, Some(false)) => Decision::Deny,
            _ => decision,
        }
    }

    /// Returns the sums over this step's commands.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (index, fate) in self.results.iter().enumerate() {
            match fate {
                Fate::Ended { end } if end.exit.was_ended_by_tos() => totals.timeout += 1,
                Fate::Ended { .. } => totals.executed += 1,
                Fate::NotStarted { .. } | Fate::Unknown => totals.failed += 1,
                Fate::Waiting if self.decision(index) != Decision::Allow => totals.denied += 1,
                Fate::Waiting => {}
            }
        }
        totals
    }

    /// Returns tokens and known cost of this step.
    pub fn spent(&self) -> (u64, f64) {
        self.turns.iter().fold((0, 0.0), |(tokens, cost), turn| {
            (tokens + turn.tokens, cost + turn.cost.unwrap_or(0.0))
        })
    }
}

impl JobState {
    /// Returns whether its last step ended with the goal reached.
    pub fn has_reached_its_goal(&self) -> bool {
        self.history
            .last()
            .is_some_and(|item| item.phase == Phase::Done)
    }

    /// Returns how many replies `role` has given in this job.
    pub fn turns_of(&self, role: Role) -> u32 {
        self.turns.get(place(role)).copied().unwrap_or(0)
    }
}
