//! The log of a run: its place is known from the start on, and boards of earlier versions are read as they are.

use super::{
    session::{ONE, item, spec},
    *,
};

fn started(bench: &Bench) -> Vec<String> {
    let mut logs = Vec::new();
    for event in &bench.events {
        if let EventKind::Run(RunEvent::Started { log, .. }) = &event.what {
            logs.push(log.clone());
        }
    }
    logs
}

#[test]
fn a_run_says_from_its_start_on_where_its_log_lies_and_keeps_it_whatever_ends_it() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    let run = bench.run_of(id);
    assert_eq!(run.log, ".tos/task-logs/a-run-1");
    assert_eq!(run.log, run_log_folder("a", run.id));
    // A person ends it.
    bench.tell(Input::CancelRun {
        run: run.id,
        note: String::new(),
        by: "me".into(),
    });
    assert_eq!(bench.board.run(run.id).unwrap().log, run.log);
    bench.settle();
    // The service dies.
    let second = bench.run_of(id);
    assert_eq!(second.log, ".tos/task-logs/a-run-2");
    bench.serve("b");
    assert_eq!(bench.board.run(second.id).unwrap().log, second.log);
    bench.settle();
    let third = bench.run_of(id);
    assert_eq!(third.log, ".tos/task-logs/b-run-3");
    // Whoever made it may know better, as one that went on under another service.
    bench.tell(Input::FinishRun {
        run: third.id,
        fence: third.lease.fence,
        outcome: RunOutcome::Stopped,
        log: ".tos/task-logs/c-run-3".into(),
    });
    let ended = bench.board.run(third.id).unwrap();
    assert_eq!(ended.log, ".tos/task-logs/c-run-3");
}

#[test]
fn events_of_earlier_versions_say_it_at_the_end_only() {
    let old = [
        r#"{"v":1,"at":5,"what":{"type":"run.started","run":1,"task":1,"agent":"worker-1","fence":1,"until":9}}"#,
        r#"{"v":1,"at":6,"what":{"type":"run.finished","run":1,"status":"failed","error":"","failure":null,"kept":null,"log":".tos/task-logs/a-run-1"}}"#,
    ];
    let events = old.map(|text| {
        let event: Event = serde_json::from_str(text).unwrap();
        // Exported again, it is what it was.
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        event
    });
    let mut board = Board::default();
    board.apply(&events[0]);
    assert_eq!(board.run(RunId(1)).unwrap().log, "");
    board.apply(&events[1]);
    assert_eq!(board.run(RunId(1)).unwrap().log, ".tos/task-logs/a-run-1");
    let old = r#"{"v":1,"at":5,"what":{"type":"session.restored","session":1,"outcomes":[null],"failures_in_a_row":0}}"#;
    let event: Event = serde_json::from_str(old).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), old);
}

#[test]
fn tasks_of_a_session_log_below_its_name_and_that_of_the_service_that_goes_on_with_it() {
    let mut bench = Bench::new();
    bench.session_tell(SessionInput::Start {
        spec: Box::new(spec(&[item("a", &[]), item("b", &[])])),
    });
    bench.session_tell(SessionInput::Ready { session: ONE });
    assert_eq!(started(&bench), [".tos/task-logs/r1/a.run-1"]);
    let fence = bench.board.run(RunId(1)).unwrap().lease.fence;
    bench.session_tell(SessionInput::Again {
        session: ONE,
        run: RunId(1),
        fence,
        reason: "not done".into(),
    });
    let again = ".tos/task-logs/r1/a.run-2";
    assert_eq!(started(&bench)[1..], [again], "the first log stays alone");
    bench.serve("b");
    bench.settle();
    bench.session_tell(SessionInput::Restore {
        session: ONE,
        outcomes: vec![None, None],
        failures_in_a_row: 0,
    });
    bench.session_tell(SessionInput::Ready { session: ONE });
    let logs = started(&bench);
    assert_eq!(logs[2..], [".tos/task-logs/b-session-1/a.run-3"]);
    assert!(logs.iter().all(|log| is_run_log_folder(log)));
}
