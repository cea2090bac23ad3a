//! What a board says to its workers: who is to take nothing new, which form its orders have, and what they require.
//!
//! Orders lie in lanes, one for each role and each set of labels that is required, so that a worker is only ever given what it can do.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ledger::chain::sha256;

/// The word under which everybody is told to take nothing new.
const ALL: &str = "drain.all";
/// What stands before the name of a worker that is to take nothing new.
const ONE: &str = "drain.worker.";
/// The word under which the form of orders is told.
const FORM: &str = "form";
/// What stands before a lane.
const LANE: &str = "lane.";
/// The lane of orders that require nothing.
const ANY: &str = "any";

/// What a board says to its workers, as keys and values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerInstructions {
    everybody: bool,
    drained: BTreeSet<String>,
    form: Option<u32>,
    lanes: BTreeMap<String, Vec<String>>,
}

impl WorkerInstructions {
    /// Reads keys and their values; what is not known is for others.
    pub fn read<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut controls = Self::default();
        for (key, value) in entries {
            if key == ALL {
                controls.everybody = true;
            } else if key == FORM {
                controls.form = value.parse().ok();
            } else if let Some(name) = key.strip_prefix(ONE) {
                controls.drained.insert(name.to_owned());
            } else if let Some(lane) = key.strip_prefix(LANE) {
                let labels = value.split_whitespace().map(str::to_owned).collect();
                controls.lanes.insert(lane.to_owned(), labels);
            }
        }
        controls
    }

    /// Returns whether a worker is to take nothing new.
    pub fn drains(&self, worker: &str) -> bool {
        self.everybody || self.drained.contains(worker)
    }

    /// Returns whether everybody is to take nothing new.
    pub const fn drains_everybody(&self) -> bool {
        self.everybody
    }

    /// Returns the names of workers that are to take nothing new, each told so by name.
    pub fn draining_workers(&self) -> impl Iterator<Item = &str> {
        self.drained.iter().map(String::as_str)
    }

    /// Says what is wrong where the board writes orders of another form than a worker reads.
    pub fn version_skew(&self, own: u32) -> Option<String> {
        let form = self.form.filter(|form| *form != own)?;
        let other = if form > own { "newer" } else { "older" };
        Some(format!(
            "its controller is {other}: it writes orders of form {form} and this worker reads form {own}; install the tos of the controller here, until then no work is taken"
        ))
    }

    /// Returns the lanes that a worker with labels can work in.
    pub fn lanes(&self, labels: &[String]) -> BTreeSet<String> {
        let able = self
            .lanes
            .iter()
            .filter(|(_, required)| required.iter().all(|label| labels.contains(label)));
        let able = able.map(|(lane, _)| lane.clone());
        able.chain([ANY.to_owned()]).collect()
    }

    /// Returns the key that says that a worker, or everybody, is to take nothing new.
    pub fn drain_key(worker: Option<&str>) -> String {
        worker.map_or_else(|| ALL.to_owned(), |name| format!("{ONE}{name}"))
    }

    /// Returns the key and the value that tell the form of orders.
    pub fn protocol_entry(form: u32) -> (String, String) {
        (FORM.to_owned(), form.to_string())
    }

    /// Returns the lane of what is required, and the key and value that make it known where it is not known anyway.
    pub fn lane_of(required: &[String]) -> (String, Option<(String, String)>) {
        let labels: BTreeSet<&str> = required.iter().map(String::as_str).collect();
        if labels.is_empty() {
            return (ANY.to_owned(), None);
        }
        let text = labels.into_iter().collect::<Vec<_>>().join(" ");
        let lane: String = sha256(text.as_bytes()).chars().take(16).collect();
        (lane.clone(), Some((format!("{LANE}{lane}"), text)))
    }
}

/// Returns the order in which so many queues are asked when one of them gave something last: it comes last, so that
/// each gets its turn however much lies in the others.
pub fn round_robin(count: usize, last: usize) -> impl Iterator<Item = usize> {
    (1..=count).map(move |step| (last + step) % count.max(1))
}
