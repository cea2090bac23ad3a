//! The real program, killed at random times, interrupted, started twice, and left without disk space.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    environment::TestEnvironment,
    fakes::FakeModel,
    server::{Answer, Server},
    stage::{Stage, folder},
    story,
};

/// A machine with the story's configuration, whose models are this server.
fn machine(server: &Server) -> TestEnvironment {
    let machine = TestEnvironment::in_folder(folder());
    configure(&machine, server);
    machine
}

fn configure(machine: &TestEnvironment, server: &Server) {
    let [draft, review, last] = story::TEMPLATES;
    let openai =
        json!({"provider": "openai", "model": "m", "base_url": format!("{}/v1", server.url())});
    let anthropic = json!({"provider": "anthropic", "model": "m", "base_url": server.url()});
    let config = json!({
        "models": {"draft": openai, "review": anthropic, "final": openai},
        "draft_prompt_template": draft,
        "review_prompt_template": review,
        "final_prompt_template": last,
        "json_retry": 1,
        "json_retry_prefix": story::AGAIN,
        "api_retry": 1,
        "api_backoff_sec": 0,
        "on_unknown": "rerun",
        "allow_types": ["sh"],
        // A wall is tried out at the first start; what is killed before that tries it again and again.
        "sandbox": {"level": "off"},
        "execution_policy": {
            "preset": "original", "stop_on_deny": false, "deny_if_contains": ["forbidden"],
        },
        "done_condition": {"all": [{"file": story::GOAL.0, "contains": [story::GOAL.1]}]},
        "s5_settings": {"job_loop": {"enabled": true, "max_jobs": 3, "job_name": "story"}},
    });
    machine.write("config/config_v0_3.json", config.to_string());
}

/// Returns `tos --mode run` with keys and these further words, its streams kept.
fn tos(machine: &TestEnvironment, words: &[&str]) -> Command {
    let mut command = machine.tos(&[&["--mode", "run"], words].concat());
    command
        .env("OPENAI_API_KEY", "sk-loopback-0123456789")
        .env("ANTHROPIC_API_KEY", "sk-ant-loopback-0123456789")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Polls until `done` holds.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Lets a child live for this long at most; returns what it left, if it came to its end.
fn live_for(mut child: Child, life: Duration) -> Option<Output> {
    let end = Instant::now() + life;
    loop {
        if child.try_wait().unwrap().is_some() {
            return Some(child.wait_with_output().unwrap());
        }
        if Instant::now() >= end {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::yield_now();
    }
}

/// Tells the whole story with the real program; `lives` gives each process its time to live.
fn story_with(mut lives: impl FnMut() -> Option<Duration>) -> usize {
    let server = Server::start(story::answer);
    let machine = machine(&server);
    let stage = Stage::new(&machine.root(), FakeModel::new(story::answer));
    let (mut kills, mut lost) = (0, 0);
    for _ in 0..150 {
        let child = tos(&machine, &[]).spawn().unwrap();
        let life = lives().unwrap_or(Duration::from_secs(60));
        let ended = live_for(child, life).map(|output| machine.ran(&output));
        server.settle();
        let Some(ran) = ended else {
            kills += 1;
            let now = server.calls() - crate::crash::closed_calls(&stage.log());
            assert!(now - lost <= 1, "one kill lost {} replies", now - lost);
            lost = now;
            continue;
        };
        assert!(matches!(ran.code, Some(0 | 1)), "{ran}");
        if ran.stdout.contains("job_loop_complete") {
            stage.check_the_end();
            let closed = crate::crash::closed_calls(&stage.log());
            assert_eq!(server.calls(), closed + lost, "calls after {kills} kills");
            assert!(stage.marks().len() <= story::MARKS.len() + kills);
            return kills;
        }
    }
    panic!("the loop does not come to its end");
}

#[test]
fn the_program_killed_at_random_times_buys_nothing_twice() {
    let started = Instant::now();
    assert_eq!(story_with(|| None), 0);
    let whole = started.elapsed();
    let rounds =
        std::env::var("TOS_CRASH_ROUNDS").map_or(4, |rounds| rounds.parse::<u64>().unwrap());
    let mut kills = 0;
    for round in 0..rounds {
        // Five processes tell an undisturbed story; these live for a third of one's time on the average.
        let mut chance: u64 = round + 1;
        let mut patience = 0;
        kills += story_with(|| {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let part = u32::try_from(chance >> 44).unwrap() % 1000;
            // On a busy machine the first measure is soon too short: patience grows with every life.
            patience += 1;
            Some(whole * part / 6000 * (1 + patience / 8) + Duration::from_millis(3))
        });
    }
    assert!(kills > 0, "nobody was killed");
}

#[test]
fn a_stop_while_a_model_is_asked_ends_the_run_and_the_next_one_asks_again() {
    let asked = std::sync::atomic::AtomicBool::new(false);
    let server = Server::start(move |prompt| {
        if asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
            story::answer(prompt)
        } else {
            Answer::Silence
        }
    });
    let machine = machine(&server);
    let child = tos(&machine, &[]).spawn().unwrap();
    server.wait_for_calls(1);
    signal(&child, rustix::process::Signal::INT);
    let ran = machine.ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(4), "{ran}");
    assert!(
        ran.stdout
            .contains("cancelled: a stop was requested while a model was asked"),
        "{ran}"
    );
    let ran = machine.ran(&tos(&machine, &[]).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(server.calls(), 1 + 6);
    assert!(ran.stderr.contains("step 1: asking"), "{ran}");
    assert!(!ran.stderr.contains("step 0"), "{ran}");
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let (hung_up, waiting) = std::sync::mpsc::sync_channel::<()>(0);
    let waiting = std::sync::Mutex::new(waiting);
    let server = Server::start(move |prompt| {
        // The first answer waits until the terminal is gone; later ones find the channel closed.
        let _ = waiting.lock().unwrap().recv();
        story::answer(prompt)
    });
    let machine = machine(&server);
    let wanted = tos(&machine, &[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(wanted.get_program())
        .args(wanted.get_args())
        .current_dir(machine.root())
        .env_clear()
        .envs(
            wanted
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    server.wait_for_calls(1);
    signal(&child, rustix::process::Signal::HUP);
    hung_up.send(()).unwrap();
    drop(hung_up);
    let ran = machine.ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran}");
}

/// Runs a job whose only command is `code`, and interrupts it `times` times once the command says so.
fn interrupted(code: &'static str, times: usize) -> (TestEnvironment, Output) {
    let server = Server::start(move |prompt| {
        let commands = json!([{"type": "sh", "code": code}]);
        Answer::Text(if prompt.contains("ROLE=final") {
            json!({"final_commands": commands, "summary": "s"}).to_string()
        } else if prompt.contains("ROLE=review") {
            json!({"review": "r", "improved_commands": [], "approval": true}).to_string()
        } else {
            json!({"thought": "t", "commands": commands}).to_string()
        })
    });
    let machine = machine(&server);
    let child = tos(&machine, &[]).spawn().unwrap();
    let marks = machine.root().join("marks.txt");
    wait_until("the command runs", || marks.is_file());
    for _ in 0..times {
        signal(&child, rustix::process::Signal::INT);
    }
    let output = child.wait_with_output().unwrap();
    (machine, output)
}

#[test]
fn a_stop_while_a_command_runs_ends_it_and_is_recorded() {
    let (machine, output) = interrupted("echo on >> marks.txt; sleep 1000", 1);
    let ran = machine.ran(&output);
    assert_eq!(ran.code, Some(4), "{ran}");
    let log: serde_json::Value =
        serde_json::from_str(&machine.read("logs/steps/step_001.json")).unwrap();
    assert_eq!(log["phase"], "cancelled");
    assert_eq!(log["stopped"], true);
}

#[test]
fn a_second_stop_ends_a_command_that_does_not_listen() {
    let (machine, output) = interrupted(
        "trap '' TERM INT HUP; echo on >> marks.txt; while :; do sleep 1000; done",
        2,
    );
    let ran = machine.ran(&output);
    assert_eq!(ran.code, Some(4), "{ran}");
    assert!(ran.stderr.contains("a second Ctrl-C ends it"), "{ran}");
}

#[test]
fn w16_a_second_process_says_who_is_at_work_and_leaves() {
    let server = Server::start(|_| Answer::Silence);
    let machine = machine(&server);
    let mut first = tos(&machine, &[]).spawn().unwrap();
    server.wait_for_calls(1);
    let second = machine.ran(&tos(&machine, &[]).output().unwrap());
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.code, Some(1), "{second}");
    assert!(
        second
            .stderr
            .contains("another tos is at work here: pid $PID since $TIME: tos --mode run"),
        "{second}"
    );
    assert_eq!(server.calls(), 1);
}

/// A file system of this many kilobytes, gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one, or says why this test is skipped.
    fn mount(kilobytes: u32) -> Option<Self> {
        let folder = folder();
        let options = format!("size={kilobytes}k");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        // Not by a macro: the test harness would keep it to itself.
        let mut screen = std::io::stderr();
        screen
            .write_all(b"SKIPPED: a small disk cannot be mounted here (needs root)\n")
            .unwrap();
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount_read_only(&self) {
        let status = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(self.path())
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.path()).status());
    }
}

/// Leaves this many kilobytes free on the disk of `folder`.
fn fill_up(folder: &Path, free: u64) {
    let disk = rustix::fs::statvfs(folder).unwrap();
    let left = disk.f_bavail * disk.f_frsize;
    let filler = vec![b'x'; usize::try_from(left.saturating_sub(free * 1024)).unwrap()];
    fs::write(folder.join("filler"), filler).unwrap();
}

#[test]
fn a_full_disk_ends_the_run_with_a_word_and_loses_nothing_that_was_recorded() {
    let Some(disk) = SmallDisk::mount(768) else {
        return;
    };
    let server = Server::start(story::answer);
    let machine = TestEnvironment::in_folder(tempfile::tempdir_in(disk.path()).unwrap());
    configure(&machine, &server);
    let stage = Stage::new(&machine.root(), FakeModel::new(story::answer));
    let (mut full, mut lost) = (0, 0);
    for free in (0..40).step_by(4).chain([700; 8]) {
        drop(fs::remove_file(disk.path().join("filler")));
        fill_up(disk.path(), free);
        let ran = machine.ran(&tos(&machine, &[]).output().unwrap());
        if ran.to_string().contains("free some space and run again") {
            assert_eq!(ran.code, Some(1), "{ran}");
            full += 1;
            lost = server.calls() - crate::crash::closed_calls(&stage.log());
            assert!(
                lost <= full,
                "{lost} replies were lost by {full} full disks"
            );
        }
        if ran.stdout.contains("job_loop_complete") {
            break;
        }
    }
    assert!(full > 0, "the disk was never full");
    stage.check_the_end();
    assert_eq!(
        server.calls(),
        crate::crash::closed_calls(&stage.log()) + lost
    );
}

#[test]
fn a_disk_that_is_read_only_is_named_with_the_remedy() {
    let Some(disk) = SmallDisk::mount(768) else {
        return;
    };
    let server = Server::start(story::answer);
    let machine = TestEnvironment::in_folder(tempfile::tempdir_in(disk.path()).unwrap());
    configure(&machine, &server);
    disk.remount_read_only();
    let ran = machine.ran(&tos(&machine, &[]).output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr.contains("make it writable and run again"),
        "{ran}"
    );
    assert_eq!(server.calls(), 0);
}

#[test]
fn a_reached_budget_and_a_long_wait_leave_with_5_and_a_look_costs_nothing() {
    let asked = std::sync::atomic::AtomicBool::new(false);
    let server = Server::start(move |prompt| {
        if prompt.contains("ROLE=final") && !asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
            return Answer::Status(429, vec![("retry-after", "600".into())], json!({}));
        }
        story::answer(prompt)
    });
    let machine = machine(&server);
    for (words, calls, said) in [
        (&["--set", "budget.max_tokens=20"][..], 2, "paused: "),
        (&[], 3, "paused: final has to wait until $TIME"),
        (&[], 3, "paused: final has to wait until $TIME"),
    ] {
        let ran = machine.ran(&tos(&machine, words).output().unwrap());
        assert_eq!((ran.code, server.calls()), (Some(5), calls), "{ran}");
        assert!(ran.stdout.contains(said), "{ran}");
    }
    let log = machine.read("logs/run.jsonl");
    let ran = machine.run(&["--mode", "test", "--verify-only"]);
    assert!(matches!(ran.code, Some(0 | 1)), "{ran}");
    assert_eq!(server.calls(), 3);
    assert_eq!(machine.read("logs/run.jsonl"), log);
}
