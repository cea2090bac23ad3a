//! Traps around a throw-away place: listeners that nobody may reach, files that nobody may touch, a mark
//! that no living process may carry afterwards. Each is tried before it is believed.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::domain::ledger::chain::sha256;

/// How long the kernel may take to forget processes that were ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// The listeners.
pub(super) struct TrapListeners {
    tcp: Vec<TcpListener>,
    udp: UdpSocket,
}

impl TrapListeners {
    /// Sets them, and proves that they catch what comes.
    pub(super) fn set() -> io::Result<Self> {
        let mut tcp = vec![TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
        // A machine without IPv6 has no way out over it either.
        tcp.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, 0)));
        for listener in &tcp {
            drop(TcpStream::connect(listener.local_addr()?)?);
            listener.accept()?;
            listener.set_nonblocking(true)?;
        }
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.send_to(b"try", udp.local_addr()?)?;
        udp.recv_from(&mut [0; 8])?;
        udp.set_nonblocking(true)?;
        Ok(Self { tcp, udp })
    }

    /// Returns where they listen: TCP first, then UDP.
    pub(super) fn addresses(&self) -> io::Result<(Vec<SocketAddr>, SocketAddr)> {
        let tcp = self.tcp.iter().map(TcpListener::local_addr);
        Ok((tcp.collect::<io::Result<_>>()?, self.udp.local_addr()?))
    }

    /// Says what was caught.
    pub(super) fn caught(&self) -> Vec<String> {
        let connected = self.tcp.iter().filter(|one| one.accept().is_ok());
        let mut caught: Vec<String> = connected
            .map(|_| "a connection left the wall".to_owned())
            .collect();
        if self.udp.recv_from(&mut [0; 8]).is_ok() {
            caught.push("a datagram left the wall".to_owned());
        }
        caught
    }
}

/// Returns a digest of everything in a folder but what `skip` names.
pub(super) fn digest(folder: &Path, skip: &dyn Fn(&Path) -> bool) -> String {
    let mut lines = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if skip(&path) {
            continue;
        }
        let name = path
            .strip_prefix(folder)
            .unwrap_or(&path)
            .display()
            .to_string();
        if path.is_dir() && !path.is_symlink() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
            lines.push(name);
        } else {
            let content = fs::read(&path).unwrap_or_default();
            lines.push(format!("{name} {}", sha256(&content)));
        }
    }
    lines.sort();
    sha256(lines.join("\n").as_bytes())
}

/// Returns how many processes carry a mark on their command line, after giving them time to end.
pub(super) fn count_marked(mark: &str) -> usize {
    let until = Instant::now() + PATIENCE;
    loop {
        let count = carriers(mark).len();
        if count == 0 || Instant::now() >= until {
            return count;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn carries(process: &Path, mark: &str) -> bool {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(mark)
}

fn carriers(mark: &str) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let paths = processes.map(|entry| entry.path());
    paths.filter(|path| carries(path, mark)).collect()
}

/// Ends every process that carries a mark, which must be one of a place.
pub(super) fn kill_marked(mark: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = carriers(mark);
        if found.is_empty() || Instant::now() >= until {
            return;
        }
        for process in found {
            kill(&process, mark);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(process: &Path, mark: &str) {
    let name = process.file_name().and_then(|name| name.to_str());
    let pid = name
        .and_then(|name| name.parse().ok())
        .and_then(Pid::from_raw);
    let handle = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // Only now is it sure that the number still belongs to the same process.
    if let Some(handle) = handle
        && carries(process, mark)
    {
        // One that has ended meanwhile needs no signal.
        let _ = pidfd_send_signal(handle, Signal::KILL);
    }
}

/// Returns whether a text lies anywhere in the files of a folder.
pub(super) fn folder_contains(folder: &Path, text: &str) -> bool {
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
        } else if fs::read(&path).is_ok_and(|bytes| contains(&bytes, text.as_bytes())) {
            return true;
        }
    }
    false
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_a_trap_is_caught() {
        let traps = TrapListeners::set().unwrap();
        assert_eq!(traps.caught(), Vec::<String>::new());
        let (tcp, udp) = traps.addresses().unwrap();
        let held = TcpStream::connect(tcp[0]).unwrap();
        let own = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        own.send_to(b"x", udp).unwrap();
        assert_eq!(
            traps.caught(),
            ["a connection left the wall", "a datagram left the wall"]
        );
        drop(held);
    }

    #[test]
    fn a_touched_folder_has_another_digest() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "1").unwrap();
        let all = |_: &Path| false;
        let before = digest(folder.path(), &all);
        assert_eq!(digest(folder.path(), &all), before);
        fs::create_dir(folder.path().join("b")).unwrap();
        assert_ne!(digest(folder.path(), &all), before);
        assert_eq!(digest(folder.path(), &|path| path.ends_with("b")), before);
    }
}
