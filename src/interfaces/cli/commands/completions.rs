//! `tos completions SHELL`.

use clap::{Args, CommandFactory};

use crate::interfaces::{
    cli::{args::Cli, exit::Exit},
    report::Printer,
};

/// Options of `tos completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell to complete in
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Prints the script.
pub fn main(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tos", &mut script);
    Printer::raw(&String::from_utf8_lossy(&script));
    Exit::Success
}
