//! Builds what the service needs: its board, its merges, its logs.

use std::{path::Path, sync::Arc};

use crate::{
    adapters::{
        board::{LogFiles, SqliteBoard},
        files, git,
        job::store::StoreLock,
    },
    interfaces::cli::{exit::CliError, task_services::BoardServices},
};

/// The database, from the root.
const FILE: &str = ".tos/board.sqlite";

fn told(error: crate::ports::board_store::Error) -> CliError {
    CliError::NotDone(error.0)
}

/// Opens the board of a root. Whoever calls this holds the lock of the root.
pub(super) fn board_services(root: &Path) -> Result<BoardServices, CliError> {
    let worktrees = git::GitWorktrees::open(root);
    let worktrees = worktrees.map_err(|error| CliError::Setup(error.to_string()))?;
    let mut bytes = [0_u8; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(
        |error| CliError::NotDone(format!("there is no randomness for a token: {error}")),
    )?;
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let token = digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect();
    Ok(BoardServices {
        store: Box::new(SqliteBoard::open(&root.join(FILE)).map_err(told)?),
        merges: Arc::new(worktrees),
        logs: Arc::new(LogFiles::new(root.join(".tos/board-logs"))),
        token,
    })
}

fn existing(root: &Path) -> Result<SqliteBoard, CliError> {
    let path = root.join(FILE);
    if !path.is_file() {
        return Err(CliError::NotDone(format!(
            "there is no board in {}; `tos serve` makes one",
            root.display()
        )));
    }
    SqliteBoard::open(&path).map_err(told)
}

fn locked(root: &Path, command: &str) -> Result<StoreLock, CliError> {
    StoreLock::take(&root.join(".tos/task.lock"), command)
        .map_err(|held| CliError::NotDone(held.to_string()))
}

/// Folds the events of a board anew; nobody may write it meanwhile.
pub(super) fn rebuild(root: &Path, command: &str) -> Result<(u64, Option<String>), CliError> {
    let _lock = locked(root, command)?;
    let rebuilt = existing(root)?.rebuild().map_err(told)?;
    let difference = rebuilt.difference.map(|key| {
        let (kind, id) = key.parts();
        format!("{kind} {id}").trim_end().to_owned()
    });
    Ok((rebuilt.events, difference))
}

/// Returns the events of a board; a service may write it meanwhile.
pub(super) fn export(root: &Path) -> Result<String, CliError> {
    existing(root)?.export().map_err(told)
}

/// Takes events into a root without a board.
pub(super) fn import(root: &Path, file: &Path, command: &str) -> Result<u64, CliError> {
    let _lock = locked(root, command)?;
    let text = files::read(file).and_then(|bytes| String::from_utf8(bytes).ok());
    let text =
        text.ok_or_else(|| CliError::Setup(format!("{} cannot be read as text", file.display())))?;
    SqliteBoard::open(&root.join(FILE))
        .map_err(told)?
        .import(&text)
        .map_err(told)
}
