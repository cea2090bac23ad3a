//! What the records of a job say about steps that were denied, failed, or reached the goal.

use super::*;
use crate::domain::{
    job::record::{RecordFiles, RunSummaryFacts, VerifyReport},
    model::ModelError,
};

fn denied() -> Bench {
    let mut bench = Bench::new(rules());
    bench.start().step(&json!([
        {"type": "bash", "code": "echo ok"},
        {"type": "bash", "code": "forbidden"},
    ]));
    bench
}

fn done() -> Bench {
    let mut bench = Bench::new(rules());
    bench
        .start()
        .step(&json!([{"type": "bash", "code": "echo ok"}]))
        .exit(0)
        .observed(true);
    bench
}

fn fatal() -> Bench {
    let mut bench = Bench::new(rules());
    bench
        .start()
        .tell(JobInput::SetAside(vec![]))
        .tell(JobInput::Failed(ModelError {
            trouble: ModelErrorKind::Rejected,
            message: "no such model".into(),
            retry_after_ms: None,
            request_id: None,
        }));
    bench
}

fn log(bench: &Bench) -> Value {
    let state = bench.job.state();
    record::step_log(state, state.closed.as_ref().unwrap())
}

#[test]
fn the_log_of_a_denied_step_says_which_command_and_why() {
    let log = log(&denied());
    let reason = log["done_reason"].as_str().unwrap();
    assert!(reason.starts_with("deny"), "{log}");
    assert_eq!(log["message"], reason);
    assert_eq!(log["error"], Value::Null);
    let execution = &log["execution"];
    assert_eq!(execution["denied_command_snippet"], "forbidden");
    assert_eq!(
        execution["denied_reason"],
        reason.trim_start_matches("deny: ")
    );
    let results = execution["command_results"].as_array().unwrap();
    assert_eq!(
        (&results[0]["allowed"], &results[0]["executed"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        (&results[1]["allowed"], &results[1]["executed"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(log["next_phase_name"], Value::Null);
}

#[test]
fn the_log_of_a_failed_step_has_an_error_and_no_commands() {
    let log = log(&fatal());
    assert_eq!(log["error"], log["done_reason"]);
    assert!(log["error"].as_str().unwrap().contains("no such model"));
    assert_eq!(log["message"], Value::Null);
    assert_eq!(log["final_commands"], Value::Null);
    assert_eq!(log["calls"]["draft"]["provider"], Value::Null);
}

#[test]
fn the_log_of_the_last_step_names_what_comes_next_and_what_was_used() {
    let log = log(&done());
    assert_eq!(
        (&log["error"], &log["message"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(log["next_instruction_id"], "next_job");
    assert_eq!(log["next_phase_name"], log["sprint"]);
    assert_eq!(log["final_commands"][0]["code"], "echo ok");
    assert_eq!(log["execution"].get("denied_reason"), None);
    assert_eq!(log["tokens"], 45, "three calls of 15");
    assert_eq!(
        (&log["replayed"], &log["job_index"]),
        (&json!(false), &json!(1))
    );
}

#[test]
fn only_the_end_of_a_loop_names_a_result_without_a_step() {
    let bench = done();
    let log = |phase| record::log_without_step(bench.job.state(), 2, phase, "why", "when");
    let complete = log(StepOutcome::JobLoopComplete);
    assert_eq!(complete["job_result_written"], true);
    assert_eq!(
        log(StepOutcome::MaxStepsReached)["job_result_written"],
        false
    );
}

#[test]
fn the_phase_summary_lists_every_bad_step_under_its_own_kind() {
    let summary = |bench: &Bench| record::phase_summary(bench.job.state());
    let one = summary(&denied());
    let reason = one["steps"][0]["done_reason"].clone();
    assert_eq!(
        one["denied_steps"],
        json!([{ "step_num": 1, "reason": reason, "message": reason }])
    );
    assert_eq!(one["fatal_error_steps"], json!([]));
    assert_eq!(
        (&one["steps"][0]["message"], &one["steps"][0]["error"]),
        (&reason, &Value::Null)
    );
    assert_eq!(one["final_phase_result"], Value::Null);
    let one = summary(&fatal());
    let reason = one["steps"][0]["done_reason"].clone();
    assert_eq!(
        one["fatal_error_steps"],
        json!([{ "step_num": 1, "reason": reason, "error": reason }])
    );
    assert_eq!(one["denied_steps"], json!([]));
    assert_eq!(
        (&one["steps"][0]["message"], &one["steps"][0]["error"]),
        (&Value::Null, &reason)
    );
    let one = summary(&done());
    assert_eq!(one["final_phase_result"]["next_instruction_id"], "next_job");
    assert_eq!(one["generated_at"].as_str().unwrap().len(), 26, "{one}");
}

#[test]
fn a_summary_tells_why_the_run_ended_and_first_what_the_run_itself_says() {
    let bench = done();
    let outcome = bench.outcome().clone();
    let ended = record::phase_summary(bench.job.state())["end_reason"].clone();
    assert_eq!(ended, outcome.reason());
    let line = |files: &RunSummaryFacts| record::run_summary_text(bench.job.state(), files);
    let of_state = line(&RunSummaryFacts::default());
    let quoted = Value::String(outcome.reason().to_owned()).to_string();
    assert!(
        of_state.contains(&format!("end_reason={quoted}")),
        "{of_state}"
    );
    let error = RunSummaryFacts {
        error: Some("broken".into()),
        ..RunSummaryFacts::default()
    };
    assert!(
        line(&error).contains("end_reason=broken"),
        "{}",
        line(&error)
    );
    let both = RunSummaryFacts {
        outcome: Some(JobRunOutcome::Fatal {
            reason: "fatal".into(),
        }),
        ..error
    };
    assert!(line(&both).contains("end_reason=fatal"), "{}", line(&both));
}

#[test]
fn the_line_of_a_test_says_whether_it_passed_and_what_it_told() {
    let bench = done();
    let line = |report: VerifyReport| {
        record::run_summary_text(
            bench.job.state(),
            &RunSummaryFacts {
                report: Some(report),
                ..RunSummaryFacts::default()
            },
        )
    };
    let passed = line(VerifyReport::default());
    assert!(passed.contains("test_passed=true"), "{passed}");
    assert!(!passed.contains("verification="), "{passed}");
    let failed = line(VerifyReport {
        failures: vec!["FAIL a".into()],
        warnings: vec!["WARNING: b".into()],
        ..VerifyReport::default()
    });
    assert!(failed.contains("test_passed=false"), "{failed}");
    assert!(
        failed.contains("verification=\"FAIL a; WARNING: b\""),
        "{failed}"
    );
}

#[test]
fn a_result_is_written_only_with_its_file_and_a_complete_loop() {
    let bench = done();
    let with = RunSummaryFacts {
        disk: RecordFiles {
            job_result: Some("r".into()),
            ..RecordFiles::default()
        },
        ..RunSummaryFacts::default()
    };
    let line = record::run_summary_text(bench.job.state(), &with);
    assert!(
        line.contains("job_result_written=false"),
        "one job of two: {line}"
    );
}

#[test]
fn a_value_on_a_line_is_plain_or_a_json_string() {
    for (value, wanted) in [
        ("plain", "k=plain"),
        ("", "k=\"\""),
        ("a b", "k=\"a b\""),
        ("a\u{1}b", "k=\"a\\u0001b\""),
        ("a=b", "k=\"a=b\""),
        ("it's", "k=\"it's\""),
    ] {
        assert_eq!(record::key_value_line(&[("k", value.to_owned())]), wanted);
    }
}

#[test]
fn the_present_step_is_the_open_one_then_the_done_one_then_the_next() {
    let step = |bench: &Bench| record::phase_state(bench.job.state())["current_step"].clone();
    let mut open = Bench::new(rules());
    open.start().tell(JobInput::SetAside(vec![]));
    assert_eq!(step(&open), 1);
    let mut missed = Bench::new(rules());
    missed
        .start()
        .step(&json!([{"type": "bash", "code": "echo ok"}]))
        .exit(0)
        .observed(false);
    assert_eq!(step(&missed), 2);
    assert_eq!(step(&done()), 1);
}

#[test]
fn a_step_log_is_known_by_three_digits_or_more() {
    for (file, number) in [
        ("step_001.json", Some(1)),
        ("step_1000.json", Some(1000)),
        ("step_01.json", None),
        ("step_0a1.json", None),
        ("step_001.txt", None),
        ("stop_001.json", None),
    ] {
        assert_eq!(record::step_number(file), number, "{file}");
    }
}
