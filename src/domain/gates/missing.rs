//! Which drills are still to be passed: for the gate ahead, and for what suspends work.

use super::{
    AUTONOMY, GateConfig, GateContext,
    drills::asked,
    eval::{eval, last_fall, uncleared},
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
    let Some(standing) = report.autonomy() else {
        return Vec::new();
    };
    let since = last_fall(ledger, AUTONOMY);
    let evidence = LedgerEvidence::new(gates, ledger, since, here.at);
    let ahead = gates.gate.iter().filter(|gate| gate.from == standing.phase);
    let mut names: Vec<String> = ahead
        .flat_map(asked)
        .filter(|name| metric::drill(gates, name, &evidence, here).is_err())
        .cloned()
        .collect();
    for name in uncleared(gates, &standing.phase, ledger, here) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
