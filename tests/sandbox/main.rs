//! The wall with real commands: what they reach, what they do not, and that nothing of them survives.
//!
//! Every test runs behind each wall this machine has. As root the whole file runs a second time as a
//! user without rights.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests look at the real disk, start real processes, and say what was tried"
)]

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command as Process,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tos::{
    adapters::{
        process::{CommandRunner, Options as RunnerOptions},
        sandbox::{Options, Wall},
    },
    domain::{
        command::{Command, Kind},
        confinement::{Backend, Capability, Choice, Level, Network, Report},
        process::{End, Exit, Failure},
        redaction::Redactor,
    },
    ports::{
        runner::{Order, Runner, Streams},
        sandbox::Sandbox,
    },
};

fn program() -> PathBuf {
    let named = std::env::var_os("TOS_TEST_PROGRAM");
    named.map_or_else(|| env!("CARGO_BIN_EXE_tos").into(), PathBuf::from)
}

struct Bench {
    folder: TempDir,
    options: Options,
}

impl Bench {
    /// A workspace beside which the state of tos lives, so that tests may share nothing.
    fn new(backend: Backend, level: Level) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "root/.git",
            "root/logs",
            "root/config",
            "root/workspace",
            "home/.ssh",
            "state",
        ] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("home/.ssh/id"), "the key").unwrap();
        fs::write(folder.path().join("beside"), "untouched").unwrap();
        let mut options = Options::new(folder.path().join("root"), program());
        options.level = level;
        options.home = Some(folder.path().join("home"));
        options.state = folder.path().join("state");
        options.backends = vec![backend];
        options.path = std::env::var_os("PATH").unwrap();
        options.allow_degraded = true;
        Self { folder, options }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn report(&self) -> Report {
        Wall::new(self.options.clone()).report().await
    }

    async fn run(&self, code: &str) -> Result<End, Failure> {
        let mut options = RunnerOptions::new(self.options.root.clone(), Redactor::default());
        options.base_environment = vec![("PATH".into(), self.options.path.clone())];
        options.grace = Duration::from_millis(500);
        let wall = Arc::new(Wall::new(self.options.clone()));
        let order = Order {
            command: Command {
                kind: Kind::Bash,
                code: code.into(),
                argv: Vec::new(),
            },
            directory: self.options.root.clone(),
            deadline: Duration::from_secs(10),
            idle_deadline: None,
            environment: vec![("HERE".into(), self.folder.path().display().to_string())],
            output_directory: self.path("root/logs"),
            index: 1,
            token: self.folder.path().display().to_string(),
            streams: Streams::default(),
        };
        CommandRunner::new(options, Some(wall)).run(&order).await
    }

    async fn output(&self, code: &str) -> String {
        let end = self.run(code).await.unwrap();
        format!("{}{}", end.stdout.text(), end.stderr.text())
    }
}

/// The walls of this machine; bubblewrap may be missing, the others may not.
async fn walls(level: Level) -> Vec<Bench> {
    let mut found = Vec::new();
    for backend in Backend::WALLS {
        let bench = Bench::new(backend, level);
        let report = bench.report().await;
        let absent = report.trials.iter().find_map(|trial| trial.absent.clone());
        match absent {
            None => found.push(bench),
            Some(why) => {
                println!("{}: {why}", backend.as_str());
                assert_eq!(
                    (backend, why.as_str()),
                    (Backend::Bubblewrap, "`bwrap` is not installed")
                );
            }
        }
    }
    found
}

#[tokio::test]
async fn every_wall_proves_what_a_level_requires() {
    for level in [Level::Workspace, Level::ReadOnly] {
        for bench in walls(level).await {
            let report = bench.report().await;
            let backend = bench.options.backends[0];
            for proof in report.trials.iter().flat_map(|trial| &trial.proofs) {
                println!(
                    "{} {:?} {:?}: {}",
                    backend.as_str(),
                    proof.capability,
                    proof.holds,
                    proof.how
                );
            }
            assert_eq!(
                report.choice,
                Choice::Proved { backend },
                "{}",
                level.as_str()
            );
        }
    }
}

#[tokio::test]
async fn a_command_writes_below_the_root_and_nowhere_else() {
    for bench in walls(Level::Workspace).await {
        let said = bench
            .output("echo in >workspace/in; echo x >>\"$HERE/beside\"; echo x >.git/HEAD; echo x >logs/x; echo x >/etc/x; cat workspace/in")
            .await;
        assert!(said.starts_with("in\n"), "{said}");
        assert_eq!(
            fs::read_to_string(bench.path("root/workspace/in")).unwrap(),
            "in\n"
        );
        assert_eq!(
            fs::read_to_string(bench.path("beside")).unwrap(),
            "untouched"
        );
        assert!(!bench.path("root/.git/HEAD").exists());
        assert!(!bench.path("root/logs/x").exists());
        assert!(!Path::new("/etc/x").exists());
    }
}

#[tokio::test]
async fn files_made_behind_the_wall_belong_to_the_user() {
    for bench in walls(Level::Workspace).await {
        bench.run("echo x >workspace/mine").await.unwrap();
        let made = fs::metadata(bench.path("root/workspace/mine")).unwrap();
        assert_eq!(made.uid(), rustix::process::geteuid().as_raw());
    }
}

#[tokio::test]
async fn a_read_only_level_writes_only_to_its_temporary_directory() {
    for bench in walls(Level::ReadOnly).await {
        let said = bench
            .output(
                "echo x >workspace/x && echo wrote; t=$(mktemp) && echo temporary >$t && cat $t",
            )
            .await;
        assert!(said.starts_with("temporary\n"), "{said}");
        assert!(!bench.path("root/workspace/x").exists());
    }
}

#[tokio::test]
async fn keys_cannot_be_read() {
    for bench in walls(Level::Workspace).await {
        let said = bench.output("cat \"$HERE/home/.ssh/id\"").await;
        assert!(!said.contains("the key"), "{said}");
    }
}

#[tokio::test]
async fn the_end_of_a_command_comes_through_unchanged() {
    for bench in walls(Level::Workspace).await {
        let end = bench.run("echo out; echo err >&2; exit 42").await.unwrap();
        assert_eq!(end.exit, Exit::Code { code: 42 });
        assert_eq!(
            (end.stdout.head.as_str(), end.stderr.head.as_str()),
            ("out\n", "err\n")
        );
        let end = bench.run("kill -TERM $$").await.unwrap();
        let expected = if bench.options.backends == [Backend::Bubblewrap] {
            // This program reports a signal as a shell does.
            Exit::Code { code: 143 }
        } else {
            Exit::Signal { signal: 15 }
        };
        assert_eq!(end.exit, expected);
    }
}

#[tokio::test]
async fn a_daemon_behind_the_wall_dies_with_its_command() {
    for bench in walls(Level::Workspace).await {
        let code = "env -i setsid bash -c 'exec 9>workspace/lock; flock 9; echo >workspace/ready; exec sleep 1000' & \
            while [ ! -e workspace/ready ]; do sleep 0.01; done; echo done";
        assert_eq!(bench.run(code).await.unwrap().stdout.head, "done\n");
        let lock = fs::OpenOptions::new()
            .write(true)
            .open(bench.path("root/workspace/lock"))
            .unwrap();
        let free = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        rustix::fs::flock(&lock, free).unwrap();
    }
}

#[tokio::test]
async fn a_deadline_asks_the_command_behind_the_wall_to_terminate() {
    for bench in walls(Level::Workspace).await {
        let mut options = RunnerOptions::new(bench.options.root.clone(), Redactor::default());
        options.base_environment = vec![("PATH".into(), bench.options.path.clone())];
        let wall = Arc::new(Wall::new(bench.options.clone()));
        wall.report().await;
        let code = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
        let order = Order {
            command: Command {
                kind: Kind::Bash,
                code: code.into(),
                argv: Vec::new(),
            },
            directory: bench.options.root.clone(),
            deadline: Duration::from_secs(2),
            idle_deadline: None,
            environment: Vec::new(),
            output_directory: bench.path("root/logs"),
            index: 1,
            token: bench.folder.path().display().to_string(),
            streams: Streams::default(),
        };
        let end = CommandRunner::new(options, Some(wall))
            .run(&order)
            .await
            .unwrap();
        assert_eq!(end.exit, Exit::TimedOut { after_ms: 2000 });
        assert_eq!(end.stdout.head, "ready\nbye\n");
    }
}

#[tokio::test]
async fn only_an_allowed_host_is_reached_through_the_proxy() {
    for bench in walls(Level::Workspace).await {
        if bench.options.backends == [Backend::Landlock] {
            continue;
        }
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                let answer =
                    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
                drop(tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await);
                drop(tokio::io::AsyncWriteExt::shutdown(&mut stream).await);
            }
        });
        let mut bench = bench;
        bench.options.network = Network::Allowlist;
        bench.options.allow_hosts = vec![format!("127.0.0.1:{port}")];
        let backend = bench.options.backends[0];
        assert_eq!(bench.report().await.choice, Choice::Proved { backend });
        let ask = |place: &str| {
            format!(
                "exec 3<>/dev/tcp/127.0.0.1/8118; printf 'GET http://{place}/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3; cat <&3; "
            )
        };
        let said = bench.output(&ask(&format!("127.0.0.1:{port}"))).await;
        assert!(said.ends_with("hello"), "{said}");
        let said = bench.output(&ask("127.0.0.1:9")).await;
        assert!(said.starts_with("HTTP/1.1 403"), "{said}");
        let said = bench
            .output(&format!(
                "exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached"
            ))
            .await;
        assert!(!said.contains("reached"), "{said}");
    }
}

#[tokio::test]
async fn what_cannot_be_proved_is_refused_before_anything_runs() {
    let mut bench = Bench::new(Backend::Landlock, Level::Workspace);
    bench.options.network = Network::Allowlist;
    bench.options.allow_hosts = vec!["example.org".into()];
    bench.options.allow_degraded = false;
    let failure = bench.run("echo ran >workspace/ran").await.unwrap_err();
    assert!(
        failure
            .message
            .contains("only allowed hosts, through the proxy"),
        "{failure}"
    );
    assert!(!bench.path("root/workspace/ran").exists());
}

#[tokio::test]
async fn without_any_wall_an_open_level_runs_and_says_so() {
    let mut bench = Bench::new(Backend::Landlock, Level::Workspace);
    bench.options.backends = Vec::new();
    bench.options.allow_degraded = false;
    bench.options.open_if_unproved = true;
    assert_eq!(bench.run("echo ran").await.unwrap().stdout.head, "ran\n");
    let report = bench.report().await;
    assert!(
        matches!(
            report.choice,
            Choice::Degraded {
                backend: Backend::None,
                ..
            }
        ),
        "{report:?}"
    );
    assert!(report.choice.sentence(report.level).contains("not proved"));
}

#[tokio::test]
async fn a_trial_is_remembered_until_something_changes() {
    let mut bench = Bench::new(Backend::Landlock, Level::Workspace);
    let first = bench.report().await;
    let memory = bench.path("state/sandbox-trials.json");
    let stamp = fs::metadata(&memory).unwrap().ino();
    let ignored = fs::read_to_string(bench.path("state/.gitignore")).unwrap();
    assert_eq!(ignored, "*\n");
    assert_eq!(bench.report().await, first);
    assert_eq!(fs::metadata(&memory).unwrap().ino(), stamp);
    bench.options.network = Network::Full;
    bench.report().await;
    assert_ne!(fs::metadata(&memory).unwrap().ino(), stamp);
}

#[tokio::test]
async fn ceilings_hold_and_are_proved() {
    for bench in walls(Level::Workspace).await {
        let report = bench.report().await;
        let holds = |wanted: Capability| {
            let mut proofs = report.trials.iter().flat_map(|trial| &trial.proofs);
            proofs.any(|proof| proof.capability == wanted && proof.holds == Some(true))
        };
        assert!(
            holds(Capability::FileSize)
                && holds(Capability::Memory)
                && holds(Capability::ProcessorTime)
        );
        assert!(
            holds(Capability::Processes) || !counts_processes(),
            "{:?}",
            bench.options.backends
        );
    }
}

/// The kernel counts the processes of root only in a control group.
fn counts_processes() -> bool {
    let groups = Path::new("/sys/fs/cgroup");
    let newer = fs::read_to_string(groups.join("cgroup.subtree_control"));
    let counted =
        newer.is_ok_and(|text| text.contains("pids")) || groups.join("pids/cgroup.procs").exists();
    counted || !rustix::process::geteuid().is_root()
}

/// Runs tos itself in `root` with an environment that says nothing but where programs are.
fn tos(root: &Path, words: &[&str]) -> String {
    let output = Process::new(program())
        .args(words)
        .current_dir(root)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{trouble}");
    said
}

#[test]
fn the_sample_job_runs_confined_by_default_and_its_log_says_so() {
    let folder = tempfile::tempdir().unwrap();
    tos(folder.path(), &["init", "--sample", "."]);
    tos(folder.path(), &["--mode", "run"]);
    let log = fs::read_to_string(folder.path().join("logs/steps/step_001.json")).unwrap();
    let log: serde_json::Value = serde_json::from_str(&log).unwrap();
    let said = log["confinement"].as_str().unwrap();
    assert!(said.starts_with("sandbox `workspace` by "), "{said}");
    assert!(!said.contains("degraded"), "{said}");
}

#[test]
fn the_doctor_shows_what_every_wall_was_proved_to_hold() {
    let folder = tempfile::tempdir().unwrap();
    tos(folder.path(), &["init", "--sample", "."]);
    let said = tos(folder.path(), &["doctor", "--sandbox", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let trials = report["sandbox"]["trials"].as_array().unwrap();
    let walls: Vec<_> = trials
        .iter()
        .map(|trial| trial["backend"].as_str().unwrap())
        .collect();
    assert_eq!(walls, ["bubblewrap", "namespaces", "landlock"]);
    assert_eq!(report["sandbox"]["choice"]["wall"], "proved");
}

#[test]
fn everything_holds_for_a_user_without_rights_as_well() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = |from: PathBuf, name: &str| {
        let to = folder.path().join(name);
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
        to
    };
    let tests = copy(std::env::current_exe().unwrap(), "tests");
    let program = copy(program(), "tos");
    let output = Process::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(tests)
        .args(["--test-threads", "2"])
        .env("TOS_TEST_PROGRAM", program)
        .env("HOME", "/nonexistent")
        .env("TMPDIR", "/tmp")
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
