//! The output of a confined task on its way to the log: read from a pipe, secrets removed, appended.
//!
//! The pipe is read whatever happens to the log, so that a full disk stops no task. A secret that is cut by a read is
//! still found: the redaction holds text back until nothing in it can be the beginning of one.

use std::{
    fs::File,
    io,
    io::Write,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crate::domain::redaction::{Redactor, StreamRedactor};

/// Read at most this much of one pipe before others have their turn.
const TURN: usize = 256 * 1024;

/// One stream of one attempt.
pub(crate) struct LogTee {
    pipe: Option<OwnedFd>,
    redaction: StreamRedactor,
    log: File,
}

impl LogTee {
    /// Makes a tap that writes to `log`, and returns it with the end the task writes to.
    pub(crate) fn new(log: File, redactor: &Redactor) -> io::Result<(Self, File)> {
        let (reader, writer) = io::pipe()?;
        let pipe = OwnedFd::from(reader);
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let tap = Self {
            pipe: Some(pipe),
            redaction: redactor.stream(),
            log,
        };
        Ok((tap, File::from(OwnedFd::from(writer))))
    }

    /// Returns what to wait on; nothing once the stream is over.
    pub(crate) fn waits_on(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there, up to one turn; returns whether there may be more.
    pub(crate) fn take(&mut self) -> bool {
        let mut buffer = [0_u8; 16 * 1024];
        let mut taken = 0;
        while let Some(pipe) = &self.pipe
            && taken < TURN
        {
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    taken += count;
                    let clean = self.redaction.push(&buffer[..count]);
                    self.write(&clean);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return false,
                Err(_) => self.pipe = None,
            }
        }
        self.pipe.is_some()
    }

    /// Takes the rest, after the last process that could write has ended.
    pub(crate) fn finish(mut self) {
        while self.take() {}
        let rest = self.redaction.finish();
        self.write(&rest);
    }

    /// Adds a line of tos's own behind what the task said; called once nothing of it runs any more.
    pub(crate) fn note(&mut self, line: &str) {
        while self.take() {}
        let rest = self.redaction.finish();
        self.write(&rest);
        let line = self.redaction.push(format!("{line}\n").as_bytes());
        self.write(&line);
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.log.write_all(bytes) {
            // The task goes on; its log is shorter than what it said.
            tracing::warn!(%error, "output of a task could not be stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cut_by_reads_does_not_reach_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let redactor = Redactor::new(["correct-horse-battery".to_owned()]);
        let (mut tap, mut writer) = LogTee::new(File::create(&path).unwrap(), &redactor).unwrap();
        for part in [
            "a correct-ho",
            "rse-bat",
            "tery b sk-0123456789",
            "abcdefABCDEF\nend",
        ] {
            writer.write_all(part.as_bytes()).unwrap();
            assert!(!tap.take());
        }
        drop(writer);
        tap.finish();
        let log = std::fs::read_to_string(path).unwrap();
        assert_eq!(log, "a [redacted] b [redacted]\nend");
    }

    #[test]
    fn what_a_full_pipe_holds_is_taken_to_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let (tap, writer) =
            LogTee::new(File::create(&path).unwrap(), &Redactor::default()).unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let mut sent = 0;
        while let Ok(count) = rustix::io::write(&writer, &[b'x'; 4096]) {
            sent += count as u64;
        }
        drop(writer);
        tap.finish();
        assert_eq!(std::fs::metadata(path).unwrap().len(), sent);
    }
}
