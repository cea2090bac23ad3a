//! The words of `tos plan`.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueEnum};

use crate::interfaces::cli::cluster_args::ClusterArgs;

/// Run plans: a graph of commands, in parallel and resumable.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do with plans and their runs.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Run a plan.
    Run(RunArgs),
    /// Check a plan without running it.
    Validate(ValidateArgs),
    /// Show the graph of a plan.
    Graph(GraphArgs),
    /// List the runs.
    List(ListArgs),
    /// Show how a run stands.
    Status(StatusArgs),
    /// Show what the tasks of a run printed.
    Logs(LogsArgs),
    /// Go on with a run: everything that did not succeed runs again.
    Resume(ResumeArgs),
    /// Run one task of a run again.
    Retry(RetryArgs),
    /// Ask a run to end.
    Cancel(RunName),
    /// Show the report of a run.
    Report(ReportArgs),
    /// Delete old runs, and cached successes nobody uses any more.
    Gc(GcArgs),
    /// Print the JSON Schema of plans, for editors.
    Schema,
}

/// Where runs are kept.
#[derive(Debug, Clone, Args)]
pub struct RunsFolderArgs {
    /// Where runs are kept [default: `.orch` where it exists, else `.tos`].
    #[arg(long = "runs-dir", alias = "home", value_name = "DIR")]
    pub home: Option<PathBuf>,
}

/// How fast, and what a failure means.
#[derive(Debug, Clone, Args)]
pub struct ConcurrencyArgs {
    /// At most this many tasks at once [default: the plan's `max_parallel`, else 4, or 64 with `--nats`].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_parallel: Option<u32>,
    /// Start nothing more after the first failure.
    #[arg(long, overrides_with = "no_fail_fast")]
    pub fail_fast: bool,
    /// Go on after a failure wherever nothing depends on it (the default).
    #[arg(long, overrides_with = "fail_fast")]
    pub no_fail_fast: bool,
}

/// A value for a parameter of the plan.
#[derive(Debug, Clone, Args)]
pub struct ParamArgs {
    /// Set a parameter of the plan; may be repeated.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair, action = ArgAction::Append)]
    pub params: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `tos plan run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The plan, a YAML file; `-` reads it from standard input.
    pub plan: PathBuf,
    /// Home.
    #[command(flatten)]
    pub home: RunsFolderArgs,
    /// Pace.
    #[command(flatten)]
    pub pace: ConcurrencyArgs,
    /// Other machines.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Params.
    #[command(flatten)]
    pub params: ParamArgs,
    /// The directory tasks run in.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub workdir: PathBuf,
    /// Check the plan and print the order of its tasks; run and create nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Judge and confine every task, whatever the plan says about its `policy`.
    #[arg(long)]
    pub enforce: bool,
    /// Run only these tasks and what they depend on; the id of a matrix means all its tasks.
    #[arg(long, value_name = "ID", num_args = 1.., action = ArgAction::Append)]
    pub only: Vec<String>,
}

/// `tos plan validate`.
#[derive(Debug, Clone, Args)]
pub struct ValidateArgs {
    /// The plan, a YAML file; `-` reads it from standard input.
    pub plan: PathBuf,
    /// Params.
    #[command(flatten)]
    pub params: ParamArgs,
}

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Lines for reading.
    Text,
    /// Mermaid.
    Mermaid,
    /// Graphviz.
    Dot,
    /// A picture.
    Svg,
}

/// `tos plan graph`.
#[derive(Debug, Clone, Args)]
pub struct GraphArgs {
    /// The plan, a YAML file; `-` reads it from standard input.
    pub plan: PathBuf,
    /// Params.
    #[command(flatten)]
    pub params: ParamArgs,
    /// How the graph is written.
    #[arg(long, value_enum, default_value = "text")]
    pub format: GraphFormat,
}

/// `tos plan list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Home.
    #[command(flatten)]
    pub home: RunsFolderArgs,
}

/// A run.
#[derive(Debug, Clone, Args)]
pub struct RunName {
    /// The run: its id, the beginning of it, or `latest`.
    #[arg(default_value = "latest")]
    pub run: String,
    /// Home.
    #[command(flatten)]
    pub home: RunsFolderArgs,
}

/// `tos plan status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Which.
    #[command(flatten)]
    pub name: RunName,
    /// Show every task, however many there are.
    #[arg(long)]
    pub all: bool,
    /// Keep showing it until the run is over.
    #[arg(long)]
    pub watch: bool,
}

/// `tos plan logs`.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// Which.
    #[command(flatten)]
    pub name: RunName,
    /// Only this task; the id of a matrix means all its tasks.
    #[arg(long, value_name = "ID")]
    pub task: Option<String>,
    /// The last lines of each stream.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub tail: u32,
    /// Keep printing what is added until the run is over.
    #[arg(long, short)]
    pub follow: bool,
}

/// `tos plan resume`.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// Which.
    #[command(flatten)]
    pub name: RunName,
    /// Pace.
    #[command(flatten)]
    pub pace: ConcurrencyArgs,
    /// Other machines.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Only failed tasks, and what depends on them.
    #[arg(long)]
    pub failed_only: bool,
    /// Go on with the plan as it is now: tasks that were edited run again, with what depends on them.
    #[arg(long)]
    pub edited: bool,
    /// The directory tasks run in [default: that of the run].
    #[arg(long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
}

/// `tos plan retry`.
#[derive(Debug, Clone, Args)]
pub struct RetryArgs {
    /// Which.
    #[command(flatten)]
    pub name: RunName,
    /// Pace.
    #[command(flatten)]
    pub pace: ConcurrencyArgs,
    /// Other machines.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The task; the id of a matrix means all its tasks.
    #[arg(long, value_name = "ID")]
    pub task: String,
    /// Also what depends on it.
    #[arg(long)]
    pub downstream: bool,
}

/// `tos plan report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Which.
    #[command(flatten)]
    pub name: RunName,
    /// Write a page with a timeline and the graph, and print where it is.
    #[arg(long)]
    pub html: bool,
}

/// `tos plan gc`.
#[derive(Debug, Clone, Args)]
pub struct GcArgs {
    /// Home.
    #[command(flatten)]
    pub home: RunsFolderArgs,
    /// Keep this many of the newest runs.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub keep: usize,
    /// Also delete cached successes that no run has used for this many days.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub cache_days: u32,
    /// Only say what would be deleted.
    #[arg(long)]
    pub dry_run: bool,
}

/// `tos dod-check`: run the release checklist against this very program.
#[derive(Debug, Clone, Args)]
pub struct ReleaseChecklistArgs {
    /// Where its runs are kept [default: `.orch` where it exists, else `.tos`].
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Write the result as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub json_out: Option<PathBuf>,
    /// Accepted for older scripts; there are no other checks to skip.
    #[arg(long)]
    pub skip_quality_gates: bool,
}
