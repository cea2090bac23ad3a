//! Decides what follows a failed model call: another attempt, a long pause, or the end.
//!
//! The pace is ours (doubling, with jitter), the floor is the provider's: what it asks to wait is never
//! cut short. A wait that is longer than a run should sit through parks the job instead. Chance is passed
//! in, so the same failure with the same draw always gives the same answer.

use std::time::Duration;

use crate::domain::{
    job::rules::RetryPolicy,
    model::{ModelError, ModelErrorKind},
};

/// How often a connection that is not there is waited for after the attempts are used up, as tasks do.
const OUTAGE_WAITS: u32 = 5;
/// The first of these waits; each is twice as long as the one before, and none longer than a run sits through.
const OUTAGE_WAIT: Duration = Duration::from_secs(30);
/// Doublings after which the wait no longer grows; 2^20 of any base is beyond every ceiling.
const MAX_DOUBLINGS: u32 = 20;

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a failure that nobody answers leaves the job hanging"]
pub enum RetryDecision {
    /// Ask again after this wait, within this run.
    Again {
        /// How long to wait.
        wait: Duration,
    },
    /// Stop this run so that it can be resumed after this wait.
    Park {
        /// How long the provider asks to wait.
        wait: Duration,
    },
    /// Nothing that happens by itself makes the same request succeed, or the attempts are used up.
    GiveUp,
}

/// Returns what follows `failure`, the `attempt`-th failed attempt in a row (the first is 1).
///
/// `chance` is a random number in `0.0..1.0`. A long wait asked for by the provider parks even when the
/// attempts are used up: the request is known to be good later.
pub fn decide_retry(
    failure: &ModelError,
    attempt: u32,
    rules: &RetryPolicy,
    chance: f64,
) -> RetryDecision {
    let asked = failure.retry_after_ms.map(Duration::from_millis);
    match asked {
        Some(wait) if failure.trouble == ModelErrorKind::QuotaExhausted => {
            RetryDecision::Park { wait }
        }
        _ if !failure.trouble.is_transient() => RetryDecision::GiveUp,
        Some(wait) if wait > rules.max_wait => RetryDecision::Park { wait },
        // The request is good, only too many came: the job waits instead of being given up.
        _ if attempt > rules.attempts && failure.trouble == ModelErrorKind::RateLimited => {
            RetryDecision::Park {
                wait: backoff(attempt, rules, chance).max(asked.unwrap_or_default()),
            }
        }
        _ if attempt > rules.attempts && waits_for_network(failure, rules) => {
            match attempt - rules.attempts {
                waited if waited <= OUTAGE_WAITS => RetryDecision::Again {
                    wait: OUTAGE_WAIT
                        .saturating_mul(1 << (waited - 1))
                        .min(rules.max_wait),
                },
                // The job is as it was, and whoever has mended the network goes on with it.
                _ => RetryDecision::Park { wait: OUTAGE_WAIT },
            }
        }
        _ if attempt > rules.attempts => RetryDecision::GiveUp,
        _ => RetryDecision::Again {
            wait: backoff(attempt, rules, chance).max(asked.unwrap_or_default()),
        },
    }
}

/// Returns whether there was no connection, and the configuration wants it waited for.
const fn waits_for_network(failure: &ModelError, rules: &RetryPolicy) -> bool {
    matches!(failure.trouble, ModelErrorKind::Unreachable)
        && rules.attempts > 0
        && !rules.base.is_zero()
}

/// Our own pace: base, doubled for each attempt, moved by up to a quarter either way, never above the ceiling.
fn backoff(attempt: u32, rules: &RetryPolicy, chance: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(MAX_DOUBLINGS);
    let plain = rules.base.saturating_mul(1 << doublings);
    let factor = 0.75 + 0.5 * chance.clamp(0.0, 1.0);
    Duration::try_from_secs_f64(plain.as_secs_f64() * factor)
        .unwrap_or(rules.max_wait)
        .min(rules.max_wait)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: RetryPolicy = RetryPolicy {
        attempts: 4,
        base: Duration::from_secs(1),
        max_wait: Duration::from_secs(120),
    };

    fn failure(trouble: ModelErrorKind, retry_after_ms: Option<u64>) -> ModelError {
        ModelError {
            trouble,
            message: "m".into(),
            retry_after_ms,
            request_id: None,
        }
    }

    fn again(seconds: f64) -> RetryDecision {
        RetryDecision::Again {
            wait: Duration::from_secs_f64(seconds),
        }
    }

    #[test]
    fn the_wait_doubles_and_jitter_moves_it_by_a_quarter() {
        let overloaded = failure(ModelErrorKind::Overloaded, None);
        let waits = [1, 2, 3, 4, 5].map(|attempt| decide_retry(&overloaded, attempt, &RULES, 0.5));
        assert_eq!(
            waits,
            [
                again(1.0),
                again(2.0),
                again(4.0),
                again(8.0),
                RetryDecision::GiveUp
            ]
        );
        assert_eq!(decide_retry(&overloaded, 1, &RULES, 0.0), again(0.75));
        assert_eq!(decide_retry(&overloaded, 1, &RULES, 1.0), again(1.25));
    }

    #[test]
    fn a_network_that_is_gone_is_waited_for_and_then_parks_the_job() {
        let gone = failure(ModelErrorKind::Unreachable, None);
        let most = RULES.attempts + OUTAGE_WAITS;
        let waits: Vec<RetryDecision> = (RULES.attempts..=most + 1)
            .map(|attempt| decide_retry(&gone, attempt, &RULES, 0.5))
            .collect();
        let park = RetryDecision::Park { wait: OUTAGE_WAIT };
        let longest = again(120.0);
        assert_eq!(
            waits,
            [
                again(8.0),
                again(30.0),
                again(60.0),
                longest,
                longest,
                longest,
                park
            ]
        );
        // Whoever wants no waits or no further attempts gets the end at once.
        let impatient = RetryPolicy {
            base: Duration::ZERO,
            ..RULES
        };
        assert_eq!(
            decide_retry(&gone, 5, &impatient, 0.5),
            RetryDecision::GiveUp
        );
        let once = RetryPolicy {
            attempts: 0,
            ..RULES
        };
        assert_eq!(decide_retry(&gone, 1, &once, 0.5), RetryDecision::GiveUp);
    }

    #[test]
    fn w35_the_number_of_attempts_is_exactly_what_was_configured() {
        let error = failure(ModelErrorKind::ServerError, None);
        let mut attempts = 1;
        while decide_retry(&error, attempts, &RULES, 0.5) != RetryDecision::GiveUp {
            attempts += 1;
        }
        assert_eq!(attempts, RULES.attempts + 1);
    }

    #[test]
    fn a_wait_of_exactly_the_ceiling_is_still_waited_for() {
        let asked = |seconds: u64| {
            let failure = failure(ModelErrorKind::RateLimited, Some(seconds * 1000));
            decide_retry(&failure, 1, &RULES, 0.5)
        };
        assert_eq!(asked(120), again(120.0));
        let wait = Duration::from_secs(121);
        assert_eq!(asked(121), RetryDecision::Park { wait });
    }

    #[test]
    fn too_many_requests_park_only_after_the_last_attempt() {
        let limited = failure(ModelErrorKind::RateLimited, None);
        assert_eq!(
            decide_retry(&limited, RULES.attempts, &RULES, 0.5),
            again(8.0)
        );
        let wait = Duration::from_secs(16);
        assert_eq!(
            decide_retry(&limited, RULES.attempts + 1, &RULES, 0.5),
            RetryDecision::Park { wait }
        );
    }

    #[test]
    fn w36_what_cannot_succeed_is_not_repeated() {
        for trouble in [
            ModelErrorKind::Unauthorised,
            ModelErrorKind::Rejected,
            ModelErrorKind::QuotaExhausted,
            ModelErrorKind::NotRecorded,
            ModelErrorKind::Cancelled,
        ] {
            assert_eq!(
                decide_retry(&failure(trouble, None), 1, &RULES, 0.5),
                RetryDecision::GiveUp
            );
        }
    }

    #[test]
    fn w37_a_retry_after_is_never_cut_short() {
        let limited = failure(ModelErrorKind::RateLimited, Some(30_000));
        assert_eq!(decide_retry(&limited, 1, &RULES, 0.0), again(30.0));
        let brief = failure(ModelErrorKind::RateLimited, Some(200));
        assert_eq!(decide_retry(&brief, 3, &RULES, 0.5), again(4.0));
    }

    #[test]
    fn a_wait_longer_than_a_run_sits_through_parks_even_after_the_last_attempt() {
        let limited = failure(ModelErrorKind::RateLimited, Some(120_001));
        let park = RetryDecision::Park {
            wait: Duration::from_millis(120_001),
        };
        assert_eq!(decide_retry(&limited, 1, &RULES, 0.5), park);
        assert_eq!(decide_retry(&limited, 99, &RULES, 0.5), park);
    }

    #[test]
    fn a_rate_limit_that_outlives_the_attempts_parks() {
        let limited = failure(ModelErrorKind::RateLimited, None);
        let park = RetryDecision::Park {
            wait: Duration::from_secs(16),
        };
        assert_eq!(decide_retry(&limited, 5, &RULES, 0.5), park);
    }

    #[test]
    fn an_exhausted_quota_parks_when_it_says_until_when_and_ends_otherwise() {
        let until = failure(ModelErrorKind::QuotaExhausted, Some(5_000));
        let park = RetryDecision::Park {
            wait: Duration::from_secs(5),
        };
        assert_eq!(decide_retry(&until, 1, &RULES, 0.5), park);
        let unknown = failure(ModelErrorKind::QuotaExhausted, None);
        assert_eq!(
            decide_retry(&unknown, 1, &RULES, 0.5),
            RetryDecision::GiveUp
        );
    }

    #[test]
    fn a_base_of_zero_means_no_wait_of_our_own() {
        let rules = RetryPolicy {
            base: Duration::ZERO,
            ..RULES
        };
        assert_eq!(
            decide_retry(&failure(ModelErrorKind::TimedOut, None), 3, &rules, 0.9),
            again(0.0)
        );
        assert_eq!(
            decide_retry(
                &failure(ModelErrorKind::TimedOut, Some(7_000)),
                3,
                &rules,
                0.9
            ),
            again(7.0)
        );
    }

    proptest! {
        #[test]
        fn every_wait_respects_the_provider_and_the_ceiling(
            asked in proptest::option::of(any::<u64>()), attempt in any::<u32>(), attempts in any::<u32>(),
            base in 0_u64..u64::MAX, max_wait in 0_u64..1_000_000, chance in any::<f64>(),
        ) {
            let rules = RetryPolicy {
                attempts,
                base: Duration::from_millis(base),
                max_wait: Duration::from_millis(max_wait),
            };
            let least = Duration::from_millis(asked.unwrap_or(0));
            match decide_retry(&failure(ModelErrorKind::RateLimited, asked), attempt, &rules, chance) {
                RetryDecision::Again { wait } => prop_assert!(wait >= least && wait <= rules.max_wait),
                RetryDecision::Park { wait } if wait > rules.max_wait => prop_assert!(wait == least),
                RetryDecision::Park { wait } => prop_assert!(attempt > attempts && wait >= least),
                RetryDecision::GiveUp => prop_assert!(false, "what is only too much for now is never given up"),
            }
        }
    }
}
