//! `tos notify`: who is told of runs, and whether they can be.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    domain::notification::{Event, Notification},
    interfaces::{
        cli::{
            args::Global,
            exit::{Exit, Trouble},
            kit::{self, Kit},
        },
        report::Printer,
    },
};

/// Options of `tos notify`.
#[derive(Debug, Args)]
pub struct NotifyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Send a test message; says what to do where it is refused
    Test {
        /// The notifier's name in config/notify.toml; all of them if absent
        name: Option<String>,
    },
    /// List the notifiers of config/notify.toml and what each is told of
    List,
}

/// Does what the verb says.
pub fn main(
    args: &NotifyArgs,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    match &args.verb {
        Verb::Test { name } => test(name.as_deref(), global, kit, printer),
        Verb::List => list(global, kit, printer),
    }
}

fn list(global: &Global, kit: &dyn Kit, printer: &Printer) -> Result<Exit, Trouble> {
    let notifiers = kit.notifiers(global)?;
    let mut document = Vec::new();
    for notifier in &notifiers {
        let wanted = Event::ALL
            .into_iter()
            .filter(|event| !matches!(event, Event::Health | Event::Test))
            .map(Event::as_str);
        let all: Vec<&str> = wanted.clone().collect();
        let on: Vec<&str> = wanted
            .filter(|word| Event::of(word).is_some_and(|event| notifier.wants(event)))
            .collect();
        let words = if on.len() == all.len() {
            "everything".to_owned()
        } else {
            on.join(", ")
        };
        printer.line(&format!("{}  {words}", notifier.name()));
        document.push(json!({ "name": notifier.name(), "on": on }));
    }
    printer.document(&json!({ "notifiers": document }));
    Ok(Exit::Success)
}

fn test(
    name: Option<&str>,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let mut notifiers = kit.notifiers(global)?;
    if let Some(name) = name {
        let known: Vec<String> = notifiers
            .iter()
            .map(|one| format!("`{}`", one.name()))
            .collect();
        notifiers.retain(|one| one.name() == name);
        if notifiers.is_empty() {
            return Err(Trouble::Usage(format!(
                "config/notify.toml has no notifier `{name}`; it has {}",
                known.join(", ")
            )));
        }
    }
    let root = kit.root(global).display().to_string();
    let message = Notification::new(Event::Test, "tos: a test message", "").text(format!(
        "Runs in {root} tell you here. Nothing has to be done."
    ));
    let told = kit::block_on(kit, move |_| {
        Box::pin(async move {
            let mut told = Vec::new();
            for notifier in &notifiers {
                let result = notifier.tell(&message).await;
                told.push((notifier.name().to_owned(), result));
            }
            told
        })
    })?;
    let mut document = Vec::new();
    let mut exit = Exit::Success;
    for (name, result) in told {
        match &result {
            Ok(()) => printer.line(&format!("{name}: sent")),
            Err(refusal) => {
                exit = Exit::NotDone;
                printer.line(&format!("{name}: not sent: {}", refusal.why));
                if !refusal.remedy.is_empty() {
                    printer.line(&format!("  {}", refusal.remedy));
                }
            }
        }
        let refusal = result.err();
        document.push(json!({
            "name": name,
            "sent": refusal.is_none(),
            "why": refusal.as_ref().map(|refusal| &refusal.why),
            "remedy": refusal.as_ref().map(|refusal| &refusal.remedy),
        }));
    }
    printer.document(&json!({ "notifiers": document }));
    Ok(exit)
}
