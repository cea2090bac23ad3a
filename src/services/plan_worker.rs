//! Tasks of plans on this machine, for a runner on another: taken, laid out in a folder of their own, made, reported.
//!
//! When the worker is asked to stop it takes nothing new and ends what it has; after a while it ends that at once.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};

use super::worker_end::{Question, WorkerEnd, answer};
use crate::{
    domain::cluster::RemoteExit,
    ports::{
        BoxFuture,
        cluster::{Error, StopFeed},
        plan_work::{ClaimedPlanTask, PlanTaskQueue, TaskExecutionResult, TaskExecutor},
    },
};

/// How long one question for work waits.
const ASK: Duration = Duration::from_secs(5);
/// How long a worker rests after the server did not answer.
const REST: Duration = Duration::from_secs(2);

/// What both may say: whoever runs the plan, and this worker's own end.
struct Either {
    order: Box<dyn StopFeed>,
    ending: watch::Receiver<bool>,
    ended: bool,
}

impl StopFeed for Either {
    fn next(&mut self) -> BoxFuture<'_, Option<u8>> {
        Box::pin(async {
            let (order, ending, ended) = (&mut self.order, &mut self.ending, &mut self.ended);
            tokio::select! {
                how = order.next() => how,
                Ok(_) = ending.wait_for(|end| *end), if !*ended => {
                    *ended = true;
                    Some(1)
                }
            }
        })
    }
}

/// Takes tasks and makes them, so many at a time, until a stop is asked for; what runs then may go on for `drain`, or until a second
/// stop.
pub async fn serve_plan_tasks(
    queue: Arc<dyn PlanTaskQueue>,
    maker: Arc<dyn TaskExecutor>,
    slots: u16,
    mut stop: watch::Receiver<u8>,
    drain: Duration,
) {
    let (mut end, ending) = WorkerEnd::new(drain);
    let mut running: JoinSet<()> = JoinSet::new();
    // A question for work is asked to its end: what was delivered must not be dropped on the way.
    let mut asked: Option<Asked> = None;
    loop {
        let how = *stop.borrow();
        if end.look(how) {
            if running.is_empty() && asked.is_none() {
                return;
            }
        } else if asked.is_none() && running.len() < usize::from(slots) {
            let (queue, mut stop) = (Arc::clone(&queue), stop.clone());
            asked = Some(Box::pin(async move {
                let enough = async move { drop(stop.wait_for(|how| *how > 0).await) };
                queue.ask(ASK, Box::pin(enough)).await
            }));
        }
        tokio::select! {
            taken = answer(&mut asked) => {
                asked = None;
                match taken {
                    Ok(Some(taken)) => {
                        drop(running.spawn(made(Arc::clone(&maker), taken, ending.clone())));
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!("no task of a plan can be asked for: {error}");
                        tokio::time::sleep(REST).await;
                    }
                }
            }
            Some(ended) = running.join_next(), if !running.is_empty() => {
                if let Err(error) = ended {
                    tracing::warn!("a task of a plan was not made: {error}");
                }
            }
            changed = stop.changed(), if how < 2 => {
                if changed.is_err() {
                    return;
                }
            }
            () = end.deadline() => {}
        }
    }
}

type Asked = Question<Result<Option<Box<dyn ClaimedPlanTask>>, Error>>;

/// Makes one attempt and reports it.
async fn made(
    maker: Arc<dyn TaskExecutor>,
    taken: Box<dyn ClaimedPlanTask>,
    ending: watch::Receiver<bool>,
) {
    let (id, key) = (taken.order().id.clone(), taken.order().key());
    let stop = Box::new(Either {
        order: taken.stop(),
        ending,
        ended: false,
    });
    let (folder, made) = match maker.folder(&key) {
        Ok(folder) => {
            let made = match taken.lay_out(&folder).await {
                Ok(workdir) => {
                    let (order, printing) = (taken.order(), taken.printing());
                    maker.make(order, &folder, &workdir, stop, printing).await
                }
                Err(why) => nothing(RemoteExit::lost(format!("it could not be laid out: {why}"))),
            };
            (Some(folder), made)
        }
        Err(why) => (None, nothing(RemoteExit::lost(why.to_string()))),
    };
    if let Err(error) = taken.finish(made).await {
        tracing::warn!("{id} could not be reported: {error}");
    }
    if let Some(folder) = folder {
        maker.clear(&folder);
    }
}

fn nothing(end: RemoteExit) -> TaskExecutionResult {
    TaskExecutionResult {
        end,
        ..TaskExecutionResult::default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::{domain::cluster::PlanTaskRequest, ports::plan_work::PrintSink};

    /// Has nothing for anybody, and says when it is asked.
    struct Empty(watch::Sender<bool>);

    impl PlanTaskQueue for Empty {
        fn ask<'a>(
            &'a self,
            _wait: Duration,
            enough: BoxFuture<'a, ()>,
        ) -> BoxFuture<'a, Result<Option<Box<dyn ClaimedPlanTask>>, Error>> {
            self.0.send_replace(true);
            Box::pin(async move {
                enough.await;
                Ok(None)
            })
        }
    }

    struct Nothing;

    impl TaskExecutor for Nothing {
        fn folder(&self, _key: &str) -> Result<PathBuf, Error> {
            Err(Error("there is no place".to_owned()))
        }

        fn make<'a>(
            &'a self,
            _order: &'a PlanTaskRequest,
            _folder: &'a Path,
            _workdir: &'a Path,
            _stop: Box<dyn StopFeed>,
            _printing: PrintSink,
        ) -> BoxFuture<'a, TaskExecutionResult> {
            Box::pin(async { TaskExecutionResult::default() })
        }

        fn clear(&self, _folder: &Path) {}
    }

    #[tokio::test]
    async fn a_worker_that_waits_for_work_ends_when_it_is_asked_to() {
        let (sender, mut asked) = watch::channel(false);
        let (stop, told) = watch::channel(0);
        let queue = Arc::new(Empty(sender));
        let drain = Duration::from_secs(3600);
        let serving = serve_plan_tasks(queue, Arc::new(Nothing), 1, told, drain);
        let stopping = async {
            asked.wait_for(|asked| *asked).await.unwrap();
            stop.send_replace(1);
        };
        tokio::join!(serving, stopping);
    }
}
