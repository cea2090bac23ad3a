//! Lines 11 and 12: codes and streams.

use std::process::Stdio;

use crate::Story;

/// What is asked of the program with a stdout that is full, and with one that nobody reads.
const LOOKS: [&[&str]; 9] = [
    &["config", "show"],
    &["steps"],
    &["help"],
    &["--help"],
    &["--version"],
    &["plan", "list"],
    &["plan", "status"],
    &["plan", "schema"],
    &["completions", "bash"],
];

fn story() -> Story {
    let story = Story::with_sample().file("plan.yaml", "tasks:\n- {id: a, cmd: [echo, hi]}\n");
    story.does(&["plan", "run", "plan.yaml"]);
    story
}

#[test]
fn a_full_stdout_has_one_code_everywhere() {
    let story = story();
    for words in LOOKS
        .iter()
        .chain([&&["plan", "run", "plan.yaml"][..], &&["run"][..]])
    {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let output = story
            .machine
            .tos(words)
            .stdout(full.unwrap())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(!said.contains("panicked"), "{words:?}: {said}");
    }
}

#[test]
fn a_closed_stdout_is_no_trouble() {
    let story = story();
    for words in LOOKS {
        let mut child = story
            .machine
            .tos(words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(0), "{words:?}");
    }
}

#[test]
fn colours_are_a_matter_of_the_flag() {
    let story = story();
    let with = story.does(&["--color", "always", "plan", "run", "plan.yaml"]);
    assert!(with.stderr.contains("\u{1b}[32mok\u{1b}[0m"), "{with}");
    let without = story.does(&["--color", "never", "plan", "run", "plan.yaml"]);
    assert!(!without.stderr.contains('\u{1b}'), "{without}");
}
