//! Nothing that an agent can write into git's own files blocks a way back, or leads it elsewhere.

use std::{fs, path::Path, process::Command};

use crate::support::Repo;

/// What an agent might do, as a script that runs at the top, and a word of what is said about it.
const SPOILT: &[(&str, &str, &str)] = &[
    (
        "a configuration that cannot be read",
        "echo '[core' >> .git/config",
        "cannot be read",
    ),
    ("no configuration", "rm .git/config", "was gone"),
    (
        "a folder as configuration",
        "rm .git/config; mkdir .git/config",
        "cannot be read",
    ),
    (
        "an extension nobody knows",
        "git config core.repositoryformatversion 1; git config extensions.foo bar",
        "taken out: extensions.foo",
    ),
    (
        "a version from the future",
        "git config core.repositoryformatversion 9",
        "taken out: core.repositoryformatversion",
    ),
    (
        "a bare repository",
        "git config core.bare true",
        "taken out: core.bare",
    ),
    (
        "a work tree elsewhere",
        "mkdir ../elsewhere; git config core.worktree ../../elsewhere",
        "taken out: core.worktree",
    ),
    ("a lock", "touch .git/index.lock", "was left by a git"),
    (
        "a folder as lock",
        "mkdir .git/index.lock",
        "was left by a git",
    ),
    (
        "locks of references",
        "touch .git/HEAD.lock .git/refs/heads/main.lock .git/packed-refs.lock",
        "was left by a git",
    ),
    ("no HEAD", "rm .git/HEAD", "was gone"),
    (
        "a HEAD that is none",
        "echo garbage > .git/HEAD",
        "is no HEAD",
    ),
    (
        "a branch that is none",
        "echo garbage > .git/refs/heads/main",
        "is no reference",
    ),
    (
        "a file as references",
        "git pack-refs --all; rm -r .git/refs; echo x > .git/refs",
        "stands in the place",
    ),
    ("no references", "git pack-refs --all; rm -r .git/refs", ""),
    (
        "a file as references of tos",
        "git pack-refs --all; rm -rf .git/refs/tos; echo x > .git/refs/tos",
        "stands in the place",
    ),
    (
        "packed references with garbage",
        "git pack-refs --all; echo garbage >> .git/packed-refs",
        "none of git's",
    ),
    (
        "grafts with garbage",
        "echo garbage > .git/info/grafts",
        "none of git's",
    ),
    (
        "a shallow list with garbage",
        "echo garbage > .git/shallow",
        "none of git's",
    ),
    ("an empty index", ": > .git/index", "is no index"),
    (
        "an index that is none",
        "echo garbage > .git/index",
        "is no index",
    ),
    (
        "a folder as index",
        "rm .git/index; mkdir .git/index",
        "is no index",
    ),
    ("no index", "rm .git/index", ""),
    (
        "hooks that fail",
        "mkdir h; for n in post-index-change reference-transaction post-checkout; do printf '#!/bin/sh\\nexit 1\\n' > h/$n; \
         done; chmod +x h/*; git config core.hooksPath \"$PWD/h\"",
        "",
    ),
    (
        "a monitor that fails",
        "git config core.fsmonitor /bin/false",
        "",
    ),
    (
        "a filter that is required and fails",
        "echo '* filter=x' > .gitattributes; git config filter.x.clean false; git config filter.x.smudge false; \
         git config filter.x.required true",
        "",
    ),
    (
        "the same where nobody looks",
        "mkdir -p .git/info; echo '* filter=x' > .git/info/attributes; git config filter.x.clean false; \
         git config filter.x.smudge false; git config filter.x.required true",
        "",
    ),
    ("a sparse checkout", "git sparse-checkout set nothing", ""),
    (
        "alternates that are gone",
        "mkdir -p .git/objects/info; echo /nowhere > .git/objects/info/alternates",
        "",
    ),
    (
        "links that lead to themselves",
        "rm a.txt; ln -s a.txt a.txt; rm -r src; ln -s src src",
        "",
    ),
    (
        "a link out of the work tree",
        "rm -r src; ln -s /etc src",
        "",
    ),
    (
        "folders without rights",
        "chmod 500 src/deep; chmod 000 src",
        "",
    ),
    ("a pipe as a file", "rm a.txt; mkfifo a.txt", ""),
    (
        "references replaced",
        "git replace HEAD $(git commit-tree -m x HEAD^{tree})",
        "",
    ),
    ("a file as logs", "rm -rf .git/logs; echo x > .git/logs", ""),
    (
        "submodules that cannot be read",
        "printf '[submodule' > .gitmodules",
        "",
    ),
    (
        "a repository in the place of a file",
        "rm a.txt; git init -q a.txt; echo x > a.txt/f",
        "was another git repository",
    ),
    (
        "the same, staged",
        "rm a.txt; git init -q a.txt; cd a.txt; echo x > f; git add f; git -c user.name=a -c user.email=b commit -qm x; \
         cd ..; git add -A",
        "was another git repository",
    ),
    (
        "all at once",
        "echo '[core' >> .git/config; rm .git/HEAD; : > .git/index; touch .git/index.lock; echo x > .git/shallow",
        "cannot be read",
    ),
];

fn run(top: &Path, script: &str) {
    let done = Command::new("sh")
        .args(["-c", script])
        .current_dir(top)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{script}: {said}");
}

/// The files that a person has, without git's and tos's own.
fn files(repo: &Repo) -> Vec<String> {
    let mut all: Vec<String> = repo
        .files()
        .iter()
        .map(|path| path.strip_prefix(&repo.top).unwrap_or(path))
        .filter(|path| !path.starts_with(".tos"))
        .map(|path| {
            format!(
                "{} {:?}",
                path.display(),
                fs::read(repo.top.join(path)).ok()
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn nothing_that_an_agent_writes_into_git_blocks_or_alters_a_restore() {
    for (name, script, word) in SPOILT {
        let repo = Repo::with_files();
        let taken = repo.take("good");
        let good = files(&repo);
        repo.write("a.txt", "spoilt\n");
        repo.write("new.txt", "new\n");
        run(&repo.top, script);
        let done = repo
            .try_roll_back(&taken.hash, true)
            .unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        assert_eq!(files(&repo), good, "{name}");
        let said = done.warnings.join("\n");
        assert!(said.contains(word), "{name}: {said}");
        // From here on git works again.
        assert_eq!(repo.head(), taken.hash, "{name}");
    }
}

#[test]
fn a_plain_commit_comes_back_although_its_filter_fails() {
    let repo = Repo::with_files();
    repo.write(".gitattributes", "*.txt filter=x\n");
    let first = repo.commit("first");
    repo.write("a.txt", "spoilt\n");
    repo.git(&["config", "filter.x.smudge", "false"]);
    repo.git(&["config", "filter.x.clean", "false"]);
    repo.git(&["config", "filter.x.required", "true"]);
    let done = repo.try_roll_back(&first, true).unwrap();
    assert_ne!(repo.read("a.txt"), "spoilt\n");
    let said = done.warnings.join("\n");
    assert!(said.contains("a filter of git failed"), "{said}");
}

#[test]
fn a_lock_that_a_git_at_work_holds_is_not_taken_from_it() {
    let repo = Repo::with_files();
    let taken = repo.take("good");
    // `git cat-file --batch` waits for input, as a git at work waits for an editor.
    let mut git = Command::new("git")
        .args(["cat-file", "--batch"])
        .current_dir(&repo.top)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    repo.write(".git/index.lock", "");
    let failure = repo.try_roll_back(&taken.hash, true).unwrap_err();
    assert!(failure.to_string().contains("index.lock"), "{failure}");
    drop(git.stdin.take());
    git.wait().unwrap();
    repo.roll_back(&taken.hash, true);
}

#[test]
fn marks_that_keep_anybody_from_changing_files_are_taken_off() {
    let repo = Repo::with_files();
    let taken = repo.take("good");
    let good = files(&repo);
    repo.write("a.txt", "spoilt\n");
    let mark = |sign: &str, names: &[&str]| {
        let done = Command::new("chattr")
            .arg(sign)
            .args(names)
            .current_dir(&repo.top)
            .output();
        done.is_ok_and(|done| done.status.success())
    };
    repo.remove("src/lib.rs");
    if !mark("+i", &["a.txt", "src"]) {
        println!("no such marks here, or no right to set them: not counted");
        return;
    }
    let done = repo.try_roll_back(&taken.hash, true);
    mark("-i", &["a.txt", "src"]);
    done.unwrap();
    assert_eq!(files(&repo), good);
}
