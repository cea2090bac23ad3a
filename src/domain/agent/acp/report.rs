//! What an agent that speaks ACP says about its work: its answer, its tokens, its cost, its trouble.

use serde_json::Value;

use super::at;
use crate::domain::{
    agent::transcript::{AgentOutputParser, bounded, usd_to_micro},
    model::TokenUsage,
};

impl AgentOutputParser {
    /// Reads one message of the agent.
    pub(in crate::domain::agent) fn acp(&mut self, message: &Value) {
        if message["method"] == "session/update" {
            return self.acp_update(at(message, "params/update"));
        }
        if message.get("method").is_some() {
            return;
        }
        if let Some(error) = message.get("error") {
            self.report.is_error = true;
            self.report.has_ended = true;
            self.complain(complaint(error));
        }
        let result = &message["result"];
        if let Some(why) = result["stopReason"].as_str() {
            self.open.clear();
            self.report.has_ended = true;
            let is_well = why == "end_turn" && !self.is_broken;
            if self.is_broken {
                let words = self.report.reply.clone();
                self.complain(words);
            }
            self.report.is_error = !is_well;
            self.report.error_kind = (why != "end_turn").then(|| why.to_owned());
            self.report.usage = usage(result).or(self.report.usage);
        }
    }

    fn acp_update(&mut self, update: &Value) {
        let word = |key: &str| update[key].as_str().unwrap_or_default();
        match word("sessionUpdate") {
            "agent_message_chunk" => {
                let text = at(update, "content/text").as_str().unwrap_or_default();
                self.report.reply = bounded(&format!("{}{text}", self.report.reply));
            }
            "tool_call" => {
                // What it said before a call is not its answer.
                self.report.reply.clear();
                if !matches!(word("status"), "completed" | "failed") {
                    self.open(word("toolCallId"), word("title"));
                }
            }
            "tool_call_update" if matches!(word("status"), "completed" | "failed") => {
                self.close(word("toolCallId"));
            }
            // Codex ends the turn well all the same; the words that follow say what was wrong.
            "session_info_update" => {
                let status = update.pointer("/_meta/codex/threadStatus/type");
                let status = status.and_then(Value::as_str);
                if let Some(status) = status {
                    self.is_broken = status == "systemError";
                }
                if self.is_broken {
                    self.report.reply.clear();
                }
            }
            "usage_update"
                if matches!(at(update, "cost/currency").as_str(), None | Some("USD")) =>
            {
                // It is the sum of the session so far.
                let cost = at(update, "cost/amount").as_f64().map(usd_to_micro);
                self.report.micro_usd = cost.filter(|cost| *cost > 0).or(self.report.micro_usd);
            }
            _ => {}
        }
    }

    /// Takes note of what keeps the agent from its work.
    pub fn record_problem(&mut self, text: &str) {
        self.complain(text);
    }

    /// Takes note of what the policy refused the agent.
    pub fn record_denial(&mut self, what: &str, why: &str) {
        self.deny_because("a tool", what, Some(why));
    }
}

fn complaint(error: &Value) -> String {
    let message = error["message"].as_str().unwrap_or_default();
    let data = &error["data"];
    let mut more = ["details", "message", "error"].iter();
    let more = more.find_map(|key| data[*key].as_str()).or(data.as_str());
    match more {
        Some(more) if !message.contains(more) => format!("{message}: {more}"),
        _ => message.to_owned(),
    }
}

/// Returns the tokens of a turn. Some agents count what came from a cache as part of the input, some beside it; where the
/// parts make up the whole tells which.
fn usage(result: &Value) -> Option<TokenUsage> {
    let told = &result["usage"];
    let number = |key: &str| told[key].as_u64();
    if let (Some(input), Some(output)) = (number("inputTokens"), number("outputTokens")) {
        let cached = number("cachedReadTokens").unwrap_or(0);
        let written = number("cachedWriteTokens").unwrap_or(0);
        let all = input + cached + written;
        let is_part = number("totalTokens").is_some_and(|total| total < all + output);
        return Some(TokenUsage {
            input: if is_part { input } else { all },
            cached_input: cached,
            cache_write: written,
            output,
            estimated: false,
        });
    }
    let count = at(result, "_meta/quota/token_count");
    Some(TokenUsage {
        input: count["input_tokens"].as_u64()?,
        output: count["output_tokens"].as_u64()?,
        ..TokenUsage::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::agent::AgentKind;

    fn read(messages: &[Value]) -> crate::domain::agent::AgentOutput {
        let mut transcript = AgentOutputParser::new(AgentKind::Acp);
        for message in messages {
            transcript.read_line(&message.to_string());
        }
        transcript.finish()
    }

    fn update(kind: &str, more: &Value) -> Value {
        let mut update = more.clone();
        update["sessionUpdate"] = json!(kind);
        json!({ "jsonrpc": "2.0", "method": "session/update", "params": { "sessionId": "s", "update": update } })
    }

    #[test]
    fn the_answer_the_tokens_and_the_cost_are_read() {
        let say = |text: &str| {
            update(
                "agent_message_chunk",
                &json!({ "content": { "type": "text", "text": text } }),
            )
        };
        let usage = json!({ "inputTokens": 800, "outputTokens": 50, "cachedReadTokens": 200, "cachedWriteTokens": 0, "totalTokens": 1050 });
        let report = read(&[
            say("let me see"),
            update(
                "tool_call",
                &json!({ "toolCallId": "1", "title": "ls", "status": "pending" }),
            ),
            update(
                "tool_call_update",
                &json!({ "toolCallId": "1", "status": "completed" }),
            ),
            say("all "),
            say("done"),
            update(
                "usage_update",
                &json!({ "used": 1, "size": 2, "cost": { "amount": 0.25, "currency": "USD" } }),
            ),
            json!({ "jsonrpc": "2.0", "id": 3, "result": { "stopReason": "end_turn", "usage": usage } }),
        ]);
        assert_eq!(report.reply, "all done");
        assert_eq!(report.micro_usd, Some(250_000));
        let usage = report.usage.unwrap();
        assert_eq!(
            (usage.input, usage.cached_input, usage.output),
            (1000, 200, 50)
        );
        assert!(report.has_ended && !report.is_error && report.running.is_none());
    }

    #[test]
    fn input_that_holds_the_cached_part_is_not_counted_twice() {
        let usage = json!({ "inputTokens": 1000, "outputTokens": 50, "cachedReadTokens": 200, "totalTokens": 1050 });
        let report =
            read(&[json!({ "id": 1, "result": { "stopReason": "end_turn", "usage": usage } })]);
        assert_eq!(report.usage.unwrap().input, 1000);
        let count =
            json!({ "quota": { "token_count": { "input_tokens": 7, "output_tokens": 3 } } });
        let report =
            read(&[json!({ "id": 1, "result": { "stopReason": "end_turn", "_meta": count } })]);
        assert_eq!(report.usage.unwrap().total(), 10);
    }

    #[test]
    fn a_turn_that_ends_well_after_trouble_of_the_provider_is_trouble() {
        let status = |kind: &str| {
            let meta = json!({ "_meta": { "codex": { "threadStatus": { "type": kind } } } });
            update("session_info_update", &meta)
        };
        let say = json!({ "content": { "type": "text", "text": "unexpected status 503 Service Unavailable" } });
        let end = json!({ "id": 1, "result": { "stopReason": "end_turn" } });
        let say = update("agent_message_chunk", &say);
        let report = read(&[
            status("active"),
            status("systemError"),
            say.clone(),
            end.clone(),
        ]);
        assert!(
            report.is_error && report.complaints[0].contains("503"),
            "{report:?}"
        );
        let report = read(&[status("systemError"), status("active"), say, end]);
        assert!(!report.is_error);
    }

    #[test]
    fn a_command_under_way_and_trouble_are_seen() {
        let call = json!({ "toolCallId": "1", "title": "sleep 9", "status": "in_progress" });
        assert_eq!(
            read(&[update("tool_call", &call)]).running.as_deref(),
            Some("sleep 9")
        );
        let error = json!({ "code": -32603, "message": "Internal error", "data": { "details": "API Error: 401 bad key" } });
        let report = read(&[json!({ "jsonrpc": "2.0", "id": 3, "error": error })]);
        assert!(
            report.is_error && report.complaints[0].contains("401 bad key"),
            "{report:?}"
        );
        let report = read(&[json!({ "id": 3, "result": { "stopReason": "max_turn_requests" } })]);
        assert_eq!(report.error_kind.as_deref(), Some("max_turn_requests"));
    }
}
