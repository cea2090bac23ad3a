//! `tos task run`: a list of guarded tasks, from the gate to the summary.

use std::{io::Read, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    session_client,
    session_client::{ListRun, SessionHost},
    task_screen::exit_code,
};
use crate::{
    config::task_list,
    domain::{
        gates::{self, AutonomyReport, GateRefusal, StartRequest},
        ledger::{SessionStart, TaskOutcome, chain::sha256},
        night::run_ids,
        tasks::{Agent, AgentKind, SandboxDemand, TaskList},
        text::one_line,
        time::duration_words,
    },
    interfaces::cli::{
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        gate_services::GateServices,
        services,
        task_services::TaskServices,
    },
    ports::agent_runners::ConfinementFacts,
    services::tasks::{self, ListReport, SessionSettings},
};

/// Options of `tos task`.
#[derive(Debug, Args)]
pub struct TaskArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a list of guarded tasks: each in its own work tree, judged, tested, kept or undone
    Run {
        /// The list: a plan (YAML), TOML or JSON; `-` reads TOML or JSON from standard input
        list: PathBuf,
        /// How long a session without a person may take, e.g. `45m`; if absent, as long as the autonomy level allows, or an
        /// override of it holds
        #[arg(long = "for", value_name = "TIME")]
        time: Option<String>,
        /// Where a service carries the list out, do not follow it
        #[arg(long)]
        detach: bool,
    },
    /// Check a list without running anything
    #[command(alias = "check")]
    Validate {
        /// The list
        list: PathBuf,
    },
    /// The work of a task is good; takes back an earlier rejection, needs a person at the terminal
    Accept(super::review::ReviewedTask),
    /// The work of a task is not good: it no longer counts as a success
    Reject(super::review::ReviewedTask),
}

/// Does what the verb says.
pub fn main(
    args: &TaskArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    match &args.verb {
        Verb::Accept(judged) => {
            super::review::record_review(judged, true, global, services, printer)
        }
        Verb::Reject(judged) => {
            super::review::record_review(judged, false, global, services, printer)
        }
        Verb::Validate { list } => {
            let list = read_list(list, services)?;
            let notes = services.work_tree_notes(global, &list)?;
            let faults = services.task_list_faults(global, &list);
            if !faults.is_empty() {
                let document = json!({
                    "id": list.id, "tasks": list.tasks.len(), "faults": faults, "exit_code": CliExit::Invalid.code(),
                });
                printer.document(&document);
                for fault in &faults {
                    printer.error(fault, &[], None);
                }
                return Ok(CliExit::Invalid);
            }
            for doubt in doubts(&list)
                .into_iter()
                .chain(not_installed(&list, services))
                .chain(services.missing_scripts(global, &list, &list.commands()))
            {
                printer.alert(&format!("warning: {doubt}"));
            }
            printer.line(&format!(
                "{}: {} tasks, nothing wrong",
                list.id,
                list.tasks.len()
            ));
            for note in &notes {
                printer.note(&format!("note: {note}"));
            }
            printer.document(&json!({ "id": list.id, "tasks": list.tasks.len(), "notes": notes }));
            Ok(CliExit::Success)
        }
        Verb::Run { list, time, detach } => {
            let list = read_list(list, services)?;
            run(&list, time.as_deref(), *detach, global, services, printer)
        }
    }
}

/// Names the agents of a list that this machine does not have; the list may be meant for another one.
fn not_installed(list: &TaskList, services: &dyn ServiceFactory) -> Vec<String> {
    let is_known = |agent: &&&Agent| AgentKind::PROGRAMS.contains(&agent.kind);
    let agents = list.agents();
    let missing = agents.iter().filter(is_known).filter_map(|agent| {
        let why = services.installed_agent(agent.kind).program.err()?;
        Some(format!(
            "agent `{}`: {why} here; {}, or see `tos agents`",
            agent.program(),
            agent.install_remedy()
        ))
    });
    missing.collect()
}

/// Says what a list allows and probably does not mean.
fn doubts(list: &TaskList) -> Vec<String> {
    const DAY: u64 = 24 * 3600;
    let absurd = |seconds: u64| !(10..=DAY).contains(&seconds);
    let mut doubts: Vec<String> = list
        .tasks
        .iter()
        .filter(|task| absurd(task.max_time_seconds))
        .map(|task| {
            let (id, time) = (&task.id, duration_words(task.max_time_seconds));
            format!("task `{id}` gives its agent {time} (`max_time_seconds`); is that meant?")
        })
        .collect();
    for (name, seconds) in [
        ("test_seconds", list.test_seconds),
        ("full_test_seconds", list.full_test_seconds),
    ] {
        if seconds > DAY {
            let time = duration_words(seconds);
            doubts.push(format!("`{name}` is {time}; is that meant?"));
        }
    }
    doubts
}

/// Reads a list: a plan in YAML, or TOML or JSON.
pub(super) fn read_list(
    file: &std::path::Path,
    services: &dyn ServiceFactory,
) -> Result<TaskList, CliError> {
    if super::agent_plans::is_plan(file) {
        return super::agent_plans::load(file, services);
    }
    let trouble = |error: task_list::Error| CliError::Setup(error.to_string());
    let (text, name) = if file.as_os_str() == "-" {
        let mut text = String::new();
        let read = std::io::stdin().lock().read_to_string(&mut text);
        read.map_err(|error| CliError::Setup(format!("standard input: {error}")))?;
        (text, "standard input".to_owned())
    } else {
        (
            task_list::read_text(file).map_err(trouble)?,
            file.display().to_string(),
        )
    };
    task_list::parse(&text, &name).map_err(trouble)
}

/// Refuses a checkout that no task can work in: no repository, no commit, no branch.
pub(super) fn require_checkout(
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<(), CliError> {
    let place = services.repository_fault(global);
    let fault = place.or_else(|| services.branch_fault(global));
    fault.map_or(Ok(()), |fault| Err(CliError::Setup(fault)))
}

/// Warns of scripts that are not there: no refusal, a task of the list may make them.
pub(super) fn warn_of_scripts(
    list: &TaskList,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) {
    for line in services.missing_scripts(global, list, &list.commands()) {
        printer.alert(&format!("warning: {line}"));
    }
}

/// Refuses, before anybody is asked anything, what would fail every task of a list: a checkout that none can work in, an agent whose
/// program is not there.
fn require_ready(
    list: &TaskList,
    engine: &SessionHost,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<(), CliError> {
    require_checkout(global, services)?;
    let faults = services.task_list_faults(global, list);
    let mut missing: Vec<String> = faults
        .into_iter()
        .filter(|fault| fault.starts_with("agent `"))
        .collect();
    // A service may find programs where this command does not.
    if matches!(engine, SessionHost::Here) {
        missing.extend(not_installed(list, services));
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(CliError::Setup(missing.join("\n  ")))
}

/// Runs a list, from the gate to the summary.
pub(super) fn run(
    list: &TaskList,
    time: Option<&str>,
    detach: bool,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let engine = SessionHost::find(global, services);
    engine.require_not_running("list", &list.id)?;
    require_ready(list, &engine, global, services)?;
    warn_of_scripts(list, global, services, printer);
    let (task_services, mut gate_services) = prepare_services(&engine, global, services, printer)?;
    let confined = list_confinement(list, &task_services, services)?;
    gate_services.here.backend = Some(confined.backend.clone());
    let report = gate_services.report();
    let attended = services.is_attended();
    let wanted = time.map(|text| {
        gates::parse_duration_sec(text)
            .ok_or_else(|| CliError::usage("`--for` wants a time like `45m`"))
    });
    let seconds = wanted
        .transpose()?
        .unwrap_or_else(|| report.usual_session_s(gate_services.here.at));
    let ask = StartRequest {
        unattended: !attended,
        seconds,
        on_failure: list.on_failure.as_str().to_owned(),
        capabilities: confined.capabilities.clone(),
    };
    gates::is_startable_program(&report, &ask).map_err(CliError::Refused)?;
    if !attended {
        only_as_a_night(&report)?;
    }
    let start = SessionStart {
        attended,
        planned_s: seconds,
        overridden: report.overridden.is_some(),
        ..session_start(&gate_services, &task_services, list, confined)
    };
    let terms = SessionSettings {
        seconds: (!attended || time.is_some()).then_some(seconds),
        checkpoint_every: report.permission.checkpoint_every,
        ..SessionSettings::new(&task_services.run, start)
    };
    let work = ListRun {
        list,
        terms: &terms,
        kind: "tasks",
        asks: attended && !report.permission.unattended,
        detach,
    };
    let ended =
        session_client::run_list(&work, &engine, &task_services, global, services, printer)?;
    let Some(summary) = ended else {
        return Ok(CliExit::Success);
    };
    shown(&summary, printer, list);
    // A demotion that this session has caused is recorded before anything else can start.
    drop(GateServices::load(services, global)?);
    drop(task_services);
    Ok(exit_code(&summary))
}

/// What a phase wants looked at before work without a person is looked at by `tos night start`, and by nothing else.
fn only_as_a_night(report: &AutonomyReport) -> Result<(), CliError> {
    let wanted = &report.permission.need_before_start;
    if wanted.is_empty() || report.overridden.is_some() {
        return Ok(());
    }
    let why = format!(
        "before work without a person this autonomy level wants a look at {}",
        wanted.join(", ")
    );
    Err(refusal_error(&why, "tos night start --for 1h LIST"))
}

/// Finds out what confines programs here; a list that requires a wall is refused without one.
pub(super) fn list_confinement(
    list: &TaskList,
    task_services: &TaskServices,
    services: &dyn ServiceFactory,
) -> Result<ConfinementFacts, CliError> {
    let (runners, sandbox) = (&task_services.tools.runners, list.sandbox);
    let shared = tasks::resolve_shared_files(&*task_services.tools.worktrees, list);
    shared.map_err(|error| CliError::Setup(error.to_string()))?;
    for agent in list.agents() {
        if let Some(what) = runners.missing_credential(agent) {
            let program = agent.program();
            return Err(CliError::Setup(format!(
                "the agent `{program}` needs {what}"
            )));
        }
    }
    let hosts: Vec<String> = list
        .agents()
        .iter()
        .flat_map(|one| one.required_hosts())
        .collect();
    let confined = hosts_confinement(&hosts, sandbox, task_services, services)?;
    if sandbox == SandboxDemand::Require && confined.backend == "none" {
        return Err(refusal_error(
            "no wall is proved on this machine, and the list requires one",
            "tos doctor --sandbox",
        ));
    }
    Ok(confined)
}

/// Finds out what confines programs that reach these hosts.
pub(super) fn hosts_confinement(
    hosts: &[String],
    sandbox: SandboxDemand,
    task_services: &TaskServices,
    services: &dyn ServiceFactory,
) -> Result<ConfinementFacts, CliError> {
    let (place, runners, hosts) = (
        task_services.task_folder.clone(),
        task_services.tools.runners.clone(),
        hosts.to_vec(),
    );
    services::block_on(services, move |_| {
        Box::pin(async move { runners.confinement(&place, &hosts, sandbox).await })
    })
}

/// Asks an agent's program for its version. A program of somebody's own is not started for that: it may do anything.
pub(super) fn agent_version(task_services: &TaskServices, agent: &Agent) -> String {
    if agent.kind == AgentKind::Command {
        "unknown".to_owned()
    } else {
        (task_services.version)(agent.program())
    }
}

pub(super) fn session_start(
    gate_services: &GateServices,
    task_services: &TaskServices,
    list: &TaskList,
    confined: ConfinementFacts,
) -> SessionStart {
    let agent_version = agent_version(task_services, &list.agent);
    SessionStart {
        at_night: gates::night_date(&gate_services.loaded.gates, gate_services.here.at).is_some(),
        conditions: conditions(gate_services, &confined.backend, list, &agent_version),
        backend: confined.backend,
        capabilities: confined.capabilities,
        agent: list.agent.program().to_owned(),
        agent_version,
        sleep_guard: "none".to_owned(),
        pid: std::process::id(),
        ..SessionStart::default()
    }
}

pub(super) fn refusal_error(why: &str, next: &str) -> CliError {
    CliError::Refused(GateRefusal {
        why: why.to_owned(),
        next: next.to_owned(),
    })
}

fn conditions(
    gate_services: &GateServices,
    backend: &str,
    list: &TaskList,
    version: &str,
) -> String {
    let major: String = version
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    let text = format!(
        "{}|{}|{backend}|{}|{major}|{}",
        gate_services.here.gates,
        gate_services.here.policy,
        list.agent.program(),
        // As lists write it, whatever the fields are called here.
        serde_json::json!(list.limits)
    );
    sha256(text.as_bytes()).chars().take(16).collect()
}

/// Lays out what a list needs: with the right to run tasks, unless a service has it.
pub(super) fn prepare_services(
    engine: &SessionHost,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<(TaskServices, GateServices), CliError> {
    match engine {
        SessionHost::Here => open_services(global, services, printer),
        SessionHost::Service(_) => Ok((
            services.unlocked_task_services(global)?,
            GateServices::load(services, global)?,
        )),
    }
}

/// Takes the right to run tasks, and closes what a crash left open.
pub(super) fn open_services(
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<(TaskServices, GateServices), CliError> {
    let task_services = services.lock_task_services(global)?;
    // Under the lock, a session without an end is one that ended badly.
    let mut gate_services = GateServices::load(services, global)?;
    settle_crash(
        &mut gate_services,
        &task_services,
        global,
        services,
        printer,
    )?;
    Ok((task_services, gate_services))
}

/// Closes what a crash left open.
fn settle_crash(
    gate_services: &mut GateServices,
    task_services: &TaskServices,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<(), CliError> {
    let (tools, task_folder) = (
        task_services.tools.clone(),
        task_services.task_folder.clone(),
    );
    let settled = services::block_on(services, move |_| {
        Box::pin(async move { tasks::clean_up_after_crash(&tools, &task_folder).await })
    })?;
    let settled = settled.map_err(|error| CliError::NotDone(error.to_string()))?;
    for line in &settled.lines {
        printer.alert(line);
    }
    gate_services.chain = gate_services.ledger.read()?;
    let nights = run_ids(&gate_services.chain.records);
    // An attempt at a task of the board is no night: what became of it is on the board.
    for run in settled.runs.iter().filter(|run| nights.contains(run)) {
        // The summary of what a crash ended is written by whoever comes next.
        super::night::show::write_summary_files(run, gate_services, global, services, printer);
    }
    super::night::show::remove_summaries_of_attempts(gate_services, global, services);
    Ok(())
}

fn shown(summary: &ListReport, printer: &Printer, list: &TaskList) {
    for task in &summary.tasks {
        printer.line(&format!(
            "{:<8} {}  {}",
            task.outcome.as_str(),
            task.task,
            task.reason
        ));
    }
    let good = summary
        .tasks
        .iter()
        .filter(|task| task.outcome == TaskOutcome::Success)
        .count();
    printer.line(&format!(
        "{good} of {} tasks passed: {}",
        summary.tasks.len(),
        summary.stop.label()
    ));
    if !summary.shared_files.is_empty() {
        let names = one_line(&summary.shared_files.join(", ")).into_owned();
        printer.line(&format!("shared with every task: {names}"));
    }
    if let Some((_, reference)) = &summary.tip {
        printer.line(&format!("look: git log -p HEAD..{reference}"));
        printer.line(&format!("take: git merge --ff-only {reference}"));
        let run = &summary.run;
        printer.line(&format!(
            "      or, where the branch has moved meanwhile: tos night merge {run} --join"
        ));
    }
    for line in &summary.untold {
        printer.alert(&format!("warning: {line}"));
    }
    printer.document(&json!({
        "id": list.id,
        "ended_by": summary.stop.as_str(),
        "passed": good,
        "tasks": summary.tasks,
        "commit": summary.tip.as_ref().map(|(commit, _)| commit),
        "reference": summary.tip.as_ref().map(|(_, reference)| reference),
        "untold": summary.untold,
        "shared_files": summary.shared_files,
    }));
}
