//! The file format of recorded replies: JSON lines, one reply each; see `docs/replay-format.md`.
//!
//! A reply is found by job, role and turn. Where a recording holds the same place twice (it was resumed
//! after a crash, or recorded again), the last line counts. A last line without its line end that cannot
//! be read is what a crash leaves behind and is passed over; any other unreadable line is an error.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io,
    io::{Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    adapters::model::error::BuildError,
    domain::model::{FinishReason, ModelReply, ModelRequest, ModelRole, TokenUsage},
};

/// The version this tos writes, and the only one it reads.
const VERSION: u32 = 1;

/// One recorded reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedReply {
    version: u32,
    job: u32,
    role: ModelRole,
    turn: u32,
    pub(super) text: String,
    #[serde(default = "complete", skip_serializing_if = "is_complete")]
    pub(super) finish: FinishReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<TokenUsage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prompt_sha256: Option<String>,
}

const fn complete() -> FinishReason {
    FinishReason::Complete
}

fn is_complete(finish: &FinishReason) -> bool {
    *finish == FinishReason::Complete
}

impl RecordedReply {
    /// Makes the entry for a reply to a query.
    pub(super) fn new(query: &ModelRequest, reply: &ModelReply) -> Self {
        Self {
            version: VERSION,
            job: query.job,
            role: query.role,
            turn: query.turn,
            text: reply.text.clone(),
            finish: reply.finish.clone(),
            usage: Some(reply.usage),
            provider: Some(reply.provider.clone()),
            model: Some(reply.model.clone()),
            prompt_sha256: Some(digest(&query.prompt)),
        }
    }
}

/// Returns the SHA-256 of a prompt in hexadecimal digits.
pub(super) fn digest(prompt: &str) -> String {
    Sha256::digest(prompt.as_bytes())
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// The replies of a recording.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RecordedReplies(BTreeMap<(u32, ModelRole, u32), RecordedReply>);

impl RecordedReplies {
    /// Reads a recording; `origin` names it in messages.
    pub(super) fn read(origin: &str, text: &str) -> Result<Self, BuildError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut replies = BTreeMap::new();
        let mut lines = text.split_inclusive('\n').enumerate().peekable();
        while let Some((index, line)) = lines.next() {
            if line.trim().is_empty() {
                continue;
            }
            match entry(line) {
                Ok(entry) => {
                    replies.insert((entry.job, entry.role, entry.turn), entry);
                }
                Err(problem) if lines.peek().is_none() && !line.ends_with('\n') => {
                    tracing::warn!(
                        origin,
                        problem,
                        "the recording ends in a torn line, passed over"
                    );
                }
                Err(problem) => {
                    return Err(BuildError::RecordingLine {
                        origin: origin.to_owned(),
                        line: index + 1,
                        problem,
                    });
                }
            }
        }
        Ok(Self(replies))
    }

    /// Returns the reply to this query.
    pub(super) fn find(&self, query: &ModelRequest) -> Option<&RecordedReply> {
        self.0.get(&(query.job, query.role, query.turn))
    }

    /// Returns how many replies of the query's role and job there are.
    pub(super) fn count(&self, query: &ModelRequest) -> usize {
        let place = |turn| (query.job, query.role, turn);
        self.0.range(place(0)..=place(u32::MAX)).count()
    }
}

fn entry(line: &str) -> Result<RecordedReply, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match value.get("version").and_then(Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            return Err(format!(
                "its version is {version}, this tos reads {VERSION}"
            ));
        }
        None => return Err("it has no version".to_owned()),
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Makes a file ready to be appended to: creates it, its directories, and cuts off a torn last line.
pub(super) fn blocking_prepare(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    OpenOptions::new().read(true).open(parent)?.sync_all()?;
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    match tail(&text) {
        RecordingEnd::Ended => return Ok(()),
        RecordingEnd::Whole => file.write_all(b"\n")?,
        RecordingEnd::Torn { from } => {
            tracing::warn!(path = %path.display(), "removed a torn last line from the recording");
            file.set_len(from)?;
        }
    }
    file.sync_data()
}

/// How a recording ends.
enum RecordingEnd {
    /// With a line end, or it is empty.
    Ended,
    /// With an entry that lacks its line end.
    Whole,
    /// With something a crash left behind.
    Torn { from: u64 },
}

fn tail(text: &[u8]) -> RecordingEnd {
    let from = text
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let rest = &text[from..];
    if rest.is_empty() {
        RecordingEnd::Ended
    } else if std::str::from_utf8(rest).is_ok_and(|line| entry(line).is_ok()) {
        RecordingEnd::Whole
    } else {
        RecordingEnd::Torn { from: from as u64 }
    }
}

/// Appends one entry with a single write and waits until it is on disk.
pub(super) fn blocking_append(path: &Path, entry: &RecordedReply) -> io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(&line)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn query(role: ModelRole, turn: u32) -> ModelRequest {
        ModelRequest {
            role,
            prompt: "P".into(),
            job: 1,
            turn,
            deadline: Duration::ZERO,
        }
    }

    fn line(turn: u32, text: &str) -> String {
        format!(
            "{{\"version\":1,\"job\":1,\"role\":\"draft\",\"turn\":{turn},\"text\":\"{text}\"}}\n"
        )
    }

    #[test]
    fn the_last_line_for_a_place_counts() {
        let text = format!("{}\n{}{}", line(0, "a"), line(1, "b"), line(0, "c"));
        let replies = RecordedReplies::read("r", &text).unwrap();
        assert_eq!(replies.find(&query(ModelRole::Draft, 0)).unwrap().text, "c");
        assert_eq!(replies.find(&query(ModelRole::Final, 0)), None);
        assert_eq!(replies.count(&query(ModelRole::Draft, 9)), 2);
    }

    #[test]
    fn a_torn_last_line_is_passed_over_and_any_other_is_an_error() {
        let torn = format!("{}{{\"version\":1,\"jo", line(0, "a"));
        assert_eq!(RecordedReplies::read("r", &torn).unwrap().0.len(), 1);
        let fault = RecordedReplies::read("r", &format!("{torn}\n{}", line(1, "b"))).unwrap_err();
        assert!(
            matches!(fault, BuildError::RecordingLine { line: 2, .. }),
            "{fault}"
        );
    }

    #[test]
    fn versions_and_fields_are_strict() {
        let fault = |text: &str| RecordedReplies::read("r", text).unwrap_err().to_string();
        assert_eq!(
            fault("{\"version\":2}\n"),
            "line 1 of the recording r is not a recorded reply: its version is 2, this tos reads 1"
        );
        assert!(fault("{\"job\":1}\n").contains("no version"));
        let extra = line(0, "a").replace("\"job\"", "\"jop\":1,\"job\"");
        assert!(fault(&extra).contains("jop"));
    }

    #[test]
    fn a_torn_tail_is_cut_before_appending_and_an_unended_line_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/r.jsonl");
        blocking_prepare(&path).unwrap();
        for (before, after) in [
            (format!("{}{{\"ver", line(0, "a")), line(0, "a")),
            (line(0, "a").trim_end().to_owned(), line(0, "a")),
            ("\u{1}".to_owned(), String::new()),
        ] {
            std::fs::write(&path, before).unwrap();
            blocking_prepare(&path).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn a_digest_is_the_usual_one() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(""), empty);
    }
}
