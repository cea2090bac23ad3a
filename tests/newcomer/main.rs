//! A newcomer's day: what the program answers, whole, to somebody who has only the README. One file of answers a line of
//! issue 16 B. Change them on purpose: `INSTA_UPDATE=always`, then read the difference.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod goal;
mod help;
mod jobs;
mod lists;
mod models;
mod plans;
mod status;
mod streams;

#[path = "../support/environment.rs"]
mod environment;
#[path = "../support/repository.rs"]
mod repository;

use std::{fmt::Write as _, io::Write as _, process::Stdio};

use environment::{Ran, TestEnvironment};

/// A person's machine, and everything that was asked and answered on it.
struct Story {
    machine: TestEnvironment,
    text: String,
}

impl Story {
    fn new() -> Self {
        let machine = TestEnvironment::in_folder(tempfile::tempdir().unwrap());
        repository::init(&machine.root());
        Self {
            machine,
            text: String::new(),
        }
    }

    /// Lays out the sample job.
    fn with_sample() -> Self {
        let story = Self::new();
        let ran = story.machine.run(&["init", "--sample"]);
        assert_eq!(ran.code, Some(0), "{ran}");
        story
    }

    /// Writes a file of the root.
    fn file(self, name: &str, text: &str) -> Self {
        repository::write(&self.machine.root(), name, text);
        self
    }

    /// Runs the program and keeps what it answered.
    fn tells(&mut self, words: &[&str]) -> Ran {
        let ran = self.machine.run(words);
        self.keep(words, &ran);
        ran
    }

    /// The same, with a text on standard input.
    fn tells_of(&mut self, words: &[&str], input: &str) -> Ran {
        let mut command = self.machine.tos(words);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let ran = self.machine.ran(&child.wait_with_output().unwrap());
        self.keep(words, &ran);
        ran
    }

    /// Runs the program without keeping the answer.
    fn does(&self, words: &[&str]) -> Ran {
        self.machine.run(words)
    }

    fn keep(&mut self, words: &[&str], ran: &Ran) {
        let _ = writeln!(self.text, "$ tos {}\n{ran}\n", words.join(" "));
    }

    /// Compares everything with what is on record under this name.
    fn is(&self, name: &str) {
        let filters = [
            (r"\d{8}_\d{6}_[0-9a-f]{6}", "[RUN]"),
            (r"\b\d+\.\d{2}s", "[SECS]"),
            (r" +\b\d\.\d{3}\b", " 0.000"),
            (r"slowest: .*", "slowest: …"),
            (r#""(duration_sec|elapsed_ms)": [\d.]+"#, r#""${1}": 0"#),
        ];
        insta::with_settings!({ filters => filters.to_vec(), omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, self.text);
        });
    }
}
