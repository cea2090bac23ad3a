//! The definition of one command without its neighbours: to define all forty takes longer than most of them need to do their work.
//!
//! Only words that this definition understands are parsed by it; all else is the whole command line's, which knows what to say.

use std::ffi::OsString;

use clap::{Arg, Args, Command};

use super::{args::GlobalArgs, args::RunModeArgs, commands};

type Definition = fn(Command) -> Command;

/// The commands that scripts, hooks and people call again and again.
const OFTEN: [(&str, Definition); 12] = [
    ("board", commands::board::BoardArgs::augment_args),
    (
        "checkpoint",
        commands::checkpoint::CheckpointArgs::augment_args,
    ),
    ("exec", commands::exec::ExecArgs::augment_args),
    ("guard", commands::guard::GuardArgs::augment_args),
    ("ledger", commands::ledger::LedgerArgs::augment_args),
    ("night", commands::night::NightArgs::augment_args),
    ("plan", commands::plan::PlanArgs::augment_args),
    ("policy", commands::policy::PolicyArgs::augment_args),
    ("status", |command| command),
    ("steps", commands::steps::StepsArgs::augment_args),
    ("task", commands::task::TaskArgs::augment_args),
    ("why", commands::board::WhyArgs::augment_args),
];

/// Returns the definition for words that begin with the name of such a command, the program name first.
pub(super) fn definition(words: &[OsString]) -> Option<Command> {
    let wanted = words.get(1)?;
    let (name, define) = OFTEN.iter().find(|(name, _)| wanted == name)?;
    let top = Command::new("tos").disable_help_subcommand(true);
    // Options of a mode stand before every command; here none does, but they are asked for.
    let top = RunModeArgs::augment_args(GlobalArgs::augment_args(
        top.arg(Arg::new("mode").long("mode")),
    ));
    Some(top.subcommand(define(Command::new(*name))))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::interfaces::cli::command_line::Cli;

    /// Parses words by a definition; what comes of them in words.
    fn parsed(command: Command, words: &[OsString]) -> Result<String, clap::Error> {
        let matches = command.try_get_matches_from(words)?;
        Ok(format!("{:?}", Cli::from_arg_matches(&matches)?))
    }

    #[test]
    fn what_one_definition_understands_the_whole_command_line_understands_in_the_same_way() {
        let lines = [
            "policy explain --type bash -- rm -rf /",
            "policy explain rm -rf / --json -q",
            "policy",
            "policy --version",
            "guard hook claude",
            "guard status --json --root /x",
            "guard undo 3 --yes",
            "exec -c true --checkpoint",
            "exec -c true -- ls",
            "exec --timeout 0 -- ls",
            "exec --as-shell -- -lc ls",
            "plan run --max-parallel 2 --home /h plan.yaml",
            "plan run --max-parallel two plan.yaml",
            "plan status latest --json",
            "plan status latest --mode run",
            "plan help run",
            "status --json",
            "status more",
            "steps 3 -v -v",
            "task run list.toml --set max_steps=3 --set goal=x",
            "task",
            "board list --json",
            "board list --bord",
            "why T-1",
            "why",
            "night start list.toml",
            "checkpoint list",
            "checkpoint --name x",
            "ledger verify --color never",
            "ledger verify --color sometimes",
        ];
        let mut understood = 0;
        for line in lines {
            let words: Vec<OsString> = std::iter::once("tos")
                .chain(line.split(' '))
                .map(OsString::from)
                .collect();
            if let Ok(one) = parsed(definition(&words).unwrap(), &words) {
                assert_eq!(parsed(Cli::command(), &words).unwrap(), one, "{line}");
                understood += 1;
            }
        }
        assert!(understood >= 12, "{understood}");
    }

    #[test]
    fn every_name_is_that_of_a_command_with_the_same_options() {
        let whole = Cli::command();
        for (name, define) in OFTEN {
            let known = whole.find_subcommand(name).unwrap();
            let one = define(Command::new(name));
            let names = |command: &Command| {
                let args = command.get_arguments().map(|arg| format!("{arg:?}"));
                let below = command
                    .get_subcommands()
                    .map(|below| below.get_name().to_owned());
                args.chain(below).collect::<Vec<_>>()
            };
            assert_eq!(names(known), names(&one), "{name}");
        }
        assert!(definition(&["tos".into(), "serve".into()]).is_none());
    }
}
