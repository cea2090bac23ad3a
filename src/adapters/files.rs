//! Small files and simple facts for the command line: a current folder, a terminal, a file in one piece.

use std::{
    fs, io,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use crate::{
    adapters::job::store::{io_error, replace},
    ports::store::Error,
};

/// Returns the current folder.
pub fn current_folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}

/// Returns whether somebody sits at the terminal and can answer.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Returns the path with every link resolved, or unchanged where that is impossible.
pub fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Asks whoever sits at the terminal for one line.
pub fn ask_line(question: &str) -> Option<String> {
    use io::{BufRead, Write};
    let mut out = io::stderr().lock();
    out.write_all(question.as_bytes())
        .and_then(|()| out.flush())
        .ok()?;
    drop(out);
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim().to_owned())
}

/// Replaces a file in one piece, making its folders.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    replace(path, text.as_bytes()).map_err(|error| io_error(path.display().to_string(), &error))
}

/// Writes a file that nobody but its owner can read, in one piece.
pub fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    let written = (|| {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        crate::adapters::state_folder::create_dir_all(folder)?;
        // Temporary files are made for their owner alone, and stay so when they get their name.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.as_file().sync_data()?;
        file.persist(path)?;
        Ok(())
    })();
    written.map_err(|error: std::io::Error| io_error(path.display().to_string(), &error))
}

/// Removes a file, where there is one.
pub fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("{} cannot be removed: {error}", path.display());
    }
}

/// Returns the names of the folders in a folder; links are none.
pub fn folder_names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_type().ok()?.is_dir().then_some(())?;
        entry.file_name().into_string().ok()
    });
    names.collect()
}

/// Removes these files of a folder, and the folder where nothing else is in it.
pub fn remove_folder_of(folder: &Path, names: &[&str]) {
    for name in names {
        remove(&folder.join(name));
    }
    // What else is in it is somebody's.
    drop(fs::remove_dir(folder));
}

/// Reads a file; `None` where there is none or it cannot be read.
pub fn read(path: &Path) -> Option<Vec<u8>> {
    fs::read(path).ok()
}

/// Returns whether something is there, or at the place of its one-line twin, that tos has not written as a summary.
pub fn is_not_written_by_tos(path: &Path) -> bool {
    let Ok(found) = path.symlink_metadata() else {
        return path.with_extension("txt").symlink_metadata().is_ok();
    };
    // Devices and pipes hold nothing that could be lost.
    let holds = found.is_file() || found.is_symlink() || found.is_dir();
    let text = read(path).unwrap_or_default();
    let summary = serde_json::from_slice::<serde_json::Value>(&text);
    let is_ours =
        text.is_empty() && !found.is_dir() || summary.is_ok_and(|value| value["mode"].is_string());
    holds && !is_ours
}

/// Makes a file unless something of that name is there; says which of the two in one line.
pub fn create(folder: &Path, name: &str, text: &str) -> Result<String, Error> {
    let path = folder.join(name);
    if path.symlink_metadata().is_ok() {
        return Ok(format!("kept    {name}"));
    }
    write(&path, text)?;
    Ok(format!("created {name}"))
}

/// Appends a text to a file unless its first line is in it already.
pub fn append_once(folder: &Path, name: &str, text: &str) -> Result<String, Error> {
    let path = folder.join(name);
    let mut present = match fs::read_to_string(&path) {
        Ok(present) => present,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return create(folder, name, text),
        Err(error) => return Err(io_error(path.display().to_string(), &error)),
    };
    let mark = text.lines().next().unwrap_or_default();
    if present.contains(mark) {
        return Ok(format!("kept    {name}"));
    }
    if !present.is_empty() && !present.ends_with('\n') {
        present.push('\n');
    }
    write(&path, &(present + text))?;
    Ok(format!("added to {name}"))
}

/// Changes a file in one piece. A link stays a link: what it leads to is replaced, and keeps its mode.
pub fn update(
    path: &Path,
    change: impl FnOnce(&[u8]) -> Result<String, String>,
) -> Result<(), String> {
    let told = |what: &str, error: &io::Error| format!("{}: {what}: {error}", path.display());
    let place = canonical(path);
    let bytes = fs::read(&place).map_err(|error| told("cannot be read", &error))?;
    let mode = fs::metadata(&place).map(|found| found.permissions());
    let text = change(&bytes)?;
    replace(&place, text.as_bytes())
        .and_then(|()| fs::set_permissions(&place, mode?))
        .map_err(|error| told("cannot be written", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_takes_only_the_place_of_a_summary() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [
            ("new.json", None),
            ("empty.json", Some("")),
            ("old.json", Some(r#"{"mode": "run"}"#)),
            ("config.json", Some(r#"{"max_steps": 3}"#)),
            ("notes.txt", Some("dear diary")),
            ("binary.json", Some("\u{1}")),
        ] {
            if let Some(text) = text {
                fs::write(at(name), text).unwrap();
            }
        }
        let foreign = |name: &str| is_not_written_by_tos(&at(name));
        let seen = ["new.json", "empty.json", "old.json"].map(foreign);
        assert_eq!(seen, [false, false, false]);
        let seen = ["config.json", "notes.txt", "notes.json", "binary.json"].map(foreign);
        assert_eq!(seen, [true, true, true, true]);
        assert!(is_not_written_by_tos(folder.path()));
    }

    #[test]
    fn a_file_is_changed_behind_its_link_and_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "a").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        update(&link, |old| {
            Ok(format!("{}b", String::from_utf8_lossy(old)))
        })
        .unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "ab");
        assert_eq!(
            fs::metadata(&real).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(
            update(&link, |_| Err("no".to_owned())),
            Err("no".to_owned())
        );
        assert_eq!(fs::read_to_string(&real).unwrap(), "ab");
    }
}
