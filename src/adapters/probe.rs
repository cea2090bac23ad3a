//! Looks at files and programs for a done condition. Reads text in the encodings the original promised.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    adapters::encoding,
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
                || Sight::Unreadable("no text in an encoding that can be told".to_owned()),
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
            grace: None,
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

/// Reads text in the encodings the original promised (UTF-8, UTF-16, CP932) and in others that can be told.
pub fn decode(bytes: &[u8]) -> Option<String> {
    encoding::decode(bytes).map(|(text, _)| text)
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
