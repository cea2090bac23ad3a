//! What may be used up, and what was: calls of agents, tokens, money.
//!
//! A limit is hard: nothing starts beyond it. Only what is under way when it is reached can exceed it.

use serde::{Deserialize, Serialize};

use super::ids::Millis;

/// An hour.
pub const HOUR: Millis = 3_600_000;
/// A day.
pub const DAY: Millis = 24 * HOUR;

/// What was used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spend {
    /// Calls of an agent.
    pub calls: u64,
    /// Tokens.
    pub tokens: u64,
    /// Millionths of a dollar.
    pub micro_usd: u64,
}

impl Spend {
    /// Returns both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            tokens: self.tokens.saturating_add(other.tokens),
            micro_usd: self.micro_usd.saturating_add(other.micro_usd),
        }
    }

    /// Returns the tokens; `None` = there were calls, and none of them told any.
    pub fn known_tokens(self) -> Option<u64> {
        (self.tokens > 0 || self.calls == 0).then_some(self.tokens)
    }

    /// Returns the cost in millionths of a dollar; `None` = there were calls, and none of them told what it cost.
    pub fn known_micro_usd(self) -> Option<u64> {
        (self.micro_usd > 0 || self.calls == 0).then_some(self.micro_usd)
    }
}

/// The most that may be used up; `None` = no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpendLimit {
    /// Calls of an agent.
    pub calls: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
    /// Millionths of a dollar.
    pub micro_usd: Option<u64>,
}

impl SpendLimit {
    /// Says which limit is reached, where one is.
    pub fn reached_reason(&self, spent: Spend) -> Option<String> {
        let over = |limit: Option<u64>, spent: u64| limit.filter(|limit| spent >= *limit);
        if let Some(limit) = over(self.calls, spent.calls) {
            return Some(format!("{} of {limit} calls are used up", spent.calls));
        }
        if let Some(limit) = over(self.tokens, spent.tokens) {
            return Some(format!("{} of {limit} tokens are used up", spent.tokens));
        }
        over(self.micro_usd, spent.micro_usd).map(|limit| {
            format!(
                "${} of ${} are used up",
                dollars(spent.micro_usd),
                dollars(limit)
            )
        })
    }
}

fn dollars(micro: u64) -> String {
    format!("{}.{:02}", micro / 1_000_000, micro % 1_000_000 / 10_000)
}

/// What was used up in the current hour, in the current day, and in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpendTotals {
    /// The hour that is counted, since 1970.
    pub hour: u64,
    /// What was used up in it.
    pub in_hour: Spend,
    /// The day that is counted, since 1970.
    pub day: u64,
    /// What was used up in it.
    pub in_day: Spend,
    /// What was used up in all.
    pub total: Spend,
}

impl SpendTotals {
    /// Counts.
    pub fn add(&mut self, spend: Spend, at: Millis) {
        self.in_hour = self.this_hour(at).plus(spend);
        self.in_day = self.this_day(at).plus(spend);
        self.hour = at / HOUR;
        self.day = at / DAY;
        self.total = self.total.plus(spend);
    }

    /// Returns what was used up in the hour of this moment.
    pub fn this_hour(&self, at: Millis) -> Spend {
        if self.hour == at / HOUR {
            self.in_hour
        } else {
            Spend::default()
        }
    }

    /// Returns what was used up in the day of this moment.
    pub fn this_day(&self, at: Millis) -> Spend {
        if self.day == at / DAY {
            self.in_day
        } else {
            Spend::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_call_told_is_unknown_and_no_zero() {
        let known = |calls, tokens, micro_usd| {
            let spend = Spend {
                calls,
                tokens,
                micro_usd,
            };
            (spend.known_tokens(), spend.known_micro_usd())
        };
        assert_eq!(known(0, 0, 0), (Some(0), Some(0)));
        assert_eq!(known(1, 0, 0), (None, None));
        assert_eq!(known(1, 7, 0), (Some(7), None));
        assert_eq!(known(2, 7, 9), (Some(7), Some(9)));
    }
}
