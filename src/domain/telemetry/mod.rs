//! What the events of jobs, plans and task sessions mean as spans and metrics, in the names of OpenTelemetry's conventions.
//!
//! Derived from what is recorded anyway, so the loops know nothing of it. Prompts, replies and outputs are never part of
//! it. Danger: command lines and reasons are; whoever exports them removes secrets first.

mod exec;
mod job;
mod plan;
mod session;

use std::collections::BTreeMap;

use crate::domain::model::TokenUsage;

pub use exec::{exec_denied, exec_ended};
pub use job::JobTelemetry;
pub use plan::PlanTelemetry;
pub use session::SessionTelemetry;

/// Milliseconds since 1970.
pub type Millis = i64;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
    /// A flag.
    Flag(bool),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for AttributeValue {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<i32> for AttributeValue {
    fn from(number: i32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<f64> for AttributeValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for AttributeValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Names with values.
pub type Attributes = Vec<(&'static str, AttributeValue)>;

/// Something to export.
#[derive(Debug, Clone, PartialEq)]
pub enum TelemetryRecord {
    /// A span begins.
    SpanStarted {
        /// What it is called until it ends.
        key: String,
        /// The span it is a part of, while that is open.
        parent: Option<String>,
        /// Its name.
        name: String,
        /// It is a call of something elsewhere.
        is_client: bool,
        /// When.
        at: Millis,
        /// What is known of it.
        attributes: Attributes,
    },
    /// A span ends, and everything in it that is still open.
    SpanEnded {
        /// Which.
        key: String,
        /// When.
        at: Millis,
        /// What is known of it now.
        attributes: Attributes,
        /// Why it failed, in one sentence.
        error: Option<String>,
    },
    /// Something is counted.
    Counted {
        /// The metric.
        metric: Metric,
        /// How many more.
        by: u64,
        /// Of what.
        attributes: Attributes,
    },
    /// Something is measured, for a distribution.
    Measured {
        /// The metric.
        metric: Metric,
        /// The value.
        value: f64,
        /// Of what.
        attributes: Attributes,
    },
}

/// The metrics there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Tokens of a call, by type.
    Tokens,
    /// How long calls of models and agents take.
    OperationDuration,
    /// What calls cost.
    Cost,
    /// What the policy refused.
    Denials,
    /// How long commands take.
    CommandDuration,
    /// How long tasks of plans and sessions take.
    TaskDuration,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 6] = [
        Self::Tokens,
        Self::OperationDuration,
        Self::Cost,
        Self::Denials,
        Self::CommandDuration,
        Self::TaskDuration,
    ];

    /// Returns its name, its unit, and what it counts.
    pub const fn descriptor(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Tokens => (
                "gen_ai.client.token.usage",
                "{token}",
                "Tokens of a call of a model or an agent",
            ),
            Self::OperationDuration => (
                "gen_ai.client.operation.duration",
                "s",
                "How long calls of models and agents take",
            ),
            Self::Cost => ("tos.cost", "USD", "What calls of models and agents cost"),
            Self::Denials => ("tos.denials", "{denial}", "What the policy refused"),
            Self::CommandDuration => ("tos.command.duration", "s", "How long commands take"),
            Self::TaskDuration => ("tos.task.duration", "s", "How long tasks take"),
        }
    }

    /// Returns whether it adds up, instead of being a distribution.
    pub const fn is_counter(self) -> bool {
        matches!(self, Self::Denials)
    }
}

/// Open spans with the time they began, so that durations can be told.
#[derive(Debug, Clone, Default)]
struct OpenSpans(BTreeMap<String, Millis>);

impl OpenSpans {
    fn start(
        &mut self,
        [key, parent]: [&str; 2],
        name: String,
        is_client: bool,
        at: Millis,
        attributes: Attributes,
    ) -> TelemetryRecord {
        self.0.insert(key.to_owned(), at);
        TelemetryRecord::SpanStarted {
            key: key.to_owned(),
            parent: (!parent.is_empty()).then(|| parent.to_owned()),
            name,
            is_client,
            at,
            attributes,
        }
    }

    /// Ends a span that is open; returns it with how long it was, in seconds.
    fn end(
        &mut self,
        key: &str,
        at: Millis,
        attributes: Attributes,
        error: Option<String>,
    ) -> Option<(TelemetryRecord, f64)> {
        let began = self.0.remove(key)?;
        let ended = TelemetryRecord::SpanEnded {
            key: key.to_owned(),
            at: at.max(began),
            attributes,
            error,
        };
        Some((ended, seconds(at.saturating_sub(began).max(0))))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a span of years is exact")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// Returns the attributes of a span for tokens.
fn usage_attributes(usage: TokenUsage) -> Attributes {
    let mut attributes: Attributes = vec![
        ("gen_ai.usage.input_tokens", usage.input.into()),
        ("gen_ai.usage.output_tokens", usage.output.into()),
    ];
    if usage.cached_input > 0 {
        attributes.push((
            "gen_ai.usage.cache_read.input_tokens",
            usage.cached_input.into(),
        ));
    }
    if usage.cache_write > 0 {
        attributes.push((
            "gen_ai.usage.cache_creation.input_tokens",
            usage.cache_write.into(),
        ));
    }
    attributes
}

/// Returns the tokens as measures.
fn usage_measures(usage: TokenUsage, of: &Attributes) -> impl Iterator<Item = TelemetryRecord> {
    [("input", usage.input), ("output", usage.output)]
        .map(|(kind, tokens)| {
            let mut attributes = of.clone();
            attributes.push(("gen_ai.token.type", kind.into()));
            #[expect(clippy::cast_precision_loss, reason = "nobody pays for 2^52 tokens")]
            let value = tokens as f64;
            TelemetryRecord::Measured {
                metric: Metric::Tokens,
                value,
                attributes,
            }
        })
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_names_of_their_own() {
        let names: Vec<&str> = Metric::ALL
            .iter()
            .map(|metric| metric.descriptor().0)
            .collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_negative_span() {
        let mut open = OpenSpans::default();
        open.start(["a", ""], "a".into(), false, 5000, Vec::new());
        let (ended, long) = open.end("a", 1000, Vec::new(), None).unwrap();
        assert!(matches!(ended, TelemetryRecord::SpanEnded { at: 5000, .. }));
        assert!(long.abs() < f64::EPSILON);
        assert!(open.end("a", 1, Vec::new(), None).is_none());
    }
}
