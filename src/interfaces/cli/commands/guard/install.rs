//! `tos guard install` and `tos guard uninstall`: the hook comes into an agent's settings, and goes again.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{InstallArgs, UninstallArgs, trust::folder_skip_reason};
use crate::{
    config::{agent_hooks, settings_dialect::hooks_disabled_reason},
    domain::guard::{
        HookAgent,
        hook::{
            PLUGIN_MARK, hook_command, observing_hook_command, observing_opencode_plugin,
            opencode_plugin, unhooked_form,
        },
        installed::InstallRecord,
    },
    interfaces::{
        cli::common::{CliError, CliExit, Printer, ServiceFactory},
        report::printer::TextStyle,
    },
};

/// A change of one settings file.
struct Change {
    agent: HookAgent,
    path: PathBuf,
    before: Option<String>,
    /// `None` = the file goes.
    after: Option<String>,
    /// What is done to the file, to be undone one day; `None` = the hook goes.
    record: Option<InstallRecord>,
    /// Folders that go with the file, where they are empty then.
    folders: Vec<PathBuf>,
    /// Why the agent would skip the hook all the same.
    skipped: Option<String>,
}

impl Change {
    fn is_nothing(&self) -> bool {
        self.before == self.after
    }
}

/// Puts the hook into settings.
pub(super) fn install(
    args: &InstallArgs,
    folder: Option<&Path>,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let project = project(args.project, folder, services)?;
    let agents = if args.agents.is_empty() {
        let used = HookAgent::ALL
            .into_iter()
            .filter(|agent| services.uses_agent(*agent));
        let used: Vec<HookAgent> = used.collect();
        if used.is_empty() {
            let known = HookAgent::ALL.map(HookAgent::as_str).join(", ");
            return Err(CliError::Usage(format!(
                "no agent has settings here yet; name the one you use, for instance `tos guard install claude` ({known})"
            )));
        }
        used
    } else {
        args.agents.clone()
    };
    let program = services.current_exe()?;
    let plan = |agent| planned(agent, project.as_deref(), &program, args.observe, services);
    if project.is_some() {
        printer.alert(&format!(
            "a project's settings go to everybody who has the project: where {} is missing, every call is refused",
            program.display()
        ));
    }
    Ok(carry_out(&agents, plan, args.yes, services, printer))
}

fn planned(
    agent: HookAgent,
    project: Option<&Path>,
    program: &Path,
    observe: bool,
    services: &dyn ServiceFactory,
) -> Result<Change, String> {
    let path = settings_path(agent, project, services)?;
    let before = services.read_settings(&path)?;
    if agent == HookAgent::Codex {
        effective_codex(services)?;
    }
    // A record is about the hook that stands there; a file made anew has another past.
    let has_own = before.as_deref().is_some_and(|text| has_own(text, agent));
    let known = services.install_record(&path).filter(|_| has_own);
    let (after, inserted) = if agent == HookAgent::Opencode {
        (
            plugin(&path, before.as_deref(), program, observe)?,
            Vec::new(),
        )
    } else {
        let write = if observe {
            observing_hook_command
        } else {
            hook_command
        };
        let command = write(program, agent);
        let text = before.as_deref().unwrap_or("");
        let with = agent_hooks::with_hook(text, agent, &command, known.as_ref());
        with.map_err(|why| left_alone(&path, &why))?
    };
    // What an earlier installation found is what is true of the file.
    let record = match (known, &before) {
        (Some(known), _) => InstallRecord { inserted, ..known },
        (None, None) => InstallRecord {
            inserted,
            made_folders: services.missing_folders(&path),
            held: Vec::new(),
        },
        (None, Some(text)) => {
            let mut held = vec![agent_hooks::WHOLE_FILE.to_owned()];
            held.extend(own_containers(text, agent));
            InstallRecord {
                held,
                inserted,
                made_folders: Vec::new(),
            }
        }
    };
    Ok(Change {
        agent,
        path,
        before,
        after: Some(after),
        record: Some(record),
        folders: Vec::new(),
        skipped: match project {
            Some(root) => folder_skip_reason(agent, true, root, services),
            None => {
                folder_skip_reason(agent, false, &services.guard_project(None).folder, services)
            }
        },
    })
}

/// Returns why Codex would run no hook, wherever it stands: its other file says so, or cannot be read.
fn effective_codex(services: &dyn ServiceFactory) -> Result<(), String> {
    let config = settings_path(HookAgent::Codex, None, services)?.with_file_name("config.toml");
    let text = services.read_settings(&config)?.unwrap_or_default();
    hooks_disabled_reason(&text, HookAgent::Codex)
        .map_or(Ok(()), |why| Err(left_alone(&config, &why)))
}

/// Returns the plugin for `OpenCode`, which is a file of its own.
fn plugin(
    path: &Path,
    before: Option<&str>,
    program: &Path,
    observe: bool,
) -> Result<String, String> {
    if before.is_some_and(|text| !text.starts_with(PLUGIN_MARK)) {
        return Err(format!("{}: something else lies there", path.display()));
    }
    Ok(if observe {
        observing_opencode_plugin(program)
    } else {
        opencode_plugin(program)
    })
}

fn has_own(text: &str, agent: HookAgent) -> bool {
    if agent == HookAgent::Opencode {
        return text.starts_with(PLUGIN_MARK);
    }
    agent_hooks::find_hooks(text, agent).is_ok_and(|hooks| hooks.iter().any(|hook| hook.is_guard))
}

/// Returns what a file holds around hooks; where the guard's is in it already, nobody knows whose that is.
fn own_containers(text: &str, agent: HookAgent) -> Vec<String> {
    if agent == HookAgent::Opencode || has_own(text, agent) {
        return Vec::new();
    }
    agent_hooks::parent_keys(text, agent).unwrap_or_default()
}

fn left_alone(path: &Path, why: &str) -> String {
    format!("{}: {why}; the file was left alone", path.display())
}

/// Takes the hook out of settings.
pub(super) fn uninstall(
    args: &UninstallArgs,
    folder: Option<&Path>,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let project = project(args.project, folder, services)?;
    let agents = if args.agents.is_empty() {
        HookAgent::ALL.to_vec()
    } else {
        args.agents.clone()
    };
    let plan = |agent| removal(agent, project.as_deref(), services);
    Ok(carry_out(&agents, plan, args.yes, services, printer))
}

fn removal(
    agent: HookAgent,
    project: Option<&Path>,
    services: &dyn ServiceFactory,
) -> Result<Change, String> {
    let path = settings_path(agent, project, services)?;
    let before = services.read_settings(&path)?;
    let record = services.install_record(&path).unwrap_or_default();
    let after = match &before {
        Some(text) if agent == HookAgent::Opencode => {
            Some(text.clone()).filter(|text| !text.starts_with(PLUGIN_MARK))
        }
        Some(text) => {
            let without = agent_hooks::without_hook(text, agent, &record);
            let without = without.map_err(|why| left_alone(&path, &why))?;
            // What only the guard had written goes as a whole.
            let bare: Option<Value> = serde_json::from_str(&without).ok();
            let is_bare = bare.is_none() && without.trim().is_empty()
                || bare.is_some_and(|value| {
                    value == json!({})
                        || agent == HookAgent::Cursor && value == json!({ "version": 1 })
                });
            let goes = is_bare
                && without != *text
                && !record.held.iter().any(|own| own == agent_hooks::WHOLE_FILE);
            Some(without).filter(|_| !goes)
        }
        None => None,
    };
    Ok(Change {
        agent,
        path,
        folders: if after.is_none() {
            record.made_folders
        } else {
            Vec::new()
        },
        before,
        after,
        record: None,
        skipped: None,
    })
}

fn settings_path(
    agent: HookAgent,
    project: Option<&Path>,
    services: &dyn ServiceFactory,
) -> Result<PathBuf, String> {
    services
        .agent_settings_path(agent, project)
        .map_err(|error| error.to_string())
}

/// Returns the root of the project where its settings are meant.
fn project(
    wanted: bool,
    folder: Option<&Path>,
    services: &dyn ServiceFactory,
) -> Result<Option<PathBuf>, CliError> {
    if !wanted {
        return Ok(None);
    }
    let place = services.guard_project(folder);
    if place.is_no_project() {
        return Err(CliError::usage(
            "`--project` means nothing here: the home folder is no project; leave it out, or go into one",
        ));
    }
    Ok(Some(place.root))
}

/// Shows each change, asks, and makes it; one that fails keeps no other from being made.
fn carry_out(
    agents: &[HookAgent],
    plan: impl Fn(HookAgent) -> Result<Change, String>,
    yes: bool,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> CliExit {
    let mut told = Vec::new();
    let mut failed = false;
    for agent in agents {
        let result = plan(*agent).and_then(|change| made(&change, yes, services, printer));
        let (done, path, why) = match result {
            Ok((done, path)) => (done, Some(path), None),
            Err(why) => {
                printer.error(&why, &[], None);
                failed = true;
                ("failed", None, Some(why))
            }
        };
        told.push(json!({ "agent": agent.as_str(), "result": done, "file": path, "error": why }));
    }
    printer.document(&json!({ "agents": told }));
    if failed {
        CliExit::NotDone
    } else {
        CliExit::Success
    }
}

fn made(
    change: &Change,
    yes: bool,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<(&'static str, PathBuf), String> {
    let shown = change.path.display();
    let title = change.agent.title();
    if change.is_nothing() {
        let there = change.after.as_deref().unwrap_or("");
        let state = if there.contains("guard hook") || there.starts_with(PLUGIN_MARK) {
            "asks the guard already"
        } else {
            "has no hook of the guard"
        };
        printer.line(&format!("{title}: {shown} {state}; nothing changed"));
        return Ok(("unchanged", change.path.clone()));
    }
    printer.line(&format!("{title}: {shown}"));
    let (old, new) = (
        change.before.as_deref().unwrap_or(""),
        change.after.as_deref().unwrap_or(""),
    );
    for line in agent_hooks::diff_lines(old, new) {
        let tone = match line.chars().next() {
            Some('+') => TextStyle::Good,
            Some('-') => TextStyle::Bad,
            _ => TextStyle::Faint,
        };
        printer.line(&format!("  {}", printer.paint(tone, &line)));
    }
    others(change, printer);
    if !yes {
        if !services.is_attended() {
            return Err(format!(
                "{shown}: nobody can be asked; `--yes` makes the change"
            ));
        }
        let answer = services
            .ask_line("make this change? [y/N] ")
            .unwrap_or_default();
        if !matches!(answer.to_lowercase().as_str(), "y" | "yes") {
            printer.line("nothing changed");
            return Ok(("declined", change.path.clone()));
        }
    }
    services.write_settings(
        &change.path,
        change.before.as_deref(),
        change.after.as_deref(),
    )?;
    services.remove_empty_folders(&change.folders);
    if let Err(why) = services.save_install_record(&change.path, change.record.as_ref()) {
        printer.alert(&format!(
            "what was done to the file could not be noted ({why}); `tos guard uninstall` will take empty lists with it"
        ));
    }
    printer.line(&format!("{title}: done"));
    if change.record.is_some() {
        told_after(change, printer);
    }
    Ok(("changed", change.path.clone()))
}

/// Says what else it takes until an agent asks the hook that is in its settings now.
fn told_after(change: &Change, printer: &Printer) {
    if change.agent == HookAgent::Codex {
        printer.alert(
            "Codex runs a hook only after you trusted it: start `codex`, type `/hooks`, and trust this one. Until \
             then, and after each change of it, Codex skips it without a word",
        );
    }
    if let Some(form) = unhooked_form(change.agent) {
        printer.alert(&format!("note: {form}"));
    }
    if let Some(why) = &change.skipped {
        printer.alert(&format!("not effective yet: {why}"));
    }
}

/// Says which other hooks there are, and in which order they run.
fn others(change: &Change, printer: &Printer) {
    let text = change.after.as_deref().unwrap_or("");
    let Ok(hooks) = agent_hooks::find_hooks(text, change.agent) else {
        return;
    };
    let other: Vec<String> = hooks
        .iter()
        .filter(|hook| !hook.is_guard)
        .map(|hook| format!("{} {}: {}", hook.list, hook.place, hook.command))
        .collect();
    if !other.is_empty() {
        printer.note(&format!(
            "other hooks stand there too: {}. All run for each call, and one that refuses is enough; none can take a \
             refusal of the guard back",
            other.join("; ")
        ));
    }
}
