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
mod event_lines;
mod floor;
mod gc;
mod graph;
mod logs;
mod restrict;
mod run;
mod schema;
mod standing;
mod status;
mod table;
mod telling;
mod watch;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use args::{PlanArgs, ReleaseChecklistArgs, Verb};
pub use dod::main as dod_main;

use crate::{
    domain::plan::{Plan, TaskIndex, explain, state::TaskStatus, warnings},
    interfaces::cli::common::{CliExit, GlobalArgs, Printer, ServiceFactory},
    ports::{
        clock::Clock,
        plan_store::{Error, LoadError, PlanStore},
    },
};

/// What the commands work with.
#[derive(Clone, Copy)]
struct PlanCommands<'a> {
    plan_store: &'a dyn PlanStore,
    clock: &'a dyn Clock,
    printer: &'a Printer,
    is_quiet: bool,
    services: &'a dyn ServiceFactory,
    global: &'a GlobalArgs,
}

impl PlanCommands<'_> {
    /// Returns the directory for runs: the given one, else that of the root.
    fn home(&self, given: Option<&Path>) -> Result<PathBuf, Error> {
        runs_folder(given, self.plan_store, self.global, self.services)
    }
}

/// Returns the directory for runs: the given one, else that of this folder where it has one, else that of the root.
fn runs_folder(
    given: Option<&Path>,
    plan_store: &dyn PlanStore,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<PathBuf, Error> {
    let here = plan_store.home(given)?;
    if given.is_some() {
        return Ok(here);
    }
    if let Some(root) = &global.root {
        return plan_store.home_of(&plan_store.workdir(root)?);
    }
    match services.root_above(global) {
        Some(root) if plan_store.runs(&here)?.is_empty() => plan_store.home_of(&root),
        Some(_) | None => Ok(here),
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
enum PlanCliError {
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
pub fn main(
    args: &PlanArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> CliExit {
    let (plan_store, clock) = (services.plan_store(), services.clock());
    let context = PlanCommands {
        plan_store: plan_store.as_ref(),
        clock: clock.as_ref(),
        printer,
        is_quiet: global.quiet,
        services,
        global,
    };
    let result = match &args.verb {
        Verb::Run(args) => run::run(args, context),
        Verb::Validate(args) => graph::validate(args, context),
        Verb::Graph(args) => graph::graph(args, context),
        Verb::List(args) => status::list(args, context),
        Verb::Status(args) => status::status(args, context),
        Verb::Logs(args) => logs::logs(args, context),
        Verb::Resume(args) => run::resume(args, context),
        Verb::Retry(args) => run::retry(args, context),
        Verb::Cancel(name) => status::cancel(name, context),
        Verb::Report(args) => status::report(args, context),
        Verb::Gc(args) => gc::gc(args, context),
        Verb::Schema => schema::schema(),
    };
    result.unwrap_or_else(|trouble| {
        let exit = exit_of(&trouble);
        explain(&trouble, printer);
        if !matches!(trouble, PlanCliError::Said(_) | PlanCliError::Print(_)) {
            let error = trouble.to_string();
            printer.document(&serde_json::json!({ "error": error, "exit_code": exit.code() }));
        }
        exit
    })
}

/// Says what is allowed in a plan and probably not meant.
fn doubt(context: PlanCommands<'_>, plan: &Plan) {
    for doubt in warnings::of(plan) {
        context.printer.alert(&format!("warning: {doubt}"));
    }
}

/// Returns the tasks that a word on the command line means.
fn named(ids: &[String], word: &str) -> Result<Vec<TaskIndex>, PlanCliError> {
    let found = explain::find_tasks(ids, word);
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
    Err(PlanCliError::Usage(format!(
        "no task is called `{word}`{then}"
    )))
}

/// Returns how tos ends after a run that stands so.
const fn exit(status: TaskStatus) -> CliExit {
    match status {
        TaskStatus::Success => CliExit::Success,
        TaskStatus::Canceled => CliExit::Cancelled,
        TaskStatus::Pending
        | TaskStatus::Ready
        | TaskStatus::Running
        | TaskStatus::Failed
        | TaskStatus::Skipped
        | TaskStatus::Interrupted => CliExit::PlanFailed,
    }
}

fn exit_of(trouble: &PlanCliError) -> CliExit {
    match trouble {
        PlanCliError::Run(Error::Locked { .. }) => CliExit::PlanFailed,
        // A disk that fills up says nothing about the plan, and something may have run.
        PlanCliError::Run(Error::Disk { .. }) => CliExit::NotDone,
        // Whoever closed the pipe has seen enough.
        PlanCliError::Print(error) if error.kind() == io::ErrorKind::BrokenPipe => CliExit::Success,
        PlanCliError::Print(_) | PlanCliError::Said(1) => CliExit::NotDone,
        PlanCliError::Said(3) => CliExit::PlanFailed,
        PlanCliError::Plan(_)
        | PlanCliError::Run(_)
        | PlanCliError::Usage(_)
        | PlanCliError::Said(_) => CliExit::Invalid,
    }
}

fn explain(trouble: &PlanCliError, printer: &Printer) {
    if let PlanCliError::Said(_) = trouble {
        return;
    }
    if let PlanCliError::Print(error) = trouble {
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
    if let PlanCliError::Plan(LoadError::Wrong {
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

fn hint(trouble: &PlanCliError) -> Option<String> {
    let fixed = match trouble {
        PlanCliError::Run(Error::Damaged { run, .. }) => {
            return Some(format!(
                "what its tasks printed is still in `runs/{run}/logs` of its home; run the plan again, and delete that \
                 folder when nothing in it is needed"
            ));
        }
        PlanCliError::Run(Error::NeverBegan { .. }) => {
            Some("`tos plan run PLAN.yaml` begins it anew; `tos plan gc` takes the folder away")
        }
        PlanCliError::Run(Error::Disk { .. }) => Some(
            "make room or mend the disk, and run it again; a run that had begun goes on with `tos plan resume`",
        ),
        PlanCliError::Run(Error::Unknown { name, .. }) if name == "latest" => Some(
            "no plan has run here yet; `tos plan run PLAN.yaml` runs one, `--runs-dir` names another place",
        ),
        PlanCliError::Run(Error::Unknown { .. }) => {
            Some("`tos plan list` shows the runs; `--runs-dir` says where they are")
        }
        PlanCliError::Run(Error::Ambiguous { .. }) => Some("give more of its name"),
        PlanCliError::Run(Error::Locked { .. }) => {
            Some("wait for it, or end it with `tos plan cancel`")
        }
        PlanCliError::Run(Error::BadName { .. }) => {
            Some("a run is named by letters, digits, `.`, `_` and `-`")
        }
        _ => None,
    };
    fixed.map(str::to_owned)
}
