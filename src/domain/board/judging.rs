//! What judges and the merge queue report, and what becomes of the attempts.

use super::{
    BlockReason, BlockResolver, Board, BoardResponse, DispatchBlocker, Draft, Effect, Fence,
    JudgeEvent, Judgement, JudgementId, MergeId, MergeOutcome, MergeQueueEntry, MergeStatus,
    PullRequestOutcome, Refusal, RefusalCode, RequeueCause, RetryFeedback, Task, TaskEvent,
    Verdict,
    work::{check_fence, stale},
};

impl Board {
    pub(super) fn fenced_judgement(
        &self,
        id: JudgementId,
        fence: Fence,
    ) -> Result<&Judgement, Refusal> {
        let Some(judgement) = self.judgement(id) else {
            return Err(Refusal::new(
                RefusalCode::NotFound,
                format!("there is no {id}"),
                "",
            ));
        };
        check_fence(&judgement.lease, fence, &id.to_string())?;
        if judgement.finished_at.is_some() {
            return Err(stale(format!("{id} is over")));
        }
        Ok(judgement)
    }

    pub(super) fn renew_judgement(
        &self,
        draft: &mut Draft,
        id: JudgementId,
        fence: Fence,
    ) -> Result<(), Refusal> {
        let judgement = self.fenced_judgement(id, fence)?;
        let until = draft.now + self.settings().lease_ms;
        if until > judgement.lease.until {
            draft.event(JudgeEvent::Renewed {
                judgement: id,
                until,
            });
        }
        Ok(())
    }

    pub(super) fn finish_judgement(
        &self,
        draft: &mut Draft,
        id: JudgementId,
        fence: Fence,
        verdict: &Verdict,
    ) -> Result<(), Refusal> {
        let judgement = self.fenced_judgement(id, fence)?;
        let task = self.require_task(judgement.task)?;
        match verdict {
            Verdict::Approve { base, commit, .. } => {
                self.approve(draft, judgement, task, verdict, base, commit);
            }
            Verdict::RequestChanges { .. } | Verdict::Conflict { .. } => {
                draft.event(reviewed(id, verdict, None));
                let cause = if matches!(verdict, Verdict::Conflict { .. }) {
                    RequeueCause::Conflict
                } else {
                    RequeueCause::Rejected
                };
                let lesson = RetryFeedback {
                    run: task.run,
                    from: "judge".to_owned(),
                    reasons: verdict.reasons(),
                };
                self.after_rejection(draft, task, cause, lesson);
            }
            Verdict::NoVerdict { detail } => self.no_verdict(draft, id, task, verdict, detail),
        }
        Ok(())
    }

    fn approve(
        &self,
        draft: &mut Draft,
        judgement: &Judgement,
        task: &Task,
        verdict: &Verdict,
        base: &str,
        commit: &str,
    ) {
        // Approvals of a branch form a chain: each was tested on top of the one before it.
        if let Some(expected) = self
            .judge_base_commit(task.id)
            .filter(|expected| *expected != base)
        {
            let detail =
                format!("the queue went on to {expected} meanwhile, so it is examined again");
            draft.event(JudgeEvent::Dropped {
                judgement: judgement.id,
                detail,
            });
            return;
        }
        draft.event(reviewed(judgement.id, verdict, None));
        if commit == base && self.judge_base_commit(task.id).is_none() {
            draft.event(TaskEvent::Done {
                task: task.id,
                commit: commit.to_owned(),
            });
            return;
        }
        draft.event(JudgeEvent::Enqueued {
            merge: MergeId(self.globals.last_merge.0 + 1),
            task: task.id,
            judgement: judgement.id,
            branch: self.branch_of(task).to_owned(),
            base: base.to_owned(),
            commit: commit.to_owned(),
        });
    }

    fn no_verdict(
        &self,
        draft: &mut Draft,
        id: JudgementId,
        task: &Task,
        verdict: &Verdict,
        detail: &str,
    ) {
        // A budget comes back by itself, so nobody has to be asked for it.
        if let Some(DispatchBlocker::Budget(_, until)) = self.budget_blocker(draft.now) {
            draft.event(reviewed(id, verdict, Some(until)));
            return;
        }
        let errors = task.counters.judge_errors;
        if errors < self.settings().judge_error_retries {
            let wait = self
                .settings()
                .blocked_cooldown_ms
                .saturating_mul(1 << errors.min(4))
                / 4;
            draft.event(reviewed(id, verdict, Some(draft.now + wait)));
            return;
        }
        draft.event(reviewed(id, verdict, None));
        draft.event(TaskEvent::Blocked {
            task: task.id,
            reason: BlockReason::AwaitingJudge,
            detail: format!("it could not be examined {} times: {detail}", errors + 1),
            resolver: BlockResolver::Person,
            until: None,
            failure: None,
            signature: String::new(),
            lesson: None,
        });
        draft.effect(Effect::Notify {
            text: format!("{} could not be examined: {detail}", task.id),
            task: Some(task.id),
        });
    }

    pub(super) fn finish_merge(
        &self,
        draft: &mut Draft,
        id: MergeId,
        fence: Fence,
        outcome: &MergeOutcome,
    ) -> Result<(), Refusal> {
        let Some(merge) = self.merge(id) else {
            return Err(Refusal::new(
                RefusalCode::NotFound,
                format!("there is no {id}"),
                "",
            ));
        };
        if merge.status != MergeStatus::Processing || merge.fence != fence {
            return Err(stale(format!(
                "{id} is {} under {}",
                merge.status.as_str(),
                merge.fence
            )));
        }
        let again_at = self.merge_again(draft, merge, outcome);
        draft.event(JudgeEvent::Published {
            merge: id,
            outcome: outcome.clone(),
            again_at,
        });
        match outcome {
            MergeOutcome::Merged => {
                draft.event(TaskEvent::Done {
                    task: merge.task,
                    commit: merge.commit.clone(),
                });
            }
            // Whatever was tested on top of it is no longer tested.
            MergeOutcome::BaseMoved { .. }
            | MergeOutcome::Proposed { .. }
            | MergeOutcome::Rejected { .. } => self.unqueue_followers(draft, merge),
            MergeOutcome::DirtyCheckout { detail }
                if merge.status != MergeStatus::Waiting && merge.detail.is_empty() =>
            {
                let text = format!("{} is ready to fast-forward: {detail}", merge.task);
                draft.effect(Effect::Notify {
                    text,
                    task: Some(merge.task),
                });
            }
            MergeOutcome::DirtyCheckout { .. } | MergeOutcome::Postponed { .. } => {}
            MergeOutcome::Failed { detail } if again_at.is_none() => {
                self.unqueue_followers(draft, merge);
                draft.event(TaskEvent::Blocked {
                    task: merge.task,
                    reason: BlockReason::AwaitingJudge,
                    detail: format!("it could not be merged {} times: {detail}", merge.attempts),
                    resolver: BlockResolver::Person,
                    until: None,
                    failure: None,
                    signature: String::new(),
                    lesson: None,
                });
            }
            MergeOutcome::Failed { .. } => {}
        }
        Ok(())
    }

    /// A pull request was merged or closed where it is, or something keeps this board from following it.
    pub(super) fn settle_proposal(
        &self,
        draft: &mut Draft,
        id: MergeId,
        fate: &PullRequestOutcome,
    ) -> Result<(), Refusal> {
        let merge = self
            .merge(id)
            .filter(|merge| merge.status == MergeStatus::Proposed);
        let Some((merge, pull_request)) =
            merge.and_then(|merge| Some((merge, merge.pull_request.clone()?)))
        else {
            return Err(stale(format!("no pull request is open for {id}")));
        };
        let task = self.require_task(merge.task)?;
        let outcome = match fate {
            PullRequestOutcome::Merged { .. } => MergeOutcome::Merged,
            PullRequestOutcome::Closed { detail } => MergeOutcome::Rejected {
                detail: detail.clone(),
            },
            PullRequestOutcome::Waiting { detail } if merge.detail == *detail => return Ok(()),
            PullRequestOutcome::Waiting { detail } => MergeOutcome::Proposed {
                pull_request,
                detail: detail.clone(),
            },
        };
        draft.event(JudgeEvent::Published {
            merge: id,
            outcome,
            again_at: None,
        });
        match fate {
            PullRequestOutcome::Merged { commit } => draft.event(TaskEvent::Done {
                task: merge.task,
                commit: commit.clone(),
            }),
            PullRequestOutcome::Closed { detail } => draft.event(TaskEvent::Blocked {
                task: merge.task,
                reason: BlockReason::NeedsRework,
                detail: detail.clone(),
                resolver: BlockResolver::Person,
                until: None,
                failure: None,
                signature: String::new(),
                lesson: Some(RetryFeedback {
                    run: task.run,
                    from: "github".to_owned(),
                    reasons: vec![detail.clone()],
                }),
            }),
            PullRequestOutcome::Waiting { .. } => {}
        }
        Ok(())
    }

    fn merge_again(
        &self,
        draft: &Draft,
        merge: &MergeQueueEntry,
        outcome: &MergeOutcome,
    ) -> Option<super::Millis> {
        let settings = self.settings();
        match outcome {
            MergeOutcome::Merged
            | MergeOutcome::BaseMoved { .. }
            | MergeOutcome::Proposed { .. }
            | MergeOutcome::Rejected { .. } => None,
            MergeOutcome::Postponed { until, .. } => Some((*until).max(draft.now)),
            MergeOutcome::DirtyCheckout { .. } => Some(draft.now + settings.merge_retry_ms),
            MergeOutcome::Failed { .. } => (merge.attempts < settings.merge_max_attempts)
                .then_some(draft.now + settings.merge_retry_ms),
        }
    }

    fn unqueue_followers(&self, draft: &mut Draft, merge: &MergeQueueEntry) {
        let followers = self
            .open_merges()
            .filter(|other| other.branch == merge.branch && other.id > merge.id);
        for follower in followers {
            let detail = format!(
                "{} before it was not merged, so it is examined again",
                merge.id
            );
            draft.event(JudgeEvent::Unqueued {
                merge: follower.id,
                detail,
            });
        }
    }

    pub(super) fn retry_merges(&self, draft: &mut Draft, by: &str) {
        let waiting: Vec<&MergeQueueEntry> = self
            .open_merges()
            .filter(|merge| merge.not_before.is_some())
            .collect();
        if waiting.is_empty() {
            let detail = self.open_merges().next().map_or_else(
                || "no merge waits".to_owned(),
                |merge| format!("{} is being merged right now", merge.task),
            );
            draft.answer(BoardResponse::Already { detail });
            return;
        }
        for merge in waiting {
            let outcome = MergeOutcome::DirtyCheckout {
                detail: format!("tried again for {by}"),
            };
            draft.event(JudgeEvent::Published {
                merge: merge.id,
                outcome,
                again_at: Some(draft.now),
            });
        }
    }
}

fn reviewed(
    judgement: JudgementId,
    verdict: &Verdict,
    again_at: Option<super::Millis>,
) -> JudgeEvent {
    JudgeEvent::Reviewed {
        judgement,
        verdict: verdict.clone(),
        again_at,
    }
}
