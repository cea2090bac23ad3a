//! The events of a plan: its run, and each attempt of a task.

use super::{Attributes, Metric, OpenSpans, TelemetryRecord};
use crate::domain::plan::{event::PlanEvent, state::TaskStatus};

/// Reads the events of one run of a plan.
#[derive(Debug, Clone, Default)]
pub struct PlanTelemetry {
    open: OpenSpans,
    run: String,
    goal: String,
    tasks: Vec<String>,
}

const RUN: &str = "run";

impl PlanTelemetry {
    /// Makes one for a run whose tasks have these ids.
    pub fn new(run: &str, goal: Option<&str>, tasks: &[String]) -> Self {
        Self {
            run: run.to_owned(),
            goal: goal.unwrap_or_default().to_owned(),
            tasks: tasks.to_vec(),
            ..Self::default()
        }
    }

    /// Reads one event.
    pub fn on_event(&mut self, event: &PlanEvent) -> Vec<TelemetryRecord> {
        match event {
            PlanEvent::Opened(opened) => {
                let attributes: Attributes = vec![
                    ("tos.run.id", self.run.as_str().into()),
                    ("tos.plan.goal", self.goal.as_str().into()),
                ];
                vec![
                    self.open
                        .start([RUN, ""], "plan run".into(), false, opened.at, attributes),
                ]
            }
            PlanEvent::Started(started) => {
                let id = self.id(started.task);
                let attributes: Attributes = vec![
                    ("tos.task.id", id.as_str().into()),
                    ("tos.task.attempt", started.attempt.into()),
                ];
                let key = format!("task {}", started.task);
                vec![self.open.start(
                    [&key, RUN],
                    format!("task {id}"),
                    false,
                    started.at,
                    attributes,
                )]
            }
            PlanEvent::Ended(ended) => {
                let mut attributes: Attributes =
                    vec![("tos.task.status", ended.status.name().into())];
                attributes.extend(ended.code.map(|code| ("process.exit.code", code.into())));
                let error =
                    (ended.status != TaskStatus::Success).then(|| ended.status.name().to_owned());
                let key = format!("task {}", ended.task);
                let Some((span, seconds)) = self.open.end(&key, ended.at, attributes, error) else {
                    return Vec::new();
                };
                let of = vec![("tos.task.status", ended.status.name().into())];
                let measured = TelemetryRecord::Measured {
                    metric: Metric::TaskDuration,
                    value: seconds,
                    attributes: of,
                };
                vec![span, measured]
            }
            PlanEvent::Closed(closed) => {
                let status = closed.status;
                let attributes: Attributes = vec![("tos.run.outcome", status.name().into())];
                let error = (status != TaskStatus::Success).then(|| status.name().to_owned());
                let ended = self.open.end(RUN, closed.at, attributes, error);
                ended.into_iter().map(|(ended, _)| ended).collect()
            }
            PlanEvent::Created(_) | PlanEvent::Settled(_) | PlanEvent::CancelRequested { .. } => {
                Vec::new()
            }
        }
    }

    fn id(&self, task: u32) -> String {
        let named = usize::try_from(task).ok().and_then(|at| self.tasks.get(at));
        named.cloned().unwrap_or_else(|| task.to_string())
    }
}
