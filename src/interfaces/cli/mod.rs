//! The command line: words in, an exit code out.
//!
//! Commands reach the outside only through a [`kit::Kit`], which the composition root provides; so none
//! of them names an adapter, and each builds only what it needs.

pub mod args;
pub mod commands;
pub mod exit;
pub mod gate_kit;
pub mod kit;

use std::ffi::OsString;

use clap::{
    CommandFactory, Parser,
    error::{ContextKind, ContextValue},
};

use args::{Cli, Command, Mode};
use exit::{Exit, Trouble};
use kit::Kit;

use crate::interfaces::report::Printer;

/// Parses the words; an error is already what a person has to see.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(args::modernise(words)).map_err(with_usage)
}

/// Adds the usage to a wrong `--mode`: whoever has the word wrong does not know the others.
fn with_usage(mut error: clap::Error) -> clap::Error {
    let is_mode = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(arg)) if arg.starts_with("--mode")
    );
    if is_mode && error.get(ContextKind::Usage).is_none() {
        let usage = Cli::command().render_usage();
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    }
    error
}

/// Returns the JSON document for words that make no sense.
pub fn wrong_words(error: &clap::Error) -> String {
    let text = error.to_string();
    // Behind the first blank line there are only hints and the usage.
    let said = text.split("\n\n").next().unwrap_or_default().trim();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let document = serde_json::json!({ "error": said, "exit_code": Exit::Invalid.code() });
    format!("{document:#}\n")
}

/// Does what the words say.
pub fn perform(cli: &Cli, kit: &dyn Kit, printer: &Printer) -> Exit {
    if let Some((option, modes)) = cli.mode_args.misplaced(cli.mode) {
        return Trouble::Usage(format!("`{option}` goes with `--mode` {modes}")).show(printer);
    }
    if let Some(file) = &cli.mode_args.summary_file
        && kit.is_foreign(&cli.global, file)
    {
        let why = format!(
            "--summary-file {}: something else than a summary lies there (or beside it, as `.txt`); name another file",
            file.display()
        );
        return Trouble::Setup(why).show(printer);
    }
    let result = match (&cli.command, cli.mode) {
        (Some(command), None) => command_result(command, cli, kit, printer).and_then(|exit| {
            // A run has its records; whoever only looks has nothing but what is printed.
            if exit == Exit::Success && Printer::has_lost_output() {
                let why = "standard output cannot be written (is the disk full?)";
                return Err(Trouble::NotDone(why.to_owned()));
            }
            Ok(exit)
        }),
        (None, Some(mode)) => match mode {
            Mode::Run | Mode::Test | Mode::Cleanrun => {
                commands::run::main(mode, &cli.mode_args, &cli.global, kit, printer)
            }
            Mode::Checkpoint => {
                commands::checkpoint_mode::main(&cli.mode_args, &cli.global, kit, printer)
            }
            Mode::Rollback => commands::rollback::main(&cli.mode_args, &cli.global, kit, printer),
        },
        (Some(_), Some(_)) => Err(Trouble::usage("`--mode` and a command exclude each other")),
        (None, None) => Err(Trouble::usage("nothing to do: give `--mode` or a command")),
    };
    result.unwrap_or_else(|trouble| trouble.show(printer))
}

fn command_result(
    command: &Command,
    cli: &Cli,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let global = &cli.global;
    match command {
        Command::Init(args) => commands::init::main(args, global, kit, printer),
        Command::Doctor(args) => commands::doctor::main(args, global, kit, printer),
        Command::Status => commands::status::main(global, kit, printer),
        Command::Steps(args) => commands::steps::main(args, global, kit, printer),
        Command::Checkpoint(args) => commands::checkpoint::main(args, global, kit, printer),
        Command::Config(args) => commands::config::main(args, global, kit, printer),
        Command::Policy(args) => commands::policy::main(args, global, kit, printer),
        Command::Answer(args) => commands::approve::answer_main(args, global, kit, printer),
        Command::Approve(args) => commands::approve::main(args, global, kit, printer),
        Command::Plan(args) => Ok(commands::plan::main(args, global, kit, printer)),
        Command::DodCheck(args) => Ok(commands::plan::dod_main(args, global, kit, printer)),
        Command::JudgeChange(args) => commands::check::main(args, global, kit, printer),
        Command::Task(args) => commands::task::main(args, global, kit, printer),
        Command::Night(args) => commands::night::main(args, global, kit, printer),
        Command::Schedule(args) => commands::schedule::main(args, global, kit, printer),
        Command::Notify(args) => commands::notify::main(args, global, kit, printer),
        Command::Agents(args) => commands::agents::main(args, global, kit, printer),
        Command::Autonomy(args) => commands::phase::main(args, global, kit, printer),
        Command::Drill(args) => commands::drill::main(args, global, kit, printer),
        Command::Ledger(args) => commands::ledger::main(args, global, kit, printer),
        Command::Review(args) => commands::review::main(args, global, kit, printer),
        Command::Isolation(args) => commands::isolation::main(args, global, kit, printer),
        Command::Completions(args) => Ok(commands::completions::main(args)),
    }
}
