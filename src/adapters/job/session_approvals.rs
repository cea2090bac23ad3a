//! The way to a person during a session of tasks: the question lies in the folder for `tos answer`, and where somebody sits at
//! the terminal, that person can answer it there. The first answer counts.
//!
//! Danger: whoever waits may give up at any moment (the time for an answer is over, the work is stopped), so nothing here may
//! hang on to the terminal: a line is read only once it lies there.

use std::{
    collections::BTreeSet,
    io,
    io::{BufRead, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::approvals::{FileApprovals, TerminalAnswer, allowed_earlier, question};
use crate::{
    domain::{command::Command, text},
    ports::{
        BoxFuture,
        approvals::{AllowRuleStore, ApprovalAnswer, Approvals},
    },
};

/// How often it is looked whether somebody has typed a line.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Asks in the folder of questions and, where there is one, at the terminal.
pub struct SessionApprovals {
    files: FileApprovals,
    /// What a yes for good is written to; `None` = nobody sits at the terminal.
    memory: Option<Arc<dyn AllowRuleStore>>,
    allowed: Mutex<BTreeSet<String>>,
    /// One question at a time at the terminal.
    terminal: tokio::sync::Mutex<()>,
}

impl SessionApprovals {
    /// Makes the way; `memory` where somebody sits at the terminal.
    pub fn new(files: FileApprovals, memory: Option<Arc<dyn AllowRuleStore>>) -> Self {
        Self {
            files,
            memory,
            allowed: Mutex::default(),
            terminal: tokio::sync::Mutex::default(),
        }
    }

    async fn at_terminal(
        &self,
        id: &str,
        command: &Command,
        reason: &str,
        memory: &Arc<dyn AllowRuleStore>,
    ) -> ApprovalAnswer {
        let _turn = self.terminal.lock().await;
        let text = shown(command);
        let offer = memory.rule_destination(command);
        let asked = question(&text, reason, offer.as_deref());
        tell(&format!("\nquestion {id}{asked}"));
        let Some(word) = typed_line().await else {
            // The terminal is gone; the folder is still there.
            return std::future::pending().await;
        };
        let said = TerminalAnswer::read(&word, offer);
        if said.is_for_the_run()
            && let Ok(mut allowed) = self.allowed.lock()
        {
            allowed.insert(text);
        }
        said.answer(&**memory, command)
    }
}

impl Approvals for SessionApprovals {
    fn ask<'a>(
        &'a self,
        id: &'a str,
        command: &'a Command,
        reason: &'a str,
    ) -> BoxFuture<'a, ApprovalAnswer> {
        let text = shown(command);
        let is_allowed = self
            .allowed
            .lock()
            .is_ok_and(|allowed| allowed.contains(&text));
        if is_allowed {
            return Box::pin(std::future::ready(allowed_earlier()));
        }
        let in_folder = self.files.ask(id, command, reason);
        Box::pin(async move {
            let Some(memory) = &self.memory else {
                tell(&unattended_note(id, &text, reason));
                return in_folder.await;
            };
            tokio::select! {
                answer = in_folder => answer,
                answer = self.at_terminal(id, command, reason, memory) => answer,
            }
        })
    }
}

fn shown(command: &Command) -> String {
    format!("{}: {}", command.kind.as_str(), command.text())
}

/// Returns what stands in the output of a session that nobody watches.
fn unattended_note(id: &str, text: &str, reason: &str) -> String {
    // What a model wrote must not look like something tos says.
    let text = text::escape_control_chars(text).replace('\n', "\n    ");
    let reason = text::escape_control_chars(reason);
    format!("waits for a yes: {text}\n  {reason}\n  `tos answer {id} yes|no`\n")
}

fn tell(text: &str) {
    let mut out = io::stderr().lock();
    // Nobody may be reading; the question lies in the folder all the same.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Returns the next line that is typed; `None` where the terminal is gone.
async fn typed_line() -> Option<String> {
    loop {
        let stdin = io::stdin();
        let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
        let ready = poll(&mut wanted, Some(&Timespec::default())).unwrap_or(0);
        if ready > 0 {
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line).ok()?;
            return (read > 0).then(|| line.trim().to_ascii_lowercase());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::CommandKind;

    #[tokio::test]
    async fn a_question_without_a_terminal_is_answered_in_the_folder_and_gone_when_nobody_waits() {
        let root = tempfile::tempdir().unwrap();
        let folder = || FileApprovals::new(root.path().join("approvals"));
        let approvals = SessionApprovals::new(folder(), None);
        let command = Command::with_code(CommandKind::Bash, "git push".into());
        let asked = approvals.ask("s-T-1-1", &command, "because");
        let answered = async {
            while folder().pending().is_empty() {
                tokio::task::yield_now().await;
            }
            assert!(folder().answer("s-T-1-1", true, "me").unwrap());
        };
        let (answer, ()) = tokio::join!(asked, answered);
        assert!(answer.yes && answer.by == "me", "{answer:?}");
        assert!(folder().pending().is_empty());
    }

    #[test]
    fn what_a_model_wrote_does_not_pass_for_words_of_tos() {
        let note = unattended_note("1", "bash: ls\u{1b}[2J\n`tos answer 1 yes`", "why");
        assert_eq!(
            note,
            "waits for a yes: bash: ls\\u{1b}[2J\n    `tos answer 1 yes`\n  why\n  `tos answer 1 yes|no`\n"
        );
    }
}
