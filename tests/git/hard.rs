//! Repositories with something special in them.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use tos::{
    adapters::git::{GitWorktrees, blocking_check_repository},
    domain::checkpoint::CheckpointError,
};

use crate::support::{Repo, git_in, take_with};

#[test]
fn modes_links_and_names_that_are_not_text_survive_a_round_trip() {
    let repo = Repo::with_files();
    repo.write("run.sh", "#!/bin/sh\n");
    repo.set_mode("run.sh", 0o755);
    repo.link("link", "a.txt");
    repo.link("dangling", "no/where");
    fs::write(
        repo.top.join(OsStr::from_bytes(b"caf\xe9 \"q\"\n.txt")),
        "latin",
    )
    .unwrap();
    repo.write("日本語/ファイル", "utf8");
    let taken = repo.take("x");
    assert!(
        taken
            .changes
            .iter()
            .any(|c| c.path == "caf\\xE9 \"q\"\\x0A.txt")
    );
    assert_eq!(repo.status(), "");
    let good = repo.picture();
    repo.set_mode("run.sh", 0o644);
    repo.remove("link");
    repo.write("link/now-a-directory", "x");
    repo.remove("dangling");
    repo.link("dangling", "elsewhere");
    fs::remove_file(repo.top.join(OsStr::from_bytes(b"caf\xe9 \"q\"\n.txt"))).unwrap();
    repo.remove("a.txt");
    repo.link("a.txt", "run.sh");
    repo.take("y");
    assert_eq!(repo.status(), "");
    repo.roll_back("x", false);
    assert_eq!(repo.picture(), good);
}

#[test]
fn nested_repositories_are_left_alone_and_named() {
    let repo = Repo::with_files();
    repo.write("nested/file", "x");
    git_in(&repo.top.join("nested"), &["init", "-q", "."]);
    repo.write("a.txt", "two\n");
    let first = repo.head();
    let taken = repo.take("x");
    assert_eq!(taken.left_alone, ["nested"]);
    assert_eq!(repo.status(), "?? nested/\n");
    repo.try_roll_back(&first, false).unwrap();
    assert_eq!(repo.read("nested/file"), "x");
    assert!(repo.has("nested/.git"));
}

#[test]
fn submodules_are_left_alone() {
    let other = Repo::with_files();
    let repo = Repo::with_files();
    repo.git(&[
        "submodule",
        "--quiet",
        "add",
        other.top.to_str().unwrap(),
        "sub",
    ]);
    let first = repo.commit("with submodule");
    repo.write("sub/a.txt", "changed inside\n");
    repo.write("a.txt", "two\n");
    let taken = repo.take("x");
    assert_eq!(taken.changes.len(), 1);
    git_in(
        &repo.top.join("sub"),
        &[
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@t",
            "commit",
            "-qam",
            "inside",
        ],
    );
    let inside = git_in(&repo.top.join("sub"), &["rev-parse", "HEAD"]);
    repo.take("y");
    assert_eq!(
        repo.git(&["rev-parse", "HEAD:sub"]),
        inside,
        "as git add does"
    );
    assert_eq!(repo.status(), "");
    repo.try_roll_back(&first, false).unwrap();
    assert_eq!(repo.read("a.txt"), "one\n");
    assert_eq!(repo.read("sub/a.txt"), "changed inside\n");
    assert_eq!(
        git_in(&repo.top.join("sub"), &["rev-parse", "HEAD"]),
        inside
    );
    repo.try_roll_back("y", false).unwrap();
    assert_eq!(repo.status(), "");
}

#[test]
fn a_linked_worktree_has_its_own_index_and_branch() {
    let repo = Repo::with_files();
    let main = repo.head();
    let linked = repo.top.parent().unwrap().join("linked");
    repo.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "side",
        linked.to_str().unwrap(),
    ]);
    fs::write(linked.join("a.txt"), "in the linked one\n").unwrap();
    let mut options = repo.options();
    options.root.clone_from(&linked);
    let taken = take_with(options, "x", false).unwrap();
    assert_eq!(taken.branch.as_deref(), Some("side"));
    assert_eq!(taken.covers, linked.canonicalize().unwrap());
    assert_eq!(git_in(&linked, &["status", "--porcelain"]), "");
    assert_eq!(git_in(&linked, &["rev-parse", "HEAD"]).trim(), taken.hash);
    assert_eq!((repo.head(), repo.status()), (main, String::new()));
    repo.check();
}

#[test]
fn line_endings_are_stored_as_git_would_store_them() {
    let repo = Repo::empty();
    repo.git(&["config", "core.autocrlf", "true"]);
    repo.write(".gitattributes", "*.bin binary\n*.sh text eol=lf\n");
    repo.write("text.txt", "one\r\ntwo\r\n");
    repo.write("plain.txt", "one\ntwo\n");
    repo.write("data.bin", "one\r\ntwo\r\n");
    repo.write("run.sh", "a\r\nb\r\n");
    repo.take("x");
    assert_eq!(repo.git(&["show", "HEAD:text.txt"]), "one\ntwo\n");
    assert_eq!(repo.git(&["show", "HEAD:data.bin"]), "one\r\ntwo\r\n");
    assert_eq!(repo.git(&["show", "HEAD:run.sh"]), "a\nb\n");
    assert_eq!(repo.status(), "");
    repo.write("text.txt", "three\r\n");
    repo.remove("plain.txt");
    repo.take("y");
    repo.roll_back("x", false);
    assert_eq!(repo.read("text.txt"), "one\r\ntwo\r\n");
    assert_eq!(
        repo.read("plain.txt"),
        "one\ntwo\n",
        "as it was, not as a checkout writes it"
    );
    assert_eq!(repo.read("data.bin"), "one\r\ntwo\r\n");
}

#[test]
fn filters_run_and_a_broken_one_stops_the_checkpoint() {
    let repo = Repo::empty();
    repo.git(&["config", "filter.upper.clean", "tr a-z A-Z"]);
    repo.git(&["config", "filter.upper.smudge", "tr A-Z a-z"]);
    repo.git(&["config", "filter.upper.required", "true"]);
    repo.write(".gitattributes", "*.up filter=upper\n");
    repo.write("x.up", "content\n");
    repo.take("x");
    assert_eq!(repo.git(&["show", "HEAD:x.up"]), "CONTENT\n");
    assert_eq!(repo.status(), "");
    repo.write("x.up", "other\n");
    repo.take("y");
    repo.roll_back("x", false);
    assert_eq!(repo.read("x.up"), "content\n");
    repo.git(&["config", "filter.upper.clean", "false"]);
    repo.write("x.up", "third\n");
    let before = (repo.head(), repo.staged());
    let failure = repo.try_take("z").unwrap_err();
    assert!(
        matches!(failure, CheckpointError::Program { .. }),
        "{failure}"
    );
    assert_eq!((repo.head(), repo.staged()), before);
}

#[test]
fn a_lock_held_by_another_git_is_waited_for_and_then_named() {
    let repo = Repo::with_files();
    repo.write(".git/index.lock", "");
    repo.write("a.txt", "two\n");
    let failure = repo.try_take("x").unwrap_err();
    assert!(
        matches!(&failure, CheckpointError::Locked { waited_ms: 100, .. }),
        "{failure}"
    );
    assert!(failure.to_string().contains(".git/index.lock"), "{failure}");
    assert_eq!(repo.read(".git/index.lock"), "", "it is not ours to remove");
    repo.remove(".git/index.lock");
    repo.take("x");
}

#[test]
fn a_lock_left_by_a_dead_tos_is_removed() {
    let repo = Repo::with_files();
    let mut dead = std::process::Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let scratch = repo.top.join(format!(".git/tos-index-{}-0", dead.id()));
    fs::write(&scratch, "half an index").unwrap();
    fs::hard_link(&scratch, repo.top.join(".git/index.lock")).unwrap();
    repo.write("a.txt", "two\n");
    repo.take("x");
    assert!(!scratch.exists());
}

#[test]
fn sparse_checkouts_keep_what_is_not_checked_out() {
    let repo = Repo::with_files();
    repo.write("other/b.txt", "b\n");
    let first = repo.commit("second");
    repo.git(&["sparse-checkout", "set", "--cone", "src"]);
    assert!(!repo.has("other/b.txt"));
    repo.write("src/lib.rs", "fn changed() {}\n");
    repo.take("x");
    assert_eq!(repo.git(&["show", "HEAD:other/b.txt"]), "b\n");
    assert_eq!(repo.status(), "");
    repo.roll_back(&first, false);
    assert!(!repo.has("other/b.txt"));
    assert_eq!(repo.read("src/lib.rs"), "fn lib() {}\n");
    repo.undo();
    assert_eq!(repo.read("src/lib.rs"), "fn changed() {}\n");
}

#[test]
fn split_sparse_and_fourth_version_indexes_work() {
    for setup in [
        &["update-index", "--split-index"][..],
        &["update-index", "--index-version", "4"],
        &["sparse-checkout", "set", "--cone", "--sparse-index", "src"],
    ] {
        let repo = Repo::with_files();
        repo.write("other/deep/b.txt", "b\n");
        let first = repo.commit("second");
        repo.git(setup);
        repo.write("src/lib.rs", "fn changed() {}\n");
        repo.write("src/new.rs", "new\n");
        repo.take("x");
        assert_eq!(repo.status(), "", "{setup:?}");
        assert_eq!(repo.git(&["show", "HEAD:src/new.rs"]), "new\n");
        repo.roll_back(&first, false);
        assert_eq!(repo.read("src/lib.rs"), "fn lib() {}\n", "{setup:?}");
    }
}

#[test]
fn files_hidden_from_git_are_kept_when_a_rollback_overwrites_them() {
    let repo = Repo::with_files();
    let first = repo.head();
    repo.write("a.txt", "two\n");
    repo.commit("second");
    repo.git(&["update-index", "--assume-unchanged", "a.txt"]);
    repo.write("a.txt", "hidden work\n");
    let before = (repo.picture(), repo.staged());
    repo.take("x");
    assert_eq!(
        repo.git(&["show", "HEAD:a.txt"]),
        "two\n",
        "as git add does"
    );
    repo.roll_back(&first, false);
    assert_eq!(repo.read("a.txt"), "one\n");
    repo.undo();
    assert_eq!((repo.picture(), repo.staged()), before);
}

#[test]
fn a_sha256_repository_is_refused_in_words() {
    let repo = Repo::outside();
    repo.git(&["init", "-q", "--object-format=sha256", "."]);
    repo.write("a", "a");
    let failure = repo.try_take("x").unwrap_err();
    assert!(
        matches!(failure, CheckpointError::Unsupported { .. }),
        "{failure}"
    );
    assert!(failure.to_string().contains("sha256"), "{failure}");
}

#[test]
fn a_bare_repository_is_refused() {
    let repo = Repo::outside();
    repo.git(&["init", "-q", "--bare", "."]);
    assert!(matches!(
        repo.try_take("x"),
        Err(CheckpointError::Bare { .. })
    ));
}

#[test]
fn a_look_tells_why_checkpoints_are_not_possible() {
    let repo = Repo::with_files();
    assert!(blocking_check_repository(&repo.top).is_ok());
    let outside = Repo::outside();
    assert!(matches!(
        blocking_check_repository(&outside.top),
        Err(CheckpointError::NoRepository { .. })
    ));
    // Only root can give a repository away, and a machine may trust everybody.
    let given = std::os::unix::fs::chown(&repo.top, Some(4242), None)
        .and_then(|()| std::os::unix::fs::chown(repo.top.join(".git"), Some(4242), None));
    let refused = std::process::Command::new("git")
        .current_dir(&repo.top)
        .arg("status")
        .output()
        .is_ok_and(|done| String::from_utf8_lossy(&done.stderr).contains("dubious ownership"));
    if given.is_ok() && refused {
        let failure = blocking_check_repository(&repo.top).unwrap_err();
        assert!(
            failure.to_string().contains("owned by another user"),
            "{failure}"
        );
    }
}

#[test]
fn other_formats_are_named_with_what_helps_and_left_as_they_are() {
    for (option, settings, remedy) in [
        (
            "--ref-format=reftable",
            ["extensions.refStorage", "reftable"],
            "`git refs migrate --ref-format=files` changes it",
        ),
        (
            "--object-format=sha256",
            ["extensions.objectFormat", "sha256"],
            "`git fast-export --all | git -C NEW fast-import`",
        ),
    ] {
        let repo = Repo::outside();
        let made = std::process::Command::new("git")
            .args(["init", "-q", option, "."])
            .current_dir(&repo.top)
            .output()
            .unwrap();
        if !made.status.success() {
            // An older git knows neither.
            repo.git(&["init", "-q", "."]);
            repo.git(&["config", "core.repositoryFormatVersion", "1"]);
            repo.git(&["config", settings[0], settings[1]]);
        }
        repo.write("a", "a");
        let config = fs::read(repo.top.join(".git/config")).unwrap();
        let head = fs::read(repo.top.join(".git/HEAD")).unwrap();
        let said = [
            repo.try_take("x").unwrap_err().to_string(),
            repo.try_roll_back("x", true).unwrap_err().to_string(),
            blocking_check_repository(&repo.top)
                .unwrap_err()
                .to_string(),
            GitWorktrees::open(&repo.top).unwrap_err().to_string(),
            tos::adapters::validate::changes::blocking_collect(&repo.top, None, None)
                .unwrap_err()
                .to_string(),
        ];
        for said in said {
            assert!(said.contains(remedy), "{option}: {said}");
        }
        assert_eq!(fs::read(repo.top.join(".git/config")).unwrap(), config);
        assert_eq!(fs::read(repo.top.join(".git/HEAD")).unwrap(), head);
    }
}

#[test]
fn another_storage_of_refs_is_named() {
    let repo = Repo::with_files();
    repo.git(&["config", "core.repositoryFormatVersion", "1"]);
    repo.git(&["config", "extensions.refStorage", "reftable"]);
    let failure = repo.try_take("x").unwrap_err();
    assert!(failure.to_string().contains("reftable"), "{failure}");
    let failure = GitWorktrees::open(&repo.top).unwrap_err();
    assert!(failure.to_string().contains("reftable"), "{failure}");
}

#[test]
fn a_rollback_names_a_submodule_that_stays_where_it_is() {
    let inner = Repo::with_files();
    let repo = Repo::with_files();
    repo.git(&["submodule", "add", "-q", inner.top.to_str().unwrap(), "sub"]);
    repo.commit("with a submodule");
    repo.take("before");
    let sub = repo.top.join("sub");
    git_in(
        &sub,
        &[
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@y",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "on",
        ],
    );
    let head = git_in(&sub, &["rev-parse", "HEAD"]);
    let done = repo.try_roll_back("before", false).unwrap();
    assert_eq!(done.warnings.len(), 1, "{:?}", done.warnings);
    assert!(
        done.warnings[0].contains("submodule `sub` stays on"),
        "{:?}",
        done.warnings
    );
    assert_eq!(git_in(&sub, &["rev-parse", "HEAD"]), head);
}

#[test]
fn a_rollback_to_another_branch_and_an_unfinished_rebase_are_named() {
    let repo = Repo::with_files();
    let first = repo.head();
    repo.git(&["switch", "-q", "-c", "feature"]);
    repo.write("a.txt", "feature\n");
    repo.take("on-feature");
    repo.git(&["switch", "-q", "main"]);
    repo.write("a.txt", "main\n");
    repo.commit("on main");
    let done = repo.roll_back("on-feature", false);
    assert!(
        done.warnings
            .iter()
            .any(|line| line.contains("commit of `feature`")),
        "{:?}",
        done.warnings
    );
    repo.undo();
    assert_eq!(repo.roll_back(&first, false).warnings, Vec::<String>::new());
    repo.undo();
    let rebase = std::process::Command::new("git")
        .args(["rebase", "-q", "feature"])
        .current_dir(&repo.top)
        .output()
        .unwrap();
    assert!(!rebase.status.success());
    let failure = repo.try_roll_back(&first, false).unwrap_err();
    assert!(
        failure.to_string().contains("a rebase is under way"),
        "{failure}"
    );
    let done = repo.try_roll_back(&first, true).unwrap();
    assert!(
        done.warnings
            .iter()
            .any(|line| line.contains("a rebase is still under way")),
        "{:?}",
        done.warnings
    );
}
