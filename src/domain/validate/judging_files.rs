//! What judges a change: the tests, the settings of test programs and checkers, build files and scripts of checks. An
//! author who may bend these is judged by nobody.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use super::{
    EntryKind, FileChange, FindingGroup, ProjectFacts, ValidationFinding, ValidationRules,
    is_test_path,
};

use crate::domain::state_folder::TOS_FOLDER;

const BUILD: &str = "a build file";
const SETTINGS: &str = "settings of the tests";
const CHECKER: &str = "settings of a checker";
const SCRIPT: &str = "a script of the checks";

/// Files that decide, by their whole name.
const NAMES: &[(&str, &[&str])] = &[
    (
        BUILD,
        &[
            "makefile",
            "gnumakefile",
            "bsdmakefile",
            "taskfile.yml",
            "taskfile.yaml",
            "taskfile.dist.yml",
            "taskfile.dist.yaml",
            "justfile",
            ".justfile",
            "cmakelists.txt",
            "cmakepresets.json",
            "meson.build",
            "meson_options.txt",
            "meson.options",
            "sconstruct",
            "sconscript",
            "wscript",
            "rakefile",
            "guardfile",
            "settings.gradle",
            "gradle.properties",
            "gradlew",
            "gradlew.bat",
            "mvnw",
            "mvnw.cmd",
            "build.xml",
            "build.sbt",
            "build.bazel",
            "module.bazel",
            "workspace",
            "workspace.bazel",
            ".bazelrc",
            "pants.toml",
            "earthfile",
            "noxfile.py",
            "tox.ini",
            "dodo.py",
            "fabfile.py",
            "magefile.go",
            "build.zig",
            "package.swift",
            "mix.exs",
            "rebar.config",
            "dune",
            "dune-project",
            "stack.yaml",
            "lerna.json",
            "nx.json",
            "turbo.json",
            "mise.toml",
            ".mise.toml",
        ],
    ),
    ("a build script", &["build.rs", "binding.gyp"]),
    (
        "the choice of a compiler",
        &["rust-toolchain", "rust-toolchain.toml"],
    ),
    (
        SETTINGS,
        &[
            "pytest.ini",
            ".pytest.ini",
            "conftest.py",
            ".coveragerc",
            ".rspec",
            "spec_helper.rb",
            "rails_helper.rb",
            "test_helper.rb",
            ".simplecov",
            "phpunit.xml",
            "phpunit.xml.dist",
            "phpunit.dist.xml",
            "behat.yml",
            "codeception.yml",
            "nextest.toml",
            "insta.yaml",
            "tarpaulin.toml",
            ".tarpaulin.toml",
            "cypress.json",
            "jasmine.json",
            ".taprc",
            "testng.xml",
            "junit-platform.properties",
            "xunit.runner.json",
            "dart_test.yaml",
            ".busted",
            ".luacov",
            "codecov.yml",
            ".codecov.yml",
            "sonar-project.properties",
            ".env.test",
            ".env.testing",
            "jsconfig.json",
            ".swcrc",
        ],
    ),
    (
        CHECKER,
        &[
            ".eslintignore",
            ".prettierignore",
            "biome.json",
            "biome.jsonc",
            "ruff.toml",
            ".ruff.toml",
            "mypy.ini",
            ".mypy.ini",
            "pyrightconfig.json",
            ".flake8",
            ".pylintrc",
            "pylintrc",
            "clippy.toml",
            ".clippy.toml",
            "rustfmt.toml",
            ".rustfmt.toml",
            "deny.toml",
            "phpstan.neon",
            "phpstan.neon.dist",
            "phpstan-baseline.neon",
            "psalm.xml",
            "phpcs.xml",
            "phpcs.xml.dist",
            ".shellcheckrc",
            ".clang-tidy",
            ".clang-format",
            "checkstyle.xml",
            "detekt.yml",
            ".swiftlint.yml",
            "analysis_options.yaml",
            ".credo.exs",
            "tslint.json",
            ".hadolint.yaml",
            ".yamllint",
            ".yamllint.yml",
            ".rubocop.yml",
            ".rubocop_todo.yml",
        ],
    ),
];
/// The same by what the name begins with, up to a dot or the end.
const STEMS: &[(&str, &[&str])] = &[
    (
        SETTINGS,
        &[
            "jest.config",
            "jest.setup",
            "jest.preset",
            "vitest.config",
            "vitest.workspace",
            "vitest.setup",
            "vite.config",
            ".mocharc",
            "karma.conf",
            "playwright.config",
            "cypress.config",
            "ava.config",
            "wdio.conf",
            "nightwatch.conf",
            "web-test-runner.config",
            "stryker.conf",
            "stryker.config",
            "testem",
            ".nycrc",
            "nyc.config",
            ".c8rc",
            "babel.config",
            ".babelrc",
            "setuptests",
            "tsconfig",
        ],
    ),
    (
        CHECKER,
        &[
            ".eslintrc",
            "eslint.config",
            ".prettierrc",
            "prettier.config",
            ".stylelintrc",
            "stylelint.config",
            ".golangci",
            ".markdownlint",
            ".markdownlint-cli2",
        ],
    ),
    (BUILD, &["gulpfile", "gruntfile", "build.gradle"]),
];
/// The same by the end of the name.
const ENDINGS: &[(&str, &[&str])] = &[
    (
        BUILD,
        &[
            ".mk",
            ".cmake",
            ".gradle",
            ".gradle.kts",
            ".bazel",
            ".bzl",
            ".ninja",
            ".cabal",
            ".csproj",
            ".fsproj",
            ".vcxproj",
            ".props",
            ".targets",
        ],
    ),
    (SETTINGS, &[".runsettings", ".pth"]),
];
/// Names of scripts that check, without their ending.
const CHECKS: &[&str] = &[
    "test",
    "tests",
    "check",
    "checks",
    "verify",
    "lint",
    "ci",
    "runtests",
    "run_tests",
    "run-tests",
    "run_test",
    "run-test",
    "test-all",
    "test_all",
    "run_checks",
    "run-checks",
];

/// Returns what sort of file that judges changes a path is, by the customs of the languages; `None` = none.
/// Tests themselves are [`is_test_path`].
pub(super) fn judging_file_kind(path: &str) -> Option<&'static str> {
    let lower = path.to_ascii_lowercase();
    let (folder, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let of = |table: &[(&'static str, &[&str])], fits: &dyn Fn(&str) -> bool| {
        let mut rows = table.iter();
        rows.find(|(_, names)| names.iter().any(|known| fits(known)))
            .map(|(what, _)| *what)
    };
    let stem = |known: &str| {
        let rest = name.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let cargo = || {
        let here = folder == ".cargo" || folder.ends_with("/.cargo");
        here.then_some("settings of cargo")
    };
    // In a folder of sources it is a module.
    let module = name == "build.rs" && folder.split('/').any(|part| part == "src");
    of(NAMES, &|known| name == known && !module)
        .or_else(|| of(STEMS, &stem))
        .or_else(|| of(ENDINGS, &|known| name.ends_with(known)))
        .or_else(|| name.starts_with("tsconfig.").then_some(SETTINGS))
        .or_else(cargo)
        .or_else(|| script_of_checks(folder, name).then_some(SCRIPT))
}

fn script_of_checks(folder: &str, name: &str) -> bool {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let shell = ["", "sh", "bash", "zsh", "ps1", "bat", "cmd"].contains(&ending);
    let code = ["py", "js", "mjs", "cjs", "ts", "rb", "pl", "php"].contains(&ending);
    let last = folder.rsplit('/').next().unwrap_or_default();
    let of_scripts = [
        "scripts", "script", "bin", "tools", "ci", ".ci", "hack", "dev",
    ];
    let top = folder.is_empty();
    CHECKS.contains(&stem)
        && (shell && (top && !ending.is_empty() || of_scripts.contains(&last))
            || code && of_scripts.contains(&last))
}

/// Folders of what outputs are compared with.
const GOLDEN_FOLDERS: &[&str] = &[
    "__snapshots__",
    "snapshots",
    "golden",
    "goldens",
    "__golden__",
    "expected",
    "expectations",
    "cassettes",
];

/// Returns whether a file holds what outputs are compared with: snapshots and golden files.
pub(super) fn is_golden(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let (folder, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let ending = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ending(&[".snap", ".golden", ".gold", ".approved", ".expected"])
        || name.contains(".approved.")
    {
        return true;
    }
    let code = super::facts::Language::of(path, "").is_some() || super::read_text::is_code(path);
    folder.split('/').any(|part| GOLDEN_FOLDERS.contains(&part)) && (!code || is_test_path(path))
}

/// Returns whether a path is one of these, or lies in a folder of them that ends in `/`.
pub fn is_listed(path: &str, list: &[String]) -> bool {
    list.iter()
        .any(|one| one == path || one.ends_with('/') && path.starts_with(one.as_str()))
}

fn is_same(word: &str, path: &str) -> bool {
    let parts = word.split('/').filter(|one| !matches!(*one, "" | "."));
    !word.starts_with('/') && parts.eq(path.split('/'))
}

const SHELLS: &[&str] = &["sh", "bash", "zsh", "dash", "ksh", ".", "source"];

/// Returns whether commands name a file as what they run or are told by: as a word, as the value of an option, or as the
/// script that a line for a shell runs.
pub fn is_named_by_commands(path: &str, commands: &[Vec<String>]) -> bool {
    let quotes = |c: char| "\"'`".contains(c);
    commands.iter().flatten().any(|word| {
        if !word.contains(char::is_whitespace) {
            let value = word.split_once('=').map_or("", |(_, value)| value);
            return is_same(word, path) || is_same(value, path);
        }
        // What a line for a shell reads may be what the task is about; what it runs as a script is not.
        word.split([';', '&', '|', '(', ')', '\n']).any(|line| {
            let mut words = line.split_whitespace().skip_while(|one| one.contains('='));
            let first = words.next().unwrap_or_default();
            let shell = SHELLS.contains(&first);
            let script = if shell {
                words.find(|one| !one.starts_with('-')).unwrap_or_default()
            } else {
                first
            };
            is_same(script.trim_matches(quotes), path)
        })
    })
}

/// Returns whether commands speak of a file in any way, as a module too.
fn is_mentioned(path: &str, commands: &[Vec<String>]) -> bool {
    let apart = |c: char| c.is_whitespace() || "=;|&<>()'\"`,:".contains(c);
    let module = path.strip_suffix(".py").map(|stem| stem.replace('/', "."));
    let mut words = commands.iter().flatten().flat_map(|word| word.split(apart));
    words.any(|part| is_same(part, path) || module.as_deref() == Some(part))
}

static SOURCED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?m)(?:^|[\s;&|({"'])(?:\.|source|-?include|load|import)\s+["']?([^\s"';)]+)"#)
        .ok()
});

static EXPANDED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\$\([^)]*\)|\$\{[^}]*\}|\$\w+|\$[@*]").ok());

/// Returns the files that a script takes in, and those it runs that are called like checks, each by the end of its path.
fn taken_in(text: &str) -> BTreeSet<String> {
    // What a variable or a command says is unknown; what follows it is not.
    let text = match EXPANDED.as_ref() {
        Some(shape) => shape.replace_all(text, ""),
        None => text.into(),
    };
    let tail = |word: &str| word.trim_start_matches(['.', '/']).to_owned();
    let sourced = SOURCED.as_ref().into_iter();
    let sourced = sourced.flat_map(|shape| shape.captures_iter(&text));
    let names = sourced.filter_map(|one| one.get(1));
    let mut found: BTreeSet<String> = names.map(|one| tail(one.as_str())).collect();
    let apart = |c: char| c.is_whitespace() || "=;|&<>()'\"`,".contains(c);
    for word in text.split(apart).map(tail) {
        let (folder, name) = word.rsplit_once('/').unwrap_or(("", &word));
        let lower = name.to_ascii_lowercase();
        let stem = lower.split(['.', '-', '_']).next().unwrap_or_default();
        if CHECKS.contains(&stem) && (name.contains('.') || !folder.is_empty()) {
            found.insert(word);
        }
    }
    found.remove("");
    found
}

/// Returns the scripts that the check runs or takes in, beginning at what its command names and at the build files, as they
/// were before the change.
fn used_by_checks(project: &ProjectFacts, commands: &[Vec<String>]) -> BTreeSet<String> {
    let starts = project.scripts.keys();
    let starts = starts.filter(|path| {
        judging_file_kind(path).is_some()
            || is_named_by_commands(path, commands)
            || *path == "package.json"
    });
    let mut open: Vec<&String> = starts.collect();
    let mut used = BTreeSet::new();
    while let Some(path) = open.pop() {
        let Some(text) = project.scripts.get(path) else {
            continue;
        };
        for tail in taken_in(text) {
            let fits = |other: &&String| {
                *other == &tail
                    || other
                        .strip_suffix(&tail)
                        .is_some_and(|start| start.ends_with('/'))
            };
            for found in project.scripts.keys().filter(fits) {
                if used.insert(found.clone()) {
                    open.push(found);
                }
            }
        }
    }
    used
}

/// Finds changes of files that judge changes. What the rules let change is a warning that a person has to look.
pub(super) fn findings(
    rules: &ValidationRules,
    project: &ProjectFacts,
    changes: &[FileChange],
) -> Vec<ValidationFinding> {
    let used = used_by_checks(project, &rules.commands);
    let mut found = Vec::new();
    for change in changes {
        let named = || {
            let code = change.after.as_ref().or(change.before.as_ref());
            let file = code.is_some_and(|side| side.sort == EntryKind::File);
            (file && is_named_by_commands(&change.path, &rules.commands))
                .then_some("what the test command names")
        };
        let taken = || used.contains(&change.path).then_some(SCRIPT);
        // A test may grow, so it is judged by what it expects instead.
        let test = is_test_path(&change.path);
        let other = || if test { None } else { named().or_else(taken) };
        let Some(what) = judging_file_kind(&change.path).or_else(other) else {
            continue;
        };
        let finding = |rest: &str| {
            ValidationFinding::new(
                FindingGroup::Files,
                change,
                0,
                format!("changes {what}, which judges changes{rest}"),
            )
        };
        found.push(if is_listed(&change.path, &rules.may_change_checks) {
            finding("; `may_change_checks` allows it, and a person has to look").warning()
        } else {
            finding("; if it has to, list it in `may_change_checks`")
        });
    }
    found
}

/// Returns whether a file judges changes: a test, a golden file, or what else decides.
pub fn is_verification_file(path: &str) -> bool {
    judging_file_kind(path).is_some() || is_test_path(path) || is_golden(path)
}

/// Returns the paths of a change whose state from before has to judge it: tests, golden files and whatever else decides,
/// unless the rules let them change. A new file that a command names was asked for.
pub fn paths_pinned_to_base(rules: &ValidationRules, changes: &[FileChange]) -> Vec<String> {
    let asked = |change: &FileChange| {
        change.before.is_none() && is_mentioned(&change.path, &rules.commands)
    };
    let paths = changes
        .iter()
        .filter(|change| is_verification_file(&change.path) && !asked(change))
        .filter(|change| !is_listed(&change.path, &rules.may_change_checks));
    let paths: BTreeSet<String> = paths.map(|change| change.path.clone()).collect();
    paths.into_iter().collect()
}

/// Returns the changed paths that the rules let change although they judge: a person has to look at them.
pub fn paths_needing_review(list: &[String], changes: &[FileChange]) -> Vec<String> {
    let paths = changes.iter().map(|change| &change.path);
    let listed: BTreeSet<&String> = paths.filter(|path| is_listed(path, list)).collect();
    listed.into_iter().cloned().collect()
}

/// Returns the first path of a list of what may change that is not well formed; `None` = all are.
pub fn first_invalid_path(list: &[String]) -> Option<&String> {
    let odd = |path: &&String| {
        let whole = path.strip_suffix('/').unwrap_or(path);
        let strange = |part: &str| matches!(part, "" | "." | ".." | ".git" | TOS_FOLDER);
        whole.split('/').any(strange) || path.chars().any(char::is_control)
    };
    list.iter().find(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_is_known_by_its_name_and_the_rest_is_not() {
        for path in [
            "GNUmakefile",
            "sub/Makefile",
            "a.mk",
            "Taskfile.yml",
            "conftest.py",
            "pkg/jest.config.ts",
            ".mocharc.yml",
            "CMakeLists.txt",
            ".rspec",
            "crates/a/build.rs",
            ".cargo/config.toml",
            "build.gradle.kts",
            "tsconfig.build.json",
            "scripts/check.py",
            "test.sh",
            "App.csproj",
        ] {
            assert!(judging_file_kind(path).is_some(), "{path}");
        }
        for path in [
            "src/makefile.rs",
            "src/config/build.rs",
            "check",
            "src/check.py",
            "src/test.rs",
            "latest.sh",
            "docs/justfile.md",
            "src/config.ts",
            "app.py",
            "bin/deploy.sh",
            "vite.md",
        ] {
            assert_eq!(judging_file_kind(path), None, "{path}");
        }
        assert!(is_golden("src/__snapshots__/a.js.snap") && is_golden("ui/expected/a.txt"));
        assert!(!is_golden("src/snapshots/store.ts") && !is_golden("src/expected.rs"));
    }

    #[test]
    fn a_command_names_what_it_runs_and_not_what_that_is_about() {
        let named = |path: &str, words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            is_named_by_commands(path, &[words])
        };
        assert!(named("ci/t.sh", &["sh", "./ci/t.sh"]));
        assert!(named(
            "ci/t.sh",
            &["sh", "-c", "cd . && bash -e ci/t.sh | tail"]
        ));
        assert!(named("ci/t.sh", &["sh", "-c", "A=1 ./ci/t.sh"]));
        assert!(named("a/rules.json", &["lint", "--config=a/rules.json"]));
        assert!(!named(
            "app.py",
            &["sh", "-c", "python3 app.py | grep -q 3"]
        ));
        assert!(!named("t.sh", &["sh", "ci/t.sh"]));
    }

    #[test]
    fn scripts_that_checks_take_in_are_followed() {
        let mut project = ProjectFacts::default();
        for (path, text) in [
            (
                "Makefile",
                "include make/rules.mk\ntest:\n\t./dev/run.sh check-all\n\tpython3 qa/verify_all.py\n",
            ),
            ("make/rules.mk", ""),
            ("qa/verify_all.py", "import app\n"),
            ("tool.sh", "echo\n"),
            (
                "t.sh",
                ". \"$(dirname \"$0\")/lib/a.sh\"\nsource ${DIR}/lib/b.sh\n./tool.sh\n",
            ),
            ("lib/a.sh", ". ./lib/c.sh\n"),
            ("lib/b.sh", ""),
            ("lib/c.sh", ""),
        ] {
            project.scripts.insert(path.into(), text.into());
        }
        let used = used_by_checks(&project, &[vec!["sh".into(), "t.sh".into()]]);
        let used: Vec<&str> = used.iter().map(String::as_str).collect();
        assert_eq!(
            used,
            [
                "lib/a.sh",
                "lib/b.sh",
                "lib/c.sh",
                "make/rules.mk",
                "qa/verify_all.py"
            ]
        );
    }

    #[test]
    fn a_list_of_what_may_change_names_files_and_folders_below_the_top() {
        let list = ["Makefile".to_owned(), "tests/".to_owned()];
        assert!(is_listed("tests/a/b.py", &list) && !is_listed("tests.py", &list));
        assert_eq!(first_invalid_path(&list), None);
        for odd in [
            "",
            "/",
            "/etc",
            "../a",
            "a/../b",
            ".git/hooks/",
            ".tos/",
            "a\n",
        ] {
            assert!(first_invalid_path(&[odd.to_owned()]).is_some(), "{odd:?}");
        }
    }
}
