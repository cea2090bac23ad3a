//! One message to a stream, until the server has it: what is lost on the way is sent again under the same id.

use std::time::Duration;

use async_nats::jetstream::{
    Context,
    context::{PublishError, PublishErrorKind},
    message::PublishMessage,
    publish::PublishAck,
};
use tokio::time::Instant;

/// How often a message that was refused is sent in all.
const TRIES: u32 = 6;

/// How long one waits for servers that do not answer, or that have nobody who leads: choosing a leader takes them up to ten seconds,
/// and more where they have no processor to themselves.
const PATIENCE: Duration = Duration::from_secs(40);

/// The header that makes a second try of the same message no second message.
pub(super) const MESSAGE_ID_HEADER: &str = "Nats-Msg-Id";

/// Publishes a message that carries an id, and waits until a majority of the servers has it on its disks.
///
/// What the server refuses because the log has gone on is not tried again; another try would not change it.
pub(super) async fn publish(
    jetstream: &Context,
    subject: &str,
    message: PublishMessage,
) -> Result<PublishAck, PublishError> {
    let began = Instant::now();
    let mut tried = 0;
    loop {
        let sent = jetstream
            .send_publish(subject.to_owned(), message.clone())
            .await;
        let answer = match sent {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        tried += 1;
        match answer {
            Ok(answer) => return Ok(answer),
            Err(error) if is_final(error.kind(), tried, began.elapsed()) => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(100 << tried.min(5))).await,
        }
    }
}

/// Publishes a message of a queue under an id of its own; returns its number there.
pub(super) async fn publish_under(
    jetstream: &Context,
    subject: &str,
    id: &str,
    body: Vec<u8>,
) -> Result<u64, String> {
    let message = PublishMessage::build().message_id(id).payload(body.into());
    let sent = publish(jetstream, subject, message).await;
    sent.map(|answer| answer.sequence)
        .map_err(|error| format!("{subject}: {error}"))
}

/// Says whether another try would not change an error.
fn is_final(kind: PublishErrorKind, tried: u32, waited: Duration) -> bool {
    match kind {
        PublishErrorKind::WrongLastSequence => true,
        // A stream that nobody leads looks like one that is not there.
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe => waited >= PATIENCE,
        _ => tried >= TRIES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_choose_a_leader_are_waited_for_and_a_refusal_is_not() {
        let at = |kind, tried, seconds| is_final(kind, tried, Duration::from_secs(seconds));
        assert!(!at(PublishErrorKind::StreamNotFound, 12, 12));
        assert!(at(PublishErrorKind::StreamNotFound, 30, 41));
        assert!(at(PublishErrorKind::Other, 6, 7) && !at(PublishErrorKind::Other, 5, 7));
        assert!(at(PublishErrorKind::WrongLastSequence, 1, 0));
    }
}
