//! `tos night`: a list of guarded tasks carried out while nobody watches, and what is told about it.

mod check;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::interfaces::{
    cli::{
        args::Global,
        exit::{Exit, Trouble},
        kit::Kit,
    },
    report::Printer,
};

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
}

/// Does what the verb says.
pub fn main(
    args: &NightArgs,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    match &args.verb {
        Verb::Check { list } => check::main(list, global, kit, printer),
    }
}
