//! One look per language at what the passes see.

use super::*;

fn names(language: Language, text: &str) -> Vec<String> {
    facts(language, text)
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
fn circular_names_end() {
    let facts = facts(Language::Python, "a = b\nb = a\na()\nx = x.y\nx()\n");
    assert!(facts.is_some());
}

#[test]
fn a_broken_text_still_shows_its_imports() {
    let facts = facts(Language::Python, "def x(:\n  pass\nimport subprocess\n").unwrap();
    assert!(!facts.errors.is_empty());
    assert_eq!(facts.imports[0].module, "subprocess");
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!("x = {}1{}\n", "(".repeat(20_000), ")".repeat(20_000));
    assert!(facts(Language::Python, &deep).is_some());
}

#[test]
fn escapes_hide_no_name() {
    assert_eq!(unquote("'\\x65v\\u0061\\u{6c}'").as_deref(), Some("eval"));
}
