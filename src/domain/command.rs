//! A command: something a model proposes and the machine could execute.
//!
//! Only the shape is decided here; whether a command may run is the policy's decision and how it is
//! started is the runner's.

use serde::{Deserialize, Serialize};

/// What interprets a command; the word users write in `allow_types` and models write in `type`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum CommandKind {
    /// `pwsh`, else `powershell`.
    Powershell,
    /// `bash -c`.
    Bash,
    /// `sh -c`.
    Sh,
    /// The Windows command interpreter.
    Cmd,
    /// An argument vector started without any shell.
    Exec,
    /// A word tos does not know; such a command is always refused and always recorded.
    Other(String),
}

impl CommandKind {
    /// Every kind that tos can start, in the order the documentation lists them.
    pub const KNOWN: [Self; 5] = [
        Self::Powershell,
        Self::Bash,
        Self::Sh,
        Self::Cmd,
        Self::Exec,
    ];

    /// Returns the kinds that every system like this one can start, which may run where nothing is configured.
    pub fn of_this_system() -> Vec<Self> {
        if cfg!(windows) {
            vec![Self::Powershell, Self::Cmd, Self::Exec]
        } else {
            vec![Self::Bash, Self::Sh, Self::Exec]
        }
    }

    /// Returns the word for this kind in files and prompts.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Powershell => "powershell",
            Self::Bash => "bash",
            Self::Sh => "sh",
            Self::Cmd => "cmd",
            Self::Exec => "exec",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for CommandKind {
    fn from(word: String) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .unwrap_or(Self::Other(word))
    }
}

impl From<CommandKind> for String {
    fn from(kind: CommandKind) -> Self {
        kind.as_str().to_owned()
    }
}

/// A command as proposed: its kind, and either program text or an argument vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What interprets it.
    #[serde(rename = "type")]
    pub kind: CommandKind,
    /// The program text; empty for [`CommandKind::Exec`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The argument vector of [`CommandKind::Exec`], program first; empty for every other kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
}

impl Command {
    /// Makes one that an interpreter reads.
    pub const fn with_code(kind: CommandKind, code: String) -> Self {
        Self {
            kind,
            code,
            argv: Vec::new(),
        }
    }

    /// Makes one that is started without a shell.
    pub const fn exec(argv: Vec<String>) -> Self {
        Self {
            kind: CommandKind::Exec,
            code: String::new(),
            argv,
        }
    }

    /// Returns the one-line or many-line text a person reads: the code, or the quoted argument vector.
    pub fn text(&self) -> String {
        if self.kind == CommandKind::Exec {
            self.argv
                .iter()
                .map(|word| quote(word))
                .collect::<Vec<_>>()
                .join(" ")
        } else {
            self.code.clone()
        }
    }
}

/// Quotes one word so that a POSIX shell would read it back unchanged.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_survives_a_round_trip() {
        let kind: CommandKind = serde_json::from_str("\"python\"").unwrap();
        assert_eq!(kind, CommandKind::Other("python".into()));
        assert_eq!(serde_json::to_string(&kind).unwrap(), "\"python\"");
    }

    #[test]
    fn an_exec_command_reads_as_a_quoted_line() {
        let command = Command::exec(vec!["printf".into(), "it's".into(), String::new()]);
        assert_eq!(command.text(), r"printf 'it'\''s' ''");
    }
}
