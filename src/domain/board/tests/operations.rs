//! Tests of the board: processes, budgets, people, and the fold.

use super::*;

#[test]
fn stop_all_does_seven_things() {
    let mut bench = Bench::with(|settings| settings.workers = 2);
    let (one, two) = (
        bench.add(TaskSpec::default()),
        bench.add(TaskSpec::default()),
    );
    let run = bench.run_of(one);
    let answer = bench.tell(Input::StopAll { by: "eva".into() });
    let BoardResponse::Stopped(counts) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (counts.cancelled_runs, counts.requeued_tasks, counts.stopped),
        (2, 2, 7)
    );
    bench.settle();
    assert_eq!(
        bench.board.run(run.id).unwrap().status,
        RunStatus::Cancelled
    );
    assert!(
        [one, two]
            .iter()
            .all(|id| bench.task(*id).status == TaskStatus::Queued)
    );
    assert!(
        bench
            .board
            .agents()
            .all(|agent| agent.status == AgentAvailability::Offline)
    );
    assert!(!bench.board.hatch().armed);
    assert_eq!(bench.board.live_runs().count(), 0);
    // Nothing comes back by itself, not even after a new start of the service.
    bench.wait(3_600_000);
    bench.serve("b");
    bench.wait(3_600_000);
    assert!(
        bench
            .board
            .processes()
            .iter()
            .all(|process| !process.status.is_live())
    );
    assert!(
        bench.why(one).contains("dispatcher is stopped"),
        "{}",
        bench.why(one)
    );
    // After a start the tasks run at once.
    for name in [
        "cycle-manager",
        "dispatcher",
        "judge",
        "worker-1",
        "worker-2",
    ] {
        bench.tell(Input::StartProcess {
            name: name.into(),
            requirement: None,
            by: "eva".into(),
        });
    }
    bench.settle();
    assert!(
        [one, two]
            .iter()
            .all(|id| bench.task(*id).status == TaskStatus::Running)
    );
}

#[test]
fn a_single_stop_brings_the_task_back_and_is_remembered() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    bench.tell(Input::StopProcess {
        name: "worker-1".into(),
        by: "eva".into(),
    });
    assert_eq!(bench.task(id).status, TaskStatus::Queued);
    bench.settle();
    bench.wait(3_600_000);
    let process = bench
        .board
        .process(ProcessName::Agent(AgentRole::Worker, 1))
        .unwrap();
    assert_eq!(process.status, ProcessStatus::Stopped);
    for (name, code) in [
        ("nobody", RefusalCode::NotFound),
        ("db-up", RefusalCode::Invalid),
    ] {
        let refused = bench.try_tell(Input::StopProcess {
            name: name.into(),
            by: "eva".into(),
        });
        assert_eq!(refused.unwrap_err().code, code);
    }
    let again = bench.tell(Input::StartProcess {
        name: "judge".into(),
        requirement: None,
        by: "eva".into(),
    });
    assert!(
        matches!(again, BoardResponse::Already { detail } if detail.contains("already running"))
    );
}

#[test]
fn processes_come_back_after_doubling_waits() {
    let mut bench = Bench::new();
    let name = ProcessName::Dispatcher;
    for wait in [2, 4, 8, 16, 32, 60, 60] {
        bench.exit(name, false, "panicked");
        let at = bench.board.process(name).unwrap().restart_at.unwrap();
        assert_eq!(at - bench.now, wait * SECOND);
        bench.wait(wait * SECOND);
        assert!(bench.board.is_up(name));
    }
    let mut bench = Bench::with(|settings| settings.restart_max_attempts = 0);
    bench.exit(name, false, "panicked");
    assert_eq!(bench.board.process(name).unwrap().restart_at, None);
    // The self-healing brings it back with its next look.
    bench.wait(30 * SECOND);
    assert!(bench.board.is_up(name));
}

#[test]
fn a_service_that_was_stopped_has_everything_up_at_once_when_it_is_started_again() {
    let mut bench = Bench::new();
    let worker = ProcessName::Agent(AgentRole::Worker, 1);
    let judge = ProcessName::Agent(AgentRole::Judge, 1);
    bench.tell(Input::StopProcess {
        name: judge.to_string(),
        by: "you".into(),
    });
    bench.settle();
    for name in [ProcessName::Dispatcher, worker] {
        bench.exit(name, true, "stopped as asked");
    }
    bench.serve("b");
    bench.settle();
    assert!(bench.board.is_up(ProcessName::Dispatcher));
    assert!(bench.board.is_up(worker));
    assert!(!bench.board.is_up(judge), "somebody stopped it");
}

#[test]
fn a_silent_agent_is_started_again_and_its_task_goes_on() {
    let mut bench = Bench::with(|settings| settings.lease_ms = 10 * HOUR);
    let id = bench.add(TaskSpec::default());
    let worker = ProcessName::Agent(AgentRole::Worker, 1);
    let old = bench.board.process(worker).unwrap().generation;
    bench.now += 121 * SECOND;
    bench.settle();
    bench.wait(2 * SECOND);
    assert!(bench.board.process(worker).unwrap().generation > old);
    assert_eq!(bench.task(id).status, TaskStatus::Running);
    assert_eq!(bench.task(id).counters.lost, 1);
}

#[test]
fn waiting_attempts_bring_the_judge_back_unless_a_person_stopped_it() {
    let mut bench = Bench::with(|settings| settings.auto_restart = false);
    let id = bench.add(TaskSpec::default());
    bench.tell(Input::DisarmHatch {
        source: "shutdown".into(),
        by_person: false,
    });
    let judge = ProcessName::Agent(AgentRole::Judge, 1);
    bench.exit(judge, false, "panicked");
    bench.settle();
    assert!(!bench.board.is_up(judge));
    bench.commit(id, "c");
    bench.wait(30 * SECOND);
    assert!(bench.board.is_up(judge));
    assert!(bench.board.hatch().armed);
    assert!(bench.board.hatch().source.contains("wait for a judge"));
    bench.tell(Input::StopProcess {
        name: "judge".into(),
        by: "eva".into(),
    });
    bench.wait(HOUR);
    assert!(!bench.board.is_up(judge));
}

#[test]
fn a_used_up_quota_stops_its_agent_only() {
    let mut bench = Bench::with(|settings| settings.workers = 3);
    let one = bench.add(TaskSpec {
        agent: "claude".into(),
        ..TaskSpec::default()
    });
    bench.finish(
        one,
        RunOutcome::QuotaUsed {
            until: None,
            detail: "limit reached".into(),
        },
    );
    assert_eq!(bench.task(one).block, Some(BlockReason::QuotaWait));
    let two = bench.add(TaskSpec {
        agent: "claude".into(),
        ..TaskSpec::default()
    });
    let three = bench.add(TaskSpec {
        agent: "codex".into(),
        ..TaskSpec::default()
    });
    assert_eq!(bench.task(two).status, TaskStatus::Queued);
    assert_eq!(bench.task(three).status, TaskStatus::Running);
    let countdown = bench.board.countdown(bench.task(one), bench.now).unwrap();
    assert_eq!(countdown.in_ms, Some(120 * SECOND));
    bench.wait(120 * SECOND);
    assert!(
        [one, two]
            .iter()
            .all(|id| bench.task(*id).status == TaskStatus::Running)
    );
}

#[test]
fn a_quota_stops_the_agent_of_the_settings_and_another_one_works_on() {
    let mut bench = Bench::with(|settings| settings.executor = "claude".into());
    let one = bench.add(TaskSpec::default());
    bench.finish(
        one,
        RunOutcome::QuotaUsed {
            until: None,
            detail: "limit reached".into(),
        },
    );
    let two = bench.add(TaskSpec {
        agent: "claude".into(),
        ..TaskSpec::default()
    });
    let three = bench.add(TaskSpec::default());
    for id in [two, three] {
        assert_eq!(bench.task(id).status, TaskStatus::Queued);
    }
    let mut settings = bench.board.settings().clone();
    settings.executor = "codex".into();
    bench.tell(Input::Configure {
        settings: Box::new(settings),
    });
    bench.settle();
    assert_eq!(bench.task(three).status, TaskStatus::Running);
    assert_eq!(bench.task(two).status, TaskStatus::Queued);
}

#[test]
fn budgets_hold_new_starts_until_they_renew() {
    let mut bench = Bench::with(|settings| settings.hour_limit.calls = Some(1));
    let one = bench.add(TaskSpec::default());
    bench.commit(one, "c");
    let two = bench.add(TaskSpec::default());
    assert_eq!(bench.task(two).status, TaskStatus::Queued);
    assert!(
        bench
            .why(two)
            .contains("1 of 1 calls are used up this hour"),
        "{}",
        bench.why(two)
    );
    let at = bench.board.next_wake_of(Controller::Dispatcher).unwrap();
    assert_eq!(at % HOUR, 0);
    bench.wait(at - bench.now);
    assert_eq!(bench.task(two).status, TaskStatus::Running);
}

#[test]
fn a_person_is_asked_before_a_start() {
    let mut bench = Bench::with(|settings| settings.ask_before_start = true);
    let one = bench.add(TaskSpec::default());
    assert_eq!(bench.task(one).status, TaskStatus::Queued);
    let approval = bench.board.open_approvals().next().unwrap().id;
    bench.tell(Input::Answer {
        approval,
        allow: true,
        by: "eva".into(),
    });
    bench.settle();
    assert_eq!(bench.task(one).status, TaskStatus::Running);
    let two = bench.add(TaskSpec::default());
    let approval = bench.board.open_approvals().next().unwrap().id;
    bench.tell(Input::Answer {
        approval,
        allow: false,
        by: "eva".into(),
    });
    assert_eq!(bench.task(two).status, TaskStatus::Cancelled);
    let twice = bench.try_tell(Input::Answer {
        approval,
        allow: true,
        by: "eva".into(),
    });
    assert_eq!(twice.unwrap_err().code, RefusalCode::Conflict);
}

#[test]
fn the_planner_starts_on_an_empty_board_only() {
    let mut bench = Bench::new();
    let start = |text: Option<&str>| Input::StartProcess {
        name: "planner".into(),
        requirement: text.map(str::to_owned),
        by: "eva".into(),
    };
    assert_eq!(
        bench.try_tell(start(Some(" "))).unwrap_err().code,
        RefusalCode::Invalid
    );
    assert_eq!(
        bench.try_tell(start(None)).unwrap_err().code,
        RefusalCode::Invalid
    );
    bench.tell(start(Some("build it")));
    bench.settle();
    assert_eq!(
        bench.try_tell(start(Some("more"))).unwrap_err().code,
        RefusalCode::Conflict
    );
    let spec = |title: &str, needs: &[u64]| TaskSpec {
        title: title.into(),
        ..after(&needs.iter().map(|need| TaskId(*need)).collect::<Vec<_>>())
    };
    let generation = bench
        .board
        .process(ProcessName::Planner)
        .unwrap()
        .generation;
    let wrong = Ok(vec![spec("one", &[2]), spec("two", &[])]);
    let refused = bench.try_tell(Input::FinishPlan {
        plan: PlanId(1),
        generation,
        tasks: wrong,
    });
    assert_eq!(refused.unwrap_err().code, RefusalCode::Invalid);
    let tasks = Ok(vec![spec("one", &[]), spec("two", &[1])]);
    bench.tell(Input::FinishPlan {
        plan: PlanId(1),
        generation,
        tasks,
    });
    bench.exit(ProcessName::Planner, true, "planned");
    bench.settle();
    assert_eq!(bench.task(TaskId(2)).spec.dependencies[0].task, TaskId(1));
    assert_eq!(
        bench.try_tell(start(Some("more"))).unwrap_err().code,
        RefusalCode::Conflict
    );
}

#[test]
fn a_link_is_waited_for_as_long_as_it_takes() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec {
        link: "requirement.md#2".into(),
        ..TaskSpec::default()
    });
    bench.wait(DAY);
    assert_eq!(bench.task(id).status_label(), "blocked (issue_linking)");
    bench.tell(Input::LinkTask {
        task: id,
        ok: true,
        detail: "line 3".into(),
    });
    bench.settle();
    assert_eq!(bench.task(id).status, TaskStatus::Running);
}

#[test]
fn cleanup_refuses_while_something_runs() {
    let mut bench = Bench::new();
    bench.add(TaskSpec::default());
    let refused = bench.try_tell(Input::Cleanup {
        stop_first: false,
        by: "eva".into(),
    });
    assert_eq!(refused.unwrap_err().code, RefusalCode::Conflict);
    bench.tell(Input::Cleanup {
        stop_first: true,
        by: "eva".into(),
    });
    bench.settle();
    assert_eq!(bench.board.tasks().count(), 0);
    assert!(!bench.board.hatch().armed);
    let next = bench.add(TaskSpec::default());
    assert_eq!(next, TaskId(2), "numbers are never given twice");
}

#[test]
fn a_cleanup_that_stops_first_stops_also_what_is_idle_and_counts_it() {
    for stop_first in [false, true] {
        let mut bench = Bench::new();
        bench.settle();
        let up = |bench: &Bench| {
            let all = bench.board.processes();
            let live = all.iter().filter(|one| one.status.is_live());
            live.filter(|one| one.name.is_stoppable()).count()
        };
        let (before, agents) = (up(&bench), bench.board.agents().count());
        assert!(before > agents && agents > 0);
        let told = bench.tell(Input::Cleanup {
            stop_first,
            by: "eva".into(),
        });
        let BoardResponse::Cleaned(counts) = told else {
            panic!("{told:?}")
        };
        bench.settle();
        let expected = if stop_first { (before, 0) } else { (0, agents) };
        assert_eq!((counts.stopped, counts.agents), expected);
        assert_eq!(up(&bench), before - counts.stopped);
        assert!(!bench.board.hatch().armed);
    }
}

#[test]
fn a_key_makes_a_task_once() {
    let mut bench = Bench::new();
    let spec = TaskSpec {
        key: "issue-7".into(),
        ..TaskSpec::default()
    };
    let first = bench.add(spec.clone());
    let events = bench.events.len();
    assert_eq!(bench.add(spec), first);
    assert_eq!(bench.events.len(), events);
}

#[test]
fn a_failing_cycle_holds_new_starts_for_a_while() {
    let mut bench = Bench::with(|settings| settings.workers = 1);
    let ids: Vec<TaskId> = (0..10).map(|_| bench.add(TaskSpec::default())).collect();
    for _ in 0..10 {
        let running = ids
            .iter()
            .copied()
            .find(|id| bench.task(*id).status == TaskStatus::Running)
            .unwrap();
        bench.fail(running, FailureKind::Env, "");
    }
    assert!(bench.board.dispatch_hold().is_some());
    assert_eq!(bench.board.cycles().next().unwrap().trigger, "failure_rate");
    assert_eq!(bench.board.live_runs().count(), 0);
    bench.wait(30 * 60 * SECOND);
    assert_eq!(bench.board.live_runs().count(), 1);
}

#[test]
fn the_state_is_the_fold_and_its_things_are_the_state() {
    let mut bench = Bench::with(|settings| settings.workers = 2);
    let one = bench.add(on(&["src"]));
    bench.add(TaskSpec {
        key: "k".into(),
        ..TaskSpec::default()
    });
    bench.commit(one, "c");
    bench.approve(one, "b", "m");
    bench.publish(one, MergeOutcome::Merged);
    let mut folded = Board::default();
    for event in &bench.events {
        folded.apply(event);
    }
    assert_eq!(bench.board.difference(&folded), None);
    let things = bench.board.entity_keys().into_iter().map(|key| {
        let text = bench.board.entity(&key).unwrap().to_json().unwrap();
        Entity::from_json(key.parts().0, &text).unwrap()
    });
    let read = Board::from_entities(things);
    assert_eq!(bench.board.difference(&read), None);
    assert_eq!(read.index.queued, folded.index.queued);
    assert_eq!(
        read.index.counts,
        folded
            .index
            .counts
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(key, count)| (*key, *count))
            .collect()
    );
    assert_eq!(read.index.keys, folded.index.keys);
}

#[test]
fn the_clock_of_a_board_never_goes_back() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    let at = bench.board.now();
    bench.now -= DAY;
    bench.fail(id, FailureKind::Test, "");
    assert!(bench.board.now() >= at);
    assert_eq!(bench.task(id).not_before, Some(at + 30 * SECOND));
}

#[test]
fn what_a_run_of_an_earlier_version_left_is_known_by_its_name() {
    let mut bench = Bench::new();
    let task = bench.add(TaskSpec::default());
    bench.commit(task, "c1");
    let names = ["c1", "c2"].map(|commit| format!("refs/tos/attempts/{commit}"));
    let [own, _] = names.clone();
    assert_eq!(
        references_of_board(names.to_vec(), &bench.board, &[]),
        [own]
    );
}

#[test]
fn why_of_a_task_that_waits_for_a_slot_names_the_limit_and_not_what_runs() {
    let mut bench = Bench::with(|settings| settings.workers = 3);
    bench.add(TaskSpec::default());
    bench.add(TaskSpec::default());
    for (most, words) in [
        (
            1,
            "1 task at most may run at once (MAX_CONCURRENT_WORKERS), and 2 do",
        ),
        (0, "MAX_CONCURRENT_WORKERS is 0"),
    ] {
        let mut settings = bench.board.settings().clone();
        settings.max_concurrent = most;
        bench.tell(Input::Configure {
            settings: Box::new(settings),
        });
        bench.settle();
        let id = bench.add(TaskSpec::default());
        assert!(bench.why(id).contains(words), "{}", bench.why(id));
    }
}

#[test]
fn why_of_a_waiting_merge_names_the_processes_that_are_idle() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    bench.commit(id, "c");
    bench.approve(id, "b", "m");
    bench.publish(
        id,
        MergeOutcome::DirtyCheckout {
            detail: "lib.rs is not committed".into(),
        },
    );
    bench.tell(Input::StopAll { by: "eva".into() });
    bench.settle();
    let why = bench.board.why(id, bench.now).unwrap();
    let idle = why.sentences.iter().find(|sentence| {
        sentence.text.starts_with("dispatcher is ") && sentence.text.contains("merged")
    });
    let idle = idle.unwrap_or_else(|| panic!("{:?}", why.sentences));
    assert_eq!(idle.resolver, BlockResolver::Person);
    assert_eq!(idle.remedy, "tos proc start dispatcher");
}
