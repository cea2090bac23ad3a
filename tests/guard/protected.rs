//! What keeps the agent in its bounds stays: the rules of a project, and settings with the hook in them.

use std::{fs, process::Command};

use crate::bench::Bench;

/// Makes a project with rules that git does not track, and the hook in the project's own settings.
fn project() -> Bench {
    let bench = Bench::new();
    bench.write(".tos/guard.toml", "max_files = 100\n");
    let installed = bench.tos(&["guard", "install", "claude", "--project", "--yes"]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    bench
}

fn refused(bench: &Bench, command: &str) -> String {
    let (decision, reason) = bench.claude(command).decision();
    assert_eq!(decision, "deny", "{command}: {reason}");
    reason
}

#[test]
fn what_would_take_the_rules_or_the_hook_away_is_refused_with_a_remedy() {
    let bench = project();
    for command in [
        "git clean -fdx",
        "git clean -fd",
        "git clean -fdx -e build",
        "git stash -u",
        "git stash --all",
        "git stash push --include-untracked",
        "rm -rf .tos",
        "rm -rf .claude",
        "mv .tos x",
        "git mv .tos x",
        "find . -name '*.toml' -delete",
        "find . -maxdepth 1 -mindepth 1 -not -name .git -exec rm -rf {} +",
        "rm -rf .[!.]*",
        "rsync -a --delete src/ ./",
        "echo '{}' > .claude/settings.json",
    ] {
        let reason = refused(&bench, command);
        assert!(
            reason.contains(".tos") || reason.contains(".claude") || reason.contains("removes"),
            "{command}: {reason}"
        );
    }
    assert!(refused(&bench, "git clean -fdx").contains("add `-e .tos -e .claude` to it"));
    assert!(refused(&bench, "git clean -fdx -e .tos").contains("add `-e .claude` to it"));
    assert!(refused(&bench, "git stash -u").contains("git stash push … -- . ':!.tos'"));
    let explained = bench.tos(&["guard", "explain", "git clean -fdx"]);
    assert!(explained.stdout.starts_with("deny"), "{explained:?}");
}

#[test]
fn what_leaves_them_out_runs_and_they_are_still_there() {
    let bench = project();
    for command in [
        "git clean -fdxq -e .tos -e .claude",
        "git clean -fdxq -e /.tos -e /.claude/",
        "git clean -fdxq -e '.tos/**' -e '.claude/**'",
        "git stash push -q -u -- . ':!.tos' ':!.claude'",
        "git reset -q --hard",
        "git checkout -q -- .",
        "rm -rf notes",
    ] {
        bench.write("idea.txt", "idea");
        bench.write("notes/n.txt", "n");
        bench.write("a.txt", "changed\n");
        let ended = bench.claude(command);
        assert_eq!(ended.decision().0, "", "{command}: {ended:?}");
        bench.run(command);
        assert!(bench.root.join(".tos/guard.toml").exists(), "{command}");
        assert!(
            bench.root.join(".claude/settings.json").exists(),
            "{command}"
        );
    }
    bench.write("idea.txt", "idea");
    let ended = bench.claude("git clean -fdx -e .tos -e .claude");
    assert!(ended.note().contains("idea.txt"), "{ended:?}");
}

#[test]
fn a_tracked_file_is_in_the_way_only_of_what_would_change_it() {
    let bench = project();
    bench.git(&["add", "-f", ".tos", ".claude"]);
    bench.git(&["commit", "-q", "-m", "rules"]);
    bench.git(&["branch", "same"]);
    for command in [
        "git clean -fdx",
        "git stash -u",
        "git reset --hard",
        "git checkout same",
        "git switch same",
        "git restore .",
    ] {
        let (decision, reason) = bench.claude(command).decision();
        assert_eq!(decision, "", "{command}: {reason}");
    }
    for command in [
        "git reset --hard HEAD~1",
        "git checkout HEAD~1",
        "git checkout HEAD~1 -- .tos",
        "git restore --source=HEAD~1 .",
        "git switch --detach HEAD~1",
    ] {
        refused(&bench, command);
    }
    assert_eq!(bench.claude("git checkout HEAD~1 -- src").decision().0, "");
    bench.write(".tos/guard.toml", "max_files = 7\n");
    for command in [
        "git reset --hard",
        "git checkout -- .",
        "git restore .",
        "git stash",
    ] {
        refused(&bench, command);
    }
}

#[test]
fn an_archive_that_holds_rules_is_not_unpacked_over_them() {
    let bench = project();
    let other = bench.top().join("other");
    fs::create_dir_all(other.join(".tos")).unwrap();
    fs::write(other.join(".tos/guard.toml"), "observe = true\n").unwrap();
    fs::write(other.join("a.txt"), "new\n").unwrap();
    let tar = |name: &str, what: &str, flags: &str| {
        let made = Command::new("tar")
            .args([flags, &bench.root.join(name).display().to_string(), "-C"])
            .arg(&other)
            .arg(what)
            .status();
        assert!(made.unwrap().success());
    };
    tar("evil.tar", ".", "-cf");
    tar("evil.tgz", ".", "-czf");
    tar("good.tgz", "a.txt", "-czf");
    for command in [
        "tar xf evil.tar",
        "tar xzf evil.tgz",
        "tar xf evil.tgz -C .",
    ] {
        assert!(
            refused(&bench, command).contains("--exclude=.tos"),
            "{command}"
        );
    }
    for command in [
        "tar xf good.tgz",
        "tar xf evil.tgz --exclude=.tos",
        "tar xf evil.tgz -C build",
    ] {
        assert_eq!(bench.claude(command).decision().0, "", "{command}");
    }
    let copy = format!("cp -r {}/. .", other.display());
    assert_ne!(bench.claude(&copy).decision().0, "", "{copy}");
}

#[test]
fn what_git_is_told_in_the_same_command_counts() {
    let bench = project();
    for command in [
        "git add -A && git stash",
        "git add -A && git reset --hard",
        "git add -A && git commit -qm x && git reset --hard HEAD~1",
        "git add -A && git commit -qm x && git revert --no-edit HEAD",
        "git add -A && git commit -qm x && git restore --source=HEAD~1 .",
    ] {
        assert!(
            refused(&bench, command).contains("git add -A -- . ':!.tos' ':!.claude'"),
            "{command}"
        );
    }
    let ended = bench.claude("git add -A && git commit -qm x");
    assert_eq!(ended.decision().0, "", "{ended:?}");
    bench.git(&["add", "-A"]);
    bench.git(&["commit", "-q", "-m", "rules"]);
    for command in [
        "git revert --no-edit HEAD",
        "git bisect start HEAD HEAD~1",
        "git sparse-checkout set src",
    ] {
        refused(&bench, command);
    }
    bench.write("a.txt", "more\n");
    bench.git(&["commit", "-q", "-a", "-m", "more"]);
    let ended = bench.claude("git revert --no-edit HEAD");
    assert_eq!(ended.decision().0, "", "{ended:?}");
}

#[test]
fn a_second_name_of_a_protected_file_is_protected_too() {
    let bench = project();
    for command in [
        "ln .tos/guard.toml hard",
        "cp -l .claude/settings.json hard",
        "cp -al .tos t2",
    ] {
        refused(&bench, command);
    }
    fs::hard_link(bench.root.join(".tos/guard.toml"), bench.root.join("hard")).unwrap();
    for command in [": > hard", "sed -i s/100/1/ hard", "cp a.txt hard"] {
        let reason = refused(&bench, command);
        assert!(reason.contains(".tos/guard.toml"), "{command}: {reason}");
    }
    for tool in ["Write", "Edit", "mcp__fs__write_file"] {
        let key = if tool.starts_with("mcp") {
            "path"
        } else {
            "file_path"
        };
        let input = serde_json::json!({ key: bench.root.join("hard"), "content": "x" });
        let ended = bench.tool(&bench.root, "default", tool, &input);
        assert_eq!(ended.decision().0, "deny", "{tool}: {ended:?}");
    }
    assert_eq!(bench.claude("rm hard").decision().0, "");
}

#[test]
fn tools_of_other_servers_do_not_change_what_is_protected() {
    let bench = project();
    for (tool, input) in [
        (
            "mcp__fs__write_file",
            serde_json::json!({ "path": ".tos/guard.toml", "content": "x" }),
        ),
        (
            "mcp__fs__delete_file",
            serde_json::json!({ "path": ".tos/guard.toml" }),
        ),
        (
            "mcp__fs__edit_file",
            serde_json::json!({ "path": bench.root.join(".claude/settings.json"), "edits": [] }),
        ),
        (
            "mcp__fs__move_file",
            serde_json::json!({ "source": "a.txt", "destination": ".tos/guard.toml" }),
        ),
    ] {
        let ended = bench.tool(&bench.root, "default", tool, &input);
        assert_eq!(ended.decision().0, "deny", "{tool}: {ended:?}");
    }
    let input = serde_json::json!({ "path": "src/b.txt" });
    let ended = bench.tool(&bench.root, "default", "mcp__fs__read_file", &input);
    assert_eq!(ended.decision().0, "", "{ended:?}");
}

#[test]
fn a_patch_that_comes_through_a_pipe_is_looked_at() {
    let bench = project();
    let patch = "--- a/.tos/guard.toml\n+++ b/.tos/guard.toml\n@@ -1 +1 @@\n-max_files = 100\n+observe = true\n";
    bench.write("evil.patch", patch);
    bench.write("good.patch", &patch.replace(".tos/guard.toml", "a.txt"));
    bench.write(
        "inner.patch",
        &patch.replace(".tos/guard.toml", "guard.toml"),
    );
    for command in [
        "patch -p1 < evil.patch",
        "cat evil.patch | patch -p1",
        "cat evil.patch | git apply",
        "git apply --directory=.tos inner.patch",
        "git diff --no-index a.txt src/b.txt | git apply",
    ] {
        refused(&bench, command);
    }
    for command in [
        "patch -p1 < good.patch",
        "cat good.patch | git apply",
        "git apply evil.patch --exclude='.tos/*'",
    ] {
        let ended = bench.claude(command);
        assert_eq!(ended.decision().0, "", "{command}: {ended:?}");
    }
}

#[test]
fn what_tos_itself_writes_there_is_in_nobody_s_way() {
    let bench = Bench::new();
    bench.write(".tos/.gitignore", "*\n");
    bench.write(".tos/sandbox-trials.json", "{}");
    for command in [
        "git clean -fdx",
        "git stash -a",
        "tar xf x.tgz",
        "unzip -o x.zip",
    ] {
        let (decision, reason) = bench.claude(command).decision();
        assert_eq!(decision, "", "{command}: {reason}");
    }
    let (decision, reason) = bench.claude("git clone https://example.org/a/b").decision();
    assert_eq!(decision, "ask", "{reason}");
    // The rules themselves stay, whoever wrote the rest.
    bench.write(".tos/guard.toml", "max_files = 100\n");
    refused(&bench, "git clean -fdx");
}

#[test]
fn without_rules_and_hooks_nothing_is_in_the_way() {
    let bench = Bench::new();
    bench.write("idea.txt", "idea");
    bench.write(".claude/settings.json", "{\"model\": \"opus\"}\n");
    for command in [
        "git clean -fdx",
        "git stash -u",
        "git reset --hard",
        "tar xf x.tgz",
    ] {
        assert_eq!(bench.claude(command).decision().0, "", "{command}");
    }
}

#[test]
fn what_tos_writes_itself_is_in_no_checkpoint() {
    let bench = Bench::new();
    bench.write(".tos/commands/1/stdout", "x");
    bench.write("logs/run.jsonl", "{}");
    bench.write("logs/steps/step_001/stdout", "x");
    bench.git(&["config", "core.excludesFile", "/dev/null"]);
    bench.write("idea.txt", "idea");
    let ended = bench.claude("git clean -fdx -e .tos");
    assert!(ended.note().contains("kept idea.txt first"), "{ended:?}");
}
