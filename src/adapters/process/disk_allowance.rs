//! Watches how much room a command leaves on the disk of the root.
//!
//! The kernel counts what one file holds and what a private folder holds, but not what a command writes in many
//! files of a shared disk. So the free space of that disk is looked at. Danger: other programs write there too, which is
//! why the ceilings are far above what a command needs.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::adapters::{disk::free_bytes, temporary};

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How much of the disk a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandDiskLimit {
    /// By how many bytes the free space may sink while it runs; 0 = any.
    pub most_bytes: u64,
    /// How many bytes stay free whatever it does; without them tos could not even write down what happened.
    pub leave_bytes: u64,
}

impl Default for CommandDiskLimit {
    fn default() -> Self {
        Self {
            most_bytes: 20 << 30,
            leave_bytes: 256 << 20,
        }
    }
}

impl CommandDiskLimit {
    /// Returns how far the free space may sink; a disk that is nearly full already may lose half of its rest.
    fn allowance(self, free: u64) -> u64 {
        let above = free.saturating_sub(self.leave_bytes);
        let above = if above == 0 { free / 2 } else { above };
        if self.most_bytes == 0 {
            above
        } else {
            above.min(self.most_bytes)
        }
    }
}

/// Ends when the disk below `folder` has lost more than it may; returns how many bytes it lost.
pub(super) async fn wait_disk_exceeded(folder: &Path, task_folder: CommandDiskLimit) -> u64 {
    let Ok(before) = free_bytes(folder) else {
        return std::future::pending().await;
    };
    let allowance = task_folder.allowance(before);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let lost = before.saturating_sub(free_bytes(folder).unwrap_or(before));
        if lost > allowance {
            return lost;
        }
    }
}

/// How many times as long as a look took the next one waits: a folder may hold very many files.
const PATIENCE: u32 = 20;

/// Ends when a folder that the command shares with others holds more than it may; returns how much it holds.
pub(super) async fn wait_folder_full(watched: Option<(PathBuf, u64)>) -> u64 {
    let Some((folder, most)) = watched else {
        return std::future::pending().await;
    };
    loop {
        let (began, looked) = (Instant::now(), folder.clone());
        let weigh = tokio::task::spawn_blocking(move || temporary::blocking_disk_usage(&looked));
        let holds = weigh.await.unwrap_or(0);
        if holds > most {
            return holds;
        }
        tokio::time::sleep(LOOK_EVERY.max(began.elapsed() * PATIENCE)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_take_what_is_above_the_reserve_up_to_its_ceiling() {
        let task_folder = CommandDiskLimit {
            most_bytes: 100,
            leave_bytes: 50,
        };
        for (free, allowed) in [(1000, 100), (150, 100), (120, 70), (50, 25), (0, 0)] {
            assert_eq!(task_folder.allowance(free), allowed, "{free}");
        }
        let open = CommandDiskLimit {
            most_bytes: 0,
            ..task_folder
        };
        assert_eq!(open.allowance(1000), 950);
    }
}
