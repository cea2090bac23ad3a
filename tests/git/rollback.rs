//! Going back, and going back from that.

use std::fs;

use tos::{
    adapters::git::{
        GitCheckpoints,
        options::{CheckpointOptions, Engine},
    },
    domain::checkpoint::{ChangeKind, CheckpointError, PathChange, RollbackRequest},
    ports::checkpoints::Checkpoints,
};

use crate::support::{Repo, block_on, git_in};

#[test]
fn a_rollback_restores_files_index_and_head_and_leaves_what_is_ignored() {
    let repo = Repo::with_files();
    repo.write("ignored/x", "x");
    let taken = repo.take("good");
    let good = repo.picture();
    repo.write("a.txt", "bad\n");
    repo.write("junk/file", "junk\n");
    repo.remove("src/deep/er.rs");
    repo.commit("bad");
    let bad = repo.head();
    let done = repo.roll_back("good", false);
    assert_eq!(
        (done.hash.as_str(), done.previous),
        (taken.hash.as_str(), Some(bad.clone()))
    );
    assert_eq!(repo.picture(), good);
    assert_eq!(repo.head(), taken.hash);
    assert!(!repo.has("junk"), "empty directories go");
    let kept = repo.git(&["rev-parse", "refs/tos/safety/1^"]);
    assert_eq!(kept.trim(), bad, "the old HEAD stays reachable");
}

#[test]
fn a_dirty_tree_is_refused_with_a_list_and_nothing_moves() {
    let repo = Repo::with_files();
    let first = repo.head();
    repo.write("b.txt", "b\n");
    repo.commit("second");
    repo.write("a.txt", "mine\n");
    repo.write("new.txt", "mine\n");
    repo.write("src/lib.rs", "staged\n");
    repo.git(&["add", "src/lib.rs"]);
    repo.write("src/lib.rs", "fn lib() {}\n");
    let before = (repo.picture(), repo.staged(), repo.head());
    let Err(CheckpointError::Dirty { changes }) = repo.try_roll_back(&first, false) else {
        panic!("it was rolled back");
    };
    let change = |kind, path: &str| PathChange {
        path: path.to_owned(),
        kind,
    };
    assert_eq!(
        changes,
        [
            change(ChangeKind::Modified, "a.txt"),
            change(ChangeKind::Added, "new.txt"),
            change(ChangeKind::Modified, "src/lib.rs"),
        ]
    );
    assert_eq!((repo.picture(), repo.staged(), repo.head()), before);
}

#[test]
fn discard_and_undo_bring_back_files_index_and_head() {
    let repo = Repo::with_files();
    let first = repo.head();
    repo.write("b.txt", "b\n");
    repo.commit("second");
    repo.write("a.txt", "staged\n");
    repo.git(&["add", "a.txt"]);
    repo.write("a.txt", "and later\n");
    repo.write("untracked/file", "mine\n");
    repo.git(&["rm", "-q", "--cached", "src/lib.rs"]);
    repo.remove("src/deep/er.rs");
    let before = (repo.picture(), repo.staged(), repo.status(), repo.head());
    repo.roll_back(&first, true);
    assert_eq!(repo.head(), first);
    let rolled_back = repo.picture();
    repo.undo();
    assert_eq!(
        (repo.picture(), repo.staged(), repo.status(), repo.head()),
        before
    );
    assert_eq!(repo.git(&["symbolic-ref", "HEAD"]), "refs/heads/main\n");
    repo.undo();
    assert_eq!(
        (repo.picture(), repo.head()),
        (rolled_back, first),
        "undo is undone"
    );
}

#[test]
fn a_conflict_that_was_discarded_comes_back_as_a_conflict() {
    let repo = Repo::with_files();
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.write("a.txt", "side\n");
    repo.commit("side");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("a.txt", "main\n");
    let main = repo.commit("main");
    let merge = std::process::Command::new("git")
        .current_dir(&repo.top)
        .args(["merge", "-q", "side"])
        .output()
        .unwrap();
    assert!(!merge.status.success());
    let before = (repo.picture(), repo.staged(), repo.status());
    assert!(matches!(
        repo.try_roll_back("HEAD", false),
        Err(CheckpointError::UnderWay { .. })
    ));
    repo.roll_back(&main, true);
    assert!(!repo.has(".git/MERGE_HEAD"));
    repo.undo();
    assert_eq!((repo.picture(), repo.staged(), repo.status()), before);
    assert!(repo.has(".git/MERGE_HEAD"));
}

#[test]
fn ignored_files_in_the_way_are_kept_in_the_snapshot() {
    let repo = Repo::empty();
    repo.write("build/out", "tracked once\n");
    repo.write("cache", "tracked once\n");
    let first = repo.commit("first");
    repo.git(&["rm", "-q", "-r", "build", "cache"]);
    repo.write(".gitignore", "/build\n/cache\n");
    repo.commit("second");
    repo.write("build/out", "precious\n");
    repo.write("cache/deep/file", "precious too\n");
    let before = repo.picture();
    repo.roll_back(&first, false);
    assert_eq!(repo.read("build/out"), "tracked once\n");
    assert_eq!(repo.read("cache"), "tracked once\n");
    repo.undo();
    assert_eq!(repo.picture(), before);
}

#[test]
fn secrets_that_only_the_snapshot_holds_are_named_with_the_way_out_of_it() {
    let repo = Repo::with_files();
    let first = repo.head();
    let token = format!("{}{}", "ghp_", "0123456789abcdefghijABCDEFGHIJ012345");
    repo.write(".env", "A=b\n");
    repo.write("a.txt", format!("{token}\n"));
    repo.write("plain.txt", "nothing\n");
    let told = repo.roll_back(&first, true).warnings.join("\n");
    for words in ["(.env, a.txt)", "refs/tos/safety/1", "git gc --prune=now"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // The way back first keeps a tree without any.
    let told = repo.undo().warnings.join("\n");
    assert!(!told.contains("secret"), "{told}");
    let told = repo.undo().warnings.join("\n");
    assert!(told.contains("refs/tos/safety/3"), "{told}");
}

/// The file is ignored, then the line that ignores it is gone, then it is back.
fn survives_there_and_back(engine: Engine) {
    let repo = Repo::with_files();
    let first = repo.head();
    repo.write("b/.gitignore", "secret\n");
    repo.write(".gitignore", "/ignored/\n*.log\n/kept/\n.env\n:c\n");
    repo.commit("second");
    for path in [".env", ":c", "kept/deep/file", "b/secret"] {
        repo.write(path, "precious\n");
    }
    let options = CheckpointOptions {
        engine,
        ..repo.options()
    };
    let git = GitCheckpoints::new(options);
    let (before, head) = (repo.picture(), repo.head());
    let order = RollbackRequest {
        target: Some(first),
        discard: false,
        ..RollbackRequest::default()
    };
    block_on(git.roll_back(&order)).unwrap();
    let line = |path: &str| format!("{path} 0 precious\n");
    for path in [".env", ":c", "kept/deep/file", "b/secret"] {
        assert!(repo.picture().contains(&line(path)), "{path}");
    }
    let undone = block_on(git.undo(None)).unwrap();
    assert_eq!((repo.picture(), repo.head()), (before.clone(), head));
    assert_eq!(repo.status(), "");
    let told: Vec<&str> = undone.changes.iter().map(|c| c.path.as_str()).collect();
    assert_eq!(told, [".gitignore", "b/.gitignore"]);
    // The other way round it is the same.
    block_on(git.undo(None)).unwrap();
    block_on(git.undo(None)).unwrap();
    assert_eq!(repo.picture(), before);
}

#[test]
fn what_was_ignored_all_the_time_survives_a_rollback_and_its_undo() {
    survives_there_and_back(Engine::Native);
}

#[test]
fn what_was_ignored_all_the_time_survives_the_git_program_too() {
    survives_there_and_back(Engine::Program);
}

#[test]
fn a_discarding_rollback_keeps_what_the_target_ignores() {
    let repo = Repo::with_files();
    let first = repo.head();
    repo.write("ignored/state", "precious\n");
    repo.write("junk", "junk\n");
    repo.write(".gitignore", "*.log\n");
    let before = repo.try_roll_back(&first, true).unwrap();
    let told: Vec<&str> = before.changes.iter().map(|c| c.path.as_str()).collect();
    assert_eq!(told, [".gitignore", "junk"]);
    assert_eq!(repo.read("ignored/state"), "precious\n");
    assert!(!repo.has("junk"));
    assert_eq!(repo.status(), "");
}

#[test]
fn an_ignored_file_gives_way_where_the_target_has_something_else() {
    let repo = Repo::with_files();
    repo.write("x", "a file\n");
    repo.write(".gitignore", "*.log\nx/\n");
    let first = repo.commit("x is a file");
    repo.remove("x");
    repo.write(".gitignore", "*.log\n");
    repo.commit("x is nothing");
    repo.write("x/y", "in the way\n");
    let before = repo.picture();
    repo.roll_back(&first, true);
    assert_eq!(repo.read("x"), "a file\n");
    repo.undo();
    assert_eq!(repo.picture(), before);
}

#[test]
fn a_nested_repository_in_the_way_is_moved_aside() {
    let repo = Repo::with_files();
    repo.write("nested", "a file once\n");
    let first = repo.commit("first");
    repo.remove("nested");
    repo.commit("second");
    repo.write("nested/inner/file", "x");
    git_in(&repo.top.join("nested"), &["init", "-q", "."]);
    let done = repo.try_roll_back(&first, true).unwrap();
    assert_eq!(repo.read("nested"), "a file once\n");
    let [told] = done.warnings.as_slice() else {
        panic!("{:?}", done.warnings);
    };
    let to = told.rsplit('`').nth(1).unwrap();
    assert_eq!(
        fs::read_to_string(std::path::Path::new(to).join("inner/file")).unwrap(),
        "x"
    );
}

#[test]
fn v05_ignored_run_state_is_neither_saved_nor_restored() {
    let repo = Repo::with_files();
    repo.write("ignored/state.json", "1");
    repo.take("x");
    repo.write("ignored/state.json", "2");
    repo.write("a.txt", "bad\n");
    repo.roll_back("x", true);
    assert_eq!(repo.read("ignored/state.json"), "2");
    assert_eq!(repo.read("a.txt"), "one\n");
}

#[test]
fn v07_a_local_target_needs_no_network_and_a_failed_fetch_is_told() {
    let repo = Repo::with_files();
    let first = repo.head();
    repo.write("a.txt", "two\n");
    repo.commit("second");
    repo.git(&["remote", "add", "origin", "/nowhere/at/all.git"]);
    let done = repo.roll_back(&first, false);
    assert_eq!((done.fetched, done.warnings), (false, vec![]));
    let absent = "1234567890123456789012345678901234567890";
    let failure = repo.try_roll_back(absent, false).unwrap_err();
    assert!(
        matches!(&failure, CheckpointError::Unknown { fetch: Some(_), .. }),
        "{failure}"
    );
    assert!(failure.to_string().contains("git fetch"), "{failure}");
}

#[test]
fn v07_a_commit_that_only_a_remote_has_is_fetched() {
    let origin = Repo::with_files();
    let repo = Repo::with_files();
    repo.git(&["remote", "add", "origin", origin.top.to_str().unwrap()]);
    // Made in another second, the first commits of the two would be strangers to each other.
    repo.git(&["fetch", "-q", "origin"]);
    repo.git(&["reset", "-q", "--hard", "origin/main"]);
    repo.git(&["remote", "add", "gone", "/nowhere/at/all.git"]);
    origin.write("far.txt", "far\n");
    let far = origin.commit("far");
    let done = repo.roll_back(&far, false);
    assert!(done.fetched);
    assert_eq!(done.warnings.len(), 1, "{:?}", done.warnings);
    assert_eq!(repo.read("far.txt"), "far\n");
}

#[test]
fn what_does_not_exist_is_said_to_be_unknown() {
    let repo = Repo::with_files();
    let failure = |target| repo.try_roll_back(target, false).unwrap_err().to_string();
    assert_eq!(
        failure("77"),
        "no commit or checkpoint `77` in this repository"
    );
    assert_eq!(
        failure("no such name"),
        "no commit or checkpoint `no such name` in this repository"
    );
    assert!(matches!(
        block_on(repo.checkpoints().undo(None)),
        Err(CheckpointError::NoSafety { .. })
    ));
}

#[test]
fn a_rollback_before_the_first_commit_can_be_undone() {
    let repo = Repo::with_files();
    let first = repo.head();
    repo.git(&["checkout", "-q", "--orphan", "fresh"]);
    repo.git(&["rm", "-q", "-r", "--cached", "."]);
    let before = (repo.picture(), repo.staged());
    repo.roll_back(&first, true);
    assert_eq!(repo.head(), first);
    let undone = repo.undo();
    assert_eq!(undone.head, None);
    assert_eq!((repo.picture(), repo.staged()), before);
    assert_eq!(repo.git(&["symbolic-ref", "HEAD"]), "refs/heads/fresh\n");
}
