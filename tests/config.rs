//! `tos config` and the refusal of wrong configurations, through the real program.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests prepare real files and end where they cannot"
)]

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
    insta::assert_snapshot!(tos(root.path(), &words, &[("TOS_JSON_RETRY", "0")]), @r#"
    root    $ROOT
    config  $ROOT/config/config_v0_3.json
    api_retry = 1  # --set
    json_retry = 0  # env TOS_JSON_RETRY
    max_steps = 3  # config/config_v0_3.json
    models.draft.base_url = "http://[redacted]@h/v1"  # config/config_v0_3.json
    --- stderr
    --- exit 0
    "#);
    insta::assert_snapshot!(tos(root.path(), &["config", "show", "max_steps"], &[]), @"
    max_steps
      How many steps a job may take, over all its runs, before one ends as `max_steps_reached`; the run after that one gives it as many again.
      value:   a whole number from 1 to 1000000
      default: 8
      example: 8
      env:     TOS_MAX_STEPS
    max_steps = 3  # config/config_v0_3.json
    --- stderr
    --- exit 0
    ");
    let json = ["config", "show", "max_steps", "--json"];
    insta::assert_snapshot!(tos(root.path(), &json, &[]), @r#"
    {
      "root": "$ROOT",
      "config_file": "$ROOT/config/config_v0_3.json",
      "values": [
        {
          "key": "max_steps",
          "value": 3,
          "layer": "file",
          "source": "config/config_v0_3.json"
        }
      ],
      "warnings": [],
      "exit_code": 0
    }
    --- stderr
    max_steps
      How many steps a job may take, over all its runs, before one ends as `max_steps_reached`; the run after that one gives it as many again.
      value:   a whole number from 1 to 1000000
      default: 8
      example: 8
      env:     TOS_MAX_STEPS
    max_steps = 3  # config/config_v0_3.json
    --- exit 0
    "#);
    insta::assert_snapshot!(tos(root.path(), &["config", "show", "max_step"], &[]), @"
    --- stderr
    error: `max_step` is not a known key (nearest: `max_steps`)
    hint: `tos --help` shows every mode and command
    --- exit 2
    ");
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
    insta::assert_snapshot!(tos(root.path(), &["config", "check"], &[]), @"
    --- stderr
    error: job_input.json not found: in.json is required by `s5_settings.job_loop.job_input`; copy job_input.example.json there, or set `required` to false
    --- exit 2
    ");
    fs::write(root.path().join("in.json"), "\u{feff}{\"a\": 1}").unwrap();
    insta::assert_snapshot!(tos(root.path(), &["config", "check"], &[]), @"
    config ok  $ROOT/config/config_v0_3.json  (4 keys set)
    job input  in.json (11 bytes)
    --- stderr
    warning: `allow_types` names `python`, which tos cannot start; such commands are refused
    --- exit 0
    ");
    fs::write(root.path().join("in.json"), "[1]").unwrap();
    insta::assert_snapshot!(tos(root.path(), &["config", "check", "--json"], &[]), @r#"
    {
      "error": "job_input.json is not a JSON object: in.json: found [1]; write { \"job_name\": \"...\" }",
      "exit_code": 2
    }
    --- stderr
    error: job_input.json is not a JSON object: in.json: found [1]; write { "job_name": "..." }
    --- exit 2
    "#);
}

#[test]
fn w09_w20_w21_w47_a_wrong_configuration_ends_a_run_before_it_begins() {
    let root = root(
        r#"{"s5_settings": {"job_loop": {"max_jobs": -1, "job_result": {"path": "../escaped.json"}}},
            "execution_policy": {"default_action": "Deny"}, "deny_patterns": ["("]}"#,
    );
    insta::assert_snapshot!(tos(root.path(), &["--mode", "run"], &[]), @r#"
    --- stderr
    error: config error: 4 faults
      config/config_v0_3.json:1:31: `s5_settings.job_loop.max_jobs`: expected a whole number from 1 to 1000000, found -1; write for example 3
      config/config_v0_3.json:1:62: `s5_settings.job_loop.job_result.path`: the path `../escaped.json` leaves the root; name a path below the root, e.g. "workspace/artifacts/file"
      config/config_v0_3.json:2:34: `execution_policy.default_action`: expected "allow" or "deny", found "Deny"; write "deny"
      config/config_v0_3.json:2:79: `deny_patterns[0]`: the regular expression `(` does not compile: unclosed group; correct it; brackets that mean themselves are written `\\(` and `\\[` in JSON
    --- exit 2
    "#);
    assert!(!root.path().join("workspace").exists());
    assert!(!root.path().join("logs/steps").exists());
}

#[test]
fn a_run_without_a_configuration_says_how_to_get_one() {
    let root = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(tos(root.path(), &["--mode", "run"], &[]), @r#"
    --- stderr
    error: config error: no config/config_v0_3.json and no config_v0_3.json in $ROOT; run `tos init --sample` for a working example, or name a file with `--config`
    hint: three things to do next:
      tos init --sample DIR    lay out a job that runs without a key, and try it there with `tos run`
      tos init                 begin a job of your own here; then `tos doctor` says what is missing
      tos plan run PLAN.yaml   run a plan, a graph of commands; it needs no configuration
    --- exit 2
    "#);
    assert!(fs::read_dir(root.path()).unwrap().next().is_none());
}

#[test]
fn the_schema_that_is_printed_is_the_one_that_is_shipped() {
    let root = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schema.json");
    let printed = tos(root.path(), &["config", "schema"], &[]);
    let printed = printed.strip_suffix("--- stderr\n--- exit 0").unwrap();
    assert!(printed == fs::read_to_string(shipped).unwrap());
}
