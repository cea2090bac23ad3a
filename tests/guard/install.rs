//! The hook comes into settings and goes again; everything else in them stays.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::bench::{Bench, ended};

const SETTINGS: &str = "{\n  \"model\":   \"opus\",\n  \"hooks\": {\n    \"PreToolUse\": [\n      { \"matcher\": \"Bash\", \"hooks\": [{ \"type\": \"command\", \"command\": \"true # mine\" }] }\n    ]\n  }\n}\n";

fn settings(bench: &Bench) -> std::path::PathBuf {
    bench.home().join(".claude/settings.json")
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn every_agent_is_installed_proved_and_taken_out_again() {
    let bench = Bench::new();
    for agent in ["claude", "codex", "gemini", "opencode", "cursor"] {
        for scope in [&["--yes"][..], &["--yes", "--project"][..]] {
            let words = [&["guard", "install", agent][..], scope].concat();
            let installed = bench.tos(&words);
            assert_eq!(installed.code, Some(0), "{agent}: {installed:?}");
            let again = bench.tos(&words);
            assert!(
                again.stdout.contains("nothing changed"),
                "{agent}: {again:?}"
            );
        }
        let status = bench.tos(&["guard", "status", agent]);
        // Codex skips what nobody has trusted.
        let wanted = i32::from(agent == "codex");
        assert_eq!(status.code, Some(wanted), "{agent}: {status:?}");
        assert_eq!(
            status
                .stdout
                .matches("it refused a destructive call just now")
                .count(),
            2,
            "{status:?}"
        );
        for scope in [&["--yes"][..], &["--yes", "--project"][..]] {
            let removed = bench.tos(&[&["guard", "uninstall", agent][..], scope].concat());
            assert_eq!(removed.code, Some(0), "{agent}: {removed:?}");
        }
        assert_eq!(bench.tos(&["guard", "status", agent]).code, Some(1));
    }
    let left = walk(&bench.home());
    let left: Vec<&String> = left
        .iter()
        .filter(|path| !path.contains("/.git/") && !path.contains("/tos/guard/"))
        .collect();
    let committed = ["project/.gitignore", "project/a.txt", "project/src/b.txt"];
    assert_eq!(left, committed, "nothing of the settings is left");
}

fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path();
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_other_byte_of_the_settings_stays_and_other_hooks_are_named() {
    let bench = Bench::new();
    put(&settings(&bench), SETTINGS);
    let installed = bench.tos(&["guard", "install", "claude", "--yes"]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    assert!(
        installed.stdout.contains("+ "),
        "the change is shown: {installed:?}"
    );
    let said = format!("{}{}", installed.stdout, installed.stderr);
    assert!(said.contains("PreToolUse 1: true # mine"), "{said}");
    let with = fs::read_to_string(settings(&bench)).unwrap();
    assert!(with.contains("\"model\":   \"opus\""), "{with}");
    let removed = bench.tos(&["guard", "uninstall", "claude", "--yes"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert_eq!(fs::read_to_string(settings(&bench)).unwrap(), SETTINGS);
}

#[test]
fn what_was_somebodys_own_stays_however_empty_it_is() {
    let bench = Bench::new();
    for (agent, file, texts) in [
        (
            "claude",
            ".claude/settings.json",
            &[
                "{\n  \"hooks\": {}\n}\n",
                "{\"hooks\":{}}",
                "{\n  \"hooks\": {\n    \"PreToolUse\": []\n  }\n}\n",
                "{}\n",
            ][..],
        ),
        (
            "cursor",
            ".cursor/hooks.json",
            &[
                "{\n  \"version\": 1,\n  \"hooks\": {}\n}\n",
                "{\n  \"version\": 1\n}\n",
                "{}\n",
            ],
        ),
        ("codex", ".codex/hooks.json", &["{\n  \"hooks\": {}\n}\n"]),
        (
            "gemini",
            ".gemini/settings.json",
            &["{\n  \"hooks\": {\n    \"BeforeTool\": []\n  }\n}\n"],
        ),
    ] {
        let path = bench.home().join(file);
        for text in texts {
            put(&path, text);
            // Twice is once, also for what was there before.
            for _ in 0..2 {
                let installed = bench.tos(&["guard", "install", agent, "--yes"]);
                assert_eq!(installed.code, Some(0), "{agent}: {installed:?}");
            }
            let removed = bench.tos(&["guard", "uninstall", agent, "--yes"]);
            assert_eq!(removed.code, Some(0), "{agent}: {removed:?}");
            let left = fs::read_to_string(&path).unwrap_or_else(|_| "no file".to_owned());
            assert_eq!(left, *text, "{agent}");
        }
    }
}

#[test]
fn without_a_person_nothing_changes_unless_yes_was_said() {
    let bench = Bench::new();
    put(&settings(&bench), SETTINGS);
    let refused = bench.tos(&["guard", "install", "claude"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("`--yes` makes the change"),
        "{refused:?}"
    );
    assert_eq!(fs::read_to_string(settings(&bench)).unwrap(), SETTINGS);
}

#[test]
fn settings_that_are_broken_are_left_alone_with_the_place() {
    let bench = Bench::new();
    for broken in ["{\n  \"a\": [1,,\n}\n", "[1, 2]\n", "{\"hooks\": []}"] {
        put(&settings(&bench), broken);
        let refused = bench.tos(&["guard", "install", "claude", "--yes"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.stderr.contains("settings.json") && refused.stderr.contains("left alone"),
            "{refused:?}"
        );
        assert_eq!(fs::read_to_string(settings(&bench)).unwrap(), broken);
    }
    put(&settings(&bench), "{\n  \"a\": [1,,\n}\n");
    let refused = bench.tos(&["guard", "install", "claude", "--yes"]);
    assert!(refused.stderr.contains("line 2, column"), "{refused:?}");
}

#[test]
fn settings_behind_a_link_are_changed_where_they_are() {
    let bench = Bench::new();
    let real = bench.home().join("dotfiles/claude.json");
    put(&real, "{}\n");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(settings(&bench).parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("../dotfiles/claude.json", settings(&bench)).unwrap();
    let installed = bench.tos(&["guard", "install", "claude", "--yes"]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    assert!(settings(&bench).is_symlink());
    assert!(
        fs::read_to_string(&real)
            .unwrap()
            .contains("guard hook claude")
    );
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_place_that_cannot_be_written_is_told_and_nothing_changes() {
    let bench = Bench::new();
    let mut command = bench.command(&["guard", "install", "claude", "--yes"]);
    command.env("CLAUDE_CONFIG_DIR", "/proc/self/nothing");
    let refused = ended(&mut command);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("nothing was changed"),
        "{refused:?}"
    );
}

#[test]
fn two_versions_of_tos_and_a_moved_one_are_told_apart() {
    let bench = Bench::new();
    let old = bench.top().join("bin/old-tos");
    fs::write(
        &old,
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'tos 0.0.1' && exit 0\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let command = format!("'{}' guard hook claude", old.display());
    let text = serde_json::json!({ "hooks": { "PreToolUse": [{ "hooks": [{ "type": "command", "command": command }] }] } });
    put(&settings(&bench), &text.to_string());
    let status = bench.tos(&["guard", "status", "claude"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(
        status.stdout.contains("is tos 0.0.1, and this is tos"),
        "{status:?}"
    );
    assert!(status.stdout.contains("was not refused"), "{status:?}");
    let installed = bench.tos(&["guard", "install", "claude", "--yes"]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let text = fs::read_to_string(settings(&bench)).unwrap();
    assert_eq!(text.matches("guard hook claude").count(), 1, "{text}");
    assert_eq!(bench.tos(&["guard", "status", "claude"]).code, Some(0));
}

#[test]
fn every_shape_of_a_settings_file_is_given_back_byte_for_byte() {
    let bench = Bench::new();
    let own = |text: &str| fs::write(settings(&bench), text).unwrap();
    fs::create_dir_all(settings(&bench).parent().unwrap()).unwrap();
    for text in [
        "",
        "\n",
        "{}",
        "{ \"a\": 1 }",
        "{\"a\":1}",
        "{\r\n\t\"a\": [\r\n\t]\r\n}\r\n",
        "\u{feff}{\n  \"a\": {}\n}",
        "{\n  \"hooks\": {\n    \"PreToolUse\": [{\"matcher\":\"Bash\",\"hooks\":[]}]\n  }\n}\n",
    ] {
        own(text);
        for _ in 0..2 {
            let installed = bench.tos(&["guard", "install", "claude", "--yes"]);
            assert_eq!(installed.code, Some(0), "{text:?}: {installed:?}");
        }
        let status = bench.tos(&["guard", "status", "claude"]);
        assert_eq!(status.code, Some(0), "{text:?}: {status:?}");
        let removed = bench.tos(&["guard", "uninstall", "claude", "--yes"]);
        assert_eq!(removed.code, Some(0), "{text:?}: {removed:?}");
        assert_eq!(fs::read_to_string(settings(&bench)).unwrap(), text);
    }
}

#[test]
fn files_and_folders_that_an_installation_made_go_with_it() {
    let bench = Bench::new();
    let agents = ["claude", "codex", "gemini", "opencode", "cursor"];
    let folders = || -> Vec<String> {
        let mut all = Vec::new();
        for top in [&bench.home(), &bench.root] {
            for entry in fs::read_dir(top).unwrap().flatten() {
                all.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        all.retain(|name| name != ".local");
        all.sort();
        all
    };
    let before = folders();
    for scope in [&["--yes"][..], &["--yes", "--project"]] {
        for agent in agents {
            drop(bench.tos(&[&["guard", "install", agent][..], scope].concat()));
        }
        let removed = bench.tos(&[&["guard", "uninstall"][..], scope].concat());
        assert_eq!(removed.code, Some(0), "{removed:?}");
    }
    assert_eq!(folders(), before);
    // What somebody has put beside it stays.
    drop(bench.tos(&["guard", "install", "claude", "--yes", "--project"]));
    bench.write(".claude/commands/x.md", "x");
    drop(bench.tos(&["guard", "uninstall", "claude", "--yes", "--project"]));
    assert!(bench.root.join(".claude/commands/x.md").exists());
    assert!(!bench.root.join(".claude/settings.json").exists());
}

#[test]
fn a_file_that_an_agent_passes_over_is_refused_and_its_hook_is_not_effective() {
    let bench = Bench::new();
    for (agent, file, text) in [
        (
            "claude",
            ".claude/settings.json",
            "{\n  // mine\n  \"a\": 1\n}\n",
        ),
        ("claude", ".claude/settings.json", "{\n  \"a\": 1,\n}\n"),
        (
            "claude",
            ".claude/settings.json",
            "{ \"disableAllHooks\": true }",
        ),
        (
            "codex",
            ".codex/hooks.json",
            "{\n  // mine\n  \"a\": 1\n}\n",
        ),
        ("codex", ".codex/hooks.json", "\u{feff}{}\n"),
        ("gemini", ".gemini/settings.json", "{\n  \"a\": 1,\n}\n"),
        (
            "cursor",
            ".cursor/hooks.json",
            "{\n  // mine\n  \"a\": 1\n}\n",
        ),
    ] {
        let path = bench.home().join(file);
        put(&path, text);
        let refused = bench.tos(&["guard", "install", agent, "--yes"]);
        assert_eq!(refused.code, Some(1), "{text}: {refused:?}");
        assert!(
            refused.stderr.contains("the file was left alone") && refused.stderr.contains("out"),
            "{text}: {refused:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        // The same after the hook had come into it.
        fs::write(&path, "{}\n").unwrap();
        assert_eq!(
            bench.tos(&["guard", "install", agent, "--yes"]).code,
            Some(0)
        );
        let with = fs::read_to_string(&path).unwrap();
        let spoiled = if text.contains("// mine") {
            with.replacen('{', "{ // mine\n", 1)
        } else if text.contains("disable") {
            with.replacen('{', "{ \"disableAllHooks\": true, ", 1)
        } else if text.contains(",\n}") {
            format!(
                "{},\n}}\n",
                with.trim_end().trim_end_matches('}').trim_end()
            )
        } else {
            format!("\u{feff}{with}")
        };
        fs::write(&path, spoiled).unwrap();
        let status = bench.tos(&["guard", "status", agent]);
        assert_eq!(status.code, Some(1), "{status:?}");
        assert!(
            status.stdout.contains("not effective: "),
            "{text}: {status:?}"
        );
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn gemini_reads_comments() {
    let bench = Bench::new();
    put(
        &bench.home().join(".gemini/settings.json"),
        "{\n  // mine\n  \"a\": 1 // one\n}\n",
    );
    assert_eq!(
        bench.tos(&["guard", "install", "gemini", "--yes"]).code,
        Some(0)
    );
    assert_eq!(bench.tos(&["guard", "status", "gemini"]).code, Some(0));
    drop(bench.tos(&["guard", "uninstall", "gemini", "--yes"]));
    let left = fs::read_to_string(bench.home().join(".gemini/settings.json")).unwrap();
    assert_eq!(left, "{\n  // mine\n  \"a\": 1 // one\n}\n");
}

#[test]
fn status_says_what_really_happens_with_broken_rules_and_when_it_only_looks_on() {
    let bench = Bench::new();
    for agent in ["claude", "codex"] {
        assert_eq!(
            bench.tos(&["guard", "install", agent, "--yes"]).code,
            Some(0)
        );
    }
    bench.write(".tos/guard.toml", "observe = 3\n");
    assert_eq!(bench.claude("ls").decision().0, "ask");
    let status = bench.tos(&["guard", "status", "claude", "codex"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(
        status
            .stdout
            .contains("Claude Code asks you about each one"),
        "{status:?}"
    );
    assert!(
        status.stdout.contains("so each one is refused: "),
        "{status:?}"
    );
    assert!(
        status
            .stdout
            .contains("Claude Code and Cursor ask about every call"),
        "{status:?}"
    );
    bench.write(".tos/guard.toml", "observe = true\n");
    let status = bench.tos(&["guard", "status", "claude"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(
        status
            .stdout
            .contains("it observes only and blocks nothing")
            && status.stdout.contains("`observe = true` in ")
            && !status.stdout.contains("Some("),
        "{status:?}"
    );
}

#[test]
fn an_observing_guard_blocks_nothing_and_reports() {
    let bench = Bench::new();
    let installed = bench.tos(&["guard", "install", "claude", "--yes", "--observe"]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let status = bench.tos(&["guard", "status", "claude"]);
    assert!(status.stdout.contains("it observes only"), "{status:?}");
    bench.write(".tos/guard.toml", "observe = true\n");
    let ended = bench.claude("rm -rf /srv/data");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    let stats = bench.tos(&["guard", "stats", "--json"]).json();
    assert_eq!(stats["decisions"]["deny"], 1);
}

#[test]
fn codex_s_trust_is_told() {
    let bench = Bench::new();
    let installed = bench.tos(&["guard", "install", "codex", "--yes"]);
    let said = format!("{}{}", installed.stdout, installed.stderr);
    assert!(said.contains("/hooks"), "{said}");
    let status = bench.tos(&["guard", "status", "codex"]);
    assert!(
        status.stdout.contains("SKIPS it without a word"),
        "{status:?}"
    );
    assert_eq!(status.code, Some(1), "nothing to rely on: {status:?}");
    let config = bench.home().join(".codex/config.toml");
    let hooks = bench.home().join(".codex/hooks.json");
    let record = format!(
        "[hooks.state.\"{}:pre_tool_use:0:0\"]\ntrusted_hash = \"x\"\n",
        hooks.display()
    );
    put(&config, &record);
    let status = bench.tos(&["guard", "status", "codex"]);
    assert_eq!(status.code, Some(0), "{status:?}");
}
