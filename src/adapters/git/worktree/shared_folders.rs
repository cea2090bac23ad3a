//! Folders of dependencies that git ignores, given to work trees without being given away.
//!
//! Behind a wall everything outside a task folder can only be read, so links to what the checkout has are enough. Without one,
//! and where a wall covers the checkout, a work tree gets a copy of its own; file systems that can share blocks do.

use std::{fs, io, os::unix::fs::symlink, path::Path};

use super::folders::folder_error;
use crate::ports::worktrees::Error;

/// Folders that walls cover with private ones.
const COVERED: [&str; 3] = ["/tmp", "/run", "/dev"];

/// Tells whether walls cover a checkout.
pub(in crate::adapters::git) fn is_covered(top: &Path) -> bool {
    COVERED.iter().any(|place| top.starts_with(place))
}

/// Says why a folder of a checkout cannot be shared.
pub(in crate::adapters::git) fn check(top: &Path, name: &str) -> Result<(), Error> {
    let path = top.join(name);
    if !path.is_dir() || path.is_symlink() {
        return Err(Error(format!(
            "`share` names `{name}`, which is no folder of {}",
            top.display()
        )));
    }
    let git = git2::Repository::open(top)
        .map_err(|error| folder_error("the repository cannot be read", &error))?;
    let ignored = git
        .is_path_ignored(format!("{name}/"))
        .map_err(|error| folder_error("the repository cannot be read", &error))?;
    if !ignored {
        return Err(Error(format!(
            "`share` names `{name}`, which git does not ignore; it comes with the work tree already, or has to be ignored"
        )));
    }
    Ok(())
}

/// Puts a folder of the checkout into a work tree.
pub(in crate::adapters::git) fn share_into(
    top: &Path,
    tree: &Path,
    name: &str,
    walled: bool,
) -> Result<(), Error> {
    check(top, name)?;
    let (from, to) = (top.join(name), tree.join(name));
    let done = if walled && !is_covered(top) {
        link(&from, &to)
    } else {
        copy(&from, &to)
    };
    done.map_err(|error| folder_error(&format!("`{name}` cannot be shared"), &error))
}

/// Makes a folder of links: a link in its place would be no folder, and rules that ignore folders would not see it.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        symlink(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(&path)?, target)?;
        } else if kind.is_dir() {
            copy(&path, &target)?;
        } else if kind.is_file() {
            fs::copy(&path, &target)?;
        }
        // Pipes and sockets belong to programs that run elsewhere.
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        git2::Repository::init(top.path()).unwrap();
        fs::write(top.path().join(".gitignore"), "deps/\n").unwrap();
        fs::create_dir_all(top.path().join("deps/a/b")).unwrap();
        fs::write(top.path().join("deps/a/b/file"), "one").unwrap();
        symlink("a/b", top.path().join("deps/short")).unwrap();
        top
    }

    #[test]
    fn a_copy_is_whole_and_its_own() {
        let top = checkout();
        let tree = tempfile::tempdir().unwrap();
        share_into(top.path(), tree.path(), "deps", false).unwrap();
        let file = tree.path().join("deps/short/file");
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        fs::write(&file, "two").unwrap();
        let original = top.path().join("deps/a/b/file");
        assert_eq!(fs::read_to_string(original).unwrap(), "one");
    }

    #[test]
    fn links_reach_what_the_checkout_has() {
        let top = checkout();
        let tree = tempfile::tempdir().unwrap();
        link(&top.path().join("deps"), &tree.path().join("deps")).unwrap();
        let file = tree.path().join("deps/a/b/file");
        assert_eq!(fs::read_to_string(file).unwrap(), "one");
        assert!(!tree.path().join("deps").is_symlink());
    }

    #[test]
    fn what_is_not_there_or_not_ignored_is_not_shared() {
        let top = checkout();
        fs::create_dir(top.path().join("src")).unwrap();
        let why = |name| check(top.path(), name).unwrap_err().to_string();
        assert!(why("nothing").contains("which is no folder of"));
        assert!(why("src").contains("which git does not ignore"));
        assert_eq!(check(top.path(), "deps"), Ok(()));
    }
}
