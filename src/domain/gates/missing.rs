//! Which drills are still to be passed: for the gate ahead, and for what suspends work.

use super::{
    AUTONOMY_TRACK, GateConfig, GateContext,
    drills::required_drills,
    eval::{eval, evidence_cutoff, hold_clearing_drills},
    evidence::LedgerEvidence,
    metric,
};
use crate::domain::ledger::LedgerRecord;

/// Returns the drills that the gate ahead lacks, and those that would clear what suspends work.
pub fn missing_drills(
    gates: &GateConfig,
    ledger: &[LedgerRecord],
    here: &GateContext,
) -> Vec<String> {
    let report = eval(gates, ledger, here);
    let Some(standing) = report.autonomy_track() else {
        return Vec::new();
    };
    let since = evidence_cutoff(ledger, AUTONOMY_TRACK);
    let evidence = LedgerEvidence::new(gates, ledger, since, here.at);
    let ahead = gates.gate.iter().filter(|gate| gate.from == standing.phase);
    let mut names: Vec<String> = ahead
        .flat_map(required_drills)
        .filter(|name| metric::passed_drill_record(gates, name, &evidence, here).is_err())
        .cloned()
        .collect();
    for name in hold_clearing_drills(gates, &standing.phase, ledger, here) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
