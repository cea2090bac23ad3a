//! Nights through the program: a real repository, an agent that is a small script, a kill, a quota, a budget.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod clock;
mod root;

use std::{fs, process::Command};

use root::Root;
use serde_json::Value;

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

#[test]
fn a_night_of_twenty_tasks_with_failures_a_quota_and_a_kill_is_told_as_the_ledger_has_it() {
    let root = Root::new(AGENT);
    root.list("retry_then_skip_dependents", &names(20), "");
    let list = root.list_file();
    let mut child = root
        .command(&["night", "start", "--for", "1h", &list])
        .spawn()
        .unwrap();
    while !root.home.path().join("hung").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it must be at work");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let (code, said) = root.tos(&["night", "resume"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("ended badly"), "{said}");
    assert!(
        said.contains("16 of 20 tasks passed, ended by queue_empty"),
        "{said}"
    );
    let alive = Command::new("pgrep").args(["-f", "^sleep 61409"]).output();
    assert!(alive.unwrap().stdout.is_empty(), "orphans are ended");

    // The ledger, read by itself.
    let records = root.records();
    let ends = of(&records, "session.end");
    let by: Vec<&Value> = ends
        .iter()
        .map(|end| &end["entry"]["end"]["ended_by"])
        .collect();
    assert_eq!(by, ["crash", "queue_empty"]);
    assert_eq!(ends[0]["entry"]["end"]["abnormal"], 1);
    let tasks = of(&records, "task");
    let with = |outcome: &str| -> Vec<String> {
        let fits = tasks
            .iter()
            .filter(|task| task["entry"]["end"]["outcome"] == outcome);
        fits.map(|task| task["entry"]["end"]["task"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(with("failed"), ["T-05", "T-09", "T-13", "T-17"]);
    assert_eq!(with("success").len(), 16, "no success was redone");
    assert_eq!(tasks.len(), 20);
    assert_eq!(of(&records, "quota.wait").len(), 1);
    let third = tasks
        .iter()
        .find(|task| task["entry"]["end"]["task"] == "T-03");
    assert_eq!(
        third.unwrap()["entry"]["end"]["attempts"],
        1,
        "a used-up quota is no failure"
    );

    // The summary says the same.
    let summary = root.json(&["night", "summary"]);
    let counts = &summary["counts"];
    assert_eq!(
        (&counts["success"], &counts["failed"]),
        (&16.into(), &4.into())
    );
    assert_eq!(summary["retries"], of(&records, "retry.start").len());
    assert_eq!(summary["rollbacks"][0], of(&records, "rollback").len());
    assert_eq!(summary["checkpoints"], of(&records, "checkpoint").len());
    assert!(summary["checkpoints"].as_u64().unwrap() >= 4);
    let sum = |name: &str| -> u64 {
        let each = tasks
            .iter()
            .map(|task| task["entry"]["end"][name].as_u64().unwrap());
        each.sum()
    };
    assert_eq!(summary["micro_usd"], sum("micro_usd"));
    assert_eq!(
        sum("micro_usd"),
        10_000 * (16 + 2 * 4 + 1),
        "every call is paid"
    );
    assert_eq!(
        summary["active_s"],
        ends.iter()
            .map(|end| end["entry"]["end"]["active_s"].as_u64().unwrap())
            .sum::<u64>()
    );
    assert_eq!(summary["quota_s"], 1);
    let run = summary["run"].as_str().unwrap();
    let kept = root.root.join(format!(".tos/nights/{run}"));
    let file: Value =
        serde_json::from_slice(&fs::read(kept.join("summary.json")).unwrap()).unwrap();
    assert_eq!(file, summary);
    let page = fs::read_to_string(kept.join("summary.html")).unwrap();
    assert!(page.contains("T-20") && page.contains("prefers-color-scheme:dark"));
    assert!(!page.contains("http"), "it needs nothing but itself");

    // What was accepted is taken over, and nothing else.
    let (code, said) = root.tos(&["night", "merge"]);
    assert_eq!(code, Some(0), "{said}");
    let there = |name: &str| root.root.join(name).exists();
    assert!(there("T-20.py") && there("T-11.py") && !there("T-05.py") && !there("half.md"));
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
        said.contains("did not answer a trivial question: it ended well and said nothing"),
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
    assert!(said.contains("phase 1 allows no unattended run"), "{said}");
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
fn no_task_starts_that_cannot_end_in_time_and_the_rest_is_done_later() {
    let root = Root::new(AGENT);
    root.list("stop", &names(2), "");
    let (code, said) = root.tos(&["night", "start", "--for", "14m", &root.list_file()]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("0 of 2 tasks passed, ended by time_cap"),
        "{said}"
    );
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
        "case $TOS_TASK in health) echo ok; exit 0 ;; T-02) [ -e \"$(dirname \"$0\")/renewed\" ] || { echo 'quota exceeded' >&2; exit 1; } ;; esac\necho 'x = 1' > $TOS_TASK.py\n",
    );
    root.list("stop", &names(2), "");
    let (code, said) = root.tos(&["night", "start", &root.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    let summary = root.json(&["night", "summary"]);
    assert_eq!(summary["counts"]["blocked"], 1);
    assert_eq!(summary["counts"]["failed"], 0);
    assert_eq!(summary["sessions"][0]["end"]["ended_by"], "quota");
    fs::write(root.home.path().join("renewed"), "").unwrap();
    let (code, said) = root.tos(&["night", "resume"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 of 2 tasks passed"), "{said}");
}

#[test]
fn a_budget_is_kept_and_one_that_cannot_be_measured_is_none() {
    let dear = "[ $TOS_TASK = health ] && echo ok; echo '{\"total_cost_usd\": 0.6}'; echo 'x = 1' > $TOS_TASK.py";
    let root = Root::new(dear);
    root.list("stop", &names(4), "max_usd = 1\n");
    let (code, said) = root.tos(&["night", "start", &root.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("2 of 4 tasks passed, ended by budget"),
        "{said}"
    );
    assert!(said.contains("$1.20 spent"), "{said}");
    let silent = Root::new("[ $TOS_TASK = health ] && echo ok; echo 'x = 1' > $TOS_TASK.py");
    silent.list("stop", &names(2), "max_usd = 100\n");
    let (code, said) = silent.tos(&["night", "start", &silent.list_file()]);
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("1 of 2 tasks passed, ended by budget"),
        "{said}"
    );
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
        said.contains("main has moved since the run began"),
        "{said}"
    );
    root.git(&["reset", "-q", "--hard", &head]);
    let (code, said) = root.tos(&["night", "merge"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = root.tos(&["night", "merge"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("has this work already"), "{said}");
}

#[test]
fn a_list_that_was_changed_under_way_is_not_gone_on_with() {
    let root = Root::new(AGENT);
    root.list("stop", &names(2), "");
    root.tos(&["night", "start", "--for", "1m", &root.list_file()]);
    let run = root.json(&["night", "summary"])["run"].clone();
    let run = run.as_str().unwrap();
    let list = root.root.join(format!(".tos/nights/{run}/list"));
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replace("retry", "stop") + "\n# more\n").unwrap();
    let (code, said) = root.tos(&["night", "resume", run]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("is not the list this night began with"),
        "{said}"
    );
    let (code, said) = root.tos(&["night", "resume", "no-such-run"]);
    assert_eq!(code, Some(2), "{said}");
}
