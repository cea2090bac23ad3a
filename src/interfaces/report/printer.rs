//! The only place that writes to the terminal: data to stdout, everything else to stderr.
//!
//! With `--json`, stdout holds exactly one JSON document and lines for people move to stderr. A closed
//! pipe ends the writing quietly; it never ends the job.

use std::io::{IsTerminal, Write};

/// A colour with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
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
    verbose: u8,
    color: bool,
    terminal: bool,
}

impl Printer {
    /// Makes a printer. `no_color` tells whether the environment forbids colours.
    pub fn new(global: &crate::interfaces::cli::args::Global, no_color: bool) -> Self {
        use crate::interfaces::cli::args::Color;
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let color = match global.color {
            Color::Auto => terminal && !no_color,
            Color::Always => true,
            Color::Never => false,
        };
        Self {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            color,
            terminal,
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

    /// Returns how much more is wanted.
    pub const fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Prints a result line: stdout, or stderr under `--json`. Printed even when quiet.
    pub fn line(&self, text: &str) {
        if self.json {
            to_stderr(text);
        } else {
            to_stdout(text);
        }
    }

    /// Prints a line that only helps to follow along.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// Prints something that must be noticed, on stderr.
    pub fn alert(&self, text: &str) {
        to_stderr(&self.paint(Tone::Warn, text));
    }

    /// Prints an error with its causes and a remedy, on stderr.
    pub fn error(&self, message: &str, causes: &[String], hint: Option<&str>) {
        to_stderr(&format!("{} {message}", self.paint(Tone::Bad, "error:")));
        for cause in causes {
            to_stderr(&format!("  caused by: {cause}"));
        }
        if let Some(hint) = hint {
            to_stderr(&format!("{} {hint}", self.paint(Tone::Strong, "hint:")));
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

    /// Prints the JSON document of this command, where one is wanted.
    pub fn document(&self, value: &serde_json::Value) {
        if self.json {
            to_stdout(&serde_json::to_string_pretty(value).unwrap_or_default());
        }
    }

    /// Prints bytes for another program: a script, a schema.
    pub fn raw(text: &str) {
        drop(std::io::stdout().lock().write_all(text.as_bytes()));
    }

    /// Returns `text` in a colour, or as it is.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => 32,
            Tone::Warn => 33,
            Tone::Bad => 31,
            Tone::Faint => 2,
            Tone::Strong => 1,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

fn to_stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()));
    drop(out.write_all(b"\n"));
}

fn to_stderr(text: &str) {
    let mut out = std::io::stderr().lock();
    drop(out.write_all(text.as_bytes()));
    drop(out.write_all(b"\n"));
}
