//! Reads what an agent prints, one line at a time while it runs, so that nothing of it has to be kept.
//!
//! Programs with an envelope print one JSON object a line; what their commands print is inside strings there and is never
//! taken for what the program says about itself. Of other programs everything is prose. Danger: all of it is text that a
//! model may have written, so it is shown and counted but never obeyed.

use serde_json::Value;

use super::AgentKind;
use crate::domain::{
    model::TokenUsage,
    text::{char_from, first_bytes},
};

/// How many complaints are kept; the last ones say most.
const COMPLAINTS: usize = 8;
/// How many refused tool calls are kept.
const DENIALS: usize = 32;
/// How many bytes of a complaint, a reply or a refused command are kept.
const TEXT: usize = 16 * 1024;

/// Something that was refused: by the program's own permissions or by the policy of tos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The tool.
    pub tool: String,
    /// What it was to do: a command, or the input as JSON.
    pub what: String,
    /// Why, where it was the policy of tos that refused it.
    pub why: Option<String>,
}

/// What an agent said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentOutput {
    /// Its answer, without the envelope of its kind.
    pub reply: String,
    /// What it cost, in millionths of a dollar, where it tells.
    pub micro_usd: Option<u64>,
    /// The tokens it used, where it counts them.
    pub usage: Option<TokenUsage>,
    /// The model that it says it used.
    pub model: Option<String>,
    /// It says itself that it failed.
    pub is_error: bool,
    /// It said how it ended: with a result, well or badly.
    pub has_ended: bool,
    /// How it ended, in its own word, where that is an error of its own making (`error_max_budget_usd`).
    pub error_kind: Option<String>,
    /// The status with which its provider refused, where it tells.
    pub status: Option<u16>,
    /// What it says went wrong with it, in the order it said so.
    pub complaints: Vec<String>,
    /// What was refused to it.
    pub denials: Vec<Denial>,
    /// The command of its own that is still under way.
    pub running: Option<String>,
    /// How often in a row its provider refused it as unauthorised while it tries again.
    pub refusals: u32,
}

/// Reads the output of one agent.
#[derive(Debug, Clone)]
pub struct AgentOutputParser {
    kind: AgentKind,
    pub(super) report: AgentOutput,
    /// Commands under way, by their id.
    pub(super) open: Vec<(String, String)>,
    /// Its provider failed, and it has not said yet how the turn ends.
    pub(super) is_broken: bool,
}

impl AgentOutputParser {
    /// Starts to read the output of an agent of a kind.
    pub const fn new(kind: AgentKind) -> Self {
        Self {
            kind,
            report: AgentOutput {
                reply: String::new(),
                micro_usd: None,
                usage: None,
                model: None,
                is_error: false,
                has_ended: false,
                error_kind: None,
                status: None,
                complaints: Vec::new(),
                denials: Vec::new(),
                running: None,
                refusals: 0,
            },
            open: Vec::new(),
            is_broken: false,
        }
    }

    /// Reads one line of standard output.
    pub fn read_line(&mut self, line: &str) {
        if !self.kind.emits_json_lines() {
            return self.prose(line);
        }
        let Ok(value) = serde_json::from_str::<Value>(line.trim()) else {
            return;
        };
        match self.kind {
            AgentKind::Claude => self.claude(&value),
            AgentKind::Codex => self.codex(&value),
            AgentKind::Opencode => self.opencode(&value),
            AgentKind::Gemini => self.gemini(&value),
            AgentKind::Acp => self.acp(&value),
            AgentKind::Command | AgentKind::Aider | AgentKind::Job => {}
        }
        self.report.running = self.open.last().map(|(_, command)| command.clone());
    }

    /// Returns what is known so far.
    pub const fn report(&self) -> &AgentOutput {
        &self.report
    }

    /// Returns what was said in all.
    pub fn finish(mut self) -> AgentOutput {
        if !self.kind.emits_json_lines() {
            self.report.reply = self.report.reply.trim().to_owned();
        }
        self.report
    }

    fn prose(&mut self, line: &str) {
        let reply = &mut self.report.reply;
        reply.push_str(line);
        reply.push('\n');
        if reply.len() > 2 * TEXT {
            let from = char_from(reply, reply.len() - TEXT);
            reply.drain(..from);
        }
        let told = line
            .trim_start()
            .starts_with('{')
            .then(|| serde_json::from_str::<Value>(line.trim()).ok());
        if let Some(cost) = told
            .flatten()
            .and_then(|value| value.get("total_cost_usd")?.as_f64())
        {
            self.report.micro_usd = Some(usd_to_micro(cost));
        }
        if self.kind == AgentKind::Aider {
            self.aider(line);
        }
    }

    /// Aider ends with 0 whatever became of its question; what its client library says is the only sign.
    fn aider(&mut self, line: &str) {
        if let Some(cost) = aider_cost(line) {
            self.report.micro_usd = Some(usd_to_micro(cost));
        }
        if line.starts_with("litellm.") && line.contains("Error") {
            self.report.is_error = true;
            self.complain(line);
        }
        if line.starts_with("Applied edit to ") {
            self.report.is_error = false;
        }
    }

    fn claude(&mut self, value: &Value) {
        match word(value, "type") {
            "system" if word(value, "subtype") == "init" => {
                self.report.model = owned(value, "/model");
            }
            "system" if word(value, "subtype") == "api_retry" => {
                let status =
                    number(value, "/error_status").and_then(|status| u16::try_from(status).ok());
                let unauthorised = matches!(status, Some(401 | 403));
                self.report.refusals = if unauthorised {
                    self.report.refusals + 1
                } else {
                    0
                };
                self.report.status = status.or(self.report.status);
                let error =
                    owned(value, "/error").unwrap_or_else(|| "no answer from the API".to_owned());
                let status = status.map_or(String::new(), |status| format!(" (status {status})"));
                self.complain(format!("{error}{status}"));
            }
            "assistant" => {
                self.report.refusals = 0;
                self.claude_calls(value);
            }
            "user" => {
                let parts = list(value, "/message/content");
                for part in parts.filter(|part| word(part, "type") == "tool_result") {
                    self.close(word(part, "tool_use_id"));
                }
            }
            "result" => self.claude_result(value),
            _ => {}
        }
    }

    fn claude_calls(&mut self, value: &Value) {
        // An agent that the first one started works inside a call of the first; only the first one's calls are counted.
        if value
            .get("parent_tool_use_id")
            .is_some_and(Value::is_string)
        {
            return;
        }
        for part in list(value, "/message/content").filter(|part| word(part, "type") == "tool_use")
        {
            let input = part.get("input").unwrap_or(&Value::Null);
            self.open(word(part, "id"), &call(word(part, "name"), input));
        }
    }

    fn claude_result(&mut self, value: &Value) {
        let report = &mut self.report;
        self.open.clear();
        report.has_ended = true;
        report.reply = bounded(word(value, "result").trim());
        report.micro_usd = value
            .get("total_cost_usd")
            .and_then(Value::as_f64)
            .map(usd_to_micro)
            .or(report.micro_usd);
        let subtype = word(value, "subtype");
        let own_error = !matches!(subtype, "" | "success");
        report.is_error = own_error || value.get("is_error").is_some_and(|flag| flag == true);
        report.error_kind = own_error.then(|| subtype.to_owned());
        report.usage = value.get("usage").map(|usage| TokenUsage {
            input: [
                "/input_tokens",
                "/cache_read_input_tokens",
                "/cache_creation_input_tokens",
            ]
            .iter()
            .filter_map(|name| number(usage, name))
            .sum(),
            cached_input: number(usage, "/cache_read_input_tokens").unwrap_or(0),
            cache_write: number(usage, "/cache_creation_input_tokens").unwrap_or(0),
            output: number(usage, "/output_tokens").unwrap_or(0),
            estimated: false,
        });
        let status =
            number(value, "/api_error_status").and_then(|status| u16::try_from(status).ok());
        report.status = if report.is_error {
            status.or(report.status)
        } else {
            None
        };
        for denial in list(value, "/permission_denials").take(DENIALS) {
            let input = denial.get("tool_input").unwrap_or(&Value::Null);
            let tool = word(denial, "tool_name");
            report.denials.push(Denial {
                tool: tool.to_owned(),
                what: bounded(&what(input)),
                why: None,
            });
        }
        if report.is_error && !report.reply.is_empty() && !own_error {
            let reply = report.reply.clone();
            self.complain(reply);
        }
    }

    fn codex(&mut self, value: &Value) {
        match word(value, "type") {
            "item.started" => {
                let item = value.get("item").unwrap_or(&Value::Null);
                match word(item, "type") {
                    "command_execution" => self.open(word(item, "id"), word(item, "command")),
                    "mcp_tool_call" => self.open(word(item, "id"), word(item, "tool")),
                    _ => {}
                }
            }
            "item.completed" => {
                let item = value.get("item").unwrap_or(&Value::Null);
                self.close(word(item, "id"));
                match word(item, "type") {
                    "agent_message" => self.report.reply = bounded(word(item, "text").trim()),
                    // A declined command is one that its own rules refused.
                    "command_execution" if word(item, "status") == "declined" => {
                        self.deny("shell", word(item, "command"));
                    }
                    // Warnings come as items; only what ends a turn is a complaint.
                    _ => {}
                }
            }
            "turn.completed" => {
                self.report.has_ended = true;
                self.report.is_error = false;
                if let Some(usage) = value.get("usage") {
                    self.add(TokenUsage {
                        input: number(usage, "/input_tokens").unwrap_or(0),
                        cached_input: number(usage, "/cached_input_tokens").unwrap_or(0),
                        cache_write: number(usage, "/cache_write_input_tokens").unwrap_or(0),
                        output: number(usage, "/output_tokens").unwrap_or(0),
                        estimated: false,
                    });
                }
            }
            "error" => self.complain(owned(value, "/message").unwrap_or_default()),
            "turn.failed" => {
                self.report.has_ended = true;
                self.report.is_error = true;
                self.complain(owned(value, "/error/message").unwrap_or_default());
            }
            _ => {}
        }
    }

    fn opencode(&mut self, value: &Value) {
        match word(value, "type") {
            "text" => {
                self.report.reply = bounded(owned(value, "/part/text").unwrap_or_default().trim());
            }
            "tool_use" if owned(value, "/part/state/status").as_deref() == Some("error") => {
                let error = owned(value, "/part/state/error").unwrap_or_default();
                // Its permissions answer in prose only.
                if error.contains("rejected") || error.contains("permission") {
                    let input = value.pointer("/part/state/input").unwrap_or(&Value::Null);
                    let tool = owned(value, "/part/tool").unwrap_or_default();
                    self.deny(&tool, &what(input));
                }
            }
            "step_finish" => {
                let cost = value
                    .pointer("/part/cost")
                    .and_then(Value::as_f64)
                    .map(usd_to_micro);
                // A provider without a price costs 0 there, which is not the same as nothing.
                if let Some(cost) = cost.filter(|cost| *cost > 0) {
                    self.report.micro_usd = Some(self.report.micro_usd.unwrap_or(0) + cost);
                }
                let tokens = value.pointer("/part/tokens").unwrap_or(&Value::Null);
                let cached = number(tokens, "/cache/read").unwrap_or(0);
                let written = number(tokens, "/cache/write").unwrap_or(0);
                self.add(TokenUsage {
                    input: number(tokens, "/input").unwrap_or(0) + cached + written,
                    cached_input: cached,
                    cache_write: written,
                    output: number(tokens, "/output").unwrap_or(0)
                        + number(tokens, "/reasoning").unwrap_or(0),
                    estimated: false,
                });
                self.report.has_ended =
                    owned(value, "/part/reason").as_deref() != Some("tool-calls");
            }
            "error" => {
                self.report.is_error = true;
                self.report.has_ended = true;
                let status = number(value, "/error/data/statusCode");
                self.report.status = status.and_then(|status| u16::try_from(status).ok());
                let message = owned(value, "/error/data/message").filter(|text| !text.is_empty());
                let name = || owned(value, "/error/name").unwrap_or_default();
                let body = owned(value, "/error/data/responseBody").unwrap_or_default();
                self.complain(body);
                self.complain(message.unwrap_or_else(name));
            }
            _ => {}
        }
    }

    fn gemini(&mut self, value: &Value) {
        match word(value, "type") {
            "init" => self.report.model = owned(value, "/model"),
            "message" if word(value, "role") == "assistant" => {
                let more = value.get("delta").is_some_and(|flag| flag == true);
                let text = word(value, "content");
                if more && !self.report.reply.is_empty() {
                    self.report.reply = bounded(&format!("{}{text}", self.report.reply));
                } else {
                    self.report.reply = bounded(text);
                }
            }
            "tool_use" => {
                // What it said before a call is not its answer.
                self.report.reply.clear();
                let input = value.get("parameters").unwrap_or(&Value::Null);
                self.open(
                    word(value, "tool_id"),
                    &call(word(value, "tool_name"), input),
                );
            }
            "tool_result" => {
                let id = word(value, "tool_id").to_owned();
                let refused = owned(value, "/error/type").as_deref() == Some("policy_violation");
                let command = self
                    .open
                    .iter()
                    .find(|(open, _)| *open == id)
                    .map(|(_, command)| command.clone());
                if let Some(command) = command.filter(|_| refused) {
                    self.deny("run_shell_command", &command);
                }
                self.close(&id);
            }
            "error" => self.complain(owned(value, "/message").unwrap_or_default()),
            "result" => {
                self.open.clear();
                self.report.has_ended = true;
                self.report.is_error = word(value, "status") != "success";
                self.complain(owned(value, "/error/message").unwrap_or_default());
                if let Some(stats) = value.get("stats") {
                    self.report.usage = Some(TokenUsage {
                        input: number(stats, "/input_tokens").unwrap_or(0),
                        cached_input: number(stats, "/cached").unwrap_or(0),
                        cache_write: 0,
                        output: number(stats, "/output_tokens").unwrap_or(0),
                        estimated: false,
                    });
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, usage: TokenUsage) {
        let sum = self.report.usage.get_or_insert_default();
        sum.input += usage.input;
        sum.cached_input += usage.cached_input;
        sum.cache_write += usage.cache_write;
        sum.output += usage.output;
    }

    pub(super) fn complain(&mut self, text: impl Into<String>) {
        let text = text.into();
        let complaints = &mut self.report.complaints;
        if text.trim().is_empty() || complaints.last() == Some(&text) {
            return;
        }
        if complaints.len() == COMPLAINTS {
            complaints.remove(0);
        }
        complaints.push(bounded(text.trim()));
    }

    fn deny(&mut self, tool: &str, what: &str) {
        self.deny_because(tool, what, None);
    }

    pub(super) fn deny_because(&mut self, tool: &str, what: &str, why: Option<&str>) {
        if self.report.denials.len() < DENIALS {
            self.report.denials.push(Denial {
                tool: tool.to_owned(),
                what: bounded(what),
                why: why.map(bounded),
            });
        }
    }

    pub(super) fn open(&mut self, id: &str, command: &str) {
        self.open.push((id.to_owned(), bounded(command)));
    }

    pub(super) fn close(&mut self, id: &str) {
        self.open.retain(|(open, _)| open != id);
    }
}

/// Returns the dollars of aider's line `Cost: $0.0073 message, $0.0091 session.`
fn aider_cost(line: &str) -> Option<f64> {
    let (_, cost) = line.split_once("Cost: ")?;
    let session = cost.split(", ").find(|part| part.contains("session"))?;
    let number: String = session
        .trim_start_matches('$')
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    number.parse().ok()
}

fn call(tool: &str, input: &Value) -> String {
    let command = input
        .get("command")
        .or_else(|| input.get("cmd"))
        .and_then(Value::as_str);
    command.map_or_else(|| tool.to_owned(), str::to_owned)
}

fn what(input: &Value) -> String {
    let names = ["command", "cmd", "file_path", "filePath", "path", "url"];
    let known = names
        .iter()
        .find_map(|name| input.get(name).and_then(Value::as_str));
    known.map_or_else(|| input.to_string(), str::to_owned)
}

fn word<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn owned(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer)?.as_u64()
}

fn list<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

pub(super) fn bounded(text: &str) -> String {
    first_bytes(text, TEXT).to_owned()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is kept inside what fits"
)]
pub(super) fn usd_to_micro(dollars: f64) -> u64 {
    (dollars * 1_000_000.0).round().clamp(0.0, 1e15) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: AgentKind, lines: &[&str]) -> AgentOutput {
        let mut transcript = AgentOutputParser::new(kind);
        for line in lines {
            transcript.read_line(line);
        }
        transcript.finish()
    }

    #[test]
    fn the_envelope_of_each_kind_is_opened() {
        let claude = read(
            AgentKind::Claude,
            &[
                r#"{"type":"system","subtype":"init","model":"claude-x"}"#,
                r#"{"type":"result","subtype":"success","is_error":false,"result":" ready","total_cost_usd":0.0125,"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":2}}"#,
            ],
        );
        assert_eq!(
            (claude.reply.as_str(), claude.micro_usd),
            ("ready", Some(12_500))
        );
        assert_eq!(
            claude.usage.map(|usage| (usage.input, usage.output)),
            Some((15, 2))
        );
        let codex = read(
            AgentKind::Codex,
            &[
                r#"{"type":"item.completed","item":{"id":"1","type":"error","message":"only a warning"}}"#,
                r#"{"type":"item.completed","item":{"id":"2","type":"agent_message","text":"ready"}}"#,
                r#"{"type":"turn.completed","usage":{"input_tokens":7,"output_tokens":1}}"#,
            ],
        );
        assert_eq!(
            (codex.reply.as_str(), codex.has_ended, codex.is_error),
            ("ready", true, false)
        );
        assert_eq!((codex.complaints.len(), codex.micro_usd), (0, None));
    }

    #[test]
    fn costs_and_answers_in_parts_are_put_together() {
        let opencode = read(
            AgentKind::Opencode,
            &[
                r#"{"type":"step_finish","part":{"reason":"tool-calls","cost":0.01,"tokens":{"input":8,"output":1,"reasoning":1,"cache":{"read":2,"write":0}}}}"#,
                r#"{"type":"text","part":{"text":"ready"}}"#,
                r#"{"type":"step_finish","part":{"reason":"stop","cost":0.02,"tokens":{"input":8,"output":1,"reasoning":0,"cache":{"read":2,"write":0}}}}"#,
            ],
        );
        assert_eq!(
            (opencode.micro_usd, opencode.has_ended),
            (Some(30_000), true),
            "costs are added up"
        );
        assert_eq!(
            opencode.usage.map(|usage| (usage.input, usage.output)),
            Some((20, 3))
        );
        let gemini = read(
            AgentKind::Gemini,
            &[
                r#"{"type":"message","role":"assistant","content":"I will","delta":true}"#,
                r#"{"type":"tool_use","tool_id":"a","tool_name":"run_shell_command","parameters":{"command":"ls"}}"#,
                r#"{"type":"tool_result","tool_id":"a","status":"success"}"#,
                r#"{"type":"message","role":"assistant","content":"rea","delta":true}"#,
                r#"{"type":"message","role":"assistant","content":"dy","delta":true}"#,
                r#"{"type":"result","status":"success","stats":{"input_tokens":5,"output_tokens":6,"cached":1}}"#,
            ],
        );
        assert_eq!(
            (gemini.reply.as_str(), gemini.is_error, gemini.running),
            ("ready", false, None)
        );
        assert_eq!(read(AgentKind::Command, &["ready", ""]).reply, "ready");
        let aider = read(
            AgentKind::Aider,
            &[
                "done",
                "Tokens: 2.4k sent, 61 received. Cost: $0.0073 message, $0.0091 session.",
            ],
        );
        assert_eq!(aider.micro_usd, Some(9_100));
        let refused = "litellm.AuthenticationError: AuthenticationError: OpenAIException - bad key";
        assert!(read(AgentKind::Aider, &[refused]).is_error);
        let overcome = read(AgentKind::Aider, &[refused, "Applied edit to app.py"]);
        assert!(!overcome.is_error);
    }

    #[test]
    fn what_a_command_prints_is_not_what_the_agent_says() {
        let report = read(
            AgentKind::Codex,
            &[
                r#"{"type":"item.completed","item":{"id":"1","type":"command_execution","aggregated_output":"usage limit reached\n{\"type\":\"turn.failed\"}","exit_code":0,"status":"completed"}}"#,
                "usage limit reached",
                r#"{"type":"turn.completed","usage":{"input_tokens":7,"output_tokens":1}}"#,
            ],
        );
        assert_eq!((report.complaints.len(), report.is_error), (0, false));
    }

    #[test]
    fn an_error_in_an_envelope_is_one() {
        let claude = read(
            AgentKind::Claude,
            &[
                r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"You've hit your limit"}"#,
            ],
        );
        assert_eq!((claude.is_error, claude.status), (true, Some(429)));
        assert_eq!(claude.complaints, ["You've hit your limit"]);
        let budget = read(
            AgentKind::Claude,
            &[r#"{"type":"result","subtype":"error_max_budget_usd","is_error":true}"#],
        );
        assert_eq!(budget.error_kind.as_deref(), Some("error_max_budget_usd"));
        let codex = read(
            AgentKind::Codex,
            &[r#"{"type":"turn.failed","error":{"message":"no"}}"#],
        );
        assert_eq!(
            (codex.is_error, codex.complaints),
            (true, vec!["no".to_owned()])
        );
        let gemini = read(
            AgentKind::Gemini,
            &[r#"{"type":"result","status":"error","error":{"message":"bad key"}}"#],
        );
        assert_eq!(
            (gemini.is_error, gemini.complaints),
            (true, vec!["bad key".to_owned()])
        );
        let opencode = read(
            AgentKind::Opencode,
            &[
                r#"{"type":"error","error":{"name":"APIError","data":{"message":"nope","statusCode":401}}}"#,
            ],
        );
        assert_eq!(
            (opencode.status, opencode.complaints),
            (Some(401), vec!["nope".to_owned()])
        );
    }

    #[test]
    fn a_command_under_way_is_known_until_its_result_came() {
        let call = r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"make test"}}]}}"#;
        let result =
            r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1"}]}}"#;
        assert_eq!(
            read(AgentKind::Claude, &[call]).running.as_deref(),
            Some("make test")
        );
        assert_eq!(read(AgentKind::Claude, &[call, result]).running, None);
    }

    #[test]
    fn large_denials_are_kept_short_and_few() {
        let one = format!(
            r#"{{"tool_name":"Bash","tool_input":{{"command":"{}"}}}}"#,
            "x".repeat(40_000)
        );
        let line = format!(
            r#"{{"type":"result","subtype":"success","is_error":false,"result":"ok","permission_denials":[{one},{one}]}}"#
        );
        let report = read(AgentKind::Claude, &[&line]);
        assert_eq!(report.denials.len(), 2);
        assert_eq!(report.denials[0].what.len(), TEXT);
        assert!(!report.is_error);
    }

    #[test]
    fn a_key_that_is_refused_again_and_again_is_counted() {
        let retry = |status| {
            format!(
                r#"{{"type":"system","subtype":"api_retry","attempt":1,"error_status":{status},"error":"e"}}"#
            )
        };
        assert_eq!(
            read(AgentKind::Claude, &[&retry(401), &retry(401)]).refusals,
            2
        );
        assert_eq!(
            read(AgentKind::Claude, &[&retry(401), &retry(529)]).refusals,
            0
        );
    }
}
