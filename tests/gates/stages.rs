//! The stages of TOS itself, S-4, S-5 and S-6: what a root shows, what a person states, what is promoted.

use super::{Root, out};

impl Root {
    /// A root with the sample job, in a repository, as a person has it after the first day.
    fn with_sample() -> Self {
        let root = Self::empty();
        let done = |words: &[&str]| {
            let output = root.tos(words);
            assert_eq!(output.status.code(), Some(0), "{words:?}: {}", out(&output));
        };
        done(&["init", "--sample"]);
        root.commit_all();
        root
    }

    fn done(&self, words: &[&str]) {
        let output = self.tos(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", out(&output));
    }

    /// The stage and the open criteria of its gate, as `tos autonomy status` shows them.
    fn stage(&self) -> (String, Vec<String>) {
        let text = out(&self.tos(&["autonomy", "status", "--stages"]));
        let (_, stage) = text.split_once("\nstage ").unwrap();
        let open = stage.lines().filter_map(|line| line.strip_prefix("  --  "));
        (
            stage.lines().next().unwrap().to_owned(),
            open.map(|line| line.split(' ').next().unwrap().to_owned())
                .collect(),
        )
    }

    /// Looks at the root, with keys where the sample needs none.
    fn observe(&self) {
        let output = self
            .command(&["phase", "observe"])
            .env("OPENAI_API_KEY", "k")
            .env("ANTHROPIC_API_KEY", "k")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    }
}

#[test]
fn a_fresh_root_is_s4_and_every_criterion_is_open() {
    let root = Root::empty();
    assert_eq!(
        root.stage(),
        (
            "S-4 (basics)".to_owned(),
            ["modes-work", "ends-told-apart", "run-summary"]
                .map(String::from)
                .into()
        )
    );
    let (code, said) = root.at_terminal(&["phase", "promote", "S-5"], "S-5");
    assert_eq!(code, 5, "{said}");
    assert_eq!(
        root.tos(&["phase", "promote", "S-6"]).status.code(),
        Some(2),
        "nobody jumps"
    );
}

#[test]
fn the_stages_are_climbed_by_what_is_shown_and_stated() {
    let root = Root::with_sample();
    root.done(&["--mode", "checkpoint", "--name", "before"]);
    root.done(&["--mode", "run"]);
    root.observe();
    assert_eq!(root.stage().1, ["modes-work"], "one run is not every mode");
    // A clean start archives what was there, so each mode is looked at when it has run.
    for mode in ["test", "cleanrun"] {
        root.done(&["--mode", mode]);
        root.observe();
    }
    root.done(&["--mode", "rollback", "--discard"]);
    root.observe();
    assert_eq!(root.stage(), ("S-4 (basics)".to_owned(), vec![]));
    assert_eq!(
        root.tos(&["phase", "promote", "S-5"]).status.code(),
        Some(5),
        "only a person promotes"
    );
    let (code, said) = root.at_terminal(&["phase", "promote", "S-5"], "S-5");
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        root.stage(),
        (
            "S-5 (experimental)".to_owned(),
            [
                "closeout",
                "context-followed",
                "runbook-understood",
                "checkpoint-before-run"
            ]
            .map(String::from)
            .into()
        ),
        "the rollback tested itself with a run that is newer than every checkpoint"
    );
    let every_job = "s5_settings.job_loop.enabled=true";
    for _ in 0..3 {
        root.done(&["--mode", "run", "--set", every_job]);
    }
    root.observe();
    // git knows whole seconds only, so a checkpoint in the second of the run is not surely newer.
    while root.stage().1.contains(&"checkpoint-before-run".to_owned()) {
        root.done(&["--mode", "checkpoint", "--name", "closeout"]);
        root.observe();
    }
    for name in ["context-v1.0", "runbook"] {
        assert_eq!(root.at_terminal(&["phase", "attest", name], name).0, 0);
    }
    let (code, said) = root.at_terminal(&["phase", "promote", "S-6"], "S-6");
    assert_eq!(code, 0, "{said}");
    let text = out(&root.tos(&["autonomy", "status", "--stages"]));
    assert!(
        text.contains("stage S-6 (stable)\n\nno level ahead"),
        "{text}"
    );
    assert!(
        text.starts_with("autonomy level 1 "),
        "the stages say nothing about autonomy"
    );
}

#[test]
fn a_sprint_that_is_not_the_recorded_stage_is_noticed() {
    let root = Root::with_sample();
    let output = root.tos(&["autonomy", "status", "--stages"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("warning: the configuration says sprint S-6, the ledger says S-4"),
        "{said}"
    );
    assert!(said.contains("set it to \"S-4\""), "{said}");
    for words in [
        ["autonomy", "status", "--stages", "--set", "sprint=S-4"].as_slice(),
        // Who does not ask for the stages is not told of them.
        &["autonomy", "status"],
    ] {
        let output = root.tos(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("warning"), "{said}");
    }
}
