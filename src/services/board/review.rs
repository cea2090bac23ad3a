//! A model's review of a change that passed its tests. What does not end in a verdict is no approval.

use tokio::{runtime::Handle, sync::watch};

use super::{
    ServicePorts,
    brain::{ModelQuestion, Payer},
    case::JudgementRequest,
};
use crate::domain::{
    board::{MAX_REVIEW_BYTES, ReviewDecision, parse_review_reply, review_prompt},
    model::ModelRole,
};

/// Reviews what lies between two commits; `None` = nobody is asked here. The error is why there is no verdict.
pub(super) async fn review(
    context: &ServicePorts,
    case: &JudgementRequest,
    (base, merged): (&str, &str),
    (payer, runtime): (Payer, Handle),
    stop: watch::Receiver<u8>,
) -> Result<Option<ReviewDecision>, String> {
    let Some(seat) = context.brain.review.as_ref().filter(|_| base != merged) else {
        return Ok(None);
    };
    let diff = context.merges.diff(base, merged).map_err(|error| error.0)?;
    if diff.len() > MAX_REVIEW_BYTES {
        return Err(format!(
            "the change has {} bytes, and at most {MAX_REVIEW_BYTES} are reviewed; a person has to look, or the task be split",
            diff.len()
        ));
    }
    let question = ModelQuestion {
        seat,
        role: ModelRole::Review,
        job: case.task.id.0,
        turn: case.before,
        payer,
        redactor: &context.brain.redactor,
        runtime,
        stop,
    };
    let prompt = |refused: Option<(&str, &[String])>| {
        let fault = refused.map(|(_, faults)| faults.join("; "));
        review_prompt(&case.task, &diff, fault.as_deref())
    };
    let read = |text: &str| parse_review_reply(text).map_err(|fault| vec![fault]);
    let verdict = question.ask_until_valid(&prompt, &read).await;
    verdict
        .map(Some)
        .map_err(|why| format!("the review gave no verdict: {why}"))
}
