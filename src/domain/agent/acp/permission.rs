//! What an agent asks permission for, and what the policy says to it.
//!
//! Danger: the text of a command comes in several places and shapes. One that cannot be found is refused where no wall stands.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::at;
use crate::domain::{
    command::{Command, CommandKind},
    policy::{Decision, Policy, PolicyContext},
};

/// What is decided about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermissionDecision {
    /// It is given, for this one time.
    Allow,
    /// It is refused, for this reason.
    Refuse(String),
    /// A person decides.
    Ask {
        /// What would run.
        command: Command,
        /// Why a person has to decide.
        reason: String,
    },
}

/// Returns modes in which known agents ask before they act, the best first. The asking modes of Codex start every command
/// in a sandbox of its own, which cannot be made behind a wall; there the wall is what confines it.
pub(super) const fn modes(is_walled: bool) -> &'static [&'static str] {
    if is_walled {
        &["default", "ask", "agent-full-access"]
    } else {
        &["default", "ask", "workspace-write", "read-only"]
    }
}

/// Returns whether an agent asks for nothing in a mode.
pub(super) fn asks_nothing(mode: &str) -> bool {
    ["agent-full-access", "bypassPermissions"].contains(&mode)
}

/// A request for permission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionRequest {
    /// The id of the tool call.
    pub id: String,
    title: String,
    kind: String,
    input: Value,
    paths: Vec<PathBuf>,
    /// Ids of options with their kinds.
    options: Vec<(String, String)>,
}

impl PermissionRequest {
    /// Reads one.
    pub(super) fn read(message: &Value) -> Self {
        let params = &message["params"];
        let call = &params["toolCall"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut paths = Vec::new();
        for list in ["locations", "content"] {
            let entries = call[list].as_array().into_iter().flatten();
            paths.extend(
                entries
                    .filter_map(|entry| entry["path"].as_str())
                    .map(PathBuf::from),
            );
        }
        let input = call["rawInput"].clone();
        for key in ["file_path", "filePath", "path", "notebook_path"] {
            paths.extend(at(&input, key).as_str().map(PathBuf::from));
        }
        let changes = at(&input, "changes").as_object();
        paths.extend(
            changes
                .into_iter()
                .flatten()
                .map(|(path, _)| PathBuf::from(path)),
        );
        let options = params["options"].as_array().into_iter().flatten();
        Self {
            id: text(&call["toolCallId"]),
            title: text(&call["title"]),
            kind: text(&call["kind"]),
            options: options
                .map(|option| (text(&option["optionId"]), text(&option["kind"])))
                .collect(),
            input,
            paths,
        }
    }

    /// Fills in what an earlier update of the same call said.
    pub(super) fn fill(&mut self, title: &str, kind: &str) {
        if self.title.is_empty() {
            title.clone_into(&mut self.title);
        }
        if self.kind.is_empty() {
            kind.clone_into(&mut self.kind);
        }
    }

    pub(super) fn allow_once(&self) -> Option<String> {
        self.option("allow_once")
    }

    pub(super) fn reject_once(&self) -> Option<String> {
        self.option("reject_once")
    }

    fn option(&self, wanted: &str) -> Option<String> {
        let found = self.options.iter().find(|(_, kind)| kind == wanted);
        found.map(|(id, _)| id.clone())
    }

    /// Returns the command that would run, where it is one. Some agents name it in the title only.
    pub fn command(&self) -> Option<Command> {
        let bash = |code: &str| Command::with_code(CommandKind::Bash, code.to_owned());
        let named = ["command", "cmd"].iter().map(|key| at(&self.input, key));
        for value in named {
            if let Some(text) = value.as_str() {
                return Some(bash(text));
            }
            let words = value.as_array().map(|words| {
                let words = words.iter().filter_map(Value::as_str);
                words.map(str::to_owned).collect::<Vec<String>>()
            });
            if let Some(argv) = words.filter(|words| !words.is_empty()) {
                return Some(Command::exec(argv));
            }
        }
        let text = self.title.trim().trim_matches('`');
        (self.kind == "execute" && !text.is_empty()).then(|| bash(text))
    }

    /// Returns what it is for, in one line for people.
    pub fn subject(&self) -> String {
        let command = self.command().map(|command| command.text());
        let what = command.unwrap_or_else(|| self.title.clone());
        if what.is_empty() {
            self.kind.clone()
        } else {
            what
        }
    }
}

/// Says why something that may be done is refused all the same.
pub(super) fn no_allow_once_reason() -> String {
    "the agent offers no permission for one time only".to_owned()
}

/// Decides about a request. Paths are compared with links followed. A person is asked only where `world` says that one can
/// answer.
pub fn decide(
    request: &PermissionRequest,
    policy: &Policy,
    world: &PolicyContext,
) -> PermissionDecision {
    if let Some(command) = request.command() {
        let verdict = policy.judge(&command, world);
        let reason = verdict.reason;
        return match verdict.decision {
            Decision::Allow => PermissionDecision::Allow,
            Decision::Deny => PermissionDecision::Refuse(reason),
            Decision::Ask => PermissionDecision::Ask { command, reason },
        };
    }
    let decided = match request.kind.as_str() {
        "read" | "search" | "think" => Ok(()),
        "edit" | "delete" | "move" => inside(&request.paths, world),
        "switch_mode" => Err("an agent does not choose its own permissions".to_owned()),
        // What it reaches is decided by the wall, whatever the tool is.
        _ if world.sandbox_proved => Ok(()),
        kind => Err(format!(
            "nothing is known of a tool of kind `{kind}`, and no proved wall stands around it"
        )),
    };
    decided.map_or_else(PermissionDecision::Refuse, |()| PermissionDecision::Allow)
}

fn inside(paths: &[PathBuf], world: &PolicyContext) -> Result<(), String> {
    if paths.is_empty() && !world.sandbox_proved {
        return Err("it names no file, and no proved wall stands around it".to_owned());
    }
    let real = |path: &Path| {
        let view = world.eyes.as_ref();
        let real = view.and_then(|view| view.real_path(path));
        real.unwrap_or_else(|| path.to_owned())
    };
    let root = real(&world.root);
    let out = paths.iter().find(|path| {
        let path = real(&world.root.join(path));
        let has_dots = path.components().any(|part| part.as_os_str() == "..");
        has_dots || !path.starts_with(&root) || path.starts_with(root.join(".git"))
    });
    out.map_or(Ok(()), |path| {
        Err(format!("{} lies outside of the work tree", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{
        job::rules::PolicyRules,
        policy::{PolicyPreset, PolicyRule},
    };

    fn rules() -> PolicyRules {
        PolicyRules {
            default_allow: true,
            stop_on_deny: false,
            deny_if_contains: vec![],
            deny_patterns: vec![],
            allow_types: CommandKind::of_this_system(),
            preset: PolicyPreset::Careful,
            rules: vec![],
            on_opaque: Decision::Deny,
        }
    }

    fn policy() -> Policy {
        Policy::new(&rules()).unwrap()
    }

    fn asked(call: &Value) -> PermissionRequest {
        PermissionRequest::read(&json!({ "params": { "toolCall": call, "options": [] } }))
    }

    fn refused(call: &Value, walled: bool) -> Option<String> {
        let world = PolicyContext {
            sandbox_proved: walled,
            ..PolicyContext::unattended("/room/tree")
        };
        match decide(&asked(call), &policy(), &world) {
            PermissionDecision::Allow => None,
            PermissionDecision::Refuse(reason) => Some(reason),
            PermissionDecision::Ask { .. } => panic!("nobody can be asked"),
        }
    }

    #[test]
    fn a_command_is_found_wherever_an_agent_puts_it_and_judged() {
        for call in [
            json!({ "kind": "execute", "title": "Run", "rawInput": { "command": "rm -rf /etc" } }),
            json!({ "kind": "execute", "title": "rm -rf /etc" }),
            json!({ "kind": "execute", "title": "`rm -rf /etc`", "rawInput": {} }),
            json!({ "kind": "execute", "rawInput": { "command": ["/bin/bash", "-lc", "rm -rf /etc"] } }),
            json!({ "kind": "other", "title": "x", "rawInput": { "cmd": "/bin/bash -lc 'rm -rf /etc'" } }),
        ] {
            assert!(refused(&call, true).unwrap().contains("/etc"), "{call}");
        }
        let harmless = json!({ "kind": "execute", "rawInput": { "command": "ls" } });
        assert_eq!(refused(&harmless, false), None);
    }

    #[test]
    fn a_person_is_asked_where_one_can_answer_and_only_about_what_the_policy_asks_about() {
        let policy = |attended: bool, code: &str| {
            let rules = PolicyRules {
                rules: vec![PolicyRule {
                    name: "ask-make".into(),
                    decision: Decision::Ask,
                    program: vec!["make".into()],
                    ..PolicyRule::default()
                }],
                ..rules()
            };
            let world = PolicyContext {
                attended,
                ..PolicyContext::unattended("/room/tree")
            };
            let call = json!({ "kind": "execute", "rawInput": { "command": code } });
            decide(&asked(&call), &Policy::new(&rules).unwrap(), &world)
        };
        let PermissionDecision::Ask { command, reason } = policy(true, "make install") else {
            panic!("it is asked about")
        };
        assert_eq!(command.code, "make install");
        assert!(reason.contains("ask-make"), "{reason}");
        let PermissionDecision::Refuse(reason) = policy(false, "make install") else {
            panic!("nobody can answer")
        };
        assert!(reason.contains("nobody can be asked"), "{reason}");
        assert_eq!(policy(true, "ls"), PermissionDecision::Allow);
        let refused = policy(true, "rm -rf /etc");
        assert!(matches!(refused, PermissionDecision::Refuse(_)));
    }

    #[test]
    fn files_may_change_in_the_work_tree_only() {
        let edit = |path: &str| json!({ "kind": "edit", "title": "Edit", "locations": [{ "path": path }] });
        assert_eq!(refused(&edit("/room/tree/app.py"), false), None);
        assert_eq!(refused(&edit("app.py"), false), None);
        for out in [
            "/room/other",
            "../x",
            "/etc/passwd",
            "/room/tree/.git/hooks/pre-commit",
        ] {
            assert!(refused(&edit(out), true).is_some(), "{out}");
        }
        let input = json!({ "kind": "edit", "rawInput": { "file_path": "/etc/passwd" } });
        assert!(refused(&input, true).is_some());
        let nothing = json!({ "kind": "edit", "title": "Edit" });
        assert!(refused(&nothing, false).is_some() && refused(&nothing, true).is_none());
    }

    #[test]
    fn other_tools_need_a_wall_and_no_agent_changes_its_mode() {
        let fetch = json!({ "kind": "fetch", "title": "example.com" });
        assert!(refused(&fetch, false).is_some() && refused(&fetch, true).is_none());
        assert!(refused(&json!({ "kind": "switch_mode" }), true).is_some());
        assert!(refused(&json!({ "title": "odd" }), false).is_some());
    }
}
