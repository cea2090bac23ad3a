//! One step under way: what each role contributed, its commands, and what became of them.

use serde::{Deserialize, Serialize};

use crate::domain::{
    command::Command,
    job::{done_condition::ConditionEvidence, outcome::StepOutcome},
    model::{ModelReply, ModelRole},
    policy::{Decision, PolicyVerdict},
    process::CommandResult,
    time::Timestamp,
};

/// Sums over commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandTotals {
    /// Commands that ran to an end of their own.
    pub executed: u32,
    /// Commands that were refused.
    pub denied: u32,
    /// Commands that outlived their deadline or hung.
    pub timeout: u32,
    /// Commands that could not be started, or whose end is unknown.
    pub failed: u32,
}

impl CommandTotals {
    /// Adds another sum.
    pub const fn add(&mut self, other: Self) {
        self.executed += other.executed;
        self.denied += other.denied;
        self.timeout += other.timeout;
        self.failed += other.failed;
    }
}

/// What one role contributed to a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoleTurn {
    /// The last prompt.
    pub prompt: Option<String>,
    /// The last reply, usable or not.
    pub reply: Option<ModelReply>,
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
    pub turns: [RoleTurn; 3],
    /// The commands of the final.
    pub commands: Vec<Command>,
    /// Their verdicts.
    pub verdicts: Vec<PolicyVerdict>,
    /// A person's answers, where the verdict was to ask.
    pub approvals: Vec<Option<bool>>,
    /// What became of each command.
    pub results: Vec<CommandDisposition>,
    /// What the probe saw.
    pub evidence: Vec<ConditionEvidence>,
    /// Where the step stands.
    pub stage: StepStage,
    /// How it ended, once it has.
    pub end: Option<StepEnd>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEnd {
    /// The phase.
    pub phase: StepOutcome,
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
pub enum StepStage {
    /// A role has to be asked, or asked again.
    Ask {
        /// Which.
        role: ModelRole,
        /// Calls of the present query that were started.
        attempts: u32,
    },
    /// A reply is there and has not been looked at.
    Answered {
        /// Whose.
        role: ModelRole,
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
pub enum CommandDisposition {
    /// Nothing yet.
    Waiting,
    /// It ran.
    Ended {
        /// How it ended.
        end: Box<CommandResult>,
    },
    /// It could not be started.
    NotStarted {
        /// Why.
        why: String,
    },
    /// It started before a crash; its end is unknown.
    Unknown,
}

pub(crate) const fn role_index(role: ModelRole) -> usize {
    match role {
        ModelRole::Draft => 0,
        ModelRole::Review => 1,
        ModelRole::Final => 2,
    }
}

impl StepState {
    /// Returns what `role` contributed.
    pub fn turn(&self, role: ModelRole) -> &RoleTurn {
        let [draft, review, last] = &self.turns;
        match role {
            ModelRole::Draft => draft,
            ModelRole::Review => review,
            ModelRole::Final => last,
        }
    }

    pub(super) fn turn_mut(&mut self, role: ModelRole) -> &mut RoleTurn {
        let [draft, review, last] = &mut self.turns;
        match role {
            ModelRole::Draft => draft,
            ModelRole::Review => review,
            ModelRole::Final => last,
        }
    }

    /// Returns the text of the accepted reply of `role`.
    pub fn accepted_reply(&self, role: ModelRole) -> Option<&str> {
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
    pub fn totals(&self) -> CommandTotals {
        let mut totals = CommandTotals::default();
        for (index, fate) in self.results.iter().enumerate() {
            match fate {
                CommandDisposition::Ended { end } if end.exit.hit_limit() => {
                    totals.timeout += 1;
                }
                CommandDisposition::Ended { .. } => totals.executed += 1,
                CommandDisposition::NotStarted { .. } | CommandDisposition::Unknown => {
                    totals.failed += 1;
                }
                CommandDisposition::Waiting if self.decision(index) != Decision::Allow => {
                    totals.denied += 1;
                }
                CommandDisposition::Waiting => {}
            }
        }
        totals
    }

    /// Returns tokens and cost of this step; where one of its models used tokens and has no price, nobody knows the cost.
    pub fn tokens_and_cost(&self) -> (u64, Option<f64>) {
        let known = |tokens: u64| (tokens == 0).then_some(0.0);
        self.turns
            .iter()
            .fold((0, Some(0.0)), |(tokens, cost), turn| {
                let own = turn.cost.or_else(|| known(turn.tokens));
                (
                    tokens + turn.tokens,
                    cost.zip(own).map(|(all, own)| all + own),
                )
            })
    }
}
