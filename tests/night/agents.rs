//! `tos agents`, and what a check of an agent wants to see before a night.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use crate::{ended::ended, root::Root};

/// Speaks as Claude Code does and does what a check asks for.
const ABLE: &str = r#"
[ "$1" = --version ] && { echo "2.1.197 (Claude Code)"; exit; }
cat >/dev/null
sh ./tos-check.sh
sed s/BEFORE/AFTER/ tos-check.txt >new && mv new tos-check.txt
echo '{"type":"result","subtype":"success","is_error":false,"result":"ready","total_cost_usd":0.01}'
"#;

/// A folder with a program named `claude`, where walls do not cover it.
fn claude(name: &str, script: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join("claude");
    fs::write(&program, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn ran(root: &Root, folder: &std::path::Path, words: &[&str]) -> (Option<i32>, String) {
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display());
    ended(root.command(words).env("PATH", path).output().unwrap())
}

fn logged_in() -> Root {
    let root = Root::new("exit 0");
    let folder = root.home.path().join(".claude");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(".credentials.json"), "{}").unwrap();
    root
}

#[test]
fn installed_logged_in_and_able_are_three_different_things() {
    let able = claude("able", ABLE);
    let root = Root::new("exit 0");
    let (code, said) = ran(&root, &able, &["agents"]);
    assert_eq!(code, Some(0), "a list is no verdict: {said}");
    assert!(
        said.contains("claude    no login: run `claude` and `/login`"),
        "{said}"
    );
    assert!(
        said.contains("gemini    not installed: npm install -g @google/gemini-cli"),
        "{said}"
    );
    assert_eq!(ran(&root, &able, &["agents", "claude"]).0, Some(1));

    let root = logged_in();
    let (code, said) = ran(&root, &able, &["agents", "claude"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2.1.197 (Claude Code)"), "{said}");
    assert!(
        said.contains("login: ~/.claude/.credentials.json"),
        "{said}"
    );
    let (code, said) = ran(&root, &able, &["agents", "--ask", "claude"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("works behind the wall"), "{said}");
}

#[test]
fn a_program_that_its_installer_put_beside_the_path_is_found() {
    let root = logged_in();
    let local = root.home.path().join(".claude/local");
    fs::create_dir(&local).unwrap();
    fs::copy(claude("beside", ABLE).join("claude"), local.join("claude")).unwrap();
    let nowhere = PathBuf::from("/usr/bin");
    let (code, said) = ran(&root, &nowhere, &["agents", "--ask", "claude"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(".claude/local/claude"), "{said}");
    assert!(said.contains("works behind the wall"), "{said}");
}

#[test]
fn a_list_whose_known_agent_is_not_installed_is_refused_before_anybody_is_asked() {
    let root = Root::watched("exit 0");
    let list = root.list_text("stop", &["T-1".to_owned()], "");
    let from = list.find("kind = \"command\"").unwrap();
    let to = from + list[from..].find("\n\n").unwrap();
    let list = format!("{}kind = \"aider\"{}", &list[..from], &list[to..]);
    fs::write(root.list_file(), list).unwrap();
    let (code, said) = root.at_terminal(&["task", "run", &root.list_file()], "go\n");
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("agent `aider`: not installed here; pipx install aider-chat"),
        "{said}"
    );
    assert!(
        !said.contains("Type `go`") && !said.contains("login"),
        "{said}"
    );
}

#[test]
fn a_checkout_on_no_branch_or_without_a_commit_is_refused_before_anybody_is_asked() {
    let root = Root::watched("exit 0");
    root.list("stop", &["T-1".to_owned()], "");
    let list = root.list_file();
    let ways = [
        &["task", "run", list.as_str()][..],
        &["night", "start", "--attended", list.as_str()],
        &["night", "check", list.as_str()],
    ];
    root.git(&["switch", "-q", "--detach"]);
    for words in ways {
        let (code, said) = root.at_terminal(words, "go\n");
        assert_eq!(code, Some(2), "{words:?}: {said}");
        assert!(
            said.contains("the checkout is on no branch; `git switch BRANCH` first"),
            "{said}"
        );
        assert!(!said.contains("Type `go`"), "{said}");
    }
    fs::remove_dir_all(root.root.join(".git")).unwrap();
    root.git(&["init", "-q"]);
    for words in ways {
        let (code, said) = root.at_terminal(words, "go\n");
        assert_eq!(code, Some(2), "{words:?}: {said}");
        assert!(
            said.contains("the repository has no commit yet; make a first one"),
            "{said}"
        );
    }
}

#[test]
fn a_night_says_what_cannot_fit_unless_it_is_refused() {
    let start = |root: Root, time: &str| {
        root.list("stop", &["T-1".to_owned()], "");
        root.tos(&["night", "start", "--for", time, &root.list_file()])
    };
    let words = "these tasks may take longer: T-1 (15 min)";
    let (_, said) = start(Root::new("exit 0"), "10m");
    assert!(said.contains(words), "{said}");
    let (_, said) = start(Root::new("exit 0"), "20m");
    assert!(!said.contains(words), "{said}");
    let (code, said) = start(Root::watched("exit 0"), "1s");
    assert_eq!(code, Some(5), "{said}");
    assert!(!said.contains(words), "{said}");
}

#[test]
fn a_mistyped_script_is_warned_of_before_it_fails_every_task() {
    let root = Root::watched("exit 0");
    let list = root.list_text("stop", &["T-1".to_owned()], "");
    let list = list.replace("test.sh", "tset.sh");
    assert!(list.contains("tset.sh"), "{list}");
    fs::write(root.list_file(), &list).unwrap();
    let told =
        "warning: `test_command` runs `tset.sh`, which is not in the commit that is worked on";
    for words in [["task", "validate"], ["task", "run"], ["night", "check"]] {
        let (_, said) = root.at_terminal(&[words[0], words[1], &root.list_file()], "no\n");
        assert_eq!(said.matches(told).count(), 1, "{words:?}: {said}");
    }
    // One that only lies there is in no work tree; one that is committed is.
    root.write("tset.sh", "true\n");
    let validate = ["task", "validate", &root.list_file()];
    assert!(root.tos(&validate).1.contains(told));
    root.git(&["add", "tset.sh"]);
    root.git(&["commit", "-q", "-m", "script"]);
    let (code, said) = root.tos(&validate);
    assert!(code == Some(0) && !said.contains("tset.sh"), "{said}");
}

#[test]
fn an_agent_is_asked_where_there_is_no_repository() {
    let root = logged_in();
    fs::remove_dir_all(root.root.join(".git")).unwrap();
    let (code, said) = ran(
        &root,
        &claude("no-repository", ABLE),
        &["agents", "--ask", "claude"],
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("asking claude, up to 120 s …"), "{said}");
    assert!(said.contains("works behind the wall"), "{said}");
    assert!(!root.root.join(".tos").exists(), "nothing is left behind");
}

#[test]
fn a_signal_ends_the_asking_and_what_it_started() {
    let hangs =
        "[ \"$1\" = --version ] && { echo 2; exit; }\ntouch began\nsleep 61410 & wait\nsleep 61410";
    let root = logged_in();
    let path = format!(
        "{}:/usr/local/bin:/usr/bin:/bin",
        claude("hangs", hangs).display()
    );
    let mut command = root.command(&["agents", "--ask", "claude"]);
    command
        .env("PATH", path)
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let worktrees = root.root.join(".tos/worktrees");
    super::service::until("the agent works", || holds(&worktrees, "began"));
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(sent.unwrap().success());
    let (code, said) = ended(child.wait_with_output().unwrap());
    assert_eq!(code, Some(4), "{said}");
    assert!(!holds(&worktrees, "began"), "its folder is gone");
    let alive = fs::read_dir("/proc").unwrap().flatten();
    let alive = alive.filter_map(|one| fs::read(one.path().join("cmdline")).ok());
    let sleeps = alive.filter(|words| words == b"sleep\x0061410\0").count();
    assert_eq!(sleeps, 0, "what it started is ended");
}

/// Returns whether a file of that name is somewhere below a folder.
fn holds(folder: &std::path::Path, name: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|one| one.path())
        .any(|path| path.ends_with(name) || path.is_dir() && holds(&path, name))
}

#[test]
fn an_agent_that_only_talks_is_not_able() {
    let talks = ABLE.replace("sh ./tos-check.sh\n", "");
    let root = logged_in();
    let (code, said) = ran(
        &root,
        &claude("talks", &talks),
        &["agents", "--ask", "claude"],
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("it answers, but it ran no command"), "{said}");
    let spent = "cat >/dev/null; echo '{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"result\":\"Credit balance is too low\"}'; exit 1";
    let (code, said) = ran(
        &root,
        &claude("spent", spent),
        &["agents", "--ask", "claude"],
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("Credit balance is too low; add credit"),
        "{said}"
    );
}

#[test]
fn a_check_leaves_the_checkout_and_the_environment_alone() {
    // It would change whatever folder it is started in and tell whatever it finds in its environment.
    let curious = "env >\"$(dirname \"$0\")/seen\"; pwd >\"$(dirname \"$0\")/where\"; echo bad >>app.py; echo ready";
    let root = Root::new(curious);
    root.list("stop", &["T-1".to_owned()], "");
    let mut command = root.silent(&["night", "check", &root.list_file()]);
    let ended = command
        .env("MY_API_KEY", "sk-0123456789abcdef")
        .status()
        .unwrap();
    assert_eq!(ended.code(), Some(0));
    let read = |name: &str| fs::read_to_string(root.home.path().join(name)).unwrap();
    assert!(!read("seen").contains("MY_API_KEY"), "{}", read("seen"));
    assert!(!read("where").trim().ends_with("work"), "{}", read("where"));
    assert_eq!(
        fs::read_to_string(root.root.join("app.py")).unwrap(),
        "x = 1\n"
    );
    assert_eq!(root.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_program_of_the_repository_is_not_started_for_a_question() {
    let root = Root::new("exit 0");
    root.write("agent.sh", "touch ../started; echo ready\n");
    let list = root.list_text("stop", &["T-1".to_owned()], "");
    let agent = root.home.path().join("agent.sh");
    fs::write(
        root.list_file(),
        list.replace(agent.to_str().unwrap(), "agent.sh"),
    )
    .unwrap();
    let (code, said) = root.tos(&["night", "check", &root.list_file()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("was not asked"), "{said}");
    assert!(!root.home.path().join("started").exists());
}
