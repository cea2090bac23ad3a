//! `tos schedule`: jobs, plans, task lists and nights at set times.

mod due;
mod edit;
mod look;

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    config::schedules::{self, FILE},
    domain::{
        schedule::{
            Schedule, ScheduleTarget, ScheduledRunRecord, Trigger, quota_renewal_time,
            unit::SystemScheduler,
        },
        time::Timestamp,
    },
    interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
    ports::schedules::{Error, Schedules},
    services::job::run,
};

/// Options of `tos schedule`.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add a schedule to config/schedules.toml
    Add(edit::AddArgs),
    /// List the schedules: when each is due, how its last run ended
    List,
    /// Remove a schedule from config/schedules.toml; its records stay
    Remove {
        /// Its name
        name: String,
    },
    /// Show a schedule and its last runs
    Show {
        /// Its name
        name: String,
    },
    /// Start what is due, and return; what was started goes on by itself
    RunDue {
        /// Wait until everything that was started has ended
        #[arg(long)]
        wait: bool,
    },
    /// Run a schedule now, in the foreground
    Run {
        /// Its name
        name: String,
        /// The slot it is for; now if absent
        #[arg(long, value_name = "TIME", hide = true)]
        slot: Option<String>,
    },
    /// Print when schedules are due next
    Next {
        /// The schedule; all of them if absent
        name: Option<String>,
        /// How many times
        #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
    },
    /// Print what makes this system call `tos schedule run-due` every minute
    Unit {
        /// The system; what this machine has if absent
        #[arg(value_enum, default_value_t = UnitKind::of_this_machine())]
        system: UnitKind,
    },
}

/// What calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UnitKind {
    /// A service and a timer for systemd, as the user
    Systemd,
    /// A launchd agent
    Launchd,
    /// A line for crontab
    Cron,
}

impl UnitKind {
    const fn of_this_machine() -> Self {
        if cfg!(target_os = "macos") {
            Self::Launchd
        } else {
            Self::Systemd
        }
    }
}

impl From<UnitKind> for SystemScheduler {
    fn from(kind: UnitKind) -> Self {
        match kind {
            UnitKind::Systemd => Self::Systemd,
            UnitKind::Launchd => Self::Launchd,
            UnitKind::Cron => Self::Cron,
        }
    }
}

/// Does what the verb says.
pub fn main(
    args: &ScheduleArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let store = services.schedules(global);
    let task_services = ScheduleCommands {
        store: store.as_ref(),
        services,
        global,
        printer,
    };
    match &args.verb {
        Verb::Add(args) => edit::add(args, &task_services),
        Verb::Remove { name } => edit::remove(name, &task_services),
        Verb::List => look::list(&task_services),
        Verb::Show { name } => look::show(name, &task_services),
        Verb::Next { name, count } => look::next(name.as_deref(), *count, &task_services),
        Verb::Unit { system } => look::unit((*system).into(), &task_services),
        Verb::RunDue { wait } => due::run_due(*wait, &task_services),
        Verb::Run { name, slot } => due::run(name, slot.as_deref(), &task_services),
    }
}

/// What the verbs work with.
struct ScheduleCommands<'a> {
    store: &'a dyn Schedules,
    services: &'a dyn ServiceFactory,
    global: &'a GlobalArgs,
    printer: &'a Printer,
}

impl ScheduleCommands<'_> {
    fn now(&self) -> Timestamp {
        self.services.clock().now()
    }

    /// Reads the file; where there is none, there are no schedules.
    fn schedules(&self) -> Result<Vec<Schedule>, CliError> {
        let text = self.store.text().map_err(trouble)?.unwrap_or_default();
        schedules::parse(&text, FILE).map_err(|error| CliError::Setup(error.to_string()))
    }

    fn schedule(&self, name: &str) -> Result<Schedule, CliError> {
        let all = self.schedules()?;
        let found = all.iter().find(|one| one.name == name).cloned();
        found.ok_or_else(|| unknown(name, &all))
    }

    fn records(&self, name: &str) -> Result<Vec<ScheduledRunRecord>, CliError> {
        self.store.records(name).map_err(trouble)
    }

    /// Returns when the quota that stopped the last run of this schedule's target is renewed.
    fn renewal(&self, schedule: &Schedule) -> Option<Timestamp> {
        if schedule.when != Trigger::QuotaRenewed {
            return None;
        }
        match &schedule.target {
            ScheduleTarget::Job(_) => {
                let settings = self.services.settings(self.global).ok()?;
                let store = self.services.store(&settings, None);
                let (state, _, _) = run::recover_read_only(store.as_ref()).ok()?;
                state.parked.map(|parked| parked.until)
            }
            ScheduleTarget::Tasks(_) | ScheduleTarget::Night(_) => {
                let ledger = self.services.ledger(self.global).ok()?;
                quota_renewal_time(&ledger.read().ok()?.records)
            }
            ScheduleTarget::Plan(_) => None,
        }
    }
}

fn unknown(name: &str, all: &[Schedule]) -> CliError {
    let names: Vec<String> = all.iter().map(|one| format!("`{}`", one.name)).collect();
    let known = if names.is_empty() {
        "it has none; `tos schedule add` adds one".to_owned()
    } else {
        format!("it has {}", names.join(", "))
    };
    CliError::Usage(format!("{FILE} has no schedule `{name}`; {known}"))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` asks for"
)]
fn trouble(error: Error) -> CliError {
    CliError::NotDone(error.to_string())
}
