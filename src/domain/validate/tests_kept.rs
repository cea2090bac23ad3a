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
            found.push(ValidationFinding::new(
                FindingGroup::Tests,
                change,
                mark.line,
                format!("a test muted by `{}`", mark.what),
            ));
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

/// Folders whose files are tests.
const FOLDERS: &[&str] = &[
    "test",
    "tests",
    "__tests__",
    "spec",
    "specs",
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
