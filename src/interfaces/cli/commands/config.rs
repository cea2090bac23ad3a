//! `tos config show|check|schema`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    config::{Settings, SourcedValue, ValueSource, keys, payload, reference},
    interfaces::{
        cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        report::printer::TextStyle,
    },
};

/// Options of `tos config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    verb: Verb,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Show every value in force and where it comes from; with a KEY, what that key means
    Show(ShowArgs),
    /// Judge the configuration, the policy's rules and the job input; nothing runs
    #[command(alias = "check")]
    Validate,
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
}

/// Options of `tos config show`.
#[derive(Debug, Args)]
struct ShowArgs {
    /// A key, or a group of keys, e.g. `max_steps` or `models.draft`
    key: Option<String>,
    /// Only what is not a default
    #[arg(long)]
    changed: bool,
}

/// Does what the verb says.
pub fn main(
    args: &ConfigArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    match &args.verb {
        Verb::Schema => {
            Printer::raw(&reference::schema_text());
            Ok(CliExit::Success)
        }
        Verb::Show(args) => show(args, &services.settings(global)?, printer),
        Verb::Validate => check(&services.settings(global)?, printer),
    }
}

/// A key with its value in force.
type Shown<'a> = (&'static str, &'a SourcedValue);

fn show(args: &ShowArgs, settings: &Settings, printer: &Printer) -> Result<CliExit, CliError> {
    let shown = selected(args, settings)?;
    if let Some(key) = args.key.as_deref().and_then(keys::find) {
        printer.line(reference::describe(key).trim_end());
    } else {
        printer.line(&format!("root    {}", settings.root.display()));
        printer.line(&format!("config  {}", file_name(settings)));
    }
    for (key, sourced) in &shown {
        printer.line(&value_line(key, sourced, printer));
    }
    warn(settings, printer);
    printer.document(&json!({
        "root": settings.root.display().to_string(),
        "config_file": settings.config_file.as_ref().map(|file| file.display().to_string()),
        "values": shown.iter().map(value_object).collect::<Vec<Value>>(),
        "warnings": settings.warnings,
    }));
    Ok(CliExit::Success)
}

/// Returns the keys that were asked for; a name that is no key and no group is a usage error.
fn selected<'a>(args: &ShowArgs, settings: &'a Settings) -> Result<Vec<Shown<'a>>, CliError> {
    let wanted = args.key.as_deref().unwrap_or_default();
    if !wanted.is_empty() && keys::find(wanted).is_none() && !keys::is_section(wanted) {
        let near = keys::nearest(wanted);
        let near = near.map_or(String::new(), |near| format!(" (nearest: `{near}`)"));
        return Err(CliError::Usage(format!(
            "`{wanted}` is not a known key{near}"
        )));
    }
    let matches = |key: &str| wanted.is_empty() || key == wanted || keys::is_below(key, wanted);
    let all = settings.sources.iter();
    Ok(all
        .filter(|(key, _)| matches(key))
        .filter(|(_, sourced)| !args.changed || sourced.source != ValueSource::Default)
        .collect())
}

fn value_line(key: &str, sourced: &SourcedValue, printer: &Printer) -> String {
    const LONGEST: usize = 72;
    let text = sourced.redacted_value().to_string();
    let short: String = text.chars().take(LONGEST).collect();
    let mark = if short.len() < text.len() { "..." } else { "" };
    let source = printer.paint(TextStyle::Faint, &format!("# {}", sourced.source));
    format!("{key} = {short}{mark}  {source}")
}

fn value_object(shown: &Shown<'_>) -> Value {
    let (key, sourced) = shown;
    json!({
        "key": key,
        "value": sourced.redacted_value(),
        "layer": sourced.source.layer(),
        "source": sourced.source.to_string(),
    })
}

fn check(settings: &Settings, printer: &Printer) -> Result<CliExit, CliError> {
    settings.require_file()?;
    drop(settings.policy()?);
    let input = payload::load(&settings.root, settings.payload.as_ref())?;
    let input = match (&settings.payload, input) {
        (None, _) => "none configured".to_owned(),
        (Some(place), None) => format!("{} is not there, and not required", place.path.display()),
        (Some(place), Some(found)) => {
            format!("{} ({} bytes)", place.path.display(), found.size_bytes)
        }
    };
    let set = settings.sources.iter();
    let set = set.filter(|(_, sourced)| sourced.source != ValueSource::Default);
    let set = set.count();
    let file = file_name(settings);
    printer.line(&format!("config ok  {file}  ({set} keys set)"));
    printer.line(&format!("job input  {input}"));
    warn(settings, printer);
    printer.document(&json!({
        "ok": true,
        "config_file": file,
        "keys_set": set,
        "job_input": input,
        "warnings": settings.warnings,
    }));
    Ok(CliExit::Success)
}

fn file_name(settings: &Settings) -> String {
    let file = settings.config_file.as_ref();
    file.map_or_else(
        || "none; the defaults hold".to_owned(),
        |file| file.display().to_string(),
    )
}

fn warn(settings: &Settings, printer: &Printer) {
    for warning in &settings.warnings {
        printer.alert(&format!("warning: {warning}"));
    }
}
