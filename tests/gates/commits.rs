//! Commits vouch for the ledger: whoever shortens it and its heads has the commits against them.

use std::fs;

use tos::{domain::ledger::LedgerEntry, ports::ledger::Ledger};

use super::{Root, repository};

#[test]
fn a_commit_vouches_for_its_record_also_where_it_was_made_while_the_ledger_was_open() {
    let root = Root::new();
    fs::write(root.root.join("README"), "a project\n").unwrap();
    root.commit_all();
    let held = root.tos(&["phase", "hold", "--reason", "first record"]);
    assert_eq!(held.status.code(), Some(0));
    let ledger = root.ledger();
    let fresh = root.ledger();
    let before = fs::read(root.file()).unwrap();
    // From here on this one knows where the refs stood.
    ledger.read().unwrap();
    let task = "a".to_owned();
    let anchor = ledger
        .append(None, LedgerEntry::RetrySuccess { task })
        .unwrap();
    let message = format!("task\n\nTos-Ledger: {}", anchor.commit_trailer());
    let words = ["commit", "-q", "--allow-empty", "-m", &message];
    repository::git(&root.root, &words);
    repository::git(&root.root, &["branch", "elsewhere", "HEAD^"]);
    ledger.read().unwrap();
    fs::write(root.file(), before).unwrap();
    fs::remove_file(root.root.join(".tos/ledger/head")).unwrap();
    fs::remove_dir_all(root.home.path().join(".local/state/tos/heads")).unwrap();
    for (which, ledger) in [("open", &ledger), ("fresh", &fresh)] {
        assert!(ledger.read().is_err(), "{which}");
    }
}
