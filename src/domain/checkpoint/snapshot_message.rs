//! The note in a safety snapshot: where HEAD stood, so that undo can put it back.
//!
//! A snapshot is a commit whose tree is the work tree with its untracked files. Its parents are the
//! HEAD of that moment (if there was one), a commit of the index and, where the index held what no tree
//! can express, a commit with its raw bytes. The message carries what a commit has no field for.

/// What HEAD was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadState {
    /// A branch, by its full ref name; the commit is `None` before the first one.
    Branch {
        /// The full ref name.
        name: String,
        /// The commit it pointed at.
        at: Option<String>,
    },
    /// A commit without a branch.
    Detached {
        /// The commit.
        at: String,
    },
}

impl HeadState {
    /// Returns the commit, if there was one.
    pub fn commit(&self) -> Option<&str> {
        match self {
            Self::Branch { at, .. } => at.as_deref(),
            Self::Detached { at } => Some(at),
        }
    }

    /// Returns the branch's full ref name.
    pub fn ref_name(&self) -> Option<&str> {
        match self {
            Self::Branch { name, .. } => Some(name),
            Self::Detached { .. } => None,
        }
    }

    /// Returns the branch without `refs/heads/`.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Branch { name, .. } => Some(name.strip_prefix("refs/heads/").unwrap_or(name)),
            Self::Detached { .. } => None,
        }
    }
}

/// What a snapshot's message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotMessage {
    /// What the snapshot was taken for, in one line.
    pub reason: String,
    /// Where HEAD stood.
    pub head: HeadState,
    /// True where the last parent holds the raw index.
    pub raw_index: bool,
}

const SUBJECT: &str = "SAFETY ";

impl SnapshotMessage {
    /// Returns the commit message.
    pub fn to_message(&self) -> String {
        let (name, at) = match &self.head {
            HeadState::Branch { name, at } => (name.as_str(), at.as_deref().unwrap_or("none")),
            HeadState::Detached { at } => ("detached", at.as_str()),
        };
        let index = if self.raw_index { "raw" } else { "tree" };
        let reason = &self.reason;
        format!("{SUBJECT}{reason}\n\nhead: {name}\nat: {at}\nindex: {index}\n")
    }

    /// Returns the note in a commit message, `None` where it is not a snapshot's.
    pub fn from_message(message: &str) -> Option<Self> {
        let reason = message.lines().next()?.strip_prefix(SUBJECT)?.to_owned();
        let field = |key: &str| message.lines().find_map(|line| line.strip_prefix(key));
        let (name, at) = (field("head: ")?, field("at: ")?);
        let head = match (name, at) {
            ("detached", at) => HeadState::Detached { at: at.to_owned() },
            (name, "none") => HeadState::Branch {
                name: name.to_owned(),
                at: None,
            },
            (name, at) => HeadState::Branch {
                name: name.to_owned(),
                at: Some(at.to_owned()),
            },
        };
        let raw_index = field("index: ")? == "raw";
        Some(Self {
            reason,
            head,
            raw_index,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(head: HeadState, raw_index: bool) {
        let note = SnapshotMessage {
            reason: "before rollback to 1234".into(),
            head,
            raw_index,
        };
        assert_eq!(
            SnapshotMessage::from_message(&note.to_message()),
            Some(note)
        );
    }

    #[test]
    fn a_note_comes_back_from_its_message() {
        let name = "refs/heads/main".to_owned();
        round_trip(
            HeadState::Branch {
                name: name.clone(),
                at: None,
            },
            true,
        );
        round_trip(
            HeadState::Branch {
                name,
                at: Some("ab".into()),
            },
            false,
        );
        round_trip(HeadState::Detached { at: "cd".into() }, false);
    }

    #[test]
    fn a_message_of_somebody_else_is_not_a_note() {
        assert_eq!(
            SnapshotMessage::from_message("SAFETY first\n\nwe all need it\n"),
            None
        );
        assert_eq!(SnapshotMessage::from_message("fix"), None);
    }
}
