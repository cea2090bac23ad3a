//! `list`, `status`, `cancel`, `report`: everything that looks at runs without running a task.

use std::{
    io::{self, Write},
    time::Duration,
};

use super::{
    Desk, Trouble,
    args::{ListArgs, ReportArgs, RunName, StatusArgs},
    table, watch,
};
use crate::{
    domain::plan::{
        Plan,
        event::Millis,
        explain,
        state::{RunState, Status, TaskState},
        view::{Detail, View, moment, seconds},
    },
    interfaces::{
        cli::exit::Exit,
        report::{Printer, plan as report, plan_html},
    },
    ports::plan_store::RunDir,
};

/// A longer table shows only what needs attention.
const MOST_ROWS: usize = 200;

/// Returns how a run stands. A run whose runner is dead is interrupted; what that runner left is ended here.
pub(super) fn standing(run: &mut dyn RunDir, state: &RunState) -> Status {
    let is_open = matches!(state.status, Status::Running | Status::Pending);
    if !is_open || run.is_live() {
        return state.status;
    }
    if run.lock().is_ok() {
        run.end_orphans();
        run.unlock();
    }
    Status::Interrupted
}

/// Lists runs.
pub(super) fn list(args: &ListArgs, desk: Desk<'_>) -> Result<Exit, Trouble> {
    let home = desk.shelf.home(args.home.home.as_deref())?;
    let mut rows = vec![["run_id", "status", "tasks", "ok", "created", "goal"].map(str::to_owned)];
    let mut documents = Vec::new();
    for name in desk.shelf.runs(&home)? {
        let mut run = desk.shelf.open(&home, &name)?;
        let Ok(state) = run.state() else {
            rows.push([name.as_str(), "DAMAGED", "-", "-", "-", "-"].map(str::to_owned));
            documents.push(serde_json::json!({"run_id": name, "status": "DAMAGED"}));
            continue;
        };
        let status = standing(run.as_mut(), &state).name();
        let (tasks, good) = (state.tasks.len(), state.count(Status::Success));
        let created = moment(state.created.at, state.created.offset_minutes);
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
            report::clean(&goal),
        ]);
    }
    if desk.printer.is_json() {
        desk.printer.document(&documents.into());
    } else {
        table::print(&mut io::stdout().lock(), &rows)?;
    }
    Ok(Exit::Success)
}

/// Shows how a run stands.
pub(super) fn status(args: &StatusArgs, desk: Desk<'_>) -> Result<Exit, Trouble> {
    let home = desk.shelf.home(args.name.home.home.as_deref())?;
    let mut run = desk.shelf.open(&home, &args.name.run)?;
    if args.watch
        && watch::is_wanted(desk)
        && let Some(mut terminal) = desk.kit.terminal()
    {
        watch::watch(desk, run.as_mut(), terminal.as_mut(), None)?;
        return Ok(Exit::Success);
    }
    loop {
        let state = run.state()?;
        let status = standing(run.as_mut(), &state);
        if desk.printer.is_json() {
            let home = desk.kit.itself().absolute(&home).display().to_string();
            let view = View {
                plan: &run.plan()?,
                state: &state,
                home: &home,
                status,
                detail: Detail::Full,
            };
            print(&view)?;
            return Ok(Exit::Success);
        }
        let now = desk.clock.now().timestamp_millis();
        let plan = run.plan()?;
        table(&plan, &state, status, now, args.all)?;
        if !args.watch || !matches!(status, Status::Running) {
            return Ok(Exit::Success);
        }
        run.wait_for_change(Duration::from_secs(1));
    }
}

/// Prints a document that may be large.
fn print(document: &impl serde::Serialize) -> Result<(), Trouble> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, document).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

fn table(
    plan: &Plan,
    state: &RunState,
    status: Status,
    now: Millis,
    all: bool,
) -> Result<(), Trouble> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let id = &state.created.run_id;
    writeln!(out, "run_id: {id}\nstate: {}", status.name())?;
    if let Some(allowed) = explain::allowed(plan, state) {
        writeln!(out, "allowed: {}", report::clean(&allowed))?;
    }
    if status == Status::Interrupted {
        writeln!(out, "next: tos plan resume {id}")?;
    }
    writeln!(out, "elapsed: {}", elapsed(state, status, now))?;
    if let Some(goal) = &state.created.goal {
        writeln!(out, "goal: {}", report::clean(goal))?;
    }
    let confinement = state
        .opened
        .as_ref()
        .and_then(|opened| opened.confinement.as_deref());
    if let Some(sentence) = confinement {
        writeln!(out, "confinement: {}", report::clean(sentence))?;
    }
    let counted: Vec<String> = state
        .counts()
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

/// Returns how long the newest passage of a run has taken, until `now` while it is under way.
fn elapsed(state: &RunState, status: Status, now: Millis) -> String {
    let began = state
        .opened
        .as_ref()
        .map_or(state.created.at, |opened| opened.at);
    let end = if status == Status::Running {
        now
    } else {
        state.updated_at
    };
    let millis = u64::try_from(end.saturating_sub(began)).unwrap_or(0);
    report::duration(millis.saturating_mul(1000))
}

/// Returns the rows of the table, and whether some are left out because there are too many.
fn rows(
    plan: &Plan,
    state: &RunState,
    status: Status,
    now: Millis,
    all: bool,
) -> (Vec<[String; 6]>, bool) {
    let is_long = state.tasks.len() > MOST_ROWS && !all;
    let needs_attention = |task: &TaskState| {
        !matches!(
            task.status,
            Status::Success | Status::Pending | Status::Skipped
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
        let is_dead = status == Status::Interrupted && task.status == Status::Running;
        let word = if is_dead {
            Status::Interrupted.name()
        } else {
            task.word()
        };
        rows.push([
            id.to_owned(),
            word.to_owned(),
            task.attempts.to_string(),
            (!is_dead)
                .then(|| explain::took(task, now))
                .flatten()
                .map_or_else(|| "-".to_owned(), |us| format!("{:.3}", seconds(us))),
            report::code(task),
            explain::why(plan, state, index)
                .map_or_else(|| "-".to_owned(), |why| report::clean(&why)),
        ]);
    }
    (rows, is_long)
}

/// Asks a run to end; one that is over has nobody to ask.
pub(super) fn cancel(name: &RunName, desk: Desk<'_>) -> Result<Exit, Trouble> {
    let home = desk.shelf.home(name.home.home.as_deref())?;
    let run = desk.shelf.open(&home, &name.run)?;
    // A run that cannot be read may still be under way, and one that begins or goes on is open or alive.
    let over = (!run.is_live())
        .then(|| run.state().ok())
        .flatten()
        .map(|state| state.status)
        .filter(|status| status.is_over());
    let id = run.id();
    if let Some(status) = over {
        let status = status.name();
        desk.printer
            .line(&format!("nothing to cancel: {id} is over ({status})"));
        desk.printer.document(
            &serde_json::json!({ "run_id": id, "cancel_requested": false, "status": status }),
        );
        return Ok(Exit::Success);
    }
    run.request_cancel()?;
    desk.printer.line(&format!("cancel requested: {id}"));
    desk.printer
        .document(&serde_json::json!({ "run_id": id, "cancel_requested": true }));
    Ok(Exit::Success)
}

/// Shows the report of a run.
pub(super) fn report(args: &ReportArgs, desk: Desk<'_>) -> Result<Exit, Trouble> {
    let home = desk.shelf.home(args.name.home.home.as_deref())?;
    let mut run = desk.shelf.open(&home, &args.name.run)?;
    let mut state = run.state()?;
    state.status = standing(run.as_mut(), &state);
    let plan = run.plan()?;
    if args.html {
        let page = plan_html::page(&plan, &state, run.as_ref());
        let path = run.write_report("report.html", &page)?;
        desk.printer.line(&format!("report: {}", path.display()));
        let document = serde_json::json!({ "run_id": run.id(), "report": path });
        desk.printer.document(&document);
    } else if desk.printer.is_json() {
        let view = View {
            plan: &plan,
            state: &state,
            home: &desk.kit.itself().absolute(&home).display().to_string(),
            status: state.status,
            detail: Detail::Full,
        };
        print(&view)?;
    } else {
        Printer::raw(&report::markdown(&plan, &state, run.as_ref()));
    }
    Ok(Exit::Success)
}
