//! What a hook prints and how it ends, so that each program does what was decided.
//!
//! Measured with the programs themselves: a deny has to be JSON with status 0 or status 2 with the reason on stderr; any
//! other status lets the tool run. Where nothing is to be said nothing is printed, and the program asks as it always does.

use serde_json::{Value, json};

use crate::domain::{
    guard::{
        GuardOutcome,
        call::{AttendanceMode, HookAgent, ToolCall},
    },
    policy::Decision,
};

/// The status that every program takes as a refusal.
const REFUSED: u8 = 2;

/// What a hook prints and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookAnswer {
    /// For standard output; empty = nothing.
    pub stdout: String,
    /// For standard error; empty = nothing.
    pub stderr: String,
    /// The exit status.
    pub code: u8,
}

impl HookAnswer {
    fn json(value: &Value) -> Self {
        Self {
            stdout: format!("{value}\n"),
            stderr: String::new(),
            code: 0,
        }
    }

    fn silent() -> Self {
        Self {
            stdout: String::new(),
            stderr: String::new(),
            code: 0,
        }
    }
}

/// Returns the answer to a call that was judged.
pub fn answer(call: &ToolCall, outcome: &GuardOutcome) -> HookAnswer {
    let decision = outcome.decision_for(call.presence);
    let sentence = outcome.sentence(call.presence);
    let note = outcome.note();
    said(
        call.agent,
        &call.event,
        decision,
        &sentence,
        note.as_deref(),
    )
}

fn said(
    agent: HookAgent,
    event: &str,
    decision: Decision,
    sentence: &str,
    note: Option<&str>,
) -> HookAnswer {
    match agent {
        HookAgent::Claude => claude(decision, sentence, note),
        HookAgent::Codex if event == "PermissionRequest" => permission_request(decision, sentence),
        HookAgent::Codex => claude(decision.max_without_question(), sentence, note),
        HookAgent::Gemini => match decision {
            Decision::Allow => note.map_or_else(HookAnswer::silent, |note| {
                HookAnswer::json(&json!({ "systemMessage": note }))
            }),
            Decision::Ask | Decision::Deny => {
                HookAnswer::json(&json!({ "decision": "deny", "reason": sentence }))
            }
        },
        HookAgent::Opencode => {
            let decision = decision.max_without_question();
            HookAnswer::json(
                &json!({ "decision": decision.as_str(), "reason": sentence, "note": note }),
            )
        }
        HookAgent::Cursor => cursor(decision, sentence),
    }
}

fn claude(decision: Decision, sentence: &str, note: Option<&str>) -> HookAnswer {
    const EVENT: &str = "PreToolUse";
    match (decision, note) {
        (Decision::Allow, None) => HookAnswer::silent(),
        (Decision::Allow, Some(note)) => HookAnswer::json(&json!({
            "systemMessage": note,
            "hookSpecificOutput": { "hookEventName": EVENT, "additionalContext": note },
        })),
        (Decision::Ask | Decision::Deny, _) => HookAnswer::json(&json!({
            "hookSpecificOutput": {
                "hookEventName": EVENT,
                "permissionDecision": decision.as_str(),
                "permissionDecisionReason": sentence,
            },
        })),
    }
}

/// Codex asks here by itself when nothing is said.
fn permission_request(decision: Decision, sentence: &str) -> HookAnswer {
    match decision {
        Decision::Allow | Decision::Ask => HookAnswer::silent(),
        Decision::Deny => HookAnswer::json(&json!({
            "hookSpecificOutput": {
                "hookEventName": "PermissionRequest",
                "decision": { "behavior": "deny", "message": sentence },
            },
        })),
    }
}

fn cursor(decision: Decision, sentence: &str) -> HookAnswer {
    match decision {
        Decision::Allow => HookAnswer::json(&json!({})),
        Decision::Ask | Decision::Deny => HookAnswer::json(&json!({
            "permission": decision.as_str(),
            "user_message": sentence,
            "agent_message": sentence,
        })),
    }
}

/// Returns the answer where the guard could not judge: a question where somebody is there, else a refusal.
pub fn unjudged_answer(
    agent: HookAgent,
    presence: AttendanceMode,
    event: &str,
    why: &str,
) -> HookAnswer {
    let sentence = format!("tos guard could not judge this call: {why}");
    match presence {
        AttendanceMode::Person if matches!(agent, HookAgent::Claude | HookAgent::Cursor) => {
            said(agent, event, Decision::Ask, &sentence, None)
        }
        AttendanceMode::Person | AttendanceMode::Nobody(_) => HookAnswer {
            stdout: String::new(),
            stderr: format!("{sentence}\n"),
            code: REFUSED,
        },
    }
}

impl Decision {
    /// Returns the decision where a question would be taken for a yes.
    const fn max_without_question(self) -> Self {
        match self {
            Self::Allow => Self::Allow,
            Self::Ask | Self::Deny => Self::Deny,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(agent: HookAgent, decision: Decision) -> HookAnswer {
        said(agent, "", decision, "why", None)
    }

    #[test]
    fn what_is_allowed_is_never_widened() {
        for agent in [HookAgent::Claude, HookAgent::Codex, HookAgent::Gemini] {
            assert_eq!(of(agent, Decision::Allow), HookAnswer::silent());
        }
        assert_eq!(of(HookAgent::Cursor, Decision::Allow).stdout, "{}\n");
    }

    #[test]
    fn a_question_is_a_refusal_where_it_would_run() {
        for agent in [HookAgent::Codex, HookAgent::Gemini, HookAgent::Opencode] {
            assert!(
                of(agent, Decision::Ask).stdout.contains("\"deny\""),
                "{agent:?}"
            );
        }
        for agent in [HookAgent::Claude, HookAgent::Cursor] {
            assert!(
                of(agent, Decision::Ask).stdout.contains("\"ask\""),
                "{agent:?}"
            );
        }
    }

    #[test]
    fn a_call_that_cannot_be_judged_does_not_run_by_itself() {
        for agent in HookAgent::ALL {
            let alone = unjudged_answer(agent, AttendanceMode::Nobody("x"), "", "broken");
            assert_eq!((alone.code, alone.stdout.as_str()), (2, ""), "{agent:?}");
            assert!(alone.stderr.contains("broken"));
            let beside = unjudged_answer(agent, AttendanceMode::Person, "", "broken");
            assert!(
                beside.code == 2 || beside.stdout.contains("\"ask\""),
                "{agent:?}: {beside:?}"
            );
        }
    }

    #[test]
    fn codex_asks_by_itself_about_a_permission() {
        let asked = said(
            HookAgent::Codex,
            "PermissionRequest",
            Decision::Ask,
            "why",
            None,
        );
        assert_eq!(asked, HookAnswer::silent());
        let refused = said(
            HookAgent::Codex,
            "PermissionRequest",
            Decision::Deny,
            "why",
            None,
        );
        assert!(
            refused.stdout.contains(r#""behavior":"deny""#),
            "{refused:?}"
        );
    }
}
