//! The command line of `podman run` and `docker run`. Pure: words in, words out.

use std::path::{Path, PathBuf};

use crate::domain::{
    command::{Command, CommandKind},
    ledger::chain::sha256,
};

/// How many processes and threads a container may have.
const PROCESSES: &str = "4096";
/// Variables whose values are places and switches, and may stand in a command line. They are meant for the inside only: the
/// program itself has a home of its own.
const PLAIN: [&str; 6] = [
    "HOME",
    "TMPDIR",
    "PATH",
    "GIT_CONFIG_NOSYSTEM",
    "TOS_TASK",
    "LANG",
];

/// What a container is made of.
pub(super) struct ContainerSpec {
    pub(super) program: PathBuf,
    pub(super) image: String,
    pub(super) network: String,
    pub(super) label: String,
    pub(super) task_folder: PathBuf,
    /// Variables that an agent is given its keys in.
    pub(super) keys: Vec<String>,
    pub(super) user: Vec<String>,
}

/// Returns the label by which the containers of a root are found.
pub(super) fn label_of(root: &Path) -> String {
    format!("tos.root={}", short(root.as_os_str().as_encoded_bytes()))
}

/// Returns the name of the container of a command.
pub(super) fn name_of(token: &str, task_folder: &Path) -> String {
    let text = [token.as_bytes(), task_folder.as_os_str().as_encoded_bytes()].join(&0);
    format!("tos-{}", short(&text))
}

fn short(bytes: &[u8]) -> String {
    sha256(bytes).chars().take(24).collect()
}

/// Returns the options by which files belong to the user who started this, and not to the container's idea of root.
pub(super) fn user_options(program: &Path, user: u32, group: u32) -> Vec<String> {
    let is_podman = program.file_name().is_some_and(|name| name == "podman");
    match (user, is_podman) {
        (0, _) => Vec::new(),
        (_, true) => vec!["--userns=keep-id".to_owned()],
        (_, false) => vec!["--user".to_owned(), format!("{user}:{group}")],
    }
}

impl ContainerSpec {
    /// Returns the command that runs another one in a container.
    pub(super) fn command(
        &self,
        inner: &Command,
        directory: &Path,
        environment: &[(String, String)],
        name: &str,
        git: Option<&Path>,
    ) -> Command {
        let folder = self.task_folder.display();
        let mut words = vec![self.program.display().to_string()];
        let mut add = |parts: &[&str]| words.extend(parts.iter().map(|part| (*part).to_owned()));
        add(&["run", "--rm", "--interactive", "--pull", "never"]);
        add(&["--name", name, "--label", &self.label]);
        add(&["--network", &self.network]);
        add(&["--workdir", &directory.display().to_string()]);
        add(&["--volume", &format!("{folder}:{folder}")]);
        if let Some(git) = git {
            add(&["--volume", &format!("{0}:{0}:ro", git.display())]);
        }
        add(&["--cap-drop", "all", "--security-opt", "no-new-privileges"]);
        add(&["--pids-limit", PROCESSES]);
        for (variable, value) in environment {
            if PLAIN.contains(&variable.as_str()) {
                add(&["--env", &format!("{variable}={value}")]);
            } else {
                add(&["--env", variable]);
            }
        }
        for key in &self.keys {
            add(&["--env", key]);
        }
        words.extend(self.user.iter().cloned());
        words.push(self.image.clone());
        match inner.kind {
            CommandKind::Exec => words.extend(inner.argv.iter().cloned()),
            _ => words.extend(["sh".to_owned(), "-c".to_owned(), inner.code.clone()]),
        }
        Command::exec(words)
    }

    /// Returns the part of an environment that the program hands on by name.
    pub(super) fn forwarded_environment(environment: &[(String, String)]) -> Vec<(String, String)> {
        let plain = |(name, _): &&(String, String)| !PLAIN.contains(&name.as_str());
        environment.iter().filter(plain).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_shows_its_task_folder_only_and_no_values_of_keys() {
        let spec = ContainerSpec {
            program: "/usr/bin/podman".into(),
            image: "img".to_owned(),
            network: "bridge".to_owned(),
            label: label_of(Path::new("/p")),
            task_folder: "/p/.tos/t".into(),
            keys: vec!["ANTHROPIC_API_KEY".to_owned()],
            user: user_options(Path::new("/usr/bin/podman"), 1000, 1000),
        };
        let inner = Command::exec(vec!["agent".to_owned(), "do it; rm -rf /".to_owned()]);
        let environment = [("HOME", "/p/.tos/t/home"), ("SOME_SECRET", "s3cret-value")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let command = spec.command(
            &inner,
            Path::new("/p/.tos/t/tree"),
            &environment,
            "tos-1",
            Some(Path::new("/p/.git")),
        );
        let line = command.argv.join(" ");
        assert!(
            line.ends_with("--env ANTHROPIC_API_KEY --userns=keep-id img agent do it; rm -rf /"),
            "{line}"
        );
        assert!(
            line.contains("--volume /p/.tos/t:/p/.tos/t --volume /p/.git:/p/.git:ro"),
            "{line}"
        );
        assert!(
            line.contains("--env HOME=/p/.tos/t/home --env SOME_SECRET"),
            "{line}"
        );
        assert!(!line.contains("s3cret"), "{line}");
        assert_eq!(ContainerSpec::forwarded_environment(&environment).len(), 1);
        assert_eq!(
            user_options(Path::new("/b/docker"), 7, 8),
            ["--user", "7:8"]
        );
        assert!(user_options(Path::new("/b/docker"), 0, 0).is_empty());
        assert_ne!(
            name_of("a/1", Path::new("/p")),
            name_of("a/1", Path::new("/q"))
        );
    }
}
