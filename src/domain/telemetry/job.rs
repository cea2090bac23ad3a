//! The events of a job: run, job, step, call of a model, command.

use super::{
    Attributes, Metric, Millis, OpenSpans, TelemetryRecord, usage_attributes, usage_measures,
};
use crate::domain::{
    command::Command,
    job::{
        event::{EventKind, RunLogEvent, RunSettingsRecord},
        outcome::{JobRunOutcome, StepOutcome},
    },
    model::{ModelReply, ModelRole},
    policy::{Decision, PolicyVerdict},
    process::{CommandResult, ExitStatus},
};

/// Reads the events of one run of a job.
#[derive(Debug, Clone, Default)]
pub struct JobTelemetry {
    open: OpenSpans,
    /// `provider:model` of draft, review and final.
    models: [String; 3],
    commands: Vec<Command>,
}

const RUN: &str = "run";

impl JobTelemetry {
    /// Reads one event.
    pub fn on_event(&mut self, event: &RunLogEvent) -> Vec<TelemetryRecord> {
        let at = event.at.timestamp_millis();
        match &event.event {
            EventKind::RunStarted { facts } => vec![self.run_started(facts, &event.run, at)],
            EventKind::JobStarted { job } => vec![self.job_started(*job, at)],
            EventKind::StepStarted { step, .. } => vec![self.step_started(*step, at)],
            EventKind::QueryStarted { role, attempt, .. } => vec![self.asked(*role, *attempt, at)],
            EventKind::QueryAnswered { role, reply, cost } => {
                self.answered(*role, reply, *cost, at)
            }
            EventKind::QueryFailed { role, failure, .. } => {
                let kind = format!("{:?}", failure.trouble);
                let attributes = vec![("error.type", kind.into())];
                self.call_ended(*role, at, attributes, Some(failure.message.clone()))
            }
            EventKind::Judged { commands, verdicts } => self.judged(commands, verdicts),
            EventKind::CommandStarted { index } => vec![self.command_started(*index, at)],
            EventKind::CommandEnded { index, end } => self.command_ended(*index, end, at),
            EventKind::CommandNotStarted { index, why } => {
                let key = format!("command {index}");
                let ended = self.open.end(&key, at, Vec::new(), Some(why.clone()));
                ended.into_iter().map(|(ended, _)| ended).collect()
            }
            EventKind::StepEnded { phase, reason, .. } => {
                let failed = matches!(phase, StepOutcome::FatalError | StepOutcome::Cancelled);
                let attributes = vec![("tos.step.phase", phase.as_str().into())];
                let ended = self
                    .open
                    .end("step", at, attributes, failed.then(|| reason.clone()));
                ended.into_iter().map(|(ended, _)| ended).collect()
            }
            EventKind::JobEnded { .. } => {
                let ended = self.open.end("job", at, Vec::new(), None);
                ended.into_iter().map(|(ended, _)| ended).collect()
            }
            EventKind::RunEnded { outcome } => self.run_ended(outcome, at),
            EventKind::StateAdopted { .. }
            | EventKind::Repaired { .. }
            | EventKind::CleanStarted { .. }
            | EventKind::ResultsSetAside { .. }
            | EventKind::PassageStarted
            | EventKind::ReplyAccepted { .. }
            | EventKind::ReplyUnusable { .. }
            | EventKind::ApprovalAsked { .. }
            | EventKind::ApprovalGiven { .. }
            | EventKind::CommandAbandoned { .. }
            | EventKind::Observed { .. }
            | EventKind::Recorded { .. }
            | EventKind::Parked { .. } => Vec::new(),
        }
    }

    fn run_started(&mut self, facts: &RunSettingsRecord, run: &str, at: Millis) -> TelemetryRecord {
        self.models.clone_from(&facts.models);
        let attributes: Attributes = vec![
            ("tos.run.id", run.into()),
            ("tos.run.mode", facts.mode.as_str().into()),
            ("tos.job.name", facts.job_name.as_str().into()),
        ];
        self.open
            .start([RUN, ""], "run".into(), false, at, attributes)
    }

    fn job_started(&mut self, job: u32, at: Millis) -> TelemetryRecord {
        let attributes = vec![("tos.job.index", job.into())];
        self.open
            .start(["job", RUN], format!("job {job}"), false, at, attributes)
    }

    fn step_started(&mut self, step: u32, at: Millis) -> TelemetryRecord {
        let attributes = vec![("tos.step.number", step.into())];
        let has_job = self.open.0.contains_key("job");
        let keys = ["step", if has_job { "job" } else { RUN }];
        self.open
            .start(keys, format!("step {step}"), false, at, attributes)
    }

    fn model_of(&self, role: ModelRole) -> (&str, &str) {
        let [draft, review, last] = &self.models;
        let named = match role {
            ModelRole::Draft => draft,
            ModelRole::Review => review,
            ModelRole::Final => last,
        };
        named.split_once(':').unwrap_or((named, ""))
    }

    fn call_attributes(&self, role: ModelRole) -> Attributes {
        let (provider, model) = self.model_of(role);
        let mut attributes: Attributes = vec![
            ("gen_ai.operation.name", "chat".into()),
            ("gen_ai.provider.name", provider.into()),
        ];
        if !model.is_empty() {
            attributes.push(("gen_ai.request.model", model.into()));
        }
        attributes
    }

    fn asked(&mut self, role: ModelRole, attempt: u32, at: Millis) -> TelemetryRecord {
        let mut attributes = self.call_attributes(role);
        attributes.push(("tos.model.role", role.as_str().into()));
        attributes.push(("tos.model.attempt", attempt.into()));
        let name = format!("chat {}", self.model_of(role).1).trim().to_owned();
        self.open.start(
            [&format!("call {}", role.as_str()), "step"],
            name,
            true,
            at,
            attributes,
        )
    }

    fn call_ended(
        &mut self,
        role: ModelRole,
        at: Millis,
        attributes: Attributes,
        error: Option<String>,
    ) -> Vec<TelemetryRecord> {
        let mut of = self.call_attributes(role);
        of.extend(
            attributes
                .iter()
                .filter(|(name, _)| *name == "error.type")
                .cloned(),
        );
        let key = format!("call {}", role.as_str());
        let Some((ended, seconds)) = self.open.end(&key, at, attributes, error) else {
            return Vec::new();
        };
        let measured = TelemetryRecord::Measured {
            metric: Metric::OperationDuration,
            value: seconds,
            attributes: of,
        };
        vec![ended, measured]
    }

    fn answered(
        &mut self,
        role: ModelRole,
        reply: &ModelReply,
        cost: Option<f64>,
        at: Millis,
    ) -> Vec<TelemetryRecord> {
        let mut attributes = usage_attributes(reply.usage);
        attributes.push(("gen_ai.response.model", reply.model.as_str().into()));
        if let Some(id) = &reply.request_id {
            attributes.push(("gen_ai.response.id", id.as_str().into()));
        }
        if let Some(cost) = cost {
            attributes.push(("tos.cost_usd", cost.into()));
        }
        let mut records = self.call_ended(role, at, attributes, None);
        let of = self.call_attributes(role);
        records.extend(usage_measures(reply.usage, &of));
        records.extend(cost.map(|cost| TelemetryRecord::Measured {
            metric: Metric::Cost,
            value: cost,
            attributes: of,
        }));
        records
    }

    fn judged(&mut self, commands: &[Command], verdicts: &[PolicyVerdict]) -> Vec<TelemetryRecord> {
        self.commands = commands.to_vec();
        let denied = verdicts
            .iter()
            .filter(|verdict| verdict.decision == Decision::Deny);
        denied
            .map(|_| TelemetryRecord::Counted {
                metric: Metric::Denials,
                by: 1,
                attributes: vec![("tos.denial.source", "job".into())],
            })
            .collect()
    }

    fn command_started(&mut self, index: u32, at: Millis) -> TelemetryRecord {
        let command = usize::try_from(index)
            .ok()
            .and_then(|index| self.commands.get(index));
        let (kind, text) = command.map_or_else(
            || (String::new(), String::new()),
            |command| (command.kind.as_str().to_owned(), command.text()),
        );
        let attributes: Attributes = vec![
            ("gen_ai.operation.name", "execute_tool".into()),
            ("gen_ai.tool.name", kind.as_str().into()),
            ("process.command_line", text.into()),
            ("tos.command.index", index.into()),
        ];
        let name = format!("execute_tool {kind}").trim().to_owned();
        self.open.start(
            [&format!("command {index}"), "step"],
            name,
            false,
            at,
            attributes,
        )
    }

    fn command_ended(
        &mut self,
        index: u32,
        end: &CommandResult,
        at: Millis,
    ) -> Vec<TelemetryRecord> {
        let (attributes, error) = exit_attributes(&end.exit);
        let ended = self
            .open
            .end(&format!("command {index}"), at, attributes.clone(), error);
        let Some((ended, _)) = ended else {
            return Vec::new();
        };
        #[expect(clippy::cast_precision_loss, reason = "no command runs for 2^52 ms")]
        let value = end.elapsed_ms as f64 / 1000.0;
        let measured = TelemetryRecord::Measured {
            metric: Metric::CommandDuration,
            value,
            attributes,
        };
        vec![ended, measured]
    }

    fn run_ended(&mut self, outcome: &JobRunOutcome, at: Millis) -> Vec<TelemetryRecord> {
        let told = serde_json::to_value(outcome).unwrap_or_default();
        let find = |key: &str| {
            let found = told.get(key).and_then(serde_json::Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let is_good = matches!(
            outcome,
            JobRunOutcome::Done { .. } | JobRunOutcome::LoopComplete { .. }
        );
        let attributes: Attributes = vec![("tos.run.outcome", find("end").into())];
        let error = (!is_good).then(|| find("reason"));
        let ended = self.open.end(RUN, at, attributes, error);
        ended.into_iter().map(|(ended, _)| ended).collect()
    }
}

/// Returns what is said of how a command ended.
pub(super) fn exit_attributes(exit: &ExitStatus) -> (Attributes, Option<String>) {
    match exit {
        ExitStatus::Code { code } => (
            vec![("process.exit.code", (*code).into())],
            (*code != 0).then(|| format!("exit code {code}")),
        ),
        ExitStatus::Signal { signal } => (
            vec![("error.type", "signal".into())],
            Some(format!("ended by signal {signal}")),
        ),
        ExitStatus::TimedOut { .. } => (
            vec![("error.type", "timeout".into())],
            Some("it took too long".into()),
        ),
        ExitStatus::Idle { .. } => (
            vec![("error.type", "idle".into())],
            Some("it did nothing for too long".into()),
        ),
        ExitStatus::DiskTaken { .. } => (
            vec![("error.type", "disk".into())],
            Some("it took too much of the disk".into()),
        ),
        ExitStatus::Cancelled => (
            vec![("error.type", "cancelled".into())],
            Some("it was cancelled".into()),
        ),
    }
}
