//! Where autonomy stands and how it came there, for people: the verdict, what each criterion asks for, the way ahead, the last
//! changes.

use std::collections::BTreeMap;

use super::{
    AutonomyReport, GateConfig, GateContext, Metric, Requirement, eval, next_steps::next_steps,
};
use crate::domain::{ledger::LedgerRecord, time::Timestamp};

/// How many changes are told.
const CHANGES: usize = 20;

/// Everything that is told of the gates.
#[derive(Debug, Clone, PartialEq)]
pub struct AutonomyAccount {
    /// The verdict.
    pub report: AutonomyReport,
    /// What each criterion of the gates ahead asks for, by its name.
    pub meanings: BTreeMap<String, String>,
    /// The way to work without a person, one step each; none where that is allowed.
    pub steps: Vec<String>,
    /// What changed the freedom last, the newest first.
    pub changes: Vec<AutonomyChange>,
}

/// One change of freedom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutonomyChange {
    /// When.
    pub at: Timestamp,
    /// Who: a user, or `tos`.
    pub by: String,
    /// What kind, in one word.
    pub kind: &'static str,
    /// What it was.
    pub words: String,
}

/// Gives account of the gates over a verified ledger.
pub fn account(gates: &GateConfig, ledger: &[LedgerRecord], here: &GateContext) -> AutonomyAccount {
    let report = eval(gates, ledger, here);
    let ahead = report.tracks.iter().filter_map(|track| track.gate.as_ref());
    let meanings = ahead
        .filter_map(|ahead| {
            let is_it = |gate: &&super::Gate| gate.from == ahead.from && gate.to == ahead.to;
            gates.gate.iter().find(is_it)
        })
        .flat_map(|gate| &gate.require)
        .map(|require| (require.id.clone(), meaning(gates, require)))
        .collect();
    let changes = ledger
        .iter()
        .rev()
        .filter(|record| record.entry.changes_freedom());
    let changes = changes.take(CHANGES).map(|record| AutonomyChange {
        at: record.stamp.at,
        by: record.stamp.actor.clone(),
        kind: record.entry.kind(),
        words: record.entry.display_line(),
    });
    AutonomyAccount {
        meanings,
        steps: next_steps(&report),
        changes: changes.collect(),
        report,
    }
}

/// Says what a criterion asks for.
fn meaning(gates: &GateConfig, require: &Requirement) -> String {
    let need = require.need;
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let names = require.names.join(", ");
    match require.metric {
        Metric::TasksCount => format!("{need} different tasks that succeeded"),
        Metric::TasksDistinctClass => format!(
            "tasks of {need} kinds that succeeded, of: {}",
            gates.tasks.classes.join(", ")
        ),
        Metric::TasksSuccessRate => format!(
            "of the last {} tasks, {} succeeded",
            require.last,
            percent(need)
        ),
        Metric::DrillsPassed => format!("drills passed: {names}"),
        Metric::SessionsStreak => {
            let busy = require.min_active.as_deref();
            let busy = busy.map_or_else(String::new, |least| format!(", {least} at work each"));
            let night = if require.at_night { ", at night" } else { "" };
            format!("{need} clean sessions in a row without a person{busy}{night}")
        }
        Metric::NightsStreak => format!(
            "{need} clean nights in a row, with {} tasks each of which {} succeeded{}",
            require.min_tasks,
            percent(require.min_rate),
            if require.same_conditions {
                ", all under the same conditions"
            } else {
                ""
            }
        ),
        Metric::PocConcluded => format!(
            "a verdict on record: {}",
            require.subject.as_deref().unwrap_or_default()
        ),
        Metric::EventsCount => format!(
            "on record, {need} times: {}",
            require.kind.as_deref().unwrap_or_default()
        ),
        Metric::Observed => format!("seen on this machine: {names}"),
        Metric::Attested => format!("confirmed by a person: {names}"),
        Metric::SessionsDirty => String::new(),
    }
}
