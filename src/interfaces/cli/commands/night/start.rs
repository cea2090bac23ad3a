//! `tos night start`: the gate, the health, a guard against sleep, the session, the summary.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::json;

use super::{DeadlineArgs, check, show};
use crate::{
    domain::{
        gates::{self, AutonomyReport, GateRefusal, StartRequest},
        ledger::{SessionStart, chain::sha256},
        night::{
            health::{self, HealthFinding},
            seconds_until,
        },
        notify::{Notification, NotificationEvent},
        tasks::{RunProgress, TaskList},
        time::duration_words,
    },
    interfaces::cli::{
        commands::{
            session_client::{self, ListRun, SessionHost},
            task,
            task_screen::exit_code,
        },
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        gate_services::GateServices,
        services,
        task_services::TaskServices,
    },
    ports::agent_runners::ConfinementFacts,
    services::tasks::SessionSettings,
};

/// How long a refusal waits until people were told of it.
const SETTLE: Duration = Duration::from_secs(5);

/// A night about to begin, or to go on.
#[derive(Clone)]
pub(super) struct NightRequest {
    /// The list.
    pub(super) list: TaskList,
    /// The run to go on with.
    pub(super) run: Option<String>,
    /// What earlier sessions have done.
    pub(super) progress: RunProgress,
    /// When it has to be over.
    pub(super) time: DeadlineArgs,
    /// Somebody sits at the terminal.
    pub(super) attended: bool,
    /// Nobody follows what a service carries out.
    pub(super) detach: bool,
}

impl NightRequest {
    /// Where the phase allows no night alone and a person sits at the terminal, offers to work with that person.
    fn offered(
        &self,
        report: &AutonomyReport,
        services: &dyn ServiceFactory,
        printer: &Printer,
    ) -> Self {
        let mut night = self.clone();
        let alone = report.permission.unattended || report.overridden.is_some();
        if self.attended || alone || !services.is_attended() {
            return night;
        }
        if let Some(way) = gates::next_steps_text(report) {
            printer.note(&way);
        }
        let question = "This autonomy level allows no night without you yet. Work with you at this terminal now? Type `yes`: ";
        night.attended = services.ask_line(question).as_deref() == Some("yes");
        night
    }
}

/// Starts a night.
pub(super) fn main(
    file: &Path,
    time: &DeadlineArgs,
    (attended, detach): (bool, bool),
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let list = task::read_list(file, services)?;
    let engine = SessionHost::find(global, services);
    engine.require_not_running("list", &list.id)?;
    task::require_checkout(global, services)?;
    task::warn_of_scripts(&list, global, services, printer);
    let (task_services, gate_services) =
        task::prepare_services(&engine, global, services, printer)?;
    let night = NightRequest {
        list,
        run: None,
        progress: RunProgress::default(),
        time: time.clone(),
        attended,
        detach,
    };
    run_night(
        &night,
        &engine,
        &task_services,
        gate_services,
        global,
        services,
        printer,
    )
}

/// Carries a night out, from the question to the gate to the summary.
pub(super) fn run_night(
    night: &NightRequest,
    engine: &SessionHost,
    task_services: &TaskServices,
    mut gate_services: GateServices,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    if night.attended && !services.is_attended() {
        let alone = gate_services.report().permission.unattended;
        let next = if alone {
            "leave it out, or start it at a terminal"
        } else {
            "start it at a terminal; `tos autonomy status` shows the way to a night alone"
        };
        return Err(refusal_error(
            "--attended needs a person at the terminal",
            next,
        ));
    }
    let confined = task::list_confinement(&night.list, task_services, services)?;
    gate_services.here.backend = Some(confined.backend.clone());
    gate_services.here.agent_version = Some(task::agent_version(task_services, &night.list.agent));
    let report = gate_services.report();
    let night = &night.offered(&report, services, printer);
    let asked = task_services.tools.clock.boottime();
    let seconds = seconds(night, &gate_services, &report)?;
    let ask = StartRequest {
        unattended: !night.attended,
        seconds: seconds.unwrap_or(0),
        on_failure: night.list.on_failure.as_str().to_owned(),
        capabilities: confined.capabilities.clone(),
    };
    gates::is_startable_program(&report, &ask).map_err(CliError::Refused)?;
    for line in unfitting(night, seconds) {
        printer.alert(&line);
    }
    if !healthy(
        &night.list,
        task_services,
        &gate_services,
        confined.clone(),
        services,
        printer,
    )? {
        return Ok(CliExit::Cancelled);
    }
    let run = night
        .run
        .clone()
        .unwrap_or_else(|| task_services.run.clone());
    keep(night, &run, seconds, &gate_services, global, services)?;
    let (guard, _awake) = awake(night.detach, services, printer);
    let start = SessionStart {
        attended: night.attended,
        planned_s: seconds.unwrap_or(0),
        overridden: report.overridden.is_some(),
        sleep_guard: guard,
        list_digest: digest(&kept_text(&night.list)),
        ..task::session_start(&gate_services, task_services, &night.list, confined)
    };
    // The end was meant from the moment of asking; the checks have taken a part of the time.
    let checked = task_services.tools.clock.boottime().saturating_sub(asked);
    let terms = SessionSettings {
        session: task_services.run.clone(),
        seconds: seconds.map(|seconds| seconds.saturating_sub(checked.as_secs())),
        checkpoint_every: report.permission.checkpoint_every,
        progress: night.progress.clone(),
        ..SessionSettings::new(&run, start)
    };
    printer.note(&format!("night {run}: {} tasks", night.list.tasks.len()));
    let work = ListRun {
        list: &night.list,
        terms: &terms,
        kind: "night",
        asks: night.attended && !report.permission.unattended,
        detach: night.detach,
    };
    perform(&work, engine, task_services, global, services, printer)
}

/// Carries the list out and tells what came of it.
fn perform(
    work: &ListRun<'_>,
    engine: &SessionHost,
    task_services: &TaskServices,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let ended = session_client::run_list(work, engine, task_services, global, services, printer)?;
    let Some(summary) = ended else {
        return Ok(CliExit::Success);
    };
    for line in &summary.untold {
        printer.alert(&format!("warning: {line}"));
    }
    // A demotion that this session has caused is recorded before anything else can start.
    let gate_services = GateServices::load(services, global)?;
    show::publish_summary(&work.terms.run, &gate_services, global, services, printer)?;
    Ok(exit_code(&summary))
}

/// Returns how long the session may take; `None` = as long as somebody watches.
fn seconds(
    night: &NightRequest,
    gate_services: &GateServices,
    report: &AutonomyReport,
) -> Result<Option<u64>, CliError> {
    let until = night.time.until.as_deref().map(|text| {
        seconds_until(text, gate_services.here.at)
            .ok_or_else(|| CliError::usage("`--until` wants a time of day like `07:00`"))
    });
    let time = night.time.time.as_deref().map(|text| {
        let seconds = gates::parse_duration_sec(text).filter(|seconds| *seconds > 0);
        seconds.ok_or_else(|| CliError::usage("`--for` wants a time like `4h` or `45m`"))
    });
    let wanted = until.or(time).transpose()?;
    Ok(if night.attended {
        wanted
    } else {
        wanted.or_else(|| Some(report.usual_session_s(gate_services.here.at)))
    })
}

/// Says which open tasks may take longer than the whole session: they may be cut off by its end.
fn unfitting(night: &NightRequest, seconds: Option<u64>) -> Vec<String> {
    let Some(seconds) = seconds else {
        return Vec::new();
    };
    let is_open = |id: &str| !night.progress.ends.iter().any(|end| end.task == id);
    let tasks = night.list.tasks.iter().filter(|task| is_open(&task.id));
    let long: Vec<String> = tasks
        .filter(|task| task.max_time_seconds > seconds)
        .map(|task| format!("{} ({})", task.id, duration_words(task.max_time_seconds)))
        .collect();
    if long.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "warning: this session takes {} at most, and these tasks may take longer: {}; give it more time, or lower \
         `max_time_seconds`",
        duration_words(seconds),
        long.join(", ")
    )]
}

/// Looks at everything a night needs; people are told when it does not begin. `false` = a person changed their mind.
fn healthy(
    list: &TaskList,
    task_services: &TaskServices,
    gate_services: &GateServices,
    confined: ConfinementFacts,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<bool, CliError> {
    let Some(findings) =
        check::health_findings(list, task_services, gate_services, confined, services)?
    else {
        return Ok(false);
    };
    let Some(refusal) = check::blocking_refusal(&findings) else {
        // About sleep is spoken when the guard is really set.
        let told = |one: &&HealthFinding| !one.remedy.is_empty() && one.what != "sleep";
        for one in findings.iter().filter(told) {
            printer.alert(&format!("{}: {}", one.what, one.seen));
        }
        return Ok(true);
    };
    printer.note(&health::table(&findings));
    let title = format!("{}: the night did not begin", list.id);
    let told = Notification::new(NotificationEvent::Unhealthy, title, &task_services.run)
        .text(&refusal.why)
        .next_command(&refusal.next);
    task_services.tools.notifications.send(told);
    let notifications = Arc::clone(&task_services.tools.notifications);
    // Whoever cannot be told is in the table already.
    services::block_on(services, move |_| {
        Box::pin(async move { notifications.flush(SETTLE).await })
    })?;
    Err(CliError::Refused(refusal))
}

/// Keeps the machine awake for as long as this command lives; a command that does not follow its night keeps nothing.
fn awake(
    detach: bool,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> (String, Option<Box<dyn std::any::Any>>) {
    if detach {
        return ("none".to_owned(), None);
    }
    match services.stay_awake() {
        Ok((name, guard)) => (name, Some(guard)),
        Err(why) => {
            printer.alert(&format!(
                "nothing keeps this machine awake ({why}); a session in which it sleeps proves nothing"
            ));
            ("none".to_owned(), None)
        }
    }
}

/// Keeps what it takes to go on after a crash, before there is anything to go on with.
fn keep(
    night: &NightRequest,
    run: &str,
    seconds: Option<u64>,
    gate_services: &GateServices,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<(), CliError> {
    let until =
        seconds.map(|seconds| gate_services.here.at + std::time::Duration::from_secs(seconds));
    let facts = json!({ "version": 1, "run": run, "list": night.list.id, "until": until });
    let text = format!("{facts:#}\n");
    services.write_state_file(global, &format!("nights/{run}/night.json"), &text)?;
    services.write_state_file(
        global,
        &format!("nights/{run}/list.json"),
        &kept_text(&night.list),
    )?;
    Ok(())
}

/// Returns a list as it is kept: with everything that its file left to custom or to other files.
fn kept_text(list: &TaskList) -> String {
    format!("{:#}\n", json!(list))
}

/// Returns the digest of a kept list.
pub(super) fn digest(text: &str) -> String {
    sha256(text.as_bytes()).chars().take(16).collect()
}

pub(super) fn refusal_error(why: &str, next: &str) -> CliError {
    CliError::Refused(GateRefusal {
        why: why.to_owned(),
        next: next.to_owned(),
    })
}
