//! What `tos exec` measures: it has no stream of events, only one command.

use super::{Metric, TelemetryRecord, job::exit_attributes};
use crate::domain::process::CommandResult;

/// Counts a command that was refused.
pub fn exec_denied() -> TelemetryRecord {
    TelemetryRecord::Counted {
        metric: Metric::Denials,
        by: 1,
        attributes: vec![("tos.denial.source", "exec".into())],
    }
}

/// Measures how long a command took.
pub fn exec_ended(result: &CommandResult) -> TelemetryRecord {
    #[expect(clippy::cast_precision_loss, reason = "no command runs for 2^52 ms")]
    let value = result.elapsed_ms as f64 / 1000.0;
    TelemetryRecord::Measured {
        metric: Metric::CommandDuration,
        value,
        attributes: exit_attributes(&result.exit).0,
    }
}
