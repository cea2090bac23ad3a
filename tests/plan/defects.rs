//! The defects of the original that `behaviour` does not name: each has to be absent.

use serde_json::{Value, json};

use crate::place::{Place, is_alive, pairs, until};

#[test]
fn d15_numbers_too_large_and_nesting_too_deep_are_messages() {
    for plan in [
        "tasks: [{id: a, cmd: x, timeout_sec: 99999999999999999999999999999}]\n".to_owned(),
        format!(
            "tasks: [{{id: a, cmd: x, retries: 1{}}}]\n",
            "0".repeat(400)
        ),
        format!("goal: {}x{}\n", "[".repeat(3000), "]".repeat(3000)),
    ] {
        let place = Place::with(&plan);
        let seen = place.tos(&["run", "plan.yaml"]);
        assert_eq!(seen.code, 2, "{}", seen.err);
        assert!(seen.err.starts_with("error: plan.yaml:1:"), "{}", seen.err);
    }
}

#[test]
fn d22_a_state_that_cannot_be_written_ends_the_run_and_leaves_no_child() {
    let place = Place::with(
        "tasks:\n- {id: long, cmd: [sh, -c, 'touch began; [ -e go ] || sleep 39.25']}\n- {id: next, cmd: [sh, -c, 'while ! [ -e blocked ]; do sleep 0.05; done']}\n- {id: last, cmd: 'true', depends_on: [next]}\n",
    );
    let child = place
        .command(&["run", "plan.yaml"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    place.wait_for("began");
    let run = std::fs::read_dir(place.path().join(".tos/runs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    // As good as a full disk, for any user.
    let obstacle = run.path().join("state.json.tmp");
    until(
        || std::fs::create_dir(&obstacle).is_ok(),
        "the way is blocked",
    );
    place.write("blocked", "");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("could not write") && said.contains("state.json"),
        "{said}"
    );
    assert!(!is_alive("sleep 39.25"));
    assert_eq!(place.state("latest")["status"], "INTERRUPTED");
    std::fs::remove_dir(&obstacle).unwrap();
    place.write("go", "");
    assert_eq!(place.tos(&["resume", "latest"]).code, 0);
}

#[test]
fn d23_d25_tasks_keep_the_order_of_the_plan_and_a_foreign_key_harms_nothing() {
    let place = Place::with(
        "tasks:\n- {id: z, cmd: 'true'}\n- {id: a, cmd: 'false', depends_on: [z]}\n- {id: m, cmd: 'true'}\n",
    );
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    let path = format!(".tos/runs/{run}/state.json");
    let mut state: Value = serde_json::from_str(&place.read(&path)).unwrap();
    let ids = |state: &Value| -> Vec<String> {
        state["tasks"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(ids(&state), ["z", "a", "m"]);
    state["later_version"] = json!(true);
    place.write(&path, state.to_string());
    assert_eq!(place.tos(&["resume", &run]).code, 3);
    let expected = [("z", "SUCCESS"), ("a", "FAILED"), ("m", "SUCCESS")];
    assert_eq!(place.statuses(&run), pairs(&expected));
    let state: Value = serde_json::from_str(&place.read(&path)).unwrap();
    assert_eq!(ids(&state), ["z", "a", "m"]);
    let listed = place.tos(&["status", &run]).out;
    let (z, a) = (listed.find("\nz ").unwrap(), listed.find("\na ").unwrap());
    assert!(z < a, "{listed}");
}

#[test]
fn d26_a_cancel_that_lands_while_a_resume_starts_is_obeyed_and_an_old_one_is_not() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [sh, -c, '[ -e ok ]']}\n- {id: b, cmd: 'true', depends_on: [a]}\n",
    );
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    place.write("ok", "");
    let request = place.write(
        &format!(".tos/runs/{run}/cancel.request"),
        "cancel requested\n",
    );
    let moved = |seconds: i64| {
        let now = std::time::SystemTime::now();
        let distance = std::time::Duration::from_secs(seconds.unsigned_abs());
        let then = if seconds < 0 {
            now - distance
        } else {
            now + distance
        };
        std::fs::File::options()
            .write(true)
            .open(&request)
            .unwrap()
            .set_modified(then)
            .unwrap();
    };
    // Made after the command began, whenever that will be.
    moved(60);
    assert_eq!(place.tos(&["resume", &run]).code, 4);
    assert_eq!(
        place.statuses(&run),
        pairs(&[("a", "CANCELED"), ("b", "CANCELED")])
    );
    place.write(
        &format!(".tos/runs/{run}/cancel.request"),
        "cancel requested\n",
    );
    moved(-60);
    assert_eq!(place.tos(&["resume", &run]).code, 0);
    assert_eq!(
        place.statuses(&run),
        pairs(&[("a", "SUCCESS"), ("b", "SUCCESS")])
    );
}

#[test]
fn d27_the_copies_of_secrets_are_readable_by_their_owner_only() {
    let place = Place::with("tasks:\n- {id: a, cmd: [echo, hello], env: {API_TOKEN: hush-hush}}\n");
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    for name in [
        "plan.yaml",
        "run.jsonl",
        "state.json",
        "logs/a.out.log",
        "report/final_report.md",
    ] {
        let path = place.path().join(format!(".tos/runs/{run}/{name}"));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(path).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
