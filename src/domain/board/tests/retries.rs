//! How often what validators refuse is tried again.

use super::*;

#[test]
fn refusals_by_validators_are_retried_as_often_as_the_setting_says() {
    for most in [0, 1, 2, 3, 4, 5, 9, 20] {
        for sign in ["the same", ""] {
            let mut bench = Bench::with(|settings| {
                settings.policy_suppression_max = most;
                settings.task_limit = SpendLimit::default();
                settings.cycle_max_failure_percent = 101;
            });
            let id = bench.add(TaskSpec::default());
            for retry in 0..most {
                bench.fail(id, FailureKind::Policy, sign);
                let countdown = bench.board.countdown(bench.task(id), bench.now).unwrap();
                assert_eq!((countdown.count, countdown.limit), (retry + 1, Some(most)));
                assert!(countdown.auto, "{most} {sign} {retry}");
                bench.wait(countdown.in_ms.unwrap());
                assert_eq!(bench.task(id).status, TaskStatus::Running, "{most} {retry}");
            }
            bench.fail(id, FailureKind::Policy, sign);
            let task = bench.task(id);
            let stands = (task.block, task.resolver, task.not_before);
            let person = (Some(BlockReason::NeedsRework), BlockResolver::Person, None);
            assert_eq!(stands, person, "{most} {sign}");
        }
    }
    // The limit for failures of all kinds holds as well, and is the most that happens without a person.
    let mut bench = Bench::with(|settings| {
        settings.policy_suppression_max = 2;
        settings.failed_max_retries = 0;
        settings.cycle_max_failure_percent = 101;
    });
    let id = bench.add(TaskSpec::default());
    bench.fail(id, FailureKind::Policy, "the same");
    assert_eq!(bench.task(id).resolver, BlockResolver::Person);
}

/// Fails a task until it waits for a person; returns how many runs that took.
fn runs_until_a_person(bench: &mut Bench, id: TaskId, sign: impl Fn(u32) -> String) -> u32 {
    for number in 1..100 {
        bench.fail(id, FailureKind::Test, &sign(number));
        let task = bench.task(id);
        if task.resolver == BlockResolver::Person {
            assert_eq!(task.block, Some(BlockReason::NeedsRework));
            assert_eq!(task.not_before, None);
            return number;
        }
        let at = task.not_before.unwrap();
        bench.wait(at - bench.now);
        assert_eq!(bench.task(id).status, TaskStatus::Running);
    }
    panic!("it never waits for a person");
}

fn roomy(change: impl FnOnce(&mut BoardSettings)) -> Bench {
    Bench::with(|settings| {
        settings.task_limit = SpendLimit::default();
        settings.cycle_max_failure_percent = 101;
        change(settings);
    })
}

#[test]
fn what_fails_the_same_way_waits_for_a_person_and_a_yes_gives_as_many_tries_again() {
    let mut bench = roomy(|_| {});
    let id = bench.add(TaskSpec::default());
    for round in 0..3 {
        assert_eq!(
            runs_until_a_person(&mut bench, id, |_| "the same".into()),
            4,
            "{round}"
        );
        assert!(bench.why(id).starts_with("the same failure 4 times"));
        bench.wait(10 * 24 * 3600 * SECOND);
        assert_eq!(bench.task(id).counters.runs, 4 * (round + 1));
        bench.tell(Input::RequeueTask {
            task: id,
            note: String::new(),
            by: "eva".into(),
        });
        bench.settle();
    }
    // After a rest for rework the same failure is no new one.
    let mut bench = roomy(|_| {});
    let id = bench.add(TaskSpec::default());
    let sign = |number: u32| if number < 3 { number } else { 3 }.to_string();
    assert_eq!(runs_until_a_person(&mut bench, id, sign), 6);
}

#[test]
fn a_limit_that_somebody_wrote_is_the_most_that_one_yes_gives() {
    for most in 0..5 {
        for differs in [false, true] {
            let mut bench = roomy(|settings| settings.failed_max_retries = most);
            let id = bench.add(TaskSpec::default());
            let sign = |number: u32| if differs { number } else { 0 }.to_string();
            let runs = runs_until_a_person(&mut bench, id, sign);
            let own = i64::from(FailureKind::Test.max_retries());
            assert_eq!(i64::from(runs), most.min(own) + 1, "{most} {differs}");
        }
    }
}

#[test]
fn what_comes_next_is_said_before_it_comes() {
    let mut bench = roomy(|_| {});
    let id = bench.add(TaskSpec::default());
    bench.fail(id, FailureKind::Test, "a");
    assert_eq!(
        bench.why(id),
        "its last run failed: it went wrong (test); it is tried again (retries left: 3)"
    );
    bench.wait(30 * SECOND);
    for _ in 0..2 {
        bench.fail(id, FailureKind::Test, "b");
        bench.wait(30 * SECOND);
    }
    bench.fail(id, FailureKind::Test, "c");
    assert_eq!(
        bench.why(id),
        "it went wrong (test); after a rest it is begun anew with what was learned (1 of 2)"
    );
    let mut bench = roomy(|_| {});
    let id = bench.add(TaskSpec::default());
    for _ in 0..3 {
        bench.wait(30 * SECOND);
        bench.fail(id, FailureKind::Test, "a");
    }
    assert_eq!(
        bench.why(id),
        "its last run failed: it went wrong (test); it is tried again (retries left: 1); if it fails the same way again, a \
         person is asked"
    );
}
