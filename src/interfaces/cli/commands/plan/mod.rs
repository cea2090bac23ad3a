//! `tos plan`: plans and their runs.
//!
//! | code | when |
//! | --- | --- |
//! | 0 | everything succeeded, or the question was answered |
//! | 1 | the disk is full or broken, or standard output cannot be written |
//! | 2 | wrong usage, wrong plan, unknown or damaged run |
//! | 3 | something failed or was skipped; or somebody else works on the run |
//! | 4 | canceled |

pub(super) mod agents;
mod args;
mod dod;
mod edited;
mod enforce;
mod gc;
mod graph;
mod logs;
mod look;
mod run;
mod schema;
mod show;
mod table;
mod telling;
mod watch;

use std::io;

pub use args::{DodArgs, PlanArgs, Verb};
pub use dod::main as dod_main;

use crate::{
    domain::plan::{Plan, TaskIndex, doubts, explain, state::Status},
    interfaces::{
        cli::{args::Global, exit::Exit, kit::Kit},
        report::Printer,
    },
    ports::{
        clock::Clock,
        plan_store::{Error, LoadError, Shelf},
    },
};

/// What the commands work with.
#[derive(Clone, Copy)]
struct Desk<'a> {
    shelf: &'a dyn Shelf,
    clock: &'a dyn Clock,
    printer: &'a Printer,
    is_quiet: bool,
    kit: &'a dyn Kit,
    global: &'a Global,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Plan(#[from] LoadError),
    #[error(transparent)]
    Run(#[from] Error),
    #[error("{0}")]
    Usage(String),
    /// A child has already said what is wrong.
    #[error("the run could not be started")]
    Said(i32),
    #[error("could not print")]
    Print(#[from] io::Error),
}

/// Runs `tos plan`.
pub fn main(args: &PlanArgs, global: &Global, kit: &dyn Kit, printer: &Printer) -> Exit {
    let (shelf, clock) = (kit.shelf(), kit.clock());
    let desk = Desk {
        shelf: shelf.as_ref(),
        clock: clock.as_ref(),
        printer,
        is_quiet: global.quiet,
        kit,
        global,
    };
    let result = match &args.verb {
        Verb::Run(args) => run::run(args, desk),
        Verb::Validate(args) => graph::validate(args, desk),
        Verb::Graph(args) => graph::graph(args, desk),
        Verb::List(args) => look::list(args, desk),
        Verb::Status(args) => look::status(args, desk),
        Verb::Logs(args) => logs::logs(args, desk),
        Verb::Resume(args) => run::resume(args, desk),
        Verb::Retry(args) => run::retry(args, desk),
        Verb::Cancel(name) => look::cancel(name, desk),
        Verb::Report(args) => look::report(args, desk),
        Verb::Gc(args) => gc::gc(args, desk),
        Verb::Schema => schema::schema(),
    };
    result.unwrap_or_else(|trouble| {
        let exit = exit_of(&trouble);
        explain(&trouble, printer);
        if !matches!(trouble, Trouble::Said(_) | Trouble::Print(_)) {
            let error = trouble.to_string();
            printer.document(&serde_json::json!({ "error": error, "exit_code": exit.code() }));
        }
        exit
    })
}

/// Says what is allowed in a plan and probably not meant.
fn doubt(desk: Desk<'_>, plan: &Plan) {
    for doubt in doubts::of(plan) {
        desk.printer.alert(&format!("warning: {doubt}"));
    }
}

/// Returns the tasks that a word on the command line means.
fn named(ids: &[String], word: &str) -> Result<Vec<TaskIndex>, Trouble> {
    let found = explain::named(ids, word);
    if !found.is_empty() {
        return Ok(found);
    }
    let near = ids
        .iter()
        .map(|id| (strsim::normalized_damerau_levenshtein(word, id), id))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    let then = match near {
        Some((_, id)) => format!("; did you mean `{id}`?"),
        None if ids.len() <= 12 => format!("; the tasks are {}", ids.join(", ")),
        None => String::new(),
    };
    Err(Trouble::Usage(format!("no task is called `{word}`{then}")))
}

/// Returns how tos ends after a run that stands so.
const fn exit(status: Status) -> Exit {
    match status {
        Status::Success => Exit::Success,
        Status::Canceled => Exit::Cancelled,
        Status::Pending
        | Status::Ready
        | Status::Running
        | Status::Failed
        | Status::Skipped
        | Status::Interrupted => Exit::PlanFailed,
    }
}

fn exit_of(trouble: &Trouble) -> Exit {
    match trouble {
        Trouble::Run(Error::Locked { .. }) => Exit::PlanFailed,
        // A disk that fills up says nothing about the plan, and something may have run.
        Trouble::Run(Error::Disk { .. }) => Exit::NotDone,
        // Whoever closed the pipe has seen enough.
        Trouble::Print(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Trouble::Print(_) | Trouble::Said(1) => Exit::NotDone,
        Trouble::Said(3) => Exit::PlanFailed,
        Trouble::Plan(_) | Trouble::Run(_) | Trouble::Usage(_) | Trouble::Said(_) => Exit::Invalid,
    }
}

fn explain(trouble: &Trouble, printer: &Printer) {
    if let Trouble::Said(_) = trouble {
        return;
    }
    if let Trouble::Print(error) = trouble {
        if error.kind() != io::ErrorKind::BrokenPipe {
            printer.error(
                "standard output cannot be written (is the disk full?)",
                &[],
                None,
            );
        }
        return;
    }
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(trouble);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let mut message = trouble.to_string();
    if let Trouble::Plan(LoadError::Wrong {
        column,
        excerpt,
        remedy,
        ..
    }) = trouble
    {
        if !excerpt.trim().is_empty() {
            let blank = |c: char| if c == '\t' { c } else { ' ' };
            let before: String = excerpt
                .chars()
                .take((*column as usize).saturating_sub(1))
                .map(blank)
                .collect();
            message = format!("{message}\n  | {excerpt}\n  | {before}^");
        }
        return printer.error(
            &message,
            &causes,
            Some(remedy.as_str()).filter(|text| !text.is_empty()),
        );
    }
    printer.error(&message, &causes, hint(trouble).as_deref());
}

fn hint(trouble: &Trouble) -> Option<String> {
    let fixed = match trouble {
        Trouble::Run(Error::Damaged { run, .. }) => {
            return Some(format!(
                "what its tasks printed is still in `runs/{run}/logs` of its home; run the plan again, and delete that \
                 folder when nothing in it is needed"
            ));
        }
        Trouble::Run(Error::Disk { .. }) => Some(
            "make room or mend the disk, and run it again; a run that had begun goes on with `tos plan resume`",
        ),
        Trouble::Run(Error::Unknown { name, .. }) if name == "latest" => Some(
            "no plan has run here yet; `tos plan run PLAN.yaml` runs one, `--runs-dir` names another place",
        ),
        Trouble::Run(Error::Unknown { .. }) => {
            Some("`tos plan list` shows the runs; `--runs-dir` says where they are")
        }
        Trouble::Run(Error::Ambiguous { .. }) => Some("give more of its name"),
        Trouble::Run(Error::Locked { .. }) => Some("wait for it, or end it with `tos plan cancel`"),
        Trouble::Run(Error::BadName { .. }) => {
            Some("a run is named by letters, digits, `.`, `_` and `-`")
        }
        _ => None,
    };
    fixed.map(str::to_owned)
}
