//! Repositories that tos cannot work in: every command names what it is and what helps, and leaves everything as it was.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

const TOS: &str = env!("CARGO_BIN_EXE_tos");

fn git(folder: &Path, words: &[&str]) -> bool {
    let ran = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b"])
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap();
    ran.status.success()
}

fn tos(folder: &Path, home: &Path, words: &[&str]) -> Output {
    Command::new(TOS)
        .args(words)
        .current_dir(folder)
        .env("HOME", home)
        .output()
        .unwrap()
}

const LIST: &str = "
schema = 1
id = \"x\"
sandbox = \"off\"

[agent]
kind = \"command\"
args = [\"sh\", \"-c\", \"touch made-by-the-agent\", \"{prompt}\"]

[[task]]
id = \"T-1\"
goal = \"x\"
prompt = \"x\"
class = \"fix\"
test_command = [\"true\"]
";

#[test]
fn repositories_of_other_formats_are_named_by_every_command_and_stay_as_they_are() {
    let formats = [
        (
            "--ref-format=reftable",
            "`git refs migrate --ref-format=files`",
        ),
        ("--object-format=sha256", "`git fast-export --all"),
    ];
    for (format, remedy) in formats {
        let home = TempDir::new().unwrap();
        let folder = TempDir::new().unwrap();
        let top = folder.path();
        if !git(top, &["init", "-q", format, "."]) {
            eprintln!("skipped: this git does not know {format}");
            continue;
        }
        fs::write(top.join("a.txt"), "before\n").unwrap();
        fs::write(top.join("list.toml"), LIST).unwrap();
        assert!(git(top, &["add", "a.txt"]) && git(top, &["commit", "-qm", "x"]));
        fs::write(top.join("a.txt"), "after\n").unwrap();
        let kept = |name: &str| fs::read(top.join(name)).unwrap();
        let before = [kept(".git/config"), kept(".git/HEAD"), kept(".git/index")];
        let commands: [&[&str]; 4] = [
            &["judge-change"],
            &["checkpoint", "save"],
            &["rollback"],
            &["task", "run", "list.toml"],
        ];
        for words in commands {
            let ran = tos(top, home.path(), words);
            let said = [ran.stdout.as_slice(), &ran.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert_ne!(ran.status.code(), Some(0), "{format} {words:?}: {said}");
            assert!(said.contains(remedy), "{format} {words:?}: {said}");
            let after = [kept(".git/config"), kept(".git/HEAD"), kept(".git/index")];
            assert_eq!(after, before, "{format} {words:?}");
            assert_eq!(kept("a.txt"), b"after\n", "{format} {words:?}");
            assert!(!top.join("made-by-the-agent").exists());
            assert!(git(top, &["fsck", "--no-progress"]), "{format} {words:?}");
        }
    }
}
