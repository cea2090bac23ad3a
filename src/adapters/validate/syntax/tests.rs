//! One look per language at what the passes see.

use super::*;

fn names(language: Language, text: &str) -> Vec<String> {
    parse_syntax(language, text)
        .unwrap()
        .uses
        .into_iter()
        .map(|one| one.name)
        .collect()
}

#[test]
fn names_are_followed_through_aliases() {
    let python = names(
        Language::Python,
        "import os as o\nfrom shutil import rmtree as r\nf = o.system\nf('x')\nr('y')\n",
    );
    assert!(
        python.contains(&"os.system".to_owned()) && python.contains(&"shutil.rmtree".to_owned()),
        "{python:?}"
    );
    let script = names(
        Language::JavaScript,
        "const {exec: e} = require('node:child_process'); const g = e; g('x')",
    );
    assert!(
        script.contains(&"child_process.exec".to_owned()),
        "{script:?}"
    );
    let rust = names(
        Language::Rust,
        "use std::process as p; fn f() { p::Command::new(\"x\"); }",
    );
    assert!(
        rust.contains(&"std.process.Command.new".to_owned()),
        "{rust:?}"
    );
    let go = names(
        Language::Go,
        "package a\nimport e \"os/exec\"\nvar c = e.Command(\"x\")\n",
    );
    assert!(go.contains(&"os/exec.Command".to_owned()), "{go:?}");
    let shell = names(Language::Shell, "timeout 5 env A=b curl x | tee /etc/y\n");
    assert!(
        shell.contains(&"curl".to_owned()) && shell.contains(&"tee".to_owned()),
        "{shell:?}"
    );
}

#[test]
fn what_a_function_calls_something_is_none_of_another_function() {
    let python = "import os\nimport socket\ndef a():\n    s = socket.socket()\n    s.bind(1)\ndef b(s):\n    s.join()\n";
    let found = names(Language::Python, python);
    assert!(
        found.contains(&"socket.socket.bind".to_owned()),
        "{found:?}"
    );
    assert!(
        !found.contains(&"socket.socket.join".to_owned()),
        "{found:?}"
    );
    let shared = "import os\ndef a():\n    global f\n    f = os.system\ndef b():\n    f('x')\n";
    assert!(names(Language::Python, shared).contains(&"os.system".to_owned()));
    let script = "const c = require('child_process'); function a() { const e = c.exec; e('x') } function b(e) { e.go() }";
    let found = names(Language::JavaScript, script);
    assert!(
        found.contains(&"child_process.exec".to_owned()),
        "{found:?}"
    );
    assert!(
        !found.contains(&"child_process.exec.go".to_owned()),
        "{found:?}"
    );
}

#[test]
fn circular_names_end() {
    let facts = parse_syntax(Language::Python, "a = b\nb = a\na()\nx = x.y\nx()\n");
    assert!(facts.is_some());
}

#[test]
fn a_broken_text_still_shows_its_imports() {
    let facts = parse_syntax(Language::Python, "def x(:\n  pass\nimport subprocess\n").unwrap();
    assert!(!facts.errors.is_empty());
    assert_eq!(facts.imports[0].module, "subprocess");
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!("x = {}1{}\n", "(".repeat(20_000), ")".repeat(20_000));
    assert!(parse_syntax(Language::Python, &deep).is_some());
}

#[test]
fn escapes_hide_no_name() {
    assert_eq!(unquote("'\\x65v\\u0061\\u{6c}'").as_deref(), Some("eval"));
}

fn pieces(language: Language, text: &str) -> Vec<String> {
    let mut found: Vec<String> = parse_syntax(language, text)
        .unwrap()
        .pieces
        .into_iter()
        .map(|piece| piece.what)
        .collect();
    found.sort();
    found
}

fn code(language: Language, text: &str) -> u64 {
    parse_syntax(language, text).unwrap().code
}

#[test]
fn pieces_do_not_change_with_spaces_comments_names_and_new_rows() {
    let python = "import os\n\n\n@pytest.mark.parametrize('a', [(1, 2), (3, 4)])\ndef test_a(a):\n    assert f(a) == [1, 2]\n";
    let spread = "import os, sys\n# why\n@pytest.mark.parametrize('a', [\n    (1, 2),\n    (3, 4),\n])\ndef test_b(a, x):\n    assert f(\n        a) == [1, 2]  # so\n";
    assert_eq!(
        pieces(Language::Python, python),
        pieces(Language::Python, spread)
    );
    let more = pieces(
        Language::Python,
        &python.replace("(3, 4)]", "(3, 4), (5, 6)]"),
    );
    assert!(
        pieces(Language::Python, python)
            .iter()
            .all(|piece| more.contains(piece)),
        "{more:?}"
    );
    let script =
        "describe('a', () => {\n  test('b', () => {\n    expect(f(1)).toBe(2);\n  });\n});\n";
    assert_eq!(
        pieces(Language::JavaScript, script),
        ["expect ( f ( 1 ) ) . toBe ( 2 )"]
    );
    let go = "package a\n\nfunc TestA(t *testing.T) {\n\tcases := []c{{1, 2}, {3, 4}}\n\tif got != want {\n\t\tt.Error(\"x\")\n\t}\n}\n";
    let more = pieces(Language::Go, &go.replace("{3, 4}", "{3, 4}, {5, 6}"));
    let old = pieces(Language::Go, go);
    assert!(
        old.iter().all(|piece| more.contains(piece)),
        "{old:?} {more:?}"
    );
    assert!(old.contains(&"if got != want { }".to_owned()), "{old:?}");
}

#[test]
fn a_piece_that_says_something_else_is_another() {
    let changed = |language, from: &str, to: &str| {
        let after = pieces(language, to);
        assert!(
            pieces(language, from)
                .iter()
                .any(|piece| !after.contains(piece)),
            "{to}"
        );
    };
    changed(
        Language::Python,
        "assert f() == 3\n",
        "assert f() == 3 or True\n",
    );
    changed(
        Language::Python,
        "assert f() == [1, 2]\n",
        "assert f() == [1, 2, 3]\n",
    );
    changed(Language::Python, "want = 3\n", "want = 4\n");
    changed(
        Language::JavaScript,
        "expect(f()).toEqual(['a b'])",
        "expect(f()).toEqual(['a  b'])",
    );
    changed(
        Language::Go,
        "package a\nfunc T() { if a != b { t.Fail() } }\n",
        "package a\nfunc T() { if a == b { t.Fail() } }\n",
    );
    changed(
        Language::Rust,
        "#[test]\nfn a() { assert_eq!(f(), 3) }\n",
        "#[test]\nfn a() { assert_eq!(f(), 4) }\n",
    );
    changed(Language::Shell, "[ \"$x\" = 3 ]\n", "[ \"$x\" = 4 ]\n");
}

#[test]
fn code_is_told_from_comments_and_from_the_tests_beside_it() {
    let rust = "fn a() -> u8 {\n    3\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() {\n        assert_eq!(a(), 3);\n    }\n}\n";
    let same = |other: &str| code(Language::Rust, rust) == code(Language::Rust, other);
    assert!(same(&rust.replace("a(), 3", "a(), 4")));
    assert!(same(&rust.replace("    3\n", "    // three\n        3\n")));
    assert!(!same(&rust.replace("    3\n", "    4\n")));
    let inner = parse_syntax(Language::Rust, rust).unwrap().pieces;
    let inner: Vec<&str> = inner
        .iter()
        .filter(|one| one.in_test)
        .map(|one| one.what.as_str())
        .collect();
    assert!(
        inner.iter().any(|piece| piece.starts_with("assert_eq !")),
        "{inner:?}"
    );
    let python = "def f(a):\n    \"\"\"Adds.\"\"\"\n    if a:\n        a = 1\n    return a\n";
    let same = |other: &str| code(Language::Python, python) == code(Language::Python, other);
    assert!(same(&python.replace("Adds.", "Adds two.")));
    assert!(same(&python.replace("a = 1", "a  =  1  # x")));
    assert!(!same(&python.replace("    return", "        return")));
    assert_eq!(code(Language::Python, "# nothing\n"), 0);
}

#[test]
fn pieces_that_keep_a_test_from_failing_are_known() {
    let mutes = |language, text: &str| {
        let pieces = parse_syntax(language, text).unwrap().pieces;
        pieces.iter().any(|piece| piece.mutes)
    };
    let python = "def test_a():\n    if x:\n        return\n    assert a\n";
    assert!(!mutes(Language::Python, python));
    assert!(mutes(
        Language::Python,
        &python.replace("    if x:\n        return", "    return")
    ));
    assert!(mutes(Language::Python, &python.replace("if x", "if False")));
    assert!(mutes(
        Language::Python,
        "try:\n    assert a\nexcept AssertionError:\n    pass\n"
    ));
    assert!(mutes(Language::Python, "pytestmark = pytest.mark.skip\n"));
    // A function that ends on a condition is the same in every language, whether a call decides or a name.
    let rust =
        "#[test]\nfn a() {\n    if disabled() {\n        return;\n    }\n    assert!(b);\n}\n";
    assert!(!mutes(Language::Rust, rust));
    assert!(!mutes(
        Language::Python,
        &python.replace("if x", "if disabled()")
    ));
    let quoted = "def test_a():\n    assert f('except AssertionError: x')\n";
    assert!(!mutes(Language::Python, quoted));
    assert!(mutes(
        Language::Rust,
        "#[test]\nfn a() {\n    return;\n    assert!(b);\n}\n"
    ));
    assert!(mutes(
        Language::TypeScript,
        "it('a', () => {\n  return;\n  expect(b).toBe(1);\n});\n"
    ));
    assert!(!mutes(
        Language::Go,
        "package a\nfunc TestA(t *testing.T) {\n\tif a {\n\t\treturn\n\t}\n}\n"
    ));
}
