//! A tool call as every agent means it, whatever its words are.

use crate::domain::{command::Command, policy::FileAccess};

/// A program whose hooks are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookAgent {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// `OpenCode`, through a plugin of tos.
    Opencode,
    /// Cursor.
    Cursor,
}

impl HookAgent {
    /// Every one, in the order they are listed.
    pub const ALL: [Self; 5] = [
        Self::Claude,
        Self::Codex,
        Self::Gemini,
        Self::Opencode,
        Self::Cursor,
    ];

    /// Returns the word for it on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
            Self::Cursor => "cursor",
        }
    }

    /// Returns its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Claude => "Claude Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
            Self::Opencode => "OpenCode",
            Self::Cursor => "Cursor",
        }
    }

    /// Returns the agent that a word means.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|agent| agent.as_str() == word)
    }
}

/// Whether a question reaches somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttendanceMode {
    /// The program can show a question to a person.
    Person,
    /// It cannot; with the reason, as a part of a sentence.
    Nobody(&'static str),
}

/// What a tool would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolAction {
    /// Runs a command.
    Command(Command),
    /// Reads, writes or removes files by itself.
    Files(Vec<(FileAccess, String)>),
    /// Nothing that is judged.
    Other,
}

/// One tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Whose it is.
    pub agent: HookAgent,
    /// The event of the hook, as the program spells it.
    pub event: String,
    /// The tool, as the program spells it.
    pub tool: String,
    /// What it would do.
    pub action: ToolAction,
    /// The folder the agent works in, as it says.
    pub folder: Option<String>,
    /// The session, as the program names it.
    pub session: String,
    /// Whether a question reaches somebody.
    pub presence: AttendanceMode,
}

impl ToolCall {
    /// Returns what is judged, as a person reads it.
    pub fn subject(&self) -> String {
        match &self.action {
            ToolAction::Command(command) => command.text(),
            ToolAction::Files(files) => {
                let paths: Vec<&str> = files.iter().map(|(_, path)| path.as_str()).collect();
                paths.join(" ")
            }
            ToolAction::Other => String::new(),
        }
    }
}
