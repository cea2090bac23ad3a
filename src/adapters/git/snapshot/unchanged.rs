//! Tells what an agent did from what git would do to a file: rules that were never applied, filters that fail.

use std::{collections::BTreeSet, fs, path::Path};

use crate::adapters::git::{
    objects::object::{ObjectKind, hex, id_of},
    paths::absolute,
    program::GitProgram,
};

/// Returns settings that switch every configured filter off; files are then what git stores.
pub(in crate::adapters::git) fn disabled_filters(git: &GitProgram) -> Vec<String> {
    let words = ["config", "--name-only", "--get-regexp", r"^filter\..*\."];
    let keys = git.run(&words, b"").unwrap_or_default();
    let keys = String::from_utf8_lossy(&keys).into_owned();
    let names = keys.lines().filter_map(|key| key.rsplit_once('.'));
    let names: BTreeSet<&str> = names.map(|(name, _)| name).collect();
    let off = |name: &&str| {
        let values = ["smudge=", "clean=", "process=", "required=false"];
        values.map(|value| format!("{name}.{value}"))
    };
    let settings = names.iter().flat_map(off);
    settings
        .flat_map(|setting| ["-c".to_owned(), setting])
        .collect()
}

/// Returns entries for an index that take back what adding made of files that are, byte for byte, what they were: a
/// rule that was not applied when they were committed (line ends, an encoding) is no work of anybody here. `listed` is
/// what `git diff-index --raw -z` says.
pub(in crate::adapters::git) fn unchanged_entries(top: &Path, listed: &[u8]) -> Vec<u8> {
    let mut fields = listed.split(|byte| *byte == 0);
    let mut entries = Vec::new();
    while let (Some(facts), Some(path)) = (fields.next(), fields.next()) {
        let facts = String::from_utf8_lossy(facts).into_owned();
        let facts: Vec<&str> = facts.trim_start_matches(':').split(' ').collect();
        let [before, after, old, _, _] = facts.as_slice() else {
            continue;
        };
        let file = absolute(top, path);
        let are_files = [before, after].iter().all(|mode| mode.starts_with("100"));
        let is_file = file.symlink_metadata().is_ok_and(|data| data.is_file());
        let bytes = (are_files && is_file).then(|| fs::read(&file).ok());
        let id = bytes
            .flatten()
            .map(|bytes| hex(&id_of(ObjectKind::Blob, &bytes)));
        if id.as_deref() == Some(*old) {
            entries.extend(format!("{after} {old}\t").into_bytes());
            entries.extend(path);
            entries.push(0);
        }
    }
    entries
}

/// Returns mode and path of each changed file whose bytes on the disk are others than git stores for it. `listed` is what
/// `git diff-tree --raw -z` says; names that are no text are left as git has them.
pub(in crate::adapters::git) fn converted_files(
    top: &Path,
    listed: &[u8],
) -> Vec<(String, String)> {
    let mut fields = listed.split(|byte| *byte == 0);
    let mut found = Vec::new();
    while let (Some(facts), Some(path)) = (fields.next(), fields.next()) {
        let facts = String::from_utf8_lossy(facts).into_owned();
        let facts: Vec<&str> = facts.trim_start_matches(':').split(' ').collect();
        let ([_, mode, _, new, _], Ok(name)) = (facts.as_slice(), std::str::from_utf8(path)) else {
            continue;
        };
        let file = absolute(top, path);
        let is_file = file.symlink_metadata().is_ok_and(|data| data.is_file());
        let bytes = (is_file && mode.starts_with("100")).then(|| fs::read(&file).ok());
        let id = bytes
            .flatten()
            .map(|bytes| hex(&id_of(ObjectKind::Blob, &bytes)));
        if id.is_some_and(|id| id != *new) {
            found.push(((*mode).to_owned(), name.to_owned()));
        }
    }
    found
}
