//! `tos schedule add` and `remove`.

use clap::Args;
use serde_json::json;

use super::{ScheduleCommands, trouble, unknown};
use crate::{
    config::{schedules, schedules::FILE},
    domain::schedule::{
        CronExpression, MissedPolicy, Schedule, ScheduleTarget, ScheduledRunEvent,
        ScheduledRunRecord, Trigger,
    },
    interfaces::cli::exit::{CliError, CliExit},
};

/// Options of `tos schedule add`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("time").required(true).args(["cron", "quota_renewed"]))]
#[command(group = clap::ArgGroup::new("target").required(true).args(["plan", "job", "tasks", "night"]))]
pub(super) struct AddArgs {
    /// Its name: letters, digits, `-` and `_`
    name: String,
    /// When: a cron expression, e.g. `30 2 * * mon-fri`, or `@daily`
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// When the quota that stopped its last run is renewed
    #[arg(long)]
    quota_renewed: bool,
    /// The zone of the times, e.g. `Europe/Brussels`; the zone of this machine if absent
    #[arg(long)]
    zone: Option<String>,
    /// What becomes of times nobody was there for: one run makes up for all of them, or they are left out
    #[arg(long, default_value = "once", value_parser = ["once", "never"])]
    missed: String,
    /// Run a plan
    #[arg(long, value_name = "FILE")]
    plan: Option<String>,
    /// Run the job of this root in a mode
    #[arg(long, value_name = "MODE", value_parser = ["run", "test", "cleanrun"])]
    job: Option<String>,
    /// Run a list of tasks
    #[arg(long, value_name = "FILE")]
    tasks: Option<String>,
    /// Run a night
    #[arg(long, value_name = "FILE")]
    night: Option<String>,
    /// Further words for the command, e.g. `-- --for 4h`
    #[arg(last = true)]
    args: Vec<String>,
}

impl AddArgs {
    fn target(&self) -> Option<ScheduleTarget> {
        let job = self.job.clone().map(ScheduleTarget::Job);
        job.or_else(|| self.plan.clone().map(ScheduleTarget::Plan))
            .or_else(|| self.tasks.clone().map(ScheduleTarget::Tasks))
            .or_else(|| self.night.clone().map(ScheduleTarget::Night))
    }
}

/// Returns the schedule that the words mean.
fn wanted(args: &AddArgs, task_services: &ScheduleCommands<'_>) -> Result<Schedule, CliError> {
    let when = match &args.cron {
        Some(text) => {
            let expression = CronExpression::parse(text);
            Trigger::Cron(Box::new(
                expression.map_err(|why| CliError::Usage(format!("--cron: {why}")))?,
            ))
        }
        None => Trigger::QuotaRenewed,
    };
    let zone = args
        .zone
        .clone()
        .or_else(|| task_services.store.local_zone());
    let zone = zone.unwrap_or_else(|| "UTC".to_owned());
    let zone = zone.parse().map_err(|_| {
        CliError::Usage(format!(
            "--zone: `{zone}` is no zone; a zone is named like `Europe/Brussels` or `UTC`"
        ))
    })?;
    let target = args
        .target()
        .ok_or_else(|| CliError::usage("give one of --plan, --job, --tasks, --night"))?;
    if let ScheduleTarget::Plan(file) | ScheduleTarget::Tasks(file) | ScheduleTarget::Night(file) =
        &target
        && !task_services.store.file_exists(file)
    {
        return Err(CliError::Usage(format!(
            "there is no file {file} in the root {}",
            task_services.services.root(task_services.global).display()
        )));
    }
    Ok(Schedule {
        name: args.name.clone(),
        when,
        zone,
        missed: if args.missed == "never" {
            MissedPolicy::Never
        } else {
            MissedPolicy::Once
        },
        target,
        args: args.args.clone(),
    })
}

/// Adds a schedule.
pub(super) fn add(
    args: &AddArgs,
    task_services: &ScheduleCommands<'_>,
) -> Result<CliExit, CliError> {
    let schedule = wanted(args, task_services)?;
    // A wrong file is not made worse.
    let present = task_services.schedules()?;
    if present.iter().any(|one| one.name == schedule.name) {
        return Err(CliError::Usage(format!(
            "there is a schedule `{}` already; remove it first, or edit {FILE}",
            schedule.name
        )));
    }
    let text = task_services
        .store
        .text()
        .map_err(trouble)?
        .unwrap_or_default();
    let text = schedules::append_schedule(&text, &schedule);
    let parsed =
        schedules::parse(&text, FILE).map_err(|error| CliError::Usage(error.to_string()))?;
    if parsed.last() != Some(&schedule) {
        return Err(CliError::NotDone(format!(
            "{FILE} cannot be added to; edit it by hand"
        )));
    }
    task_services.store.write(&text).map_err(trouble)?;
    let now = task_services.now();
    task_services
        .store
        .append(&schedule.name, &first_seen_record(now))
        .map_err(trouble)?;
    let next = super::look::upcoming(task_services, &schedule, now, 1).pop();
    let next_text = super::look::time_text(next, &schedule);
    task_services.printer.line(&format!(
        "added {} to {FILE}; next: {next_text}",
        schedule.name
    ));
    task_services.printer.note(
        "`tos schedule unit` (systemd, launchd or cron) prints what makes this machine run it",
    );
    task_services.printer.document(&json!({
        "added": schedule.name,
        "next": next.map(|at| at.to_rfc3339()),
    }));
    Ok(CliExit::Success)
}

/// The record of the first sight of a schedule.
pub(super) fn first_seen_record(now: crate::domain::time::Timestamp) -> ScheduledRunRecord {
    ScheduledRunRecord {
        slot: now,
        at: now,
        what: ScheduledRunEvent::Seen,
        missed: 0,
        exit_code: None,
        log: None,
        why: String::new(),
    }
}

/// Removes a schedule.
pub(super) fn remove(
    name: &str,
    task_services: &ScheduleCommands<'_>,
) -> Result<CliExit, CliError> {
    let all = task_services.schedules()?;
    if !all.iter().any(|one| one.name == name) {
        return Err(unknown(name, &all));
    }
    let text = task_services
        .store
        .text()
        .map_err(trouble)?
        .unwrap_or_default();
    let left = schedules::remove_schedule(&text, name).ok_or_else(|| {
        CliError::NotDone(format!(
            "`{name}` cannot be taken out of {FILE} without touching the rest; edit the file by hand"
        ))
    })?;
    task_services.store.write(&left).map_err(trouble)?;
    task_services
        .printer
        .line(&format!("removed {name} from {FILE}"));
    task_services.printer.document(&json!({ "removed": name }));
    Ok(CliExit::Success)
}
