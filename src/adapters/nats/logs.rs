//! Logs of attempts as objects: a worker puts them away without its secrets, the controller writes them where its own would lie.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::{blobs::Blobs, connection::NatsConnection, objects::RETENTION};
use crate::{
    adapters::state_folder,
    domain::{cluster::LogBundle, redaction::Redactor},
};

/// How large logs may become when they are unpacked, whatever a worker sends.
const MOST: u64 = 64 * 1024 * 1024;

/// The logs of the attempts of one board.
#[derive(Clone)]
pub(super) struct LogStore {
    store: Blobs,
    root: PathBuf,
    redactor: Redactor,
}

impl LogStore {
    /// Opens the store, and makes it where there is none; what lies there ends by itself.
    pub(super) async fn open(
        cluster: &NatsConnection,
        root: &Path,
        redactor: &Redactor,
    ) -> Result<Self, String> {
        Ok(Self {
            store: Blobs::open(cluster, &cluster.stream_name("LOGS"), RETENTION).await?,
            root: root.to_owned(),
            redactor: redactor.clone(),
        })
    }

    /// Takes out of a line what nobody else may see.
    pub(super) fn clean(&self, line: &str) -> String {
        self.redactor.clean(line)
    }

    /// Puts the logs of a folder below the root away; returns their name, empty where there are none.
    pub(super) async fn publish(&self, fence: u64, folder: &str) -> Result<String, String> {
        let (folder, redactor) = (self.root.join(folder), self.redactor.clone());
        if !folder.is_dir() {
            return Ok(String::new());
        }
        let packed = tokio::task::spawn_blocking(move || packed(&folder, &redactor));
        let Some(body) = packed.await.map_err(|error| error.to_string())?? else {
            return Ok(String::new());
        };
        let name = format!("log.{fence}");
        self.store.put(&name, "", &body).await?;
        Ok(name)
    }

    /// Writes logs into a folder below the root.
    pub(super) async fn fetch(&self, name: &str, folder: &str) -> Result<(), String> {
        if name.is_empty() {
            return Ok(());
        }
        let told = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let info = self.store.info(name).await?;
        let info = info.ok_or_else(|| told(&"it is not there"))?;
        if u64::try_from(info.size).unwrap_or(u64::MAX) > MOST {
            return Err(told(&"it is too large"));
        }
        let mut body = Vec::new();
        self.store.read(&info, &mut body).await?;
        let folder = self.root.join(folder);
        let written = tokio::task::spawn_blocking(move || unpacked(&body, &folder));
        let written = written.await.map_err(|error| error.to_string())?;
        written.map_err(|error| told(&error))
    }
}

fn packed(folder: &Path, redactor: &Redactor) -> Result<Option<Vec<u8>>, String> {
    let mut found = Vec::new();
    collect(folder, "", &mut found);
    found.sort();
    let texts = found.into_iter().filter_map(|path| {
        let bytes = fs::read(folder.join(&path)).ok()?;
        Some((path, redactor.clean(&String::from_utf8_lossy(&bytes))))
    });
    let bundle = LogBundle::of(texts);
    if bundle.files.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_vec(&bundle).map_err(|error| error.to_string())?;
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    let written = packer.write_all(&text).and_then(|()| packer.finish());
    written.map(Some).map_err(|error| error.to_string())
}

/// Collects the plain files below a folder; links are not followed, they could lead to what is nobody's business.
fn collect(folder: &Path, below: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else {
            continue;
        };
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if kind.is_dir() {
            collect(&entry.path(), &path, found);
        } else if kind.is_file() {
            found.push(path);
        }
    }
}

fn unpacked(body: &[u8], folder: &Path) -> Result<(), String> {
    let mut text = Vec::new();
    let read = GzDecoder::new(body).take(MOST).read_to_end(&mut text);
    read.map_err(|error| error.to_string())?;
    let bundle: LogBundle = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    for (path, text) in bundle.safe_files() {
        let file = folder.join(path);
        let above = file.parent().unwrap_or(folder);
        let written = state_folder::create_dir_all(above).and_then(|()| fs::write(&file, text));
        written.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_come_back_as_they_were_but_for_secrets_and_links() {
        let from = tempfile::tempdir().unwrap();
        let to = tempfile::tempdir().unwrap();
        fs::create_dir(from.path().join("agent")).unwrap();
        fs::write(
            from.path().join("agent/out.log"),
            "the key is hunter2-hunter2\n",
        )
        .unwrap();
        fs::write(from.path().join("events.jsonl"), "{}\n").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", from.path().join("link")).unwrap();
        let redactor = Redactor::new(["hunter2-hunter2".to_owned()]);
        let body = packed(from.path(), &redactor).unwrap().unwrap();
        unpacked(&body, &to.path().join("run")).unwrap();
        let text = fs::read_to_string(to.path().join("run/agent/out.log")).unwrap();
        assert!(
            text.starts_with("the key is ") && !text.contains("hunter2"),
            "{text}"
        );
        assert!(to.path().join("run/events.jsonl").exists());
        assert!(!to.path().join("run/link").exists());
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(packed(empty.path(), &redactor), Ok(None));
        assert!(unpacked(b"nothing", to.path()).is_err());
    }
}
