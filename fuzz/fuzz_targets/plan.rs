//! No bytes may make the loader of plans panic or hang; a fault has a place, and what is a plan is the same plan after
//! a run has copied it.
//!
//! `cargo +nightly fuzz run plan -- -max_len=65536 -timeout=10`

#![no_main]

use libfuzzer_sys::fuzz_target;
use tos::{
    adapters::plan::{expanded_copy, load_bytes},
    ports::plan_store::LoadError,
};

fuzz_target!(|bytes: &[u8]| {
    match load_bytes(bytes) {
        // The tasks of agents run without a copy.
        Ok(plan) if plan.guarded.is_some() => {}
        Ok(plan) => {
            let copy = expanded_copy(&plan).expect("memory can be written");
            assert_eq!(load_bytes(&copy), Ok(plan));
        }
        Err(LoadError::Wrong { line, column, .. }) => assert!(line > 0 && column > 0),
        Err(LoadError::Unreadable { why, .. }) => panic!("there is no file: {why}"),
    }
});
