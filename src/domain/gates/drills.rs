//! Which drills have to be run: for the gate ahead, and to clear what suspends work without a person.

use super::{AUTONOMY, Gates, Here, Metric, Track, eval, evidence::Evidence, metric};
use crate::domain::ledger::{Entry, Record};

impl Gates {
    /// Returns every drill that some gate asks for, in the order of the gates.
    pub fn drills(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for gate in &self.gate {
            for name in asked(gate) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        names
    }

    /// Returns the drills of the gates that lie behind a phase of autonomy.
    fn behind(&self, phase: &str) -> Vec<&String> {
        let tracks = self.tracks();
        let own: &[String] = tracks.first().map_or(&[], |track: &Track| &track.phases);
        let passed: Vec<&String> = own.iter().take_while(|name| *name != phase).collect();
        let gates = self.gate.iter().filter(|gate| passed.contains(&&gate.from));
        gates.flat_map(asked).collect()
    }
}

fn asked(gate: &super::Gate) -> impl Iterator<Item = &String> {
    let drills = gate
        .require
        .iter()
        .filter(|require| require.metric == Metric::DrillsPassed);
    drills.flat_map(|require| &require.names)
}

/// Returns the drills of the gates behind that were not passed after a record, under the gates of now;
/// `None` where no gate behind asks for any.
pub(super) fn undrilled(
    gates: &Gates,
    phase: &str,
    ledger: &[Record],
    here: &Here,
    since: u64,
) -> Option<Vec<String>> {
    let names = gates.behind(phase);
    let evidence = Evidence::new(gates, ledger, Some(since), here.at);
    let open = |name: &&&String| {
        let passed = metric::drill(gates, name, &evidence, here).ok();
        let record = passed.and_then(|seq| ledger.iter().find(|record| record.seq == seq));
        record.is_none_or(|record| record.stamp.gates != here.gates)
    };
    let all: Vec<String> = names
        .iter()
        .filter(open)
        .map(|name| (*name).clone())
        .collect();
    (!names.is_empty()).then_some(all)
}

/// Returns the drills of the gates behind that failed when they were last run.
pub(super) fn failing(gates: &Gates, phase: &str, ledger: &[Record]) -> Vec<String> {
    let failed = |name: &&&String| {
        let newest = ledger.iter().rev().find_map(|record| match &record.entry {
            Entry::Drill {
                name: of, passed, ..
            } if of == **name => Some(*passed),
            _ => None,
        });
        newest == Some(false)
    };
    let names = gates.behind(phase);
    names
        .iter()
        .filter(failed)
        .map(|name| (*name).clone())
        .collect()
}

/// Returns the drills that the gate ahead lacks, and those that would clear what suspends work.
pub fn missing(gates: &Gates, ledger: &[Record], here: &Here) -> Vec<String> {
    let report = eval(gates, ledger, here);
    let Some(standing) = report.autonomy() else {
        return Vec::new();
    };
    let since = super::eval::last_fall(ledger, AUTONOMY);
    let evidence = Evidence::new(gates, ledger, since, here.at);
    let ahead = gates.gate.iter().filter(|gate| gate.from == standing.phase);
    let mut names: Vec<String> = ahead
        .flat_map(asked)
        .filter(|name| metric::drill(gates, name, &evidence, here).is_err())
        .cloned()
        .collect();
    for name in super::eval::uncleared(gates, &standing.phase, ledger, here) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
