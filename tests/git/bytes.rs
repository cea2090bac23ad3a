//! A checkpoint and a snapshot bring back the very bytes, modes and empty folders, whatever git would make of them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use tos::{
    adapters::git::GitWorktrees, domain::checkpoint::CheckpointError, ports::worktrees::Worktrees,
};

use crate::{
    equivalence::tree_by_git,
    support::{Repo, take_with},
};

/// Everything below the top with type, all bits of its mode and its bytes, folders included; state and git left out.
fn whole(repo: &Repo) -> Vec<String> {
    let mut lines = Vec::new();
    gather(&repo.top, &repo.top, &mut lines);
    lines.sort();
    lines
}

fn gather(top: &Path, folder: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path: PathBuf = entry.path();
        if entry.file_name() == ".git" {
            continue;
        }
        let name = path.strip_prefix(top).unwrap().display().to_string();
        let data = path.symlink_metadata().unwrap();
        let mode = data.permissions().mode() & 0o7777;
        if data.is_symlink() {
            lines.push(format!(
                "{name} -> {}",
                fs::read_link(&path).unwrap().display()
            ));
        } else if data.is_dir() {
            lines.push(format!("{name}/ {mode:o}"));
            gather(top, &path, lines);
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            lines.push(format!("{name} {mode:o} {}", bytes.escape_ascii()));
        }
    }
}

/// What an agent does that could get in the way of going back.
fn spoil(repo: &Repo) {
    repo.write(
        ".gitattributes",
        "* text eol=lf ident filter=spoil\n*.bin -text\n",
    );
    repo.write(
        "src/.gitattributes",
        "* working-tree-encoding=UTF-16LE filter=spoil\n",
    );
    repo.write(".git/info/attributes", "* filter=spoil text eol=crlf\n");
    for (key, value) in [
        ("filter.spoil.clean", "false"),
        ("filter.spoil.smudge", "false"),
        ("filter.spoil.required", "true"),
        ("core.autocrlf", "input"),
        ("core.eol", "crlf"),
        ("core.safecrlf", "true"),
        ("core.fileMode", "false"),
        ("core.symlinks", "false"),
        ("core.ignoreCase", "true"),
        ("core.checkStat", "minimal"),
        ("core.fsmonitor", "/bin/false"),
        ("core.hooksPath", "/nowhere"),
        ("core.attributesFile", "/nowhere/at/all"),
    ] {
        repo.git(&["config", key, value]);
    }
    repo.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch hooked\n");
    repo.set_mode(".git/hooks/post-checkout", 0o755);
}

/// Takes a checkpoint, lets somebody ruin everything, and goes back and forth.
fn round_trip(repo: &Repo) {
    let before = whole(repo);
    let by_git = tree_by_git(repo);
    take_with(repo.options(), "before", false).unwrap();
    assert_eq!(
        whole(repo),
        before,
        "a checkpoint changes nothing on the disk"
    );
    let committed = repo.git(&["rev-parse", "HEAD^{tree}"]);
    assert_eq!(
        committed.trim(),
        by_git,
        "the commit is what git itself makes"
    );
    for path in repo.files() {
        let text = fs::read(&path).unwrap();
        fs::write(&path, [text.as_slice(), b"\r\nmore\n"].concat()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    }
    repo.write("new/file.txt", "new\r\n");
    spoil(repo);
    let ruined = whole(repo);
    repo.try_roll_back("before", true).unwrap();
    assert_eq!(whole(repo), before, "a rollback");
    repo.undo();
    assert_eq!(whole(repo), ruined, "an undo");
    repo.undo();
    assert_eq!(whole(repo), before, "an undo of the undo");
}

fn lay(repo: &Repo) {
    repo.write("unix.txt", "one\ntwo\n");
    repo.write("dos.txt", "one\r\ntwo\r\n");
    repo.write("mixed.txt", "one\r\ntwo\n");
    repo.write("src/id.txt", "$Id$ and $Id: 123 $\n");
    repo.write("pic.bin", b"\0\r\n\xff".as_slice());
    repo.write("empty", "");
}

#[test]
fn line_ends_come_back_as_they_were() {
    for setting in ["true", "input"] {
        let repo = Repo::with_files();
        repo.git(&["config", "core.autocrlf", setting]);
        lay(&repo);
        round_trip(&repo);
    }
    for attributes in [
        "* text=auto\n",
        "* text=auto eol=crlf\n",
        "*.txt text\n",
        "*.txt eol=lf\n",
        "* ident\n",
        "unix.txt crlf=input\n",
    ] {
        let repo = Repo::with_files();
        repo.write(".gitattributes", attributes);
        lay(&repo);
        round_trip(&repo);
    }
}

#[test]
fn encodings_and_filters_are_not_asked() {
    let repo = Repo::with_files();
    repo.write(
        ".gitattributes",
        "*.utf working-tree-encoding=UTF-16LE-BOM\n*.up filter=up\n",
    );
    repo.git(&["config", "filter.up.clean", "tr a-z A-Z"]);
    repo.git(&["config", "filter.up.smudge", "tr A-Z x"]);
    let utf16: Vec<u8> = "\u{feff}a\r\nb\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    repo.write("a.utf", utf16);
    repo.write("deep/er/a.up", "lower and UPPER\n");
    round_trip(&repo);
}

#[test]
fn a_pointer_of_lfs_and_its_big_file_come_back() {
    let repo = Repo::with_files();
    repo.write(
        ".gitattributes",
        "*.big filter=lfs diff=lfs merge=lfs -text\n",
    );
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n";
    repo.git(&[
        "config",
        "filter.lfs.clean",
        &format!("printf '{}'", pointer.replace('\n', "\\n")),
    ]);
    repo.git(&["config", "filter.lfs.smudge", "printf big"]);
    repo.git(&["config", "filter.lfs.required", "true"]);
    repo.write("model.big", vec![7_u8; 100_000]);
    round_trip(&repo);
    assert_eq!(repo.git(&["show", "HEAD:model.big"]), pointer);
}

#[test]
fn modes_and_empty_folders_come_back() {
    let repo = Repo::with_files();
    for (path, mode) in [
        ("a.txt", 0o600),
        ("src/lib.rs", 0o751),
        ("closed", 0o400),
        ("src/deep", 0o700),
    ] {
        if !repo.has(path) {
            repo.write(path, "x\n");
        }
        repo.set_mode(path, mode);
    }
    for folder in ["hollow/er/est", "src/none", "tmp"] {
        fs::create_dir_all(repo.top.join(folder)).unwrap();
    }
    repo.set_mode("tmp", 0o1777);
    let before = whole(&repo);
    repo.take("before");
    repo.set_mode("a.txt", 0o666);
    repo.write("src/lib.rs", "changed\n");
    repo.remove("closed");
    repo.set_mode("src/deep", 0o755);
    fs::remove_dir_all(repo.top.join("hollow")).unwrap();
    fs::remove_dir(repo.top.join("src/none")).unwrap();
    fs::remove_dir(repo.top.join("tmp")).unwrap();
    repo.write("tmp", "a file now\n");
    fs::create_dir_all(repo.top.join("other/empty")).unwrap();
    repo.write("loose", "x");
    repo.set_mode("loose", 0o640);
    let ruined = whole(&repo);
    repo.roll_back("before", true);
    assert_eq!(whole(&repo), before);
    repo.undo();
    assert_eq!(whole(&repo), ruined);
}

#[test]
fn a_mode_alone_is_a_change_that_goes_back_and_is_told() {
    let repo = Repo::with_files();
    repo.set_mode("a.txt", 0o600);
    repo.take("private");
    repo.set_mode("a.txt", 0o644);
    let done = repo.roll_back("private", true);
    let told: Vec<&str> = done
        .changes
        .iter()
        .map(|change| change.path.as_str())
        .collect();
    assert_eq!(told, ["a.txt"]);
    assert!(whole(&repo).contains(&"a.txt 600 one\\n".to_owned()));
}

#[test]
fn a_broken_filter_stops_a_checkpoint_as_it_stops_git_and_no_rollback() {
    let repo = Repo::with_files();
    repo.take("before");
    repo.write("a.txt", "two\n");
    spoil(&repo);
    let failure = repo.try_take("spoilt").unwrap_err();
    assert!(
        matches!(&failure, CheckpointError::Program { command, .. } if command == "add"),
        "{failure}"
    );
    let failure = repo.try_roll_back("before", false).unwrap_err();
    assert!(
        matches!(failure, CheckpointError::Dirty { .. }),
        "{failure}"
    );
    repo.try_roll_back("before", true).unwrap();
    assert_eq!(repo.read("a.txt"), "one\n");
    assert!(!repo.has("hooked") && !repo.has(".gitattributes"));
}

#[test]
fn attributes_that_vanish_do_not_make_converted_files_look_stored() {
    let repo = Repo::empty();
    repo.write(".gitattributes", "*.txt text eol=crlf\n");
    repo.write("a.txt", "one\r\n");
    repo.commit("first");
    repo.remove("a.txt");
    repo.git(&["checkout", "-q", "a.txt"]);
    assert_eq!(repo.read("a.txt"), "one\r\n");
    for name in ["first", "second"] {
        repo.write(".gitattributes", "# nothing\n");
        let before = whole(&repo);
        take_with(repo.options(), name, false).unwrap();
        repo.write("a.txt", "two\n");
        repo.try_roll_back(name, true).unwrap();
        assert_eq!(whole(&repo), before, "{name}");
    }
}

#[test]
fn what_stands_in_the_place_of_a_file_is_kept_or_swept_away() {
    let repo = Repo::with_files();
    repo.write(".gitattributes", "* text=auto\n");
    repo.take("before");
    let before = whole(&repo);
    repo.remove("a.txt");
    let pipe = repo.top.join("a.txt");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    fs::remove_dir_all(repo.top.join("src")).unwrap();
    repo.link("src", "/");
    repo.try_roll_back("before", true).unwrap();
    assert_eq!(whole(&repo), before);
}

#[test]
fn files_that_git_was_told_to_distrust_or_overlook_are_told_apart() {
    for (key, value) in [
        ("core.fileMode", "false"),
        ("core.symlinks", "false"),
        ("core.ignoreCase", "true"),
    ] {
        let repo = Repo::with_files();
        repo.link("link", "a.txt");
        repo.commit("with a link");
        repo.git(&["config", key, value]);
        repo.set_mode("a.txt", 0o755);
        round_trip(&repo);
    }
    let repo = Repo::with_files();
    repo.git(&["update-index", "--assume-unchanged", "a.txt"]);
    repo.git(&["update-index", "--skip-worktree", "src/lib.rs"]);
    repo.write("a.txt", "overlooked\n");
    repo.write("src/lib.rs", "left out\n");
    let before = whole(&repo);
    repo.try_take("before").unwrap();
    repo.write("a.txt", "worse\n");
    repo.remove("src/lib.rs");
    repo.try_roll_back("before", true).unwrap();
    assert_eq!(whole(&repo), before);
}

#[test]
fn a_sparse_checkout_goes_back_with_what_was_outside_of_it() {
    let repo = Repo::with_files();
    repo.write("other/x.txt", "x\n");
    repo.commit("more");
    repo.git(&["sparse-checkout", "set", "--cone", "src"]);
    assert!(!repo.has("other/x.txt"));
    let bare = whole(&repo);
    repo.try_take("sparse").unwrap();
    assert_eq!(whole(&repo), bare);
    assert!(
        repo.git(&["ls-tree", "-r", "--name-only", "HEAD"])
            .contains("other/x.txt")
    );
    // An agent writes outside of the cone; git would not look there.
    repo.write("other/x.txt", "written\n");
    repo.write("src/lib.rs", "changed\n");
    let ruined = whole(&repo);
    repo.try_roll_back("sparse", true).unwrap();
    assert_eq!(whole(&repo), bare);
    assert_eq!(repo.status(), "");
    repo.undo();
    assert_eq!(whole(&repo), ruined);
}

#[derive(Debug, Clone)]
struct File {
    path: String,
    content: Vec<u8>,
    mode: u32,
}

fn file() -> impl Strategy<Value = File> {
    let path = prop::collection::vec(prop::sample::select(vec!["a", "b.txt", "c.x", "日"]), 1..4);
    let content = prop::collection::vec(
        prop::sample::select(vec!["a", "\r\n", "\n", "\r", "\0", "$Id$", "\u{feff}", "é"]),
        0..6,
    );
    let mode = prop::sample::select(vec![0o644, 0o600, 0o755, 0o400, 0o664, 0o4755]);
    (path, content, mode).prop_map(|(path, content, mode)| File {
        path: path.join("/"),
        content: content.concat().into_bytes(),
        mode,
    })
}

fn put(repo: &Repo, file: &File) {
    let place = repo.top.join(&file.path);
    let free = place
        .ancestors()
        .skip(1)
        .all(|above| above.is_dir() || !above.exists());
    if free && !place.is_dir() {
        drop(fs::remove_file(&place));
        repo.write(&file.path, &file.content);
        repo.set_mode(&file.path, file.mode);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes_and_modes_come_back(
        first in prop::collection::vec(file(), 1..6),
        second in prop::collection::vec(file(), 0..6),
        attributes in prop::collection::vec(prop::sample::select(vec![
            "* text=auto", "*.txt text", "*.x eol=crlf", "* ident", "*.x filter=up", "a -text",
        ]), 0..3),
        later in prop::sample::select(vec!["", "* text eol=lf\n", "* filter=gone\n", "* -text\n"]),
        autocrlf in prop::sample::select(vec!["false", "true", "input"]),
        folder in prop::sample::select(vec!["none", "a/hollow", "x/y/z"]),
    ) {
        let repo = Repo::with_files();
        repo.git(&["config", "core.autocrlf", autocrlf]);
        repo.git(&["config", "filter.up.clean", "tr a-z A-Z"]);
        repo.write(".gitattributes", attributes.join("\n"));
        for file in &first {
            put(&repo, file);
        }
        drop(fs::create_dir_all(repo.top.join(folder)));
        let before = whole(&repo);
        take_with(repo.options(), "before", true).unwrap();
        prop_assert_eq!(&whole(&repo), &before);
        for file in &second {
            put(&repo, file);
        }
        drop(fs::remove_dir(repo.top.join(folder)));
        repo.write(".gitattributes", later);
        let ruined = whole(&repo);
        repo.try_roll_back("before", true).unwrap();
        prop_assert_eq!(&whole(&repo), &before);
        repo.undo();
        prop_assert_eq!(&whole(&repo), &ruined);
    }
}

#[test]
fn a_tasks_work_tree_blames_nobody_for_what_git_would_convert() {
    let repo = Repo::with_files();
    repo.write("dos.txt", "one\r\ntwo\r\n");
    repo.write("other/x.txt", "x\r\n");
    repo.commit("stored with carriage returns");
    repo.write(".gitattributes", "*.txt text\n*.big filter=lost\n");
    repo.write("model.big", "pointer\n");
    repo.git(&["add", ".gitattributes", "model.big"]);
    repo.git(&["commit", "-q", "-m", "rules that were never applied"]);
    repo.git(&["sparse-checkout", "set", "--cone", "src"]);
    repo.git(&["config", "filter.lost.clean", "false"]);
    repo.git(&["config", "filter.lost.smudge", "false"]);
    repo.git(&["config", "filter.lost.required", "true"]);
    let trees = GitWorktrees::open(&repo.top).unwrap();
    let mut place = trees.make("run", "task", &repo.head()).unwrap();
    assert_eq!(
        fs::read(place.top.join("dos.txt")).unwrap(),
        b"one\r\ntwo\r\n"
    );
    assert!(
        place.top.join("other/x.txt").exists(),
        "the whole tree is there"
    );
    assert_eq!(trees.tree(&place).unwrap(), place.tree);
    fs::write(place.top.join("dos.txt"), "changed\r\n").unwrap();
    fs::set_permissions(
        place.top.join("other/x.txt"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    assert_ne!(trees.tree(&place).unwrap(), place.tree);
    assert_eq!(trees.roll_back(&mut place).unwrap(), place.tree);
    assert_eq!(
        fs::read(place.top.join("dos.txt")).unwrap(),
        b"one\r\ntwo\r\n"
    );
}

#[test]
fn a_kept_attempt_has_the_bytes_of_the_disk() {
    let repo = Repo::with_files();
    repo.write(".gitattributes", "*.txt text\n*.up filter=up\n");
    repo.write("b.up", "one\n");
    repo.commit("rules");
    repo.git(&["config", "filter.up.clean", "tr a-z A-Z"]);
    let trees = GitWorktrees::open(&repo.top).unwrap();
    let place = trees.make("run", "task", &repo.head()).unwrap();
    fs::write(place.top.join("a.txt"), "two\r\n").unwrap();
    fs::write(place.top.join("b.up"), "two\n").unwrap();
    fs::write(place.top.join("odd \"name\".txt"), "new\r\n").unwrap();
    let kept = trees
        .save(&place, "tried", "refs/tos/attempts/run/task-1")
        .unwrap();
    for (name, bytes) in [
        ("a.txt", "two\r\n"),
        ("b.up", "two\n"),
        ("odd \"name\".txt", "new\r\n"),
    ] {
        assert_eq!(repo.git(&["show", &format!("{kept}:{name}")]), bytes);
    }
}
