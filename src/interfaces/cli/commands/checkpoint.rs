//! `tos checkpoint NAME` and `tos checkpoint list|show|diff|undo`.

use clap::{Args, Subcommand};

use crate::{
    config::Settings,
    domain::checkpoint::{
        ChangeKind, CheckpointDetails, CheckpointDiff, CheckpointEntry, CheckpointKind, PathChange,
        UndoReport,
    },
    interfaces::{
        cli::{
            args::RunModeArgs,
            common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
            services,
        },
        report::printer::TextStyle,
    },
};

/// Options of `tos checkpoint`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CheckpointArgs {
    /// Make a checkpoint of this name: everything that is there, as a commit
    #[arg(value_name = "NAME", conflicts_with = "name")]
    checkpoint: Option<String>,
    #[command(flatten)]
    mode_args: RunModeArgs,
    #[command(subcommand)]
    what: Option<What>,
}

impl CheckpointArgs {
    /// Returns the options of a checkpoint to be made; `None` where one is only looked at. A name that is nearly the word
    /// for a look is taken for a slip.
    pub fn create_args(&self) -> Result<Option<RunModeArgs>, CliError> {
        if self.what.is_some() {
            return Ok(None);
        }
        let Some(name) = &self.checkpoint else {
            if self.mode_args.name.is_some() {
                return Ok(Some(self.mode_args.clone()));
            }
            return Err(CliError::usage(
                "`tos checkpoint` needs a name for the new checkpoint, or one of list, show, diff, undo",
            ));
        };
        let slip = ["list", "show", "diff", "undo"]
            .into_iter()
            .find(|verb| strsim::damerau_levenshtein(verb, name) == 1);
        if let Some(verb) = slip {
            return Err(CliError::Usage(format!(
                "did you mean `tos checkpoint {verb}`? A checkpoint that is called so is made with `tos checkpoint --name {name}`"
            )));
        }
        let name = Some(name.clone());
        Ok(Some(RunModeArgs {
            name,
            ..self.mode_args.clone()
        }))
    }
}

/// What to do with checkpoints.
#[derive(Debug, Subcommand)]
enum What {
    /// List checkpoints and the safety snapshots that rollback and undo left
    List,
    /// Say what a checkpoint changed; the newest if none is named
    Show {
        /// A number, a name, `safety/N` or a commit
        which: Option<String>,
    },
    /// Compare a checkpoint with the files as they are now; the newest if none is named
    Diff {
        /// A number, a name, `safety/N` or a commit
        which: Option<String>,
        /// Only name the files
        #[arg(long)]
        stat: bool,
    },
    /// Return to how everything was before the last rollback or undo
    ///
    /// HEAD, the index, files and untracked files come back as the safety snapshot has them. What is
    /// there now goes into a snapshot of its own first, so a second undo undoes the first.
    Undo {
        /// The safety snapshot's number; the newest if absent
        number: Option<u32>,
    },
}

/// Looks at checkpoints, or undoes a rollback.
pub fn main(
    args: &CheckpointArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let settings = services.settings(global)?;
    let Some(what) = &args.what else {
        return Err(CliError::usage(
            "`tos checkpoint` needs a name, or one of list, show, diff, undo",
        ));
    };
    match what {
        What::List => list(services, &settings, printer),
        What::Show { which } => show(which.clone(), services, &settings, printer),
        What::Diff { which, stat } => diff(which.clone(), *stat, services, &settings, printer),
        What::Undo { number } => undo(*number, services, &settings, printer),
    }
}

fn list(
    services: &dyn ServiceFactory,
    settings: &Settings,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let checkpoints = services.checkpoints(settings);
    let all = services::block_on(services, move |_stop| {
        Box::pin(async move { checkpoints.list().await })
    })??;
    if all.is_empty() {
        printer.note("no checkpoints yet; `tos checkpoint NAME` makes one");
    }
    for listed in &all {
        printer.line(&line(listed));
    }
    printer.document(&serde_json::to_value(&all).unwrap_or_default());
    Ok(CliExit::Success)
}

fn show(
    which: Option<String>,
    services: &dyn ServiceFactory,
    settings: &Settings,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let checkpoints = services.checkpoints(settings);
    let shown: CheckpointDetails = services::block_on(services, move |_stop| {
        Box::pin(async move { checkpoints.show(which.as_deref()).await })
    })??;
    printer.line(&line(&shown.listed));
    printer.line(&format!("by {}", shown.author));
    changes(&shown.changes, printer);
    printer.document(&serde_json::to_value(&shown).unwrap_or_default());
    Ok(CliExit::Success)
}

fn diff(
    which: Option<String>,
    only_names: bool,
    services: &dyn ServiceFactory,
    settings: &Settings,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let checkpoints = services.checkpoints(settings);
    let difference: CheckpointDiff = services::block_on(services, move |_stop| {
        Box::pin(async move { checkpoints.diff(which.as_deref()).await })
    })??;
    if difference.changes.is_empty() {
        printer.note(&format!("nothing changed since {}", difference.hash));
    }
    if only_names {
        changes(&difference.changes, printer);
    } else {
        for text in difference.patch.lines() {
            printer.line(&coloured(text, printer));
        }
    }
    printer.document(&serde_json::to_value(&difference).unwrap_or_default());
    Ok(CliExit::Success)
}

fn undo(
    number: Option<u32>,
    services: &dyn ServiceFactory,
    settings: &Settings,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let lock = services.lock(settings, "tos checkpoint undo")?;
    let checkpoints = services.checkpoints(settings);
    let undone: UndoReport = services::block_on(services, move |_stop| {
        Box::pin(async move { checkpoints.undo(number).await })
    })??;
    drop(lock);
    for warning in &undone.warnings {
        printer.alert(&format!("warning: {warning}"));
    }
    changes(&undone.changes, printer);
    printer.note(&format!("kept {}", undone.safety_reference));
    let head = undone.head.as_deref().unwrap_or("no commit yet");
    printer.line(&format!("undone to {} {head}", undone.reference));
    printer.document(&serde_json::to_value(&undone).unwrap_or_default());
    Ok(CliExit::Success)
}

fn line(listed: &CheckpointEntry) -> String {
    let number = match listed.sort {
        CheckpointKind::Checkpoint if listed.number == 0 => "-".to_owned(),
        CheckpointKind::Checkpoint => listed.number.to_string(),
        CheckpointKind::Safety => format!("safety/{}", listed.number),
    };
    let hash = listed.hash.get(..12).unwrap_or(&listed.hash);
    format!("{number:>9}  {hash}  {}  {}", listed.at, listed.name)
}

fn changes(changes: &[PathChange], printer: &Printer) {
    for change in changes {
        let tone = match change.kind {
            ChangeKind::Added => TextStyle::Good,
            ChangeKind::Modified => TextStyle::Warn,
            ChangeKind::Deleted => TextStyle::Bad,
        };
        let letter = printer.paint(tone, &change.kind.status_letter().to_string());
        printer.line(&format!("{letter} {}", change.path));
    }
}

/// Colours a line of a unified diff; control characters of foreign files are shown, not obeyed.
fn coloured(text: &str, printer: &Printer) -> String {
    let text: String = text
        .chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    match text.as_bytes().first() {
        Some(b'+') if !text.starts_with("+++") => printer.paint(TextStyle::Good, &text),
        Some(b'-') if !text.starts_with("---") => printer.paint(TextStyle::Bad, &text),
        _ => text,
    }
}
