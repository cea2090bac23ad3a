//! `tos night start`: the gate, the health, a guard against sleep, the session, the summary.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::json;

use super::{Time, check, show};
use crate::{
    domain::{
        gates::{self, Ask, Refusal, Report},
        guarded::{Progress, TaskList},
        ledger::{SessionStart, chain::sha256},
        night::{
            health::{self, Finding},
            seconds_until,
        },
        notification::{Event, Notification},
        time::duration_words,
    },
    interfaces::{
        cli::{
            args::Global,
            commands::task::{self, Screen},
            exit::{Exit, Trouble},
            gate_kit::{Court, Desk},
            kit::{self, Kit},
        },
        report::Printer,
    },
    ports::hands::Confined,
    services::guarded::{self, Terms},
};

/// How long a refusal waits until people were told of it.
const SETTLE: Duration = Duration::from_secs(5);

/// A night about to begin, or to go on.
#[derive(Clone)]
pub(super) struct Night {
    /// The list.
    pub(super) list: TaskList,
    /// The run to go on with.
    pub(super) run: Option<String>,
    /// What earlier sessions have done.
    pub(super) progress: Progress,
    /// When it has to be over.
    pub(super) time: Time,
    /// Somebody sits at the terminal.
    pub(super) attended: bool,
}

impl Night {
    /// Where the phase allows no night alone and a person sits at the terminal, offers to work with that person.
    fn offered(&self, report: &Report, kit: &dyn Kit, printer: &Printer) -> Self {
        let mut night = self.clone();
        let alone = report.permission.unattended || report.overridden.is_some();
        if self.attended || alone || !kit.is_attended() {
            return night;
        }
        if let Some(way) = gates::way_text(report) {
            printer.note(&way);
        }
        let question = "This autonomy level allows no night without you yet. Work with you at this terminal now? Type `yes`: ";
        night.attended = kit.ask_line(question).as_deref() == Some("yes");
        night
    }
}

/// Starts a night.
pub(super) fn main(
    file: &Path,
    time: &Time,
    attended: bool,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let list = task::read(file, kit)?;
    let desk = kit.task_desk(global)?;
    let mut court = Court::convene(kit, global)?;
    task::settle_crash(&mut court, &desk, global, kit, printer)?;
    let night = Night {
        list,
        run: None,
        progress: Progress::default(),
        time: time.clone(),
        attended,
    };
    carry_out(&night, &desk, court, global, kit, printer)
}

/// Carries a night out, from the question to the gate to the summary.
pub(super) fn carry_out(
    night: &Night,
    desk: &Desk,
    mut court: Court,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    if night.attended && !kit.is_attended() {
        let alone = court.report().permission.unattended;
        let next = if alone {
            "leave it out, or start it at a terminal"
        } else {
            "start it at a terminal; `tos autonomy status` shows the way to a night alone"
        };
        return Err(refused("--attended needs a person at the terminal", next));
    }
    let confined = task::confined(&night.list, desk, kit)?;
    court.here.backend = Some(confined.backend.clone());
    court.here.agent_version = Some(task::version(desk, &night.list.agent));
    let report = court.report();
    let night = &night.offered(&report, kit, printer);
    let asked = desk.tools.clock.boottime();
    let seconds = seconds(night, &court, &report)?;
    for line in unfitting(night, seconds) {
        printer.alert(&line);
    }
    let ask = Ask {
        unattended: !night.attended,
        seconds: seconds.unwrap_or(0),
        on_failure: night.list.on_failure.as_str().to_owned(),
        capabilities: confined.capabilities.clone(),
    };
    gates::may_start(&report, &ask).map_err(Trouble::Refused)?;
    if !healthy(&night.list, desk, &court, confined.clone(), kit, printer)? {
        return Ok(Exit::Cancelled);
    }
    let run = night.run.clone().unwrap_or_else(|| desk.run.clone());
    keep(night, &run, seconds, &court, global, kit)?;
    let (guard, _awake) = awake(kit, printer);
    let start = SessionStart {
        attended: night.attended,
        planned_s: seconds.unwrap_or(0),
        overridden: report.overridden.is_some(),
        sleep_guard: guard,
        list_digest: digest(&kept_text(&night.list)),
        ..task::start(&court, desk, &night.list, confined)
    };
    // The end was meant from the moment of asking; the checks have taken a part of the time.
    let checked = desk.tools.clock.boottime().saturating_sub(asked).as_secs();
    let terms = Terms {
        session: desk.run.clone(),
        seconds: seconds.map(|seconds| seconds.saturating_sub(checked)),
        checkpoint_every: report.permission.checkpoint_every,
        progress: night.progress.clone(),
        ..Terms::new(&run, start)
    };
    printer.note(&format!("night {run}: {} tasks", night.list.tasks.len()));
    let asks = night.attended && !report.permission.unattended;
    let exit = session(&night.list, desk, &terms, asks, kit, printer)?;
    // A demotion that this session has caused is recorded before anything else can start.
    let court = Court::convene(kit, global)?;
    show::tell(&run, &court, global, kit, printer)?;
    Ok(exit)
}

fn session(
    list: &TaskList,
    desk: &Desk,
    terms: &Terms,
    asks: bool,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let screen = Screen {
        ask: desk.ask,
        printer: printer.clone(),
        asks,
    };
    let (tools, screen) = (&desk.tools, &screen);
    let ended = kit::block_on(kit, move |stop| {
        Box::pin(guarded::run(list, tools, terms, screen, stop))
    })?;
    let summary = ended.map_err(|error| Trouble::NotDone(error.to_string()))?;
    for line in &summary.untold {
        printer.alert(&format!("warning: {line}"));
    }
    Ok(task::exit(&summary))
}

/// Returns how long the session may take; `None` = as long as somebody watches.
fn seconds(night: &Night, court: &Court, report: &Report) -> Result<Option<u64>, Trouble> {
    let until = night.time.until.as_deref().map(|text| {
        seconds_until(text, court.here.at)
            .ok_or_else(|| Trouble::usage("`--until` wants a time of day like `07:00`"))
    });
    let time = night.time.time.as_deref().map(|text| {
        let seconds = gates::seconds(text).filter(|seconds| *seconds > 0);
        seconds.ok_or_else(|| Trouble::usage("`--for` wants a time like `4h` or `45m`"))
    });
    let wanted = until.or(time).transpose()?;
    Ok(if night.attended {
        wanted
    } else {
        wanted.or(Some(report.permission.max_session_s))
    })
}

/// Says which open tasks may take longer than the whole session: they may be cut off by its end.
fn unfitting(night: &Night, seconds: Option<u64>) -> Vec<String> {
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
    desk: &Desk,
    court: &Court,
    confined: Confined,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<bool, Trouble> {
    let Some(findings) = check::look(list, desk, court, confined, kit)? else {
        return Ok(false);
    };
    let Some(refusal) = check::refusal(&findings) else {
        // About sleep is spoken when the guard is really set.
        let told = |one: &&Finding| !one.remedy.is_empty() && one.what != "sleep";
        for one in findings.iter().filter(told) {
            printer.alert(&format!("{}: {}", one.what, one.seen));
        }
        return Ok(true);
    };
    printer.note(&health::table(&findings));
    let title = format!("{}: the night did not begin", list.id);
    let told = Notification::new(Event::Unhealthy, title, &desk.run)
        .text(&refusal.why)
        .next(&refusal.next);
    desk.tools.notifications.send(told);
    let notifications = Arc::clone(&desk.tools.notifications);
    // Whoever cannot be told is in the table already.
    kit::block_on(kit, move |_| {
        Box::pin(async move { notifications.settle(SETTLE).await })
    })?;
    Err(Trouble::Refused(refusal))
}

fn awake(kit: &dyn Kit, printer: &Printer) -> (String, Option<Box<dyn std::any::Any>>) {
    match kit.stay_awake() {
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
    night: &Night,
    run: &str,
    seconds: Option<u64>,
    court: &Court,
    global: &Global,
    kit: &dyn Kit,
) -> Result<(), Trouble> {
    let until = seconds.map(|seconds| court.here.at + std::time::Duration::from_secs(seconds));
    let facts = json!({ "version": 1, "run": run, "list": night.list.id, "until": until });
    let text = format!("{facts:#}\n");
    kit.write_state(global, &format!("nights/{run}/night.json"), &text)?;
    kit.write_state(
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

pub(super) fn refused(why: &str, next: &str) -> Trouble {
    Trouble::Refused(Refusal {
        why: why.to_owned(),
        next: next.to_owned(),
    })
}
