//! The composition root: builds adapters from settings and hands them to the services.
//!
//! Decides nothing; it is the only module that may name every layer. `services` builds on demand what the
//! commands ask for, `sample` holds the files of the sample job.

mod adapter_options;
mod commands;
mod confinement;
mod context;
mod doctor;
mod gates;
mod notify;
mod plan;
mod remembered_rules;
mod sample;
mod services;

use std::{ffi::OsString, io::IsTerminal, process::ExitCode};

use crate::{
    adapters::{drill, sandbox},
    interfaces::{cli, cli::exit::CliExit, report::Printer},
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
    let given = words.clone();
    let cli = match cli::parse(words) {
        Ok(cli) => cli,
        Err(error) => {
            let told = wants_json.then(|| cli::asked_words(&error)).flatten();
            match told {
                Some(document) => Printer::raw(&document),
                // clap knows whether help was asked for (stdout, 0) or the words are wrong (stderr, 2).
                None if error.use_stderr() => drop(error.print()),
                None => Printer::raw(&shown_help(&error, &environment)),
            }
            if wants_json && error.use_stderr() {
                Printer::raw(&cli::wrong_words(&error));
            }
            if !error.use_stderr() && Printer::has_lost_output() {
                return ExitCode::from(CliExit::NotDone.code());
            }
            return ExitCode::from(if error.use_stderr() {
                CliExit::Invalid.code()
            } else {
                0
            });
        }
    };
    let context = context::AppContext::new(environment, &given);
    context.trace(cli.global.verbose);
    let printer = Printer::new(&cli.global, context.forbids_colour(), context.is_dumb());
    let exit = cli::perform(&cli, &context, &printer);
    if let Some(lost) = context.finish_telemetry() {
        printer.alert(&format!("warning: {lost}"));
    }
    ExitCode::from(exit.code())
}

/// Returns help as it is printed: with its colours only on a terminal that may have some.
fn shown_help(error: &clap::Error, environment: &[(OsString, OsString)]) -> String {
    let is_set = |wanted: &str, value: &dyn Fn(&OsString) -> bool| {
        environment
            .iter()
            .any(|(name, text)| name == wanted && value(text))
    };
    let plain = !std::io::stdout().is_terminal()
        || is_set("NO_COLOR", &|text| !text.is_empty())
        || is_set("TERM", &|text| text == "dumb");
    let rendered = error.render();
    if plain {
        rendered.to_string()
    } else {
        rendered.ansi().to_string()
    }
}
