//! A terminal with a person in front of it.

use std::time::Duration;

/// Draws and listens. The terminal is as it was once the value is dropped.
pub trait Terminal {
    /// Returns columns and rows.
    fn size(&self) -> (usize, usize);

    /// Replaces what is shown.
    fn draw(&mut self, lines: &[String]);

    /// Returns the next key, or nothing once `limit` has passed.
    fn key(&mut self, limit: Duration) -> Option<char>;
}
