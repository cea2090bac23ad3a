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
#[path = "../support/chance.rs"]
mod chance;
mod check;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use chance::Chance;
use world::{Mood, World};

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

/// Runs one world; returns what was broken. `heals`: at last everything that is open has to end.
fn simulate(seed: u64, hours: u64, bug: Option<bugs::Bug>, heals: bool) -> Result<World, String> {
    let mut world = World::new(seed, bug);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        world.run(hours * HOUR)?;
        if heals { world.heal() } else { Ok(()) }
    }));
    match ran {
        Ok(Ok(())) => Ok(world),
        Ok(Err(broken)) => Err(format!("seed {seed}: {broken}")),
        Err(_) => Err(format!("seed {seed}: panicked")),
    }
}

/// Does something with each value, on both hands at once; returns what came of each that came to something.
fn on_two_threads<T: Copy + Send + Sync, R: Send>(
    all: &[T],
    act: impl Fn(T) -> Option<R> + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.extend(act(*one));
        }
        found
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut found = work();
        found.extend(other.join().unwrap());
        found
    })
}

#[test]
fn many_short_worlds_hold() {
    let all: Vec<u64> = seeds(1..13).collect();
    let broken = on_two_threads(&all, |seed| match simulate(seed, 48, None, true) {
        Ok(world) if world.merged == 0 => Some(format!("seed {seed}: nothing was ever merged")),
        Ok(_) => None,
        Err(broken) => Some(broken),
    });
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn weeks_hold() {
    for seed in seeds(1000..1001) {
        let world = simulate(seed, hours(24 * 8), None, true);
        let world = world.unwrap_or_else(|broken| panic!("{broken}"));
        println!("{}", world.summary());
    }
}

#[test]
fn a_seed_repeats_everything() {
    let one = simulate(5, 12, None, true).unwrap();
    let two = simulate(5, 12, None, true).unwrap();
    assert_eq!(one.summary(), two.summary());
    assert!(Chance::new(1).below(1000) < 1000);
}

/// Every bug of the list is found, and found by what it breaks: in a short world of some mood, or else in a long one that heals.
#[test]
fn bugs_put_in_on_purpose_are_found() {
    let missed = on_two_threads(&bugs::ALL, |bug| {
        let short = (1..=30 * Mood::ALL.len() as u64)
            .find_map(|seed| simulate(seed, 12, Some(bug), false).err());
        let found = short.or_else(|| {
            println!("{bug:?}: in no short world");
            (1..40).find_map(|seed| simulate(seed, 48, Some(bug), true).err())
        });
        match found {
            Some(broken) => println!("{bug:?}: {broken}"),
            None => return Some(bug),
        }
        None
    });
    assert!(missed.is_empty(), "not found: {missed:?}");
}
