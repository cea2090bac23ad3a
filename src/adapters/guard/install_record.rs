//! What settings files held before the guard's hook came into them, so that taking it out leaves what was somebody's own: names
//! of keys alone, no values, because settings may hold secrets.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::adapters::job::store::replace;

/// The file, below the folder of the guard.
const FILE: &str = "installed.json";

type Record = BTreeMap<String, Vec<String>>;

/// Returns what a file held; `None` where that is not known.
pub fn held_before(state: &Path, path: &Path) -> Option<Vec<String>> {
    record(state).remove(&key(path))
}

/// Remembers what a file held; `None` forgets it.
pub fn remember(state: &Path, path: &Path, held: Option<&[String]>) -> Result<(), String> {
    let mut record = record(state);
    let known = match held {
        Some(held) => record.insert(key(path), held.to_vec()) != Some(held.to_vec()),
        None => record.remove(&key(path)).is_some(),
    };
    if !known {
        return Ok(());
    }
    let file = place(state);
    let text = serde_json::to_string_pretty(&record).map_err(|error| error.to_string())?;
    replace(&file, text.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))
}

fn place(state: &Path) -> PathBuf {
    state.join(FILE)
}

fn key(path: &Path) -> String {
    path.display().to_string()
}

/// A record that cannot be read knows nothing; then what is empty counts as the guard's.
fn record(state: &Path) -> Record {
    let text = fs::read(place(state)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_held_is_known_until_it_is_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let path = Path::new("/home/me/.claude/settings.json");
        assert_eq!(held_before(state.path(), path), None);
        let held = ["hooks".to_owned()];
        remember(state.path(), path, Some(&held)).unwrap();
        assert_eq!(held_before(state.path(), path).unwrap(), held);
        remember(state.path(), path, None).unwrap();
        assert_eq!(held_before(state.path(), path), None);
        remember(state.path(), path, None).unwrap();
    }
}
