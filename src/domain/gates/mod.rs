//! Phase gates: how much freedom tos has, decided by recorded evidence and by nothing else.
//!
//! [`GateConfig`] is the content of `config/gates.toml`, [`eval`] turns it and a ledger into a [`AutonomyReport`].
//! The phase is derived from the ledger, never from a configuration field. What cannot be known yet
//! counts as not met. Nothing here acts: promotion needs a person, demotion a record.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a gate picks the few kinds of records it asks for; a new kind counts for nothing until one names it"
)]

mod account;
mod drills;
mod eval;
mod evidence;
mod metric;
mod missing;
mod next_steps;
mod observations;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use account::{AutonomyAccount, AutonomyChange, account};
pub use eval::{
    AutonomyReport, GateContext, GateRefusal, GateReport, GateTrackStatus, PhasePermission,
    StartRequest, eval, is_startable_program,
};
pub use evidence::night_date;
pub use metric::CriterionResult;
pub use missing::missing_drills;
pub use next_steps::next_steps_text;
pub use observations::{ObservationInputs, observations};
pub use table::{explain, table};

/// The track that decides over unattended work.
pub const AUTONOMY_TRACK: &str = "autonomy";

/// The content of `config/gates.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// The version of the format: 1.
    pub schema: u32,
    /// When it is night.
    pub night: NightHours,
    /// What counts as a task.
    #[serde(default)]
    pub tasks: TaskCounting,
    /// How promotion works.
    pub promote: PromotionRules,
    /// Further ladders of phases beside the one of autonomy.
    #[serde(default)]
    pub track: Vec<PhaseTrack>,
    /// What each phase permits.
    pub phase: BTreeMap<String, Phase>,
    /// What must be shown to get from one phase to the next.
    pub gate: Vec<Gate>,
    /// What leads back.
    #[serde(default)]
    pub demote: Vec<DemotionRule>,
    /// What suspends unattended work.
    #[serde(default)]
    pub hold: Vec<HoldRule>,
}

/// When it is night, by local time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NightHours {
    /// From when until when, `HH:MM-HH:MM`; the end may lie on the next day.
    pub window: String,
    /// Calendar nights that may lie between two nights that still count as consecutive.
    #[serde(default)]
    pub max_gap_nights: u32,
}

/// What counts as a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskCounting {
    /// The kinds of work.
    #[serde(default)]
    pub classes: Vec<String>,
    /// What is left out of every count.
    #[serde(default)]
    pub count_only: CountFilter,
}

/// What is left out of every count of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CountFilter {
    /// Leave out drills and smoke runs.
    pub real: bool,
    /// Leave out repetitions of the same work.
    pub distinct: bool,
    /// Leave out work that a person rejected.
    pub not_rejected: bool,
}

impl Default for CountFilter {
    fn default() -> Self {
        Self {
            real: true,
            distinct: true,
            not_rejected: true,
        }
    }
}

/// How promotion works.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionRules {
    /// Always `confirm`: a person types the phase's name at a terminal.
    pub mode: String,
    /// Older evidence does not count.
    pub evidence_max_age_days: u32,
    /// What a drill must have in common with now: `policy_hash`, `tool_major_minor`.
    #[serde(default)]
    pub drills_must_match: Vec<String>,
}

/// A further ladder of phases.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseTrack {
    /// Its name.
    pub name: String,
    /// Its phases, the lowest first.
    pub phases: Vec<String>,
}

/// What a phase permits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phase {
    /// A word for people.
    pub title: String,
    /// The phase whose permissions it shares.
    pub inherits: Option<String>,
    /// Whether sessions without a person are allowed.
    pub unattended: bool,
    /// How long such a session may take, e.g. `1h`.
    pub max_session: String,
    /// Capabilities that the confinement must have proved.
    pub need_isolation: Vec<String>,
    /// What is checked before a session starts.
    pub need_before_start: Vec<String>,
    /// Allowed values of a plan's `on_failure`.
    pub on_failure: Vec<String>,
    /// `never` or `dag`.
    pub skip: String,
    /// After how many tasks a stable point is made; 0 = never.
    pub checkpoint_every: u32,
}

/// The way from one phase to the next.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The phase left.
    pub from: String,
    /// The phase entered.
    pub to: String,
    /// What must be shown.
    pub require: Vec<Requirement>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(
    missing_docs,
    reason = "the words are those of the file and described in docs/gates.md"
)]
pub enum Metric {
    #[serde(rename = "tasks.count")]
    TasksCount,
    #[serde(rename = "tasks.distinct_class")]
    TasksDistinctClass,
    #[serde(rename = "tasks.success_rate")]
    TasksSuccessRate,
    #[serde(rename = "drills.passed")]
    DrillsPassed,
    #[serde(rename = "sessions.streak")]
    SessionsStreak,
    #[serde(rename = "sessions.dirty")]
    SessionsDirty,
    #[serde(rename = "nights.streak")]
    NightsStreak,
    #[serde(rename = "poc.concluded")]
    PocConcluded,
    #[serde(rename = "events.count")]
    EventsCount,
    #[serde(rename = "observed")]
    Observed,
    #[serde(rename = "attested")]
    Attested,
}

/// A condition on the tasks that are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskFilter {
    /// How the task ended; only `success` can count.
    pub outcome: Option<String>,
}

/// One criterion of a gate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Its name.
    pub id: String,
    /// What is measured.
    pub metric: Metric,
    /// The bound that must be reached.
    pub need: f64,
    /// Which tasks count.
    #[serde(default, rename = "where")]
    pub only: TaskFilter,
    /// Names of drills, observations or statements.
    #[serde(default)]
    pub names: Vec<String>,
    /// How long tasks must have been under way in a session.
    #[serde(default)]
    pub min_active: Option<String>,
    /// Counters of a session that must be zero.
    #[serde(default)]
    pub clean: Vec<String>,
    /// Only sessions at night count.
    #[serde(default)]
    pub at_night: bool,
    /// What was examined.
    #[serde(default)]
    pub subject: Option<String>,
    /// The kind of record.
    #[serde(default)]
    pub kind: Option<String>,
    /// Tasks a night must have brought to a verdict.
    #[serde(default)]
    pub min_tasks: u32,
    /// The share of them that succeeded.
    #[serde(default)]
    pub min_rate: f64,
    /// All nights under the same conditions.
    #[serde(default)]
    pub same_conditions: bool,
    /// How many of the newest tasks are looked at.
    #[serde(default)]
    pub last: u32,
}

/// A rule that leads back to an earlier phase.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemotionRule {
    /// What is measured: `events.count`, `sessions.dirty` or `tasks.success_rate`.
    pub metric: Metric,
    /// The kind of record, or the counter of a session.
    #[serde(default)]
    pub kind: Option<String>,
    /// How many lead back.
    #[serde(default)]
    pub at_least: Option<u32>,
    /// Below which share it leads back.
    #[serde(default)]
    pub below: Option<f64>,
    /// How many of the newest sessions are looked at.
    #[serde(default)]
    pub last_sessions: u32,
    /// How many of the newest tasks are looked at.
    #[serde(default)]
    pub last: u32,
    /// Where to: a phase, or `previous`.
    pub to: String,
    /// Refuse every run until a person unlocks.
    #[serde(default)]
    pub lock: bool,
}

/// A rule that suspends unattended work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRule {
    /// What causes it.
    pub on: Vec<HoldCause>,
    /// What ends it: `drills` or `verify`.
    pub clear: String,
    /// How many days, for `idle_days`.
    #[serde(default)]
    pub days: u32,
}

/// What suspends unattended work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the words are those of the file and described in docs/gates.md"
)]
pub enum HoldCause {
    AgentMajorChanged,
    IsolationBackendChanged,
    GatesLoosened,
    ToolMinorChanged,
    LedgerChainBroken,
    IdleDays,
}

/// The counters of a session that can be asked to be zero.
pub const SESSION_COUNTERS: [&str; 4] = [
    "abnormal",
    "rollback_failed",
    "invariant_broken",
    "limit_breach",
];

/// Kinds of records that good evidence can be counted by; anything else could be gathered by failing.
const GOOD_KINDS: [&str; 2] = ["retry.success", "checkpoint"];

impl GateConfig {
    /// Returns everything that is wrong between the values, one sentence each.
    pub fn validation_errors(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.schema != 1 {
            faults.push(format!("`schema` is {}; this tos knows 1", self.schema));
        }
        if self.promote.mode != "confirm" {
            faults.push("`promote.mode` must be \"confirm\": only a person promotes".to_owned());
        }
        if evidence::parse_time_window(&self.night.window).is_none() {
            faults.push(format!(
                "`night.window` is \"{}\"; write it like \"20:00-08:00\"",
                self.night.window
            ));
        }
        for (name, phase) in &self.phase {
            faults.extend(self.faults_of_phase(name, phase));
        }
        for gate in &self.gate {
            faults.extend(self.faults_of_gate(gate));
        }
        for rule in &self.demote {
            faults.extend(self.faults_of_demotion(rule));
        }
        for track in self.tracks() {
            let named = track
                .phases
                .iter()
                .filter(|name| !self.phase.contains_key(*name));
            faults
                .extend(named.map(|name| {
                    format!("track `{}` names the unknown phase `{name}`", track.name)
                }));
            if track.phases.is_empty() {
                faults.push(format!("track `{}` has no phases", track.name));
            }
        }
        faults
    }

    fn faults_of_phase(&self, name: &str, phase: &Phase) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(parent) = &phase.inherits
            && self
                .phase
                .get(parent)
                .is_none_or(|parent| parent.inherits.is_some())
        {
            faults.push(format!(
                "phase `{name}` inherits from `{parent}`, which must exist and inherit nothing"
            ));
        }
        if !phase.max_session.is_empty() && parse_duration_sec(&phase.max_session).is_none() {
            faults.push(format!(
                "`phase.{name}.max_session` is \"{}\"; write it like \"45m\" or \"2h\"",
                phase.max_session
            ));
        }
        if !["", "never", "dag"].contains(&phase.skip.as_str()) {
            faults.push(format!("`phase.{name}.skip` must be \"never\" or \"dag\""));
        }
        faults
    }

    fn faults_of_gate(&self, gate: &Gate) -> Vec<String> {
        let name = format!("gate {} -> {}", gate.from, gate.to);
        let mut faults = Vec::new();
        for phase in [&gate.from, &gate.to] {
            if !self.phase.contains_key(phase) {
                faults.push(format!("{name}: there is no phase `{phase}`"));
            }
        }
        if gate.require.is_empty() {
            faults.push(format!("{name}: a gate without a criterion is no gate"));
        }
        for require in &gate.require {
            if let Some(fault) = require.fault() {
                faults.push(format!("{name}, criterion `{}`: {fault}", require.id));
            }
        }
        faults
    }

    fn faults_of_demotion(&self, rule: &DemotionRule) -> Vec<String> {
        let mut faults = Vec::new();
        if rule.to != "previous" && !self.phase.contains_key(&rule.to) {
            faults.push(format!("demotion leads to the unknown phase `{}`", rule.to));
        }
        let whole = match rule.metric {
            Metric::EventsCount => rule.kind.is_some() && rule.at_least.is_some_and(|n| n > 0),
            Metric::SessionsDirty => {
                rule.kind
                    .as_deref()
                    .is_some_and(|kind| SESSION_COUNTERS.contains(&kind))
                    && rule.at_least.is_some_and(|n| n > 0)
                    && rule.last_sessions > 0
            }
            Metric::TasksSuccessRate => rule.below.is_some() && rule.last > 0,
            Metric::TasksCount
            | Metric::TasksDistinctClass
            | Metric::DrillsPassed
            | Metric::SessionsStreak
            | Metric::NightsStreak
            | Metric::PocConcluded
            | Metric::Observed
            | Metric::Attested => false,
        };
        if !whole {
            faults.push(format!(
                "a demotion to `{}` lacks a value its metric needs (docs/gates.md)",
                rule.to
            ));
        }
        faults
    }

    /// Returns every track, autonomy first: its phases are those that the gates connect and no other
    /// track names.
    pub fn tracks(&self) -> Vec<PhaseTrack> {
        let elsewhere = |name: &str| {
            self.track
                .iter()
                .any(|track| track.phases.iter().any(|p| p == name))
        };
        let mut phases: Vec<String> = Vec::new();
        let own: Vec<&Gate> = self
            .gate
            .iter()
            .filter(|gate| !elsewhere(&gate.from))
            .collect();
        let first = own
            .iter()
            .find(|gate| own.iter().all(|other| other.to != gate.from));
        let mut next = first.map(|gate| gate.from.clone());
        while let Some(name) = next.take().filter(|name| !phases.contains(name)) {
            next = own
                .iter()
                .find(|gate| gate.from == name)
                .map(|gate| gate.to.clone());
            phases.push(name);
        }
        let autonomy = PhaseTrack {
            name: AUTONOMY_TRACK.to_owned(),
            phases,
        };
        std::iter::once(autonomy)
            .chain(self.track.iter().cloned())
            .collect()
    }

    /// Returns what a phase permits, inheritance resolved.
    pub fn phase(&self, name: &str) -> Phase {
        let own = self.phase.get(name).cloned().unwrap_or_default();
        let parent = own
            .inherits
            .as_ref()
            .and_then(|parent| self.phase.get(parent));
        match parent {
            Some(parent) => Phase {
                title: own.title,
                inherits: None,
                ..parent.clone()
            },
            None => own,
        }
    }
}

impl Requirement {
    fn fault(&self) -> Option<&'static str> {
        let missing = match self.metric {
            Metric::DrillsPassed | Metric::Observed | Metric::Attested if self.names.is_empty() => {
                Some("it needs `names`")
            }
            Metric::PocConcluded if self.subject.is_none() => Some("it needs `subject`"),
            Metric::EventsCount
                if !self
                    .kind
                    .as_deref()
                    .is_some_and(|kind| GOOD_KINDS.contains(&kind)) =>
            {
                Some("`kind` must be \"retry.success\" or \"checkpoint\"")
            }
            Metric::TasksSuccessRate if self.last == 0 || self.need > 1.0 => {
                Some("it needs `last` and a `need` of at most 1")
            }
            Metric::TasksCount | Metric::TasksDistinctClass
                if self.only.outcome.as_deref() != Some("success") =>
            {
                Some("it needs `where = { outcome = \"success\" }`")
            }
            Metric::SessionsDirty => Some("this metric can only lead back"),
            Metric::SessionsStreak
                if self
                    .min_active
                    .as_deref()
                    .and_then(parse_duration_sec)
                    .is_none() =>
            {
                Some("it needs `min_active`, e.g. \"45m\"")
            }
            Metric::NightsStreak if self.min_tasks == 0 => Some("it needs `min_tasks`"),
            _ => None,
        };
        let counters = self
            .clean
            .iter()
            .all(|word| SESSION_COUNTERS.contains(&word.as_str()));
        let positive = self.need > 0.0;
        missing
            .or((!counters).then_some("`clean` names an unknown counter"))
            .or((!positive).then_some("`need` must be above 0"))
    }
}

/// Reads `45m`, `2h`, `90s` or `0m`.
pub fn parse_duration_sec(text: &str) -> Option<u64> {
    let (number, factor) = [("h", 3600), ("m", 60), ("s", 1)]
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(factor)
}

/// Writes seconds as people say them: `1h`, `45m`, `90s`.
pub fn duration_text(seconds: u64) -> String {
    match seconds {
        s if s >= 3600 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s >= 60 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
