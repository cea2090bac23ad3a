//! `tos plan`: plans and their runs.
//!
//! | code | when |
//! | --- | --- |
//! | 0 | everything succeeded, or the question was answered |
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
    domain::plan::{Plan, doubts, state::Status},
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
        // Whoever closed the pipe has seen enough.
        Trouble::Print(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Trouble::Said(3) => Exit::PlanFailed,
        Trouble::Plan(_)
        | Trouble::Run(_)
        | Trouble::Usage(_)
        | Trouble::Said(_)
        | Trouble::Print(_) => Exit::Invalid,
    }
}

fn explain(trouble: &Trouble, printer: &Printer) {
    if let Trouble::Said(_) = trouble {
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
    printer.error(&message, &causes, hint(trouble));
}

fn hint(trouble: &Trouble) -> Option<&'static str> {
    match trouble {
        Trouble::Run(Error::Unknown { .. }) => {
            Some("`tos plan list` shows the runs; `--runs-dir` says where they are")
        }
        Trouble::Run(Error::Ambiguous { .. }) => Some("give more of its name"),
        Trouble::Run(Error::Locked { .. }) => Some("wait for it, or end it with `tos plan cancel`"),
        Trouble::Run(Error::BadName { .. }) => {
            Some("a run is named by letters, digits, `.`, `_` and `-`")
        }
        _ => None,
    }
}
