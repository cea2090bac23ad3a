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

/// Returns seconds as people say them: `45 s`, `12 min`, `2 h 05 min`.
pub fn duration_words(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}
