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
        let flags = rustix::fs::OFlags::RDONLY;
        let left_open =
            rustix::fs::open(bench.path("beside"), flags, rustix::fs::Mode::empty()).unwrap();
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
        // Its own words do not match the patterns in them.
        let said = bench
            .output(
                "count() { grep -l -- \"$1\" /proc/[0-9]*/cmdline 2>/dev/null | wc -l; }; \
                 [ $(count '__jai[l]') -gt 0 ] && echo seen; count '\"layer[s]\"'",
            )
            .await;
        assert_eq!(said, "seen\n0\n", "{name}");
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

/// Tries what leads out of the filter and the ceilings by the process before it, whose number it is given.
const TAKES_OVER: &str = "import ctypes, os, resource, sys\n\
libc = ctypes.CDLL(None, use_errno=True)\n\
before = int(sys.argv[1])\n\
if libc.ptrace(0x4206, before, None, None) == 0: print('traced')\n\
class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]\n\
mine = ctypes.create_string_buffer(8)\n\
here = Part(ctypes.addressof(mine), 8)\n\
maps = []\n\
try: maps = open('/proc/%d/maps' % before).readlines()\n\
except OSError: pass\n\
if maps: print('maps')\n\
for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):\n\
\x20   try: resource.prlimit(before, limit, (0, 0)); print('limited')\n\
\x20   except (OSError, ValueError): pass\n\
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n\
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)); print('own limit')\n\
child = os.fork()\n\
if child == 0:\n\
\x20   libc.ptrace(0, 0, None, None); os.kill(os.getpid(), 19); os._exit(7)\n\
number, status = os.waitpid(child, 0)\n\
print('child stopped', os.WIFSTOPPED(status))\n\
libc.ptrace(7, child, None, None)\n\
print('child ended', os.WEXITSTATUS(os.waitpid(child, 0)[1]))\n";

#[tokio::test]
async fn the_process_before_the_command_cannot_be_taken_over_and_children_can_be_debugged() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        bench.write("root/takes.py", TAKES_OVER);
        let end = bench
            .run("python3 takes.py $PPID 2>&1; true")
            .await
            .unwrap();
        assert_eq!(
            end.stdout.text(),
            "own limit\nchild stopped True\nchild ended 7\n",
            "{name}"
        );
        assert_eq!(end.exit, ExitStatus::Code { code: 0 }, "{name}");
    }
}

#[tokio::test]
async fn a_pair_of_sockets_reaches_nobody_else() {
    let script = "import os, socket\n\
        for family, kind in ((socket.AF_UNIX, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_RAW), (30, 1), (30, 5)):\n\
        \x20   try: socket.socketpair(family, kind)[0].sendto(b'x', os.environ['HERE'] + '/listens')\n\
        \x20   except OSError: pass\n\
        for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):\n\
        \x20   one, other = socket.socketpair(socket.AF_UNIX, kind); one.send(b'pair'); print(other.recv(4).decode())\n\
        import subprocess, multiprocessing\n\
        print(subprocess.run(['echo', 'child'], capture_output=True, text=True).stdout.strip())\n\
        inbox, outbox = multiprocessing.Pipe(); outbox.send('piped'); print(inbox.recv())";
    for bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        let listener = std::os::unix::net::UnixDatagram::bind(bench.path("listens")).unwrap();
        fs::set_permissions(bench.path("listens"), fs::Permissions::from_mode(0o777)).unwrap();
        listener.set_nonblocking(true).unwrap();
        bench.write("root/pairs.py", script);
        let said = bench.output("python3 pairs.py 2>&1").await;
        assert_eq!(said, "pair\npair\nchild\npiped\n", "{name}");
        assert!(listener.recv(&mut [0; 8]).is_err(), "{name}: it arrived");
    }
}

#[tokio::test]
async fn no_file_is_made_with_the_rights_of_its_owner_or_its_group() {
    let script = "import ctypes, os, stat\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        for bit in (0o4000, 0o2000):\n\
        \x20   mode = 0o755 | bit\n\
        \x20   def made(name): return 'workspace/%s%o' % (name, bit)\n\
        \x20   for call in (lambda: os.open(made('open'), os.O_CREAT | os.O_WRONLY, mode),\n\
        \x20       lambda: os.link('/proc/self/fd/%d' % os.open('workspace', os.O_TMPFILE | os.O_WRONLY, mode), made('tmpfile'), follow_symlinks=True),\n\
        \x20       lambda: os.mknod(made('mknod'), stat.S_IFREG | mode),\n\
        \x20       lambda: os.mknod(made('mknodat'), stat.S_IFREG | mode, dir_fd=os.open('.', os.O_RDONLY)),\n\
        \x20       lambda: os.chmod('workspace/plain', mode)):\n\
        \x20       open('workspace/plain', 'w').close(); os.chmod('workspace/plain', 0o755)\n\
        \x20       try: call(); print('made', oct(bit))\n\
        \x20       except OSError: pass\n\
        \x20   libc.creat(made('creat').encode(), mode)\n\
        print('over')";
    for bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        bench.write("root/modes.py", script);
        let said = bench.output("umask 0; python3 modes.py 2>&1").await;
        assert_eq!(said, "over\n", "{name}");
        for entry in fs::read_dir(bench.path("root/workspace")).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().mode();
            assert_eq!(mode & 0o6000, 0, "{name} {}", entry.path().display());
        }
    }
}

#[tokio::test]
async fn what_was_protected_and_was_not_there_is_taken_away_afterwards_and_said() {
    for bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        fs::remove_dir(bench.path("root/config")).unwrap();
        fs::remove_dir(bench.path("root/.git")).unwrap();
        let mut bench = bench;
        bench.options.protected.push("workspace/ci/x/c.json".into());
        let code = "mkdir config; echo '{}' > config/config_v0_3.json; echo mine > config/database.yml; mkdir .git && echo x > .git/config; \
                    mkdir -p workspace/ci/x && echo x > workspace/ci/x/c.json; echo x > workspace/mine";
        let said = bench.output(code).await;
        for planted in [
            "root/config/config_v0_3.json",
            "root/.git",
            "root/workspace/ci/x/c.json",
        ] {
            assert!(!bench.path(planted).exists(), "{name} {planted}");
        }
        assert!(said.contains("workspace/ci/x/c.json"), "{name}: {said}");
        assert!(bench.path("root/workspace/mine").exists(), "{name}");
        // Behind rules alone nothing can be made in a root with something closed in it.
        let own = bench.path("root/config/database.yml").exists();
        let is_mounts = bench.options.backends != [SandboxBackend::Landlock];
        assert_eq!(own, is_mounts, "{name}");
        // What it made is not lost.
        let kept = bench.path("state/taken");
        assert!(fs::read_dir(kept).unwrap().count() > 0, "{name}");
    }
}

#[tokio::test]
async fn the_folder_of_a_protected_file_cannot_be_moved_away() {
    for mut bench in walls(ConfinementLevel::Workspace).await {
        let name = bench.options.backends[0].as_str();
        bench.write("root/ci/x/c.json", "theirs");
        bench.options.protected_by_mounts.push("ci/x/c.json".into());
        bench.options.protected.push("ci/x/c.json".into());
        let code = "mv ci ci2; mv ci/x ci/y; mkdir -p ci/x; echo mine > ci/x/c.json; echo beside > ci/x/other";
        bench.run(&format!("({code}) 2>/dev/null")).await.unwrap();
        let kept = fs::read_to_string(bench.path("root/ci/x/c.json")).unwrap();
        assert_eq!(kept, "theirs", "{name}");
        assert!(!bench.path("root/ci2").exists(), "{name}");
        // The folders themselves stay writable, behind walls that can say that of a folder with something closed in it.
        let is_made = bench.path("root/ci/x/other").exists();
        assert_eq!(
            is_made,
            bench.options.backends != [SandboxBackend::Landlock],
            "{name}"
        );
    }
}
