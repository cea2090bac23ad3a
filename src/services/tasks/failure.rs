//! How a program that failed is told: what it ended with, the last thing it said, and where everything it said lies.
//!
//! What programs print is redacted before it gets here; what it would do to a terminal is taken away here.

use super::{SessionState, outcome::TaskAttemptOutcome};
use crate::domain::{
    process::{CommandResult, ExitStatus},
    tasks::{Feedback, last_line},
};

/// Says how a program ended.
pub(super) fn describe_exit(exit: &ExitStatus) -> String {
    match exit {
        ExitStatus::Code { code } => format!("ended with {code}"),
        ExitStatus::Signal { signal } => format!("was ended by signal {signal}"),
        ExitStatus::TimedOut { after_ms } => format!("took longer than {} s", after_ms / 1000),
        ExitStatus::Idle { after_ms } => format!(
            "did nothing for {} s: no output, no work, no file touched",
            after_ms / 1000
        ),
        ExitStatus::DiskTaken { taken_bytes } => {
            format!("was ended because the disk lost {} MiB", taken_bytes >> 20)
        }
        ExitStatus::Cancelled => "was cancelled".to_owned(),
    }
}

/// Returns the files that hold all that a program said.
pub(super) fn log_files(end: &CommandResult) -> Option<String> {
    let files = [&end.stderr.file, &end.stdout.file];
    let files: Vec<&str> = files.into_iter().flatten().map(String::as_str).collect();
    (!files.is_empty()).then(|| files.join(", "))
}

impl SessionState<'_> {
    /// Says where all that a program said lies.
    pub(super) fn print_log_files(&self, who: &str, end: &CommandResult) {
        if let Some(files) = log_files(end) {
            self.watcher
                .line(&format!("  all that {who} said: {files}"));
        }
    }

    /// Says how a program failed; `reply` is what it says where it does not complain.
    pub(super) fn failure_outcome(
        &self,
        who: &str,
        end: &CommandResult,
        reply: &str,
    ) -> TaskAttemptOutcome {
        self.print_log_files(who, end);
        let told = Feedback {
            reason: format!("{who} {}", describe_exit(&end.exit)),
            last: last_line(&end.stderr.text()).or_else(|| last_line(reply)),
            findings: Vec::new(),
            output: format!("{}\n{}", end.stdout.text(), end.stderr.text())
                .trim()
                .to_owned(),
        };
        TaskAttemptOutcome::Bad {
            told,
            again: !end.exit.hit_limit(),
        }
    }
}
