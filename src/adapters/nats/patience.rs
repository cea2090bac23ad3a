//! Asking until there is an answer: while servers choose a leader among themselves, or one is gone with a question, none comes.
//!
//! What is read here is read from the server that leads, so nobody acts on what a server that lags behind does not know yet. Nothing
//! here makes a consumer: one that a server makes for a single reading may be placed on a server that is gone.

use std::{collections::BTreeSet, time::Duration};

use async_nats::jetstream::{
    kv::{Entry, Store},
    message::StreamMessage,
    stream::{LastRawMessageErrorKind, Stream},
};
use futures_util::StreamExt as _;

use crate::domain::time::Timestamp;

/// How often something is asked for.
const ASKED: u32 = 8;
/// How long one waits before asking again.
const REST: Duration = Duration::from_millis(500);

/// Asks until there is an answer, a few times; returns the last refusal.
pub(super) async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let mut asked = 1;
    loop {
        match ask().await {
            Err(why) if asked < ASKED => {
                tracing::debug!("{why}");
                asked += 1;
                tokio::time::sleep(REST).await;
            }
            answer => return answer,
        }
    }
}

/// Returns when the server took something in.
pub(super) fn moment(entry: &Entry) -> Option<Timestamp> {
    let (at, second) = (entry.created.unix_timestamp_nanos(), 1_000_000_000);
    let seconds = i64::try_from(at.div_euclid(second)).ok()?;
    let nanos = u32::try_from(at.rem_euclid(second)).ok()?;
    let at = chrono::DateTime::from_timestamp(seconds, nanos)?;
    Some(at.with_timezone(&chrono::Local).fixed_offset())
}

/// Returns the last message of a subject.
pub(super) async fn last(stream: &Stream, subject: &str) -> Result<Option<StreamMessage>, String> {
    patiently(|| async {
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}

/// Returns the first message of a subject at or behind a place in the stream.
pub(super) async fn next(
    stream: &Stream,
    subject: &str,
    from: u64,
) -> Result<Option<StreamMessage>, String> {
    patiently(|| async {
        let question = stream.raw_message_builder().sequence(from);
        match question.next_by_subject(subject).send().await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}

/// Returns the message at a place in the stream; whoever has it may answer first.
pub(super) async fn message_at(stream: &Stream, sequence: u64) -> Result<StreamMessage, String> {
    if let Ok(message) = stream.direct_get(sequence).await {
        return Ok(message);
    }
    leading_message_at(stream, sequence).await
}

/// Returns the message at a place in the stream, as the server that leads has it.
pub(super) async fn leading_message_at(
    stream: &Stream,
    sequence: u64,
) -> Result<StreamMessage, String> {
    patiently(|| async {
        let message = stream.get_raw_message(sequence).await;
        message.map_err(|error| error.to_string())
    })
    .await
}

/// Returns the subjects of a stream that hold something, in order.
pub(super) async fn subjects(stream: &Stream, filter: &str) -> Result<BTreeSet<String>, String> {
    patiently(|| async {
        let listed = stream.info_with_subjects(filter).await;
        let mut listed = listed.map_err(|error| error.to_string())?;
        let mut found = BTreeSet::new();
        while let Some(subject) = listed.next().await {
            found.insert(subject.map_err(|error| error.to_string())?.0);
        }
        Ok(found)
    })
    .await
}

/// Returns the keys of a bucket, in order; some may have no value any more.
pub(super) async fn keys(bucket: &Store) -> Result<Vec<String>, String> {
    let found = subjects(&bucket.stream, &format!("{}>", bucket.prefix)).await?;
    let keys = found.iter();
    let keys = keys.filter_map(|subject| subject.strip_prefix(&bucket.prefix));
    Ok(keys.map(str::to_owned).collect())
}
