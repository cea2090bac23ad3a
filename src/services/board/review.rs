//! A model's review of a change that passed its tests. What does not end in a verdict is no approval.

use tokio::{runtime::Handle, sync::watch};

use super::{
    ServiceContext,
    brain::{Payer, Question},
    case::Case,
};
use crate::domain::{
    board::{REVIEWED, Review, read_review, review_prompt},
    model::ModelRole,
};

/// Reviews what lies between two commits; `None` = nobody is asked here. The error is why there is no verdict.
pub(super) async fn review(
    context: &ServiceContext,
    case: &Case,
    (base, merged): (&str, &str),
    (payer, runtime): (Payer, Handle),
    stop: watch::Receiver<u8>,
) -> Result<Option<Review>, String> {
    let Some(seat) = context.brain.review.as_ref().filter(|_| base != merged) else {
        return Ok(None);
    };
    let diff = context.merges.diff(base, merged).map_err(|error| error.0)?;
    if diff.len() > REVIEWED {
        return Err(format!(
            "the change has {} bytes, and at most {REVIEWED} are reviewed; a person has to look, or the task be split",
            diff.len()
        ));
    }
    let question = Question {
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
    let read = |text: &str| read_review(text).map_err(|fault| vec![fault]);
    let verdict = question.settle(&prompt, &read).await;
    verdict
        .map(Some)
        .map_err(|why| format!("the review gave no verdict: {why}"))
}
