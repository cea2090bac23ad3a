//! This very program as a child process, for the commands that check or drive it from outside.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How a child ended: its exit code and what it wrote to standard output.
pub type ExitedChild = (i32, String);

/// Starts this program again.
pub trait SelfProcess: Send + Sync {
    /// Runs it with these words to its end.
    fn run(&self, words: &[String]) -> Result<ExitedChild, String>;

    /// Starts it with these words and returns at once.
    fn spawn(&self, words: &[String]) -> Result<Box<dyn StartedChild>, String>;

    /// Starts it apart from this process and its terminal; everything it says goes to a file.
    fn detach(&self, words: &[String], log: &Path) -> Result<Box<dyn DetachedChild>, String>;

    /// Returns the text of a small file.
    fn read(&self, path: &Path) -> Option<String>;

    /// Writes a small file.
    fn write(&self, path: &Path, text: &str) -> Result<(), String>;

    /// Returns the absolute form of a path.
    fn absolute(&self, path: &Path) -> PathBuf;

    /// Waits.
    fn sleep(&self, duration: Duration);
}

/// A child that goes on when this process has ended.
pub trait DetachedChild: Send {
    /// Returns its process number.
    fn id(&self) -> u32;

    /// Returns its exit code, once it has ended.
    fn exit_code(&mut self) -> Option<i32>;
}

/// A child that was started. It goes on when nobody holds it any more.
pub trait StartedChild: Send {
    /// Returns the next line of its standard output, or nothing once that is closed.
    fn next_line(&mut self) -> Option<String>;

    /// Returns its process number.
    fn id(&self) -> u32;

    /// Asks it to end, as Ctrl-C would.
    fn interrupt(&self);

    /// Waits for its end, but not longer than `limit`.
    fn wait(self: Box<Self>, limit: Duration) -> Result<ExitedChild, String>;
}
