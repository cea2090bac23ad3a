//! Processes: starting, stopping, coming back, staying away.
//!
//! A single stop and `stop-all` do the same to running work: it goes back to the queue at once, its lease is gone. Nothing
//! is brought back that a person stopped.

use super::{
    AgentRole, ApprovalId, Board, BoardResponse, Draft, Effect, JudgeEvent, Millis, PlanId,
    PlanStatus, Process, ProcessEvent, ProcessExit, ProcessName, ProcessStatus, Refusal,
    RefusalCode, RequeueCause, StopAllCounts, SystemEvent,
    create::{invalid, parse_process_name},
};
use crate::domain::text::counted;

/// The longest wait before an automatic restart.
const LONGEST_DELAY: Millis = 60_000;
/// How long a requirement may be.
const REQUIREMENT: usize = 256 * 1024;

impl Board {
    pub(super) fn request_start(
        &self,
        draft: &mut Draft,
        name: ProcessName,
        by: &str,
        automatic: bool,
        plan: Option<PlanId>,
    ) {
        let generation = self.process(name).map_or(0, |process| process.generation) + 1;
        draft.event(ProcessEvent::StartRequested {
            name,
            generation,
            by: by.to_owned(),
            automatic,
        });
        draft.effect(Effect::StartProcess {
            name,
            generation,
            plan,
        });
    }

    pub(super) fn start_process(
        &self,
        draft: &mut Draft,
        name: &str,
        requirement: Option<&str>,
        by: &str,
    ) -> Result<(), Refusal> {
        let name = parse_process_name(name)?;
        draft.answer(BoardResponse::Process { name });
        match self
            .process(name)
            .map_or(ProcessStatus::Idle, |process| process.status)
        {
            ProcessStatus::Starting | ProcessStatus::Running if name == ProcessName::Planner => {
                return Err(Refusal::new(
                    RefusalCode::Conflict,
                    "the planner works already",
                    "wait until it is done, or `tos proc stop planner`",
                ));
            }
            ProcessStatus::Starting | ProcessStatus::Running => {
                draft.answer(BoardResponse::Already {
                    detail: format!("{name} is already running"),
                });
                return Ok(());
            }
            ProcessStatus::Stopping => {
                return Err(Refusal::new(
                    RefusalCode::Conflict,
                    format!("{name} is being stopped"),
                    "start it once it has ended",
                ));
            }
            ProcessStatus::Idle
            | ProcessStatus::Completed
            | ProcessStatus::Failed
            | ProcessStatus::Stopped => {}
        }
        let plan = if name == ProcessName::Planner {
            Some(self.request_plan(draft, requirement)?)
        } else {
            None
        };
        if name.is_stoppable() && !self.hatch().armed {
            draft.event(SystemEvent::HatchArmed {
                source: format!("start of {name}"),
                by_person: true,
            });
        }
        self.request_start(draft, name, by, false, plan);
        Ok(())
    }

    fn request_plan(
        &self,
        draft: &mut Draft,
        requirement: Option<&str>,
    ) -> Result<PlanId, Refusal> {
        let Some(text) = requirement.filter(|text| !text.trim().is_empty()) else {
            return Err(invalid(
                "the planner needs a requirement; `content` is empty or missing",
            ));
        };
        if text.len() > REQUIREMENT {
            return Err(invalid(format!(
                "the requirement has {} bytes; at most {REQUIREMENT} are possible",
                text.len()
            )));
        }
        self.check_no_proposal()?;
        let backlog = self.backlog();
        if backlog > 0 {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!(
                    "{} not done yet; the planner starts on an empty board only",
                    counted(backlog as u64, "task")
                ),
                "wait for them, or cancel them",
            ));
        }
        let plan = PlanId(self.globals.last_plan.0 + 1);
        draft.event(SystemEvent::PlanRequested {
            plan,
            requirement: text.to_owned(),
        });
        Ok(plan)
    }

    pub(super) fn stop_process(
        &self,
        draft: &mut Draft,
        name: &str,
        by: &str,
    ) -> Result<(), Refusal> {
        let name = parse_process_name(name)?;
        if !name.is_stoppable() {
            return Err(invalid(format!(
                "{name} cannot be stopped; it ends by itself"
            )));
        }
        let process = self.process(name);
        if process.is_none()
            && !self.settings().expected_processes().contains(&name)
            && name.role().is_some()
        {
            let role = name.role().unwrap_or_default();
            return Err(Refusal::new(
                RefusalCode::NotFound,
                format!(
                    "{name} was never started, and {}_COUNT is {}",
                    role.as_str().to_uppercase(),
                    self.settings().agent_count(role)
                ),
                "`tos proc list`",
            ));
        }
        if process.is_some_and(|process| process.stop_requested && !process.status.is_live()) {
            draft.answer(BoardResponse::Already {
                detail: format!("{name} is stopped already"),
            });
            return Ok(());
        }
        self.stop_one(draft, name, by, true, RequeueCause::Stopped);
        draft.answer(BoardResponse::Process { name });
        Ok(())
    }

    /// Tells a process to stop and takes its work back.
    fn stop_one(
        &self,
        draft: &mut Draft,
        name: ProcessName,
        by: &str,
        remember: bool,
        cause: RequeueCause,
    ) {
        let why = format!("{name} was stopped by {by}");
        self.take_work_back(draft, name, cause, &why);
        let until = draft.now + self.settings().drain_ms;
        draft.event(ProcessEvent::StopRequested {
            name,
            by: by.to_owned(),
            remember,
            until,
        });
        if let Some(process) = self
            .process(name)
            .filter(|process| process.status.is_live())
        {
            draft.effect(Effect::StopProcess {
                name,
                generation: process.generation,
            });
        }
        let plans = self
            .plans()
            .filter(|plan| name == ProcessName::Planner && plan.status == PlanStatus::Planning);
        for plan in plans {
            let error = Some("the planner was stopped".to_owned());
            draft.event(SystemEvent::PlanFinished {
                plan: plan.id,
                tasks: Vec::new(),
                error,
            });
        }
    }

    fn take_work_back(&self, draft: &mut Draft, name: ProcessName, cause: RequeueCause, why: &str) {
        for run in self.live_runs().filter(|run| run.agent == name) {
            self.cancel_and_requeue(draft, run, cause, why);
        }
        for judgement in self
            .live_judgements()
            .filter(|judgement| judgement.agent == name)
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
    }

    pub(super) fn stop_all(&self, draft: &mut Draft, by: &str) {
        let mut counts = StopAllCounts::default();
        self.stop_sessions(draft, by);
        for process in self.processes() {
            if !process.name.is_stoppable() {
                counts.skipped += 1;
                continue;
            }
            if process.status.is_live() {
                counts.stopped += 1;
            } else {
                counts.skipped += 1;
            }
            if process.status != ProcessStatus::Stopping || !process.stop_requested {
                self.stop_one(draft, process.name, by, true, RequeueCause::StopAll);
            }
        }
        counts.cancelled_runs = self.index.live_runs.len();
        counts.requeued_tasks = self.index.live_runs.len();
        if self.hatch().armed || self.hatch().since.is_none() {
            draft.event(SystemEvent::HatchDisarmed {
                source: "stop-all".to_owned(),
                by_person: true,
            });
        }
        draft.answer(BoardResponse::Stopped(counts));
    }

    pub(super) fn process_up(
        &self,
        draft: &mut Draft,
        name: ProcessName,
        generation: u64,
    ) -> Result<(), Refusal> {
        let process = self.fenced_process(name, generation)?;
        if process.status == ProcessStatus::Starting {
            draft.event(ProcessEvent::Started { name, generation });
            // An attempt that goes on on another machine although its service ended.
            if let Some(run) = self.live_runs().find(|run| run.agent == name) {
                draft.effect(Effect::StartRun {
                    run: run.id,
                    task: run.task,
                    agent: name,
                    fence: run.lease.fence,
                });
            }
        }
        Ok(())
    }

    fn fenced_process(&self, name: ProcessName, generation: u64) -> Result<&Process, Refusal> {
        let current = self
            .process(name)
            .filter(|process| process.generation == generation);
        current.ok_or_else(|| {
            super::work::stale(format!(
                "start {generation} of {name} is not the current one"
            ))
        })
    }

    pub(super) fn process_exited(
        &self,
        draft: &mut Draft,
        name: ProcessName,
        generation: u64,
        exit: &ProcessExit,
    ) -> Result<(), Refusal> {
        let process = self.fenced_process(name, generation)?;
        if !process.status.is_live() {
            return Err(super::work::stale(format!(
                "start {generation} of {name} has ended already"
            )));
        }
        self.end_process(draft, process, exit);
        Ok(())
    }

    fn end_process(&self, draft: &mut Draft, process: &Process, exit: &ProcessExit) {
        let name = process.name;
        self.take_work_back(
            draft,
            name,
            RequeueCause::AgentLost,
            &format!("{name} ended: {}", exit.detail),
        );
        draft.event(ProcessEvent::Exited {
            name,
            generation: process.generation,
            exit: exit.clone(),
            restart_at: self.restart_at(process, draft.now),
        });
        if exit.ok && name == ProcessName::DbDown {
            draft.event(SystemEvent::Database { open: false });
        }
        if exit.ok && name == ProcessName::DbUp {
            draft.event(SystemEvent::Database { open: true });
        }
        if name == ProcessName::Planner {
            for plan in self
                .plans()
                .filter(|plan| plan.status == PlanStatus::Planning)
            {
                let error = Some(format!("the planner ended: {}", exit.detail));
                draft.event(SystemEvent::PlanFinished {
                    plan: plan.id,
                    tasks: Vec::new(),
                    error,
                });
            }
        }
    }

    /// Returns when a process that ends now is started again.
    fn restart_at(&self, process: &Process, now: Millis) -> Option<Millis> {
        let settings = self.settings();
        if !settings.auto_restart || process.stop_requested || !process.name.is_restarted() {
            return None;
        }
        let fresh = process
            .window_since
            .is_none_or(|since| now.saturating_sub(since) > settings.restart_window_ms);
        let restarts = if fresh { 0 } else { process.restarts };
        let most = u32::try_from(settings.restart_max_attempts).unwrap_or(u32::MAX);
        let delay = settings
            .restart_delay_ms
            .saturating_mul(1 << restarts.min(20))
            .min(LONGEST_DELAY);
        (restarts < most).then_some(now + delay)
    }

    pub(super) fn arm_hatch(&self, draft: &mut Draft, source: &str, by_person: bool) {
        if self.hatch().armed {
            draft.answer(BoardResponse::Already {
                detail: "the hatch is armed already".to_owned(),
            });
            return;
        }
        draft.event(SystemEvent::HatchArmed {
            source: source.to_owned(),
            by_person,
        });
    }

    pub(super) fn disarm_hatch(&self, draft: &mut Draft, source: &str, by_person: bool) {
        if !self.hatch().armed && self.hatch().since.is_some() {
            draft.answer(BoardResponse::Already {
                detail: "the hatch is disarmed already".to_owned(),
            });
            return;
        }
        draft.event(SystemEvent::HatchDisarmed {
            source: source.to_owned(),
            by_person,
        });
    }

    pub(super) fn supervisor_step(&self, draft: &mut Draft) {
        let now = draft.now;
        let Some((_, step)) = self
            .supervisor_steps()
            .into_iter()
            .find(|(at, _)| *at <= now)
        else {
            return;
        };
        match step {
            Step::Revive(waiting) => {
                draft.event(SystemEvent::HatchArmed {
                    source: format!("attempts wait for a judge: {waiting}"),
                    by_person: false,
                });
            }
            Step::Examine => {
                self.examine_or_merge(draft);
            }
            Step::Unanswered(id) => self.expire_question(draft, id),
            Step::Start(name, by) => self.request_start(draft, name, by, true, None),
            Step::End(name, detail) => {
                if let Some(process) = self.process(name) {
                    self.end_process(
                        draft,
                        process,
                        &ProcessExit {
                            ok: false,
                            detail: detail.to_owned(),
                        },
                    );
                    draft.effect(Effect::StopProcess {
                        name,
                        generation: process.generation,
                    });
                }
            }
            Step::Silent(name) => {
                self.stop_one(
                    draft,
                    name,
                    "self-heal: it gave no sign of life",
                    false,
                    RequeueCause::AgentLost,
                );
            }
        }
    }

    pub(super) fn supervisor_due(&self) -> Option<Millis> {
        self.supervisor_steps().into_iter().map(|(at, _)| at).min()
    }

    /// Returns what is to be done with processes, and when.
    fn supervisor_steps(&self) -> Vec<(Millis, Step)> {
        let settings = self.settings();
        let question = self.next_question_expiry();
        let mut steps: Vec<(Millis, Step)> = question
            .map(|(at, id)| (at, Step::Unanswered(id)))
            .into_iter()
            .collect();
        for process in self.processes.values() {
            let name = process.name;
            match process.status {
                ProcessStatus::Stopping => {
                    let until = process.stop_until.unwrap_or_default();
                    steps.push((until, Step::End(name, "it did not end in time")));
                }
                ProcessStatus::Starting => {
                    let until = process.started_at.unwrap_or_default() + settings.startup_grace_ms;
                    steps.push((until, Step::End(name, "it did not come up in time")));
                }
                ProcessStatus::Running
                    if name.role().is_some() && settings.self_heal && self.hatch().armed =>
                {
                    let started =
                        process.started_at.unwrap_or_default() + settings.startup_grace_ms;
                    let alive = self
                        .alive
                        .get(&name)
                        .map_or(0, |at| at + settings.liveness_window_ms);
                    steps.push((started.max(alive), Step::Silent(name)));
                }
                ProcessStatus::Running => {}
                ProcessStatus::Idle
                | ProcessStatus::Completed
                | ProcessStatus::Failed
                | ProcessStatus::Stopped => {
                    steps.extend(
                        process
                            .restart_at
                            .map(|at| (at, Step::Start(name, "auto-restart"))),
                    );
                }
            }
        }
        if settings.self_heal {
            self.self_heal_steps(&mut steps);
        }
        steps
    }

    /// Adds what should run and does not.
    fn self_heal_steps(&self, steps: &mut Vec<(Millis, Step)>) {
        let waiting = self.tasks_to_judge().count();
        let hatch = self.hatch();
        let mut expected = Vec::new();
        if hatch.armed {
            expected = self.settings().expected_processes();
            // What a person started beyond the configured number is kept running, too.
            let extra = self
                .processes
                .values()
                .filter(|process| process.generation > 0 && process.name.is_restarted());
            expected.extend(extra.map(|process| process.name));
        } else if waiting > 0 {
            let judges = (1..=self.settings().judges)
                .map(|number| ProcessName::Agent(AgentRole::Judge, number));
            expected.extend(judges);
        }
        let mut judges_away = false;
        for name in expected {
            let process = self.process(name);
            if process.is_some_and(|process| {
                process.stop_requested || process.status.is_live() || process.restart_at.is_some()
            }) {
                continue;
            }
            judges_away |= name.role() == Some(AgentRole::Judge);
            let at = self.missing_since(process);
            steps.push((
                at,
                Step::Start(
                    name,
                    if waiting > 0 && name.role() == Some(AgentRole::Judge) {
                        "self-heal: attempts wait for a judge"
                    } else {
                        "self-heal"
                    },
                ),
            ));
        }
        if self.has_judges_only() {
            steps.extend(self.examination_due().map(|at| (at, Step::Examine)));
        }
        if waiting > 0 && judges_away && !hatch.armed && !hatch.by_person {
            steps.insert(0, (0, Step::Revive(waiting)));
        }
    }

    /// Returns when something that does not run is started: at once after a start of the service, otherwise with the next
    /// look.
    fn missing_since(&self, process: Option<&Process>) -> Millis {
        match process {
            None => 0,
            Some(process) if process.status == ProcessStatus::Idle => 0,
            Some(process) => {
                let ended = process.finished_at.unwrap_or_default();
                let hatch = self.hatch();
                let armed = hatch.since.filter(|_| hatch.armed).unwrap_or_default();
                // Arming looks at once.
                if armed >= ended {
                    0
                } else {
                    ended + self.settings().self_heal_interval_ms
                }
            }
        }
    }
}

/// One thing the supervisor does.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Arm the hatch, because attempts wait.
    Revive(usize),
    /// Start it.
    Start(ProcessName, &'static str),
    /// Call it ended.
    End(ProcessName, &'static str),
    /// Have what waits examined and published, where nothing else may begin.
    Examine,
    /// Stop it, because it is silent.
    Silent(ProcessName),
    /// Answer with no, because nobody did in time.
    Unanswered(ApprovalId),
}
