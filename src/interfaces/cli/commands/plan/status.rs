//! `list`, `status`, `cancel`, `report`: everything that looks at runs without running a task.

use std::{io, io::Write, time::Duration};

use super::{
    PlanCliError, PlanCommands,
    args::{ListArgs, ReportArgs, RunName, StatusArgs},
    table, watch,
};
use crate::{
    domain::plan::{
        Plan,
        event::Millis,
        explain,
        state::{RunState, TaskState, TaskStatus},
        view::{RunView, ViewDetail, format_timestamp, micros_to_seconds},
    },
    interfaces::{
        cli::{
            commands::plan::standing::{settle_status, unread_status},
            exit::CliExit,
        },
        report::{Printer, plan as report, plan::html},
    },
};

/// A longer table shows only what needs attention.
const MOST_ROWS: usize = 200;

/// Lists runs.
pub(super) fn list(args: &ListArgs, context: PlanCommands<'_>) -> Result<CliExit, PlanCliError> {
    let home = context.home(args.home.home.as_deref())?;
    let mut rows = vec![["run_id", "status", "tasks", "ok", "created", "goal"].map(str::to_owned)];
    let mut documents = Vec::new();
    for name in context.plan_store.runs(&home)? {
        let mut run = context.plan_store.open(&home, &name)?;
        let Ok(state) = run.state() else {
            let status = unread_status(run.as_ref());
            rows.push([name.as_str(), status, "-", "-", "-", "-"].map(str::to_owned));
            documents.push(serde_json::json!({"run_id": name, "status": status}));
            continue;
        };
        let status = settle_status(run.as_mut(), &state).name();
        let (tasks, good) = (state.tasks.len(), state.count(TaskStatus::Success));
        let created = format_timestamp(state.created.at, state.created.offset_minutes);
        let goal = state.created.goal.clone().unwrap_or_default();
        documents.push(serde_json::json!({
            "run_id": name, "status": status, "tasks": tasks, "succeeded": good, "created_at": created, "goal": goal,
        }));
        rows.push([
            name,
            status.to_owned(),
            tasks.to_string(),
            good.to_string(),
            created,
            report::replace_control_chars(&goal),
        ]);
    }
    if context.printer.is_json() {
        context.printer.document(&documents.into());
    } else {
        table::print(&mut io::stdout().lock(), &rows)?;
    }
    Ok(CliExit::Success)
}

/// Shows how a run stands.
pub(super) fn status(
    args: &StatusArgs,
    context: PlanCommands<'_>,
) -> Result<CliExit, PlanCliError> {
    let home = context.home(args.name.home.home.as_deref())?;
    let mut run = context.plan_store.open(&home, &args.name.run)?;
    if args.watch
        && watch::can_watch(context)
        && let Some(mut terminal) = context.services.terminal()
    {
        watch::watch(context, run.as_mut(), terminal.as_mut(), None)?;
        return Ok(CliExit::Success);
    }
    loop {
        // The plan first: what reading it takes is free again when the state is read.
        let plan = run.plan()?;
        let state = run.state()?;
        let status = settle_status(run.as_mut(), &state);
        if context.printer.is_json() {
            let home = context
                .services
                .self_process()
                .absolute(&home)
                .display()
                .to_string();
            let view = RunView {
                plan: &plan,
                state: &state,
                home: &home,
                status,
                detail: ViewDetail::Full,
            };
            print(&view)?;
            return Ok(CliExit::Success);
        }
        let now = context.clock.now().timestamp_millis();
        table(&plan, &state, status, now, args.all)?;
        if !args.watch || !matches!(status, TaskStatus::Running) {
            return Ok(CliExit::Success);
        }
        run.wait_for_change(Duration::from_secs(1));
    }
}

/// Prints a document that may be large.
fn print(document: &impl serde::Serialize) -> Result<(), PlanCliError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, document).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

fn table(
    plan: &Plan,
    state: &RunState,
    status: TaskStatus,
    now: Millis,
    all: bool,
) -> Result<(), PlanCliError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let id = &state.created.run_id;
    writeln!(out, "run_id: {id}\nstate: {}", status.name())?;
    if let Some(allowed) = explain::allowed_failures(plan, state) {
        writeln!(out, "allowed: {}", report::replace_control_chars(&allowed))?;
    }
    if status == TaskStatus::Interrupted {
        writeln!(out, "next: tos plan resume {id}")?;
    }
    writeln!(out, "elapsed: {}", elapsed(state, status, now))?;
    if let Some(goal) = &state.created.goal {
        writeln!(out, "goal: {}", report::replace_control_chars(goal))?;
    }
    let confinement = state
        .opened
        .as_ref()
        .and_then(|opened| opened.confinement.as_deref());
    if let Some(sentence) = confinement {
        writeln!(
            out,
            "confinement: {}",
            report::replace_control_chars(sentence)
        )?;
    }
    let counted: Vec<String> = state
        .status_counts()
        .into_iter()
        .map(|(status, count)| format!("{count} {}", status.name()))
        .collect();
    writeln!(
        out,
        "tasks: {} ({})\n",
        state.tasks.len(),
        counted.join(", ")
    )?;
    let (rows, is_long) = rows(plan, state, status, now, all);
    if rows.len() > 1 {
        table::print(&mut out, &rows)?;
    }
    if is_long {
        writeln!(
            out,
            "\n{} tasks that wait, succeeded or were skipped are not listed; `--all` lists them",
            state.tasks.len() + 1 - rows.len()
        )?;
    }
    Ok(out.flush()?)
}

/// Returns how long the newest execution of a run has taken, until `now` while it is under way.
fn elapsed(state: &RunState, status: TaskStatus, now: Millis) -> String {
    let began = state
        .opened
        .as_ref()
        .map_or(state.created.at, |opened| opened.at);
    let end = if status == TaskStatus::Running {
        now
    } else {
        state.updated_at
    };
    let millis = u64::try_from(end.saturating_sub(began)).unwrap_or(0);
    report::format_duration(millis.saturating_mul(1000))
}

/// Returns the rows of the table, and whether some are left out because there are too many.
fn rows(
    plan: &Plan,
    state: &RunState,
    status: TaskStatus,
    now: Millis,
    all: bool,
) -> (Vec<[String; 6]>, bool) {
    let is_long = state.tasks.len() > MOST_ROWS && !all;
    let needs_attention = |task: &TaskState| {
        !matches!(
            task.status,
            TaskStatus::Success | TaskStatus::Pending | TaskStatus::Skipped
        )
    };
    let mut rows = vec![
        [
            "task_id",
            "status",
            "attempts",
            "duration_sec",
            "exit_code",
            "reason",
        ]
        .map(str::to_owned),
    ];
    let shown = state
        .entries()
        .filter(|(_, _, task)| !is_long || needs_attention(task));
    for (index, id, task) in shown.take(if all { usize::MAX } else { MOST_ROWS }) {
        // Whoever would have written its end is dead.
        let is_dead = status == TaskStatus::Interrupted && task.status == TaskStatus::Running;
        let word = if is_dead {
            TaskStatus::Interrupted.name()
        } else {
            task.word()
        };
        rows.push([
            id.to_owned(),
            word.to_owned(),
            task.attempts.to_string(),
            (!is_dead)
                .then(|| explain::elapsed_micros(task, now))
                .flatten()
                .map_or_else(
                    || "-".to_owned(),
                    |us| format!("{:.3}", micros_to_seconds(us)),
                ),
            report::exit_code_text(task),
            explain::explain_status(plan, state, index).map_or_else(
                || "-".to_owned(),
                |explain_status| report::replace_control_chars(&explain_status),
            ),
        ]);
    }
    (rows, is_long)
}

/// Asks a run to end; one that is over has nobody to ask.
pub(super) fn cancel(name: &RunName, context: PlanCommands<'_>) -> Result<CliExit, PlanCliError> {
    let home = context.home(name.home.home.as_deref())?;
    let run = context.plan_store.open(&home, &name.run)?;
    // A run that cannot be read may still be under way, and one that begins or goes on is open or alive.
    let over = (!run.is_live())
        .then(|| run.state().ok())
        .flatten()
        .map(|state| state.status)
        .filter(|status| status.is_over());
    let id = run.id();
    if let Some(status) = over {
        let status = status.name();
        context
            .printer
            .line(&format!("nothing to cancel: {id} is over ({status})"));
        context.printer.document(
            &serde_json::json!({ "run_id": id, "cancel_requested": false, "status": status }),
        );
        return Ok(CliExit::Success);
    }
    run.request_cancel()?;
    context.printer.line(&format!("cancel requested: {id}"));
    context
        .printer
        .document(&serde_json::json!({ "run_id": id, "cancel_requested": true }));
    Ok(CliExit::Success)
}

/// Shows the report of a run.
pub(super) fn report(
    args: &ReportArgs,
    context: PlanCommands<'_>,
) -> Result<CliExit, PlanCliError> {
    let home = context.home(args.name.home.home.as_deref())?;
    let mut run = context.plan_store.open(&home, &args.name.run)?;
    let plan = run.plan()?;
    let mut state = run.state()?;
    state.status = settle_status(run.as_mut(), &state);
    if args.html {
        let page = html::page(&plan, &state, run.as_ref());
        let path = run.write_report("report.html", &page)?;
        context.printer.line(&format!("report: {}", path.display()));
        let document = serde_json::json!({ "run_id": run.id(), "report": path });
        context.printer.document(&document);
    } else if context.printer.is_json() {
        let view = RunView {
            plan: &plan,
            state: &state,
            home: &context
                .services
                .self_process()
                .absolute(&home)
                .display()
                .to_string(),
            status: state.status,
            detail: ViewDetail::Full,
        };
        print(&view)?;
    } else {
        Printer::raw(&report::markdown(&plan, &state, run.as_ref()));
    }
    Ok(CliExit::Success)
}
