//! What a trial runs behind a wall: tries everything that must fail, and what must work.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::OpenOptionsExt,
            net::{SocketAddr as LocalAddr, UnixDatagram, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, getrlimit, kill_process, prlimit};
use serde::{Deserialize, Serialize};

use super::super::{
    jail::JailError,
    spec::{JAILER_ARG, PROXY_PORT, ResourceLimits},
};
use crate::domain::{
    sandbox::{CapabilityProof, ConfinementLevel, SandboxCapability},
    state_folder::tos_path,
};

/// What the outside has prepared.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProbeSetup {
    pub(super) level: ConfinementLevel,
    pub(super) root: PathBuf,
    /// A file outside the root that must stay as it is.
    pub(super) outside: PathBuf,
    /// A home with [`DECOYS`] and [`DECOY_TOOL`].
    pub(super) home: PathBuf,
    /// A process outside.
    pub(super) stranger: i32,
    /// Ports on which somebody listens outside, for TCP and UDP.
    pub(super) tcp: u16,
    pub(super) udp: u16,
    /// Sockets on which somebody listens outside: by name, and in the shared temporary directory.
    pub(super) service_name: String,
    pub(super) service_path: PathBuf,
    /// What to call a file in the temporary directory.
    pub(super) temporary_name: String,
    /// The lock that a process which stays behind holds.
    pub(super) lock: PathBuf,
    pub(super) limits: ResourceLimits,
    pub(super) has_git: bool,
    /// Whether the proxy port is there; it allows `tcp` on 127.0.0.1 and nothing else.
    pub(super) has_proxy: bool,
}

/// What a trial starts is given this. An allocator that sets aside address space for each thread would use up the ceiling on
/// memory before the one on processes is reached, sooner on a machine with more processors.
pub(super) const ONE_ARENA: (&str, &str) = ("MALLOC_ARENA_MAX", "1");
/// Files of a home that no command may read: a key, the login of an agent, a file that is on no list, and a login beside
/// a tool.
pub(super) const DECOYS: [&str; 4] = [
    ".ssh/key",
    ".gemini/oauth_creds.json",
    "papers/letter",
    ".cargo/credentials.toml",
];
/// A folder of programs in that home, which is on `PATH`.
pub(super) const DECOY_TOOLS: &str = ".cargo/bin";
/// A program there, which every command may read.
pub(super) const DECOY_TOOL: &str = ".cargo/bin/tool";

/// The socket for datagrams beside `service_path`.
pub(super) const DATAGRAM_SOCKET: &str = "letters";

/// What was seen inside.
pub(super) type Answers = Vec<CapabilityProof>;

const PATIENCE: Duration = Duration::from_secs(2);

/// Tries everything and prints the answers.
pub(super) fn answer(questions: &str) -> Result<ExitCode, JailError> {
    let asked: ProbeSetup = serde_json::from_str(questions)?;
    let (name, value) = ONE_ARENA;
    if std::env::var(name).as_deref() != Ok(value) {
        return Err(format!(
            "{name} did not reach the probe; its threads may meet the wrong ceiling"
        )
        .into());
    }
    let mut answers: Answers = vec![
        proof(SandboxCapability::Runs, true, "a probe ran and answered"),
        writes_outside(&asked),
        protected(&asked),
        root_as_asked(&asked),
        new_in_root(&asked),
        git_readable(&asked),
        secrets_hidden(&asked),
        private_temporary(&asked),
        local_services(&asked),
        no_network(&asked),
        allowlist(&asked),
        no_new_privileges(),
        isolated(&asked),
        file_size(&asked),
        memory(&asked),
        processor_time(&asked),
        processes(&asked),
        temporary_size(&asked),
    ];
    answers.push(stay_behind(&asked));
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &answers)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn proof(capability: SandboxCapability, holds: bool, how: impl Into<String>) -> CapabilityProof {
    CapabilityProof {
        capability,
        holds: Some(holds),
        how: how.into(),
    }
}

fn untried(capability: SandboxCapability, why: &str) -> CapabilityProof {
    CapabilityProof {
        capability,
        holds: None,
        how: why.into(),
    }
}

/// All of these must be refused; says which were not.
fn refused(capability: SandboxCapability, tried: &[(&str, bool)]) -> CapabilityProof {
    let done: Vec<&str> = tried
        .iter()
        .filter(|(_, worked)| *worked)
        .map(|(what, _)| *what)
        .collect();
    let all: Vec<&str> = tried.iter().map(|(what, _)| *what).collect();
    if done.is_empty() {
        proof(capability, true, format!("refused: {}", all.join(", ")))
    } else {
        proof(capability, false, format!("worked: {}", done.join(", ")))
    }
}

fn can_write(path: &Path) -> bool {
    fs::OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(b"x"))
        .is_ok()
}

fn can_open(path: &str) -> bool {
    fs::OpenOptions::new().write(true).open(path).is_ok()
}

fn can_create(path: impl AsRef<Path>) -> bool {
    fs::write(path, "x").is_ok()
}

fn writes_outside(asked: &ProbeSetup) -> CapabilityProof {
    // Beside the root these may seem to work, in a private copy; whether they did is seen outside.
    let beside = [
        can_write(&asked.outside),
        can_create(asked.outside.with_extension("new")),
        fs::remove_file(&asked.outside).is_ok(),
    ];
    let seemed = if beside.contains(&true) {
        "; beside the root only a private copy changed"
    } else {
        "; beside the root nothing can be changed"
    };
    let mut proof = refused(
        SandboxCapability::WritesOutside,
        &[
            ("make a file in /", can_create("/tos-trial")),
            ("make a file in /etc", can_create("/etc/tos-trial")),
            ("make a file in /usr", can_create("/usr/tos-trial")),
            (
                "open a setting of the kernel",
                can_open("/proc/sys/kernel/core_pattern"),
            ),
            (
                "open a trigger of the kernel",
                can_open("/proc/sysrq-trigger"),
            ),
        ],
    );
    proof.how.push_str(seemed);
    proof
}

fn protected(asked: &ProbeSetup) -> CapabilityProof {
    let root = &asked.root;
    refused(
        SandboxCapability::Protected,
        &[
            ("change .git/HEAD", can_write(&root.join(".git/HEAD"))),
            ("make a hook", can_create(root.join(".git/hooks/trial"))),
            (
                "move .git away",
                fs::rename(root.join(".git"), root.join("workspace/git")).is_ok(),
            ),
            ("write to .tos", can_create(root.join(tos_path!("trial")))),
            ("write to config", can_create(root.join("config/trial"))),
            ("write to logs", can_create(root.join("logs/trial"))),
        ],
    )
}

fn root_as_asked(asked: &ProbeSetup) -> CapabilityProof {
    let worked = can_create(asked.root.join("workspace/new"));
    let wanted = asked.level == ConfinementLevel::Workspace;
    let how = if worked {
        "a file was made below the root"
    } else {
        "no file could be made below the root"
    };
    proof(SandboxCapability::RootAsAsked, worked == wanted, how)
}

fn new_in_root(asked: &ProbeSetup) -> CapabilityProof {
    if asked.level != ConfinementLevel::Workspace {
        return untried(SandboxCapability::NewInRoot, "the root is read-only");
    }
    let worked = can_create(asked.root.join("new"));
    let how = if worked {
        "a file was made in the root"
    } else {
        "only folders that exist can be written to"
    };
    proof(SandboxCapability::NewInRoot, worked, how)
}

fn git_readable(asked: &ProbeSetup) -> CapabilityProof {
    if !asked.has_git {
        return untried(SandboxCapability::GitReadable, "git is not installed");
    }
    let status = Command::new("git")
        .arg("-C")
        .arg(&asked.root)
        .args(["status", "--porcelain"])
        .output();
    match status {
        Ok(output) if output.status.success() => {
            proof(SandboxCapability::GitReadable, true, "git status ran")
        }
        Ok(output) => proof(
            SandboxCapability::GitReadable,
            false,
            String::from_utf8_lossy(&output.stderr),
        ),
        Err(error) => proof(SandboxCapability::GitReadable, false, error.to_string()),
    }
}

fn secrets_hidden(asked: &ProbeSetup) -> CapabilityProof {
    let is_read = |path: &Path| fs::read(path).is_ok_and(|text| !text.is_empty());
    let is_listed = |name: &str| {
        let entries = fs::read_dir(asked.home.join(name)).into_iter().flatten();
        entries.flatten().next().is_some()
    };
    if !is_read(&asked.home.join(DECOY_TOOL)) {
        return proof(
            SandboxCapability::SecretsHidden,
            false,
            "a program of the home that is on PATH cannot be read",
        );
    }
    let [key, login, letter, beside] = DECOYS.map(|name| is_read(&asked.home.join(name)));
    refused(
        SandboxCapability::SecretsHidden,
        &[
            ("read a key", key),
            ("list the folder of keys", is_listed(".ssh")),
            ("read the login of an agent", login),
            ("read a file that is on no list", letter),
            ("list a folder that is on no list", is_listed("papers")),
            ("read a login beside a tool", beside),
        ],
    )
}

fn private_temporary(asked: &ProbeSetup) -> CapabilityProof {
    let own = can_create(std::env::temp_dir().join(&asked.temporary_name));
    drop(fs::write(
        Path::new("/tmp").join(&asked.temporary_name),
        "x",
    ));
    let how = if own {
        "a file was made there"
    } else {
        "the temporary directory cannot be written"
    };
    proof(SandboxCapability::PrivateTemporary, own, how)
}

fn local_services(asked: &ProbeSetup) -> CapabilityProof {
    let named = LocalAddr::from_abstract_name(asked.service_name.as_bytes())
        .and_then(|address| UnixStream::connect_addr(&address));
    let listed = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_name() != "tos")
            .any(|entry| can_connect_below(&entry.path()))
    };
    let letters = asked.service_path.with_file_name(DATAGRAM_SOCKET);
    let paired = UnixDatagram::pair().and_then(|(one, _other)| one.send_to(b"x", letters));
    refused(
        SandboxCapability::LocalServices,
        &[
            ("connect by name", named.is_ok()),
            (
                "connect in the temporary directory",
                UnixStream::connect(&asked.service_path).is_ok(),
            ),
            ("connect to a service in /run", listed("/run")),
            ("write to one from a pair of sockets", paired.is_ok()),
        ],
    )
}

fn can_connect_below(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

fn no_network(asked: &ProbeSetup) -> CapabilityProof {
    let tcp = |address: SocketAddr| TcpStream::connect_timeout(&address, PATIENCE).is_ok();
    let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.send_to(b"trial", (Ipv4Addr::LOCALHOST, asked.udp)));
    let outward = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((Ipv4Addr::new(192, 0, 2, 1), 53)));
    // Inside a network of its own a datagram to the own loopback goes nowhere; whether it arrived
    // is looked up outside.
    let sent = if udp.is_ok() {
        "; a datagram was sent to itself"
    } else {
        ""
    };
    let mut proof = refused(
        SandboxCapability::NoNetwork,
        &[
            (
                "connect over TCP",
                tcp((Ipv4Addr::LOCALHOST, asked.tcp).into()),
            ),
            (
                "connect over TCP and IPv6",
                tcp((Ipv6Addr::LOCALHOST, asked.tcp).into()),
            ),
            ("find a way outside", outward.is_ok()),
        ],
    );
    proof.how.push_str(sent);
    proof
}

fn allowlist(asked: &ProbeSetup) -> CapabilityProof {
    if !asked.has_proxy {
        return untried(SandboxCapability::Allowlist, "no hosts are allowed");
    }
    let direct =
        TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, asked.tcp).into(), PATIENCE).is_ok();
    let allowed = through_proxy(&format!("127.0.0.1:{}", asked.tcp));
    let other = through_proxy("198.51.100.7:443");
    let holds = !direct && allowed == "200" && other == "403";
    let how = format!(
        "through the proxy an allowed host answered {allowed}, another {other}; directly: {}",
        if direct { "connected" } else { "refused" }
    );
    proof(SandboxCapability::Allowlist, holds, how)
}

fn through_proxy(place: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PROXY_PORT))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[9..]).into_owned())
    };
    ask().unwrap_or_else(|error| error.to_string())
}

fn no_new_privileges() -> CapabilityProof {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|rest| rest.trim_start_matches(':').trim().to_owned())
            .unwrap_or_default()
    };
    let (sealed, rights) = (value("NoNewPrivs"), value("CapEff"));
    let path = std::env::temp_dir().join("rights");
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o4755)
        .open(&path);
    let is_made = made.is_ok();
    drop(fs::remove_file(path));
    let holds = sealed == "1" && u64::from_str_radix(&rights, 16) == Ok(0) && !is_made;
    let owners = if is_made {
        "a program with the rights of its owner was made"
    } else {
        "no program with the rights of its owner could be made"
    };
    proof(
        SandboxCapability::NoNewPrivileges,
        holds,
        format!("NoNewPrivs {sealed}, rights {rights}; {owners}"),
    )
}

fn isolated(asked: &ProbeSetup) -> CapabilityProof {
    let stranger = Pid::from_raw(asked.stranger);
    let signalled = stranger.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok());
    let spied =
        fs::read(format!("/proc/{}/environ", asked.stranger)).is_ok_and(|text| !text.is_empty());
    // It stands before the filter and the ceilings: whoever rules it has left them.
    let before = getppid();
    let number = before.map_or(1, |pid| pid.as_raw_nonzero().get());
    let ruled = fs::File::open(format!("/proc/{number}/mem")).is_ok();
    let no_core = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let limited = before.is_some_and(|pid| prlimit(Some(pid), Resource::Core, no_core).is_ok());
    refused(
        SandboxCapability::Isolated,
        &[
            ("kill a process outside", signalled),
            ("read its environment", spied),
            ("open the memory of the process before the command", ruled),
            ("limit the process before the command", limited),
        ],
    )
}

/// Runs `fill` and tells whether something stopped it.
fn is_stopped(folder: &Path, bytes: u64) -> Result<bool, JailError> {
    let path = folder.join("fill");
    let status = Command::new(std::env::current_exe()?)
        .args([JAILER_ARG, "fill", &format!("{bytes}:{}", path.display())])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    drop(fs::remove_file(path));
    Ok(!status.success())
}

fn file_size(asked: &ProbeSetup) -> CapabilityProof {
    let Some(limit) = asked.limits.file_bytes else {
        return untried(SandboxCapability::FileSize, "no limit is set");
    };
    let folder = match asked.level {
        ConfinementLevel::Workspace => asked.root.join("workspace"),
        ConfinementLevel::Off | ConfinementLevel::ReadOnly => std::env::temp_dir(),
    };
    let stopped = is_stopped(&folder, limit).unwrap_or(false);
    let how = if stopped {
        "a file beyond the limit was cut off"
    } else {
        "a file grew beyond the limit"
    };
    proof(SandboxCapability::FileSize, stopped, how)
}

fn temporary_size(asked: &ProbeSetup) -> CapabilityProof {
    let limit = asked.limits.temporary_bytes;
    if asked.limits.file_bytes.is_some_and(|file| file <= limit) {
        // Several files together must hit the ceiling, each below the ceiling of one file.
        let folder = std::env::temp_dir();
        let fits = (0..=8)
            .all(|n| fs::write(folder.join(format!("part-{n}")), vec![0; block(limit)]).is_ok());
        (0..=8).for_each(|n| drop(fs::remove_file(folder.join(format!("part-{n}")))));
        let how = if fits {
            "more than the limit fitted in"
        } else {
            "full at the limit"
        };
        return proof(SandboxCapability::TemporarySize, !fits, how);
    }
    untried(
        SandboxCapability::TemporarySize,
        "the limit of one file is larger",
    )
}

fn block(limit: u64) -> usize {
    usize::try_from(limit / 8).unwrap_or(0)
}

fn memory(asked: &ProbeSetup) -> CapabilityProof {
    let Some(limit) = asked
        .limits
        .memory_bytes
        .and_then(|limit| usize::try_from(limit).ok())
    else {
        return untried(SandboxCapability::Memory, "no limit is set");
    };
    let got = Vec::<u8>::new().try_reserve_exact(limit).is_ok();
    let how = if got {
        "more than the limit was given"
    } else {
        "more than the limit was refused"
    };
    proof(SandboxCapability::Memory, !got, how)
}

fn processor_time(asked: &ProbeSetup) -> CapabilityProof {
    let Some(limit) = asked.limits.cpu_seconds else {
        return untried(SandboxCapability::ProcessorTime, "no limit is set");
    };
    let found = getrlimit(Resource::Cpu).maximum;
    let holds = found.is_some_and(|found| found <= limit);
    proof(
        SandboxCapability::ProcessorTime,
        holds,
        format!("the kernel's limit is {found:?} s"),
    )
}

fn processes(asked: &ProbeSetup) -> CapabilityProof {
    let Some(limit) = asked
        .limits
        .processes
        .and_then(|limit| usize::try_from(limit).ok())
    else {
        return untried(SandboxCapability::Processes, "no limit is set");
    };
    let (hold, release) = std::sync::mpsc::channel::<()>();
    let release = Arc::new(std::sync::Mutex::new(release));
    let mut started = Vec::new();
    for _ in 0..=limit {
        let release = Arc::clone(&release);
        let thread = std::thread::Builder::new().stack_size(64 * 1024);
        match thread.spawn(move || drop(release.lock().map(|release| release.recv()))) {
            Ok(thread) => started.push(thread),
            Err(_) => break,
        }
    }
    let count = started.len();
    drop(hold);
    for thread in started {
        drop(thread.join());
    }
    let holds = count <= limit;
    let how = format!("{count} could be started, {limit} are allowed");
    proof(SandboxCapability::Processes, holds, how)
}

/// Starts a process that drops its environment, leaves its session and stays.
fn stay_behind(asked: &ProbeSetup) -> CapabilityProof {
    let start = || -> Result<bool, JailError> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([JAILER_ARG, "linger"])
            .arg(&asked.lock)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = [0; 6];
        child
            .stdout
            .take()
            .ok_or("no output")?
            .read_exact(&mut ready)?;
        Ok(&ready == b"ready\n")
    };
    match start() {
        Ok(true) => proof(
            SandboxCapability::NoSurvivors,
            true,
            "a daemon stayed behind",
        ),
        Ok(false) => untried(SandboxCapability::NoSurvivors, "the daemon did not start"),
        Err(fault) => untried(SandboxCapability::NoSurvivors, &fault.to_string()),
    }
}
