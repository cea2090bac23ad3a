//! What a changed file is a change of.

use super::{
    EntryKind, FileChange, FileVersion, ends, is_manifest_path, is_test_path,
    judging_files::{is_golden, judging_file_kind},
};

/// What a change is a change of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeCategory {
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
pub fn classify_change(change: &FileChange) -> ChangeCategory {
    let path = change.path.as_str();
    if is_empty(change) {
        return ChangeCategory::Nothing;
    }
    if judging_file_kind(path).is_some() {
        return ChangeCategory::Check;
    }
    if is_test_path(path) || is_golden(path) {
        return ChangeCategory::Test;
    }
    if is_manifest_path(path) {
        return ChangeCategory::Manifest;
    }
    if is_prose(path) {
        return ChangeCategory::Prose;
    }
    // The same code outside of the tests within the file.
    let code = |side: &Option<FileVersion>| side.as_ref().map_or(0, |side| side.facts.code);
    let inner = |side: &Option<FileVersion>| {
        side.as_ref()
            .is_some_and(|side| side.facts.pieces.iter().any(|piece| piece.in_test))
    };
    let same = code(&change.before) == code(&change.after) && same_mode(change);
    if same && (inner(&change.before) || inner(&change.after)) {
        return ChangeCategory::Test;
    }
    ChangeCategory::Code
}

fn same_mode(change: &FileChange) -> bool {
    let (Some(before), Some(after)) = (&change.before, &change.after) else {
        return change.before.is_none() || change.after.is_none();
    };
    before.executable == after.executable && before.sort == after.sort
}

/// Returns whether nothing but comments and white space changed, or a file came that holds nothing else.
fn is_empty(change: &FileChange) -> bool {
    let file = |side: &FileVersion| side.sort == EntryKind::File && side.text.is_some();
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

fn same_tests(before: &FileVersion, after: &FileVersion) -> bool {
    let pieces = |side: &FileVersion| -> Vec<String> {
        let inner = side.facts.pieces.iter().filter(|piece| piece.in_test);
        inner.map(|piece| piece.what.clone()).collect()
    };
    pieces(before) == pieces(after)
}

/// Returns whether a file is a page of the manual, by its section.
fn is_manual(name: &str) -> bool {
    let Some((stem, section)) = name.rsplit_once('.') else {
        return false;
    };
    let digit = section.starts_with(|c: char| ('1'..='8').contains(&c));
    let rest = section.get(1..).unwrap_or("");
    // `libx.so.1` and `1.2.3` end in a number, too.
    let is_version = stem.contains(".so") || stem.ends_with(|c: char| c.is_ascii_digit());
    digit && matches!(rest, "" | "p" | "ssl" | "in") && !is_version
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
        || is_manual(&name)
        || known
            .iter()
            .any(|start| name.starts_with(start) && !name.contains('.'))
}
