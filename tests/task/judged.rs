//! What judges a change cannot be bent by it, and a change has to be what its task is for.

use std::fs;

use crate::{FIXED, Root};

/// What the agent does: nothing but make the test expect what the code does.
const BENT: &str = "sed -i 's/== 3/== -1/' test_app.py";
const TEST: &str = "import unittest\n\nfrom app import add\n\n\nclass T(unittest.TestCase):\n    def test_add(self):\n        assert add(1, 2) == 3\n        assert add(0, 0) == 0\n";
const PYTHON: &str = "test_command = [\"python3\", \"-B\", \"-m\", \"unittest\"]";

impl Root {
    /// The repository with a real test, and more files.
    fn tested(more: &[(&str, &str)]) -> Self {
        let root = Self::new();
        root.write("test_app.py", TEST);
        for (path, text) in more {
            root.write(path, text);
        }
        root.git(&["add", "-A"]);
        root.git(&["commit", "-q", "-m", "tests"]);
        root
    }

    /// Runs one task, with these lines instead of those of every list.
    fn one(&self, class: &str, script: &str, more: &str) -> (Option<i32>, String) {
        self.list("stop", &[("T-1", script, "")]);
        let file = self.home.path().join("list.toml");
        let text = fs::read_to_string(&file)
            .unwrap()
            .replace("class = \"fix\"", &format!("class = \"{class}\""));
        let text = if more.contains("test_command") {
            text.replace("test_command = [\"sh\", \"test.sh\"]", more)
        } else {
            text.replace("\n[[task]]\n", &format!("\n[[task]]\n{more}\n"))
        };
        fs::write(&file, text).unwrap();
        self.run()
    }

    fn end(&self) -> serde_json::Value {
        self.records("task")[0]["end"].clone()
    }
}

#[test]
fn a_fix_that_only_changes_what_a_test_expects_is_refused() {
    let root = Root::tested(&[]);
    let (code, said) = root.one("fix", BENT, PYTHON);
    assert_eq!(code, Some(3), "{said}");
    let reason = root.end()["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.contains("test_app.py:8: a test no longer says `assert add ( 1 2 ) == 3`"),
        "{reason}"
    );
    assert!(reason.contains("`may_change_checks`"), "{reason}");
}

#[test]
fn a_list_can_let_tests_change_and_then_a_person_is_asked_to_look() {
    let root = Root::tested(&[]);
    let more = format!("{PYTHON}\nmay_change_checks = [\"test_app.py\"]");
    let (code, said) = root.one("fix", BENT, &more);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("warning: test_app.py:8: a test no longer says"),
        "{said}"
    );
    let end = root.end();
    assert_eq!(
        end["reason"],
        "accepted; a person has to look at test_app.py, which judges changes"
    );
    assert_eq!(end["class"], "unclassified");
}

#[test]
fn what_tests_say_is_kept_in_languages_without_a_grammar() {
    let golden = ("tests/golden/add.txt", "3\n");
    let ruby = (
        "spec/add_spec.rb",
        "describe 'add' do\n  it 'adds' do\n    expect(add(1, 2)).to eq(3)\n  end\nend\n",
    );
    let bats = (
        "tests/add.bats",
        "@test \"adds\" {\n  run add 1 2\n  [ \"$output\" = 3 ]\n}\n",
    );
    let unknown = ("tests/add.case", "add 1 2 is 3\n");
    for (path, text) in [golden, ruby, bats, unknown] {
        let root = Root::tested(&[(path, text)]);
        let (code, said) = root.one("fix", &format!("{FIXED}; sed -i 's/3/-1/' {path}"), "");
        assert_eq!(code, Some(3), "{path}: {said}");
        assert!(
            said.contains("the change was refused (tests)"),
            "{path}: {said}"
        );
    }
}

#[test]
fn tests_may_grow_and_those_from_before_judge_the_change_too() {
    let root = Root::tested(&[]);
    let more =
        "printf '\\n    def test_more(self):\\n        assert add(2, 2) == 4\\n' >> test_app.py";
    let (code, said) = root.one("fix", &format!("{FIXED}; {more}"), PYTHON);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("testing again with test_app.py as before the change"),
        "{said}"
    );
    let end = root.end();
    assert_eq!(
        (&end["reason"], &end["class"]),
        (&"accepted".into(), &"fix".into())
    );

    // Code that is wrong, and lines that make every test pass.
    let root = Root::tested(&[]);
    let script = "echo 'two = 2' >> app.py; sed -i 's/^class T/import app\\nadd = app.__dict__[\"plus\"] = lambda a, b: a + b\\n\\n\\nclass T/' test_app.py";
    let (code, said) = root.one("fix", script, PYTHON);
    assert_eq!(code, Some(3), "{said}");
    let reason = root.end()["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("the tests as they were before the change ended with 1"),
        "{reason}"
    );
    assert_eq!(root.left_over(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_new_test_that_ends_the_run_proves_nothing() {
    let root = Root::tested(&[]);
    let script = "echo 'two = 2' >> app.py; printf 'import sys\\n\\nsys.exit(0)\\n' > test_aaa.py";
    let (code, said) = root.one("fix", script, PYTHON);
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn build_files_settings_and_scripts_of_checks_are_protected() {
    let makefile = (
        "Makefile",
        "test:\n\t. ./lib/common.sh; sh scripts/verify.sh\n",
    );
    let lib = ("lib/common.sh", "set -eu\n");
    let verify = ("scripts/verify.sh", "#!/bin/sh\ngrep -q 'a + b' app.py\n");
    let more = "test_command = [\"make\", \"-s\", \"test\"]";
    for (path, line) in [
        ("Makefile", "other:"),
        ("GNUmakefile", "test:"),
        ("lib/common.sh", "exit 0"),
        ("scripts/verify.sh", "exit 0"),
        ("conftest.py", "X = 1"),
    ] {
        let root = Root::tested(&[makefile, lib, verify]);
        let (code, said) = root.one("fix", &format!("{FIXED}; echo '{line}' >> {path}"), more);
        assert_eq!(code, Some(3), "{path}: {said}");
        let reason = root.end()["reason"].as_str().unwrap().to_owned();
        assert!(
            reason.contains(&format!("{path}: changes")) && reason.contains("`may_change_checks`"),
            "{reason}"
        );
    }
    let root = Root::tested(&[makefile, lib, verify]);
    let more = format!("{more}\nmay_change_checks = [\"scripts/\"]");
    let (code, said) = root.one(
        "fix",
        &format!("{FIXED}; echo 'true' >> scripts/verify.sh"),
        &more,
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(
        root.end()["reason"]
            .as_str()
            .unwrap()
            .contains("look at scripts/verify.sh"),
        "{said}"
    );
}

#[test]
fn a_change_has_to_fit_its_class() {
    for (class, script, why) in [
        (
            "fix",
            "printf '\\n# done\\n' >> app.py; sed -i 's/  return/   return/;s/^    *return/    return/' app.py",
            "only comments and white space",
        ),
        ("feature", "echo >> app.py", "only comments and white space"),
        (
            "fix",
            "echo 'x = 1' > test_x.py",
            "only test_x.py changed, and no code",
        ),
        (
            "test",
            "echo 'two = 2' >> app.py",
            "app.py changed, which is no test",
        ),
        ("deps", "echo 'two = 2' >> app.py", "no manifest changed"),
    ] {
        let root = Root::tested(&[]);
        root.write("test.sh", "exit 0\n");
        root.git(&["commit", "-qam", "passes"]);
        let (code, said) = root.one(class, script, "");
        assert_eq!(code, Some(3), "{class}: {said}");
        let reason = root.end()["reason"].as_str().unwrap().to_owned();
        assert!(
            reason.contains(&format!("does not fit the class `{class}`")),
            "{reason}"
        );
        assert!(reason.contains(why), "{reason}");
    }
}

#[test]
fn names_that_deceive_are_refused_and_shown_escaped() {
    for (name, shown) in [
        (
            "a\\nclean: 0.py",
            "a\\nclean: 0.py: a name with the character U+000A",
        ),
        (
            "a\\342\\200\\256yp.exe.py",
            "a\\u{202e}yp.exe.py: a name with the character U+202E",
        ),
        (
            "a\\033[2K.py",
            "a\\u{1b}[2K.py: a name with the character U+001B",
        ),
        ("-rf", "-rf: a name that begins with `-`"),
        ("a\\377.py", "a name that is not valid UTF-8"),
    ] {
        let root = Root::tested(&[]);
        let script =
            format!("{FIXED}; n=$(printf -- '{name}_'); n=${{n%_}}; echo 'x = 1' > \"./$n\"");
        let (code, said) = root.one("fix", &script, "");
        assert_eq!(code, Some(3), "{name}: {said}");
        assert!(said.contains(shown), "{name}: {said}");
        assert!(
            !said.contains(['\u{1b}', '\u{202e}']) && !said.contains("\nclean: 0"),
            "{said}"
        );
    }
}

#[test]
fn an_odd_list_of_what_may_change_is_told() {
    let root = Root::tested(&[]);
    let (code, said) = root.one("fix", FIXED, "may_change_checks = [\"../Makefile\"]");
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("`may_change_checks` names `../Makefile`"),
        "{said}"
    );
}
