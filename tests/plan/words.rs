//! Every word the verbs of `tos plan` print, help included. Change them on purpose: `INSTA_UPDATE=always`, then read the
//! difference.

use std::fmt::Write as _;

use crate::place::{Place, Seen};

const PLAN: &str = "goal: words\ntasks:\n- {id: first, cmd: [echo, hello]}\n- {id: fails, cmd: [sh, -c, '[ -e ok ] && exit 0; echo why >&2; exit 7'], depends_on: [first], retries: 1, retry_backoff_sec: [0]}\n- {id: last, cmd: [echo, bye], depends_on: [fails], outputs: [made]}\n";

/// Keeps the texts of several commands, with fixed words in place of what chance and time decide.
struct Story {
    place: Place,
    text: String,
}

impl Story {
    fn of(plan: &str) -> Self {
        Self {
            place: Place::with(plan),
            text: String::new(),
        }
    }

    fn tells(&mut self, words: &[&str]) -> Seen {
        let seen = self.place.tos(words);
        let _ = writeln!(self.text, "$ tos plan {}", words.join(" "));
        for (name, text) in [("stdout", &seen.out), ("stderr", &seen.err)] {
            // What every command of the program has is no matter of plans.
            let text = text
                .split("\nOptions everywhere:")
                .next()
                .unwrap_or_default();
            if !text.is_empty() {
                let _ = writeln!(self.text, "--- {name}\n{}", text.trim_end());
            }
        }
        let _ = writeln!(self.text, "--- exit {}\n", seen.code);
        seen
    }

    fn is(&self, name: &str) {
        let place = regex_of(&self.place.path().canonicalize().unwrap().to_string_lossy());
        let filters = [
            (place.as_str(), "[PLACE]"),
            (r"\d{8}_\d{6}_[0-9a-f]{6}", "[RUN]"),
            (
                r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[+-]\d{2}:\d{2}",
                "[TIME]",
            ),
            (r"\b\d+\.\d{2}s", "[SECS]"),
            (r"\b\d\.\d{3}\b", "0.000"),
            (r"slowest: .*", "slowest: …"),
            (r#""(at|pid|us)":\d+"#, r#""${1}":0"#),
            (r#""duration_sec": \d+\.\d+"#, r#""duration_sec": 0.0"#),
            (r"\d+ KiB", "[N] KiB"),
            (r"by process \d+ since \S+", "by process [PID] since [TIME]"),
        ];
        insta::with_settings!({ filters => filters.to_vec(), omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, self.text);
        });
    }
}

fn regex_of(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '/' {
                c.to_string()
            } else {
                format!("\\{c}")
            }
        })
        .collect()
}

#[test]
fn the_help_of_every_verb() {
    let mut story = Story::of(PLAN);
    story.tells(&["--help"]);
    for verb in [
        "run", "validate", "graph", "list", "status", "logs", "resume", "retry", "cancel",
        "report", "gc", "schema",
    ] {
        story.tells(&[verb, "--help"]);
    }
    story.is("help");
}

#[test]
fn a_run_that_fails_and_is_helped() {
    let mut story = Story::of(PLAN);
    story.tells(&["run", "plan.yaml"]);
    story.tells(&["status", "latest"]);
    story.tells(&["status", "latest", "--json"]);
    story.tells(&["logs", "latest"]);
    story.tells(&["logs", "latest", "--task", "fails", "--tail", "1"]);
    story.tells(&["report", "latest"]);
    story.place.write("ok", "");
    story.place.write("made", "m");
    story.tells(&["retry", "latest", "--task", "fails"]);
    story.tells(&["resume", "latest", "--json"]);
    story.tells(&["resume", "latest", "--failed-only"]);
    story.tells(&["list"]);
    story.tells(&["list", "--json"]);
    story.tells(&["cancel", "latest"]);
    story.tells(&["report", "latest"]);
    story.tells(&["report", "latest", "--html"]);
    story.tells(&["gc", "--keep", "0", "--dry-run"]);
    story.tells(&["gc", "--keep", "0"]);
    story.tells(&["list"]);
    story.is("a_run_that_fails_and_is_helped");
}

#[test]
fn a_plan_that_is_only_looked_at() {
    let mut story = Story::of(PLAN);
    story.tells(&["validate", "plan.yaml"]);
    story.tells(&["validate", "plan.yaml", "--json"]);
    story.tells(&["run", "plan.yaml", "--dry-run"]);
    for format in ["text", "mermaid", "dot", "svg"] {
        story.tells(&["graph", "plan.yaml", "--format", format]);
    }
    story.tells(&["list"]);
    story.is("a_plan_that_is_only_looked_at");
}

#[test]
fn words_that_make_no_sense() {
    let mut story = Story::of(PLAN);
    for words in [
        &["run"][..],
        &["run", "missing.yaml"],
        &["run", "plan.yaml", "--max-parallel", "0"],
        &["run", "plan.yaml", "--workdir", "missing"],
        &["run", "plan.yaml", "--home", "plan.yaml"],
        &["run", "plan.yaml", "--param", "a"],
        &["run", "plan.yaml", "--param", "a=1"],
        &["run", "plan.yaml", "--only", "nothing"],
        &["run", "plan.yaml", "--fast"],
        &["status"],
        &["status", "latest"],
        &["status", "../up"],
        &["logs", "20261120"],
        &["logs", "latest", "--tail", "0"],
        &["resume", "no-such-run"],
        &["retry", "latest"],
        &["cancel", "no-such-run"],
        &["report", "no-such-run"],
        &["graph", "plan.yaml", "--format", "png"],
        &["fly"],
    ] {
        story.tells(words);
    }
    assert!(!story.place.path().join(".tos").exists());
    story.is("words_that_make_no_sense");
}

#[test]
fn an_enforced_plan_says_what_it_did_not_allow() {
    let mut story = Story::of(
        "origin: model\ntasks:\n- {id: good, cmd: [echo, fine]}\n- {id: bad, shell: 'rm -rf /', depends_on: [good]}\n",
    );
    // Without a wall the words are the same on every machine.
    story.place.write(
        "config/config_v0_3.json",
        r#"{"allow_types": ["exec"], "sandbox": {"level": "off"}}"#,
    );
    story.tells(&["run", "plan.yaml"]);
    story.tells(&["status", "latest"]);
    story.tells(&["report", "latest"]);
    story.is("an_enforced_plan");
}
