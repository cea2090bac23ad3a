//! `tos night`: a list of guarded tasks carried out while nobody watches, and what is told about it.

mod check;
mod of_service;
mod resume;
pub(super) mod show;
mod start;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory};

/// Options of `tos night`.
#[derive(Debug, Args)]
pub struct NightArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Look at everything a night needs: agents, disk, git, sandbox, notifiers, clock, old work trees
    Check {
        /// The list: a plan (YAML), TOML or JSON; `-` reads TOML or JSON from standard input
        list: PathBuf,
    },
    /// Carry out a list of guarded tasks while nobody watches, where the autonomy level allows it
    Start {
        /// The list: a plan (YAML), TOML or JSON; `-` reads TOML or JSON from standard input
        list: PathBuf,
        #[command(flatten)]
        time: DeadlineArgs,
        /// Somebody sits at the terminal; where the autonomy level wants it, `go` is asked for each task
        #[arg(long)]
        attended: bool,
        /// Where a service carries the night out, do not follow it
        #[arg(long)]
        detach: bool,
    },
    /// Go on with a night that a crash, a cap, a quota or a person ended; accepted work stays
    Resume {
        /// The run; the newest night with open tasks if absent
        run: Option<String>,
        #[command(flatten)]
        time: DeadlineArgs,
        /// Somebody sits at the terminal
        #[arg(long)]
        attended: bool,
        /// Where a service carries the night out, do not follow it
        #[arg(long)]
        detach: bool,
    },
    /// Show what a service carries out, until it ends
    Follow {
        /// The session; the one under way if absent
        session: Option<String>,
    },
    /// End what a service carries out: the task at work is undone, accepted work stays
    Cancel {
        /// The session; the one under way if absent
        session: Option<String>,
    },
    /// Tell what a run came to, from the ledger: successes, failures, diffs, causes, next steps
    Summary {
        /// The run; the newest if absent
        run: Option<String>,
        /// Write one page with a timeline to this file
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Take the accepted work of a run over into the branch you are on; forward only
    Merge {
        /// The run; the newest if absent
        run: Option<String>,
        /// Where the branch has moved since the run began, make a merge commit of the two
        #[arg(long)]
        join: bool,
    },
    /// List the runs on record
    List,
    /// Deliver the events that have not arrived where they are collected
    Sync,
}

/// When a session has to be over.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct DeadlineArgs {
    /// Until this time of day, e.g. `07:00`
    #[arg(long, value_name = "HH:MM", conflicts_with = "time")]
    until: Option<String>,
    /// For so long, e.g. `4h`; as long as the autonomy level allows if both are absent
    #[arg(long = "for", value_name = "TIME")]
    time: Option<String>,
}

/// Does what the verb says.
pub fn main(
    args: &NightArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    match &args.verb {
        Verb::Check { list } => check::main(list, global, services, printer),
        Verb::Start {
            list,
            time,
            attended,
            detach,
        } => start::main(list, time, (*attended, *detach), global, services, printer),
        Verb::Resume {
            run,
            time,
            attended,
            detach,
        } => resume::main(
            run.as_deref(),
            time,
            (*attended, *detach),
            global,
            services,
            printer,
        ),
        Verb::Follow { session } => {
            of_service::follow(session.as_deref(), global, services, printer)
        }
        Verb::Cancel { session } => {
            of_service::cancel(session.as_deref(), global, services, printer)
        }
        Verb::Summary { run, html } => {
            show::main(run.as_deref(), html.as_deref(), global, services, printer)
        }
        Verb::Merge { run, join } => show::merge(run.as_deref(), *join, global, services, printer),
        Verb::List => show::list(global, services, printer),
        Verb::Sync => sync(global, services, printer),
    }
}

fn sync(
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let delivered = services.deliver_events(global)?;
    let delivered = delivered.ok_or_else(|| {
        CliError::NotDone("nobody collects events; see `[events]` in docs/night.md".to_owned())
    })?;
    printer.line(&format!("{delivered} events delivered"));
    printer.document(&json!({ "delivered": delivered }));
    Ok(CliExit::Success)
}
