//! The client's side of the Agent Client Protocol, version 1: which message follows which. One JSON object a line.
//!
//! Pure: lines in, lines out. Danger: everything an agent writes may come from a model. Its requests are answered by the
//! policy for one time only, never for good, and whatever else it asks of its client does not exist.

mod permission;
mod report;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use permission::{PermissionDecision, PermissionRequest, decide};

use crate::domain::command::Command;

/// How many tool calls are remembered until they end.
const CALLS: usize = 256;
/// How many questions wait for a person at the same time; an agent that puts more is refused.
const QUESTIONS: usize = 16;

/// What one conversation is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcpSessionConfig {
    /// The work tree, absolute.
    pub directory: String,
    /// What the agent is asked to do.
    pub prompt: String,
    /// The model it shall use; its own choice if absent.
    pub model: Option<String>,
    /// A proved wall stands around it.
    pub is_walled: bool,
    /// A session of the same agent that was interrupted.
    pub resume: Option<String>,
}

/// Something that happened in a conversation, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcpEvent {
    /// A session began or goes on.
    Session {
        /// Its id, by which it can be resumed.
        id: String,
        /// What the agent calls itself.
        agent: String,
        /// Whether it is an earlier one.
        is_resumed: bool,
        /// Whether it is in a mode in which it asks before it acts.
        asks: bool,
    },
    /// A call of a tool changed its state.
    ToolCall {
        /// Its id in the session.
        id: String,
        /// What it does, for people.
        title: String,
        /// What kind of thing it does.
        kind: String,
        /// `pending`, `in_progress`, `completed` or `failed`.
        status: String,
    },
    /// A permission was asked for and decided.
    Permission {
        /// What it was for.
        title: String,
        /// Why it was refused; `None` = it was given, once.
        refused: Option<String>,
    },
    /// What the person who wrote the list has to know.
    Trouble(String),
    /// The turn is over.
    TurnEnded {
        /// Why, in the agent's word.
        stop_reason: String,
    },
}

/// What a person has to decide before the agent gets its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcpApprovalRequest {
    /// By which the answer finds it again.
    pub number: u64,
    /// What would run.
    pub command: Command,
    /// Why it is asked about.
    pub reason: String,
}

/// What a line leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcpReaction {
    /// What the agent is sent.
    pub send: Vec<Value>,
    /// What a person is asked; each answer comes back through [`AcpClient::answer_question`].
    pub questions: Vec<AcpApprovalRequest>,
    /// What happened.
    pub events: Vec<AcpEvent>,
    /// Nothing more will be said: the agent's standard input can be closed, which ends it.
    pub is_over: bool,
}

/// What an open request of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Initialize,
    Load,
    New,
    Setting,
    Model,
    Prompt,
}

/// One conversation with an agent.
#[derive(Debug, Clone)]
pub struct AcpClient {
    terms: AcpSessionConfig,
    open: BTreeMap<u64, Asked>,
    next: u64,
    session: Option<String>,
    agent: String,
    can_load: bool,
    is_cancelled: bool,
    is_over: bool,
    /// The models that the agent offers.
    models: Vec<String>,
    /// Title and kind of the calls under way.
    calls: BTreeMap<String, (String, String)>,
    /// Permissions that wait for a person: the agent's id of the request, and what it is for.
    undecided: BTreeMap<u64, (Value, PermissionRequest)>,
    questions: u64,
}

impl AcpClient {
    /// Makes one that has said nothing.
    pub const fn new(terms: AcpSessionConfig) -> Self {
        Self {
            terms,
            open: BTreeMap::new(),
            next: 0,
            session: None,
            agent: String::new(),
            can_load: false,
            is_cancelled: false,
            is_over: false,
            models: Vec::new(),
            calls: BTreeMap::new(),
            undecided: BTreeMap::new(),
            questions: 0,
        }
    }

    /// Returns the first words.
    pub fn start(&mut self) -> AcpReaction {
        let hello = json!({
            "protocolVersion": 1,
            // The agent works on the files itself, behind its wall.
            "clientCapabilities": { "fs": { "readTextFile": false, "writeTextFile": false }, "terminal": false },
            "clientInfo": { "name": "tos", "version": env!("CARGO_PKG_VERSION") },
        });
        let send = vec![self.request(Asked::Initialize, "initialize", &hello)];
        AcpReaction {
            send,
            ..AcpReaction::default()
        }
    }

    /// Returns the session that another process of the same agent could go on with, where the turn is not over.
    pub fn resumable_session(&self) -> Option<String> {
        let is_open = self.can_load && !self.is_over && !self.is_cancelled;
        self.session.clone().filter(|_| is_open)
    }

    /// Asks the agent to stop; what it asks from now on is answered as cancelled.
    pub fn cancel(&mut self) -> AcpReaction {
        let mut reaction = AcpReaction::default();
        if self.is_cancelled {
            return reaction;
        }
        self.is_cancelled = true;
        // The protocol wants every open question answered, and the agent waits for it.
        for number in self.undecided.keys().copied().collect::<Vec<u64>>() {
            let answered = self.answer_question(number, Ok(()));
            reaction.send.extend(answered.send);
            reaction.events.extend(answered.events);
        }
        match &self.session {
            Some(session) if !self.is_over => {
                reaction.send.push(json!({
                    "jsonrpc": "2.0", "method": "session/cancel", "params": { "sessionId": session },
                }));
            }
            _ => reaction.is_over = true,
        }
        reaction
    }

    /// Takes a person's answer to a question; the error is the reason of a refusal. One that nobody waits for any more is
    /// nothing.
    pub fn answer_question(&mut self, number: u64, decided: Result<(), String>) -> AcpReaction {
        match self.undecided.remove(&number) {
            Some((id, request)) => self.permission(&id, &request, decided),
            None => AcpReaction::default(),
        }
    }

    /// Reads a line of the agent. `judge` decides about a permission.
    pub fn receive_line(
        &mut self,
        line: &str,
        judge: impl FnOnce(&PermissionRequest) -> PermissionDecision,
    ) -> AcpReaction {
        let Ok(message) = serde_json::from_str::<Value>(line.trim()) else {
            // Some agents print a banner first.
            return AcpReaction::default();
        };
        match (
            message.get("method").and_then(Value::as_str),
            message.get("id"),
        ) {
            (Some(method), Some(id)) => self.asked(method, id, &message, judge),
            (Some("session/update"), None) => self.updated(&message),
            (None, Some(id)) => {
                let asked = id.as_u64().and_then(|id| self.open.remove(&id));
                asked.map_or_else(AcpReaction::default, |asked| self.answered(asked, &message))
            }
            _ => AcpReaction::default(),
        }
    }

    fn request(&mut self, asked: Asked, method: &str, params: &Value) -> Value {
        self.next += 1;
        self.open.insert(self.next, asked);
        json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params })
    }

    fn asked(
        &mut self,
        method: &str,
        id: &Value,
        message: &Value,
        judge: impl FnOnce(&PermissionRequest) -> PermissionDecision,
    ) -> AcpReaction {
        let mut reaction = AcpReaction::default();
        if method != "session/request_permission" {
            reaction.send.push(json!({
                "jsonrpc": "2.0", "id": id,
                "error": { "code": -32601, "message": format!("this client has no {method}") },
            }));
            return reaction;
        }
        let mut request = PermissionRequest::read(message);
        if let Some((title, kind)) = self.calls.get(&request.id) {
            request.fill(title, kind);
        }
        if self.is_cancelled {
            return self.permission(id, &request, Ok(()));
        }
        let (command, reason) = match judge(&request) {
            PermissionDecision::Allow => return self.permission(id, &request, Ok(())),
            PermissionDecision::Refuse(why) => return self.permission(id, &request, Err(why)),
            PermissionDecision::Ask { command, reason } => (command, reason),
        };
        // A yes that cannot be given is not asked for.
        if request.allow_once().is_none() {
            return self.permission(id, &request, Ok(()));
        }
        if self.undecided.len() >= QUESTIONS {
            let why = format!("{reason}; {QUESTIONS} questions wait for an answer already");
            return self.permission(id, &request, Err(why));
        }
        self.questions += 1;
        self.undecided.insert(self.questions, (id.clone(), request));
        reaction.questions.push(AcpApprovalRequest {
            number: self.questions,
            command,
            reason,
        });
        reaction
    }

    /// Answers a request for permission.
    fn permission(
        &self,
        id: &Value,
        request: &PermissionRequest,
        decided: Result<(), String>,
    ) -> AcpReaction {
        let mut reaction = AcpReaction::default();
        let decided = if self.is_cancelled {
            Err("the work was cancelled".to_owned())
        } else {
            decided.and_then(|()| {
                request
                    .allow_once()
                    .ok_or_else(permission::no_allow_once_reason)
            })
        };
        let outcome = match &decided {
            Ok(option) => json!({ "outcome": "selected", "optionId": option }),
            Err(_) => match request.reject_once().filter(|_| !self.is_cancelled) {
                Some(option) => json!({ "outcome": "selected", "optionId": option }),
                None => json!({ "outcome": "cancelled" }),
            },
        };
        reaction
            .send
            .push(json!({ "jsonrpc": "2.0", "id": id, "result": { "outcome": outcome } }));
        reaction.events.push(AcpEvent::Permission {
            title: request.subject(),
            refused: decided.err(),
        });
        reaction
    }

    fn updated(&mut self, message: &Value) -> AcpReaction {
        let update = at(message, "params/update");
        let word = |key: &str| update[key].as_str().unwrap_or_default().to_owned();
        let mut reaction = AcpReaction::default();
        if !matches!(
            update["sessionUpdate"].as_str(),
            Some("tool_call" | "tool_call_update")
        ) {
            return reaction;
        }
        let id = word("toolCallId");
        let (mut title, mut kind) = self.calls.get(&id).cloned().unwrap_or_default();
        for (known, told) in [(&mut title, word("title")), (&mut kind, word("kind"))] {
            if !told.is_empty() {
                *known = told;
            }
        }
        let status = word("status");
        if matches!(status.as_str(), "completed" | "failed") {
            self.calls.remove(&id);
        } else if self.calls.len() < CALLS {
            self.calls.insert(id.clone(), (title.clone(), kind.clone()));
        }
        // Updates of the text alone come by the hundred.
        if !status.is_empty() {
            reaction.events.push(AcpEvent::ToolCall {
                id,
                title,
                kind,
                status,
            });
        }
        reaction
    }

    fn answered(&mut self, asked: Asked, message: &Value) -> AcpReaction {
        let mut reaction = AcpReaction::default();
        if self.is_cancelled && asked != Asked::Prompt {
            reaction.is_over = true;
            return reaction;
        }
        let failed = message.get("error").is_some();
        let result = &message["result"];
        match asked {
            // A session that cannot be loaded any more begins anew; a setting that is not there is no reason to stop.
            Asked::Load if failed => reaction.send.push(self.new_session()),
            // Without a word another model would work, and be paid.
            Asked::Model if failed => {
                reaction.is_over = true;
                let model = self.terms.model.clone().unwrap_or_default();
                reaction.events.push(AcpEvent::Trouble(format!(
                    "the agent does not take the model `{model}`; it has {}",
                    self.models.join(", ")
                )));
            }
            Asked::Setting | Asked::Model => self.prompt_once(&mut reaction),
            _ if failed => reaction.is_over = true,
            Asked::Initialize => {
                self.can_load = *at(result, "agentCapabilities/loadSession") == true;
                let info = &result["agentInfo"];
                let text = |key: &str| info[key].as_str().unwrap_or_default().to_owned();
                let named = format!("{} {}", text("name"), text("version"));
                named.trim().clone_into(&mut self.agent);
                let next = self.open_session();
                reaction.send.push(next);
            }
            Asked::Load | Asked::New => {
                let id = result["sessionId"].as_str().map(str::to_owned);
                let id = id.or_else(|| self.terms.resume.clone().filter(|_| asked == Asked::Load));
                let Some(id) = id else {
                    reaction.is_over = true;
                    return reaction;
                };
                let mode = self.mode(result);
                reaction.events.push(AcpEvent::Session {
                    id: id.clone(),
                    agent: self.agent.clone(),
                    is_resumed: asked == Asked::Load,
                    asks: !mode.as_deref().is_some_and(permission::asks_nothing),
                });
                self.session = Some(id);
                reaction.send = self.settings(result, mode);
                self.prompt_once(&mut reaction);
            }
            Asked::Prompt => {
                self.is_over = true;
                reaction.is_over = true;
                let why = result["stopReason"].as_str().unwrap_or("unknown");
                reaction.events.push(AcpEvent::TurnEnded {
                    stop_reason: why.to_owned(),
                });
            }
        }
        if reaction.is_over {
            self.is_over = true;
        }
        reaction
    }

    fn open_session(&mut self) -> Value {
        let Some(session) = self.terms.resume.clone().filter(|_| self.can_load) else {
            return self.new_session();
        };
        let params = json!({ "sessionId": session, "cwd": self.terms.directory, "mcpServers": [] });
        self.request(Asked::Load, "session/load", &params)
    }

    fn new_session(&mut self) -> Value {
        let params = json!({ "cwd": self.terms.directory, "mcpServers": [] });
        self.request(Asked::New, "session/new", &params)
    }

    /// Returns the mode that the agent will be in.
    fn mode(&self, result: &Value) -> Option<String> {
        let modes = at(result, "modes/availableModes").as_array();
        let has = |wanted: &&&str| {
            let mut ids = modes.into_iter().flatten();
            ids.any(|mode| mode["id"] == **wanted)
        };
        let best = permission::modes(self.terms.is_walled).iter().find(has);
        let current = at(result, "modes/currentModeId").as_str();
        best.copied().or(current).map(str::to_owned)
    }

    /// Returns requests that make the agent ask before it acts, and choose the model.
    fn settings(&mut self, result: &Value, mode: Option<String>) -> Vec<Value> {
        let session = self.session.clone().unwrap_or_default();
        let mut send = Vec::new();
        if let Some(mode) = mode.filter(|mode| *at(result, "modes/currentModeId") != **mode) {
            let params = json!({ "sessionId": session, "modeId": mode });
            send.push(self.request(Asked::Setting, "session/set_mode", &params));
        }
        if let Some(model) = self.terms.model.clone() {
            let offered = at(result, "models/availableModels").as_array();
            let offered = offered.into_iter().flatten();
            self.models = offered
                .filter_map(|model| model["modelId"].as_str())
                .map(str::to_owned)
                .collect();
            let options = result["configOptions"].as_array().into_iter().flatten();
            let option = options
                .filter(|option| option["category"] == "model")
                .map(|option| &option["id"]);
            let (method, params) = match option.clone().next() {
                Some(id) => (
                    "session/set_config_option",
                    json!({ "sessionId": session, "configId": id, "value": model }),
                ),
                None => (
                    "session/set_model",
                    json!({ "sessionId": session, "modelId": model }),
                ),
            };
            send.push(self.request(Asked::Model, method, &params));
        }
        send
    }

    /// Asks what the conversation is for, once every setting is answered.
    fn prompt_once(&mut self, reaction: &mut AcpReaction) {
        let is_setting = |asked: &Asked| matches!(asked, Asked::Setting | Asked::Model);
        if self.open.values().any(is_setting) {
            return;
        }
        let prompt = if self.terms.resume.is_some() && self.session == self.terms.resume {
            "Your work was interrupted. Look at what is there and finish it."
        } else {
            &self.terms.prompt
        };
        let params =
            json!({ "sessionId": self.session, "prompt": [{ "type": "text", "text": prompt }] });
        let request = self.request(Asked::Prompt, "session/prompt", &params);
        reaction.send.push(request);
    }
}

/// Returns what lies at a path of keys, or null.
fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    let found = path.split('/').try_fold(value, |value, key| value.get(key));
    found.unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(resume: Option<&str>) -> AcpClient {
        AcpClient::new(AcpSessionConfig {
            directory: "/room/tree".into(),
            prompt: "do it".into(),
            model: Some("m".into()),
            is_walled: false,
            resume: resume.map(str::to_owned),
        })
    }

    fn answer(client: &mut AcpClient, asked: &Value, result: &Value) -> AcpReaction {
        let line = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string();
        client.receive_line(&line, |_| panic!("nothing is asked"))
    }

    fn begun(client: &mut AcpClient) -> Value {
        let hello = client.start().send.remove(0);
        assert_eq!(hello["method"], "initialize");
        let open = answer(
            client,
            &hello,
            &json!({ "agentCapabilities": { "loadSession": true }, "agentInfo": { "name": "a", "version": "1" } }),
        );
        open.send[0].clone()
    }

    fn permission(options: &Value) -> String {
        json!({ "jsonrpc": "2.0", "id": 0, "method": "session/request_permission", "params": { "sessionId": "s", "options": options,
            "toolCall": { "toolCallId": "t", "title": "`rm -rf /`", "kind": "execute", "rawInput": { "command": "rm -rf /" } } } })
        .to_string()
    }

    #[test]
    fn a_conversation_opens_a_session_sets_mode_and_model_and_asks_once() {
        let mut client = client(None);
        let new = begun(&mut client);
        assert_eq!(
            (&new["method"], &new["params"]["cwd"]),
            (&json!("session/new"), &json!("/room/tree"))
        );
        let modes = json!({ "currentModeId": "agent", "availableModes": [{ "id": "agent" }, { "id": "read-only" }] });
        let set = answer(
            &mut client,
            &new,
            &json!({ "sessionId": "s", "modes": modes, "models": {} }),
        )
        .send;
        let methods: Vec<&Value> = set.iter().map(|one| &one["method"]).collect();
        assert_eq!(methods, ["session/set_mode", "session/set_model"]);
        assert_eq!(set[0]["params"]["modeId"], "read-only");
        assert!(answer(&mut client, &set[0], &json!({})).send.is_empty());
        let prompt = answer(&mut client, &set[1], &json!({})).send.remove(0);
        assert_eq!(prompt["params"]["prompt"][0]["text"], "do it");
        let end = answer(&mut client, &prompt, &json!({ "stopReason": "end_turn" }));
        assert!(end.is_over && end.send.is_empty());
        assert_eq!(client.resumable_session(), None);
    }

    #[test]
    fn a_model_that_the_agent_does_not_have_ends_the_conversation_with_those_it_has() {
        let mut client = client(None);
        let new = begun(&mut client);
        let models = json!({ "availableModels": [{ "modelId": "big" }, { "modelId": "small" }] });
        let set = answer(
            &mut client,
            &new,
            &json!({ "sessionId": "s", "models": models }),
        )
        .send;
        let error =
            json!({ "id": set[0]["id"], "error": { "code": -32602, "message": "Invalid params" } });
        let reaction = client.receive_line(&error.to_string(), |_| PermissionDecision::Allow);
        assert!(reaction.is_over && reaction.send.is_empty());
        let [AcpEvent::Trouble(text)] = reaction.events.as_slice() else {
            panic!("{reaction:?}")
        };
        assert!(
            text.contains("`m`") && text.contains("big, small"),
            "{text}"
        );
    }

    #[test]
    fn a_permission_is_given_once_or_refused_and_never_for_good() {
        let options = json!([
            { "optionId": "always", "kind": "allow_always" }, { "optionId": "once", "kind": "allow_once" },
            { "optionId": "no", "kind": "reject_once" }
        ]);
        let mut client = client(None);
        begun(&mut client);
        let given = client.receive_line(&permission(&options), |_| PermissionDecision::Allow);
        assert_eq!(given.send[0]["result"]["outcome"]["optionId"], "once");
        let refused = client.receive_line(&permission(&options), |asked| {
            assert_eq!(asked.command().unwrap().code, "rm -rf /");
            PermissionDecision::Refuse("because".into())
        });
        assert_eq!(refused.send[0]["result"]["outcome"]["optionId"], "no");
        let AcpEvent::Permission { refused, .. } = &refused.events[0] else {
            panic!("it is a permission")
        };
        assert_eq!(refused.as_deref(), Some("because"));
        let always = json!([{ "optionId": "always", "kind": "allow_always" }]);
        let refused = client.receive_line(&permission(&always), |_| PermissionDecision::Allow);
        assert_eq!(
            refused.send[0]["result"]["outcome"],
            json!({ "outcome": "cancelled" })
        );
    }

    #[test]
    fn what_else_an_agent_asks_of_its_client_does_not_exist() {
        let mut client = client(None);
        let line =
            json!({ "jsonrpc": "2.0", "id": 7, "method": "fs/write_text_file", "params": {} })
                .to_string();
        let reaction = client.receive_line(&line, |_| PermissionDecision::Allow);
        assert_eq!(reaction.send[0]["error"]["code"], -32601);
        assert_eq!(
            client.receive_line("a banner", |_| PermissionDecision::Allow),
            AcpReaction::default()
        );
    }

    #[test]
    fn a_cancelled_conversation_gives_no_more_permissions() {
        let mut early = client(None);
        assert!(early.cancel().is_over, "there is no session to cancel");
        let mut client = client(None);
        let new = begun(&mut client);
        answer(&mut client, &new, &json!({ "sessionId": "s" }));
        let cancel = client.cancel();
        assert_eq!(cancel.send[0]["method"], "session/cancel");
        assert!(client.cancel().send.is_empty(), "once is enough");
        let options = json!([{ "optionId": "once", "kind": "allow_once" }]);
        let refused = client.receive_line(&permission(&options), |_| PermissionDecision::Allow);
        assert_eq!(refused.send[0]["result"]["outcome"]["outcome"], "cancelled");
        assert_eq!(client.resumable_session(), None);
    }

    #[test]
    fn a_question_for_a_person_waits_for_its_answer_and_not_longer_than_the_work() {
        let options = json!([{ "optionId": "once", "kind": "allow_once" }, { "optionId": "no", "kind": "reject_once" }]);
        let ask = |asked: &PermissionRequest| PermissionDecision::Ask {
            command: asked.command().unwrap(),
            reason: "costly".into(),
        };
        let mut client = client(None);
        let new = begun(&mut client);
        answer(&mut client, &new, &json!({ "sessionId": "s" }));
        let numbers: Vec<u64> = (0..3)
            .map(|_| {
                let mut asked = client.receive_line(&permission(&options), ask);
                assert!(asked.send.is_empty(), "the agent waits: {asked:?}");
                asked.questions.remove(0).number
            })
            .collect();
        let yes = client.answer_question(numbers[0], Ok(()));
        assert_eq!(yes.send[0]["result"]["outcome"]["optionId"], "once");
        let no = client.answer_question(numbers[1], Err("nobody answered".into()));
        assert_eq!(no.send[0]["result"]["outcome"]["optionId"], "no");
        assert_eq!(
            client.answer_question(numbers[1], Ok(())),
            AcpReaction::default()
        );
        let cancel = client.cancel().send;
        assert_eq!(cancel[0]["result"]["outcome"]["outcome"], "cancelled");
        assert_eq!(cancel[1]["method"], "session/cancel");
        assert_eq!(
            client.answer_question(numbers[2], Ok(())),
            AcpReaction::default()
        );
    }

    #[test]
    fn an_agent_cannot_heap_up_questions_and_none_is_put_that_has_no_single_yes() {
        let ask = |_: &PermissionRequest| PermissionDecision::Ask {
            command: Command::with_code(crate::domain::command::CommandKind::Bash, "x".into()),
            reason: "costly".into(),
        };
        let mut client = client(None);
        begun(&mut client);
        let always = json!([{ "optionId": "always", "kind": "allow_always" }]);
        let refused = client.receive_line(&permission(&always), ask);
        assert!(refused.questions.is_empty() && refused.send.len() == 1);
        let once = json!([{ "optionId": "once", "kind": "allow_once" }]);
        for _ in 0..QUESTIONS {
            assert_eq!(
                client.receive_line(&permission(&once), ask).questions.len(),
                1
            );
        }
        let refused = client.receive_line(&permission(&once), ask);
        assert!(refused.questions.is_empty(), "{refused:?}");
        assert_eq!(refused.send[0]["result"]["outcome"]["outcome"], "cancelled");
    }

    #[test]
    fn a_session_is_resumed_where_the_agent_can_load_one_and_begun_anew_where_it_is_lost() {
        let mut client = client(Some("old"));
        let load = begun(&mut client);
        assert_eq!(
            (&load["method"], &load["params"]["sessionId"]),
            (&json!("session/load"), &json!("old"))
        );
        let mut lost = client.clone();
        let set = answer(&mut client, &load, &json!({})).send;
        let prompt = answer(&mut client, &set[0], &json!({})).send.remove(0);
        assert!(
            prompt["params"]["prompt"][0]["text"]
                .as_str()
                .unwrap()
                .contains("interrupted")
        );
        assert_eq!(client.resumable_session().as_deref(), Some("old"));
        let error = json!({ "jsonrpc": "2.0", "id": load["id"], "error": { "code": -32602, "message": "gone" } });
        let new = lost
            .receive_line(&error.to_string(), |_| PermissionDecision::Allow)
            .send
            .remove(0);
        assert_eq!(new["method"], "session/new");
        let set = answer(&mut lost, &new, &json!({ "sessionId": "s2" })).send;
        let prompt = answer(&mut lost, &set[0], &json!({})).send.remove(0);
        assert_eq!(prompt["params"]["prompt"][0]["text"], "do it");
    }
}
