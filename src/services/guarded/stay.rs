//! Staying with a program: signs of life, a person who asks, the end of the session, too much written.

use std::time::Duration;

use super::{Session, pace::BEAT, scale::Scale};
use crate::{
    domain::process::{End, Exit},
    ports::{
        runner::{Interrupt, Order, Runner},
        worktrees::Place,
    },
};

impl Session<'_> {
    /// Stays with a program and shows that the session is alive; ends it when a person asks, when the session has to be
    /// over, or when it writes too much. Returns how it ended, and whether time was the reason.
    pub(super) async fn stay(
        &mut self,
        runner: &dyn Runner,
        order: &Order,
        place: &Place,
    ) -> (Result<End, String>, bool) {
        let mut stop = self.stop.clone();
        let (mut heard, mut late) = (true, false);
        let scale = Scale::new(&self.tools.worktrees, place, self.list.disk_mb).await;
        let mut running = runner.run(order);
        let mut tipped = std::pin::pin!(scale.tipped());
        loop {
            let left = self.until_hard_stop().map_or(BEAT, Duration::from_secs);
            let tick = if late { BEAT } else { left.min(BEAT) };
            tokio::select! {
                ended = &mut running => {
                    // Who writes fast may be done before anybody looks.
                    self.heavy = self.heavy.or(scale.excess().await).or(taken(&ended));
                    return (ended.map_err(|failure| failure.message), late);
                }
                megabytes = &mut tipped, if self.heavy.is_none() => {
                    self.heavy = Some(megabytes);
                    runner.interrupt(Interrupt::Kill);
                }
                asked = stop.changed(), if heard => {
                    heard = asked.is_ok();
                    if heard {
                        let how = if *stop.borrow() > 1 { Interrupt::Kill } else { Interrupt::Terminate };
                        runner.interrupt(how);
                    }
                }
                () = self.tools.clock.sleep(tick) => {
                    self.beat(name(order));
                    if self.until_hard_stop() == Some(0) {
                        runner.interrupt(if late { Interrupt::Kill } else { Interrupt::Terminate });
                        late = true;
                    }
                }
            }
        }
    }
}

/// Returns how much room the disk lost, where a program was ended for that; in MiB.
fn taken<E>(ended: &Result<End, E>) -> Option<u64> {
    match ended.as_ref().ok()?.exit {
        Exit::DiskTaken { taken_bytes } => Some(taken_bytes >> 20),
        Exit::Code { .. }
        | Exit::Signal { .. }
        | Exit::TimedOut { .. }
        | Exit::Idle { .. }
        | Exit::Cancelled => None,
    }
}

/// Returns what an order is for.
fn name(order: &Order) -> &str {
    let named = order
        .environment
        .iter()
        .find(|(name, _)| name == "TOS_TASK");
    named.map_or("", |(_, task)| task)
}
