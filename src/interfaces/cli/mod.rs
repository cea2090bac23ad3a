//! The command line: words in, an exit code out.
//!
//! Commands reach the outside only through a [`services::ServiceFactory`], which the composition root provides; so none
//! of them names an adapter, and each builds only what it needs.

pub mod args;
pub mod cluster_args;
pub mod command_line;
pub mod command_services;
pub mod commands;
pub mod common;
pub mod exit;
pub mod gate_services;
pub mod guard_services;
mod one_command;
mod overview;
pub mod services;
pub mod task_services;
mod telemetry;
mod words;

use std::{borrow::Cow, ffi::OsString};

use clap::{
    CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};

use args::{RunMode, RunModeArgs};
use command_line::{Cli, CliCommand};
use exit::{CliError, CliExit};
use services::ServiceFactory;

pub use commands::{explained_words::join_explained_command, shell_words::rewrite_shell_args};

use crate::interfaces::report::Printer;

/// What `tos --version` prints.
pub const VERSION_LINE: &str = concat!("tos ", env!("CARGO_PKG_VERSION"), "\n");

/// Returns whether the words, the program name first, ask for the version and nothing else.
pub fn asks_only_version(words: &[OsString]) -> bool {
    matches!(words, [_, word] if word == "--version" || word == "-V")
}

/// Parses the words; an error is already what a person has to see.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let words = args::translate_legacy_options(words);
    let asks_help = |word: &OsString| word == "--help" || word == "-h" || word == "help";
    // Who will read the help need not wait for a parse that cannot have it.
    let plain = if words.iter().any(asks_help) {
        Err(clap::Error::new(ErrorKind::DisplayHelp))
    } else {
        let one = one_command::definition(&words);
        let parsed = one.and_then(|command| command.try_get_matches_from(&words).ok());
        parsed.map_or_else(|| Cli::command().try_get_matches_from(&words), Ok)
    };
    let parsed = match plain {
        // The help in groups costs a start some time, so it is laid out only for somebody who will read it.
        Err(error) if error.kind() != ErrorKind::DisplayVersion => {
            overview::command().try_get_matches_from(words)
        }
        parsed => parsed,
    };
    parsed
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(with_usage)
        .map_err(without_misleading_tip)
}

/// Takes the tip to write `-- --mode` away: behind a command a mode has no place at all.
fn without_misleading_tip(mut error: clap::Error) -> clap::Error {
    let is_mode = error.kind() == ErrorKind::UnknownArgument
        && matches!(
            error.get(ContextKind::InvalidArg),
            Some(ContextValue::String(arg)) if arg.starts_with("--mode")
        );
    if is_mode {
        let tip = "`--mode` stands alone: `tos --mode test`; as a command it is `tos test`";
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
    error
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
pub fn usage_error_json(error: &clap::Error) -> String {
    let text = error.to_string();
    // Behind the first blank line there are only hints and the usage.
    let said = text.split("\n\n").next().unwrap_or_default().trim();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let document = serde_json::json!({ "error": said, "exit_code": CliExit::Invalid.code() });
    format!("{document:#}\n")
}

/// Returns the JSON document for words that ask clap itself for something: the version, or help.
pub fn help_or_version_json(error: &clap::Error) -> Option<String> {
    let version = env!("CARGO_PKG_VERSION");
    let document = match error.kind() {
        ErrorKind::DisplayVersion => serde_json::json!({ "name": "tos", "version": version }),
        ErrorKind::DisplayHelp => serde_json::json!({ "help": error.to_string() }),
        _ => return None,
    };
    Some(format!("{document:#}\n"))
}

/// Does what the words say.
pub fn run(cli: &Cli, services: &dyn ServiceFactory, printer: &Printer) -> CliExit {
    let exit = perform_command(cli, services, printer);
    printer.finish(exit.code());
    // One answer everywhere: what nobody could be shown is no success.
    if exit == CliExit::Success && Printer::has_lost_output() {
        let why = "standard output cannot be written (is the disk full?)";
        return CliError::NotDone(why.to_owned()).show(printer);
    }
    exit
}

fn perform_command(cli: &Cli, services: &dyn ServiceFactory, printer: &Printer) -> CliExit {
    let (mode, mode_args) = match as_mode(cli) {
        Ok((mode, args)) => (mode, &args.into_owned()),
        Err(trouble) => return trouble.show(printer),
    };
    if let Some((option, modes)) = mode_args.misplaced_option(mode) {
        return CliError::Usage(format!("`{option}` goes with `--mode` {modes}")).show(printer);
    }
    if let Some(file) = &mode_args.summary_file
        && services.is_not_written_by_tos(&cli.global, file)
    {
        let why = format!(
            "--summary-file {}: something else than a summary lies there (or beside it, as `.txt`); name another file",
            file.display()
        );
        return CliError::Setup(why).show(printer);
    }
    let result = match (&cli.command, mode) {
        (_, Some(RunMode::Run | RunMode::Test | RunMode::Cleanrun)) => {
            let mode = mode.unwrap_or(RunMode::Run);
            commands::run::main(mode, mode_args, &cli.global, services, printer)
        }
        (_, Some(RunMode::Checkpoint)) => {
            commands::checkpoint_mode::main(mode_args, &cli.global, services, printer)
        }
        (_, Some(RunMode::Rollback)) => {
            commands::rollback::main(mode_args, &cli.global, services, printer)
        }
        (Some(command), None) => command_result(command, cli, services, printer),
        (None, None) => {
            let settings = services.settings(&cli.global);
            let is_begun = settings.is_ok_and(|settings| settings.config_file.is_some());
            Err(CliError::Bare {
                what: "nothing to do: give `--mode` or a command",
                hint: if is_begun {
                    words::NEXT_STEPS
                } else {
                    words::FIRST_STEPS
                },
            })
        }
    };
    result.unwrap_or_else(|trouble| trouble.show(printer))
}

/// Returns the mode that the words mean, given as `--mode` or as a command, with its options.
fn as_mode(cli: &Cli) -> Result<(Option<RunMode>, Cow<'_, RunModeArgs>), CliError> {
    let (mode, args) = match &cli.command {
        Some(CliCommand::Run(args)) => (RunMode::Run, plain_job("run", args)?),
        Some(CliCommand::Test(args)) => (RunMode::Test, plain_job("test", args)?),
        Some(CliCommand::Rollback(args)) => {
            let mut own = args.mode_args.clone();
            own.target_commit = own.target_commit.or_else(|| args.target.clone());
            (RunMode::Rollback, Cow::Owned(own))
        }
        Some(CliCommand::Checkpoint(args)) => match args.create_args()? {
            Some(own) => (RunMode::Checkpoint, Cow::Owned(own)),
            None => return Ok((None, Cow::Borrowed(&cli.mode_args))),
        },
        _ if cli.command.is_none() || cli.mode.is_none() => {
            return Ok((cli.mode, Cow::Borrowed(&cli.mode_args)));
        }
        _ => return Err(CliError::usage("`--mode` and a command exclude each other")),
    };
    if cli.mode.is_some() {
        return Err(CliError::usage("`--mode` and a command exclude each other"));
    }
    if let Some((option, _)) = cli.mode_args.misplaced_option(None) {
        let command = mode.as_str();
        return Err(CliError::Usage(format!(
            "`{option}` stands behind the command: `tos {command} {option}`"
        )));
    }
    Ok((Some(mode), args))
}

/// Returns the options of `tos run` or `tos test`; whoever names a file means another command.
fn plain_job<'a>(word: &str, args: &'a args::JobArgs) -> Result<Cow<'a, RunModeArgs>, CliError> {
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
    Err(CliError::Usage(format!(
        "`tos {word}` works on the job of this folder and takes no file; {right}"
    )))
}

fn command_result(
    command: &CliCommand,
    cli: &Cli,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let global = &cli.global;
    let span = match span_of(command, global, services) {
        Ok(span) => span,
        Err(error) if matches!(command, CliCommand::Exec(_)) => {
            return commands::exec::not_begun(error, global, services, printer);
        }
        Err(error) => return Err(error),
    };
    let result = performed(command, cli, services, printer);
    if let Some(span) = span {
        span.end(&result, services);
    }
    result
}

/// Begins the span of a command that has one.
fn span_of(
    command: &CliCommand,
    global: &args::GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<Option<telemetry::CommandSpan>, CliError> {
    // A wrong address is an error before anything runs, also where nothing would be sent.
    services.check_collector(global)?;
    match command {
        CliCommand::Exec(_) => telemetry::CommandSpan::begin("exec", global, services),
        CliCommand::Mcp(_) => telemetry::CommandSpan::begin("mcp", global, services),
        _ => Ok(None),
    }
}

/// Says on stderr which root is meant where it is not the current folder, and the command itself does not say it.
fn tell_root(
    command: &CliCommand,
    global: &args::GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) {
    let works_on_a_root = matches!(
        command,
        CliCommand::Plan(_)
            | CliCommand::Task(_)
            | CliCommand::Night(_)
            | CliCommand::Schedule(_)
            | CliCommand::Serve(_)
            | CliCommand::Board(_)
            | CliCommand::Proc(_)
            | CliCommand::Hatch(_)
            | CliCommand::Why(_)
            | CliCommand::Open(_)
            | CliCommand::Merge
    );
    if works_on_a_root && let Some(root) = services.root_above(global) {
        printer.progress(&format!("root {}", root.display()));
    }
}

fn performed(
    command: &CliCommand,
    cli: &Cli,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let global = &cli.global;
    tell_root(command, global, services, printer);
    match command {
        CliCommand::Run(_) | CliCommand::Test(_) | CliCommand::Rollback(_) => {
            Err(CliError::usage("`--mode` and a command exclude each other"))
        }
        CliCommand::Help(args) => {
            let columns = services.env_var("COLUMNS");
            let columns = columns.and_then(|text| text.trim().parse().ok());
            commands::help::main(args, &overview::HELP_COMMANDS, columns, printer)
        }
        CliCommand::Init(args) => commands::init::main(args, global, services, printer),
        CliCommand::Doctor(args) => commands::doctor::main(args, global, services, printer),
        CliCommand::Status => commands::status::main(global, services, printer),
        CliCommand::Steps(args) => commands::steps::main(args, global, services, printer),
        CliCommand::Checkpoint(args) => commands::checkpoint::main(args, global, services, printer),
        CliCommand::Config(args) => commands::config::main(args, global, services, printer),
        CliCommand::Guard(args) => commands::guard::main(args, global, services, printer),
        CliCommand::Exec(args) => commands::exec::main(args, global, services, printer),
        CliCommand::Policy(args) => commands::policy::main(args, global, services, printer),
        CliCommand::Answer(args) => commands::approve::answer_main(args, global, services, printer),
        CliCommand::Approve(args) => commands::approve::main(args, global, services, printer),
        CliCommand::Plan(args) => Ok(commands::plan::main(args, global, services, printer)),
        CliCommand::DodCheck(args) => Ok(commands::plan::dod_main(args, global, services, printer)),
        CliCommand::JudgeChange(args) => commands::check::main(args, global, services, printer),
        CliCommand::Task(args) => commands::task::main(args, global, services, printer),
        CliCommand::Night(args) => commands::night::main(args, global, services, printer),
        CliCommand::Schedule(args) => commands::schedule::main(args, global, services, printer),
        CliCommand::Serve(args) => commands::serve::main(args, global, services, printer),
        CliCommand::Worker(args) => commands::worker::main(args, global, services, printer),
        CliCommand::Workers(args) => commands::worker::list_main(args, global, services, printer),
        CliCommand::Board(args) => commands::board::main(args, global, services, printer),
        CliCommand::Proc(args) => commands::processes::main(args, global, services, printer),
        CliCommand::Hatch(args) => commands::processes::hatch_main(args, global, services, printer),
        CliCommand::Why(args) => commands::board::why_main(args, global, services, printer),
        CliCommand::Open(args) => commands::board::open_main(args, global, services, printer),
        CliCommand::Merge => commands::merge::main(global, services, printer),
        CliCommand::Notify(args) => commands::notify::main(args, global, services, printer),
        CliCommand::Agents(args) => commands::agents::main(args, global, services, printer),
        CliCommand::Autonomy(args) => commands::autonomy::main(args, global, services, printer),
        CliCommand::Drill(args) => commands::drill::main(args, global, services, printer),
        CliCommand::Mcp(args) => commands::mcp::main(args, global, services, printer),
        CliCommand::Ledger(args) => commands::ledger::main(args, global, services, printer),
        CliCommand::Review(args) => commands::review::main(args, global, services, printer),
        CliCommand::Isolation(args) => commands::isolation::main(args, global, services, printer),
        CliCommand::Completions(args) => Ok(commands::completions::main(args, Cli::command())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_to_the_version_says_what_clap_says() {
        for word in ["--version", "-V"] {
            let words = ["tos", word].map(OsString::from);
            assert!(asks_only_version(&words));
            assert_eq!(parse(words).unwrap_err().to_string(), VERSION_LINE);
        }
        assert!(!asks_only_version(
            &["tos", "--version", "--json"].map(OsString::from)
        ));
        assert!(!asks_only_version(&["tos".into()]));
    }
}
