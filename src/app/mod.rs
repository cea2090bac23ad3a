//! The composition root: builds adapters from settings and hands them to the services.
//!
//! Decides nothing; it is the only room that may name every floor. [`kit`] builds on demand what the
//! commands ask for, [`sample`] holds the files of the sample job.

mod kit;
mod parts;
mod sample;

use std::{ffi::OsString, process::ExitCode};

use crate::interfaces::{
    cli::{self, exit::Exit},
    report::Printer,
};

/// Runs the program with the words of its command line, the program name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let cli = match cli::parse(words) {
        Ok(cli) => cli,
        Err(error) => {
            // clap knows whether help was asked for (stdout, 0) or the words are wrong (stderr, 2).
            drop(error.print());
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
