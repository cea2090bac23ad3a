//! The runner with real processes: what they print, how they end, and that nothing of them survives.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk and start real processes"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use tokio::sync::RwLock;
use tos::{
    adapters::process::{CommandRunnerOptions, LocalCommandRunner},
    domain::{
        command::{Command, CommandKind},
        process::{CommandResult, ExitStatus, SpawnError},
        redaction::Redactor,
    },
    ports::runner::{CommandRequest, CommandRunner, CommandStreams, StopSignal},
};

/// Orphans without a marker are adopted only while one command runs, so the test of that runs alone.
static ALONE: RwLock<()> = RwLock::const_new(());

const FOREVER: Duration = Duration::from_secs(600);

struct Bench {
    folder: TempDir,
    options: CommandRunnerOptions,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let redactor = Redactor::new(["a-value-nobody-may-see".to_owned()]);
        let mut options = CommandRunnerOptions::new(folder.path().to_owned(), redactor);
        options.base_environment = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("OPENAI_API_KEY", "a-value-nobody-may-see".to_owned()),
            ("EDITOR", "vi".to_owned()),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec();
        Self { folder, options }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn order(&self, kind: CommandKind, code: &str) -> CommandRequest {
        CommandRequest {
            command: Command::with_code(kind, code.into()),
            directory: self.folder.path().to_owned(),
            deadline: FOREVER,
            idle_deadline: None,
            grace: None,
            environment: Vec::new(),
            output_directory: self.path("logs/step_001"),
            index: 1,
            token: format!("{}/1/1", self.folder.path().display()),
            streams: CommandStreams::default(),
        }
    }

    async fn run_order(&self, order: &CommandRequest) -> Result<CommandResult, SpawnError> {
        LocalCommandRunner::new(self.options.clone(), None)
            .run(order)
            .await
    }

    async fn sh(&self, code: &str) -> CommandResult {
        self.run_order(&self.order(CommandKind::Sh, code))
            .await
            .unwrap()
    }

    /// Reads the process ids that a command wrote, and returns those that still exist in any form.
    fn existing(&self, names: &[&str]) -> Vec<String> {
        names
            .iter()
            .map(|name| {
                fs::read_to_string(self.path(name))
                    .unwrap()
                    .trim()
                    .to_owned()
            })
            .filter(|pid| Path::new("/proc").join(pid).exists())
            .collect()
    }
}

/// Leaves the session and the parent, writes its id to `$1`, and stays.
const DAEMON: &str = "daemon() { setsid sh -c '(echo $$ >\"$0\"; exec sleep 1000) & wait' \"$1\" & \
    while [ ! -s \"$1\" ]; do sleep 0.01; done; }; ";

#[tokio::test]
async fn a_finished_command_says_what_it_printed_and_how_it_ended() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let end = bench.sh("echo 合計; echo trouble >&2; exit 3").await;
    assert_eq!(end.exit, ExitStatus::Code { code: 3 });
    assert_eq!(
        (end.stdout.head.as_str(), end.stderr.head.as_str()),
        ("合計\n", "trouble\n")
    );
    assert_eq!(end.stdout.file.as_deref(), Some("logs/step_001/01.stdout"));
    assert_eq!(
        fs::read_to_string(bench.path("logs/step_001/01.stderr")).unwrap(),
        "trouble\n"
    );
    assert_eq!(end.leftovers, 0);
}

#[tokio::test]
async fn a_signal_that_tos_did_not_send_is_told() {
    let _shared = ALONE.read().await;
    let end = Bench::new().sh("kill -SEGV $$").await;
    assert_eq!(end.exit, ExitStatus::Signal { signal: 11 });
}

#[tokio::test]
async fn an_argument_vector_runs_without_a_shell() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let mut order = bench.order(CommandKind::Exec, "");
    order.command.argv = ["printf", "%s|", "a b", "$HOME", "*", ""]
        .map(str::to_owned)
        .into();
    let end = bench.run_order(&order).await.unwrap();
    assert_eq!(end.stdout.head, "a b|$HOME|*||");
}

#[tokio::test]
async fn standard_input_is_empty_and_the_process_leads_its_own_group() {
    let _shared = ALONE.read().await;
    let end = Bench::new()
        .sh("cat; set -- $(cat /proc/$$/stat); [ $5 = $$ ] && echo leads")
        .await;
    assert_eq!(end.stdout.head, "leads\n");
}

#[tokio::test]
async fn w22_a_type_that_cannot_be_started_is_an_error_with_a_remedy() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let failure = bench
        .run_order(&bench.order(CommandKind::Other("python".into()), "1"))
        .await
        .unwrap_err();
    assert_eq!(
        failure.message,
        "commands of type `python` are unknown; use `powershell`, `bash`, `sh` or `exec`"
    );
}

#[tokio::test]
async fn a_shell_that_is_not_there_is_named_with_a_remedy() {
    let _shared = ALONE.read().await;
    let mut bench = Bench::new();
    bench.options.base_environment = vec![("PATH".into(), "/nowhere".into())];
    let failure = bench
        .run_order(&bench.order(CommandKind::Powershell, "1"))
        .await
        .unwrap_err();
    assert!(
        failure
            .message
            .contains("no `pwsh` or `powershell` found on PATH"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_program_is_named() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    fs::write(bench.path("notes.txt"), "hello").unwrap();
    let mut order = bench.order(CommandKind::Exec, "");
    order.command.argv = vec!["./notes.txt".into()];
    let failure = bench.run_order(&order).await.unwrap_err();
    assert!(failure.message.contains("notes.txt"), "{failure}");
    assert!(
        failure.message.contains("make the file executable"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let mut order = bench.order(CommandKind::Sh, "true");
    order.directory = bench.path("gone");
    let failure = bench.run_order(&order).await.unwrap_err();
    assert!(
        failure
            .message
            .contains("gone` for the command does not exist"),
        "{failure}"
    );
}

#[tokio::test]
async fn w39_a_timeout_ends_children_that_left_the_group_and_keeps_the_output() {
    let _shared = ALONE.read().await;
    let mut bench = Bench::new();
    bench.options.grace = Duration::from_millis(200);
    let code = format!(
        "{DAEMON} echo partial; trap '' TERM; daemon one; (echo $BASHPID >two; exec sleep 1000) & \
         echo $$ >main; echo ready; while :; do sleep 1000; done"
    );
    let mut order = bench.order(CommandKind::Bash, &code);
    order.deadline = Duration::from_secs(3);
    let end = bench.run_order(&order).await.unwrap();
    assert_eq!(end.exit, ExitStatus::TimedOut { after_ms: 3000 });
    assert_eq!(end.stdout.head, "partial\nready\n");
    assert_eq!(
        bench.existing(&["one", "two", "main"]),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_command_that_is_asked_to_terminate_may_say_goodbye() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let mut order = bench.order(
        CommandKind::Sh,
        "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
    );
    order.deadline = Duration::from_secs(1);
    let end = bench.run_order(&order).await.unwrap();
    assert_eq!(end.exit, ExitStatus::TimedOut { after_ms: 1000 });
    assert_eq!(end.stdout.head, "ready\nbye\n");
}

#[tokio::test]
async fn w40_bytes_that_are_not_utf8_are_kept_and_the_command_counts_as_run() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let end = bench.sh(r"printf '\377'; echo x >side.txt").await;
    assert_eq!(end.exit, ExitStatus::Code { code: 0 });
    assert_eq!(
        (end.stdout.head.as_str(), end.stdout.escaped),
        (r"\xff", true)
    );
    assert_eq!(
        fs::read(bench.path("logs/step_001/01.stdout")).unwrap(),
        [0xff]
    );
    assert!(bench.path("side.txt").exists());
}

#[tokio::test]
async fn w41_commands_get_no_keys_and_their_output_no_secrets() {
    let _shared = ALONE.read().await;
    let mut bench = Bench::new();
    bench.options.allow_environment = vec!["OPENAI_API_KEY".into()];
    let mut order = bench.order(
        CommandKind::Sh,
        "env | cut -d= -f1 | sort; printf 'a-value-nobody'; printf -- '-may-see'",
    );
    order.environment = vec![
        ("EXTRA".into(), "1".into()),
        ("LEAK".into(), "a-value-nobody-may-see".into()),
    ];
    let end = bench.run_order(&order).await.unwrap();
    assert_eq!(
        end.stdout.head,
        "EXTRA\nPATH\nPWD\nTOS_OWNER\nTOS_TOKEN\n[redacted]"
    );
    let stored = fs::read_to_string(bench.path("logs/step_001/01.stdout")).unwrap();
    assert_eq!(stored, end.stdout.head);
}

#[tokio::test]
async fn w42_long_output_is_whole_on_disk_and_marked_in_the_record() {
    let _shared = ALONE.read().await;
    let mut bench = Bench::new();
    (bench.options.head_bytes, bench.options.tail_bytes) = (100, 50);
    let end = bench.sh("yes | head -c 1500; echo end").await;
    assert_eq!(end.stdout.bytes, 1504);
    assert_eq!((end.stdout.head.len(), end.stdout.omitted), (100, 1354));
    assert!(end.stdout.tail.ends_with("\nend\n"));
    assert!(end.stdout.text().contains("(1354 bytes left out)"));
    assert_eq!(
        fs::read(bench.path("logs/step_001/01.stdout"))
            .unwrap()
            .len(),
        1504
    );
}

#[tokio::test]
async fn output_beyond_the_cap_on_disk_never_blocks_the_command() {
    let _shared = ALONE.read().await;
    let mut bench = Bench::new();
    bench.options.disk_bytes = 100_000;
    let end = bench
        .sh("head -c 20000000 /dev/zero; head -c 300000 /dev/zero >&2; exit 7")
        .await;
    assert_eq!(end.exit, ExitStatus::Code { code: 7 });
    assert_eq!((end.stdout.bytes, end.stderr.bytes), (20_000_000, 300_000));
    assert!(end.stdout.capped && end.stderr.capped);
    assert_eq!(
        fs::read(bench.path("logs/step_001/01.stdout"))
            .unwrap()
            .len(),
        100_000
    );
}

#[tokio::test]
async fn a_background_child_that_keeps_the_pipe_open_does_not_delay_the_end() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let end = bench.sh("sleep 1000 & echo $! >child; echo done").await;
    assert_eq!((end.exit, end.leftovers), (ExitStatus::Code { code: 0 }, 1));
    assert_eq!(end.stdout.head, "done\n");
    assert_eq!(bench.existing(&["child"]), Vec::<String>::new());
}

#[tokio::test]
async fn a_daemon_with_the_marker_is_ended_after_its_command() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let end = bench.sh(&format!("{DAEMON} daemon one")).await;
    assert_eq!(end.exit, ExitStatus::Code { code: 0 });
    assert!(end.leftovers >= 1);
    assert_eq!(bench.existing(&["one"]), Vec::<String>::new());
}

#[tokio::test]
async fn a_daemon_that_dropped_the_marker_is_ended_after_its_command() {
    let _alone = ALONE.write().await;
    let bench = Bench::new();
    let code = "env -i setsid sh -c 'echo $$ >one; exec sleep 1000' & while [ ! -s one ]; do sleep 0.01; done";
    let end = bench.sh(code).await;
    assert_eq!(end.leftovers, 1);
    assert_eq!(bench.existing(&["one"]), Vec::<String>::new());
}

#[tokio::test]
async fn a_job_in_a_group_of_its_own_is_ended_after_its_command() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    // With job control a shell gives every job a group of its own, in the same session.
    let code =
        "set -m; sh -c 'echo $$ >one; exec sleep 1000' & while [ ! -s one ]; do sleep 0.01; done";
    let end = bench.sh(code).await;
    assert_eq!(end.leftovers, 1);
    assert_eq!(bench.existing(&["one"]), Vec::<String>::new());
}

/// Starts a command that says when it is ready, does `act`, and returns how the command ended.
async fn interrupted(
    bench: &Bench,
    code: &str,
    act: impl FnOnce(&LocalCommandRunner),
) -> ExitStatus {
    let runner = LocalCommandRunner::new(bench.options.clone(), None);
    let order = bench.order(CommandKind::Sh, code);
    rustix::fs::mkfifoat(rustix::fs::CWD, bench.path("ready"), 0o600.into()).unwrap();
    let fifo = bench.path("ready");
    let ready = tokio::task::spawn_blocking(move || fs::read(fifo).unwrap());
    let mut run = runner.run(&order);
    tokio::select! {
        end = &mut run => panic!("ended too early: {end:?}"),
        _ = ready => act(&runner),
    }
    run.await.unwrap().exit
}

#[tokio::test]
async fn an_interrupt_asks_and_then_kills() {
    let _shared = ALONE.read().await;
    let mut bench = Bench::new();
    bench.options.grace = FOREVER;
    let exit = interrupted(
        &bench,
        "echo $$ >main; echo >ready; exec sleep 1000",
        |runner| {
            runner.interrupt(StopSignal::Terminate);
        },
    );
    assert_eq!(exit.await, ExitStatus::Cancelled);
    assert_eq!(bench.existing(&["main"]), Vec::<String>::new());
}

#[tokio::test]
async fn an_interrupt_to_kill_does_not_wait_for_the_grace() {
    let _shared = ALONE.read().await;
    let mut bench = Bench::new();
    bench.options.grace = FOREVER;
    let stubborn = "trap '' TERM; echo $$ >main; echo >ready; while :; do sleep 1000; done";
    let exit = interrupted(&bench, stubborn, |runner| {
        runner.interrupt(StopSignal::Kill);
    })
    .await;
    assert_eq!(exit, ExitStatus::Cancelled);
    assert_eq!(bench.existing(&["main"]), Vec::<String>::new());
}

#[tokio::test]
async fn dropping_the_future_kills_the_tree() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let runner = LocalCommandRunner::new(bench.options.clone(), None);
    let code = format!("{DAEMON} daemon one; echo $$ >main; echo >ready; sleep 1000");
    let order = bench.order(CommandKind::Sh, &code);
    rustix::fs::mkfifoat(rustix::fs::CWD, bench.path("ready"), 0o600.into()).unwrap();
    let fifo = bench.path("ready");
    let ready = tokio::task::spawn_blocking(move || fs::read(fifo).unwrap());
    tokio::select! {
        end = runner.run(&order) => panic!("ended too early: {end:?}"),
        _ = ready => {}
    }
    let left = bench.existing(&["main", "one"]);
    // The main process is collected by the runtime a moment later; until then it may be a zombie.
    let alive = |pid: &String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    assert!(!left.iter().any(alive), "{left:?}");
}

#[tokio::test]
async fn a_silent_and_motionless_command_is_ended_as_idle() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let mut order = bench.order(CommandKind::Sh, "echo started; exec sleep 1000");
    order.idle_deadline = Some(Duration::from_millis(300));
    let end = bench.run_order(&order).await.unwrap();
    assert!(
        matches!(end.exit, ExitStatus::Idle { after_ms } if after_ms >= 300),
        "{:?}",
        end.exit
    );
    assert_eq!(end.stdout.head, "started\n");
}

#[tokio::test]
async fn an_order_says_how_long_its_command_may_take_to_end() {
    let _shared = ALONE.read().await;
    let mut bench = Bench::new();
    // With the time of the runner this would take as long as the test program is given.
    bench.options.grace = FOREVER;
    let mut order = bench.order(CommandKind::Sh, "trap '' TERM; while :; do sleep 0.1; done");
    order.deadline = Duration::from_millis(200);
    order.grace = Some(Duration::from_millis(50));
    let end = bench.run_order(&order).await.unwrap();
    assert!(
        matches!(end.exit, ExitStatus::TimedOut { .. }),
        "{:?}",
        end.exit
    );
}

#[tokio::test]
async fn a_command_that_takes_more_of_the_disk_than_it_may_is_ended() {
    let _shared = ALONE.read().await;
    let mut bench = Bench::new();
    bench.options.task_folder.most_bytes = 100 << 20;
    let code =
        "for name in a b c; do fallocate -l 60M \"$name\"; done; setsid sleep 981.7 & sleep 981.7";
    let end = bench
        .run_order(&bench.order(CommandKind::Sh, code))
        .await
        .unwrap();
    assert!(
        matches!(end.exit, ExitStatus::DiskTaken { taken_bytes } if taken_bytes > 100 << 20),
        "{:?}",
        end.exit
    );
}

#[tokio::test]
async fn a_command_that_computes_in_silence_is_not_idle() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let mut order = bench.order(CommandKind::Sh, "timeout 1 sh -c 'while :; do :; done'");
    order.idle_deadline = Some(Duration::from_millis(600));
    let end = bench.run_order(&order).await.unwrap();
    assert_eq!(end.exit, ExitStatus::Code { code: 124 });
}

#[tokio::test]
async fn survivors_of_an_earlier_tos_are_found_by_their_marker() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let start = |token: &str| {
        std::process::Command::new("sh")
            .args(["-c", "exec sleep 1000"])
            .env("TOS_TOKEN", token)
            .spawn()
            .unwrap()
    };
    let run = bench.folder.path().display().to_string();
    let mut mine = start(&format!("{run}/4/1"));
    let mut other = start(&format!("{run}x/4/1"));
    let runner = LocalCommandRunner::new(bench.options.clone(), None);
    assert!(runner.kill_survivors(&run).await >= 1);
    assert!(!mine.wait().is_ok_and(|status| status.success()));
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(runner.kill_survivors(&run).await, 0);
}

#[tokio::test]
async fn what_another_tos_started_is_no_survivor_while_that_tos_lives() {
    let _shared = ALONE.read().await;
    let bench = Bench::new();
    let start = |variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", "exec sleep 1000"])
            .envs(variables.iter().copied());
        command.spawn().unwrap()
    };
    let mut owner = start(&[]);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", owner.id())).unwrap();
    let began = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(19)
        .unwrap();
    let token = bench.folder.path().display().to_string();
    let name = format!("{}:{began}", owner.id());
    let mut theirs = start(&[("TOS_TOKEN", &token), ("TOS_OWNER", &name)]);
    let runner = LocalCommandRunner::new(bench.options.clone(), None);
    assert_eq!(runner.kill_survivors(&token).await, 0);
    assert!(theirs.try_wait().unwrap().is_none());
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert_eq!(runner.kill_survivors(&token).await, 1);
    assert!(!theirs.wait().is_ok_and(|status| status.success()));
}
