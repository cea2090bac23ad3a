//! Looks at the machine before a night: programs, disk, git, clocks, sleep.

use std::{path::PathBuf, time::Duration};

use super::sleep;
use crate::{
    adapters::{isolation, ledger::boottime_ms},
    ports::machine::{Boot, Machine},
};

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// This machine, as seen from a root.
#[derive(Debug, Clone)]
pub struct ThisMachine {
    root: PathBuf,
}

impl ThisMachine {
    /// Makes the adapter.
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Machine for ThisMachine {
    fn free_bytes(&self) -> Result<u64, String> {
        let stat = rustix::fs::statvfs(&self.root).map_err(|error| error.to_string())?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn git(&self) -> Result<String, String> {
        isolation::blocking_first_line(&["git", "rev-parse", "HEAD"], &self.root, PATIENCE)?;
        isolation::blocking_first_line(&["git", "--version"], &self.root, PATIENCE)
    }

    fn boot(&self) -> Boot {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Boot {
            id: id.trim().to_owned(),
            ms: boottime_ms(),
        }
    }

    fn sleep_guard(&self) -> Result<String, String> {
        sleep::Guard::blocking_hold().map(|guard| guard.name().to_owned())
    }
}
