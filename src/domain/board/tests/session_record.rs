//! Sessions that ran without the service.

use super::{
    session::{ONE, item, spec},
    *,
};
use crate::domain::{ledger::TaskOutcome, tasks::StopReason};

#[test]
fn a_session_that_ran_elsewhere_is_recorded_once_and_nothing_of_it_starts() {
    let mut bench = Bench::new();
    let record = |run: &str| {
        let outcomes = [
            TaskOutcome::Success,
            TaskOutcome::Failed,
            TaskOutcome::Skipped,
        ];
        let ends = outcomes.into_iter().enumerate();
        Box::new(SessionRecord {
            spec: SessionSpec {
                run: run.into(),
                recorded: Some((5, 9)),
                ..spec(&[item("a", &[]), item("b", &[]), item("c", &[])])
            },
            ends: ends
                .map(|(place, outcome)| SessionTaskEnd {
                    place,
                    outcome,
                    reason: "so it was".into(),
                    commit: None,
                })
                .collect(),
            why: StopReason::QueueEmpty,
        })
    };
    for _ in 0..2 {
        bench.session_tell(SessionInput::Record {
            record: record("r1"),
        });
    }
    assert_eq!(bench.board.sessions().count(), 1);
    let session = bench.board.session(ONE).unwrap();
    assert_eq!((session.started_at, session.ended_at), (5, Some(9)));
    assert_eq!(session.status(), StopReason::QueueEmpty.as_str());
    let tasks: Vec<TaskId> = session.tasks.iter().flatten().copied().collect();
    let stands: Vec<_> = tasks
        .iter()
        .map(|id| (bench.task(*id).status, bench.task(*id).block))
        .collect();
    let rework = Some(BlockReason::NeedsRework);
    let wanted = [
        (TaskStatus::Done, None),
        (TaskStatus::Blocked, rework),
        (TaskStatus::Cancelled, None),
    ];
    assert_eq!(stands, wanted);
    assert!(
        bench
            .why(tasks[1])
            .contains("failed in session-1: so it was")
    );
    bench.wait(HOUR);
    assert_eq!(bench.board.runs().count(), 0);
    // One that is not over is none, and a list can be begun again.
    let mut open = record("r2");
    open.spec.recorded = None;
    let told = bench.try_tell(Input::Session(SessionInput::Record { record: open }));
    assert_eq!(told.unwrap_err().code, RefusalCode::Invalid);
    bench.session_tell(SessionInput::Start {
        spec: Box::new(spec(&[item("a", &[])])),
    });
    assert_eq!(bench.board.sessions().count(), 2);
}
