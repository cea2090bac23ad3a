//! What an agent asks while it works, as questions on the board: a person answers, or the clock does with no.
//!
//! A question that nobody waits for any more is withdrawn by the board together with its run. Danger: only a recorded yes
//! is a yes; an asker that cannot reach the board is told no.

use tokio::runtime::Handle;

use crate::{
    domain::{
        board::{ApprovalId, BoardResponse, Fence, Input, RunId},
        command::Command,
        redaction::Redactor,
        text::head,
    },
    ports::{
        BoxFuture,
        approvals::{ApprovalAnswer, Approvals},
    },
    services::board::BoardHandle,
};

/// How much of a command is shown, in bytes.
const SHOWN: usize = 12 * 1024;

/// The way to a person for the agent of one run.
#[derive(Debug, Clone)]
pub struct BoardApprovals {
    /// The board.
    pub handle: BoardHandle,
    /// The run that asks.
    pub run: RunId,
    /// The number of its lease.
    pub fence: Fence,
    /// Knows what no question may show.
    pub redactor: Redactor,
}

fn no(by: impl Into<String>) -> ApprovalAnswer {
    ApprovalAnswer {
        yes: false,
        by: by.into(),
    }
}

impl BoardApprovals {
    async fn asked(&self, command: &Command, reason: &str) -> ApprovalAnswer {
        let mut action = head(&command.text(), SHOWN, "...");
        if !reason.is_empty() {
            action = format!("{action}\n({reason})");
        }
        let told = self
            .handle
            .submit(Input::Ask {
                run: self.run,
                fence: self.fence,
                action: self.redactor.clean(&action),
            })
            .await;
        match told {
            Ok(BoardResponse::Approval { approval }) => self.answer_to(approval).await,
            Ok(_) => no("the board gave no number"),
            Err(error) => no(error.to_string()),
        }
    }

    async fn answer_to(&self, id: ApprovalId) -> ApprovalAnswer {
        let waiting = Waiting { asker: self, id };
        let answer = self.awaited(id).await;
        // It is settled, so nothing has to be withdrawn.
        std::mem::forget(waiting);
        answer
    }

    async fn awaited(&self, id: ApprovalId) -> ApprovalAnswer {
        let mut changes = self.handle.watch();
        loop {
            let board = changes.borrow_and_update().clone();
            match board.approval(id) {
                None => return no("the board was cleaned up"),
                Some(approval) if approval.answered_at.is_some() => {
                    return ApprovalAnswer {
                        yes: approval.answer == Some(true),
                        by: approval.by.clone(),
                    };
                }
                Some(_) => {}
            }
            if changes.changed().await.is_err() {
                return no("the service is ending");
            }
        }
    }
}

/// Withdraws its question where the asker goes away before there is an answer.
struct Waiting<'a> {
    asker: &'a BoardApprovals,
    id: ApprovalId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let (handle, input) = (
            self.asker.handle.clone(),
            Input::DropQuestion {
                approval: self.id,
                run: self.asker.run,
                fence: self.asker.fence,
            },
        );
        // Without a runtime the run is over, and its questions are withdrawn with it.
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(async move { handle.submit(input).await }));
        }
    }
}

impl Approvals for BoardApprovals {
    fn ask<'a>(
        &'a self,
        _id: &'a str,
        command: &'a Command,
        reason: &'a str,
    ) -> BoxFuture<'a, ApprovalAnswer> {
        Box::pin(self.asked(command, reason))
    }
}
