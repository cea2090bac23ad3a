//! `tos help [TOPIC]` and `tos help --man`.

use clap::Args;

use crate::interfaces::{
    cli::{
        common::{CliError, CliExit, Printer},
        words::row,
    },
    report::plan::push_fmt,
};

/// Options of `tos help`.
#[derive(Debug, Args)]
pub struct HelpArgs {
    /// A topic or a command; without one, all commands and topics
    topic: Vec<String>,
    /// Print the manual page: `tos help --man | man -l -`
    #[arg(long, conflicts_with = "topic")]
    man: bool,
}

/// A topic: its name, other words for it, one line, its text.
struct Topic {
    name: &'static str,
    aliases: &'static [&'static str],
    line: &'static str,
    text: &'static str,
}

macro_rules! topic {
    ($name:literal, $aliases:expr, $line:literal) => {
        Topic {
            name: $name,
            aliases: &$aliases,
            line: $line,
            text: include_str!(concat!("../help/", $name, ".txt")),
        }
    };
}

const TOPICS: [Topic; 10] = [
    topic!("jobs", ["job", "goal"], "one goal, driven until it holds"),
    topic!("plans", ["graph"], "a graph of commands"),
    topic!(
        "nights",
        ["tasks", "agent"],
        "agents at work while nobody watches"
    ),
    topic!(
        "service",
        ["server", "queue"],
        "a board of tasks, worked on all day"
    ),
    topic!("policy", ["rules", "deny"], "what may run, and why"),
    topic!(
        "guard",
        ["hook", "hooks"],
        "the judge beside your own agent"
    ),
    topic!("sandbox", ["wall", "walls"], "the wall around what runs"),
    topic!(
        "recovery",
        ["crash", "undo"],
        "after a crash, and going back"
    ),
    topic!("exit-codes", ["exit", "codes"], "what the numbers mean"),
    topic!("environment", ["env", "files"], "variables and files"),
];

/// Returns the name and the text of every topic.
#[cfg(test)]
pub fn topics() -> impl Iterator<Item = (&'static str, &'static str)> {
    TOPICS.iter().map(|topic| (topic.name, topic.text))
}

/// The commands there are, as help needs them.
#[derive(Debug)]
pub struct HelpCommands {
    /// In groups, by what a person wants to do.
    pub grouped: fn() -> clap::Command,
    /// In one list.
    pub plain: fn() -> clap::Command,
}

/// Shows a topic, a command's help, or everything.
pub fn main(
    args: &HelpArgs,
    commands: &HelpCommands,
    columns: Option<usize>,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    if args.man {
        return manual((commands.plain)());
    }
    let Some(word) = args.topic.first() else {
        let mut text = (commands.grouped)().render_help().to_string();
        text.push_str("\nTopics (`tos help TOPIC`):\n");
        for topic in &TOPICS {
            text.push_str(&row(topic.name, topic.line));
        }
        return Ok(shown(&text, "help", printer));
    };
    let lower = word.to_lowercase();
    let is_meant = |topic: &&Topic| topic.name == lower || topic.aliases.contains(&lower.as_str());
    // A command is asked for by its own name, a topic by any of its words.
    if let Some(help) = of_command((commands.grouped)(), &args.topic) {
        let topic = TOPICS.iter().find(|topic| topic.name == lower);
        let text = topic.map_or(help, |topic| fitted(topic.text, columns));
        return Ok(shown(&text, word, printer));
    }
    if let Some(topic) = TOPICS.iter().find(is_meant) {
        let text = fitted(topic.text, columns);
        return Ok(shown(&text, topic.name, printer));
    }
    let names: Vec<&str> = TOPICS.iter().map(|topic| topic.name).collect();
    Err(CliError::Usage(format!(
        "there is no topic or command `{word}`; topics are {}",
        names.join(", ")
    )))
}

/// The fewest columns a text is laid out for.
const NARROWEST: usize = 30;

/// Breaks the lines of a topic that are wider than the terminal; what goes on stands below where it began.
fn fitted(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns.filter(|columns| *columns >= NARROWEST) else {
        return text.to_owned();
    };
    let mut laid = String::new();
    for line in text.lines() {
        let indent = line.chars().take_while(|c| *c == ' ').count();
        // In a list of two columns the second one goes on below itself, where there is room for it.
        let body = line.get(indent..).unwrap_or_default();
        let second = body.find("  ").map(|gap| {
            let rest = body.get(gap..).unwrap_or_default();
            indent + gap + rest.len() - rest.trim_start().len()
        });
        let hang = second
            .filter(|at| *at + 20 <= columns)
            .unwrap_or(indent + 2 * usize::from(second.is_some()));
        let (mut width, mut is_first) = (0, true);
        for word in body.split(' ') {
            let length = word.chars().count();
            if is_first {
                laid.push_str(&" ".repeat(indent));
                width = indent;
            } else if width + 1 + length > columns && !word.is_empty() {
                laid.truncate(laid.trim_end().len());
                laid.push('\n');
                laid.push_str(&" ".repeat(hang));
                width = hang;
            } else {
                laid.push(' ');
                width += 1;
            }
            laid.push_str(word);
            width += length;
            is_first = false;
        }
        laid.push('\n');
    }
    laid
}

fn shown(text: &str, topic: &str, printer: &Printer) -> CliExit {
    if printer.is_json() {
        printer.document(&serde_json::json!({ "topic": topic, "text": text }));
    } else {
        Printer::raw(text);
    }
    CliExit::Success
}

/// Returns the help of a command, or of a verb below it.
fn of_command(mut command: clap::Command, words: &[String]) -> Option<String> {
    command.build();
    let mut found = &command;
    for word in words {
        found = found.find_subcommand(word)?;
    }
    Some(found.clone().render_long_help().to_string())
}

fn manual(commands: clap::Command) -> Result<CliExit, CliError> {
    let broken = |error: std::io::Error| CliError::NotDone(format!("the manual page: {error}"));
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(commands);
    man.render(&mut page).map_err(broken)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    for topic in &TOPICS {
        let (title, body) = topic.text.split_once('\n').unwrap_or((topic.text, ""));
        let title = title.replace('"', "");
        push_fmt(&mut page, format_args!(".SH \"{title}\"\n.nf\n"));
        for line in body.trim_matches('\n').lines() {
            // A line that begins with a dot would be a request.
            let line = line.replace('\\', "\\e").replace('-', "\\-");
            push_fmt(&mut page, format_args!("\\&{line}\n"));
        }
        page.push_str(".fi\n");
    }
    Printer::raw(&page);
    Ok(CliExit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_fit_into_a_narrow_terminal_and_are_as_written_in_a_wide_one() {
        for topic in &TOPICS {
            assert_eq!(fitted(topic.text, None), topic.text);
            assert_eq!(fitted(topic.text, Some(200)), topic.text, "{}", topic.name);
            let narrow = fitted(topic.text, Some(60));
            for line in narrow.lines() {
                assert!(line.chars().count() <= 60, "{line}");
            }
            let words = |text: &str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(words(&narrow), words(topic.text));
        }
    }
}
