//! Line 14: progress without a terminal, done jobs, steps.

use crate::Story;

#[test]
fn a_run_without_a_terminal_tells_what_it_does() {
    let mut story = Story::with_sample();
    story.tells(&["run"]);
    let quiet = story.does(&["run", "--quiet"]);
    assert!(!quiet.stderr.contains("step "), "{quiet}");
    story.tells(&["steps", "1"]);
    story.is("b14_progress");
}

#[test]
fn a_job_that_is_done_is_not_paid_again() {
    let mut story = Story::with_sample();
    let text = story.machine.read("config/config_v0_3.json");
    let alone = text.replace(
        r#""job_loop": {
      "enabled": true"#,
        r#""job_loop": {
      "enabled": false"#,
    );
    assert_ne!(text, alone);
    story.machine.write("config/config_v0_3.json", &alone);
    let first = story.does(&["run"]);
    assert_eq!(first.code, Some(0), "{first}");
    story.tells(&["run"]);
    story.tells(&["test"]);
    let steps = |story: &Story| story.does(&["steps"]).stdout.lines().count();
    let before = steps(&story);
    story.does(&["run"]);
    assert_eq!(steps(&story), before);
    story.does(&["run", "--again"]);
    assert!(steps(&story) > before);
    // Another goal is another job.
    let other = alone.replace("total:\", \"average:", "average:\", \"total:");
    assert_ne!(other, alone);
    story.machine.write("config/config_v0_3.json", &other);
    let before = steps(&story);
    story.does(&["run"]);
    assert!(steps(&story) > before);
    story.is("b14_again");
}

#[test]
fn the_sample_speaks_the_language_of_whoever_asks_for_it() {
    for (language, word) in [
        ("ja_JP.UTF-8", "合計: 4850"),
        ("en_US.UTF-8", "total: 4850"),
        ("C", "total: 4850"),
    ] {
        let story = Story::new();
        let run = |words: &[&str]| {
            let output = story.machine.tos(words).env("LC_ALL", language).output();
            story.machine.ran(&output.unwrap())
        };
        let laid = run(&["init", "--sample"]);
        assert_eq!(laid.code, Some(0), "{laid}");
        let again = run(&["init", "--sample"]);
        assert_eq!(again.code, Some(0), "{again}");
        let ran = run(&["run"]);
        assert_eq!(ran.code, Some(0), "{ran}");
        let result = story.machine.root().join("workspace/results/result_v2.txt");
        let result = std::fs::read_to_string(result).unwrap();
        assert!(result.starts_with(word), "{language}: {result}");
    }
}
