//! Turns the errors of disk and libgit2 into the failures a caller can act on.

use std::path::Path;

use crate::domain::checkpoint::{CheckpointError, display_path};

/// What everything in this folder returns.
pub(super) type Result<T> = std::result::Result<T, CheckpointError>;

/// Names what was being done when an error came.
pub(super) trait ErrorContext<T> {
    /// Wraps the error with a sentence.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;

    /// Wraps the error with a verb and the path it happened at.
    fn at(self, verb: &str, path: &Path) -> Result<T>
    where
        Self: Sized,
    {
        self.doing(|| format!("could not {verb} `{}`", path_text(path)))
    }
}

impl<T, E> ErrorContext<T> for std::result::Result<T, E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| {
            let remedy = if is_full(&source) {
                "; free some space and try again"
            } else {
                ""
            };
            CheckpointError::Io {
                doing: what() + remedy,
                source: Box::new(source),
            }
        })
    }
}

/// Whether an error tells of a full disk; libgit2 says it in words only.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let kind = error
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind);
    matches!(kind, Some(StorageFull | QuotaExceeded))
        || error.to_string().contains("No space left on device")
}

/// Returns what a thread returned; its panic is a failure like another, never a missing part.
pub(super) fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| {
        Err(CheckpointError::Io {
            doing: "a part of the work broke off".to_owned(),
            source: "a thread panicked".into(),
        })
    })
}

/// Returns a path as a person can read it.
pub(super) fn path_text(path: &Path) -> String {
    display_path(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

/// Returns a failure for bytes that are not what their format demands.
pub(super) fn corrupt(what: &str, path: &Path) -> CheckpointError {
    CheckpointError::Io {
        doing: format!("could not read `{}`", path_text(path)),
        source: what.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_what_to_do() {
        let told = |kind: std::io::ErrorKind| {
            let failed: std::io::Result<()> = Err(kind.into());
            let error = failed.at("write", Path::new("/r/.git/tos-index-1-0"));
            error.unwrap_err().to_string()
        };
        assert!(told(std::io::ErrorKind::StorageFull).ends_with("; free some space and try again"));
        assert!(told(std::io::ErrorKind::NotFound).ends_with("tos-index-1-0`"));
    }
}
