//! A person's machine for the real `tos`: an own home, an own folder for temporary files, an empty
//! environment, a root, and nothing else.

use std::{
    fmt, fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// The machine.
pub(crate) struct TestEnvironment {
    folder: TempDir,
}

/// What a run of `tos` left on the screen.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestEnvironment {
    /// Makes a machine in `folder`.
    pub(crate) fn in_folder(folder: TempDir) -> Self {
        for name in ["home", "tmp", "root"] {
            fs::create_dir_all(folder.path().join(name)).expect("folders can be made");
        }
        Self { folder }
    }

    /// Returns the root of the job.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Writes a file below the root.
    pub(crate) fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(file);
        fs::create_dir_all(path.parent().expect("below the root")).expect("folders can be made");
        fs::write(path, content).expect("files can be written");
    }

    /// Reads a file below the root.
    pub(crate) fn read(&self, file: &str) -> String {
        let path = self.root().join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Returns `tos` with these words, to be run in the root.
    pub(crate) fn tos(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tos"));
        command
            .args(words)
            .current_dir(self.root())
            .env_clear()
            .env("HOME", self.folder.path().join("home"))
            .env("TMPDIR", self.folder.path().join("tmp"))
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Runs `tos` with these words to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.ran(&self.tos(words).output().expect("tos can be started"))
    }

    /// Reads what a run left.
    pub(crate) fn ran(&self, output: &Output) -> Ran {
        let text = |bytes: &[u8]| self.normal(&String::from_utf8_lossy(bytes));
        Ran {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Puts fixed words in place of paths and times.
    fn normal(&self, text: &str) -> String {
        let folder = self.folder.path().to_string_lossy().into_owned();
        let text = text.replace(&format!("{folder}/root"), "$ROOT");
        let text = text.replace(&folder, "$FOLDER");
        let pairs = [
            (
                r"\d{4}-\d{2}-\d{2}[T ]\d{2}:?\d{2}:?\d{2}(\.\d+)?( ?[+-]\d{2}:\d{2})?",
                "$TIME",
            ),
            (r"\d{8}T\d{6}(-\d+)?", "$TIME"),
            (r"\d{8}-\d{6}-[0-9a-f]{6}", "$RUN"),
            (r"pid \d+", "pid $PID"),
            (r"127\.0\.0\.1:\d+", "$SERVER"),
        ];
        pairs.iter().fold(text, |text, (pattern, word)| {
            let regex = regex::Regex::new(pattern).expect("the patterns compile");
            regex.replace_all(&text, regex::NoExpand(word)).into_owned()
        })
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.trim().is_empty() {
                writeln!(f, "--- {name}\n{}", text.trim_end())?;
            }
        }
        match self.code {
            Some(code) => write!(f, "--- exit {code}"),
            None => write!(f, "--- ended by a signal"),
        }
    }
}
