//! The composition root: builds adapters from settings and hands them to the services.
//!
//! Decides nothing; it is the only module that may name every layer. `services` builds on demand what the
//! commands ask for, `sample` holds the files of the sample job.

mod adapter_options;
mod board_access;
mod board_history;
mod board_settings;
mod commands;
mod confinement;
mod context;
mod doctor;
mod gates;
mod guard;
mod notify;
mod plan;
mod remembered_rules;
mod run_logs;
mod sample;
mod scripts;
mod service;
mod service_models;
mod services;
mod session_requests;
mod webhook;
mod worker;

use std::{ffi::OsString, io::IsTerminal, process::ExitCode};

use crate::{
    adapters::{drill, policy, sandbox},
    interfaces::{cli, cli::exit::CliExit, report::Printer},
};

/// Runs the program with the words of its command line, the program name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words = cli::join_explained_command(cli::rewrite_shell_args(words.into_iter().collect()));
    // Before anything else: a jailer must do nothing but build its wall.
    if words.get(1).is_some_and(|word| word == sandbox::JAILER_ARG) {
        return sandbox::jail_main(words.into_iter().skip(2));
    }
    // The scripted agent of a drill knows nothing but its scenario.
    if words
        .get(1)
        .is_some_and(|word| word == drill::STUB_AGENT_ARG)
    {
        return drill::drill_agent_main(words.into_iter().skip(2));
    }
    // Scripts ask this all the time; it need not wait for every command to be built.
    if cli::asks_only_version(&words) {
        Printer::raw(cli::VERSION_LINE);
        return if Printer::has_lost_output() {
            ExitCode::from(CliExit::NotDone.code())
        } else {
            ExitCode::SUCCESS
        };
    }
    // So does the process that may be ended over a text it parses.
    if words
        .get(1)
        .is_some_and(|word| word == policy::PARSE_CHILD_ARG)
    {
        return policy::parse_main();
    }
    let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    // The hook of an agent answers before the words are parsed: its faults have to end in a refusal, not in a usage.
    if words.get(1).is_some_and(|word| word == "guard")
        && words.get(2).is_some_and(|word| word == "hook")
        && words
            .get(3)
            .is_some_and(|word| word != "--help" && word != "-h")
    {
        return guard::hook_main(&words, environment);
    }
    let wants_json = words
        .iter()
        .take_while(|word| *word != "--")
        .any(|word| word == "--json");
    let given = words.clone();
    let cli = match cli::parse(words) {
        Ok(cli) => cli,
        Err(error) => {
            let told = wants_json
                .then(|| cli::help_or_version_json(&error))
                .flatten();
            match told {
                Some(document) => Printer::raw(&document),
                // clap knows whether help was asked for (stdout, 0) or the words are wrong (stderr, 2).
                None if error.use_stderr() => drop(error.print()),
                None => Printer::raw(&shown_help(&error, &environment)),
            }
            if wants_json && error.use_stderr() {
                Printer::raw(&cli::usage_error_json(&error));
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
    context.start_tracing(cli.global.verbose);
    let printer = Printer::new(&cli.global, context.forbids_colour(), context.is_dumb());
    let exit = cli::run(&cli, &context, &printer);
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
