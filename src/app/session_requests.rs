//! The sessions that commands lay down for the service of their root.

use std::path::Path;

use crate::{
    adapters::files,
    domain::{
        board::{SessionRequest, SessionSpec},
        state_folder::TOS_FOLDER,
        tasks::RunProgress,
    },
    ports::{board::BoardError, ledger::Ledger},
};

/// Where commands lay down the sessions that they hand over, below the state folder.
const SESSIONS: &str = "session-requests";

/// Reads the session that a command has laid down below the state folder, where only this user writes. What comes over
/// the network names it and cannot say what is run.
pub(super) fn read_request(
    root: &Path,
    ledger: &dyn Ledger,
    run: &str,
) -> Result<SessionSpec, BoardError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if run.is_empty() || run.starts_with('.') || !run.chars().all(plain) {
        return Err(BoardError::Invalid(format!("\"{run}\" names no run")));
    }
    let path = root
        .join(TOS_FOLDER)
        .join(SESSIONS)
        .join(format!("{run}.json"));
    let bytes = files::read(&path)
        .ok_or_else(|| BoardError::NotFound(format!("no session is laid down for \"{run}\"")))?;
    let request: SessionRequest = serde_json::from_slice(&bytes)
        .map_err(|error| BoardError::Invalid(format!("{}: {error}", path.display())))?;
    if request.run != run {
        return Err(BoardError::Invalid(format!(
            "{} is of another run",
            path.display()
        )));
    }
    let records = ledger
        .read()
        .map_err(|error| BoardError::Unavailable(error.to_string()))?
        .records;
    Ok(request.spec(&RunProgress::of(&records, run)))
}
