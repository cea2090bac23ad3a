//! The only place that writes to the terminal: data to stdout, everything else to stderr.
//!
//! With `--json`, stdout holds exactly one JSON document and lines for people move to stderr. A closed
//! pipe ends the writing quietly; it never ends the job.

use std::{
    io::{ErrorKind, IsTerminal, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::domain::text;

/// Whether something could not be written to stdout, for another reason than that nobody reads it.
static LOST: AtomicBool = AtomicBool::new(false);

/// A colour with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextStyle {
    /// It went well.
    Good,
    /// It needs attention.
    Warn,
    /// It went wrong.
    Bad,
    /// It matters less.
    Faint,
    /// It matters more.
    Strong,
}

/// Writes for people and programs.
#[derive(Debug, Clone)]
pub struct Printer {
    json: bool,
    quiet: bool,
    color: bool,
    terminal: bool,
    /// Whether stdout is a terminal: lines for people would stand beside the document.
    beside: bool,
    /// The document of this command, until its exit code is known.
    document: Arc<Mutex<Option<serde_json::Value>>>,
}

impl Printer {
    /// Makes a printer. `no_color` tells whether the environment forbids colours, `dumb` that the terminal can only print
    /// lines.
    pub fn new(
        global: &crate::interfaces::cli::args::GlobalArgs,
        no_color: bool,
        dumb: bool,
    ) -> Self {
        use crate::interfaces::cli::args::ColorChoice;
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let color = match global.color {
            ColorChoice::Auto => terminal && !no_color,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        Self {
            json: global.json,
            quiet: global.quiet,
            color,
            terminal: terminal && !dumb,
            beside: std::io::stdout().is_terminal(),
            document: Arc::default(),
        }
    }

    /// Returns whether a person watches.
    pub const fn is_terminal(&self) -> bool {
        self.terminal && !self.json && !self.quiet
    }

    /// Returns whether one JSON document is wanted on stdout.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result line: stdout, or stderr under `--json`. Printed even when quiet.
    pub fn line(&self, text: &str) {
        let shown = self.escape_for_terminal(text);
        if self.json {
            if !self.beside {
                to_stderr(&shown);
            }
        } else {
            to_stdout(&shown);
        }
    }

    /// Prints a line of what the JSON document holds as well, so that nothing is said twice.
    pub fn shown(&self, text: &str) {
        if !self.json {
            self.line(text);
        }
    }

    /// Returns text as it may appear on a terminal: whatever commands one is escaped, but for tos's own colours.
    pub fn escape_for_terminal(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('\u{1b}').filter(|_| self.color) {
            let (plain, escape) = rest.split_at(at);
            shown.push_str(&text::escape_control_chars(plain));
            let own = COLOURS.iter().find(|code| escape.starts_with(**code));
            let length = own.map_or(1, |code| code.len());
            let (escape, behind) = escape.split_at(length);
            match own {
                Some(code) => shown.push_str(code),
                None => shown.push_str(&text::escape_control_chars(escape)),
            }
            rest = behind;
        }
        shown.push_str(&text::escape_control_chars(rest));
        shown
    }

    /// Returns whether a line could not be written although somebody may wait for it (a full disk).
    pub fn has_lost_output() -> bool {
        LOST.load(Ordering::Relaxed)
    }

    /// Prints a line that only helps to follow along.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// Prints what happens while something runs, on stderr; not where somebody wants only results.
    pub fn progress(&self, text: &str) {
        if !self.quiet && !self.json {
            to_stderr(&self.escape_for_terminal(text));
        }
    }

    /// Prints something that must be noticed, on stderr.
    pub fn alert(&self, text: &str) {
        to_stderr(&self.escape_for_terminal(&self.paint(TextStyle::Warn, text)));
    }

    /// Prints an error with its causes and a remedy, on stderr.
    pub fn error(&self, message: &str, causes: &[String], hint: Option<&str>) {
        let say = |text: String| to_stderr(&self.escape_for_terminal(&text));
        say(format!(
            "{} {message}",
            self.paint(TextStyle::Bad, "error:")
        ));
        for cause in causes.iter().filter(|cause| !message.contains(*cause)) {
            say(format!("  caused by: {cause}"));
        }
        if let Some(hint) = hint {
            say(format!("{} {hint}", self.paint(TextStyle::Strong, "hint:")));
        }
    }

    /// Prints the usage lines, on stderr.
    pub fn usage() {
        to_stderr("");
        to_stderr(
            "usage tos --mode run|test|cleanrun|checkpoint|rollback --clean --summary-file PATH",
        );
        to_stderr("  checkpoint: --name <text>");
        to_stderr(
            "  rollback: --target-commit <hash> (optional, uses last_checkpoint.txt if not specified)",
        );
    }

    /// Keeps the JSON document of this command, where one is wanted, for [`Printer::finish`].
    pub fn document(&self, value: &serde_json::Value) {
        if self.json {
            let earlier = self.kept().replace(value.clone());
            earlier.iter().for_each(print_json);
        }
    }

    /// Prints the document that was kept, with the code that the command ends with.
    pub fn finish(&self, code: u8) {
        let document = self.kept().take();
        if let Some(document) = document {
            print_json(&with_exit_code(document, code));
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<serde_json::Value>> {
        self.document.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints bytes for another program: a script, a schema.
    pub fn raw(text: &str) {
        let mut out = std::io::stdout().lock();
        noted(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }

    /// Returns `text` in a colour, or as it is.
    pub fn paint(&self, tone: TextStyle, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let [good, warn, bad, faint, strong, plain] = COLOURS;
        let code = match tone {
            TextStyle::Good => good,
            TextStyle::Warn => warn,
            TextStyle::Bad => bad,
            TextStyle::Faint => faint,
            TextStyle::Strong => strong,
        };
        format!("{code}{text}{plain}")
    }
}

/// The sequences of the tones, in their order, and the one that ends them.
const COLOURS: [&str; 6] = [
    "\u{1b}[32m",
    "\u{1b}[33m",
    "\u{1b}[31m",
    "\u{1b}[2m",
    "\u{1b}[1m",
    "\u{1b}[0m",
];

/// Adds the exit code to a document that is an object and does not say it.
fn with_exit_code(mut document: serde_json::Value, code: u8) -> serde_json::Value {
    if let Some(object) = document.as_object_mut() {
        object
            .entry("exit_code")
            .or_insert_with(|| serde_json::Value::from(code));
    }
    document
}

fn print_json(document: &serde_json::Value) {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    to_stdout(&text::visible_json(&text));
}

fn to_stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes());
    noted(
        written
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.flush()),
    );
}

fn noted(written: std::io::Result<()>) {
    if written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
}

fn to_stderr(text: &str) {
    let mut out = std::io::stderr().lock();
    drop(out.write_all(text.as_bytes()));
    drop(out.write_all(b"\n"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printer(color: bool) -> Printer {
        Printer {
            json: false,
            quiet: false,
            color,
            terminal: true,
            beside: true,
            document: Arc::default(),
        }
    }

    #[test]
    fn a_document_says_the_exit_code_unless_it_does_already_or_is_a_list() {
        let ended = |value| with_exit_code(value, 5);
        assert_eq!(ended(json!({"a": 1})), json!({"a": 1, "exit_code": 5}));
        let own = json!({"exit_code": 3});
        assert_eq!(ended(own.clone()), own);
        assert_eq!(ended(json!([1])), json!([1]));
    }

    #[test]
    fn only_the_colours_of_tos_reach_the_terminal() {
        let colourful = printer(true);
        let text = colourful.paint(TextStyle::Bad, "a\u{1b}[2Kb\u{1b}[8m");
        assert_eq!(
            colourful.escape_for_terminal(&text),
            "\u{1b}[31ma\\u{1b}[2Kb\\u{1b}[8m\u{1b}[0m"
        );
        assert_eq!(
            printer(false).escape_for_terminal("\u{1b}[31mred"),
            "\\u{1b}[31mred"
        );
        assert_eq!(
            printer(false).escape_for_terminal("合計: 4850"),
            "合計: 4850"
        );
    }
}
