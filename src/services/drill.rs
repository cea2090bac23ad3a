//! Runs a drill: lays out a throw-away place, does there what a person would do, looks, and judges.

use crate::{
    domain::drill::{Drill, DrillObservation, DrillOutcome, DrillStep, event_text},
    ports::drill_site::{DrillSites, Error},
};

/// What a drill came to.
#[derive(Debug, Clone)]
pub struct DrillResult {
    /// The verdict.
    pub outcome: DrillOutcome,
    /// The ledger's events as they came.
    pub observed: Vec<String>,
}

/// Runs one drill to its end. Every place on the way that fails is a verdict; an error means that the drill
/// itself could not be carried out.
pub fn run_drill(drill: &Drill, ground: &dyn DrillSites) -> Result<DrillResult, Error> {
    let site = ground.create_site(drill)?;
    let mut seen = DrillObservation {
        before: site.tree()?,
        ..DrillObservation::default()
    };
    for (number, act) in drill.acts.iter().enumerate() {
        let list = drill.task_list(&|scenario| site.agent(scenario), number > 0);
        let list = list.to_string();
        match act {
            DrillStep::Kill => site.kill_at_work(&list)?,
            DrillStep::Run(_) | DrillStep::Night(_) => {
                let ended = site.run(&list, matches!(act, DrillStep::Night(_)))?;
                seen.exits.push(ended.code);
                seen.refusal = seen.refusal.or(ended.refusal);
            }
        }
    }
    seen.after = site.tree()?;
    let found = site.inspect()?;
    seen.entries = found.entries;
    seen.faults = found.faults;
    seen.report = found.report;
    Ok(DrillResult {
        outcome: drill.judge(&seen),
        observed: seen.entries.iter().map(event_text).collect(),
    })
}
