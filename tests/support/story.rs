//! The story that flows tell: three jobs in which nearly everything happens that can happen in a step.
//!
//! Models answer by role, job and step as they stand in the prompt and by nothing else, so a run that was
//! killed and goes on hears the same replies as one that never stopped. In the end every mark is written
//! once, three jobs are done and the step logs are 1 to 8.

use serde_json::{Value, json};

use crate::server::Answer;

/// The templates of the three roles: what [`answer`] reads back.
pub(crate) const TEMPLATES: [&str; 3] = [
    "ROLE=draft JOB={job_index} STEP={step_num} history={history_json}",
    "ROLE=review JOB={job_index} STEP={step_num} draft={draft_json}",
    "ROLE=final JOB={job_index} STEP={step_num} draft={draft_json} review={review_json}",
];

/// The words that ask again after a reply that could not be used.
pub(crate) const AGAIN: &str = "AGAIN: one JSON object.";

/// The file that the done condition asks for, and what it has to hold.
pub(crate) const GOAL: (&str, &str) = ("workspace/results/report.txt", "total: 3");

/// The marks that commands leave in `marks.txt`, in order.
pub(crate) const MARKS: [&str; 6] = ["1.2.a", "1.2.b", "2.3.a", "2.5.a", "3.7.a", "3.7.b"];

/// The calls that an undisturbed run makes. Step 2.3 asks its draft twice; step 2.4 is rejected by the
/// reviewer; in step 3.6 the final fails twice, and step 3.7 asks only for the final.
pub(crate) const CALLS: usize = 3 + 3 + 4 + 2 + 3 + (2 + 2) + 1;

/// Returns the value after `key=` in a prompt.
fn word<'a>(prompt: &'a str, key: &str) -> &'a str {
    let start = prompt.find(key).map_or(prompt.len(), |at| at + key.len());
    prompt[start..]
        .split([' ', '\n'])
        .next()
        .unwrap_or_default()
}

/// Answers a prompt.
pub(crate) fn answer(prompt: &str) -> Answer {
    let job: u32 = word(prompt, "JOB=").parse().unwrap_or(0);
    let step: u32 = word(prompt, "STEP=").parse().unwrap_or(0);
    match (word(prompt, "ROLE="), job, step) {
        ("draft", 2, 3) if !prompt.contains(AGAIN) => Answer::Text("let me think".to_owned()),
        ("draft", ..) => text(&json!({"thought": "t", "commands": commands(step)})),
        ("review", 2, 4) => {
            text(&json!({"review": "no", "improved_commands": [], "approval": false}))
        }
        ("review", ..) => text(&json!({"review": "ok", "improved_commands": [], "approval": true})),
        ("final", 3, 6) => Answer::Status(500, vec![], json!({"error": {"message": "down"}})),
        ("final", ..) => text(&json!({"final_commands": commands(step), "summary": "s"})),
        (role, ..) => Answer::Status(400, vec![], json!({"error": {"message": role}})),
    }
}

fn text(value: &Value) -> Answer {
    Answer::Text(value.to_string())
}

fn commands(step: u32) -> Vec<Value> {
    match step {
        1 => vec![command("echo forbidden")],
        2 => vec![mark("1.2.a", false), mark("1.2.b", true)],
        3 => vec![mark("2.3.a", false)],
        5 => vec![mark("2.5.a", true)],
        7 => vec![mark("3.7.a", true), mark("3.7.b", false)],
        // Only a run that does not keep to the story comes here; it still comes to an end.
        _ => vec![mark("extra", true)],
    }
}

fn mark(name: &str, goal: bool) -> Value {
    let (file, content) = GOAL;
    command(&if goal {
        format!("echo {name} >> marks.txt; echo {content} > {file}")
    } else {
        format!("echo {name} >> marks.txt")
    })
}

fn command(code: &str) -> Value {
    json!({"type": "sh", "code": code})
}
