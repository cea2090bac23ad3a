//! The chain: each line carries the hash of itself and, inside what is hashed, the hash of the line before.
//!
//! A chain alone does not notice a missing end. So the head is written down elsewhere too (an
//! [`ChainAnchor`]): beside the ledger, in the user's state folder, in every commit tos makes. A ledger that
//! does not contain an anchored record is broken. Commits travel, ledgers do not: what a commit says of the ledger of another
//! folder is no evidence here, so a commit names its ledger too.

use serde::{Deserialize, Serialize};

use crate::domain::{
    hash::{digest, hex},
    ledger::{LedgerEntry, LedgerRecord, VERSION},
};

/// The `prev` of the very first record.
pub const ROOT: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A place in the ledger that was written down elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChainAnchor {
    /// The record.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl ChainAnchor {
    /// Returns the text of a commit trailer: `<seq>:<hash>`.
    pub fn commit_trailer(&self) -> String {
        format!("{}:{}", self.seq, self.hash)
    }

    /// Reads what [`Self::commit_trailer`] wrote.
    pub fn from_trailer(text: &str) -> Option<Self> {
        let (seq, hash) = text.trim().split_once(':')?;
        let whole = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Self {
            seq: seq.parse().ok()?,
            hash: whole.then(|| hash.to_owned())?,
        })
    }
}

/// A place in a ledger that a commit names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitAnchor {
    /// The record.
    pub anchor: ChainAnchor,
    /// The ledger it is in; commits of earlier versions do not say.
    pub ledger: Option<String>,
    /// Whether a reference of tos stands at the commit: these are made here, and a clone does not bring them.
    pub is_tip: bool,
}

impl CommitAnchor {
    /// Reads the trailer of a commit: `<seq>:<hash>` or `<seq>:<hash>:<ledger>`.
    pub fn from_trailer(text: &str, is_tip: bool) -> Option<Self> {
        let text = text.trim();
        let ledger = text.splitn(3, ':').nth(2);
        let anchor = ledger
            .and_then(|ledger| text.strip_suffix(ledger)?.strip_suffix(':'))
            .unwrap_or(text);
        Some(Self {
            anchor: ChainAnchor::from_trailer(anchor)?,
            ledger: ledger.map(str::to_owned),
            is_tip,
        })
    }

    /// Whether it says something about a ledger, rather than about one of another folder.
    fn concerns(&self, ledger: Option<&str>) -> bool {
        self.is_tip || (self.ledger.is_some() && self.ledger.as_deref() == ledger)
    }
}

/// A ledger that holds together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VerifiedLedger {
    /// The records, oldest first.
    pub records: Vec<LedgerRecord>,
    /// The last one and its hash.
    pub head: Option<ChainAnchor>,
    /// Bytes at the end that a crash cut off in mid-line; they were never confirmed to anybody.
    pub torn: usize,
    /// What commits call this ledger: the beginning of the hash of its first record.
    pub name: Option<String>,
    /// Whether commits name records of ledgers that other folders keep.
    pub has_foreign_commits: bool,
}

impl VerifiedLedger {
    /// Returns the text of a commit trailer that names the last record and the ledger.
    pub fn commit_trailer(&self) -> Option<String> {
        let head = self.head.as_ref()?.commit_trailer();
        let name = self.name.iter().map(|name| format!(":{name}"));
        Some(std::iter::once(head).chain(name).collect())
    }

    /// Returns the sentence for a folder that has no ledger yet, although its commits name one: a clone.
    pub fn clone_note(&self) -> Option<&'static str> {
        (self.records.is_empty() && self.has_foreign_commits).then_some(
            "no ledger here yet: its commits name records of another folder, as in a new clone; those do not count here, and \
             autonomy begins at the lowest level",
        )
    }
}

/// Where and why a ledger does not hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {at}: {why}")]
pub struct ChainError {
    /// The number of the first record that is wrong.
    pub at: u64,
    /// What is wrong with it.
    pub why: String,
}

/// Returns the hash of some bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&digest(bytes))
}

/// Returns the line of a record, with its hash and line feed, and the anchor that names it.
pub fn chain_record(record: &LedgerRecord) -> Result<(String, ChainAnchor), serde_json::Error> {
    let body = serde_json::to_string(record)?;
    let hash = sha256(body.as_bytes());
    let open = body.strip_suffix('}').unwrap_or(&body);
    let line = format!("{open},\"hash\":\"{hash}\"}}\n");
    let seq = record.seq;
    Ok((line, ChainAnchor { seq, hash }))
}

/// How much of the hash of the first record names a ledger.
const NAME_LENGTH: usize = 16;

/// Reads a whole ledger and checks every link, every head kept for this folder, and what commits say about this ledger.
pub fn verify(
    bytes: &[u8],
    heads: &[ChainAnchor],
    commits: &[CommitAnchor],
) -> Result<VerifiedLedger, ChainError> {
    let mut chain = VerifiedLedger::default();
    let mut hashes: Vec<ChainAnchor> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let at = hashes.last().map_or(0, |last| last.seq + 1);
        let Some(line) = line.strip_suffix(b"\n") else {
            chain.torn = line.len();
            break;
        };
        let (record, hash) = open(line, at)?;
        follows(&record, hashes.last(), at)?;
        hashes.push(ChainAnchor {
            seq: record.seq,
            hash,
        });
        chain.records.push(record);
    }
    chain.name = hashes
        .first()
        .map(|first| first.hash.chars().take(NAME_LENGTH).collect());
    for head in heads {
        holds(head, &hashes)?;
    }
    for commit in commits {
        if commit.concerns(chain.name.as_deref()) {
            holds(&commit.anchor, &hashes)?;
        } else {
            chain.has_foreign_commits = true;
        }
    }
    chain.head = hashes.pop();
    Ok(chain)
}

fn open(line: &[u8], at: u64) -> Result<(LedgerRecord, String), ChainError> {
    let broken = |why: &str| ChainError {
        at,
        why: why.to_owned(),
    };
    let line = std::str::from_utf8(line).map_err(|_| broken("is not text"))?;
    let parts = line
        .strip_suffix("\"}")
        .and_then(|line| line.rsplit_once(",\"hash\":\""));
    let (body, hash) = parts.ok_or_else(|| broken("carries no hash"))?;
    let body = format!("{body}}}");
    if sha256(body.as_bytes()) != hash {
        return Err(broken("was changed: its hash does not fit"));
    }
    let record: LedgerRecord = serde_json::from_str(&body).map_err(|error| ChainError {
        at,
        why: format!("cannot be read by this version of tos: {error}"),
    })?;
    if record.v != VERSION {
        return Err(broken("was written by another version of tos"));
    }
    Ok((record, hash.to_owned()))
}

fn follows(record: &LedgerRecord, last: Option<&ChainAnchor>, at: u64) -> Result<(), ChainError> {
    let fits = match last {
        Some(last) => record.prev == last.hash && record.seq == at,
        // A ledger begins at zero, or with the note that an older one was put aside.
        None => {
            matches!(record.entry, LedgerEntry::Gap { .. })
                || (record.prev == ROOT && record.seq == 0)
        }
    };
    fits.then_some(()).ok_or_else(|| ChainError {
        at,
        why: "does not follow the record before it; one was removed, added or moved".to_owned(),
    })
}

fn holds(anchor: &ChainAnchor, hashes: &[ChainAnchor]) -> Result<(), ChainError> {
    let first = hashes.first().map_or(0, |first| first.seq);
    if anchor.seq < first || hashes.contains(anchor) {
        return Ok(());
    }
    let missing = hashes.last().is_none_or(|last| last.seq < anchor.seq);
    Err(ChainError {
        at: if missing {
            hashes.last().map_or(0, |last| last.seq + 1)
        } else {
            anchor.seq
        },
        why: if missing {
            format!("records up to {} are missing", anchor.seq)
        } else {
            "is not the one that was written down elsewhere".to_owned()
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ledger::RecordMetadata;

    fn record(seq: u64, prev: &str) -> LedgerRecord {
        LedgerRecord {
            v: VERSION,
            seq,
            prev: prev.to_owned(),
            stamp: RecordMetadata {
                at: chrono::DateTime::parse_from_rfc3339("2026-03-10T22:00:00+09:00").unwrap(),
                boottime_ms: 5,
                boot_id: "b".into(),
                actor: "tos".into(),
                tool: "0.4.0".into(),
                policy: "p".into(),
                gates: "g".into(),
                session: None,
            },
            entry: LedgerEntry::Observed {
                name: format!("n{seq}"),
                detail: "it, \"hash\":\"x\"}".into(),
            },
        }
    }

    fn ledger(count: u64) -> (Vec<String>, ChainAnchor) {
        let mut lines = Vec::new();
        let mut last = ChainAnchor {
            seq: 0,
            hash: ROOT.into(),
        };
        for seq in 0..count {
            let (line, anchor) = chain_record(&record(seq, &last.hash)).unwrap();
            lines.push(line);
            last = anchor;
        }
        (lines, last)
    }

    #[test]
    fn a_ledger_reads_back_as_it_was_written() {
        let (lines, head) = ledger(5);
        let chain = verify(lines.concat().as_bytes(), std::slice::from_ref(&head), &[]).unwrap();
        assert_eq!(chain.records.len(), 5);
        assert_eq!(chain.head, Some(head.clone()));
        assert_eq!(
            ChainAnchor::from_trailer(&head.commit_trailer()),
            Some(head)
        );
    }

    #[test]
    fn a_crash_in_mid_line_loses_nothing_that_was_confirmed() {
        let (lines, head) = ledger(3);
        let text = format!("{}{}", lines.concat(), "{\"v\":1,\"se");
        let chain = verify(text.as_bytes(), &[head], &[]).unwrap();
        assert_eq!((chain.records.len(), chain.torn), (3, 10));
    }

    #[test]
    fn an_emptied_ledger_is_broken_where_an_anchor_remembers_it() {
        let (_, head) = ledger(3);
        assert_eq!(verify(b"", &[head], &[]).unwrap_err().at, 0);
    }

    fn commit(trailer: &str, is_tip: bool) -> CommitAnchor {
        CommitAnchor::from_trailer(trailer, is_tip).unwrap()
    }

    #[test]
    fn a_clone_has_no_ledger_yet_and_the_commits_of_the_other_one_do_not_break_its_own() {
        let (lines, _) = ledger(5);
        let there = verify(lines.concat().as_bytes(), &[], &[]).unwrap();
        let trailer = there.commit_trailer().unwrap();
        let old = there.head.unwrap().commit_trailer();
        let commits = [commit(&trailer, false), commit(&old, false)];
        let fresh = verify(b"", &[], &commits).unwrap();
        assert!(fresh.clone_note().unwrap().contains("no ledger here yet"));
        let mut own = record(0, ROOT);
        own.stamp.actor = "another".into();
        let (line, head) = chain_record(&own).unwrap();
        let begun = verify(line.as_bytes(), &[head], &commits).unwrap();
        assert_eq!((begun.records.len(), begun.clone_note()), (1, None));
    }

    #[test]
    fn commits_of_this_ledger_and_references_of_this_folder_remember_what_is_missing() {
        let (lines, head) = ledger(5);
        let whole = verify(lines.concat().as_bytes(), &[], &[]).unwrap();
        let own = commit(&whole.commit_trailer().unwrap(), false);
        assert_eq!(own.anchor, head);
        let short = lines[..3].concat();
        assert_eq!(verify(short.as_bytes(), &[], &[own]).unwrap_err().at, 3);
        let tip = commit(&head.commit_trailer(), true);
        assert_eq!(verify(b"", &[], &[tip]).unwrap_err().at, 0);
    }

    proptest! {
        #[test]
        fn removing_any_record_is_detected(count in 1_u64..12, at in any::<prop::sample::Index>()) {
            let (mut lines, head) = ledger(count);
            lines.remove(at.index(lines.len()));
            prop_assert!(verify(lines.concat().as_bytes(), &[head], &[]).is_err());
        }

        #[test]
        fn changing_any_byte_is_detected(count in 1_u64..6, at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let (lines, head) = ledger(count);
            let mut bytes = lines.concat().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            prop_assert!(verify(&bytes, &[head], &[]).is_err());
        }

        #[test]
        fn swapping_two_records_is_detected(count in 2_u64..8, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
            let (mut lines, head) = ledger(count);
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            prop_assume!(a != b);
            lines.swap(a, b);
            prop_assert!(verify(lines.concat().as_bytes(), &[head], &[]).is_err());
        }
    }
}
