//! The files of the sample job, part of the program, so that `tos init --sample` needs nothing else.

use std::sync::LazyLock;

/// A file of the sample: where it goes and what it holds.
pub(super) const FILES: [(&str, &str); 6] = [
    ("config/config_v0_3.json", CONFIG),
    (
        "examples/sales/job_1.csv",
        include_str!("../../examples/sales/job_1.csv"),
    ),
    (
        "examples/sales/job_2.csv",
        include_str!("../../examples/sales/job_2.csv"),
    ),
    (
        "examples/sales/job_3.csv",
        include_str!("../../examples/sales/job_3.csv"),
    ),
    ("examples/sales/replies.jsonl", REPLIES),
    (
        "workspace/artifacts/job_input.example.json",
        include_str!("../../workspace/artifacts/job_input.example.json"),
    ),
];

/// The configuration of the sample job.
pub(super) const CONFIG: &str = include_str!("../../config/config_v0_3.json");

/// The recorded replies of the sample job.
pub(super) const REPLIES: &str = include_str!("../../examples/sales/replies.jsonl");

/// The configuration that `tos init` writes for a job of one's own.
pub(super) const BLANK_CONFIG: &str = include_str!("../../config/blank.json");

/// What git has to ignore, as the original did: state, logs and results.
pub(super) const GITIGNORE_LINES: &str = "\
# tos: state, logs and results of runs
/workspace/generated/
/workspace/results/
/workspace/artifacts/*
!/workspace/artifacts/job_input.example.json
/workspace/phase_state.json
/logs/
/.tos/
";

/// The words of the sample's result in English and in Japanese, the language of the original.
const WORDS: [(&str, &str); 3] = [
    ("total:", "合計:"),
    ("average:", "平均:"),
    ("count:", "件数:"),
];

/// Returns a file of the sample in Japanese.
pub(super) fn in_japanese(text: &str) -> String {
    let translated =
        |text: String, (english, japanese): &(&str, &str)| text.replace(english, japanese);
    WORDS.iter().fold(text.to_owned(), translated)
}

/// Returns the recorded replies that belong to the prompts, if these are those of the sample job: only it may be replayed
/// without being asked.
pub(super) fn replies_for(
    templates: &crate::domain::job::rules::PerRole<String>,
) -> Option<&'static str> {
    static JAPANESE: LazyLock<String> = LazyLock::new(|| in_japanese(REPLIES));
    if holds(CONFIG, templates) {
        Some(REPLIES)
    } else {
        holds(&in_japanese(CONFIG), templates).then(|| JAPANESE.as_str())
    }
}

/// Returns whether a configuration has these prompts.
fn holds(config: &str, templates: &crate::domain::job::rules::PerRole<String>) -> bool {
    let value: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    let same = |key: &str, text: &String| {
        value.get(key).and_then(serde_json::Value::as_str) == Some(text.as_str())
    };
    same("draft_prompt_template", &templates.draft)
        && same("review_prompt_template", &templates.review)
        && same("final_prompt_template", &templates.final_)
}
