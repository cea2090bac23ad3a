//! Folding events about runs, judgements, merges and processes.

use std::sync::Arc;

use super::{
    AgentAvailability, BlockResolver, Board, EntityKey, JudgeEvent, Judgement, JudgementId, Lease,
    MergeOutcome, MergeQueueEntry, MergeStatus, Millis, ProcessEvent, ProcessStatus, Run, RunEvent,
    RunStatus, Spend, TaskStatus, Verdict, fold_count::set_status,
};

impl Board {
    #[expect(clippy::too_many_lines, reason = "one arm an event")]
    pub(super) fn fold_run(&mut self, event: &RunEvent, at: Millis) {
        match event {
            RunEvent::Started {
                run,
                task,
                agent,
                fence,
                until,
                log,
            } => {
                let globals = self.globals_mut();
                globals.last_run = *run;
                globals.last_fence = *fence;
                // A run is one call of an agent; it counts when it begins, so that a limit holds in any case.
                let call = Spend {
                    calls: 1,
                    ..Spend::default()
                };
                globals.budget.add(call, at);
                self.dirty.insert(EntityKey::Run(*run));
                self.insert_run(Arc::new(Run {
                    id: *run,
                    task: *task,
                    agent: *agent,
                    status: RunStatus::Running,
                    lease: Lease {
                        fence: *fence,
                        agent: *agent,
                        until: *until,
                    },
                    started_at: at,
                    finished_at: None,
                    error: String::new(),
                    failure: None,
                    kept: None,
                    spent: call,
                    log: log.clone(),
                }));
                self.set_agent(*agent, AgentAvailability::Busy, Some(*task), at);
                self.change_task(*task, at, |task| {
                    set_status(task, TaskStatus::Running, None, at);
                    task.resolver = BlockResolver::Agent;
                    task.detail = format!("{} works on it", agent.agent_name());
                    task.run = Some(*run);
                    task.counters.runs += 1;
                    task.spent = task.spent.plus(call);
                });
            }
            RunEvent::Renewed { run, until } => {
                self.change_run(*run, |run| run.lease.until = *until);
            }
            RunEvent::Spent { run, spend } => {
                self.globals_mut().budget.add(*spend, at);
                self.change_run(*run, |run| run.spent = run.spent.plus(*spend));
                if let Some(task) = self.run(*run).map(|run| run.task) {
                    self.change_task(task, at, |task| task.spent = task.spent.plus(*spend));
                }
            }
            RunEvent::Finished {
                run,
                status,
                error,
                failure,
                kept,
                log,
            } => {
                let Some((task, agent)) = self.run(*run).map(|run| (run.task, run.agent)) else {
                    return;
                };
                self.change_run(*run, |run| {
                    run.status = *status;
                    run.finished_at = Some(at);
                    run.error.clone_from(error);
                    run.failure = *failure;
                    run.kept.clone_from(kept);
                    if !log.is_empty() {
                        run.log.clone_from(log);
                    }
                });
                // What a failed run leaves is to be looked at, and is no work for a judge.
                if let Some(kept) = kept.as_ref().filter(|_| *status == RunStatus::Success) {
                    self.change_task(task, at, |task| task.kept = Some(kept.clone()));
                }
                self.free_agent(agent, at);
                self.change_cycle(|cycle| {
                    cycle.succeeded += u32::from(*status == RunStatus::Success);
                    cycle.failed += u32::from(*status == RunStatus::Failed);
                });
            }
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm an event")]
    pub(super) fn fold_judge(&mut self, event: &JudgeEvent, at: Millis) {
        match event {
            JudgeEvent::Started {
                judgement,
                task,
                run,
                agent,
                fence,
                until,
            } => {
                let globals = self.globals_mut();
                globals.last_judgement = *judgement;
                globals.last_fence = *fence;
                self.dirty.insert(EntityKey::Judgement(*judgement));
                self.insert_judgement(Arc::new(Judgement {
                    id: *judgement,
                    task: *task,
                    run: *run,
                    agent: *agent,
                    lease: Lease {
                        fence: *fence,
                        agent: *agent,
                        until: *until,
                    },
                    started_at: at,
                    finished_at: None,
                    verdict: None,
                    spent: Spend::default(),
                }));
                self.set_agent(*agent, AgentAvailability::Busy, Some(*task), at);
                self.change_task(*task, at, |task| {
                    task.judgement = Some(*judgement);
                    task.not_before = None;
                    task.detail = format!("{} examines it", agent.agent_name());
                });
            }
            JudgeEvent::Renewed { judgement, until } => {
                self.change_judgement(*judgement, |judgement| judgement.lease.until = *until);
            }
            JudgeEvent::Reviewed {
                judgement,
                verdict,
                again_at,
            } => {
                self.end_judgement(*judgement, Some(verdict), at);
                let Some(task) = self.judgement(*judgement).map(|judgement| judgement.task) else {
                    return;
                };
                self.change_task(task, at, |task| {
                    if let Verdict::NoVerdict { detail } = verdict {
                        task.counters.judge_errors += 1;
                        task.not_before = *again_at;
                        task.detail = format!("it could not be examined: {detail}");
                    } else {
                        task.counters.judge_errors = 0;
                    }
                });
            }
            JudgeEvent::Dropped { judgement, detail } => {
                self.end_judgement(*judgement, None, at);
                let Some(task) = self.judgement(*judgement).map(|judgement| judgement.task) else {
                    return;
                };
                self.change_task(task, at, |task| task.detail.clone_from(detail));
            }
            JudgeEvent::Spent { judgement, spend } => self.fold_judge_spent(*judgement, *spend, at),
            JudgeEvent::Enqueued {
                merge,
                task,
                judgement,
                branch,
                base,
                commit,
            } => {
                self.globals_mut().last_merge = *merge;
                self.dirty.insert(EntityKey::Merge(*merge));
                let mut entry = MergeQueueEntry::new(*merge, *task, *judgement, at);
                entry.branch.clone_from(branch);
                entry.base.clone_from(base);
                entry.commit.clone_from(commit);
                self.insert_merge(Arc::new(entry));
                self.change_task(*task, at, |task| {
                    task.merge = Some(*merge);
                    task.resolver = BlockResolver::MergeQueue;
                    "approved; in the merge queue".clone_into(&mut task.detail);
                });
            }
            JudgeEvent::Claimed {
                merge,
                fence,
                until,
            } => {
                self.globals_mut().last_fence = *fence;
                self.change_merge(*merge, |merge| {
                    merge.status = MergeStatus::Processing;
                    merge.fence = *fence;
                    merge.until = Some(*until);
                    merge.attempts += 1;
                    merge.not_before = None;
                });
            }
            JudgeEvent::Published {
                merge,
                outcome,
                again_at,
            } => {
                self.change_merge(*merge, |merge| {
                    fold_published(merge, outcome, *again_at, at);
                });
                self.leave_queue(*merge, at);
            }
            JudgeEvent::Unqueued { merge, detail } => {
                self.change_merge(*merge, |merge| {
                    merge.status = MergeStatus::Cancelled;
                    merge.detail.clone_from(detail);
                    merge.finished_at = Some(at);
                });
                self.leave_queue(*merge, at);
            }
        }
    }

    /// What a judge uses up belongs to its task, but for the calls: these are the agent's.
    fn fold_judge_spent(&mut self, id: JudgementId, spend: Spend, at: Millis) {
        self.globals_mut().budget.add(spend, at);
        self.change_judgement(id, |judgement| {
            judgement.spent = judgement.spent.plus(spend);
        });
        if let Some(task) = self.judgement(id).map(|judgement| judgement.task) {
            let spend = Spend { calls: 0, ..spend };
            self.change_task(task, at, |task| task.spent = task.spent.plus(spend));
        }
    }

    fn end_judgement(&mut self, id: JudgementId, verdict: Option<&Verdict>, at: Millis) {
        let Some(agent) = self.judgement(id).map(|judgement| judgement.agent) else {
            return;
        };
        self.change_judgement(id, |judgement| {
            judgement.finished_at = Some(at);
            judgement.verdict = verdict.cloned();
        });
        self.free_agent(agent, at);
    }

    /// A task whose entry is closed without a merge waits for a judge again.
    fn leave_queue(&mut self, id: super::MergeId, at: Millis) {
        let Some(entry) = self.merge(id) else { return };
        let (task, status, detail) = (entry.task, entry.status, entry.detail.clone());
        self.change_task(task, at, |task| {
            if task.merge == Some(id) {
                if status == MergeStatus::Proposed {
                    task.resolver = BlockResolver::CodeHost;
                } else if status != MergeStatus::Merged && !status.is_open() {
                    task.merge = None;
                    task.resolver = BlockResolver::Judge;
                }
                if status != MergeStatus::Merged {
                    task.detail = detail;
                }
            }
        });
    }

    pub(super) fn fold_process(&mut self, event: &ProcessEvent, at: Millis) {
        match event {
            ProcessEvent::StartRequested {
                name,
                generation,
                by,
                automatic,
            } => {
                self.alive.remove(name);
                self.change_process(*name, |process| {
                    process.status = ProcessStatus::Starting;
                    process.generation = *generation;
                    process.stop_requested = false;
                    process.needs_restart = false;
                    process.started_at = Some(at);
                    process.stop_until = None;
                    process.message = format!("started by {by}");
                    if *automatic && process.restart_at.is_some() {
                        process.restarts += 1;
                    }
                    if !automatic {
                        process.restarts = 0;
                        process.window_since = None;
                    }
                    process.restart_at = None;
                });
            }
            ProcessEvent::Started { name, .. } => {
                self.change_process(*name, |process| process.status = ProcessStatus::Running);
                // What it had goes on where other machines work.
                let had = self.live_runs().find(|run| run.agent == *name);
                match had.map(|run| run.task) {
                    Some(task) => self.set_agent(*name, AgentAvailability::Busy, Some(task), at),
                    None => self.set_agent(*name, AgentAvailability::Idle, None, at),
                }
            }
            ProcessEvent::StopRequested {
                name,
                by,
                remember,
                until,
            } => {
                self.change_process(*name, |process| {
                    process.stop_requested |= *remember;
                    process.needs_restart = false;
                    process.restart_at = None;
                    process.message = format!("stopped by {by}");
                    if process.status.is_live() {
                        process.status = ProcessStatus::Stopping;
                        process.stop_until = Some(*until);
                    }
                });
                if self.agent(*name).is_some() {
                    self.set_agent(*name, AgentAvailability::Offline, None, at);
                }
            }
            ProcessEvent::Exited {
                name,
                exit,
                restart_at,
                ..
            } => self.fold_exited(*name, exit, *restart_at, at),
        }
    }

    fn fold_exited(
        &mut self,
        name: super::ProcessName,
        exit: &super::ProcessExit,
        restart_at: Option<Millis>,
        at: Millis,
    ) {
        let window = self.settings().restart_window_ms;
        self.change_process(name, |process| {
            process.status = match (process.status, exit.ok) {
                (ProcessStatus::Stopping, _) => ProcessStatus::Stopped,
                (_, true) => ProcessStatus::Completed,
                (_, false) => ProcessStatus::Failed,
            };
            process.finished_at = Some(at);
            process.stop_until = None;
            process.restart_at = restart_at;
            process.last_exit = Some(exit.clone());
            process.message.clone_from(&exit.detail);
            if restart_at.is_some()
                && process
                    .window_since
                    .is_none_or(|since| at.saturating_sub(since) > window)
            {
                process.window_since = Some(at);
                process.restarts = 0;
            }
        });
        if self.agent(name).is_some() {
            self.set_agent(name, AgentAvailability::Offline, None, at);
        }
    }
}

fn fold_published(
    merge: &mut MergeQueueEntry,
    outcome: &MergeOutcome,
    again_at: Option<Millis>,
    at: Millis,
) {
    merge.until = None;
    merge.not_before = again_at;
    // Without BASE_BRANCH it is the one that is checked out.
    let branch = match merge.branch.as_str() {
        "" => "the branch",
        name => name,
    };
    match outcome {
        MergeOutcome::Merged => {
            merge.status = MergeStatus::Merged;
            merge.detail = format!("{} is on {branch}", merge.commit);
        }
        MergeOutcome::BaseMoved { now } => {
            merge.status = MergeStatus::Cancelled;
            merge.detail = format!("{branch} moved to {now}, so it is examined again");
        }
        MergeOutcome::DirtyCheckout { detail } => {
            merge.status = MergeStatus::Waiting;
            merge.detail = format!("ready to fast-forward: {detail}");
            // Waiting for a person's checkout is no failed try.
            merge.attempts = merge.attempts.saturating_sub(1);
        }
        MergeOutcome::Failed { detail } => {
            merge.status = if again_at.is_some() {
                MergeStatus::Pending
            } else {
                MergeStatus::Failed
            };
            merge.detail.clone_from(detail);
        }
        MergeOutcome::Proposed {
            pull_request,
            detail,
        } => {
            merge.status = MergeStatus::Proposed;
            merge.pull_request = Some(pull_request.clone());
            merge.detail.clone_from(detail);
        }
        MergeOutcome::Rejected { detail } => {
            merge.status = MergeStatus::Cancelled;
            merge.detail.clone_from(detail);
        }
        MergeOutcome::Postponed { detail, .. } => {
            merge.status = MergeStatus::Pending;
            merge.detail.clone_from(detail);
            merge.attempts = merge.attempts.saturating_sub(1);
        }
    }
    if !merge.status.is_open() {
        merge.finished_at = Some(at);
    }
}
