//! `logs`: what tasks printed, byte for byte where it can be, never folded and never interpreted.

use std::{
    io::{self, Write},
    time::Duration,
};

use super::{Desk, Trouble, args::LogsArgs, look};
use crate::{
    domain::plan::state::Status,
    interfaces::cli::exit::Exit,
    ports::plan_store::{RunDir, Stream},
};

const STREAMS: [(Stream, &str); 2] = [(Stream::Out, "stdout"), (Stream::Err, "stderr")];

/// Prints the ends of logs, and with `--follow` what is added to them.
pub(super) fn logs(args: &LogsArgs, desk: Desk<'_>) -> Result<Exit, Trouble> {
    let home = desk.shelf.home(args.name.home.home.as_deref())?;
    let mut run = desk.shelf.open(&home, &args.name.run)?;
    let state = run.state()?;
    let status = look::standing(run.as_mut(), &state);
    let ids: Vec<&str> = match args.task.as_deref().filter(|id| !id.is_empty()) {
        None => state.created.tasks.iter().map(String::as_str).collect(),
        Some(id) => {
            let found = state.created.tasks.iter().find(|known| *known == id);
            let found = found
                .ok_or_else(|| Trouble::Usage(format!("run {} has no task `{id}`", run.id())))?;
            vec![found]
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut places = Vec::new();
    for id in &ids {
        for (stream, name) in STREAMS {
            let (bytes, end) = run.log_tail(id, stream, args.tail as usize);
            writeln!(out, "--- {id} :: {name} ---")?;
            print(&mut out, &bytes)?;
            places.push((*id, stream, name, end));
        }
    }
    out.flush()?;
    if args.follow {
        follow(run.as_ref(), &mut places, &mut out, status)?;
    }
    Ok(Exit::Success)
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

type Place<'a> = (&'a str, Stream, &'a str, u64);

fn follow(
    run: &dyn RunDir,
    places: &mut [Place<'_>],
    out: &mut impl Write,
    status: Status,
) -> Result<(), Trouble> {
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
