//! The commands in groups, by what a person wants to do; the rest of the help is clap's.

use clap::CommandFactory;

use super::{
    args::{RunMode, RunModeArgs},
    command_line::Cli,
};
use crate::interfaces::{
    cli::{commands::help::HelpCommands, words::row},
    report::plan::push_fmt,
};

/// The groups, in the order of a first week. What is in none of them comes last; hidden commands are left out.
const GROUPS: [(&str, &[&str]); 7] = [
    (
        "Run jobs",
        &[
            "run",
            "test",
            "status",
            "steps",
            "checkpoint",
            "rollback",
            "answer",
        ],
    ),
    ("Plans", &["plan"]),
    (
        "Agents and nights",
        &["agents", "task", "night", "schedule", "notify", "mcp"],
    ),
    (
        "Service",
        &[
            "serve", "board", "why", "open", "merge", "proc", "hatch", "worker", "workers",
        ],
    ),
    (
        "Safety",
        &[
            "guard",
            "exec",
            "policy",
            "autonomy",
            "phase",
            "drill",
            "check",
            "validate",
            "judge-change",
        ],
    ),
    ("Records", &["ledger"]),
    (
        "Set-up",
        &["init", "doctor", "config", "completions", "help"],
    ),
];

/// Returns the definition of the command line with nothing changed but what is not meant for anybody.
pub(super) fn plain() -> clap::Command {
    let mut command = Cli::command();
    for (name, mode) in [
        ("run", RunMode::Run),
        ("test", RunMode::Test),
        ("checkpoint", RunMode::Checkpoint),
        ("rollback", RunMode::Rollback),
    ] {
        // An option that means nothing in a mode is an error there, so it is not offered.
        command = command.mut_subcommand(name, |sub| {
            sub.mut_args(|arg| {
                let is_idle = RunModeArgs::is_option_of_another_mode(arg.get_id().as_str(), mode);
                if is_idle { arg.hide(true) } else { arg }
            })
        });
    }
    command
}

/// Returns the definition of the command line with its commands in groups.
pub(super) fn command() -> clap::Command {
    let command = plain();
    let mut rest: Vec<(String, String)> = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .map(|sub| {
            let about = sub.get_about().map(ToString::to_string);
            (sub.get_name().to_owned(), about.unwrap_or_default())
        })
        .collect();
    let mut text = String::new();
    for (title, names) in GROUPS {
        let mut rows = String::new();
        for name in names {
            if let Some(at) = rest.iter().position(|(known, _)| known == name) {
                let (name, about) = rest.remove(at);
                rows.push_str(&row(&name, &about));
            }
        }
        if !rows.is_empty() {
            push_fmt(&mut text, format_args!("{title}:\n{rows}\n"));
        }
    }
    if !rest.is_empty() {
        let rows: String = rest.iter().map(|(name, about)| row(name, about)).collect();
        push_fmt(&mut text, format_args!("More:\n{rows}\n"));
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{text}{{all-args}}{{after-help}}"
    );
    command
        .mut_subcommands(|sub| sub.hide(true))
        .help_template(template)
}

/// Everything that help shows.
pub(super) const HELP_COMMANDS: HelpCommands = HelpCommands {
    grouped: command,
    plain,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::keys, interfaces::cli::commands::help::topics};

    #[test]
    fn every_visible_command_is_in_a_group_and_told_in_one_line() {
        let text = command().render_help().to_string();
        assert!(!text.contains("\nMore:"), "{text}");
        for line in text.lines().take_while(|line| !line.starts_with("Options")) {
            assert!(line.chars().count() <= 100, "{line}");
        }
        for name in ["run", "plan", "night", "policy", "ledger", "init"] {
            assert!(text.contains(&format!("\n  {name} ")), "{name}: {text}");
        }
    }

    /// Fails where `tos` is followed by a command, or that by a verb, which there is not.
    fn check_words(topic: &str, line: &str, commands: &clap::Command) {
        let is_word = |word: &&str| word.starts_with(|mark: char| mark.is_ascii_lowercase());
        let mut found = commands;
        for word in line.split_whitespace().take(2).take_while(is_word) {
            if !found.has_subcommands() {
                return;
            }
            let word = word.trim_end_matches(',');
            let sub = found.find_subcommand(word);
            found = sub.unwrap_or_else(|| panic!("{topic}: there is no `{word}` in `tos {line}`"));
        }
    }

    #[test]
    fn topics_name_only_commands_and_settings_that_there_are() {
        let mut commands = plain();
        commands.build();
        for (topic, text) in topics() {
            for line in text.lines() {
                let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
                let listed = line.strip_prefix("  tos ").into_iter();
                let named = quoted.iter().filter_map(|words| words.strip_prefix("tos "));
                listed
                    .chain(named)
                    .for_each(|words| check_words(topic, words, &commands));
                let settings = quoted.iter().filter(|text| {
                    let section = text.split_once('.').map_or("", |(section, _)| section);
                    keys::is_section(section)
                });
                for name in settings {
                    assert!(keys::find(name).is_some(), "{topic}: there is no `{name}`");
                }
            }
        }
    }
}
