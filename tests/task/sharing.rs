//! What work trees get of the checkout beside the commit: files of settings that git ignores, and submodules.

use std::fs;

use crate::{FIXED, Root, repository};

const SECRET: &str = "s3cret-0123456789ab";

impl Root {
    /// A repository that ignores its settings; the tests need them.
    fn with_settings() -> Self {
        let root = Self::new();
        root.write(".gitignore", "*.log\n/.tos/\n.env\n*.local\n");
        root.write(
            "test.sh",
            "#!/bin/sh\ngrep -q 'a + b' app.py && grep -q KEY .env && grep -q x conf/a.local\n",
        );
        root.git(&["add", "-A"]);
        root.git(&["commit", "-q", "-m", "settings"]);
        root.write(".env", &format!("API_KEY={SECRET}\nPORT=3000\n"));
        root.write("conf/a.local", "x\n");
        root
    }

    /// Puts a line in front of the list.
    fn with_line(&self, line: &str) {
        let file = self.home.path().join("list.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{line}\n{text}")).unwrap();
    }

    fn reason(&self, place: usize) -> String {
        let end = self.records("task")[place]["end"].clone();
        end["reason"].as_str().unwrap().to_owned()
    }

    /// Everything that git keeps, as text.
    fn all_objects(&self) -> String {
        let names = self.git(&["for-each-ref", "--format=%(refname)", "refs"]);
        names
            .lines()
            .map(|name| self.git(&["ls-tree", "-r", "--name-only", name]))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

const SHARE: &str = "share_files = [\".env\", \"**/*.local\"]";

#[test]
fn shared_files_are_there_and_in_nothing_that_is_kept() {
    let root = Root::with_settings();
    // The agent changes the rules of what is ignored, its copy, and says what is in it.
    let script = format!("{FIXED}; : > .gitignore; cat .env; echo NEW=1 >> .env");
    root.list(
        "retry_then_stop",
        &[
            ("bad", "echo no > other.txt; : > .gitignore", ""),
            ("good", &script, ""),
        ],
    );
    root.with_line(SHARE);
    let list = root.home.path().join("list.toml");
    let (code, said) = root.tos(&["task", "check", list.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("every task gets a copy of .env"), "{said}");
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("success  good"), "{said}");
    assert!(
        said.contains("shared with every task: .env, conf/a.local"),
        "{said}"
    );
    assert!(!said.contains(SECRET), "{said}");
    let kept = root.all_objects();
    assert!(
        kept.contains("other.txt") && !kept.contains(".env"),
        "{kept}"
    );
    assert!(!kept.contains("a.local"), "{kept}");
    let logs = root.root.join(".tos/task-logs");
    let grep = std::process::Command::new("grep")
        .args(["-rl", SECRET])
        .arg(&logs)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "");
    let own = fs::read_to_string(root.root.join(".env")).unwrap();
    assert_eq!(own, format!("API_KEY={SECRET}\nPORT=3000\n"));
    let start = root.records("session.start")[0]["start"].clone();
    assert_eq!(start["shared_files"][0], ".env");
    assert!(
        !root
            .root
            .join(".tos/worktrees")
            .read_dir()
            .unwrap()
            .any(|_| true)
    );
}

#[test]
fn a_secret_of_a_shared_file_is_not_committed_under_another_name() {
    let root = Root::with_settings();
    let script = format!("{FIXED}; cp .env settings.txt");
    root.list("stop", &[("a", &script, "")]);
    root.with_line(SHARE);
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    let reason = root.reason(0);
    assert!(
        reason.contains("settings.txt holds a secret of a file that was shared"),
        "{reason}"
    );
}

#[test]
fn what_is_no_ignored_file_is_not_shared() {
    let root = Root::with_settings();
    root.write("open.txt", "not ignored\n");
    root.list("stop", &[("a", FIXED, "")]);
    let file = root.home.path().join("list.toml");
    let text = fs::read_to_string(&file).unwrap();
    for (name, why) in [
        ("nothing*", "which is no file of"),
        ("app.py", "which git has already"),
        (
            "open.*",
            "`share_files` names `open.txt`, which git does not ignore",
        ),
        (
            "../x",
            "must be a file, or a pattern of files, below the root",
        ),
    ] {
        fs::write(&file, format!("share_files = [\"{name}\"]\n{text}")).unwrap();
        let (code, said) = root.tos(&["task", "check", file.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

impl Root {
    /// A repository with a submodule that holds another one.
    fn with_submodules() -> Self {
        let root = Self::new();
        let (lib, deep) = (root.home.path().join("lib"), root.home.path().join("deep"));
        for (folder, file) in [(&deep, "deep.txt"), (&lib, "lib.txt")] {
            fs::create_dir(folder).unwrap();
            repository::init(folder);
            repository::write(folder, file, "one\n");
            repository::git(folder, &["add", "-A"]);
            repository::git(folder, &["commit", "-q", "-m", "one"]);
        }
        let add = |top: &std::path::Path, from: &std::path::Path, to: &str| {
            let from = from.to_str().unwrap();
            repository::git(
                top,
                &[
                    "-c",
                    "protocol.file.allow=always",
                    "submodule",
                    "--quiet",
                    "add",
                    from,
                    to,
                ],
            );
            repository::git(top, &["commit", "-q", "-m", "submodule"]);
        };
        add(&lib, &deep, "deep");
        add(&root.root, &lib, "vendor/lib");
        root.git(&[
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "update",
            "--init",
            "--recursive",
        ]);
        // From here on nothing can be fetched.
        fs::rename(&lib, root.home.path().join("lib-away")).unwrap();
        fs::rename(&deep, root.home.path().join("deep-away")).unwrap();
        root.write(
            "test.sh",
            "#!/bin/sh\ngrep -q 'a + b' app.py && grep -q one vendor/lib/lib.txt && grep -q one vendor/lib/deep/deep.txt\n",
        );
        root.git(&["add", "-A"]);
        root.git(&["commit", "-q", "-m", "tests need it"]);
        root
    }
}

#[test]
fn submodules_are_checked_out_from_what_is_here() {
    let root = Root::with_submodules();
    let script = format!("{FIXED}; git -C vendor/lib/deep log --oneline -1 || exit 1");
    root.list("stop", &[("a", &script, "")]);
    let (code, said) = root.run();
    assert_eq!(code, Some(0), "{said}");
    let reference = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/runs"]);
    let changed = root.git(&["diff", "--name-only", "HEAD", &reference]);
    assert_eq!(changed, "app.py");
    assert_eq!(root.git(&["status", "--porcelain"]), "");
}

#[test]
fn changes_inside_a_submodule_are_named_and_kept() {
    let root = Root::with_submodules();
    let inside = format!("{FIXED}; echo two > vendor/lib/deep/deep.txt; echo new > vendor/lib/n");
    let moved = format!(
        "{FIXED}; cd vendor/lib && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x"
    );
    let replaced = format!("{FIXED}; rm vendor/lib/.git; git -C vendor/lib init -q");
    for (script, why) in [
        (inside, "`vendor/lib/deep`: deep.txt"),
        (moved, "`vendor/lib`: it was moved to commit "),
        (replaced, "`vendor/lib`: it was made another repository"),
    ] {
        root.list("stop", &[("a", &script, "")]);
        let before = root.records("task").len();
        let (code, said) = root.run();
        assert_eq!(code, Some(3), "{said}");
        let reason = root.reason(before);
        assert!(reason.contains(why), "{reason}");
        assert!(said.contains(".tos/set-aside/"), "{said}");
    }
}

#[test]
fn a_submodule_that_is_not_here_is_named_with_the_remedy() {
    let root = Root::with_submodules();
    fs::remove_dir_all(root.root.join(".git/modules/vendor")).unwrap();
    root.write("test.sh", "#!/bin/sh\ngrep -q 'a + b' app.py\n");
    root.git(&["add", "test.sh"]);
    fs::remove_dir_all(root.root.join("vendor/lib")).unwrap();
    fs::create_dir(root.root.join("vendor/lib")).unwrap();
    root.git(&["commit", "-q", "-m", "tests do not need it"]);
    root.list("stop", &[("a", FIXED, "")]);
    let list = root.home.path().join("list.toml");
    let remedy = "`git submodule update --init --recursive -- vendor/lib` fetches it";
    let (code, said) = root.tos(&["task", "check", list.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(remedy), "{said}");
    let (code, said) = root.run();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(remedy), "{said}");
    // What an agent puts into the empty folder would be lost without a word.
    root.list(
        "stop",
        &[("b", &format!("{FIXED}; echo x > vendor/lib/x"), "")],
    );
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    let reason = root.reason(1);
    assert!(
        reason.contains("files were put into its empty folder"),
        "{reason}"
    );
}
