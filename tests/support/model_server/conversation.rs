//! Reads a conversation in any of the formats and decides what comes next.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use serde_json::{Value, json};

use super::Format;

static DIRECTIVE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^[\s\x22]*(DO2?|CALL|SAY|FAULT): (.*)$").expect("it compiles")
});
static HEALTH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"sh \./([\w-]+)\.sh").expect("it compiles"));

/// Names that clients give to the tool that runs a command.
const SHELLS: [&str; 6] = [
    "Bash",
    "exec_command",
    "shell_command",
    "shell",
    "bash",
    "run_shell_command",
];

/// A call of one of the client's tools.
#[derive(Debug, Clone)]
pub(super) struct ToolCall {
    pub(super) name: String,
    pub(super) arguments: Value,
    /// Its input is a text, not JSON.
    pub(super) is_custom: bool,
}

/// What to answer.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) tool: Option<ToolCall>,
    pub(super) say: String,
    pub(super) fault: Option<Fault>,
    /// The client offers tools: it is no side question.
    pub(super) offers_tools: bool,
    pub(super) prompt: String,
    pub(super) results: Vec<String>,
}

enum Part {
    User(String),
    Result(String),
}

impl Plan {
    pub(super) fn of(format: Format, body: &Value) -> Self {
        let mut plan = Self {
            say: "done".to_owned(),
            ..Self::default()
        };
        for part in parts(format, body) {
            match part {
                Part::Result(text) => plan.results.push(text),
                Part::User(text) if DIRECTIVE.is_match(&text) || is_health(&text) => {
                    plan.prompt = text;
                    plan.results.clear();
                }
                Part::User(_) => {}
            }
        }
        let mut steps = Vec::new();
        plan.read(&mut steps);
        let tools = tools(format, body);
        plan.offers_tools = !tools.is_empty();
        if let (Some((word, value)), false) = (steps.get(plan.results.len()), tools.is_empty()) {
            plan.tool = if word == "CALL" {
                let (name, arguments) = value.split_once(' ').unwrap_or((value, "{}"));
                let arguments = serde_json::from_str(arguments).expect("CALL wants JSON");
                call(&tools, name, arguments)
            } else {
                shell_call(&tools, value)
            };
        }
        plan
    }

    /// Reads the directives of the prompt.
    fn read(&mut self, steps: &mut Vec<(String, String)>) {
        let prompt = &self.prompt;
        if is_health(prompt) && !DIRECTIVE.is_match(prompt) {
            "ready".clone_into(&mut self.say);
            let named = HEALTH.captures(prompt).map(|found| found[1].to_owned());
            steps.extend(named.map(|name| {
                let work = format!("sh ./{name}.sh && sed -i s/BEFORE/AFTER/ {name}.txt");
                ("DO".to_owned(), work)
            }));
        }
        let again = prompt.contains("second and last try") && prompt.contains("DO2: ");
        // Some clients hand a prompt on in quotes.
        let quoted = prompt.starts_with('"') && prompt.trim_end().ends_with('"');
        for found in DIRECTIVE.captures_iter(prompt) {
            let value = found[2].trim();
            let value = if quoted {
                value.trim_end_matches('"')
            } else {
                value
            };
            match &found[1] {
                "SAY" => value.clone_into(&mut self.say),
                "FAULT" => self.fault = Fault::read(value),
                word @ "CALL" => steps.push((word.to_owned(), value.to_owned())),
                word if (word == "DO2") == again => steps.push((word.to_owned(), value.to_owned())),
                _ => {}
            }
        }
    }
}

fn is_health(text: &str) -> bool {
    text.contains("single word: ready")
}

/// Something that goes wrong.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// As it stands in the prompt.
    pub(super) text: String,
    pub(super) options: BTreeMap<String, String>,
}

/// In which way it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    Status(u16),
    Cut,
    Hang,
    HangMid,
    Garbage,
}

impl Fault {
    fn read(text: &str) -> Option<Self> {
        let words = words(text);
        let (options, plain): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.contains('='));
        let kind = match (plain.first()?.as_str(), plain.get(1)) {
            ("status", Some(status)) => FaultKind::Status(status.parse().ok()?),
            ("cut", _) => FaultKind::Cut,
            ("hang", _) => FaultKind::Hang,
            ("hang-mid", _) => FaultKind::HangMid,
            ("garbage", _) => FaultKind::Garbage,
            _ => panic!("no such fault: {text}"),
        };
        let pairs = options.into_iter().filter_map(|word| word.split_once('='));
        Some(Self {
            kind,
            text: text.to_owned(),
            options: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        })
    }

    /// Returns the headers and the body of a refusal.
    pub(super) fn refusal(&self, format: Format, status: u16) -> (Vec<(String, String)>, Value) {
        let usual = match status {
            401 => "authentication_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        let option = |name: &str| self.options.get(name).map(String::as_str);
        let kind = option("type").unwrap_or(usual);
        let message = option("message").unwrap_or(kind);
        let mut headers = Vec::new();
        let mut error = json!({ "type": kind, "message": message, "code": option("code") });
        for (name, value) in &self.options {
            let number = || value.parse::<i64>().map_or(json!(value), |n| json!(n));
            if name == "retry-after" {
                headers.push((name.clone(), value.clone()));
            } else if let Some(name) = name.strip_prefix("header.") {
                headers.push((name.to_owned(), value.clone()));
            } else if let Some(name) = name.strip_prefix("body.") {
                error[name] = number();
            }
        }
        let body = match format {
            Format::Anthropic => {
                json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_mock" })
            }
            Format::Gemini => {
                let kind = option("type").unwrap_or(match status {
                    401 => "UNAUTHENTICATED",
                    429 => "RESOURCE_EXHAUSTED",
                    _ => "UNAVAILABLE",
                });
                json!({ "error": { "code": status, "message": message, "status": kind } })
            }
            Format::Responses | Format::Chat => json!({ "error": error }),
        };
        (headers, body)
    }
}

/// Splits at blanks; double quotes keep them.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut inside) = (vec![String::new()], false);
    for letter in text.chars() {
        match letter {
            '"' => inside = !inside,
            ' ' if !inside => words.push(String::new()),
            _ => words.last_mut().expect("there is one").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

/// Returns the text of a content that is a text or a list of parts.
fn text(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let parts = content.as_array().into_iter().flatten();
    let texts = parts.filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

fn parts(format: Format, body: &Value) -> Vec<Part> {
    match format {
        Format::Anthropic => list(body, "messages")
            .filter(|message| message["role"] == "user")
            .flat_map(|message| {
                let blocks = list(message, "content");
                let results = blocks.filter(|block| block["type"] == "tool_result");
                let results = results.map(|block| Part::Result(text(&block["content"])));
                let said = Part::User(text(&message["content"]));
                results.chain([said]).collect::<Vec<_>>()
            })
            .collect(),
        Format::Responses => list(body, "input")
            .filter_map(|item| {
                let kind = item["type"].as_str().unwrap_or_default();
                if kind.ends_with("_output") {
                    let output = &item["output"];
                    let plain = output.as_str().map(str::to_owned);
                    return Some(Part::Result(plain.unwrap_or_else(|| output.to_string())));
                }
                (item["role"] == "user").then(|| Part::User(text(&item["content"])))
            })
            .collect(),
        Format::Chat => list(body, "messages")
            .filter_map(|message| match message["role"].as_str() {
                Some("tool") => Some(Part::Result(text(&message["content"]))),
                Some("user") => Some(Part::User(text(&message["content"]))),
                _ => None,
            })
            .collect(),
        Format::Gemini => list(body, "contents")
            .filter(|content| content["role"].as_str().unwrap_or("user") == "user")
            .flat_map(|content| list(content, "parts"))
            .filter_map(|part| {
                let answer = part.pointer("/functionResponse/response");
                let answer = answer.map(|answer| Part::Result(answer.to_string()));
                answer.or_else(|| Some(Part::User(part["text"].as_str()?.to_owned())))
            })
            .collect(),
    }
}

/// A tool of the client: its name, whether its input is a text, its parameters.
struct Tool {
    name: String,
    is_custom: bool,
    parameters: Value,
}

fn tools(format: Format, body: &Value) -> Vec<Tool> {
    let tool = |value: &Value, space: &str, parameters: &str| {
        let name = value["name"].as_str().or(value["type"].as_str());
        Tool {
            name: format!("{space}{}", name.unwrap_or_default()),
            is_custom: value["type"] == "custom",
            parameters: value[parameters].clone(),
        }
    };
    let mut found = Vec::new();
    for entry in list(body, "tools") {
        match format {
            Format::Gemini => {
                let functions = list(entry, "functionDeclarations");
                found.extend(functions.map(|function| {
                    let old = tool(function, "", "parameters");
                    if old.parameters.is_null() {
                        tool(function, "", "parametersJsonSchema")
                    } else {
                        old
                    }
                }));
            }
            Format::Chat => found.push(tool(&entry["function"], "", "parameters")),
            Format::Anthropic => found.push(tool(entry, "", "input_schema")),
            Format::Responses if entry["type"] == "namespace" => {
                let space = format!("{}.", entry["name"].as_str().unwrap_or_default());
                found.extend(list(entry, "tools").map(|one| tool(one, &space, "parameters")));
            }
            Format::Responses => found.push(tool(entry, "", "parameters")),
        }
    }
    found
}

fn call(tools: &[Tool], name: &str, arguments: Value) -> Option<ToolCall> {
    let tool = tools.iter().find(|tool| tool.name == name)?;
    Some(ToolCall {
        name: tool.name.clone(),
        arguments,
        is_custom: tool.is_custom,
    })
}

/// Makes a call of whatever tool of the client runs a command.
fn shell_call(tools: &[Tool], command: &str) -> Option<ToolCall> {
    let named = |name: &&&str| tools.iter().any(|tool| tool.name == ***name);
    let Some(name) = SHELLS.iter().find(named) else {
        // One that runs JavaScript has the others inside.
        let script = format!(
            "text(await tools.exec_command({{cmd: {}}}));",
            json!(command)
        );
        return call(tools, "exec", json!(script));
    };
    let tool = tools.iter().find(|tool| tool.name == **name)?;
    let properties = &tool.parameters["properties"];
    let key = if properties["cmd"].is_null() {
        "command"
    } else {
        "cmd"
    };
    let is_list = properties[key]["type"] == "array";
    let value = if is_list {
        json!(["bash", "-lc", command])
    } else {
        json!(command)
    };
    let mut arguments = json!({ key: value });
    if !properties["description"].is_null() {
        arguments["description"] = json!("what the test asks for");
    }
    call(tools, name, arguments)
}
