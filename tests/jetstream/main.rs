//! The board on a modelled `JetStream`: answers that are lost, messages that come twice, leaders that change, machines that are cut off,
//! killed or frozen, a log that is full. A seed repeats everything; `TOS_SIM_SEED=7` repeats one.

#![expect(
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    reason = "a seed is read from the environment; a model may fail loudly"
)]

mod bugs;
#[path = "../support/chance.rs"]
mod chance;
mod server;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bugs::Bug;
use world::World;

const MINUTE: u64 = 60_000;

fn simulate(seed: u64, bug: Option<Bug>) -> Result<World, String> {
    let mut world = World::new(seed, bug);
    match catch_unwind(AssertUnwindSafe(|| world.run(30 * MINUTE, 60 * MINUTE))) {
        Ok(Ok(())) => Ok(world),
        Ok(Err(broken)) => Err(format!("seed {seed}: {broken}")),
        Err(_) => Err(format!("seed {seed}: panicked")),
    }
}

#[test]
fn whatever_is_lost_every_task_ends_and_nothing_happens_twice() {
    let asked = std::env::var("TOS_SIM_SEED").ok();
    let asked = asked.and_then(|text| text.parse::<u64>().ok());
    let seeds = asked.map_or(1..25, |seed| seed..seed + 1);
    let (mut kills, mut deposed) = (0, 0);
    for seed in seeds {
        let world = simulate(seed, None).unwrap_or_else(|broken| panic!("{broken}"));
        println!("seed {seed}: {}", world.summary());
        kills += world.kills;
        deposed += world.deposed;
    }
    // A model in which nothing is ever refused shows nothing.
    assert!(
        asked.is_some() || (kills > 100 && deposed > 0),
        "{kills} {deposed}"
    );
}

#[test]
fn a_seed_repeats_everything() {
    let [one, two] = [(); 2].map(|()| simulate(3, None).unwrap().summary());
    assert_eq!(one, two);
}

#[test]
fn bugs_put_in_on_purpose_are_found() {
    for bug in bugs::ALL {
        let found = (1..60).find_map(|seed| simulate(seed, Some(bug)).err());
        match found {
            Some(broken) => println!("{bug:?}: {broken}"),
            None => panic!("{bug:?} is not found"),
        }
    }
}
