//! Staying with a program: signs of life, a person who asks, the end of the session, too much written.

use std::time::Duration;

use super::{
    SessionState, agent_call::AgentListener, disk_quota::DiskQuota, spending::HEARTBEAT_INTERVAL,
};
use crate::{
    domain::{
        agent::SilenceCause,
        process::{CommandResult, ExitStatus},
    },
    ports::{
        runner::{CommandRequest, CommandRunner, StopSignal},
        worktrees::Worktree,
    },
};

/// How a program that was stayed with came to its end.
pub(super) struct SupervisedExit {
    /// How it ended, or why it could not be started.
    pub(super) ended: Result<CommandResult, String>,
    /// It was ended because the session had to be over.
    pub(super) late: bool,
    /// It was an agent and was ended because it hung.
    pub(super) quiet: SilenceCause,
}

/// How often it is looked at whether an agent hangs: a part of the time it may be silent.
const LOOKS: u32 = 8;
/// The longest time between two such looks.
const LOOK: Duration = Duration::from_secs(5);

impl SessionState<'_> {
    /// Stays with a program and shows that the session is alive; ends it when a person asks, when the session has to be
    /// over, when it writes too much, or when it is an agent that hangs.
    pub(super) async fn supervise(
        &mut self,
        runner: &dyn CommandRunner,
        order: &CommandRequest,
        place: &Worktree,
        agent: Option<(&AgentListener, Option<u64>)>,
    ) -> SupervisedExit {
        let mut stop = self.stop.clone();
        let (mut heard, mut late, mut quiet) = (true, false, SilenceCause::No);
        let mut beaten = self.tools.clock.monotonic();
        let look = agent.map_or(HEARTBEAT_INTERVAL, |(_, limit)| {
            limit.map_or(LOOK, |limit| (Duration::from_secs(limit) / LOOKS).min(LOOK))
        });
        let scale = DiskQuota::new(&self.tools.worktrees, place, self.list.disk_mb).await;
        let mut running = runner.run(order);
        let mut tipped = std::pin::pin!(scale.wait_exceeded());
        loop {
            let left = self
                .until_hard_stop()
                .map_or(HEARTBEAT_INTERVAL, Duration::from_secs);
            let tick = if late {
                HEARTBEAT_INTERVAL
            } else {
                left.min(HEARTBEAT_INTERVAL).min(look)
            };
            tokio::select! {
                ended = &mut running => {
                    // Who writes fast may be done before anybody looks.
                    self.heavy = self.heavy.or(scale.excess().await).or(taken(&ended));
                    let ended = ended.map_err(|failure| failure.message);
                    return SupervisedExit { ended, late, quiet };
                }
                megabytes = &mut tipped, if self.heavy.is_none() => {
                    self.heavy = Some(megabytes);
                    runner.interrupt(StopSignal::Kill);
                }
                asked = stop.changed(), if heard => {
                    heard = asked.is_ok();
                    if heard {
                        let how = if *stop.borrow() > 1 { StopSignal::Kill } else { StopSignal::Terminate };
                        runner.interrupt(how);
                    }
                }
                () = self.tools.clock.sleep(tick) => {
                    let now = self.tools.clock.monotonic();
                    if now.saturating_sub(beaten) >= HEARTBEAT_INTERVAL {
                        beaten = now;
                        self.record_heartbeat(name(order));
                    }
                    if let Some((listener, limit)) = agent.filter(|_| quiet == SilenceCause::No) {
                        quiet = listener.silence(limit);
                        if quiet != SilenceCause::No {
                            runner.interrupt(StopSignal::Terminate);
                        }
                    }
                    if self.until_hard_stop() == Some(0) {
                        runner.interrupt(if late { StopSignal::Kill } else { StopSignal::Terminate });
                        late = true;
                    }
                }
            }
        }
    }
}

/// Returns how much room the disk lost, where a program was ended for that; in MiB.
fn taken<E>(ended: &Result<CommandResult, E>) -> Option<u64> {
    match ended.as_ref().ok()?.exit {
        ExitStatus::DiskTaken { taken_bytes } => Some(taken_bytes >> 20),
        ExitStatus::Code { .. }
        | ExitStatus::Signal { .. }
        | ExitStatus::TimedOut { .. }
        | ExitStatus::Idle { .. }
        | ExitStatus::Cancelled => None,
    }
}

/// Returns what an order is for.
fn name(order: &CommandRequest) -> &str {
    let named = order
        .environment
        .iter()
        .find(|(name, _)| name == "TOS_TASK");
    named.map_or("", |(_, task)| task)
}
