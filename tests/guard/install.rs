//! The hook comes into settings and goes again; everything else in them stays.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::bench::{Bench, ended};

const SETTINGS: &str = "{\n  \"model\":   \"opus\",\n  \"hooks\": {\n    \"PreToolUse\": [\n      { \"matcher\": \"Bash\", \"hooks\": [{ \"type\": \"command\", \"command\": \"true # mine\" }] }\n    ]\n  }\n}\n";

fn settings(bench: &Bench) -> std::path::PathBuf {
    bench.home().join(".claude/settings.json")
}

/// Has Gemini CLI trust everything in the home folder; without that it runs no hook.
fn trust_by_gemini(bench: &Bench) -> std::path::PathBuf {
    let file = bench.home().join(".gemini/trustedFolders.json");
    let text = serde_json::json!({ bench.home().display().to_string(): "TRUST_FOLDER" });
    put(&file, &text.to_string());
    file
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn every_agent_is_installed_proved_and_taken_out_again() {
    let bench = Bench::new();
    let trusted = trust_by_gemini(&bench);
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
    fs::remove_file(trusted).unwrap();
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
    trust_by_gemini(&bench);
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
    assert_eq!(
        (&stats["decisions"]["deny"], &stats["observed"]),
        (&1.into(), &1.into())
    );
    // Nothing says that it was allowed, or refused, by the rules.
    let log = bench.tos(&["guard", "log"]);
    assert!(
        log.stdout
            .contains("would deny  claude Bash: rm -rf /srv/data"),
        "{log:?}"
    );
    let stats = bench.tos(&["guard", "stats"]);
    assert!(
        stats
            .stdout
            .contains("1 of the asked and refused were only observed"),
        "{stats:?}"
    );
    let explained = bench.tos(&["guard", "explain", "rm -rf /srv/data"]);
    assert!(
        explained.stdout.starts_with("deny  ") && explained.stdout.contains("the hook lets it run"),
        "{explained:?}"
    );
    let call = serde_json::json!({ "tool": "bash", "cwd": bench.root, "args": { "command": "rm -rf /srv/data" } });
    let told = bench
        .feed(&["guard", "hook", "opencode"], call.to_string().as_bytes())
        .json();
    assert_eq!(told["decision"], "allow");
    let reason = told["reason"].as_str().unwrap();
    assert!(
        reason.contains("only observes and blocks nothing; its rules say `deny`"),
        "{reason}"
    );
}

/// Puts a program named `codex` on the path, which answers as the app server does, and returns its folder.
fn codex_that_answers(bench: &Bench, answer: &str) -> String {
    let folder = bench.top().join("bin");
    let program = folder.join("codex");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = app-server ] || exit 3\nread hello; read done; read asked\ncat <<'END'\nnot JSON\n{{\"method\":\"x\",\"params\":{{}}}}\n{{\"id\":0,\"result\":{{}}}}\n{answer}\nEND\ncat >/dev/null\n"
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display())
}

/// What Codex says about the two hooks of the guard in a file.
fn listed(file: &Path, source: &str, enabled: bool, trust: &str) -> serde_json::Value {
    let text = fs::read_to_string(file).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    let command = settings.pointer("/hooks/PreToolUse/0/hooks/0/command");
    let hook = |event: &str| {
        serde_json::json!({
            "eventName": event, "handlerType": "command", "command": command, "sourcePath": file, "source": source,
            "enabled": enabled, "trustStatus": trust,
        })
    };
    serde_json::json!([hook("preToolUse"), hook("permissionRequest")])
}

fn status_with_codex(bench: &Bench, hooks: &serde_json::Value) -> crate::bench::Ended {
    let answer = serde_json::json!({ "id": 1, "result": { "data": [
        { "cwd": bench.root, "hooks": hooks, "warnings": [], "errors": [] },
    ] } });
    let path = codex_that_answers(bench, &answer.to_string());
    ended(
        bench
            .command(&["guard", "status", "codex"])
            .env("PATH", path),
    )
}

#[test]
fn what_codex_says_about_trust_is_what_status_says() {
    let bench = Bench::new();
    let installed = bench.tos(&["guard", "install", "codex", "--yes"]);
    let said = format!("{}{}", installed.stdout, installed.stderr);
    assert!(said.contains("/hooks"), "{said}");
    let hooks = bench.home().join(".codex/hooks.json");
    for (enabled, trust, code, part) in [
        (
            true,
            "trusted",
            0,
            "it refused a destructive call just now  ",
        ),
        (true, "untrusted", 1, "SKIPS it without a word"),
        (true, "modified", 1, "has changed since it was trusted"),
        (false, "trusted", 1, "switched off in Codex"),
    ] {
        let status = status_with_codex(&bench, &listed(&hooks, "user", enabled, trust));
        assert_eq!(status.code, Some(code), "{trust}: {status:?}");
        assert!(status.stdout.contains(part), "{trust}: {status:?}");
    }
    // A hook of another command is not the guard's, whoever trusts it.
    let mut other = listed(&hooks, "user", true, "trusted");
    other[0]["command"] = "mine.sh".into();
    let status = status_with_codex(&bench, &other);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(
        status.stdout.contains("does not list its PreToolUse hook"),
        "{status:?}"
    );
}

#[test]
fn without_an_answer_of_codex_nothing_is_called_proved() {
    let bench = Bench::new();
    let config = bench.home().join(".codex/config.toml");
    let hooks = bench.home().join(".codex/hooks.json");
    drop(bench.tos(&["guard", "install", "codex", "--yes"]));
    let untrusted = bench.tos(&["guard", "status", "codex"]);
    assert_eq!(untrusted.code, Some(1), "{untrusted:?}");
    assert!(
        untrusted.stdout.contains("SKIPS it without a word"),
        "{untrusted:?}"
    );
    let record = format!(
        "[hooks.state.\"{}:pre_tool_use:0:0\"]\ntrusted_hash = \"x\"\n",
        hooks.display()
    );
    put(&config, &record);
    let recorded = bench.tos(&["guard", "status", "codex"]);
    assert_eq!(recorded.code, Some(1), "{recorded:?}");
    assert!(
        recorded
            .stdout
            .contains("trust not checked: there is no `codex` on the PATH"),
        "{recorded:?}"
    );
    put(&config, &format!("{record}enabled = false\n"));
    let off = bench.tos(&["guard", "status", "codex"]);
    assert!(off.stdout.contains("switched off in Codex"), "{off:?}");
    put(&config, &record);
    for answer in ["", "{\"id\":1,\"error\":{\"message\":\"unknown method\"}}"] {
        let path = codex_that_answers(&bench, answer);
        let path = if answer.is_empty() {
            // One that ends without a word.
            fs::write(bench.top().join("bin/codex"), "#!/bin/sh\nexit 0\n").unwrap();
            path
        } else {
            path
        };
        let status = ended(
            bench
                .command(&["guard", "status", "codex", "--json"])
                .env("PATH", path),
        );
        assert_eq!(status.code, Some(1), "{answer}: {status:?}");
        assert_eq!(
            status.json()["hooks"][0]["state"],
            "trust not checked",
            "{status:?}"
        );
    }
}

#[test]
fn a_project_in_a_folder_that_codex_does_not_trust_has_no_hook_and_that_is_told() {
    let bench = Bench::new();
    let words = ["guard", "install", "codex", "--yes", "--project"];
    let installed = bench.tos(&words);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let here = bench.root.display().to_string();
    let told = format!("{here} is none of them");
    assert!(installed.stderr.contains(&told), "{installed:?}");
    let status = bench.tos(&["guard", "status", "codex"]);
    assert!(status.stdout.contains(&told), "{status:?}");
    let status = status_with_codex(&bench, &serde_json::json!([]));
    assert!(
        status.stdout.contains("only in folders it trusts"),
        "{status:?}"
    );
    assert_eq!(status.code, Some(1));
    let trusted = format!("[projects.\"{here}\"]\ntrust_level = \"trusted\"\n");
    put(&bench.home().join(".codex/config.toml"), &trusted);
    drop(bench.tos(&["guard", "uninstall", "codex", "--yes", "--project"]));
    let installed = bench.tos(&words);
    assert!(!installed.stderr.contains("none of them"), "{installed:?}");
    let hooks = bench.root.join(".codex/hooks.json");
    let status = status_with_codex(&bench, &listed(&hooks, "project", true, "trusted"));
    assert_eq!(status.code, Some(0), "{status:?}");
}

#[test]
fn a_folder_that_gemini_does_not_trust_has_no_hook_at_all_and_that_is_told() {
    let bench = Bench::new();
    let here = bench.root.display().to_string();
    for scope in [&["--yes"][..], &["--yes", "--project"]] {
        let installed = bench.tos(&[&["guard", "install", "gemini"][..], scope].concat());
        assert_eq!(installed.code, Some(0), "{installed:?}");
        assert!(
            installed.stderr.contains(&format!(
                "not effective yet: Gemini CLI has not been told to trust {here}"
            )),
            "{installed:?}"
        );
    }
    let status = bench.tos(&["guard", "status", "gemini"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    let skipped = "but the agent skips it";
    assert_eq!(status.stdout.matches(skipped).count(), 2, "{status:?}");
    let file = trust_by_gemini(&bench);
    let status = bench.tos(&["guard", "status", "gemini"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(
        status.stdout.contains("over ACP, Gemini CLI asks no hook"),
        "{status:?}"
    );
    let rules = serde_json::json!({
        bench.home().display().to_string(): "TRUST_FOLDER", here: "DO_NOT_TRUST",
    });
    put(&file, &rules.to_string());
    let status = bench.tos(&["guard", "status", "gemini"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(status.stdout.contains("/permissions"), "{status:?}");
    let mut trusting = bench.command(&["guard", "status", "gemini"]);
    let status = ended(trusting.env("GEMINI_CLI_TRUST_WORKSPACE", "true"));
    assert_eq!(status.code, Some(0), "{status:?}");
}

#[test]
fn a_broken_file_of_any_agent_is_told_with_its_place_and_left_alone() {
    let bench = Bench::new();
    for (agent, file, text, place) in [
        (
            "claude",
            ".claude/settings.json",
            "{\n  \"a\": [1,,\n}\n",
            "line 2, column 11: ",
        ),
        (
            "gemini",
            ".gemini/settings.json",
            "{\n \"hooks\": 3\n}\n",
            "line 2, column 11: `hooks` is no object",
        ),
        (
            "cursor",
            ".cursor/hooks.json",
            "{\n \"a\"\n}\n",
            "line 3, column 1: ",
        ),
        ("codex", ".codex/hooks.json", "[]\n", "line 1, column 1: "),
        (
            "codex",
            ".codex/config.toml",
            "model = \"m\"\n[features\n",
            "line 2, column 10: ",
        ),
    ] {
        let path = bench.home().join(file);
        put(&path, text);
        let refused = bench.tos(&["guard", "install", agent, "--yes"]);
        assert_eq!(refused.code, Some(1), "{agent}: {refused:?}");
        let told = format!("{}: {place}", path.display());
        assert!(
            refused.stderr.contains(&told) && refused.stderr.contains("left alone"),
            "{agent}: {refused:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::remove_file(&path).unwrap();
    }
    // The same after the hook had come into the file beside it.
    drop(bench.tos(&["guard", "install", "codex", "--yes"]));
    put(&bench.home().join(".codex/config.toml"), "[features\n");
    let status = bench.tos(&["guard", "status", "codex"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(
        status.stdout.contains("config.toml: line 1, column 10: ")
            && status.stdout.contains("Codex does not start with it"),
        "{status:?}"
    );
    fs::write(bench.home().join(".codex/hooks.json"), b"{\n \"\xff\": 1}").unwrap();
    fs::remove_file(bench.home().join(".codex/config.toml")).unwrap();
    let refused = bench.tos(&["guard", "install", "codex", "--yes"]);
    assert!(
        refused.stderr.contains("line 2, column 3: it is not UTF-8"),
        "{refused:?}"
    );
}

#[test]
fn what_is_no_file_is_not_opened() {
    let bench = Bench::new();
    for (agent, file) in [
        ("claude", ".claude/settings.json"),
        ("codex", ".codex/hooks.json"),
        ("codex", ".codex/config.toml"),
        ("gemini", ".gemini/settings.json"),
        ("gemini", ".gemini/trustedFolders.json"),
        ("cursor", ".cursor/hooks.json"),
        ("opencode", ".config/opencode/plugin/tos-guard.js"),
    ] {
        let path = bench.home().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for (what, make) in [
            ("a named pipe", "mkfifo"),
            ("a named pipe", "mkfifo elsewhere; ln -s $PWD/elsewhere"),
            ("a device", "ln -s /dev/zero"),
            ("a folder", "mkdir"),
        ] {
            bench.run(&format!("rm -f elsewhere; {make} '{}'", path.display()));
            let told = format!("it is {what} and no file");
            if !file.contains("trusted") {
                let refused = bench.tos(&["guard", "install", agent, "--yes"]);
                assert_eq!(refused.code, Some(1), "{file} {what}: {refused:?}");
                assert!(refused.stderr.contains(&told), "{file}: {refused:?}");
            }
            let status = bench.tos(&["guard", "status", agent]);
            assert_eq!(status.code, Some(1), "{file} {what}: {status:?}");
            if !file.contains("config.toml") && !file.contains("trusted") {
                assert!(status.stdout.contains(&told), "{file}: {status:?}");
            }
            bench.run(&format!(
                "rmdir '{0}' 2>/dev/null || rm '{0}'",
                path.display()
            ));
        }
    }
    bench.run("rm -f elsewhere; mkdir .tos; mkfifo .tos/guard.toml");
    let explained = bench.tos(&["guard", "explain", "ls"]);
    assert_ne!(explained.code, Some(0), "{explained:?}");
    let told = "guard.toml: it is a named pipe and no file";
    assert!(explained.stderr.contains(told), "{explained:?}");
    let status = bench.tos(&["guard", "status"]);
    assert!(status.stdout.contains(told), "{status:?}");
    let call = serde_json::json!({ "cwd": bench.root, "tool_name": "Bash", "tool_input": { "command": "ls" } });
    let judged = bench.feed(&["guard", "hook", "codex"], call.to_string().as_bytes());
    assert_eq!(judged.code, Some(2), "{judged:?}");
    assert!(judged.stderr.contains(told), "{judged:?}");
}

/// Edits of an installed hook after which the agent no longer obeys it: the agent, its file, what is replaced by what.
const EDITS: &[(&str, &str, &str, &str)] = &[
    (
        "claude",
        ".claude/settings.json",
        "\"Bash|PowerShell|",
        "\"Write\", \"was\": \"",
    ),
    // What an earlier tos wrote was for fewer tools.
    ("claude", ".claude/settings.json", "|REPL|ExitWorktree", ""),
    (
        "claude",
        ".claude/settings.json",
        "\"timeout\": 60",
        "\"timeout\": 0.001",
    ),
    (
        "claude",
        ".claude/settings.json",
        "\"timeout\": 60",
        "\"timeout\": 60, \"async\": true",
    ),
    (
        "claude",
        ".claude/settings.json",
        "\"timeout\": 60",
        "\"timeout\": 60, \"if\": \"Bash(ls *)\"",
    ),
    ("claude", ".claude/settings.json", "exit 2", "exit 1"),
    ("codex", ".codex/hooks.json", "exit 2", "exit 1"),
    (
        "codex",
        ".codex/hooks.json",
        "\"timeout\": 60",
        "\"timeout\": 0",
    ),
    ("gemini", ".gemini/settings.json", "run_shell_command|", ""),
    ("gemini", ".gemini/settings.json", "exit 2", "exit 1"),
    (
        "cursor",
        ".cursor/hooks.json",
        "\"failClosed\": true",
        "\"failClosed\": false",
    ),
    (
        "cursor",
        ".cursor/hooks.json",
        "beforeMCPExecution",
        "afterMCPExecution",
    ),
    (
        "opencode",
        ".config/opencode/plugin/tos-guard.js",
        "throw new Error(answer.reason)",
        "return",
    ),
    (
        "opencode",
        ".config/opencode/plugin/tos-guard.js",
        "tool.execute.before",
        "tool.execute.never",
    ),
    (
        "opencode",
        ".config/opencode/plugin/tos-guard.js",
        "const program",
        "var program",
    ),
];

#[test]
fn a_hook_that_somebody_edited_is_not_called_proved_and_install_mends_it() {
    let bench = Bench::new();
    trust_by_gemini(&bench);
    for agent in ["claude", "codex", "gemini", "opencode", "cursor"] {
        let installed = bench.tos(&["guard", "install", agent, "--yes"]);
        assert_eq!(installed.code, Some(0), "{agent}: {installed:?}");
        for (_, file, old, new) in EDITS.iter().filter(|edit| edit.0 == agent) {
            let file = bench.home().join(file);
            let written = fs::read_to_string(&file).unwrap();
            let edited = written.replacen(old, new, 1);
            assert_ne!(edited, written, "{agent}: {old}: {written}");
            fs::write(&file, edited).unwrap();
            let status = bench.tos(&["guard", "status", agent, "--json"]);
            assert_eq!(status.code, Some(1), "{agent}: {new}: {status:?}");
            let state = status.json().pointer("/hooks/0/state").cloned();
            assert_eq!(state, Some("altered".into()), "{agent}: {new}: {status:?}");
            let shown = bench.tos(&["guard", "status", agent]).stdout;
            let mend = format!("`tos guard install {agent}` mends it");
            assert!(shown.contains(&mend), "{shown}");
            assert!(!shown.contains("it refused a destructive call"), "{shown}");
            let mended = bench.tos(&["guard", "install", agent, "--yes"]);
            assert_eq!(mended.code, Some(0), "{agent}: {new}: {mended:?}");
            let status = bench.tos(&["guard", "status", agent, "--json"]).json();
            let state = status.pointer("/hooks/0/state");
            assert_ne!(state, Some(&"altered".into()), "{agent}: {new}: {status}");
        }
    }
}
