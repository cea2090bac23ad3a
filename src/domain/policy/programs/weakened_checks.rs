//! What makes tests and linters say less than they did: settings that leave everything out, hooks that skip every test, tests that
//! test nothing, edits that lower a gate.
//!
//! Danger: each of these is written in ordinary work, too. Only what leaves nothing is told, where the file says so by its name.

use crate::domain::policy::{
    partial_text::{base_name, is_in, is_vague},
    programs::task_files::substitute,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    /// Looks at what is written into a file that says what is checked.
    pub(in crate::domain::policy) fn weakens_checks(&mut self, path: &str, text: &str) {
        let name = base_name(path);
        if let Some(what) = checks_nothing(name, text) {
            self.reading
                .opaque(format!("{name}, which then checks nothing: `{what}`"));
        }
    }

    /// Looks at an edit in place that lowers what tests have to reach, or skips tests in many files.
    pub(super) fn bends_checks(&mut self, script: &str, file: &str) {
        const GATES: [&str; 5] = [
            "fail_under",
            "fail-under",
            "Threshold",
            "threshold",
            "minimum_coverage",
        ];
        const SKIPS: [&str; 5] = [".skip(", "mark.skip", "#[ignore]", "t.Skip(", "@Disabled"];
        let Some((from, to)) = substitute(script) else {
            return;
        };
        let number = |text: &str| {
            let digits = text.split(|c: char| !c.is_ascii_digit() && c != '.');
            digits
                .filter_map(|part| part.parse::<f64>().ok())
                .next_back()
        };
        let is_gate = GATES.iter().any(|gate| from.contains(gate));
        let is_lower = matches!((number(from), number(to)), (Some(from), Some(to)) if to < from);
        if is_gate && is_lower {
            self.reading
                .opaque("an edit that lowers what the tests have to reach");
        }
        let puts_in = |mark: &&str| to.contains(*mark) && !from.contains(*mark);
        if SKIPS.iter().any(puts_in) && is_vague(file) {
            self.reading
                .opaque("an edit that skips the tests of many files");
        }
    }
}

/// Returns the words with which a file of this name leaves everything out.
fn checks_nothing(name: &str, text: &str) -> Option<&'static str> {
    const LEFT_OUT: [&str; 4] = [
        "ignores:[\"**/*\"]",
        "ignores:['**/*']",
        "ignores:[\"**\"]",
        "ignores:['**']",
    ];
    // Few files are asked about their text.
    let plain = || -> String { text.chars().filter(|c| !c.is_whitespace()).collect() };
    if name == "conftest.py" {
        return skips_all(text);
    }
    if name.starts_with("eslint.config.") {
        let plain = plain();
        return LEFT_OUT.into_iter().find(|mark| plain.contains(mark));
    }
    if is_in(".eslintignore .prettierignore .stylelintignore", name) {
        let is_all = |line: &str| is_in("* ** **/* src/** src/**/* src/ src", line.trim());
        return text.lines().any(is_all).then_some("all sources");
    }
    if name.contains(".test.") || name.contains(".spec.") {
        const NOTHING: &str = "expect(true).toBe(true)";
        let plain = plain();
        let expected = plain.matches("expect(").count();
        return (expected > 0 && expected == plain.matches(NOTHING).count()).then_some(NOTHING);
    }
    let is_pytest = is_in("pyproject.toml pytest.ini setup.cfg tox.ini", name);
    let is_empty = || text.contains("addopts") && text.contains("--collect-only");
    (is_pytest && is_empty()).then_some("--collect-only")
}

/// Returns the mark by which a hook of pytest skips every test that it is handed, without asking which.
fn skips_all(text: &str) -> Option<&'static str> {
    let (_, hook) = text.split_once("def pytest_collection_modifyitems")?;
    let hook = hook.split("\ndef ").next().unwrap_or(hook);
    let skips = ["mark.skip", "mark.xfail"];
    let mark = skips.into_iter().find(|mark| text.contains(mark))?;
    (hook.contains("add_marker") && !hook.contains("if ")).then_some(mark)
}
