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
    // The limit for failures of all kinds holds as well: a rest before rework, then the rest of the retries.
    let mut bench = Bench::with(|settings| {
        settings.policy_suppression_max = 2;
        settings.failed_max_retries = 0;
        settings.cycle_max_failure_percent = 101;
    });
    let id = bench.add(TaskSpec::default());
    for _ in 0..2 {
        bench.fail(id, FailureKind::Policy, "the same");
        assert_eq!(bench.task(id).resolver, BlockResolver::CycleManager);
        bench.wait(bench.board.settings().blocked_cooldown_ms);
    }
    bench.fail(id, FailureKind::Policy, "the same");
    assert_eq!(bench.task(id).resolver, BlockResolver::Person);
}
