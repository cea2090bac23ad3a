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

    /// Asks whether a command may run; the error says why there was no answer.
    pub(super) async fn ask(&self, command: &str, reason: &str) -> Result<bool, String> {
        let Some(peer) = &self.peer else {
            return Ok(false);
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
        match answer.map_err(|error| error.to_string())? {
            ClientResult::ElicitResult(answer) => {
                let said = answer.content.unwrap_or_default();
                Ok(answer.action == ElicitationAction::Accept && said["run"] == true)
            }
            _ => Err("its answer is none".to_owned()),
        }
    }
}
