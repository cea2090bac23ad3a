//! `tos guard status`: where the hook is, and whether it refuses; each one is tried with a call that no hook may let pass.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::{
    StatusArgs,
    trust::{CodexTrust, HookTrust, folder_skip_reason},
};
use crate::{
    config::{
        agent_hooks,
        guard::GuardSettings,
        settings_dialect::{hooks_disabled_reason, ignored_hooks_reason},
    },
    domain::guard::{
        HookAgent,
        hook::{
            PLUGIN_MARK, hook_command, is_current_plugin, is_refusal, observing_hook_command,
            plugin_program, probe_call, program_of, rewritten_hook_command, unhooked_form,
        },
        log::{LogEntry, PROBE_SESSION},
    },
    interfaces::{
        cli::{
            common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
            guard_services::GuardedProject,
        },
        report::printer::TextStyle,
    },
};

/// One settings file that may hold the hook.
#[derive(Debug, Serialize)]
struct HookStatus {
    agent: &'static str,
    /// `person` or `project`.
    scope: &'static str,
    file: PathBuf,
    /// `proved`, `observes`, `not proved`, `not effective`, `not trusted`, `trust not checked`, `missing` or `unreadable`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    notes: Vec<String>,
    others: Vec<String>,
}

/// Shows every hook.
pub(super) fn main(
    args: &StatusArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let place = services.guard_project(global.root.as_deref());
    let agents = if args.agents.is_empty() {
        HookAgent::ALL.to_vec()
    } else {
        args.agents.clone()
    };
    let settings = services.guard_settings(&place.root);
    let codex = CodexTrust::new(services, &place.folder, &place.root);
    let mut all = Vec::new();
    for agent in agents {
        let person = services.agent_settings_path(agent, None)?;
        let project = services.agent_settings_path(agent, Some(&place.root))?;
        let project = (!place.is_no_project()).then_some(("project", project));
        for (scope, file) in [("person", person)].into_iter().chain(project) {
            all.push(status_of(agent, scope, file, &place, &codex, services));
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
        printer.shown("no agent asks the guard; `tos guard install` changes that");
    }
    let rules = rules_told(&settings);
    printer.shown(&rules);
    let told = settings.as_ref().ok();
    let observes = told.is_some_and(|settings| settings.observe);
    let ignored = told.and_then(|settings| settings.ignored.clone());
    let wide = told.map_or_else(Vec::new, GuardSettings::warnings);
    for warning in ignored.iter().chain(&wide) {
        printer.alert(&format!("warning: {warning}"));
    }
    // Hooks send nothing; whoever watches the rest by a collector looks here when it stays silent.
    let collector = services.collector_fault(global);
    if let Some(why) = &collector {
        printer.note(&format!(
            "telemetry is not delivered: {why}. What the guard decides does not depend on it"
        ));
    }
    let log = services.guard_log();
    let writable = log.append(&LogEntry {
        kind: "judged".to_owned(),
        session: PROBE_SESSION.to_owned(),
        time: services.time_stamp(),
        ..LogEntry::default()
    });
    match &writable {
        Ok(()) => printer.shown(&format!("log: {}", log.place())),
        Err(why) => printer.alert(&format!("warning: nothing is logged: {why}")),
    }
    printer.document(&json!({
        "hooks": all, "rules": rules, "observe": observes, "ignored": ignored, "warnings": wide, "telemetry": collector, "log": log.place(), "log_error": writable.err(),
    }));
    // Only a hook that refused something is one to rely on.
    let is_bad = |status: &HookStatus| !["proved", "missing"].contains(&status.state);
    Ok(
        if all.iter().any(is_bad) || settings.is_err() || installed == 0 {
            CliExit::NotDone
        } else {
            CliExit::Success
        },
    )
}

/// Says what the rules are, or what happens without them.
fn rules_told(settings: &Result<GuardSettings, String>) -> String {
    match settings {
        Ok(settings) => {
            let observe = if settings.observe {
                "; `observe = true`: nothing is blocked, only reported"
            } else {
                ""
            };
            format!(
                "rules: {} of your own, {} examples hold{observe}",
                settings.rule_count(),
                settings.example_count()
            )
        }
        Err(why) => format!(
            "rules: {why}; until this is mended, Claude Code and Cursor ask about every call, and where nobody can be asked, or \
             with another agent, it is refused"
        ),
    }
}

fn status_of(
    agent: HookAgent,
    scope: &'static str,
    file: PathBuf,
    place: &GuardedProject,
    codex: &CodexTrust<'_>,
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
        match agent_hooks::find_hooks(&text, agent) {
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
    let Some(command) = command else {
        if agent == HookAgent::Opencode && text.starts_with(PLUGIN_MARK) {
            altered(agent, &mut status);
        }
        return status;
    };
    let off = if agent == HookAgent::Opencode {
        None
    } else {
        ignored_hooks_reason(&text, agent).or_else(|| switched_off(agent, place, services))
    };
    if let Some(why) = off {
        status.state = "not effective";
        status.notes.push(format!("not effective: {why}"));
        return status;
    }
    tried(agent, &command, &place.folder, services, &mut status);
    if !is_as_written(agent, &text, &command) {
        altered(agent, &mut status);
    }
    status.notes.extend(unhooked_form(agent).map(str::to_owned));
    trusted(agent, &command, place, codex, services, &mut status);
    status
}

/// Says whether the agent would run the hook at all.
fn trusted(
    agent: HookAgent,
    command: &str,
    place: &GuardedProject,
    codex: &CodexTrust<'_>,
    services: &dyn ServiceFactory,
    status: &mut HookStatus,
) {
    let is_project = status.scope == "project";
    let trust = if agent == HookAgent::Codex {
        codex.of(&status.file, is_project, command)
    } else {
        let folder = if is_project {
            &place.root
        } else {
            &place.folder
        };
        folder_skip_reason(agent, is_project, folder, services)
            .map_or(HookTrust::Runs, HookTrust::Skips)
    };
    let (state, note) = match trust {
        HookTrust::Runs => return,
        HookTrust::Skips(why) => ("not trusted", why),
        HookTrust::NotChecked(why) => ("trust not checked", why),
    };
    if status.state == "proved" {
        status.state = state;
    }
    status.notes.push(note);
}

/// Returns what in other files of an agent keeps its hooks from being run.
fn switched_off(
    agent: HookAgent,
    place: &GuardedProject,
    services: &dyn ServiceFactory,
) -> Option<String> {
    let person = services.agent_settings_path(agent, None).ok()?;
    let project = services
        .agent_settings_path(agent, Some(&place.root))
        .ok()?;
    let files = match agent {
        HookAgent::Claude => {
            let local = project.with_file_name("settings.local.json");
            vec![person, project, local]
        }
        HookAgent::Gemini => vec![person, project],
        HookAgent::Codex => {
            let beside = |file: PathBuf| file.with_file_name("config.toml");
            // Settings of a project in a folder that Codex does not trust are not read.
            let is_read = folder_skip_reason(agent, true, &place.root, services).is_none();
            let project = is_read.then(|| beside(project));
            std::iter::once(beside(person)).chain(project).collect()
        }
        HookAgent::Opencode | HookAgent::Cursor => return None,
    };
    files.into_iter().find_map(|file| {
        let text = services.read_settings(&file).ok()??;
        let why = hooks_disabled_reason(&text, agent)?;
        Some(format!("{}: {why}", file.display()))
    })
}

/// Returns the command that the plugin for `OpenCode` would run.
fn plugin_command(text: &str) -> Option<String> {
    if !text.starts_with(PLUGIN_MARK) {
        return None;
    }
    let program = PathBuf::from(plugin_program(text)?);
    Some(if text.contains("\"--observe\"") {
        observing_hook_command(&program, HookAgent::Opencode)
    } else {
        hook_command(&program, HookAgent::Opencode)
    })
}

/// Returns whether the hook stands as `tos guard install` would write it. An agent obeys what stands around the command as well
/// (which tools it is for, how long it may take, whether its answer is waited for), which no trial of the command shows.
fn is_as_written(agent: HookAgent, text: &str, command: &str) -> bool {
    if agent == HookAgent::Opencode {
        return is_current_plugin(text);
    }
    rewritten_hook_command(command, agent).is_some_and(|written| {
        agent_hooks::is_current(text, agent, &written).is_ok_and(|current| current)
    })
}

/// Says that a hook is not as tos writes it.
fn altered(agent: HookAgent, status: &mut HookStatus) {
    status.state = "altered";
    status.notes.push(format!(
        "it is not as this tos writes it, so {} may not obey it; `tos guard install {}` mends it",
        agent.title(),
        agent.as_str()
    ));
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
    let input = probe_call(agent, folder, PROBE_SESSION);
    status.state = match services.try_hook(command, &input, folder) {
        // A refusal by status 2 alone may be the shell's, around a tos that is gone.
        Ok(end) if is_refusal(agent, end.code, &end.stdout) && end.code == Some(0) => "proved",
        Ok(end) if end.code == Some(2) => {
            let said = end.stderr.trim().replace('\n', " ");
            let asks = matches!(agent, HookAgent::Claude | HookAgent::Cursor);
            // Where it is the rules, somebody who is there is asked; where it is the shell around a tos that is gone, nobody is.
            status.notes.push(match said.strip_prefix("tos guard could not judge this call: ") {
                Some(why) if asks => format!(
                    "no call can be judged: {why}. {} asks you about each one, and where nobody can be asked it is refused",
                    agent.title()
                ),
                Some(why) => format!("no call can be judged, so each one is refused: {why}"),
                None => format!("every call is refused: {said}"),
            });
            "not proved"
        }
        Ok(end) => {
            let is_success = end.code == Some(0);
            let observed = is_success.then(|| observing(command, folder, services));
            let (state, note) = match observed.flatten() {
                Some(by) => (
                    "observes",
                    format!("it blocks nothing and only reports ({by})"),
                ),
                None => ("not proved", not_refused(end.code, &end.stderr)),
            };
            status.notes.push(note);
            state
        }
        Err(why) => {
            status
                .notes
                .push(format!("the hook could not be tried: {why}"));
            "not proved"
        }
    };
}

/// Says that a hook let the call pass, and how it ended.
fn not_refused(code: Option<i32>, stderr: &str) -> String {
    let said = stderr.trim().replace('\n', " ");
    let how = code.map_or_else(
        || "a signal ended it".to_owned(),
        |code| format!("it ended with status {code}"),
    );
    let said = if said.is_empty() {
        said
    } else {
        format!(": {said}")
    };
    format!("a destructive call was not refused; {how}{said}")
}

/// Returns what makes a hook only look on.
fn observing(command: &str, folder: &Path, services: &dyn ServiceFactory) -> Option<String> {
    if command.contains(" --observe") {
        return Some("`--observe`".to_owned());
    }
    let root = services.guard_project(Some(folder)).root;
    let settings = services.guard_settings(&root).ok();
    let settings = settings.filter(|settings| settings.observe)?;
    let files: Vec<String> = settings
        .sources
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    Some(format!("`observe = true` in {}", files.join(" or ")))
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

fn show(status: &HookStatus, printer: &Printer) {
    let tone = match status.state {
        "proved" => TextStyle::Good,
        "missing" | "observes" | "trust not checked" => TextStyle::Warn,
        _ => TextStyle::Bad,
    };
    let words = match status.state {
        "proved" => "installed; it refused a destructive call just now",
        "observes" => "installed; it observes only and blocks nothing",
        "not effective" => "installed, but not effective",
        "not trusted" => {
            "installed; it refused a destructive call just now, but the agent skips it"
        }
        "trust not checked" => {
            "installed; it refused a destructive call just now, but whether the agent runs it was not checked"
        }
        "altered" => "installed, but not as tos writes it",
        "missing" => "not installed",
        "unreadable" => "its settings cannot be read",
        _ => "installed, but it does not do its work",
    };
    printer.shown(&format!(
        "{:<9} {:<8} {}  {}",
        status.agent,
        status.scope,
        printer.paint(tone, words),
        status.file.display()
    ));
    for note in &status.notes {
        printer.shown(&format!("          {note}"));
    }
    for other in &status.others {
        printer.shown(&format!("          another hook: {other}"));
    }
}
