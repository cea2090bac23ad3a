//! Asks the person at the client, where the client can do that (`elicitation/create`).
//!
//! Danger: the question goes through the agent's own program. Only a filled-in yes counts; everything else is a no.

use rmcp::{
    RoleServer,
    model::{ClientResult, ElicitRequest, ElicitRequestParams, ElicitationAction, ServerRequest},
    service::{Peer, RequestContext},
};
use serde_json::json;

/// The way to the person at a client.
#[derive(Debug, Clone)]
pub(super) struct Questioner {
    /// `None` = the client cannot ask.
    peer: Option<Peer<RoleServer>>,
}

impl Questioner {
    /// Finds out whether the client of a call can ask.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Self {
        let can = context
            .client_capabilities()
            .is_some_and(|known| known.elicitation.is_some());
        Self {
            peer: can.then(|| context.peer.clone()),
        }
    }

    pub(super) const fn can_ask(&self) -> bool {
        self.peer.is_some()
    }

    /// Asks whether a command may run; the error says what there was in place of a yes. A client that runs without a person
    /// declines by itself, in the same words as a person would, so nothing here says who it was.
    pub(super) async fn ask(&self, command: &str, reason: &str) -> Result<(), String> {
        let Some(peer) = &self.peer else {
            return Err("the client cannot ask".to_owned());
        };
        let form = json!({
            "mode": "form",
            "message": format!("The agent wants to run: {command}\ntos asks first: {reason}"),
            "requestedSchema": {
                "type": "object",
                "properties": {
                    "run": { "type": "boolean", "title": "Run it", "description": "Whether this command may run, this once.", "default": false },
                },
                "required": ["run"],
            },
        });
        let form: ElicitRequestParams =
            serde_json::from_value(form).map_err(|error| error.to_string())?;
        let request = ServerRequest::ElicitRequest(ElicitRequest::new(form));
        let answer = peer.send_request(request).await;
        match answer {
            Ok(ClientResult::ElicitResult(answer)) => {
                let said = answer.content.unwrap_or_default();
                refusal(&answer.action, said["run"] == true).map_or(Ok(()), Err)
            }
            Ok(_) => Err("the client could not ask: its answer is none".to_owned()),
            Err(error) => Err(format!("the client could not ask: {error}")),
        }
    }
}

/// Returns in words what an answer is, where it is no yes.
fn refusal(action: &ElicitationAction, runs: bool) -> Option<String> {
    let what = match action {
        ElicitationAction::Accept if runs => return None,
        ElicitationAction::Accept => "the answer at the client was no",
        ElicitationAction::Decline => {
            "the client declined: a person there said no, or nobody was there to be asked"
        }
        _ => "the question was dismissed at the client: nobody there answered it",
    };
    Some(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_filled_in_yes_is_one_and_nobody_is_named_who_may_not_have_been_there() {
        assert_eq!(refusal(&ElicitationAction::Accept, true), None);
        for (action, runs, words) in [
            (
                ElicitationAction::Accept,
                false,
                "the answer at the client was no",
            ),
            (
                ElicitationAction::Decline,
                true,
                "or nobody was there to be asked",
            ),
            (ElicitationAction::Cancel, true, "nobody there answered it"),
        ] {
            let told = refusal(&action, runs).unwrap();
            assert!(told.contains(words), "{told}");
        }
    }
}
