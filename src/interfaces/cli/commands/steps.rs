//! `tos steps [N] [--raw]`.

use clap::Args;
use serde_json::Value;

use crate::{
    domain::job::{outcome::shown_reason, state::cost_words},
    interfaces::{
        cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        report::printer::TextStyle,
    },
    ports::store::{RecordFile, Store},
};

/// Options of `tos steps`.
#[derive(Debug, Args)]
pub struct StepsArgs {
    /// The step; a list of all steps if absent
    number: Option<u32>,
    /// Print the step's log as it is on the disk
    #[arg(long, requires = "number")]
    raw: bool,
}

/// Shows steps. Changes nothing and needs no lock.
pub fn main(
    args: &StepsArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let settings = services.settings(global)?;
    let store = services.store(&settings, None);
    let Some(number) = args.number else {
        return list(store.as_ref(), printer);
    };
    let Some(bytes) = store.read(RecordFile::Step(number))? else {
        return Err(CliError::NotDone(format!(
            "there is no step {number}; `tos steps` lists them"
        )));
    };
    let text = String::from_utf8_lossy(&bytes);
    if args.raw && !printer.is_json() {
        Printer::raw(&text);
        return Ok(CliExit::Success);
    }
    let log: Value = serde_json::from_slice(&bytes).map_err(|error| {
        CliError::NotDone(format!(
            "step {number}'s log is not JSON ({error}); the next run mends it"
        ))
    })?;
    show(&log, printer);
    printer.note(&printer.paint(
        TextStyle::Faint,
        &format!("everything that was recorded: tos steps {number} --raw"),
    ));
    printer.document(&log);
    Ok(CliExit::Success)
}

fn list(store: &dyn Store, printer: &Printer) -> Result<CliExit, CliError> {
    let mut rows = Vec::new();
    for number in store.record_files().step_logs {
        let bytes = store.read(RecordFile::Step(number))?.unwrap_or_default();
        let log: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        printer.line(&format!(
            "{number:>4}  {:17} job {:4} {}",
            text(&log, "phase"),
            log.get("job_index")
                .filter(|job| !job.is_null())
                .map_or_else(|| "-".to_owned(), Value::to_string),
            shown_reason(text(&log, "done_reason"))
        ));
        rows.push(serde_json::json!({
            "step_num": number, "phase": log.get("phase"), "job_index": log.get("job_index"),
            "done_reason": log.get("done_reason"), "stopped": log.get("stopped"),
        }));
    }
    if rows.is_empty() {
        printer.note("no steps yet");
    }
    printer.document(&Value::Array(rows));
    Ok(CliExit::Success)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}

fn show(log: &Value, printer: &Printer) {
    let heading = format!(
        "step {}  {}",
        log.get("step_num").unwrap_or(&Value::Null),
        text(log, "phase")
    );
    printer.line(&printer.paint(TextStyle::Strong, &heading));
    printer.line(&format!("when      {}", text(log, "timestamp")));
    printer.line(&format!(
        "why       {}",
        shown_reason(text(log, "done_reason"))
    ));
    let tokens = log.get("tokens").and_then(Value::as_u64).unwrap_or(0);
    let cost = cost_words(log.get("cost").and_then(Value::as_f64));
    printer.line(&format!("spent     {tokens} tokens, {cost}"));
    calls(log, printer);
    said(log, printer);
    commands(log, printer);
    let evidence = log.pointer("/execution/evidence").and_then(Value::as_array);
    for seen in evidence.into_iter().flatten() {
        let met = seen.get("met").and_then(Value::as_bool) == Some(true);
        let tone = if met {
            TextStyle::Good
        } else {
            TextStyle::Warn
        };
        let word = printer.paint(tone, if met { "met    " } else { "not met" });
        printer.line(&format!(
            "goal      {word} {}: {}",
            text(seen, "check"),
            text(seen, "seen")
        ));
    }
}

fn calls(log: &Value, printer: &Printer) {
    for role in ["draft", "review", "final"] {
        let Some(call) = log.pointer(&format!("/calls/{role}")) else {
            continue;
        };
        if call.get("provider").is_none_or(Value::is_null) {
            continue;
        }
        let number = |path: &str| call.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        printer.line(&format!(
            "asked     {role}: {}:{}, {} tokens in, {} out, {} ms",
            text(call, "provider"),
            text(call, "model"),
            number("/usage/input"),
            number("/usage/output"),
            number("/elapsed_ms")
        ));
        for key in ["unusable", "failures"] {
            for why in call
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                printer.line(&format!(
                    "          {key}: {}",
                    why.as_str().unwrap_or_default()
                ));
            }
        }
    }
}

fn said(log: &Value, printer: &Printer) {
    for (label, path) in [
        ("thought   ", "/draft/thought"),
        ("review    ", "/review/review"),
        ("summary   ", "/final/summary"),
    ] {
        if let Some(text) = log
            .pointer(path)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
        {
            printer.line(&format!("{label}{}", indented(text)));
        }
    }
}

fn commands(log: &Value, printer: &Printer) {
    let verdicts = log.get("allowlist_summary").and_then(Value::as_array);
    let results = log
        .pointer("/execution/command_results")
        .and_then(Value::as_array);
    for (index, verdict) in verdicts.into_iter().flatten().enumerate() {
        let allowed = verdict.get("allowed").and_then(Value::as_bool) == Some(true);
        let tone = if allowed {
            TextStyle::Good
        } else {
            TextStyle::Bad
        };
        let word = printer.paint(tone, if allowed { "allowed" } else { "denied " });
        let result = results
            .and_then(|results| results.get(index))
            .unwrap_or(&Value::Null);
        printer.line(&format!(
            "command {} {word} {}: {}",
            index + 1,
            text(verdict, "type"),
            indented(text(result, "code"))
        ));
        printer.line(&format!(
            "          {}",
            printer.paint(TextStyle::Faint, text(verdict, "reason"))
        ));
        if let Some(end) = ending(result) {
            printer.line(&format!("          {end}"));
        }
        for stream in ["stdout", "stderr"] {
            let output = text(result, stream);
            if !output.is_empty() && output != "-" {
                printer.line(&format!(
                    "          {stream}: {}",
                    indented(output.trim_end())
                ));
            }
        }
    }
}

/// Returns how a command ended, or why nobody knows.
fn ending(result: &Value) -> Option<&str> {
    if result.get("unknown").and_then(Value::as_bool) == Some(true) {
        // A step goes on behind such a command only where a person left it.
        return Some(
            "started before a crash: its end is unknown; it was left and not run again (`--after-crash skip`)",
        );
    }
    let end = result.get("end").or_else(|| result.get("error"));
    end.and_then(Value::as_str)
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n          ")
}
