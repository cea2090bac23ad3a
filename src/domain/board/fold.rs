//! Folding events into the state: what an event means, without deciding anything.
//!
//! Here are the events about tasks and the system; [`super::fold_work`] has the rest, [`super::fold_index`] changes one thing.

use std::sync::Arc;

use super::{
    AgentAvailability, AgentId, AgentState, ApprovalId, ApprovalRequest, BlockReason,
    BlockResolver, Board, BoardGlobals, Cycle, DispatchHold, EntityKey, Event, EventKind, Hatch,
    MergeId, MergeStatus, Millis, PlanStatus, Process, ProcessName, ProcessStatus, QuotaPause,
    Spend, SystemEvent, Task, TaskCounters, TaskEvent, TaskId, TaskSpec, TaskStatus,
    fold_count::{add_lesson, count_block, count_failure, count_requeue, set_status},
};

impl Board {
    /// Folds an event into the state.
    pub fn apply(&mut self, event: &Event) {
        let at = event.at;
        let globals = self.globals_mut();
        globals.now = globals.now.max(at);
        globals.events += 1;
        match &event.what {
            EventKind::Task(event) => self.fold_task(event, at),
            EventKind::Run(event) => self.fold_run(event, at),
            EventKind::Judge(event) => self.fold_judge(event, at),
            EventKind::Process(event) => self.fold_process(event, at),
            EventKind::System(event) => self.fold_system(event, at),
            EventKind::Plan(event) => self.fold_plan(event, at),
            EventKind::Session(event) => self.fold_session(event, at),
        }
    }

    pub(super) fn globals_mut(&mut self) -> &mut BoardGlobals {
        self.dirty.insert(EntityKey::Globals);
        Arc::make_mut(&mut self.globals)
    }

    pub(super) fn change_process(&mut self, name: ProcessName, change: impl FnOnce(&mut Process)) {
        self.dirty.insert(EntityKey::Process(name));
        let process = self
            .processes
            .entry(name)
            .or_insert_with(|| Arc::new(Process::new(name)));
        change(Arc::make_mut(process));
    }

    /// Sets what an agent does; agents exist from their first start on.
    pub(super) fn set_agent(
        &mut self,
        id: AgentId,
        status: AgentAvailability,
        task: Option<TaskId>,
        at: Millis,
    ) {
        let Some(role) = id.role() else { return };
        self.dirty.insert(EntityKey::Agent(id));
        self.agents.insert(
            id,
            AgentState {
                id,
                role,
                status,
                task,
                since: at,
            },
        );
    }

    /// Lets an agent wait for work again, unless its process is no longer up.
    pub(super) fn free_agent(&mut self, id: AgentId, at: Millis) {
        let status = if self.is_up(id) {
            AgentAvailability::Idle
        } else {
            AgentAvailability::Offline
        };
        self.set_agent(id, status, None, at);
    }

    pub(super) fn change_cycle(&mut self, change: impl FnOnce(&mut Cycle)) {
        let Some(number) = self.cycle().map(|cycle| cycle.number) else {
            return;
        };
        if let Some(cycle) = self.cycles.get_mut(&number) {
            change(cycle);
            self.dirty.insert(EntityKey::Cycle(number));
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm an event")]
    fn fold_task(&mut self, event: &TaskEvent, at: Millis) {
        match event {
            TaskEvent::Created { task, spec } => self.fold_created(*task, spec, at),
            TaskEvent::Edited { task, spec } => {
                let old = self.task(*task).map(|task| task.spec.key.clone());
                if let Some(old) = old.filter(|old| *old != spec.key) {
                    if self.index.keys.get(&old) == Some(task) {
                        self.index.keys.remove(&old);
                    }
                    if !spec.key.is_empty() {
                        self.index.keys.insert(spec.key.clone(), *task);
                    }
                }
                self.change_task(*task, at, |task| task.spec = (**spec).clone());
            }
            TaskEvent::Linked { task, detail, .. } => self.change_task(*task, at, |task| {
                set_status(task, TaskStatus::Queued, None, at);
                task.resolver = BlockResolver::Dispatcher;
                task.detail.clone_from(detail);
            }),
            TaskEvent::Requeued {
                task,
                cause,
                detail,
                lesson,
            } => {
                self.change_task(*task, at, |task| {
                    set_status(task, TaskStatus::Queued, None, at);
                    task.resolver = BlockResolver::Dispatcher;
                    task.detail.clone_from(detail);
                    count_requeue(task, *cause);
                    add_lesson(task, lesson.as_ref());
                });
            }
            TaskEvent::Failed {
                task,
                failure,
                detail,
                signature,
                retry_at,
                lesson,
            } => {
                self.change_task(*task, at, |task| {
                    set_status(task, TaskStatus::Failed, None, at);
                    task.resolver = BlockResolver::CycleManager;
                    task.not_before = Some(*retry_at);
                    task.detail.clone_from(detail);
                    count_failure(task, *failure, signature);
                    add_lesson(task, lesson.as_ref());
                });
            }
            TaskEvent::Blocked {
                task,
                reason,
                detail,
                resolver,
                until,
                failure,
                signature,
                lesson,
            } => {
                self.change_task(*task, at, |task| {
                    set_status(task, TaskStatus::Blocked, Some(*reason), at);
                    task.resolver = *resolver;
                    task.not_before = *until;
                    task.detail.clone_from(detail);
                    count_block(task, *reason);
                    if let Some(failure) = failure {
                        count_failure(task, *failure, signature);
                    }
                    add_lesson(task, lesson.as_ref());
                });
            }
            TaskEvent::Cancelled { task, detail, by } => self.change_task(*task, at, |task| {
                set_status(task, TaskStatus::Cancelled, None, at);
                task.resolver = BlockResolver::Nobody;
                task.detail = format!("{detail} ({by})");
            }),
            TaskEvent::Done { task, commit } => {
                self.change_task(*task, at, |task| {
                    set_status(task, TaskStatus::Done, None, at);
                    task.resolver = BlockResolver::Nobody;
                    task.merged = Some(commit.clone());
                    "merged".clone_into(&mut task.detail);
                });
                self.change_cycle(|cycle| cycle.merged += 1);
            }
            TaskEvent::Asked {
                approval,
                task,
                subject,
                question,
                until,
            } => self.fold_asked((*approval, *task), subject, question, *until, at),
            TaskEvent::Answered {
                approval,
                allow,
                by,
            } => self.fold_answered(*approval, *allow, by, at),
        }
    }

    fn fold_asked(
        &mut self,
        (approval, task): (ApprovalId, TaskId),
        subject: &super::ApprovalSubject,
        question: &str,
        until: Option<Millis>,
        at: Millis,
    ) {
        self.globals_mut().last_approval = approval;
        self.dirty.insert(EntityKey::Approval(approval));
        self.insert_approval(Arc::new(ApprovalRequest {
            id: approval,
            task,
            subject: subject.clone(),
            question: question.to_owned(),
            asked_at: at,
            until,
            answer: None,
            by: String::new(),
            answered_at: None,
        }));
        self.change_task(task, at, |task| task.approval = Some(approval));
    }

    fn fold_created(&mut self, id: TaskId, spec: &TaskSpec, at: Millis) {
        let is_linked = !spec.link.is_empty();
        self.globals_mut().last_task = id;
        self.dirty.insert(EntityKey::Task(id));
        self.insert_task(Arc::new(Task {
            id,
            spec: spec.clone(),
            status: if is_linked {
                TaskStatus::Blocked
            } else {
                TaskStatus::Queued
            },
            block: is_linked.then_some(BlockReason::IssueLinking),
            detail: String::new(),
            resolver: if is_linked {
                BlockResolver::Linker
            } else {
                BlockResolver::Dispatcher
            },
            not_before: None,
            since: at,
            created_at: at,
            updated_at: at,
            counters: TaskCounters::default(),
            failure: None,
            signature: String::new(),
            lessons: Vec::new(),
            run: None,
            kept: None,
            judgement: None,
            merge: None,
            approval: None,
            approved: false,
            spent: Spend::default(),
            allowance: 0,
            merged: None,
        }));
    }

    fn fold_answered(&mut self, id: ApprovalId, allow: Option<bool>, by: &str, at: Millis) {
        let Some(task) = self.approval(id).map(|approval| approval.task) else {
            return;
        };
        let is_start = self
            .approval(id)
            .is_some_and(|approval| approval.subject == super::ApprovalSubject::Start);
        self.change_approval(id, |approval| {
            approval.answer = allow;
            by.clone_into(&mut approval.by);
            approval.answered_at = Some(at);
        });
        let other = self
            .open_approvals()
            .filter(|approval| approval.task == task)
            .last()
            .map(|approval| approval.id);
        self.change_task(task, at, |task| {
            task.approval = other;
            task.approved |= is_start && allow == Some(true);
        });
    }

    fn fold_system(&mut self, event: &SystemEvent, at: Millis) {
        match event {
            SystemEvent::Started { instance } => self.fold_service_started(instance, at),
            SystemEvent::Configured { settings } => {
                for name in self.restarts_required_by(settings) {
                    self.change_process(name, |process| process.needs_restart = true);
                }
                self.globals_mut().settings = (**settings).clone();
            }
            SystemEvent::HatchArmed { source, by_person } => {
                self.fold_hatch(true, source, *by_person, at);
            }
            SystemEvent::HatchDisarmed { source, by_person } => {
                self.fold_hatch(false, source, *by_person, at);
            }
            SystemEvent::Held { detail, by, until } => {
                self.globals_mut().hold = Some(DispatchHold {
                    detail: detail.clone(),
                    by: by.clone(),
                    since: at,
                    until: *until,
                });
            }
            SystemEvent::Resumed { .. } => self.globals_mut().hold = None,
            SystemEvent::QuotaPaused {
                agent,
                until,
                detail,
            } => {
                self.dirty.insert(EntityKey::Pause(agent.clone()));
                let count = self.pauses.get(agent).map_or(0, |pause| pause.count);
                let pause = QuotaPause {
                    agent: agent.clone(),
                    until: *until,
                    since: at,
                    detail: detail.clone(),
                    count: count + 1,
                };
                self.pauses.insert(agent.clone(), pause);
            }
            SystemEvent::QuotaResumed { agent } => {
                self.dirty.insert(EntityKey::Pause(agent.clone()));
                self.pauses.remove(agent);
            }
            SystemEvent::CycleStarted { number } => self.fold_cycle(*number, at),
            SystemEvent::CycleEnded { trigger, .. } => self.change_cycle(|cycle| {
                cycle.ended_at = Some(at);
                cycle.trigger.clone_from(trigger);
            }),
            SystemEvent::PlanRequested { plan, requirement } => {
                self.fold_requested(*plan, requirement, at);
            }
            SystemEvent::PlanFinished { plan, tasks, error } => self.change_plan(*plan, |plan| {
                plan.status = if error.is_some() {
                    PlanStatus::Failed
                } else {
                    PlanStatus::Planned
                };
                plan.tasks.clone_from(tasks);
                plan.proposal.clear();
                plan.detail = error.clone().unwrap_or_default();
                plan.finished_at = Some(at);
            }),
            SystemEvent::Cleaned { .. } => self.fold_cleaned(at),
            SystemEvent::Database { open } => self.globals_mut().closed = !open,
            SystemEvent::WorkersSeen { kinds } => self.globals_mut().workers.clone_from(kinds),
        }
    }

    fn fold_hatch(&mut self, armed: bool, source: &str, by_person: bool, at: Millis) {
        self.globals_mut().hatch = Hatch {
            armed,
            since: Some(at),
            source: source.to_owned(),
            by_person,
        };
    }

    fn fold_cycle(&mut self, number: u64, at: Millis) {
        self.dirty.insert(EntityKey::Cycle(number));
        let cycle = Cycle {
            number,
            started_at: at,
            ended_at: None,
            trigger: String::new(),
            succeeded: 0,
            failed: 0,
            merged: 0,
        };
        self.cycles.insert(number, cycle);
    }

    /// Nothing that an earlier service had at work is there any more. Runs and judgements have events of their own.
    fn fold_service_started(&mut self, instance: &str, at: Millis) {
        instance.clone_into(&mut self.globals_mut().instance);
        // Whoever works for the new service says so again.
        self.globals_mut().workers.clear();
        self.alive.clear();
        let live: Vec<ProcessName> = self.processes.keys().copied().collect();
        for name in live {
            self.change_process(name, |process| {
                // What ended together with the service comes back with it; what somebody stopped does not.
                let ended_with_it = process.name.is_restarted() && !process.stop_requested;
                if process.status.is_live() || ended_with_it {
                    process.status = ProcessStatus::Idle;
                }
                process.needs_restart = false;
                process.restart_at = None;
                process.stop_until = None;
                process.restarts = 0;
                process.window_since = None;
            });
        }
        let agents: Vec<AgentId> = self.agents.keys().copied().collect();
        for agent in agents {
            self.set_agent(agent, AgentAvailability::Offline, None, at);
        }
        let open: Vec<MergeId> = self.index.open_merges.iter().copied().collect();
        for merge in open {
            self.change_merge(merge, |merge| {
                if merge.status == MergeStatus::Processing {
                    merge.status = MergeStatus::Pending;
                    merge.until = None;
                }
            });
        }
    }

    fn fold_cleaned(&mut self, at: Millis) {
        let gone = self.entity_keys().into_iter().filter(|key| match key {
            EntityKey::Task(_)
            | EntityKey::Run(_)
            | EntityKey::Judgement(_)
            | EntityKey::Merge(_)
            | EntityKey::Approval(_)
            | EntityKey::Pause(_)
            | EntityKey::Cycle(_)
            | EntityKey::Plan(_)
            | EntityKey::Session(_) => true,
            EntityKey::Globals | EntityKey::Agent(_) | EntityKey::Process(_) => false,
        });
        let gone: Vec<EntityKey> = gone.collect();
        self.dirty.extend(gone);
        self.tasks.clear();
        self.runs.clear();
        self.judgements.clear();
        self.merges.clear();
        self.approvals.clear();
        self.pauses.clear();
        self.cycles.clear();
        self.plans.clear();
        self.sessions.clear();
        self.index = super::Index::default();
        let globals = self.globals_mut();
        globals.cleaned = globals.events;
        globals.cleaned_at = at;
        let agents: Vec<AgentId> = self.agents.keys().copied().collect();
        for agent in agents {
            self.free_agent(agent, at);
        }
    }
}
