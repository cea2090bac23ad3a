//! Tests must not get fewer or weaker: judged over the whole change, so that moving one is no crime.

use super::{
    FileChange, FileVersion, FindingGroup, ValidationFinding, added, ends, facts::SyntaxFacts,
};

/// Finds deleted, muted and weakened tests.
pub(super) fn findings(changes: &[&FileChange]) -> Vec<ValidationFinding> {
    let mut found = Vec::new();
    let sum = |of: &dyn Fn(&SyntaxFacts) -> u32| {
        let total = |side: &dyn Fn(&FileChange) -> Option<&FileVersion>| -> u32 {
            changes
                .iter()
                .filter_map(|change| side(change))
                .map(|side| of(&side.facts))
                .sum()
        };
        (
            total(&|change| change.before.as_ref()),
            total(&|change| change.after.as_ref()),
        )
    };
    let tests = sum(&|facts| u32::try_from(facts.tests.len()).unwrap_or(u32::MAX));
    let assertions = sum(&|facts| facts.assertions);
    for change in changes {
        let nothing = SyntaxFacts::default();
        let before = change.before.as_ref().map_or(&nothing, |side| &side.facts);
        let after = change.after.as_ref().map_or(&nothing, |side| &side.facts);
        if change.after.is_none() && is_test_path(&change.path) && tests.1 < tests.0.max(1) {
            found.push(ValidationFinding::new(
                FindingGroup::Tests,
                change,
                0,
                "a test file was deleted",
            ));
            continue;
        }
        found.extend(removed(change, before, after, tests.1 < tests.0));
        if assertions.1 < assertions.0
            && after.assertions < before.assertions
            && !before.tests.is_empty()
        {
            let what = format!(
                "{} assertions instead of {}",
                after.assertions, before.assertions
            );
            found.push(ValidationFinding::new(FindingGroup::Tests, change, 0, what));
        }
        let muted = added(&before.muted, &after.muted, |mark| mark.what.clone());
        for mark in muted.into_iter().filter_map(|place| after.muted.get(place)) {
            let what = format!("a test muted by `{}`", mark.what);
            let finding = ValidationFinding::new(FindingGroup::Tests, change, mark.line, what);
            // A new test that says where it cannot run takes nothing away.
            let new = is_conditional(&mark.what) && is_on_new_test(before, after, mark.line);
            found.push(if new { finding.warning() } else { finding });
        }
        found.extend(odd_size(change));
    }
    found
}

fn removed(
    change: &FileChange,
    before: &SyntaxFacts,
    after: &SyntaxFacts,
    fewer: bool,
) -> Vec<ValidationFinding> {
    let gone = added(&after.tests, &before.tests, |mark| mark.what.clone());
    gone.into_iter()
        .filter_map(|place| before.tests.get(place))
        .map(|mark| {
            let what = format!("the test `{}` is gone", mark.what);
            let finding = ValidationFinding::new(FindingGroup::Tests, change, 0, what);
            // As many tests as before: it was renamed or moved, which a person may want to know.
            if fewer { finding } else { finding.warning() }
        })
        .collect()
}

/// Returns whether the test that a mark stands in front of was not there before.
fn is_on_new_test(before: &SyntaxFacts, after: &SyntaxFacts, line: u32) -> bool {
    let behind = after.tests.iter().filter(|test| test.line >= line);
    let test = behind.min_by_key(|test| test.line);
    test.is_some_and(|test| before.tests.iter().all(|old| old.what != test.what))
}

/// Returns whether a mark mutes a test only where a condition holds, as far as its words say.
fn is_conditional(mark: &str) -> bool {
    let name = mark.split('(').next().unwrap_or(mark);
    let condition = mark
        .split_once('(')
        .map_or("", |(_, rest)| rest.trim_start());
    let constant = [
        "True",
        "1",
        "not False",
        "condition=True",
        "condition = True",
        ")",
    ];
    let name = name.to_ascii_lowercase().replace('_', "");
    ["skipif", "skipunless", "requires"]
        .iter()
        .any(|word| name.contains(word))
        && !constant.iter().any(|word| condition.starts_with(word))
}

/// Folders whose files are tests.
const FOLDERS: &[&str] = &[
    "test",
    "tests",
    "__tests__",
    "spec",
    "specs",
    "testsuite",
    "testdata",
    "test-data",
    "unit_tests",
    "integration_tests",
    "e2e",
    "__snapshots__",
];
/// Ends of the names of tests, in whatever case.
const ENDS: &[&str] = &[
    "_test.go",
    "_test.py",
    "_test.rs",
    "_test.rb",
    "_spec.rb",
    "_test.exs",
    "_test.dart",
    "_test.clj",
    "_test.cc",
    "_test.cpp",
    "_test.c",
    "_unittest.cc",
    "_test.js",
    "_test.ts",
    "-test.js",
    "-test.ts",
    "_spec.lua",
    "_test.lua",
    "_test.php",
    "_test.sh",
    ".bats",
    ".feature",
    ".t",
    ".test",
];
/// Ends of the names of tests where words begin with capitals.
const CAPITAL_ENDS: &[&str] = &[
    "Test.java",
    "Tests.java",
    "TestCase.java",
    "IT.java",
    "Test.kt",
    "Tests.kt",
    "Spec.kt",
    "Test.scala",
    "Spec.scala",
    "Test.groovy",
    "Spec.groovy",
    "Test.php",
    "Cest.php",
    "Test.cs",
    "Tests.cs",
    "Tests.swift",
    "Test.swift",
    "Spec.hs",
    "_SUITE.erl",
];

/// Returns whether a path is that of a test, by the customs of the languages.
pub fn is_test_path(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    let lower = path.to_ascii_lowercase();
    let mut parts = lower.split('/').rev();
    let name = parts.next().unwrap_or(&lower);
    let folder = parts.any(|part| FOLDERS.contains(&part) || ends(part, &[".tests"]));
    let named = name.starts_with("test_")
        || ["test.py", "tests.py", "tests.rs"].contains(&name)
        || ENDS.iter().any(|end| name.ends_with(end))
        || CAPITAL_ENDS.iter().any(|end| last.ends_with(end))
        || name.contains(".test.")
        || name.contains(".spec.");
    folder || named
}

fn odd_size(change: &FileChange) -> Option<ValidationFinding> {
    let text = change.after.as_ref()?.text.as_deref()?;
    if !is_test_path(&change.path) || change.language().is_none() {
        return None;
    }
    let lines = text.lines().count();
    let what = format!("a test file of {lines} lines");
    let odd = !(10..=1000).contains(&lines);
    odd.then(|| ValidationFinding::new(FindingGroup::Tests, change, 0, what).warning())
}
