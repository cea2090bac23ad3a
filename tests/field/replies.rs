//! Which object of a model's reply is executed: the answer, or none.

use tos::domain::job::proposal::{UnusableReply, parse_draft, parse_final, parse_review};

const RIGHT: &str = r#"{"final_commands": [{"type": "bash", "code": "right"}], "summary": "s"}"#;
const WRONG: &str = r#"{"final_commands": [{"type": "bash", "code": "wrong"}], "summary": "s"}"#;

fn code(text: &str) -> Result<String, String> {
    parse_final(text)
        .map(|reply| {
            reply
                .commands
                .first()
                .map(|c| c.code.clone())
                .unwrap_or_default()
        })
        .map_err(|UnusableReply { reason }| reason)
}

/// Replaces `R` and `W` by an object that is the answer and one that is not.
fn reply(pattern: &str) -> String {
    pattern.replace("R!", RIGHT).replace("W!", WRONG)
}

#[test]
fn reasoning_is_cut_off_before_anything_is_looked_at() {
    for pattern in [
        "<think>W!</think>R!",
        "<think>\nW! maybe {\"final_commands\": [\n</think>\n\nR!",
        "<THINK>W!</Think>\nR!",
        "<thinking budget=\"high\">W!</thinking>R!",
        "<thinking>W!</thinking>R!",
        "<seed:think>W!</seed:think>R!",
        "<reasoning>W!</reasoning> Here: R!",
        "<reflection>W!</reflection>R!",
        "<scratchpad>W!</scratchpad>R!",
        "[THINK]W![/THINK]R!",
        "◁think▷W!◁/think▷R!",
        "<|begin_of_thought|>W!<|end_of_thought|>R!",
        "<|START_THINKING|>W!<|END_THINKING|>R!",
        "<|channel|>analysis<|message|>W!<|end|><|start|>assistant<|channel|>final<|message|>R!",
        // Some servers keep the opening tag to themselves.
        "W! and then\n</think>\nR!",
        "Let me see {\"final_commands\": [ no.\n</think>\nR!",
        "an open { brace </think> R!",
        // A thought that talks about its own mark.
        "<think>I close with </think> later. W!</think>R!",
        "R!<think>W!</think>",
    ] {
        assert_eq!(code(&reply(pattern)).as_deref(), Ok("right"), "{pattern}");
    }
}

#[test]
fn reasoning_without_an_end_is_not_an_answer() {
    for pattern in [
        "<think>W!",
        "<think>hm <think>W!",
        "[THINK] so W!",
        "R!<think>but",
    ] {
        let why = code(&reply(pattern)).unwrap_err();
        assert_eq!(
            why, "the reply ends inside the reasoning that opens on line 1",
            "{pattern}"
        );
    }
    assert!(
        code(&reply("R!</think>"))
            .unwrap_err()
            .contains("no JSON object")
    );
}

#[test]
fn a_thought_never_beats_the_answer_of_a_review() {
    let said = r#"<think>{"approval": true}</think>{"approval": false, "review": "no"}"#;
    assert!(!parse_review(said).unwrap().approval);
    let said = r#"{"approval": true} I first thought. {"approval": false}"#;
    assert!(
        parse_review(said)
            .unwrap_err()
            .reason
            .contains("two different JSON objects")
    );
    let said = r#"{"approval": false, "approval": true}"#;
    assert!(
        parse_review(said)
            .unwrap_err()
            .reason
            .contains("`approval` appears twice")
    );
    let said = r#"{"commands": [{"type": "bash", "code": "a", "code": "b"}]}"#;
    assert!(
        parse_draft(said)
            .unwrap_err()
            .reason
            .contains("`code` appears twice")
    );
}

#[test]
fn an_object_counts_only_at_the_top_level() {
    for pattern in [
        "[W!]",
        "[1, W!]",
        "[[W!]]",
        "{\"answer\": W!}",
        "{\"a\": [{\"b\": W!}]}",
        "{\"answers\": [W!, R!]}",
    ] {
        let why = code(&reply(pattern)).unwrap_err();
        assert!(
            why.contains("inside another object or an array"),
            "{pattern}: {why}"
        );
    }
    for pattern in ["{ note W! }", "[note: W!]", "[\"x\" W!]"] {
        let why = code(&reply(pattern)).unwrap_err();
        assert!(why.contains("no JSON object"), "{pattern}: {why}");
    }
}

#[test]
fn nothing_inside_a_broken_object_is_taken() {
    for (pattern, why) in [
        (
            "{\"plan\": W!",
            "the reply ends inside the JSON object that opens on line 1",
        ),
        (
            "\n{\"plan\": W!, \"rest",
            "the reply ends inside the JSON object that opens on line 2",
        ),
        (
            "[W!, ",
            "the reply ends inside the JSON array that opens on line 1",
        ),
        (
            "[W!",
            "the reply ends inside the JSON array that opens on line 1",
        ),
        ("{\"plan\" W!}", "expected `:`"),
        ("{'plan': W!}", "key must be a string"),
        ("{plan: W!}", "key must be a string"),
        ("{{\"plan\": W!}}", "key must be a string"),
        ("{“plan”: W!}", "key must be a string"),
        (
            "R! Corrected: {\"final_commands\": [{\"type\": \"ba",
            "the reply ends inside",
        ),
        ("{\"final_commands\": [...]} means R!", "is not valid"),
        ("{ he said: W!", "is not closed"),
        ("{ puts \"}\", W! }", "is not closed"),
        ("[0, 1) and W!", "is not closed"),
    ] {
        let said = code(&reply(pattern)).unwrap_err();
        assert!(said.contains(why), "{pattern}: {said}");
    }
}

#[test]
fn two_different_answers_are_asked_about_and_two_equal_ones_are_one() {
    assert_eq!(
        code(&reply("W!\nCorrected:\nR!")).unwrap_err(),
        "the reply holds two different JSON objects with `final_commands` (lines 1 and 3); answer with the one that counts"
    );
    assert_eq!(
        code(&reply("R!\nOnce more:\n```json\nR!\n```")).as_deref(),
        Ok("right")
    );
}

#[test]
fn a_trailing_comma_and_a_comment_are_named_as_that() {
    for (text, why) in [
        (
            "{\"final_commands\": [\n{\"type\": \"bash\", \"code\": \"ls\"},\n]}",
            "the JSON object that opens on line 1 has a trailing comma on line 3; JSON allows none",
        ),
        (
            "Here:\n{\"final_commands\": [],}",
            "the JSON object that opens on line 2 has a trailing comma on line 2; JSON allows none",
        ),
        (
            "{\"final_commands\": [ // nothing\n]}",
            "the JSON object that opens on line 1 has a comment on line 1; JSON allows none",
        ),
        (
            "{\n/* nothing */ \"final_commands\": []}",
            "the JSON object that opens on line 1 has a comment on line 2; JSON allows none",
        ),
        (
            "{\"final_commands\": [{\"type\": \"bash\", \"code\": \"ls\"}] # ls\n, \"summary\": \"\"}",
            "the JSON object that opens on line 1 has a comment on line 1; JSON allows none",
        ),
    ] {
        assert_eq!(code(text).unwrap_err(), why, "{text}");
    }
}

#[test]
fn prose_and_program_text_around_the_answer_still_do_not_matter() {
    for pattern in [
        "I use {braces} and ${HOME}: R!",
        "For {\"type\": \"bash\"} I chose: R!",
        "```powershell\nif ($true) { Write-Output \"hi\" }\n```\nR!",
        "See [the docs](https://example.com/a?b={c}) [1] - [x] done\n```json\nR!\n```\nHope this helps. {}",
        "a < b, <b>bold</b>, <thin> R!",
        "R! as in `for (;;) { go(); }`",
    ] {
        assert_eq!(code(&reply(pattern)).as_deref(), Ok("right"), "{pattern}");
    }
    let marks = r#"{"final_commands": [{"type": "bash", "code": "echo '<think>{' '</think>' [THINK] > a"}]}"#;
    assert_eq!(
        code(marks).unwrap(),
        "echo '<think>{' '</think>' [THINK] > a"
    );
}
