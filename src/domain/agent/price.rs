//! What tokens cost, for programs that count them and name no cost.
//!
//! Danger: providers change their prices. The table holds list prices as of November 2026 for a few models; a list's own
//! `price` goes before it.

use serde::{Deserialize, Serialize};

use crate::domain::model::TokenUsage;

/// Dollars per million tokens, kept as millionths of a dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct TokenRate(u64);

impl TryFrom<f64> for TokenRate {
    type Error = String;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value is kept inside what fits"
    )]
    fn try_from(dollars: f64) -> Result<Self, String> {
        if (0.0..=1e6).contains(&dollars) {
            Ok(Self((dollars * 1e6).round() as u64))
        } else {
            Err(format!(
                "a price is between 0 and 1000000 dollars per million tokens, not {dollars}"
            ))
        }
    }
}

impl From<TokenRate> for f64 {
    #[expect(clippy::cast_precision_loss, reason = "prices stay far below 2^52")]
    fn from(rate: TokenRate) -> Self {
        rate.0 as Self / 1e6
    }
}

/// What tokens cost, in dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPrice {
    /// Input that was not cached.
    pub input_per_mtok: TokenRate,
    /// Output, reasoning included.
    pub output_per_mtok: TokenRate,
    /// Cached input; `input_per_mtok` when absent.
    #[serde(default)]
    pub cached_input_per_mtok: Option<TokenRate>,
}

/// Beginnings of model names with input, cached input and output, in thousandths of a dollar per million tokens.
/// The first that fits counts, so longer names stand above shorter ones.
const KNOWN: [(&str, u64, u64, u64); 8] = [
    ("gpt-5-nano", 50, 5, 400),
    ("gpt-5-mini", 250, 25, 2_000),
    ("gpt-5.1-codex-mini", 250, 25, 2_000),
    ("gpt-5.2", 1_750, 175, 14_000),
    ("gpt-5", 1_250, 125, 10_000),
    ("gemini-2.5-flash-lite", 100, 25, 400),
    ("gemini-2.5-flash", 300, 75, 2_500),
    ("gemini-2.5-pro", 1_250, 310, 10_000),
];

impl TokenPrice {
    /// Returns the list price of a model.
    pub fn list_price(model: &str) -> Option<Self> {
        // `openai/gpt-5` and `gpt-5` are the same model; `gpt-5.3` and `gpt-50` are not.
        let name = model.rsplit('/').next().unwrap_or(model);
        let same = |known: &str| {
            name.strip_prefix(known)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let (_, input, cached, output) = KNOWN.iter().find(|(known, ..)| same(known))?;
        Some(Self {
            input_per_mtok: TokenRate(input * 1000),
            output_per_mtok: TokenRate(output * 1000),
            cached_input_per_mtok: Some(TokenRate(cached * 1000)),
        })
    }

    /// Returns what tokens cost, in millionths of a dollar, rounded up.
    pub fn micro_usd(self, usage: TokenUsage) -> u64 {
        let cached = self.cached_input_per_mtok.unwrap_or(self.input_per_mtok);
        let plain = usage.input.saturating_sub(usage.cached_input);
        let parts = [
            (plain, self.input_per_mtok),
            (usage.cached_input, cached),
            (usage.output, self.output_per_mtok),
        ];
        let sum: u128 = parts
            .iter()
            .map(|(tokens, rate)| u128::from(*tokens) * u128::from(rate.0))
            .sum();
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_the_whole_of_its_name() {
        assert!(TokenPrice::list_price("openai/gpt-5-codex").is_some());
        assert_ne!(
            TokenPrice::list_price("gpt-5-mini"),
            TokenPrice::list_price("gpt-5")
        );
        for unknown in ["gpt-5.9", "gpt-50", "o3", ""] {
            assert_eq!(TokenPrice::list_price(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_price_is_a_number_of_dollars() {
        let price: TokenPrice =
            toml::from_str("input_per_mtok = 1.25\noutput_per_mtok = 10").unwrap();
        let usage = TokenUsage {
            input: 1_000_000,
            output: 1,
            ..TokenUsage::default()
        };
        assert_eq!(price.micro_usd(usage), 1_250_010);
        assert!(toml::from_str::<TokenPrice>("input_per_mtok = -1\noutput_per_mtok = 1").is_err());
    }
}
