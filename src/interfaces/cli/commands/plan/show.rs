//! One line per event while a plan runs, and the summary afterwards.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{
    domain::plan::{
        Plan,
        event::{Ended, Event},
        graph::Graph,
        state::{RunState, Status},
    },
    interfaces::report::plan::{clean, duration, push, said},
    ports::plan_store::{RunDir, Stream},
    services::plan_runner::Watcher,
};

/// More skipped tasks than this are counted, not listed.
const LISTED: usize = 20;

/// Prints events as they are recorded.
pub(super) struct Lines {
    is_json: bool,
    is_quiet: bool,
}

impl Lines {
    pub(super) const fn new(is_json: bool, is_quiet: bool) -> Self {
        Self { is_json, is_quiet }
    }
}

impl Watcher for Lines {
    fn saw(&mut self, _plan: &Plan, state: &RunState, events: &[Event]) {
        if self.is_quiet && !self.is_json {
            return;
        }
        let text = &mut String::new();
        for event in events {
            if self.is_json {
                push(text, format_args!("{}\n", wire(state, event)));
            } else {
                line(state, event, text);
            }
        }
        // A run is not ended by a closed pipe.
        drop(if self.is_json {
            io::stdout().lock().write_all(text.as_bytes())
        } else {
            io::stderr().lock().write_all(text.as_bytes())
        });
    }
}

/// Returns an event with the names of its tasks, as programs read it.
pub(super) fn wire(state: &RunState, event: &Event) -> Value {
    let mut value = json!({});
    let Ok(Value::Object(tagged)) = serde_json::to_value(event) else {
        return value;
    };
    for (kind, body) in tagged {
        value["event"] = kind.into();
        let Value::Object(body) = body else { continue };
        for (key, item) in body {
            value[&key] = match (key.as_str(), &item) {
                ("task", Value::Number(index)) => name(state, index.as_u64()),
                ("tasks" | "again", Value::Array(items)) if items.iter().all(Value::is_number) => {
                    items
                        .iter()
                        .map(|index| name(state, index.as_u64()))
                        .collect()
                }
                _ => item,
            };
        }
    }
    value
}

fn name(state: &RunState, index: Option<u64>) -> Value {
    let index = index
        .and_then(|index| u32::try_from(index).ok())
        .unwrap_or(u32::MAX);
    state.id(index).into()
}

fn line(state: &RunState, event: &Event, text: &mut String) {
    match event {
        Event::Started(started) => {
            let again = if started.attempt > 1 {
                format!("  (attempt {})", started.attempt)
            } else {
                String::new()
            };
            push(
                text,
                format_args!("start    {}{again}\n", state.id(started.task)),
            );
        }
        Event::Ended(ended) => text.push_str(&ended_line(state, ended)),
        Event::Settled(settled) if settled.tasks.len() > LISTED => {
            let (count, status) = (settled.tasks.len(), settled.status.name());
            push(
                text,
                format_args!(
                    "{:<8} {count} tasks  {}\n",
                    status.to_lowercase(),
                    settled.reason.name()
                ),
            );
        }
        Event::Settled(settled) => {
            for task in &settled.tasks {
                let (status, reason) =
                    (settled.status.name().to_lowercase(), settled.reason.name());
                push(
                    text,
                    format_args!("{status:<8} {}  {reason}\n", state.id(*task)),
                );
            }
        }
        Event::CancelRequested { .. } => text.push_str("cancel   requested; ending what runs\n"),
        Event::Created(_) | Event::Opened(_) | Event::Closed(_) => {}
    }
}

fn ended_line(state: &RunState, ended: &Ended) -> String {
    let word = match ended.status {
        Status::Success if ended.cached => "cached",
        Status::Success => "ok",
        Status::Ready => "retry",
        Status::Canceled => "canceled",
        _ => "FAILED",
    };
    let mut line = format!("{word:<8} {}  {}", state.id(ended.task), duration(ended.us));
    if let Some(code) = ended.code.filter(|code| *code != 0) {
        let (kind, number) = if code < 0 {
            ("signal", code.unsigned_abs())
        } else {
            ("exit", code.unsigned_abs())
        };
        push(&mut line, format_args!("  {kind} {number}"));
    }
    if ended.timed_out {
        line.push_str("  timed out");
    }
    if let Some(message) = &ended.message {
        push(&mut line, format_args!("  {}", clean(message)));
    }
    if let Some(wait) = ended.wait_ms {
        push(
            &mut line,
            format_args!("  next attempt in {}", duration(wait.saturating_mul(1000))),
        );
    }
    line.push('\n');
    line
}

/// Prints what a person wants to know at the end, on stderr.
pub(super) fn summary(plan: &Plan, state: &RunState, run: &dyn RunDir) {
    let text = &mut String::from("\n");
    let counts: Vec<String> = state
        .counts()
        .into_iter()
        .map(|(status, count)| format!("{count} {}", status.name()))
        .collect();
    push(
        text,
        format_args!("{} tasks: {}\n", plan.tasks.len(), counts.join(", ")),
    );
    let cost = |task| state.task(task).and_then(|task| task.took_us).unwrap_or(0);
    let (path, total) = Graph::of(plan).critical_path(cost);
    if path.len() > 1 {
        let ids: Vec<&str> = path.iter().map(|task| state.id(*task)).collect();
        let shown = match ids.as_slice() {
            [first, .., last] if ids.len() > 8 => {
                format!("{first} -> … {} more … -> {last}", ids.len() - 2)
            }
            _ => ids.join(" -> "),
        };
        push(
            text,
            format_args!("critical path {}: {shown}\n", duration(total)),
        );
    }
    let mut slow: Vec<(u64, &str)> = state
        .entries()
        .filter_map(|(_, id, task)| Some((task.took_us?, id)))
        .collect();
    slow.sort_unstable_by(|left, right| right.cmp(left));
    if slow.len() > 1 {
        let slowest: Vec<String> = slow
            .iter()
            .take(3)
            .map(|(us, id)| format!("{id} {}", duration(*us)))
            .collect();
        push(text, format_args!("slowest: {}\n", slowest.join(", ")));
    }
    for (_, id, _) in state
        .entries()
        .filter(|(_, _, task)| task.status == Status::Failed)
        .take(5)
    {
        let end = |stream| said(&run.log_tail(id, stream, 10).0);
        let (tail, from) = match end(Stream::Err) {
            tail if tail.is_empty() => (end(Stream::Out), "stdout"),
            tail => (tail, "stderr"),
        };
        if tail.is_empty() {
            continue;
        }
        push(
            text,
            format_args!("\n{id} failed; the end of its {from}:\n"),
        );
        for line in tail.lines() {
            push(text, format_args!("  | {}\n", clean(line)));
        }
    }
    // The result itself goes to stdout.
    drop(io::stderr().lock().write_all(text.as_bytes()));
}
