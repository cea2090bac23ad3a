//! The command line: words in, an exit code out.
//!
//! Commands reach the outside only through a [`kit::Kit`], which the composition root provides; so none
//! of them names an adapter, and each builds only what it needs.

pub mod args;
pub mod commands;
pub mod exit;
pub mod gate_kit;
pub mod kit;
mod overview;

use std::{borrow::Cow, ffi::OsString};

use clap::{
    CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};

use args::{Cli, Command, Mode, ModeArgs};
use exit::{Exit, Trouble};
use kit::Kit;

use crate::interfaces::report::Printer;

/// Parses the words; an error is already what a person has to see.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let parsed = overview::command().try_get_matches_from(args::modernise(words));
    parsed
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(with_usage)
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

/// Returns the JSON document for words that ask clap itself for something: the version, or help.
pub fn asked_words(error: &clap::Error) -> Option<String> {
    let version = env!("CARGO_PKG_VERSION");
    let document = match error.kind() {
        ErrorKind::DisplayVersion => serde_json::json!({ "name": "tos", "version": version }),
        ErrorKind::DisplayHelp => serde_json::json!({ "help": error.to_string() }),
        _ => return None,
    };
    Some(format!("{document:#}\n"))
}

/// Does what the words say.
pub fn perform(cli: &Cli, kit: &dyn Kit, printer: &Printer) -> Exit {
    let (mode, mode_args) = match as_mode(cli) {
        Ok((mode, args)) => (mode, &args.into_owned()),
        Err(trouble) => return trouble.show(printer),
    };
    if let Some((option, modes)) = mode_args.misplaced(mode) {
        return Trouble::Usage(format!("`{option}` goes with `--mode` {modes}")).show(printer);
    }
    if let Some(file) = &mode_args.summary_file
        && kit.is_foreign(&cli.global, file)
    {
        let why = format!(
            "--summary-file {}: something else than a summary lies there (or beside it, as `.txt`); name another file",
            file.display()
        );
        return Trouble::Setup(why).show(printer);
    }
    let result = match (&cli.command, mode) {
        (_, Some(Mode::Run | Mode::Test | Mode::Cleanrun)) => {
            let mode = mode.unwrap_or(Mode::Run);
            commands::run::main(mode, mode_args, &cli.global, kit, printer)
        }
        (_, Some(Mode::Checkpoint)) => {
            commands::checkpoint_mode::main(mode_args, &cli.global, kit, printer)
        }
        (_, Some(Mode::Rollback)) => commands::rollback::main(mode_args, &cli.global, kit, printer),
        (Some(command), None) => command_result(command, cli, kit, printer),
        (None, None) => Err(Trouble::Bare(
            "nothing to do: give `--mode` or a command".to_owned(),
        )),
    };
    let result = result.and_then(|exit| {
        // One answer everywhere: what nobody could be shown is no success.
        if exit == Exit::Success && Printer::has_lost_output() {
            let why = "standard output cannot be written (is the disk full?)";
            return Err(Trouble::NotDone(why.to_owned()));
        }
        Ok(exit)
    });
    result.unwrap_or_else(|trouble| trouble.show(printer))
}

/// Returns the mode that the words mean, given as `--mode` or as a command, with its options.
fn as_mode(cli: &Cli) -> Result<(Option<Mode>, Cow<'_, ModeArgs>), Trouble> {
    let (mode, args) = match &cli.command {
        Some(Command::Run(args)) => (Mode::Run, plain_job("run", args)?),
        Some(Command::Test(args)) => (Mode::Test, plain_job("test", args)?),
        Some(Command::Rollback(args)) => {
            let mut own = args.mode_args.clone();
            own.target_commit = own.target_commit.or_else(|| args.target.clone());
            (Mode::Rollback, Cow::Owned(own))
        }
        Some(Command::Checkpoint(args)) => match args.taken()? {
            Some(own) => (Mode::Checkpoint, Cow::Owned(own)),
            None => return Ok((None, Cow::Borrowed(&cli.mode_args))),
        },
        _ if cli.command.is_none() || cli.mode.is_none() => {
            return Ok((cli.mode, Cow::Borrowed(&cli.mode_args)));
        }
        _ => return Err(Trouble::usage("`--mode` and a command exclude each other")),
    };
    if cli.mode.is_some() {
        return Err(Trouble::usage("`--mode` and a command exclude each other"));
    }
    if let Some((option, _)) = cli.mode_args.misplaced(None) {
        let command = mode.as_str();
        return Err(Trouble::Usage(format!(
            "`{option}` stands behind the command: `tos {command} {option}`"
        )));
    }
    Ok((Some(mode), args))
}

/// Returns the options of `tos run` or `tos test`; whoever names a file means another command.
fn plain_job<'a>(word: &str, args: &'a args::JobArgs) -> Result<Cow<'a, ModeArgs>, Trouble> {
    let Some(what) = &args.what else {
        return Ok(Cow::Borrowed(&args.mode_args));
    };
    let shown = what.display();
    let ending = what.extension().and_then(|ending| ending.to_str());
    let right = match ending {
        Some("yaml" | "yml") => format!("a plan runs with `tos plan run {shown}`"),
        Some("toml") => format!("a list of tasks runs with `tos task run {shown}`"),
        Some("json") => format!(
            "another configuration is named with `tos {word} --config {shown}`, a list of tasks runs with \
             `tos task run {shown}`"
        ),
        _ if what.is_dir() => format!("another folder is named with `tos {word} --root {shown}`"),
        _ => format!("what is `{shown}`? A plan runs with `tos plan run FILE`"),
    };
    Err(Trouble::Usage(format!(
        "`tos {word}` works on the job of this folder and takes no file; {right}"
    )))
}

fn command_result(
    command: &Command,
    cli: &Cli,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let global = &cli.global;
    match command {
        Command::Run(_) | Command::Test(_) | Command::Rollback(_) => {
            Err(Trouble::usage("`--mode` and a command exclude each other"))
        }
        Command::Help(args) => commands::help::main(args, printer),
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
