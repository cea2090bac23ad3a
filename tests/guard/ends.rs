//! How `tos exec` ends where something keeps it from its work: no room for a wall, signals, settings that make no sense.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::bench::{Bench, Ended, ended};

/// The home of a bench as a disk of this size, gone when dropped.
struct SmallDisk<'a>(&'a Bench);

impl<'a> SmallDisk<'a> {
    /// Mounts it with a project on it; `None` = nobody may mount here.
    fn mount(bench: &'a Bench, kilobytes: u32) -> Option<Self> {
        let size = format!("size={kilobytes}k");
        let words = ["-t", "tmpfs", "-o", &size, "tmpfs"];
        let mounted = Command::new("mount").args(words).arg(bench.home()).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            return None;
        }
        fs::create_dir_all(&bench.root).unwrap();
        Some(Self(bench))
    }

    fn fill(&self) {
        let disk = rustix::fs::statvfs(&self.0.root).unwrap();
        let left = usize::try_from(disk.f_bavail * disk.f_frsize).unwrap();
        fs::write(self.0.root.join("filler"), vec![b'x'; left]).unwrap();
    }

    fn remount_read_only(&self) {
        let words = ["-o", "remount,ro"];
        let status = Command::new("mount")
            .args(words)
            .arg(self.0.home())
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.home()).status());
    }
}

#[test]
fn a_full_disk_is_no_machine_without_walls() {
    let bench = Bench::without_repository();
    let Some(disk) = SmallDisk::mount(&bench, 2048) else {
        return;
    };
    disk.fill();
    let doctor = bench.tos(&["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    for what in ["problem  root: ", "problem  disk: 0 MiB free"] {
        assert!(doctor.stdout.contains(what), "{what}: {doctor:?}");
    }
    let refused = bench.tos(&["exec", "--", "touch", "made"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("no wall could be tried") && refused.stderr.contains("free some"),
        "{refused:?}"
    );
    let json = bench.tos(&["exec", "--json", "--", "true"]).json();
    assert_eq!(
        (json["end"].as_str(), json["wall"].is_null()),
        (Some("not_started"), true),
        "{json}"
    );
    // Who says so goes without.
    let open = ["exec", "--json", "--set", "sandbox.level=off", "--", "true"];
    let json = bench.tos(&open).json();
    assert_eq!(
        (json["code"].as_i64(), json["wall"].as_str()),
        (Some(0), Some("none"))
    );
    // And what was of the moment is not remembered.
    fs::remove_file(bench.root.join("filler")).unwrap();
    let json = bench.tos(&["exec", "--json", "--", "true"]).json();
    assert_eq!(json["end"], "ok", "{json}");
    let kept = bench.read(".tos/sandbox-trials.json").unwrap();
    assert!(!kept.contains("is_untried"), "{kept}");
}

#[test]
fn a_shell_with_small_limits_is_no_machine_without_walls() {
    let bench = Bench::without_repository();
    let wall = bench.tos(&["exec", "--json", "--", "true"]).json()["wall"].clone();
    let memory = bench.root.join(".tos/sandbox-trials.json");
    for limit in ["ulimit -f 16", "ulimit -n 20", "ulimit -n 28"] {
        fs::remove_file(&memory).unwrap();
        let script = format!("{limit}; exec \"$0\" \"$@\"");
        let mut limited = Command::new("bash");
        let whole = bench.command(&["exec", "--", "touch", "made"]);
        limited
            .args(["-c", &script])
            .arg(whole.get_program())
            .args(whole.get_args())
            .current_dir(&bench.root)
            .env_clear()
            .envs(
                whole
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            );
        let output = limited.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Either there was enough for a wall, or nothing ran; never without one.
        assert!(!said.contains("no sandbox"), "{limit}: {said}");
        let kept = fs::read_to_string(&memory).unwrap_or_default();
        assert!(!kept.contains("\"absent\":\""), "{limit}: {kept}");
        let json = bench.tos(&["exec", "--json", "--", "true"]).json();
        assert_eq!(
            (&json["end"], &json["wall"]),
            (&"ok".into(), &wall),
            "{limit}: {json}"
        );
    }
    // What an earlier version kept of such a moment is mended by the trial that a person asks for.
    let kept = fs::read_to_string(&memory).unwrap();
    fs::write(&memory, kept.replace("\"holds\":true", "\"holds\":false")).unwrap();
    assert_eq!(
        bench.tos(&["exec", "--json", "--", "true"]).json()["wall"],
        "none"
    );
    assert_eq!(bench.tos(&["doctor", "--sandbox"]).code, Some(0));
    assert_eq!(
        bench.tos(&["exec", "--json", "--", "true"]).json()["wall"],
        wall
    );
}

#[test]
fn a_project_that_nobody_may_write_has_a_wall_all_the_same() {
    let bench = Bench::without_repository();
    let Some(disk) = SmallDisk::mount(&bench, 2048) else {
        return;
    };
    let wall = bench.tos(&["exec", "--json", "--", "true"]).json()["wall"].clone();
    fs::remove_dir_all(bench.root.join(".tos")).unwrap();
    disk.remount_read_only();
    let json = bench
        .tos(&["exec", "--json", "-c", "echo x > /tmp/x; cat /tmp/x"])
        .json();
    assert_eq!(
        (json["stdout"].as_str(), &json["wall"]),
        (Some("x\n"), &wall),
        "{json}"
    );
}

/// Waits for a program with these words to run.
fn is_running(words: &[u8]) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.starts_with(words)
    })
}

#[test]
fn whatever_signal_tells_tos_to_end_ends_the_command_and_is_told() {
    let bench = Bench::new();
    for signal in ["QUIT", "ALRM", "USR1", "USR2", "HUP", "TERM", "INT"] {
        let words = [
            "exec",
            "--set",
            "sandbox.level=off",
            "-c",
            "echo begun; sleep 73.1",
        ];
        let wanted = bench.command(&words);
        // Whoever runs the tests may have chosen to ignore signals, and that is inherited.
        let mut command = Command::new("env");
        command.arg("--default-signal").arg(wanted.get_program());
        command.args(wanted.get_args());
        command.current_dir(wanted.get_current_dir().unwrap());
        let named = |(name, value): (_, Option<_>)| Some((name, value?));
        command
            .env_clear()
            .envs(wanted.get_envs().filter_map(named));
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "begun\n");
        bench.run(&format!("kill -{signal} {}", child.id()));
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{signal}: {said}");
        assert!(
            said.contains("a signal told tos to end"),
            "{signal}: {said}"
        );
        assert!(!is_running(b"sleep\x0073.1"), "{signal}");
    }
    let json = [
        "exec",
        "--json",
        "--set",
        "sandbox.level=off",
        "--",
        "sleep",
        "73.2",
    ];
    let mut command = bench.command(&json);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.unwrap();
    while !is_running(b"sleep\x0073.2") {
        std::thread::yield_now();
    }
    bench.run(&format!("kill -USR1 {}", child.id()));
    let output = child.wait_with_output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&document["end"], &document["code"]),
        (&"cancelled".into(), &130.into())
    );
}

#[test]
fn settings_that_make_no_sense_have_the_keys_of_every_other_end() {
    let bench = Bench::new();
    let keys = |ended: &Ended| {
        let json = ended.json();
        let keys = json.as_object().unwrap().keys().cloned();
        keys.collect::<std::collections::BTreeSet<String>>()
    };
    let wanted = keys(&bench.tos(&["exec", "--json", "--set", "sandbox.level=off", "--", "true"]));
    for wrong in [
        &["--set", "sandbox.level=nonsense"][..],
        &["--set", "sandbox.levl=off"],
        &["--set", "nonsense"],
        &["--config", "/there/is/none.json"],
        &["--otlp", "nonsense"],
    ] {
        let told = bench.tos(&[&["exec", "--json"][..], wrong, &["--", "true"]].concat());
        assert_eq!(told.code, Some(2), "{wrong:?}: {told:?}");
        assert_eq!(keys(&told), wanted, "{wrong:?}: {told:?}");
        assert_eq!(told.json()["end"], "not_started", "{wrong:?}: {told:?}");
    }
    bench.write("config/config_v0_3.json", "{");
    let told = bench.tos(&["exec", "--json", "--", "true"]);
    assert_eq!(keys(&told), wanted, "{told:?}");
    let mut command = bench.command(&["exec", "--json", "--root", "/", "--", "true"]);
    let told = ended(command.env("TOS_SANDBOX__LEVEL", "nonsense"));
    assert_eq!(keys(&told), wanted, "{told:?}");
}
