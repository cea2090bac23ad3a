//! Lets the parts of a board do what is due, as soon as it is due.

use std::time::Duration;

use tokio::sync::watch;

use super::BoardHandle;
use crate::{
    domain::board::{Controller, Input},
    ports::board::SubmitError,
};

/// How long a loop rests after a step that did not work.
const REST: Duration = Duration::from_secs(1);
/// The longest sleep of a loop.
const LONGEST: Duration = Duration::from_secs(3600);

/// Completes when a stop is asked for.
pub(super) async fn stop_requested(stopped: &mut watch::Receiver<u8>) {
    while *stopped.borrow() == 0 {
        if stopped.changed().await.is_err() {
            return;
        }
    }
}

/// Lets a part do what is due, as soon as it is due.
pub(super) async fn wake_loop(handle: BoardHandle, part: Controller) {
    let mut changes = handle.watch();
    loop {
        let due = changes.borrow_and_update().next_wake_of(part);
        let now = handle.now();
        if due.is_some_and(|at| at <= now) {
            let before = handle.snapshot().globals().events;
            let told = handle.submit(Input::Wake { part }).await;
            if matches!(told, Err(SubmitError::Ending)) {
                return;
            }
            // A sign of life that is not in the snapshot yet, or a disk that is full: no reason to spin.
            if told.is_err() || handle.snapshot().globals().events == before {
                tokio::time::sleep(REST).await;
            }
            continue;
        }
        let wait = due.map_or(LONGEST, |at| Duration::from_millis(at - now).min(LONGEST));
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}
