//! Line 9: lists of tasks, and nights that cannot fit.

use crate::{Story, repository};

const LIST: &str = r#"schema = 1
id = "demo"
sandbox = "off"
[agent]
kind = "command"
args = ["./agent", "{prompt}"]
[[task]]
id = "a"
goal = "g"
prompt = "p"
class = "fix"
test_command = ["sh", "test.sh"]
"#;

/// Returns a repository with one commit, an agent and a test.
fn ready() -> Story {
    let story = Story::new()
        .file("agent", "#!/bin/sh\n")
        .file("test.sh", "exit 0\n");
    let agent = story.machine.root().join("agent");
    std::os::unix::fs::symlink("/bin/true", agent.with_extension("link")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(agent, mode).unwrap();
    repository::git(&story.machine.root(), &["add", "-A"]);
    repository::git(&story.machine.root(), &["commit", "-q", "-m", "first"]);
    story
}

#[test]
fn what_is_wrong_with_a_list_is_named_by_place_key_and_range() {
    let mut story = ready();
    let lists = [
        ("key.toml", LIST.replace("prompt =", "promt =")),
        ("type.toml", LIST.replace("id = \"a\"", "id = 7")),
        ("range.toml", format!("provider_retries = -1\n{LIST}")),
        (
            "time.toml",
            format!("{LIST}max_time_seconds = 99999999999\n"),
        ),
        ("word.toml", LIST.replace("\"fix\"", "\"fxi\"")),
        (
            "missing.toml",
            LIST.replace("test_command = [\"sh\", \"test.sh\"]\n", ""),
        ),
        (
            "words.toml",
            LIST.replace("[\"sh\", \"test.sh\"]", "\"sh test.sh\""),
        ),
        ("agent.toml", LIST.replace("\"command\"", "\"cluade\"")),
        ("syntax.toml", LIST.replace("id = \"a\"", "id = \"a")),
        ("needs.toml", format!("{LIST}depends_on = [\"b\"]\n")),
        (
            "none.toml",
            LIST.split("[[task]]").next().unwrap().to_owned(),
        ),
        ("empty.toml", String::new()),
        (
            "list.json",
            "{\"schema\": 1, \"id\": \"l\", \"agent\": {\"kind\": \"claude\"}, \"task\": 3}"
                .to_owned(),
        ),
    ];
    for (name, text) in lists {
        story.machine.write(name, text);
        let ran = story.tells(&["task", "check", name]);
        assert_eq!(ran.code, Some(2), "{ran}");
        for word in [
            "serde",
            "unknown field",
            "missing field",
            "invalid type",
            "expected a ",
        ] {
            assert!(!ran.stderr.contains(word), "{word}: {ran}");
        }
    }
    story.is("b09_lists");
}

#[test]
fn a_check_finds_what_a_run_would_stumble_over() {
    let mut story = ready();
    story.machine.write("good.toml", LIST);
    story.tells(&["task", "check", "good.toml"]);
    let bad = LIST
        .replace("./agent", "./agnet")
        .replace("\"sh\", ", "\"no-such-program\", ");
    story.machine.write(
        "bad.toml",
        format!("{bad}context_files = [\"docs/none.md\"]\n"),
    );
    story.tells(&["task", "check", "bad.toml"]);
    story
        .machine
        .write("long.toml", format!("{LIST}max_time_seconds = 500000\n"));
    story.tells(&["task", "check", "long.toml"]);
    story.is("b09_check");
}

#[test]
fn a_check_wants_a_repository_with_a_commit() {
    let unborn = Story::new().file("list.toml", LIST);
    let ran = unborn.does(&["task", "check", "list.toml"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.stderr.contains("no commit yet"), "{ran}");
    std::fs::remove_dir_all(unborn.machine.root().join(".git")).unwrap();
    let ran = unborn.does(&["task", "check", "list.toml"]);
    assert!(
        ran.stderr
            .contains("is in no git repository; make one with `git init`"),
        "{ran}"
    );
    repository::git(&unborn.machine.root(), &["init", "-q", "--bare", "."]);
    let ran = unborn.does(&["task", "check", "list.toml"]);
    assert!(ran.stderr.contains("bare"), "{ran}");
}

#[test]
fn an_agent_where_walls_hide_it_is_named_before_it_is_missed() {
    let story = ready();
    let root = story.machine.root();
    let home = root.parent().unwrap().join("home");
    repository::write(&home, ".ssh/agent", "#!/bin/sh\n");
    let agent = home.join(".ssh/agent");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&agent, mode).unwrap();
    let list = LIST.replace("./agent", &agent.display().to_string());
    let mut story = story.file("list.toml", &list);
    story.tells(&["task", "validate", "list.toml"]);
    story.is("b09_hidden_agent");
}

#[test]
fn a_repository_of_somebody_else_is_not_called_missing() {
    let mut story = ready();
    let root = story.machine.root();
    if std::os::unix::fs::chown(root.join(".git"), Some(12_345), None).is_err() {
        // Only root can give things away.
        return;
    }
    drop(std::os::unix::fs::chown(&root, Some(12_345), None));
    story.tells(&["judge-change"]);
    story.is("b12_foreign_repository");
}
