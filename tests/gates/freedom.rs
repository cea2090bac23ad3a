//! Overrides, and whether what `tos autonomy status` advises can be typed.

use clap::Parser;
use tos::{
    domain::ledger::{LedgerEntry, PhaseTransition},
    interfaces::cli::command_line::Cli,
    ports::ledger::Ledger,
};

use super::{Root, out};

#[test]
fn only_a_person_overrides_the_gate_for_a_while_and_it_is_on_record() {
    let root = Root::empty();
    let words = ["phase", "override", "--reason", "a demo", "--expires", "2h"];
    assert_eq!(root.tos(&words).status.code(), Some(5));
    for wrong in [
        ["--reason", "x", "--expires", "25h"].as_slice(),
        &["--reason", "x", "--expires", "soon"],
        &["--reason", "x"],
        &["--expires", "2h"],
        &["--reason", " ", "--expires", "2h"],
    ] {
        let words = [&["phase", "override"], wrong].concat();
        assert_eq!(root.tos(&words).status.code(), Some(2), "{wrong:?}");
    }
    let (code, said) = root.at_terminal(&words, "yes");
    assert_eq!(code, 5, "{said}");
    let (code, said) = root.at_terminal(&words, "override");
    assert_eq!(code, 0, "{said}");
    let status = || out(&root.tos(&["phase", "status"]));
    assert!(
        status().contains("OVERRIDE by a person until "),
        "{}",
        status()
    );
    assert!(status().starts_with("autonomy level 1 (watched)   unattended: no"));
    assert!(out(&root.tos(&["phase", "history"])).contains("override"));
    let end = ["phase", "override", "--end", "--reason", "done"];
    assert_eq!(root.tos(&end).status.code(), Some(0));
    assert!(!status().contains("OVERRIDE"), "{}", status());
}

/// Everything that a text tells the reader to run.
fn advice(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        for mark in ["run: ", "clear it with: ", "ready: "] {
            let Some((_, words)) = line.split_once(mark) else {
                continue;
            };
            let words = words.split(" (").next().unwrap();
            if words.starts_with("tos ") {
                found.push(words.to_owned());
            }
        }
    }
    found
}

#[test]
fn whatever_the_status_advises_can_be_typed() {
    let root = Root::empty();
    let mut seen = advice(&out(&root.tos(&["autonomy", "status", "--stages"])));
    root.earn_the_first_promotion();
    seen.extend(advice(&out(&root.tos(&["autonomy", "status", "--stages"]))));
    let ledger = root.ledger();
    for (from, to) in [("1", "2a"), ("2a", "2b"), ("2b", "3")] {
        let entry = LedgerEntry::Phase {
            track: "autonomy".into(),
            from: from.into(),
            to: to.into(),
            mode: PhaseTransition::Promote,
            lock: false,
            reason: String::new(),
            evidence: vec![],
        };
        ledger.append(None, entry).unwrap();
        seen.extend(advice(&out(&root.tos(&["autonomy", "status", "--stages"]))));
    }
    let breach = LedgerEntry::IsolationBreach {
        what: "w".into(),
        path: "p".into(),
    };
    ledger.append(None, breach).unwrap();
    seen.extend(advice(&out(&root.tos(&["autonomy", "status", "--stages"]))));
    assert!(seen.len() >= 8, "{seen:?}");
    for words in seen {
        let parsed = Cli::try_parse_from(words.split(' '));
        assert!(parsed.is_ok(), "{words}: {}", parsed.unwrap_err());
    }
}
