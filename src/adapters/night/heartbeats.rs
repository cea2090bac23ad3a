//! Signs of life as small files, `.tos/sessions/<session>.json`, replaced in one piece.

use std::{fs, path::PathBuf};

use crate::{
    adapters::job::store::replace, domain::night::Heartbeat, ports::heartbeats::Heartbeats,
};

/// Signs of life below a state folder.
#[derive(Debug, Clone)]
pub struct HeartbeatFiles {
    folder: PathBuf,
}

impl HeartbeatFiles {
    /// Makes the adapter; touches nothing yet.
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn file(&self, session: &str) -> PathBuf {
        self.folder.join(format!("{session}.json"))
    }
}

impl Heartbeats for HeartbeatFiles {
    fn record(&self, session: &str, beat: &Heartbeat) {
        let Ok(text) = serde_json::to_vec(beat) else {
            return;
        };
        // A full disk loses the sign of life, which says enough.
        drop(replace(&self.file(session), &text));
    }

    fn last(&self, session: &str) -> Option<Heartbeat> {
        let bytes = fs::read(self.file(session)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_sign_of_life_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let heartbeats = HeartbeatFiles::new(folder.path().join("sessions"));
        assert_eq!(heartbeats.last("s"), None);
        let beat = |wall_s| Heartbeat {
            at: chrono::DateTime::parse_from_rfc3339("2026-11-20T22:00:00+01:00").unwrap(),
            wall_s,
            active_s: 1,
            suspend_s: 0,
            task: "T-1".into(),
        };
        heartbeats.record("s", &beat(1));
        heartbeats.record("s", &beat(2));
        assert_eq!(heartbeats.last("s"), Some(beat(2)));
    }
}
