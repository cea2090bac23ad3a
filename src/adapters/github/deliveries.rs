//! Which deliveries of the webhook were taken, so that one that comes again changes nothing, even after a restart.
//!
//! A file with a line for each of the last deliveries. It is written after a delivery was dealt with: a crash in between leads to a
//! second look, which finds the task that is there.

use std::{
    collections::{BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::adapters::files;

/// How many deliveries are remembered; GitHub lets one send those of the last three days again.
const MOST: usize = 2000;

/// What is known of a delivery that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is new, and counts as under way from now on.
    New,
    /// It was taken before.
    Taken,
    /// It came before and is under way.
    UnderWay,
}

#[derive(Debug, Default)]
struct Known {
    /// Identifiers, oldest first; `None` = the file was not read yet.
    taken: Option<VecDeque<String>>,
    under_way: BTreeSet<String>,
}

/// Remembers deliveries.
#[derive(Debug, Clone)]
pub struct DeliveryLog {
    file: PathBuf,
    known: Arc<Mutex<Known>>,
}

impl DeliveryLog {
    /// Names the file.
    pub fn new(file: PathBuf) -> Self {
        Self {
            file,
            known: Arc::default(),
        }
    }

    /// Notes that a delivery came in; says what was known of it.
    pub fn begin(&self, id: &str) -> DeliveryState {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if self.taken(&mut known).iter().any(|one| one == id) {
            return DeliveryState::Taken;
        }
        if known.under_way.insert(id.to_owned()) {
            DeliveryState::New
        } else {
            DeliveryState::UnderWay
        }
    }

    /// Notes that a delivery was dealt with, or, if that did not succeed, lets it come again.
    pub fn end(&self, id: &str, is_done: bool) -> Result<(), String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.under_way.remove(id);
        if !is_done {
            return Ok(());
        }
        let taken = self.taken(&mut known);
        taken.push_back(id.to_owned());
        while taken.len() > MOST {
            taken.pop_front();
        }
        let mut text = String::new();
        for id in taken.iter() {
            text.push_str(id);
            text.push('\n');
        }
        files::write(&self.file, &text).map_err(|error| error.to_string())
    }

    fn taken<'a>(&self, known: &'a mut Known) -> &'a mut VecDeque<String> {
        known.taken.get_or_insert_with(|| {
            let bytes = files::read(&self.file).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            text.lines().map(str::to_owned).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_counts_once_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deliveries");
        let log = DeliveryLog::new(file.clone());
        assert_eq!(log.begin("a"), DeliveryState::New);
        assert_eq!(log.begin("a"), DeliveryState::UnderWay);
        log.end("a", false).unwrap();
        assert_eq!(log.begin("a"), DeliveryState::New, "it did not succeed");
        log.end("a", true).unwrap();
        assert_eq!(log.begin("a"), DeliveryState::Taken);
        let later = DeliveryLog::new(file.clone());
        assert_eq!(
            (later.begin("a"), later.begin("b")),
            (DeliveryState::Taken, DeliveryState::New)
        );
        for number in 0..MOST {
            later.end(&number.to_string(), true).unwrap();
        }
        let text = std::fs::read_to_string(file).unwrap();
        assert_eq!(text.lines().count(), MOST);
        assert!(!text.starts_with("a\n"));
    }
}
