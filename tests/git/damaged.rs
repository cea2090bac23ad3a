//! Repositories that lost objects: nothing is said to be kept that is not.

use std::fs;

use tos::domain::checkpoint::CheckpointError;

use crate::support::Repo;

/// A repository whose loose objects are gone after a first checkpoint.
fn damaged(before: impl FnOnce(&Repo)) -> Repo {
    let repo = Repo::with_files();
    before(&repo);
    repo.take("whole");
    lose_loose_objects(&repo);
    repo
}

fn lose_loose_objects(repo: &Repo) {
    for entry in fs::read_dir(repo.top.join(".git/objects"))
        .unwrap()
        .flatten()
    {
        if entry.file_name().len() == 2 {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

fn assert_damaged(repo: &Repo, failure: &CheckpointError) {
    let text = failure.to_string();
    assert!(matches!(failure, CheckpointError::Damaged { .. }), "{text}");
    assert!(text.contains(repo.top.to_str().unwrap()), "{text}");
    assert!(text.contains("git fsck"), "{text}");
}

#[test]
fn a_checkpoint_whose_tree_is_gone_is_not_made() {
    let repo = damaged(|_| {});
    let before = repo.git(&["for-each-ref"]);
    assert_damaged(&repo, &repo.try_take("again").unwrap_err());
    repo.write("a.txt", "changed\n");
    assert_damaged(&repo, &repo.try_take("again").unwrap_err());
    assert_eq!(repo.git(&["for-each-ref"]), before);
}

#[test]
fn a_checkpoint_over_a_folder_whose_tree_is_gone_is_not_made() {
    let repo = damaged(|repo| repo.write("a.txt", "two\n"));
    let before = repo.git(&["for-each-ref"]);
    let failure = repo.try_take("again").unwrap_err();
    assert_damaged(&repo, &failure);
    assert!(failure.to_string().contains("folder `src`"), "{failure}");
    repo.write("a.txt", "three\n");
    assert_damaged(&repo, &repo.try_take("again").unwrap_err());
    assert_eq!(repo.git(&["for-each-ref"]), before);
}

#[test]
fn a_deep_folder_and_an_unchanged_file_that_are_gone_are_noticed() {
    let deep = damaged(|repo| repo.write("src/lib.rs", "two\n"));
    let failure = deep.try_take("again").unwrap_err();
    assert_damaged(&deep, &failure);
    assert!(
        failure.to_string().contains("folder `src/deep`"),
        "{failure}"
    );
    let flat = Repo::empty();
    flat.write("a", "a\n");
    flat.write("b", "b\n");
    flat.commit("first");
    flat.write("a", "two\n");
    flat.take("whole");
    lose_loose_objects(&flat);
    let failure = flat.try_take("again").unwrap_err();
    assert_damaged(&flat, &failure);
    assert!(failure.to_string().contains("file `b`"), "{failure}");
}

#[test]
fn a_checkpoint_on_a_commit_that_is_gone_is_not_made() {
    let repo = Repo::with_files();
    lose_loose_objects(&repo);
    assert_damaged(&repo, &repo.try_take("first").unwrap_err());
}

#[test]
fn a_rollback_whose_snapshot_would_be_hollow_touches_nothing() {
    let repo = Repo::with_files();
    let taken = repo.take("whole");
    repo.git(&["gc", "-q"]);
    repo.write("a.txt", "two\n");
    repo.write("src/deep/er.rs", "two\n");
    repo.commit("second");
    repo.git(&["status"]);
    let tree = repo.git(&["rev-parse", "HEAD:src"]);
    let (folder, file) = tree.trim().split_at(2);
    fs::remove_file(repo.top.join(".git/objects").join(folder).join(file)).unwrap();
    let before = (repo.picture(), repo.head());
    assert_damaged(&repo, &repo.try_roll_back(&taken.hash, true).unwrap_err());
    assert_eq!((repo.picture(), repo.head()), before);
}
