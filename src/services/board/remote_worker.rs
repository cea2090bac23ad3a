//! Runs on other machines, the worker's side: orders are taken, each is made as a guarded attempt, and reported.
//!
//! A worker that serves several boards asks them in turn, so that each gets its share however much lies in the others. When it is
//! asked to stop it takes nothing new and ends what it has; after a while it ends that at once.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};

use super::{AttemptServices, threads::spawn_thread, worker};
use crate::{
    domain::{
        cluster::{ANNOUNCE_INTERVAL, WorkOrder, WorkResult, WorkerInfo, round_robin},
        ledger::{
            LedgerEntry,
            chain::{ChainAnchor, VerifiedLedger},
        },
    },
    ports::{
        cluster::{ClaimedOrder, Error, LineSink, OrderQueue},
        ledger::{Error as LedgerError, Ledger},
        process_logs::ProcessLogs,
    },
    services::tasks::SessionPorts,
    services::worker_end::{Question, WorkerEnd, answer},
};

/// How long a worker rests after the server did not answer.
const REST: Duration = Duration::from_secs(2);

/// How long one question for work waits where one board alone is served. One that a server took along when it died is asked again soon after that.
const ASK: Duration = Duration::from_secs(5);
/// How long it waits where several boards are asked in turn.
const SHORT: Duration = Duration::from_secs(1);

/// The records of an attempt on a worker: they belong into the ledger of the controller, which alone is vouched for by the
/// commits of its repository. So none is read here, and no commit names one.
#[derive(Default)]
struct RecordsToSend(Mutex<Vec<(Option<String>, LedgerEntry)>>);

impl RecordsToSend {
    fn take(&self) -> Vec<(Option<String>, LedgerEntry)> {
        self.0
            .lock()
            .map(|mut kept| std::mem::take(&mut *kept))
            .unwrap_or_default()
    }
}

impl Ledger for RecordsToSend {
    fn read(&self) -> Result<VerifiedLedger, LedgerError> {
        Ok(VerifiedLedger::default())
    }

    fn append(
        &self,
        session: Option<&str>,
        entry: LedgerEntry,
    ) -> Result<ChainAnchor, LedgerError> {
        let mut seq = 0;
        if let Ok(mut kept) = self.0.lock() {
            kept.push((session.map(str::to_owned), entry));
            seq = kept.len() as u64;
        }
        Ok(ChainAnchor {
            seq,
            hash: String::new(),
        })
    }

    fn acknowledge(&self, _reason: &str) -> Result<ChainAnchor, LedgerError> {
        Ok(ChainAnchor {
            seq: 0,
            hash: String::new(),
        })
    }

    fn place(&self) -> String {
        "the ledger of the controller".to_owned()
    }
}

/// The logs of an attempt: they are kept here, and shown to whoever looks on at the controller.
struct LogsForBoth {
    own: Arc<dyn ProcessLogs>,
    lines: LineSink,
}

impl ProcessLogs for LogsForBoth {
    fn line(&self, process: &str, text: &str) {
        (self.lines)(text);
        self.own.line(process, text);
    }

    fn tail(&self, process: &str, most: usize) -> Vec<String> {
        self.own.tail(process, most)
    }

    fn names(&self) -> Vec<String> {
        self.own.names()
    }

    fn clear(&self, up: &[String]) -> (usize, usize) {
        self.own.clear(up)
    }
}

/// The queues of the boards that a worker serves.
struct Boards {
    queues: Vec<Arc<dyn OrderQueue>>,
    /// Which board gave something last.
    last: AtomicUsize,
}

impl Boards {
    /// Waits for the next order of any board: first whatever lies there, then a while at each.
    async fn next(&self) -> Result<Box<dyn ClaimedOrder>, Error> {
        let count = self.queues.len();
        let wait = if count == 1 { ASK } else { SHORT };
        loop {
            let (mut failed, mut asked) = (None, 0);
            for wait in [Duration::ZERO, wait] {
                for index in round_robin(count, self.last.load(Ordering::Relaxed)) {
                    let Some(queue) = self.queues.get(index) else {
                        continue;
                    };
                    match queue.poll(wait).await {
                        Ok(Some(taken)) => {
                            self.last.store(index, Ordering::Relaxed);
                            return Ok(taken);
                        }
                        Ok(None) => asked += 1,
                        Err(error) => failed = Some(error),
                    }
                }
            }
            match failed {
                // Nobody answers; whoever waits may say so.
                Some(error) if asked == 0 => return Err(error),
                Some(error) => tracing::warn!("no work can be asked for: {error}"),
                None => {}
            }
        }
    }

    async fn announce(&self, card: &WorkerInfo) {
        for queue in &self.queues {
            if let Err(error) = queue.announce(card.clone()).await {
                tracing::warn!("{error}");
            }
        }
    }
}

/// Takes orders and makes them, as many at a time as the worker has slots, until a stop is asked for; what runs then may go on
/// for `drain`, or until a second stop.
pub async fn serve_orders(
    queues: Vec<Arc<dyn OrderQueue>>,
    context: Arc<AttemptServices>,
    card: WorkerInfo,
    mut stop: watch::Receiver<u8>,
    drain: Duration,
) {
    let boards = Arc::new(Boards {
        queues,
        last: AtomicUsize::new(0),
    });
    let mut running: JoinSet<u64> = JoinSet::new();
    let mut busy = BTreeSet::new();
    let slots = usize::from(card.slots.max(1));
    let (mut ending, ended) = WorkerEnd::new(drain);
    // A question for work is asked to its end: what was delivered must not be dropped on the way.
    let mut asked: Option<Asked> = None;
    loop {
        let how = *stop.borrow();
        let is_ending = ending.look(how);
        let told = WorkerInfo {
            busy: busy.clone(),
            draining: is_ending,
            ..card.clone()
        };
        boards.announce(&told).await;
        if is_ending && running.is_empty() {
            return;
        }
        if asked.is_none() && running.len() < slots && !is_ending {
            let boards = Arc::clone(&boards);
            asked = Some(Box::pin(async move { boards.next().await }));
        }
        tokio::select! {
            taken = answer(&mut asked), if !is_ending => {
                asked = None;
                match taken {
                    Ok(taken) => {
                        let fence = taken.order().fence.0;
                        busy.insert(fence);
                        let made = made(Arc::clone(&context), taken, card.name.clone(), ended.clone());
                        running.spawn(async move {
                            made.await;
                            fence
                        });
                    }
                    Err(error) => {
                        tracing::warn!("no work can be asked for: {error}");
                        tokio::time::sleep(REST).await;
                    }
                }
            }
            Some(ended) = running.join_next(), if !running.is_empty() => {
                if let Ok(fence) = ended {
                    busy.remove(&fence);
                }
            }
            changed = stop.changed(), if how < 2 => {
                if changed.is_err() {
                    return;
                }
            }
            () = ending.deadline() => {}
            () = tokio::time::sleep(ANNOUNCE_INTERVAL) => {}
        }
    }
}

/// A question for work under way.
type Asked = Question<Result<Box<dyn ClaimedOrder>, Error>>;

/// Returns what an order is worked on with: what it brings, and what this machine has.
fn context_of(
    own: &AttemptServices,
    order: &WorkOrder,
    records: &Arc<RecordsToSend>,
    logs: Arc<dyn ProcessLogs>,
) -> AttemptServices {
    AttemptServices {
        tools: SessionPorts {
            ledger: Arc::<RecordsToSend>::clone(records),
            ..own.tools.clone()
        },
        logs,
        instance: order.instance.clone(),
        list: order.list.clone(),
        agents: order.agents.clone(),
        test_command: order.test_command.clone(),
        start: crate::domain::ledger::SessionStart {
            backend: own.start.backend.clone(),
            capabilities: own.start.capabilities.clone(),
            pid: own.start.pid,
            ..order.start.clone()
        },
        ..own.clone()
    }
}

/// Makes one attempt and reports it. When the worker may wait no longer, the attempt is ended.
async fn made(
    own: Arc<AttemptServices>,
    taken: Box<dyn ClaimedOrder>,
    worker: String,
    mut ending: watch::Receiver<bool>,
) {
    let order = taken.order().clone();
    own.logs.line(
        &worker,
        &format!(
            "{} begins under {}: {}",
            order.task.id, order.fence, order.task.spec.title
        ),
    );
    let mut asked = taken.stop();
    let (sender, stop) = watch::channel(0_u8);
    let records = Arc::new(RecordsToSend::default());
    let logs = Arc::new(LogsForBoth {
        own: Arc::clone(&own.logs),
        lines: taken.lines(),
    });
    let context = context_of(&own, &order, &records, logs);
    let (run, fence, name) = (order.run, order.fence, worker.clone());
    let order = worker::WorkerRequest {
        agent: worker.clone(),
        run: order.run,
        task: order.task,
        base: order.base,
        inside: order.inside,
        asker: Arc::clone(&own.tools.approvals),
        patience: 0,
    };
    let done = spawn_thread(worker::work(Arc::new(context), order, stop));
    let mut done = std::pin::pin!(done);
    let finished = loop {
        tokio::select! {
            finished = &mut done => break finished,
            Some(how) = asked.next() => {
                sender.send_replace(how);
            }
            Ok(()) = ending.changed() => {
                if *ending.borrow() {
                    sender.send_replace(1);
                }
            }
        }
    };
    let finished =
        finished.unwrap_or_else(|_| worker::not_begun("the worker's thread panicked".to_owned()));
    own.logs
        .line(&worker, &format!("{run} ended: {:?}", finished.outcome));
    let result = WorkResult {
        run,
        fence,
        worker: name,
        outcome: finished.outcome,
        spend: finished.spend,
        records: records.take(),
        bundle: String::new(),
        logs: String::new(),
    };
    if let Err(error) = taken.finish(result).await {
        own.logs
            .line(&worker, &format!("{run} could not be reported: {error}"));
        tracing::warn!("{error}");
    }
}
