//! The logs of the service's processes.

/// Keeps what processes print, one log a process.
pub trait ProcessLogs: Send + Sync {
    /// Appends a line; time and process are added.
    fn line(&self, process: &str, text: &str);

    /// Returns the last lines of a log; none where there is no such log.
    fn tail(&self, process: &str, most: usize) -> Vec<String>;

    /// Returns the names of all logs.
    fn names(&self) -> Vec<String>;

    /// Empties the logs of processes that are up and removes the others; returns how many of each.
    fn clear(&self, up: &[String]) -> (usize, usize);
}
