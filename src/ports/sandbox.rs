//! The wall: turns the start of a command into the start of the same command behind a kernel wall.

use std::{ffi::OsString, path::PathBuf};

use crate::{
    domain::{confinement::Report, process::Failure},
    ports::BoxFuture,
};

/// Everything needed to start one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// The name the program is told it was started as.
    pub name: OsString,
    /// The arguments behind the name.
    pub arguments: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it starts: an absolute directory.
    pub directory: PathBuf,
    /// True where the process is a jailer: it ends everything it holds when its standard input ends,
    /// so the runner keeps that open, and it is not itself asked to terminate.
    pub jailed: bool,
}

/// Confines commands. What it cannot confine as asked it refuses.
pub trait Sandbox: Send + Sync {
    /// Returns the start of the same command behind the wall.
    fn confine(&self, launch: Launch) -> BoxFuture<'_, Result<Launch, Failure>>;

    /// Tells which wall is in force and how each of its properties was proved.
    fn report(&self) -> BoxFuture<'_, Report>;
}
