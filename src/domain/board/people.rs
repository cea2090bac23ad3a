//! What people decide: give up, bring back, answer, hold, configure, hand in requirements, empty the board.

use super::{
    AgentAvailability, ApprovalId, ApprovalSubject, BlockReason, BlockResolver, Board,
    BoardResponse, BoardSettings, CleanupCounts, Draft, Effect, JudgeEvent, MergeStatus, Process,
    ProcessName, Refusal, RefusalCode, RequeueCause, RetryFeedback, Run, RunId, RunStatus,
    SystemEvent, Task, TaskEvent, TaskId, TaskStatus,
};
use crate::domain::text::counted;

impl Board {
    pub(super) fn configure(&self, draft: &mut Draft, settings: &BoardSettings) {
        let processes = self.restarts_required_by(settings);
        if settings != self.settings() {
            draft.event(SystemEvent::Configured {
                settings: Box::new(settings.clone()),
            });
        }
        draft.answer(BoardResponse::Restart { processes });
    }

    /// Returns the processes that are up and know other settings than these, in the order in which they are started again.
    pub(super) fn restarts_required_by(&self, settings: &BoardSettings) -> Vec<ProcessName> {
        let known = self.settings();
        let changed = super::KEYS
            .iter()
            .filter(|key| settings.get(key.name) != known.get(key.name));
        // Those that are no longer wanted are concerned as well.
        let mut processes: Vec<ProcessName> = changed
            .flat_map(|key| {
                [
                    settings.processes_to_restart(key.impact),
                    known.processes_to_restart(key.impact),
                ]
            })
            .flatten()
            .filter(|name| self.is_up(*name))
            .collect();
        let mut order = settings.expected_processes();
        order.extend(known.expected_processes());
        processes.sort_by_key(|name| order.iter().position(|known| known == name));
        processes.dedup();
        processes
    }

    pub(super) fn cancel_task(
        &self,
        draft: &mut Draft,
        id: TaskId,
        reason: &str,
        by: &str,
    ) -> Result<(), Refusal> {
        let task = self.require_task(id)?;
        if task.status == TaskStatus::Cancelled {
            draft.answer(BoardResponse::Already {
                detail: format!("{id} is cancelled already"),
            });
            return Ok(());
        }
        if task.status == TaskStatus::Done {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{id} is merged and cannot be cancelled"),
                "`git revert` takes its change back",
            ));
        }
        self.take_off(draft, task, "its task was cancelled")?;
        let detail = if reason.is_empty() {
            "cancelled"
        } else {
            reason
        };
        draft.event(TaskEvent::Cancelled {
            task: id,
            detail: detail.to_owned(),
            by: by.to_owned(),
        });
        Ok(())
    }

    /// Ends whatever happens with a task: its run, its examination, its place in the queue, its questions.
    fn take_off(&self, draft: &mut Draft, task: &Task, why: &str) -> Result<(), Refusal> {
        let merge = self.open_merge_of(task);
        if let Some(merge) = merge.or_else(|| self.proposed_merge_of(task)) {
            if merge.status == MergeStatus::Processing {
                return Err(Refusal::new(
                    RefusalCode::Conflict,
                    format!("{} is being merged right now", task.id),
                    "look again in a moment",
                ));
            }
            draft.event(JudgeEvent::Unqueued {
                merge: merge.id,
                detail: why.to_owned(),
            });
        }
        for judgement in self
            .live_judgements()
            .filter(|judgement| judgement.task == task.id)
        {
            draft.event(JudgeEvent::Dropped {
                judgement: judgement.id,
                detail: why.to_owned(),
            });
            draft.effect(Effect::StopJudgement {
                judgement: judgement.id,
                fence: judgement.lease.fence,
            });
        }
        if let Some(run) = self.live_run_of(task) {
            self.cancel_run(draft, run, why);
            self.stop_session_of(draft, run, why);
        }
        for approval in self
            .open_approvals()
            .filter(|approval| approval.task == task.id)
        {
            draft.event(TaskEvent::Answered {
                approval: approval.id,
                allow: None,
                by: why.to_owned(),
            });
        }
        Ok(())
    }

    pub(super) fn requeue_task(
        &self,
        draft: &mut Draft,
        id: TaskId,
        note: &str,
        by: &str,
    ) -> Result<(), Refusal> {
        let task = self.require_task(id)?;
        self.refuse_in_session(task)?;
        match task.status {
            TaskStatus::Queued => {
                draft.answer(BoardResponse::Already {
                    detail: format!("{id} is queued already"),
                });
                return Ok(());
            }
            TaskStatus::Running | TaskStatus::Done => {
                let hint = if task.status == TaskStatus::Running {
                    format!(
                        "`tos proc stop {}` brings it back to the queue",
                        self.agent_words(task)
                    )
                } else {
                    "make another task".to_owned()
                };
                return Err(Refusal::new(
                    RefusalCode::Conflict,
                    format!("{id} is {}", task.status.as_str()),
                    hint,
                ));
            }
            TaskStatus::Blocked if task.block == Some(BlockReason::IssueLinking) => {
                return Err(Refusal::new(
                    RefusalCode::Conflict,
                    format!("{id} waits for its link"),
                    format!("`tos board edit {} --link ''` takes the link away", id.0),
                ));
            }
            TaskStatus::Failed | TaskStatus::Blocked | TaskStatus::Cancelled => {}
        }
        // What could only not be examined is examined again; the work is still good.
        if task.awaits_judge() && task.resolver == BlockResolver::Person && note.is_empty() {
            draft.event(Self::awaiting_judge_event(task, "to be examined again"));
            return Ok(());
        }
        self.take_off(draft, task, "a person brought its task back to the queue")?;
        let lesson = (!note.is_empty()).then(|| RetryFeedback {
            run: task.run,
            from: by.to_owned(),
            reasons: vec![note.to_owned()],
        });
        let detail = format!("brought back by {by}");
        draft.event(TaskEvent::Requeued {
            task: id,
            cause: RequeueCause::Person,
            detail,
            lesson,
        });
        draft.answer(BoardResponse::Task {
            task: id,
            created: false,
        });
        Ok(())
    }

    /// Ends one run; nothing about its task changes but that it is queued.
    pub(super) fn cancel_one_run(
        &self,
        draft: &mut Draft,
        id: RunId,
        note: &str,
        by: &str,
    ) -> Result<(), Refusal> {
        let Some(run) = self.run(id) else {
            return Err(Refusal::new(
                RefusalCode::NotFound,
                format!("there is no {id}"),
                "",
            ));
        };
        if run.status != RunStatus::Running {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{id} is over: {}", run.status.as_str()),
                "a run that has ended is never changed",
            ));
        }
        let why = format!("{id} was cancelled by {by}");
        self.cancel_run(draft, run, &why);
        self.stop_session_of(draft, run, &why);
        let lesson = (!note.is_empty()).then(|| RetryFeedback {
            run: Some(id),
            from: by.to_owned(),
            reasons: vec![note.to_owned()],
        });
        draft.event(TaskEvent::Requeued {
            task: run.task,
            cause: RequeueCause::RunCancelled,
            detail: why,
            lesson,
        });
        draft.answer(BoardResponse::Task {
            task: run.task,
            created: false,
        });
        Ok(())
    }

    fn agent_words(&self, task: &Task) -> String {
        let run = task.run.and_then(|id| self.run(id));
        run.map_or_else(|| "worker-1".to_owned(), |run| run.agent.to_string())
    }

    /// Returns the event that lets an attempt wait for a judge.
    pub(super) fn awaiting_judge_event(task: &Task, detail: &str) -> TaskEvent {
        TaskEvent::Blocked {
            task: task.id,
            reason: BlockReason::AwaitingJudge,
            detail: detail.to_owned(),
            resolver: BlockResolver::Judge,
            until: None,
            failure: None,
            signature: String::new(),
            lesson: None,
        }
    }

    pub(super) fn link_task(
        &self,
        draft: &mut Draft,
        id: TaskId,
        ok: bool,
        detail: &str,
    ) -> Result<(), Refusal> {
        let task = self.require_task(id)?;
        if task.block != Some(BlockReason::IssueLinking) {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{id} does not wait for a link"),
                "",
            ));
        }
        let detail = if ok {
            format!("linked: {detail}")
        } else {
            format!("goes on without its link: {detail}")
        };
        draft.event(TaskEvent::Linked {
            task: id,
            ok,
            detail,
        });
        Ok(())
    }

    pub(super) fn answer_approval(
        &self,
        draft: &mut Draft,
        id: ApprovalId,
        allow: bool,
        by: &str,
    ) -> Result<(), Refusal> {
        let Some(approval) = self.approval(id) else {
            return Err(Refusal::new(
                RefusalCode::NotFound,
                format!("there is no {id}"),
                "`tos board questions`",
            ));
        };
        if approval.answered_at.is_some() {
            let words = match approval.answer {
                Some(true) => "allowed",
                Some(false) => "denied",
                None => "withdrawn",
            };
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{id} was {words} already ({})", approval.by),
                "",
            ));
        }
        draft.event(TaskEvent::Answered {
            approval: id,
            allow: Some(allow),
            by: by.to_owned(),
        });
        match &approval.subject {
            ApprovalSubject::Action { run, .. } => {
                draft.effect(Effect::TellAnswer {
                    approval: id,
                    run: *run,
                    allow,
                });
            }
            ApprovalSubject::Start if !allow => {
                let detail = "its start was denied".to_owned();
                draft.event(TaskEvent::Cancelled {
                    task: approval.task,
                    detail,
                    by: by.to_owned(),
                });
            }
            ApprovalSubject::Start => {}
        }
        Ok(())
    }

    pub(super) fn hold(&self, draft: &mut Draft, reason: &str, by: &str) {
        if self
            .dispatch_hold()
            .is_some_and(|hold| hold.until.is_none())
        {
            draft.answer(BoardResponse::Already {
                detail: "nothing new is started already".to_owned(),
            });
            return;
        }
        let detail = if reason.is_empty() {
            "held".to_owned()
        } else {
            reason.to_owned()
        };
        draft.event(SystemEvent::Held {
            detail,
            by: by.to_owned(),
            until: None,
        });
    }

    pub(super) fn resume(&self, draft: &mut Draft, by: &str) {
        if self.dispatch_hold().is_none() {
            draft.answer(BoardResponse::Already {
                detail: "nothing is held".to_owned(),
            });
            return;
        }
        draft.event(SystemEvent::Resumed { by: by.to_owned() });
    }

    /// Returns how many tasks are neither done nor cancelled.
    pub(super) fn backlog(&self) -> usize {
        let of = |status: &TaskStatus| !status.is_final();
        TaskStatus::ALL
            .iter()
            .filter(|status| of(status))
            .map(|status| self.count(*status))
            .sum()
    }

    /// Returns how much is at work that a cleanup would have to stop first, or why it may not be done.
    pub fn check_cleanup(&self, stop_first: bool) -> Result<usize, Refusal> {
        let busy = self.index.live_runs.len()
            + self.index.live_judgements.len()
            + self.open_sessions().count();
        let merging = self
            .open_merges()
            .any(|merge| merge.status == MergeStatus::Processing);
        if merging {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                "a merge is being published",
                "try again in a moment",
            ));
        }
        if busy > 0 && !stop_first {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{} at work", counted(busy as u64, "agent")),
                "`tos proc stop-all` first, or `--stop-first`",
            ));
        }
        Ok(busy)
    }

    pub(super) fn cleanup(
        &self,
        draft: &mut Draft,
        stop_first: bool,
        by: &str,
    ) -> Result<(), Refusal> {
        self.check_cleanup(stop_first)?;
        let is_up = |process: &Process| process.name.is_stoppable() && process.status.is_live();
        let (mut stopped, mut idle) = (
            0,
            self.agents()
                .filter(|agent| agent.status != AgentAvailability::Offline)
                .count(),
        );
        if stop_first {
            stopped = self
                .processes()
                .iter()
                .filter(|process| is_up(process))
                .count();
            idle = 0;
            self.stop_all(draft, by);
        }
        draft.event(SystemEvent::Cleaned { by: by.to_owned() });
        draft.event(SystemEvent::HatchDisarmed {
            source: "cleanup".to_owned(),
            by_person: true,
        });
        draft.answer(BoardResponse::Cleaned(CleanupCounts {
            queued: self.count(TaskStatus::Queued),
            tasks: self.tasks.len(),
            runs: self.runs.len(),
            artifacts: self.runs().map(Run::artifact_count).sum(),
            leases: self.index.live_runs.len() + self.index.live_judgements.len(),
            events: self.globals.events - self.globals.cleaned,
            agents: idle,
            stopped,
            judgements: self.judgements.len(),
            merges: self.merges.len(),
            cycles: self.cycles.len(),
        }));
        Ok(())
    }
}
