//! Two controllers and four workers around a modelled `JetStream`. The controllers hold real boards; what they and the workers decide about
//! lost answers and missing machines they decide with the words of the product.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tos::domain::{
    board::{
        AttemptCommit, Board, BoardSettings, Controller as BoardController, Effect, EventKind,
        FailureKind, Fence, Input, MergeOutcome, ProcessName, RunOutcome, TaskEvent, TaskSpec,
        TaskStatus, Verdict,
    },
    cluster::{ClaimHolder, Delivery, Refused, batch_id, delivered, refused},
};

use crate::{
    bugs::Bug,
    chance::Chance,
    server::{Appended, Lost, Order, Outcome, Server, Time},
};

const SECOND: Time = 1000;
/// How long a worker may be silent.
const LEASE: Time = 9 * SECOND;
const HEARTBEAT_INTERVAL: Time = LEASE / 6;
/// How long the leader's key lives.
const KEY: Time = LEASE / 3;
/// How often a message is sent in all before it counts as unavailable.
const TRIES: u32 = 6;
const START: Time = 1_700_000_000_000;

type Step = Result<(), String>;

/// What is known of every machine together, and what must never happen.
#[derive(Debug, Default)]
struct Record {
    /// Who began an attempt, by its number.
    begun: BTreeMap<u64, String>,
    /// Numbers that a controller took back because nobody had begun them.
    taken_back: BTreeSet<u64>,
    /// What lies on the branch.
    branch: Vec<String>,
    merged: BTreeMap<u64, String>,
}

/// A controller that leads, or thinks so.
struct Lead {
    board: Board,
    /// How many batches of the log it knows.
    last: usize,
    events: u64,
    revision: u64,
    renewed: Time,
    waiting: BTreeMap<u64, (Order, ClaimHolder, Time)>,
    /// What a controller before this one had handed out, and results of that which came before anybody waited for them.
    inherited: BTreeSet<u64>,
    early: BTreeMap<u64, Outcome>,
    todo: VecDeque<(Time, Input)>,
    /// It could not write and writes nothing any more.
    broken: bool,
}

struct Controller {
    name: String,
    life: u32,
    lead: Option<Lead>,
    /// It does nothing until then: it is dead, or frozen.
    wakes: Time,
    polls: Time,
}

struct Job {
    order: Order,
    message: String,
    ends: Time,
    beats: Time,
    /// It was told to stop.
    stopped: bool,
}

struct Worker {
    name: String,
    life: u32,
    job: Option<Job>,
    wakes: Time,
    /// What it was given and has not claimed yet.
    given: Option<(String, Order)>,
    /// It waits for an answer that never comes.
    hangs: bool,
}

pub(crate) struct World {
    bug: Option<Bug>,
    chance: Chance,
    now: Time,
    server: Server,
    controllers: Vec<Controller>,
    workers: Vec<Worker>,
    record: Record,
    tasks: u64,
    made: u64,
    pub(crate) kills: u64,
    pub(crate) deposed: u64,
    pub(crate) adopted: u64,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>) -> Self {
        let controllers = ["first", "second"].map(|name| Controller {
            name: name.to_owned(),
            life: 0,
            lead: None,
            wakes: START,
            polls: START,
        });
        let workers = ["w1", "w2", "w3", "w4"].map(|name| Worker {
            name: name.to_owned(),
            life: 0,
            job: None,
            wakes: START,
            given: None,
            hangs: false,
        });
        Self {
            bug,
            chance: Chance::new(seed),
            now: START,
            server: Server::new(seed + 77),
            controllers: controllers.into(),
            workers: workers.into(),
            record: Record {
                branch: vec!["b0".to_owned()],
                ..Record::default()
            },
            tasks: 30,
            made: 0,
            kills: 0,
            deposed: 0,
            adopted: 0,
        }
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Lets faults happen for a while, then lets peace come and waits until every task has ended.
    pub(crate) fn run(&mut self, stormy: Time, calm: Time) -> Step {
        let (storm, end) = (self.now + stormy, self.now + stormy + calm);
        while self.now < end {
            self.server.faults = self.now < storm;
            self.tick()?;
            if self.now > storm && self.is_done() {
                return self.check_end();
            }
        }
        let open: Vec<String> = self
            .leader()
            .map(|lead| {
                let open = lead.board.tasks().filter(|task| !task.status.is_final());
                open.map(|task| format!("{} {:?}", task.id, task.status))
                    .collect()
            })
            .unwrap_or_default();
        Err(format!(
            "in peace not every task ends: made {} of {}, {} orders wait, open: {open:?}",
            self.made,
            self.tasks,
            self.server.orders.len()
        ))
    }

    fn leader(&self) -> Option<&Lead> {
        self.controllers.iter().find_map(|one| one.lead.as_ref())
    }

    fn is_done(&self) -> bool {
        let done = |lead: &Lead| lead.board.tasks().all(|task| task.status.is_final());
        self.made == self.tasks && self.leader().is_some_and(done)
    }

    fn check_end(&self) -> Step {
        let board = self.folded()?;
        for task in board.tasks() {
            if task.status == TaskStatus::Done && !self.record.merged.contains_key(&task.id.0) {
                return Err(format!("{} is done and was never merged", task.id));
            }
        }
        Ok(())
    }

    /// Folds the log anew.
    fn folded(&self) -> Result<Board, String> {
        let mut board = Board::default();
        let mut at = 0;
        for (id, events) in &self.server.log {
            for event in events {
                if event.at < at {
                    return Err(format!("the log goes back in time at {id}"));
                }
                at = event.at;
                board.apply(event);
            }
        }
        Ok(board)
    }

    fn tick(&mut self) -> Step {
        self.now += 100 + self.chance.below(300);
        let names: Vec<String> = self
            .controllers
            .iter()
            .map(|one| one.name.clone())
            .chain(self.workers.iter().map(|one| one.name.clone()))
            .collect();
        self.server.weather(self.now, &names);
        if self.server.faults && self.chance.below(250) == 0 {
            self.disturb();
        }
        for index in 0..self.controllers.len() {
            self.control(index)?;
        }
        for index in 0..self.workers.len() {
            self.work(index)?;
        }
        Ok(())
    }

    /// Kills or freezes a machine.
    fn disturb(&mut self) {
        self.kills += 1;
        let pause = self.chance.below(30 * SECOND);
        let kill = self.chance.percent(50);
        let which = self.chance.below(6);
        if let Some(one) = self.controllers.get_mut(which) {
            one.wakes = self.now + pause;
            if kill {
                (one.lead, one.life) = (None, one.life + 1);
            }
        } else {
            let one = &mut self.workers[which - 2];
            one.wakes = self.now + pause;
            if kill {
                (one.job, one.given, one.life, one.hangs) = (None, None, one.life + 1, false);
            }
        }
    }

    // ---- controllers

    fn control(&mut self, index: usize) -> Step {
        if self.now < self.controllers[index].wakes {
            return Ok(());
        }
        if self.controllers[index].lead.is_none() {
            return self.take_lead(index);
        }
        self.renew(index);
        self.create(index)?;
        self.call_off(index)?;
        self.wake_parts(index)?;
        self.do_todo(index)?;
        self.take_results(index)?;
        self.look(index)
    }

    fn take_lead(&mut self, index: usize) -> Step {
        let name = self.controllers[index].name.clone();
        let (now, key) = (self.now, KEY);
        let asked = self
            .server
            .ask(&name, now, |server| server.lead(&name, None, now, key));
        let Ok(Some(revision)) = asked else {
            return Ok(());
        };
        let Ok(log) = self.server.ask(&name, now, |server| server.log.clone()) else {
            return Ok(());
        };
        let Ok(inherited) = self.server.ask(&name, now, |server| server.under_way(now)) else {
            return Ok(());
        };
        let mut board = Board::default();
        let mut events = 0;
        for (_, batch) in &log {
            events += batch.len() as u64;
            for event in batch {
                board.apply(event);
            }
        }
        self.controllers[index].lead = Some(Lead {
            board,
            last: log.len(),
            events,
            revision,
            renewed: now,
            waiting: BTreeMap::new(),
            inherited: inherited.clone(),
            early: BTreeMap::new(),
            todo: VecDeque::new(),
            broken: false,
        });
        let life = self.controllers[index].life;
        self.submit(
            index,
            Input::ServiceStarted {
                instance: format!("{name} {life} {now}"),
                adopt: inherited.into_iter().map(Fence).collect(),
            },
        )?;
        let settings = BoardSettings {
            workers: 3,
            judges: 2,
            failed_cooldown_ms: 100,
            failed_max_retries: 1000,
            cycle_max_failure_percent: 101,
            lost_max: 1000,
            same_signature_max: 1000,
            ..BoardSettings::default()
        };
        self.submit(
            index,
            Input::Configure {
                settings: Box::new(settings),
            },
        )
    }

    fn step_down(&mut self, index: usize) {
        let one = &mut self.controllers[index];
        (one.lead, one.life) = (None, one.life + 1);
        one.wakes = self.now + SECOND;
    }

    fn renew(&mut self, index: usize) {
        let (name, now) = (self.controllers[index].name.clone(), self.now);
        let Some(lead) = &self.controllers[index].lead else {
            return;
        };
        let (revision, renewed) = (lead.revision, lead.renewed);
        if now < renewed + KEY / 4 {
            return;
        }
        let asked = self.server.ask(&name, now, |server| {
            server.lead(&name, Some(revision), now, KEY)
        });
        let newer = match asked {
            Ok(Some(newer)) => Some(newer),
            // An answer may have been lost: the key may stand at a newer revision that is ours.
            _ => self
                .server
                .ask(&name, now, |server| server.led_by(&name, now))
                .unwrap_or(None),
        };
        match (newer, &mut self.controllers[index].lead) {
            (Some(newer), Some(lead)) => (lead.revision, lead.renewed) = (newer, now),
            // A frozen one finds out a little later than its key ends; the log refuses what it writes meanwhile.
            _ if now > renewed + KEY * 3 / 4 + self.chance.below(2 * KEY) => self.step_down(index),
            _ => {}
        }
    }

    /// People end an attempt that is under way; its task goes back to the queue.
    fn call_off(&mut self, index: usize) -> Step {
        if !self.server.faults || !self.chance.percent(1) {
            return Ok(());
        }
        let Some(lead) = &self.controllers[index].lead else {
            return Ok(());
        };
        let Some(run) = lead.board.live_runs().next().map(|run| run.id) else {
            return Ok(());
        };
        self.submit(
            index,
            Input::CancelRun {
                run,
                note: "not like this".to_owned(),
                by: "eva".to_owned(),
            },
        )
    }

    /// People add a task now and then.
    fn create(&mut self, index: usize) -> Step {
        if self.made == self.tasks || self.chance.below(200) != 0 {
            return Ok(());
        }
        let Some(lead) = &self.controllers[index].lead else {
            return Ok(());
        };
        // An order whose answer was lost is given again under its key.
        let before = lead.board.tasks().count() as u64;
        if before > self.made {
            self.made = before;
            return Ok(());
        }
        let spec = TaskSpec {
            title: format!("task {}", self.made),
            key: format!("key-{}", self.made),
            ..TaskSpec::default()
        };
        self.submit(
            index,
            Input::CreateTask {
                spec: Box::new(spec),
            },
        )?;
        if let Some(lead) = &self.controllers[index].lead {
            self.made = self.made.max(lead.board.tasks().count() as u64);
        }
        Ok(())
    }

    fn wake_parts(&mut self, index: usize) -> Step {
        for part in BoardController::ALL {
            for _ in 0..20 {
                let Some(lead) = &self.controllers[index].lead else {
                    return Ok(());
                };
                let now = self.now.max(lead.board.now());
                if lead.board.next_wake_of(part).is_none_or(|at| at > now) {
                    break;
                }
                self.submit(index, Input::Wake { part })?;
            }
        }
        Ok(())
    }

    fn do_todo(&mut self, index: usize) -> Step {
        let now = self.now;
        if let Some(lead) = &mut self.controllers[index].lead {
            let names: Vec<ProcessName> = lead
                .board
                .processes()
                .iter()
                .map(|process| process.name)
                .collect();
            for name in names {
                if lead.board.is_up(name) {
                    lead.board.note_alive(name, now);
                }
            }
        }
        loop {
            let Some(lead) = &mut self.controllers[index].lead else {
                return Ok(());
            };
            let due = lead.todo.iter().position(|(at, _)| *at <= now);
            let Some((_, input)) = due.and_then(|place| lead.todo.remove(place)) else {
                return Ok(());
            };
            self.submit(index, input)?;
        }
    }

    fn submit(&mut self, index: usize, input: Input) -> Step {
        let name = self.controllers[index].name.clone();
        let Some(lead) = &self.controllers[index].lead else {
            return Ok(());
        };
        if lead.broken {
            return Ok(());
        }
        let now = self.now.max(lead.board.now());
        let Ok(decision) = lead.board.handle(&input, now) else {
            return Ok(());
        };
        if !decision.events.is_empty() {
            match self.append(index, &name, &decision.events) {
                Ok(true) => {}
                Ok(false) => {
                    let stays = self.is(Bug::BrokenLeadsOn);
                    match &mut self.controllers[index].lead {
                        Some(lead) if stays => lead.broken = true,
                        _ => self.step_down(index),
                    }
                    return Ok(());
                }
                Err(why) => return Err(why),
            }
        }
        for event in &decision.events {
            if let EventKind::Task(TaskEvent::Done { task, commit }) = &event.what {
                let known = self.record.merged.insert(task.0, commit.clone());
                if known.is_some_and(|known| known != *commit) {
                    return Err(format!("{task} was merged twice"));
                }
                if !self.record.branch.contains(commit) {
                    return Err(format!("{task} is done, and {commit} is not on the branch"));
                }
            }
            if let Some(lead) = &mut self.controllers[index].lead {
                lead.board.apply(event);
            }
        }
        for effect in decision.effects {
            self.perform(index, effect);
        }
        Ok(())
    }

    /// Appends a batch; answers with false where this controller must not go on.
    fn append(
        &mut self,
        index: usize,
        name: &str,
        events: &[tos::domain::board::Event],
    ) -> Result<bool, String> {
        let Some(lead) = &self.controllers[index].lead else {
            return Ok(false);
        };
        let life = self.controllers[index].life;
        let (last, first) = (lead.last, lead.events + 1);
        let writer = format!("{name}.{life}");
        let (now, mut tries) = (self.now, 0);
        let id = batch_id(&writer, first, last as u64, 1);
        let expected = (!self.is(Bug::NothingExpected)).then_some(last);
        loop {
            tries += 1;
            let id = if self.is(Bug::NoIds) {
                format!("{id}.{tries}")
            } else {
                id.clone()
            };
            let expected = expected.filter(|_| !(self.is(Bug::NoIds) && tries > 1));
            let sent = self
                .server
                .ask(name, now + Time::from(tries) * 700, |server| {
                    server.append(now, expected, &id, events)
                });
            let at = match sent {
                Ok(Appended::At(at)) => at,
                Ok(Appended::WrongLast) => {
                    let found = self.server.log.get(last).map(|(id, _)| id.as_str());
                    match refused(&id, found) {
                        Refused::Ours => last + 1,
                        Refused::Deposed if self.is(Bug::DeposedGoesOn) => last + 1,
                        Refused::Deposed => {
                            self.deposed += 1;
                            return Ok(false);
                        }
                    }
                }
                Ok(Appended::Refused) | Err(Lost) if tries < TRIES => continue,
                Ok(Appended::Refused) | Err(Lost) => return Ok(false),
            };
            if let Some(lead) = &mut self.controllers[index].lead {
                (lead.last, lead.events) = (at, lead.events + events.len() as u64);
            }
            return self.check_log(index, events);
        }
    }

    /// What a controller has taken in has to be what the log says.
    fn check_log(
        &self,
        index: usize,
        events: &[tos::domain::board::Event],
    ) -> Result<bool, String> {
        let Some(lead) = &self.controllers[index].lead else {
            return Ok(false);
        };
        let total: u64 = self.server.log[..lead.last.min(self.server.log.len())]
            .iter()
            .map(|(_, batch)| batch.len() as u64)
            .sum();
        let stands = lead
            .last
            .checked_sub(1)
            .and_then(|place| self.server.log.get(place));
        if total != lead.events || stands.is_none_or(|(_, batch)| batch != events) {
            return Err(format!(
                "{} counts {} events, and the log holds {total} up to there",
                self.controllers[index].name, lead.events
            ));
        }
        Ok(true)
    }

    fn later(&mut self, index: usize, delay: Time, input: Input) {
        let at = self.now + delay;
        if let Some(lead) = &mut self.controllers[index].lead {
            lead.todo.push_back((at, input));
        }
    }

    fn perform(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::StartProcess {
                name, generation, ..
            } => self.later(index, 20, Input::ProcessUp { name, generation }),
            Effect::StartRun {
                run, task, fence, ..
            } => {
                let order = Order {
                    fence: fence.0,
                    run,
                    task,
                };
                self.hand_out(index, order);
            }
            Effect::StopRun { fence, .. } => self.take_back(index, fence),
            Effect::StartJudgement {
                judgement,
                task,
                fence,
                ..
            } => {
                let base = self.record.branch.last().cloned().unwrap_or_default();
                let base = self.controllers[index]
                    .lead
                    .as_ref()
                    .and_then(|lead| lead.board.judge_base_commit(task).map(str::to_owned))
                    .unwrap_or(base);
                let verdict = Verdict::Approve {
                    commit: format!("m{}@{base}", fence.0),
                    base,
                    notes: Vec::new(),
                };
                let finish = Input::FinishJudgement {
                    judgement,
                    fence,
                    verdict,
                };
                self.later(index, 500, finish);
            }
            Effect::Publish { merge, fence } => {
                let found = self.controllers[index]
                    .lead
                    .as_ref()
                    .and_then(|lead| lead.board.merge(merge).cloned());
                let Some(found) = found else {
                    return;
                };
                let tip = self.record.branch.last().cloned().unwrap_or_default();
                let outcome = if self.record.branch.contains(&found.commit) {
                    MergeOutcome::Merged
                } else if tip == found.base {
                    self.record.branch.push(found.commit);
                    MergeOutcome::Merged
                } else {
                    MergeOutcome::BaseMoved { now: tip }
                };
                let finish = Input::FinishMerge {
                    merge,
                    fence,
                    outcome,
                };
                self.later(index, 100, finish);
            }
            _ => {}
        }
    }

    fn hand_out(&mut self, index: usize, order: Order) {
        let (name, now) = (self.controllers[index].name.clone(), self.now);
        if let Some(lead) = &mut self.controllers[index].lead
            && let Some(early) = lead.early.remove(&order.fence)
        {
            self.adopted += 1;
            self.later(index, 0, finished(early));
            return;
        }
        let id = format!("order.{}", order.fence);
        let mut sent = Err(Lost);
        for tries in 0..TRIES {
            sent = self
                .server
                .ask(&name, now + Time::from(tries) * 700, |server| {
                    server.orders.put(&id, order.clone());
                });
            if sent.is_ok() {
                break;
            }
        }
        if let Some(lead) = &mut self.controllers[index].lead {
            let is_inherited = lead.inherited.contains(&order.fence);
            self.adopted += u64::from(is_inherited);
            let wait = (order.clone(), ClaimHolder::of_somebody(is_inherited), now);
            lead.waiting.insert(order.fence, wait);
        }
        if sent.is_err() {
            self.fail(index, &order, "it could not be handed out");
        }
    }

    fn fail(&mut self, index: usize, order: &Order, why: &str) {
        if let Some(lead) = &mut self.controllers[index].lead {
            lead.waiting.remove(&order.fence);
        }
        let outcome = RunOutcome::Failed {
            failure: FailureKind::Flaky,
            reasons: vec![why.to_owned()],
            signature: format!("{why} {}", order.fence),
            kept: None,
        };
        let finish = Input::FinishRun {
            run: order.run,
            fence: Fence(order.fence),
            outcome,
            log: String::new(),
        };
        self.later(index, 0, finish);
    }

    /// Takes an order back: whoever has its claim works on it; where that is the controller, nobody does.
    fn take_back(&mut self, index: usize, fence: Fence) {
        let (name, now) = (self.controllers[index].name.clone(), self.now);
        let id = format!("order.{}", fence.0);
        let _ = (self
            .server
            .ask(&name, now, |server| server.orders.remove(&id)),);
        for worker in &mut self.workers {
            if let Some(job) = &mut worker.job
                && job.order.fence == fence.0
                && !self.chance.percent(20)
            {
                job.stopped = true;
            }
        }
        let only_looks = self.is(Bug::TakenBackByLooking);
        let own = format!("the controller {name} {now}");
        let asked = self.server.ask(&name, now, |server| {
            if only_looks {
                !server.is_claimed(fence.0)
            } else {
                server.claim(fence.0, &own)
            }
        });
        if asked == Ok(true) {
            self.record.taken_back.insert(fence.0);
            if let Some(lead) = &mut self.controllers[index].lead {
                lead.waiting.remove(&fence.0);
            }
        }
    }

    fn take_results(&mut self, index: usize) -> Step {
        let (name, now) = (self.controllers[index].name.clone(), self.now);
        for _ in 0..8 {
            if self.controllers[index].lead.is_none() || now < self.controllers[index].polls {
                return Ok(());
            }
            let asked = self
                .server
                .ask(&name, now, |server| server.results.take(now, LEASE));
            let Ok(found) = asked else {
                // A question that is lost is asked again after a while.
                self.controllers[index].polls = now + 5 * SECOND;
                return Ok(());
            };
            let Some((id, result)) = found else {
                return Ok(());
            };
            let Some(lead) = &mut self.controllers[index].lead else {
                return Ok(());
            };
            if lead.waiting.remove(&result.fence).is_some() {
                self.submit(index, finished(result))?;
            } else if lead.inherited.contains(&result.fence) {
                lead.early.insert(result.fence, result);
            }
            drop(
                self.server
                    .ask(&name, now, |server| server.results.remove(&id)),
            );
        }
        Ok(())
    }

    fn look(&mut self, index: usize) -> Step {
        let (name, now) = (self.controllers[index].name.clone(), self.now);
        let Some(lead) = &self.controllers[index].lead else {
            return Ok(());
        };
        let due = lead.waiting.iter().filter(|(_, wait)| wait.2 <= now);
        let due: Vec<u64> = due.map(|(fence, _)| *fence).collect();
        for fence in due {
            let asked = self
                .server
                .ask(&name, now, |server| server.holder(fence, now));
            let deaf = self.is(Bug::NobodyIsEverGone);
            let Some(lead) = &mut self.controllers[index].lead else {
                return Ok(());
            };
            let Some((order, holder, next)) = lead.waiting.get_mut(&fence) else {
                continue;
            };
            *next = now + HEARTBEAT_INTERVAL;
            let order = order.clone();
            let gone = asked.ok().and_then(|seen| holder.seen(seen));
            if gone.is_some() && !deaf {
                self.fail(index, &order, "the worker is gone");
            } else {
                let renew = Input::RenewRun {
                    run: order.run,
                    fence: Fence(fence),
                };
                self.submit(index, renew)?;
            }
        }
        Ok(())
    }

    // ---- workers

    fn work(&mut self, index: usize) -> Step {
        if self.now < self.workers[index].wakes || self.workers[index].hangs {
            return Ok(());
        }
        if self.workers[index].job.is_some() {
            self.go_on(index);
            return Ok(());
        }
        if let Some((message, order)) = self.workers[index].given.take() {
            return self.claim(index, message, order);
        }
        self.ask_for_work(index);
        Ok(())
    }

    fn ask_for_work(&mut self, index: usize) {
        let (name, now) = (self.workers[index].name.clone(), self.now);
        let asked = self
            .server
            .ask(&name, now, |server| server.orders.take(now, LEASE));
        let Ok(found) = asked else {
            if self.is(Bug::NoPatience) && self.chance.percent(5) {
                self.workers[index].hangs = true;
            }
            self.workers[index].wakes = now + 5 * SECOND;
            return;
        };
        let Some((message, order)) = found else {
            return;
        };
        // Somebody may be frozen between the question and the claim.
        if self.server.faults && self.chance.percent(8) {
            self.workers[index].wakes = now + self.chance.below(2 * LEASE);
        }
        self.workers[index].given = Some((message, order));
    }

    fn claim(&mut self, index: usize, message: String, order: Order) -> Step {
        let (name, now) = (self.workers[index].name.clone(), self.now);
        let own = format!("{name} {} {now}", self.workers[index].life);
        let mut claimed = Err(Lost);
        for tries in 0..TRIES {
            claimed = self
                .server
                .ask(&name, now + Time::from(tries) * 700, |server| {
                    server.claim(order.fence, &own)
                });
            if claimed.is_ok() {
                break;
            }
        }
        let Ok(has_claim) = claimed else {
            return Ok(());
        };
        let heard = self
            .server
            .ask(&name, now, |server| server.holder(order.fence, now));
        let Ok(heard) = heard else {
            return Ok(());
        };
        let has_claim = has_claim
            || self.is(Bug::ClaimIgnored)
            || (self.is(Bug::BegunAgain) && heard.is_none());
        match delivered(has_claim, has_claim || heard.is_some()) {
            Delivery::Leave => Ok(()),
            Delivery::ReportLost => {
                let outcome = RunOutcome::Failed {
                    failure: FailureKind::Flaky,
                    reasons: vec!["the worker that took it is gone".to_owned()],
                    signature: order.fence.to_string(),
                    kept: None,
                };
                if self.report(index, &order, outcome) {
                    let gone = self
                        .server
                        .ask(&name, now, |server| server.orders.remove(&message));
                    drop(gone);
                }
                Ok(())
            }
            Delivery::Begin => self.begin(index, &own, message, order),
        }
    }

    fn begin(&mut self, index: usize, own: &str, message: String, order: Order) -> Step {
        let (name, now) = (self.workers[index].name.clone(), self.now);
        if self.record.taken_back.contains(&order.fence) {
            return Err(format!(
                "{name} began {} after it was taken back",
                order.fence
            ));
        }
        let known = self.record.begun.insert(order.fence, own.to_owned());
        if let Some(known) = known.filter(|known| known != own) {
            return Err(format!("{} was begun by {known} and by {own}", order.fence));
        }
        drop(self.server.ask(&name, now, |server| {
            server.beat(order.fence, &name, now + LEASE);
        }));
        self.workers[index].job = Some(Job {
            order,
            message,
            ends: now + SECOND + self.chance.below(40 * SECOND),
            beats: now + HEARTBEAT_INTERVAL,
            stopped: false,
        });
        Ok(())
    }

    fn go_on(&mut self, index: usize) {
        let (name, now) = (self.workers[index].name.clone(), self.now);
        let Some(job) = &mut self.workers[index].job else {
            return;
        };
        let (order, message) = (job.order.clone(), job.message.clone());
        if now >= job.beats {
            job.beats = now + HEARTBEAT_INTERVAL;
            drop(self.server.ask(&name, now, |server| {
                server.beat(order.fence, &name, now + LEASE);
                server.orders.progress(&message, now + LEASE);
            }));
        }
        let Some(job) = &self.workers[index].job else {
            return;
        };
        if now < job.ends && !job.stopped {
            return;
        }
        let base = self.record.branch.last().cloned().unwrap_or_default();
        let outcome = if job.stopped {
            RunOutcome::Stopped
        } else {
            RunOutcome::Committed {
                kept: AttemptCommit {
                    commit: format!("c{}", order.fence),
                    reference: String::new(),
                    base,
                },
            }
        };
        let is_reported = self.report(index, &order, outcome);
        if is_reported {
            drop(
                self.server
                    .ask(&name, now, |server| server.orders.remove(&message)),
            );
        }
        self.workers[index].job = None;
    }

    fn report(&mut self, index: usize, order: &Order, outcome: RunOutcome) -> bool {
        let (name, now) = (self.workers[index].name.clone(), self.now);
        let id = format!("result.{}", order.fence);
        let result = Outcome {
            fence: order.fence,
            run: order.run,
            outcome,
        };
        let tries = TRIES;
        (0..tries).any(|tries| {
            let at = now + Time::from(tries) * 700;
            let sent = self.server.ask(&name, at, |server| {
                server.results.put(&id, result.clone());
            });
            sent.is_ok()
        })
    }

    pub(crate) fn summary(&self) -> String {
        format!(
            "{} tasks, {} batches, {} orders given ({} again), {} results given ({} again), {} kills, {} deposed, {} adopted",
            self.made,
            self.server.log.len(),
            self.server.orders.given,
            self.server.orders.given_again,
            self.server.results.given,
            self.server.results.given_again,
            self.kills,
            self.deposed,
            self.adopted
        )
    }
}

fn finished(result: Outcome) -> Input {
    Input::FinishRun {
        run: result.run,
        fence: Fence(result.fence),
        outcome: result.outcome,
        log: String::new(),
    }
}
