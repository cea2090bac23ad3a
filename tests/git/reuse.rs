//! The work tree that goes from task to task: whatever the one before did, the next one finds its base and nothing else.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use tos::{
    adapters::{git::GitWorktrees, validate::changes},
    ports::worktrees::{Worktree, Worktrees},
};

use super::support::Repo;

/// Something a task does to its work tree.
type Deed = fn(&Path);

fn repo() -> Repo {
    let repo = Repo::with_files();
    repo.write(".gitignore", "*.log\n/build/\n");
    repo.write("src/deep/one.rs", "fn one() {}\n");
    repo.write("src/two.rs", "fn two() {}\n");
    repo.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(repo.top.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("src/two.rs", repo.top.join("link")).unwrap();
    repo.commit("files");
    repo
}

/// Opens a file, so that no other gets its inode.
fn opened(file: &Path) -> Box<dyn std::io::Read> {
    Box::new(fs::OpenOptions::new().read(true).open(file).unwrap())
}

fn inode(place: &Worktree, file: &str) -> u64 {
    use std::os::unix::fs::MetadataExt;
    place.top.join(file).symlink_metadata().unwrap().ino()
}

/// Fails unless a work tree is its base, for git as well, and nothing else is in it.
fn assert_is_base(repo: &Repo, place: &Worktree) {
    let top = place.top.to_str().unwrap();
    let status = ["-C", top, "status", "--porcelain", "--ignored", "-uall"];
    assert_eq!(repo.git(&status), "");
    // Not by times: everything is read.
    let index = place.task_folder.join("index");
    let index = index.to_str().unwrap();
    let read = |words: &[&str]| {
        let output = std::process::Command::new("git")
            .args(["-C", top])
            .args(words)
            .env("GIT_INDEX_FILE", index)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    read(&["add", "-A", "-f", "."]);
    assert_eq!(read(&["write-tree"]), place.tree);
    fs::remove_file(index).unwrap();
    assert_eq!(
        repo.git(&["-C", top, "rev-parse", "HEAD"]).trim(),
        place.base
    );
    assert!(!place.top.join("empty").exists());
    let mode = |file: &str| {
        fs::metadata(place.top.join(file))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("src") & 0o7777, mode("src/deep") & 0o7777);
    assert_eq!(mode("run.sh") & 0o100, 0o100);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of deeds")]
fn the_next_task_finds_its_base_whatever_the_one_before_did() {
    let deeds: [(&str, bool, Deed); 12] = [
        ("nothing", true, |_| {}),
        ("an edit", true, |top| {
            fs::write(top.join("src/two.rs"), "changed\n").unwrap();
        }),
        ("an edit with the old times", true, |top| {
            let file = top.join("src/two.rs");
            let before = fs::metadata(&file).unwrap().modified().unwrap();
            fs::write(&file, "fn TWO() {}\n").unwrap();
            let file = fs::OpenOptions::new().write(true).open(&file).unwrap();
            file.set_modified(before).unwrap();
        }),
        ("new, ignored and empty things", true, |top| {
            fs::write(top.join("new.txt"), "x").unwrap();
            fs::write(top.join("src/x.log"), "x").unwrap();
            fs::create_dir_all(top.join("build/deep")).unwrap();
            fs::write(top.join("build/deep/o"), "x").unwrap();
            fs::create_dir_all(top.join("empty/er")).unwrap();
        }),
        ("files gone", true, |top| {
            fs::remove_dir_all(top.join("src")).unwrap();
        }),
        ("a folder in the place of a file", true, |top| {
            fs::remove_file(top.join("link")).unwrap();
            fs::create_dir(top.join("link")).unwrap();
            fs::write(top.join("link/inside"), "x").unwrap();
        }),
        ("state of tos and repositories inside", true, |top| {
            fs::create_dir_all(top.join("src/.tos/runs")).unwrap();
            fs::write(top.join("src/.tos/runs/x"), "x").unwrap();
            fs::create_dir_all(top.join("src/deep/.git")).unwrap();
            fs::write(top.join("src/deep/.git/HEAD"), "ref: refs/heads/x\n").unwrap();
        }),
        ("modes of files", true, |top| {
            fs::set_permissions(top.join("run.sh"), fs::Permissions::from_mode(0o4711)).unwrap();
            fs::set_permissions(top.join("src/two.rs"), fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("modes of folders", false, |top| {
            fs::set_permissions(top.join("src"), fs::Permissions::from_mode(0o700)).unwrap();
        }),
        ("a second name of a file", true, |top| {
            fs::hard_link(top.join("src/two.rs"), top.join("../second")).unwrap();
        }),
        ("another git directory", true, |top| {
            fs::remove_file(top.join(".git")).unwrap();
            fs::create_dir(top.join(".git")).unwrap();
            fs::write(
                top.join(".git/config"),
                "[core]\n\tfsmonitor = /bin/false\n",
            )
            .unwrap();
        }),
        ("a link in the place of the top", false, |top| {
            let elsewhere = top.parent().unwrap().join("elsewhere");
            fs::rename(top, &elsewhere).unwrap();
            fs::remove_file(elsewhere.join(".git")).unwrap();
            fs::create_dir(elsewhere.join(".git")).unwrap();
            symlink(&elsewhere, top).unwrap();
        }),
    ];
    for (what, keeps, deed) in deeds {
        let repo = repo();
        let trees = GitWorktrees::open(&repo.top).unwrap();
        let first = trees.make("run", "one", &repo.head()).unwrap();
        let untouched = inode(&first, ".gitignore");
        // Open, so that no other file gets its number.
        let held = opened(&first.top.join(".gitignore"));
        deed(&first.top);
        trees.remove_for_reuse(&first).unwrap();
        assert!(!first.task_folder.exists(), "{what}");
        let second = trees.make("run", "two", &repo.head()).unwrap();
        assert_is_base(&repo, &second);
        let is_same = inode(&second, ".gitignore") == untouched;
        assert_eq!(is_same, keeps, "{what}: the files were kept");
        drop(held);
        trees.remove_for_reuse(&second).unwrap();
        trees.remove_reusable("run").unwrap();
        assert!(!repo.top.join(".tos/worktrees/run").exists(), "{what}");
        assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1, "{what}");
    }
}

#[test]
fn a_file_that_was_written_into_comes_in_a_new_inode() {
    let repo = repo();
    let trees = GitWorktrees::open(&repo.top).unwrap();
    let first = trees.make("run", "one", &repo.head()).unwrap();
    let before = inode(&first, "src/two.rs");
    let held = opened(&first.top.join("src/two.rs"));
    // Whoever kept it open could go on writing into it.
    fs::write(first.top.join("src/two.rs"), "fn two() {}\n").unwrap();
    assert_eq!(inode(&first, "src/two.rs"), before);
    trees.remove_for_reuse(&first).unwrap();
    let second = trees.make("run", "two", &repo.head()).unwrap();
    assert_ne!(inode(&second, "src/two.rs"), before);
    drop(held);
    assert_is_base(&repo, &second);
}

#[test]
fn the_next_task_starts_from_another_commit() {
    let repo = repo();
    let trees = GitWorktrees::open(&repo.top).unwrap();
    let first = trees.make("run", "one", &repo.head()).unwrap();
    fs::write(first.top.join("src/two.rs"), "accepted\n").unwrap();
    fs::remove_file(first.top.join("run.sh")).unwrap();
    fs::write(first.top.join("run.sh.log"), "left by the tests\n").unwrap();
    let tree = trees.tree(&first).unwrap();
    let commit = trees
        .commit_tree(&first, &tree, "accepted", "refs/tos/runs/run")
        .unwrap();
    trees.remove_for_reuse(&first).unwrap();
    let second = trees.make("run", "two", &commit).unwrap();
    assert_eq!(second.tree, tree);
    let read = fs::read_to_string(second.top.join("src/two.rs")).unwrap();
    assert_eq!(read, "accepted\n");
    assert!(!second.top.join("run.sh").exists());
    assert!(!second.top.join("run.sh.log").exists());
    assert_eq!(trees.tree(&second).unwrap(), tree);
    assert!(trees.changes(&second).unwrap().changes.is_empty());
}

#[test]
fn what_waited_when_tos_was_killed_is_taken_away() {
    let repo = repo();
    let trees = GitWorktrees::open(&repo.top).unwrap();
    let first = trees.make("run", "one", &repo.head()).unwrap();
    trees.remove_for_reuse(&first).unwrap();
    drop(trees);
    assert!(repo.top.join(".tos/worktrees/run/.spare/tree").exists());
    let again = GitWorktrees::open(&repo.top).unwrap();
    assert!(again.recover_crashed().unwrap().is_empty());
    assert!(!repo.top.join(".tos/worktrees/run").exists());
}

#[test]
fn looking_at_what_was_touched_finds_what_looking_at_everything_finds() {
    let repo = repo();
    let trees = GitWorktrees::open(&repo.top).unwrap();
    let place = trees.make("run", "one", &repo.head()).unwrap();
    let top = &place.top;
    fs::write(top.join("src/two.rs"), "changed\n").unwrap();
    fs::remove_file(top.join("run.sh")).unwrap();
    fs::create_dir_all(top.join("fresh/a")).unwrap();
    fs::write(top.join("fresh/a/[x]*.rs"), "fn x() {}\n").unwrap();
    fs::write(top.join("fresh/y.log"), "ignored\n").unwrap();
    fs::create_dir_all(top.join("build")).unwrap();
    fs::write(top.join("build/Makefile"), "ignored\n").unwrap();
    fs::write(top.join("conftest.log"), "ignored\n").unwrap();
    fs::remove_dir_all(top.join("src/deep")).unwrap();
    fs::write(top.join("src/deep"), "a file now\n").unwrap();
    fs::remove_file(top.join("link")).unwrap();
    symlink("src", top.join("link")).unwrap();
    let all = changes::blocking_collect(top, Some(&place.base), None).unwrap();
    let quick = trees.changes(&place).unwrap();
    let named = |changes: &[tos::domain::validate::FileChange]| {
        let mut named: Vec<String> = changes.iter().map(|one| format!("{one:?}")).collect();
        named.sort();
        named
    };
    assert_eq!(named(&quick.changes), named(&all.changes));
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(quick.ignored), sorted(all.ignored));
    assert!(quick.changes.len() >= 6, "{:#?}", named(&quick.changes));
}

#[test]
fn a_change_that_hides_its_times_is_found() {
    let repo = repo();
    let trees = GitWorktrees::open(&repo.top).unwrap();
    let place = trees.make("run", "one", &repo.head()).unwrap();
    let file = place.top.join("src/two.rs");
    let before = fs::metadata(&file).unwrap();
    fs::write(&file, "fn TWO() {}\n").unwrap();
    let open = fs::OpenOptions::new().write(true).open(&file).unwrap();
    open.set_modified(before.modified().unwrap()).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().len(), before.len());
    assert_ne!(trees.tree(&place).unwrap(), place.tree);
    let seen = trees.changes(&place).unwrap();
    assert_eq!(seen.changes.len(), 1);
}
