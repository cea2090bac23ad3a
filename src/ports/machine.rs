//! What a night must know of the machine before it begins.

/// Where the clocks of the machine stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootClock {
    /// Which start of the machine.
    pub id: String,
    /// Time since then, sleep included.
    pub ms: u64,
}

/// Looks at the machine. Every call comes back within seconds.
pub trait Machine: Send + Sync {
    /// Returns the free room where work trees are made, in bytes.
    fn free_bytes(&self) -> Result<u64, String>;

    /// Tries git on the repository and returns its version.
    fn git_version(&self) -> Result<String, String>;

    /// Returns where the clocks stand.
    fn boot_clock(&self) -> BootClock;

    /// Tries what would keep the machine awake and returns its name.
    fn sleep_inhibitor(&self) -> Result<String, String>;
}
