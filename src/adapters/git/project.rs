//! A project as one commit without a past, for machines that share no repository: everything that is not ignored, as it lies there.
//!
//! The same files give the same commit, whoever takes it and whenever, so it travels once. The repository it is taken from gets
//! objects and nothing else: no index, branch or work tree is touched.

use std::{
    fs,
    path::{Path, PathBuf},
};

use git2::{Oid, Repository, RepositoryInitOptions, Signature, Time, build::CheckoutBuilder};

use super::program::GitProgram;

/// A project as it was at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectSnapshot {
    /// The top of the repository.
    pub top: PathBuf,
    /// The commit.
    pub commit: String,
    /// Where the folder it was asked for lies below the top; empty = it is the top.
    pub folder: String,
}

/// Takes the project around a folder as it lies there; `None` = the folder is in no repository.
pub fn blocking_snapshot(folder: &Path) -> Result<Option<ProjectSnapshot>, String> {
    let Ok(repository) = Repository::discover(folder) else {
        return Ok(None);
    };
    let Some(top) = repository.workdir().map(Path::to_owned) else {
        return Ok(None);
    };
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", top.display());
    let scratch = tempfile::tempdir().map_err(|error| told(&error))?;
    let index = scratch.path().join("index");
    // The index as it is knows which files have not changed; where there is none yet, all are read.
    drop(fs::copy(repository.path().join("index"), &index));
    let git = GitProgram::new(&top).with_index(&index);
    let run = |words: &[&str]| {
        let out = git.run(words, b"").map_err(|error| told(&error))?;
        Ok::<_, String>(String::from_utf8_lossy(&out).trim_end().to_owned())
    };
    run(&[
        "add",
        "-A",
        "--",
        ":/",
        ":(top,exclude).tos",
        ":(top,exclude).orch",
    ])?;
    let tree = run(&["write-tree"])?;
    let commit = committed(&repository, &tree).map_err(|error| told(&error))?;
    let whole = fs::canonicalize(folder).map_err(|error| told(&error))?;
    let above = fs::canonicalize(&top).map_err(|error| told(&error))?;
    let below = whole.strip_prefix(&above).unwrap_or(Path::new(""));
    let below = below.to_str().ok_or_else(|| {
        format!(
            "{}: the folder has a name that is not UTF-8",
            folder.display()
        )
    })?;
    Ok(Some(ProjectSnapshot {
        commit,
        folder: below.to_owned(),
        top,
    }))
}

fn committed(repository: &Repository, tree: &str) -> Result<String, git2::Error> {
    let tree = repository.find_tree(Oid::from_str(tree)?)?;
    let nobody = Signature::new("tos", "tos@localhost", &Time::new(0, 0))?;
    let commit = repository.commit(
        None,
        &nobody,
        &nobody,
        "the project as it lies there\n",
        &tree,
        &[],
    )?;
    Ok(commit.to_string())
}

/// Lays a commit of the repository `top` out in the empty folder `into`, as a repository of its own: whatever happens in there, `top` is
/// not touched. Without a commit it is just a repository.
pub fn blocking_check_out_into(top: &Path, commit: &str, into: &Path) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", into.display());
    let laid = || -> Result<(), git2::Error> {
        let mut plain = RepositoryInitOptions::new();
        plain.external_template(false);
        let repository = Repository::init_opts(into, &plain)?;
        if commit.is_empty() {
            return Ok(());
        }
        let objects = Repository::open(top)?.commondir().join("objects");
        let objects = objects.to_string_lossy().into_owned();
        let note = repository.path().join("objects/info");
        fs::create_dir_all(&note)
            .and_then(|()| fs::write(note.join("alternates"), format!("{objects}\n")))
            .map_err(|error| git2::Error::from_str(&error.to_string()))?;
        drop(repository);
        let repository = Repository::open(into)?;
        repository.set_head_detached(Oid::from_str(commit)?)?;
        repository.checkout_head(Some(CheckoutBuilder::new().force()))
    };
    laid().map_err(|error| told(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_travels_as_it_lies_there_and_the_same_one_has_one_name() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Repository::init(from.path()).unwrap();
        fs::create_dir_all(from.path().join("part/.tos")).unwrap();
        fs::create_dir(from.path().join(".tos")).unwrap();
        for (name, text) in [
            ("part/a", "1"),
            (".gitignore", "secret\n"),
            ("secret", "x"),
            (".tos/log", "x"),
        ] {
            fs::write(from.path().join(name), text).unwrap();
        }
        let part = from.path().join("part");
        let taken = blocking_snapshot(&part).unwrap().unwrap();
        assert_eq!(taken.folder, "part");
        assert_eq!(blocking_snapshot(&part).unwrap(), Some(taken.clone()));
        assert!(!from.path().join(".git/index").exists());
        blocking_check_out_into(&taken.top, &taken.commit, to.path()).unwrap();
        assert_eq!(fs::read_to_string(to.path().join("part/a")).unwrap(), "1");
        assert!(!to.path().join("secret").exists() && !to.path().join(".tos").exists());
        fs::write(from.path().join("part/a"), "2").unwrap();
        assert_ne!(
            blocking_snapshot(&part).unwrap().unwrap().commit,
            taken.commit
        );
        let nowhere = tempfile::tempdir_in("/").ok();
        if let Some(nowhere) = nowhere {
            assert_eq!(blocking_snapshot(nowhere.path()), Ok(None));
        }
    }
}
