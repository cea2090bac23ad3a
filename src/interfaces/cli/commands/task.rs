//! `tos task run`: a list of guarded tasks, from the gate to the summary.

use std::{io::Read, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    config::tasks,
    domain::{
        gates::{self, Ask, Refusal, Report},
        guarded::{Agent, AgentKind, Sandbox, Stop, Task, TaskList},
        ledger::{SessionStart, TaskOutcome, chain::sha256},
        text::one_line,
        time::duration_words,
    },
    interfaces::{
        cli::{
            args::Global,
            commands::plan::agents,
            exit::{Exit, Trouble},
            gate_kit::{Court, Desk},
            kit::{self, Kit},
        },
        report::Printer,
    },
    ports::hands::Confined,
    services::guarded::{self, Summary, Terms, Watcher},
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
        /// How long a session without a person may take, e.g. `45m`; as long as the autonomy level allows if absent
        #[arg(long = "for", value_name = "TIME")]
        time: Option<String>,
    },
    /// Check a list without running anything
    #[command(alias = "check")]
    Validate {
        /// The list
        list: PathBuf,
    },
    /// The work of a task is good; takes back an earlier rejection, needs a person at the terminal
    Accept(super::review::Judged),
    /// The work of a task is not good: it no longer counts as a success
    Reject(super::review::Judged),
}

/// Does what the verb says.
pub fn main(
    args: &TaskArgs,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    match &args.verb {
        Verb::Accept(judged) => super::review::judge(judged, true, global, kit, printer),
        Verb::Reject(judged) => super::review::judge(judged, false, global, kit, printer),
        Verb::Validate { list } => {
            let list = read(list, kit)?;
            let notes = kit.check_shared(global, &list)?;
            let faults = kit.list_faults(global, &list);
            if !faults.is_empty() {
                let document = json!({
                    "id": list.id, "tasks": list.tasks.len(), "faults": faults, "exit_code": Exit::Invalid.code(),
                });
                printer.document(&document);
                for fault in &faults {
                    printer.error(fault, &[], None);
                }
                return Ok(Exit::Invalid);
            }
            for doubt in doubts(&list).into_iter().chain(not_installed(&list, kit)) {
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
            Ok(Exit::Success)
        }
        Verb::Run { list, time } => {
            let list = read(list, kit)?;
            run(&list, time.as_deref(), global, kit, printer)
        }
    }
}

/// Names the agents of a list that this machine does not have; the list may be meant for another one.
fn not_installed(list: &TaskList, kit: &dyn Kit) -> Vec<String> {
    let is_known = |agent: &&&Agent| !matches!(agent.kind, AgentKind::Command | AgentKind::Job);
    let agents = list.agents();
    let missing = agents.iter().filter(is_known).filter_map(|agent| {
        let why = kit.installed_agent(agent.kind).program.err()?;
        Some(format!(
            "agent `{}`: {why} here; see `tos agents`",
            agent.program()
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
pub(super) fn read(file: &std::path::Path, kit: &dyn Kit) -> Result<TaskList, Trouble> {
    if agents::is_plan(file) {
        return agents::load(file, kit);
    }
    let trouble = |error: tasks::Error| Trouble::Setup(error.to_string());
    let (text, name) = if file.as_os_str() == "-" {
        let mut text = String::new();
        let read = std::io::stdin().lock().read_to_string(&mut text);
        read.map_err(|error| Trouble::Setup(format!("standard input: {error}")))?;
        (text, "standard input".to_owned())
    } else {
        (
            tasks::text(file).map_err(trouble)?,
            file.display().to_string(),
        )
    };
    tasks::parse(&text, &name).map_err(trouble)
}

/// The person at the terminal, who says go for each task while the phase is the lowest.
pub(super) struct Screen {
    pub(super) ask: fn(&str) -> Option<String>,
    pub(super) printer: Printer,
    pub(super) asks: bool,
}

impl Watcher for Screen {
    fn may_start(&self, task: &Task) -> bool {
        if !self.asks {
            return true;
        }
        let answer = (self.ask)(&format!(
            "{}: {}\nType `go` to start it: ",
            task.id, task.goal
        ));
        answer.as_deref() == Some("go")
    }

    fn line(&self, text: &str) {
        self.printer.note(text);
    }
}

/// Runs a list, from the gate to the summary.
pub(super) fn run(
    list: &TaskList,
    time: Option<&str>,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let desk = kit.task_desk(global)?;
    // Under the lock, a session without an end is one that ended badly.
    let mut court = Court::convene(kit, global)?;
    settle_crash(&mut court, &desk, global, kit, printer)?;
    let tools = desk.tools.clone();
    let confined = confined(list, &desk, kit)?;
    court.here.backend = Some(confined.backend.clone());
    let report = court.report();
    let attended = kit.is_attended();
    let wanted = time.map(|text| {
        gates::seconds(text).ok_or_else(|| Trouble::usage("`--for` wants a time like `45m`"))
    });
    let seconds = wanted
        .transpose()?
        .unwrap_or(report.permission.max_session_s);
    let ask = Ask {
        unattended: !attended,
        seconds,
        on_failure: list.on_failure.as_str().to_owned(),
        capabilities: confined.capabilities.clone(),
    };
    gates::may_start(&report, &ask).map_err(Trouble::Refused)?;
    if !attended {
        only_as_a_night(&report)?;
    }
    let start = SessionStart {
        attended,
        planned_s: seconds,
        overridden: report.overridden.is_some(),
        ..start(&court, &desk, list, confined)
    };
    let terms = Terms {
        seconds: (!attended || time.is_some()).then_some(seconds),
        checkpoint_every: report.permission.checkpoint_every,
        ..Terms::new(&desk.run, start)
    };
    let screen = Screen {
        ask: desk.ask,
        printer: printer.clone(),
        asks: attended && !report.permission.unattended,
    };
    let (tools, terms, screen) = (&tools, &terms, &screen);
    let ended = kit::block_on(kit, move |stop| {
        Box::pin(guarded::run(list, tools, terms, screen, stop))
    })?;
    let summary = ended.map_err(|error| Trouble::NotDone(error.to_string()))?;
    shown(&summary, printer, list);
    // A demotion that this session has caused is recorded before anything else can start.
    drop(Court::convene(kit, global)?);
    drop(desk);
    Ok(exit(&summary))
}

/// What a phase wants looked at before work without a person is looked at by `tos night start`, and by nothing else.
fn only_as_a_night(report: &Report) -> Result<(), Trouble> {
    let wanted = &report.permission.need_before_start;
    if wanted.is_empty() || report.overridden.is_some() {
        return Ok(());
    }
    let why = format!(
        "before work without a person this autonomy level wants a look at {}",
        wanted.join(", ")
    );
    Err(refused(&why, "tos night start --for 1h LIST"))
}

/// Finds out what confines programs here; a list that requires a wall is refused without one.
pub(super) fn confined(list: &TaskList, desk: &Desk, kit: &dyn Kit) -> Result<Confined, Trouble> {
    let (hands, sandbox) = (&desk.tools.hands, list.sandbox);
    let shared = guarded::shared_files(&*desk.tools.worktrees, list);
    shared.map_err(|error| Trouble::Setup(error.to_string()))?;
    for agent in list.agents() {
        if let Some(what) = hands.lacks(agent) {
            let program = agent.program();
            return Err(Trouble::Setup(format!(
                "the agent `{program}` needs {what}"
            )));
        }
    }
    let hosts: Vec<String> = list.agents().iter().flat_map(|one| one.hosts()).collect();
    let confined = confined_for(&hosts, sandbox, desk, kit)?;
    if sandbox == Sandbox::Require && confined.backend == "none" {
        return Err(refused(
            "no wall is proved on this machine, and the list requires one",
            "tos doctor --sandbox",
        ));
    }
    Ok(confined)
}

/// Finds out what confines programs that reach these hosts.
pub(super) fn confined_for(
    hosts: &[String],
    sandbox: Sandbox,
    desk: &Desk,
    kit: &dyn Kit,
) -> Result<Confined, Trouble> {
    let (place, hands, hosts) = (desk.room.clone(), desk.tools.hands.clone(), hosts.to_vec());
    kit::block_on(kit, move |_| {
        Box::pin(async move { hands.confined(&place, &hosts, sandbox).await })
    })
}

/// Asks an agent's program for its version. A program of somebody's own is not started for that: it may do anything.
pub(super) fn version(desk: &Desk, agent: &Agent) -> String {
    if agent.kind == AgentKind::Command {
        "unknown".to_owned()
    } else {
        (desk.version)(agent.program())
    }
}

pub(super) fn start(
    court: &Court,
    desk: &Desk,
    list: &TaskList,
    confined: Confined,
) -> SessionStart {
    let agent_version = version(desk, &list.agent);
    SessionStart {
        at_night: gates::night_of(&court.loaded.gates, court.here.at).is_some(),
        conditions: conditions(court, &confined.backend, list, &agent_version),
        backend: confined.backend,
        capabilities: confined.capabilities,
        agent: list.agent.program().to_owned(),
        agent_version,
        sleep_guard: "none".to_owned(),
        pid: std::process::id(),
        ..SessionStart::default()
    }
}

pub(super) fn refused(why: &str, next: &str) -> Trouble {
    Trouble::Refused(Refusal {
        why: why.to_owned(),
        next: next.to_owned(),
    })
}

fn conditions(court: &Court, backend: &str, list: &TaskList, version: &str) -> String {
    let major: String = version
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    let text = format!(
        "{}|{}|{backend}|{}|{major}|{:?}",
        court.here.gates,
        court.here.policy,
        list.agent.program(),
        list.limits
    );
    sha256(text.as_bytes()).chars().take(16).collect()
}

/// Closes what a crash left open.
pub(super) fn settle_crash(
    court: &mut Court,
    desk: &Desk,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<(), Trouble> {
    let (tools, room) = (desk.tools.clone(), desk.room.clone());
    let settled = kit::block_on(kit, move |_| {
        Box::pin(async move { guarded::settle(&tools, &room).await })
    })?;
    let settled = settled.map_err(|error| Trouble::NotDone(error.to_string()))?;
    for line in &settled.lines {
        printer.alert(line);
    }
    court.chain = court.ledger.read()?;
    for run in &settled.runs {
        // The summary of what a crash ended is written by whoever comes next.
        super::night::keep_summary(run, court, global, kit, printer);
    }
    Ok(())
}

fn shown(summary: &Summary, printer: &Printer, list: &TaskList) {
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
        summary.stop.words()
    ));
    if !summary.shared_files.is_empty() {
        let names = one_line(&summary.shared_files.join(", ")).into_owned();
        printer.line(&format!("shared with every task: {names}"));
    }
    if let Some((_, reference)) = &summary.tip {
        printer.line(&format!("look: git log -p HEAD..{reference}"));
        printer.line(&format!("take: git merge --ff-only {reference}"));
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

pub(super) fn exit(summary: &Summary) -> Exit {
    let all = summary
        .tasks
        .iter()
        .all(|task| task.outcome == TaskOutcome::Success);
    match summary.stop {
        Stop::Operator => Exit::Cancelled,
        Stop::Quota | Stop::Budget | Stop::Provider | Stop::NeedsPerson => Exit::Refused,
        Stop::QueueEmpty if all => Exit::Success,
        Stop::QueueEmpty | Stop::TaskFailed | Stop::TwoFailures | Stop::Limit | Stop::TimeCap => {
            Exit::PlanFailed
        }
        Stop::Broken => Exit::NotDone,
    }
}
