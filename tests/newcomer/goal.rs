//! Line 13: the goal is a key, prompts may be files, and a placeholder is noticed.

use crate::Story;

const MODEL: &str = r#""models": {"draft": {"provider": "command", "argv": ["sh", "model.sh"]}, "review": {"provider": "command", "argv": ["sh", "model.sh"]}, "final": {"provider": "command", "argv": ["sh", "model.sh"]}}, "allow_types": ["sh", "bash"]"#;
/// A model that keeps what it was asked.
const KEEPS: &str = "cat >> asked.txt\nprintf '%s' '{\"thought\": \"t\", \"commands\": [], \"review\": \"r\", \"improved_commands\": [], \"approval\": true, \"final_commands\": [], \"summary\": \"s\"}'\n";

#[test]
fn a_doctor_notices_the_placeholder() {
    let story = Story::new();
    story.does(&["init"]);
    let ran = story.does(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stdout
            .contains("goal: still the placeholder `DESCRIBE THE GOAL HERE`"),
        "{ran}"
    );
    let ran = story.does(&["--set", "goal=Make the tests pass.", "doctor"]);
    assert!(!ran.stdout.contains("goal: "), "{ran}");
}

#[test]
fn a_goal_that_nobody_has_filled_in_is_refused_before_a_model_is_asked() {
    let blank = "{MODEL, \"max_steps\": 1,\n \"goal\": \"DESCRIBE THE GOAL HERE. And so on.\"}";
    let none = "{MODEL, \"max_steps\": 1,\n \"draft_prompt_template\": \"Work on {goal}.\"}";
    for (text, place, key) in [
        (blank, "config/config_v0_3.json:2:2", "`goal`"),
        (
            none,
            "config/config_v0_3.json:2:2",
            "`draft_prompt_template`",
        ),
    ] {
        let story = Story::new()
            .file("model.sh", KEEPS)
            .file("config/config_v0_3.json", &text.replace("MODEL", MODEL));
        for words in [&["run"][..], &["--mode", "test"], &["--mode", "cleanrun"]] {
            let ran = story.does(words);
            assert_eq!(ran.code, Some(2), "{ran}");
            for words in [place, key, "\"goal\": \""] {
                assert!(ran.stderr.contains(words), "{words}: {ran}");
            }
        }
        assert!(!story.machine.root().join("asked.txt").exists());
        let ran = story.does(&["--set", "goal=Bake a cake.", "run"]);
        assert_ne!(ran.code, Some(2), "{ran}");
    }
}

#[test]
fn goal_and_prompts_come_from_keys_or_files() {
    let story = Story::new()
        .file("model.sh", KEEPS)
        .file("goal.md", "Bake a cake.\n")
        .file("draft.txt", "Propose. {goal} Step {step_num}.\n")
        .file(
            "config/config_v0_3.json",
            &format!("{{{MODEL}, \"max_steps\": 1, \"goal_file\": \"goal.md\", \"draft_prompt_file\": \"draft.txt\"}}"),
        );
    story.does(&["run"]);
    let asked = story.machine.read("asked.txt");
    assert!(asked.contains("Propose. Bake a cake. Step 1."), "{asked}");
    assert!(asked.contains("Goal of this job: Bake a cake."), "{asked}");
}

#[test]
fn a_file_that_is_not_there_or_a_goal_said_twice_is_named() {
    let mut story = Story::new().file(
        "config/config_v0_3.json",
        "{\"goal\": \"x\", \"goal_file\": \"goal.md\", \"draft_prompt_file\": \"none.txt\"}",
    );
    story.tells(&["config", "check"]);
    story.is("b13_goal");
}
