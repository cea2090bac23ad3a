//! What a task requires of the machine that does it.

use super::*;

fn kind(role: AgentRole, labels: &[&str]) -> WorkerCapabilities {
    WorkerCapabilities {
        roles: vec![role],
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
    }
}

fn requiring(labels: &[&str]) -> TaskSpec {
    TaskSpec {
        requires: labels.iter().map(|&label| label.to_owned()).collect(),
        ..TaskSpec::default()
    }
}

#[test]
fn a_task_waits_for_a_worker_that_has_what_it_requires() {
    let mut bench = Bench::new();
    let special = bench.add(requiring(&["gpu"]));
    let plain = bench.add(TaskSpec::default());
    assert_eq!(bench.task(special).status, TaskStatus::Queued);
    assert_eq!(bench.task(plain).status, TaskStatus::Running);
    assert_eq!(bench.why(special), "no worker has label gpu");
    let why = bench.board.why(special, bench.now).unwrap();
    assert_eq!(why.sentences[0].remedy, "tos worker --nats URL --label gpu");
    bench.tell(Input::SeeWorkers {
        kinds: vec![
            kind(AgentRole::Tester, &["gpu"]),
            kind(AgentRole::Worker, &["arm"]),
        ],
    });
    bench.settle();
    assert_eq!(
        bench.task(special).status,
        TaskStatus::Queued,
        "a tester is no worker"
    );
    // There is one agent, and it has time again.
    bench.commit(plain, "c1");
    bench.tell(Input::SeeWorkers {
        kinds: vec![kind(AgentRole::Worker, &["arm", "gpu"])],
    });
    bench.settle();
    assert_eq!(bench.task(special).status, TaskStatus::Running);
}

#[test]
fn labels_that_nobody_has_together_are_all_named() {
    let mut bench = Bench::new();
    bench.tell(Input::SeeWorkers {
        kinds: vec![
            kind(AgentRole::Worker, &["gpu"]),
            kind(AgentRole::Worker, &["arm"]),
        ],
    });
    let task = bench.add(requiring(&["arm", "gpu"]));
    assert_eq!(
        bench.why(task),
        "no worker has the labels arm, gpu together"
    );
    let other = bench.add(requiring(&["arm", "tpu"]));
    assert_eq!(bench.why(other), "no worker has label tpu");
}

#[test]
fn what_is_known_of_workers_is_written_once_and_ends_with_the_service() {
    let mut bench = Bench::new();
    let kinds = vec![kind(AgentRole::Worker, &["gpu"])];
    let before = bench.events.len();
    for _ in 0..2 {
        bench.tell(Input::SeeWorkers {
            kinds: kinds.clone(),
        });
    }
    assert_eq!(bench.events.len(), before + 1);
    assert_eq!(bench.board.worker_capabilities(), kinds);
    bench.serve("b");
    assert!(bench.board.worker_capabilities().is_empty());
}

#[test]
fn labels_are_words_with_or_without_a_value() {
    let mut bench = Bench::new();
    for wrong in ["", "a b", "os=", "=linux", "a=b=c", "a*", &"x".repeat(65)] {
        let spec = TaskSpec {
            title: "a task".to_owned(),
            ..requiring(&[wrong])
        };
        let spec = Box::new(spec);
        let refusal = bench.try_tell(Input::CreateTask { spec }).unwrap_err();
        assert!(refusal.reason.contains("`requires`"), "{wrong}: {refusal}");
    }
    let many: Vec<String> = (0..17).map(|number| format!("l{number}")).collect();
    assert!(check_labels(&many).is_err() && check_labels(&many[..16]).is_ok());
    assert_eq!(
        check_labels(&["os=linux".to_owned(), "v1.2".to_owned()]),
        Ok(())
    );
}

#[test]
fn an_attempt_that_goes_on_on_another_machine_outlives_its_service() {
    let mut bench = Bench::with(|settings| settings.workers = 2);
    let (kept_on, lost) = (
        bench.add(TaskSpec::default()),
        bench.add(TaskSpec::default()),
    );
    let (run, other) = (bench.run_of(kept_on), bench.run_of(lost));
    bench.effects.clear();
    bench.now += SECOND;
    bench.tell(Input::ServiceStarted {
        instance: "b".into(),
        adopt: [run.lease.fence, Fence(999)].into(),
    });
    assert_eq!(bench.task(kept_on).status, TaskStatus::Running);
    assert_eq!(bench.task(lost).status, TaskStatus::Queued);
    bench.settle();
    // It is handed to the agent that had it, under its old number, and the agent gets nothing else.
    let again = Effect::StartRun {
        run: run.id,
        task: kept_on,
        agent: run.agent,
        fence: run.lease.fence,
    };
    assert_eq!(
        bench
            .effects
            .iter()
            .filter(|effect| **effect == again)
            .count(),
        1
    );
    let agent = bench.board.agents().find(|agent| agent.id == run.agent);
    assert_eq!(agent.unwrap().task, Some(kept_on));
    let renewed = bench.board.run(run.id).unwrap().lease.until;
    assert_eq!(renewed, bench.now + bench.board.settings().lease_ms);
    assert_ne!(bench.run_of(lost).lease.fence, other.lease.fence);
    bench.commit(kept_on, "c1");
    assert!(bench.board.live_runs().all(|run| run.task != kept_on));
}

#[test]
fn what_was_on_a_branch_already_is_not_taken_for_where_it_stands() {
    let mut bench = Bench::new();
    for (commit, base, merged) in [("c1", "b", "m1"), ("c2", "m1", "m2"), ("c3", "m2", "m1")] {
        let task = bench.add(TaskSpec::default());
        bench.commit(task, commit);
        bench.approve(task, base, merged);
        bench.publish(task, MergeOutcome::Merged);
        bench.now += SECOND;
    }
    // A controller that takes over goes through these; m1 is no step back from m2 for it.
    let last: Vec<_> = bench.board.recent_merge_commits().into_values().collect();
    assert_eq!(last, [["m2", "m1"]]);
}
