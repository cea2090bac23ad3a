//! A store of objects that goes on while a server of the cluster is down.
//!
//! It lies on the server as any client's store does. The client's own reading makes a consumer for each object, and a server that is
//! gone is still given some of these for a while: whoever waits for one waits in vain. So the parts of an object are asked for one by
//! one, from whichever server leads the stream, and what is not answered is asked again.

use std::time::Duration;

use async_nats::jetstream::{
    object_store::{Config, ObjectInfo, ObjectMetadata, ObjectStore},
    stream::Stream,
};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{
    connection::{NatsConnection, open_error},
    patience::{last, next, patiently, subjects},
};

/// A store of objects of one board.
#[derive(Clone)]
pub(super) struct Blobs {
    name: String,
    store: ObjectStore,
    stream: Stream,
}

impl Blobs {
    /// Opens a store of objects, and makes it where there is none; what lies there ends by itself after `kept`, unless that is zero.
    pub(super) async fn open(
        cluster: &NatsConnection,
        name: &str,
        kept: Duration,
    ) -> Result<Self, String> {
        let opened =
            |error: &dyn std::fmt::Display| open_error(&format!("the store {name}"), error);
        let store = if let Ok(store) = cluster.jetstream.get_object_store(name).await {
            store
        } else {
            let config = Config {
                bucket: name.to_owned(),
                max_age: kept,
                num_replicas: cluster.replicas,
                ..Config::default()
            };
            let made = cluster.jetstream.create_object_store(config).await;
            made.map_err(|error| opened(&error))?
        };
        let stream = cluster.jetstream.get_stream(format!("OBJ_{name}")).await;
        Ok(Self {
            name: name.to_owned(),
            store,
            stream: stream.map_err(|error| opened(&error))?,
        })
    }

    /// Returns what is said of an object; `None` = there is none.
    pub(super) async fn info(&self, name: &str) -> Result<Option<ObjectInfo>, String> {
        let subject = format!("$O.{}.M.{}", self.name, url_base64(name.as_bytes()));
        self.described(&subject).await
    }

    async fn described(&self, subject: &str) -> Result<Option<ObjectInfo>, String> {
        let Some(message) = last(&self.stream, subject).await? else {
            return Ok(None);
        };
        let info: Result<ObjectInfo, _> = serde_json::from_slice(&message.payload);
        let info = info.map_err(|error| format!("{subject}: {error}"))?;
        Ok((!info.deleted).then_some(info))
    }

    /// Returns what is said of every object.
    pub(super) async fn list(&self) -> Result<Vec<ObjectInfo>, String> {
        let mut infos = Vec::new();
        for subject in subjects(&self.stream, &format!("$O.{}.M.>", self.name)).await? {
            infos.extend(self.described(&subject).await?);
        }
        Ok(infos)
    }

    /// Puts bytes away under a name, with a description; a second time makes no difference.
    pub(super) async fn put(&self, name: &str, about: &str, body: &[u8]) -> Result<(), String> {
        patiently(|| async move {
            let meta = ObjectMetadata {
                name: name.to_owned(),
                description: Some(about.to_owned()).filter(|about| !about.is_empty()),
                ..ObjectMetadata::default()
            };
            let mut source = body;
            let stored = self.store.put(meta, &mut source).await;
            stored
                .map(drop)
                .map_err(|error| format!("{name} could not be stored: {error}"))
        })
        .await
    }

    /// Writes an object into `target`, part by part; fails where the whole is not what was put there.
    pub(super) async fn read(
        &self,
        info: &ObjectInfo,
        target: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), String> {
        use sha2::Digest as _;
        let told = |why: &dyn std::fmt::Display| format!("{}: {why}", info.name);
        let subject = format!("$O.{}.C.{}", self.name, info.nuid);
        let (mut from, mut sum) = (1, sha2::Sha256::new());
        for _ in 0..info.chunks {
            let part = next(&self.stream, &subject, from).await;
            let part = part.map_err(|why| told(&why))?;
            let part = part.ok_or_else(|| told(&"a part of it is missing"))?;
            sum.update(&part.payload);
            let written = target.write_all(&part.payload).await;
            written.map_err(|error| told(&error))?;
            from = part.sequence + 1;
        }
        target.flush().await.map_err(|error| told(&error))?;
        let digest = format!("SHA-256={}", url_base64(&sum.finalize()));
        match &info.digest {
            Some(wanted) if *wanted != digest => Err(told(&"it is not what was put there")),
            _ => Ok(()),
        }
    }
}

/// Writes bytes in the letters of base 64 that addresses may hold, filled up with `=`.
fn url_base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place > three.len() {
                text.push('=');
                continue;
            }
            let letter = bits >> (18 - 6 * place) & 63;
            text.push(char::from(LETTERS[letter as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_other_clients_write_them() {
        assert_eq!(url_base64(b""), "");
        assert_eq!(url_base64(b"a"), "YQ==");
        assert_eq!(url_base64(b"ab"), "YWI=");
        assert_eq!(url_base64(b"tip.main"), "dGlwLm1haW4=");
        assert_eq!(url_base64(&[251, 255, 254]), "-__-");
    }
}
