//! One line per event while a plan runs, and the summary afterwards.

use std::{io, io::Write};

use serde_json::{Value, json};

use crate::{
    domain::plan::{
        Plan, PlanTask,
        event::{AttemptEnded, PlanEvent},
        explain,
        graph::PlanGraph,
        state::{RunState, TaskState, TaskStatus},
    },
    interfaces::report::{
        Printer,
        plan::{format_duration, push_fmt, replace_control_chars, task_output},
        printer::TextStyle,
    },
    ports::plan_store::{LogStream, RunDir},
    services::plan::PlanObserver,
};

/// More skipped tasks than this are counted, not listed.
const LISTED: usize = 20;

/// Prints events as they are recorded.
pub(super) struct EventPrinter<'a> {
    printer: &'a Printer,
    is_quiet: bool,
    /// Whether workers begin the tasks, so that nobody here knows when.
    by_workers: bool,
}

impl<'a> EventPrinter<'a> {
    pub(super) const fn new(printer: &'a Printer, is_quiet: bool, by_workers: bool) -> Self {
        Self {
            printer,
            is_quiet,
            by_workers,
        }
    }
}

impl PlanObserver for EventPrinter<'_> {
    fn on_events(&mut self, plan: &Plan, state: &RunState, events: &[PlanEvent]) {
        let is_json = self.printer.is_json();
        if self.is_quiet && !is_json {
            return;
        }
        let text = &mut String::new();
        for event in events {
            if is_json {
                push_fmt(text, format_args!("{}\n", event_json(state, event)));
            } else {
                line(plan, state, event, self.by_workers, text);
            }
        }
        // A run is not ended by a closed pipe.
        if is_json {
            Printer::raw(text);
        } else {
            let painted: String = text
                .split_inclusive('\n')
                .map(|line| self.painted(line))
                .collect();
            drop(io::stderr().lock().write_all(painted.as_bytes()));
        }
    }
}

impl EventPrinter<'_> {
    /// Gives the first word of a line its colour.
    fn painted(&self, line: &str) -> String {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let tone = match word {
            "ok" | "cached" => TextStyle::Good,
            "FAILED" => TextStyle::Bad,
            "retry" | "allowed" | "cancel" | "canceled" => TextStyle::Warn,
            "start" | "queued" | "skipped" => TextStyle::Faint,
            _ => return line.to_owned(),
        };
        format!("{} {rest}", self.printer.paint(tone, word))
    }
}

/// Returns an event with the names of its tasks, as programs read it.
pub(super) fn event_json(state: &RunState, event: &PlanEvent) -> Value {
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
    state.task_id(index).into()
}

fn line(plan: &Plan, state: &RunState, event: &PlanEvent, by_workers: bool, text: &mut String) {
    match event {
        PlanEvent::Started(started) => {
            let again = if started.attempt > 1 {
                format!("  (attempt {})", started.attempt)
            } else {
                String::new()
            };
            let id = state.task_id(started.task);
            if by_workers {
                push_fmt(
                    text,
                    format_args!("queued   {id}{again}  waits for a worker\n"),
                );
            } else {
                push_fmt(text, format_args!("start    {id}{again}\n"));
            }
        }
        PlanEvent::Ended(ended) => text.push_str(&ended_line(plan, state, ended)),
        PlanEvent::Settled(settled) if settled.tasks.len() > LISTED => {
            let (count, status) = (settled.tasks.len(), settled.status.name());
            push_fmt(
                text,
                format_args!(
                    "{:<8} {count} tasks  {}\n",
                    status.to_lowercase(),
                    settled.reason.name()
                ),
            );
        }
        PlanEvent::Settled(settled) => {
            for task in &settled.tasks {
                let status = settled.status.name().to_lowercase();
                let why = explain::explain_status(plan, state, *task);
                let why = why.unwrap_or_else(|| settled.reason.name().to_owned());
                push_fmt(
                    text,
                    format_args!(
                        "{status:<8} {}  {}\n",
                        state.task_id(*task),
                        replace_control_chars(&why)
                    ),
                );
            }
        }
        PlanEvent::CancelRequested { .. } => {
            text.push_str("cancel   requested; ending what runs; a second Ctrl-C kills it\n");
        }
        PlanEvent::Created(_) | PlanEvent::Opened(_) | PlanEvent::Closed(_) => {}
    }
}

fn ended_line(plan: &Plan, state: &RunState, ended: &AttemptEnded) -> String {
    let is_allowed = plan.task(ended.task).is_some_and(PlanTask::allow_failure);
    let word = match ended.status {
        TaskStatus::Success if ended.cached => "cached",
        TaskStatus::Success => "ok",
        TaskStatus::Ready => "retry",
        TaskStatus::Canceled => "canceled",
        _ if is_allowed => "allowed",
        _ => "FAILED",
    };
    let mut line = format!("{word:<8} {}", state.task_id(ended.task));
    // What never began took no time.
    if ended.us > 0 || ended.status != TaskStatus::Canceled {
        push_fmt(&mut line, format_args!("  {}", format_duration(ended.us)));
    }
    if let Some(code) = ended.code.filter(|code| *code != 0) {
        let (kind, number) = if code < 0 {
            ("signal", code.unsigned_abs())
        } else {
            ("exit", code.unsigned_abs())
        };
        push_fmt(&mut line, format_args!("  {kind} {number}"));
    }
    if ended.timed_out {
        let limit = plan.task(ended.task).and_then(|task| task.timeout_sec);
        match limit.filter(|_| ended.message.is_none()) {
            Some(limit) => push_fmt(&mut line, format_args!("  timed out after {limit} s")),
            None => line.push_str("  timed out"),
        }
    }
    if let Some(message) = &ended.message {
        push_fmt(
            &mut line,
            format_args!("  {}", replace_control_chars(message)),
        );
    }
    if let Some(wait) = ended.wait_ms {
        push_fmt(
            &mut line,
            format_args!(
                "  next attempt in {}",
                format_duration(wait.saturating_mul(1000))
            ),
        );
    }
    line.push('\n');
    line
}

/// Prints what a person wants to know at the end, on stderr.
pub(super) fn print_summary(plan: &Plan, state: &RunState, run: &dyn RunDir) {
    let text = &mut String::from("\n");
    let counts: Vec<String> = state
        .status_counts()
        .into_iter()
        .map(|(status, count)| format!("{count} {}", status.name()))
        .collect();
    push_fmt(
        text,
        format_args!("{} tasks: {}\n", plan.tasks.len(), counts.join(", ")),
    );
    let cost = |task| state.task(task).and_then(|task| task.took_us).unwrap_or(0);
    if let Some(allowed) = explain::allowed_failures(plan, state) {
        push_fmt(text, format_args!("{}\n", replace_control_chars(&allowed)));
    }
    let (path, total) = PlanGraph::of(plan).critical_path(cost);
    if path.len() > 1 && total > 0 {
        let ids: Vec<&str> = path.iter().map(|task| state.task_id(*task)).collect();
        let shown = match ids.as_slice() {
            [first, .., last] if ids.len() > 8 => {
                format!("{first} -> … {} more … -> {last}", ids.len() - 2)
            }
            _ => ids.join(" -> "),
        };
        push_fmt(
            text,
            format_args!("critical path {}: {shown}\n", format_duration(total)),
        );
    }
    let has_begun = |task: &TaskState, us: u64| us > 0 || task.status != TaskStatus::Canceled;
    let mut slow: Vec<(u64, &str)> = state
        .entries()
        .filter_map(|(_, id, task)| Some((task.took_us.filter(|us| has_begun(task, *us))?, id)))
        .collect();
    slow.sort_unstable_by(|left, right| right.cmp(left));
    if slow.len() > 1 {
        let slowest: Vec<String> = slow
            .iter()
            .take(3)
            .map(|(us, id)| format!("{id} {}", format_duration(*us)))
            .collect();
        push_fmt(text, format_args!("slowest: {}\n", slowest.join(", ")));
    }
    printed(state, run, text);
    // The result itself goes to stdout.
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// Shows the end of what failed tasks printed.
fn printed(state: &RunState, run: &dyn RunDir, text: &mut String) {
    // A program that did not start has printed nothing but what its line has said.
    let has_printed = |task: &TaskState| task.message().is_none() || task.timed_out;
    for (_, id, _) in state
        .entries()
        .filter(|(_, _, task)| task.status == TaskStatus::Failed && has_printed(task))
        .take(5)
    {
        let end = |stream| task_output(&run.log_tail(id, stream, 10).0);
        let (tail, from) = match end(LogStream::Err) {
            tail if tail.is_empty() => (end(LogStream::Out), "stdout"),
            tail => (tail, "stderr"),
        };
        if tail.is_empty() {
            continue;
        }
        push_fmt(
            text,
            format_args!("\n{id} failed; the end of its {from}:\n"),
        );
        for line in tail.lines() {
            push_fmt(text, format_args!("  | {}\n", replace_control_chars(line)));
        }
    }
}
