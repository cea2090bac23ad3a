//! Starts the process of one attempt: program, directory, environment, input, a process group of its own.

use std::{
    ffi::OsString,
    fs::File,
    io,
    io::{Seek, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    adapters::{plan::safe_open, process},
    domain::plan::{
        state::StatusReason,
        task::{EnvPolicy, OptionalTaskSettings, PlanTask, TaskAction, TaskStdin},
    },
};

/// A larger file of variables is refused.
pub(super) const MAX_ENV_FILE_BYTES: u64 = 1 << 20;

/// Everything one attempt is started with.
pub(crate) struct LaunchSpec<'a> {
    pub(crate) task: &'a PlanTask,
    pub(crate) cwd: &'a Path,
    pub(crate) token: &'a str,
    pub(crate) inherited: &'a [(OsString, OsString)],
}

/// Returns the directory in which a task runs.
pub(crate) fn directory(workdir: &Path, task: &PlanTask) -> PathBuf {
    task.cwd
        .as_ref()
        .map_or_else(|| workdir.to_owned(), |cwd| workdir.join(&**cwd))
}

/// Why a task could not be started.
pub(crate) type LaunchRefusal = (StatusReason, String);

impl LaunchSpec<'_> {
    /// Starts the process and returns its number.
    pub(crate) fn spawn(&self, [out, err]: [File; 2]) -> Result<i32, LaunchRefusal> {
        let mut command = self.command()?;
        command.current_dir(self.cwd).stdout(out).stderr(err);
        process::detach(&mut command);
        command.envs(process::marks(self.token));
        match self.task.extra.as_deref() {
            None => {
                self.environment(&mut command, None);
                command.stdin(Stdio::null());
            }
            Some(extra) => self.rare(&mut command, extra)?,
        }
        match command.spawn() {
            Ok(child) => {
                i32::try_from(child.id()).map_err(|_| failed("the process number is out of range"))
            }
            Err(error) => Err(failed(&self.why_not(&error))),
        }
    }

    fn command(&self) -> Result<Command, LaunchRefusal> {
        match &self.task.action {
            TaskAction::Argv(words) => {
                let Some((program, arguments)) = words.split_first() else {
                    return Err(failed("there is no program to start"));
                };
                let mut command = Command::new(program);
                command.args(arguments);
                Ok(command)
            }
            TaskAction::Shell(text) => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", text]);
                Ok(command)
            }
            TaskAction::Job(_) => {
                let own = std::env::current_exe()
                    .map_err(|error| failed(&format!("tos cannot find itself: {error}")))?;
                let mut command = Command::new(own);
                command.args(self.task.command_words().into_iter().skip(1));
                Ok(command)
            }
        }
    }

    fn environment(&self, command: &mut Command, extra: Option<&OptionalTaskSettings>) {
        if extra.is_some_and(|extra| extra.env_policy == EnvPolicy::Minimal) {
            command.env_clear();
            let wanted = self.inherited.iter().filter(|(name, _)| is_minimal(name));
            command.envs(wanted.map(|(name, value)| (name, value)));
            command.envs(process::marks(self.token));
        }
        if let Some(env) = &self.task.env {
            command.envs(env.iter());
        }
    }

    /// Checks that the files are there which the task needs.
    pub(super) fn check_needed_files(
        &self,
        extra: &OptionalTaskSettings,
    ) -> Result<(), LaunchRefusal> {
        let missing = |path: &&String| std::fs::metadata(self.cwd.join(path)).is_err();
        match extra.needs_files.iter().find(missing) {
            None => Ok(()),
            Some(path) => Err(lacking(format!("needs `{path}`, which is not there"))),
        }
    }

    fn rare(
        &self,
        command: &mut Command,
        extra: &OptionalTaskSettings,
    ) -> Result<(), LaunchRefusal> {
        self.check_needed_files(extra)?;
        self.environment(command, Some(extra));
        for path in &extra.env_file {
            let whole = self.cwd.join(path);
            let bytes = safe_open::read_regular(&whole, MAX_ENV_FILE_BYTES)
                .map_err(|error| lacking(format!("env_file `{path}` cannot be read: {error}")))?;
            let own = self.task.env.as_ref();
            let pairs = parse_dotenv(&bytes)
                .map_err(|why| lacking(format!("env_file `{path}` cannot be read: {why}")))?;
            command.envs(
                pairs
                    .into_iter()
                    .filter(|(name, _)| own.is_none_or(|own| !own.contains_key(name))),
            );
        }
        let stdin = match &extra.stdin {
            TaskStdin::Empty => Stdio::null(),
            TaskStdin::Text(text) => text_file(text)
                .map_err(|error| failed(&format!("stdin cannot be prepared: {error}")))?
                .into(),
            TaskStdin::File(path) => safe_open::open_regular(&self.cwd.join(path))
                .map_err(|error| lacking(format!("stdin file `{path}` cannot be read: {error}")))?
                .into(),
        };
        command.stdin(stdin);
        Ok(())
    }

    fn why_not(&self, error: &io::Error) -> String {
        if !self.cwd.is_dir() {
            return format!("the directory `{}` does not exist", self.cwd.display());
        }
        let program = self
            .task
            .command_words()
            .into_iter()
            .next()
            .unwrap_or_default();
        format!("`{program}` could not be started: {error}")
    }
}

pub(super) fn failed(message: &str) -> LaunchRefusal {
    (StatusReason::ProcessStartFailed, message.to_owned())
}

pub(super) const fn lacking(message: String) -> LaunchRefusal {
    (StatusReason::NeedsFilesMissing, message)
}

pub(super) fn text_file(text: &str) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

fn is_minimal(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("LC_")
        || matches!(
            &*name,
            "PATH"
                | "HOME"
                | "USER"
                | "LOGNAME"
                | "SHELL"
                | "LANG"
                | "LANGUAGE"
                | "TZ"
                | "TERM"
                | "TMPDIR"
        )
}

/// Reads `NAME=value` lines as dotenv programs do: comments, `export`, quotes, values over several lines. Nothing is
/// expanded, and what cannot be read whole is an error.
pub(super) fn parse_dotenv(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let entries = dotenvor::parse_str(text).map_err(|error| match error {
        dotenvor::Error::Parse(error) => format!("line {}: {}", error.line, error.kind),
        other => other.to_string(),
    })?;
    let lines: Vec<&str> = text.lines().collect();
    for entry in &entries {
        let line = usize::try_from(entry.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let written = lines.get(line).and_then(|line| line.split_once('='));
        if entry.value.contains('\0') {
            return Err(format!("line {}: it holds a NUL character", entry.line));
        }
        if written.is_some_and(|(_, value)| is_cut_by_a_comment(value)) {
            return Err(format!(
                "line {}: `#` would cut the value; put the value in quotes",
                entry.line
            ));
        }
    }
    let pairs = entries.into_iter();
    Ok(pairs.map(|entry| (entry.key, entry.value)).collect())
}

/// Whether a value without quotes holds a `#` that does not look like the beginning of a comment.
fn is_cut_by_a_comment(value: &str) -> bool {
    let is_quoted = value.trim_start().starts_with(['"', '\'', '`']);
    let first = value.find('#').filter(|_| !is_quoted);
    first.is_some_and(|at| !value[..at].ends_with(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_people_write_them() {
        let text = "# comment\nA=1\nexport B=\"two words\" # why\n C = 'x=y' \n\nD= # none\nE=\"a\nb\\nc\"\nF='one\n two'\nG=$A ${B} # c\nH='$A'\n";
        let wanted = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x=y"),
            ("D", ""),
            ("E", "a\nb\nc"),
            ("F", "one\n two"),
            ("G", "$A ${B}"),
            ("H", "$A"),
        ];
        assert_eq!(
            parse_dotenv(text.as_bytes()).unwrap(),
            wanted.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn what_would_be_cut_in_silence_is_an_error_with_its_line() {
        for (text, why) in [
            ("A=1\nB=\"open\nC=2\n", "line 2: unterminated quote"),
            ("A=1\nnonsense\n", "line 2: invalid syntax"),
            ("=z\n", "line 1: missing key"),
            (
                "C=#fff\n",
                "line 1: `#` would cut the value; put the value in quotes",
            ),
            (
                "U=http://x/#part\n",
                "line 1: `#` would cut the value; put the value in quotes",
            ),
        ] {
            assert_eq!(parse_dotenv(text.as_bytes()).unwrap_err(), why, "{text}");
        }
        assert!(parse_dotenv(b"A=\xFF").is_err());
    }
}
