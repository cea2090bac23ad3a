//! What tests expect must stay: judged over the whole change by the pieces that tests are made of, so that a test may be
//! moved, renamed and joined by others, but nothing of it may become something else.

use std::collections::BTreeMap;

use super::{
    EntryKind, FileChange, FileVersion, FindingGroup, Severity, ValidationFinding, ValidationRules,
    added,
    facts::CodeFragment,
    is_test_path,
    judging_files::{is_golden, is_listed},
};

/// How many pieces of one file are told.
const TOLD: usize = 3;

/// Returns the pieces of one state of a file that say what is expected.
fn pieces<'a>(path: &str, side: Option<&'a FileVersion>) -> Vec<&'a CodeFragment> {
    let test = is_test_path(path);
    let all = side.into_iter().flat_map(|side| &side.facts.pieces);
    all.filter(|piece| test || piece.in_test).collect()
}

/// Finds changed expectations of the changes of one place.
pub(super) fn findings(rules: &ValidationRules, changes: &[&FileChange]) -> Vec<ValidationFinding> {
    // A piece that was moved to another file of the change is still there.
    let mut stock: BTreeMap<&str, usize> = BTreeMap::new();
    let after = changes.iter();
    for piece in after.flat_map(|change| pieces(&change.path, change.after.as_ref())) {
        *stock.entry(&piece.what).or_default() += 1;
    }
    let mut found = Vec::new();
    for change in changes {
        found.extend(golden(rules, change));
        found.extend(muting(change));
        let mut gone = pieces(&change.path, change.before.as_ref());
        gone.retain(|piece| match stock.get_mut(piece.what.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        });
        for piece in gone.iter().take(TOLD) {
            let what = format!("a test no longer says `{}`", shortened(&piece.what));
            found.push(weighed(
                rules,
                ValidationFinding::new(FindingGroup::Tests, change, piece.line, what),
            ));
        }
        if gone.len() > TOLD {
            let what = format!("a test no longer says {} more lines", gone.len() - TOLD);
            found.push(weighed(
                rules,
                ValidationFinding::new(FindingGroup::Tests, change, 0, what),
            ));
        }
    }
    found
}

/// What was brought into a test so that the rest of it no longer runs or fails.
fn muting(change: &FileChange) -> Vec<ValidationFinding> {
    let of = |side| -> Vec<&CodeFragment> {
        let all = pieces(&change.path, side);
        all.into_iter().filter(|piece| piece.mutes).collect()
    };
    if change.before.is_none() {
        return Vec::new();
    }
    let (before, after) = (of(change.before.as_ref()), of(change.after.as_ref()));
    let new = added(&before, &after, |piece| piece.what.clone());
    let new = new.into_iter().filter_map(|place| after.get(place));
    new.map(|piece| {
        let what = format!("a test muted by `{}`", shortened(&piece.what));
        ValidationFinding::new(FindingGroup::Tests, change, piece.line, what)
    })
    .collect()
}

/// A file that outputs are compared with, or data of tests that are no text.
fn golden(rules: &ValidationRules, change: &FileChange) -> Option<ValidationFinding> {
    let before = change.before.as_ref()?;
    let code = change.language().is_some() || super::read_text::is_code(&change.path);
    let compared = is_golden(&change.path) && !(code && is_test_path(&change.path));
    let data =
        is_test_path(&change.path) && before.sort == EntryKind::File && before.text.is_none();
    if !compared && !data {
        return None;
    }
    let what = match change.after {
        Some(_) => "changes what an output is compared with",
        None => "removes what an output is compared with",
    };
    Some(weighed(
        rules,
        ValidationFinding::new(FindingGroup::Tests, change, 0, what),
    ))
}

fn weighed(rules: &ValidationRules, finding: ValidationFinding) -> ValidationFinding {
    if rules.keep_expectations {
        finding
    } else {
        finding.warning()
    }
}

/// Says what the rules allow about a finding on tests, and what would allow it.
pub(super) fn with_permission(
    rules: &ValidationRules,
    finding: ValidationFinding,
) -> ValidationFinding {
    if finding.group != FindingGroup::Tests || finding.weight == Severity::Warning {
        return finding;
    }
    let what = &finding.what;
    if is_listed(&finding.path, &rules.may_change_checks) {
        let what = format!("{what}; `may_change_checks` allows it, and a person has to look");
        return ValidationFinding { what, ..finding }.warning();
    }
    let what = format!("{what}; if it has to change, list the file in `may_change_checks`");
    ValidationFinding { what, ..finding }
}

fn shortened(text: &str) -> String {
    crate::domain::text::head(text, 80, "...")
}
