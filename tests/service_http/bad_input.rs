//! Every route with input that makes no sense, from a fixed seed: no answer is a fault of the service, and every refusal is JSON.

use serde_json::{Value, json};

use super::{
    chance::Chance,
    server::{Reply, Server},
};

/// Values for places in paths and queries, as they stand there.
const WORDS: [&str; 18] = [
    "0",
    "-1",
    "1",
    "task-1",
    "18446744073709551615",
    "99999999999999999999999",
    "1e3",
    "%00",
    "%FF%FE",
    "..%2F..%2Fetc%2Fpasswd",
    "%F0%9F%98%80",
    "%20",
    "null",
    "true",
    "worker-1",
    "'%22%3C%3E",
    "2026-13-45T99:99:99Z",
    "a%2Cb%2Cc",
];
/// Bodies that are none.
const TEXTS: [&str; 8] = [
    "",
    "{",
    "nul",
    "[[[[",
    "{\"a\":}",
    "\u{0}",
    "\"",
    "{\"title\":\"a\",\"title\":\"b\"}",
];
/// Rounds for each operation.
const ROUNDS: usize = 25;

impl Chance {
    fn word(&mut self) -> String {
        match self.below(20) {
            0 => "x".repeat(3000),
            at => WORDS[at % WORDS.len()].to_owned(),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth > 3 { 9 } else { 12 }) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(1.5),
            4 => json!(u64::MAX),
            5 => json!(""),
            6 => json!("\u{0}\n\u{202e}ä"),
            7 => json!("x".repeat(self.below(9000))),
            8 => json!(i64::MIN),
            9 => (0..self.below(4)).map(|_| self.value(depth + 1)).collect(),
            10 => json!({ "task": self.value(depth + 1), "x": self.value(depth + 1) }),
            _ => json!([[], {}, ""]),
        }
    }
}

/// Returns the names of the properties of an operation's body.
fn properties(description: &Value, operation: &Value) -> Vec<String> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let found = schema["$ref"]
        .as_str()
        .and_then(|name| description.pointer(name.trim_start_matches('#')));
    let all = found.unwrap_or(schema)["properties"].as_object();
    all.map(|all| all.keys().cloned().collect())
        .unwrap_or_default()
}

fn check(what: &str, reply: &Reply) {
    assert!(
        reply.status < 500,
        "{what}: {} {}",
        reply.status,
        reply.text()
    );
    if reply.status < 400 {
        return;
    }
    let error = &reply.json()["error"];
    let has = |name: &str| error[name].as_str().is_some_and(|text| !text.is_empty());
    assert!(has("code") && has("message"), "{what}: {}", reply.text());
}

#[test]
fn no_input_is_a_fault_of_the_service() {
    let server = Server::start();
    let description = server.get("/openapi.json").json();
    let mut chance = Chance::new(20_261_129);
    let paths = description["paths"].as_object().unwrap();
    for (template, item) in paths {
        // What follows events never ends.
        if template == "/events" {
            continue;
        }
        for method in ["get", "post", "patch", "delete"] {
            let Some(operation) = item.get(method) else {
                continue;
            };
            let names = properties(&description, operation);
            for _ in 0..ROUNDS {
                let (path, body) = request(&mut chance, template, operation, &names);
                let method = method.to_uppercase();
                let reply = server.ask_text(&method, &path, &body);
                check(&format!("{method} {path} {body:.200}"), &reply);
            }
        }
    }
    // And afterwards everything answers still.
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(server.get("/tasks").status, 200);
}

fn request(
    chance: &mut Chance,
    template: &str,
    operation: &Value,
    names: &[String],
) -> (String, String) {
    let mut parts: Vec<String> = Vec::new();
    for part in template.split('/') {
        parts.push(if part.starts_with('{') {
            chance.word()
        } else {
            part.to_owned()
        });
    }
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "query" && chance.below(2) == 0 {
            query.push(format!(
                "{}={}",
                parameter["name"].as_str().unwrap(),
                chance.word()
            ));
        }
    }
    if chance.below(8) == 0 {
        query.push(format!("{}={}", chance.word(), chance.word()));
    }
    let mut path = parts.join("/");
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let body = match chance.below(4) {
        0 => TEXTS[chance.below(TEXTS.len())].to_owned(),
        1 => chance.value(0).to_string(),
        _ => {
            let mut object = serde_json::Map::new();
            for name in names {
                if chance.below(2) == 0 {
                    object.insert(name.clone(), chance.value(0));
                }
            }
            Value::Object(object).to_string()
        }
    };
    (path, body)
}

#[test]
fn the_description_says_where_values_end_and_what_may_be_left_out() {
    let all = Server::start().get("/openapi.json").json();
    let tasks = all["paths"]["/tasks"]["get"]["parameters"]
        .as_array()
        .unwrap();
    let of = |name: &str| tasks.iter().find(|one| one["name"] == name).unwrap()["schema"].clone();
    assert_eq!(
        (&of("limit")["minimum"], &of("limit")["maximum"]),
        (&json!(1), &json!(500))
    );
    assert!(
        of("status")["enum"]
            .as_array()
            .unwrap()
            .contains(&json!("queued"))
    );
    let hold = &all["paths"]["/system/hold"]["post"]["requestBody"];
    assert_eq!(hold["required"], json!(false));
    let schemas = &all["components"]["schemas"];
    assert_eq!(schemas["Changes"]["minProperties"], json!(1));
    let on_fail = &schemas["DependencyView"]["properties"]["onFail"];
    assert_eq!(on_fail["enum"], json!(["block", "continue"]));
}
