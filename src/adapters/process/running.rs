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
    capture::{Sink, pump},
    room::{Room, outgrown, overflowed},
    tree::{Member, Tree},
};
use crate::{
    domain::process::Exit,
    ports::runner::{Interrupt, Order},
};

/// How often in an idle deadline the command is looked at.
const LOOKS: u32 = 4;

/// A started command. The order of the fields matters: the tree is ended before the child is let go.
#[derive(Debug)]
pub(super) struct Running {
    tree: Tree,
    child: Child,
    /// Open as long as a jailer must stay; waiting for the child would close it.
    _lifeline: Option<ChildStdin>,
    interrupts: watch::Receiver<Option<Interrupt>>,
    seen: Arc<AtomicU64>,
    grace: Duration,
    leftover_grace: Duration,
    room: Room,
    /// A folder that it shares with others, and how much that may hold.
    watched: Option<(PathBuf, u64)>,
}

/// How a command ended and how many processes it had left behind.
pub(super) type Ended = (Exit, u32);

/// Why tos ends a command.
enum Cause {
    Itself(std::process::ExitStatus),
    Ordered(Exit, Interrupt),
}

impl Running {
    pub(super) fn new(
        tree: Tree,
        mut child: Child,
        interrupts: watch::Receiver<Option<Interrupt>>,
        grace: Duration,
        leftover_grace: Duration,
        room: Room,
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
            room,
            watched,
        }
    }

    /// Stays with the command to its end while both streams are read.
    pub(super) async fn finish(
        mut self,
        order: &Order,
        pipes: [OwnedFd; 2],
        sinks: &mut [Sink; 2],
    ) -> std::io::Result<Ended> {
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

    async fn supervise(&mut self, order: &Order) -> std::io::Result<Ended> {
        let ended = match self.cause(order).await? {
            Cause::Itself(status) => (exit_of(status), self.end_leftovers().await),
            Cause::Ordered(exit, how) => {
                self.end(how).await;
                self.child.wait().await?;
                self.tree.collect();
                (exit, 0)
            }
        };
        self.tree.finish();
        Ok(ended)
    }

    async fn cause(&mut self, order: &Order) -> std::io::Result<Cause> {
        let after_ms = millis(order.deadline);
        tokio::select! {
            biased;
            status = self.child.wait() => Ok(Cause::Itself(status?)),
            how = interrupted(&mut self.interrupts) => Ok(Cause::Ordered(Exit::Cancelled, how)),
            () = tokio::time::sleep(order.deadline) =>
                Ok(Cause::Ordered(Exit::TimedOut { after_ms }, Interrupt::Terminate)),
            after = idle(&mut self.tree, &self.seen, order.idle_deadline) =>
                Ok(Cause::Ordered(Exit::Idle { after_ms: millis(after) }, Interrupt::Terminate)),
            taken_bytes = outgrown(&order.directory, self.room) =>
                Ok(Cause::Ordered(Exit::DiskTaken { taken_bytes }, Interrupt::Kill)),
            taken_bytes = overflowed(self.watched.clone()) =>
                Ok(Cause::Ordered(Exit::DiskTaken { taken_bytes }, Interrupt::Kill)),
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
        self.tree.collect();
        count
    }

    async fn end(&mut self, how: Interrupt) {
        if how == Interrupt::Terminate {
            let members = self.tree.members();
            self.ask(members, self.grace).await;
        }
        self.kill().await;
    }

    /// Asks to terminate and waits up to `grace`; a request to kill ends the waiting.
    async fn ask(&mut self, mut members: Vec<Member>, grace: Duration) {
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

async fn interrupted(interrupts: &mut watch::Receiver<Option<Interrupt>>) -> Interrupt {
    if interrupts.changed().await.is_err() {
        return pending().await;
    }
    interrupts
        .borrow_and_update()
        .unwrap_or(Interrupt::Terminate)
}

async fn killed(interrupts: &mut watch::Receiver<Option<Interrupt>>) {
    while interrupted(interrupts).await != Interrupt::Kill {}
}

/// Ends when nothing has been written, computed, read or started for this long; returns how long.
async fn idle(tree: &mut Tree, seen: &AtomicU64, deadline: Option<Duration>) -> Duration {
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

fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code { code },
        (None, signal) => Exit::Signal {
            signal: signal.unwrap_or(0),
        },
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
