//! One message to a stream, until the server has it: what is lost on the way is sent again under the same id.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{
        Context,
        context::{PublishError, PublishErrorKind},
        publish::PublishAck,
    },
};

/// How often a message whose answer was lost is sent in all.
const TRIES: u32 = 6;

/// The header that makes a second try of the same message no second message.
pub(super) const MESSAGE_ID_HEADER: &str = "Nats-Msg-Id";

/// Publishes a message that carries an id, and waits until a majority of the servers has it on its disks.
///
/// What the server refuses because the log has gone on is not tried again; another try would not change it.
pub(super) async fn publish(
    jetstream: &Context,
    subject: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<PublishAck, PublishError> {
    let mut tried = 0;
    loop {
        let sent = jetstream
            .publish_with_headers(subject.to_owned(), headers.clone(), body.to_vec().into())
            .await;
        let answer = match sent {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        tried += 1;
        match answer {
            Ok(answer) => return Ok(answer),
            Err(error) if tried >= TRIES || error.kind() == PublishErrorKind::WrongLastSequence => {
                return Err(error);
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100 << tried)).await,
        }
    }
}
