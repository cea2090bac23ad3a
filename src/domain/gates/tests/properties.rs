//! What holds for any ledger: nothing opens a gate but evidence, and a breach never does.

use proptest::prelude::*;

use super::*;

fn any_good() -> impl Strategy<Value = LedgerEntry> {
    prop_oneof![
        (0_u32..12, 0_usize..5, any::<bool>()).prop_map(|(id, class, good)| {
            task(
                &format!("T-{id}"),
                ["fix", "feature", "test", "deps", "unclassified"][class],
                good,
            )
        }),
        (0_usize..9, prop::bool::weighted(0.9))
            .prop_map(|(name, passed)| drill(DRILLS[name], passed)),
        Just(start()),
        (0_u64..4000).prop_map(end),
        Just(LedgerEntry::RetrySuccess { task: "T-1".into() }),
        Just(LedgerEntry::Poc {
            subject: "container".into(),
            verdict: "go".into(),
            probes: vec![]
        }),
        (0_u64..30).prop_map(|target| LedgerEntry::Void {
            target,
            reason: String::new()
        }),
        (0_u32..12, any::<bool>()).prop_map(|(id, accepted)| LedgerEntry::Review {
            task: format!("T-{id}"),
            accepted,
            reason: String::new()
        }),
    ]
}

fn any_breach() -> impl Strategy<Value = LedgerEntry> {
    let dirty = |counter: usize| {
        let mut end = SessionEnd {
            active_s: 4000,
            ended_by: "x".into(),
            ..SessionEnd::default()
        };
        match counter {
            0 => end.abnormal = 1,
            1 => end.rollback_failed = 1,
            2 => end.invariant_broken = 1,
            _ => end.limit_breach = 1,
        }
        LedgerEntry::SessionEnd { end }
    };
    prop_oneof![
        Just(LedgerEntry::IsolationBreach {
            what: "w".into(),
            path: "p".into()
        }),
        Just(LedgerEntry::InvariantBroken {
            what: "w".into(),
            path: "p".into()
        }),
        Just(LedgerEntry::Rollback {
            task: "T".into(),
            target: "x".into(),
            ok: false,
            before: "a".into(),
            after: "b".into(),
            kept: None,
        }),
        Just(LedgerEntry::Limit {
            task: "T".into(),
            name: "files".into(),
            actual: 11,
            limit: 10
        }),
        (0_usize..4).prop_map(dirty),
        (0_usize..9).prop_map(|name| drill(DRILLS[name], false)),
        Just(LedgerEntry::RetryFailed {
            task: "T".into(),
            reason: String::new()
        }),
    ]
}

fn book(first: &str, entries: Vec<LedgerEntry>) -> Book {
    let mut book = Book {
        session: Some("S".into()),
        ..Book::default()
    };
    if first != "1" {
        book = book.phase("1", first);
    }
    entries.into_iter().fold(book, Book::add)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_ledger_that_lacks_evidence_promotes(entries in prop::collection::vec(any_good(), 0..80), missing in 0_usize..4) {
        let lacks = |entry: &LedgerEntry| match missing {
            0 => !matches!(entry, LedgerEntry::Drill { name, .. } if name == "two-failures"),
            1 => !matches!(entry, LedgerEntry::Task { end } if end.class != "fix" && end.class != "test"),
            2 => !matches!(entry, LedgerEntry::Task { end } if !["T-0", "T-1", "T-2", "T-3"].contains(&end.task.as_str())),
            _ => !matches!(entry, LedgerEntry::Task { end } if end.outcome == TaskOutcome::Success),
        };
        let entries = entries.into_iter().filter(lacks).collect();
        prop_assert!(!is_ready(&book("1", entries)));
    }

    #[test]
    fn a_ready_gate_has_what_it_asks_for(entries in prop::collection::vec(any_good(), 20..120)) {
        let book = book("1", entries);
        let good: std::collections::BTreeSet<String> = book.records.iter().filter_map(|record| match &record.entry {
            LedgerEntry::Task { end } if end.outcome == TaskOutcome::Success => Some(end.fingerprint.clone()),
            _ => None,
        }).collect();
        if is_ready(&book) {
            prop_assert!(good.len() >= 5);
        }
    }

    #[test]
    fn a_breach_never_opens_a_gate(entries in prop::collection::vec(any_good(), 0..80), breach in any_breach(), second in any::<bool>()) {
        let before = book(if second { "2a" } else { "1" }, entries);
        let ready = is_ready(&before);
        let ask = StartRequest {
            unattended: true, seconds: 60, on_failure: "stop".into(),
            capabilities: ["worktree", "env_min", "home_redirect", "kill_tree"].map(String::from).to_vec(),
        };
        let allowed = is_startable_program(&before.report(), &ask).is_ok();
        // The gate from 2a to 2b asks for hours without a person, not for hours without a limit: a session that a limit
        // ended is one that was under control. The gates behind it count limits.
        let counts = !second || !matches!(&breach, LedgerEntry::SessionEnd { end } if end.limit_breach > 0);
        let after = before.add(breach);
        prop_assert!(ready || !counts || !is_ready(&after));
        prop_assert!(allowed || is_startable_program(&after.report(), &ask).is_err());
    }
}
