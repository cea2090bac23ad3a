//! What can be said about a process that ran for a step: how it ended and what it printed.

use serde::{Deserialize, Serialize};

/// How a command came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum ExitStatus {
    /// It ended by itself with this status.
    Code {
        /// The exit status; 0 is success by convention.
        code: i32,
    },
    /// A signal that tos did not send ended it.
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// It outlived its deadline and tos ended it with everything it had started.
    TimedOut {
        /// The deadline, in milliseconds.
        after_ms: u64,
    },
    /// It was silent and motionless for too long and tos ended it.
    Idle {
        /// How long nothing happened, in milliseconds.
        after_ms: u64,
    },
    /// The disk lost more room than it may while the command ran, and tos ended it.
    DiskTaken {
        /// How much room was lost, in bytes.
        taken_bytes: u64,
    },
    /// A person cancelled the run.
    Cancelled,
}

impl ExitStatus {
    /// Returns whether tos ended the command because a limit was reached: its deadline, its idle time or the disk.
    pub const fn hit_limit(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. } | Self::Idle { .. } | Self::DiskTaken { .. }
        )
    }
}

/// One output stream of a finished command, secrets redacted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedOutput {
    /// The beginning, as text (bytes that are not UTF-8 appear as `\xNN`).
    pub head: String,
    /// The end, as text; empty where `head` holds everything.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tail: String,
    /// How many bytes the command wrote, whether kept or not.
    pub bytes: u64,
    /// How many bytes between `head` and `tail` are not shown here.
    #[serde(default)]
    pub omitted: u64,
    /// The file with the whole stream, relative to the root; absent where the stream was empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// True where the cap on disk cut the file.
    #[serde(default)]
    pub capped: bool,
    /// True where some bytes were not UTF-8 and are shown escaped.
    #[serde(default)]
    pub escaped: bool,
    /// The encoding from which `head` and `tail` were turned into text, where it was not UTF-8; the file
    /// holds the bytes as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
}

impl CapturedOutput {
    /// Returns the head, a line saying what was left out, and the tail.
    pub fn text(&self) -> String {
        if self.omitted == 0 {
            format!("{}{}", self.head, self.tail)
        } else {
            format!(
                "{}\n...({} bytes left out)\n{}",
                self.head, self.omitted, self.tail
            )
        }
    }
}

/// A finished command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandResult {
    /// How it ended.
    pub exit: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: CapturedOutput,
    /// What it wrote to standard error.
    pub stderr: CapturedOutput,
    /// Wall time from start to the end of the last process, in milliseconds.
    pub elapsed_ms: u64,
    /// Processes the command left behind that tos ended.
    #[serde(default)]
    pub leftovers: u32,
}

/// Why a command could not be started at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct SpawnError {
    /// One sentence: which program, why not, what to do.
    pub message: String,
}
