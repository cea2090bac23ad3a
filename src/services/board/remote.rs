//! Runs on other machines: the controller hands an attempt out and waits; a worker makes it and reports.
//!
//! The lease stays with the controller, which renews it while the worker is heard of. A worker that is gone fails the run, and
//! the board gives the task out again under a new number; a late result under the old one counts for nothing.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};

use super::{AttemptContext, ServiceContext, threads::on_thread, worker};
use crate::{
    domain::{
        board::Fence,
        cluster::{PROTOCOL, WorkOrder, WorkResult, WorkerCard},
        ledger::{
            LedgerEntry,
            chain::{ChainAnchor, LedgerChain},
        },
    },
    ports::{
        BoxFuture,
        cluster::{Error, OrderQueue, StopFeed, TakenOrder},
        ledger::{Error as LedgerError, Ledger},
    },
    services::tasks::SessionPorts,
};

/// How often a worker says that it is there.
const ANNOUNCED: Duration = Duration::from_secs(10);
/// How long a worker rests after the server did not answer.
const REST: Duration = Duration::from_secs(2);

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
    fn read(&self) -> Result<LedgerChain, LedgerError> {
        Ok(LedgerChain::default())
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

/// What the board says of a run under way.
struct Halted(watch::Receiver<u8>);

impl StopFeed for Halted {
    fn next(&mut self) -> BoxFuture<'_, Option<u8>> {
        Box::pin(async {
            self.0.changed().await.ok()?;
            Some(*self.0.borrow())
        })
    }
}

/// Makes a run where it is to be made, and waits until there is an outcome.
pub(super) async fn work(
    context: Arc<ServiceContext>,
    order: worker::Order,
    fence: Fence,
    stop: watch::Receiver<u8>,
) -> worker::Finished {
    let Some(remote) = context.remote.clone() else {
        return worker::work(Arc::new(context.for_attempts()), order, stop).await;
    };
    let (logs, agent) = (Arc::clone(&context.logs), order.agent.clone());
    logs.line(&agent, &format!("{} waits for a worker", order.task.id));
    let order = WorkOrder {
        protocol: PROTOCOL,
        instance: context.instance.clone(),
        run: order.run,
        fence,
        agent: order.agent,
        task: order.task,
        base: order.base,
        inside: order.inside,
        list: context.list.clone(),
        agents: context.agents.clone(),
        test_command: context.test_command.clone(),
        start: context.start.clone(),
    };
    match remote.run(order, Box::new(Halted(stop))).await {
        Ok(result) => {
            for (session, entry) in result.records {
                if let Err(error) = context.tools.ledger.append(session.as_deref(), entry) {
                    return worker::not_begun(error.to_string());
                }
            }
            if !result.worker.is_empty() {
                logs.line(&agent, &format!("done by the worker {}", result.worker));
            }
            worker::Finished {
                outcome: result.outcome,
                spend: result.spend,
            }
        }
        Err(error) => worker::lost(error.0),
    }
}

/// Takes orders and makes them, as many at a time as the worker has slots, until a stop is asked for; what runs then is ended first.
pub async fn serve_orders(
    queue: Arc<dyn OrderQueue>,
    context: Arc<AttemptContext>,
    card: WorkerCard,
    mut stop: watch::Receiver<u8>,
) {
    let mut running: JoinSet<u64> = JoinSet::new();
    let mut busy = BTreeSet::new();
    let slots = usize::from(card.slots.max(1));
    // A question for work is asked to its end: what was delivered must not be dropped on the way.
    let mut asked: Option<Asked> = None;
    loop {
        let ending = *stop.borrow() > 0;
        let told = WorkerCard {
            busy: busy.clone(),
            draining: ending,
            ..card.clone()
        };
        if let Err(error) = queue.announce(told).await {
            tracing::warn!("{error}");
        }
        if ending && running.is_empty() {
            return;
        }
        if asked.is_none() && running.len() < slots && !ending {
            let queue = Arc::clone(&queue);
            asked = Some(Box::pin(async move { queue.next().await }));
        }
        tokio::select! {
            taken = next(&mut asked), if !ending => {
                asked = None;
                match taken {
                    Ok(taken) => {
                        let fence = taken.order().fence.0;
                        busy.insert(fence);
                        let made = made(Arc::clone(&context), taken, card.name.clone(), stop.clone());
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
            changed = stop.changed(), if !ending => {
                if changed.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep(ANNOUNCED) => {}
        }
    }
}

/// A question for work under way.
type Asked = BoxFuture<'static, Result<Box<dyn TakenOrder>, Error>>;

/// Waits for the answer to a question, for ever where none was asked.
async fn next(asked: &mut Option<Asked>) -> Result<Box<dyn TakenOrder>, Error> {
    match asked {
        Some(question) => question.await,
        None => std::future::pending().await,
    }
}

/// Returns what an order is worked on with: what it brings, and what this machine has.
fn context_of(
    own: &AttemptContext,
    order: &WorkOrder,
    records: &Arc<RecordsToSend>,
) -> AttemptContext {
    AttemptContext {
        tools: SessionPorts {
            ledger: Arc::<RecordsToSend>::clone(records),
            ..own.tools.clone()
        },
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

/// Makes one attempt and reports it. A second request to stop the worker ends the attempt.
async fn made(
    own: Arc<AttemptContext>,
    taken: Box<dyn TakenOrder>,
    worker: String,
    mut ending: watch::Receiver<u8>,
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
    let context = context_of(&own, &order, &records);
    let (run, fence, name) = (order.run, order.fence, worker.clone());
    let order = worker::Order {
        agent: worker.clone(),
        run: order.run,
        task: order.task,
        base: order.base,
        inside: order.inside,
        asker: Arc::clone(&own.tools.approvals),
        patience: 0,
    };
    let done = on_thread(worker::work(Arc::new(context), order, stop));
    let mut done = std::pin::pin!(done);
    let finished = loop {
        tokio::select! {
            finished = &mut done => break finished,
            Some(how) = asked.next() => {
                sender.send_replace(how);
            }
            Ok(()) = ending.changed() => {
                if *ending.borrow() > 1 {
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
    };
    if let Err(error) = taken.finish(result).await {
        own.logs
            .line(&worker, &format!("{run} could not be reported: {error}"));
        tracing::warn!("{error}");
    }
}
