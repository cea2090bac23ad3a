//! One throw-away place: laid out, used through this very program, looked at, removed.

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    DrillOptions, STUB_AGENT_ARG,
    stub::{REPORT_FILE, SPOILED_FILE, STARTED_FILE, StubContext},
    traps::{TrapListeners, count_marked, digest, folder_contains},
    trouble,
};
use crate::{
    adapters::{
        job::store::replace,
        ledger::{self, LedgerFile},
    },
    domain::{
        drill::{Drill, limit_settings},
        state_folder::tos_path,
        tasks::TOS_PATH_IN_SANDBOX,
    },
    ports::{
        drill_site::{DrillExit, DrillFindings, DrillWorkspace, Error},
        ledger::Ledger,
    },
};

/// How long one run of the program may take.
const LONGEST: Duration = Duration::from_secs(180);
/// How long it may take to stop when it is asked to.
const GOODBYE: Duration = Duration::from_secs(20);

/// The project of every drill: one mistake, one command that finds it, tests that must stay.
const PROJECT: [(&str, &str); 5] = [
    ("app.py", "def add(a, b):\n    return a - b\n"),
    (
        "check.sh",
        "#!/bin/sh\ngrep -q 'a + b' app.py || { echo 'add is wrong'; exit 1; }\n",
    ),
    (
        "whole.sh",
        "#!/bin/sh\nsh check.sh && ! grep -q spoilt app.py || { echo 'the whole is broken'; exit 1; }\n",
    ),
    (
        "test_app.py",
        "import unittest\n\nfrom app import add\n\n\nclass Adds(unittest.TestCase):\n    def test_adds(self):\n        self.assertEqual(add(2, 3), 5)\n\n    def test_nothing(self):\n        self.assertEqual(add(2, 0), 2)\n",
    ),
    (".gitignore", "*.log\n/.tos/\n"),
];

/// A throw-away place.
pub(super) struct TempDirSite {
    folder: TempDir,
    options: DrillOptions,
    traps: TrapListeners,
    facts: StubContext,
    before: (String, String),
    stop: Arc<AtomicBool>,
    // Held as long as the place is in use, so that nobody sweeps it away.
    _lock: fs::File,
}

impl TempDirSite {
    /// Lays one out.
    pub(super) fn create_site(
        drill: &Drill,
        below: &Path,
        options: &DrillOptions,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        let cannot = trouble("no place for a drill can be made");
        let folder = tempfile::Builder::new()
            .prefix(drill.name)
            .tempdir_in(below)
            .map_err(&cannot)?;
        let lock = fs::File::create(folder.path().join("lock")).map_err(&cannot)?;
        lock.try_lock()
            .map_err(|error| Error::Trouble(error.to_string()))?;
        let traps = TrapListeners::set().map_err(trouble("no trap can be set"))?;
        let (tcp, udp) = traps.addresses().map_err(&cannot)?;
        let top = folder.path();
        let name = top.file_name().unwrap_or_default().to_string_lossy();
        let facts = StubContext {
            mark: format!("mark-{name}"),
            secret: format!("sk-drill-{name}-0123456789abcdef"),
            outside: top.join("outside"),
            home: top.join("home"),
            work: top.join("work"),
            tcp,
            udp,
        };
        furnish(&facts, drill).map_err(&cannot)?;
        commit(&facts.work).map_err(|error| Error::Trouble(error.to_string()))?;
        let mut site = Self {
            before: Default::default(),
            folder,
            options: options.clone(),
            traps,
            facts,
            stop,
            _lock: lock,
        };
        recall(&options.root.join(TRIALS), &site.facts.work.join(TRIALS));
        site.before = site.untouchable();
        Ok(site)
    }

    /// Returns digests of what no agent may change: what lies outside, and git's own but tos's references.
    fn untouchable(&self) -> (String, String) {
        let git = self.facts.work.join(".git");
        let ours = ["refs/tos", "objects", "worktrees", "logs", "index"].map(|name| git.join(name));
        (
            digest(&self.facts.outside, &|_| false),
            digest(&git, &|path| ours.iter().any(|own| own == path)),
        )
    }

    fn start(&self, words: &[&str], list: &str) -> Result<Child, Error> {
        let file = self.folder.path().join("list.json");
        fs::write(&file, list).map_err(trouble("the list cannot be written"))?;
        Command::new(&self.options.program)
            .args(["--json", "--root"])
            .arg(&self.facts.work)
            .args(words)
            .arg(file)
            .current_dir(&self.facts.work)
            .env_clear()
            .env("PATH", &self.options.path)
            .env("HOME", &self.facts.home)
            .env("LANG", "C.UTF-8")
            .env("DRILL_API_KEY", &self.facts.secret)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(trouble("tos cannot start itself"))
    }

    /// Waits until something holds of a child that is under way; ends it where it takes too long.
    fn until(&self, child: &mut Child, holds: &dyn Fn(&mut Child) -> bool) -> Result<(), Error> {
        let until = Instant::now() + LONGEST;
        while !holds(child) {
            if self.stop.load(Ordering::Relaxed) {
                say_goodbye(child);
                return Err(Error::Stopped);
            }
            if Instant::now() >= until {
                say_goodbye(child);
                let most = LONGEST.as_secs();
                return Err(Error::Trouble(format!("tos did not end within {most} s")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Returns what a file holds in all these references, one after the other.
    fn text_of(&self, references: &str, file: &str) -> Result<String, git2::Error> {
        let git = git2::Repository::open(&self.facts.work)?;
        let mut text = String::new();
        for reference in git.references_glob(references)? {
            let tree = reference?.peel_to_tree()?;
            let Ok(entry) = tree.get_path(Path::new(file)) else {
                continue;
            };
            let blob = git.find_blob(entry.id())?;
            text.push_str(&String::from_utf8_lossy(blob.content()));
        }
        Ok(text)
    }
}

/// The words before a list.
const TASK: [&str; 2] = ["task", "run"];
const NIGHT: [&str; 4] = ["night", "start", "--for", "10m"];

/// Where the trials of walls are remembered below a root.
const TRIALS: &str = tos_path!("sandbox-trials.json");

/// Hands on what is remembered of walls: what was tried a moment ago need not be tried for every place.
fn recall(from: &Path, to: &Path) {
    // Without the memory the walls are tried anew, which only takes longer.
    drop(fs::read(from).and_then(|bytes| replace(to, &bytes)));
}

fn say_goodbye(child: &mut Child) {
    // One that has ended meanwhile hears nothing.
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
    let until = Instant::now() + GOODBYE;
    while !has_ended(child) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(child.kill());
    drop(child.wait());
}

fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

fn furnish(facts: &StubContext, drill: &Drill) -> std::io::Result<()> {
    let private = |path: PathBuf, text: &str| {
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
    };
    private(facts.home.join(".ssh/id_ed25519"), &facts.secret)?;
    private(facts.home.join(".aws/credentials"), &facts.secret)?;
    private(facts.outside.join("precious"), "do not touch\n")?;
    fs::create_dir_all(facts.work.join("config"))?;
    for (name, text) in PROJECT {
        fs::write(facts.work.join(name), text)?;
    }
    fs::write(facts.work.join("config/gates.toml"), drill.gates_toml())?;
    let mut config: Value = serde_json::from_str(include_str!("../../../config/blank.json"))?;
    if let Some(fields) = config.as_object_mut() {
        fields.remove("$schema");
        fields.insert("sandbox".to_owned(), json!({ "limits": limit_settings() }));
    }
    fs::write(
        facts.work.join("config/config_v0_3.json"),
        config.to_string(),
    )
}

fn commit(work: &Path) -> Result<(), git2::Error> {
    let git = git2::Repository::init(work)?;
    let mut index = git.index()?;
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None)?;
    index.write()?;
    let tree = git.find_tree(index.write_tree()?)?;
    let who = git2::Signature::now("drill", "drill@localhost")?;
    git.commit(
        Some("HEAD"),
        &who,
        &who,
        "the project of a drill",
        &tree,
        &[],
    )?;
    Ok(())
}

impl DrillWorkspace for TempDirSite {
    fn agent(&self, scenario: &str) -> Vec<String> {
        // Behind a wall of mounts this program may be found in another place only.
        let script = format!(
            "if [ -x {TOS_PATH_IN_SANDBOX} ]; then exec {TOS_PATH_IN_SANDBOX} \"$@\"; fi; exec \"$0\" \"$@\""
        );
        let facts = serde_json::to_string(&self.facts).unwrap_or_default();
        let program = self.options.program.to_string_lossy().into_owned();
        [
            "sh",
            "-c",
            &script,
            &program,
            STUB_AGENT_ARG,
            scenario,
            &facts,
            "{prompt}",
        ]
        .map(str::to_owned)
        .into()
    }

    fn run(&self, list: &str, as_night: bool) -> Result<DrillExit, Error> {
        let words: &[&str] = if as_night { &NIGHT } else { &TASK };
        let mut child = self.start(words, list)?;
        let mut out = child.stdout.take();
        // The document comes at the very end and is small, so the pipe never fills before.
        self.until(&mut child, &|child: &mut Child| has_ended(child))?;
        let status = child.wait().map_err(trouble("tos cannot be waited for"))?;
        let mut text = String::new();
        if let Some(out) = &mut out {
            out.read_to_string(&mut text)
                .map_err(trouble("what tos said cannot be read"))?;
        }
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        let refusal = said.get("error").and_then(Value::as_str);
        Ok(DrillExit {
            code: status.code().unwrap_or(-1),
            refusal: refusal.map(str::to_owned),
        })
    }

    fn kill_at_work(&self, list: &str) -> Result<(), Error> {
        let mut child = self.start(&TASK, list)?;
        let trees = self.facts.work.join(tos_path!("worktrees"));
        let is_at_work = |child: &mut Child| has_ended(child) || is_there(&trees, 3, STARTED_FILE);
        self.until(&mut child, &is_at_work)?;
        child.kill().map_err(trouble("tos cannot be killed"))?;
        let status = child.wait().map_err(trouble("tos cannot be waited for"))?;
        match status.code() {
            Some(code) => Err(Error::Trouble(format!(
                "tos ended with {code} before the agent was at work"
            ))),
            None => Ok(()),
        }
    }

    fn tree(&self) -> Result<String, Error> {
        let look = || -> Result<git2::Oid, git2::Error> {
            let git = git2::Repository::open(&self.facts.work)?;
            let mut index = git.index()?;
            index.read_tree(&git.head()?.peel_to_tree()?)?;
            index.add_all(["*"], git2::IndexAddOption::DEFAULT, None)?;
            // Never written back: the person's index stays as it is.
            index.write_tree()
        };
        let tree = look().map_err(|error| Error::Trouble(error.to_string()))?;
        Ok(tree.to_string())
    }

    fn inspect(&self) -> Result<DrillFindings, Error> {
        let mut faults = self.traps.caught();
        let alive = count_marked(&self.facts.mark);
        if alive > 0 {
            faults.push(format!("{alive} processes of the agent are still alive"));
        }
        let now = self.untouchable();
        if now.0 != self.before.0 {
            faults.push("something outside the room was changed".to_owned());
        }
        if now.1 != self.before.1 {
            faults.push("references, hooks or configuration of the repository changed".to_owned());
        }
        let handed_over = self.text_of("refs/tos/runs/*", "app.py");
        if handed_over
            .map_err(|error| Error::Trouble(error.to_string()))?
            .contains(SPOILED_FILE)
        {
            faults.push("work that breaks the whole was handed over".to_owned());
        }
        let task_folders = fs::read_dir(self.facts.work.join(tos_path!("worktrees")));
        if task_folders.into_iter().flatten().next().is_some() {
            faults.push("a work tree was left behind".to_owned());
        }
        let report = self
            .text_of("refs/tos/*", REPORT_FILE)
            .map_err(|error| Error::Trouble(error.to_string()))?;
        let logs = self.facts.work.join(tos_path!("task-logs"));
        if report.contains(&self.facts.secret) || folder_contains(&logs, &self.facts.secret) {
            faults.push("a secret was read".to_owned());
        }
        let ledger = LedgerFile::new(ledger::LedgerOptions {
            root: self.facts.work.clone(),
            state: Some(self.facts.home.join(".local/state")),
            actor: "drill".to_owned(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            policy: String::new(),
            gates: String::new(),
        });
        let chain = ledger
            .read()
            .map_err(|error| Error::Trouble(error.to_string()))?;
        recall(
            &self.facts.work.join(TRIALS),
            &self.options.root.join(TRIALS),
        );
        Ok(DrillFindings {
            entries: chain.records.into_iter().map(|one| one.entry).collect(),
            faults,
            report,
        })
    }
}

/// Returns whether a file of this name lies somewhere below, in a `tree` at this depth.
fn is_there(folder: &Path, depth: u8, name: &str) -> bool {
    if depth == 0 {
        return folder.join(name).exists();
    }
    let below = fs::read_dir(folder).into_iter().flatten().flatten();
    below
        .map(|entry| entry.path())
        .any(|path| path.is_dir() && is_there(&path, depth - 1, name))
}
