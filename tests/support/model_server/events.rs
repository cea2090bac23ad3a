//! Answers as the events of a stream, and the same answers in one piece.

use serde_json::{Value, json};

use super::{Format, conversation::Plan};

const INPUT: u32 = 1000;
const CACHED: u32 = 200;
const OUTPUT: u32 = 50;

/// One event: its name, where the format has one, and its data.
pub(super) type Event = (Option<&'static str>, Value);

/// Returns the events of an answer.
pub(super) fn stream(format: Format, plan: &Plan, body: &Value) -> Vec<Event> {
    let model = &body["model"];
    match format {
        Format::Anthropic => anthropic(plan, model),
        Format::Responses => responses(plan, model),
        Format::Chat => chat(plan, model),
        Format::Gemini => vec![(None, gemini(plan, body))],
    }
}

/// Writes events as they go over the wire; a cut stream has the first half of them.
pub(super) fn server_sent(events: &[Event], is_cut: bool) -> String {
    let count = if is_cut {
        (events.len() / 2).max(1)
    } else {
        events.len()
    };
    let mut text = String::new();
    for (name, data) in &events[..count] {
        if let Some(name) = name {
            text.extend(["event: ", name, "\n"]);
        }
        let data = data
            .as_str()
            .map_or_else(|| data.to_string(), str::to_owned);
        text.extend(["data: ", &data, "\n\n"]);
    }
    text
}

/// Returns the same answer without a stream.
pub(super) fn whole(format: Format, plan: &Plan, events: &[Event]) -> Value {
    let first = &events[0].1;
    match format {
        Format::Anthropic => {
            let mut message = first["message"].clone();
            let mut block = events[1].1["content_block"].clone();
            match &plan.tool {
                Some(tool) => block["input"] = tool.arguments.clone(),
                None => block["text"] = json!(plan.say),
            }
            message["content"] = json!([block]);
            message["stop_reason"] = json!(stop_reason(plan));
            message["usage"]["output_tokens"] = json!(OUTPUT);
            message
        }
        Format::Responses => events[events.len() - 1].1["response"].clone(),
        Format::Gemini => first.clone(),
        Format::Chat => {
            let delta = &events[1].1["choices"][0]["delta"];
            let mut message = json!({ "role": "assistant", "content": delta["content"] });
            if plan.tool.is_some() {
                message["tool_calls"] = delta["tool_calls"].clone();
            }
            let mut answer = events[events.len() - 2].1.clone();
            answer["object"] = json!("chat.completion");
            answer["choices"] =
                json!([{ "index": 0, "message": message, "finish_reason": chat_reason(plan) }]);
            answer
        }
    }
}

fn stop_reason(plan: &Plan) -> &'static str {
    if plan.tool.is_some() {
        "tool_use"
    } else {
        "end_turn"
    }
}

fn chat_reason(plan: &Plan) -> &'static str {
    if plan.tool.is_some() {
        "tool_calls"
    } else {
        "stop"
    }
}

/// Returns a name that nothing else in this conversation has.
fn fresh(prefix: &str) -> String {
    let now = chrono::Utc::now().timestamp_nanos_opt();
    format!("{prefix}_{}", now.unwrap_or_default())
}

fn anthropic(plan: &Plan, model: &Value) -> Vec<Event> {
    let usage = json!({ "input_tokens": INPUT, "cache_creation_input_tokens": 0, "cache_read_input_tokens": CACHED,
        "output_tokens": 1 });
    let message = json!({ "id": fresh("msg"), "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage });
    let (block, delta) = match &plan.tool {
        Some(tool) => (
            json!({ "type": "tool_use", "id": fresh("toolu"), "name": tool.name, "input": {} }),
            json!({ "type": "input_json_delta", "partial_json": tool.arguments.to_string() }),
        ),
        None => (
            json!({ "type": "text", "text": "" }),
            json!({ "type": "text_delta", "text": plan.say }),
        ),
    };
    let end = json!({ "stop_reason": stop_reason(plan), "stop_sequence": null });
    [
        json!({ "type": "message_start", "message": message }),
        json!({ "type": "content_block_start", "index": 0, "content_block": block }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": end, "usage": { "output_tokens": OUTPUT } }),
        json!({ "type": "message_stop" }),
    ]
    .into_iter()
    .zip([
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ])
    .map(|(data, name)| (Some(name), data))
    .collect()
}

/// Returns what one answer of the Responses format consists of.
fn item(plan: &Plan) -> Value {
    let Some(tool) = &plan.tool else {
        let content = json!([{ "type": "output_text", "text": plan.say, "annotations": [] }]);
        return json!({ "type": "message", "id": fresh("msg"), "role": "assistant", "status": "completed", "content": content });
    };
    let call = fresh("call");
    if tool.is_custom {
        let input = tool.arguments.as_str().map(str::to_owned);
        return json!({ "type": "custom_tool_call", "id": format!("ct_{call}"), "call_id": call, "status": "completed",
            "name": tool.name, "input": input.unwrap_or_else(|| tool.arguments.to_string()) });
    }
    let (space, name) = tool.name.rsplit_once('.').unwrap_or(("", &tool.name));
    let mut item = json!({ "type": "function_call", "id": format!("fc_{call}"), "call_id": call, "status": "completed",
        "name": name, "arguments": tool.arguments.to_string() });
    if !space.is_empty() {
        item["namespace"] = json!(space);
    }
    item
}

fn responses(plan: &Plan, model: &Value) -> Vec<Event> {
    let item = item(plan);
    let response = |status: &str, output: Value, usage: Value| {
        json!({ "id": "resp_1", "object": "response", "model": model,
        "status": status, "output": output, "usage": usage })
    };
    let usage = json!({ "input_tokens": INPUT, "input_tokens_details": { "cached_tokens": CACHED },
        "output_tokens": OUTPUT, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": INPUT + OUTPUT });
    let mut begun = item.clone();
    begun["status"] = json!("in_progress");
    let mut events = vec![
        (
            "response.created",
            json!({ "response": response("in_progress", json!([]), Value::Null) }),
        ),
        (
            "response.output_item.added",
            json!({ "output_index": 0, "item": begun }),
        ),
    ];
    if plan.tool.is_none() {
        let delta = json!({ "item_id": item["id"], "output_index": 0, "content_index": 0, "delta": plan.say });
        events.push(("response.output_text.delta", delta));
    }
    let done = json!({ "output_index": 0, "item": item });
    events.push(("response.output_item.done", done));
    let completed = response("completed", json!([item]), usage);
    events.push(("response.completed", json!({ "response": completed })));
    let numbered = events.into_iter().zip(0..);
    numbered
        .map(|((name, mut data), number)| {
            data["type"] = json!(name);
            data["sequence_number"] = json!(number);
            (Some(name), data)
        })
        .collect()
}

fn chat(plan: &Plan, model: &Value) -> Vec<Event> {
    let id = fresh("chatcmpl");
    let chunk = |choices: Value| json!({ "id": id, "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices });
    let delta = |delta: Value, end: Option<&str>| {
        chunk(json!([{ "index": 0, "delta": delta, "finish_reason": end }]))
    };
    let said = match &plan.tool {
        Some(tool) => {
            let function = json!({ "name": tool.name, "arguments": tool.arguments.to_string() });
            json!({ "tool_calls": [{ "index": 0, "id": fresh("call"), "type": "function", "function": function }] })
        }
        None => json!({ "content": plan.say }),
    };
    let mut last = chunk(json!([]));
    last["usage"] = json!({ "prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT,
        "prompt_tokens_details": { "cached_tokens": CACHED } });
    [
        delta(json!({ "role": "assistant" }), None),
        delta(said, None),
        delta(json!({}), Some(chat_reason(plan))),
        last,
        json!("[DONE]"),
    ]
    .map(|data| (None, data))
    .into()
}

fn gemini(plan: &Plan, body: &Value) -> Value {
    let config = &body["generationConfig"];
    let part = match &plan.tool {
        Some(tool) => json!({ "functionCall": { "name": tool.name, "args": tool.arguments } }),
        // A side question wants an object of a certain shape.
        None if config["responseMimeType"] == "application/json" => {
            let shapes = [&config["responseJsonSchema"], &config["responseSchema"]];
            let shape = shapes.into_iter().find(|shape| !shape.is_null());
            json!({ "text": shape.map(sample).unwrap_or_default().to_string() })
        }
        None => json!({ "text": plan.say }),
    };
    let usage = json!({ "promptTokenCount": INPUT, "cachedContentTokenCount": CACHED, "candidatesTokenCount": OUTPUT,
        "totalTokenCount": INPUT + OUTPUT });
    let candidate = json!({ "content": { "role": "model", "parts": [part] }, "finishReason": "STOP", "index": 0 });
    json!({ "candidates": [candidate], "usageMetadata": usage })
}

/// Returns some value that fits a JSON schema.
fn sample(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    let kind = schema["type"].as_str().unwrap_or("object").to_lowercase();
    match kind.as_str() {
        "object" => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let pairs = properties.map(|(name, schema)| (name.clone(), sample(schema)));
            Value::Object(pairs.collect())
        }
        "array" => json!([]),
        "number" | "integer" => json!(50),
        "boolean" => json!(false),
        _ => json!("text"),
    }
}
