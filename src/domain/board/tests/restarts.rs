//! Processes that end or do not come up, and the hatch that a person disarmed.

use super::*;

/// Lets a process end badly; returns how long it rests before it is started again.
fn crash(bench: &mut Bench, name: ProcessName) -> Millis {
    bench.exit(name, false, "panicked");
    let at = bench.board.process(name).unwrap().restart_at.unwrap();
    at - bench.now
}

#[test]
fn restarts_are_counted_anew_after_the_window() {
    let name = ProcessName::Dispatcher;
    let mut bench = Bench::with(|settings| {
        settings.restart_window_ms = 60 * SECOND;
        settings.restart_max_attempts = 2;
    });
    for wait in [2, 4] {
        assert_eq!(crash(&mut bench, name), wait * SECOND);
        bench.wait(wait * SECOND);
        assert!(bench.board.is_up(name));
    }
    // The window is not over: 54 s of 60.
    bench.wait(54 * SECOND);
    bench.exit(name, false, "panicked");
    assert_eq!(bench.board.process(name).unwrap().restart_at, None);
    bench.wait(30 * SECOND);
    assert!(bench.board.is_up(name), "self-healing brings it back");
    // It is over: the first wait again, and both tries.
    for wait in [2, 4] {
        assert_eq!(crash(&mut bench, name), wait * SECOND);
        bench.wait(wait * SECOND);
    }
}

#[test]
fn a_start_that_takes_too_long_is_given_up_and_tried_again() {
    let mut bench = Bench::with(|settings| settings.startup_grace_ms = 5 * SECOND);
    let worker = ProcessName::Agent(AgentRole::Worker, 1);
    bench.tell(Input::StopProcess {
        name: "worker-1".into(),
        by: "eva".into(),
    });
    bench.settle();
    bench.tell(Input::StartProcess {
        name: "worker-1".into(),
        requirement: None,
        by: "eva".into(),
    });
    // Nobody says that it came up.
    bench.effects.clear();
    let process = |bench: &Bench| bench.board.process(worker).unwrap().clone();
    let first = process(&bench).generation;
    assert_eq!(process(&bench).status, ProcessStatus::Starting);
    bench.now += 5 * SECOND - 1;
    bench.settle();
    assert_eq!(process(&bench).status, ProcessStatus::Starting);
    bench.now += 1;
    bench.tell(Input::Wake {
        part: Controller::Supervisor,
    });
    assert_eq!(process(&bench).status, ProcessStatus::Failed);
    assert!(process(&bench).message.contains("did not come up in time"));
    let stopped = Effect::StopProcess {
        name: worker,
        generation: first,
    };
    assert!(bench.effects.contains(&stopped));
    bench.wait(2 * SECOND);
    assert!(bench.board.is_up(worker) && process(&bench).generation == first + 1);
    // One that came up may be silent for as long.
    bench.now += 4 * SECOND;
    bench.settle();
    assert_eq!(process(&bench).generation, first + 1);
}

#[test]
fn a_hatch_that_a_person_disarmed_stays_so_and_the_judge_works_all_the_same() {
    let mut bench = Bench::with(|settings| settings.auto_restart = false);
    let id = bench.add(TaskSpec::default());
    bench.tell(Input::DisarmHatch {
        source: "eva".into(),
        by_person: true,
    });
    let judge = ProcessName::Agent(AgentRole::Judge, 1);
    bench.commit(id, "c");
    bench.exit(judge, false, "panicked");
    bench.exit(ProcessName::Dispatcher, false, "panicked");
    bench.wait(30 * SECOND);
    assert!(bench.board.is_up(judge));
    assert!(bench.why(id).contains("examines it"), "{}", bench.why(id));
    bench.approve(id, "b", "m");
    bench.publish(id, MergeOutcome::Merged);
    assert_eq!(bench.task(id).status, TaskStatus::Done);
    let next = bench.add(TaskSpec::default());
    bench.wait(HOUR);
    assert_eq!(bench.task(next).status, TaskStatus::Queued);
    let hatch = bench.board.hatch();
    assert_eq!((hatch.armed, hatch.source.as_str()), (false, "eva"));
    assert!(!bench.board.is_up(ProcessName::Dispatcher));
    bench.tell(Input::ArmHatch {
        source: "eva".into(),
        by_person: true,
    });
    bench.settle();
    assert!(bench.board.is_up(ProcessName::Dispatcher));
    assert_eq!(bench.task(next).status, TaskStatus::Running);
}
