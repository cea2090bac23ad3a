//! Guarded tasks through the program: real repositories, real agents that are small scripts, real tests.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::format_push_string,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod ends;
mod judged;
mod plans;
mod sharing;

#[path = "../support/ended.rs"]
mod ended;
#[path = "../support/list_root.rs"]
mod list_root;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/repository.rs"]
mod repository;
#[path = "../support/root.rs"]
mod root;
#[path = "../support/terminal.rs"]
mod terminal;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use ended::ended;
use root::Root;
use terminal::at_terminal;

/// How the program ended and everything it printed.
type Ended = (Option<i32>, String);

const BASE: &str = "def add(a, b):\n    return a - b\n";
const FIXED: &str = "printf 'def add(a, b):\\n    return a + b\\n' > app.py";

impl Root {
    /// A repository with a mistake in it, and gates under which the tests may work alone.
    fn new() -> Self {
        Self::watched().alone("")
    }

    /// The same under the built-in gates.
    fn watched() -> Self {
        Self::with_files(&[
            ("app.py", BASE),
            (
                "test.sh",
                "#!/bin/sh\ngrep -q 'a + b' app.py || { echo 'add is wrong'; exit 1; }\n",
            ),
            (".gitignore", "*.log\n/.tos/\n"),
        ])
    }

    /// Writes a list; each task is an id, what its agent does in a shell, and more lines of TOML.
    fn list(&self, on_failure: &str, tasks: &[(&str, &str, &str)]) {
        let mut text = format!(
            "schema = 1\nid = \"demo\"\non_failure = \"{on_failure}\"\nsandbox = \"off\"\n\n[agent]\nkind = \"command\"\nargs = [\"sh\", \"agent.sh\", \"{{prompt}}\"]\n"
        );
        for (id, script, more) in tasks {
            let file = self.home.path().join(format!("{id}.sh"));
            fs::write(&file, format!("{script}\n")).unwrap();
            let agent = format!(
                "{{ kind = \"command\", args = [\"sh\", \"{}\", \"{{prompt}}\"] }}",
                file.display()
            );
            text.push_str(&format!(
                "\n[[task]]\nid = \"{id}\"\ngoal = \"repair add\"\nprompt = \"Make add add.\"\nclass = \"fix\"\ntest_command = [\"sh\", \"test.sh\"]\nagent = {agent}\n{more}\n"
            ));
        }
        fs::write(self.home.path().join("list.toml"), text).unwrap();
    }

    fn run(&self) -> Ended {
        let list = self.home.path().join("list.toml");
        self.tos(&["task", "run", list.to_str().unwrap()])
    }

    fn records(&self, kind: &str) -> Vec<serde_json::Value> {
        let output = self
            .command(&["ledger", "show", "--json", "--kind", kind])
            .output()
            .unwrap();
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        value["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["entry"].clone())
            .collect()
    }

    /// Everything of the user's that must stay as it is.
    fn untouched(&self) -> (String, String, String) {
        (
            self.git(&["rev-parse", "HEAD"]),
            self.git(&["status", "--porcelain"]),
            self.git(&["for-each-ref", "refs/heads", "refs/tags"]),
        )
    }

    fn left_over(&self) -> Vec<PathBuf> {
        let folder = self.root.join(".tos/worktrees");
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }
}

#[test]
fn accepted_work_waits_for_a_fast_forward_and_touches_nothing_else() {
    let root = Root::new();
    root.list("stop", &[("T-1", FIXED, "")]);
    let before = root.untouched();
    let (code, said) = root.run();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(root.untouched(), before);
    assert_eq!(root.left_over(), Vec::<PathBuf>::new());
    let reference = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/runs"]);
    assert!(
        said.contains(&format!("git merge --ff-only {reference}")),
        "{said}"
    );
    let message = root.git(&["log", "-1", "--format=%B", &reference]);
    assert!(
        message.starts_with("task(T-1): repair add\n\nTos-Ledger: 0:"),
        "{message}"
    );
    let task = &root.records("task")[0]["end"];
    assert_eq!(
        (&task["outcome"], &task["class"], &task["files"]),
        (&"success".into(), &"fix".into(), &1.into())
    );
    root.git(&["merge", "-q", "--ff-only", &reference]);
    assert!(
        fs::read_to_string(root.root.join("app.py"))
            .unwrap()
            .contains("a + b")
    );
    assert_eq!(root.tos(&["ledger", "verify"]).0, Some(0));
}

#[test]
fn work_that_is_refused_is_undone_without_residue_and_kept_for_people() {
    let root = Root::new();
    let evil = format!(
        "{FIXED}; echo 'import subprocess' >> app.py; git add -A; git commit -qm mine; echo x > residue.log; touch new"
    );
    root.list("stop", &[("T-1", &evil, "")]);
    let before = root.untouched();
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("the change was refused"), "{said}");
    assert_eq!(root.untouched(), before);
    let rollback = &root.records("rollback")[0];
    assert_eq!(
        (&rollback["ok"], &rollback["before"]),
        (&true.into(), &rollback["after"])
    );
    assert_eq!(root.left_over(), Vec::<PathBuf>::new());
    let kept = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/attempts"]);
    assert!(
        root.git(&["show", &format!("{kept}:app.py")])
            .contains("import subprocess")
    );
}

#[test]
fn what_git_cannot_hold_is_moved_out_of_the_way_and_not_deleted() {
    let root = Root::new();
    let nested =
        format!("{FIXED}; mkdir nested; git -C nested init -q; echo precious > nested/file");
    root.list("stop", &[("T-1", &nested, "")]);
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("another repository inside this one"),
        "{said}"
    );
    let aside: Vec<_> = fs::read_dir(root.root.join(".tos/set-aside"))
        .unwrap()
        .collect();
    let folder = aside[0].as_ref().unwrap().path();
    assert_eq!(
        fs::read_to_string(folder.join("nested/file")).unwrap(),
        "precious\n"
    );
    let rollback = &root.records("rollback")[0];
    assert_eq!(
        (&rollback["ok"], &rollback["kept"]),
        (&true.into(), &folder.display().to_string().into())
    );
    let (_, summary) = root.tos(&["night", "summary"]);
    assert!(
        summary.contains(&folder.display().to_string()) && !summary.contains("refs/tos/attempts"),
        "{summary}"
    );
}

#[test]
fn the_command_that_decides_may_not_be_changed() {
    let root = Root::new();
    root.list(
        "stop",
        &[("T-1", &format!("{FIXED}; echo exit 0 > test.sh"), "")],
    );
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("touches test.sh, which decides"), "{said}");
}

#[test]
fn a_second_try_is_told_why_and_can_succeed() {
    let root = Root::new();
    let script = format!(
        "case \"$1\" in *'second and last try'*'add is wrong'*) {FIXED};; *) echo '# no' >> app.py;; esac"
    );
    root.list("retry_then_stop", &[("T-1", &script, "")]);
    let (code, said) = root.run();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(root.records("retry.success").len(), 1);
    assert_eq!(root.records("task")[0]["end"]["attempts"], 2);
}

#[test]
fn a_failure_says_why_and_where_everything_that_was_said_lies() {
    let root = Root::new();
    let fails = "echo working; echo first >&2; printf 'no \\033[31mkey ghp_0123456789abcdefghijABCDEFGHIJ012345\\n\\n' >&2; exit 2";
    root.list(
        "retry_then_skip_dependents",
        &[("T-1", fails, ""), ("T-2", "echo '# no' >> app.py", "")],
    );
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    let reasons: Vec<_> = root
        .records("task")
        .iter()
        .map(|task| task["end"]["reason"].clone())
        .collect();
    assert_eq!(
        reasons,
        [
            "the agent ended with 2: no \\u{1b}[31mkey [redacted]",
            "the tests ended with 1: add is wrong"
        ]
    );
    for reason in reasons {
        assert!(said.contains(reason.as_str().unwrap()), "{said}");
    }
    assert!(!said.contains('\u{1b}'), "{said}");
    let places = said.split("all that the agent said: ").nth(1).unwrap();
    let file = places.split([',', '\n']).next().unwrap();
    let whole = fs::read_to_string(root.root.join(file)).unwrap();
    assert!(whole.starts_with("first\nno "), "{whole}");
}

#[test]
fn a_check_says_what_a_run_would_refuse_and_the_example_of_the_documentation_passes() {
    let root = Root::new();
    root.list("stop", &[("T-1", FIXED, "")]);
    let file = root.home.path().join("list.toml");
    let list = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        list.replacen("sandbox", "share = [\"deps\"]\nsandbox", 1),
    )
    .unwrap();
    let check = || root.tos(&["task", "check", file.to_str().unwrap()]);
    let (code, said) = check();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("`share` names `deps`, which is no folder of"),
        "{said}"
    );
    assert_eq!(root.run(), (code, said));
    root.write(".gitignore", "*.log\n/.tos/\n/deps/\n");
    fs::create_dir(root.root.join("deps")).unwrap();
    assert_eq!(
        check(),
        (Some(0), "demo: 1 tasks, nothing wrong\n".to_owned())
    );
    let manual = include_str!("../../docs/tasks.md");
    let example = manual.split("```toml\n").nth(1).unwrap();
    fs::write(&file, example.split("```").next().unwrap()).unwrap();
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("tuesday: 1 tasks, nothing wrong\n"), "{said}");
}

#[test]
fn two_failed_tasks_in_a_row_stop_everything() {
    let root = Root::new();
    let wrong = "echo '# no' >> app.py";
    root.list(
        "retry_then_stop",
        &[("T-1", wrong, ""), ("T-2", wrong, ""), ("T-3", FIXED, "")],
    );
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("0 of 3 tasks passed: two tasks failed in a row"),
        "{said}"
    );
    let outcomes: Vec<String> = root
        .records("task")
        .iter()
        .map(|task| task["end"]["outcome"].to_string())
        .collect();
    assert_eq!(outcomes, ["\"failed\"", "\"failed\"", "\"not_run\""]);
    assert_eq!(root.records("retry.failed").len(), 2);
    assert_eq!(
        root.records("session.end")[0]["end"]["ended_by"],
        "two_failures"
    );
}

#[test]
fn later_tasks_build_on_earlier_ones_and_dependents_of_a_failure_are_skipped() {
    let root = Root::new();
    let more = "echo 'more = 1' >> app.py";
    root.list(
        "retry_then_skip_dependents",
        &[
            ("a", FIXED, ""),
            ("b", "true", ""),
            ("c", more, "depends_on = [\"b\"]"),
            (
                "d",
                &format!("grep -q 'a + b' app.py && {more}"),
                "depends_on = [\"a\"]",
            ),
        ],
    );
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    for line in [
        "success  a",
        "failed   b  the agent changed nothing",
        "skipped  c  what it needs failed",
        "success  d",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
}

#[test]
fn work_that_does_not_hold_together_is_given_up_to_the_last_checkpoint() {
    let root = Root::new();
    let gates = fs::read_to_string(root.root.join("config/gates.toml")).unwrap();
    let every = gates.replacen("[phase.1]\n", "[phase.1]\ncheckpoint_every = 2\n", 1);
    root.write("config/gates.toml", &every);
    root.git(&["commit", "-qam", "checkpoints"]);
    let add = |text: &str| format!("echo '{text} = 1' >> app.py");
    root.list(
        "retry_then_skip_dependents",
        &[
            ("a", FIXED, ""),
            ("b", &add("two"), ""),
            ("c", &add("three"), ""),
            ("d", &add("broken"), ""),
            ("e", &add("five"), ""),
        ],
    );
    let list = root.home.path().join("list.toml");
    let text = fs::read_to_string(&list).unwrap();
    let whole = "full_test_command = [\"sh\", \"-c\", \"! grep broken app.py\"]\n";
    fs::write(
        &list,
        text.replacen("on_failure", &format!("{whole}on_failure"), 1),
    )
    .unwrap();
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    let reference = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/runs"]);
    let app = root.git(&["show", &format!("{reference}:app.py")]);
    assert!(app.contains("two") && app.contains("five"), "{app}");
    assert!(!app.contains("three") && !app.contains("broken"), "{app}");
    let numbers: Vec<u64> = root
        .records("checkpoint")
        .iter()
        .map(|one| one["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2], "one after two tasks, one at the end");
    let restore = &root.records("checkpoint.restore")[0];
    assert_eq!(restore["undone"], serde_json::json!(["c", "d"]));
    let kept = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/attempts"]);
    let kept = kept.lines().find(|name| name.contains("whole")).unwrap();
    assert!(
        root.git(&["show", &format!("{kept}:app.py")])
            .contains("broken")
    );
    assert!(
        said.contains("failed   c  undone: the whole did not hold"),
        "{said}"
    );
}

#[test]
fn a_limit_stops_everything_at_once() {
    let root = Root::new();
    let many = format!("{FIXED}; for n in 1 2 3 4 5 6; do echo '# x' > $n.md; done");
    root.list("retry_then_stop", &[("T-1", &many, ""), ("T-2", FIXED, "")]);
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("a task reached a limit"), "{said}");
    let limit = &root.records("limit")[0];
    assert_eq!((&limit["actual"], &limit["limit"]), (&7.into(), &5.into()));
    assert_eq!(root.records("session.end")[0]["end"]["limit_breach"], 1);
}

#[test]
fn an_agent_that_hangs_is_ended_with_everything_it_started() {
    let root = Root::new();
    let mark = root.home.path().join("alive");
    let script = format!(
        "(setsid sh -c 'sleep 3; touch {}' &) ; sleep 600",
        mark.display()
    );
    root.list(
        "retry_then_stop",
        &[("T-1", &script, "max_time_seconds = 1")],
    );
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("the agent took longer than 1 s"), "{said}");
    assert_eq!(
        root.records("task")[0]["end"]["attempts"],
        1,
        "a timeout is not tried again"
    );
    let left = Command::new("pgrep")
        .args(["-f", mark.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(left.stdout.is_empty(), "nothing it started is alive");
}

#[test]
fn touching_the_users_repository_is_a_broken_promise() {
    let root = Root::new();
    let script = format!(
        "{FIXED}; common=$(git rev-parse --git-common-dir); printf '#!/bin/sh\\n' > $common/hooks/pre-commit"
    );
    root.list(
        "retry_then_stop",
        &[("T-1", &script, ""), ("T-2", FIXED, "")],
    );
    let (code, said) = root.run();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the user's repository was changed: hooks/pre-commit"),
        "{said}"
    );
    assert_eq!(root.records("invariant_broken").len(), 1);
    assert_eq!(root.records("session.end")[0]["end"]["invariant_broken"], 1);
}

#[test]
fn the_agent_sees_neither_keys_nor_the_users_home() {
    let root = Root::new();
    let script = format!("env > seen.md; echo \"home=$HOME\" >> seen.md; {FIXED}");
    root.list("stop", &[("T-1", &script, "")]);
    let list = root.home.path().join("list.toml");
    let output = root
        .command(&["task", "run", list.to_str().unwrap()])
        .env("OPENAI_API_KEY", "not-for-agents")
        .env("SSH_AUTH_SOCK", "/run/agent")
        .env("https_proxy", "http://proxy.test")
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let reference = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/runs"]);
    let seen = root.git(&["show", &format!("{reference}:seen.md")]);
    for word in [
        "OPENAI_API_KEY",
        "not-for-agents",
        "SSH_AUTH_SOCK",
        "proxy.test",
    ] {
        assert!(!seen.contains(word), "{word} in {seen}");
    }
    assert!(
        seen.contains("/.tos/worktrees/") && seen.contains("/home\n") || seen.ends_with("/home"),
        "{seen}"
    );
}

/// A login whose access token has ended; with each renewal the token before is dead.
fn login(token: u32, expires: u64) -> String {
    format!(r#"{{"access":"a-{token}","refresh":"r-{token}","expires":{expires}}}"#)
}

/// What an agent does that renews its login where that has ended, and then works.
fn renewing(token: u32, work: &str) -> String {
    let renewed = login(token + 1, 4_000_000_000_000);
    format!(
        "grep -q '\"r-{token}\"' ~/.agent/auth.json || {{ echo 'your refresh token was already used'; exit 1; }}; \
         printf '%s' '{renewed}' > ~/.agent/new && mv ~/.agent/new ~/.agent/auth.json; {work}"
    )
}

#[test]
fn a_login_that_is_renewed_comes_back_and_serves_the_next_task() {
    let root = Root::new();
    let users = root.home.path().join(".agent/auth.json");
    fs::create_dir_all(users.parent().unwrap()).unwrap();
    fs::write(&users, login(1, 1000)).unwrap();
    // The second task's agent fails after it has renewed the login again.
    let tasks = [("T-1", renewing(1, FIXED)), ("T-2", renewing(2, "exit 1"))];
    let tasks: Vec<_> = tasks
        .iter()
        .map(|(id, script)| (*id, script.as_str(), ""))
        .collect();
    root.list("stop", &tasks);
    let list = root.home.path().join("list.toml");
    let text = fs::read_to_string(&list).unwrap();
    let text = text.replace(
        "\"{prompt}\"] }",
        "\"{prompt}\"], credentials = [\".agent/auth.json\"] }",
    );
    fs::write(&list, text).unwrap();
    let said = root.run().1;
    assert!(said.contains("T-1 passed"), "{said}");
    let now = fs::read_to_string(&users).unwrap();
    assert!(now.contains("\"r-3\""), "{now}: {said}");
    assert!(
        !root
            .root
            .join(".tos/logins")
            .read_dir()
            .is_ok_and(|mut left| left.next().is_some())
    );
}

#[test]
fn two_agents_of_two_repositories_renew_one_login_once() {
    let one = Root::new();
    let users = one.home.path().join(".agent/auth.json");
    fs::create_dir_all(users.parent().unwrap()).unwrap();
    fs::write(&users, login(1, 1000)).unwrap();
    // Whoever finds the old token renews it; the server knows it no more after that.
    let server = one.home.path().join("used");
    let script = format!(
        "if grep -q '\"r-1\"' ~/.agent/auth.json; then mkdir '{}' || {{ echo 'already used'; exit 1; }}; \
         printf '%s' '{}' > ~/.agent/new && mv ~/.agent/new ~/.agent/auth.json; fi; {FIXED}",
        server.display(),
        login(2, 4_000_000_000_000)
    );
    let two = Root::new();
    let mut running = Vec::new();
    for root in [&one, &two] {
        root.list("stop", &[("T-1", &script, "")]);
        let list = root.home.path().join("list.toml");
        let text = fs::read_to_string(&list).unwrap();
        let text = text.replace(
            "\"{prompt}\"] }",
            "\"{prompt}\"], credentials = [\".agent/auth.json\"] }",
        );
        fs::write(&list, text).unwrap();
        let mut command = root.command(&["task", "run", list.to_str().unwrap()]);
        // Both belong to one user.
        running.push(command.env("HOME", one.home.path()).spawn().unwrap());
    }
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(
        fs::read_to_string(&users).unwrap(),
        login(2, 4_000_000_000_000)
    );
}

#[test]
fn behind_a_wall_the_agent_cannot_write_outside_its_room() {
    let root = Root::new();
    let outside = root.root.join("outside");
    let script = format!(
        "{FIXED}; touch {} ../../../../../outside; true",
        outside.display()
    );
    let text = format!(
        "schema = 1\nid = \"demo\"\n[agent]\nkind = \"command\"\nargs = [\"sh\", \"-c\", \"\"\"{}\"\"\", \"sh\", \"{{prompt}}\"]\n\
         [[task]]\nid = \"T-1\"\ngoal = \"repair add\"\nprompt = \"Make add add.\"\nclass = \"fix\"\ntest_command = [\"sh\", \"test.sh\"]\n",
        script.replace('\\', "\\\\")
    );
    fs::write(root.home.path().join("list.toml"), text).unwrap();
    let (code, said) = root.run();
    assert_eq!(code, Some(0), "{said}");
    let start = root.records("session.start")[0]["start"].clone();
    let confined = start["capabilities"]
        .as_array()
        .unwrap()
        .iter()
        .any(|word| word == "fs_confined");
    if !confined {
        println!("no wall on this machine: not counted");
        return;
    }
    assert!(!outside.exists());
}

#[test]
fn a_wall_around_an_agent_with_hosts_is_tried_with_hosts() {
    let root = Root::new();
    let text = format!(
        "schema = 1\nid = \"demo\"\n[agent]\nkind = \"command\"\nhosts = [\"api.example.com\"]\nargs = [\"sh\", \"-c\", \"\"\"{}; env | grep -i proxy > seen.md; true\"\"\", \"sh\", \"{{prompt}}\"]\n\
         [[task]]\nid = \"T-1\"\ngoal = \"repair add\"\nprompt = \"Make add add.\"\nclass = \"fix\"\ntest_command = [\"sh\", \"test.sh\"]\n",
        FIXED.replace('\\', "\\\\")
    );
    fs::write(root.home.path().join("list.toml"), text).unwrap();
    let (code, said) = root.run();
    assert_eq!(code, Some(0), "{said}");
    let start = root.records("session.start")[0]["start"].clone();
    let limited = start["capabilities"]
        .as_array()
        .unwrap()
        .iter()
        .any(|word| word == "net_allowlist");
    let reference = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/runs"]);
    let seen = root.git(&["show", &format!("{reference}:seen.md")]);
    // Whoever is behind a wall with a list of hosts is shown the way through it, and nobody else is.
    assert_eq!(seen.contains("127.0.0.1"), limited, "{seen} {start}");
}

#[test]
fn a_work_tree_that_was_made_another_repositorys_is_not_believed() {
    let root = Root::new();
    let script = format!(
        "{FIXED}; rm .git; git init -q .; git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x"
    );
    root.list("stop", &[("T-1", &script, "")]);
    let before = root.untouched();
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("was made another repository's"), "{said}");
    assert_eq!(root.records("rollback")[0]["ok"], true);
    assert_eq!(root.untouched(), before);
}

#[test]
fn a_phase_that_must_be_watched_refuses_to_work_alone() {
    let root = Root::watched();
    root.list("stop", &[("T-1", FIXED, "")]);
    let (code, said) = root.run();
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("autonomy level 1 allows no unattended run. Open: successes 0/5"),
        "{said}"
    );
    assert_eq!(root.records("session.start").len(), 0);
    assert_eq!(root.git(&["for-each-ref", "refs/tos"]), "");
}

#[test]
fn a_watched_task_starts_when_the_person_says_go() {
    for (typed, code) in [("go\n", 0), ("no\n", 4)] {
        let root = Root::watched();
        root.list("stop", &[("T-1", FIXED, "")]);
        let list = root.home.path().join("list.toml");
        let command = root.command(&["task", "run", list.to_str().unwrap()]);
        let (ended, said) = at_terminal(command, typed);
        assert_eq!(ended, Some(code), "{said}");
    }
}

#[test]
fn a_run_that_was_killed_is_on_record_and_loses_nothing() {
    let root = Root::new();
    root.list(
        "stop",
        &[("T-1", "echo half > half.md; touch started; sleep 61317", "")],
    );
    let list = root.home.path().join("list.toml");
    let mut child = root
        .command(&["task", "run", list.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = || {
        let found = Command::new("find")
            .arg(root.root.join(".tos/worktrees"))
            .args(["-name", "started"])
            .output()
            .unwrap();
        !found.stdout.is_empty()
    };
    while !started() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it must still be at work"
        );
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    root.list("stop", &[("T-1", FIXED, "")]);
    let (code, said) = root.run();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ended badly"), "{said}");
    let ends = root.records("session.end");
    assert_eq!(
        (&ends[0]["end"]["ended_by"], &ends[0]["end"]["abnormal"]),
        (&"crash".into(), &1.into())
    );
    let kept = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/attempts"]);
    assert_eq!(root.git(&["show", &format!("{kept}:half.md")]), "half");
    let alive = Command::new("pgrep")
        .args(["-f", "^sleep 61317"])
        .output()
        .unwrap();
    assert!(
        alive.stdout.is_empty(),
        "the orphans of the killed run are ended"
    );
}

#[test]
fn shared_folders_are_there_for_agent_and_tests_and_stay_what_they_are() {
    let root = Root::new();
    root.write("deps/lib/answer", "42\n");
    root.write(".gitignore", "*.log\n/.tos/\n/deps/\n");
    root.write(
        "test.sh",
        "#!/bin/sh\ngrep -q 'a + b' app.py && grep -q 4 deps/lib/answer\n",
    );
    root.git(&["add", "-A"]);
    root.git(&["commit", "-q", "-m", "deps"]);
    let spoils = "echo spoilt-4 > deps/lib/answer; echo x > deps/new";
    let script = format!("grep -q 42 deps/lib/answer && {FIXED}; {spoils}");
    root.list("retry_then_stop", &[("a", "true", ""), ("b", &script, "")]);
    let file = root.home.path().join("list.toml");
    let text = fs::read_to_string(&file).unwrap();
    let with = |share: &str| format!("share = [\"{share}\"]\n{text}");
    for (name, why) in [
        ("nothing", "which is no folder of"),
        ("config", "which git does not ignore"),
        ("../x", "must be a folder below the root"),
    ] {
        fs::write(&file, with(name)).unwrap();
        let (code, said) = root.run();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(root.records("session.start").len(), 0);
    fs::write(&file, with("deps")).unwrap();
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("success  b"), "{said}");
    assert_eq!(root.records("rollback")[0]["ok"], true);
    let kept = fs::read_to_string(root.root.join("deps/lib/answer")).unwrap();
    assert_eq!(
        (kept.as_str(), root.root.join("deps/new").exists()),
        ("42\n", false)
    );
    let reference = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/runs"]);
    assert_eq!(
        root.git(&["ls-tree", "-r", "--name-only", &reference, "deps"]),
        ""
    );
}

#[test]
fn an_agent_that_fills_the_disk_is_ended_while_it_does_so() {
    let root = Root::new();
    let script =
        format!("{FIXED}; dd if=/dev/zero of=big.log bs=1M count=40 2>/dev/null; sleep 600");
    root.list(
        "retry_then_stop",
        &[("T-1", &script, ""), ("T-2", FIXED, "")],
    );
    let file = root.home.path().join("list.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("disk_mb = 8\n{text}")).unwrap();
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("MB, and 8 MB are allowed"), "{said}");
    let limit = &root.records("limit")[0];
    assert_eq!(
        (&limit["name"], &limit["limit"]),
        (&"disk".into(), &8.into())
    );
    assert_eq!(root.records("session.end")[0]["end"]["limit_breach"], 1);
    assert_eq!(root.left_over().len(), 0);
}

#[test]
fn a_list_with_mistakes_names_all_of_them_and_runs_nothing() {
    let root = Root::new();
    root.list(
        "stop",
        &[
            ("T-1", FIXED, "depends_on = [\"T-9\"]"),
            ("t-1", FIXED, "max_time_seconds = 0"),
        ],
    );
    let (code, said) = root.run();
    assert_eq!(code, Some(2), "{said}");
    for piece in [
        "names `T-9`",
        "another task has the same `id`",
        "must be above 0",
    ] {
        assert!(said.contains(piece), "{piece}: {said}");
    }
}

#[test]
fn a_list_whose_agent_is_not_there_does_not_begin() {
    let root = Root::new();
    root.list("stop", &[("T-1", FIXED, "")]);
    let list = root.home.path().join("list.toml");
    let text = fs::read_to_string(&list).unwrap();
    let own = root.home.path().join("T-1.sh");
    let words = format!("\"sh\", \"{}\"", own.display());
    assert!(text.contains(&words));
    fs::write(&list, text.replace(&words, "\"no-such-agent\"")).unwrap();
    let (code, said) = root.run();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("agent `no-such-agent`: "), "{said}");
    assert!(root.records("session.start").is_empty());
    assert!(root.left_over().is_empty());
}

#[test]
fn a_way_to_tell_people_that_fails_never_fails_the_run() {
    let root = Root::new();
    let mail = root.home.path().join("mail.sh");
    fs::write(
        &mail,
        format!(
            "#!/bin/sh\ncat >> {}\n",
            root.home.path().join("mails").display()
        ),
    )
    .unwrap();
    fs::set_permissions(&mail, fs::Permissions::from_mode(0o755)).unwrap();
    root.write(
        "config/notify.toml",
        &format!("[[notify]]\nkind = \"webhook\"\nurl_env = \"HOOK\"\n[[notify]]\nkind = \"mail\"\ncommand = [\"{}\"]\n", mail.display()),
    );
    root.list("stop", &[("T-1", FIXED, "")]);
    let list = root.home.path().join("list.toml");
    let output = root
        .command(&["task", "run", list.to_str().unwrap()])
        .env("HOOK", "http://127.0.0.1:9/secret-path")
        .output();
    let (code, said) = ended(output.unwrap());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("webhook could not be told") && !said.contains("secret-path"),
        "{said}"
    );
    let mails = fs::read_to_string(root.home.path().join("mails")).unwrap();
    assert!(
        mails.contains("Subject: [tos] T-1 passed") && mails.contains("1 of 1 tasks passed"),
        "{mails}"
    );
    assert_eq!(root.records("session.end")[0]["end"]["notified"], 3);
}
