//! A session's task that goes on later: its second try, and its wait for a quota. Each goes on in a run of its own, with a
//! number of its own.
//!
//! The first run ends as failed, so that it counts and is seen; its result cannot come any more, because its number is old. Danger: whoever
//! performs the session goes on only under the new number, which the answer names.

use super::{
    Board, BoardResponse, DispatchBlocker, Draft, Fence, Millis, Refusal, RefusalCode,
    RequeueCause, RetryFeedback, Run, RunEvent, RunId, RunStatus, Session, SessionId, TaskEvent,
    session::SessionEvent,
    work::{check_fence, ended, stale},
};

impl Board {
    /// Lets the task at work be tried once more.
    pub(super) fn try_again(
        &self,
        draft: &mut Draft,
        session: SessionId,
        (run, fence): (RunId, Fence),
        reason: &str,
    ) -> Result<(), Refusal> {
        let (session, run) = self.session_at_work(session, run, fence)?;
        self.afford_again(draft, run)?;
        let place = session.turn.map(|turn| turn.place).unwrap_or_default();
        let next = RunId(self.globals.last_run.0 + 1);
        let fence = Fence(self.globals.last_fence.0 + 1);
        draft.event(ended(run, RunStatus::Failed, reason, None, None, ""));
        draft.event(TaskEvent::Requeued {
            task: run.task,
            cause: RequeueCause::Rejected,
            detail: format!("tried once more in {}", session.id),
            lesson: Some(RetryFeedback {
                run: Some(run.id),
                from: session.id.to_string(),
                reasons: vec![reason.to_owned()],
            }),
        });
        draft.event(RunEvent::Started {
            run: next,
            task: run.task,
            agent: run.agent,
            fence,
            until: draft.now + self.settings().lease_ms,
            log: session.log_folder(place, next),
        });
        draft.event(SessionEvent::TriesAgain {
            session: session.id,
            place,
            run: next,
            reason: reason.to_owned(),
        });
        draft.answer(BoardResponse::Run { run: next, fence });
        Ok(())
    }

    /// Lets the task at work give its worker back while its agent's quota or provider is waited for.
    pub(super) fn stand_aside(
        &self,
        draft: &mut Draft,
        session: SessionId,
        (run, fence): (RunId, Fence),
        (until, detail): (Option<Millis>, &str),
    ) -> Result<(), Refusal> {
        let (session, run) = self.session_at_work(session, run, fence)?;
        self.withdraw_questions(draft, run, "its run waits");
        draft.event(ended(run, RunStatus::Cancelled, detail, None, None, ""));
        draft.event(TaskEvent::Requeued {
            task: run.task,
            cause: RequeueCause::Waits,
            detail: format!("it waits in {}: {detail}", session.id),
            lesson: None,
        });
        draft.event(SessionEvent::StandsAside {
            session: session.id,
            until,
            detail: detail.to_owned(),
        });
        Ok(())
    }

    /// Returns a session that goes on and the run that has its turn, or refuses what comes too late.
    fn session_at_work(
        &self,
        id: SessionId,
        run: RunId,
        fence: Fence,
    ) -> Result<(&Session, &Run), Refusal> {
        let session = self.require_open_session(id)?;
        if session.stop.is_some() {
            let why = format!("{id} is ending");
            return Err(Refusal::new(RefusalCode::Conflict, why, ""));
        }
        Ok((session, self.fenced_session_run(session, run, fence)?))
    }

    /// Returns the run that has the turn of a session, or refuses what comes too late.
    pub(super) fn fenced_session_run(
        &self,
        session: &Session,
        id: RunId,
        fence: Fence,
    ) -> Result<&Run, Refusal> {
        let run = self.run(id).filter(|run| run.status == RunStatus::Running);
        let Some(run) = run else {
            return Err(stale(format!("the run of {} is over", session.id)));
        };
        check_fence(&run.lease, fence, &run.id.to_string())?;
        if session.turn.is_none_or(|turn| turn.run != run.id) {
            return Err(stale(format!(
                "{} has not the turn of {}",
                run.id, session.id
            )));
        }
        Ok(run)
    }

    /// A second try is a call like any other.
    fn afford_again(&self, draft: &Draft, run: &Run) -> Result<(), Refusal> {
        let own = self
            .task(run.task)
            .and_then(|task| self.over_budget_reason(task));
        let words = own.or_else(|| match self.budget_blocker(draft.now) {
            Some(DispatchBlocker::Budget(words, _)) => Some(words),
            _ => None,
        });
        words.map_or(Ok(()), |words| {
            Err(Refusal::new(
                RefusalCode::Conflict,
                format!("there is no second try, because the budget is used up: {words}"),
                "",
            ))
        })
    }
}
