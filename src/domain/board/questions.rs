//! Questions of agents while they work: asked with a time, answered by a person, by the clock with no, or withdrawn with
//! the run that asked. Nothing but a person says yes.

use super::{
    ApprovalId, ApprovalRequest, ApprovalSubject, Board, BoardResponse, Draft, Effect, Fence,
    Millis, Refusal, Run, RunId, TaskEvent, create::invalid,
};

/// How long the words of an action may be.
const ACTION: usize = 16 * 1024;

/// Who answers a question whose time is over.
const CLOCK: &str = "nobody answered in time";

impl Board {
    pub(super) fn ask_approval(
        &self,
        draft: &mut Draft,
        id: RunId,
        fence: Fence,
        action: &str,
    ) -> Result<(), Refusal> {
        let run = self.fenced_run(id, fence)?;
        if action.trim().is_empty() || action.len() > ACTION {
            return Err(invalid(format!(
                "an action has between 1 and {ACTION} bytes; this one has {}",
                action.len()
            )));
        }
        let same = |subject: &ApprovalSubject| matches!(subject, ApprovalSubject::Action { run, action: known } if *run == id && known == action);
        if let Some(known) = self
            .open_approvals()
            .find(|approval| same(&approval.subject))
        {
            draft.answer(BoardResponse::Approval { approval: known.id });
            return Ok(());
        }
        let approval = ApprovalId(self.globals.last_approval.0 + 1);
        let question = format!("May {} on {}: {action}", run.agent.agent_name(), run.task);
        let subject = ApprovalSubject::Action {
            run: id,
            action: action.to_owned(),
        };
        draft.event(TaskEvent::Asked {
            approval,
            task: run.task,
            subject,
            question: question.clone(),
            until: Some(draft.now + self.settings().question_ms),
        });
        draft.effect(Effect::Notify {
            text: question,
            task: Some(run.task),
        });
        draft.answer(BoardResponse::Approval { approval });
        Ok(())
    }

    /// Withdraws a question, because nobody waits for its answer.
    pub(super) fn drop_question(
        &self,
        draft: &mut Draft,
        id: ApprovalId,
        run: RunId,
        fence: Fence,
    ) -> Result<(), Refusal> {
        self.fenced_run(run, fence)?;
        let is_its = |approval: &&ApprovalRequest| matches!(approval.subject, ApprovalSubject::Action { run: asked, .. } if asked == run);
        if self
            .approval(id)
            .filter(is_its)
            .is_some_and(|approval| approval.answered_at.is_none())
        {
            draft.event(TaskEvent::Answered {
                approval: id,
                allow: None,
                by: "the agent does not wait for it any more".to_owned(),
            });
        }
        Ok(())
    }

    pub(super) fn withdraw_questions(&self, draft: &mut Draft, run: &Run, why: &str) {
        for approval in self.open_approvals() {
            let is_its = matches!(&approval.subject, ApprovalSubject::Action { run: asked, .. } if *asked == run.id);
            if is_its {
                draft.event(TaskEvent::Answered {
                    approval: approval.id,
                    allow: None,
                    by: why.to_owned(),
                });
            }
        }
    }

    /// Returns the question whose time ends first.
    pub(super) fn next_question_expiry(&self) -> Option<(Millis, ApprovalId)> {
        self.index.timed_questions.first().copied()
    }

    /// Answers with no, because nobody else did.
    pub(super) fn expire_question(&self, draft: &mut Draft, id: ApprovalId) {
        let Some(approval) = self.approval(id) else {
            return;
        };
        draft.event(TaskEvent::Answered {
            approval: approval.id,
            allow: Some(false),
            by: CLOCK.to_owned(),
        });
        if let ApprovalSubject::Action { run, .. } = approval.subject {
            draft.effect(Effect::TellAnswer {
                approval: approval.id,
                run,
                allow: false,
            });
        }
    }
}
