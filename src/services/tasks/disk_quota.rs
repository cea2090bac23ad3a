//! Weighs a task folder while programs work in it. What was in it before them does not count.

use std::{sync::Arc, time::Duration};

use crate::ports::worktrees::{Worktree, Worktrees};

/// How long it is at least from one look to the next.
const PAUSE: Duration = Duration::from_millis(500);
/// How many times longer the pause is than a look takes: watching must not be what keeps the disk busy.
const IDLE_SHARE: u32 = 20;

/// The weight of one task folder.
pub(super) struct DiskQuota {
    worktrees: Arc<dyn Worktrees>,
    place: Worktree,
    before: u64,
    megabytes: u64,
}

impl DiskQuota {
    /// Weighs a task folder before anything runs in it.
    pub(super) async fn new(
        worktrees: &Arc<dyn Worktrees>,
        place: &Worktree,
        megabytes: u64,
    ) -> Self {
        let mut scale = Self {
            worktrees: Arc::clone(worktrees),
            place: place.clone(),
            before: 0,
            megabytes,
        };
        scale.before = scale.weight().await;
        scale
    }

    async fn weight(&self) -> u64 {
        let (worktrees, place) = (Arc::clone(&self.worktrees), self.place.clone());
        let look = tokio::task::spawn_blocking(move || worktrees.disk_usage(&place));
        // A look that panicked saw nothing.
        look.await.unwrap_or(0)
    }

    /// Returns how many megabytes were written, where they are too many.
    pub(super) async fn excess(&self) -> Option<u64> {
        let written = self.weight().await.saturating_sub(self.before) >> 20;
        (written > self.megabytes).then_some(written)
    }

    /// Waits until too much was written.
    pub(super) async fn wait_exceeded(&self) -> u64 {
        let mut pause = PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            let began = tokio::time::Instant::now();
            if let Some(written) = self.excess().await {
                return written;
            }
            pause = PAUSE.max(began.elapsed() * IDLE_SHARE);
        }
    }
}
