//! `tos answer [ID yes|no|always]`, formerly `tos approve [ID] [--deny|--always]`.

use clap::Args;
use serde::Deserialize;

use crate::{
    domain::command::Command,
    interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
};

/// Options of `tos answer`.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// The question; the open ones are listed if absent
    #[arg(requires = "word")]
    id: Option<String>,
    /// The answer; `always` is a yes for good: it writes a rule into the configuration
    #[arg(value_enum, value_name = "yes|no|always", hide_possible_values = true)]
    word: Option<Word>,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Word {
    Yes,
    No,
    Always,
}

/// Answers a question, or lists them.
pub fn answer_main(
    args: &AnswerArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let args = ApproveArgs {
        id: args.id.clone(),
        deny: args.word == Some(Word::No),
        always: args.word == Some(Word::Always),
    };
    main(&args, global, services, printer)
}

/// Options of `tos approve`, the old form of `tos answer`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The question; the open ones are listed if absent
    id: Option<String>,
    /// Say no
    #[arg(long, requires = "id")]
    deny: bool,
    /// Say yes for good: writes a rule into the configuration
    #[arg(long, requires = "id", conflicts_with = "deny")]
    always: bool,
}

/// Answers a question that a run with `--approvals wait` has left.
pub fn main(
    args: &ApproveArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let settings = services.settings(global)?;
    let Some(id) = &args.id else {
        let open = services.open_questions(&settings);
        for question in &open {
            let text = |key: &str| {
                question
                    .get(key)
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or("-")
            };
            printer.line(&format!(
                "{}  {}: {}",
                text("id"),
                text("type"),
                text("command")
            ));
            printer.line(&format!("      {}", text("reason")));
        }
        if open.is_empty() {
            printer.note("no question is open");
        }
        printer.document(&serde_json::json!({ "open": open }));
        return Ok(CliExit::Success);
    };
    if args.always {
        let open = services.open_questions(&settings);
        let asked = open.iter().find(|question| question["id"] == id.as_str());
        let command = asked.and_then(|question| Command::deserialize(&question["proposed"]).ok());
        if let Some(command) = command {
            let place = services.save_allow_rules(&settings, &command)?;
            printer.line(&format!("rule written to {place}"));
        }
    }
    if !services.answer_question(&settings, id, !args.deny)? {
        return Err(CliError::NotDone(format!(
            "no question `{id}` is open; `tos answer` lists them"
        )));
    }
    printer.line(&format!(
        "{} {id}",
        if args.deny { "denied" } else { "approved" }
    ));
    printer.document(&serde_json::json!({ "id": id, "approved": !args.deny }));
    Ok(CliExit::Success)
}
