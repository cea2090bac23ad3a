//! Looks at files and programs for a done condition. Reads text in the encodings the original promised.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    domain::{
        command::{Command, Kind},
        gate::Sight,
        history::exit_words,
        process::Exit,
        rules::Check,
    },
    ports::{
        BoxFuture,
        probe::Probe,
        runner::{Order, Runner, Streams},
    },
};

/// Files above this size are not searched, so that a runaway result cannot fill the memory.
const LARGEST: u64 = 64 << 20;

/// Looks at the disk below one root, and runs the programs of checks with the job's own runner, so that
/// what a job wrote is as confined when it is checked as when it ran.
pub struct DiskProbe {
    root: PathBuf,
    deadline: Duration,
    runner: Arc<dyn Runner>,
}

impl std::fmt::Debug for DiskProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskProbe")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl DiskProbe {
    /// Makes a probe; programs of checks get `deadline`.
    pub fn new(root: PathBuf, deadline: Duration, runner: Arc<dyn Runner>) -> Self {
        Self {
            root,
            deadline,
            runner,
        }
    }

    fn text(&self, file: &std::path::Path) -> Sight {
        let path = self.root.join(file);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Sight::Absent,
            Ok(meta) if meta.len() > LARGEST => {
                return Sight::Unreadable(format!("{} bytes are too many to search", meta.len()));
            }
            _ => {}
        }
        match fs::read(&path) {
            Ok(bytes) => decode(&bytes).map_or_else(
                || Sight::Unreadable("neither UTF-8, UTF-16 nor CP932 text".to_owned()),
                Sight::Text,
            ),
            Err(error) => Sight::Unreadable(error.to_string()),
        }
    }

    fn there(&self, file: &std::path::Path) -> Sight {
        match fs::symlink_metadata(self.root.join(file)) {
            Ok(_) => Sight::Text(String::new()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Sight::Absent,
            Err(error) => Sight::Unreadable(error.to_string()),
        }
    }

    async fn ended(&self, argv: &[String]) -> Sight {
        let scratch = match tempfile::tempdir() {
            Ok(folder) => folder,
            Err(error) => return Sight::NotRun(format!("no temporary folder: {error}")),
        };
        let order = Order {
            command: Command {
                kind: Kind::Exec,
                code: String::new(),
                argv: argv.to_vec(),
            },
            directory: self.root.clone(),
            deadline: self.deadline,
            idle_deadline: None,
            environment: Vec::new(),
            output_directory: scratch.path().to_owned(),
            index: 1,
            token: "check".to_owned(),
            streams: Streams::default(),
        };
        match self.runner.run(&order).await {
            Err(failure) => Sight::NotRun(failure.message),
            Ok(end) => match end.exit {
                Exit::Code { code } => Sight::Ended(code),
                other => Sight::NotRun(exit_words(&other)),
            },
        }
    }
}

impl Probe for DiskProbe {
    fn look<'a>(&'a self, checks: &'a [Check]) -> BoxFuture<'a, Vec<Sight>> {
        Box::pin(async move {
            let mut sights = Vec::with_capacity(checks.len());
            for check in checks {
                sights.push(match check {
                    Check::Contains { file, .. } | Check::Matches { file, .. } => self.text(file),
                    Check::Exists { file, .. } => self.there(file),
                    Check::Command { argv, .. } => self.ended(argv).await,
                });
            }
            sights
        })
    }
}

/// Reads text as UTF-8 (with BOM or not), UTF-16 with BOM, UTF-16LE without BOM, else CP932.
///
/// Bytes without a BOM that hold zeros cannot be UTF-8 or CP932 text, so those are tried as UTF-16LE.
pub fn decode(bytes: &[u8]) -> Option<String> {
    if let Some((encoding, skip)) = encoding_rs::Encoding::for_bom(bytes) {
        return strict(encoding, &bytes[skip..]);
    }
    if bytes.contains(&0) {
        return strict(encoding_rs::UTF_16LE, bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(text.to_owned());
    }
    // Text without any zero byte can be UTF-16 as well (kana and kanji only), but then CP932 has to fail.
    strict(encoding_rs::SHIFT_JIS, bytes).or_else(|| strict(encoding_rs::UTF_16LE, bytes))
}

fn strict(encoding: &'static encoding_rs::Encoding, bytes: &[u8]) -> Option<String> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: &str = "合計: 600\n平均: 200\n件数: 3\n";

    #[test]
    fn w43_cp932_and_utf_16_without_bom_are_read() {
        let (cp932, _, _) = encoding_rs::SHIFT_JIS.encode(GOAL);
        assert_eq!(decode(&cp932).as_deref(), Some(GOAL));
        let utf16: Vec<u8> = GOAL.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&utf16).as_deref(), Some(GOAL));
    }

    #[test]
    fn w44_a_byte_order_mark_is_not_part_of_the_text() {
        let utf8 = [b"\xef\xbb\xbf".as_slice(), GOAL.as_bytes()].concat();
        assert_eq!(decode(&utf8).as_deref(), Some(GOAL));
        let mut utf16 = vec![0xff, 0xfe];
        utf16.extend(GOAL.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(decode(&utf16).as_deref(), Some(GOAL));
        let mut utf16 = vec![0xfe, 0xff];
        utf16.extend(GOAL.encode_utf16().flat_map(u16::to_be_bytes));
        assert_eq!(decode(&utf16).as_deref(), Some(GOAL));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(decode(&[0xff, 0xfe, 0x00]), None);
    }
}
