//! Time and money of a session: how much is left, signs of life, waiting for an agent's quota.
//!
//! Time is measured by the clock that runs while the machine sleeps: a session that was to end at seven does not end
//! at nine because somebody closed the lid.

use std::time::Duration;

use serde_json::json;

use super::{Error, Session};
use crate::{
    domain::{guarded::Task, ledger::Entry, night::Beat},
    ports::clock::Clock,
};

/// How often a session shows that it is alive.
pub(super) const BEAT: Duration = Duration::from_secs(30);
/// How long after its end a session may still be ending what runs.
const GRACE: u64 = 60;
/// An agent whose quota is used up again and again is not waited for any more.
const MOST_WAITS: u32 = 20;

/// What came of waiting for an agent's quota.
pub(super) enum Waited {
    /// It is renewed.
    Renewed,
    /// It is not renewed in time, or too often used up.
    InVain,
    /// A person did not want to wait.
    Stopped,
}

/// Time and money spent.
pub(super) struct Pace {
    boot: Duration,
    awake: Duration,
    micro_usd: u64,
    /// What the task under way has cost; `None` = nobody said.
    task: Option<u64>,
    /// Some call said nothing about its cost.
    unpriced: bool,
    waits: u32,
    /// How long the task under way has waited; nobody worked in that time.
    waited: Duration,
}

impl Pace {
    pub(super) fn new(clock: &dyn Clock, micro_usd: u64) -> Self {
        Self {
            boot: clock.boottime(),
            awake: clock.monotonic(),
            micro_usd,
            task: None,
            unpriced: false,
            waits: 0,
            waited: Duration::ZERO,
        }
    }

    /// Takes note of what a call cost. Where nobody said, it cost no more than its ceiling, if it had one.
    pub(super) fn paid(&mut self, micro_usd: Option<u64>, ceiling: Option<u64>) {
        match (micro_usd, ceiling) {
            (Some(cost), _) => {
                self.micro_usd += cost;
                self.task = Some(self.task.unwrap_or(0) + cost);
            }
            (None, Some(most)) => self.micro_usd += most,
            (None, None) => self.unpriced = true,
        }
    }

    /// Returns how long the task under way has waited, and forgets it.
    pub(super) fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    pub(super) fn take_cost(&mut self) -> Option<u64> {
        self.task.take()
    }

    /// Returns the whole seconds the machine slept.
    pub(super) fn slept(&self, clock: &dyn Clock) -> u64 {
        let boot = clock.boottime().saturating_sub(self.boot);
        let awake = clock.monotonic().saturating_sub(self.awake);
        boot.saturating_sub(awake).as_secs()
    }
}

impl Session<'_> {
    /// Returns the whole seconds since the session began, sleep included.
    pub(super) fn spent(&self) -> u64 {
        let now = self.tools.clock.boottime();
        now.saturating_sub(self.pace.boot).as_secs()
    }

    /// Returns the seconds in which tasks may still be under way.
    pub(super) fn left(&self) -> Option<u64> {
        let spent = self.spent();
        self.terms.seconds.map(|all| all.saturating_sub(spent))
    }

    /// Returns the seconds until everything is ended, whatever it is.
    pub(super) fn until_hard_stop(&self) -> Option<u64> {
        let spent = self.spent();
        self.terms
            .seconds
            .map(|all| (all + GRACE).saturating_sub(spent))
    }

    /// Returns whether the budget of the list is spent, or cannot be kept because nobody says what work costs.
    pub(super) fn is_over_budget(&self) -> bool {
        let most = self.list.max_usd.map(|usd| u64::from(usd) * 1_000_000);
        most.is_some_and(|most| self.pace.micro_usd >= most || self.pace.unpriced)
    }

    /// Returns the whole dollars that one more call may cost.
    pub(super) fn dollars_left(&self) -> Option<u32> {
        let most = self.list.max_usd.map(|usd| u64::from(usd) * 1_000_000)?;
        let left = most.saturating_sub(self.pace.micro_usd).div_ceil(1_000_000);
        u32::try_from(left.max(1)).ok()
    }

    /// Shows that the session is alive.
    pub(super) fn beat(&self, task: &str) {
        let beat = Beat {
            at: self.tools.clock.now(),
            wall_s: self.spent(),
            active_s: self.end.active_s,
            suspend_s: self.pace.slept(&*self.tools.clock),
            task: task.to_owned(),
        };
        self.tools.beats.beat(&self.terms.session, &beat);
    }

    /// Waits until the agent's quota is renewed, if that is in time.
    pub(super) async fn wait_for_quota(
        &mut self,
        task: &Task,
        seconds: Option<u64>,
    ) -> Result<Waited, Error> {
        self.pace.waits += 1;
        // A renewal that is past already is given a moment all the same.
        let Some(seconds) = seconds.map(|seconds| seconds.max(1)) else {
            return Ok(Waited::InVain);
        };
        let late = self
            .left()
            .is_some_and(|left| left < seconds.saturating_add(task.max_time_seconds));
        if late || self.pace.waits > MOST_WAITS {
            return Ok(Waited::InVain);
        }
        let until = self.tools.clock.now() + Duration::from_secs(seconds);
        self.record(Entry::QuotaWait {
            task: task.id.clone(),
            seconds,
            until,
        })?;
        let line = format!(
            "the agent's quota is used up; waiting until {}",
            until.format("%H:%M:%S")
        );
        self.watcher.line(&format!("  {line}"));
        self.event(
            "quota_wait",
            json!({ "task": task.id, "seconds": seconds, "until": until }),
        );
        self.tell("waiting", &line, &task.id).await;
        let began = self.tools.clock.boottime();
        let renewed = self.sit_out(&task.id, seconds).await;
        self.pace.waited += self.tools.clock.boottime().saturating_sub(began);
        Ok(if renewed {
            Waited::Renewed
        } else {
            Waited::Stopped
        })
    }

    async fn sit_out(&mut self, task: &str, seconds: u64) -> bool {
        let until = self.tools.clock.boottime() + Duration::from_secs(seconds);
        let mut stop = self.stop.clone();
        let mut heard = true;
        while *stop.borrow() == 0 {
            let left = until.saturating_sub(self.tools.clock.boottime());
            if left.is_zero() {
                return true;
            }
            tokio::select! {
                () = self.tools.clock.sleep(left.min(BEAT)) => self.beat(task),
                asked = stop.changed(), if heard => heard = asked.is_ok(),
            }
        }
        false
    }
}
