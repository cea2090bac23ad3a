//! Killed at any moment, nothing is lost and the next tos goes on.
//!
//! The work is done by a second process of this very test program, which is killed after delays that
//! grow from nothing to longer than the work takes.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tos::{
    adapters::git::{GitCheckpoints, GitWorktrees, options::CheckpointOptions},
    domain::checkpoint::{CheckpointError, CheckpointRequest, RollbackRequest},
    ports::{checkpoints::Checkpoints, worktrees::Worktrees},
};

use crate::{
    equivalence::tree_by_git,
    support::{Repo, block_on},
};

const KILLS: u64 = 24;

#[test]
#[ignore = "the other half of the crash tests, which start it"]
fn child() {
    let top = PathBuf::from(std::env::var_os("TOS_TEST_TOP").unwrap());
    let target = std::env::var("TOS_TEST_TARGET").unwrap();
    let checkpoints = GitCheckpoints::new(CheckpointOptions::for_root(top));
    if target.is_empty() {
        let name = "x".to_owned();
        let order = CheckpointRequest {
            name,
            allow_secrets: false,
        };
        block_on(checkpoints.take(&order)).unwrap();
    } else {
        let order = RollbackRequest {
            target: Some(target),
            discard: true,
            ..RollbackRequest::default()
        };
        block_on(checkpoints.roll_back(&order)).unwrap();
    }
}

/// Starts the work and kills it after a while; tells whether it had ended by itself.
fn killed_after(repo: &Repo, target: &str, delay: Duration) -> bool {
    let mut child: Child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--quiet"])
        .env("TOS_TEST_TOP", &repo.top)
        .env("TOS_TEST_TARGET", target)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(delay);
    let ended = child.try_wait().unwrap().is_some();
    drop(child.kill());
    child.wait().unwrap();
    ended
}

fn messy() -> (Repo, String) {
    let repo = Repo::with_files();
    let first = repo.head();
    for number in 0..60 {
        repo.write(&format!("many/{number}"), format!("{number}\n"));
    }
    repo.commit("second");
    for number in 0..30 {
        repo.write(&format!("many/{number}"), format!("dirty {number}\n"));
        repo.write(&format!("fresh/{number}"), format!("fresh {number}\n"));
    }
    repo.remove("src/lib.rs");
    (repo, first)
}

/// Does what a person does who is told of a lock that nobody holds: removes that file and tries again.
/// Only the lock of a branch may be left: git leaves it the same way, and whose it is nobody can know.
fn obeying<T>(act: impl Fn() -> Result<T, CheckpointError>) -> T {
    match act() {
        Err(CheckpointError::Locked { lock, .. }) if lock.contains("/refs/heads/") => {
            std::fs::remove_file(lock).unwrap();
            act().unwrap()
        }
        other => other.unwrap(),
    }
}

#[test]
fn a_number_whose_lock_was_left_by_a_killed_process_is_passed_over() {
    let (repo, _) = messy();
    repo.write(".git/refs/tos/checkpoints/1.lock", "");
    assert_eq!(repo.take("after the crash").number, 2);
}

#[test]
fn a_checkpoint_killed_at_any_moment_changes_no_file_and_can_be_repeated() {
    for kill in 0..KILLS {
        let (repo, _) = messy();
        let (picture, tree) = (repo.picture(), tree_by_git(&repo));
        killed_after(&repo, "", Duration::from_micros(kill * 2_500));
        assert_eq!(repo.picture(), picture);
        repo.check();
        obeying(|| repo.try_take("after the crash"));
        repo.check();
        assert_eq!(repo.status(), "");
        assert_eq!(repo.git(&["rev-parse", "HEAD^{tree}"]).trim(), tree);
        let left = repo.git(&["rev-parse", "--git-dir"]);
        assert_eq!(left.trim(), ".git");
        assert!(!repo.has(".git/index.lock"));
    }
}

#[test]
fn a_rollback_killed_at_any_moment_can_be_undone() {
    for kill in 0..KILLS {
        let (repo, first) = messy();
        let (picture, head, tree) = (repo.picture(), repo.head(), tree_by_git(&repo));
        killed_after(&repo, &first, Duration::from_micros(kill * 2_500));
        repo.check();
        if repo.picture() == picture && repo.head() == head {
            continue;
        }
        let kept = repo.git(&["rev-parse", "refs/tos/safety/1^{tree}"]);
        assert_eq!(kept.trim(), tree, "what was there is in the snapshot");
        obeying(|| block_on(repo.checkpoints().undo(Some(1))));
        assert_eq!((repo.picture(), repo.head()), (picture, head));
        repo.check();
    }
}

#[test]
#[ignore = "the other half of the test below, which starts it"]
fn maker() {
    let top = PathBuf::from(std::env::var_os("TOS_TEST_TOP").unwrap());
    let trees = GitWorktrees::open(&top).unwrap();
    let head = trees.head().unwrap();
    trees.make("run", "task", &head).unwrap();
}

#[test]
fn a_git_that_outlived_its_tos_writes_nothing_after_the_cleaning() {
    let repo = Repo::with_files();
    repo.write(".gitattributes", "*.slow filter=slow\n");
    repo.write("b.slow", "one\n");
    repo.commit("slow");
    let started = repo.top.with_file_name("started");
    let smudge = format!("touch '{}'; sleep 600", started.display());
    repo.git(&["config", "filter.slow.smudge", &smudge]);
    let mut child: Child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::maker", "--exact", "--ignored", "--quiet"])
        .env("TOS_TEST_TOP", &repo.top)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !started.exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it waits for the filter"
        );
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let trees = GitWorktrees::open(&repo.top).unwrap();
    trees.recover_crashed().unwrap();
    let left = |folder: &str| {
        let entries = std::fs::read_dir(repo.top.join(folder));
        entries.map_or(0, Iterator::count)
    };
    assert_eq!((left(".tos/worktrees"), left(".git/worktrees")), (0, 0));
    assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1);
    // The name is free again.
    repo.git(&["config", "--unset", "filter.slow.smudge"]);
    let head = trees.head().unwrap();
    trees.make("run", "task", &head).unwrap();
}
