//! The board in a simulated world: workers that die, messages that get lost or come twice, clocks that jump, slow disks,
//! crashes at any moment, and people who press every button. A seed repeats everything.
//!
//! `TOS_SIM_HOURS=4000 cargo test --test simulation weeks` simulates longer, `TOS_SIM_SEED=7` repeats one seed.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    reason = "the length of a simulation is read from the environment; a world is told in one go"
)]

mod bugs;
mod check;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::{Chance, World};

const HOUR: u64 = 3_600_000;

fn hours(usual: u64) -> u64 {
    let asked = std::env::var("TOS_SIM_HOURS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn seeds(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let asked = std::env::var("TOS_SIM_SEED").ok();
    asked
        .and_then(|text| text.parse().ok())
        .map_or(usual, |seed: u64| seed..seed + 1)
}

/// Runs one world; returns what was broken.
fn simulate(seed: u64, hours: u64, bug: Option<bugs::Bug>) -> Result<World, String> {
    let mut world = World::new(seed, bug);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        world.run(hours * HOUR)?;
        world.heal()
    }));
    match ran {
        Ok(Ok(())) => Ok(world),
        Ok(Err(broken)) => Err(format!("seed {seed}: {broken}")),
        Err(_) => Err(format!("seed {seed}: panicked")),
    }
}

#[test]
fn many_short_worlds_hold() {
    for seed in seeds(1..13) {
        let world = simulate(seed, 48, None).unwrap_or_else(|broken| panic!("{broken}"));
        assert!(world.merged > 0, "seed {seed}: nothing was ever merged");
    }
}

#[test]
fn weeks_hold() {
    for seed in seeds(1000..1001) {
        let world =
            simulate(seed, hours(24 * 7 * 2), None).unwrap_or_else(|broken| panic!("{broken}"));
        println!("{}", world.summary());
    }
}

#[test]
fn a_seed_repeats_everything() {
    let one = simulate(5, 12, None).unwrap();
    let two = simulate(5, 12, None).unwrap();
    assert_eq!(one.summary(), two.summary());
    assert!(Chance::new(1).below(1000) < 1000);
}

/// Every bug of the list is found, and found by what it breaks.
#[test]
fn bugs_put_in_on_purpose_are_found() {
    let mut missed = Vec::new();
    for bug in bugs::ALL {
        let found = (1..40).find_map(|seed| simulate(seed, 48, Some(bug)).err());
        match found {
            Some(broken) => println!("{bug:?}: {broken}"),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
