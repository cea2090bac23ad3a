//! What installations did to settings files, so that taking the hook out undoes exactly that.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{adapters::job::store::replace, domain::guard::installed::InstallRecord};

/// The file, below the folder of the guard.
const FILE: &str = "installed.json";

type Records = BTreeMap<String, Value>;

/// Returns what is known of a file; `None` where nothing is.
pub fn load_record(state: &Path, path: &Path) -> Option<InstallRecord> {
    let known = records(state).remove(&key(path))?;
    if known.is_array() {
        // Written so by versions that noted names of keys only.
        return serde_json::from_value(json!({ "held": known })).ok();
    }
    serde_json::from_value(known).ok()
}

/// Remembers what was done to a file; `None` forgets it.
pub fn save_record(
    state: &Path,
    path: &Path,
    record: Option<&InstallRecord>,
) -> Result<(), String> {
    let mut all = records(state);
    let is_news = match record {
        Some(record) => {
            let record = json!(record);
            all.insert(key(path), record.clone()) != Some(record)
        }
        None => all.remove(&key(path)).is_some(),
    };
    if !is_news {
        return Ok(());
    }
    let file = place(state);
    let text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?;
    replace(&file, text.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))
}

fn place(state: &Path) -> PathBuf {
    state.join(FILE)
}

fn key(path: &Path) -> String {
    path.display().to_string()
}

/// A file that cannot be read knows nothing; then what is empty counts as the guard's.
fn records(state: &Path) -> Records {
    let text = fs::read(place(state)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_to_a_file_is_known_until_it_is_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let path = Path::new("/home/me/.claude/settings.json");
        assert_eq!(load_record(state.path(), path), None);
        let record = InstallRecord {
            held: vec!["hooks".to_owned()],
            ..InstallRecord::default()
        };
        save_record(state.path(), path, Some(&record)).unwrap();
        assert_eq!(load_record(state.path(), path).unwrap(), record);
        save_record(state.path(), path, None).unwrap();
        assert_eq!(load_record(state.path(), path), None);
        save_record(state.path(), path, None).unwrap();
        let older = json!({ key(path): ["hooks"] });
        fs::write(place(state.path()), older.to_string()).unwrap();
        assert_eq!(load_record(state.path(), path).unwrap(), record);
    }
}
