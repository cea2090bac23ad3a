//! `tos init [--sample] [DIR]`.

use std::path::PathBuf;

use clap::Args;

use crate::interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory};

/// Options of `tos init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Lay out the sample job with its data and recorded replies, ready to run without keys
    #[arg(long)]
    sample: bool,
    /// The directory; the current one if absent
    directory: Option<PathBuf>,
}

/// Lays out a root. Nothing that exists is overwritten.
pub fn main(
    args: &InitArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let directory = args
        .directory
        .clone()
        .or_else(|| global.root.clone())
        .unwrap_or_else(|| PathBuf::from("."));
    let lines = services.init(&directory, args.sample)?;
    for line in &lines {
        printer.line(line);
    }
    let is_kept = |line: &String| line.starts_with("kept") && line.ends_with("config_v0_3.json");
    let next = if args.sample {
        "next: `tos --mode cleanrun` runs the first of three jobs"
    } else if lines.iter().any(is_kept) {
        "next: the configuration was there and stays; `tos doctor` says what it still needs, then `tos run`"
    } else {
        "next: say in `goal` of config/config_v0_3.json what the job is for, then `tos doctor`, then `tos run`"
    };
    printer.note(next);
    printer.document(&serde_json::json!({ "directory": directory, "lines": lines }));
    Ok(CliExit::Success)
}
