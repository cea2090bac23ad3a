//! Exports spans and metrics to whoever collects them.

use crate::domain::telemetry::TelemetryRecord;

/// Takes what is to be exported. Nothing waits for it, and nothing fails with it.
pub trait Telemetry: Send + Sync {
    /// Takes records of one stream of events; keys of spans are its own.
    fn export(&self, stream: &str, records: Vec<TelemetryRecord>);

    /// Delivers what is there, within a bounded time; returns why something was lost, in one sentence.
    fn finish(&self) -> Option<String>;
}
