//! Runs on other machines, the controller's side: an attempt is handed out and waited for.
//!
//! The lease stays with the controller, which renews it while the worker is heard of. A worker that is gone fails the run, and
//! the board gives the task out again under a new number; a late result under the old one counts for nothing. The board is told
//! which kinds of workers are there, so that it starts nothing that nobody could do.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{BoardHandle, ServicePorts, worker};
use crate::{
    domain::{
        board::{Fence, Input},
        cluster::{PROTOCOL_VERSION, WorkOrder},
    },
    ports::{
        BoxFuture,
        cluster::{LineSink, RunDispatcher, StopFeed},
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

/// Makes a run where it is to be made, and waits until there is an outcome.
pub(super) async fn work(
    context: Arc<ServicePorts>,
    order: worker::WorkerRequest,
    fence: Fence,
    stop: watch::Receiver<u8>,
) -> worker::FinishedRun {
    let Some(remote) = context.remote.clone() else {
        return worker::work(Arc::clone(&context.attempts), order, stop).await;
    };
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
            for (session, entry) in result.records {
                if let Err(error) = context.tools.ledger.append(session.as_deref(), entry) {
                    return worker::not_begun(error.to_string());
                }
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
