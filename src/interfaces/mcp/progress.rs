//! How a call that takes long tells its client that it is alive: once a second, where the client gave a token for it.
//!
//! Danger: what is told comes from commands; it is one line of bounded length, without control characters.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::Peer,
};

use crate::{
    domain::text::escape_control_chars,
    ports::runner::{LineObserver, OutputStream},
};

/// How often a client hears of a call.
const EVERY: Duration = Duration::from_secs(1);
/// How many characters of a line are told.
const LONGEST: usize = 160;

/// What a call has done so far.
#[derive(Debug, Default)]
pub(super) struct CallProgress {
    lines: AtomicU64,
    last: Mutex<String>,
}

impl CallProgress {
    /// Takes note of what is going on.
    pub(super) fn say(&self, text: &str) {
        let text: String = text.chars().take(LONGEST).collect();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            escape_control_chars(&text).into();
    }

    fn message(&self, seconds: u64) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = self.lines.load(Ordering::Relaxed);
        match (lines, last.as_str()) {
            (0, "") => format!("{seconds} s"),
            (0, last) => format!("{seconds} s: {last}"),
            (lines, last) => format!("{seconds} s, {lines} lines: {last}"),
        }
    }

    /// Tells a client until the call is over; never completes by itself.
    pub(super) async fn notify_client(&self, client: &Peer<RoleServer>, token: ProgressToken) {
        let mut clock = tokio::time::interval(EVERY);
        // The first tick comes at once.
        clock.tick().await;
        for seconds in 1_u32.. {
            clock.tick().await;
            let mut told = ProgressNotificationParam::new(token.clone(), f64::from(seconds));
            told.message = Some(self.message(u64::from(seconds)));
            // A client that is gone ends the call in another way.
            drop(client.notify_progress(told).await);
        }
        std::future::pending::<()>().await;
    }
}

impl LineObserver for CallProgress {
    fn line(&self, _: OutputStream, line: &str) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.say(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line() {
        let call = CallProgress::default();
        assert_eq!(call.message(3), "3 s");
        call.say("2 of 5 tasks ended");
        assert_eq!(call.message(3), "3 s: 2 of 5 tasks ended");
        call.line(
            OutputStream::Stdout,
            &format!("\u{1b}[2J{}", "x".repeat(1000)),
        );
        let message = call.message(9);
        assert!(message.starts_with("9 s, 1 lines: \\"), "{message}");
        assert!(message.len() < 200 && !message.contains('\u{1b}'));
    }
}
