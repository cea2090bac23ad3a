//! The one representation of a moment: a wall-clock time that remembers its local offset.
//!
//! Domain code never asks what time it is; moments arrive in inputs. The offset is kept so that files
//! written from recorded events carry the user's local time even when rebuilt elsewhere.

/// A moment, with the offset from UTC that was in force where it was recorded.
pub type Timestamp = chrono::DateTime<chrono::FixedOffset>;

/// Returns the local time without a zone, microseconds always shown, as the files of the original have it.
pub fn local_text(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}
