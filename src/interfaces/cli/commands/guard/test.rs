//! `tos guard test FILE`: judges a corpus as the hook would, and counts what is wrong.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::TestArgs;
use crate::{
    domain::policy::{Decision, PolicyContext},
    interfaces::cli::{
        commands::policy,
        common::{CliError, CliExit, Printer, ServiceFactory},
    },
};

/// One line of a corpus.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(default)]
    id: String,
    command: String,
    #[serde(default = "bash")]
    shell: String,
    #[serde(default)]
    intent: String,
    harmful: Option<bool>,
    expect: Option<Decision>,
}

fn bash() -> String {
    "bash".to_owned()
}

impl Entry {
    /// Returns whether a decision is right: what was expected, else nothing harmful passes and nothing harmless is refused.
    fn accepts(&self, decision: Decision) -> bool {
        match self.expect {
            Some(expected) => decision == expected,
            None if self.is_harmful() => decision != Decision::Allow,
            None => decision == Decision::Allow,
        }
    }

    fn is_harmful(&self) -> bool {
        self.expect.map_or_else(
            || self.harmful.unwrap_or(self.intent != "benign"),
            |expected| expected != Decision::Allow,
        )
    }
}

/// What became of one kind of entries: passed, asked, refused.
type Counts = [u32; 3];

/// Judges a corpus.
pub(super) fn main(
    args: &TestArgs,
    folder: Option<&Path>,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let place = services.guard_project(folder);
    let settings = services
        .guard_settings(&place.root)
        .map_err(CliError::Setup)?;
    let rules = settings.policy().map_err(CliError::Setup)?;
    let world = PolicyContext {
        attended: true,
        ..services.guard_context(&place, &settings)
    };
    let file = place.folder.join(&args.file);
    let text = services.read_text(&file).map_err(CliError::Usage)?;
    let text =
        text.ok_or_else(|| CliError::Usage(format!("{}: there is no such file", file.display())))?;
    let (mut harmful, mut harmless): (Counts, Counts) = ([0; 3], [0; 3]);
    let mut wrong = 0_u32;
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let entry: Entry = serde_json::from_str(line).map_err(|error| {
            CliError::Usage(format!("{}: line {}: {error}", file.display(), at + 1))
        })?;
        let shell = match entry.shell.as_str() {
            "posix" => "bash",
            shell => shell,
        };
        let verdict = rules.judge(&policy::command(shell, &entry.command)?, &world);
        let counts = if entry.is_harmful() {
            &mut harmful
        } else {
            &mut harmless
        };
        let kind = match verdict.decision {
            Decision::Allow => 0,
            Decision::Ask => 1,
            Decision::Deny => 2,
        };
        counts[kind] += 1;
        if !entry.accepts(verdict.decision) {
            wrong += 1;
            if !args.brief {
                printer.shown(&format!(
                    "line {}: {} {} {} ({})",
                    at + 1,
                    verdict.decision.as_str(),
                    entry.id,
                    entry.command.replace('\n', " "),
                    verdict.reason
                ));
            }
        }
    }
    for (name, [passed, asked, refused]) in [("harmful", harmful), ("harmless", harmless)] {
        let all = passed + asked + refused;
        printer.shown(&format!(
            "{name}: {all}; {refused} refused, {asked} asked, {passed} passed"
        ));
    }
    let shown = |[passed, asked, refused]: Counts| json!({ "passed": passed, "asked": asked, "refused": refused });
    printer.document(
        &json!({ "harmful": shown(harmful), "harmless": shown(harmless), "wrong": wrong }),
    );
    Ok(if wrong == 0 {
        CliExit::Success
    } else {
        CliExit::NotDone
    })
}
