//! The world around a board: a clock, a disk, a branch, agents, messages under way, people. All of it from one seed.

use std::collections::{BTreeMap, BTreeSet};

use tos::domain::board::{
    AgentRole, ApprovalId, AttemptCommit, BlockResolver, Board, BoardSettings, Controller,
    Dependency, Effect, Event, EventKind, FailureKind, Fence, Input, Lane, MergeOutcome,
    OnDependencyCancelled, PlanId, PlanProposal, PlanStatus, ProcessExit, ProcessName,
    ProcessStatus, Risk, RunOutcome, SessionEffect, SessionId, SessionInput, SessionItem,
    SessionSpec, SessionTaskEnd, Spend, TaskEvent, TaskId, TaskSpec, TaskStatus, Verdict,
};
use tos::domain::{
    ledger::TaskOutcome,
    tasks::{OnFailure, TaskVerdict},
};

use super::{
    bugs::{self, Bug},
    chance::Chance,
    check::Record,
};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const START: u64 = 1_700_000_000_000;

impl Chance {
    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

/// What the people of a world mostly do, so that what is rare in one is frequent in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// They add tasks.
    Adding,
    /// They hand requirements in.
    Planning,
    /// They begin sessions and cancel runs.
    Meddling,
}

impl Mood {
    pub(crate) const ALL: [Self; 3] = [Self::Adding, Self::Planning, Self::Meddling];

    const fn of(seed: u64) -> Self {
        match seed % 3 {
            0 => Self::Meddling,
            1 => Self::Adding,
            _ => Self::Planning,
        }
    }
}

/// Something on its way.
#[derive(Debug, Clone)]
enum Message {
    Tell(Input),
    Perform(Effect),
    /// A sign of life of a process.
    Alive(ProcessName, u64),
    /// A sign of life of work, and when it ends.
    Beat(Work),
    Person,
    UserCommits,
    Crash,
    ClockJumps,
    Look,
}

#[derive(Debug, Clone)]
struct Work {
    fence: tos::domain::board::Fence,
    renew: Input,
    finish: Input,
    until: u64,
}

pub(crate) struct World {
    chance: Chance,
    mood: Mood,
    bug: Option<Bug>,
    board: Board,
    log: Vec<Event>,
    pending: BTreeMap<(u64, u64), (u64, Message)>,
    sent: u64,
    /// Which life of the service this is; effects of an earlier one are not performed.
    epoch: u64,
    now: u64,
    skew: i64,
    up: BTreeMap<ProcessName, u64>,
    stopped_work: BTreeSet<u64>,
    fences: BTreeMap<u64, String>,
    tip: String,
    history: BTreeSet<String>,
    made: BTreeMap<String, String>,
    record: Record,
    /// When each part has something to do; `None` = the board changed since it was asked.
    due: Option<[Option<u64>; 3]>,
    faults: bool,
    pub(crate) merged: u64,
    refused: u64,
    crashes: u64,
}

type Step = Result<(), String>;

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut world = Self {
            chance: Chance::new(seed),
            mood: Mood::of(seed),
            bug,
            board: Board::default(),
            log: Vec::new(),
            pending: BTreeMap::new(),
            sent: 0,
            epoch: 0,
            now: START,
            skew: 0,
            up: BTreeMap::new(),
            stopped_work: BTreeSet::new(),
            fences: BTreeMap::new(),
            tip: "b0".to_owned(),
            history: BTreeSet::from(["b0".to_owned()]),
            made: BTreeMap::new(),
            record: Record::default(),
            due: None,
            faults: true,
            merged: 0,
            refused: 0,
            crashes: 0,
        };
        world.send(0, Message::Person);
        world.send(MINUTE, Message::Look);
        world.send(50 * MINUTE, Message::UserCommits);
        world.send(90 * MINUTE, Message::Crash);
        world.send(100 * MINUTE, Message::ClockJumps);
        world
    }

    pub(crate) fn summary(&self) -> String {
        format!(
            "{} events, {} tasks, {} merged, {} refused, {} crashes, tip {}",
            self.board.globals().events,
            self.board.tasks().count(),
            self.merged,
            self.refused,
            self.crashes,
            self.tip
        )
    }

    fn wall(&self) -> u64 {
        self.now.saturating_add_signed(self.skew)
    }

    fn send(&mut self, delay: u64, message: Message) {
        self.sent += 1;
        self.pending
            .insert((self.now + delay, self.sent), (self.epoch, message));
    }

    pub(crate) fn run(&mut self, millis: u64) -> Step {
        self.start_service()?;
        let settings = BoardSettings {
            workers: 3,
            judges: 2,
            testers: 1,
            hour_limit: tos::domain::board::SpendLimit {
                calls: Some(60),
                ..Default::default()
            },
            day_limit: tos::domain::board::SpendLimit {
                calls: Some(900),
                ..Default::default()
            },
            ..BoardSettings::default()
        };
        self.submit(Input::Configure {
            settings: Box::new(settings),
        })?;
        let end = self.now + millis;
        while self.now < end {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Step {
        let wake = self
            .due()
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(u64::MAX)
            .saturating_add_signed(-self.skew);
        let next = self.pending.keys().next().map_or(u64::MAX, |(at, _)| *at);
        if wake < next {
            self.now = self.now.max(wake);
            return self.wake();
        }
        let Some(((at, _), (epoch, message))) = self.pending.pop_first() else {
            return Ok(());
        };
        self.now = self.now.max(at);
        self.receive(epoch, message)?;
        self.wake()
    }

    /// Asking is most of what a world costs, and the answer only changes with the board.
    fn due(&mut self) -> [Option<u64>; 3] {
        let board = &self.board;
        *self
            .due
            .get_or_insert_with(|| Controller::ALL.map(|part| board.next_wake_of(part)))
    }

    /// Lets every part do what is due.
    fn wake(&mut self) -> Step {
        for _ in 0..10_000 {
            let wall = self.wall().max(self.board.now());
            let due = Controller::ALL.into_iter().zip(self.due());
            let mut due = due.filter(|(_, at)| at.is_some_and(|at| at <= wall));
            let Some((part, _)) = due.next() else {
                return Ok(());
            };
            let before = self.board.globals().events;
            self.submit(Input::Wake { part })?;
            if self.board.globals().events == before && self.bug.is_none() {
                return Err(format!("{part:?} is due and has nothing to do"));
            }
            if self.board.globals().events == before {
                return Ok(());
            }
        }
        Err("the board is never done".to_owned())
    }

    fn submit(&mut self, input: Input) -> Step {
        let input = self.bug.map_or_else(
            || input.clone(),
            |bug| bugs::spoil_input(bug, &self.board, input.clone()),
        );
        let wall = self.wall();
        if !self.board.is_up(ProcessName::CycleManager) {
            self.record.disturbed = wall.max(self.board.now());
        }
        self.record.told(&input);
        let Ok(mut decision) = self.board.handle(&input, wall) else {
            self.refused += 1;
            return Ok(());
        };
        if let Some(bug) = self.bug {
            bugs::spoil(
                bug,
                &self.board,
                &input,
                &mut decision,
                wall.max(self.board.now()),
            );
            if bug == Bug::EffectsFirst && !decision.effects.is_empty() && self.chance.percent(3) {
                for effect in decision.effects {
                    self.perform(effect)?;
                }
                return self.crash();
            }
        }
        for event in decision.events {
            self.record.before(&self.board, &event)?;
            if let EventKind::Task(TaskEvent::Done { task, commit }) = &event.what {
                self.merged += 1;
                if !self.history.contains(commit) {
                    return Err(format!("{task} is done, and {commit} is not on the branch"));
                }
            }
            self.due = None;
            self.board.apply(&event);
            self.log.push(event);
        }
        if !self.board.is_up(ProcessName::CycleManager) {
            self.record.disturbed = wall.max(self.board.now());
        }
        for effect in decision.effects {
            let slow = if self.faults && self.chance.percent(1) {
                3 * SECOND
            } else {
                0
            };
            let delay = 1 + slow + self.chance.below(30);
            if self.faults
                && self.chance.percent(2)
                && !matches!(effect, Effect::StopProcess { .. } | Effect::Session(_))
            {
                continue;
            }
            if self.faults && self.chance.percent(2) {
                self.send(delay * 3, Message::Perform(effect.clone()));
            }
            self.send(delay, Message::Perform(effect));
        }
        Record::state(&self.board)
    }

    fn start_service(&mut self) -> Step {
        let instance = format!("service {}", self.epoch);
        self.submit(Input::ServiceStarted {
            instance,
            adopt: std::collections::BTreeSet::new(),
        })
    }

    fn crash(&mut self) -> Step {
        self.crashes += 1;
        self.epoch += 1;
        self.record.disturbed = self.wall().max(self.board.now());
        self.up.clear();
        let folded = if self.log.len() < 60_000 {
            let mut folded = Board::default();
            self.log.iter().for_each(|event| folded.apply(event));
            folded
        } else {
            let keys = self.board.entity_keys();
            Board::from_entities(keys.iter().filter_map(|key| self.board.entity(key)))
        };
        if let Some(key) = self.board.difference(&folded) {
            return Err(format!("{key:?} is not what its events say"));
        }
        self.board = folded;
        self.due = None;
        self.now += self.chance.below(20 * SECOND);
        self.start_service()
    }

    fn receive(&mut self, epoch: u64, message: Message) -> Step {
        match message {
            // Late messages of dead workers arrive now and then.
            Message::Tell(_) | Message::Beat(_)
                if epoch < self.epoch && self.chance.percent(70) =>
            {
                Ok(())
            }
            // The thread of a session dies with its service.
            Message::Tell(Input::Session(_)) if epoch < self.epoch => Ok(()),
            Message::Tell(Input::Session(
                ref aside @ SessionInput::StandAside {
                    session,
                    fence,
                    until,
                    ..
                },
            )) => {
                self.submit(Input::Session(aside.clone()))?;
                self.wait_aside(session, fence, until);
                Ok(())
            }
            Message::Tell(Input::Session(SessionInput::Again {
                session,
                run,
                fence,
                reason,
            })) => {
                let again = SessionInput::Again {
                    session,
                    run,
                    fence,
                    reason,
                };
                self.submit(Input::Session(again))?;
                self.second_try(session, fence)
            }
            Message::Tell(input) => self.submit(input),
            Message::Perform(_) | Message::Alive(..) if epoch < self.epoch => Ok(()),
            Message::Perform(effect) => self.perform(effect),
            Message::Alive(name, generation) => {
                if self.up.get(&name) == Some(&generation) {
                    let wall = self.wall();
                    self.board.note_alive(name, wall);
                    self.due = None;
                    let hangs = self.faults && self.chance.below(2000) == 0;
                    if !hangs {
                        self.send(20 * SECOND, Message::Alive(name, generation));
                    }
                    if self.faults && self.chance.below(4000) == 0 {
                        let exit = ProcessExit {
                            ok: false,
                            detail: "panicked".to_owned(),
                        };
                        self.up.remove(&name);
                        self.submit(Input::ProcessExited {
                            name,
                            generation,
                            exit,
                        })?;
                    }
                }
                Ok(())
            }
            Message::Beat(work) => self.beat(epoch, work),
            Message::Person => {
                self.send(
                    MINUTE + self.chance.clone().below(14 * MINUTE),
                    Message::Person,
                );
                self.person()
            }
            Message::UserCommits => {
                self.send(
                    MINUTE * 30 + self.chance.clone().below(200 * MINUTE),
                    Message::UserCommits,
                );
                if self.faults {
                    self.tip = format!("u{}", self.sent);
                    self.history.insert(self.tip.clone());
                }
                Ok(())
            }
            Message::Crash => {
                self.send(
                    MINUTE * 40 + self.chance.clone().below(600 * MINUTE),
                    Message::Crash,
                );
                if self.faults { self.crash() } else { Ok(()) }
            }
            Message::ClockJumps => {
                self.send(
                    MINUTE * 60 + self.chance.clone().below(900 * MINUTE),
                    Message::ClockJumps,
                );
                let hour = 3_600_000;
                self.skew = if self.faults {
                    self.chance.of(&[0, 0, hour, -hour, 1234, 30 * hour])
                } else {
                    0
                };
                self.record.disturbed = self.wall().max(self.board.now());
                Ok(())
            }
            Message::Look => {
                let length = 20 + self.board.tasks().count() as u64 / 4;
                self.send(length * MINUTE, Message::Look);
                let wall = self.wall();
                self.record.tasks(&self.board, wall)
            }
        }
    }

    fn beat(&mut self, epoch: u64, work: Work) -> Step {
        if self.stopped_work.contains(&work.fence.0) || epoch < self.epoch {
            // A zombie reports what it did all the same, sometimes.
            if self.chance.percent(30) {
                return self.submit(work.finish);
            }
            return Ok(());
        }
        if self.faults && self.chance.below(300) == 0 {
            // It hangs, and wakes up much later; on a clock that stands still, its lease may still hold then.
            if let Input::Session(SessionInput::FinishTask { session, .. }) = &work.finish {
                let session = *session;
                self.tell_session(5 * MINUTE + SECOND, SessionInput::Ready { session });
            }
            self.send(5 * MINUTE, Message::Tell(work.finish));
            return Ok(());
        }
        if self.now >= work.until {
            if self.faults && self.chance.percent(2) {
                return Ok(());
            }
            if self.faults && self.chance.percent(3) {
                self.send(5 * SECOND, Message::Tell(work.finish.clone()));
            }
            let session = match &work.finish {
                Input::Session(SessionInput::FinishTask { session, .. }) => Some(*session),
                _ => None,
            };
            self.submit(work.finish)?;
            if let Some(session) = session {
                self.tell_session(SECOND, SessionInput::Ready { session });
            }
            return Ok(());
        }
        self.submit(work.renew.clone())?;
        let delay = (20 * SECOND).min(work.until - self.now);
        self.send(delay, Message::Beat(work));
        Ok(())
    }

    fn perform(&mut self, effect: Effect) -> Step {
        match effect {
            Effect::StartProcess {
                name,
                generation,
                plan,
            } => {
                let lame = self.faults && self.chance.percent(2);
                if lame {
                    return Ok(());
                }
                self.up.insert(name, generation);
                self.send(20, Message::Tell(Input::ProcessUp { name, generation }));
                self.send(30, Message::Alive(name, generation));
                if let Some(plan) = plan {
                    self.plan(plan, generation);
                }
                if !name.is_restarted() {
                    let exit = ProcessExit {
                        ok: true,
                        detail: "done".to_owned(),
                    };
                    self.send(
                        2 * MINUTE,
                        Message::Tell(Input::ProcessExited {
                            name,
                            generation,
                            exit,
                        }),
                    );
                }
                Ok(())
            }
            Effect::StopProcess { name, generation } => {
                if self.up.get(&name) == Some(&generation) {
                    self.up.remove(&name);
                }
                let exit = ProcessExit {
                    ok: true,
                    detail: "stopped".to_owned(),
                };
                self.send(
                    SECOND,
                    Message::Tell(Input::ProcessExited {
                        name,
                        generation,
                        exit,
                    }),
                );
                Ok(())
            }
            Effect::StartRun {
                run,
                task,
                agent,
                fence,
            } => {
                self.seen(fence.0, format!("{run} {task} {agent}"))?;
                let outcome = self.outcome(fence.0);
                let finish = Input::FinishRun {
                    run,
                    fence,
                    outcome,
                    log: String::new(),
                };
                self.work(fence, Input::RenewRun { run, fence }, finish);
                if self.chance.percent(50) {
                    let spend = Spend {
                        calls: 0,
                        tokens: self.chance.below(50_000),
                        micro_usd: 1000,
                    };
                    self.send(
                        3 * SECOND,
                        Message::Tell(Input::SpendRun { run, fence, spend }),
                    );
                }
                if self.chance.percent(4) {
                    self.send(
                        4 * SECOND,
                        Message::Tell(Input::Ask {
                            run,
                            fence,
                            action: "npm install".to_owned(),
                        }),
                    );
                    if self.chance.percent(30) {
                        let approval = ApprovalId(self.board.globals().last_approval.0 + 1);
                        let gone = Input::DropQuestion {
                            approval,
                            run,
                            fence,
                        };
                        self.send(20 * SECOND, Message::Tell(gone));
                    }
                }
                Ok(())
            }
            Effect::StartJudgement {
                judgement,
                task,
                agent,
                fence,
            } => {
                self.seen(fence.0, format!("{judgement} {task} {agent}"))?;
                let base = self
                    .board
                    .judge_base_commit(task)
                    .map_or_else(|| self.tip.clone(), str::to_owned);
                let verdict = self.verdict(fence.0, base);
                let finish = Input::FinishJudgement {
                    judgement,
                    fence,
                    verdict,
                };
                self.work(fence, Input::RenewJudgement { judgement, fence }, finish);
                if self.chance.percent(30) {
                    let spend = Spend {
                        calls: 1,
                        tokens: 100,
                        micro_usd: 10,
                    };
                    let input = Input::SpendJudgement {
                        judgement,
                        fence,
                        spend,
                    };
                    self.send(SECOND, Message::Tell(input));
                }
                Ok(())
            }
            Effect::StopRun { fence, .. } | Effect::StopJudgement { fence, .. } => {
                if !(self.faults && self.chance.percent(20)) {
                    self.stopped_work.insert(fence.0);
                }
                Ok(())
            }
            Effect::Publish { merge, fence } => self.publish(merge, fence),
            Effect::Link { task } => {
                let link = Input::LinkTask {
                    task,
                    ok: self.chance.percent(80),
                    detail: "somewhere".to_owned(),
                };
                self.send(MINUTE, Message::Tell(link));
                Ok(())
            }
            Effect::Session(effect) => self.perform_session(effect),
            Effect::TellAnswer { .. } | Effect::Notify { .. } => Ok(()),
        }
    }

    /// A planner at work: a checklist, or a model that is paid and proposes.
    fn plan(&mut self, plan: PlanId, generation: u64) {
        let all = (0..=self.chance.below(4)).map(|_| {
            let name = self.chance.below(40);
            TaskSpec {
                title: format!("part {name}"),
                source: "planner".to_owned(),
                ..self.spec(&[])
            }
        });
        let mut tasks: Vec<TaskSpec> = all.collect();
        if tasks.len() > 1 && self.chance.percent(50) {
            let first = Dependency {
                task: TaskId(1),
                on_fail: OnDependencyCancelled::Block,
            };
            tasks[1].dependencies = vec![first];
        }
        let dice = self.chance.below(10);
        let input = match dice {
            0..3 => Input::FinishPlan {
                plan,
                generation,
                tasks: Ok(tasks),
            },
            3 => Input::FinishPlan {
                plan,
                generation,
                tasks: Err("no answer".to_owned()),
            },
            _ => {
                let call = Spend {
                    calls: 1,
                    ..Spend::default()
                };
                let spend = Input::SpendPlan {
                    plan,
                    generation,
                    spend: call,
                };
                self.send(SECOND, Message::Tell(spend));
                let nothing_left = if dice == 9 { "it is met" } else { "" };
                let proposal = PlanProposal {
                    maker: "model".to_owned(),
                    tasks: if dice == 9 { Vec::new() } else { tasks },
                    nothing_left: nothing_left.to_owned(),
                };
                Input::Propose {
                    plan,
                    generation,
                    proposal,
                }
            }
        };
        self.send(MINUTE, Message::Tell(input));
    }

    fn tell_session(&mut self, delay: u64, input: SessionInput) {
        self.send(delay, Message::Tell(Input::Session(input)));
    }

    /// A person begins a session beside others, or ends the newest under way.
    fn session(&mut self) -> Step {
        let open = self.board.open_sessions().next().map(|open| open.id);
        let open = open.filter(|_| self.chance.percent(60));
        if let Some(session) = open {
            return if self.chance.percent(20) {
                self.submit(Input::Session(SessionInput::Cancel {
                    session,
                    reason: String::new(),
                    by: "eva".to_owned(),
                }))
            } else {
                Ok(())
            };
        }
        let count = 1 + usize::try_from(self.chance.below(6)).unwrap();
        let items = (0..count).map(|place| SessionItem {
            id: format!("T-{place}"),
            goal: "a goal".to_owned(),
            task: TaskSpec {
                title: format!("T-{place}: a goal"),
                ..TaskSpec::default()
            },
            needs: if place > 0 && self.chance.percent(30) {
                vec![place - 1]
            } else {
                Vec::new()
            },
            seconds: 60 + self.chance.below(1800),
            outcome: None,
        });
        let items = items.collect();
        let spec = SessionSpec {
            run: format!("run-{}", self.sent),
            list: format!("night-{}", self.chance.below(3)),
            kind: "night".to_owned(),
            on_failure: self.chance.of(&[
                OnFailure::Stop,
                OnFailure::RetryThenStop,
                OnFailure::RetryThenSkipDependents,
            ]),
            seconds: self
                .chance
                .percent(70)
                .then(|| 600 + self.chance.below(20_000)),
            asks: self.chance.percent(20),
            items,
            ..SessionSpec::default()
        };
        self.submit(Input::Session(SessionInput::Start {
            spec: Box::new(spec),
        }))
    }

    /// The thread of a session that waits asks for its turn again after the wait.
    fn wait_aside(&mut self, session: SessionId, fence: Fence, until: Option<u64>) {
        let waits = self.board.session(session).is_some_and(|one| one.aside);
        if waits {
            self.stopped_work.insert(fence.0);
            let delay = until.unwrap_or_default().saturating_sub(self.now);
            self.tell_session(delay + SECOND, SessionInput::Ready { session });
        }
    }

    /// The thread of a session goes on under the number of its second try, if there is one.
    fn second_try(&mut self, session: SessionId, first: Fence) -> Step {
        let turn = self.board.session(session).and_then(|one| one.turn);
        let Some(turn) = turn else { return Ok(()) };
        let fence = self.board.run(turn.run).map(|run| run.lease.fence);
        let Some(fence) = fence.filter(|fence| fence.0 > first.0) else {
            return Ok(());
        };
        self.stopped_work.insert(first.0);
        let run = turn.run;
        self.seen(fence.0, format!("{session} {} {run}", turn.place))?;
        let good = self.chance.percent(60);
        let finish = Input::Session(SessionInput::FinishTask {
            session,
            run,
            fence,
            verdict: if good {
                TaskVerdict::Accepted
            } else {
                TaskVerdict::Failed
            },
            end: SessionTaskEnd {
                place: turn.place,
                outcome: if good {
                    TaskOutcome::Success
                } else {
                    TaskOutcome::Failed
                },
                reason: "it was so".to_owned(),
                commit: None,
            },
            spend: Spend::default(),
            log: String::new(),
        });
        self.work(fence, Input::RenewRun { run, fence }, finish);
        Ok(())
    }

    /// What the thread of a session does: it asks for turns, reports results, and reports the end.
    fn perform_session(&mut self, effect: SessionEffect) -> Step {
        match effect {
            SessionEffect::Open { session, resume } => {
                if resume && let Some(known) = self.board.session(session) {
                    let outcomes = known.outcomes.clone();
                    let failures_in_a_row = known.failures_in_a_row;
                    self.tell_session(
                        SECOND,
                        SessionInput::Restore {
                            session,
                            outcomes,
                            failures_in_a_row,
                        },
                    );
                }
                self.tell_session(2 * SECOND, SessionInput::Ready { session });
                Ok(())
            }
            SessionEffect::Turn {
                session,
                place,
                run,
                fence,
            } => {
                self.seen(fence.0, format!("{session} {place} {run}"))?;
                let dice = if self.faults {
                    self.chance.below(100)
                } else {
                    0
                };
                if (60..80).contains(&dice) {
                    let again = SessionInput::Again {
                        session,
                        run,
                        fence,
                        reason: "the tests fail".to_owned(),
                    };
                    self.tell_session(4 * SECOND, again);
                }
                if (80..86).contains(&dice) {
                    let aside = SessionInput::StandAside {
                        session,
                        run,
                        fence,
                        until: Some(self.now + 10 * MINUTE),
                        detail: "its quota is used up".to_owned(),
                    };
                    self.tell_session(3 * SECOND, aside);
                }
                let (verdict, outcome) = match dice {
                    0..60 => (TaskVerdict::Accepted, TaskOutcome::Success),
                    60..94 => (TaskVerdict::Failed, TaskOutcome::Failed),
                    94..97 => (TaskVerdict::OverLimit, TaskOutcome::Failed),
                    _ => (TaskVerdict::NoQuota, TaskOutcome::Blocked),
                };
                let finish = Input::Session(SessionInput::FinishTask {
                    session,
                    run,
                    fence,
                    verdict,
                    end: SessionTaskEnd {
                        place,
                        outcome,
                        reason: "it was so".to_owned(),
                        commit: None,
                    },
                    spend: Spend::default(),
                    log: String::new(),
                });
                self.work(fence, Input::RenewRun { run, fence }, finish);
                Ok(())
            }
            SessionEffect::Stop { session, stop } => {
                self.tell_session(
                    5 * SECOND,
                    SessionInput::Finish {
                        session,
                        why: Some(stop.why),
                        error: String::new(),
                        ends: Vec::new(),
                        report: String::new(),
                    },
                );
                Ok(())
            }
        }
    }

    fn seen(&mut self, fence: u64, words: String) -> Step {
        match self.fences.insert(fence, words.clone()) {
            Some(old) if old != words => Err(format!("fence-{fence} is for {old} and for {words}")),
            _ => Ok(()),
        }
    }

    fn work(&mut self, fence: tos::domain::board::Fence, renew: Input, finish: Input) {
        let length = 5 * SECOND + self.chance.below(1 << (10 + self.chance.clone().below(11)));
        let until = self.now + length;
        self.send(
            5 * SECOND,
            Message::Beat(Work {
                fence,
                renew,
                finish,
                until,
            }),
        );
    }

    fn outcome(&mut self, fence: u64) -> RunOutcome {
        let dice = if self.faults {
            self.chance.below(100)
        } else {
            0
        };
        let kept = AttemptCommit {
            commit: format!("c{fence}"),
            reference: String::new(),
            base: self.tip.clone(),
        };
        let failed = |failure, signature: &str| RunOutcome::Failed {
            failure,
            reasons: vec!["it failed".to_owned()],
            signature: signature.to_owned(),
            kept: None,
        };
        match dice {
            0..60 => RunOutcome::Committed { kept },
            60..63 => RunOutcome::NoChange {
                evidence: "nothing to do".to_owned(),
                base: kept.base,
            },
            63..75 => failed(FailureKind::Test, "same"),
            75..80 => failed(FailureKind::Policy, "files"),
            80..86 => failed(FailureKind::Flaky, &fence.to_string()),
            86..88 => failed(FailureKind::Permission, ""),
            88..91 => failed(FailureKind::Launch, ""),
            91..96 => {
                let until = self
                    .chance
                    .percent(50)
                    .then(|| self.wall() + self.chance.below(60) * MINUTE);
                RunOutcome::QuotaUsed {
                    until,
                    detail: "limit reached".to_owned(),
                }
            }
            _ => RunOutcome::Stopped,
        }
    }

    fn verdict(&mut self, fence: u64, base: String) -> Verdict {
        let dice = if self.faults {
            self.chance.below(100)
        } else {
            0
        };
        match dice {
            0..72 => {
                // An effect that is performed twice makes two commits, maybe on two bases.
                let commit = format!("m{fence}.{}", self.sent);
                self.made.insert(commit.clone(), base.clone());
                Verdict::Approve {
                    base,
                    commit,
                    notes: Vec::new(),
                }
            }
            72..84 => Verdict::RequestChanges {
                reasons: vec!["no".to_owned()],
            },
            84..91 => Verdict::Conflict {
                files: vec!["src/a".to_owned()],
            },
            _ => Verdict::NoVerdict {
                detail: "no answer".to_owned(),
            },
        }
    }

    fn publish(
        &mut self,
        id: tos::domain::board::MergeId,
        fence: tos::domain::board::Fence,
    ) -> Step {
        let Some(merge) = self.board.merge(id).cloned() else {
            return Ok(());
        };
        let dice = if self.faults {
            self.chance.below(100)
        } else {
            99
        };
        let outcome = if dice < 4 {
            MergeOutcome::DirtyCheckout {
                detail: "a file".to_owned(),
            }
        } else if dice < 7 {
            MergeOutcome::Failed {
                detail: "the disk is full".to_owned(),
            }
        } else if self.tip == merge.base
            || (self.bug == Some(Bug::BranchForced) && !self.history.contains(&merge.commit))
        {
            if self.made.get(&merge.commit) != Some(&self.tip) {
                return Err(format!(
                    "{} was published on {}, where nobody tested it",
                    merge.commit, self.tip
                ));
            }
            self.tip.clone_from(&merge.commit);
            self.history.insert(self.tip.clone());
            MergeOutcome::Merged
        } else if self.history.contains(&merge.commit) {
            MergeOutcome::Merged
        } else {
            MergeOutcome::BaseMoved {
                now: self.tip.clone(),
            }
        };
        self.send(
            1 + self.chance.clone().below(500),
            Message::Tell(Input::FinishMerge {
                merge: id,
                fence,
                outcome,
            }),
        );
        Ok(())
    }

    fn spec(&mut self, needs: &[TaskId]) -> TaskSpec {
        let all = [
            "src/a/**",
            "src/b/**",
            "src/**",
            "docs",
            "tests/*.rs",
            "src/c/x.rs",
        ];
        let paths = if self.chance.percent(30) {
            Vec::new()
        } else {
            vec![self.chance.of(&all).to_owned()]
        };
        let on_fail = if self.chance.percent(30) {
            OnDependencyCancelled::Continue
        } else {
            OnDependencyCancelled::Block
        };
        TaskSpec {
            title: "a task".to_owned(),
            paths,
            role: self.chance.of(&[
                AgentRole::Worker,
                AgentRole::Worker,
                AgentRole::Worker,
                AgentRole::Tester,
                AgentRole::Docser,
            ]),
            lane: self.chance.of(&[
                Lane::Feature,
                Lane::Feature,
                Lane::ConflictRecovery,
                Lane::Docser,
            ]),
            risk: self.chance.of(&[Risk::Low, Risk::Medium, Risk::High]),
            priority: self.chance.below(100),
            agent: self.chance.of(&["", "claude", "codex"]).to_owned(),
            link: if self.chance.percent(5) {
                "requirement.md".to_owned()
            } else {
                String::new()
            },
            dependencies: needs
                .iter()
                .map(|task| Dependency {
                    task: *task,
                    on_fail,
                })
                .collect(),
            ..TaskSpec::default()
        }
    }

    /// Rolls what a person does.
    fn wish(&mut self) -> u64 {
        let usual = self.chance.below(100);
        match self.mood {
            Mood::Adding => usual,
            // A requirement is planned on an empty board only, so that people help more than they add.
            Mood::Planning => self.chance.of(&[74, 74, 75, 95, 95, 95, 95, usual]),
            Mood::Meddling => self.chance.of(&[73, 92, usual, usual]),
        }
    }

    /// A person does something.
    fn person(&mut self) -> Step {
        if !self.faults {
            return self.helpful_person();
        }
        let by = "eva".to_owned();
        let tasks: Vec<TaskId> = self
            .board
            .tasks()
            .rev()
            .take(30)
            .map(|task| task.id)
            .collect();
        let names = [
            "dispatcher",
            "cycle-manager",
            "judge",
            "judge-2",
            "worker-1",
            "worker-2",
            "worker-3",
            "tester-1",
            "docser-1",
            "planner",
            "nobody",
            "worker-4",
        ];
        let name = self.chance.of(&names).to_owned();
        let dice = self.wish();
        let some = |chance: &mut Chance| {
            if tasks.is_empty() {
                TaskId(1)
            } else {
                chance.of(&tasks)
            }
        };
        let input = match dice {
            0..62 => {
                let needs: Vec<TaskId> = if self.chance.percent(40) {
                    vec![some(&mut self.chance)]
                } else {
                    Vec::new()
                };
                Input::CreateTask {
                    spec: Box::new(self.spec(&needs)),
                }
            }
            62..66 => Input::CancelTask {
                task: some(&mut self.chance),
                reason: String::new(),
                by,
            },
            66..70 => Input::RequeueTask {
                task: some(&mut self.chance),
                note: "again".to_owned(),
                by,
            },
            70..73 => Input::StopProcess { name, by },
            73 => {
                let live: Vec<_> = self.board.live_runs().map(|run| run.id).collect();
                if live.is_empty() {
                    return self.helpful_person();
                }
                Input::CancelRun {
                    run: self.chance.of(&live),
                    note: "not like this".to_owned(),
                    by,
                }
            }
            74 => Input::HandIn {
                requirement: "build it".to_owned(),
                preview: self.chance.percent(50),
                by,
            },
            75 => {
                let plans: Vec<PlanId> = self.board.plans().map(|plan| plan.id).collect();
                if plans.is_empty() {
                    return self.helpful_person();
                }
                Input::DecidePlan {
                    plan: self.chance.of(&plans),
                    accept: self.chance.percent(50),
                    by,
                }
            }
            76..80 => Input::StartProcess {
                name,
                requirement: Some("build it".to_owned()),
                by,
            },
            80 => Input::StopAll { by },
            81 => Input::DisarmHatch {
                source: by,
                by_person: true,
            },
            82..85 => Input::ArmHatch {
                source: by,
                by_person: true,
            },
            85 => Input::Hold {
                reason: "lunch".to_owned(),
                by,
            },
            86..89 => Input::Resume { by },
            89 => Input::EndCycle,
            90 => Input::StartProcess {
                name: self.chance.of(&["db-up", "db-down", "db-up"]).to_owned(),
                requirement: None,
                by,
            },
            91 => Input::RetryMerges { by },
            92 => return self.session(),
            93..95 => {
                let mut settings = self.board.settings().clone();
                settings.ask_before_start = self.chance.percent(20);
                settings.plan_preview = self.chance.percent(20);
                Input::Configure {
                    settings: Box::new(settings),
                }
            }
            _ => return self.helpful_person(),
        };
        self.submit(input)
    }

    /// A person resolves what waits for a person.
    fn helpful_person(&mut self) -> Step {
        let by = "eva".to_owned();
        let mut inputs = vec![
            Input::Resume { by: by.clone() },
            Input::StartProcess {
                name: "db-up".to_owned(),
                requirement: None,
                by: by.clone(),
            },
            Input::RetryMerges { by: by.clone() },
        ];
        for process in self.board.processes() {
            let planner = process.name == ProcessName::Planner;
            if process.name.is_stoppable() && !planner && !process.status.is_live() {
                inputs.push(Input::StartProcess {
                    name: process.name.to_string(),
                    requirement: None,
                    by: by.clone(),
                });
            }
        }
        for plan in self.board.plans() {
            if plan.status == PlanStatus::Proposed {
                inputs.push(Input::DecidePlan {
                    plan: plan.id,
                    accept: true,
                    by: by.clone(),
                });
            }
        }
        for approval in self.board.open_approvals() {
            inputs.push(Input::Answer {
                approval: approval.id,
                allow: true,
                by: by.clone(),
            });
        }
        for task in self.board.tasks() {
            let needed = task.spec.dependencies.iter().map(|needed| needed.task);
            let waits_for_cancelled = task.status == TaskStatus::Queued;
            if task.resolver == BlockResolver::Person && !task.status.is_final() {
                inputs.push(Input::RequeueTask {
                    task: task.id,
                    note: "go on".to_owned(),
                    by: by.clone(),
                });
            }
            if task.resolver == BlockResolver::Linker {
                inputs.push(Input::LinkTask {
                    task: task.id,
                    ok: true,
                    detail: "line 1".to_owned(),
                });
            }
            for needed in needed.filter(|_| waits_for_cancelled) {
                if self
                    .board
                    .task(needed)
                    .is_some_and(|needed| needed.status == TaskStatus::Cancelled)
                {
                    inputs.push(Input::RequeueTask {
                        task: needed,
                        note: String::new(),
                        by: by.clone(),
                    });
                }
            }
        }
        for input in inputs {
            self.submit(input)?;
        }
        Ok(())
    }

    /// With faults gone and a person who helps, every task ends.
    pub(crate) fn heal(&mut self) -> Step {
        self.faults = false;
        self.skew = 0;
        self.record.disturbed = self.now.max(self.board.now());
        let end = self.now.max(self.board.now()) + 60 * 24 * 60 * MINUTE;
        while self.now < end {
            self.step()?;
            let open = self.board.tasks().any(|task| !task.status.is_final());
            let planning = self
                .board
                .plans()
                .any(|plan| plan.status == PlanStatus::Planning);
            if !open && !planning {
                let wall = self.wall();
                return self.record.tasks(&self.board, wall);
            }
        }
        let stuck = self
            .board
            .tasks()
            .find(|task| !task.status.is_final())
            .map(|task| task.id);
        let why = stuck.and_then(|id| self.board.why(id, self.wall()).ok());
        let down: Vec<String> = self
            .board
            .processes()
            .iter()
            .filter(|process| process.status != ProcessStatus::Running)
            .map(|process| format!("{} {}", process.name, process.status.as_str()))
            .collect();
        Err(format!(
            "after two months of peace a task is not done: {why:?}; {down:?}"
        ))
    }
}
