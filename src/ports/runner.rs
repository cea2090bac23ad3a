//! Starts one command and stays with it until nothing of it is left.

use std::{os::fd::OwnedFd, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    domain::{
        command::Command,
        process::{CommandResult, SpawnError},
    },
    ports::BoxFuture,
};

/// One command to run, already judged.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// What to run.
    pub command: Command,
    /// Where: an absolute directory.
    pub directory: PathBuf,
    /// How long it may take before the whole tree is ended.
    pub deadline: Duration,
    /// How long it may be silent and motionless; `None` = for ever.
    pub idle_deadline: Option<Duration>,
    /// How long it may take to end when it is asked to; `None` = as long as the runner gives every command.
    pub grace: Option<Duration>,
    /// Variables set in addition to the runner's minimal environment.
    pub environment: Vec<(String, String)>,
    /// Where the whole output goes: files named `NN.stdout` and `NN.stderr` below this directory.
    pub output_directory: PathBuf,
    /// The `NN` of those files.
    pub index: u32,
    /// A token found in the environment of every process of this command, so that survivors of a
    /// crash of tos can be found: `<run id>/<step>/<index>`.
    pub token: String,
    /// What it reads, and who reads along.
    pub streams: CommandStreams,
}

/// One output stream of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Reads the output of a command line by line while it runs. Secrets are removed before; a line longer than
/// [`CommandStreams::LONGEST_LINE`] is left out, and bytes that are not UTF-8 are replaced.
pub trait LineObserver: Send + Sync {
    /// Takes one line, without its end.
    fn line(&self, stream: OutputStream, line: &str);
}

/// Reads the output of a command byte by byte while it runs, as it comes. Secrets are removed before.
pub trait ByteObserver: Send + Sync {
    /// Takes the next bytes; a character may be cut in two.
    fn bytes(&self, stream: OutputStream, bytes: &[u8]);
}

/// Writes to a command's standard input while it runs.
pub trait InputSource: Send + Sync {
    /// Returns the next piece, once there is one; `None` closes the input.
    fn next(&self) -> BoxFuture<'_, Option<Vec<u8>>>;
}

/// What a command reads on standard input, and who reads along what it prints.
#[derive(Clone, Default)]
pub struct CommandStreams {
    /// The file that becomes its standard input, readable where the command runs; `None` = nothing.
    pub input_file: Option<PathBuf>,
    /// Whoever writes into it meanwhile: `input_file` is then where the pipe for it is made.
    pub input: Option<Arc<dyn InputSource>>,
    /// An open pipe that becomes its standard input, in place of a file.
    pub input_pipe: Option<Arc<OwnedFd>>,
    /// Whoever reads along.
    pub reader: Option<Arc<dyn LineObserver>>,
    /// Whoever reads along the bare bytes.
    pub byte_reader: Option<Arc<dyn ByteObserver>>,
}

impl CommandStreams {
    /// The longest line that is handed on, in bytes.
    pub const LONGEST_LINE: usize = 16 << 20;
}

impl std::fmt::Debug for CommandStreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandStreams")
            .field("input_file", &self.input_file)
            .finish_non_exhaustive()
    }
}

/// How hard to end what is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopSignal {
    /// Ask politely, and kill what is still there after the grace period.
    Terminate,
    /// Kill now.
    Kill,
}

/// Runs commands. Whatever way a command ends, none of its processes is alive when `run` returns.
pub trait CommandRunner: Send + Sync {
    /// Runs one command to its end. Dropping the future kills the tree.
    fn run<'a>(
        &'a self,
        order: &'a CommandRequest,
    ) -> BoxFuture<'a, Result<CommandResult, SpawnError>>;

    /// Ends what is running now; the pending `run` then returns `ExitStatus::Cancelled`.
    fn interrupt(&self, how: StopSignal);

    /// Returns the hosts that commands asked for and the wall refused since the last question, as `host:port`.
    fn take_refused_hosts(&self) -> Vec<String> {
        Vec::new()
    }

    /// Ends processes that carry this token prefix and survived an earlier tos; returns how many.
    fn kill_survivors<'a>(&'a self, token_prefix: &'a str) -> BoxFuture<'a, u32>;
}
