//! Turns a template and what is known about a step into the text a model is asked.
//!
//! Expansion is one pass over the template: a value that happens to contain `{review_json}` or any other
//! placeholder is copied as it is, so neither a payload nor a model can inject text of another role.

/// Begins the sentence that tells a model why it is asked again; also marks that sentence for removal.
const COMPLAINT: &str = "Your previous reply could not be used: ";

/// What templates may refer to. An absent value leaves its placeholder in the text unchanged, because
/// a template of one role may legitimately contain braces that only mean something to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PromptValues<'a> {
    /// `{step_num}`: the number of this step.
    pub step_num: u32,
    /// `{job_index}`: the number of this job, 1-based.
    pub job_index: u32,
    /// `{job_name}`: the name of this job.
    pub job_name: &'a str,
    /// `{history_json}`: what earlier steps did, as JSON.
    pub history_json: Option<&'a str>,
    /// `{job_payload_json}`: the job's input as JSON, `null` where there is none.
    pub job_payload_json: Option<&'a str>,
    /// `{draft_json}`: the draft's object.
    pub draft_json: Option<&'a str>,
    /// `{review_json}`: the review's object.
    pub review_json: Option<&'a str>,
}

/// Returns the template with every known placeholder replaced once; all other braces stay.
pub fn expand(template: &str, values: &PromptValues<'_>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        if let Some((value, tail)) = placeholder(after, values) {
            text.push_str(&value);
            rest = tail;
        } else {
            text.push('{');
            rest = after;
        }
    }
    text.push_str(rest);
    text
}

/// Reads a placeholder after its opening brace; returns its value and what follows it.
fn placeholder<'a>(after: &'a str, values: &PromptValues<'_>) -> Option<(String, &'a str)> {
    let (name, tail) = after.split_once('}')?;
    Some((value(name, values)?, tail))
}

fn value(name: &str, values: &PromptValues<'_>) -> Option<String> {
    match name {
        "step_num" => Some(values.step_num.to_string()),
        "job_index" => Some(values.job_index.to_string()),
        "job_name" => Some(values.job_name.to_owned()),
        "history_json" => values.history_json.map(str::to_owned),
        "job_payload_json" => values.job_payload_json.map(str::to_owned),
        "draft_json" => values.draft_json.map(str::to_owned),
        "review_json" => values.review_json.map(str::to_owned),
        _ => None,
    }
}

/// Returns `prompt` with `prefix` and the reason in front of it, fit for asking again.
///
/// The result never grows from attempt to attempt: what an earlier call put in front is taken off first.
pub fn retry_prompt(prefix: &str, reason: &str, prompt: &str) -> String {
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason = reason.trim_end_matches('.');
    let original = without_complaint(prefix, prompt);
    let lead = lead(prefix);
    format!("{lead}{COMPLAINT}{reason}.\n\n{original}")
}

fn lead(prefix: &str) -> String {
    let prefix = prefix.trim_end();
    if prefix.is_empty() {
        String::new()
    } else {
        format!("{prefix}\n\n")
    }
}

fn without_complaint<'a>(prefix: &str, prompt: &'a str) -> &'a str {
    prompt
        .strip_prefix(lead(prefix).as_str())
        .and_then(|rest| rest.strip_prefix(COMPLAINT))
        .and_then(|rest| rest.split_once("\n\n"))
        .map_or(prompt, |(_, original)| original)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALUES: PromptValues<'_> = PromptValues {
        step_num: 3,
        job_index: 2,
        job_name: "sales",
        history_json: Some("[]"),
        job_payload_json: Some("null"),
        draft_json: Some(r#"{"thought":"{review_json} {step_num}"}"#),
        review_json: Some("REVIEW"),
    };

    #[test]
    fn every_placeholder_is_replaced_wherever_it_stands() {
        let template =
            "{step_num}/{job_index} {job_name}: {history_json} {job_payload_json}{step_num}";
        assert_eq!(expand(template, &VALUES), "3/2 sales: [] null3");
    }

    #[test]
    fn w32_text_from_a_model_is_never_expanded_again() {
        assert_eq!(
            expand("draft={draft_json} review={review_json}", &VALUES),
            r#"draft={"thought":"{review_json} {step_num}"} review=REVIEW"#
        );
    }

    #[test]
    fn unknown_braces_and_absent_values_stay_as_they_are() {
        let template = r#"Answer {"commands": [{"type": "bash"}]} {x} {{step_num}} {draft_json} {"#;
        assert_eq!(
            expand(
                template,
                &PromptValues {
                    step_num: 1,
                    ..PromptValues::default()
                }
            ),
            r#"Answer {"commands": [{"type": "bash"}]} {x} {1} {draft_json} {"#
        );
    }

    #[test]
    fn w33_the_retry_prefix_does_not_stack() {
        let once = retry_prompt("JSON only.", "`$.a` is\nmissing", "PROMPT");
        assert_eq!(
            once,
            "JSON only.\n\nYour previous reply could not be used: `$.a` is missing.\n\nPROMPT"
        );
        let twice = retry_prompt("JSON only.", "the reply is empty", &once);
        assert_eq!(
            twice,
            "JSON only.\n\nYour previous reply could not be used: the reply is empty.\n\nPROMPT"
        );
    }

    #[test]
    fn an_empty_prefix_leaves_no_blank_lines() {
        assert_eq!(
            retry_prompt(" ", "it is empty.", "P"),
            "Your previous reply could not be used: it is empty.\n\nP"
        );
    }

    proptest! {
        #[test]
        fn text_without_placeholders_is_copied(text in "[^{]*") {
            prop_assert_eq!(expand(&text, &VALUES), text);
        }

        #[test]
        fn a_value_is_copied_whatever_it_contains(value in any::<String>()) {
            let values = PromptValues { draft_json: Some(&value), ..VALUES };
            prop_assert_eq!(expand("<{draft_json}>", &values), format!("<{value}>"));
        }

        #[test]
        fn asking_again_any_number_of_times_equals_asking_again_once(
            prefix in "[^\n]{0,20}", prompt in "[^\n]{0,40}", reasons in proptest::collection::vec("\\PC{0,20}", 1..5),
        ) {
            let last = reasons.last().cloned().unwrap_or_default();
            let stacked = reasons.iter().fold(prompt.clone(), |p, r| retry_prompt(&prefix, r, &p));
            prop_assert_eq!(stacked, retry_prompt(&prefix, &last, &prompt));
        }
    }
}
