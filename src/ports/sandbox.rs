//! The wall: turns the start of a command into the start of the same command behind a kernel wall.

use std::{
    ffi::OsString,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

use crate::{
    domain::{process::SpawnError, sandbox::SandboxReport},
    ports::BoxFuture,
};

/// What the command gets and no jailer of its may have: a jailer runs outside the wall, and its loader and its search
/// for programs would obey the command's variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfinedEnvironment {
    /// An inherited descriptor with the command's whole environment: `NAME=value`, each ended by NUL.
    /// `None` = the environment of the start.
    pub environment: Option<i32>,
    /// An inherited descriptor that becomes its standard input.
    pub input: Option<i32>,
    /// A file that is opened behind the wall and becomes its standard input.
    pub input_file: Option<PathBuf>,
    /// That file is a pipe, which tos made and writes into while the command runs.
    pub input_is_pipe: bool,
}

/// A descriptor that a process inherits under the number it has here.
#[derive(Debug, Clone)]
pub struct InheritedFd(Arc<OwnedFd>);

impl InheritedFd {
    /// Takes a descriptor; it stays closed to everything that is started until it is handed on.
    pub fn new(file: OwnedFd) -> Self {
        Self(Arc::new(file))
    }
}

impl AsFd for InheritedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for InheritedFd {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

impl PartialEq for InheritedFd {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for InheritedFd {}

/// Everything needed to start one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSpec {
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
    /// What goes past the jailers to the command; only a wall hands it on.
    pub inside: ConfinedEnvironment,
    /// What a jailer is told, which must not stand on its command line: everybody on the machine can read that.
    pub inherited: Option<InheritedFd>,
    /// A folder that the command shares with others, and how many bytes it may hold; more ends the command.
    pub watched: Option<(PathBuf, u64)>,
    /// Protected places that were not there before the command: what it makes of them is taken away when it has ended.
    pub absent: Vec<PathBuf>,
}

/// Confines commands. What it cannot confine as asked it refuses.
pub trait Sandbox: Send + Sync {
    /// Returns the start of the same command behind the wall.
    fn confine(&self, launch: ProcessSpec) -> BoxFuture<'_, Result<ProcessSpec, SpawnError>>;

    /// Returns the hosts that commands asked for and the wall refused since the last question, as `host:port`.
    fn take_refused_hosts(&self) -> Vec<String> {
        Vec::new()
    }

    /// Takes away what a command that has ended made of the `absent` places of its start; returns a sentence for each.
    fn quarantine(&self, absent: &[PathBuf]) -> Vec<String> {
        let _ = absent;
        Vec::new()
    }

    /// Tells which wall is in force and how each of its properties was proved.
    fn report(&self) -> BoxFuture<'_, SandboxReport>;
}
