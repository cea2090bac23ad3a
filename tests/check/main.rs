//! `tos judge-change` on real repositories: hostile changes are found, harmless look-alikes are not.
#![expect(
    clippy::disallowed_methods,
    clippy::semicolon_if_nothing_returned,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test; tables read better without semicolons"
)]

mod harmless;
mod hostile;

#[path = "../support/program.rs"]
mod program;
#[path = "../support/repository.rs"]
mod repository;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Output};

use program::program;
use tempfile::TempDir;

/// A repository with one commit.
struct Repo {
    home: TempDir,
    top: PathBuf,
}

/// Files of the first commit, one set for all tests.
const BASE: &[(&str, &str)] = &[
    (
        "app.py",
        "import os\nimport json\n\n\ndef size(path):\n    return os.path.getsize(path)\n",
    ),
    (
        "src/index.ts",
        "import { readFileSync } from 'node:fs';\n\nexport const read = (p: string) => readFileSync(p, 'utf8');\n",
    ),
    (
        "src/lib.rs",
        "//! Adds.\n\npub fn add(a: u32, b: u32) -> u32 {\n    a + b\n}\n",
    ),
    (
        "main.go",
        "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfmt.Println(\"hi\")\n}\n",
    ),
    ("run.sh", "#!/bin/sh\nset -eu\necho hello\n"),
    (
        "package.json",
        "{\n  \"name\": \"demo\",\n  \"version\": \"1.0.0\",\n  \"dependencies\": { \"zod\": \"3.0.0\" }\n}\n",
    ),
    (
        "Cargo.toml",
        "[package]\nname = \"demo\"\nversion = \"0.1.0\"\n\n[dependencies]\nserde = \"1\"\n",
    ),
    ("go.mod", "module example.com/demo\n\ngo 1.22\n"),
    ("requirements.txt", "requests==2.0\n"),
    (
        "tests/test_app.py",
        "from app import size\n\n\ndef test_size(tmp_path):\n    f = tmp_path / 'x'\n    f.write_text('abc')\n    assert size(f) == 3\n    assert size(str(f)) == 3\n\n\ndef test_empty(tmp_path):\n    f = tmp_path / 'y'\n    f.write_text('')\n    assert size(f) == 0\n",
    ),
    (
        "tests/index.test.ts",
        "import { test, expect } from 'vitest';\nimport { read } from '../src/index';\n\ntest('reads', () => {\n  expect(read('package.json')).toContain('demo');\n});\n\ntest('fails', () => {\n  expect(() => read('nope')).toThrow();\n});\n",
    ),
    ("README.md", "# Demo\n"),
];

impl Repo {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let top = home.path().canonicalize().unwrap().join("work");
        fs::create_dir(&top).unwrap();
        let repo = Self { home, top };
        repository::init(&repo.top);
        for (path, text) in BASE {
            repo.write(path, text);
        }
        repo.commit("first");
        repo
    }

    fn git(&self, words: &[&str]) -> String {
        repository::git(&self.top, words)
    }

    fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn write(&self, path: &str, text: &str) {
        repository::write(&self.top, path, text);
    }

    fn append(&self, path: &str, text: &str) {
        let old = fs::read_to_string(self.top.join(path)).unwrap();
        self.write(path, &format!("{old}{text}"));
    }

    fn replace(&self, path: &str, from: &str, to: &str) {
        let old = fs::read_to_string(self.top.join(path)).unwrap();
        assert!(old.contains(from), "{path} has no `{from}`");
        self.write(path, &old.replacen(from, to, 1));
    }

    fn make_executable(&self, path: &str) {
        fs::set_permissions(self.top.join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn check(&self, words: &[&str]) -> Output {
        program(&self.top, self.home.path(), &[&["check"], words].concat())
            .output()
            .unwrap()
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn nothing_changed_is_clean_and_bad_input_is_told() {
    let repo = Repo::new();
    let output = repo.check(&[]);
    assert_eq!(
        (output.status.code(), said(&output).as_str()),
        (Some(0), "clean: 0 changed files\n")
    );
    assert_eq!(repo.check(&["--base", "nowhere"]).status.code(), Some(2));
    assert_eq!(repo.check(&["--ban", ""]).status.code(), Some(2));
    let outside = TempDir::new().unwrap();
    let output = repo.check(&["--root", outside.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn the_document_for_programs_holds_every_finding() {
    let repo = Repo::new();
    repo.append("app.py", "\nimport subprocess\n");
    let output = repo.check(&["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["clean"], false);
    assert_eq!(value["findings"][0]["group"], "import");
    assert_eq!(value["findings"][0]["path"], "app.py");
    assert_eq!(value["findings"][0]["line"], 8);
}

#[test]
fn old_sins_do_not_fire() {
    let repo = Repo::new();
    repo.append("app.py", "\nimport subprocess\nsubprocess.run(['ls'])\n");
    repo.commit("owner's own");
    repo.append("app.py", "\nVERSION = 2\n");
    assert_eq!(repo.check(&[]).status.code(), Some(0));
    repo.append("app.py", "subprocess.run(['ls'])\n");
    assert_eq!(
        repo.check(&[]).status.code(),
        Some(1),
        "one more of the same is new"
    );
}

#[test]
fn what_is_agreed_is_read_from_before_the_change() {
    let repo = Repo::new();
    repo.write(
        "config/check.toml",
        "allowed_imports = [\"subprocess\"]\n[limits]\nlines = 3\n",
    );
    repo.commit("rules");
    repo.append("app.py", "import subprocess\n");
    let output = repo.check(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    repo.append("app.py", "A = 1\nB = 2\nC = 3\n");
    assert!(said(&repo.check(&[])).contains("4 lines changed, the limit is 3"));
    repo.write("config/check.toml", "allowed_imports = [\"subprocess\"]\n");
    let output = repo.check(&[]);
    assert!(
        said(&output).contains("4 files") || said(&output).contains("the limit is 3"),
        "{}",
        said(&output)
    );
    assert!(
        said(&output).contains("changes the rules of this check"),
        "{}",
        said(&output)
    );
}

#[test]
fn limits_are_kept() {
    let repo = Repo::new();
    for n in 0..11 {
        repo.write(&format!("notes/{n}.md"), "x\n");
    }
    let text = said(&repo.check(&[]));
    assert!(text.contains("11 files changed, the limit is 10"), "{text}");
    assert!(text.contains("11 files created, the limit is 8"), "{text}");
    let text = said(&repo.check(&["--max-files", "20", "--max-created", "20"]));
    assert!(text.contains("clean: 11 changed files"), "{text}");
    assert!(said(&repo.check(&["--max-bytes", "5"])).contains("22 bytes written, the limit is 5"));
}
