//! One command under way: waits for its end, its deadline, its silence or a cancellation, and stays
//! until nothing of it is left.

use std::{
    future::pending,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{
    process::{Child, ChildStdin},
    sync::watch,
    time::timeout_at,
};

use super::{
    capture::{OutputSink, pump},
    disk_allowance::{CommandDiskLimit, wait_disk_exceeded, wait_folder_full},
    process_tree::{ProcessEntry, ProcessTree},
};
use crate::{
    domain::process::ExitStatus,
    ports::runner::{CommandRequest, StopSignal},
};

/// How often in an idle deadline the command is looked at.
const LOOKS: u32 = 4;

/// A started command. The order of the fields matters: the tree is ended before the child is let go.
#[derive(Debug)]
pub(super) struct RunningCommand {
    tree: ProcessTree,
    child: Child,
    /// Open as long as a jailer must stay; waiting for the child would close it.
    _lifeline: Option<ChildStdin>,
    interrupts: watch::Receiver<Option<StopSignal>>,
    seen: Arc<AtomicU64>,
    grace: Duration,
    leftover_grace: Duration,
    task_folder: CommandDiskLimit,
    /// A folder that it shares with others, and how much that may hold.
    watched: Option<(PathBuf, u64)>,
}

/// How a command ended and how many processes it had left behind.
pub(super) type EndedCommand = (ExitStatus, u32);

/// Why tos ends a command.
enum EndCause {
    Itself(std::process::ExitStatus),
    Ordered(ExitStatus, StopSignal),
}

impl RunningCommand {
    pub(super) fn new(
        tree: ProcessTree,
        mut child: Child,
        interrupts: watch::Receiver<Option<StopSignal>>,
        grace: Duration,
        leftover_grace: Duration,
        task_folder: CommandDiskLimit,
        watched: Option<(PathBuf, u64)>,
    ) -> Self {
        Self {
            tree,
            _lifeline: child.stdin.take(),
            child,
            interrupts,
            seen: Arc::default(),
            grace,
            leftover_grace,
            task_folder,
            watched,
        }
    }

    /// Stays with the command to its end while both streams are read.
    pub(super) async fn finish(
        mut self,
        order: &CommandRequest,
        pipes: [OwnedFd; 2],
        sinks: &mut [OutputSink; 2],
    ) -> std::io::Result<EndedCommand> {
        let (tell_done, done) = watch::channel(false);
        let seen = Arc::clone(&self.seen);
        let [out_pipe, err_pipe] = pipes;
        let [out, err] = sinks;
        let supervised = async {
            let ended = self.supervise(order).await;
            tell_done.send_replace(true);
            ended
        };
        let (ended, out, err) = tokio::join!(
            supervised,
            pump(out_pipe, out, &seen, done.clone()),
            pump(err_pipe, err, &seen, done.clone()),
        );
        out.and(err)?;
        ended
    }

    async fn supervise(&mut self, order: &CommandRequest) -> std::io::Result<EndedCommand> {
        let ended = match self.cause(order).await? {
            EndCause::Itself(status) => (exit_of(status), self.end_leftovers().await),
            EndCause::Ordered(exit, how) => {
                self.end(how).await;
                self.child.wait().await?;
                self.tree.reap_orphans();
                (exit, 0)
            }
        };
        self.tree.finish();
        Ok(ended)
    }

    async fn cause(&mut self, order: &CommandRequest) -> std::io::Result<EndCause> {
        let after_ms = millis(order.deadline);
        tokio::select! {
            biased;
            status = self.child.wait() => Ok(EndCause::Itself(status?)),
            how = interrupted(&mut self.interrupts) => Ok(EndCause::Ordered(ExitStatus::Cancelled, how)),
            () = tokio::time::sleep(order.deadline) =>
                Ok(EndCause::Ordered(ExitStatus::TimedOut { after_ms }, StopSignal::Terminate)),
            after = idle(&mut self.tree, &self.seen, order.idle_deadline) =>
                Ok(EndCause::Ordered(ExitStatus::Idle { after_ms: millis(after) }, StopSignal::Terminate)),
            taken_bytes = wait_disk_exceeded(&order.directory, self.task_folder) =>
                Ok(EndCause::Ordered(ExitStatus::DiskTaken { taken_bytes }, StopSignal::Kill)),
            taken_bytes = wait_folder_full(self.watched.clone()) =>
                Ok(EndCause::Ordered(ExitStatus::DiskTaken { taken_bytes }, StopSignal::Kill)),
        }
    }

    async fn end_leftovers(&mut self) -> u32 {
        if self.tree.is_surely_empty() {
            return 0;
        }
        let left = self.tree.members();
        let count = u32::try_from(left.len()).unwrap_or(u32::MAX);
        if count > 0 {
            self.ask(left, self.leftover_grace).await;
            self.kill().await;
        }
        self.tree.reap_orphans();
        count
    }

    async fn end(&mut self, how: StopSignal) {
        if how == StopSignal::Terminate {
            let members = self.tree.members();
            self.ask(members, self.grace).await;
        }
        self.kill().await;
    }

    /// Asks to terminate and waits up to `grace`; a request to kill ends the waiting.
    async fn ask(&mut self, mut members: Vec<ProcessEntry>, grace: Duration) {
        let until = tokio::time::Instant::now() + grace;
        while !members.is_empty() {
            self.tree.terminate(&members);
            for member in members {
                let waited = tokio::select! {
                    waited = timeout_at(until, member.ended()) => waited.is_ok(),
                    () = killed(&mut self.interrupts) => false,
                };
                if !waited {
                    return;
                }
            }
            members = self.tree.members();
        }
    }

    async fn kill(&mut self) {
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            let members = self.tree.members();
            if members.is_empty() {
                return;
            }
            for member in &members {
                member.signal(Signal::KILL);
            }
            for member in members {
                // A process in an uninterruptible wait dies when the kernel lets it; waiting for it
                // for ever would stop everything else.
                if timeout_at(until, member.ended()).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn interrupted(interrupts: &mut watch::Receiver<Option<StopSignal>>) -> StopSignal {
    if interrupts.changed().await.is_err() {
        return pending().await;
    }
    interrupts
        .borrow_and_update()
        .unwrap_or(StopSignal::Terminate)
}

async fn killed(interrupts: &mut watch::Receiver<Option<StopSignal>>) {
    while interrupted(interrupts).await != StopSignal::Kill {}
}

/// Ends when nothing has been written, computed, read or started for this long; returns how long.
async fn idle(tree: &mut ProcessTree, seen: &AtomicU64, deadline: Option<Duration>) -> Duration {
    let Some(deadline) = deadline else {
        return pending().await;
    };
    let mut last = (seen.load(Ordering::Relaxed), tree.activity());
    let mut since = Instant::now();
    loop {
        tokio::time::sleep(deadline / LOOKS).await;
        let now = (seen.load(Ordering::Relaxed), tree.activity());
        if now != last {
            last = now;
            since = Instant::now();
        } else if since.elapsed() >= deadline {
            return since.elapsed();
        }
    }
}

fn exit_of(status: std::process::ExitStatus) -> ExitStatus {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitStatus::Code { code },
        (None, signal) => ExitStatus::Signal {
            signal: signal.unwrap_or(0),
        },
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
