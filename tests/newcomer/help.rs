//! Line 14: help, topics, the manual page, the modes as commands.

use crate::Story;

#[test]
fn the_help_groups_the_commands_by_purpose() {
    let mut story = Story::new();
    story.tells(&["-h"]);
    story.tells(&["help"]);
    story.is("b14_help");
}

#[test]
fn topics_and_commands_are_explained() {
    let mut story = Story::new();
    story.tells(&["help", "policy"]);
    story.tells(&["help", "crash"]);
    story.tells(&["help", "nonsense"]);
    let ran = story.does(&["help", "plan", "run"]);
    assert!(ran.stdout.contains("--max-parallel"), "{ran}");
    story.is("b14_topics");
}

#[test]
fn the_manual_page_is_one() {
    let story = Story::new();
    let ran = story.does(&["help", "--man"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for part in [".TH tos 1", ".SH NAME", "EXIT CODES", "tos help policy"] {
        let plain = ran.stdout.replace("\\-", "-");
        assert!(plain.contains(part), "{part}: {}", ran.stdout);
    }
}

#[test]
fn a_first_run_says_the_three_things_one_can_do() {
    let mut story = Story::new();
    story.tells(&[]);
    story.tells(&["run"]);
    story.tells(&["status"]);
    story.is("b14_first_run");
}

#[test]
fn commands_stand_beside_the_modes() {
    let mut story = Story::new();
    story.tells(&["run", "plan.yaml"]);
    story.tells(&["run", "--discard"]);
    story.tells(&["--clean", "run"]);
    story.tells(&["checkpoint", "lst"]);
    story.tells(&["checkpoint"]);
    story.tells(&["--mode", "run", "status"]);
    story.is("b14_commands");
}

#[test]
fn a_checkpoint_is_made_and_returned_to_by_commands() {
    let story = Story::new().file("a.txt", "one\n");
    let made = story.does(&["checkpoint", "before"]);
    assert_eq!(made.code, Some(0), "{made}");
    story.machine.write("a.txt", "two\n");
    let back = story.does(&["rollback", "before", "--discard", "--no-test"]);
    assert_eq!(back.code, Some(0), "{back}");
    assert_eq!(story.machine.read("a.txt"), "one\n");
}
