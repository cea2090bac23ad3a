//! Hands the events of jobs and plans to whoever exports them.

use std::sync::Arc;

use crate::{
    domain::{
        job::{event::RunLogEvent, state::JobLoopState},
        plan::{Plan, event::PlanEvent, state::RunState},
        telemetry::{JobTelemetry, PlanTelemetry, TelemetryRecord},
    },
    interfaces::cli::{
        args::GlobalArgs,
        exit::{CliError, CliExit},
        services::ServiceFactory,
    },
    ports::telemetry::Telemetry,
    services::{job::event_bus::EventReporter, plan::PlanObserver},
};

/// The span of a command that has no events of its own.
pub(super) struct CommandSpan {
    telemetry: Arc<dyn Telemetry>,
    name: &'static str,
}

impl CommandSpan {
    /// Begins it, where somebody asked for that.
    pub(super) fn begin(
        name: &'static str,
        global: &GlobalArgs,
        services: &dyn ServiceFactory,
    ) -> Result<Option<Self>, CliError> {
        let Some(telemetry) = services.telemetry(global)? else {
            return Ok(None);
        };
        let started = TelemetryRecord::SpanStarted {
            key: name.to_owned(),
            parent: None,
            name: name.to_owned(),
            is_client: false,
            at: services.clock().now().timestamp_millis(),
            attributes: Vec::new(),
        };
        telemetry.export(name, vec![started]);
        Ok(Some(Self { telemetry, name }))
    }

    /// Ends it with how the command ended.
    pub(super) fn end(self, result: &Result<CliExit, CliError>, services: &dyn ServiceFactory) {
        let (attributes, error) = match result {
            Ok(exit) => (
                vec![("process.exit.code", u32::from(exit.code()).into())],
                None,
            ),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let ended = TelemetryRecord::SpanEnded {
            key: self.name.to_owned(),
            at: services.clock().now().timestamp_millis(),
            attributes,
            error,
        };
        self.telemetry.export(self.name, vec![ended]);
    }
}

/// Exports the events of a job.
struct JobExporter {
    telemetry: Arc<dyn Telemetry>,
    state: JobTelemetry,
}

/// Returns what exports the events of a job, where somebody asked for that.
pub(super) fn job_exporter(
    telemetry: Option<Arc<dyn Telemetry>>,
) -> Option<Box<dyn EventReporter>> {
    let telemetry = telemetry?;
    Some(Box::new(JobExporter {
        telemetry,
        state: JobTelemetry::default(),
    }))
}

impl EventReporter for JobExporter {
    fn event(&mut self, event: &RunLogEvent, _state: &JobLoopState) {
        self.telemetry.export("job", self.state.on_event(event));
    }
}

/// Exports the events of a plan, and hands them on.
pub(super) struct PlanExporter<'a> {
    telemetry: Option<(Arc<dyn Telemetry>, PlanTelemetry)>,
    inner: &'a mut dyn PlanObserver,
}

impl<'a> PlanExporter<'a> {
    /// Makes one for a run.
    pub(super) fn new(
        telemetry: Option<Arc<dyn Telemetry>>,
        run: &str,
        plan: &Plan,
        inner: &'a mut dyn PlanObserver,
    ) -> Self {
        let state = || {
            let ids: Vec<String> = plan.tasks.iter().map(|task| task.id.to_string()).collect();
            PlanTelemetry::new(run, plan.goal.as_deref(), &ids)
        };
        Self {
            telemetry: telemetry.map(|telemetry| (telemetry, state())),
            inner,
        }
    }
}

impl PlanObserver for PlanExporter<'_> {
    fn on_events(&mut self, plan: &Plan, state: &RunState, events: &[PlanEvent]) {
        if let Some((telemetry, reader)) = &mut self.telemetry {
            for event in events {
                telemetry.export("plan", reader.on_event(event));
            }
        }
        self.inner.on_events(plan, state, events);
    }
}
