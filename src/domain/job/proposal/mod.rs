//! Turns a model's reply into a proposal, or says in one sentence why that is impossible.
//!
//! Parsing is strict, because what is accepted here is what runs tonight: one JSON object with the
//! expected fields in the expected types, or [`UnusableReply`]. `reply` finds the object; this file reads it.
//!
//! Decisions worth knowing:
//!
//! * The one object at the top level that has the role's deciding field (`commands`, `approval`,
//!   `final_commands`) is the reply. Prose, fences and other objects around it do not matter; reasoning,
//!   a second and different one, or a broken one do (see `reply`).
//! * A missing deciding field is `UnusableReply`; so a review without `approval` is neither yes nor no.
//! * `thought`, `review`, `summary` and `improved_commands` may be missing, but not of a wrong type.
//! * A command with blank code, an empty argument vector, both of them, or a NUL is `UnusableReply`: no
//!   runner could give it a meaning. An unknown `type` is kept; refusing it is the policy's business.

mod reasoning;
mod reply;
mod strict;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::{
    command::{Command, CommandKind},
    model::ModelRole,
};

/// What a draft says.
#[derive(Debug, Clone, PartialEq)]
pub struct DraftReply {
    /// The model's reasoning; empty when it gave none.
    pub thought: String,
    /// What it would run.
    pub commands: Vec<Command>,
    /// The whole object, for the prompts of the later roles.
    pub json: Value,
}

/// What a review says.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewReply {
    /// The criticism; empty when there is none.
    pub review: String,
    /// What the reviewer would run instead; empty when it has no suggestion.
    pub improved_commands: Vec<Command>,
    /// Whether the reviewer agrees that the step goes on.
    pub approval: bool,
    /// The whole object, for the prompt of the final.
    pub json: Value,
}

/// What a final says: the commands to judge and run.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalReply {
    /// What to run, in order; may be empty.
    pub commands: Vec<Command>,
    /// What the step does, in the model's words; empty when it gave none.
    pub summary: String,
    /// The whole object.
    pub json: Value,
}

/// Why a reply cannot be used, fit to be shown to the model that wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct UnusableReply {
    /// One sentence without full stop; names the place as a JSON path where there is one.
    pub reason: String,
}

/// Reads a draft: `{"thought": text, "commands": [command…]}`.
pub fn parse_draft(text: &str) -> Result<DraftReply, UnusableReply> {
    let object = reply::object(text, "commands")?;
    Ok(DraftReply {
        thought: optional_text(&object, "thought")?,
        commands: commands(&object, "commands")?,
        json: Value::Object(object),
    })
}

/// Reads a review: `{"review": text, "improved_commands": [command…], "approval": true or false}`.
pub fn parse_review(text: &str) -> Result<ReviewReply, UnusableReply> {
    let object = reply::object(text, "approval")?;
    let improved_commands = if object.contains_key("improved_commands") {
        commands(&object, "improved_commands")?
    } else {
        Vec::new()
    };
    Ok(ReviewReply {
        review: optional_text(&object, "review")?,
        improved_commands,
        approval: approval(&object)?,
        json: Value::Object(object),
    })
}

/// Reads a final: `{"final_commands": [command…], "summary": text}`.
pub fn parse_final(text: &str) -> Result<FinalReply, UnusableReply> {
    let object = reply::object(text, "final_commands")?;
    Ok(FinalReply {
        commands: commands(&object, "final_commands")?,
        summary: optional_text(&object, "summary")?,
        json: Value::Object(object),
    })
}

/// Returns the object of a usable reply of `role`.
pub fn reply_object(role: ModelRole, text: &str) -> Option<Value> {
    match role {
        ModelRole::Draft => parse_draft(text).ok().map(|reply| reply.json),
        ModelRole::Review => parse_review(text).ok().map(|reply| reply.json),
        ModelRole::Final => parse_final(text).ok().map(|reply| reply.json),
    }
}

/// Returns the object of a usable reply of `role` as later prompts show it: indented by two blanks.
pub fn format_reply(role: ModelRole, text: &str) -> Option<String> {
    serde_json::to_string_pretty(&reply_object(role, text)?).ok()
}

/// Returns the JSON Schema of the reply `role` has to give.
///
/// It stays within the subset that providers enforce strictly: every property required, no others
/// allowed, no lengths and no patterns. A command therefore always carries `code` and `argv`, one of
/// them empty.
pub fn reply_schema(role: ModelRole) -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    match role {
        ModelRole::Draft => object_schema(&json!({
            "thought": text("Why these commands."),
            "commands": commands_schema("The commands to propose, in order."),
        })),
        ModelRole::Review => object_schema(&json!({
            "review": text("What is wrong or risky in the draft, or that nothing is."),
            "improved_commands": commands_schema("Better commands; empty if the draft's are good."),
            "approval": {
                "type": "boolean",
                "description": "Whether this step may go on."
            },
        })),
        ModelRole::Final => object_schema(&json!({
            "final_commands": commands_schema("The commands to run, in order; empty if none is needed."),
            "summary": text("What this step does, in one sentence."),
        })),
    }
}

fn commands_schema(description: &str) -> Value {
    let kinds: Vec<String> = CommandKind::KNOWN.into_iter().map(String::from).collect();
    let command = object_schema(&json!({
        "type": {
            "type": "string",
            "enum": kinds,
            "description": "What interprets the command; exec starts argv without a shell."
        },
        "code": {
            "type": "string",
            "description": "The program text; an empty string for exec."
        },
        "argv": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Program and arguments of exec; an empty array for every other type."
        },
    }));
    json!({"type": "array", "items": command, "description": description})
}

fn object_schema(properties: &Value) -> Value {
    let required: Vec<&String> = properties
        .as_object()
        .into_iter()
        .flatten()
        .map(|p| p.0)
        .collect();
    let required = json!(required);
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn optional_text(object: &Map<String, Value>, field: &str) -> Result<String, UnusableReply> {
    match object.get(field) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value) => Err(wrong(&format!("$.{field}"), value, "a string")),
    }
}

fn approval(object: &Map<String, Value>) -> Result<bool, UnusableReply> {
    let value = object.get("approval").unwrap_or(&Value::Null);
    value
        .as_bool()
        .ok_or_else(|| wrong("$.approval", value, "true or false"))
}

fn commands(object: &Map<String, Value>, field: &str) -> Result<Vec<Command>, UnusableReply> {
    let value = object.get(field).unwrap_or(&Value::Null);
    let Value::Array(items) = value else {
        return Err(wrong(&format!("$.{field}"), value, "an array of commands"));
    };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| command(item, &format!("$.{field}[{index}]")))
        .collect()
}

fn command(value: &Value, path: &str) -> Result<Command, UnusableReply> {
    let Value::Object(object) = value else {
        return Err(wrong(path, value, "an object with `type` and `code`"));
    };
    let kind = CommandKind::from(required_text(object, path, "type")?);
    if kind == CommandKind::Exec {
        exec(object, path)
    } else {
        shell(kind, object, path)
    }
}

fn shell(
    kind: CommandKind,
    object: &Map<String, Value>,
    path: &str,
) -> Result<Command, UnusableReply> {
    let code = required_text(object, path, "code")?;
    if code.trim().is_empty() {
        return Err(unusable(format!(
            "`{path}.code` is blank; it must be program text"
        )));
    }
    if !argv(object, path)?.is_empty() {
        let kind = kind.as_str();
        return Err(unusable(format!(
            "`{path}.argv` must be empty or absent for the type `{kind}`; only `exec` has one"
        )));
    }
    Ok(Command::with_code(kind, code))
}

fn exec(object: &Map<String, Value>, path: &str) -> Result<Command, UnusableReply> {
    if object.get("code").is_some_and(|code| code != "") {
        return Err(unusable(format!(
            "`{path}.code` must be empty or absent for the type `exec`, which starts `argv`"
        )));
    }
    let argv = argv(object, path)?;
    if argv.first().is_none_or(String::is_empty) {
        return Err(unusable(format!(
            "`{path}.argv` must be an array of strings that begins with a program"
        )));
    }
    Ok(Command::exec(argv))
}

/// Reads `argv`; absent counts as empty.
fn argv(object: &Map<String, Value>, path: &str) -> Result<Vec<String>, UnusableReply> {
    let path = format!("{path}.argv");
    match object.get("argv") {
        None => Ok(Vec::new()),
        Some(Value::Array(words)) => words
            .iter()
            .enumerate()
            .map(|(index, word)| text(word, &format!("{path}[{index}]")))
            .collect(),
        Some(value) => Err(wrong(&path, value, "an array of strings")),
    }
}

fn required_text(
    object: &Map<String, Value>,
    path: &str,
    field: &str,
) -> Result<String, UnusableReply> {
    let path = format!("{path}.{field}");
    match object.get(field) {
        None => Err(unusable(format!(
            "`{path}` is missing; it must be a string"
        ))),
        Some(value) => text(value, &path),
    }
}

fn text(value: &Value, path: &str) -> Result<String, UnusableReply> {
    match value.as_str() {
        None => Err(wrong(path, value, "a string")),
        Some(text) if text.contains('\0') => {
            Err(unusable(format!("`{path}` contains a NUL character")))
        }
        Some(text) => Ok(text.to_owned()),
    }
}

fn wrong(path: &str, value: &Value, expected: &str) -> UnusableReply {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    unusable(format!("`{path}` is {found}; it must be {expected}"))
}

const fn unusable(reason: String) -> UnusableReply {
    UnusableReply { reason }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bash(code: &str) -> Command {
        Command::with_code(CommandKind::Bash, code.to_owned())
    }

    fn final_with(code: &str) -> String {
        json!({"final_commands": [{"type": "bash", "code": code}], "summary": "s"}).to_string()
    }

    fn reason<T: std::fmt::Debug>(result: Result<T, UnusableReply>) -> String {
        result.unwrap_err().reason
    }

    #[test]
    fn a_plain_object_is_read_whole() {
        let text = r#"{"thought":"t","commands":[{"type":"exec","argv":["ls","-l"]}]}"#;
        assert_eq!(
            parse_draft(text).unwrap(),
            DraftReply {
                thought: "t".into(),
                commands: vec![Command::exec(vec!["ls".into(), "-l".into()])],
                json: serde_json::from_str(text).unwrap(),
            }
        );
    }

    #[test]
    fn w28_prose_before_an_object_with_braces_in_its_code_does_not_hide_it() {
        let code = "if ($true) { if (1) { Write-Output 'hi' } }";
        let text = format!("Sure, I use {{braces}} here:\n{}", final_with(code));
        assert_eq!(parse_final(&text).unwrap().commands, vec![bash(code)]);
    }

    #[test]
    fn w28_an_inner_object_never_stands_in_for_a_broken_outer_one() {
        let text = r#"{"final_commands": [{"type":"bash","code":"ls"}], "summary": "#;
        assert_eq!(
            reason(parse_final(text)),
            "the reply ends inside the JSON object that opens on line 1"
        );
    }

    #[test]
    fn w29_text_after_the_object_is_ignored() {
        let text = format!("{}\nHope this helps. {{}}", final_with("ls"));
        assert_eq!(parse_final(&text).unwrap().commands, vec![bash("ls")]);
    }

    #[test]
    fn w30_a_fence_inside_a_string_does_not_end_the_object() {
        let code = "cat <<'X'\n```json\n{}\n```\nX";
        for fence in ["```json", "```JSON", "```", "~~~Json"] {
            let text = format!("{fence}\n{}\n```", final_with(code));
            assert_eq!(parse_final(&text).unwrap().commands, vec![bash(code)]);
        }
    }

    /// Replies that hold no usable commands, with what is said about each.
    const WRONG_COMMANDS: &[(&str, &str)] = &[
        (
            r#"{"final_commands": null}"#,
            "`$.final_commands` is null; it must be an array of commands",
        ),
        (
            r#"{"final_commands": ["Get-Date"]}"#,
            "`$.final_commands[0]` is a string; it must be an object with `type` and `code`",
        ),
        (
            r#"{"final_commands": [{"type":"powershell","code":null}]}"#,
            "`$.final_commands[0].code` is null; it must be a string",
        ),
        (
            r#"{"final_commands": [{"code":"ls"}]}"#,
            "`$.final_commands[0].type` is missing; it must be a string",
        ),
        (
            r#"{"final_commands": [{"type":"bash"}]}"#,
            "`$.final_commands[0].code` is missing; it must be a string",
        ),
        (
            r#"{"final_commands": [{"type":"bash","code":" "}]}"#,
            "`$.final_commands[0].code` is blank; it must be program text",
        ),
        (
            r#"{"final_commands": [{"type":"bash","code":"ls","argv":["ls"]}]}"#,
            "`$.final_commands[0].argv` must be empty or absent for the type `bash`; only `exec` has one",
        ),
        (
            r#"{"final_commands": [{"type":"exec","code":"ls"}]}"#,
            "`$.final_commands[0].code` must be empty or absent for the type `exec`, which starts `argv`",
        ),
        (
            r#"{"final_commands": [{"type":"exec","argv":[]}]}"#,
            "`$.final_commands[0].argv` must be an array of strings that begins with a program",
        ),
        (
            r#"{"final_commands": [{"type":"exec","argv":["ls",1]}]}"#,
            "`$.final_commands[0].argv[1]` is a number; it must be a string",
        ),
        (
            r#"{"final_commands": [{"type":"sh","code":"a\u0000b"}]}"#,
            "`$.final_commands[0].code` contains a NUL character",
        ),
        (
            r#"{"final_commands": [], "summary": []}"#,
            "`$.summary` is an array; it must be a string",
        ),
        (
            r#"{"commands": []}"#,
            "`$.final_commands` is missing in the JSON object of the reply",
        ),
        (
            "42",
            "the reply holds no JSON object; expected one with `final_commands`",
        ),
        (
            "null",
            "the reply holds no JSON object; expected one with `final_commands`",
        ),
        (" \n", "the reply is empty"),
        (
            "\n{'final_commands': []}",
            "the JSON object that opens on line 2 is not valid: key must be a string at line 1 column 2, counted from its brace",
        ),
    ];

    #[test]
    fn w31_wrong_shapes_are_refused_with_their_place() {
        for (text, expected) in WRONG_COMMANDS {
            assert_eq!(reason(parse_final(text)), *expected, "{text}");
        }
    }

    #[test]
    fn a_review_without_a_clear_approval_is_neither_yes_nor_no() {
        assert_eq!(
            reason(parse_review(r#"{"review": "fine"}"#)),
            "`$.approval` is missing in the JSON object of the reply"
        );
        assert_eq!(
            reason(parse_review(r#"{"approval": "yes"}"#)),
            "`$.approval` is a string; it must be true or false"
        );
        let read = parse_review(r#"{"approval": false}"#).unwrap();
        assert_eq!((read.approval, read.review.as_str()), (false, ""));
    }

    #[test]
    fn an_example_object_before_the_answer_is_passed_over() {
        let text = format!("For {{\"type\": \"bash\"}} I chose: {}", final_with("ls"));
        assert_eq!(parse_final(&text).unwrap().commands, vec![bash("ls")]);
    }

    #[test]
    fn what_the_schema_demands_is_accepted() {
        let text = r#"{"final_commands":[{"type":"bash","code":"ls","argv":[]},
            {"type":"exec","code":"","argv":["ls"]}],"summary":""}"#;
        assert_eq!(parse_final(text).unwrap().commands.len(), 2);
    }

    #[test]
    fn every_object_of_a_schema_requires_all_its_properties_and_allows_no_others() {
        fn check(schema: &Value) {
            if schema["type"] == "object" {
                let names: Vec<&String> =
                    schema["properties"].as_object().unwrap().keys().collect();
                assert_eq!(schema["required"], json!(names));
                assert_eq!(schema["additionalProperties"], json!(false));
                schema["properties"]
                    .as_object()
                    .unwrap()
                    .values()
                    .for_each(check);
            }
            if schema["type"] == "array" {
                check(&schema["items"]);
            }
        }
        ModelRole::ALL.map(reply_schema).iter().for_each(check);
        assert_eq!(
            reply_schema(ModelRole::Review).get("required").unwrap(),
            &json!(["review", "improved_commands", "approval"])
        );
    }

    #[test]
    fn a_flood_of_braces_and_deep_nesting_end_quickly() {
        let flood = "{".repeat(1_000_000);
        assert!(parse_final(&flood).is_err());
        let deep = r#"{"a":"#.repeat(100_000);
        assert!(parse_final(&deep).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>(), noise in "[{}\\[\\]\":,a\\\\`n ]{0,200}") {
            for text in [&text, &noise] {
                drop((parse_draft(text), parse_review(text), parse_final(text)));
            }
        }

        #[test]
        fn an_object_is_found_whatever_stands_around_it(
            code in "\\PC*[{}\"`\\\\\n a-z]{1,40}x",
            before in "[^{\\[<◁]{0,80}",
            after in "[^{\\[<◁]{0,80}",
            fence in proptest::option::of("```(json|JSON|Json|)"),
        ) {
            let object = final_with(&code);
            let text = match fence {
                Some(fence) => format!("{before}\n{fence}\n{object}\n```\n{after}"),
                None => format!("{before}{object}{after}"),
            };
            prop_assert_eq!(parse_final(&text).unwrap().commands, vec![bash(&code)]);
        }
    }
}
