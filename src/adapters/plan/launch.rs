//! Starts the process of one attempt: program, directory, environment, input, a process group of its own.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Seek, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    adapters::plan::{guard, orphans},
    domain::plan::{
        state::Reason,
        task::{Action, EnvPolicy, Extra, Stdin, Task},
    },
};

/// Everything one attempt is started with.
pub(crate) struct Launch<'a> {
    pub(crate) task: &'a Task,
    pub(crate) cwd: &'a Path,
    pub(crate) token: &'a str,
    pub(crate) inherited: &'a [(OsString, OsString)],
}

/// Returns the directory in which a task runs.
pub(crate) fn directory(workdir: &Path, task: &Task) -> PathBuf {
    task.cwd
        .as_ref()
        .map_or_else(|| workdir.to_owned(), |cwd| workdir.join(&**cwd))
}

/// Why a task could not be started.
pub(crate) type Refusal = (Reason, String);

impl Launch<'_> {
    /// Starts the process and returns its number.
    pub(crate) fn spawn(&self, [out, err]: [File; 2]) -> Result<i32, Refusal> {
        let mut command = self.command()?;
        command
            .current_dir(self.cwd)
            .stdout(out)
            .stderr(err)
            .process_group(0);
        command.env(orphans::VARIABLE, self.token);
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

    fn command(&self) -> Result<Command, Refusal> {
        match &self.task.action {
            Action::Argv(words) => {
                let Some((program, arguments)) = words.split_first() else {
                    return Err(failed("there is no program to start"));
                };
                let mut command = Command::new(program);
                command.args(arguments);
                Ok(command)
            }
            Action::Shell(text) => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", text]);
                Ok(command)
            }
            Action::Job(_) => {
                let own = std::env::current_exe()
                    .map_err(|error| failed(&format!("tos cannot find itself: {error}")))?;
                let mut command = Command::new(own);
                command.args(self.task.command_words().into_iter().skip(1));
                Ok(command)
            }
        }
    }

    fn environment(&self, command: &mut Command, extra: Option<&Extra>) {
        if extra.is_some_and(|extra| extra.env_policy == EnvPolicy::Minimal) {
            command.env_clear();
            let wanted = self.inherited.iter().filter(|(name, _)| is_minimal(name));
            command.envs(wanted.map(|(name, value)| (name, value)));
            command.env(orphans::VARIABLE, self.token);
        }
        if let Some(env) = &self.task.env {
            command.envs(env.iter());
        }
    }

    /// Checks that the files are there which the task needs.
    pub(super) fn needs(&self, extra: &Extra) -> Result<(), Refusal> {
        let missing = |path: &&String| std::fs::metadata(self.cwd.join(path)).is_err();
        match extra.needs_files.iter().find(missing) {
            None => Ok(()),
            Some(path) => Err(lacking(format!("needs `{path}`, which is not there"))),
        }
    }

    fn rare(&self, command: &mut Command, extra: &Extra) -> Result<(), Refusal> {
        self.needs(extra)?;
        self.environment(command, Some(extra));
        for path in &extra.env_file {
            let whole = self.cwd.join(path);
            let bytes = guard::read_regular(&whole, 1 << 20)
                .map_err(|error| lacking(format!("env_file `{path}` cannot be read: {error}")))?;
            let own = self.task.env.as_ref();
            let pairs = variables(&String::from_utf8_lossy(&bytes));
            command.envs(
                pairs
                    .into_iter()
                    .filter(|(name, _)| own.is_none_or(|own| !own.contains_key(name))),
            );
        }
        let stdin = match &extra.stdin {
            Stdin::Empty => Stdio::null(),
            Stdin::Text(text) => text_file(text)
                .map_err(|error| failed(&format!("stdin cannot be prepared: {error}")))?
                .into(),
            Stdin::File(path) => guard::open_regular(&self.cwd.join(path))
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

pub(super) fn failed(message: &str) -> Refusal {
    (Reason::ProcessStartFailed, message.to_owned())
}

pub(super) const fn lacking(message: String) -> Refusal {
    (Reason::NeedsFilesMissing, message)
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

/// Reads `NAME=value` lines: comments, `export` and quotes around the value are understood, nothing is expanded.
pub(super) fn variables(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let value = value.trim();
        let quoted = ['"', '\'']
            .into_iter()
            .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        if !name.trim().is_empty() && !value.contains('\0') {
            pairs.push((name.trim().to_owned(), quoted.unwrap_or(value).to_owned()));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_people_write_them() {
        let text = "# comment\nA=1\nexport B=\"two words\"\n C = 'x=y' \n\nnonsense\n=z\n";
        let wanted = [("A", "1"), ("B", "two words"), ("C", "x=y")];
        assert_eq!(
            variables(text),
            wanted.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
