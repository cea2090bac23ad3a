//! `tos notify`: who is told of runs, and whether they can be.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    domain::notify::{Notification, NotificationEvent},
    interfaces::cli::{
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        services,
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
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    match &args.verb {
        Verb::Test { name } => test(name.as_deref(), global, services, printer),
        Verb::List => list(global, services, printer),
    }
}

fn list(
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let notifiers = services.notifiers(global)?;
    let mut document = Vec::new();
    for notifier in &notifiers {
        let wanted = NotificationEvent::ALL
            .into_iter()
            .filter(|event| !matches!(event, NotificationEvent::Health | NotificationEvent::Test))
            .map(NotificationEvent::as_str);
        let all: Vec<&str> = wanted.clone().collect();
        let on: Vec<&str> = wanted
            .filter(|word| NotificationEvent::of(word).is_some_and(|event| notifier.wants(event)))
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
    Ok(CliExit::Success)
}

fn test(
    name: Option<&str>,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let mut notifiers = services.notifiers(global)?;
    if let Some(name) = name {
        let known: Vec<String> = notifiers
            .iter()
            .map(|one| format!("`{}`", one.name()))
            .collect();
        notifiers.retain(|one| one.name() == name);
        if notifiers.is_empty() {
            return Err(CliError::Usage(format!(
                "config/notify.toml has no notifier `{name}`; it has {}",
                known.join(", ")
            )));
        }
    }
    let root = services.root(global).display().to_string();
    let message = Notification::new(NotificationEvent::Test, "tos: a test message", "").text(
        format!("Runs in {root} tell you here. Nothing has to be done."),
    );
    let told = services::block_on(services, move |_| {
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
    let mut exit = CliExit::Success;
    for (name, result) in told {
        match &result {
            Ok(()) => printer.line(&format!("{name}: sent")),
            Err(refusal) => {
                exit = CliExit::NotDone;
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
