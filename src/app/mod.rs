//! The composition root: builds adapters from settings and hands them to the services.
//!
//! Decides nothing; it is the only room that may name every floor. `kit` builds on demand what the
//! commands ask for, `sample` holds the files of the sample job.

mod doctor;
mod gates;
mod kit;
mod memory;
mod notify;
mod parts;
mod plans;
mod sample;
mod walls;

use std::{ffi::OsString, process::ExitCode};

use crate::{
    adapters::{drill, sandbox},
    interfaces::{
        cli::{self, exit::Exit},
        report::Printer,
    },
};

/// Runs the program with the words of its command line, the program name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    // Before anything else: a jailer must do nothing but build its wall.
    if words.get(1).is_some_and(|word| word == sandbox::JAIL_WORD) {
        return sandbox::jail_main(words.into_iter().skip(2));
    }
    // The scripted agent of a drill knows nothing but its scenario.
    if words.get(1).is_some_and(|word| word == drill::STUB_WORD) {
        return drill::stub_main(words.into_iter().skip(2));
    }
    let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let wants_json = words
        .iter()
        .take_while(|word| *word != "--")
        .any(|word| word == "--json");
    let cli = match cli::parse(words) {
        Ok(cli) => cli,
        Err(error) => {
            // clap knows whether help was asked for (stdout, 0) or the words are wrong (stderr, 2).
            drop(error.print());
            if wants_json && error.use_stderr() {
                Printer::raw(&cli::wrong_words(&error));
            }
            return ExitCode::from(if error.use_stderr() {
                Exit::Invalid.code()
            } else {
                0
            });
        }
    };
    let house = kit::House::new(environment);
    house.trace(cli.global.verbose);
    let printer = Printer::new(&cli.global, house.forbids_colour());
    ExitCode::from(cli::perform(&cli, &house, &printer).code())
}
