//! Looks at the machine before a night: programs, disk, git, clocks, sleep.

use std::{path::PathBuf, time::Duration};

use super::sleep;
use crate::{
    adapters::{disk, ledger::boottime_ms, sandbox::isolation_probe},
    ports::machine::{BootClock, Machine},
};

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// This machine, as seen from a root.
#[derive(Debug, Clone)]
pub struct LocalMachine {
    root: PathBuf,
}

impl LocalMachine {
    /// Makes the adapter.
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Machine for LocalMachine {
    fn free_bytes(&self) -> Result<u64, String> {
        disk::free_bytes(&self.root).map_err(|error| error.to_string())
    }

    fn git_version(&self) -> Result<String, String> {
        isolation_probe::blocking_run_first_line(
            &["git", "rev-parse", "HEAD"],
            &self.root,
            PATIENCE,
        )?;
        isolation_probe::blocking_run_first_line(&["git", "--version"], &self.root, PATIENCE)
    }

    fn boot_clock(&self) -> BootClock {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        BootClock {
            id: id.trim().to_owned(),
            ms: boottime_ms(),
        }
    }

    fn sleep_inhibitor(&self) -> Result<String, String> {
        sleep::SleepInhibitor::blocking_inhibit_sleep().map(|guard| guard.name().to_owned())
    }
}
