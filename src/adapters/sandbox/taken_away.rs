//! What is protected but was not there when a command began cannot be closed by a wall: if it is there afterwards, the command made it,
//! and it is moved away before anything believes it.
//!
//! A configuration would set the next command's wall, a repository would name programs. Danger: what lies on the way may be a link the
//! command has put there, so only folders that really lie below the root are gone into, and the place itself is never followed.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::options::Options;
use crate::adapters::state_folder;

/// Where what was moved away is kept, below the folder of tos.
const KEPT: &str = "taken";
/// Folders that projects have for things of their own as well, and what in them tos believes: only that is taken away.
const BELIEVED: [(&str, &[&str]); 1] = [("config", &["config_v0_3.json", "gates.toml", "prompts"])];
/// How many things of one name are kept beside one another.
const MOST_KEPT: u32 = 10_000;

/// Returns those of the paths below the root that do not exist, not even as a link, parents before what lies in them.
pub(super) fn missing_paths(options: &Options, root: &Path) -> Vec<PathBuf> {
    let below = |path: &PathBuf| match path.strip_prefix(&options.root) {
        Ok(below) => root.join(below),
        Err(_) => root.join(path),
    };
    let may_come: Vec<PathBuf> = options.may_come.iter().map(below).collect();
    let paths = options.protected.iter().chain(&options.protected_by_mounts);
    let mut found: Vec<PathBuf> = paths
        .map(below)
        .filter(|path| path.starts_with(root) && path != root)
        .filter(|path| !may_come.contains(path) && !below(&options.state).starts_with(path))
        .filter(|path| is_absent(path))
        .flat_map(|path| believed(path, root))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn believed(path: PathBuf, root: &Path) -> Vec<PathBuf> {
    let known = BELIEVED.iter().find(|(name, _)| path == root.join(name));
    match known {
        Some((_, names)) => names.iter().map(|name| path.join(name)).collect(),
        None => vec![path],
    }
}

/// Moves what has come into being at these places into the folder of tos, and returns a sentence for each.
pub(super) fn quarantine(absent: &[PathBuf], options: &Options) -> Vec<String> {
    let Ok(root) = options.root.canonicalize() else {
        return Vec::new();
    };
    let (root, state) = (root.as_path(), options.state.as_path());
    let came = absent.iter().filter(|path| !is_absent(path));
    came.map(|path| {
        let shown = path.strip_prefix(root).unwrap_or(path).display();
        match moved(path, root, state) {
            Ok(kept) => format!(
                "tos: the command made `{shown}`, which is protected and was not there before; it was moved to `{}`. Move it back if it is yours",
                kept.display()
            ),
            Err(error) => format!(
                "tos: the command made `{shown}`, which is protected and was not there before, and it could not be moved away: {error}. Remove it before the next command"
            ),
        }
    })
    .collect()
}

fn is_absent(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    })
}

fn moved(path: &Path, root: &Path, state: &Path) -> io::Result<PathBuf> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let mut at = root.to_owned();
    for part in below.components() {
        at.push(part);
        // Behind a link on the way it would be somebody else's file. The command made the link, and that is taken.
        if at.is_symlink() {
            return kept(&at, state);
        }
    }
    kept(path, state)
}

/// Moves a place, a link as it is, to a free name.
fn kept(place: &Path, state: &Path) -> io::Result<PathBuf> {
    state_folder::create_record_folder(state)?;
    let folder = state.join(KEPT);
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    for number in 1..=MOST_KEPT {
        let target = folder.join(format!("{number}-{name}"));
        if target.symlink_metadata().is_ok() {
            continue;
        }
        fs::rename(place, &target)?;
        return Ok(target);
    }
    Err(io::Error::other(format!(
        "`{}` is full; empty it",
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> (tempfile::TempDir, Options) {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().canonicalize().unwrap().join("root");
        fs::create_dir_all(root.join("here")).unwrap();
        (top, Options::new(root, PathBuf::new()))
    }

    #[test]
    fn what_is_there_or_belongs_to_tos_is_not_absent() {
        let (_top, mut options) = root();
        let root = options.root.clone();
        std::os::unix::fs::symlink("nowhere", root.join("link")).unwrap();
        let paths = [
            "here",
            "config",
            ".tos",
            "logs",
            "link",
            "a/b/c",
            "/elsewhere",
        ];
        options.protected = paths.map(PathBuf::from).into();
        options.protected.push(root.join("a/b/c"));
        let found = missing_paths(&options, &root);
        let expected = [
            "a/b/c",
            "config/config_v0_3.json",
            "config/gates.toml",
            "config/prompts",
        ];
        assert_eq!(found, expected.map(|path| root.join(path)));
    }

    #[test]
    fn what_a_command_made_is_kept_and_nothing_is_followed_outside() {
        let (top, mut options) = root();
        let root = options.root.clone();
        let theirs = top.path().join("theirs");
        fs::create_dir_all(&theirs).unwrap();
        fs::write(theirs.join("c.json"), "theirs").unwrap();
        options.protected = ["config", "ci/c.json"].map(PathBuf::from).into();
        let before = missing_paths(&options, &root);
        assert!(quarantine(&before, &options).is_empty());
        fs::create_dir(root.join("config")).unwrap();
        fs::write(root.join("config/gates.toml"), "").unwrap();
        fs::write(root.join("config/database.yml"), "").unwrap();
        std::os::unix::fs::symlink(&theirs, root.join("ci")).unwrap();
        let said = quarantine(&before, &options);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(!root.join("config/gates.toml").exists());
        assert!(root.join("config/database.yml").exists());
        assert!(root.join("ci").symlink_metadata().is_err());
        assert_eq!(fs::read(theirs.join("c.json")).unwrap(), b"theirs");
        assert!(options.state.join("taken").is_dir());
    }
}
