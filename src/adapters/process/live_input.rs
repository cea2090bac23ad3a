//! Standard input that is written while a command runs: a named pipe where the command can open it, behind any wall.
//!
//! A jailer keeps its own standard input as the line that tells it to stay, so a plain pipe would not reach the command. Danger: the
//! folder may have been the agent's before, so nothing that lies in the pipe's place is followed.

use std::{fs, io, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use tokio::{io::AsyncWriteExt, net::unix::pipe};

use crate::ports::runner::{CommandStreams, InputSource};

/// The end of the pipe that tos writes to. The input of the command ends when it is dropped.
pub(super) struct LiveInput {
    sender: pipe::Sender,
    source: Arc<dyn InputSource>,
    path: std::path::PathBuf,
}

impl LiveInput {
    /// Makes the pipe, where a command's streams want one.
    pub(super) fn open(streams: &CommandStreams) -> io::Result<Option<Self>> {
        let (Some(source), Some(path)) = (&streams.input, &streams.input_file) else {
            return Ok(None);
        };
        let path = real_place(path)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, mode, 0)?;
        // With both ends in hand, whoever opens it to read need not wait, and nobody's leaving breaks it.
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
            .open(&path)?;
        Ok(Some(Self {
            sender: pipe::Sender::from_owned_fd(file.into())?,
            source: Arc::clone(source),
            path,
        }))
    }

    /// Writes what comes until the source closes it; never completes, because the command may go on without input.
    pub(super) async fn feed(mut self) {
        while let Some(piece) = self.source.next().await {
            if self.sender.write_all(&piece).await.is_err() {
                break;
            }
        }
        drop(self);
        std::future::pending::<()>().await;
    }
}

impl Drop for LiveInput {
    fn drop(&mut self) {
        // It goes with its folder, if it is in the way.
        drop(fs::remove_file(&self.path));
    }
}

/// Returns the path with its folder's links followed, and the folder made.
fn real_place(path: &Path) -> io::Result<std::path::PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(folder)?;
    Ok(folder.canonicalize()?.join(name))
}
