//! From a command to a program with arguments, or a sentence saying what is missing.
//!
//! Programs are looked up here and started by absolute path, because the standard library leaves
//! the fast way of starting processes when it has to search a changed `PATH` itself.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

use crate::{
    adapters::process::find_program,
    domain::{
        command::{Command, CommandKind},
        process::SpawnError,
    },
    ports::sandbox::{ConfinedEnvironment, ProcessSpec},
};

/// Where to look for programs when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Prepares the start of `command` in `directory` with `environment`.
pub(in crate::adapters) fn prepare(
    command: &Command,
    directory: &Path,
    environment: Vec<(OsString, OsString)>,
) -> Result<ProcessSpec, SpawnError> {
    if !directory.is_dir() {
        return Err(failure(format!(
            "the directory `{}` for the command does not exist; create it or correct the root",
            directory.display()
        )));
    }
    let search = ProgramSearch::new(directory, &environment);
    let (program, name, arguments) = words(command, &search)?;
    Ok(ProcessSpec {
        program,
        name,
        arguments,
        environment,
        directory: directory.to_owned(),
        jailed: false,
        inside: ConfinedEnvironment::default(),
        inherited: None,
        watched: None,
        absent: Vec::new(),
    })
}

/// Says whether a program that a command names would be found from `directory` with this environment.
pub fn finds_program(name: &str, directory: &Path, environment: &[(OsString, OsString)]) -> bool {
    ProgramSearch::new(directory, environment)
        .find(OsStr::new(name))
        .is_some()
}

/// Says whether a file that a command names by its path may be started; a name alone is looked up, which finds only such.
pub fn is_startable_program(name: &str, directory: &Path) -> bool {
    !name.contains('/') || find_program::is_program(&directory.join(name))
}

/// Says why a program that was found could not be started.
pub(in crate::adapters) fn spawn_failure(launch: &ProcessSpec, error: &io::Error) -> SpawnError {
    let program = launch.program.display();
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "its interpreter (first line) or loader is missing; install it",
        io::ErrorKind::PermissionDenied => "make the file executable, or name its interpreter",
        io::ErrorKind::ArgumentListTooLong => "pass long input in a file instead of an argument",
        io::ErrorKind::WouldBlock => "too many processes are running; end some or raise the limit",
        io::ErrorKind::OutOfMemory => "free some memory",
        _ => "check that it is a program for this machine",
    };
    failure(format!("could not start `{program}`: {error}; {remedy}"))
}

type ArgumentList = (PathBuf, OsString, Vec<OsString>);

fn words(command: &Command, search: &ProgramSearch) -> Result<ArgumentList, SpawnError> {
    let shell = |names: &[&str], options: &[&str], remedy: &str| {
        let found = names
            .iter()
            .find_map(|name| Some((*name, search.find(OsStr::new(name))?)));
        let Some((name, program)) = found else {
            let names = names.join("` or `");
            return Err(failure(format!("no `{names}` found on PATH; {remedy}")));
        };
        let options = options.iter().copied().chain([command.code.as_str()]);
        Ok((program, name.into(), options.map(OsString::from).collect()))
    };
    match &command.kind {
        CommandKind::Powershell => shell(
            &["pwsh", "powershell"],
            &["-NoProfile", "-NonInteractive", "-Command"],
            "install PowerShell, or remove `powershell` from `allow_types`",
        ),
        CommandKind::Bash => shell(&["bash"], &["-c"], "install bash, or use the type `sh`"),
        CommandKind::Sh => shell(&["sh"], &["-c"], "install a POSIX shell"),
        CommandKind::Cmd => Err(failure(
            "commands of type `cmd` run on Windows only; use `bash`, `sh` or `exec` here".into(),
        )),
        CommandKind::Exec => argument_vector(command, search),
        CommandKind::Other(word) => Err(failure(format!(
            "commands of type `{word}` are unknown; use `powershell`, `bash`, `sh` or `exec`"
        ))),
    }
}

fn argument_vector(command: &Command, search: &ProgramSearch) -> Result<ArgumentList, SpawnError> {
    let Some((name, arguments)) = command.argv.split_first() else {
        return Err(failure(
            "a command of type `exec` has an empty `argv`; give the program and its arguments"
                .into(),
        ));
    };
    if command.argv.iter().any(|word| word.contains('\0')) {
        return Err(failure(format!(
            "an argument of `{}` holds a NUL character, which no program can receive; remove it",
            name.replace('\0', "\\0")
        )));
    }
    let Some(program) = search.find(OsStr::new(name)) else {
        return Err(failure(format!(
            "program `{name}` not found; install it, correct the name, or use the type `bash` for shell words"
        )));
    };
    let arguments = arguments.iter().map(OsString::from).collect();
    Ok((program, name.into(), arguments))
}

fn failure(message: String) -> SpawnError {
    SpawnError { message }
}

/// Looks programs up as a shell in `directory` would.
struct ProgramSearch<'a> {
    directory: &'a Path,
    path: OsString,
}

impl<'a> ProgramSearch<'a> {
    fn new(directory: &'a Path, environment: &[(OsString, OsString)]) -> Self {
        let path = environment.iter().find(|(name, _)| name == "PATH");
        Self {
            directory,
            path: path.map_or_else(|| DEFAULT_PATH.into(), |(_, value)| value.clone()),
        }
    }

    fn find(&self, name: &OsStr) -> Option<PathBuf> {
        if name.is_empty() {
            return None;
        }
        if name.as_encoded_bytes().contains(&b'/') {
            let program = self.directory.join(name);
            return program.exists().then_some(program);
        }
        find_program::find(&self.path, self.directory, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(command: &Command) -> Result<ProcessSpec, SpawnError> {
        let environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
        prepare(command, Path::new("/"), environment)
    }

    fn command(kind: CommandKind, code: &str) -> Command {
        Command::with_code(kind, code.into())
    }

    #[test]
    fn a_shell_command_becomes_the_shell_with_the_text_as_one_argument() {
        let launch = prepared(&command(CommandKind::Sh, "echo 'a b'")).unwrap();
        assert_eq!(launch.name, "sh");
        assert!(launch.program.is_absolute());
        assert_eq!(launch.arguments, ["-c", "echo 'a b'"]);
    }

    #[test]
    fn what_cannot_be_started_says_what_to_do() {
        for (command, words) in [
            (command(CommandKind::Cmd, "dir"), "run on Windows only"),
            (
                command(CommandKind::Other("ruby".into()), "1"),
                "type `ruby` are unknown",
            ),
            (command(CommandKind::Exec, ""), "empty `argv`"),
        ] {
            let message = prepared(&command).unwrap_err().message;
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn a_missing_program_is_named() {
        let argv = vec!["no-such-program-anywhere".into()];
        let missing = Command::exec(argv);
        let message = prepared(&missing).unwrap_err().message;
        assert!(
            message.starts_with("program `no-such-program-anywhere` not found"),
            "{message}"
        );
    }
}
