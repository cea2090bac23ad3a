//! What `tos exec` tells about one command: a line for a person, one document for a program, and its exit status.

use std::cell::RefCell;

use serde_json::json;

use crate::{
    domain::{
        guard::GuardOutcome,
        policy::Decision,
        process::{CommandResult, ExitStatus, SpawnError},
    },
    interfaces::{cli::exit::CliExit, report::Printer},
};

/// What shells return for one that does not exist.
pub(super) const NOT_FOUND: u8 = 127;
/// What `timeout` returns.
pub(super) const LATE: u8 = 124;

/// How a command ended.
pub(super) struct Ended {
    pub(super) result: Result<CommandResult, SpawnError>,
    pub(super) has_printed_too_much: bool,
}

/// What is told about one command, whatever became of it.
pub(super) struct ExecReport<'a> {
    pub(super) outcome: &'a GuardOutcome,
    /// How long it took from the start of tos until the command was judged.
    pub(super) micros: u64,
    /// The most bytes of output.
    pub(super) most: u64,
    /// What built the wall; `None` where it did not come to that.
    pub(super) wall: Option<&'static str>,
    /// What was said beside the output of the command.
    pub(super) notes: RefCell<Vec<String>>,
    pub(super) printer: &'a Printer,
}

impl ExecReport<'_> {
    /// Says something that must be noticed, and keeps it for the document.
    pub(super) fn noted(&self, text: &str) {
        self.printer.alert(text);
        self.notes.borrow_mut().push(text.to_owned());
    }

    /// Says what was kept first, and that no wall stands.
    pub(super) fn told_before(&self, notice: Option<&str>) {
        if let Some(note) = self.outcome.note() {
            self.printer.progress(&note);
            self.notes.borrow_mut().push(note);
        }
        if let Some(notice) = notice {
            self.noted(notice);
        }
    }

    /// Tells how a command ended that was allowed to run.
    pub(super) fn told(&self, ended: &Ended) -> CliExit {
        let (code, end, why) = match &ended.result {
            _ if ended.has_printed_too_much => {
                let why = format!(
                    "it printed more than {} MiB and was ended (`--max-output`)",
                    self.most >> 20
                );
                (LATE, "output_limit", Some(why))
            }
            Err(error) => (NOT_FOUND, "not_started", Some(error.to_string())),
            Ok(result) => status(&result.exit),
        };
        if let Some(why) = &why {
            self.printer.progress(&format!("tos exec: {why}"));
        }
        let result = ended.result.as_ref().ok();
        let decision = self.outcome.decision;
        self.document(decision, end, (code, why.as_deref()), result);
        if code == 0 {
            CliExit::Success
        } else {
            CliExit::Child(code)
        }
    }

    /// Prints the document of `--json`: the same keys whatever happened.
    pub(super) fn document(
        &self,
        decision: Decision,
        end: &str,
        (code, why): (u8, Option<&str>),
        result: Option<&CommandResult>,
    ) {
        self.printer.document(&json!({
            "decision": decision.as_str(),
            "rule": self.outcome.rule,
            "end": end,
            "code": code,
            "why": why,
            "stdout": result.map(|result| result.stdout.text()).unwrap_or_default(),
            "stderr": result.map(|result| result.stderr.text()).unwrap_or_default(),
            "elapsed_ms": result.map_or(0, |result| result.elapsed_ms),
            "micros": self.micros,
            "checkpoint": self.outcome.checkpoint.as_ref().map(|(number, _)| number),
            "wall": self.wall.filter(|_| result.is_some()),
            "notes": *self.notes.borrow(),
        }));
    }
}

/// Returns the exit status of tos, the word for the end, and why it was not the command's own.
fn status(exit: &ExitStatus) -> (u8, &'static str, Option<String>) {
    let byte = |number: i32| u8::try_from(number & 0xff).unwrap_or(1);
    match exit {
        ExitStatus::Code { code: 0 } => (0, "ok", None),
        ExitStatus::Code { code } => (byte(*code), "failed", None),
        ExitStatus::Signal { signal } => (byte(128 + signal), "signal", None),
        ExitStatus::TimedOut { after_ms } => {
            let seconds = after_ms / 1000;
            let why = format!("it took longer than {seconds} s and was ended (`--timeout`)");
            (LATE, "timed_out", Some(why))
        }
        ExitStatus::Idle { .. } => (LATE, "idle", Some("it hung and was ended".to_owned())),
        ExitStatus::DiskTaken { .. } => {
            let why = "it filled the disk and was ended".to_owned();
            (LATE, "disk_limit", Some(why))
        }
        ExitStatus::Cancelled => {
            let why = "a signal told tos to end; the command was ended with everything it started";
            (130, "cancelled", Some(why.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_as_shells_tell_it() {
        assert_eq!(status(&ExitStatus::Code { code: 3 }).0, 3);
        assert_eq!(status(&ExitStatus::Signal { signal: 9 }).0, 137);
        assert_eq!(status(&ExitStatus::TimedOut { after_ms: 1000 }).0, 124);
    }
}
