//! The events of a session of tasks: its run, each task, each call of an agent, and what an agent's tools do where it tells.

use serde_json::Value;

use super::{
    Attributes, Metric, Millis, OpenSpans, TelemetryRecord, usage_attributes, usage_measures,
};
use crate::domain::{model::TokenUsage, night::RunEvent};

/// Reads the events of one session.
#[derive(Debug, Clone, Default)]
pub struct SessionTelemetry {
    open: OpenSpans,
}

const RUN: &str = "run";

impl SessionTelemetry {
    /// Reads one event that happened at a time.
    pub fn on_event(&mut self, event: &RunEvent, at: Millis) -> Vec<TelemetryRecord> {
        let data = &event.data;
        let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
        let task = text("task");
        match event.name {
            "run_start" => {
                let attributes: Attributes = vec![
                    ("tos.run.id", event.run.as_str().into()),
                    ("tos.session.id", event.session.as_str().into()),
                    ("tos.list.id", text("list").into()),
                ];
                vec![
                    self.open
                        .start([RUN, ""], "task run".into(), false, at, attributes),
                ]
            }
            "task_start" => {
                let attributes: Attributes = vec![
                    ("tos.task.id", task.as_str().into()),
                    ("tos.task.class", text("class").into()),
                ];
                let key = format!("task {task}");
                vec![
                    self.open
                        .start([&key, RUN], format!("task {task}"), false, at, attributes),
                ]
            }
            "agent_start" => vec![self.agent_started(&task, &text("agent"), at)],
            "task_exec_done" => self.agent_ended(&task, data, at),
            "agent_tool_call" => self.tool_call(&task, data, at),
            "agent_permission" if data["allowed"] == false => vec![TelemetryRecord::Counted {
                metric: Metric::Denials,
                by: 1,
                attributes: vec![("tos.denial.source", "agent".into())],
            }],
            "task_done" => self.task_ended(&text("outcome"), &text("reason"), &task, at),
            "run_complete" | "run_stopped" | "run_end" | "error" => self.run_ended(event.name, at),
            name if name.starts_with("run_") => self.run_ended(name, at),
            _ => Vec::new(),
        }
    }

    fn agent_started(&mut self, task: &str, agent: &str, at: Millis) -> TelemetryRecord {
        let attributes: Attributes = vec![
            ("gen_ai.operation.name", "invoke_agent".into()),
            ("gen_ai.agent.name", agent.into()),
            ("tos.task.id", task.into()),
        ];
        let keys = [format!("agent {task}"), format!("task {task}")];
        let name = format!("invoke_agent {agent}").trim().to_owned();
        self.open
            .start([&keys[0], &keys[1]], name, true, at, attributes)
    }

    fn agent_ended(&mut self, task: &str, data: &Value, at: Millis) -> Vec<TelemetryRecord> {
        let usage: Option<TokenUsage> =
            serde_json::from_value(data["usage"].clone()).ok().flatten();
        let mut attributes = usage.map(usage_attributes).unwrap_or_default();
        let mut of: Attributes = vec![
            ("gen_ai.operation.name", "invoke_agent".into()),
            (
                "gen_ai.provider.name",
                data["provider"].as_str().unwrap_or("unknown").into(),
            ),
        ];
        if let Some(model) = data["model"].as_str() {
            of.push(("gen_ai.request.model", model.into()));
        }
        attributes.extend(of.iter().skip(1).cloned());
        let dollars = data["micro_usd"].as_f64().map(|micro| micro / 1_000_000.0);
        attributes.extend(dollars.map(|dollars| ("tos.cost_usd", dollars.into())));
        let is_well = data.pointer("/exit/code").is_some_and(|code| *code == 0);
        let error = (!is_well).then(|| data["exit"].to_string());
        let Some((ended, seconds)) = self
            .open
            .end(&format!("agent {task}"), at, attributes, error)
        else {
            return Vec::new();
        };
        let mut records = vec![
            ended,
            TelemetryRecord::Measured {
                metric: Metric::OperationDuration,
                value: seconds,
                attributes: of.clone(),
            },
        ];
        records.extend(
            usage
                .into_iter()
                .flat_map(|usage| usage_measures(usage, &of)),
        );
        records.extend(dollars.map(|value| TelemetryRecord::Measured {
            metric: Metric::Cost,
            value,
            attributes: of,
        }));
        if let Some(by) = data["denials"].as_u64().filter(|count| *count > 0) {
            let attributes = vec![("tos.denial.source", "agent's own permissions".into())];
            records.push(TelemetryRecord::Counted {
                metric: Metric::Denials,
                by,
                attributes,
            });
        }
        records
    }

    fn tool_call(&mut self, task: &str, data: &Value, at: Millis) -> Vec<TelemetryRecord> {
        let text = |key: &str| data[key].as_str().unwrap_or_default();
        let key = format!("tool {task} {}", text("call"));
        let is_open = self.open.0.contains_key(&key);
        match text("status") {
            "completed" | "failed" => {
                let failed = text("status") == "failed";
                let error = failed.then(|| "the tool failed".to_owned());
                let ended = self.open.end(&key, at, Vec::new(), error);
                ended.into_iter().map(|(ended, _)| ended).collect()
            }
            _ if is_open => Vec::new(),
            _ => {
                let attributes: Attributes = vec![
                    ("gen_ai.operation.name", "execute_tool".into()),
                    ("gen_ai.tool.name", text("kind").into()),
                    ("gen_ai.tool.call.id", text("call").into()),
                    ("process.command_line", text("title").into()),
                ];
                let name = format!("execute_tool {}", text("kind")).trim().to_owned();
                let parent = format!("agent {task}");
                vec![
                    self.open
                        .start([&key, &parent], name, false, at, attributes),
                ]
            }
        }
    }

    fn task_ended(
        &mut self,
        outcome: &str,
        reason: &str,
        task: &str,
        at: Millis,
    ) -> Vec<TelemetryRecord> {
        let of: Attributes = vec![("tos.task.outcome", outcome.into())];
        let error = (outcome != "success").then(|| reason.to_owned());
        let Some((ended, seconds)) = self
            .open
            .end(&format!("task {task}"), at, of.clone(), error)
        else {
            return Vec::new();
        };
        let measured = TelemetryRecord::Measured {
            metric: Metric::TaskDuration,
            value: seconds,
            attributes: of,
        };
        vec![ended, measured]
    }

    fn run_ended(&mut self, name: &str, at: Millis) -> Vec<TelemetryRecord> {
        let error = (name != "run_complete").then(|| name.to_owned());
        let attributes = vec![("tos.run.outcome", name.into())];
        let ended = self.open.end(RUN, at, attributes, error);
        ended.into_iter().map(|(ended, _)| ended).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(name: &'static str, data: Value) -> RunEvent {
        RunEvent {
            run: "r".into(),
            session: "s".into(),
            name,
            data,
        }
    }

    fn recorded() -> Vec<(i64, RunEvent)> {
        let usage = json!({ "input": 1000, "output": 50, "cached_input": 200 });
        vec![
            (0, event("run_start", json!({ "list": "l" }))),
            (
                1,
                event("task_start", json!({ "task": "T-1", "class": "fix" })),
            ),
            (
                2,
                event("agent_start", json!({ "task": "T-1", "agent": "claude" })),
            ),
            (
                3,
                event(
                    "agent_tool_call",
                    json!({ "task": "T-1", "call": "c", "kind": "execute", "title": "ls", "status": "pending" }),
                ),
            ),
            (
                4,
                event(
                    "agent_tool_call",
                    json!({ "task": "T-1", "call": "c", "status": "in_progress" }),
                ),
            ),
            (
                5,
                event(
                    "agent_tool_call",
                    json!({ "task": "T-1", "call": "c", "status": "completed" }),
                ),
            ),
            (
                6,
                event(
                    "agent_permission",
                    json!({ "task": "T-1", "allowed": false }),
                ),
            ),
            (
                7,
                event(
                    "task_exec_done",
                    json!({ "task": "T-1", "exit": { "how": "code", "code": 0 }, "usage": usage,
                "micro_usd": 2_000_000, "denials": 0, "provider": "anthropic", "model": "m" }),
                ),
            ),
            (
                8,
                event(
                    "task_done",
                    json!({ "task": "T-1", "outcome": "failed", "reason": "why" }),
                ),
            ),
            (9, event("run_stopped", json!({}))),
        ]
    }

    #[test]
    fn a_task_holds_its_agent_whose_tokens_and_cost_are_measured() {
        let mut session = SessionTelemetry::default();
        let mut all = Vec::new();
        for (at, event) in recorded() {
            all.extend(session.on_event(&event, at));
        }
        let started = all.iter().filter_map(|record| {
            let TelemetryRecord::SpanStarted { name, parent, .. } = record else {
                return None;
            };
            Some((name.as_str(), parent.as_deref()))
        });
        let started: Vec<_> = started.collect();
        assert_eq!(
            started,
            [
                ("task run", None),
                ("task T-1", Some("run")),
                ("invoke_agent claude", Some("task T-1")),
                ("execute_tool execute", Some("agent T-1"))
            ]
        );
        let ended = all
            .iter()
            .filter(|record| matches!(record, TelemetryRecord::SpanEnded { .. }));
        assert_eq!(ended.count(), 4, "every span ends once: {all:#?}");
        let measured = |wanted: Metric| {
            let values = all.iter().filter_map(move |record| {
                let TelemetryRecord::Measured { metric, value, .. } = record else {
                    return None;
                };
                (*metric == wanted).then_some(*value)
            });
            values.collect::<Vec<f64>>()
        };
        assert_eq!(measured(Metric::Tokens), [1000.0, 50.0]);
        assert_eq!(measured(Metric::Cost), [2.0]);
        assert_eq!(measured(Metric::OperationDuration), [0.005]);
        let denied = all.iter().any(|record| {
            matches!(
                record,
                TelemetryRecord::Counted {
                    metric: Metric::Denials,
                    by: 1,
                    ..
                }
            )
        });
        assert!(denied);
    }
}
