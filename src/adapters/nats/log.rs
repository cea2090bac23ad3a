//! The log of a board in a stream: batches, appended with the expected last sequence.
//!
//! A batch is what one controller decided together; it counts whole or not at all. One that is larger than a message is cut
//! into parts, and a batch whose last part is missing is as if it had never been. Who appends under a sequence that is not the last one leads no more,
//! and is told so; nothing of it is written.

use std::{sync::Arc, time::Duration};

use async_nats::{
    HeaderMap,
    jetstream::{
        context::PublishErrorKind,
        message::PublishMessage,
        stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream},
    },
};
use futures_util::{StreamExt as _, stream};

use super::{
    connection::{NatsConnection, open_error},
    patience::{leading_message_at, message_at},
    publish::{MESSAGE_ID_HEADER, publish},
};
use crate::domain::cluster::{Refused, batch_id, refused};

/// The number of the first event of a batch.
const FIRST: &str = "Tos-First";
/// Which part of how many, as `1/1`.
const PART: &str = "Tos-Part";
/// The size of a part, well below what a server takes in its default settings.
const PART_BYTES: usize = 512 * 1024;

/// How many messages are asked for at a time where the log is read.
const AHEAD: usize = 64;

/// Why a batch was not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AppendError {
    /// Somebody else appends: this controller leads no more.
    #[error("another controller has written to the log of the board; this one leads no more")]
    Deposed,
    /// The server does not answer, or refuses.
    #[error("{0}")]
    Unavailable(String),
}

/// A batch as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// The number of its first event.
    pub first: u64,
    /// Its body.
    pub body: Vec<u8>,
}

/// The log of one board.
pub(super) struct EventLog {
    cluster: Arc<NatsConnection>,
    stream: Stream,
    subject: String,
    /// Who writes: part of the ids of messages.
    writer: String,
    /// The sequence of the last message we know.
    last: u64,
}

impl EventLog {
    /// Opens the log, and makes it where there is none.
    pub(super) fn open(cluster: &Arc<NatsConnection>, writer: &str) -> Result<Self, String> {
        let subject = cluster.subject("log");
        let config = Config {
            name: cluster.stream_name("LOG"),
            subjects: vec![subject.clone()],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            num_replicas: cluster.replicas,
            duplicate_window: Duration::from_secs(120),
            deny_delete: true,
            allow_direct: true,
            ..Config::default()
        };
        let stream = cluster.block_on(cluster.jetstream.get_or_create_stream(config));
        let stream = stream.map_err(|error| open_error("the log of the board", &error))?;
        Ok(Self {
            cluster: Arc::clone(cluster),
            stream,
            subject,
            writer: writer.to_owned(),
            last: 0,
        })
    }

    /// Reads the batches from a message on, in order, and remembers where the log ends.
    ///
    /// Answers with pairs of the sequence of the batch's last message and the batch.
    pub(super) fn read_from(&mut self, sequence: u64) -> Result<Vec<(u64, Batch)>, String> {
        let cluster = Arc::clone(&self.cluster);
        let read = cluster.block_on(self.read(sequence.max(1)));
        read.map_err(|why| format!("the log of the board cannot be read: {why}"))
    }

    async fn read(&mut self, from: u64) -> Result<Vec<(u64, Batch)>, String> {
        let info = self
            .stream
            .info()
            .await
            .map_err(|error| error.to_string())?;
        let end = info.state.last_sequence;
        self.last = end;
        let mut batches = Vec::new();
        if end < from {
            return Ok(batches);
        }
        let mut collected = Parts::default();
        // Nothing is ever taken out of the log, so there is a message at every place.
        let messages = stream::iter(from..=end).map(|place| message_at(&self.stream, place));
        let mut messages = messages.buffered(AHEAD);
        while let Some(message) = messages.next().await {
            let message = message?;
            if let Some(batch) = collected.take(&message.headers, &message.payload)? {
                batches.push((message.sequence, batch));
            }
        }
        Ok(batches)
    }

    /// Returns the sequence of the message with which the batch that holds an event begins, or where the log ends.
    ///
    /// The numbers of events grow along the log, so it is searched by halves.
    pub(super) fn find(&mut self, event: u64) -> Result<u64, String> {
        let cluster = Arc::clone(&self.cluster);
        let found = cluster.block_on(async {
            let info = self
                .stream
                .info()
                .await
                .map_err(|error| error.to_string())?;
            let (begin, end) = (info.state.first_sequence, info.state.last_sequence);
            let (mut low, mut high) = (begin, end + 1);
            // The last message whose batch begins at or before the event.
            while low + 1 < high {
                let middle = low + (high - low) / 2;
                let message = message_at(&self.stream, middle).await?;
                if number(&message.headers, FIRST)? <= event {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            // A batch in parts begins with its first one.
            while low > begin && low <= end {
                let message = message_at(&self.stream, low).await?;
                if part(&message.headers)?.0 == 1 {
                    break;
                }
                low -= 1;
            }
            Ok(low.max(1))
        });
        found.map_err(|why: String| format!("the log of the board cannot be searched: {why}"))
    }

    /// Appends a batch; when this returns, a majority of the servers has it on its disks.
    pub(super) fn append(&mut self, first: u64, body: &[u8]) -> Result<(), AppendError> {
        let cluster = Arc::clone(&self.cluster);
        let parts: Vec<&[u8]> = if body.is_empty() {
            vec![body]
        } else {
            body.chunks(PART_BYTES).collect()
        };
        let count = parts.len();
        for (part, index) in parts.into_iter().zip(1..) {
            let sequence = cluster.block_on(self.publish(first, index, count, part))?;
            self.last = sequence;
        }
        Ok(())
    }

    async fn publish(
        &self,
        first: u64,
        index: usize,
        count: usize,
        part: &[u8],
    ) -> Result<u64, AppendError> {
        let id = batch_id(&self.writer, first, self.last, index);
        let mut headers = HeaderMap::new();
        headers.insert(FIRST, first.to_string().as_str());
        headers.insert(PART, format!("{index}/{count}").as_str());
        headers.insert(MESSAGE_ID_HEADER, id.as_str());
        headers.insert(
            "Nats-Expected-Last-Sequence",
            self.last.to_string().as_str(),
        );
        let message = PublishMessage::build().headers(headers);
        let message = message.payload(part.to_vec().into());
        match publish(&self.cluster.jetstream, &self.subject, message).await {
            Ok(answer) => Ok(answer.sequence),
            // An earlier try of ours may have arrived although its answer was lost.
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {
                self.ours(&id).await
            }
            Err(error) => Err(AppendError::Unavailable(format!(
                "the log of the board does not answer: {error}"
            ))),
        }
    }

    /// Returns the sequence of the message after the last known one, if it is the one with this id.
    async fn ours(&self, id: &str) -> Result<u64, AppendError> {
        let next = self.last + 1;
        match leading_message_at(&self.stream, next).await {
            Ok(message) => match refused(id, text(&message.headers, MESSAGE_ID_HEADER)) {
                Refused::Ours => Ok(next),
                Refused::Deposed => Err(AppendError::Deposed),
            },
            Err(why) => Err(AppendError::Unavailable(why)),
        }
    }
}

/// Puts the parts of batches together.
#[derive(Debug, Default)]
struct Parts {
    first: u64,
    next: usize,
    body: Vec<u8>,
}

impl Parts {
    /// Takes the next message; returns a batch when it is whole.
    fn take(&mut self, headers: &HeaderMap, payload: &[u8]) -> Result<Option<Batch>, String> {
        let first = number(headers, FIRST)?;
        let (index, count) = part(headers)?;
        if index == 1 {
            // What was begun before was never ended: its writer died.
            (self.first, self.next) = (first, 1);
            self.body.clear();
        }
        if self.next != index || self.first != first {
            return Err(format!(
                "part {index} of the batch at event {first} stands alone"
            ));
        }
        self.body.extend_from_slice(payload);
        self.next += 1;
        if index < count {
            return Ok(None);
        }
        self.next = 0;
        Ok(Some(Batch {
            first,
            body: std::mem::take(&mut self.body),
        }))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

fn number(headers: &HeaderMap, name: &str) -> Result<u64, String> {
    let value = text(headers, name).and_then(|value| value.parse().ok());
    value.ok_or_else(|| format!("a message has no number in {name}"))
}

fn part(headers: &HeaderMap) -> Result<(usize, usize), String> {
    let value = text(headers, PART).and_then(|value| {
        let (index, count) = value.split_once('/')?;
        Some((index.parse().ok()?, count.parse().ok()?))
    });
    value.ok_or_else(|| format!("a message has no {PART}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(first: u64, part: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(FIRST, first.to_string().as_str());
        headers.insert(PART, part);
        headers
    }

    #[test]
    fn a_batch_in_parts_counts_when_its_last_part_is_there() {
        let mut parts = Parts::default();
        assert_eq!(parts.take(&headers(1, "1/2"), b"a"), Ok(None));
        let whole = Batch {
            first: 1,
            body: b"ab".to_vec(),
        };
        assert_eq!(parts.take(&headers(1, "2/2"), b"b"), Ok(Some(whole)));
    }

    #[test]
    fn a_batch_that_was_never_ended_is_forgotten_for_the_next() {
        let mut parts = Parts::default();
        assert_eq!(parts.take(&headers(1, "1/2"), b"lost"), Ok(None));
        let next = Batch {
            first: 1,
            body: b"x".to_vec(),
        };
        assert_eq!(parts.take(&headers(1, "1/1"), b"x"), Ok(Some(next)));
        assert!(parts.take(&headers(2, "2/2"), b"y").is_err());
        assert!(parts.take(&HeaderMap::new(), b"y").is_err());
    }
}
