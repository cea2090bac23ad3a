//! One output stream of a command: every byte read, secrets removed, the whole to disk up to a cap,
//! the beginning and the end kept in memory.

use std::{
    fs, io,
    io::Write,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{net::unix::pipe::Receiver, sync::watch};

use crate::{
    adapters::{process::encoding, state_folder},
    domain::{process::CapturedOutput, redaction},
    ports::runner::{ByteObserver, CommandStreams, LineObserver, OutputStream},
};

/// How much of a stream is kept where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CaptureLimits {
    /// Bytes of the beginning in memory.
    pub(super) head: usize,
    /// Bytes of the end in memory.
    pub(super) tail: usize,
    /// Bytes in the file.
    pub(super) disk: u64,
}

/// Receives one stream.
pub(super) struct OutputSink {
    redaction: redaction::StreamRedactor,
    keep: CaptureLimits,
    path: PathBuf,
    file: Option<fs::File>,
    on_disk: u64,
    capped: bool,
    head: Vec<u8>,
    tail: Vec<u8>,
    received: u64,
    cleaned: u64,
    lines: Option<LineSplitter>,
    bytes: Option<(Arc<dyn ByteObserver>, OutputStream)>,
}

impl std::fmt::Debug for OutputSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputSink")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Cuts a stream into lines for whoever reads along.
struct LineSplitter {
    reader: Arc<dyn LineObserver>,
    stream: OutputStream,
    begun: Vec<u8>,
    /// The line is too long to be handed on.
    skips: bool,
}

impl std::fmt::Debug for LineSplitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineSplitter")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl LineSplitter {
    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = piece.ends_with(b"\n");
            let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
            self.skips |= self.begun.len() + piece.len() > CommandStreams::LONGEST_LINE;
            if self.skips {
                self.begun.clear();
            } else {
                self.begun.extend_from_slice(piece);
            }
            if whole {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        let line = std::mem::take(&mut self.begun);
        if !std::mem::take(&mut self.skips) {
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            self.reader
                .line(self.stream, &String::from_utf8_lossy(line));
        }
    }
}

impl OutputSink {
    /// Makes a sink that writes to `path` once something arrives.
    pub(super) fn new(
        path: PathBuf,
        keep: CaptureLimits,
        redaction: redaction::StreamRedactor,
    ) -> Self {
        Self {
            redaction,
            keep,
            path,
            file: None,
            on_disk: 0,
            capped: false,
            head: Vec::new(),
            tail: Vec::new(),
            received: 0,
            cleaned: 0,
            lines: None,
            bytes: None,
        }
    }

    /// Lets somebody read along.
    pub(super) fn read_by(mut self, reader: Arc<dyn LineObserver>, stream: OutputStream) -> Self {
        self.lines = Some(LineSplitter {
            reader,
            stream,
            begun: Vec::new(),
            skips: false,
        });
        self
    }

    /// Lets somebody read along the bare bytes.
    pub(super) fn copied_to(mut self, reader: Arc<dyn ByteObserver>, stream: OutputStream) -> Self {
        self.bytes = Some((reader, stream));
        self
    }

    /// Takes what was read.
    fn take(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        let clean = self.redaction.push(bytes);
        self.store(&clean);
    }

    /// Adds a line of tos's own, behind what the command said.
    pub(super) fn note(&mut self, line: &str) {
        let rest = self.redaction.finish();
        self.store(&rest);
        let last = self.tail.last().or(self.head.last());
        if last.is_some_and(|byte| *byte != b'\n') {
            self.take(b"\n");
        }
        self.take(format!("{line}\n").as_bytes());
    }

    /// Returns what is to be said about the stream; paths are told relative to `root`.
    pub(super) fn finish(mut self, root: &Path) -> CapturedOutput {
        let rest = self.redaction.finish();
        self.store(&rest);
        // The last line need not have an end.
        if let Some(lines) = self.lines.as_mut().filter(|lines| !lines.begun.is_empty()) {
            lines.end();
        }
        let (head, tail, omitted) = self.cut();
        let shown = self.path.strip_prefix(root).unwrap_or(&self.path);
        let tail_at = self.cleaned - tail.len() as u64;
        if let Some((head, tail, name)) = encoding::decode_output(&head, &tail, tail_at) {
            return CapturedOutput {
                // A secret in another encoding is found only now.
                head: self.redaction.redactor().clean(&head),
                tail: self.redaction.redactor().clean(&tail),
                bytes: self.received,
                omitted,
                file: self.file.is_some().then(|| shown.display().to_string()),
                capped: self.capped,
                escaped: false,
                encoding: Some(name.to_owned()),
            };
        }
        let escaped = std::str::from_utf8(&head).is_err() || std::str::from_utf8(&tail).is_err();
        CapturedOutput {
            head: text(&head, escaped),
            tail: text(&tail, escaped),
            bytes: self.received,
            omitted,
            file: self.file.is_some().then(|| shown.display().to_string()),
            capped: self.capped,
            escaped,
            encoding: None,
        }
    }

    fn store(&mut self, clean: &[u8]) {
        if clean.is_empty() {
            return;
        }
        self.cleaned += clean.len() as u64;
        if let Some((reader, stream)) = &self.bytes {
            reader.bytes(*stream, clean);
        }
        if let Some(lines) = &mut self.lines {
            lines.take(clean);
        }
        let task_folder = self
            .keep
            .head
            .saturating_sub(self.head.len())
            .min(clean.len());
        let (first, rest) = clean.split_at(task_folder);
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        if self.tail.len() > 2 * self.keep.tail + 64 {
            self.tail.drain(..self.tail.len() - self.keep.tail);
        }
        if let Err(error) = self.write(clean) {
            // The command goes on; that its output is not whole on disk is said in the record.
            tracing::warn!(path = %self.path.display(), %error, "output could not be stored");
            self.capped = true;
        }
    }

    fn write(&mut self, clean: &[u8]) -> io::Result<()> {
        if self.capped {
            return Ok(());
        }
        let task_folder = usize::try_from(self.keep.disk - self.on_disk).unwrap_or(usize::MAX);
        let part = &clean[..task_folder.min(clean.len())];
        self.capped = part.len() < clean.len();
        if self.file.is_none() {
            self.file = Some(created(&self.path)?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(part)?;
        }
        self.on_disk += part.len() as u64;
        Ok(())
    }

    /// Splits what is kept into beginning and end, never in the middle of a character.
    fn cut(&mut self) -> (Vec<u8>, Vec<u8>, u64) {
        let kept = self.head.len() + self.tail.len();
        let mut head = std::mem::take(&mut self.head);
        let mut tail = std::mem::take(&mut self.tail);
        if kept <= self.keep.head + self.keep.tail && kept as u64 == self.cleaned {
            head.append(&mut tail);
            return (head, tail, 0);
        }
        tail.drain(..tail.len().saturating_sub(self.keep.tail));
        head.truncate(head.len() - torn_end(&head));
        tail.drain(..torn_start(&tail));
        let omitted = self.cleaned - (head.len() + tail.len()) as u64;
        (head, tail, omitted)
    }
}

/// Opens the file for the whole stream; a link in its place is not followed.
fn created(path: &Path) -> io::Result<fs::File> {
    if let Some(folder) = path.parent() {
        state_folder::create_dir_all(folder)?;
    }
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(no_follow)
        .open(path)
}

/// How many bytes at the end are the beginning of a character that was cut.
fn torn_end(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let needs = match byte {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        return if needs > back { back } else { 0 };
    }
    0
}

/// How many bytes at the start are the end of a character that was cut.
fn torn_start(bytes: &[u8]) -> usize {
    let continuing = bytes
        .iter()
        .take(3)
        .take_while(|byte| (0x80..0xC0).contains(*byte));
    continuing.count()
}

/// As text: UTF-8 as it is; otherwise every byte that is not a character, and every backslash, so
/// that the bytes can be had back, as `\xNN`.
fn text(bytes: &[u8], escaped: bool) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        if escaped {
            out.push_str(&chunk.valid().replace('\\', r"\x5c"));
        } else {
            out.push_str(chunk.valid());
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Reads a pipe into its sink until it ends, or until `done` says that nobody is left to write.
pub(super) async fn pump(
    pipe: OwnedFd,
    sink: &mut OutputSink,
    seen: &AtomicU64,
    mut done: watch::Receiver<bool>,
) -> io::Result<()> {
    let pipe = Receiver::from_owned_fd(pipe)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut last = false;
    loop {
        if !last {
            tokio::select! {
                ready = pipe.readable() => ready?,
                _ = done.wait_for(|done| *done) => last = true,
            }
        }
        match pipe.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                seen.fetch_add(length as u64, Ordering::Relaxed);
                sink.take(&buffer[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && last => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::redaction::Redactor;

    fn sink(folder: &Path, head: usize, tail: usize, disk: u64) -> OutputSink {
        let keep = CaptureLimits { head, tail, disk };
        OutputSink::new(
            folder.join("out/01.stdout"),
            keep,
            Redactor::default().stream(),
        )
    }

    fn captured(
        head: usize,
        tail: usize,
        disk: u64,
        bytes: &[u8],
    ) -> (CapturedOutput, Option<Vec<u8>>) {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = sink(folder.path(), head, tail, disk);
        for piece in bytes.chunks(7) {
            sink.take(piece);
        }
        let captured = sink.finish(folder.path());
        (captured, fs::read(folder.path().join("out/01.stdout")).ok())
    }

    #[test]
    fn w42_a_cut_is_marked_and_the_whole_is_on_disk() {
        let bytes = [b"a".repeat(1000), b"z".repeat(1000)].concat();
        let (captured, file) = captured(10, 5, u64::MAX, &bytes);
        assert_eq!(
            captured,
            CapturedOutput {
                head: "a".repeat(10),
                tail: "z".repeat(5),
                bytes: 2000,
                omitted: 1985,
                file: Some("out/01.stdout".into()),
                capped: false,
                escaped: false,
                encoding: None,
            }
        );
        assert_eq!(file.unwrap(), bytes);
    }

    #[test]
    fn what_fits_is_whole_in_the_head() {
        let (captured, _) = captured(10, 10, u64::MAX, "合計: 3\n".as_bytes());
        assert_eq!(
            (captured.head.as_str(), captured.tail.as_str()),
            ("合計: 3\n", "")
        );
        assert_eq!(captured.omitted, 0);
    }

    #[test]
    fn a_character_is_never_cut() {
        for head in 0..9 {
            let (captured, _) = captured(head, 4, u64::MAX, "合計平均件数".as_bytes());
            assert!(!captured.escaped, "{captured:?}");
            let shown = (captured.head.len() + captured.tail.len()) as u64;
            assert_eq!(shown + captured.omitted, 18);
        }
    }

    #[test]
    fn w40_bytes_that_are_not_utf8_are_escaped_without_loss() {
        let (captured, file) = captured(100, 100, u64::MAX, b"a\\b\xff\n");
        assert_eq!(
            (captured.head.as_str(), captured.escaped),
            ("a\\x5cb\\xff\n", true)
        );
        assert_eq!(file.unwrap(), b"a\\b\xff\n");
    }

    #[test]
    fn output_in_another_encoding_is_text_and_its_bytes_are_on_disk() {
        let (bytes, _, _) =
            encoding_rs::SHIFT_JIS.encode("ファイルが見つかりません。確認してください。\n");
        let (shown, file) = captured(100, 100, u64::MAX, &bytes);
        assert_eq!(shown.head, "ファイルが見つかりません。確認してください。\n");
        assert_eq!(
            (shown.encoding.as_deref(), shown.escaped),
            (Some("Shift_JIS"), false)
        );
        assert_eq!(file.unwrap(), &*bytes);
    }

    #[test]
    fn a_secret_in_another_encoding_does_not_reach_the_models() {
        let text = "\u{FEFF}k sk-0123456789abcdefABCDEF\n";
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(
            captured(100, 100, u64::MAX, &bytes).0.head,
            "k [redacted]\n"
        );
    }

    #[test]
    fn the_cap_on_disk_cuts_the_file_and_says_so() {
        let (captured, file) = captured(4, 4, 10, b"0123456789abcdef");
        assert!(captured.capped);
        assert_eq!(captured.tail, "cdef");
        assert_eq!(file.unwrap(), b"0123456789");
    }

    #[derive(Default)]
    struct LineBatch(std::sync::Mutex<Vec<String>>);

    impl LineObserver for LineBatch {
        fn line(&self, _: OutputStream, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
    }

    #[test]
    fn who_reads_along_gets_whole_lines_however_long_and_none_that_is_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let heard = Arc::new(LineBatch::default());
        let reader: Arc<dyn LineObserver> = Arc::<LineBatch>::clone(&heard);
        let mut sink = sink(folder.path(), 4, 4, u64::MAX).read_by(reader, OutputStream::Stdout);
        let long = "x".repeat(100_000);
        for piece in format!("a\r\n{long}\n\nlast").as_bytes().chunks(1000) {
            sink.take(piece);
        }
        sink.take(b"\n");
        for _ in 0..=CommandStreams::LONGEST_LINE >> 20 {
            sink.take(&vec![b'y'; 1 << 20]);
        }
        sink.take(b"\nend");
        drop(sink.finish(folder.path()));
        let heard = heard.0.lock().unwrap();
        assert_eq!(*heard, ["a", &long, "", "last", "end"]);
    }

    #[test]
    fn a_silent_stream_leaves_no_file() {
        let (captured, file) = captured(4, 4, 10, b"");
        assert_eq!((captured, file), (CapturedOutput::default(), None));
    }

    #[test]
    fn w41_a_secret_reaches_neither_memory_nor_disk() {
        let (captured, file) = captured(100, 100, u64::MAX, b"k sk-0123456789abcdefABCDEF\n");
        assert_eq!(captured.head, "k [redacted]\n");
        assert_eq!(file.unwrap(), b"k [redacted]\n");
    }
}
