//! How plans run, resume, stop and are looked at; the numbers name defects of the older tool that must be absent.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::place::{Place, Seen, is_alive, pairs, signal, until};

#[test]
fn a_plan_runs_in_order_and_leaves_the_known_files() {
    let place = Place::with(
        "goal: g\ntasks:\n- id: z\n  cmd: [sh, -c, 'echo out; echo err >&2']\n- {id: a, cmd: 'true', depends_on: [z]}\n",
    );
    let seen = place.tos(&["run", "plan.yaml"]);
    assert_eq!(seen.code, 0, "{}", seen.err);
    let run = seen.run_id();
    let root = format!(".tos/runs/{run}");
    assert_eq!(
        seen.out,
        format!("run_id: {run}\nstate: SUCCESS\nreport: {root}/report/final_report.md\n")
    );
    assert_eq!(
        place.read(&format!("{root}/logs/z.out.log")),
        "\n===== attempt 1 / 1 =====\nout\n"
    );
    assert_eq!(
        place.read(&format!("{root}/logs/z.err.log")),
        "\n===== attempt 1 / 1 =====\nerr\n"
    );
    let state: serde_json::Value =
        serde_json::from_str(&place.read(&format!("{root}/state.json"))).unwrap();
    let mut keys: Vec<&String> = state["tasks"]["z"].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "artifact_paths",
            "attempts",
            "canceled",
            "cmd",
            "cwd",
            "depends_on",
            "duration_sec",
            "ended_at",
            "env",
            "exit_code",
            "outputs",
            "retries",
            "retry_backoff_sec",
            "skip_reason",
            "started_at",
            "status",
            "stderr_path",
            "stdout_path",
            "timed_out",
            "timeout_sec"
        ]
    );
    // 23: the order of the plan is kept.
    assert_eq!(
        place.statuses("latest"),
        pairs(&[("z", "SUCCESS"), ("a", "SUCCESS")])
    );
    assert_eq!(place.tos(&["resume", &run]).code, 0);
    assert_eq!(place.state(&run)["tasks"]["z"]["attempts"], 1);
}

#[test]
fn d01_d02_a_resume_has_all_retries_again_and_stays_readable() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [sh, -c, 'echo x >> tries; false'], retries: 1, retry_backoff_sec: [0]}\n",
    );
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    assert_eq!(place.tos(&["resume", &run]).code, 3);
    assert_eq!(place.tos(&["resume", &run, "--failed-only"]).code, 3);
    assert_eq!(place.read("tries").lines().count(), 6);
    assert_eq!(place.state(&run)["tasks"]["a"]["attempts"], 6);
    place.write("plan.yaml", "never read again");
    assert_eq!(place.tos(&["status", &run]).code, 0);
}

#[test]
fn attempts_are_counted_across_resumes_in_the_logs_as_in_the_state() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [sh, -c, 'echo again; exit 1'], retries: 1, retry_backoff_sec: [0]}\n",
    );
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    place.tos(&["resume", &run]);
    let log = place.read(&format!(".tos/runs/{run}/logs/a.out.log"));
    let heads: Vec<&str> = log.lines().filter(|line| line.starts_with('=')).collect();
    assert_eq!(
        heads,
        [
            "===== attempt 1 / 2 =====",
            "===== attempt 2 / 2 =====",
            "===== attempt 3 / 4 =====",
            "===== attempt 4 / 4 ====="
        ]
    );
    assert_eq!(place.state(&run)["tasks"]["a"]["attempts"], 4);
}

#[test]
fn a_run_that_is_over_is_not_asked_to_end() {
    let place = Place::with("tasks:\n- {id: a, cmd: 'true'}\n");
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    let seen = place.tos(&["cancel", &run]);
    assert_eq!(
        (seen.code, seen.out),
        (0, format!("nothing to cancel: {run} is over (SUCCESS)\n"))
    );
    let request = format!(".tos/runs/{run}/cancel.request");
    assert!(!place.path().join(request).exists());
    let seen = place.tos(&["cancel", &run, "--json"]);
    let document: serde_json::Value = serde_json::from_str(&seen.out).unwrap();
    assert_eq!(
        document,
        json!({ "run_id": run, "cancel_requested": false, "status": "SUCCESS", "exit_code": 0 })
    );
}

#[test]
fn trouble_is_a_document_where_documents_are_wanted() {
    let place = Place::with("tasks: [{id: a, cmd: 'true', depends_on: [b]}]\n");
    for words in [
        &["status", "x", "--json"][..],
        &["run", "plan.yaml", "--json"],
        &["cancel", "../up", "--json"],
        &["status", "--json"],
        &["fly", "--json"],
        &["run", "plan.yaml", "--json", "--fast"],
    ] {
        let seen = place.tos(words);
        let document: serde_json::Value = serde_json::from_str(&seen.out)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", seen.out));
        assert_eq!(
            (seen.code, &document["exit_code"]),
            (2, &json!(2)),
            "{words:?}"
        );
        let said = document["error"].as_str().unwrap();
        assert!(seen.err.contains(said), "{words:?}: {said}: {}", seen.err);
    }
}

#[test]
fn a_run_that_finds_no_room_to_begin_leaves_none_behind() {
    let place = Place::with("tasks:\n- {id: a, cmd: 'true'}\n");
    let tos = env!("CARGO_BIN_EXE_tos");
    // As good as a full disk, for any user: no file may grow.
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 0; exec \"$0\" plan run plan.yaml",
            tos,
        ])
        .current_dir(place.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: could not"), "{said}");
    let runs = std::fs::read_dir(place.path().join(".tos/runs"));
    assert_eq!(runs.map_or(0, Iterator::count), 0);
    // Half a rule that git ignores the folder would be taken for a whole one the next time.
    assert!(!place.path().join(".tos/.gitignore").exists());
}

#[test]
fn d03_a_live_run_cannot_be_resumed() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [sh, -c, 'echo x >> started; while [ ! -e go ]; do sleep 0.01; done']}\n",
    );
    let child = place.begin(&["run", "plan.yaml"]);
    place.wait_for("started");
    assert_eq!(place.tos(&["resume", "latest"]).code, 3);
    assert_eq!(place.state("latest")["status"], "RUNNING");
    place.write("go", "");
    assert_eq!(Seen::from(child.wait_with_output().unwrap()).code, 0);
    assert_eq!(place.read("started"), "x\n");
}

#[test]
fn d03_whoever_looks_at_a_copy_of_a_folder_at_work_ends_nothing_of_it() {
    let plan = "tasks:\n- {id: a, cmd: [sh, -c, 'echo x >> started; while [ ! -e go ]; do sleep 0.01; done']}\n";
    let (place, copy) = (Place::with(plan), Place::with(plan));
    let child = place.begin(&["run", "plan.yaml"]);
    place.wait_for("started");
    let mut cp = std::process::Command::new("cp");
    cp.arg("-r").arg(place.path().join(".tos")).arg(copy.path());
    assert!(cp.status().unwrap().success());
    assert_eq!(copy.state("latest")["status"], "INTERRUPTED");
    assert_eq!(place.state("latest")["status"], "RUNNING");
    place.write("go", "");
    assert_eq!(Seen::from(child.wait_with_output().unwrap()).code, 0);
}

#[test]
fn d04_the_lock_and_the_children_of_a_killed_runner_do_not_outlive_it() {
    let place = Place::with(
        "tasks:\n- {id: done, cmd: [sh, -c, 'echo x >> once']}\n- id: a\n  depends_on: [done]\n  cmd: [sh, -c, 'if [ -e again ]; then exit 0; fi; setsid sleep 987.1 & touch began; sleep 987.2']\n",
    );
    let mut child = place.begin(&["run", "plan.yaml"]);
    place.wait_for("began");
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    assert!(is_alive("sleep 987.2"));
    assert_eq!(place.state("latest")["status"], "INTERRUPTED");
    until(
        || !is_alive("sleep 987.1") && !is_alive("sleep 987.2"),
        "the orphans are gone",
    );
    place.write("again", "");
    let seen = place.tos(&["resume", "latest"]);
    assert_eq!(seen.code, 0, "{}", seen.err);
    assert_eq!(place.read("once"), "x\n");
    let state = place.state("latest");
    assert_eq!(state["tasks"]["a"]["attempts"], 2);
}

#[test]
fn d05_a_timeout_ends_the_whole_tree_also_what_left_its_group() {
    let place = Place::with(
        "tasks:\n- id: a\n  cmd: [sh, -c, 'setsid sleep 986.1 & sleep 986.2 & wait']\n  timeout_sec: 0.3\n",
    );
    let began = Instant::now();
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 3);
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(!is_alive("sleep 986."));
    let task = place.state("latest")["tasks"]["a"].clone();
    assert_eq!(
        (&task["timed_out"], &task["exit_code"]),
        (&json!(true), &json!(null))
    );
}

#[test]
fn d06_a_child_in_the_background_delays_nothing() {
    let place =
        Place::with("tasks:\n- {id: a, cmd: [sh, -c, 'sleep 20 & echo $! > pid; echo done']}\n");
    let began = Instant::now();
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 0);
    assert!(began.elapsed() < Duration::from_secs(15));
    drop(
        std::process::Command::new("kill")
            .arg(place.read("pid").trim())
            .status(),
    );
}

#[test]
fn d07_a_backoff_blocks_nobody_and_a_cancel_ends_it() {
    let place = Place::with(
        "tasks:\n- {id: slow, cmd: ['false'], retries: 1, retry_backoff_sec: [900]}\n- {id: c1, cmd: 'true'}\n- {id: c2, cmd: 'true', depends_on: [c1]}\n- {id: c3, cmd: [touch, chain-is-done], depends_on: [c2]}\n",
    );
    let child = place.begin(&["run", "plan.yaml", "--max-parallel", "1"]);
    place.wait_for("chain-is-done");
    assert_eq!(place.tos(&["cancel", "latest"]).code, 0);
    assert_eq!(Seen::from(child.wait_with_output().unwrap()).code, 4);
    let expected = [
        ("slow", "CANCELED"),
        ("c1", "SUCCESS"),
        ("c2", "SUCCESS"),
        ("c3", "SUCCESS"),
    ];
    assert_eq!(place.statuses("latest"), pairs(&expected));
}

#[test]
fn d08_signals_cancel_the_run_and_end_its_children() {
    for wanted in [Signal::INT, Signal::TERM, Signal::HUP] {
        let place = Place::with(
            "tasks:\n- {id: a, cmd: [sh, -c, 'touch began; sleep 985.1']}\n- {id: b, cmd: 'true', depends_on: [a]}\n",
        );
        let child = place.begin(&["run", "plan.yaml"]);
        place.wait_for("began");
        signal(&child, wanted);
        let seen = Seen::from(child.wait_with_output().unwrap());
        assert_eq!(seen.code, 4);
        assert!(seen.out.contains("state: CANCELED"));
        assert!(!is_alive("sleep 985.1"));
        assert_eq!(
            place.statuses("latest"),
            pairs(&[("a", "CANCELED"), ("b", "CANCELED")])
        );
        assert!(
            place
                .read(&format!(
                    ".tos/runs/{}/report/final_report.md",
                    seen.run_id()
                ))
                .contains("CANCELED")
        );
    }
}

#[test]
fn a_run_under_nohup_outlives_the_terminal() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [sh, -c, 'touch began; while [ ! -e go ]; do sleep 0.02; done']}\n",
    );
    let mut command = std::process::Command::new("sh");
    let script = format!(
        "trap '' HUP; exec {} plan run plan.yaml -q",
        env!("CARGO_BIN_EXE_tos")
    );
    let mut child = command
        .args(["-c", &script])
        .current_dir(place.path())
        .spawn()
        .unwrap();
    place.wait_for("began");
    signal(&child, Signal::HUP);
    place.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_kills_what_does_not_listen() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [sh, -c, \"trap '' TERM; touch began; while true; do sleep 0.05; done\"]}\n",
    );
    let child = place.begin(&["run", "plan.yaml"]);
    place.wait_for("began");
    signal(&child, Signal::INT);
    signal(&child, Signal::INT);
    assert_eq!(Seen::from(child.wait_with_output().unwrap()).code, 4);
}

#[test]
fn d09_fail_fast_beside_a_waiting_retry_is_told_truly() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: ['false'], retries: 1, retry_backoff_sec: [900]}\n- {id: b, cmd: [sh, -c, 'sleep 0.3; false']}\n- {id: c, cmd: 'true', depends_on: [a]}\n",
    );
    let seen = place.tos(&["run", "plan.yaml", "--no-fail-fast", "--fail-fast"]);
    assert_eq!(seen.code, 3);
    assert_eq!(
        place.statuses("latest"),
        pairs(&[("a", "FAILED"), ("b", "FAILED"), ("c", "SKIPPED")])
    );
    assert_eq!(place.state("latest")["tasks"]["a"]["attempts"], 1);
}

#[test]
fn d10_d11_a_canceled_task_is_canceled_whatever_its_code_and_the_run_can_be_resumed() {
    let place = Place::with(
        "tasks:\n- {id: polite, cmd: [sh, -c, \"trap 'exit 0' TERM; touch began; while [ ! -e go ]; do sleep 0.02; done\"]}\n- {id: late, cmd: [sh, -c, '[ -e go ] || sleep 60'], timeout_sec: 0.1, retries: 1, retry_backoff_sec: [900]}\n",
    );
    let child = place.begin(&["run", "plan.yaml"]);
    place.wait_for("began");
    until(
        || place.state("latest")["tasks"]["late"]["status"] == "READY",
        "the second task waits",
    );
    assert_eq!(place.tos(&["cancel", "latest"]).code, 0);
    assert_eq!(Seen::from(child.wait_with_output().unwrap()).code, 4);
    let state = place.state("latest");
    assert_eq!(state["tasks"]["polite"]["exit_code"], json!(null));
    assert_eq!(state["tasks"]["late"]["timed_out"], false);
    assert_eq!(
        place.statuses("latest"),
        pairs(&[("polite", "CANCELED"), ("late", "CANCELED")])
    );
    place.write("go", "");
    assert_eq!(place.tos(&["resume", "latest"]).code, 0);
}

#[test]
fn d12_d17_empty_arguments_work_and_standard_input_is_empty() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: \"printf '<%s>' ''\"}\n- {id: b, cmd: [printf, '<%s>', '']}\n- {id: c, cmd: cat}\n",
    );
    let mut command = place.command(&["run", "plan.yaml"]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"stolen").unwrap();
    let seen = Seen::from(child.wait_with_output().unwrap());
    assert_eq!(seen.code, 0);
    let logs = format!(".tos/runs/{}/logs", seen.run_id());
    for id in ["a", "b"] {
        assert!(
            place
                .read(&format!("{logs}/{id}.out.log"))
                .ends_with("\n<>")
        );
    }
    assert!(!place.read(&format!("{logs}/c.out.log")).contains("stolen"));
    assert_eq!(place.tos(&["resume", "latest"]).code, 0);
}

#[test]
fn d13_d14_logs_are_shown_as_they_are() {
    let long = "x".repeat(500);
    let place = Place::with(&format!(
        "tasks:\n- {{id: a, cmd: [printf, '%s\\n', '[/foo] [red] ', '{long}']}}\n"
    ));
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 0);
    let seen = place.tos(&["logs", "latest", "--task", "a"]);
    assert_eq!(seen.code, 0);
    assert!(
        seen.out.contains(&format!("[/foo] [red] \n{long}\n")),
        "{}",
        seen.out
    );
    assert_eq!(place.tos(&["logs", "latest", "--task", "b"]).code, 2);
    let tail = place.tos(&["logs", "latest", "--task", "a", "--tail", "1"]);
    assert_eq!(
        tail.out,
        format!("--- a :: stdout ---\n{long}\n--- a :: stderr ---\n===== attempt 1 / 1 =====\n")
    );
}

#[test]
fn what_tos_and_git_keep_for_themselves_is_no_output_whatever_the_pattern() {
    for home in [".tos", ".orch", "runs-here", "deep/runs"] {
        let place = Place::with(
            "artifacts_dir: kept\ntasks:\n- {id: a, cmd: [sh, -c, 'echo 1 > made; echo 2 > sub/made'], outputs: ['**', '.git/*', 'HOME/**', 'HOME/runs/*/plan.yaml', sub/.git]}\n- {id: b, cmd: [sh, -c, 'echo 3 > kept/told'], depends_on: [a], when: all_done, outputs: ['kept/told', 'kept/a/sub/*']}\n"
                .replace("HOME", home)
                .as_str(),
        );
        place.write(".git/config", "url = https://somebody:secret@example.com\n");
        place.write("sub/.git", "gitdir: elsewhere\n");
        place.write(".orch/runs/older/plan.yaml", "tasks: []\n");
        let mut runs = Vec::new();
        for _ in 0..2 {
            let run = place.tos(&["run", "plan.yaml", "--home", home]).run_id();
            let root = place.path().join(home).join("runs").join(&run);
            let state = std::fs::read(root.join("state.json")).unwrap();
            let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
            let paths = |id: &str| state["tasks"][id]["artifact_paths"].clone();
            runs.push((paths("a"), paths("b")));
        }
        let all = (
            json!([
                "artifacts/a/made",
                "artifacts/a/plan.yaml",
                "artifacts/a/sub/made"
            ]),
            json!(["artifacts/b/kept/a/sub/made", "artifacts/b/kept/told"]),
        );
        assert_eq!(runs, [all.clone(), all], "{home}");
    }
}

#[test]
fn d16_outputs_are_collected_from_below_also_after_a_failure_and_never_through_links() {
    let place = Place::with(
        "artifacts_dir: kept\ntasks:\n- id: a\n  cmd: [sh, -c, 'mkdir -p dist/deep; echo 1 > dist/one; echo 2 > dist/deep/two; ln -s /etc/passwd dist/link; ln -s /etc dist/etc; echo up > ../up; false']\n  cwd: work\n  outputs: ['dist/**', '*.missing', '../up']\n",
    );
    std::fs::create_dir(place.path().join("work")).unwrap();
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    let state = place.state(&run);
    let paths = state["tasks"]["a"]["artifact_paths"]
        .as_array()
        .unwrap()
        .clone();
    let root = place.path().canonicalize().unwrap();
    let outside = format!("artifacts/a/__abs__{}/up", root.display());
    assert_eq!(
        paths,
        [
            json!(outside),
            json!("artifacts/a/dist/deep/two"),
            json!("artifacts/a/dist/one")
        ]
    );
    assert_eq!(
        place.read(&format!(".tos/runs/{run}/artifacts/a/dist/deep/two")),
        "2\n"
    );
    assert_eq!(place.read("kept/a/dist/one"), "1\n");
    let artifact = &state["tasks"]["a"]["artifacts"][2];
    assert_eq!(artifact["bytes"], 2);
    assert_eq!(
        artifact["sha256"],
        "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"
    );
}

#[test]
fn d18_a_resume_works_where_the_run_worked() {
    let place = Place::with("tasks:\n- {id: a, cmd: [sh, -c, 'pwd >> where; test -e ok']}\n");
    std::fs::create_dir(place.path().join("elsewhere")).unwrap();
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 3);
    place.write("ok", "");
    let home = place.path().join(".tos");
    let mut command = place.command(&["resume", "latest", "--home", home.to_str().unwrap()]);
    assert_eq!(
        Seen::from(
            command
                .current_dir(place.path().join("elsewhere"))
                .output()
                .unwrap()
        )
        .code,
        0
    );
    let place_name = place.path().canonicalize().unwrap().display().to_string();
    assert_eq!(place.read("where"), format!("{place_name}\n{place_name}\n"));
}

#[test]
fn d19_an_unwritable_log_fails_the_task_and_blocks_nothing() {
    let place =
        Place::with("tasks:\n- {id: a, cmd: [sh, -c, 'head -c 300000 /dev/zero; false']}\n");
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    let log = place.path().join(format!(".tos/runs/{run}/logs/a.out.log"));
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    assert_eq!(place.tos(&["resume", &run]).code, 3);
    assert_eq!(
        place.state(&run)["tasks"]["a"]["skip_reason"],
        "runner_exception"
    );
}

#[test]
fn d20_what_a_task_prints_cannot_leave_its_place_in_the_report() {
    let place = Place::with("tasks:\n- {id: a, cmd: [sh, -c, 'cat bad >&2; false']}\n");
    place.write("bad", "```\n# owned <script>alert(1)</script>\n");
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    let report = place.read(&format!(".tos/runs/{run}/report/final_report.md"));
    assert!(
        report.contains("````text\n") && report.contains("\n````\n"),
        "{report}"
    );
    assert_eq!(place.tos(&["report", "latest", "--html"]).code, 0);
    let page = place.read(&format!(".tos/runs/{run}/report/report.html"));
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
}

#[test]
fn d21_a_home_can_be_moved() {
    let place = Place::with("tasks:\n- {id: a, cmd: [sh, -c, 'test -e ok']}\n");
    place.tos(&["run", "plan.yaml", "--home", "first"]);
    std::fs::rename(place.path().join("first"), place.path().join("second")).unwrap();
    place.write("ok", "");
    for verb in ["status", "logs", "report", "resume"] {
        assert_eq!(
            place.tos(&[verb, "latest", "--home", "second"]).code,
            0,
            "{verb}"
        );
    }
}

#[test]
fn the_old_home_is_used_where_it_is() {
    let place = Place::with("tasks:\n- {id: a, cmd: 'true'}\n");
    std::fs::create_dir(place.path().join(".orch")).unwrap();
    let seen = place.tos(&["run", "plan.yaml"]);
    assert!(place.path().join(".orch/runs").join(seen.run_id()).is_dir());
    assert!(!place.path().join(".tos").exists());
}

#[test]
fn a_run_of_the_older_tool_can_be_looked_at_and_resumed() {
    let place = Place::new();
    let run = "20240101_120000_abcdef";
    let root = format!(".orch/runs/{run}");
    place.write(&format!("{root}/plan.yaml"), "tasks:\n- {id: a, cmd: [touch, a-ran], depends_on: [], retries: 0, retry_backoff_sec: [], outputs: []}\n- {id: b, cmd: [touch, b-ran], depends_on: [a], retries: 0, retry_backoff_sec: [], outputs: []}\n");
    let task = |status: &str, attempts: u32| {
        json!({"status": status, "attempts": attempts, "started_at": "2024-01-01T12:00:00+09:00", "ended_at": "2024-01-01T12:00:01+09:00",
               "duration_sec": 1.0, "exit_code": i32::from(status != "SUCCESS"), "timed_out": false, "skip_reason": null, "artifact_paths": []})
    };
    let state = json!({"run_id": run, "created_at": "2024-01-01T12:00:00+09:00", "updated_at": "2024-01-01T12:00:02+09:00", "status": "FAILED",
        "goal": null, "plan_relpath": "plan.yaml", "home": "/x", "workdir": place.path(), "max_parallel": 4, "fail_fast": false,
        "tasks": {"a": task("SUCCESS", 1), "b": task("FAILED", 1)}});
    place.write(&format!("{root}/state.json"), state.to_string());
    assert_eq!(
        place.statuses(run),
        pairs(&[("a", "SUCCESS"), ("b", "FAILED")])
    );
    let seen = place.tos(&["resume", run]);
    assert_eq!(seen.code, 0, "{}", seen.err);
    assert!(!place.path().join("a-ran").exists() && place.path().join("b-ran").exists());
    assert_eq!(place.state(run)["tasks"]["b"]["attempts"], 2);
}

#[test]
fn failed_only_leaves_what_was_canceled_alone_and_retry_runs_one_task() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [sh, -c, 'test -e ok']}\n- {id: b, cmd: 'true', depends_on: [a]}\n- {id: c, cmd: [sh, -c, 'echo x >> c']}\n",
    );
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 3);
    place.write("ok", "");
    assert_eq!(place.tos(&["retry", "latest", "--task", "a"]).code, 3);
    assert_eq!(
        place.statuses("latest"),
        pairs(&[("a", "SUCCESS"), ("b", "SKIPPED"), ("c", "SUCCESS")])
    );
    assert_eq!(
        place
            .tos(&["retry", "latest", "--task", "a", "--downstream"])
            .code,
        0
    );
    assert_eq!(place.tos(&["retry", "latest", "--task", "nope"]).code, 2);
    assert_eq!(place.read("c"), "x\n");
}

#[test]
fn a_dry_run_touches_nothing_and_prints_the_order() {
    let place = Place::with("tasks:\n- {id: b, cmd: x, depends_on: [a]}\n- {id: a, cmd: x}\n");
    let seen = place.tos(&["run", "plan.yaml", "--dry-run", "--workdir", "missing"]);
    assert_eq!(
        (seen.code, seen.out.as_str()),
        (0, "#  task_id\n1  a\n2  b\n")
    );
    assert!(!place.path().join(".tos").exists());
    assert_eq!(
        place
            .tos(&["run", "plan.yaml", "--workdir", "missing"])
            .code,
        2
    );
    assert!(!place.path().join(".tos").exists());
}

#[test]
fn a_program_that_cannot_start_is_127_and_not_repeated() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [./missing], retries: 3}\n- {id: b, cmd: 'true', cwd: nowhere}\n",
    );
    let seen = place.tos(&["run", "plan.yaml"]);
    assert_eq!(seen.code, 3);
    let state = place.state("latest");
    for id in ["a", "b"] {
        let task = &state["tasks"][id];
        assert_eq!(
            (&task["exit_code"], &task["attempts"], &task["skip_reason"]),
            (&json!(127), &json!(1), &json!("process_start_failed"))
        );
    }
    let log = place.read(&format!(".tos/runs/{}/logs/b.err.log", seen.run_id()));
    assert!(log.contains('`') && log.contains("nowhere"), "{log}");
}

#[test]
fn runs_are_found_by_prefix_listed_and_deleted() {
    let place = Place::with("tasks:\n- {id: a, cmd: 'true'}\n");
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    assert_eq!(place.tos(&["status", &run[..run.len() - 2]]).code, 0);
    for bad in ["../x", "nope", "-x"] {
        assert_eq!(place.tos(&["status", "--", bad]).code, 2, "{bad}");
    }
    assert!(place.tos(&["list"]).out.contains(&run));
    assert_eq!(place.tos(&["gc", "--keep", "0", "--dry-run"]).code, 0);
    assert!(place.path().join(".tos/runs").join(&run).exists());
    assert_eq!(place.tos(&["gc", "--keep", "0"]).code, 0);
    assert!(!place.path().join(".tos/runs").join(&run).exists());
}

#[test]
fn a_folder_below_the_root_has_the_runs_of_the_root() {
    let place = Place::with("tasks:\n- {id: a, cmd: 'true'}\n");
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    let below = place.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    let from_below = |words: &[&str]| {
        let mut command = place.command(words);
        crate::place::Seen::from(command.current_dir(&below).output().unwrap())
    };
    let seen = from_below(&["status"]);
    assert!(
        seen.code == 0 && seen.out.contains(&run),
        "{}{}",
        seen.out,
        seen.err
    );
    let root = std::fs::canonicalize(place.path()).unwrap();
    assert!(
        seen.err.contains(&format!("root {}", root.display())),
        "{}",
        seen.err
    );
    let again = from_below(&["run", "../../plan.yaml"]).run_id();
    assert!(!below.join(".tos").exists());
    assert!(place.tos(&["list"]).out.contains(&again));
    // What is named counts.
    let seen = from_below(&["status", "--runs-dir", "mine"]);
    assert_eq!(seen.code, 2, "{}", seen.out);
}

#[test]
fn of_the_runs_of_one_second_the_newest_is_the_last_to_be_deleted() {
    let place = Place::with("tasks:\n- {id: a, cmd: 'true'}\n");
    let older = place.tos(&["run", "plan.yaml"]).run_id();
    let newest = format!("{}_000000", &older[..older.len() - 7]);
    let runs = place.path().join(".tos/runs");
    let folder = runs.join(&newest);
    std::fs::create_dir_all(folder.join("logs")).unwrap();
    let log = std::fs::read_to_string(runs.join(&older).join("run.jsonl")).unwrap();
    std::fs::write(folder.join("run.jsonl"), log.replace(&older, &newest)).unwrap();
    // Written after the other one, whose name comes later in the alphabet.
    std::fs::copy(place.path().join("plan.yaml"), folder.join("plan.yaml")).unwrap();
    let copy = std::fs::File::options()
        .write(true)
        .open(folder.join("plan.yaml"))
        .unwrap();
    let made = std::fs::metadata(runs.join(&older).join("plan.yaml")).unwrap();
    let later = made.modified().unwrap() + std::time::Duration::from_nanos(1);
    copy.set_modified(later).unwrap();
    let seen = place.tos(&["status"]);
    assert!(seen.out.contains(&newest), "{}", seen.out);
    assert_eq!(place.tos(&["gc", "--keep", "1"]).code, 0);
    assert!(folder.exists() && !runs.join(&older).exists());
}

#[test]
fn a_run_that_was_killed_before_its_first_record_never_began() {
    let place = Place::with("tasks:\n- {id: a, cmd: 'true'}\n");
    let begun = place.tos(&["run", "plan.yaml"]).run_id();
    let runs = place.path().join(".tos/runs");
    let name = "20990101_000000_000001";
    for log in [None, Some(""), Some("{\"half")] {
        let dead = runs.join(name);
        std::fs::create_dir_all(dead.join("logs")).unwrap();
        std::fs::copy(place.path().join("plan.yaml"), dead.join("plan.yaml")).unwrap();
        std::fs::write(
            dead.join(".lock"),
            "4194305 since 2099-01-01T00:00:00+00:00\n",
        )
        .unwrap();
        if let Some(text) = log {
            std::fs::write(dead.join("run.jsonl"), text).unwrap();
        }
        let listed = place.tos(&["list"]).out;
        assert!(
            listed.contains("NEVER_BEGAN") && !listed.contains("DAMAGED"),
            "{listed}"
        );
        let seen = place.tos(&["status"]);
        assert!(
            seen.code == 0 && seen.out.contains(&begun),
            "{}{}",
            seen.out,
            seen.err
        );
        assert_eq!(place.tos(&["resume"]).code, 0);
        for verb in ["status", "resume"] {
            let seen = place.tos(&[verb, name]);
            assert_eq!(seen.code, 2, "{}", seen.err);
            assert!(
                seen.err.contains("never began") && seen.err.contains("plan gc"),
                "{}",
                seen.err
            );
        }
        assert_eq!(place.tos(&["gc", "--keep", "1"]).code, 0);
        assert!(!dead.exists() && runs.join(&begun).exists());
    }
    // What has printed something began, whatever became of its log.
    let damaged = runs.join(name);
    std::fs::create_dir_all(damaged.join("logs")).unwrap();
    std::fs::write(damaged.join("logs/a.out.log"), "x").unwrap();
    assert!(place.tos(&["list"]).out.contains("DAMAGED"));
    assert_eq!(place.tos(&["gc", "--keep", "0"]).code, 0);
    assert!(damaged.exists());
}

#[test]
fn events_are_json_lines_on_request() {
    let place =
        Place::with("tasks:\n- {id: a, cmd: 'false'}\n- {id: b, cmd: 'true', depends_on: [a]}\n");
    let seen = place.tos(&["run", "plan.yaml", "--json"]);
    assert_eq!(seen.code, 3);
    let kinds: Vec<String> = seen
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|event| {
            format!(
                "{} {}{}",
                event["event"].as_str().unwrap(),
                event["task"].as_str().unwrap_or_default(),
                event["tasks"]
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "opened null",
            "started anull",
            "ended anull",
            "settled [\"b\"]",
            "closed null",
            "result null"
        ]
    );
}

#[test]
fn the_graph_is_written_in_every_form() {
    let place = Place::with("tasks:\n- {id: a, cmd: x}\n- {id: b, cmd: x, depends_on: [a]}\n");
    for (format, wanted) in [
        ("text", "  b  <- a\n"),
        ("mermaid", "  t0 --> t1\n"),
        ("dot", "\"a\" -> \"b\""),
        ("svg", "</svg>"),
    ] {
        let seen = place.tos(&["graph", "plan.yaml", "--format", format]);
        assert!(
            seen.code == 0 && seen.out.contains(wanted),
            "{format}: {}",
            seen.out
        );
    }
    assert_eq!(place.tos(&["schema"]).code, 0);
}
