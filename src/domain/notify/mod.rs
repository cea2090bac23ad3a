//! What people who are not at the terminal are told: short, true, which run, what happened, what to do next.

mod of_job;
mod of_plan;

use serde::{Deserialize, Serialize};

pub use of_job::job_notification;
pub use of_plan::plan_notification;

use crate::domain::{redaction::Redactor, time::Timestamp};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationEvent {
    /// A session of tasks began.
    Started,
    /// A task passed.
    TaskPassed,
    /// A task did not pass.
    TaskFailed,
    /// A task could not be worked on: a person, a limit or the provider was in the way.
    TaskBlocked,
    /// A session waits, for a quota or the provider.
    Waiting,
    /// A session ended before its time.
    Stopped,
    /// A session ended: its tasks are tried, or its time was up.
    Finished,
    /// A check whether people can be reached.
    Health,
    /// A night did not begin.
    Unhealthy,
    /// A command waits for a yes.
    ApprovalWaiting,
    /// A job pauses: a quota or a ceiling.
    JobPaused,
    /// A run of a job ended.
    JobEnded,
    /// A plan succeeded.
    PlanPassed,
    /// A plan failed.
    PlanFailed,
    /// A scheduled run failed, or could not begin.
    ScheduleFailed,
    /// Somebody tries whether it works.
    Test,
}

impl NotificationEvent {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 16] = [
        Self::Started,
        Self::TaskPassed,
        Self::TaskFailed,
        Self::TaskBlocked,
        Self::Waiting,
        Self::Stopped,
        Self::Finished,
        Self::Health,
        Self::Unhealthy,
        Self::ApprovalWaiting,
        Self::JobPaused,
        Self::JobEnded,
        Self::PlanPassed,
        Self::PlanFailed,
        Self::ScheduleFailed,
        Self::Test,
    ];

    /// Returns its word in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::TaskPassed => "task_passed",
            Self::TaskFailed => "task_failed",
            Self::TaskBlocked => "task_blocked",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Health => "health",
            Self::Unhealthy => "unhealthy",
            Self::ApprovalWaiting => "approval_waiting",
            Self::JobPaused => "job_paused",
            Self::JobEnded => "job_ended",
            Self::PlanPassed => "plan_passed",
            Self::PlanFailed => "plan_failed",
            Self::ScheduleFailed => "schedule_failed",
            Self::Test => "test",
        }
    }

    /// Returns the event of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == word)
    }

    /// Says whether somebody has to do something.
    pub const fn is_urgent(self) -> bool {
        matches!(
            self,
            Self::TaskFailed
                | Self::TaskBlocked
                | Self::Stopped
                | Self::Unhealthy
                | Self::ApprovalWaiting
                | Self::JobPaused
                | Self::PlanFailed
                | Self::ScheduleFailed
        )
    }
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// What happened.
    pub event: NotificationEvent,
    /// One line.
    pub title: String,
    /// Details.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The command to type next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// The run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// The head of the ledger.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ledger: String,
    /// When it happened, where it is told later than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Timestamp>,
}

impl Notification {
    /// Makes one of what every notification has.
    pub fn new(event: NotificationEvent, title: impl Into<String>, run: impl Into<String>) -> Self {
        Self {
            event,
            title: title.into(),
            text: String::new(),
            next: String::new(),
            run: run.into(),
            ledger: String::new(),
            late: None,
        }
    }

    /// Adds details.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds the command to type next.
    #[must_use]
    pub fn next_command(mut self, command: impl Into<String>) -> Self {
        self.next = command.into();
        self
    }

    /// Returns it without secrets.
    #[must_use]
    pub fn redacted(&self, redactor: &Redactor) -> Self {
        Self {
            title: redactor.clean(&self.title),
            text: redactor.clean(&self.text),
            next: redactor.clean(&self.next),
            ..self.clone()
        }
    }

    /// Returns everything below the title, at most `most` characters: details give way, run and command do not.
    pub fn body(&self, most: usize) -> String {
        let mut tail = Vec::new();
        if let Some(at) = self.late {
            tail.push(format!(
                "told late: it happened at {}",
                at.format("%Y-%m-%d %H:%M %:z")
            ));
        }
        if !self.run.is_empty() {
            tail.push(format!("run: {}", self.run));
        }
        if !self.next.is_empty() {
            tail.push(format!("next: {}", self.next));
        }
        let tail = shortened(&tail.join("\n"), most / 2);
        let text = self.text.trim_end();
        let room = most.saturating_sub(tail.chars().count() + 1);
        let text = shortened(text, room);
        [text.as_str(), tail.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Returns the whole message, at most `most` characters.
    pub fn message(&self, most: usize) -> String {
        let title = shortened(&self.title, most / 4);
        let room = most.saturating_sub(title.chars().count() + 1);
        let body = self.body(room);
        if body.is_empty() {
            title
        } else {
            format!("{title}\n{body}")
        }
    }
}

/// Returns a text of at most `most` characters; what is too long is cut in the middle, and says so.
pub fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let mark = format!("\n... {count} characters, cut ...\n");
    let room = most.saturating_sub(mark.chars().count());
    if room < 2 {
        return text.chars().take(most).collect();
    }
    let head: String = text.chars().take(room / 2).collect();
    let tail: String = text.chars().skip(count - (room - room / 2)).collect();
    format!("{head}{mark}{tail}")
}

/// Why a notification did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationError {
    /// What the other side said, without secrets.
    pub why: String,
    /// What a person can do about it; empty where nobody knows.
    pub remedy: String,
    /// Whether it makes sense to try again.
    pub again: RetryHint,
}

impl NotificationError {
    /// Makes one that another try may overcome.
    pub fn transient(why: impl Into<String>, remedy: &str) -> Self {
        Self {
            why: why.into(),
            remedy: remedy.to_owned(),
            again: RetryHint::Later(None),
        }
    }

    /// Makes one that no other try overcomes.
    pub fn permanent(why: impl Into<String>, remedy: &str) -> Self {
        Self {
            why: why.into(),
            remedy: remedy.to_owned(),
            again: RetryHint::Never,
        }
    }
}

/// Whether another try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryHint {
    /// No: a person has to change something.
    Never,
    /// Yes; after so many milliseconds where the other side says so.
    Later(Option<u64>),
}

/// The pauses before the second and every further try, in seconds; the number of tries is bounded by it.
pub const RETRY_DELAYS_SEC: [u64; 4] = [2, 10, 60, 300];

/// No pause that a server asks for is longer than this, in milliseconds.
pub const MAX_RETRY_DELAY_MS: u64 = 900_000;

/// Returns how long to wait before the next try, in milliseconds; `None` = it is given up. `tries` have failed;
/// `unit_ms` is the length of a second of [`RETRY_DELAYS_SEC`].
pub fn retry_delay_ms(tries: usize, again: RetryHint, unit_ms: u64) -> Option<u64> {
    let RetryHint::Later(asked) = again else {
        return None;
    };
    let own = RETRY_DELAYS_SEC
        .get(tries.checked_sub(1)?)?
        .saturating_mul(unit_ms);
    Some(asked.map_or(own, |asked| asked.min(MAX_RETRY_DELAY_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_found_by_its_word_and_its_serialized_form_is_the_same() {
        for event in NotificationEvent::ALL {
            assert_eq!(NotificationEvent::of(event.as_str()), Some(event));
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
        }
    }

    #[test]
    fn a_message_keeps_title_run_and_command_however_long_the_details_are() {
        let long = Notification::new(NotificationEvent::PlanFailed, "plan `p` failed", "r-1")
            .text("x".repeat(10_000))
            .next_command("tos plan resume r-1");
        let message = long.message(2000);
        assert!(message.chars().count() <= 2000, "{}", message.len());
        assert!(message.starts_with("plan `p` failed\nxxx"), "{message}");
        assert!(message.contains("10000 characters, cut"), "{message}");
        assert!(message.ends_with("run: r-1\nnext: tos plan resume r-1"));
    }

    #[test]
    fn a_short_message_has_nothing_that_is_not_there() {
        let short = Notification::new(NotificationEvent::Test, "hello", "");
        assert_eq!(short.message(100), "hello");
        assert_eq!(shortened("abc", 1), "a");
    }

    #[test]
    fn tries_are_bounded_and_a_server_may_ask_for_a_pause_but_not_for_a_day() {
        let later = RetryHint::Later(None);
        assert_eq!(retry_delay_ms(1, later, 1000), Some(2000));
        assert_eq!(retry_delay_ms(4, later, 1000), Some(300_000));
        assert_eq!(retry_delay_ms(5, later, 1000), None);
        assert_eq!(retry_delay_ms(1, RetryHint::Never, 1000), None);
        assert_eq!(
            retry_delay_ms(1, RetryHint::Later(Some(1500)), 1000),
            Some(1500)
        );
        let day = RetryHint::Later(Some(86_400_000));
        assert_eq!(retry_delay_ms(1, day, 1000), Some(MAX_RETRY_DELAY_MS));
    }
}
