//! `tos steps`: what happened, as a list and one by one.

use crate::sample;

#[test]
fn steps_are_listed_and_shown() {
    let machine = sample();
    insta::assert_snapshot!(machine.run(&["steps"]), @r#"
    --- stdout
    no steps yet
    --- exit 0
    "#);
    assert_eq!(machine.run(&["--mode", "run"]).code, Some(0));
    insta::assert_snapshot!(machine.run(&["steps"]), @r#"
    --- stdout
       1  deny              job 1    deny: rule `results-stay`: `rmdir workspace/results` removes workspace/results
       2  done              job 1    the done condition holds
    --- exit 0
    "#);
    insta::assert_snapshot!(machine.run(&["steps", "1"]), @r#"
    --- stdout
    step 1  deny
    when      $TIME
    why       deny: rule `results-stay`: `rmdir workspace/results` removes workspace/results
    spent     2244 tokens, cost unknown
    asked     draft: replay:sample, 612 tokens in, 148 out, 0 ms
    asked     review: replay:sample, 583 tokens in, 61 out, 0 ms
    asked     final: replay:sample, 701 tokens in, 139 out, 0 ms
    thought   Start from an empty results folder, then compute the three figures with awk.
    review    The figures are right: column 3 holds the amounts and the header is skipped.
    summary   Empty the results folder and compute sum, average and count of job_1.csv.
    command 1 denied  bash: rmdir workspace/results; mkdir workspace/results; mkdir -p workspace/results && awk -F, 'NR > 1 { sum += $3; count++ } END { printf "total: %d\naverage: %.2f\ncount: %d\n", sum, sum / count, count }' ...
              rule `results-stay`: `rmdir workspace/results` removes workspace/results
    everything that was recorded: tos steps 1 --raw
    --- exit 0
    "#);
    insta::assert_snapshot!(machine.run(&["steps", "9"]), @r#"
    --- stderr
    error: there is no step 9; `tos steps` lists them
    --- exit 1
    "#);
    let raw = machine.run(&["steps", "2", "--raw"]).stdout;
    assert!(raw.contains("\"step_num\": 2"), "{raw}");
}

#[test]
fn a_command_whose_end_nobody_knows_or_that_did_not_start_is_not_only_allowed() {
    let machine = sample();
    let log = serde_json::json!({
        "step_num": 4, "phase": "execute", "done_reason": "-",
        "allowlist_summary": [
            {"type": "sh", "allowed": true, "reason": "no rule forbids it"},
            {"type": "sh", "allowed": true, "reason": "no rule forbids it"},
        ],
        "execution": {"command_results": [
            {"code": "sleep 9", "executed": true, "unknown": true, "error": "started before a crash; its end was not recorded"},
            {"code": "ech", "executed": false, "error": "no such program"},
        ]},
    });
    machine.write("logs/steps/step_004.json", log.to_string());
    let ran = machine.run(&["steps", "4"]);
    for words in [
        "its end is unknown",
        "--after-crash skip",
        "no such program",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {ran}");
    }
}
