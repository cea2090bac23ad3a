//! Nights through the program: a real repository, an agent that is a small script, a kill, a quota, a budget.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod agents;
mod clock;
mod lists;
mod service;
mod sink;

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
    process::{Child, Command},
};

use root::Root;
use serde_json::Value;
use tempfile::TempDir;

/// What the agent does in every night: answers, works, fails where it is told to, meets a quota, hangs once.
const AGENT: &str = r##"
here=$(dirname "$0")
echo '{"total_cost_usd": 0.01}'
case "$TOS_TASK" in
  health) echo ready; exit 0 ;;
  T-05|T-09|T-13|T-17) echo "# not what was asked for" > "wrong-$TOS_TASK.py"; exit 0 ;;
  T-03) if [ ! -e "$here/quota" ]; then
          touch "$here/quota"; echo 'usage limit reached; resets_in_seconds: 1' >&2; exit 1
        fi ;;
  T-11) if [ ! -e "$here/hung" ]; then
          echo half > half.md; touch "$here/hung"; exec sleep 61409
        fi ;;
esac
printf 'def made():\n    return "%s"\n' "$TOS_TASK" > "$TOS_TASK.py"
"##;

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("T-{n:02}")).collect()
}

fn of<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let fits = |record: &&Value| record["entry"]["kind"] == kind;
    records.iter().filter(fits).collect()
}

/// The records of a night, read by themselves.
struct Night {
    records: Vec<Value>,
}

impl Night {
    fn of(&self, kind: &str) -> Vec<&Value> {
        of(&self.records, kind)
    }

    fn with(&self, outcome: &str) -> Vec<&str> {
        let ends = self
            .of("task")
            .into_iter()
            .map(|task| &task["entry"]["end"]);
        ends.filter(|end| end["outcome"] == outcome)
            .map(|end| end["task"].as_str().unwrap())
            .collect()
    }

    fn sum(&self, kind: &str, name: &str) -> u64 {
        let ends = self.of(kind).into_iter().map(|one| &one["entry"]["end"]);
        ends.map(|end| end[name].as_u64().unwrap()).sum()
    }
}

fn killed_in_the_middle(root: &Root) {
    let mut child = root
        .silent(&["night", "start", "--for", "1h", &root.list_file()])
        .spawn()
        .unwrap();
    while !root.home.path().join("hung").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it must be at work");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What only reads does not say that a dead tos is at work.
    for words in [["night", "list"], ["night", "summary"]] {
        let (_, said) = root.tos(&words);
        assert!(
            said.contains("tos or the machine died"),
            "{words:?}: {said}"
        );
        assert!(!said.contains("running"), "{words:?}: {said}");
    }
}

fn the_summary_is_the_ledger(root: &Root, night: &Night) {
    let summary = root.json(&["night", "summary"]);
    let numbers = [
        ("/counts/success", night.with("success").len() as u64),
        ("/counts/failed", night.with("failed").len() as u64),
        ("/retries", night.of("retry.start").len() as u64),
        ("/rollbacks/0", night.of("rollback").len() as u64),
        ("/checkpoints", night.of("checkpoint").len() as u64),
        ("/micro_usd", night.sum("task", "micro_usd")),
        ("/active_s", night.sum("session.end", "active_s")),
        ("/wall_s", night.sum("session.end", "wall_s")),
        ("/quota_s", 1),
    ];
    for (place, number) in numbers {
        assert_eq!(summary.pointer(place), Some(&number.into()), "{place}");
    }
    let run = summary["run"].as_str().unwrap();
    let kept = root.root.join(format!(".tos/nights/{run}"));
    let file = fs::read(kept.join("summary.json")).unwrap();
    let mut printed = summary.clone();
    // The file is of the night, the code of the command.
    printed.as_object_mut().unwrap().remove("exit_code");
    assert_eq!(serde_json::from_slice::<Value>(&file).unwrap(), printed);
    let page = fs::read_to_string(kept.join("summary.html")).unwrap();
    assert!(page.contains("T-20") && page.contains("prefers-color-scheme:dark"));
    assert!(!page.contains("http"), "it needs nothing but itself");
}

#[test]
fn a_night_of_twenty_tasks_with_failures_a_quota_and_a_kill_is_told_as_the_ledger_has_it() {
    let root = Root::new(AGENT);
    root.list("retry_then_skip_dependents", &names(20), "");
    killed_in_the_middle(&root);
    let (_, said) = root.tos(&["status"]);
    assert!(said.contains("interrupted"), "{said}");
    assert!(said.contains("tos night resume"), "{said}");
    let (code, said) = root.tos(&["night", "resume"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("ended badly"), "{said}");
    assert!(
        said.contains("16 of 20 tasks passed: all tasks tried"),
        "{said}"
    );
    let alive = Command::new("pgrep").args(["-f", "^sleep 61409"]).output();
    assert!(alive.unwrap().stdout.is_empty(), "orphans are ended");

    let night = Night {
        records: root.records(),
    };
    let ends = night.of("session.end");
    let by: Vec<&Value> = ends
        .iter()
        .map(|end| &end["entry"]["end"]["ended_by"])
        .collect();
    assert_eq!(by, ["crash", "queue_empty"]);
    assert_eq!(night.sum("session.end", "abnormal"), 1);
    assert_eq!(night.with("failed"), ["T-05", "T-09", "T-13", "T-17"]);
    assert_eq!(night.with("success").len(), 16);
    assert_eq!(night.of("task").len(), 20, "nothing was done twice");
    assert_eq!(night.of("quota.wait").len(), 1);
    assert!(night.of("checkpoint").len() >= 4);
    // A used-up quota is no try, and every call is paid: one a success, two a failure, one for the quota.
    assert_eq!(night.sum("task", "attempts"), 16 + 2 * 4);
    assert_eq!(night.sum("task", "micro_usd"), 10_000 * (16 + 2 * 4 + 1));
    the_summary_is_the_ledger(&root, &night);

    let (code, said) = root.tos(&["night", "merge"]);
    assert_eq!(code, Some(0), "{said}");
    let there = |name: &str| root.root.join(name).exists();
    assert!(there("T-20.py") && there("T-11.py"));
    assert!(
        !there("T-05.py") && !there("half.md"),
        "only what was accepted"
    );
    assert_eq!(root.tos(&["ledger", "verify"]).0, Some(0));
}

#[test]
fn a_night_does_not_begin_when_the_agent_says_nothing() {
    let root = Root::new("exit 0");
    root.list("stop", &names(1), "");
    let mail = format!("cat >> {}", root.home.path().join("mails").display());
    root.write(
        "config/notify.toml",
        &format!("[[notify]]\nkind = \"mail\"\ncommand = [\"sh\", \"-c\", \"{mail}\"]\n"),
    );
    let (code, said) = root.tos(&["night", "start", &root.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("did not answer a question: it ended well and said nothing"),
        "{said}"
    );
    assert_eq!(
        of(&root.records(), "session.start").len(),
        0,
        "nothing began"
    );
    let mails = fs::read_to_string(root.home.path().join("mails")).unwrap();
    assert!(mails.contains("the night did not begin"), "{mails}");
    let (code, said) = root.tos(&["night", "check", &root.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    for word in [
        "answer",
        "disk",
        "git",
        "sandbox",
        "notifier",
        "clock",
        "worktrees",
        "sleep",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_healthy_machine_is_said_to_be_one() {
    let root = Root::new(AGENT);
    root.list("stop", &names(1), "");
    let checked = root.json(&["night", "check", &root.list_file()]);
    assert_eq!(checked["healthy"], true, "{checked:#}");
    assert!(
        !root
            .root
            .join(".tos/worktrees")
            .read_dir()
            .unwrap()
            .any(|_| true)
    );
}

#[test]
fn the_gate_is_asked_and_no_list_overrides_it() {
    let root = Root::watched(AGENT);
    root.list("stop", &names(1), "");
    let (code, said) = root.tos(&["night", "start", &root.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("autonomy level 1 allows no unattended run"),
        "{said}"
    );
    let (code, said) = root.tos(&["night", "start", "--attended", &root.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("needs a person at the terminal"), "{said}");
    let root = Root::new(AGENT);
    root.list("stop", &names(1), "");
    let (code, said) = root.tos(&["night", "start", "--for", "2h", &root.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("up to 1h; 2h were asked for"), "{said}");
}

#[test]
fn what_keeps_the_machine_awake_lives_as_long_as_the_night() {
    let root = Root::new(AGENT);
    root.list("stop", &["T-11".to_owned()], "");
    let bin = root.home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let guard = bin.join("systemd-inhibit");
    let script = "#!/bin/sh\nwhile [ \"${1#--}\" != \"$1\" ]; do shift; done\necho $$ >\"$HOME/guard\"; exec \"$@\"\n";
    fs::write(&guard, script).unwrap();
    fs::set_permissions(&guard, fs::Permissions::from_mode(0o755)).unwrap();
    let mut child = root
        .silent(&["night", "start", &root.list_file()])
        .env(
            "PATH",
            format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()),
        )
        .spawn()
        .unwrap();
    while !root.home.path().join("hung").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it must be at work");
        std::thread::yield_now();
    }
    let pid = fs::read_to_string(root.home.path().join("guard")).unwrap();
    let alive = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        stat.is_ok_and(|stat| stat.contains("(cat)") && !stat.contains(") Z "))
    };
    assert!(alive(), "the guard stands while the agent works");
    assert_eq!(
        root.records()[0]["entry"]["start"]["sleep_guard"],
        "systemd-inhibit"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    while alive() {
        std::thread::yield_now();
    }
    assert_eq!(root.tos(&["night", "resume"]).0, Some(0));
}

/// Presses Ctrl-C.
fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

#[test]
fn a_person_who_changes_their_mind_is_heard_during_the_check() {
    let root = Root::new("touch \"$(dirname \"$0\")/asked\"; exec sleep 61733");
    root.list("stop", &names(1), "");
    let mut child = root
        .silent(&["night", "start", &root.list_file()])
        .spawn()
        .unwrap();
    while !root.home.path().join("asked").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it must be asking");
        std::thread::yield_now();
    }
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert_eq!(of(&root.records(), "session.start").len(), 0);
    let alive = Command::new("pgrep").args(["-f", "^sleep 61733"]).output();
    assert!(
        alive.unwrap().stdout.is_empty(),
        "nothing it started is alive"
    );
}

#[test]
fn no_task_starts_that_cannot_end_in_time_and_the_rest_is_done_later() {
    let root = Root::new(AGENT);
    root.list("stop", &names(2), "");
    let (code, said) = root.tos(&["night", "start", "--for", "14m", &root.list_file()]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("0 of 2 tasks passed: time was up"), "{said}");
    assert!(said.contains("2 tasks are open"), "{said}");
    let (code, said) = root.tos(&["night", "resume", "--for", "1h"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = root.tos(&["night", "resume"]);
    assert_eq!(
        (code, said.contains("no night has open tasks")),
        (Some(1), true),
        "{said}"
    );
    let listed = root.json(&["night", "list"]);
    assert_eq!(
        listed["runs"].as_array().unwrap().len(),
        1,
        "both sessions are one run"
    );
    assert_eq!(listed["runs"][0]["sessions"].as_array().unwrap().len(), 2);
}

#[test]
fn a_quota_that_is_not_renewed_in_time_ends_the_night_without_a_failure() {
    let root = Root::new(
        "case $TOS_TASK in health) echo ok; exit 0 ;; T-02) [ -e \"$(dirname \"$0\")/renewed\" ] || { echo 'quota exceeded; resets_in_seconds: 90000' >&2; exit 1; } ;; esac\necho 'x = 1' > $TOS_TASK.py\n",
    );
    root.list("stop", &names(2), "");
    let (code, said) = root.tos(&["night", "start", &root.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    let summary = root.json(&["night", "summary"]);
    assert_eq!(summary["counts"]["blocked"], 1);
    assert_eq!(summary["counts"]["failed"], 0);
    assert_eq!(summary["sessions"][0]["end"]["ended_by"], "quota");
    let reason = summary["tasks"][1]["reason"].as_str().unwrap();
    assert!(
        reason.contains("it is renewed on "),
        "the day too: {reason}"
    );
    fs::write(root.home.path().join("renewed"), "").unwrap();
    let (code, said) = root.tos(&["night", "resume"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 of 2 tasks passed"), "{said}");
}

#[test]
fn a_person_can_end_the_wait_for_a_quota() {
    let root = Root::new(
        "[ $TOS_TASK = health ] && { echo ok; exit; }; echo 'usage limit reached; resets_in_seconds: 2000' >&2; exit 1",
    );
    root.list("stop", &names(1), "");
    let mut child = root
        .silent(&["night", "start", &root.list_file()])
        .spawn()
        .unwrap();
    while of(&root.records(), "quota.wait").is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it must be waiting");
    }
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(4));
    let summary = root.json(&["night", "summary"]);
    assert_eq!(summary["counts"]["blocked"], 1);
    assert_eq!(summary["counts"]["failed"], 0);
}

#[test]
fn in_the_lowest_phase_a_person_says_go_for_each_task() {
    let root = Root::watched(AGENT);
    root.list("stop", &names(2), "");
    let (code, said) = root.at_terminal(
        &["night", "start", "--attended", &root.list_file()],
        "go\nno\n",
    );
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("1 of 2 tasks passed: stopped by you"),
        "{said}"
    );
    assert_eq!(root.records()[0]["entry"]["start"]["attended"], true);
}

#[test]
fn who_starts_a_night_too_early_at_a_terminal_is_offered_to_stay() {
    let root = Root::watched(AGENT);
    root.list("stop", &names(1), "");
    let (code, said) = root.at_terminal(&["night", "start", &root.list_file()], "yes\ngo\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("the way to a night:") && said.contains("Type `yes`"),
        "{said}"
    );
    assert_eq!(root.records()[0]["entry"]["start"]["attended"], true);
    let (code, said) = root.at_terminal(&["night", "start", &root.list_file()], "no\n");
    assert_eq!(code, Some(5), "{said}");
}

#[test]
fn the_way_to_a_night_is_the_same_wherever_it_is_told() {
    let root = Root::watched(AGENT);
    root.list("stop", &names(1), "");
    let way = |said: &str| {
        let from = said
            .find("the way to a night:")
            .unwrap_or_else(|| panic!("{said}"));
        let lines = said[from..].lines().skip(1);
        lines
            .take_while(|line| line.starts_with("  "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (code, refused) = root.tos(&["night", "start", &root.list_file()]);
    assert_eq!(code, Some(5), "{refused}");
    let told = way(&refused);
    for (step, part) in told.iter().zip([
        "1. with you at the terminal, now: tos night start --attended LIST",
        "2. to let it work alone, first: tos task run LIST with you at the terminal, until all are there (successes 0/5, kinds 0/3)",
        "3. tos drill danger-symbol test-failure forbidden-import two-failures (failure-drills 0/4)",
        "4. tos autonomy promote 2a",
        "5. tos night start LIST",
        "6. or once without that",
    ]) {
        assert!(step.contains(part), "{step}\n{part}");
    }
    assert_eq!(told.len(), 6);
    assert_eq!(way(&root.tos(&["phase", "status"]).1), told);
    let (code, said) = root.tos(&["night", "start", "--attended", &root.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("start it at a terminal"), "{said}");
}

#[test]
fn a_budget_is_kept() {
    let dear = "[ $TOS_TASK = health ] && echo ok; echo '{\"total_cost_usd\": 0.6}'; echo 'x = 1' > $TOS_TASK.py";
    let root = Root::new(dear);
    root.list("stop", &names(4), "max_usd = 1\n");
    let (code, said) = root.tos(&["night", "start", &root.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("2 of 4 tasks passed: the money is spent"),
        "{said}"
    );
    assert!(said.contains("$1.20 spent"), "{said}");
}

#[test]
fn a_cost_that_nobody_says_is_told_once_and_ends_nothing() {
    let silent = Root::new("[ $TOS_TASK = health ] && echo ok; echo 'x = 1' > $TOS_TASK.py");
    silent.list("stop", &names(2), "max_usd = 100\n");
    let (code, said) = silent.tos(&["night", "start", &silent.list_file()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 of 2 tasks passed"), "{said}");
    assert_eq!(said.matches("nobody says what a call").count(), 1, "{said}");
}

#[test]
fn work_is_taken_over_forward_only_and_never_over_changes() {
    let root = Root::new(AGENT);
    root.list("stop", &names(1), "");
    let (code, said) = root.tos(&["night", "start", &root.list_file()]);
    assert_eq!(code, Some(0), "{said}");
    let head = root.git(&["rev-parse", "HEAD"]);
    root.write("app.py", "changed = True\n");
    let (code, said) = root.tos(&["night", "merge"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("changes of its own (app.py); commit or stash"),
        "{said}"
    );
    root.git(&["commit", "-qam", "mine"]);
    let (code, said) = root.tos(&["night", "merge"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("main has moved since the run began") && said.contains(" --join"),
        "{said}"
    );
    root.git(&["reset", "-q", "--hard", &head]);
    let (code, said) = root.tos(&["night", "merge"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = root.tos(&["night", "merge"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("has this work already"), "{said}");
}

/// Starts or goes on, and kills after so many further events; returns whether it came to its end before that.
fn killed_after(root: &Root, words: &[&str], events: usize) -> bool {
    let before = sink::buffered(root).len();
    let mut child = root.silent(words).spawn().unwrap();
    loop {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        if sink::buffered(root).len() >= before + events {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_night_that_is_killed_at_every_event_loses_and_doubles_nothing() {
    let root =
        Root::new("[ $TOS_TASK = health ] && echo ok; echo \"x = '$TOS_TASK'\" > $TOS_TASK.py");
    root.list("stop", &names(6), "");
    let list = root.list_file();
    let start = ["night", "start", "--for", "1h", &list];
    let mut over = killed_after(&root, &start, 1);
    let mut events = 1;
    while !over {
        events += 1;
        // A kill before anything began leaves no night to go on with.
        let begun = !of(&root.records(), "session.start").is_empty();
        let words: &[&str] = if begun { &["night", "resume"] } else { &start };
        over = killed_after(&root, words, 1 + events % 7);
        assert!(events < 60, "every passage must come further");
    }
    let night = Night {
        records: root.records(),
    };
    let mut good = night.with("success");
    good.sort_unstable();
    assert_eq!(good, names(6), "each task was accepted once");
    let ends = night.of("session.end");
    assert_eq!(ends.len(), night.of("session.start").len());
    let crashes = night.sum("session.end", "abnormal");
    assert!(
        crashes >= 5 && ends.len() as u64 - crashes <= 1,
        "all but the last were killed, and it too where only its end was missing"
    );
    let summary = root.json(&["night", "summary"]);
    assert_eq!(summary["counts"]["success"], 6);
    let tip = root.git(&["for-each-ref", "--format=%(objectname)", "refs/tos/runs"]);
    assert_eq!(
        summary["tip"],
        tip.as_str(),
        "the reference is what the ledger says"
    );
    let commits = root.git(&["rev-list", "--count", &format!("HEAD..{tip}")]);
    assert_eq!(commits, "6");
    let left = fs::read_dir(root.root.join(".tos/worktrees")).unwrap();
    assert_eq!(left.count(), 0);
    assert_eq!(root.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(root.tos(&["night", "merge"]).0, Some(0));
    assert_eq!(root.tos(&["ledger", "verify"]).0, Some(0));
}

#[test]
fn the_help_names_every_form_of_a_list() {
    for verb in ["start", "check"] {
        let output = Command::new(env!("CARGO_BIN_EXE_tos"))
            .args(["night", verb, "--help"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("The list: a plan (YAML), TOML or JSON"),
            "{said}"
        );
    }
}

#[test]
fn the_example_runs_as_it_is_printed() {
    let output = Command::new("sh")
        .args(["examples/night/try.sh", env!("CARGO_BIN_EXE_tos")])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", TempDir::new().unwrap().path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        "3 of 4 tasks passed: all tasks tried",
        "translate (greetings in Japanese): the tests ended with 1 (2 tries",
        "main now has the work of 3 tasks",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
    let place = said.split("lies in ").nth(1).unwrap();
    fs::remove_dir_all(place.split(';').next().unwrap()).unwrap();
}

#[test]
fn a_list_that_was_changed_under_way_is_not_gone_on_with() {
    let root = Root::new(AGENT);
    root.list("stop", &names(2), "");
    root.tos(&["night", "start", "--for", "1m", &root.list_file()]);
    let run = root.json(&["night", "summary"])["run"].clone();
    let run = run.as_str().unwrap();
    let list = root.root.join(format!(".tos/nights/{run}/list.json"));
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replace("make T-02", "make more")).unwrap();
    let (code, said) = root.tos(&["night", "resume", run]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("is not the list this night began with"),
        "{said}"
    );
    let (code, said) = root.tos(&["night", "resume", "no-such-run"]);
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn a_list_under_an_override_has_the_time_that_it_holds() {
    let root = Root::watched(AGENT);
    root.list("stop", &["T-01".to_owned()], "");
    let words = [
        "autonomy",
        "override",
        "--reason",
        "a demo",
        "--expires",
        "2h",
    ];
    let (code, said) = root.at_terminal(&words, "override\n");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = root.tos(&["task", "run", &root.list_file()]);
    assert_eq!(code, Some(0), "{said}");
    let records = root.records();
    let start = of(&records, "session.start");
    let planned = start[0]["entry"]["start"]["planned_s"].as_u64().unwrap();
    assert!((3600..=7200).contains(&planned), "{planned}");
}

#[test]
fn of_two_lists_from_one_commit_the_second_is_joined() {
    let root = Root::new(AGENT);
    let begin = |id: &str, task: &str| {
        let text = root.list_text("stop", &[task.to_owned()], "");
        let file = root.home.path().join("list.toml");
        let named = text.replace("id = \"demo\"", &format!("id = \"{id}\""));
        fs::write(&file, named).unwrap();
        let (code, said) = root.tos(&["task", "run", &root.list_file()]);
        assert_eq!(code, Some(0), "{said}");
        let way = said.lines().find(|line| line.contains(" --join")).unwrap();
        way.split(' ').rev().nth(1).unwrap().to_owned()
    };
    let runs = [
        begin("one", "T-01"),
        begin("two", "T-02"),
        begin("three", "T-01"),
    ];
    let (code, said) = root.tos(&["night", "merge", &runs[0]]);
    assert_eq!(code, Some(0), "{said}");
    let before = root.git(&["rev-parse", "HEAD"]);
    let (code, said) = root.tos(&["night", "merge", &runs[1]]);
    assert!(code == Some(1) && said.contains(" --join"), "{said}");
    let (code, said) = root.tos(&["night", "merge", &runs[1], "--join"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("git reset --keep {before}")),
        "{said}"
    );
    for file in ["T-01.py", "T-02.py"] {
        assert!(root.root.join(file).exists(), "{file}");
    }
    assert_eq!(
        root.git(&["log", "-1", "--format=%P"]).split(' ').count(),
        2
    );
    // What both changed is left to a person, and nothing is touched.
    root.write("T-01.py", "mine = True\n");
    root.git(&["commit", "-qam", "mine"]);
    let head = root.git(&["rev-parse", "HEAD"]);
    let (code, said) = root.tos(&["night", "merge", &runs[2], "--join"]);
    assert!(
        code == Some(1) && said.contains("both changed T-01.py"),
        "{said}"
    );
    assert_eq!(root.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(
        root.git(&["status", "--porcelain", "--untracked-files=no"]),
        ""
    );
}
