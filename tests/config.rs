//! `tos config` and the refusal of wrong configurations, through the real program.

#![expect(clippy::disallowed_methods, reason = "tests prepare real files")]

use std::{fs, path::Path};

use assert_cmd::Command;
use tempfile::TempDir;

/// A root with this configuration.
fn root(config: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("config")).unwrap();
    fs::write(root.path().join("config/config_v0_3.json"), config).unwrap();
    root
}

/// Runs tos in a directory with an empty environment; returns stdout, stderr and the exit code.
fn tos(directory: &Path, words: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::cargo_bin("tos").unwrap();
    command.env_clear().envs(environment.iter().copied());
    let output = command.current_dir(directory).args(words).output().unwrap();
    let real = directory.canonicalize().unwrap().display().to_string();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&real, "$ROOT");
    format!(
        "{}--- stderr\n{}--- exit {}",
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap()
    )
}

#[test]
fn every_value_is_shown_with_its_layer() {
    let root = root(r#"{"max_steps": 3, "models": {"draft": {"base_url": "http://me:pw@h/v1"}}}"#);
    let words = ["config", "show", "--changed", "--set", "api_retry=1"];
    insta::assert_snapshot!(tos(root.path(), &words, &[("TOS_JSON_RETRY", "0")]), @"");
    insta::assert_snapshot!(tos(root.path(), &["config", "show", "max_steps"], &[]), @"");
    let json = ["config", "show", "max_steps", "--json"];
    insta::assert_snapshot!(tos(root.path(), &json, &[]), @"");
    insta::assert_snapshot!(tos(root.path(), &["config", "show", "max_step"], &[]), @"");
}

#[test]
fn a_root_is_found_from_a_directory_below_it() {
    let root = root("{}");
    fs::create_dir_all(root.path().join("a/b")).unwrap();
    let shown = tos(&root.path().join("a/b"), &["config", "check"], &[]);
    assert!(
        shown.contains("config ok") && shown.ends_with("--- exit 0"),
        "{shown}"
    );
}

#[test]
fn the_configuration_is_judged_with_the_job_input() {
    let root = root(
        r#"{"allow_types": ["bash", "python"],
            "s5_settings": {"job_loop": {"enabled": true, "job_input": {"path": "in.json", "required": true}}}}"#,
    );
    insta::assert_snapshot!(tos(root.path(), &["config", "check"], &[]), @"");
    fs::write(root.path().join("in.json"), "\u{feff}{\"a\": 1}").unwrap();
    insta::assert_snapshot!(tos(root.path(), &["config", "check"], &[]), @"");
    fs::write(root.path().join("in.json"), "[1]").unwrap();
    insta::assert_snapshot!(tos(root.path(), &["config", "check", "--json"], &[]), @"");
}

#[test]
fn w09_w20_w21_w47_a_wrong_configuration_ends_a_run_before_it_begins() {
    let root = root(
        r#"{"s5_settings": {"job_loop": {"max_jobs": -1, "job_result": {"path": "../escaped.json"}}},
            "execution_policy": {"default_action": "Deny"}, "deny_patterns": ["("]}"#,
    );
    insta::assert_snapshot!(tos(root.path(), &["--mode", "run"], &[]), @"");
    let left: Vec<_> = fs::read_dir(root.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the configuration is there: {left:?}");
}

#[test]
fn a_run_without_a_configuration_says_how_to_get_one() {
    let root = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(tos(root.path(), &["--mode", "run"], &[]), @"");
}

#[test]
fn the_schema_that_is_printed_is_the_one_that_is_shipped() {
    let root = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schema.json");
    let printed = tos(root.path(), &["config", "schema"], &[]);
    let printed = printed.strip_suffix("--- stderr\n--- exit 0").unwrap();
    assert!(printed == fs::read_to_string(shipped).unwrap());
}
