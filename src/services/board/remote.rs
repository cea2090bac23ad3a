//! Runs on other machines, the controller's side: an attempt is handed out and waited for.
//!
//! The lease stays with the controller, which renews it while the worker is heard of. A worker that is gone fails the run, and
//! the board gives the task out again under a new number; a late result under the old one counts for nothing. The board is told
//! which kinds of workers are there, so that it starts nothing that nobody could do.

use std::{sync::Arc, time::Duration};

use tokio::sync::{oneshot, watch};

use super::{BoardHandle, ServicePorts, threads::spawn_thread, worker};
use crate::{
    domain::{
        board::{Fence, Input},
        cluster::{PROTOCOL_VERSION, WorkOrder},
        ledger::LedgerEntry,
    },
    ports::{
        BoxFuture,
        cluster::{LineSink, RunDispatcher, StopFeed},
        ledger::Ledger,
    },
};

/// How often the workers are looked at.
const LOOK: Duration = Duration::from_secs(2);

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

/// Begins a run where it is to be made; what is returned tells its outcome.
///
/// One that is made here has a thread of its own, as it may block. One that is made elsewhere is only waited for, however many there are.
pub(super) fn begin(
    context: Arc<ServicePorts>,
    order: worker::WorkerRequest,
    fence: Fence,
    stop: watch::Receiver<u8>,
) -> oneshot::Receiver<worker::FinishedRun> {
    let Some(remote) = context.remote.clone() else {
        return spawn_thread(worker::work(Arc::clone(&context.attempts), order, stop));
    };
    let (sender, done) = oneshot::channel();
    drop(tokio::spawn(async move {
        let finished = work(&*remote, &context, order, fence, stop).await;
        // Nobody waits any more where the service ends.
        drop(sender.send(finished));
    }));
    done
}

/// Hands a run out and waits until there is an outcome.
async fn work(
    remote: &dyn RunDispatcher,
    context: &ServicePorts,
    order: worker::WorkerRequest,
    fence: Fence,
    stop: watch::Receiver<u8>,
) -> worker::FinishedRun {
    let (logs, agent) = (Arc::clone(&context.logs), order.agent.clone());
    logs.line(&agent, &format!("{} waits for a worker", order.task.id));
    let order = WorkOrder {
        protocol: PROTOCOL_VERSION,
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
    let lines: LineSink = {
        let (logs, agent) = (Arc::clone(&logs), agent.clone());
        Box::new(move |line| logs.line(&agent, line))
    };
    match remote.run(order, Box::new(Halted(stop)), lines).await {
        Ok(result) => {
            if let Err(why) = recorded(Arc::clone(&context.tools.ledger), result.records).await {
                return worker::not_begun(why);
            }
            if !result.worker.is_empty() {
                logs.line(&agent, &format!("done by the worker {}", result.worker));
            }
            worker::FinishedRun {
                outcome: result.outcome,
                spend: result.spend,
            }
        }
        Err(error) => worker::lost(error.0),
    }
}

/// Puts what an attempt has to say into the ledger, which waits for the disk.
async fn recorded(
    ledger: Arc<dyn Ledger>,
    records: Vec<(Option<String>, LedgerEntry)>,
) -> Result<(), String> {
    let appending = move || {
        records.into_iter().try_for_each(|(session, entry)| {
            let kept = ledger.append(session.as_deref(), entry);
            kept.map(drop).map_err(|error| error.to_string())
        })
    };
    let kept = tokio::task::spawn_blocking(appending).await;
    kept.map_err(|error| error.to_string())?
}

/// Tells the board which kinds of workers are there, for as long as it listens.
pub(super) async fn follow_workers(handle: BoardHandle, remote: Arc<dyn RunDispatcher>) {
    loop {
        match remote.view().await {
            Ok(view) => {
                let kinds = view.worker_capabilities();
                let is_new = handle.snapshot().worker_capabilities() != kinds;
                if is_new && handle.submit(Input::SeeWorkers { kinds }).await.is_err() {
                    tracing::debug!("the board takes nothing in");
                }
            }
            // What was known last holds until the server answers again.
            Err(why) => tracing::debug!("{why}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
