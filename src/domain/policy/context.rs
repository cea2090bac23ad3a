//! What the policy is told about the world, as values: it looks at nothing itself.

use std::{
    fmt::Debug,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How an attempt to parse a shell text within limits ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseOutcome {
    /// The parser came back, whatever it found.
    Ended,
    /// Nothing here can try it: only texts without a known fault of the parser are parsed.
    NotTried,
    /// It took longer than it may.
    OverTime,
    /// It needed more time or memory than it was given, or failed in another way.
    Died,
    /// The attempt could not be made.
    NotStarted,
}

/// Looks at the disk on behalf of the policy. Without one, paths are compared as they are written.
pub trait FilesystemView: Debug + Send + Sync {
    /// Returns the path with every symbolic link followed, for the part of it that exists.
    fn real_path(&self, path: &Path) -> Option<PathBuf>;

    /// Returns the usual name of the program that this file really is, if it is a known one under another name.
    fn known_program(&self, path: &Path) -> Option<String>;

    /// Returns whether something is at a path.
    fn is_there(&self, path: &Path) -> bool {
        let _ = path;
        true
    }

    /// Parses a shell text where a limit of time and memory ends the attempt, whatever the text does to the parser.
    fn try_parse(&self, _code: &str) -> ParseOutcome {
        ParseOutcome::NotTried
    }
}

/// The circumstances under which a command would run.
#[derive(Debug, Clone)]
pub struct PolicyContext {
    /// The root of the job, absolute.
    pub root: PathBuf,
    /// The folder the command starts in, absolute; the root where it is not given.
    pub folder: Option<PathBuf>,
    /// The home folder, absolute; `None` when it is not known.
    pub home: Option<PathBuf>,
    /// Folders besides the root that any command may fill and empty.
    pub scratch: Vec<PathBuf>,
    /// Whether the command will run behind a sandbox that proved what it promises.
    pub sandbox_proved: bool,
    /// Whether somebody can answer a question; where nobody can, `ask` becomes `deny`.
    pub attended: bool,
    /// How to look at the disk.
    pub eyes: Option<Arc<dyn FilesystemView>>,
}

impl PolicyContext {
    /// Returns the strictest circumstances: no sandbox, nobody to ask, no look at the disk.
    pub fn unattended(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            folder: None,
            home: None,
            scratch: ["/tmp", "/var/tmp", "/dev/shm"].map(PathBuf::from).to_vec(),
            sandbox_proved: false,
            attended: false,
            eyes: None,
        }
    }
}
