//! The composition root: builds adapters from settings and hands them to the services.
//!
//! Decides nothing; it is the only room that may name every floor.

use std::{ffi::OsString, process::ExitCode};

/// Runs the program with the words of its command line, the program name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let _words: Vec<OsString> = words.into_iter().collect();
    ExitCode::SUCCESS
}
