//! A board in memory: the real state machine, its real fold, events in a vector. Processes come up as soon as they are told
//! to, and end as soon as they are told to; agents do nothing, the tests report for them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use chrono::DateTime;
use tokio::sync::broadcast;
use tos::{
    config::gates,
    domain::{
        board::{
            AttemptCommit, Board, BoardResponse, Controller, Effect, Event, Input, KEYS, Millis,
            PlanProposal, ProcessExit, ProcessName, Refusal, RefusalCode, Run, RunId, RunOutcome,
            SessionInput, SessionItem, SessionSpec, TaskSpec, Verdict,
        },
        gates::{AutonomyAccount, GateContext, account},
        ledger::{LedgerEntry, LedgerRecord, RecordMetadata},
    },
    ports::{
        BoxFuture,
        board::{
            BoardError, ClearedLogs, ConfigEntry, EventFeed, FeedUpdate, HistoryEntry, HistoryKind,
            LogChunk, LogSource, LogState, OrphanCleanup, ProcessLogLine, ReadinessCheck,
            SequencedEvent, ServiceBackend, SubmitError, WebhookAnswer, WebhookDelivery,
        },
    },
};

#[derive(Default)]
struct Inner {
    board: Arc<Board>,
    events: Vec<Event>,
    logs: BTreeMap<String, String>,
    secret: Option<String>,
    requirement: String,
    ledger: Vec<LedgerRecord>,
}

pub(crate) struct Memory {
    inner: Mutex<Inner>,
    news: broadcast::Sender<SequencedEvent>,
}

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        let memory = Self {
            inner: Mutex::default(),
            news: broadcast::channel(16).0,
        };
        Arc::new(memory)
    }

    /// Tells the board something and does what follows from it.
    pub(crate) fn tell(&self, input: &Input) -> Result<BoardResponse, Refusal> {
        let mut inner = self.inner.lock().unwrap();
        let answer = self.step(&mut inner, input)?;
        // Timers that are due, until none is.
        for _ in 0..10_000 {
            let now = clock();
            let due =
                |part: &Controller| inner.board.next_wake_of(*part).is_some_and(|at| at <= now);
            let Some(part) = Controller::ALL.into_iter().find(due) else {
                break;
            };
            self.step(&mut inner, &Input::Wake { part }).unwrap();
        }
        Ok(answer)
    }

    fn step(&self, inner: &mut Inner, input: &Input) -> Result<BoardResponse, Refusal> {
        let mut answer = None;
        let mut inputs = VecDeque::from([input.clone()]);
        while let Some(input) = inputs.pop_front() {
            let decided = inner.board.handle(&input, clock());
            let decision = match decided {
                Ok(decision) => decision,
                Err(refusal) if answer.is_none() => return Err(refusal),
                Err(_) => continue,
            };
            for event in decision.events {
                Arc::make_mut(&mut inner.board).apply(&event);
                inner.events.push(event.clone());
                let seq = inner.events.len() as u64;
                let event = Arc::new(event);
                drop(self.news.send(SequencedEvent { seq, event }));
            }
            for effect in decision.effects {
                match effect {
                    Effect::StartProcess {
                        name, generation, ..
                    } => inputs.push_back(Input::ProcessUp { name, generation }),
                    Effect::StopProcess { name, generation } => {
                        let exit = ProcessExit {
                            ok: true,
                            detail: "ended".into(),
                        };
                        inputs.push_back(Input::ProcessExited {
                            name,
                            generation,
                            exit,
                        });
                    }
                    _ => {}
                }
            }
            answer.get_or_insert(decision.answer);
        }
        Ok(answer.unwrap_or_default())
    }

    /// Starts all that should run.
    pub(crate) fn start_everything(&self) {
        for name in self.snapshot().settings().expected_processes() {
            let start = Input::StartProcess {
                name: name.to_string(),
                requirement: None,
                by: "test".into(),
            };
            self.tell(&start).unwrap();
        }
    }

    pub(crate) fn live_run(&self) -> Run {
        self.snapshot().live_runs().next().expect("a run").clone()
    }

    /// Reports for the agent at work that it left a commit.
    pub(crate) fn commit(&self) -> RunId {
        let run = self.live_run();
        let kept = AttemptCommit {
            commit: "c0ffee00".repeat(5),
            reference: format!("refs/tos/attempts/{}", run.id.0),
            base: "ba5e".repeat(10),
        };
        self.write_log(&format!("run {}", run.id.0), "reading\nwriting\ndone\n");
        let finish = Input::FinishRun {
            run: run.id,
            fence: run.lease.fence,
            outcome: RunOutcome::Committed { kept },
            log: format!(".tos/logs/run-{}.log", run.id.0),
        };
        self.tell(&finish).unwrap();
        run.id
    }

    /// Reports for the judge at work.
    pub(crate) fn judge(&self, verdict: Verdict) {
        let board = self.snapshot();
        let judgement = board.live_judgements().next().expect("a judgement").clone();
        let finish = Input::FinishJudgement {
            judgement: judgement.id,
            fence: judgement.lease.fence,
            verdict,
        };
        self.tell(&finish).unwrap();
    }

    /// Asks a person for the agent at work.
    pub(crate) fn ask(&self, action: &str) {
        let run = self.live_run();
        let ask = Input::Ask {
            run: run.id,
            fence: run.lease.fence,
            action: action.into(),
        };
        self.tell(&ask).unwrap();
    }

    /// Plays the planner: names these tasks.
    pub(crate) fn propose(&self, titles: &[&str]) {
        let board = self.snapshot();
        let plan = board.plans().next_back().expect("a plan").id;
        let planner = board.process(ProcessName::Planner).expect("a planner");
        let tasks = titles.iter().map(|title| TaskSpec {
            title: (*title).to_owned(),
            goal: "do it".to_owned(),
            paths: vec!["src/**".to_owned()],
            ..TaskSpec::default()
        });
        let propose = Input::Propose {
            plan,
            generation: planner.generation,
            proposal: PlanProposal {
                maker: "model".to_owned(),
                tasks: tasks.collect(),
                nothing_left: String::new(),
            },
        };
        self.tell(&propose).expect("a proposal");
    }

    pub(crate) fn write_log(&self, name: &str, text: &str) {
        let mut inner = self.inner.lock().unwrap();
        inner.logs.entry(name.into()).or_default().push_str(text);
    }

    /// Puts something on record, as a person did.
    pub(crate) fn record(&self, entry: LedgerEntry) {
        let mut inner = self.inner.lock().unwrap();
        let seq = inner.ledger.len() as u64;
        inner.ledger.push(LedgerRecord {
            v: 1,
            seq,
            prev: String::new(),
            stamp: RecordMetadata {
                at: DateTime::UNIX_EPOCH.fixed_offset(),
                boottime_ms: 0,
                boot_id: String::new(),
                actor: "eva".into(),
                tool: "0.4.0".into(),
                policy: "p".into(),
                gates: "g".into(),
                session: None,
            },
            entry,
        });
    }

    pub(crate) fn secret(&self) -> Option<String> {
        self.inner.lock().unwrap().secret.clone()
    }
}

fn clock() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or(Duration::ZERO).as_millis()).unwrap()
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(async { value })
}

struct Feed(broadcast::Receiver<SequencedEvent>);

impl EventFeed for Feed {
    fn next(&mut self) -> BoxFuture<'_, FeedUpdate> {
        Box::pin(async {
            match self.0.recv().await {
                Ok(notice) => FeedUpdate::Event(Box::new(notice)),
                Err(broadcast::error::RecvError::Lagged(_)) => FeedUpdate::Missed,
                Err(broadcast::error::RecvError::Closed) => FeedUpdate::End,
            }
        })
    }
}

impl ServiceBackend for Memory {
    fn now(&self) -> Millis {
        clock()
    }

    fn submit(&self, input: Input) -> BoxFuture<'_, Result<BoardResponse, SubmitError>> {
        ready(self.tell(&input).map_err(SubmitError::from))
    }

    fn open_session(&self, run: String) -> BoxFuture<'_, Result<BoardResponse, SubmitError>> {
        if !run.starts_with("r1") {
            let refusal = Refusal::new(RefusalCode::NotFound, "no session is laid down", "");
            return ready(Err(refusal.into()));
        }
        let item = SessionItem {
            id: "T-1".into(),
            task: TaskSpec {
                title: "T-1: a goal".into(),
                ..TaskSpec::default()
            },
            seconds: 60,
            ..SessionItem::default()
        };
        let spec = Box::new(SessionSpec {
            list: format!("list of {run}"),
            run,
            kind: "night".into(),
            items: vec![item],
            ..SessionSpec::default()
        });
        let started = self.tell(&Input::Session(SessionInput::Start { spec }));
        ready(started.map_err(SubmitError::from))
    }

    fn snapshot(&self) -> Arc<Board> {
        Arc::clone(&self.inner.lock().unwrap().board)
    }

    fn last_event(&self) -> u64 {
        self.inner.lock().unwrap().events.len() as u64
    }

    fn subscribe(&self) -> Box<dyn EventFeed> {
        Box::new(Feed(self.news.subscribe()))
    }

    fn events_after(
        &self,
        seq: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<SequencedEvent>, BoardError>> {
        let inner = self.inner.lock().unwrap();
        let numbered = inner.events.iter().zip(1..);
        let events = numbered
            .skip(usize::try_from(seq).unwrap_or(usize::MAX))
            .take(limit)
            .map(|(event, seq)| SequencedEvent {
                seq,
                event: Arc::new(event.clone()),
            });
        ready(Ok(events.collect()))
    }

    fn log(
        &self,
        source: LogSource,
        offset: Option<u64>,
        limit: u64,
    ) -> BoxFuture<'_, Result<LogChunk, BoardError>> {
        let name = match source {
            LogSource::Run(id) => format!("run {}", id.0),
            LogSource::Process(name) => name.to_string(),
            LogSource::Session(id) => id.to_string(),
        };
        let inner = self.inner.lock().unwrap();
        let Some(log) = inner.logs.get(&name) else {
            return ready(Err(BoardError::NotFound(format!("no log of {name}"))));
        };
        let total = log.len() as u64;
        let from = offset.unwrap_or(total.saturating_sub(limit)).min(total);
        let to = total.min(from + limit);
        let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
        ready(Ok(LogChunk {
            text: log[range].to_owned(),
            offset: from,
            next: to,
            total,
            state: LogState::Growing,
        }))
    }

    fn logs_of_all(
        &self,
        _since: Millis,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ProcessLogLine>, BoardError>> {
        let inner = self.inner.lock().unwrap();
        let mut lines = Vec::new();
        for (name, log) in inner.logs.iter().filter(|(name, _)| !name.contains(' ')) {
            for (text, number) in log.lines().zip(1..) {
                lines.push(ProcessLogLine {
                    at: 1_700_000_000_000 + number,
                    source: name.clone(),
                    number,
                    text: text.to_owned(),
                });
            }
        }
        lines.sort_by_key(|line| line.at);
        let from = lines.len().saturating_sub(limit);
        ready(Ok(lines.split_off(from)))
    }

    fn clear_logs(&self) -> BoxFuture<'_, Result<ClearedLogs, BoardError>> {
        let mut inner = self.inner.lock().unwrap();
        let removed = inner.logs.len();
        inner.logs.clear();
        ready(Ok(ClearedLogs {
            removed,
            ..ClearedLogs::default()
        }))
    }

    fn diff(&self, run: RunId) -> BoxFuture<'_, Result<String, BoardError>> {
        ready(Ok(format!(
            "diff --git a/src/a.rs b/src/a.rs\n--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,2 +1,2 @@\n-old <b>{run}</b>\n+new\n same\n"
        )))
    }

    fn configuration(&self) -> BoxFuture<'_, Result<Vec<ConfigEntry>, BoardError>> {
        let inner = self.inner.lock().unwrap();
        let settings = inner.board.settings();
        let mut entries: Vec<ConfigEntry> = KEYS
            .iter()
            .map(|key| ConfigEntry {
                name: key.name.into(),
                value: settings.get(key.name),
                is_secret: false,
                is_set: true,
                origin: "board".into(),
                meaning: key.meaning.into(),
                restart: settings.processes_to_restart(key.impact),
            })
            .collect();
        entries.push(ConfigEntry {
            name: "GITHUB_TOKEN".into(),
            // Wrong on purpose: the API must not hand on what a port says too much.
            value: inner.secret.clone(),
            is_secret: true,
            is_set: inner.secret.is_some(),
            origin: "file".into(),
            meaning: "for issues and pull requests".into(),
            restart: Vec::new(),
        });
        ready(Ok(entries))
    }

    fn configure(
        &self,
        changes: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Vec<ProcessName>, BoardError>> {
        let mut settings = self.snapshot().settings().clone();
        let mut secret = None;
        for (name, value) in changes {
            if name == "GITHUB_TOKEN" {
                secret = Some(value);
            } else if let Err(fault) = settings.set(&name, &value) {
                return ready(Err(BoardError::Invalid(fault)));
            }
        }
        let settings = Box::new(settings);
        let answer = self.tell(&Input::Configure { settings });
        if secret.is_some() {
            self.inner.lock().unwrap().secret = secret;
        }
        ready(match answer {
            Ok(BoardResponse::Restart { processes }) => Ok(processes),
            Ok(_) => Ok(Vec::new()),
            Err(refusal) => Err(BoardError::Unavailable(refusal.reason)),
        })
    }

    fn requirement(&self) -> BoxFuture<'_, Result<String, BoardError>> {
        ready(Ok(self.inner.lock().unwrap().requirement.clone()))
    }

    fn write_requirement(&self, text: String) -> BoxFuture<'_, Result<(), BoardError>> {
        self.inner.lock().unwrap().requirement = text;
        ready(Ok(()))
    }

    fn archive(&self) -> BoxFuture<'_, Result<String, BoardError>> {
        ready(Ok(".tos/board-archive/1.jsonl".to_owned()))
    }

    fn end_orphans(&self) -> BoxFuture<'_, Result<OrphanCleanup, BoardError>> {
        ready(Ok(OrphanCleanup::default()))
    }

    fn past(&self, kind: HistoryKind) -> BoxFuture<'_, Result<Vec<HistoryEntry>, BoardError>> {
        let work = HistoryEntry {
            id: "2026-11-28-2200".into(),
            title: "7 tasks".into(),
            status: "all tasks tried".into(),
            at: Some(1_764_370_800_000),
            facts: vec![("accepted".into(), "5".into())],
            text: "the report".into(),
        };
        ready(Ok(if kind == HistoryKind::PlanRuns {
            Vec::new()
        } else {
            vec![work]
        }))
    }

    fn autonomy(&self) -> BoxFuture<'_, Result<AutonomyAccount, BoardError>> {
        let gates = gates::parse(include_str!("../../config/gates.toml"), "gates").unwrap();
        let here = GateContext {
            at: DateTime::UNIX_EPOCH.fixed_offset(),
            tool: "0.4.0".into(),
            policy: "p".into(),
            gates: "g".into(),
            agent_version: None,
            backend: None,
        };
        let records = self.inner.lock().unwrap().ledger.clone();
        ready(Ok(account(&gates, &records, &here)))
    }

    fn deliver(
        &self,
        delivery: WebhookDelivery,
    ) -> BoxFuture<'_, Result<WebhookAnswer, BoardError>> {
        let answer = match delivery.signature.as_str() {
            "sha256=good" => WebhookAnswer::Done(format!("{} came", delivery.event)),
            "sha256=again" => WebhookAnswer::Again,
            "sha256=slow" => WebhookAnswer::UnderWay,
            "sha256=off" => WebhookAnswer::Off,
            _ => WebhookAnswer::Unsigned,
        };
        ready(Ok(answer))
    }

    fn readiness(&self) -> BoxFuture<'_, Vec<ReadinessCheck>> {
        ready(vec![ReadinessCheck {
            name: "database".into(),
            ok: true,
            detail: String::new(),
        }])
    }
}
