//! What a changed file is a change of.

use super::{
    Change, Side, Sort,
    decides::{deciding_kind, is_golden},
    ends, is_test_path, manifest_name,
};

/// What a change is a change of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Substance {
    /// Comments and white space.
    Nothing,
    /// Texts for people.
    Prose,
    /// Tests and what they compare with.
    Test,
    /// Other files that judge changes.
    Check,
    /// Manifests and lock files.
    Manifest,
    /// Whatever the program is made of.
    Code,
}

/// Returns what a changed file is a change of.
pub fn substance(change: &Change) -> Substance {
    let path = change.path.as_str();
    if is_empty(change) {
        return Substance::Nothing;
    }
    if deciding_kind(path).is_some() {
        return Substance::Check;
    }
    if is_test_path(path) || is_golden(path) {
        return Substance::Test;
    }
    if manifest_name(path) {
        return Substance::Manifest;
    }
    if is_prose(path) {
        return Substance::Prose;
    }
    // The same code outside of the tests within the file.
    let code = |side: &Option<Side>| side.as_ref().map_or(0, |side| side.facts.code);
    let inner = |side: &Option<Side>| {
        side.as_ref()
            .is_some_and(|side| side.facts.pieces.iter().any(|piece| piece.in_test))
    };
    let same = code(&change.before) == code(&change.after) && same_mode(change);
    if same && (inner(&change.before) || inner(&change.after)) {
        return Substance::Test;
    }
    Substance::Code
}

fn same_mode(change: &Change) -> bool {
    let (Some(before), Some(after)) = (&change.before, &change.after) else {
        return change.before.is_none() || change.after.is_none();
    };
    before.executable == after.executable && before.sort == after.sort
}

/// Returns whether nothing but comments and white space changed, or a file came that holds nothing else.
fn is_empty(change: &Change) -> bool {
    let file = |side: &Side| side.sort == Sort::File && side.text.is_some();
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => {
            file(before)
                && file(after)
                && same_mode(change)
                && before.facts.code == after.facts.code
                && before.facts.errors.len() == after.facts.errors.len()
                && same_tests(before, after)
        }
        (None, Some(after)) => {
            file(after)
                && after.facts.code == 0
                && after.facts.pieces.is_empty()
                && after.facts.errors.is_empty()
        }
        _ => false,
    }
}

fn same_tests(before: &Side, after: &Side) -> bool {
    let pieces = |side: &Side| -> Vec<String> {
        let inner = side.facts.pieces.iter().filter(|piece| piece.in_test);
        inner.map(|piece| piece.what.clone()).collect()
    };
    pieces(before) == pieces(after)
}

/// Returns whether a file is text for people.
pub(super) fn is_prose(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let known = [
        "license",
        "copying",
        "authors",
        "readme",
        "changelog",
        "notice",
        "contributing",
    ];
    ends(&name, &[".md", ".rst", ".adoc", ".txt", ".markdown"])
        || known
            .iter()
            .any(|start| name.starts_with(start) && !name.contains('.'))
}
