//! The board: tasks, who works on them, what is judged and merged, and which processes run. A pure state machine.
//!
//! [`Board::handle`] decides, [`Board::apply`] folds. No other place decides a transition, and state is nothing but the fold
//! of events: whoever runs a board makes the events of a decision durable, applies them, performs the effects, and then
//! answers. Timers are data: [`Board::next_wake_of`] says when a part has something to do. An input that may not be obeyed
//! is refused with a reason; it is never obeyed in part.
//!
//! Dangers: an effect performed before its event is durable can happen twice after a crash; a lease number that is not
//! carried along lets a dead worker overwrite a living one.

mod area;
mod attempt_refs;
mod begin;
mod budget;
mod code_repository;
mod countdown;
mod counts;
mod create;
mod dispatch;
mod entities;
mod event;
mod event_name;
mod fold;
mod fold_count;
mod fold_index;
mod fold_plan;
mod fold_work;
mod ids;
mod input;
mod instructions;
mod judge;
mod judging;
mod people;
mod plan_edit;
mod plan_event;
mod planning;
mod plans;
mod process;
mod questions;
mod reviewing;
mod run;
mod run_log;
mod session;
mod session_again;
mod session_decide;
mod session_input;
mod session_record;
mod session_request;
mod session_restore;
mod session_why;
mod setting_field;
mod setting_keys;
mod settings;
mod shared_map;
mod state;
mod supervise;
mod sweep;
mod task;
#[cfg(test)]
mod tests;
mod why;
mod work;
mod workers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use area::{covers, overlap, patterns_overlap};
pub use attempt_refs::{ATTEMPT_REFERENCES, board_attempts, references_of_board};
pub use budget::{DAY, HOUR, Spend, SpendLimit, SpendTotals};
pub use code_repository::{GithubRepository, check_server_url};
pub use countdown::Countdown;
pub use counts::{CleanupCounts, StopAllCounts};
pub use dispatch::DispatchBlocker;
pub use event::{
    EVENT_VERSION, Event, EventKind, JudgeEvent, ProcessEvent, RequeueCause, RunEvent, SystemEvent,
    TaskEvent,
};
pub use ids::{
    AgentId, AgentRole, ApprovalId, Fence, JudgementId, MAX_PROCESSES_PER_ROLE, MergeId, Millis,
    PlanId, ProcessName, RunId, SessionId, TaskId,
};
pub use input::{
    BoardReaction, BoardResponse, Controller, Effect, Input, Refusal, RefusalCode, executing_role,
};
pub use instructions::attempt_prompt;
pub use judge::{
    Judgement, MergeOutcome, MergeQueueEntry, MergeStatus, PullRequestOutcome, PullRequestRef,
    Verdict,
};
pub use plan_edit::{PlanTaskEdit, apply_edits};
pub use plan_event::PlanEvent;
pub use planning::{PlanConstraints, PlanReply, excerpt, parse_plan_reply, planning_prompt};
pub use plans::{PlanProposal, PlannerTask, PlanningFacts};
pub use process::{
    ApprovalRequest, ApprovalSubject, Cycle, DispatchHold, Hatch, PlanStatus, Process, ProcessExit,
    ProcessStatus, QuotaPause, RequirementPlan,
};
pub use reviewing::{MAX_REVIEW_BYTES, ReviewDecision, parse_review_reply, review_prompt};
pub use run::{AgentAvailability, AgentState, Lease, Run, RunOutcome, RunStatus};
pub use run_log::{is_run_log_folder, run_log_folder};
pub use session::{
    Session, SessionEvent, SessionItem, SessionSpec, SessionStop, SessionTaskEnd, SessionTaskRun,
    SessionWait,
};
pub use session_input::{SessionEffect, SessionInput};
pub use session_record::{SessionRecord, unknown_sessions};
pub use session_request::SessionRequest;
pub use setting_keys::{KEYS, RestartScope, SettingKey, restart_scope_of};
pub use settings::{BoardSettings, RepoMode};
pub use shared_map::{CowMap, CowSet, Iter};
pub use state::{BoardGlobals, Entity, EntityKey};
pub use task::{
    AttemptCommit, BlockReason, BlockResolver, Dependency, FailureKind, Lane,
    OnDependencyCancelled, RetryFeedback, Risk, Task, TaskCounters, TaskSpec, TaskStatus,
};
pub use why::{ExplanationSentence, Why};
pub use workers::{WorkerCapabilities, check_labels};

/// A board.
#[derive(Debug, Clone, Default)]
pub struct Board {
    globals: Arc<BoardGlobals>,
    tasks: CowMap<TaskId, Arc<Task>>,
    runs: CowMap<RunId, Arc<Run>>,
    agents: BTreeMap<AgentId, AgentState>,
    processes: BTreeMap<ProcessName, Arc<Process>>,
    judgements: CowMap<JudgementId, Arc<Judgement>>,
    merges: CowMap<MergeId, Arc<MergeQueueEntry>>,
    approvals: CowMap<ApprovalId, Arc<ApprovalRequest>>,
    pauses: BTreeMap<String, QuotaPause>,
    cycles: CowMap<u64, Cycle>,
    plans: CowMap<PlanId, Arc<RequirementPlan>>,
    sessions: CowMap<SessionId, Arc<Session>>,
    /// What can be derived from the rest, kept so that nothing has to be searched.
    index: Index,
    /// When agents gave their last sign of life. Not part of the state: a new start begins with none.
    alive: BTreeMap<ProcessName, Millis>,
    /// What was changed since the store last asked.
    dirty: BTreeSet<EntityKey>,
}

/// Sets that follow from the maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Index {
    queued: CowSet<TaskId>,
    in_flight: CowSet<TaskId>,
    /// Failed and blocked.
    waiting: CowSet<TaskId>,
    keys: CowMap<String, TaskId>,
    live_runs: CowSet<RunId>,
    live_judgements: CowSet<JudgementId>,
    open_merges: CowSet<MergeId>,
    open_approvals: CowSet<ApprovalId>,
    /// Open questions that end by themselves, by their time; few at any moment.
    timed_questions: BTreeSet<(Millis, ApprovalId)>,
    counts: BTreeMap<(TaskStatus, Option<BlockReason>), usize>,
}

/// A decision in the making.
struct Draft {
    now: Millis,
    decision: BoardReaction,
}

impl Draft {
    fn event(&mut self, what: impl Into<EventKind>) {
        self.decision.events.push(Event::new(self.now, what));
    }

    fn effect(&mut self, effect: Effect) {
        self.decision.effects.push(effect);
    }

    fn answer(&mut self, answer: BoardResponse) {
        self.decision.answer = answer;
    }
}

impl Board {
    /// Decides what an input means. Nothing changes until the events of the decision are applied.
    pub fn handle(&self, input: &Input, now: Millis) -> Result<BoardReaction, Refusal> {
        let mut draft = Draft {
            now: now.max(self.globals.now),
            decision: BoardReaction::default(),
        };
        if self.globals.closed && !Self::is_taken_when_closed(input) {
            return Err(Refusal::new(
                RefusalCode::Closed,
                "the database refuses writes since db-down",
                "tos proc start db-up",
            ));
        }
        self.decide(&mut draft, input)?;
        Ok(draft.decision)
    }

    /// What came of work that was under way is taken in any case; new things are not.
    const fn is_taken_when_closed(input: &Input) -> bool {
        !matches!(
            input,
            Input::CreateTask { .. }
                | Input::EditTask { .. }
                | Input::HandIn { .. }
                | Input::DecidePlan { .. }
                | Input::EditPlan { .. }
                | Input::Wake {
                    part: Controller::Dispatcher
                }
                | Input::Session(SessionInput::Start { .. })
        )
    }

    fn wake(&self, draft: &mut Draft, part: Controller) -> Result<(), Refusal> {
        match part {
            Controller::Supervisor => {
                self.supervisor_step(draft);
                Ok(())
            }
            Controller::Dispatcher => self.dispatcher_step(draft),
            Controller::CycleManager => self.cycle_manager_step(draft),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm an input")]
    fn decide(&self, draft: &mut Draft, input: &Input) -> Result<(), Refusal> {
        match input {
            Input::ServiceStarted { instance, adopt } => {
                self.service_started(draft, instance, adopt);
            }
            Input::Configure { settings } => self.configure(draft, settings),
            Input::SeeWorkers { kinds } => self.see_workers(draft, kinds),
            Input::Wake { part } => self.wake(draft, *part)?,
            Input::CreateTask { spec } => self.create_task(draft, spec)?,
            Input::EditTask { task, spec } => self.edit_task(draft, *task, spec)?,
            Input::CancelTask { task, reason, by } => {
                self.cancel_task(draft, *task, reason, by)?;
            }
            Input::RequeueTask { task, note, by } => self.requeue_task(draft, *task, note, by)?,
            Input::LinkTask { task, ok, detail } => self.link_task(draft, *task, *ok, detail)?,
            Input::Answer {
                approval,
                allow,
                by,
            } => self.answer_approval(draft, *approval, *allow, by)?,
            Input::CancelRun { run, note, by } => self.cancel_one_run(draft, *run, note, by)?,
            Input::HandIn {
                requirement,
                preview,
                by,
            } => self.hand_in(draft, requirement, *preview, by)?,
            Input::SpendPlan {
                plan,
                generation,
                spend,
            } => self.record_plan_spend(draft, *plan, *generation, *spend)?,
            Input::Propose {
                plan,
                generation,
                proposal,
            } => self.propose(draft, *plan, *generation, proposal)?,
            Input::EditPlan {
                plan,
                version,
                edits,
                by,
            } => self.edit_plan(draft, *plan, *version, edits, by)?,
            Input::DecidePlan { plan, accept, by } => {
                self.decide_plan(draft, *plan, *accept, by)?;
            }
            Input::FinishPlan {
                plan,
                generation,
                tasks,
            } => self.finish_plan(draft, *plan, *generation, tasks)?,
            Input::RenewRun { run, fence } => self.renew_run(draft, *run, *fence)?,
            Input::SpendRun { run, fence, spend } => {
                self.record_run_spend(draft, *run, *fence, *spend)?;
            }
            Input::Ask { run, fence, action } => self.ask_approval(draft, *run, *fence, action)?,
            Input::DropQuestion {
                approval,
                run,
                fence,
            } => self.drop_question(draft, *approval, *run, *fence)?,
            Input::FinishRun {
                run,
                fence,
                outcome,
                log,
            } => self.finish_run(draft, *run, *fence, outcome, log)?,
            Input::RenewJudgement { judgement, fence } => {
                self.renew_judgement(draft, *judgement, *fence)?;
            }
            Input::SpendJudgement {
                judgement,
                fence,
                spend,
            } => self.record_judgement_spend(draft, *judgement, *fence, *spend)?,
            Input::FinishJudgement {
                judgement,
                fence,
                verdict,
            } => self.finish_judgement(draft, *judgement, *fence, verdict)?,
            Input::SettleProposal { merge, fate } => self.settle_proposal(draft, *merge, fate)?,
            Input::FinishMerge {
                merge,
                fence,
                outcome,
            } => self.finish_merge(draft, *merge, *fence, outcome)?,
            Input::RetryMerges { by } => self.retry_merges(draft, by),
            Input::Session(input) => self.handle_session_input(draft, input)?,
            Input::StartProcess {
                name,
                requirement,
                by,
            } => self.start_process(draft, name, requirement.as_deref(), by)?,
            Input::StopProcess { name, by } => self.stop_process(draft, name, by)?,
            Input::StopAll { by } => self.stop_all(draft, by),
            Input::ProcessUp { name, generation } => self.process_up(draft, *name, *generation)?,
            Input::ProcessExited {
                name,
                generation,
                exit,
            } => self.process_exited(draft, *name, *generation, exit)?,
            Input::ArmHatch { source, by_person } => self.arm_hatch(draft, source, *by_person),
            Input::DisarmHatch { source, by_person } => {
                self.disarm_hatch(draft, source, *by_person);
            }
            Input::Hold { reason, by } => self.hold(draft, reason, by),
            Input::Resume { by } => self.resume(draft, by),
            Input::EndCycle => self.end_cycle(draft)?,
            Input::Cleanup { stop_first, by } => self.cleanup(draft, *stop_first, by)?,
        }
        Ok(())
    }

    /// Returns when any part has something to do; a time that has passed means at once.
    pub fn next_wake(&self) -> Option<Millis> {
        Controller::ALL
            .into_iter()
            .filter_map(|part| self.next_wake_of(part))
            .min()
    }

    /// Returns when a part has something to do. A part whose process is not up has nothing to do.
    pub fn next_wake_of(&self, part: Controller) -> Option<Millis> {
        if part.process().is_some_and(|name| !self.is_up(name)) {
            return None;
        }
        match part {
            Controller::Supervisor => self.supervisor_due(),
            Controller::Dispatcher if self.globals.closed => None,
            Controller::Dispatcher => self.dispatcher_due(),
            Controller::CycleManager => self.cycle_manager_due(),
        }
    }

    /// Notes a sign of life of a process, which is not part of the state.
    pub fn note_alive(&mut self, name: ProcessName, now: Millis) {
        self.alive.insert(name, now.max(self.globals.now));
    }

    /// Returns whether a process is up.
    pub fn is_up(&self, name: ProcessName) -> bool {
        self.processes
            .get(&name)
            .is_some_and(|process| process.status == ProcessStatus::Running)
    }

    /// Returns the clock of the board: the time of its last event.
    pub fn now(&self) -> Millis {
        self.globals.now
    }
}
