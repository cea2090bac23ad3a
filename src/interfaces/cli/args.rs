//! The words of the command line; the comments here are the help texts people read.
//!
//! The original's launcher spelled its options `-Mode`, `-SummaryFile` and so on; [`translate_legacy_options`] accepts
//! those spellings, so that old notes and scripts keep working.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};

/// The five modes of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunMode {
    /// Work on the next job until its goal is reached
    Run,
    /// The same, then verify the state; with --verify-only just verify
    Test,
    /// Archive the records of earlier runs, then run from the first job
    Cleanrun,
    /// Make a git checkpoint commit
    Checkpoint,
    /// Return to a checkpoint, then test
    Rollback,
}

impl RunMode {
    /// Returns the word for this mode in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Test => "test",
            Self::Cleanrun => "cleanrun",
            Self::Checkpoint => "checkpoint",
            Self::Rollback => "rollback",
        }
    }
}

/// Who decides about commands that need a yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ApprovalMode {
    /// Whoever sits at the terminal
    Terminal,
    /// Nobody: they are denied
    Deny,
    /// `tos answer`: the run waits
    Wait,
}

/// Options that belong to a mode.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of modes")]
pub struct RunModeArgs {
    /// Archive the records of earlier runs first (run, test)
    #[arg(long)]
    pub clean: bool,
    /// Run a job again that is done; without it, nothing is run and nothing is paid (run, test)
    #[arg(long, conflicts_with = "verify_only")]
    pub again: bool,
    /// Where the run summary goes; its one-line twin lies beside it as .txt
    #[arg(long, value_name = "PATH")]
    pub summary_file: Option<PathBuf>,
    /// The checkpoint's name (checkpoint)
    #[arg(long, alias = "checkpoint-name", value_name = "NAME")]
    pub name: Option<String>,
    /// The commit, checkpoint name or number to return to; the last checkpoint if absent (rollback)
    #[arg(long, value_name = "HASH")]
    pub target_commit: Option<String>,
    /// Check the present state without a run, a model call or a job (test, rollback)
    #[arg(long)]
    pub verify_only: bool,
    /// Leave out the test after the rollback, which runs and spends a job (rollback)
    #[arg(long, conflicts_with = "verify_only")]
    pub no_test: bool,
    /// Give up uncommitted changes, after keeping them in a safety snapshot (rollback)
    #[arg(long)]
    pub discard: bool,
    /// Take files that look like secrets into the checkpoint too (checkpoint)
    #[arg(long)]
    pub allow_secrets: bool,
    /// Make the directory a git repository if it is in none (checkpoint)
    #[arg(long)]
    pub init: bool,
    /// Sleep through a long quota wait instead of exiting (run, test, cleanrun)
    #[arg(long)]
    pub wait: bool,
    /// Who decides about commands that need a yes: whoever sits at the terminal, nobody (deny), or
    /// `tos answer` (wait); the terminal if there is one
    #[arg(long, value_enum, value_name = "WHO")]
    pub approvals: Option<ApprovalMode>,
    /// What to do about a command that was started before a crash and has no end
    #[arg(long = "after-crash", alias = "on-unknown", value_name = "WHAT", value_parser = ["stop", "rerun", "skip"])]
    pub on_unknown: Option<String>,
}

/// The options of modes: id, spelling, the modes that know it, and these in words.
const PLACES: [(&str, &str, &[RunMode], &str); 13] = {
    use RunMode::{Checkpoint, Cleanrun, Rollback, Run, Test};
    const RUNS: &[RunMode] = &[Run, Test, Cleanrun];
    const ALL: &[RunMode] = &[Run, Test, Cleanrun, Checkpoint, Rollback];
    [
        ("clean", "--clean", RUNS, "run, test, cleanrun"),
        ("again", "--again", &[Run, Test], "run, test"),
        ("summary_file", "--summary-file", ALL, "a mode"),
        ("name", "--name", &[Checkpoint], "checkpoint"),
        ("target_commit", "--target-commit", &[Rollback], "rollback"),
        (
            "verify_only",
            "--verify-only",
            &[Test, Rollback],
            "test, rollback",
        ),
        ("no_test", "--no-test", &[Rollback], "rollback"),
        ("discard", "--discard", &[Rollback], "rollback"),
        (
            "allow_secrets",
            "--allow-secrets",
            &[Checkpoint],
            "checkpoint",
        ),
        ("init", "--init", &[Checkpoint], "checkpoint"),
        ("wait", "--wait", RUNS, "run, test, cleanrun"),
        ("approvals", "--approvals", RUNS, "run, test, cleanrun"),
        ("on_unknown", "--after-crash", &[Run, Test], "run, test"),
    ]
};

impl RunModeArgs {
    /// Returns an option that was given and means nothing here, with the modes it belongs to. `mode` is
    /// `None` for commands. An option that would be ignored is an error: whoever typed it meant it.
    pub fn misplaced_option(&self, mode: Option<RunMode>) -> Option<(&'static str, &'static str)> {
        let given = [
            self.clean,
            self.again,
            self.summary_file.is_some(),
            self.name.is_some(),
            self.target_commit.is_some(),
            self.verify_only,
            self.no_test,
            self.discard,
            self.allow_secrets,
            self.init,
            self.wait,
            self.approvals.is_some(),
            self.on_unknown.is_some(),
        ];
        given
            .into_iter()
            .zip(PLACES)
            .find(|(there, (_, _, modes, _))| {
                *there && !mode.is_some_and(|mode| modes.contains(&mode))
            })
            .map(|(_, (_, option, _, words))| (option, words))
    }

    /// Returns whether the option with this id belongs to modes, and not to this one.
    pub fn is_option_of_another_mode(id: &str, mode: RunMode) -> bool {
        PLACES
            .iter()
            .any(|(known, _, modes, _)| *known == id && !modes.contains(&mode))
    }
}

/// Options of `tos run` and `tos test`, the modes as commands.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// What belongs to another command
    #[arg(hide = true)]
    pub what: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the help text belongs to the fields")]
    pub mode_args: RunModeArgs,
}

/// Options of `tos rollback`, the mode as a command.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The commit, checkpoint name or number to return to; the newest checkpoint if absent
    #[arg(conflicts_with = "target_commit")]
    pub target: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the help text belongs to the fields")]
    pub mode_args: RunModeArgs,
}

/// Options that every mode and command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options everywhere")]
pub struct GlobalArgs {
    /// The root of the job; the nearest directory upwards that holds a tos config if absent
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The configuration file, relative to the root; `config/config_v0_3.json` if absent
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key of the configuration, e.g. `--set max_steps=3`; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Send spans and metrics to this OpenTelemetry collector, e.g. `http://127.0.0.1:4318`; `env` takes the address from
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`
    #[arg(long, global = true, value_name = "URL")]
    pub otlp: Option<String>,
    /// Print one JSON document on stdout and everything else on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more; twice for developers
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but results and trouble
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Colours
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub color: ColorChoice,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Turns the spellings of the original's launcher (`-Mode run -SummaryFile x`) into ours.
///
/// Only whole words that the launcher knew are changed, and only before a subcommand or `--`.
pub fn translate_legacy_options(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    const OLD: [(&str, &str); 6] = [
        ("-mode", "--mode"),
        ("-clean", "--clean"),
        ("-summaryfile", "--summary-file"),
        ("-checkpointname", "--name"),
        ("-targetcommit", "--target-commit"),
        ("-root", "--root"),
    ];
    let modern = |word: OsString| {
        let lower = word.to_str().map(str::to_ascii_lowercase);
        let found = lower.and_then(|lower| OLD.iter().find(|(old, _)| *old == lower));
        found.map_or(word, |(_, new)| OsString::from(new))
    };
    words.into_iter().map(modern).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use clap::Parser as _;

    use crate::interfaces::cli::command_line::Cli;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_spellings_of_the_launcher_are_understood() {
        let words = ["tos", "-Mode", "RUN", "-SummaryFile", "x.json", "-Clean"].map(OsString::from);
        let cli = Cli::try_parse_from(translate_legacy_options(words)).unwrap();
        assert_eq!(cli.mode, Some(RunMode::Run));
        assert_eq!(cli.mode_args.summary_file, Some("x.json".into()));
        assert!(cli.mode_args.clean);
    }

    #[test]
    fn an_option_that_means_nothing_in_a_mode_is_an_error() {
        let parse = |words: &[&str]| Cli::try_parse_from(words).unwrap();
        let cli = parse(&["tos", "--mode", "run", "--discard"]);
        assert_eq!(
            cli.mode_args.misplaced_option(cli.mode),
            Some(("--discard", "rollback"))
        );
        let cli = parse(&["tos", "--clean", "status"]);
        assert_eq!(
            cli.mode_args.misplaced_option(None),
            Some(("--clean", "run, test, cleanrun"))
        );
        let cli = parse(&[
            "tos",
            "--mode",
            "rollback",
            "--discard",
            "--summary-file",
            "x",
        ]);
        assert_eq!(cli.mode_args.misplaced_option(cli.mode), None);
    }

    #[test]
    fn v14_an_unknown_option_is_an_error() {
        assert!(Cli::try_parse_from(["tos", "--mode", "run", "--frobnicate"]).is_err());
    }
}
