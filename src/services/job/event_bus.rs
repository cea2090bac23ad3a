//! The way of an event: first to the disk, then into the files for people, then to whoever shows it.
//!
//! Nothing is shown or acted upon that is not recorded. Events that announce or close an effect are
//! synced before the call returns; see [`EventKind::needs_sync`].

use std::sync::Arc;

use crate::{
    domain::{
        job::{
            event::{EventKind, RunLogEvent},
            record,
            state::JobLoopState,
        },
        time::local_text,
    },
    ports::store::{Error, RecordFile, Store},
};

/// Shows what happens to a person or a program.
pub trait EventReporter: Send {
    /// Shows one event; `state` is the state after it and its companions.
    fn event(&mut self, event: &RunLogEvent, state: &JobLoopState);
}

/// Carries events to the log, the records and the reporters.
pub struct EventBus {
    store: Arc<dyn Store>,
    reporters: Vec<Box<dyn EventReporter>>,
}

impl std::fmt::Debug for EventBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBus").finish_non_exhaustive()
    }
}

impl EventBus {
    /// Makes a bus.
    pub fn new(store: Arc<dyn Store>, reporters: Vec<Box<dyn EventReporter>>) -> Self {
        Self { store, reporters }
    }

    /// Makes events durable, brings the records up to date and tells the reporters.
    pub fn publish(&mut self, events: &[RunLogEvent], state: &JobLoopState) -> Result<(), Error> {
        self.record(events, state)?;
        self.report(events, state);
        Ok(())
    }

    /// Makes events durable and brings the records up to date.
    pub(super) fn record(&self, events: &[RunLogEvent], state: &JobLoopState) -> Result<(), Error> {
        let sync = events.iter().any(|event| event.event.needs_sync());
        self.store.append(events, sync)?;
        for event in events {
            for (record, content) in records_changed_by(event, state) {
                self.store.write(record, &content)?;
            }
        }
        let ended = events
            .iter()
            .any(|event| matches!(event.event, EventKind::RunEnded { .. }));
        if ended {
            self.store.save_snapshot(state)?;
        }
        Ok(())
    }

    /// Tells the reporters of recorded events.
    pub(super) fn report(&mut self, events: &[RunLogEvent], state: &JobLoopState) {
        for event in events {
            for reporter in &mut self.reporters {
                reporter.event(event, state);
            }
        }
    }
}

/// Returns the records that `event` changes, with their new content.
pub fn records_changed_by(event: &RunLogEvent, state: &JobLoopState) -> Vec<(RecordFile, String)> {
    let state_now = || {
        (
            RecordFile::PhaseState,
            pretty_json(&record::phase_state(state)),
        )
    };
    match &event.event {
        EventKind::StepEnded { .. } => match state.closed.as_deref() {
            Some(step) => vec![
                (
                    RecordFile::Step(step.number),
                    pretty_json(&record::step_log(state, step)),
                ),
                state_now(),
            ],
            None => Vec::new(),
        },
        EventKind::Recorded {
            step,
            phase,
            reason,
        } => {
            let log = record::log_without_step(state, *step, *phase, reason, &local_text(event.at));
            let mut records = vec![(RecordFile::Step(*step), pretty_json(&log)), state_now()];
            let result = record::job_result(state).filter(|_| phase.is_done());
            records.extend(result.map(|result| (RecordFile::JobResult, pretty_json(&result))));
            records
        }
        EventKind::RunEnded { .. } => vec![
            state_now(),
            (
                RecordFile::PhaseSummary,
                pretty_json(&record::phase_summary(state)),
            ),
        ],
        _ => Vec::new(),
    }
}

/// Returns JSON as the files have it: two blanks of indentation, text as it is, a newline at the end.
pub fn pretty_json(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).map_or_else(|_| String::new(), |text| text + "\n")
}
