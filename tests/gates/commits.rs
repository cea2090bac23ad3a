//! Commits vouch for the ledger: whoever shortens it and its heads has the commits against them.

use std::fs;

use tos::{domain::ledger::LedgerEntry, ports::ledger::Ledger};

use super::{Root, repository};

#[test]
fn a_commit_vouches_for_its_record_also_where_it_was_made_while_the_ledger_was_open() {
    let root = Root::empty();
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
    ledger
        .append(None, LedgerEntry::RetrySuccess { task })
        .unwrap();
    let trailer = ledger.read().unwrap().commit_trailer().unwrap();
    let message = format!("task\n\nTos-Ledger: {trailer}");
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

#[test]
fn a_fresh_clone_begins_a_ledger_of_its_own_and_a_deleted_one_is_still_missed() {
    let root = Root::empty();
    fs::write(root.root.join("README"), "a project\n").unwrap();
    root.commit_all();
    let held = root.tos(&["phase", "hold", "--reason", "first record"]);
    assert_eq!(held.status.code(), Some(0));
    let chain = root.ledger().read().unwrap();
    let new = chain.commit_trailer().unwrap();
    for trailer in [chain.head.unwrap().commit_trailer(), new] {
        let message = format!("task\n\nTos-Ledger: {trailer}");
        let words = ["commit", "-q", "--allow-empty", "-m", &message];
        repository::git(&root.root, &words);
    }
    let elsewhere = Root::empty();
    let from = root.root.to_string_lossy();
    repository::git(&elsewhere.root, &["clone", "-q", &from, "."]);
    let verified = elsewhere.tos(&["ledger", "verify"]);
    let said = text(&verified);
    assert_eq!(verified.status.code(), Some(0), "{said}");
    assert!(said.contains("no ledger here yet"), "{said}");
    let status = elsewhere.tos(&["autonomy", "status"]);
    let said = text(&status);
    assert_eq!(status.status.code(), Some(0), "{said}");
    assert!(said.contains("no ledger here yet"), "{said}");
    // Its own records and commits do not break it, a checkpoint above the foreign ones included.
    let held = elsewhere.tos(&["phase", "hold", "--reason", "own record"]);
    assert_eq!(held.status.code(), Some(0));
    assert_eq!(
        elsewhere.tos(&["checkpoint", "here"]).status.code(),
        Some(0)
    );
    assert_eq!(elsewhere.tos(&["ledger", "verify"]).status.code(), Some(0));
    // What this folder had is missed.
    fs::remove_dir_all(elsewhere.root.join(".tos")).unwrap();
    assert_eq!(elsewhere.tos(&["ledger", "verify"]).status.code(), Some(5));
}

#[test]
fn a_folder_made_anew_and_a_linked_work_tree_begin_as_a_clone_does() {
    let root = Root::empty();
    fs::write(root.root.join("README"), "a project\n").unwrap();
    root.commit_all();
    let hold = ["phase", "hold", "--reason", "first record"];
    assert_eq!(root.tos(&hold).status.code(), Some(0));
    let trailer = root.ledger().read().unwrap().commit_trailer().unwrap();
    let message = format!("task\n\nTos-Ledger: {trailer}");
    let words = ["commit", "-q", "--allow-empty", "-m", &message];
    repository::git(&root.root, &words);
    repository::git(&root.root, &["update-ref", "refs/tos/runs/r", "HEAD"]);
    let linked = Root::empty();
    fs::remove_dir_all(&linked.root).unwrap();
    let at = linked.root.to_string_lossy();
    repository::git(&root.root, &["worktree", "add", "-q", "--detach", &at]);
    let verified = linked.tos(&["ledger", "verify"]);
    let said = text(&verified);
    assert_eq!(verified.status.code(), Some(0), "{said}");
    assert!(said.contains("no ledger here yet"), "{said}");
    assert_eq!(linked.tos(&hold).status.code(), Some(0));
    // Each still has its own, and none breaks that of the other.
    for one in [&root, &linked] {
        assert_eq!(one.tos(&["ledger", "verify"]).status.code(), Some(0));
    }
    let aside = root.root.with_extension("aside");
    fs::rename(&root.root, &aside).unwrap();
    fs::create_dir(&root.root).unwrap();
    let verified = root.tos(&["ledger", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    assert_eq!(root.tos(&hold).status.code(), Some(0));
    // What the new folder had is missed again.
    fs::remove_dir_all(root.root.join(".tos")).unwrap();
    assert_eq!(root.tos(&["ledger", "verify"]).status.code(), Some(5));
    fs::remove_dir_all(aside).unwrap();
}

fn text(output: &std::process::Output) -> String {
    let streams = [&output.stdout, &output.stderr];
    streams
        .map(|stream| String::from_utf8_lossy(stream))
        .concat()
}
