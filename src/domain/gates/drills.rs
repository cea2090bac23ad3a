//! Which drills have to be run: for the gate ahead, and to clear what suspends work without a person.

use super::{GateConfig, GateContext, Metric, PhaseTrack, evidence::LedgerEvidence, metric};
use crate::domain::ledger::{LedgerEntry, LedgerRecord};

impl GateConfig {
    /// Returns the drills of the gates that lie behind a phase of autonomy.
    fn behind(&self, phase: &str) -> Vec<&String> {
        let tracks = self.tracks();
        let own: &[String] = tracks
            .first()
            .map_or(&[], |track: &PhaseTrack| &track.phases);
        let passed: Vec<&String> = own.iter().take_while(|name| *name != phase).collect();
        let gates = self.gate.iter().filter(|gate| passed.contains(&&gate.from));
        gates.flat_map(required_drills).collect()
    }
}

pub(super) fn required_drills(gate: &super::Gate) -> impl Iterator<Item = &String> {
    let drills = gate
        .require
        .iter()
        .filter(|require| require.metric == Metric::DrillsPassed);
    drills.flat_map(|require| &require.names)
}

/// Returns the drills of the gates behind that were not passed after a record, under the gates of now;
/// `None` where no gate behind asks for any.
pub(super) fn outstanding_drills(
    gates: &GateConfig,
    phase: &str,
    ledger: &[LedgerRecord],
    here: &GateContext,
    since: u64,
) -> Option<Vec<String>> {
    let names = gates.behind(phase);
    let evidence = LedgerEvidence::new(gates, ledger, Some(since), here.at);
    let open = |name: &&&String| {
        let passed = metric::passed_drill_record(gates, name, &evidence, here).ok();
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
pub(super) fn failed_drills(
    gates: &GateConfig,
    phase: &str,
    ledger: &[LedgerRecord],
) -> Vec<String> {
    let failed = |name: &&&String| {
        let newest = ledger.iter().rev().find_map(|record| match &record.entry {
            LedgerEntry::Drill {
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
