//! Random trees: tos and the git program must always come to the same tree.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicI64, Ordering},
};

use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use tos::{
    adapters::git::{
        GitCheckpoints,
        options::{CheckpointOptions, Engine},
    },
    domain::checkpoint::{CheckpointRequest, RollbackRequest},
    ports::checkpoints::Checkpoints,
};

use crate::support::{Repo, block_on};

/// One change to the work tree.
#[derive(Debug, Clone)]
enum Step {
    Write {
        path: String,
        content: Vec<u8>,
    },
    Remove {
        path: String,
    },
    Link {
        path: String,
        target: String,
    },
    Mode {
        path: String,
        mode: u32,
    },
    Ignore {
        directory: String,
        patterns: Vec<String>,
    },
    Attributes {
        patterns: Vec<String>,
    },
    Stage {
        path: String,
    },
    Unstage {
        path: String,
    },
    Directory {
        path: String,
    },
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!["a", "b", "a.b", "a-", "日", "x.log", ":c"]),
        1..4,
    )
    .prop_map(|parts| parts.join("/"))
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        "",
        "one\n",
        "two\n",
        "cr\r\nlf\r\n",
        "\0binary\r\n",
        "$Id$\n",
    ])
    .prop_map(|text| text.as_bytes().to_vec())
}

fn pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "*.log", "a", "/a", "b/", "!a", "a/**", "**/a.b", "a-*", "!x.log",
    ])
    .prop_map(str::to_owned)
}

fn attribute() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "* text=auto",
        "*.b text",
        "a -text",
        "b eol=crlf",
        "* ident",
        "a binary",
    ])
    .prop_map(str::to_owned)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (path(), content()).prop_map(|(path, content)| Step::Write { path, content }),
        3 => path().prop_map(|path| Step::Remove { path }),
        1 => (path(), path()).prop_map(|(path, target)| Step::Link { path, target }),
        2 => (path(), prop::sample::select(vec![0o755, 0o644]))
            .prop_map(|(path, mode)| Step::Mode { path, mode }),
        1 => (prop::sample::select(vec!["", "a/", "b/"]), prop::collection::vec(pattern(), 1..3))
            .prop_map(|(directory, patterns)| Step::Ignore { directory: directory.into(), patterns }),
        1 => prop::collection::vec(attribute(), 1..3).prop_map(|patterns| Step::Attributes { patterns }),
        2 => path().prop_map(|path| Step::Stage { path }),
        1 => path().prop_map(|path| Step::Unstage { path }),
        1 => path().prop_map(|path| Step::Directory { path }),
    ]
}

fn perform(repo: &Repo, step: &Step) {
    let at = |path: &str| repo.top.join(path);
    match step {
        Step::Write { path, content } => {
            make_way(&repo.top, path);
            fs::write(at(path), content).unwrap();
        }
        Step::Remove { path } => clear(&at(path)),
        Step::Link { path, target } => {
            make_way(&repo.top, path);
            std::os::unix::fs::symlink(target, at(path)).unwrap();
        }
        Step::Mode { path, mode } => {
            if at(path).symlink_metadata().is_ok_and(|data| data.is_file()) {
                repo.set_mode(path, *mode);
            }
        }
        Step::Ignore {
            directory,
            patterns,
        } => {
            let path = format!("{directory}.gitignore");
            make_way(&repo.top, &path);
            fs::write(at(&path), patterns.join("\n")).unwrap();
        }
        Step::Attributes { patterns } => {
            repo.write(".gitattributes", patterns.join("\n"));
            touch_all(repo);
        }
        Step::Stage { path } => quietly(repo, &["--literal-pathspecs", "add", "--", path]),
        Step::Unstage { path } => {
            quietly(
                repo,
                &[
                    "--literal-pathspecs",
                    "rm",
                    "-q",
                    "--cached",
                    "-r",
                    "-f",
                    "--",
                    path,
                ],
            );
        }
        Step::Directory { path } => {
            make_way(&repo.top, path);
            fs::create_dir(at(path)).unwrap();
        }
    }
}

/// New attributes concern a file only once it changes: git, and tos with it, keeps what it has of files
/// that the index knows to be unchanged. The oracle has no stat data, so the others get none either.
fn touch_all(repo: &Repo) {
    static SECONDS: AtomicI64 = AtomicI64::new(1_000_000_000);
    let time = Timespec {
        tv_sec: SECONDS.fetch_add(1, Ordering::Relaxed),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    for path in repo.files() {
        utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
    }
}

/// Makes every directory above a path, whatever stood there, and nothing at the path.
fn make_way(top: &Path, path: &str) {
    let mut above = top.to_owned();
    let (directories, name) = path.rsplit_once('/').unwrap_or(("", path));
    for part in directories.split('/').filter(|part| !part.is_empty()) {
        above.push(part);
        if !above.symlink_metadata().is_ok_and(|data| data.is_dir()) {
            clear(&above);
            fs::create_dir(&above).unwrap();
        }
    }
    clear(&above.join(name));
}

fn clear(path: &Path) {
    match path.symlink_metadata() {
        Ok(data) if data.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

fn quietly(repo: &Repo, arguments: &[&str]) {
    let done = Command::new("git")
        .current_dir(&repo.top)
        .args(arguments)
        .output();
    done.unwrap();
}

/// The tree git itself makes of the work tree, hashed from the files and not from a stat cache.
pub(crate) fn tree_by_git(repo: &Repo) -> String {
    let index = repo.top.join(".git/oracle-index");
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .current_dir(&repo.top)
            .env("GIT_INDEX_FILE", &index)
            .args(arguments)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "git {arguments:?}: {error}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    drop(fs::copy(repo.top.join(".git/index"), &index));
    if index.exists() {
        // Without its stat data the index proves nothing about the files.
        let listed = git(&["ls-files", "-s", "-z"]);
        fs::remove_file(&index).unwrap();
        feed(repo, &index, &listed);
    }
    git(&["add", "-A"]);
    let tree = git(&["write-tree"]);
    fs::remove_file(&index).unwrap();
    tree
}

fn feed(repo: &Repo, index: &Path, listed: &str) {
    use std::{io::Write, process::Stdio};
    let mut child = Command::new("git")
        .current_dir(&repo.top)
        .env("GIT_INDEX_FILE", index)
        .args(["update-index", "-z", "--index-info"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(listed.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

fn with(repo: &Repo, engine: Engine) -> GitCheckpoints {
    GitCheckpoints::new(CheckpointOptions {
        engine,
        ..repo.options()
    })
}

fn check_clean(repo: &Repo, tree: &str) {
    repo.check();
    let of_head = repo.git(&["rev-parse", "HEAD^{tree}"]).trim().to_owned();
    let of_index = repo.git(&["write-tree"]).trim().to_owned();
    let of_files = tree_by_git(repo);
    assert_eq!(
        [of_head.as_str(), &of_index, &of_files],
        [tree; 3],
        "HEAD, index, files: {}{:#?}",
        repo.git(&["diff-tree", "-r", tree, &of_head]),
        repo.picture()
    );
    // Files written with one line ending and stored with another are dirty for git itself.
    assert_eq!(repo.status(), "");
}

/// What the rules of that time did not ignore yet stays and is untracked now; nothing else may differ.
fn check_rolled_back(repo: &Repo, picture_before: &[String]) {
    let untracked = repo.git(&["ls-files", "-o", "-z", "--exclude-standard"]);
    let untracked: Vec<&str> = untracked.split('\0').filter(|p| !p.is_empty()).collect();
    if untracked.is_empty() {
        let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
        return check_clean(repo, tree.trim());
    }
    repo.check();
    let tracked = repo.git(&["status", "--porcelain", "--untracked-files=no"]);
    assert_eq!(tracked, "");
    for path in untracked {
        let line = repo.picture_of(path);
        assert!(
            picture_before.contains(&line),
            "{line} was not there before"
        );
    }
}

fn round(repo: &Repo, engine: Engine, steps: &[Step], name: &str) {
    for step in steps {
        perform(repo, step);
    }
    let (expected, picture, before) = (tree_by_git(repo), repo.picture(), repo.head());
    let order = CheckpointRequest {
        name: name.to_owned(),
        allow_secrets: false,
    };
    let taken = block_on(with(repo, engine).take(&order)).unwrap();
    assert_eq!(repo.picture(), picture, "a checkpoint changes no file");
    check_clean(repo, &expected);
    let order = RollbackRequest {
        target: Some(before.clone()),
        discard: false,
        ..RollbackRequest::default()
    };
    block_on(with(repo, engine).roll_back(&order)).unwrap();
    check_rolled_back(repo, &picture);
    assert_eq!(repo.head(), before);
    block_on(with(repo, engine).undo(None)).unwrap();
    check_clean(repo, &expected);
    assert_eq!(repo.picture(), picture, "an undo brings every byte back");
    assert_eq!(repo.head(), taken.hash);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn tos_and_git_make_the_same_tree_of_the_same_files(
        rounds in prop::collection::vec(prop::collection::vec(step(), 1..14), 1..3)
    ) {
        let repo = Repo::with_files();
        for (number, steps) in rounds.iter().enumerate() {
            round(&repo, Engine::Native, steps, &format!("round {number}"));
        }
    }
}

#[test]
fn the_git_program_can_do_it_all_too() {
    let repo = Repo::with_files();
    let steps = [
        Step::Write {
            path: "a/b".into(),
            content: b"x".to_vec(),
        },
        Step::Remove { path: "src".into() },
        Step::Stage { path: "a/b".into() },
        Step::Write {
            path: "a/b".into(),
            content: b"y\n".to_vec(),
        },
        Step::Link {
            path: "src".into(),
            target: "a".into(),
        },
    ];
    round(&repo, Engine::Program, &steps, "by program");
}
