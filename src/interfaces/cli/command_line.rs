//! The whole command line: a mode or a command, each with its options; the comments here are the help texts people read.

use clap::{Parser, Subcommand};

use super::args::{GlobalArgs, RunModeArgs};
use crate::interfaces::cli::{
    RunMode,
    args::{JobArgs, RollbackArgs},
};

/// Runs jobs written by language models, unattended, behind a seat belt.
///
/// Every command is judged before it runs, every run can go on after a crash, every change can be rolled
/// back. Start with `tos init --sample`, or read README.md.
#[derive(Debug, Parser)]
#[command(
    name = "tos",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(
    override_usage = "tos --mode <run|test|cleanrun|checkpoint|rollback> [OPTIONS]\n       tos <COMMAND> [OPTIONS]"
)]
pub struct Cli {
    /// What to do with the job of this directory.
    #[arg(long, value_enum, ignore_case = true, value_name = "MODE")]
    pub mode: Option<RunMode>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the help text belongs to the fields")]
    pub mode_args: RunModeArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the help text belongs to the fields")]
    pub global: GlobalArgs,
    #[command(subcommand)]
    #[expect(missing_docs, reason = "the help text belongs to the variants")]
    pub command: Option<CliCommand>,
}

/// What else tos can do.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Work on the next job until its goal is reached
    Run(JobArgs),
    /// The same, then verify the state; with --verify-only just verify
    Test(JobArgs),
    /// Go back to a checkpoint; what is there now is kept
    Rollback(RollbackArgs),
    /// Explain a topic or a command: `tos help policy`
    Help(crate::interfaces::cli::commands::help::HelpArgs),
    /// Begin: a configuration to fill in, or a sample to try
    Init(crate::interfaces::cli::commands::init::InitArgs),
    /// Say what is missing here, and what to do about it
    Doctor(crate::interfaces::cli::commands::doctor::DoctorArgs),
    /// Say where the job, the plans and the nights stand
    Status,
    /// Show what happened in a step: proposed, judged, done, paid
    Steps(crate::interfaces::cli::commands::steps::StepsArgs),
    /// Make a checkpoint, look at them, or undo a rollback
    Checkpoint(crate::interfaces::cli::commands::checkpoint::CheckpointArgs),
    /// Show the configuration in force, judge it, print its schema
    Config(crate::interfaces::cli::commands::config::ConfigArgs),
    /// Guard the coding agent you sit at: hooks, checkpoints, undo
    Guard(crate::interfaces::cli::commands::guard::GuardArgs),
    /// Run one command: judged, behind the wall, with limits
    Exec(crate::interfaces::cli::commands::exec::ExecArgs),
    /// How a command would be judged, and why
    Policy(crate::interfaces::cli::commands::policy::PolicyArgs),
    /// Answer a question that a run has left, or list them
    Answer(crate::interfaces::cli::commands::approve::AnswerArgs),
    /// `answer` by its old name
    #[command(hide = true)]
    Approve(crate::interfaces::cli::commands::approve::ApproveArgs),
    /// Run plans: a graph of commands, in parallel and resumable
    Plan(crate::interfaces::cli::commands::plan::PlanArgs),
    /// Run the release checklist of plans against this very program
    #[command(hide = true)]
    DodCheck(crate::interfaces::cli::commands::plan::ReleaseChecklistArgs),
    /// Judge a change to code: dangerous code, muted tests, limits
    #[command(alias = "check")]
    JudgeChange(crate::interfaces::cli::commands::check::JudgeChangeArgs),
    /// Give tasks to a coding agent; its work is judged and tested first
    Task(crate::interfaces::cli::commands::task::TaskArgs),
    /// Do the same while nobody watches, and tell you in the morning
    Night(crate::interfaces::cli::commands::night::NightArgs),
    /// Work on tasks all day: agents, judges and a merge queue, until stopped
    Serve(crate::interfaces::cli::commands::serve_args::ServeArgs),
    /// Do the work of a service on another machine, over NATS
    Worker(crate::interfaces::cli::commands::worker::WorkerArgs),
    /// The workers of a service on other machines
    Workers(crate::interfaces::cli::commands::worker::WorkersArgs),
    /// The tasks of the service: add, list, cancel, answer questions
    Board(crate::interfaces::cli::commands::board::BoardArgs),
    /// The processes of the service: list, start, stop
    Proc(crate::interfaces::cli::commands::processes::ProcArgs),
    /// Whether the service keeps its processes running
    Hatch(crate::interfaces::cli::commands::processes::HatchArgs),
    /// Why a task of the service is where it is, and what changes that
    Why(crate::interfaces::cli::commands::board::WhyArgs),
    /// Show the page of the service in a browser
    Open(crate::interfaces::cli::commands::board::OpenArgs),
    /// Merge what waited for a clean checkout
    Merge,
    /// Run jobs, plans, task lists and nights at set times
    Schedule(crate::interfaces::cli::commands::schedule::ScheduleArgs),
    /// Send a test message to the people that runs tell, or list them
    Notify(crate::interfaces::cli::commands::notify::NotifyArgs),
    /// Which coding agents are installed, logged in, able to work
    Agents(crate::interfaces::cli::commands::agents::AgentsArgs),
    /// How much tos may do without you, and what is missing for more
    #[command(alias = "phase")]
    Autonomy(crate::interfaces::cli::commands::autonomy::AutonomyArgs),
    /// Rehearse crashes and limits in a throw-away repository
    Drill(crate::interfaces::cli::commands::drill::DrillArgs),
    /// Serve agents over the Model Context Protocol: judged commands, checkpoints, plans
    Mcp(crate::interfaces::cli::commands::mcp::McpArgs),
    /// Verify and show the record of evidence
    Ledger(crate::interfaces::cli::commands::ledger::LedgerArgs),
    /// `task accept` and `task reject` by their old names
    #[command(hide = true)]
    Review(crate::interfaces::cli::commands::review::ReviewArgs),
    /// `doctor --sandbox` by its old name
    #[command(hide = true)]
    Isolation(crate::interfaces::cli::commands::isolation::IsolationArgs),
    /// Print a completion script for a shell
    Completions(crate::interfaces::cli::commands::completions::CompletionsArgs),
}
