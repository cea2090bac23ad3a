//! Exports the events of a session, and hands them on to the files that keep them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    domain::{night::RunEvent, telemetry::SessionTelemetry},
    ports::{event_sink::EventSink, telemetry::Telemetry},
};

/// Takes the events of a session.
pub struct SessionExporter {
    inner: Arc<dyn EventSink>,
    telemetry: Arc<dyn Telemetry>,
    state: Mutex<SessionTelemetry>,
}

impl std::fmt::Debug for SessionExporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionExporter").finish_non_exhaustive()
    }
}

impl SessionExporter {
    /// Makes one around what keeps the events.
    pub fn new(inner: Arc<dyn EventSink>, telemetry: Arc<dyn Telemetry>) -> Self {
        Self {
            inner,
            telemetry,
            state: Mutex::default(),
        }
    }
}

impl EventSink for SessionExporter {
    fn emit(&self, event: &RunEvent) {
        self.inner.emit(event);
        let at = chrono::Utc::now().timestamp_millis();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.telemetry.export("session", state.on_event(event, at));
    }
}
