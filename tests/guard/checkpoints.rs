//! Work that no commit holds may go once it is kept, and comes back.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use serde_json::json;

use crate::{bench::Bench, repository};

/// Lets a command through, runs it, and returns the number of the checkpoint that was made first.
fn lost(bench: &Bench, command: &str) -> u32 {
    let before = bench.own_state();
    let ended = bench.claude(command);
    assert_eq!(ended.decision().0, "", "{ended:?}");
    assert_eq!(
        bench.own_state(),
        before,
        "the guard touches nothing of the user's"
    );
    let note = ended.note();
    assert!(note.contains("tos guard undo"), "{command}: {ended:?}");
    bench.run(command);
    let number = note.split("tos guard undo ").nth(1).unwrap();
    number.split('`').next().unwrap().parse().unwrap()
}

fn undo(bench: &Bench, number: u32) -> String {
    let ended = bench.tos(&["guard", "undo", &number.to_string()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    format!("{}{}", ended.stdout, ended.stderr)
}

#[test]
fn untracked_files_come_back_with_their_bytes_modes_and_links() {
    let bench = Bench::new();
    bench.write("notes/deep/a.md", "one\r\n");
    fs::write(bench.root.join("notes/b.bin"), [0_u8, 159, 146, 150]).unwrap();
    bench.write("notes/run.sh", "#!/bin/sh\n");
    let script = bench.root.join("notes/run.sh");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("deep/a.md", bench.root.join("notes/link")).unwrap();
    let number = lost(&bench, "rm -rf notes");
    assert!(!bench.root.join("notes").exists());
    undo(&bench, number);
    assert_eq!(bench.read("notes/deep/a.md").as_deref(), Some("one\r\n"));
    assert_eq!(
        fs::read(bench.root.join("notes/b.bin")).unwrap(),
        [0, 159, 146, 150]
    );
    assert_eq!(
        fs::metadata(&script).unwrap().permissions().mode() & 0o111,
        0o111
    );
    assert_eq!(
        fs::read_link(bench.root.join("notes/link"))
            .unwrap()
            .to_str(),
        Some("deep/a.md")
    );
}

#[test]
fn rights_and_empty_folders_come_back_exactly() {
    let bench = Bench::new();
    let mode = |path: &str| {
        let data = fs::symlink_metadata(bench.root.join(path)).unwrap();
        data.permissions().mode() & 0o7777
    };
    let set = |path: &str, mode: u32| {
        fs::set_permissions(bench.root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    let modes = [
        ("notes/secret.key", 0o600),
        ("notes/run.sh", 0o755),
        ("notes/suid", 0o4755),
        ("notes/plain", 0o644),
        ("notes/group", 0o664),
        ("notes/read-only", 0o444),
        ("notes/shared/file", 0o640),
        ("notes/empty", 0o700),
        ("notes/shared", 0o2775),
        ("notes/closed", 0o555),
        ("notes", 0o750),
    ];
    for command in [
        "rm -rf notes",
        "git clean -fdq",
        "git clean -fdxq",
        "find notes -delete",
        "mv notes ../elsewhere; rm -rf ../elsewhere",
    ] {
        for (path, _) in &modes[..7] {
            bench.write(path, path);
        }
        fs::create_dir_all(bench.root.join("notes/empty")).unwrap();
        fs::create_dir_all(bench.root.join("notes/closed")).unwrap();
        bench.write("notes/closed/x", "x");
        for (path, mode) in modes {
            set(path, mode);
        }
        if command.starts_with("mv") {
            continue;
        }
        let number = lost(&bench, command);
        assert!(!bench.root.join("notes").exists(), "{command}");
        undo(&bench, number);
        for (path, wanted) in modes {
            assert_eq!(mode(path), wanted, "{command}: {path}");
        }
        assert_eq!(bench.read("notes/closed/x").as_deref(), Some("x"));
    }
    // A file that is there with the same bytes and other rights is given its own.
    bench.write("loose.sh", "x");
    set("loose.sh", 0o700);
    let number = lost(&bench, "rm loose.sh");
    bench.write("loose.sh", "x");
    set("loose.sh", 0o644);
    undo(&bench, number);
    assert_eq!(mode("loose.sh"), 0o700);
    bench.write("a.txt", "mine\n");
    set("a.txt", 0o600);
    let number = lost(&bench, "git reset -q --hard");
    undo(&bench, number);
    assert_eq!(
        (mode("a.txt"), bench.read("a.txt").as_deref()),
        (0o600, Some("mine\n"))
    );
}

#[test]
fn an_empty_folder_alone_is_kept_and_comes_back() {
    for bench in [Bench::new(), Bench::without_repository()] {
        fs::create_dir_all(bench.root.join("queue/in")).unwrap();
        let ended = bench.claude("rm -rf queue");
        assert!(ended.note().contains("kept queue/in/ first"), "{ended:?}");
        bench.run("rm -rf queue");
        let said = undo(&bench, 1);
        assert_eq!(said, "restored queue/in/\n");
        assert!(bench.root.join("queue/in").is_dir());
    }
}

#[test]
fn what_is_not_there_needs_no_checkpoint_and_only_what_goes_is_counted() {
    let bench = Bench::new();
    bench.git(&["branch", "one"]);
    bench.git(&["branch", "two"]);
    bench.git(&["tag", "v1"]);
    bench.git(&["tag", "v2"]);
    bench.write("a.txt", "a change that none of these loses\n");
    for command in [
        "git branch -D nosuch",
        "git branch -D nosuch other",
        "git branch -f fresh HEAD",
        "git branch -M one fresh",
        "git tag -d nosuch",
        "git tag -f v3",
        "git stash drop",
        "git stash drop stash@{3}",
        "git stash clear",
        "git worktree remove nosuch",
    ] {
        let ended = bench.claude(command);
        assert_eq!(
            (ended.decision().0.as_str(), ended.note().as_str()),
            ("", ""),
            "{command}"
        );
    }
    for (command, what) in [
        ("git branch -D one nosuch", "kept branch one first"),
        ("git branch -f two HEAD", "kept branch two first"),
        ("git tag -d v1", "kept tag v1 first"),
        ("git tag -d v1 v2", "kept 2 branches and tags first"),
    ] {
        let note = bench.claude(command).note();
        assert!(note.contains(what), "{command}: {note}");
    }
    bench.git(&["stash", "-q"]);
    let note = bench.claude("git stash clear").note();
    assert!(note.contains("kept 1 stash first"), "{note}");
}

#[test]
fn changes_that_are_not_committed_come_back_whatever_threw_them_away() {
    for command in [
        "git reset --hard -q",
        "git checkout -q -- .",
        "git restore .",
        "git checkout -q -f",
        "rm a.txt",
        "echo gone > a.txt",
        "git rm -q -f a.txt",
    ] {
        let bench = Bench::new();
        bench.write("a.txt", "a\nmy work\n");
        let number = lost(&bench, command);
        assert_ne!(
            bench.read("a.txt").as_deref(),
            Some("a\nmy work\n"),
            "{command}"
        );
        undo(&bench, number);
        assert_eq!(
            bench.read("a.txt").as_deref(),
            Some("a\nmy work\n"),
            "{command}"
        );
    }
}

#[test]
fn an_ignored_file_that_is_written_over_by_name_comes_back() {
    let bench = Bench::new();
    for (path, command) in [
        ("data/.env", "echo > data/.env"),
        ("data/keys.json", "cp a.txt data/keys.json"),
    ] {
        bench.write(path, "the only copy\n");
        let told = bench.claude(command);
        assert!(
            told.stdout.contains("tos guard undo"),
            "{command}: {told:?}"
        );
        bench.run(command);
    }
    let input = serde_json::json!({ "file_path": bench.root.join("data/.env"), "content": "x" });
    bench.write("data/.env", "the next one\n");
    let told = bench.tool(&bench.root, "default", "Write", &input);
    assert!(told.stdout.contains("tos guard undo 3"), "{told:?}");
    assert_eq!(bench.tos(&["guard", "undo", "1"]).code, Some(0));
    assert_eq!(bench.read("data/.env").as_deref(), Some("the only copy\n"));
    // What programs write again and again is nobody's work.
    bench.write("build.log", "x");
    bench.write("node_modules/x.js", "x");
    for command in [
        "echo > build.log",
        "echo > node_modules/x.js",
        "echo > new.txt",
    ] {
        assert_eq!(bench.claude(command).stdout, "", "{command}");
    }
}

#[test]
fn a_conflict_that_was_solved_comes_back_when_it_is_given_up() {
    let bench = Bench::new();
    bench.git(&["checkout", "-q", "-b", "other"]);
    bench.write("a.txt", "theirs\n");
    bench.git(&["commit", "-qam", "theirs"]);
    bench.git(&["checkout", "-q", "main"]);
    bench.write("a.txt", "ours\n");
    bench.git(&["commit", "-qam", "ours"]);
    bench.run("git merge -q other || true");
    bench.write("a.txt", "both, after an hour of thought\n");
    let told = bench.claude("git merge --abort");
    assert!(told.stdout.contains("tos guard undo 1"), "{told:?}");
    bench.run("git merge --abort");
    assert_eq!(bench.read("a.txt").as_deref(), Some("ours\n"));
    assert_eq!(bench.tos(&["guard", "undo", "1"]).code, Some(0));
    let back = bench.read("a.txt");
    assert_eq!(back.as_deref(), Some("both, after an hour of thought\n"));
}

#[test]
fn a_reset_keeps_what_it_throws_away_and_nothing_else() {
    let bench = Bench::new();
    bench.write("a.txt", "mine\n");
    bench.write("notes/plan.md", "stays where it is\n");
    for command in ["git reset --hard", "git checkout -- .", "git restore ."] {
        let note = bench.claude(command).note();
        assert!(note.contains("kept a.txt first"), "{command}: {note}");
    }
}

#[test]
fn what_git_cleans_away_comes_back_and_what_tools_make_is_not_kept() {
    let bench = Bench::new();
    bench.write("idea.txt", "idea");
    bench.write("data/results.csv", "1,2\n");
    bench.write("node_modules/x/index.js", "x");
    let number = lost(&bench, "git clean -fdxq");
    undo(&bench, number);
    assert_eq!(bench.read("idea.txt").as_deref(), Some("idea"));
    assert_eq!(bench.read("data/results.csv").as_deref(), Some("1,2\n"));
    assert_eq!(bench.read("node_modules/x/index.js"), None);
}

#[test]
fn an_ignored_file_below_an_ignored_folder_is_kept_when_it_is_named() {
    let bench = Bench::new();
    bench.write("data/results.csv", "1,2\n");
    let number = lost(&bench, "rm data/results.csv");
    undo(&bench, number);
    assert_eq!(bench.read("data/results.csv").as_deref(), Some("1,2\n"));
    assert_eq!(
        bench.claude("rm -rf node_modules").stdout,
        "",
        "nothing to keep"
    );
}

#[test]
fn what_is_committed_needs_no_checkpoint() {
    let bench = Bench::new();
    for command in [
        "rm a.txt",
        "rm -rf src",
        "git reset --hard",
        "git clean -fd",
        "echo x > a.txt",
    ] {
        assert_eq!(bench.claude(command).stdout, "", "{command}");
    }
    assert!(
        bench
            .tos(&["guard", "undo"])
            .stdout
            .contains("no checkpoint")
    );
}

#[test]
fn a_branch_and_a_stash_that_were_dropped_come_back() {
    let bench = Bench::new();
    bench.git(&["checkout", "-q", "-b", "topic"]);
    bench.write("topic.txt", "t");
    bench.git(&["add", "-A"]);
    bench.git(&["commit", "-q", "-m", "topic"]);
    let tip = bench.git(&["rev-parse", "topic"]);
    bench.git(&["checkout", "-q", "main"]);
    let number = lost(&bench, "git branch -q -D topic");
    undo(&bench, number);
    assert_eq!(bench.git(&["rev-parse", "topic"]), tip);
    bench.write("a.txt", "stashed\n");
    bench.git(&["stash", "-q"]);
    let number = lost(&bench, "git stash drop -q");
    assert_eq!(bench.git(&["stash", "list"]), "");
    undo(&bench, number);
    bench.git(&["stash", "pop", "-q"]);
    assert_eq!(bench.read("a.txt").as_deref(), Some("stashed\n"));
}

#[test]
fn an_undo_can_be_undone_and_says_what_stood_there() {
    let bench = Bench::new();
    bench.write("n.txt", "old");
    let number = lost(&bench, "rm n.txt");
    bench.write("n.txt", "new");
    let said = undo(&bench, number);
    assert_eq!(bench.read("n.txt").as_deref(), Some("old"));
    let kept = said.split("is checkpoint ").nth(1).unwrap();
    let kept: u32 = kept.split(';').next().unwrap().parse().unwrap();
    undo(&bench, kept);
    assert_eq!(bench.read("n.txt").as_deref(), Some("new"));
    let unknown = bench.tos(&["guard", "undo", "99"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("no checkpoint 99"), "{unknown:?}");
}

#[test]
fn what_cannot_be_kept_is_asked_about_and_refused_where_nobody_is_there() {
    let bench = Bench::new();
    bench.write("nested/x", "x");
    repository::init(&bench.root.join("nested"));
    let ended = bench.claude("rm -rf nested");
    let (decision, reason) = ended.decision();
    assert_eq!(decision, "ask", "{ended:?}");
    assert!(reason.contains("a repository of its own"), "{reason}");
    assert_eq!(
        bench
            .claude_in("rm -rf nested", &bench.root, "bypassPermissions")
            .decision()
            .0,
        "deny"
    );
    bench.write("big.txt", &"x".repeat(2 << 20));
    bench.write(".tos/guard.toml", "max_megabytes = 1\n");
    let (decision, reason) = bench.claude("rm big.txt").decision();
    assert_eq!(decision, "ask");
    assert!(reason.contains("more than 1 MiB"), "{reason}");
}

#[test]
fn a_project_in_no_repository_is_kept_in_the_state_of_tos() {
    let bench = Bench::without_repository();
    bench.write("novel/chapter.txt", "It was");
    let ended = bench.claude("rm -rf novel");
    assert!(ended.note().contains("tos guard undo 1"), "{ended:?}");
    bench.run("rm -rf novel");
    undo(&bench, 1);
    assert_eq!(bench.read("novel/chapter.txt").as_deref(), Some("It was"));
}

#[test]
fn a_linked_work_tree_has_checkpoints_of_its_own() {
    let bench = Bench::new();
    let other = bench.home().join("other");
    bench.git(&[
        "worktree",
        "add",
        "-q",
        other.to_str().unwrap(),
        "-b",
        "side",
    ]);
    fs::write(other.join("w.txt"), "w").unwrap();
    let ended = bench.claude_in("rm w.txt", &other, "default");
    assert!(ended.note().contains("undo 1"), "{ended:?}");
    fs::remove_file(other.join("w.txt")).unwrap();
    assert!(
        bench
            .tos(&["guard", "undo"])
            .stdout
            .contains("no checkpoint")
    );
    let mut command = bench.command(&["guard", "undo", "1"]);
    let undone: std::process::Output = command.current_dir(&other).output().unwrap();
    assert!(undone.status.success(), "{undone:?}");
    assert_eq!(fs::read_to_string(other.join("w.txt")).unwrap(), "w");
}

#[test]
fn a_tool_that_writes_over_untracked_work_keeps_it_and_an_edit_does_not() {
    let bench = Bench::new();
    bench.write("draft.md", "mine");
    let input = json!({ "file_path": bench.root.join("draft.md"), "content": "x" });
    let ended = bench.tool(&bench.root, "acceptEdits", "Write", &input);
    assert!(ended.note().contains("draft.md"), "{ended:?}");
    let again = bench.tool(&bench.root, "acceptEdits", "Write", &input);
    assert!(
        again.note().contains("undo 1"),
        "the same is kept once: {again:?}"
    );
    let edit = bench.tool(&bench.root, "acceptEdits", "Edit", &input);
    assert_eq!(edit.stdout, "");
}

#[test]
fn a_file_behind_a_link_or_in_a_folder_s_place_is_not_written() {
    let bench = Bench::new();
    bench.write("d/x.txt", "x");
    let number = lost(&bench, "rm -rf d");
    std::os::unix::fs::symlink("/tmp", bench.root.join("d")).unwrap();
    let refused = bench.tos(&["guard", "undo", &number.to_string()]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("symbolic link"), "{refused:?}");
    assert!(!std::path::Path::new("/tmp/x.txt").exists());
}

#[test]
fn git_itself_finds_nothing_wrong_with_a_checkpoint() {
    let bench = Bench::new();
    bench.write("a-b/x", "1");
    bench.write("a.b", "2");
    bench.write("a/y", "3");
    bench.write("a0", "4");
    let number = lost(&bench, "rm -rf a-b a.b a a0");
    let fsck = Command::new("git")
        .args(["fsck", "--strict", "--no-dangling"])
        .current_dir(&bench.root)
        .output()
        .unwrap();
    assert!(fsck.status.success(), "{fsck:?}");
    undo(&bench, number);
    assert_eq!(bench.read("a/y").as_deref(), Some("3"));
}

#[test]
fn a_pattern_means_files_at_every_depth() {
    let bench = Bench::new();
    bench.write("top.txt", "1");
    bench.write("x/y/deep.txt", "2");
    let number = lost(
        &bench,
        "find . -name '*.txt' -not -name a.txt -not -name b.txt -delete",
    );
    undo(&bench, number);
    assert_eq!(bench.read("top.txt").as_deref(), Some("1"));
    assert_eq!(bench.read("x/y/deep.txt").as_deref(), Some("2"));
}

#[test]
fn what_is_found_by_size_or_age_is_kept_whatever_its_name() {
    let bench = Bench::new();
    bench.write("work/big.bin", &"x".repeat(3000));
    let number = lost(&bench, "find work -size +1k -delete");
    undo(&bench, number);
    assert!(bench.read("work/big.bin").is_some());
    let number = lost(
        &bench,
        "find work -name .git -prune -o -type f -size +2k -exec rm {} +",
    );
    undo(&bench, number);
    assert!(bench.read("work/big.bin").is_some());
}

#[test]
fn a_repository_inside_is_in_the_way_only_where_it_would_go() {
    let bench = Bench::new();
    bench.write("nested/x", "x");
    repository::init(&bench.root.join("nested"));
    bench.write("a.txt", "mine\n");
    let number = lost(&bench, "git reset -q --hard");
    undo(&bench, number);
    assert_eq!(bench.read("a.txt").as_deref(), Some("mine\n"));
    assert_eq!(bench.read("nested/x").as_deref(), Some("x"));
}

#[test]
fn a_submodule_is_not_deleted_without_a_yes() {
    let bench = Bench::new();
    let other = bench.home().join("lib");
    fs::create_dir(&other).unwrap();
    repository::init(&other);
    fs::write(other.join("l.txt"), "l").unwrap();
    repository::git(&other, &["add", "-A"]);
    repository::git(&other, &["commit", "-q", "-m", "l"]);
    let words = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
    ];
    bench.git(&[&words[..], &[other.to_str().unwrap(), "sub"]].concat());
    bench.git(&["commit", "-q", "-m", "sub"]);
    let (decision, reason) = bench.claude("rm -rf sub").decision();
    assert_eq!(decision, "ask", "{reason}");
    assert!(
        reason.contains("`sub` is a repository of its own"),
        "{reason}"
    );
    assert_eq!(bench.claude("rm a.txt").stdout, "");
}

#[test]
fn a_number_that_is_not_there_is_told_with_those_that_are() {
    let bench = Bench::new();
    let ended = bench.tos(&["guard", "undo", "99"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("has made none here"), "{ended:?}");
    for name in ["one.txt", "two.txt"] {
        bench.write(name, "only copy\n");
        drop(bench.claude(&format!("rm {name}")));
    }
    let ended = bench.tos(&["guard", "undo", "99"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("there are 1, 2") && ended.stderr.contains("`tos guard undo` lists"),
        "{ended:?}"
    );
}

#[test]
fn what_git_writes_over_or_puts_away_is_kept_first() {
    let bench = Bench::new();
    bench.write("a.txt", "not committed\n");
    bench.write("b.txt", "b\n");
    bench.git(&["add", "b.txt"]);
    let number = lost(&bench, "git mv -f b.txt a.txt");
    assert_eq!(bench.read("a.txt").as_deref(), Some("b\n"));
    undo(&bench, number);
    assert_eq!(bench.read("a.txt").as_deref(), Some("not committed\n"));
}

#[test]
fn a_stash_loses_neither_rights_nor_empty_folders() {
    let bench = Bench::new();
    bench.write("key", "k\n");
    let key = bench.root.join("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(bench.root.join("empty")).unwrap();
    let number = lost(&bench, "git stash -q -u");
    assert!(!key.exists());
    undo(&bench, number);
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn what_a_patch_or_an_archive_of_python_replaces_is_kept_first() {
    let bench = Bench::new();
    bench.write("n/idea.txt", "idea\n");
    bench.write("empty", "");
    let number = lost(
        &bench,
        "git diff --no-index n/idea.txt /dev/null | git apply",
    );
    assert!(!bench.root.join("n/idea.txt").exists());
    undo(&bench, number);
    assert_eq!(bench.read("n/idea.txt").as_deref(), Some("idea\n"));
    bench.run(
        "mkdir -p m/n && echo other > m/n/idea.txt && cd m && python3 -m zipfile -c ../o.zip n",
    );
    let number = lost(&bench, "python3 -m zipfile -e o.zip .");
    assert_eq!(bench.read("n/idea.txt").as_deref(), Some("other\n"));
    undo(&bench, number);
    assert_eq!(bench.read("n/idea.txt").as_deref(), Some("idea\n"));
}

#[test]
fn a_secret_in_a_command_is_in_no_record() {
    let bench = Bench::new();
    bench.write("a.txt", "not committed\n");
    for command in [
        "export API_KEY=hunter2pass; rm a.txt",
        "PGPASSWORD=hunter2pass psql -c 'select 1'; rm a.txt",
        "mysql -phunter2pass db; rm a.txt",
        "curl -u bob:hunter2pass https://localhost/; rm a.txt",
        "docker login -u bob -p hunter2pass; rm a.txt",
        "aws configure set aws_secret_access_key hunter2pass; rm a.txt",
    ] {
        drop(bench.claude(command));
    }
    for words in [
        &["guard", "log", "--json"][..],
        &["guard", "log"],
        &["guard", "undo"],
        &["guard", "undo", "--json"],
    ] {
        let shown = bench.tos(words);
        assert!(shown.stdout.contains("API_KEY=[redacted]"), "{shown:?}");
        assert!(!shown.stdout.contains("hunter2pass"), "{shown:?}");
    }
}
