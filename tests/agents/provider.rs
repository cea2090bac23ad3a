//! Trouble that is not the work's: the provider, its limits, a login, money, silence.

use std::thread;

use chrono::{TimeDelta, Utc};

use crate::{
    BOTH,
    bench::{Agent, Bench, Ended, REPAIR, Task},
};

/// Runs a task whose requests meet this fault; returns what came of it.
fn with_fault(
    agent: Agent,
    fault: &str,
    is_subscriber: bool,
    lines: &str,
) -> Option<(Bench, Ended)> {
    let mut bench = Bench::new(agent)?;
    bench.is_subscriber = is_subscriber && agent == Agent::Claude;
    bench.list_lines =
        format!("on_failure = \"retry_then_stop\"\nprovider_pause_seconds = 1\n{lines}");
    let ended = bench.run_one(&format!("{REPAIR}\nFAULT: {fault}"));
    Some((bench, ended))
}

/// Runs cases beside each other, because they mostly wait.
fn at_once(cases: &[(Agent, &str, bool)], lines: &str, look: impl Fn(&Bench, &Ended, &str) + Sync) {
    thread::scope(|scope| {
        for &(agent, fault, is_subscriber) in cases {
            let look = &look;
            scope.spawn(move || {
                if let Some((bench, ended)) = with_fault(agent, fault, is_subscriber, lines) {
                    look(
                        &bench,
                        &ended,
                        &format!("{agent:?} {fault}: {}", ended.said),
                    );
                }
            });
        }
    });
}

#[test]
fn a_provider_in_trouble_is_waited_for_and_costs_no_attempt() {
    let cases = [
        (
            Agent::Claude,
            "status 429 retry-after=1 message=\"slow down\" times=4",
            true,
        ),
        (
            Agent::Claude,
            "status 503 message=unavailable times=4",
            false,
        ),
        (Agent::Claude, "status 529 times=4", false),
        (Agent::Claude, "cut times=4", false),
        (
            Agent::Codex,
            "status 429 retry-after=1 message=\"slow down\" times=4",
            false,
        ),
        (
            Agent::Codex,
            "status 503 message=unavailable times=4",
            false,
        ),
        (Agent::Codex, "cut times=4", false),
    ];
    at_once(&cases, "", |bench, ended, said| {
        assert_eq!(ended.code, Some(0), "{said}");
        let end = bench.task_end();
        assert_eq!(
            (&end["outcome"], &end["attempts"]),
            (&"success".into(), &1.into()),
            "{said}"
        );
        assert!(bench.records("retry.start").is_empty(), "{said}");
    });
}

#[test]
fn a_provider_that_stays_down_ends_the_session_and_blames_nobody() {
    let cases = [
        (Agent::Claude, "status 529", false),
        (Agent::Codex, "status 503 message=unavailable", false),
    ];
    at_once(&cases, "provider_retries = 1\n", |bench, ended, said| {
        assert_eq!(ended.code, Some(5), "{said}");
        let end = bench.task_end();
        assert_eq!(end["outcome"], "blocked", "{said}");
        assert_eq!(bench.ended_by(), "provider", "{said}");
        let reason = end["reason"].as_str().unwrap();
        assert!(reason.contains("529") || reason.contains("503"), "{reason}");
        assert!(bench.records("retry.start").is_empty(), "{said}");
    });
}

#[test]
fn what_only_a_person_can_mend_stops_the_session_at_once() {
    let cases = [
        (Agent::Claude, "status 401 message=\"invalid key\"", true),
        (
            Agent::Claude,
            "status 400 type=invalid_request_error message=\"Credit balance is too low\"",
            false,
        ),
        (Agent::Codex, "status 401 message=\"invalid key\"", false),
        (
            Agent::Codex,
            "status 429 type=insufficient_quota code=insufficient_quota message=\"spent\"",
            false,
        ),
    ];
    at_once(&cases, "", |bench, ended, said| {
        assert_eq!(ended.code, Some(5), "{said}");
        let end = bench.task_end();
        assert_eq!(end["outcome"], "blocked", "{said}");
        assert_eq!(bench.ended_by(), "needs_person", "{said}");
        let reason = end["reason"].as_str().unwrap();
        let words = ["401", "Credit balance is too low", "Quota exceeded"];
        assert!(words.iter().any(|word| reason.contains(word)), "{reason}");
        assert!(bench.records("retry.start").is_empty(), "{said}");
    });
}

/// The words in which a provider says until when a limit holds.
fn limit(agent: Agent, seconds: i64) -> String {
    let until = Utc::now().timestamp() + seconds;
    match agent {
        Agent::Claude | Agent::ClaudeAcp => format!(
            "status 429 header.anthropic-ratelimit-unified-status=rejected header.anthropic-ratelimit-unified-reset={until} \
             header.anthropic-ratelimit-unified-representative-claim=five_hour"
        ),
        _ => format!(
            "status 429 type=usage_limit_reached body.resets_at={until} body.resets_in_seconds={seconds} body.plan_type=plus"
        ),
    }
}

#[test]
fn a_limit_that_ends_within_the_minute_is_waited_for_and_not_until_tomorrow() {
    let [claude, codex] = BOTH.map(|agent| format!("{} times=1", limit(agent, 3)));
    let cases = [
        (Agent::Claude, claude.as_str(), true),
        (Agent::Codex, &codex, false),
    ];
    at_once(&cases, "", |bench, ended, said| {
        assert_eq!(ended.code, Some(0), "{said}");
        let end = bench.task_end();
        assert_eq!(
            (&end["outcome"], &end["attempts"]),
            (&"success".into(), &1.into()),
            "{said}"
        );
        assert_eq!(bench.records("quota.wait").len(), 1, "{said}");
    });
}

#[test]
fn a_limit_that_ends_in_days_ends_the_session_and_is_told_with_its_date() {
    let [claude, codex] = BOTH.map(|agent| limit(agent, 300_000));
    // The clock time that the agent names is rounded up by a minute, which may be the next day's first.
    let days = [300_000, 300_120].map(|seconds| {
        let until = Utc::now() + TimeDelta::seconds(seconds);
        until.format("it is renewed on %a %Y-%m-%d").to_string()
    });
    let cases = [
        (Agent::Claude, claude.as_str(), true),
        (Agent::Codex, &codex, false),
    ];
    at_once(&cases, "", |bench, ended, said| {
        assert_eq!(ended.code, Some(5), "{said}");
        assert_eq!(bench.ended_by(), "quota", "{said}");
        assert_eq!(bench.task_end()["outcome"], "blocked", "{said}");
        let is_told = days.iter().any(|day| ended.said.contains(day));
        assert!(is_told, "{days:?}: {said}");
    });
}

#[test]
fn words_of_limits_in_the_work_are_no_limit() {
    for agent in BOTH {
        let Some(bench) = Bench::new(agent) else {
            return;
        };
        let ended = bench.run_one(
            "DO: echo 'usage limit reached; resets_in_seconds: 7000 You have hit your limit'\nSAY: no",
        );
        assert_eq!(ended.code, Some(3), "{agent:?}: {}", ended.said);
        assert_eq!(bench.task_end()["outcome"], "failed", "{}", ended.said);
    }
}

#[test]
fn a_silent_agent_is_ended_long_before_its_time_is_up() {
    thread::scope(|scope| {
        for agent in BOTH {
            scope.spawn(move || {
                let Some(mut bench) = Bench::new(agent) else {
                    return;
                };
                "idle_seconds = 4\n".clone_into(&mut bench.agent_lines);
                "provider_retries = 1\nprovider_pause_seconds = 1\n"
                    .clone_into(&mut bench.list_lines);
                bench.list(&[Task("T-1", "FAULT: hang".to_owned(), "")]);
                let ended = bench.run();
                let end = bench.task_end();
                assert_ne!(end["outcome"], "success", "{}", ended.said);
                let reason = end["reason"].as_str().unwrap();
                assert!(reason.contains("4 s"), "{agent:?}: {reason}");
            });
        }
    });
}
