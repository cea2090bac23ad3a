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

mod jail;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command as Process,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tos::{
    adapters::{
        process::{CommandRunnerOptions, LocalCommandRunner},
        sandbox::{BackendSandbox, Options},
    },
    domain::{
        command::{Command, CommandKind},
        process::{CommandResult, ExitStatus, SpawnError},
        redaction::Redactor,
        sandbox::{
            BackendChoice, ConfinementLevel, NetworkAccess, SandboxBackend, SandboxCapability,
            SandboxReport,
        },
    },
    ports::{
        runner::{CommandRequest, CommandRunner, CommandStreams},
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
    fn new(backend: SandboxBackend, level: ConfinementLevel) -> Self {
        Self::below(tempfile::tempdir().unwrap(), backend, level)
    }

    /// The same in a folder of one's own.
    fn below(folder: TempDir, backend: SandboxBackend, level: ConfinementLevel) -> Self {
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

    /// Writes a file, and makes it a program where it is a script.
    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn link(&self, name: &str, target: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// Puts folders in front of the search path.
    fn search(&mut self, folders: &[&str]) {
        let own = folders.iter().map(|folder| self.path(folder));
        let rest: Vec<PathBuf> = std::env::split_paths(&self.options.path).collect();
        self.options.path = std::env::join_paths(own.chain(rest)).unwrap();
    }

    async fn report(&self) -> SandboxReport {
        BackendSandbox::new(self.options.clone()).report().await
    }

    async fn run(&self, code: &str) -> Result<CommandResult, SpawnError> {
        self.start(CommandKind::Bash, code, &[]).await
    }

    /// Starts a program with arguments.
    async fn exec(&self, argv: &[&str]) -> Result<CommandResult, SpawnError> {
        self.start(CommandKind::Exec, "", argv).await
    }

    async fn start(
        &self,
        kind: CommandKind,
        code: &str,
        argv: &[&str],
    ) -> Result<CommandResult, SpawnError> {
        let mut options = CommandRunnerOptions::new(self.options.root.clone(), Redactor::default());
        options.base_environment = vec![("PATH".into(), self.options.path.clone())];
        let home = self.options.home.clone().unwrap();
        options.base_environment.push(("HOME".into(), home.into()));
        options.grace = Duration::from_millis(500);
        let wall = Arc::new(BackendSandbox::new(self.options.clone()));
        let order = CommandRequest {
            command: Command {
                kind,
                code: code.into(),
                argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            },
            directory: self.options.root.clone(),
            deadline: Duration::from_secs(30),
            idle_deadline: None,
            grace: None,
            environment: vec![("HERE".into(), self.folder.path().display().to_string())],
            output_directory: self.path("root/logs"),
            index: 1,
            token: self.folder.path().display().to_string(),
            streams: CommandStreams::default(),
        };
        LocalCommandRunner::new(options, Some(wall))
            .run(&order)
            .await
    }

    async fn output(&self, code: &str) -> String {
        let end = self.run(code).await.unwrap();
        format!("{}{}", end.stdout.text(), end.stderr.text())
    }
}

/// The walls of this machine; bubblewrap may be missing, the others may not.
async fn walls(level: ConfinementLevel) -> Vec<Bench> {
    let mut found = Vec::new();
    for backend in SandboxBackend::CONFINING {
        let bench = Bench::new(backend, level);
        let mut report = bench.report().await;
        // Neighbours may use up the processes of this user for a moment.
        for _ in 0..20 {
            if !report.trials.iter().any(|trial| trial.is_untried) {
                break;
            }
            report = bench.report().await;
        }
        let absent = report.trials.iter().find_map(|trial| trial.absent.clone());
        match absent {
            None => found.push(bench),
            Some(why) => {
                println!("{}: {why}", backend.as_str());
                assert_eq!(
                    (backend, why.as_str()),
                    (SandboxBackend::Bubblewrap, "`bwrap` is not installed")
                );
            }
        }
    }
    found
}

#[tokio::test]
async fn every_wall_proves_what_a_level_requires() {
    for level in [ConfinementLevel::Workspace, ConfinementLevel::ReadOnly] {
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
                BackendChoice::Proved { backend },
                "{}",
                level.as_str()
            );
        }
    }
}

#[tokio::test]
async fn a_command_writes_below_the_root_and_nowhere_else() {
    for bench in walls(ConfinementLevel::Workspace).await {
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
    for bench in walls(ConfinementLevel::Workspace).await {
        bench.run("echo x >workspace/mine").await.unwrap();
        let made = fs::metadata(bench.path("root/workspace/mine")).unwrap();
        assert_eq!(made.uid(), rustix::process::geteuid().as_raw());
    }
}

#[tokio::test]
async fn a_read_only_level_writes_only_to_its_temporary_directory() {
    for bench in walls(ConfinementLevel::ReadOnly).await {
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
async fn a_lasting_temporary_directory_is_one_for_all_commands_and_has_a_size() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        bench.options.temporary = Some(bench.path("state/tmp/job"));
        bench.options.limits.temporary_bytes = 8 << 20;
        let said = bench
            .output("cd ${TMPDIR:-/tmp} && echo kept > a && mkdir -m 700 b && ls -d a b && stat -c %a .")
            .await;
        assert_eq!(said, "a\nb\n1777\n", "{name}");
        let said = bench.output("cd ${TMPDIR:-/tmp} && cat a").await;
        assert_eq!(said, "kept\n", "{name}");
        let code =
            "cd ${TMPDIR:-/tmp}; for n in 1 2 3 4; do head -c 4M /dev/zero > $n; done; sleep 25";
        let end = bench.run(code).await.unwrap();
        assert!(
            matches!(end.exit, ExitStatus::DiskTaken { taken_bytes } if taken_bytes > 8 << 20),
            "{name}: {:?}",
            end.exit
        );
        // Who has another one, or none that lasts, sees nothing of it.
        bench.options.temporary = None;
        let said = bench.output("ls -A ${TMPDIR:-/tmp}/a 2>&1; true").await;
        assert!(said.contains("No such file"), "{name}: {said}");
    }
}

#[tokio::test]
async fn keys_cannot_be_read() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let said = bench.output("cat \"$HERE/home/.ssh/id\"").await;
        assert!(!said.contains("the key"), "{said}");
    }
}

#[tokio::test]
async fn no_device_of_the_machine_can_be_read() {
    // Behind mounts there are other devices under these names; behind rules alone they are the real ones.
    for bench in walls(ConfinementLevel::Workspace).await {
        let is_real = bench.options.backends == [SandboxBackend::Landlock];
        let said = bench
            .output("(exec 3</dev/ptmx) && echo terminal; (exec 3</dev/zero) && echo zero")
            .await;
        let terminal = if is_real { "" } else { "terminal\n" };
        assert!(said.starts_with(&format!("{terminal}zero\n")), "{said}");
    }
}

#[tokio::test]
async fn rare_sockets_and_calls_under_other_numbers_are_refused() {
    // 30 = TIPC, 43 = SMC; 0x40000027 = getpid by the x32 interface. A kernel without them answers otherwise than the wall.
    let script = "import ctypes, socket\n\
        for family in (30, 43):\n\
        \x20   try: socket.socket(family, 1); print('made')\n\
        \x20   except OSError as error: print(error.errno)\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        print(libc.syscall(0x40000027), ctypes.get_errno())\n\
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW); print('netlink')";
    for bench in walls(ConfinementLevel::Workspace).await {
        bench.write("root/sockets.py", script);
        let said = bench.output("python3 sockets.py 2>&1").await;
        if cfg!(target_arch = "x86_64") {
            assert_eq!(said, "1\n1\n-1 1\nnetlink\n", "{said}");
        } else {
            assert!(said.starts_with("1\n1\n"), "{said}");
        }
    }
}

/// A folder that no wall covers by itself, as homes are; `None` where there is none to write to.
fn uncovered() -> Option<TempDir> {
    let named = std::env::var_os("TOS_TEST_FOLDER").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| program().parent().unwrap().to_owned());
    tempfile::tempdir_in(folder).ok()
}

#[tokio::test]
async fn a_home_shows_no_file_but_those_of_its_tools() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        let Some(folder) = uncovered() else { return };
        bench = Bench::below(
            folder,
            bench.options.backends[0],
            ConfinementLevel::Workspace,
        );
        for (name, text) in [
            ("home/.gemini/oauth_creds.json", "login"),
            ("home/.local/share/opencode/auth.json", "login"),
            ("home/.config/github-copilot/hosts.json", "login"),
            ("home/.cache/huggingface/token", "login"),
            ("home/.some-new-agent/auth.json", "login"),
            ("home/papers/letter", "login"),
            ("home/.cargo/credentials.toml", "login"),
            ("home/.cargo/bin/tool", "#!/bin/sh\necho the tool ran\n"),
            ("home/.cargo/registry/x", "source"),
        ] {
            bench.write(name, text);
        }
        bench.search(&["home/.cargo/bin"]);
        let said = bench
            .output("tool; cat ~/.cargo/registry/x; find ~ -type f | xargs cat; ls ~/papers; echo x >~/new")
            .await;
        assert!(said.contains("the tool ran"), "{said}");
        assert!(said.contains("source"), "{said}");
        assert!(!said.contains("login"), "{said}");
        assert!(!bench.path("home/new").exists());
        bench.options.show = vec![bench.path("home/papers")];
        let said = bench
            .output("cat ~/papers/letter; echo x >~/papers/letter")
            .await;
        assert!(said.starts_with("login"), "{said}");
        assert_eq!(
            fs::read_to_string(bench.path("home/papers/letter")).unwrap(),
            "login"
        );
    }
}

#[tokio::test]
async fn a_root_in_a_home_is_seen_with_the_repository_it_belongs_to() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        let Some(folder) = uncovered() else { return };
        bench = Bench::below(
            folder,
            bench.options.backends[0],
            ConfinementLevel::Workspace,
        );
        bench.write("home/mono/.git/HEAD", "head");
        bench.write("home/mono/shared", "shared");
        bench.write("home/other/file", "other");
        bench.write("home/mono/part/file", "own");
        fs::create_dir(bench.path("home/mono/part/logs")).unwrap();
        bench.options.root = bench.path("home/mono/part").canonicalize().unwrap();
        let said = bench
            .output("cat file ../shared ../.git/HEAD ../../other/file; mkdir -p sub; echo new >sub/new; echo x >../shared")
            .await;
        assert!(said.starts_with("ownsharedhead"), "{said}");
        assert!(!said.contains("other\n"), "{said}");
        let shared = fs::read_to_string(bench.path("home/mono/shared")).unwrap();
        assert_eq!(shared, "shared");
    }
}

#[tokio::test]
async fn programs_installed_in_a_home_or_below_the_temporary_directory_are_found() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        for place in ["home", "temporary"] {
            let folder = if place == "home" {
                uncovered()
            } else {
                tempfile::tempdir().ok()
            };
            let Some(folder) = folder else { continue };
            bench = Bench::below(
                folder,
                bench.options.backends[0],
                ConfinementLevel::Workspace,
            );
            bench.options.path = "/usr/bin:/bin".into();
            let script = "#!/bin/sh\nexec cat \"$(dirname \"$(readlink -f \"$0\")\")/part\"\n";
            for folder in [
                "home/.local/share/claude/versions/x",
                "home/npm/lib/node_modules/@a/b/bin",
                "home/.claude/local/node_modules/c/bin",
                "home/tool/bin",
            ] {
                bench.write(&format!("{folder}/run"), script);
                bench.write(&format!("{folder}/part"), folder);
            }
            bench.write("home/.claude/.credentials.json", "login");
            let python = bench.path("home/venv/bin/python").display().to_string();
            bench.link("home/venv/bin/python", "../../.tools/sh");
            bench.link("home/.tools/sh", "/bin/sh");
            bench.write(
                "home/.local/bin/scripted",
                &format!("#!{python}\necho scripted\n"),
            );
            bench.link("home/.local/bin/claude", "../share/claude/versions/x/run");
            bench.link("home/npm/bin/agent", "../lib/node_modules/@a/b/bin/run");
            bench.link("home/.claude/local/claude", "node_modules/c/bin/run");
            bench.search(&["home/.local/bin", "home/npm/bin"]);
            let named = bench
                .path("home/.claude/local/claude")
                .display()
                .to_string();
            let tool = bench.path("home/tool/bin/run").display().to_string();
            for (program, said) in [
                ("claude", "home/.local/share/claude/versions/x"),
                ("agent", "home/npm/lib/node_modules/@a/b/bin"),
                (named.as_str(), "home/.claude/local/node_modules/c/bin"),
                (tool.as_str(), "home/tool/bin"),
                ("scripted", "scripted\n"),
            ] {
                let end = bench.exec(&[program]).await.unwrap();
                assert_eq!(end.stdout.text(), said, "{program}: {}", end.stderr.text());
            }
            let login = bench.path("home/.claude/.credentials.json");
            let end = bench.exec(&["cat", login.to_str().unwrap()]).await.unwrap();
            assert!(place != "home" || end.stdout.text().is_empty());
        }
    }
}

#[tokio::test]
async fn a_program_in_a_place_of_keys_is_refused_with_the_reason() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        let Some(folder) = uncovered() else { return };
        bench = Bench::below(
            folder,
            bench.options.backends[0],
            ConfinementLevel::Workspace,
        );
        bench.write("home/.ssh/run", "#!/bin/sh\necho ran\n");
        let program = bench.path("home/.ssh/run").display().to_string();
        let failure = bench.exec(&[&program]).await.unwrap_err();
        assert!(
            failure.message.contains("which the sandbox hides"),
            "{failure}"
        );
        assert!(failure.message.contains("`sandbox.show`"), "{failure}");
    }
}

/// What a program says outside; `None` where this machine does not have it.
fn outside(argv: &[&str]) -> Option<String> {
    let (program, arguments) = argv.split_first()?;
    let output = Process::new(program).args(arguments).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(said)
}

#[tokio::test]
async fn the_tools_of_this_machine_work_behind_every_wall() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        bench.options.home = std::env::var_os("HOME").map(PathBuf::from);
        for argv in [
            ["cargo", "--version"].as_slice(),
            &["rustc", "--print", "sysroot"],
            &["python3", "-c", "import sys, json, ssl; print(sys.prefix)"],
            &["node", "--version"],
            &["npm", "--version"],
            &["git", "--version"],
        ] {
            let Some(expected) = outside(argv) else {
                println!("{argv:?}: not on this machine");
                continue;
            };
            let end = bench.exec(argv).await.unwrap();
            let backend = bench.options.backends[0].as_str();
            let said = end.stdout.text();
            assert_eq!(said, expected, "{backend} {argv:?}: {}", end.stderr.text());
        }
    }
}

#[tokio::test]
async fn the_end_of_a_command_comes_through_unchanged() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let end = bench.run("echo out; echo err >&2; exit 42").await.unwrap();
        assert_eq!(end.exit, ExitStatus::Code { code: 42 });
        assert_eq!(
            (end.stdout.head.as_str(), end.stderr.head.as_str()),
            ("out\n", "err\n")
        );
        let end = bench.run("kill -TERM $$").await.unwrap();
        let expected = if bench.options.backends == [SandboxBackend::Bubblewrap] {
            // This program reports a signal as a shell does.
            ExitStatus::Code { code: 143 }
        } else {
            ExitStatus::Signal { signal: 15 }
        };
        assert_eq!(end.exit, expected);
    }
}

#[tokio::test]
async fn a_daemon_behind_the_wall_dies_with_its_command() {
    for bench in walls(ConfinementLevel::Workspace).await {
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
async fn an_open_pipe_becomes_the_standard_input_behind_the_wall() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let mut options =
            CommandRunnerOptions::new(bench.options.root.clone(), Redactor::default());
        options.base_environment = vec![("PATH".into(), bench.options.path.clone())];
        let wall = Arc::new(BackendSandbox::new(bench.options.clone()));
        wall.report().await;
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, b"\x00through\xff").unwrap();
        drop(writer);
        let order = CommandRequest {
            command: Command::with_code(
                CommandKind::Bash,
                "od -An -tx1; readlink /proc/self/fd/0 | cut -d: -f1".into(),
            ),
            directory: bench.options.root.clone(),
            deadline: Duration::from_secs(60),
            idle_deadline: None,
            grace: None,
            environment: Vec::new(),
            output_directory: bench.path("root/logs"),
            index: 1,
            token: bench.folder.path().display().to_string(),
            streams: CommandStreams {
                input_pipe: Some(Arc::new(reader.into())),
                ..CommandStreams::default()
            },
        };
        let end = LocalCommandRunner::new(options, Some(wall))
            .run(&order)
            .await
            .unwrap();
        assert_eq!(
            end.stdout.head, " 00 74 68 72 6f 75 67 68 ff\npipe\n",
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn a_deadline_asks_the_command_behind_the_wall_to_terminate() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let mut options =
            CommandRunnerOptions::new(bench.options.root.clone(), Redactor::default());
        options.base_environment = vec![("PATH".into(), bench.options.path.clone())];
        let wall = Arc::new(BackendSandbox::new(bench.options.clone()));
        wall.report().await;
        let code = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
        let order = CommandRequest {
            command: Command::with_code(CommandKind::Bash, code.into()),
            directory: bench.options.root.clone(),
            deadline: Duration::from_secs(2),
            idle_deadline: None,
            grace: None,
            environment: Vec::new(),
            output_directory: bench.path("root/logs"),
            index: 1,
            token: bench.folder.path().display().to_string(),
            streams: CommandStreams::default(),
        };
        let end = LocalCommandRunner::new(options, Some(wall))
            .run(&order)
            .await
            .unwrap();
        assert_eq!(end.exit, ExitStatus::TimedOut { after_ms: 2000 });
        assert_eq!(end.stdout.head, "ready\nbye\n");
    }
}

/// Answers one request on a port of its own.
const OWN_SERVER: &str = "python3 -c 'import socket, os\ns = socket.create_server((\"127.0.0.1\", 8765))\nopen(\"up\", \"w\").close()\n\
    c, _ = s.accept()\nc.recv(4096)\nc.sendall(b\"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\nown\")\nc.close()'";

#[tokio::test]
async fn only_an_allowed_host_is_reached_through_the_proxy() {
    for bench in walls(ConfinementLevel::Workspace).await {
        if bench.options.backends == [SandboxBackend::Landlock] {
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
        bench.options.network = NetworkAccess::Allowlist;
        bench.options.allow_hosts = vec![format!("127.0.0.1:{port}")];
        let backend = bench.options.backends[0];
        assert_eq!(
            bench.report().await.choice,
            BackendChoice::Proved { backend }
        );
        let ask = |place: &str| {
            format!(
                "exec 3<>/dev/tcp/127.0.0.1/8118; printf 'GET http://{place}/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3; cat <&3; "
            )
        };
        let said = bench.output(&ask(&format!("127.0.0.1:{port}"))).await;
        assert!(said.ends_with("hello"), "{said}");
        let said = bench.output(&ask("127.0.0.1:9")).await;
        assert!(said.starts_with("HTTP/1.1 403"), "{said}");
        // A server of the command's own is no other machine: who honours the proxy variables reaches it through the proxy.
        for place in ["127.0.0.1:8765", "localhost:8765"] {
            let own = format!(
                "{OWN_SERVER} & while ! [ -e up ]; do sleep 0.05; done; {}rm up",
                ask(place)
            );
            let said = bench.output(&own).await;
            assert!(said.contains("200") && said.ends_with("own"), "{said}");
        }
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
    let mut bench = Bench::new(SandboxBackend::Landlock, ConfinementLevel::Workspace);
    bench.options.network = NetworkAccess::Allowlist;
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
    let mut bench = Bench::new(SandboxBackend::Landlock, ConfinementLevel::Workspace);
    bench.options.backends = Vec::new();
    bench.options.allow_degraded = false;
    bench.options.open_if_unproved = true;
    assert_eq!(bench.run("echo ran").await.unwrap().stdout.head, "ran\n");
    let report = bench.report().await;
    assert!(
        matches!(
            report.choice,
            BackendChoice::Degraded {
                backend: SandboxBackend::None,
                ..
            }
        ),
        "{report:?}"
    );
    assert!(report.choice.describe(report.level).contains("not proved"));
}

#[tokio::test]
async fn a_trial_is_remembered_until_something_changes() {
    let mut bench = Bench::new(SandboxBackend::Landlock, ConfinementLevel::Workspace);
    let first = bench.report().await;
    let memory = bench.path("state/sandbox-trials.json");
    let stamp = fs::metadata(&memory).unwrap().ino();
    let ignored = fs::read_to_string(bench.path("state/.gitignore")).unwrap();
    assert_eq!(ignored, "*\n");
    assert_eq!(bench.report().await, first);
    assert_eq!(fs::metadata(&memory).unwrap().ino(), stamp);
    bench.options.network = NetworkAccess::Full;
    bench.report().await;
    assert_ne!(fs::metadata(&memory).unwrap().ino(), stamp);
}

#[tokio::test]
async fn a_wall_that_held_before_is_not_gone_without_unasked() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        bench.options.allow_degraded = false;
        bench.options.open_if_unproved = true;
        let memory = bench.path("state/sandbox-trials.json");
        let before = bench.report().await;
        let BackendChoice::Proved { .. } = before.choice else {
            continue;
        };
        let kept = fs::read(&memory).unwrap();
        // Another tos, which builds no wall.
        bench.options.program = "/bin/true".into();
        for _ in 0..2 {
            let report = bench.report().await;
            assert_eq!(report.choice.backend(), None, "{report:?}");
            let told = report.choice.describe(report.level);
            assert!(told.contains("sandbox-trials.json"), "{told}");
            assert_eq!(fs::read(&memory).unwrap(), kept);
        }
        fs::remove_file(&memory).unwrap();
        let report = bench.report().await;
        assert_eq!(report.choice.backend(), Some(SandboxBackend::None));
    }
}

#[tokio::test]
async fn ceilings_hold_and_are_proved() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let report = bench.report().await;
        let holds = |wanted: SandboxCapability| {
            let mut proofs = report.trials.iter().flat_map(|trial| &trial.proofs);
            proofs.any(|proof| proof.capability == wanted && proof.holds == Some(true))
        };
        assert!(
            holds(SandboxCapability::FileSize)
                && holds(SandboxCapability::Memory)
                && holds(SandboxCapability::ProcessorTime)
        );
        assert!(
            holds(SandboxCapability::Processes),
            "{:?}",
            bench.options.backends
        );
    }
}

#[tokio::test]
async fn more_processes_than_allowed_are_not_had() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        // Landlock has no users of its own: what the user runs elsewhere counts, too.
        let landlock = bench.options.backends == [SandboxBackend::Landlock];
        if landlock && !rustix::process::geteuid().is_root() {
            continue;
        }
        bench.options.limits.processes = Some(40);
        let code = "python3 -c 'import subprocess
made = 0
try:
    for _ in range(200): subprocess.Popen([\"sleep\", \"1000\"]); made += 1
    print(\"all\")
    import time; time.sleep(1000)
except OSError: print(\"refused\")'";
        let end = bench.run(code).await.unwrap();
        let said = end.stdout.text();
        let told = end.stderr.text();
        let ended = told.contains("`sandbox.limits.processes`")
            && end.exit == ExitStatus::Code { code: 137 };
        assert!(said == "refused\n" || ended, "{:?} {said} {told}", end.exit);
    }
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
    assert_eq!(walls, ["namespaces", "bubblewrap", "landlock"]);
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
    let uncovered = tempfile::tempdir_in(program().parent().unwrap()).unwrap();
    fs::set_permissions(uncovered.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = copy(program(), "tos");
    let output = Process::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(tests)
        .args(["--test-threads", "2"])
        .env("TOS_TEST_PROGRAM", program)
        .env("TOS_TEST_FOLDER", uncovered.path())
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
