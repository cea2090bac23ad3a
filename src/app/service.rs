//! Builds what the service needs: its board, its merges, its logs.

use std::{io, path::Path, sync::Arc};

use crate::{
    adapters::{
        board::{LogFiles, SqliteBoard},
        clock::SystemClock,
        files, git,
        job::store::StoreLock,
    },
    app::{board_access::ServiceBoard, context::AppContext},
    config::gates,
    interfaces::cli::{
        args::GlobalArgs,
        exit::CliError,
        services::ServiceFactory as _,
        task_services::{BoardServices, TaskServiceFactory as _},
    },
    ports::board::BoardAccess,
};

/// The database, from the root.
const FILE: &str = ".tos/board.sqlite";

fn told(error: crate::ports::board_store::Error) -> CliError {
    CliError::NotDone(error.0)
}

/// Returns 64 hexadecimal digits that nobody can guess.
fn fresh_secret() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect())
}

/// Returns the token of a root, which stays the same so that browsers stay signed in; only the user can read its file.
fn kept_token(root: &Path) -> Result<String, CliError> {
    let path = root.join(".tos/service-token");
    let text = files::read(&path).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.map(|text| text.trim().to_owned());
    let is_token = |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(token) = text.filter(is_token) {
        return Ok(token);
    }
    let failed =
        |error: &dyn std::fmt::Display| CliError::NotDone(format!("no token can be kept: {error}"));
    let token = fresh_secret().map_err(|error| failed(&error))?;
    files::write_secret(&path, &token).map_err(|error| failed(&error))?;
    Ok(token)
}

/// Opens the board of a root. Whoever calls this holds the lock of the root.
pub(super) fn board_services(
    context: &AppContext,
    global: &GlobalArgs,
) -> Result<BoardServices, CliError> {
    let root = files::canonical(&context.root(global));
    let worktrees = git::GitWorktrees::open(&root);
    let worktrees = Arc::new(worktrees.map_err(|error| CliError::Setup(error.to_string()))?);
    let token = kept_token(&root)?;
    let logs = Arc::new(LogFiles::new(root.join(".tos/board-logs")));
    let (gates, here, ledger) = (
        gates::load(&root)?,
        context.here(global)?,
        context.ledger(global)?,
    );
    let (redactor, environment) = (context.redactor().clone(), context.texts.clone());
    let store = Box::new(SqliteBoard::open(&root.join(FILE)).map_err(told)?);
    let access = {
        let (logs, merges) = (Arc::clone(&logs), Arc::clone(&worktrees));
        move |handle| {
            Arc::new(ServiceBoard {
                handle,
                logs,
                merges,
                ledger,
                clock: Arc::new(SystemClock::new()),
                gates: Arc::new(gates),
                here,
                redactor,
                environment,
                root,
            }) as Arc<dyn BoardAccess>
        }
    };
    Ok(BoardServices {
        store,
        merges: worktrees,
        logs,
        token,
        fresh_secret: Arc::new(fresh_secret),
        access: Box::new(access),
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
    StoreLock::acquire(&root.join(".tos/task.lock"), command)
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
