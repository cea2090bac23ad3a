//! `tos exec`: one command, judged, behind the wall, with limits, and with its own end.

use std::{fs, io::Write, process::Stdio};

use crate::bench::{Bench, Ended};

/// Runs a command without a wall: what a wall does is shown in tests/sandbox, and not every machine has one.
fn exec(bench: &Bench, words: &[&str]) -> Ended {
    let all = [&["exec", "--set", "sandbox.level=off"][..], words].concat();
    bench.tos(&all)
}

#[test]
fn a_command_has_its_own_output_and_end() {
    let bench = Bench::new();
    let ended = exec(
        &bench,
        &["--", "sh", "-c", "echo out; echo err >&2; exit 7"],
    );
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(7), "out\n"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("err\n"), "{ended:?}");
    let ended = exec(&bench, &["-c", "echo $((6 * 7)) && test -f a.txt"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "42\n"),
        "{ended:?}"
    );
    assert_eq!(exec(&bench, &["-c", "kill -9 $$"]).code, Some(137));
    assert_eq!(
        exec(&bench, &["--", "no-such-program-of-tos", "--version"]).code,
        Some(127)
    );
    assert_eq!(exec(&bench, &[]).code, Some(2));
}

/// Runs a command with this on its standard input; returns its status and both streams as bytes.
fn piped(bench: &Bench, words: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>, Vec<u8>) {
    let mut child = bench
        .command(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (output.status.code(), output.stdout, output.stderr)
}

#[cfg(unix)]
#[test]
fn whoever_stops_a_command_that_does_not_end_is_told_how_to_end_it() {
    use rustix::process::{Pid, Signal, kill_process};
    use std::io::{BufRead, BufReader};

    let bench = Bench::new();
    let deaf = "trap '' INT TERM; echo deaf; while :; do read -r line || exit 3; done";
    let mut child = bench
        .command(&["exec", "--set", "sandbox.level=off", "-c", deaf])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(told.next().unwrap().unwrap(), "deaf");
    let pid = Pid::from_child(&child);
    let stop = || kill_process(pid, Signal::INT).unwrap();
    stop();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_told = |line: &str| line.contains("another Ctrl-C ends it at once");
    assert!(said.any(|line| is_told(&line.unwrap())));
    stop();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(input);
}

#[test]
fn standard_input_reaches_the_command_and_output_passes_byte_for_byte() {
    let bench = Bench::new();
    let off = ["exec", "--set", "sandbox.level=off"];
    let every: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let (code, out, err) = piped(&bench, &[&off[..], &["--", "cat"]].concat(), &every);
    assert_eq!(code, Some(0), "{}", String::from_utf8_lossy(&err));
    assert!(out == every, "{} bytes of {}", out.len(), every.len());
    // Neither an end nor a line break is added or taken away.
    for text in [&b"no end"[..], b"\r\na\r\n", b"\xff\xfe\n\x80", b""] {
        let (_, out, err) = piped(
            &bench,
            &[&off[..], &["-c", "tee /dev/stderr"]].concat(),
            text,
        );
        assert_eq!(out, text);
        assert!(err.ends_with(text), "{}", String::from_utf8_lossy(&err));
    }
    // A command that reads nothing ends all the same, and one whose caller keeps the pipe open too.
    let (code, _, _) = piped(&bench, &[&off[..], &["--", "true"]].concat(), &every);
    assert_eq!(code, Some(0));
    let mut held = bench.command(&[&off[..], &["--", "true"]].concat());
    let mut held = held.stdin(Stdio::piped()).spawn().unwrap();
    let open = held.stdin.take();
    assert!(held.wait().unwrap().success());
    drop(open);
}

#[test]
fn what_is_missing_is_said_in_the_words_of_this_command() {
    let bench = Bench::new();
    let ended = exec(&bench, &["--", "no-such-program-of-tos"]);
    assert_eq!(ended.code, Some(127), "{ended:?}");
    assert!(
        ended.stderr.contains("tos exec -c") && !ended.stderr.contains("type `bash`"),
        "{ended:?}"
    );
    let bin = bench.top().join("bare");
    fs::create_dir(&bin).unwrap();
    let mut command = bench.command(&["exec", "--set", "sandbox.level=off", "-c", "ls"]);
    let ended = crate::bench::ended(command.env("PATH", &bin));
    assert_eq!(ended.code, Some(127), "{ended:?}");
    assert!(
        ended.stderr.contains("install bash")
            && ended.stderr.contains("tos exec -- PROGRAM")
            && !ended.stderr.contains("type `sh`"),
        "{ended:?}"
    );
}

#[test]
fn what_is_refused_does_not_run_and_says_why() {
    let bench = Bench::new();
    let ended = exec(&bench, &["-c", "rm -rf /srv/tos-elsewhere"]);
    assert_eq!(ended.code, Some(126), "{ended:?}");
    assert!(ended.stderr.contains("guard/delete-outside"), "{ended:?}");
    let ended = exec(&bench, &["-c", "git push origin main"]);
    assert_eq!(ended.code, Some(126), "{ended:?}");
    assert!(ended.stderr.contains("nobody can be asked"), "{ended:?}");
    let json = exec(&bench, &["--json", "-c", "git push origin main"]).json();
    assert_eq!(
        (json["decision"].as_str(), json["code"].as_u64()),
        (Some("deny"), Some(126))
    );
}

#[test]
fn a_tree_that_takes_too_long_or_prints_too_much_is_ended_as_a_whole() {
    let bench = Bench::new();
    let ended = exec(&bench, &["--timeout", "1", "-c", "sleep 61.7 & sleep 61.7"]);
    assert_eq!(ended.code, Some(124), "{ended:?}");
    assert!(ended.stderr.contains("longer than 1 s"), "{ended:?}");
    let ended = exec(&bench, &["--max-output", "1", "-c", "yes; sleep 61.7"]);
    assert_eq!(ended.code, Some(124), "{ended:?}");
    assert!(ended.stdout.len() <= 1 << 20, "{}", ended.stdout.len());
    let alive = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.starts_with(b"sleep\x0061.7")
    });
    assert_eq!(alive.count(), 0);
}

#[test]
fn what_a_command_loses_is_kept_and_with_checkpoint_everything() {
    let bench = Bench::new();
    bench.write("n.txt", "n");
    let ended = exec(&bench, &["-c", "rm n.txt"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("tos guard undo 1"), "{ended:?}");
    assert_eq!(bench.tos(&["guard", "undo", "1"]).code, Some(0));
    bench.write("tidy.sh", "rm n.txt\n");
    let json = exec(&bench, &["--json", "--checkpoint", "--", "sh", "tidy.sh"]).json();
    assert_eq!(json["code"], 0, "{json}");
    assert_eq!(bench.read("n.txt"), None);
    let number = json["checkpoint"].to_string();
    assert_eq!(bench.tos(&["guard", "undo", &number]).code, Some(0));
    assert_eq!(bench.read("n.txt").as_deref(), Some("n"));
}

#[test]
fn one_command_makes_one_checkpoint_which_is_named() {
    let bench = Bench::new();
    bench.write("n.txt", "n");
    bench.write("o.txt", "o");
    let ended = exec(&bench, &["--checkpoint", "-c", "rm n.txt"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = ended.stderr.matches("tos guard undo").count();
    assert_eq!(told, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("kept 2 files (n.txt, o.txt) first")
            && ended.stderr.contains("`tos guard undo 1`"),
        "{ended:?}"
    );
    let known = bench.tos(&["guard", "undo", "--json"]).json();
    let known = known["checkpoints"].as_array().map(Vec::len);
    assert_eq!(known, Some(1));
    assert_eq!(bench.tos(&["guard", "undo", "1"]).code, Some(0));
    assert_eq!(bench.read("n.txt").as_deref(), Some("n"));
    // Where there is nothing to keep, that is said as well.
    bench.git(&["add", "-A"]);
    bench.git(&["commit", "-q", "-m", "second"]);
    let ended = exec(&bench, &["--checkpoint", "--", "true"]);
    assert!(ended.stderr.contains("nothing to keep"), "{ended:?}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn where_the_wall_hides_the_folder_it_is_said_and_nothing_is_left_behind() {
    let bench = Bench::new();
    let (home, plain) = (bench.home(), bench.home().join("plain"));
    fs::create_dir(&plain).unwrap();
    fs::write(home.join("letter.txt"), "Dear Ann").unwrap();
    let at = |folder: &std::path::Path, level: &str, words: &[&str]| {
        let level = format!("sandbox.level={level}");
        let all = [&["exec", "--set", level.as_str()][..], words].concat();
        let mut command = bench.command(&all);
        if folder == plain {
            command.env("CLAUDE_PROJECT_DIR", &bench.root);
        }
        crate::bench::ended(command.current_dir(folder))
    };
    let ls = ["-c", "ls -A"];
    let names = |folder: &std::path::Path| {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.filter(|name| name != ".local").collect();
        names.sort();
        names
    };
    let before = (names(&home), names(std::path::Path::new("/")));
    let ended = at(&home, "workspace", &ls);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("letter.txt"), "{ended:?}");
    let told = ended.stderr.lines().find(|line| line.contains("hides"));
    let told = told.unwrap_or_else(|| panic!("{ended:?}"));
    let place = format!("`{}`", home.display());
    assert!(told.contains(&place) && told.contains("sandbox.level=off"));
    let json = at(&home, "workspace", &["--json", "-c", "ls -A"]).json();
    assert!(json["notes"][0].as_str().unwrap().contains("hides"));
    // Without a wall nothing is hidden.
    let ended = at(&home, "off", &ls);
    assert!(ended.stdout.contains("letter.txt"), "{ended:?}");
    assert!(!ended.stderr.contains("hides"), "{ended:?}");
    // A folder that is not there behind the wall is none to start in.
    let ended = at(&plain, "workspace", &ls);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("cannot start in"), "{ended:?}");
    // The top of the machine is seen, and is no project either.
    let ended = at(std::path::Path::new("/"), "workspace", &["--", "ls"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("usr"), "{ended:?}");
    assert!(!ended.stderr.contains("hides"), "{ended:?}");
    let after = (names(&home), names(std::path::Path::new("/")));
    assert_eq!(before, after);
    let ended = at(&home, "off", &["--checkpoint", "--", "true"]);
    assert!(ended.stderr.contains("is none"), "{ended:?}");
}

#[test]
fn it_can_be_the_shell_of_an_agent() {
    let bench = Bench::new();
    let shell = bench.top().join("bin/tos-shell");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tos"), &shell).unwrap();
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(&shell);
        command
            .args(words)
            .current_dir(&bench.root)
            .env("HOME", bench.home())
            .env("TOS_SANDBOX__LEVEL", "off");
        crate::bench::ended(&mut command)
    };
    let ended = run(&["-lc", "echo hi; exit 3"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(3), "hi\n"),
        "{ended:?}"
    );
    assert_eq!(run(&["-c", "rm -rf /srv/tos-elsewhere"]).code, Some(126));
    bench.write("x.sh", "echo script $1\n");
    assert_eq!(run(&["x.sh", "one"]).stdout, "script one\n");
    let named = bench.tos(&[
        "exec",
        "--set",
        "sandbox.level=off",
        "--as-shell",
        "-c",
        "echo a",
    ]);
    assert_eq!(named.stdout, "a\n", "{named:?}");
    let named = bench.tos(&[
        "exec",
        "--set=sandbox.level=off",
        "--as-shell",
        "-lc",
        "echo b",
    ]);
    assert_eq!(named.stdout, "b\n", "{named:?}");
    // Some agents take only what has `bash` or `zsh` in its path for a shell, and hand the options over one by one.
    for name in ["tos-bash", "tos-zsh"] {
        let link = bench.top().join("bin").join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tos"), &link).unwrap();
        let called = |code: &str| {
            let mut command = std::process::Command::new(&link);
            command
                .args(["-c", "-l", code])
                .current_dir(&bench.root)
                .env("HOME", bench.home())
                .env("TOS_SANDBOX__LEVEL", "off");
            crate::bench::ended(&mut command)
        };
        assert_eq!(called("echo hi").stdout, "hi\n", "{name}");
        assert_eq!(
            called("rm -rf /srv/tos-elsewhere").code,
            Some(126),
            "{name}"
        );
    }
    // Options of the shell are kept.
    let strict = run(&["-euo", "pipefail", "-c", "false | true; echo on"]);
    assert_eq!(
        (strict.code, strict.stdout.as_str()),
        (Some(1), ""),
        "{strict:?}"
    );
    let typed = run(&[]);
    assert_eq!(typed.code, Some(2));
    assert!(typed.stderr.contains("cannot be judged"), "{typed:?}");
}

#[test]
fn secrets_of_the_environment_do_not_reach_the_command_or_the_log() {
    let bench = Bench::new();
    let mut command = bench.command(&[
        "exec",
        "--set",
        "sandbox.level=off",
        "-c",
        "echo [${DEPLOY_TOKEN:+there}]",
    ]);
    command.env("DEPLOY_TOKEN", "very-secret-value-1234567");
    let ended = crate::bench::ended(&mut command);
    assert_eq!(ended.stdout, "[]\n", "{ended:?}");
}

#[test]
fn who_commits_is_who_the_environment_says() {
    let bench = Bench::new();
    let words = [
        "exec",
        "--set",
        "sandbox.level=off",
        "-c",
        "echo $GIT_AUTHOR_NAME $GIT_AUTHOR_EMAIL $GIT_COMMITTER_NAME [$OTHER][$GIT_SSH_COMMAND]",
    ];
    let mut command = bench.command(&words);
    command
        .env("GIT_AUTHOR_NAME", "Ann")
        .env("GIT_AUTHOR_EMAIL", "ann@example.org")
        .env("GIT_COMMITTER_NAME", "Bob")
        .env("GIT_SSH_COMMAND", "./evil")
        .env("OTHER", "x");
    let ended = crate::bench::ended(&mut command);
    assert_eq!(ended.stdout, "Ann ann@example.org Bob [][]\n", "{ended:?}");
}

/// The walls made of mounts.
const MOUNTED: [&str; 2] = ["namespaces", "bubblewrap"];

/// Runs a command behind a wall.
fn behind(bench: &Bench, wall: &str, words: &[&str]) -> Ended {
    let all = [&["exec", "--set", "sandbox.level=workspace"][..], words].concat();
    crate::bench::ended(bench.command(&all).env("TOS_SANDBOX__BACKEND", wall))
}

#[test]
fn git_writes_behind_a_wall_and_nothing_else_does() {
    let bench = Bench::new();
    bench.git(&["config", "user.name", "t"]);
    bench.git(&["config", "user.email", "t@t"]);
    for wall in MOUNTED {
        bench.write("a.txt", &format!("{wall}\n"));
        for words in [
            &["--", "git", "commit", "-qam", "two words"][..],
            &["--", "git", "checkout", "-q", "-b", "feature"],
            &[
                "-c",
                "echo new > new.txt && git add -A && git commit -qm 'more' && git log --oneline | cat",
            ],
            &[
                "-c",
                "echo other > a.txt; git stash -q; git stash pop -q; git checkout -q a.txt",
            ],
            &["--", "git", "checkout", "-q", "-"],
            &[
                "--",
                "git",
                "merge",
                "-q",
                "--no-ff",
                "--no-edit",
                "feature",
            ],
            &["--", "git", "tag", "v1"],
            &[
                "-c",
                "git rm -q new.txt && git commit -qm gone && git branch -d feature && git tag -d v1",
            ],
            &["--", "git", "gc", "-q"],
            &[
                "-c",
                "git repack -adq && git pack-refs --all && git fsck && git bisect start && git bisect reset",
            ],
        ] {
            let ended = behind(&bench, wall, words);
            assert_eq!(ended.code, Some(0), "{wall} {words:?}: {ended:?}");
        }
        assert_eq!(bench.git(&["status", "--porcelain"]).trim(), "");
        assert_eq!(bench.git(&["log", "-1", "--format=%s"]).trim(), "gone");
        // A program is no git, whatever it is called through.
        bench.write(
            "evil.sh",
            "touch .git/made; touch .git/hooks/made; git commit -qm x --allow-empty\n",
        );
        let head = bench.git(&["rev-parse", "HEAD"]);
        let ended = behind(&bench, wall, &["--", "sh", "evil.sh"]);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        // Nobody sees in its words that it calls git; what it met says so.
        assert!(ended.stderr.contains("to all but git's own"), "{ended:?}");
        let ended = behind(
            &bench,
            wall,
            &["-c", "sh evil.sh; git commit -qm y --allow-empty"],
        );
        assert_ne!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("run git by itself"), "{ended:?}");
        assert_eq!(bench.git(&["rev-parse", "HEAD"]), head);
        assert!(bench.read(".git/made").is_none() && bench.read(".git/hooks/made").is_none());
        fs::remove_file(bench.root.join("evil.sh")).unwrap();
    }
    // Without a wall nothing is closed.
    assert_eq!(
        exec(
            &bench,
            &["--", "git", "commit", "-qm", "free", "--allow-empty"]
        )
        .code,
        Some(0)
    );
}

#[test]
fn what_git_would_do_by_half_is_not_begun_and_what_it_meets_is_said() {
    let bench = Bench::new();
    let main = bench.git(&["branch", "--show-current"]);
    let ended = behind(&bench, "auto", &["--", "git", "branch", "-m", "trunk"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("sandbox.level=off"), "{ended:?}");
    assert_eq!(bench.git(&["branch", "--show-current"]), main);
    for words in [
        &["config", "core.x", "y"][..],
        &["remote", "add", "origin", "/nowhere"],
        &["worktree", "add", "sub"],
    ] {
        let ended = behind(&bench, "auto", &[&["--", "git"][..], words].concat());
        assert_eq!(ended.code, Some(125), "{words:?}: {ended:?}");
        assert!(ended.stderr.contains("sandbox.level=off"), "{ended:?}");
    }
    let remotes = bench.git(&["remote"]);
    assert_eq!(remotes, "");
}

#[test]
fn a_hook_of_a_commit_cannot_change_hooks_or_settings() {
    let bench = Bench::new();
    bench.git(&["config", "user.name", "t"]);
    bench.git(&["config", "user.email", "t@t"]);
    let hook = "#!/bin/sh\necho ran >> ran.log\necho '[core] fsmonitor = evil' >> .git/config\ncp .git/config .git/c && mv .git/c .git/config\n\
                echo evil > .git/hooks/post-commit\nmv .git/hooks .git/h\nmv .git g && cp -r g .git\necho . > .git/commondir\nexit 0\n";
    bench.write(".git/hooks/pre-commit", hook);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bench.root.join(".git/hooks/pre-commit"), mode).unwrap();
    let config = bench.read(".git/config");
    for wall in MOUNTED {
        let words = ["--", "git", "commit", "-q", "-m", "x", "--allow-empty"];
        let ended = behind(&bench, wall, &words);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(bench.read("ran.log").as_deref(), Some("ran\n"), "{ended:?}");
        assert!(
            ended.stderr.contains("commondir") && ended.stderr.contains("removed"),
            "{ended:?}"
        );
        assert_eq!(bench.read(".git/commondir"), None);
        assert_eq!(bench.read(".git/config"), config);
        assert_eq!(bench.read(".git/hooks/pre-commit").as_deref(), Some(hook));
        assert_eq!(bench.read(".git/hooks/post-commit"), None);
        fs::remove_file(bench.root.join("ran.log")).unwrap();
    }
    // Hooks that a command could have changed keep the repository closed, and that is said before it runs.
    bench.git(&["config", "core.hooksPath", ".husky"]);
    bench.write(".husky/pre-commit", "#!/bin/sh\n");
    let ended = behind(
        &bench,
        "auto",
        &["--", "git", "commit", "-q", "-m", "y", "--allow-empty"],
    );
    assert_ne!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("`.husky`") && ended.stderr.contains("sandbox.level=off"),
        "{ended:?}"
    );
}

#[test]
fn a_linked_work_tree_is_written_by_git_too() {
    let bench = Bench::new();
    bench.git(&["config", "user.name", "t"]);
    bench.git(&["config", "user.email", "t@t"]);
    let linked = bench.top().join("home/linked");
    bench.git(&[
        "worktree",
        "add",
        "-q",
        linked.to_str().unwrap(),
        "-b",
        "side",
    ]);
    for wall in MOUNTED {
        let mut command = bench.command(&[
            "exec",
            "--set",
            "sandbox.level=workspace",
            "--",
            "git",
            "commit",
            "-qm",
            "side",
            "--allow-empty",
        ]);
        let ended = crate::bench::ended(
            command
                .env("TOS_SANDBOX__BACKEND", wall)
                .current_dir(&linked),
        );
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    // Tidying up reaches into all of them, and changes where none of them leads.
    for wall in MOUNTED {
        let ended = behind(&bench, wall, &["--", "git", "gc", "-q"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let hook = "#!/bin/sh\ncd .git/worktrees || exit\nfor f in gitdir commondir; do echo x > linked/$f; done\n\
                mv linked other\necho y > linked/config.worktree\nexit 1\n";
    bench.write(".git/hooks/pre-auto-gc", hook);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bench.root.join(".git/hooks/pre-auto-gc"), mode).unwrap();
    let leads = || {
        ["gitdir", "commondir", "config.worktree"]
            .map(|name| bench.read(&format!(".git/worktrees/linked/{name}")))
    };
    let before = leads();
    // Two packs are too many.
    bench.git(&["commit", "-q", "--allow-empty", "-m", "one more"]);
    bench.git(&["repack", "-q"]);
    bench.git(&["config", "gc.autoPackLimit", "1"]);
    for wall in MOUNTED {
        let ended = behind(&bench, wall, &["--", "git", "gc", "--auto"]);
        assert!(ended.stderr.contains("Read-only file system"), "{ended:?}");
        assert_eq!(leads(), before, "{ended:?}");
    }
    let count = bench.git(&["rev-list", "--count", "side"]);
    assert_eq!(count.trim(), "3");
}

#[test]
fn the_document_has_the_same_keys_whatever_became_of_the_command() {
    let bench = Bench::new();
    bench.write("n.txt", "n");
    let mut told = String::new();
    for words in [
        &["-c", "echo out; echo err >&2"][..],
        &["-c", "echo out; exit 3"],
        &["-c", "kill -9 $$"],
        &["-c", "rm n.txt"],
        &["-c", "git push origin main"],
        &["-c", "rm -rf /srv/tos-elsewhere"],
        &["--", "no-such-program-of-tos"],
        &["--timeout", "1", "-c", "echo begun; sleep 61.9"],
        // Much more than that: up to 64 KiB without a line end are held back, because a secret may be open there.
        &[
            "--max-output",
            "1",
            "-c",
            "head -c 2000000 /dev/zero >&2; sleep 61.9",
        ],
    ] {
        let mut json = exec(&bench, &[&["--json"][..], words].concat()).json();
        for key in ["micros", "elapsed_ms"] {
            let number = json[key]
                .as_u64()
                .unwrap_or_else(|| panic!("{words:?}: {key}"));
            let was_started = !["refused", "not_started"].contains(&json["end"].as_str().unwrap());
            let is_said = number > 0 || (key == "elapsed_ms" && !was_started);
            assert!(is_said || key == "elapsed_ms", "{words:?}: {json}");
            json[key] = "a number".into();
        }
        if json["stderr"].as_str().unwrap().len() > 1000 {
            json["stderr"] = "much".into();
        }
        let text = format!("{}\n{json:#}\n\n", words.join(" "));
        told.push_str(&text);
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_keeps_a_command_from_running_has_the_same_keys() {
    let bench = Bench::new();
    let keys = |ended: &Ended| {
        let json = ended.json();
        let mut keys: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(json["end"], "not_started", "{ended:?}");
        assert!(json["why"].is_string(), "{ended:?}");
        assert_eq!(
            json["code"].as_i64(),
            ended.code.map(i64::from),
            "{ended:?}"
        );
        keys
    };
    let missing = exec(&bench, &["--json", "--", "no-such-program"]);
    let plain = exec(&bench, &["--json", "--", "./a.txt"]);
    assert_eq!(plain.code, Some(126), "{plain:?}");
    let nothing = exec(&bench, &["--json"]);
    bench.write(".tos/guard.toml", "observe = 3\n");
    let broken = exec(&bench, &["--json", "--", "true"]);
    assert_eq!(broken.code, Some(2), "{broken:?}");
    for ended in [&plain, &nothing, &broken] {
        assert_eq!(keys(ended), keys(&missing), "{ended:?}");
    }
}
