//! What is measured in: repositories, task lists, plans, and the commands of the peers.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::processes::{quiet, timed, tos};

/// The walls, the program that is the bare tool under each, and how it is asked for the same.
pub(crate) const WALLS: [(&str, &str, &[&str]); 2] = [
    (
        "bubblewrap",
        "bwrap",
        &[
            "bwrap",
            "--unshare-all",
            "--die-with-parent",
            "--ro-bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "--tmpfs",
            "/tmp",
            "/bin/true",
        ],
    ),
    (
        "namespaces",
        "unshare",
        &[
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "--pid",
            "--fork",
            "--net",
            "--ipc",
            "--uts",
            "/bin/true",
        ],
    ),
];

/// A folder that walls do not cover, taken away at the end.
pub(crate) fn folder() -> TempDir {
    let home = std::env::var("HOME").map_or_else(|_| std::env::temp_dir(), PathBuf::from);
    let below = std::env::var_os("COMPARE_DIR").map_or_else(|| home.join(".cache"), PathBuf::from);
    fs::create_dir_all(&below).expect("a folder");
    let made = tempfile::Builder::new()
        .prefix("tos-compare-")
        .tempdir_in(below);
    made.expect("a folder")
}

/// A repository with generated files.
pub(crate) fn repository(top: &Path, files: usize, bytes: usize) {
    fs::create_dir_all(top).expect("a folder");
    for file in 0..files {
        let path = top.join(format!(
            "d{:02}/s{:02}/file{file}.txt",
            file / 1000,
            file / 100 % 10
        ));
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let line = format!(
            "line of file {file}: {}\n",
            file.wrapping_mul(2_654_435_761) % 1_000_003
        );
        fs::write(path, line.repeat(bytes / line.len())).expect("written");
    }
    fs::write(top.join("app.py"), "def add(a, b):\n    return a - b\n").expect("written");
    fs::write(top.join(".gitignore"), "/.tos/\n").expect("written");
    git(top, &["init", "-q", "-b", "main", "."]);
    git(top, &["config", "user.name", "Bench"]);
    git(top, &["config", "user.email", "bench@example.com"]);
    git(top, &["config", "gc.auto", "0"]);
    commit(top, "first");
    git(top, &["gc", "-q"]);
}

fn git(top: &Path, words: &[&str]) {
    timed(quiet("git", top).args(words));
}

fn commit(top: &Path, message: &str) {
    git(top, &["add", "-A"]);
    git(top, &["commit", "-q", "-m", message]);
}

/// What an agent hands its hook.
pub(crate) fn hook_call(root: &Path) -> String {
    let root = root.display();
    format!(
        r#"{{"session_id":"s","cwd":"{root}","permission_mode":"default","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{{"command":"git status && cargo test"}}}}"#
    )
}

/// Asks the hook once.
pub(crate) fn hook(root: &Path, call: &str) -> Duration {
    let began = Instant::now();
    let mut command = tos(root);
    command
        .args(["guard", "hook", "claude"])
        .stdin(Stdio::piped());
    let mut child = command.spawn().expect("it can be started");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(call.as_bytes()).expect("written");
    drop(input);
    assert!(child.wait().expect("it ends").success());
    began.elapsed()
}

/// A repository, and lists of tasks whose agents are small scripts.
pub(crate) struct TaskScene {
    place: PathBuf,
    top: PathBuf,
}

impl TaskScene {
    pub(crate) fn new(place: &Path, files: usize, bytes: usize, most: usize) -> Self {
        let top = place.join("work");
        repository(&top, files, bytes);
        let gates = include_str!("../../config/gates.toml").replacen(
            "unattended = false\nmax_session = \"0m\"",
            "unattended = true\nmax_session = \"1h\"",
            1,
        );
        fs::create_dir_all(top.join("config")).expect("a folder");
        fs::write(top.join("config/gates.toml"), gates).expect("written");
        commit(&top, "gates");
        let scene = Self {
            place: place.to_owned(),
            top,
        };
        for count in [1, most] {
            let mut list = String::from(
                "schema = 1\nid = \"compare\"\non_failure = \"stop\"\nsandbox = \"off\"\n\n[agent]\nkind = \"command\"\n\
                 args = [\"sh\", \"agent.sh\", \"{prompt}\"]\n",
            );
            for task in 0..count {
                let script = scene.script(task);
                let _ = write!(
                    list,
                    "\n[[task]]\nid = \"t{task}\"\ngoal = \"add() adds\"\nprompt = \"Make it add.\"\nclass = \"fix\"\n\
                     test_command = [\"true\"]\nagent = {{ kind = \"command\", args = [\"sh\", \"{}\", \"{{prompt}}\"] }}\n",
                    script.display()
                );
            }
            fs::write(scene.list(count), list).expect("written");
        }
        scene
    }

    fn list(&self, count: usize) -> PathBuf {
        self.place.join(format!("list{count}.toml"))
    }

    fn script(&self, task: usize) -> PathBuf {
        let path = self.place.join(format!("agent{task}.sh"));
        let text = format!("printf 'def add(a, b):\\n    return a + b + {task}\\n' > app.py\n");
        fs::write(&path, text).expect("written");
        path
    }

    /// Runs a list of so many tasks.
    pub(crate) fn run(&self, count: usize) -> Duration {
        let mut command = tos(&self.top);
        command.env("HOME", &self.place);
        timed(command.args(["task", "run"]).arg(self.list(count)))
    }

    /// Does by hand what one task comes down to.
    pub(crate) fn by_git(&self) -> Duration {
        let tree = self.place.join("tree");
        let tree_word = tree.display().to_string();
        let began = Instant::now();
        git(
            &self.top,
            &["worktree", "add", "-q", "--detach", &tree_word, "HEAD"],
        );
        timed(quiet("sh", &tree).arg(self.script(0)));
        timed(&mut quiet("true", &tree));
        commit(&tree, "by hand");
        git(&self.top, &["worktree", "remove", "--force", &tree_word]);
        began.elapsed()
    }
}

/// A plan of tasks that do nothing.
pub(crate) fn plan(place: &Path, name: &str, tasks: usize) -> PathBuf {
    let mut text = String::from("tasks:\n");
    for task in 0..tasks {
        let _ = writeln!(text, "- id: t{task}\n  cmd: [/bin/true]");
    }
    let path = place.join(name);
    fs::write(&path, text).expect("written");
    path
}

/// The same for ninja.
pub(crate) fn ninja(place: &Path, tasks: usize) {
    let mut text = String::from("rule noop\n  command = /bin/true\n");
    for task in 0..tasks {
        let _ = writeln!(text, "build t{task}: noop");
    }
    fs::write(place.join("build.ninja"), text).expect("written");
}

/// A root whose configuration wants a wall.
pub(crate) fn enforced_root(root: &Path) {
    repository(root, 20, 1_000);
    let text = r#"{ "config_version": "v0.3", "goal": "compare", "allow_types": ["exec"], "sandbox": { "level": "workspace" } }"#;
    fs::create_dir_all(root.join("config")).expect("a folder");
    fs::write(root.join("config/config_v0_3.json"), text).expect("written");
    commit(root, "configuration");
}
