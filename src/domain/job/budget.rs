//! Holds a job to its ceilings: what has been spent against what is allowed.
//!
//! Asked before each model call, so a ceiling refuses the *next* call and never wastes a reply that is
//! already paid for. A ceiling counts as reached when the spending equals it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{job::rules::JobBudget, model::TokenUsage};

/// What a job has used so far, over all runs that worked on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetUsage {
    /// Input and output tokens together.
    pub tokens: u64,
    /// Cost in the currency of the prices; calls without a price count as nothing.
    pub cost: f64,
    /// Minutes in model calls and commands.
    pub minutes: f64,
    /// Steps finished.
    pub steps: u32,
}

impl BudgetUsage {
    /// Adds one model call; `cost` as it was recorded, `None` where the model has no price.
    pub fn add_call(&mut self, usage: TokenUsage, cost: Option<f64>, elapsed_ms: u64) {
        self.tokens = self.tokens.saturating_add(usage.total());
        self.cost += cost.unwrap_or(0.0);
        self.add_time(elapsed_ms);
    }

    /// Adds time spent in a call or a command.
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds stay far below 2^52"
    )]
    pub fn add_time(&mut self, elapsed_ms: u64) {
        self.minutes += elapsed_ms as f64 / 60_000.0;
    }
}

/// The ceilings a job can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetLimit {
    /// `budget.max_tokens`.
    Tokens,
    /// `budget.max_cost`.
    Cost,
    /// `budget.max_minutes`.
    Minutes,
    /// `budget.max_steps`.
    Steps,
}

impl BudgetLimit {
    /// Returns the key of the configuration file that sets it.
    pub const fn config_key(self) -> &'static str {
        match self {
            Self::Tokens => "budget.max_tokens",
            Self::Cost => "budget.max_cost",
            Self::Minutes => "budget.max_minutes",
            Self::Steps => "budget.max_steps",
        }
    }
}

/// A ceiling that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExceededLimit {
    /// Which one.
    pub which: BudgetLimit,
    /// What has been spent.
    pub spent: f64,
    /// What is allowed.
    pub limit: f64,
}

impl fmt::Display for ExceededLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (spent, limit, key) = (self.spent, self.limit, self.which.config_key());
        match self.which {
            BudgetLimit::Tokens => write!(f, "{spent:.0} of {limit:.0} tokens are used ({key})"),
            BudgetLimit::Cost => write!(f, "{spent:.4} of {limit:.4} is spent ({key})"),
            BudgetLimit::Minutes => write!(f, "{spent:.1} of {limit:.1} minutes are used ({key})"),
            BudgetLimit::Steps => write!(f, "{spent:.0} of {limit:.0} steps are done ({key})"),
        }
    }
}

/// Returns the first ceiling that `spent` has reached, or `None` when the next call may be made.
#[expect(
    clippy::cast_precision_loss,
    reason = "only shown; the comparison of tokens is exact"
)]
pub fn exceeded_limit(spent: &BudgetUsage, budget: &JobBudget) -> Option<ExceededLimit> {
    let tokens = budget
        .max_tokens
        .filter(|limit| spent.tokens >= *limit)
        .map(|limit| exceeded(BudgetLimit::Tokens, spent.tokens as f64, limit as f64));
    let amount = |which, spent: f64, limit: Option<f64>| {
        limit
            .filter(|limit| spent >= *limit)
            .map(|limit| exceeded(which, spent, limit))
    };
    tokens
        .or_else(|| amount(BudgetLimit::Cost, spent.cost, budget.max_cost))
        .or_else(|| amount(BudgetLimit::Minutes, spent.minutes, budget.max_minutes))
        .or_else(|| {
            let limit = budget.max_steps.map(f64::from);
            amount(BudgetLimit::Steps, f64::from(spent.steps), limit)
        })
}

const fn exceeded(which: BudgetLimit, spent: f64, limit: f64) -> ExceededLimit {
    ExceededLimit {
        which,
        spent,
        limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::ModelPrice;

    const SPENT: BudgetUsage = BudgetUsage {
        tokens: 1_000,
        cost: 0.5,
        minutes: 12.0,
        steps: 3,
    };

    fn sentence(budget: JobBudget) -> Option<String> {
        exceeded_limit(&SPENT, &budget).map(|exceeded| exceeded.to_string())
    }

    #[test]
    fn without_ceilings_nothing_is_ever_reached() {
        assert_eq!(sentence(JobBudget::default()), None);
    }

    #[test]
    fn below_every_ceiling_the_next_call_may_be_made() {
        let budget = JobBudget {
            max_tokens: Some(1_001),
            max_cost: Some(0.51),
            max_minutes: Some(12.5),
            max_steps: Some(4),
        };
        assert_eq!(sentence(budget), None);
    }

    #[test]
    fn each_ceiling_is_reached_at_equality_and_says_so_readably() {
        let none = JobBudget::default();
        let cases = [
            (
                JobBudget {
                    max_tokens: Some(1_000),
                    ..none
                },
                "1000 of 1000 tokens are used (budget.max_tokens)",
            ),
            (
                JobBudget {
                    max_cost: Some(0.25),
                    ..none
                },
                "0.5000 of 0.2500 is spent (budget.max_cost)",
            ),
            (
                JobBudget {
                    max_minutes: Some(12.0),
                    ..none
                },
                "12.0 of 12.0 minutes are used (budget.max_minutes)",
            ),
            (
                JobBudget {
                    max_steps: Some(3),
                    ..none
                },
                "3 of 3 steps are done (budget.max_steps)",
            ),
        ];
        for (budget, expected) in cases {
            assert_eq!(sentence(budget).as_deref(), Some(expected));
        }
    }

    #[test]
    fn calls_add_up_with_their_price() {
        let usage = TokenUsage {
            input: 1_000_000,
            output: 500_000,
            ..TokenUsage::default()
        };
        let price = ModelPrice {
            input_per_mtok: 2.0,
            output_per_mtok: 10.0,
            cached_input_per_mtok: None,
            cache_write_per_mtok: None,
        };
        let mut spent = BudgetUsage::default();
        spent.add_call(usage, Some(price.cost(usage)), 90_000);
        spent.add_call(usage, None, 30_000);
        let expected = BudgetUsage {
            tokens: 3_000_000,
            cost: 7.0,
            minutes: 2.0,
            steps: 0,
        };
        assert_eq!(spent, expected);
    }
}
