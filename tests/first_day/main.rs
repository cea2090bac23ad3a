//! The walk of `docs/first-day.md`, word for word: every block of commands is run as it stands, offline.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

#[path = "../support/terminal.rs"]
mod terminal;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const WALK: &str = include_str!("../../docs/first-day.md");

/// Some commands, and what a person types meanwhile.
struct Block {
    script: String,
    typed: Option<String>,
}

/// Returns the blocks of commands of the document, in order.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(info) if !open => {
                let typed = info.strip_prefix("sh terminal: ").map(str::to_owned);
                assert!(info == "sh" || typed.is_some(), "an unknown block: {line}");
                blocks.push(Block {
                    script: String::new(),
                    typed,
                });
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                let block = blocks.last_mut().unwrap();
                block.script.push_str(line);
                block.script.push('\n');
            }
            None => {}
        }
    }
    blocks
}

/// A place with nothing in it but a home, and the program on PATH.
struct Place {
    home: tempfile::TempDir,
    bin: PathBuf,
}

impl Place {
    fn new() -> Self {
        // Walls cover the usual folders for temporary files.
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let bin = home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(env!("CARGO_BIN_EXE_tos"), bin.join("tos")).unwrap();
        Self { home, bin }
    }

    fn shell(&self, folder: &Path, script: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-eu", "-c", script])
            .current_dir(folder)
            .env_clear()
            .env("HOME", self.home.path())
            .env(
                "PATH",
                format!("{}:/usr/local/bin:/usr/bin:/bin", self.bin.display()),
            )
            .env("USER", "you");
        command
    }

    fn run(&self, folder: &Path, script: &str) -> (Option<i32>, String) {
        let mut command = self.shell(folder, &format!("exec 2>&1\n{script}"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    }

    /// Runs commands on a terminal on which a person types a line.
    fn at_terminal(&self, folder: &Path, script: &str, typed: &str) -> (Option<i32>, String) {
        let mut command = self.shell(folder, script);
        command.env("TERM", "dumb");
        terminal::at_terminal(command, &format!("{typed}\n"))
    }
}

#[test]
fn the_first_day_goes_as_it_is_written() {
    let blocks = blocks(WALK);
    assert!(blocks.len() >= 7, "{}", blocks.len());
    let place = Place::new();
    let mut folder = place.home.path().to_owned();
    let mut said = String::new();
    for block in &blocks {
        let (code, text) = match &block.typed {
            Some(typed) => place.at_terminal(&folder, &block.script, typed),
            None => place.run(&folder, &block.script),
        };
        said.push_str(&text);
        assert_eq!(code, Some(0), "{}\n{text}", block.script);
        // What a person's shell keeps from block to block.
        if block.script.contains("cd first-day") {
            folder = folder.join("first-day");
        }
    }
    assert!(
        said.contains("first-night: 1 tasks, nothing wrong"),
        "{said}"
    );
    assert!(said.contains("1 of 1 tasks passed"), "{said}");
    let greeting = fs::read_to_string(folder.join("greet.sh")).unwrap();
    assert_eq!(greeting, "echo \"Hello, ${1:-world}!\"\n");
}

#[test]
fn every_command_that_the_walk_names_in_its_text_exists() {
    for word in ["schedule", "autonomy", "notify", "agents", "night", "task"] {
        let output = Command::new(env!("CARGO_BIN_EXE_tos"))
            .args([word, "--help"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{word}");
        assert!(
            WALK.contains(&format!("tos {word} ")) || WALK.contains(&format!("tos {word}\n")),
            "{word}"
        );
    }
}
