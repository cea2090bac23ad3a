//! Time and money of a session: how much is left, signs of life, waiting for an agent's quota.
//!
//! Time is measured by the clock that runs while the machine sleeps: a session that was to end at seven does not end
//! at nine because somebody closed the lid.

use std::time::Duration;

use serde_json::json;

use super::{Error, SessionState, outcome::TaskAttemptOutcome};
use crate::{
    domain::{
        agent::AgentEnd, ledger::LedgerEntry, night::Heartbeat, notify::NotificationEvent,
        tasks::AgentTask, time::Timestamp,
    },
    ports::clock::Clock,
};

/// How often a session shows that it is alive.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);
/// How long after its end a session may still be ending what runs.
const GRACE: u64 = 60;
/// An agent whose quota is used up again and again is not waited for any more.
const MOST_WAITS: u32 = 60;
/// The first and the longest pause after which a quota is tried again of which nobody says when it is renewed, in seconds.
const FIRST_POLL: u64 = 5 * 60;
const LONGEST_POLL: u64 = 3600;
/// The longest pause before a provider is asked again, in seconds.
const LONGEST_PAUSE: u64 = 15 * 60;

/// What came of waiting for an agent's quota or provider.
pub(super) enum WaitOutcome {
    /// It is worth another try.
    Renewed,
    /// It is not renewed in time, or too often used up.
    InVain,
    /// A person did not want to wait.
    Stopped,
    /// It came too late for the session.
    OutOfTime,
}

/// Time and money spent.
pub(super) struct SpendTracker {
    boot: Duration,
    awake: Duration,
    micro_usd: u64,
    /// What the task under way has cost; `None` = nobody said.
    task: Option<u64>,
    /// Some call said nothing about its cost.
    unpriced: bool,
    waits: u32,
    /// How often in a row a quota was waited for of which nobody said when it is renewed.
    polls: u32,
    /// How long the task under way has waited; nobody worked in that time.
    waited: Duration,
    calls: u32,
    tokens: u64,
    /// When the quota that was met last is renewed, in milliseconds since 1970.
    quota_until: Option<u64>,
}

impl SpendTracker {
    pub(super) fn new(clock: &dyn Clock, micro_usd: u64) -> Self {
        Self {
            boot: clock.boottime(),
            awake: clock.monotonic(),
            micro_usd,
            task: None,
            unpriced: false,
            waits: 0,
            polls: 0,
            waited: Duration::ZERO,
            calls: 0,
            tokens: 0,
            quota_until: None,
        }
    }

    /// Takes note of what a call cost. Where nobody said, it cost no more than its ceiling, if it had one. Returns whether
    /// this is the first call of which nobody knows anything.
    pub(super) fn paid(&mut self, micro_usd: Option<u64>, ceiling: Option<u64>) -> bool {
        match (micro_usd, ceiling) {
            (Some(cost), _) => {
                self.micro_usd += cost;
                self.task = Some(self.task.unwrap_or(0) + cost);
            }
            (None, Some(most)) => self.micro_usd += most,
            (None, None) => return !std::mem::replace(&mut self.unpriced, true),
        }
        false
    }

    /// Takes note of a call and of the tokens that the agent counts.
    pub(super) const fn called(&mut self, tokens: u64) {
        self.calls = self.calls.saturating_add(1);
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// Returns how often an agent was called.
    pub(super) const fn calls(&self) -> u32 {
        self.calls
    }

    /// Returns the tokens that agents counted.
    pub(super) const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Returns when the quota that was met last is renewed.
    pub(super) const fn quota_until(&self) -> Option<u64> {
        self.quota_until
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

impl SessionState<'_> {
    /// Returns the whole seconds since the session began, sleep included.
    pub(super) fn elapsed_seconds(&self) -> u64 {
        let now = self.tools.clock.boottime();
        now.saturating_sub(self.pace.boot).as_secs()
    }

    /// Returns the seconds in which tasks may still be under way.
    pub(super) fn remaining_seconds(&self) -> Option<u64> {
        let spent = self.elapsed_seconds();
        self.terms.seconds.map(|all| all.saturating_sub(spent))
    }

    /// Returns the seconds until everything is ended, whatever it is.
    pub(super) fn until_hard_stop(&self) -> Option<u64> {
        let spent = self.elapsed_seconds();
        self.terms
            .seconds
            .map(|all| (all + GRACE).saturating_sub(spent))
    }

    /// Returns whether the budget of the list is spent, as far as anybody says what work costs.
    pub(super) fn is_over_budget(&self) -> bool {
        let most = self.list.max_usd.map(|usd| u64::from(usd) * 1_000_000);
        most.is_some_and(|most| self.pace.micro_usd >= most)
    }

    /// Returns the whole dollars that one more call may cost.
    pub(super) fn dollars_left(&self) -> Option<u32> {
        let most = self.list.max_usd.map(|usd| u64::from(usd) * 1_000_000)?;
        let left = most.saturating_sub(self.pace.micro_usd).div_ceil(1_000_000);
        u32::try_from(left.max(1)).ok()
    }

    /// Shows that the session is alive.
    pub(super) fn record_heartbeat(&self, task: &str) {
        let beat = Heartbeat {
            at: self.tools.clock.now(),
            wall_s: self.elapsed_seconds(),
            active_s: self.end.active_s,
            suspend_s: self.pace.slept(&*self.tools.clock),
            task: task.to_owned(),
        };
        self.tools.heartbeats.record(&self.terms.session, &beat);
    }

    /// Waits until a try that met no working provider can be made again, if that is in time; `None` = it was another
    /// try. `waits`: how often the task has waited for its provider.
    pub(super) async fn wait_for_provider(
        &mut self,
        task: &AgentTask,
        tried: &TaskAttemptOutcome,
        waits: &mut u32,
    ) -> Result<Option<WaitOutcome>, Error> {
        let waited =
            if let TaskAttemptOutcome::NoProvider(AgentEnd::LimitReached { seconds, reason }) =
                tried
            {
                self.wait_for_quota(task, *seconds, reason).await?
            } else if let TaskAttemptOutcome::NoProvider(AgentEnd::ProviderDown {
                reason,
                seconds,
            }) = tried
            {
                *waits += 1;
                self.wait_out(task, *waits, *seconds, reason).await?
            } else {
                return Ok(None);
            };
        Ok(Some(waited))
    }

    async fn wait_for_quota(
        &mut self,
        task: &AgentTask,
        seconds: Option<u64>,
        reason: &str,
    ) -> Result<WaitOutcome, Error> {
        self.pace.waits += 1;
        let renewed = seconds.map(|wait| self.tools.clock.now() + Duration::from_secs(wait));
        self.pace.quota_until = renewed.and_then(|at| u64::try_from(at.timestamp_millis()).ok());
        if self.terms.hands_quota_back {
            return Ok(WaitOutcome::InVain);
        }
        // A renewal that is past already is given a moment all the same.
        let seconds = if let Some(seconds) = seconds {
            self.pace.polls = 0;
            seconds.max(1)
        } else {
            self.pace.polls += 1;
            doubled(FIRST_POLL, self.pace.polls).min(LONGEST_POLL)
        };
        if self.is_too_late(task, seconds) || self.pace.waits > MOST_WAITS {
            return Ok(WaitOutcome::InVain);
        }
        let until = self.tools.clock.now() + Duration::from_secs(seconds);
        self.record(LedgerEntry::QuotaWait {
            task: task.id.clone(),
            seconds,
            until,
        })?;
        let line = format!(
            "the agent's quota is used up ({reason}); waiting until {}",
            until.format("%a %Y-%m-%d %H:%M:%S")
        );
        self.say_wait(task, "quota_wait", &line, seconds, until)
            .await;
        Ok(self.sat_out(task, seconds).await)
    }

    /// Waits before the provider is asked again: longer each time, as long as it asks for, never beyond the session.
    async fn wait_out(
        &mut self,
        task: &AgentTask,
        waits: u32,
        wanted: Option<u64>,
        reason: &str,
    ) -> Result<WaitOutcome, Error> {
        let pause = doubled(self.list.provider_pause_seconds, waits).min(LONGEST_PAUSE);
        let seconds = pause.max(wanted.unwrap_or(0)).max(1);
        if self.is_too_late(task, seconds) || waits > self.list.provider_retries {
            return Ok(WaitOutcome::InVain);
        }
        let until = self.tools.clock.now() + Duration::from_secs(seconds);
        self.record(LedgerEntry::ProviderWait {
            task: task.id.clone(),
            seconds,
            until,
            reason: reason.to_owned(),
        })?;
        let line = format!(
            "the agent's provider does not answer as it should ({reason}); wait {waits} of {}, until {}",
            self.list.provider_retries,
            until.format("%a %Y-%m-%d %H:%M:%S")
        );
        self.say_wait(task, "provider_wait", &line, seconds, until)
            .await;
        Ok(self.sat_out(task, seconds).await)
    }

    /// A wait after which the task could not end in time is none.
    fn is_too_late(&self, task: &AgentTask, seconds: u64) -> bool {
        self.remaining_seconds()
            .is_some_and(|left| left < seconds.saturating_add(task.max_time_seconds))
    }

    async fn say_wait(
        &self,
        task: &AgentTask,
        event: &'static str,
        line: &str,
        seconds: u64,
        until: Timestamp,
    ) {
        self.watcher.line(&format!("  {line}"));
        self.watcher.waits(until, line).await;
        self.emit_event(
            event,
            json!({ "task": task.id, "seconds": seconds, "until": until }),
        );
        self.tell(
            NotificationEvent::Waiting,
            line.to_owned(),
            &task.id,
            String::new(),
        );
    }

    async fn sat_out(&mut self, task: &AgentTask, seconds: u64) -> WaitOutcome {
        let began = self.tools.clock.boottime();
        let goes_on = self.sit_out(&task.id, seconds).await && self.goes_on(&task.id).await;
        self.pace.waited += self.tools.clock.boottime().saturating_sub(began);
        if goes_on {
            WaitOutcome::Renewed
        } else if *self.stop.borrow() > 0 {
            WaitOutcome::Stopped
        } else {
            WaitOutcome::OutOfTime
        }
    }

    /// Waits until the task may go on after its wait; `false` = it may not.
    async fn goes_on(&self, task: &str) -> bool {
        let mut goes_on = self.watcher.goes_on();
        let mut stop = self.stop.clone();
        let mut heard = true;
        while *stop.borrow() == 0 {
            tokio::select! {
                may = &mut goes_on => return may,
                () = self.tools.clock.sleep(HEARTBEAT_INTERVAL) => self.record_heartbeat(task),
                asked = stop.changed(), if heard => heard = asked.is_ok(),
            }
        }
        false
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
                () = self.tools.clock.sleep(left.min(HEARTBEAT_INTERVAL)) => self.record_heartbeat(task),
                asked = stop.changed(), if heard => heard = asked.is_ok(),
            }
        }
        false
    }
}

/// Returns a pause that doubles with each wait; the first wait is number 1.
fn doubled(first: u64, waits: u32) -> u64 {
    first.saturating_mul(
        1_u64
            .checked_shl(waits.saturating_sub(1))
            .unwrap_or(u64::MAX),
    )
}
