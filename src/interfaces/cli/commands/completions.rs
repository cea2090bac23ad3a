//! `tos completions SHELL`.

use clap::Args;

use crate::interfaces::{cli::exit::CliExit, report::Printer};

/// Options of `tos completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell to complete in
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Prints the script for these commands.
pub fn main(args: &CompletionsArgs, mut commands: clap::Command) -> CliExit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut commands, "tos", &mut script);
    Printer::raw(&String::from_utf8_lossy(&script));
    CliExit::Success
}
