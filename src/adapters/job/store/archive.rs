//! Moving away what a new start must not find, without ever deleting it at once.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{StoreLayout, step_logs};
use crate::{
    adapters::state_folder,
    domain::job::record::step_file,
    ports::store::{Error, RecordFile},
};

/// Moves the goal files of a job to `<workspace>/results/archive/job_NNN/`.
pub(super) fn archive_results(
    layout: &StoreLayout,
    job: u32,
    files: &[PathBuf],
) -> Result<Vec<String>, Error> {
    let mut moved = Vec::new();
    let results = layout.workspace.join("results");
    let folder = layout.root.join(&results).join("archive");
    let mut target: Option<PathBuf> = None;
    for file in files {
        let from = layout.root.join(file);
        if from.symlink_metadata().is_err() {
            continue;
        }
        let folder = target.get_or_insert_with(|| free_folder(&folder, &format!("job_{job:03}")));
        let to = folder.join(file.strip_prefix(&results).unwrap_or(file));
        rename(layout, &from, &to)?;
        moved.push(layout.display_path(&to));
    }
    Ok(moved)
}

/// Returns `<folder>/<name>`, or `<name>_2`, … where that is taken.
fn free_folder(folder: &Path, name: &str) -> PathBuf {
    let mut candidate = folder.join(name);
    let mut count = 1;
    while candidate.symlink_metadata().is_ok() {
        count += 1;
        candidate = folder.join(format!("{name}_{count}"));
    }
    candidate
}

/// Returns the name of a new archive of records, relative to the root.
pub(super) fn new_name(layout: &StoreLayout) -> String {
    let stamp = chrono::Local::now().format("%Y-%m-%dT%H%M%S").to_string();
    let folder = layout.root.join(&layout.logs).join("archive");
    layout.display_path(&free_folder(&folder, &stamp))
}

/// Moves step logs, phase state, phase summary and job result into the archive.
pub(super) fn archive_records(layout: &StoreLayout, name: &str) -> Result<(), Error> {
    let folder = layout.root.join(name);
    for record in [
        RecordFile::PhaseState,
        RecordFile::PhaseSummary,
        RecordFile::JobResult,
    ] {
        let from = layout.record(record);
        if let Some(file) = from.file_name().filter(|_| from.symlink_metadata().is_ok()) {
            rename(layout, &from, &folder.join(file))?;
        }
    }
    for number in step_logs(&layout.steps()) {
        let file = step_file(number);
        rename(
            layout,
            &layout.steps().join(&file),
            &folder.join("steps").join(&file),
        )?;
    }
    outputs(layout, &folder.join("steps"))
}

/// The folders with whole outputs go along with their step logs.
fn outputs(layout: &StoreLayout, target: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(layout.steps()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("step_") && entry.path().is_dir() {
            rename(layout, &entry.path(), &target.join(name.as_ref()))?;
        }
    }
    Ok(())
}

/// Deletes the oldest archives above the number to keep.
pub(super) fn prune(layout: &StoreLayout) -> Result<(), Error> {
    let folder = layout.root.join(&layout.logs).join("archive");
    let mut names: Vec<PathBuf> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    names.sort();
    let surplus = names.len().saturating_sub(layout.archive_keep);
    for path in names.iter().take(surplus) {
        fs::remove_dir_all(path)
            .map_err(|error| super::io_error(layout.display_path(path), &error))?;
    }
    Ok(())
}

fn rename(layout: &StoreLayout, from: &Path, to: &Path) -> Result<(), Error> {
    let act = || -> io::Result<()> {
        if let Some(folder) = to.parent() {
            state_folder::create_dir_all(folder)?;
        }
        fs::rename(from, to)
    };
    act().map_err(|error| super::io_error(layout.display_path(from), &error))
}
