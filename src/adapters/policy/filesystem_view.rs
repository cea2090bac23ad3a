//! What the policy asks of the disk: follows links, and recognises programs under other names.

use std::path::{Component, Path, PathBuf};

use crate::{
    adapters::policy::parse_child,
    domain::policy::{FilesystemView, ParseOutcome},
};

/// Programs worth recognising when a file is a hard link or a copy's twin of one of them.
const PROGRAMS: &[&str] = &[
    "rm", "mv", "dd", "shred", "truncate", "sh", "bash", "dash", "sudo", "su", "curl", "wget",
    "ssh", "nc", "git", "find", "xargs", "env", "python3", "perl", "ln", "cp", "tee", "chmod",
    "unlink", "rmdir",
];
/// Programs that are many programs, told apart by the name they are called by.
const MANY: &[&str] = &[
    "busybox",
    "toybox",
    "coreutils",
    "uutils",
    "bin",
    "multicall",
];
const FOLDERS: &[&str] = &["/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin"];

/// Looks at the disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalFilesystemView;

impl FilesystemView for LocalFilesystemView {
    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        let mut real = PathBuf::new();
        for part in path.components() {
            match part {
                Component::ParentDir => drop(real.pop()),
                Component::CurDir => {}
                Component::Prefix(_) | Component::RootDir => real.push(part),
                Component::Normal(name) => {
                    real.push(name);
                    // What is above holds no link any more. A part that does not exist yet is what its name says.
                    if std::fs::read_link(&real).is_ok() {
                        real = std::fs::canonicalize(&real).unwrap_or(real);
                    }
                }
            }
        }
        real.is_absolute().then_some(real)
    }

    fn known_program(&self, path: &Path) -> Option<String> {
        let real = std::fs::canonicalize(path).ok()?;
        let name = real.file_name()?.to_string_lossy().into_owned();
        if MANY.contains(&name.as_str()) {
            return None;
        }
        Some(twin(&real).unwrap_or(name))
    }

    fn is_there(&self, path: &Path) -> bool {
        path.exists()
    }

    fn try_parse(&self, code: &str) -> ParseOutcome {
        parse_child::try_parse(code)
    }
}

/// Returns the name of the known program that is the same file.
#[cfg(unix)]
fn twin(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let own = std::fs::metadata(path).ok()?;
    if FOLDERS.iter().any(|folder| path.starts_with(folder)) {
        return None;
    }
    let same = |folder: &&str, program: &&str| {
        let other = std::fs::metadata(Path::new(folder).join(program)).ok();
        other.is_some_and(|other| (other.dev(), other.ino()) == (own.dev(), own.ino()))
    };
    let found = PROGRAMS
        .iter()
        .find(|program| FOLDERS.iter().any(|folder| same(folder, program)))?;
    Some((*found).to_owned())
}

/// Elsewhere files have no number to compare.
#[cfg(not(unix))]
fn twin(_path: &Path) -> Option<String> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_and_a_program_behind_it_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("tidy");
        std::os::unix::fs::symlink("/bin/rm", &link).unwrap();
        let name = LocalFilesystemView.known_program(&link);
        assert!(name.is_none() || name.as_deref() == Some("rm"), "{name:?}");
        let inside = LocalFilesystemView.real_path(&folder.path().join("a/../missing/x"));
        assert!(inside.is_some());
    }

    #[test]
    fn links_to_folders_links_and_nothing_are_followed_part_by_part() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, top.join(from)).unwrap();
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        link("a", "to-a");
        link("to-a/b", "to-b");
        link("gone/x", "dangling");
        link("loop", "loop");
        for (asked, expected) in [
            ("to-a/b", "a/b"),
            ("to-b/new/file", "a/b/new/file"),
            ("to-b/../c", "a/c"),
            ("dangling/y", "dangling/y"),
            ("loop/y", "loop/y"),
            ("./a/./b", "a/b"),
        ] {
            let real = LocalFilesystemView.real_path(&top.join(asked));
            assert_eq!(real, Some(top.join(expected)), "{asked}");
        }
    }
}
