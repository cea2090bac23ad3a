//! Taking checkpoints.

use std::fs;

use tos::{
    domain::checkpoint::{
        ChangeKind, CheckpointError, PathChange, RollbackRequest, SuspectedSecret,
    },
    ports::checkpoints::Checkpoints,
};

use crate::support::{Repo, block_on, take_with};

fn change(kind: ChangeKind, path: &str) -> PathChange {
    PathChange {
        path: path.to_owned(),
        kind,
    }
}

#[test]
fn a_checkpoint_is_a_commit_of_everything_that_is_not_ignored() {
    let repo = Repo::with_files();
    let before = repo.head();
    repo.write("a.txt", "two\n");
    repo.write("new/file.txt", "new\n");
    repo.write("ignored/x", "x");
    repo.write("noise.log", "x");
    repo.remove("src/lib.rs");
    let taken = repo.take("before step 3");
    assert_eq!(taken.hash, repo.head());
    assert_eq!(taken.branch.as_deref(), Some("main"));
    assert_eq!(taken.number, 1);
    assert_eq!(taken.covers, repo.top);
    assert_eq!(
        taken.changes,
        [
            change(ChangeKind::Modified, "a.txt"),
            change(ChangeKind::Added, "new/file.txt"),
            change(ChangeKind::Deleted, "src/lib.rs"),
        ]
    );
    assert_eq!(
        repo.git(&["log", "-1", "--format=%B%an <%ae>"]).trim(),
        "CHECKPOINT before step 3\nTester <tester@example.com>"
    );
    assert_eq!(repo.git(&["rev-parse", "HEAD^"]).trim(), before);
    assert_eq!(
        repo.git(&["rev-parse", "refs/tos/checkpoints/1"]).trim(),
        taken.hash
    );
    assert_eq!(repo.status(), "");
    assert_eq!(
        repo.git(&["ls-tree", "-r", "--name-only", "HEAD"]),
        ".gitignore\na.txt\nnew/file.txt\nsrc/deep/er.rs\n"
    );
}

#[test]
fn an_empty_checkpoint_is_a_commit_too() {
    let repo = Repo::with_files();
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let taken = repo.take("nothing new");
    assert_eq!(taken.changes, []);
    assert_eq!(repo.git(&["rev-parse", "HEAD^{tree}"]), tree);
    assert_eq!(repo.take("again").number, 2);
    assert_eq!(repo.git(&["rev-list", "--count", "HEAD"]).trim(), "3");
}

#[test]
fn a_repository_without_commits_gets_its_first_one() {
    let repo = Repo::empty();
    repo.write("a", "a");
    let taken = repo.take("first");
    assert_eq!(taken.changes, [change(ChangeKind::Added, "a")]);
    assert_eq!(repo.git(&["log", "--format=%s"]), "CHECKPOINT first\n");
    assert_eq!(repo.status(), "");
    let empty = Repo::empty();
    empty.take("nothing at all");
    assert_eq!(empty.git(&["ls-tree", "HEAD"]), "");
}

#[test]
fn staged_changes_are_in_the_checkpoint_as_the_work_tree_has_them() {
    let repo = Repo::with_files();
    repo.write("a.txt", "staged\n");
    repo.git(&["add", "a.txt"]);
    repo.write("a.txt", "later\n");
    repo.write("intended", "content\n");
    repo.git(&["add", "-N", "intended"]);
    repo.take("x");
    assert_eq!(repo.git(&["show", "HEAD:a.txt"]), "later\n");
    assert_eq!(repo.git(&["show", "HEAD:intended"]), "content\n");
    assert_eq!(repo.status(), "");
}

#[test]
fn v03_every_checkpoint_is_known_to_the_next_rollback() {
    let repo = Repo::with_files();
    repo.write("a.txt", "two\n");
    let taken = repo.take("by itself");
    repo.write("a.txt", "three\n");
    repo.commit("later");
    let order = RollbackRequest {
        target: None,
        discard: false,
        ..RollbackRequest::default()
    };
    let back = block_on(repo.checkpoints().roll_back(&order)).unwrap();
    assert_eq!(back.hash, taken.hash);
    assert_eq!(repo.read("a.txt"), "two\n");
}

#[test]
fn v04_files_that_look_like_secrets_are_named_and_nothing_is_written() {
    let repo = Repo::with_files();
    let token = format!("{}{}", "ghp_", "0123456789abcdefghijABCDEFGHIJ012345");
    repo.write(".env", "A=b\n");
    repo.write("src/lib.rs", format!("const T: &str = \"{token}\";\n"));
    repo.write(".env.example", "A=\n");
    let before = (repo.head(), repo.staged(), repo.status());
    let Err(CheckpointError::Secrets { suspects }) = repo.try_take("x") else {
        panic!("it was taken");
    };
    let suspect = |path: &str, looks_like: &str| SuspectedSecret {
        path: path.to_owned(),
        looks_like: looks_like.to_owned(),
    };
    assert_eq!(
        suspects,
        [
            suspect(".env", "an environment file"),
            suspect("src/lib.rs", "a GitHub token"),
        ]
    );
    assert_eq!((repo.head(), repo.staged(), repo.status()), before);
    assert_eq!(repo.git(&["for-each-ref", "refs/tos"]), "");
    let taken = take_with(repo.options(), "x", true).unwrap();
    assert_eq!(taken.changes.len(), 3);
}

#[test]
fn v04_secrets_that_are_committed_already_stop_nobody() {
    let repo = Repo::with_files();
    repo.write(".env", "A=b\n");
    repo.commit("too late");
    repo.write("a.txt", "two\n");
    repo.take("x");
    repo.remove(".env");
    repo.take("and gone");
}

#[test]
fn v04_a_secret_that_was_only_staged_is_named_too() {
    let repo = Repo::with_files();
    repo.write("keys/id_rsa", "x");
    repo.git(&["add", "-A"]);
    let failure = repo.try_take("x").unwrap_err().to_string();
    assert!(
        failure.contains("`keys/id_rsa` (a private key)"),
        "{failure}"
    );
    repo.remove("keys/id_rsa");
    repo.take("x");
}

#[test]
fn packs_are_gathered_before_they_are_too_many() {
    let repo = Repo::with_files();
    for number in 0..54 {
        repo.write("a.txt", format!("{number}\n"));
        repo.try_take(&format!("number {number}")).unwrap();
    }
    let packs = fs::read_dir(repo.top.join(".git/objects/pack")).unwrap();
    let packs = packs
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|e| e == "pack"));
    assert!(packs.count() < 10);
    repo.check();
    repo.roll_back("number 7", false);
    assert_eq!(repo.read("a.txt"), "7\n");
}

#[test]
fn hooks_do_not_run_and_are_reported() {
    let repo = Repo::with_files();
    for hook in ["pre-commit", "post-commit"] {
        repo.write(
            &format!(".git/hooks/{hook}"),
            "#!/bin/sh\ntouch ran\nexit 1\n",
        );
        repo.set_mode(&format!(".git/hooks/{hook}"), 0o755);
    }
    repo.write("a.txt", "two\n");
    assert_eq!(repo.take("x").skipped_hooks, ["pre-commit", "post-commit"]);
    assert!(!repo.has("ran"));
}

#[test]
fn outside_a_repository_the_remedy_is_named_and_init_is_one() {
    let repo = Repo::outside();
    repo.write("a", "a");
    let failure = repo.try_take("x").unwrap_err();
    assert!(
        matches!(failure, CheckpointError::NoRepository { .. }),
        "{failure}"
    );
    assert!(failure.to_string().contains("--init"), "{failure}");
    block_on(repo.checkpoints().init()).unwrap();
    block_on(repo.checkpoints().init()).unwrap();
    repo.take("first");
}

#[test]
fn a_root_below_the_top_covers_the_whole_work_tree() {
    let repo = Repo::with_files();
    repo.write("a.txt", "two\n");
    repo.write("src/logs/run.jsonl", "{}\n");
    let mut options = repo.options();
    options.root = repo.top.join("src");
    let taken = take_with(options, "x", false).unwrap();
    assert_eq!(taken.covers, repo.top);
    assert_eq!(taken.changes, [change(ChangeKind::Modified, "a.txt")]);
    assert_eq!(
        repo.status(),
        "?? src/logs/\n",
        "tos's own logs stay outside"
    );
}

#[test]
fn a_detached_head_moves_by_itself() {
    let repo = Repo::with_files();
    repo.git(&["checkout", "-q", "--detach"]);
    let main = repo.git(&["rev-parse", "main"]);
    repo.write("a.txt", "two\n");
    let taken = repo.take("x");
    assert_eq!((taken.branch, repo.head()), (None, taken.hash));
    assert_eq!(repo.git(&["rev-parse", "main"]), main);
}

#[test]
fn a_merge_under_way_is_not_finished_by_accident() {
    let repo = Repo::with_files();
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.write("a.txt", "side\n");
    repo.commit("side");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("a.txt", "main\n");
    repo.commit("main");
    let merge = std::process::Command::new("git")
        .current_dir(&repo.top)
        .args(["merge", "-q", "side"])
        .output()
        .unwrap();
    assert!(!merge.status.success());
    let failure = repo.try_take("x").unwrap_err().to_string();
    assert!(failure.starts_with("a merge is under way"), "{failure}");
    fs::remove_file(repo.top.join(".git/MERGE_HEAD")).unwrap();
    let failure = repo.try_take("x").unwrap_err().to_string();
    assert!(
        failure.contains("`a.txt`") && failure.contains("unresolved"),
        "{failure}"
    );
}

#[test]
fn the_list_and_the_details_tell_what_was_taken() {
    let repo = Repo::with_files();
    repo.write("a.txt", "two\n");
    repo.take("one");
    repo.write("b.txt", "b\n");
    let second = repo.take("two");
    repo.write("a.txt", "three\n");
    repo.write("c.txt", "c\n");
    let list = block_on(repo.checkpoints().list()).unwrap();
    let names: Vec<(u32, &str)> = list.iter().map(|l| (l.number, l.name.as_str())).collect();
    assert_eq!(names, [(1, "one"), (2, "two")]);
    let shown = block_on(repo.checkpoints().show(Some("two"))).unwrap();
    assert_eq!(shown.listed, list[1]);
    assert_eq!(shown.listed.hash, second.hash);
    assert_eq!(shown.changes, [change(ChangeKind::Added, "b.txt")]);
    let difference = block_on(repo.checkpoints().diff(Some("1"))).unwrap();
    assert_eq!(
        difference.changes,
        [
            change(ChangeKind::Modified, "a.txt"),
            change(ChangeKind::Added, "b.txt"),
            change(ChangeKind::Added, "c.txt"),
        ]
    );
    assert!(
        difference.patch.contains("-two\n+three\n"),
        "{}",
        difference.patch
    );
    assert!(difference.patch.contains("+c\n"), "{}", difference.patch);
}

#[test]
fn a_number_that_is_also_a_name_is_refused_until_it_is_said_which() {
    let repo = Repo::with_files();
    let first = repo.take("x");
    repo.write("a.txt", "two\n");
    let second = repo.take("1");
    let failure = repo.try_roll_back("1", false).unwrap_err();
    assert_eq!(
        failure.to_string(),
        format!(
            "`1` is the number of one checkpoint and the name of another: say `checkpoints/1` for {} or `checkpoints/2` for {}",
            first.hash, second.hash
        )
    );
    assert!(block_on(repo.checkpoints().show(Some("1"))).is_err());
    assert_eq!(repo.head(), second.hash);
    assert_eq!(repo.roll_back("checkpoints/1", false).hash, first.hash);
    assert_eq!(repo.roll_back("checkpoints/2", false).hash, second.hash);
    assert_eq!(repo.roll_back(&first.hash, false).hash, first.hash);
    assert!(matches!(
        repo.try_roll_back("checkpoints/3", false),
        Err(CheckpointError::Unknown { .. })
    ));
}

#[test]
fn a_checkpoint_that_is_named_like_its_own_number_is_found() {
    let repo = Repo::with_files();
    let taken = repo.take("1");
    assert_eq!(repo.roll_back("1", false).hash, taken.hash);
}
