//! What the stages of a jailer see to: mounts, sockets by name, descriptors, sizes, and what they say about themselves.

use super::*;

/// A file system of its own, outside of the folders that walls cover.
struct Mounted(TempDir);

impl Mounted {
    fn new(options: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("tos-mounted-")
            .tempdir_in("/var/cache")
            .unwrap();
        let words = ["-t", "tmpfs", "-o", options, "tmpfs"];
        let done = Process::new("mount")
            .args(words)
            .arg(folder.path())
            .status();
        assert!(done.unwrap().success());
        Self(folder)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Process::new("umount").arg(self.0.path()).status());
    }
}

#[tokio::test]
async fn a_mount_of_any_settings_cannot_be_written() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // Without `relatime` the kernel keeps a new namespace from changing anything of it that does not say so, too.
    for options in ["strictatime", "relatime", "noatime,nodev", "nosuid,noexec"] {
        let mounted = Mounted::new(options);
        let place = mounted.0.path().join("made");
        for bench in walls(ConfinementLevel::Workspace).await {
            let name = bench.options.backends[0].as_str();
            let said = bench
                .output(&format!("echo ran; echo x > '{}'", place.display()))
                .await;
            assert!(!place.exists(), "{name} {options}: {said}");
            // Only a wall of ours is known to manage all of them.
            if bench.options.backends == [SandboxBackend::Namespaces] {
                assert!(said.starts_with("ran\n"), "{name} {options}: {said}");
            }
        }
    }
}

#[tokio::test]
async fn with_the_whole_network_services_that_listen_on_a_name_stay_out_of_reach() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        bench.options.network = NetworkAccess::Full;
        let backend = bench.options.backends[0];
        let report = bench.report().await;
        let proofs = report.trials.iter().flat_map(|trial| &trial.proofs);
        let local: Vec<_> = proofs
            .filter(|proof| proof.capability == SandboxCapability::LocalServices)
            .collect();
        assert_eq!(local.len(), 1);
        assert_eq!(
            local[0].holds,
            Some(true),
            "{}: {}",
            backend.as_str(),
            local[0].how
        );
        assert_eq!(report.choice, BackendChoice::Proved { backend });
    }
}

#[tokio::test]
async fn folders_in_memory_have_a_size_and_nothing_lies_beside_devices() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        bench.options.limits.temporary_bytes = 8 << 20;
        let said = bench
            .output(
                "for place in /run /dev /dev/shm /var/tmp; do \
                 head -c 16M /dev/zero 2>/dev/null > $place/tos-test; \
                 size=$(stat -c %s $place/tos-test 2>/dev/null || echo 0); \
                 [ $size -le 8388608 ] || echo $place $size; rm -f $place/tos-test; done 2>/dev/null; \
                 [ -w /dev ] && (echo x > /dev/tos-made) 2>/dev/null && echo made; echo x > /dev/null && echo over",
            )
            .await;
        assert_eq!(said, "over\n", "{name}");
    }
}

#[tokio::test]
async fn descriptors_that_nobody_passed_do_not_reach_a_command() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        let left_open = fs::File::open(bench.path("beside")).unwrap();
        rustix::io::fcntl_setfd(&left_open, rustix::io::FdFlags::empty()).unwrap();
        let said = bench
            .output("for file in /proc/$$/fd/*; do echo ${file##*/} $(readlink $file); done")
            .await;
        drop(left_open);
        assert!(said.contains("1 pipe:"), "{name}: {said}");
        for foreign in ["beside", "memfd", "tos-sandbox"] {
            assert!(!said.contains(foreign), "{name}: {said}");
        }
    }
}

#[tokio::test]
async fn no_command_line_tells_what_is_hidden() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        let said = bench
            .output("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")
            .await;
        assert!(said.contains("cmdline"), "{name}: {said}");
        for told in ["temporary_bytes", "\"layers\"", "\"hidden\""] {
            assert!(!said.contains(told), "{name}: {said}");
        }
    }
}

#[tokio::test]
async fn a_command_cannot_signal_what_started_it() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        let end = bench
            .run("kill -9 $PPID; kill -9 1; echo on")
            .await
            .unwrap();
        assert_eq!(end.stdout.text(), "on\n", "{name}: {}", end.stderr.text());
        assert_eq!(end.exit, ExitStatus::Code { code: 0 }, "{name}");
    }
}

#[tokio::test]
async fn no_program_can_be_made_to_run_with_the_rights_of_its_owner() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        let said = bench
            .output(
                "cp /bin/true workspace/x; chmod u+s workspace/x 2>/dev/null && echo set; chmod 700 workspace/x && echo plain; \
                 chmod 4755 \"$HERE/beside\" 2>/dev/null && echo set",
            )
            .await;
        assert_eq!(said, "plain\n", "{name}");
        for file in ["root/workspace/x", "beside"] {
            let mode = fs::metadata(bench.path(file)).unwrap().mode();
            assert_eq!(mode & 0o6000, 0, "{name} {file}");
        }
    }
}
