//! `logs`: what tasks printed, byte for byte where it can be, never folded and never interpreted.

use std::{io, io::Write, time::Duration};

use serde_json::json;

use super::{PlanCliError, PlanCommands, args::LogsArgs};
use crate::{
    domain::plan::{
        TaskIndex,
        state::{RunState, TaskStatus},
    },
    interfaces::cli::{commands::plan::standing, exit::CliExit},
    ports::plan_store::{LogStream, RunDir},
};

const STREAMS: [(LogStream, &str); 2] = [(LogStream::Out, "stdout"), (LogStream::Err, "stderr")];

/// Prints the ends of logs, and with `--follow` what is added to them.
pub(super) fn logs(args: &LogsArgs, context: PlanCommands<'_>) -> Result<CliExit, PlanCliError> {
    let home = context.home(args.name.home.home.as_deref())?;
    let mut run = context.plan_store.open(&home, &args.name.run)?;
    let state = run.state()?;
    let status = standing::settle_status(run.as_mut(), &state);
    let ids: Vec<&str> = match args.task.as_deref().filter(|id| !id.is_empty()) {
        None => state.created.tasks.iter().map(String::as_str).collect(),
        Some(id) => {
            let found = super::named(&state.created.tasks, id)?;
            found
                .into_iter()
                .map(|index| state.task_id(index))
                .collect()
        }
    };
    if context.printer.is_json() {
        return document(run.as_ref(), &state, &ids, args, context);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut places = Vec::new();
    for id in &ids {
        for (stream, name) in STREAMS {
            let (bytes, end) = run.log_tail(id, stream, args.tail as usize);
            writeln!(out, "--- {id} :: {name} ---")?;
            print(&mut out, said(&bytes, state.position(id), &state))?;
            places.push((*id, stream, name, end));
        }
    }
    out.flush()?;
    if args.follow {
        follow(run.as_ref(), &mut places, &mut out, status)?;
    }
    Ok(CliExit::Success)
}

/// Leaves out the line that announces an attempt where there was only one.
fn said<'a>(bytes: &'a [u8], task: Option<TaskIndex>, state: &RunState) -> &'a [u8] {
    let attempts = task
        .and_then(|task| state.task(task))
        .map(|task| task.attempts);
    let head = b"\n===== attempt 1 / 1 =====\n";
    match bytes.strip_prefix(head) {
        Some(rest) if attempts == Some(1) => rest,
        _ => bytes,
    }
}

/// Prints what tasks printed as one document.
fn document(
    run: &dyn RunDir,
    state: &RunState,
    ids: &[&str],
    args: &LogsArgs,
    context: PlanCommands<'_>,
) -> Result<CliExit, PlanCliError> {
    if args.follow {
        let why =
            "`--follow` has no end, so it cannot be one JSON document; leave out one of the two";
        return Err(PlanCliError::Usage(why.to_owned()));
    }
    let end = |id: &str, stream| {
        let (bytes, _) = run.log_tail(id, stream, args.tail as usize);
        String::from_utf8_lossy(said(&bytes, state.position(id), state)).into_owned()
    };
    let tasks: Vec<_> = ids
        .iter()
        .map(|id| json!({ "id": id, "stdout": end(id, LogStream::Out), "stderr": end(id, LogStream::Err) }))
        .collect();
    context
        .printer
        .document(&json!({ "run_id": run.id(), "tasks": tasks }));
    Ok(CliExit::Success)
}

fn print(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return writeln!(out, "(empty)");
    }
    out.write_all(String::from_utf8_lossy(bytes).as_bytes())?;
    if bytes.ends_with(b"\n") {
        Ok(())
    } else {
        writeln!(out)
    }
}

type Place<'a> = (&'a str, LogStream, &'a str, u64);

fn follow(
    run: &dyn RunDir,
    places: &mut [Place<'_>],
    out: &mut impl Write,
    status: TaskStatus,
) -> Result<(), PlanCliError> {
    let mut last: Option<(&str, &str)> = None;
    let mut is_over = status.is_over();
    loop {
        for (id, stream, name, from) in places.iter_mut() {
            loop {
                let bytes = run.log_since(id, *stream, *from);
                if bytes.is_empty() {
                    break;
                }
                *from += bytes.len() as u64;
                if last != Some((*id, *name)) {
                    writeln!(out, "--- {id} :: {name} ---")?;
                    last = Some((*id, *name));
                }
                out.write_all(String::from_utf8_lossy(&bytes).as_bytes())?;
            }
        }
        out.flush()?;
        // One more look after the end: what was printed last may only now be there.
        if is_over {
            return Ok(());
        }
        run.wait_for_change(Duration::from_millis(200));
        is_over = !run.is_live();
    }
}
