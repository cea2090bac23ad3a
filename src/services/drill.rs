//! Runs a drill: lays out a throw-away place, does there what a person would do, looks, and judges.

use crate::{
    domain::drill::{Act, Drill, Outcome, Seen, words},
    ports::drill_site::{Error, Ground},
};

/// What a drill came to.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// The verdict.
    pub outcome: Outcome,
    /// The ledger's events as they came.
    pub observed: Vec<String>,
}

/// Runs one drill to its end. Every place on the way that fails is a verdict; an error means that the drill
/// itself could not be carried out.
pub fn rehearse(drill: &Drill, ground: &dyn Ground) -> Result<Rehearsal, Error> {
    let site = ground.lay(drill)?;
    let mut seen = Seen {
        before: site.tree()?,
        ..Seen::default()
    };
    for (number, act) in drill.acts.iter().enumerate() {
        let list = drill.list(&|scenario| site.agent(scenario), number > 0);
        let list = list.to_string();
        match act {
            Act::Kill => site.kill_at_work(&list)?,
            Act::Run(_) | Act::Night(_) => {
                let ended = site.run(&list, matches!(act, Act::Night(_)))?;
                seen.exits.push(ended.code);
                seen.refusal = seen.refusal.or(ended.refusal);
            }
        }
    }
    seen.after = site.tree()?;
    let found = site.look()?;
    seen.entries = found.entries;
    seen.faults = found.faults;
    seen.report = found.report;
    Ok(Rehearsal {
        outcome: drill.judge(&seen),
        observed: seen.entries.iter().map(words).collect(),
    })
}
