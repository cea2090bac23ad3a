//! How evidence counts, fades, is rejected and leads back.

use super::*;

#[test]
fn an_override_permits_and_opens_no_gate_and_ends() {
    let wish = |expires: &str| LedgerEntry::Override {
        reason: "r".into(),
        expires: at(expires),
    };
    let ask = StartRequest {
        unattended: true,
        seconds: 3600,
        on_failure: "retry_then_skip_dependents".into(),
        capabilities: ["worktree", "env_min", "home_redirect"]
            .map(String::from)
            .to_vec(),
    };
    let may = |book: &Book| is_startable_program(&book.report(), &ask).is_ok();
    let book = Book::default().add(wish("2026-03-14T10:00:00+09:00"));
    assert!(may(&book) && !is_ready(&book));
    let bare = StartRequest {
        capabilities: vec![],
        ..ask.clone()
    };
    assert!(
        is_startable_program(&book.report(), &bare).is_err(),
        "walls stay"
    );
    let over = Book::default().add(wish("2026-03-14T08:59:00+09:00"));
    assert!(!may(&over));
    let taken_back = book.add(wish("2026-03-14T09:00:00+09:00"));
    assert!(!may(&taken_back));
}

#[test]
fn an_empty_ledger_stands_at_the_bottom_and_permits_nothing() {
    let report = Book::default().report();
    assert_eq!(report.autonomy_track().unwrap().phase, "1");
    assert_eq!(report.tracks[1].phase, "S-4");
    let isolation = ["worktree", "env_min", "home_redirect"]
        .map(String::from)
        .to_vec();
    let ask = StartRequest {
        unattended: true,
        seconds: 60,
        on_failure: "stop".into(),
        capabilities: isolation,
    };
    assert!(
        is_startable_program(&report, &ask)
            .unwrap_err()
            .why
            .starts_with("autonomy level 1 allows no unattended run. Open: successes 0/5")
    );
    assert_eq!(
        is_startable_program(
            &report,
            &StartRequest {
                unattended: false,
                ..ask
            }
        ),
        Ok(())
    );
}

#[test]
fn an_unattended_session_must_fit_into_what_the_phase_allows() {
    let report = control().report();
    let ask = |seconds, on_failure: &str, more: &[&str]| StartRequest {
        unattended: true,
        seconds,
        on_failure: on_failure.into(),
        capabilities: ["worktree", "env_min", "home_redirect"]
            .iter()
            .chain(more)
            .map(|one| (*one).to_owned())
            .collect(),
    };
    assert_eq!(
        is_startable_program(&report, &ask(3600, "retry_then_stop", &["kill_tree"])),
        Ok(())
    );
    assert!(is_startable_program(&report, &ask(3601, "stop", &["kill_tree"])).is_err());
    assert!(
        is_startable_program(
            &report,
            &ask(60, "retry_then_skip_dependents", &["kill_tree"])
        )
        .is_err()
    );
    assert_eq!(
        is_startable_program(&report, &ask(60, "stop", &[]))
            .unwrap_err()
            .why,
        "autonomy level 2a needs a confinement with kill_tree"
    );
}

#[test]
fn a_breach_leads_back_to_the_bottom_and_locks() {
    let book = control().add(LedgerEntry::IsolationBreach {
        what: "wrote".into(),
        path: "/etc".into(),
    });
    let standing = book.report().autonomy_track().unwrap().clone();
    assert_eq!(
        (standing.phase.as_str(), standing.locked.is_some()),
        ("1", true)
    );
    let recorded = book.add(LedgerEntry::Phase {
        track: AUTONOMY_TRACK.into(),
        from: "2a".into(),
        to: "1".into(),
        mode: PhaseTransition::Auto,
        lock: true,
        reason: "breach".into(),
        evidence: vec![],
    });
    let standing = recorded.report().autonomy_track().unwrap().clone();
    assert_eq!(
        (
            standing.phase.as_str(),
            standing.demotion,
            standing.locked.as_deref()
        ),
        ("1", None, Some("breach"))
    );
    assert!(
        standing.gate.unwrap().criteria.iter().all(|one| !one.met),
        "old evidence counts no more"
    );
    let unlocked = recorded.add(LedgerEntry::Unlock {
        reason: "looked".into(),
    });
    assert_eq!(unlocked.report().autonomy_track().unwrap().locked, None);
}

#[test]
fn a_rejected_or_repeated_success_does_not_count() {
    let book = Book::default()
        .task("a", "fix", true)
        .task("b", "test", true)
        .task("a", "fix", true);
    let have = |book: &Book| {
        book.report()
            .autonomy_track()
            .unwrap()
            .gate
            .as_ref()
            .unwrap()
            .criteria[0]
            .value
            .clone()
    };
    assert_eq!(have(&book), "2/5");
    let book = book.add(LedgerEntry::Review {
        task: "b".into(),
        accepted: false,
        reason: String::new(),
    });
    assert_eq!(have(&book), "1/5");
    let book = book.add(LedgerEntry::Void {
        target: 0,
        reason: String::new(),
    });
    assert_eq!(have(&book), "1/5", "the same work done again still stands");
}

#[test]
fn a_breach_cannot_be_voided() {
    let book = control()
        .add(LedgerEntry::Rollback {
            task: "T".into(),
            target: "x".into(),
            ok: false,
            before: "a".into(),
            after: "b".into(),
            kept: None,
        })
        .add(LedgerEntry::Void {
            target: 22,
            reason: "please".into(),
        });
    assert_eq!(book.report().autonomy_track().unwrap().phase, "1");
}

#[test]
fn a_drill_passed_under_another_policy_or_version_is_stale() {
    let mut book = Book::default().drills(&[
        "danger-symbol",
        "test-failure",
        "forbidden-import",
        "two-failures",
    ]);
    let have = |book: &Book| {
        book.report()
            .autonomy_track()
            .unwrap()
            .gate
            .as_ref()
            .unwrap()
            .criteria[2]
            .value
            .clone()
    };
    assert_eq!(have(&book), "4/4");
    book.records[0].stamp.policy = "other".into();
    book.records[1].stamp.tool = "0.3.9".into();
    assert_eq!(have(&book), "2/4");
}

#[test]
fn old_evidence_fades_and_old_breaches_do_not() {
    let old = "2026-01-01T00:00:00+09:00";
    let good = Book::default().at(old).drills(&["danger-symbol"]);
    assert_eq!(
        good.report()
            .autonomy_track()
            .unwrap()
            .gate
            .as_ref()
            .unwrap()
            .criteria[2]
            .value,
        "0/4"
    );
    let bad = Book::default()
        .at(old)
        .phase("1", "2a")
        .add(LedgerEntry::InvariantBroken {
            what: "w".into(),
            path: "p".into(),
        });
    assert_eq!(bad.report().autonomy_track().unwrap().phase, "1");
}

#[test]
fn changed_gates_and_a_changed_agent_suspend_unattended_work() {
    let book = control();
    assert_eq!(book.report().holds, Vec::<String>::new());
    let changed = GateContext {
        gates: "h".into(),
        agent_version: Some("3.0".into()),
        ..here()
    };
    let report = eval(&gates(), &book.records, &changed);
    assert_eq!(
        report.holds,
        [
            "the agent changed from version 2 to 3; clear it with: tos drill --all",
            "the gates changed since the last promotion; clear it with: tos drill --all"
        ]
    );
}

#[test]
fn nights_are_named_by_the_evening_they_begin_in() {
    let night = |text| night_date(&gates(), at(text)).map(|date| date.to_string());
    assert_eq!(
        night("2026-03-10T20:00:00+09:00").as_deref(),
        Some("2026-03-10")
    );
    assert_eq!(
        night("2026-03-11T07:59:00+09:00").as_deref(),
        Some("2026-03-10")
    );
    assert_eq!(night("2026-03-11T08:00:00+09:00"), None);
}
