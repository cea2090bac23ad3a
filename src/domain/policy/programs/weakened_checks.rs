//! What makes tests and linters say less than they did: settings that leave everything out, hooks that skip every test, tests that
//! test nothing, edits that lower a gate.
//!
//! Danger: each of these is written in ordinary work, too. Only what leaves nothing is told, where the file says so by its name.

use crate::domain::policy::{
    partial_text::{base_name, is_in, is_mark, is_vague},
    programs::task_files::substitute,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    /// Looks at what is written into a file that says what is checked.
    pub(in crate::domain::policy) fn weakens_checks(&mut self, path: &str, text: &str) {
        let name = base_name(path);
        if is_vague(path) && SILENCES.iter().any(|mark| text.contains(mark)) {
            self.reading
                .opaque("a text that silences the checks of many files");
        }
        if let Some(what) = checks_nothing(name, text) {
            self.reading
                .opaque(format!("{name}, which then checks nothing: `{what}`"));
        }
    }

    /// Looks at a test that is emptied: one that says nothing cannot fail.
    pub(in crate::domain::policy) fn empties_test(&mut self, path: &str, text: &str) {
        let name = base_name(path);
        let is_empty = || {
            let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            plain.is_empty() || is_in("export{} export{};", &plain)
        };
        // The disk is asked last: most files are no tests, and most tests say something.
        if is_test(name) && is_empty() && self.may_be_there(path) {
            self.reading
                .opaque(format!("{name}, a test that is emptied"));
        }
    }

    /// Looks at tests that get a name under which nobody runs them: `mv tests tests.bak`, `mv a.test.ts a.test.ts.off`.
    pub(super) fn puts_tests_away(&mut self, sources: &[String], target: &str) {
        const AWAY: [&str; 8] = [
            "bak", "old", "off", "disabled", "orig", "skip", "skipped", "unused",
        ];
        let new = base_name(target);
        let away = |source: &String| {
            let name = base_name(source);
            let is_folder = is_in("tests test spec specs __tests__ e2e", name);
            let more = new.trim_start_matches(['_', '.']).strip_prefix(name);
            let ends = more.map(|more| more.trim_start_matches(['.', '_', '-', '~']));
            let is_put_off =
                ends.is_some_and(|ends| AWAY.contains(&ends) || ends.is_empty() && new != name);
            (is_folder || is_test(name)) && is_put_off && !is_test(new)
        };
        if sources.iter().any(away) {
            self.reading
                .opaque("tests that get a name under which they are not run");
        }
    }

    /// Looks at code that leaves tests out which a report calls failed, by the settings of what runs them.
    pub(in crate::domain::policy) fn leaves_tests_out(&mut self, code: &str) {
        const RUNNERS: [&str; 7] = [
            "phpunit.xml",
            "pytest.ini",
            "pyproject.toml",
            "jest.config",
            "vitest.config",
            "package.json",
            ".mocharc",
        ];
        const LEAVES_OUT: [&str; 6] = [
            "<exclude>",
            "testPathIgnorePatterns",
            "--deselect",
            "--ignore=",
            "collect_ignore",
            "exclude:",
        ];
        const PUTS: [&str; 5] = [
            "writeFile",
            "write_text(",
            ".write(",
            "File.write",
            "file_put_contents",
        ];
        let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
        if has(&PUTS) && has(&RUNNERS) && has(&LEAVES_OUT) && has(&["fail", "error"]) {
            self.reading.opaque("code that leaves failing tests out");
        }
    }

    /// Looks at code that writes marks into many files with which a linter or a type checker says nothing of them.
    pub(in crate::domain::policy) fn silences_in_code(&mut self, code: &str) {
        const WRITES: [&str; 5] = [
            "writeFile",
            "write_text(",
            ".write(",
            "File.write",
            "print $",
        ];
        const MANY: [&str; 6] = ["for", "map(", "each", "glob", "walk(", "rglob"];
        const SKIPS: [&str; 10] = [
            ".skip(",
            "mark.skip",
            "mark.xfail",
            "t.Skip(",
            "#[ignore]",
            "@Disabled",
            "@Ignore",
            ".todo(",
            "\"xit(",
            "'xit(",
        ];
        const LOOKS: [&str; 13] = [
            "count(",
            "split(",
            "findall(",
            "indexOf(",
            "replace(",
            "sub(",
            "includes(",
            "test(",
            "search(",
            "match(",
            "find(",
            "in ",
            "if ",
        ];
        let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
        if !has(&WRITES) || !has(&MANY) {
            return;
        }
        let writes = |mark: &&str| {
            code.match_indices(*mark).any(|(at, _)| {
                let line = code
                    .get(..at)
                    .and_then(|head| head.rsplit(['\n', ';']).next());
                line.is_some_and(|line| {
                    // What is put in stands behind what is looked for.
                    let asks = |look: &str| {
                        line.rsplit_once(look).is_some_and(|(_, rest)| {
                            !rest.contains(',') && !rest.contains(".join(")
                        })
                    };
                    !LOOKS.iter().any(|look| asks(look))
                })
            })
        };
        if SILENCES.iter().chain(&SKIPS).any(writes) {
            self.reading
                .opaque("code that silences the checks of many files");
        }
    }

    /// Looks at a filter for JSON that lowers what tests have to reach.
    pub(super) fn gates_in_filter(&mut self, args: &[String]) {
        let lowers = |filter: &String| {
            let plain: String = filter.chars().filter(|c| !c.is_whitespace()).collect();
            let sets = plain.match_indices("=0").any(|(at, _)| {
                let before = plain.get(..at).unwrap_or("");
                !before.ends_with(['=', '!', '<', '>'])
            });
            let is_gate = [
                "coverageThreshold",
                "fail_under",
                "minimum_coverage",
                "check-coverage",
            ]
            .iter()
            .any(|gate| plain.contains(gate));
            is_gate && (sets || plain.contains("del("))
        };
        if args.iter().any(lowers) {
            self.reading
                .opaque("a filter that lowers what the tests have to reach");
        }
    }

    /// Looks at an edit in place that lowers what tests have to reach, or skips tests or silences checks in many files.
    pub(super) fn bends_checks(&mut self, script: &str, file: &str) {
        const SKIPS: [&str; 5] = [".skip(", "mark.skip", "#[ignore]", "t.Skip(", "@Disabled"];
        const PARTS: [&str; 4] = ["lines", "branches", "functions", "statements"];
        const SETTINGS: [&str; 6] = ["vitest.", "jest.", ".nycrc", ".c8rc", "karma.", "codecov."];
        self.drops_expectations(script, file);
        let Some((from, to)) = substitute(script).or_else(|| Some(("", put_in(script)?))) else {
            return;
        };
        let number = |text: &str| {
            let digits = text.split(|c: char| !c.is_ascii_digit() && c != '.');
            digits
                .filter_map(|part| part.parse::<f64>().ok())
                .next_back()
        };
        let is_setting = SETTINGS
            .iter()
            .any(|start| base_name(file).starts_with(start));
        let has = |words: &[&str]| words.iter().any(|word| from.contains(word));
        let is_gate = has(&GATES) || is_setting && (has(&PARTS) || has(&["hreshold"]));
        let is_lower = match (number(from), number(to)) {
            (Some(from), Some(to)) => to < from,
            (None, Some(to)) => to == 0.0,
            (_, None) => false,
        };
        if is_gate && is_lower {
            self.reading
                .opaque("an edit that lowers what the tests have to reach");
        }
        let is_silent = SILENCES.iter().any(|mark| from.contains(mark));
        let puts_in = |mark: &&str| to.contains(*mark) && !from.contains(*mark) && !is_silent;
        if SKIPS.iter().chain(&SILENCES).any(puts_in) && is_vague(file) {
            self.reading
                .opaque("an edit that skips the tests or silences the checks of many files");
        }
    }
}

/// What is expected in a test, and what holds whatever the code does.
const EXPECTS: [&str; 4] = ["expect(", "expect\\(", "assert", "t.Error"];
const HOLDS: &str = "pass true True assertTrue(True) assert(true) assert!(true) expect(true).toBe(true) expect(true).toBe(true); assert_True 1";

impl ShellInterpreter<'_, '_> {
    /// Looks at an edit of tests that takes out what they expect, of settings that takes out a gate, or that makes a type checker look less.
    fn drops_expectations(&mut self, script: &str, file: &str) {
        let name = base_name(file);
        let tests = is_test(name.trim_start_matches(is_mark))
            || is_vague(name) && (file.contains("test") || file.contains("spec"));
        let expects = |text: &str| {
            let other = text.contains("import") || text.contains("console.assert");
            !other && EXPECTS.iter().any(|word| text.contains(word))
        };
        if let Some((from, to)) = substitute(script) {
            let plain = to.trim_matches(|c: char| "\\$&; \t#".contains(c) || c.is_ascii_digit());
            let holds = is_in(HOLDS, plain)
                || plain.starts_with("assert True")
                || plain.starts_with("expect(true).toBe(true)");
            if tests
                && expects(from)
                && (holds || plain.is_empty() && to.trim().len() < 3 && !from.contains("import"))
                && !from.contains("import")
            {
                self.reading
                    .opaque("an edit of tests that takes out what they expect");
            }
            let is_strict =
                from.contains("strict") && to.contains("false") && !from.contains("false");
            if name.starts_with("tsconfig") && is_strict {
                self.reading
                    .opaque("an edit with which the type checker looks at less");
            }
            return;
        }
        let taken = script
            .trim()
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix("/d"));
        if let Some(taken) = taken {
            if GATES.iter().any(|gate| taken.contains(gate)) {
                self.reading
                    .opaque("an edit that lowers what the tests have to reach");
            }
            if tests && expects(taken) {
                self.reading
                    .opaque("an edit of tests that takes out what they expect");
            }
        }
    }
}

/// Words of settings that say what tests have to reach.
const GATES: [&str; 5] = [
    "fail_under",
    "fail-under",
    "coverageThreshold",
    "minimum_coverage",
    "check_coverage",
];

/// Marks with which a linter or a type checker says nothing of a file or a line.
const SILENCES: [&str; 20] = [
    "@ts-nocheck",
    "@ts-ignore",
    "@ts-expect-error",
    "eslint-disable",
    "biome-ignore",
    "stylelint-disable",
    "istanbul ignore",
    "c8 ignore",
    "v8 ignore",
    "# noqa",
    "ruff: noqa",
    "type: ignore",
    "mypy: ignore-errors",
    "pylint: disable",
    "pylint: skip-file",
    "pragma: no cover",
    "//nolint",
    "#![allow(",
    "rubocop:disable",
    "phpcs:ignoreFile",
];

/// Returns the lines that a command of sed puts in: `1i TEXT`, `$a TEXT`.
fn put_in(script: &str) -> Option<&str> {
    let script = script.trim_start_matches(|c: char| c.is_ascii_digit() || ",$~ ".contains(c));
    script.strip_prefix(['i', 'a', 'c'])
}

/// Returns whether a file is a test, by its name.
fn is_test(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let is_python = name.starts_with("test_") && name.strip_suffix(".py").is_some();
    [".test", ".spec", "_test", "_spec"]
        .iter()
        .any(|end| stem.ends_with(end))
        || is_python
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
        const ENDS: [&str; 6] = [
            "excinfo=None",
            "outcome=\"passed\"",
            "outcome='passed'",
            "items.clear()",
            "items[:]=[]",
            "delitems[:]",
        ];
        let plain = plain();
        let hooks = plain.contains("pytest_");
        return skips_all(text).or_else(|| {
            let mut ends = ENDS.into_iter();
            ends.find(|mark| hooks && plain.contains(mark))
        });
    }
    if name.starts_with("jest.config.") || name.starts_with("vitest.config.") {
        let plain = plain();
        return ["testMatch:[]", "include:[]", "testRegex:[]"]
            .into_iter()
            .find(|mark| plain.contains(mark));
    }
    if name.starts_with(".eslintrc") {
        let plain = plain();
        let rules = ["\"rules\":{}", "rules:{}"]
            .into_iter()
            .find(|mark| plain.contains(mark));
        return rules.filter(|_| !plain.contains("extends"));
    }
    if name.starts_with("eslint.config.") {
        let plain = plain();
        return LEFT_OUT.into_iter().find(|mark| plain.contains(mark));
    }
    if is_in(".eslintignore .prettierignore .stylelintignore", name) {
        let is_all = |line: &str| is_in("* ** **/* src/** src/**/* src/ src", line.trim());
        return text.lines().any(is_all).then_some("all sources");
    }
    // Whatever is expected then holds.
    if is_test(name) || name.contains("setup") {
        const SELF: [&str; 5] = [
            ".expect=()=>",
            ".expect=(...",
            ".expect=function",
            ".expect=newProxy",
            ".expect=_=>",
        ];
        let plain = plain();
        if SELF.iter().any(|mark| plain.contains(mark)) {
            return Some("expect");
        }
    }
    if name.contains(".test.") || name.contains(".spec.") {
        const NOTHING: &str = "expect(true).toBe(true)";
        let plain = plain();
        let expected = plain.matches("expect(").count();
        return (expected > 0 && expected == plain.matches(NOTHING).count()).then_some(NOTHING);
    }
    let is_pytest = is_in("pyproject.toml pytest.ini setup.cfg tox.ini", name);
    let is_empty = || {
        let mut words = text.split(|c: char| c.is_whitespace() || "\"'=[],".contains(c));
        text.contains("addopts")
            && (text.contains("--collect-only") || words.any(|word| word == "--co"))
    };
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
