//! Looks at files and programs for a done condition. Reads text in the encodings the original promised.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    adapters::process::encoding,
    domain::{
        command::Command,
        job::{done_condition::Observation, history::exit_description, rules::DoneCheck},
        process::ExitStatus,
    },
    ports::{
        BoxFuture,
        probe::ConditionProbe,
        runner::{CommandRequest, CommandRunner, CommandStreams},
    },
};

/// Files above this size are not searched, so that a runaway result cannot fill the memory.
const LARGEST: u64 = 64 << 20;

/// Looks at the disk below one root, and runs the programs of checks with the job's own runner, so that
/// what a job wrote is as confined when it is checked as when it ran.
pub struct DiskConditionProbe {
    root: PathBuf,
    deadline: Duration,
    runner: Arc<dyn CommandRunner>,
}

impl std::fmt::Debug for DiskConditionProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskConditionProbe")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl DiskConditionProbe {
    /// Makes a probe; programs of checks get `deadline`.
    pub fn new(root: PathBuf, deadline: Duration, runner: Arc<dyn CommandRunner>) -> Self {
        Self {
            root,
            deadline,
            runner,
        }
    }

    fn text(&self, file: &std::path::Path) -> Observation {
        let path = self.root.join(file);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Observation::Absent,
            Ok(meta) if meta.len() > LARGEST => {
                return Observation::Unreadable(format!(
                    "{} bytes are too many to search",
                    meta.len()
                ));
            }
            _ => {}
        }
        match fs::read(&path) {
            Ok(bytes) => decode(&bytes).map_or_else(
                || Observation::Unreadable("no text in an encoding that can be told".to_owned()),
                Observation::Text,
            ),
            Err(error) => Observation::Unreadable(error.to_string()),
        }
    }

    fn there(&self, file: &std::path::Path) -> Observation {
        match fs::symlink_metadata(self.root.join(file)) {
            Ok(_) => Observation::Text(String::new()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Observation::Absent,
            Err(error) => Observation::Unreadable(error.to_string()),
        }
    }

    async fn ended(&self, argv: &[String]) -> Observation {
        let scratch = match tempfile::tempdir() {
            Ok(folder) => folder,
            Err(error) => return Observation::NotRun(format!("no temporary folder: {error}")),
        };
        let order = CommandRequest {
            command: Command::exec(argv.to_vec()),
            directory: self.root.clone(),
            deadline: self.deadline,
            idle_deadline: None,
            grace: None,
            environment: Vec::new(),
            output_directory: scratch.path().to_owned(),
            index: 1,
            token: "check".to_owned(),
            streams: CommandStreams::default(),
        };
        match self.runner.run(&order).await {
            Err(failure) => Observation::NotRun(failure.message),
            Ok(end) => match end.exit {
                ExitStatus::Code { code } => Observation::Ended(code),
                other => Observation::NotRun(exit_description(&other)),
            },
        }
    }
}

impl ConditionProbe for DiskConditionProbe {
    fn observe<'a>(&'a self, checks: &'a [DoneCheck]) -> BoxFuture<'a, Vec<Observation>> {
        Box::pin(async move {
            let mut sights = Vec::with_capacity(checks.len());
            for check in checks {
                sights.push(match check {
                    DoneCheck::Contains { file, .. } | DoneCheck::Matches { file, .. } => {
                        self.text(file)
                    }
                    DoneCheck::Exists { file, .. } => self.there(file),
                    DoneCheck::Command { argv, .. } => self.ended(argv).await,
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
