//! `tos guard`: the judge beside an agent that a person runs.

pub mod hook;
mod install;
mod look;
mod status;
mod test;
mod trust;
mod undo;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{
    domain::guard::HookAgent,
    interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
};

/// Options of `tos guard`.
#[derive(Debug, Args)]
pub struct GuardArgs {
    #[command(subcommand)]
    verb: Verb,
}

/// What to do about the guard.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Put the hook into the settings of agents: claude, codex, gemini, opencode, cursor
    Install(InstallArgs),
    /// Take the hook out of the settings of agents; nothing else in them changes
    Uninstall(UninstallArgs),
    /// Say where the hook is, and prove each one by a call that it has to refuse
    Status(StatusArgs),
    /// Bring back what a checkpoint of the guard holds; without a number, list the checkpoints
    Undo(UndoArgs),
    /// Judge one command as the hook would; nothing runs, nothing is kept
    Explain(ExplainArgs),
    /// Show what was judged, the newest last
    Log(LogArgs),
    /// Add up what was asked, refused and brought back
    Stats(StatsArgs),
    /// Judge every command of a corpus and count what passes that should not, and the other way round
    Test(TestArgs),
    /// Answer an agent: its JSON on standard input, its answer on standard output; agents call this
    Hook(HookArgs),
}

/// Options of `tos guard install`.
#[derive(Debug, Args)]
struct InstallArgs {
    /// The agents; those this person uses if absent
    #[arg(value_parser = agent_word)]
    agents: Vec<HookAgent>,
    /// In the settings of this project instead of this person's
    #[arg(long)]
    project: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    /// Block nothing, only report: `tos guard stats` then says what would have been asked and refused
    #[arg(long)]
    observe: bool,
}

/// Options of `tos guard uninstall`.
#[derive(Debug, Args)]
struct UninstallArgs {
    /// The agents; all in whose settings the hook stands if absent
    #[arg(value_parser = agent_word)]
    agents: Vec<HookAgent>,
    /// In the settings of this project instead of this person's
    #[arg(long)]
    project: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
}

/// Options of `tos guard status`.
#[derive(Debug, Args)]
struct StatusArgs {
    /// The agents; all if absent
    #[arg(value_parser = agent_word)]
    agents: Vec<HookAgent>,
}

/// Options of `tos guard undo`.
#[derive(Debug, Args)]
struct UndoArgs {
    /// The number of the checkpoint
    id: Option<u32>,
    /// List the checkpoints of this project
    #[arg(long, conflicts_with = "id")]
    list: bool,
}

/// Options of `tos guard explain`.
#[derive(Debug, Args)]
struct ExplainArgs {
    /// The command, one word for the shell you type this in
    command: String,
    /// What would interpret it: bash, sh, powershell, cmd or exec
    #[arg(long = "type", value_name = "TYPE", default_value = "bash")]
    kind: String,
    /// Judge as if nobody could answer a question
    #[arg(long)]
    unattended: bool,
}

/// Options of `tos guard log`.
#[derive(Debug, Args)]
struct LogArgs {
    /// Of every project
    #[arg(long)]
    all: bool,
    /// How many entries
    #[arg(long, short = 'n', default_value_t = 50, value_name = "COUNT", value_parser = count)]
    last: usize,
    /// Only what was asked or refused
    #[arg(long)]
    blocked: bool,
}

/// Options of `tos guard stats`.
#[derive(Debug, Args)]
struct StatsArgs {
    /// Of every project
    #[arg(long)]
    all: bool,
}

/// Options of `tos guard test`.
#[derive(Debug, Args)]
struct TestArgs {
    /// JSON lines, each with `command` and `expect` (allow, ask or deny), or `intent` or `harmful` as in `tos policy check`;
    /// relative to the current folder
    #[arg(value_name = "CORPUS.jsonl")]
    file: PathBuf,
    /// Show only the figures
    #[arg(long)]
    brief: bool,
}

/// Options of `tos guard hook`.
#[derive(Debug, Args)]
struct HookArgs {
    /// Whose call it is
    #[arg(value_parser = agent_word)]
    agent: HookAgent,
    /// Block nothing, only report
    #[arg(long)]
    observe: bool,
}

fn agent_word(word: &str) -> Result<HookAgent, String> {
    HookAgent::of(word).ok_or_else(|| {
        let known = HookAgent::ALL.map(HookAgent::as_str).join(", ");
        format!("agents are {known}")
    })
}

fn count(word: &str) -> Result<usize, String> {
    match word.parse() {
        Ok(0) => Err("none at all is no log; the least is 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("it is no whole number".to_owned()),
    }
}

/// Does what the verb says.
pub fn main(
    args: &GuardArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let folder = global.root.as_deref();
    match &args.verb {
        Verb::Install(args) => install::install(args, folder, services, printer),
        Verb::Uninstall(args) => install::uninstall(args, folder, services, printer),
        Verb::Status(args) => status::main(args, global, services, printer),
        Verb::Undo(args) => undo::main(args, folder, services, printer),
        Verb::Explain(args) => look::explain(args, folder, services, printer),
        Verb::Log(args) => Ok(look::log(args, folder, services, printer)),
        Verb::Stats(args) => Ok(look::stats(args, folder, services, printer)),
        Verb::Test(args) => test::main(args, folder, services, printer),
        // A hook is answered before words are parsed; who comes here has put options in front of it.
        Verb::Hook(args) => Err(CliError::Usage(format!(
            "`tos guard hook {}` takes no options before it",
            args.agent.as_str()
        ))),
    }
}
