//! The real program, as a person runs it: one file a command, and the weaknesses of the original that only
//! show on the command line. What is on the screen is compared whole; times and folders are made equal.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod approve;
mod checkpoint;
mod help;
mod init;
mod look;
mod modes;
mod steps;
mod weaknesses;
mod words;

#[path = "../support/environment.rs"]
mod environment;

use environment::TestEnvironment;

/// Returns a machine with the configuration that `tos init` writes, not filled in, and no repository.
fn blank() -> TestEnvironment {
    let machine = TestEnvironment::in_folder(tempfile::tempdir().unwrap());
    let ran = machine.run(&["init"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    machine
}

/// Returns a machine with the sample job in a root that is no git repository.
fn sample() -> TestEnvironment {
    let machine = TestEnvironment::in_folder(tempfile::tempdir().unwrap());
    let ran = machine.run(&["init", "--sample"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    machine
}
