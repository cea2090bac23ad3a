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
    let other = alone.replace("合計:\", \"平均:", "平均:\", \"合計:");
    assert_ne!(other, alone);
    story.machine.write("config/config_v0_3.json", &other);
    let before = steps(&story);
    story.does(&["run"]);
    assert!(steps(&story) > before);
    story.is("b14_again");
}
