//! `tos guard status`: where the hook is, and whether it refuses; each one is tried with a call that no hook may let pass.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::StatusArgs;
use crate::{
    config::agent_hooks,
    domain::guard::{
        HookAgent,
        hook::{PLUGIN_MARK, hook_command, is_refusal, probe, program_of},
        log::{LogEntry, PROBE_SESSION},
    },
    interfaces::{
        cli::{
            exit::{CliError, CliExit},
            services::ServiceFactory,
        },
        report::{Printer, printer::TextStyle},
    },
};

/// One settings file that may hold the hook.
#[derive(Debug, Serialize)]
struct HookStatus {
    agent: &'static str,
    /// `person` or `project`.
    scope: &'static str,
    file: PathBuf,
    /// `proved`, `observes`, `missing`, `not proved` or `unreadable`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    notes: Vec<String>,
    others: Vec<String>,
}

/// Shows every hook.
pub(super) fn main(
    args: &StatusArgs,
    folder: Option<&Path>,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let place = services.guard_place(folder);
    let agents = if args.agents.is_empty() {
        HookAgent::ALL.to_vec()
    } else {
        args.agents.clone()
    };
    let mut all = Vec::new();
    for agent in agents {
        let person = services.agent_settings(agent, None)?;
        let project = services.agent_settings(agent, Some(&place.root))?;
        let project = (!place.is_nowhere()).then_some(("project", project));
        for (scope, file) in [("person", person)].into_iter().chain(project) {
            all.push(status_of(agent, scope, file, &place.folder, services));
        }
    }
    let is_named = |agent: &str| args.agents.iter().any(|named| named.as_str() == agent);
    for status in &all {
        if status.state != "missing" || is_named(status.agent) {
            show(status, printer);
        }
    }
    let installed = all
        .iter()
        .filter(|status| status.state != "missing")
        .count();
    if installed == 0 {
        printer.line("no agent asks the guard; `tos guard install` changes that");
    }
    let settings = services.guard_settings(&place.root);
    let rules = match &settings {
        Ok(settings) => format!(
            "rules: {} of your own, {} examples hold",
            settings.rules.len(),
            settings.examples()
        ),
        Err(why) => format!("rules: {why}; until this is mended, every call is refused"),
    };
    printer.line(&rules);
    let ignored = settings
        .as_ref()
        .ok()
        .and_then(|settings| settings.ignored.clone());
    if let Some(ignored) = &ignored {
        printer.alert(&format!("warning: {ignored}"));
    }
    let log = services.guard_log();
    let writable = log.append(&LogEntry {
        kind: "judged".to_owned(),
        session: PROBE_SESSION.to_owned(),
        time: services.time_stamp(),
        ..LogEntry::default()
    });
    match &writable {
        Ok(()) => printer.line(&format!("log: {}", log.place())),
        Err(why) => printer.alert(&format!("warning: nothing is logged: {why}")),
    }
    printer.document(&json!({
        "hooks": all, "rules": rules, "ignored": ignored, "log": log.place(), "log_error": writable.err(),
    }));
    let bad = |status: &HookStatus| ["not proved", "unreadable"].contains(&status.state);
    Ok(
        if all.iter().any(bad) || settings.is_err() || installed == 0 {
            CliExit::NotDone
        } else {
            CliExit::Success
        },
    )
}

fn status_of(
    agent: HookAgent,
    scope: &'static str,
    file: PathBuf,
    folder: &Path,
    services: &dyn ServiceFactory,
) -> HookStatus {
    let mut status = HookStatus {
        agent: agent.as_str(),
        scope,
        file,
        state: "missing",
        program: None,
        notes: Vec::new(),
        others: Vec::new(),
    };
    let text = match services.read_settings(&status.file) {
        Ok(Some(text)) => text,
        Ok(None) => return status,
        Err(why) => {
            status.state = "unreadable";
            status.notes.push(why);
            return status;
        }
    };
    let command = if agent == HookAgent::Opencode {
        plugin_command(&text)
    } else {
        match agent_hooks::found(&text, agent) {
            Ok(hooks) => {
                let others = hooks.iter().filter(|hook| !hook.is_guard);
                status.others = others
                    .map(|hook| format!("{} {}: {}", hook.list, hook.place, hook.command))
                    .collect();
                let own = hooks.into_iter().find(|hook| hook.is_guard);
                own.map(|hook| hook.command)
            }
            Err(why) => {
                status.state = "unreadable";
                status.notes.push(why);
                return status;
            }
        }
    };
    if let Some(command) = command {
        tried(agent, &command, folder, services, &mut status);
    }
    status
}

/// Returns the command that the plugin for `OpenCode` would run.
fn plugin_command(text: &str) -> Option<String> {
    if !text.starts_with(PLUGIN_MARK) {
        return None;
    }
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("const program = "))?;
    let program: String = serde_json::from_str(line.trim()).ok()?;
    let command = hook_command(Path::new(&program), HookAgent::Opencode);
    Some(if text.contains("\"--observe\"") {
        command.replacen("guard hook opencode", "guard hook opencode --observe", 1)
    } else {
        command
    })
}

/// Tries a hook with a call that no hook may let pass.
fn tried(
    agent: HookAgent,
    command: &str,
    folder: &Path,
    services: &dyn ServiceFactory,
    status: &mut HookStatus,
) {
    let program = program_of(command);
    if let Some(program) = &program {
        whose(program, services, status);
    }
    status.program = program;
    let input = probe(agent, folder, PROBE_SESSION);
    status.state = match services.try_hook(command, &input, folder) {
        // A refusal by status 2 alone may be the shell's, around a tos that is gone.
        Ok(end) if is_refusal(agent, end.code, &end.stdout) && end.code == Some(0) => "proved",
        Ok(end) if end.code == Some(2) => {
            let said = end.stderr.trim().replace('\n', " ");
            status.notes.push(format!("every call is refused: {said}"));
            "not proved"
        }
        Ok(end) if command.contains("--observe") && end.code == Some(0) => {
            status
                .notes
                .push("it blocks nothing and only reports (`--observe`)".to_owned());
            "observes"
        }
        Ok(end) => {
            let said = end.stderr.trim().replace('\n', " ");
            status.notes.push(format!(
                "a destructive call was not refused: status {:?} {said}",
                end.code
            ));
            "not proved"
        }
        Err(why) => {
            status
                .notes
                .push(format!("the hook could not be tried: {why}"));
            "not proved"
        }
    };
    if agent == HookAgent::Codex {
        trust(services, status);
    }
}

/// Says which tos a hook starts.
fn whose(program: &str, services: &dyn ServiceFactory, status: &mut HookStatus) {
    let own = format!("tos {}", env!("CARGO_PKG_VERSION"));
    match services.version_of(Path::new(program)) {
        None => status.notes.push(format!(
            "{program} does not start; `tos guard install {}` writes the present path",
            status.agent
        )),
        Some(version) if version != own => status.notes.push(format!(
            "{program} is {version}, and this is {own}; `tos guard install {}` with the one you mean",
            status.agent
        )),
        Some(_) => {}
    }
}

/// Says whether Codex would run the hook: it skips what nobody has trusted, without a word.
fn trust(services: &dyn ServiceFactory, status: &mut HookStatus) {
    let config = services.agent_settings(HookAgent::Codex, None);
    let config = config.map(|file| file.with_file_name("config.toml"));
    let text = config
        .ok()
        .and_then(|file| services.read_settings(&file).ok().flatten());
    let named = format!("{}:pre_tool_use", status.file.display());
    let trusted = text.is_some_and(|text| text.contains(&named) && text.contains("trusted_hash"));
    let note = if trusted {
        "Codex has a trust record for it; after a change of the hook it has to be trusted again (`/hooks`)"
    } else {
        "Codex has no trust record for it and SKIPS it without a word: start `codex`, type `/hooks`, and trust it"
    };
    status.notes.push(note.to_owned());
}

fn show(status: &HookStatus, printer: &Printer) {
    let tone = match status.state {
        "proved" => TextStyle::Good,
        "missing" | "observes" => TextStyle::Warn,
        _ => TextStyle::Bad,
    };
    let words = match status.state {
        "proved" => "installed; it refused a destructive call just now",
        "observes" => "installed; it observes only",
        "missing" => "not installed",
        "unreadable" => "its settings cannot be read",
        _ => "installed, but it does not do its work",
    };
    printer.line(&format!(
        "{:<9} {:<8} {}  {}",
        status.agent,
        status.scope,
        printer.paint(tone, words),
        status.file.display()
    ));
    for note in &status.notes {
        printer.line(&format!("          {note}"));
    }
    for other in &status.others {
        printer.line(&format!("          another hook: {other}"));
    }
}
