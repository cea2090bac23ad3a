//! Which processes belong to a command, and ending them.
//!
//! A process belongs to a command when it is in its process group, descends from a process that does,
//! carries its marker in the environment, or was orphaned to tos while only this command ran and has
//! left tos's session. Every process is known by its id *and* its start time, and signalled through
//! a pidfd whose start time was checked after opening, so that a reused id is never hit.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    os::fd::{AsFd, OwnedFd},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    process,
    process::{Pid, PidfdFlags, Signal, WaitOptions},
};

/// The name of the marker variable.
pub(crate) const TOKEN_VARIABLE: &str = "TOS_TOKEN";

/// The name of the variable that says which tos started a process: its number and when it began.
const OWNER_VARIABLE: &str = "TOS_OWNER";

/// What names this process and no other of this machine.
static OWN_NAME: LazyLock<String> = LazyLock::new(|| {
    let own = process::getpid().as_raw_nonzero().get();
    let started = stat(own).map_or(0, |stat| stat.started);
    format!("{own}:{started}")
});

/// Returns what everything that is started carries in its environment: whose it is, and who started it.
pub(crate) fn marks(token: &str) -> [(OsString, OsString); 2] {
    [
        (TOKEN_VARIABLE.into(), token.into()),
        (OWNER_VARIABLE.into(), OWN_NAME.as_str().into()),
    ]
}

/// Rounds after which even a program that starts processes faster than they can be ended is given up.
const ROUNDS: usize = 200;

/// The main processes of the commands that run now, in the whole program.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<i32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the kernel says about one process.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProcessStat {
    pid: i32,
    dead: bool,
    parent: i32,
    group: i32,
    session: i32,
    /// Processor time of the process and of its children that ended, in clock ticks.
    ticks: u64,
    /// Clock ticks from the start of the machine to the start of the process.
    started: u64,
}

/// One living process of a command.
#[derive(Debug)]
pub(super) struct ProcessEntry {
    pid: Pid,
    started: u64,
    handle: Option<OwnedFd>,
}

/// What changes while a command does something.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessActivity {
    ticks: u64,
    transferred: u64,
    processes: Vec<(i32, u64)>,
}

/// The processes of one command.
#[derive(Debug)]
pub(super) struct ProcessTree {
    root: i32,
    jailed: bool,
    marker: Vec<u8>,
    began: u64,
    known: BTreeMap<i32, u64>,
    finished: bool,
}

/// Returns the present moment in the unit of [`ProcessStat::started`], to be taken before a start.
pub(super) fn ticks_now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let per_second = rustix::param::clock_ticks_per_second();
    let whole = u64::try_from(now.tv_sec).unwrap_or(0) * per_second;
    let part = u64::try_from(now.tv_nsec).unwrap_or(0) * per_second / 1_000_000_000;
    whole + part
}

impl ProcessTree {
    /// Watches over the command whose main process is `root`, started at or after `began`.
    pub(super) fn new(root: u32, jailed: bool, token: &str, began: u64) -> Self {
        let root = i32::try_from(root).unwrap_or(0);
        running().insert(root);
        Self {
            root,
            jailed,
            marker: format!("{TOKEN_VARIABLE}={token}").into_bytes(),
            began,
            known: BTreeMap::new(),
            finished: false,
        }
    }

    /// Tells cheaply that nothing is left, once the main process has ended. `false` means: look.
    pub(super) fn is_surely_empty(&self) -> bool {
        let group = Pid::from_raw(self.root).map(process::test_kill_process_group);
        group.is_some_and(|alive| alive == Err(rustix::io::Errno::SRCH))
            && !has_orphans(&self.marker)
    }

    /// Returns the processes of the command that are alive.
    pub(super) fn members(&mut self) -> Vec<ProcessEntry> {
        let all = all_stats();
        let chosen = self.chosen(&all);
        for stat in &chosen {
            self.known.insert(stat.pid, stat.started);
        }
        let living = chosen.into_iter().filter(|stat| !stat.dead);
        living
            .filter_map(|stat| member(stat.pid, stat.started))
            .collect()
    }

    /// Returns what changes while the command does something.
    pub(super) fn activity(&mut self) -> ProcessActivity {
        let all = all_stats();
        activity(&self.chosen(&all))
    }

    /// Asks these processes to terminate; a jailer is spared, it ends with what it holds.
    pub(super) fn terminate(&self, members: &[ProcessEntry]) {
        for member in members {
            if !(self.jailed && member.pid.as_raw_nonzero().get() == self.root) {
                member.signal(Signal::TERM);
                // A stopped process must go on to see that it is asked to terminate.
                member.signal(Signal::CONT);
            }
        }
    }

    /// Takes note of orphans that ended, so that they do not stay as zombies.
    pub(super) fn reap_orphans(&self) {
        for pid in self.known.keys().filter(|pid| **pid != self.root) {
            collect(*pid);
        }
    }

    /// Notes that the main process was collected and nothing is left, so that nobody looks again.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// Kills whatever is alive and waits until it is dead, without yielding.
    pub(super) fn blocking_kill(&mut self) {
        blocking_kill_all(|| self.members());
        self.reap_orphans();
    }

    fn chosen<'a>(&self, all: &'a [ProcessStat]) -> Vec<&'a ProcessStat> {
        let own = process::getpid().as_raw_nonzero().get();
        let alone = running().len() <= 1;
        // What is said about tos itself stands among all the others already.
        let adopts = all.iter().find(|stat| alone && stat.pid == own);
        let adopts = adopts.map(|own| own.session);
        closure(all, own, |stat| {
            let is_known = self.known.get(&stat.pid) == Some(&stat.started);
            let is_young = stat.started >= self.began;
            let is_orphan = stat.parent == own && adopts.is_some_and(|own| own != stat.session);
            is_known
                || is_young
                    && (stat.pid == self.root
                        || stat.group == self.root
                        || is_orphan
                        || carries(stat.pid, |entry| entry == self.marker))
        })
    }
}

impl Drop for ProcessTree {
    /// Whatever way the future went, nothing of the command stays alive.
    fn drop(&mut self) {
        if !self.finished {
            self.blocking_kill();
        }
        running().remove(&self.root);
    }
}

impl ProcessEntry {
    /// Sends a signal; a process that has ended meanwhile is not an error.
    pub(super) fn signal(&self, signal: Signal) {
        let sent = match &self.handle {
            Some(handle) => process::pidfd_send_signal(handle, signal),
            None if self.is_same() => process::kill_process(self.pid, signal),
            None => Ok(()),
        };
        if let Err(error) = sent.or_else(|e| {
            if e == rustix::io::Errno::SRCH {
                Ok(())
            } else {
                Err(e)
            }
        }) {
            tracing::debug!(pid = self.pid.as_raw_nonzero(), %error, "signal not delivered");
        }
    }

    /// Waits until the process is dead.
    pub(super) async fn ended(self) {
        if let Some(handle) = self.handle.as_ref().and_then(watched)
            && handle.readable().await.is_ok()
        {
            return;
        }
        // Kernels before 5.3 have no pidfds: there is nothing to wait on, so look from time to time.
        while self.is_same() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn is_same(&self) -> bool {
        stat(self.pid.as_raw_nonzero().get())
            .is_some_and(|stat| stat.started == self.started && !stat.dead)
    }
}

#[expect(
    deprecated,
    reason = "the successor is an unsafe function for types that may close early; this one owns its handle"
)]
fn watched(handle: &OwnedFd) -> Option<tokio::io::unix::AsyncFd<OwnedFd>> {
    let handle = handle.try_clone().ok()?;
    tokio::io::unix::AsyncFd::with_interest(handle, tokio::io::Interest::READABLE).ok()
}

/// Returns what changes while the process `root` and all that descends from it or carries its token do
/// something.
pub(crate) fn activity_of(root: i32, token: &str) -> ProcessActivity {
    let own = process::getpid().as_raw_nonzero().get();
    let marker = format!("{TOKEN_VARIABLE}={token}").into_bytes();
    let all = all_stats();
    let is_part =
        |stat: &ProcessStat| stat.pid == root || carries(stat.pid, |entry| entry == marker);
    activity(&closure(&all, own, is_part))
}

fn activity(chosen: &[&ProcessStat]) -> ProcessActivity {
    ProcessActivity {
        ticks: chosen.iter().map(|stat| stat.ticks).sum(),
        transferred: chosen.iter().map(|stat| transferred(stat.pid)).sum(),
        processes: chosen.iter().map(|stat| (stat.pid, stat.started)).collect(),
    }
}

/// Makes tos the parent of orphans, so that a daemon cannot slip away from its tree.
pub(super) fn become_reaper() -> io::Result<()> {
    Ok(process::set_child_subreaper(Some(process::getpid()))?)
}

/// Ends processes whose marker is `prefix` or continues it behind a slash; returns how many.
///
/// What another tos started that still lives is its own: in a copy of a folder at work stands what the original does.
pub(crate) fn blocking_kill_marked(prefix: &str) -> u32 {
    let own = process::getpid().as_raw_nonzero().get();
    let mut known = BTreeMap::new();
    blocking_kill_all(|| {
        let all = all_stats();
        let above = ancestors(&all, own);
        let chosen = closure(&all, own, |stat| {
            let is_known = known.get(&stat.pid) == Some(&stat.started);
            (is_known || is_survivor(stat.pid, prefix, &all)) && !above.contains(&stat.pid)
        });
        let living = chosen.into_iter().filter(|stat| !stat.dead);
        living
            .inspect(|stat| remember(&mut known, stat))
            .filter_map(|stat| member(stat.pid, stat.started))
            .collect()
    });
    for pid in known.keys() {
        collect(*pid);
    }
    u32::try_from(known.len()).unwrap_or(u32::MAX)
}

/// Ends everything that descends from this process, and collects it. For a process that started one
/// command only and is the reaper of orphans.
pub(in crate::adapters) fn end_descendants() -> bool {
    let own = process::getpid().as_raw_nonzero().get();
    for _ in 0..ROUNDS {
        let all = all_stats();
        for stat in closure(&all, own, |stat| stat.parent == own) {
            if let Some(member) = member(stat.pid, stat.started) {
                member.signal(Signal::KILL);
                blocking_wait(&member);
            }
        }
        // Until the kernel says that there is no child left.
        loop {
            match process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return true,
            }
        }
    }
    false
}

/// Ends every process that carries this marker.
pub(in crate::adapters) async fn end_marked(token: &str) {
    let token = token.to_owned();
    drop(tokio::task::spawn_blocking(move || blocking_kill_marked(&token)).await);
}

/// Returns a variable of an environment as the kernel shows it, each entry ended by NUL.
pub(crate) fn variable_in<'e>(environment: &'e [u8], name: &str) -> Option<&'e str> {
    let mut entries = environment.split(|byte| *byte == 0);
    entries.find_map(|entry| {
        let entry = std::str::from_utf8(entry).ok()?;
        entry.strip_prefix(name)?.strip_prefix('=')
    })
}

/// Says whether a process carries a marker below `prefix`, and no other tos is there that would still want it.
fn is_survivor(pid: i32, prefix: &str, all: &[ProcessStat]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut entries = environment.split(|byte| *byte == 0);
    if !entries.any(|entry| is_below(entry, prefix)) {
        return false;
    }
    let Some((pid, started)) = variable_in(&environment, OWNER_VARIABLE)
        .filter(|owner| *owner != *OWN_NAME)
        .and_then(|owner| owner.split_once(':'))
    else {
        return true;
    };
    let (pid, started) = (pid.parse::<i32>().ok(), started.parse::<u64>().ok());
    !all.iter()
        .any(|stat| !stat.dead && Some(stat.pid) == pid && Some(stat.started) == started)
}

fn remember(known: &mut BTreeMap<i32, u64>, stat: &ProcessStat) {
    known.insert(stat.pid, stat.started);
}

fn is_below(entry: &[u8], prefix: &str) -> bool {
    let token = entry.strip_prefix(TOKEN_VARIABLE.as_bytes());
    let token = token.and_then(|rest| rest.strip_prefix(b"="));
    let rest = token.and_then(|token| token.strip_prefix(prefix.as_bytes()));
    rest.is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with(b"/"))
}

fn blocking_kill_all(mut members: impl FnMut() -> Vec<ProcessEntry>) {
    for _ in 0..ROUNDS {
        let members = members();
        if members.is_empty() {
            return;
        }
        for member in &members {
            member.signal(Signal::KILL);
        }
        for member in &members {
            blocking_wait(member);
        }
    }
}

fn blocking_wait(member: &ProcessEntry) {
    let Some(handle) = &member.handle else {
        return;
    };
    let patience = rustix::event::Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let mut handles = [rustix::event::PollFd::from_borrowed_fd(
        handle.as_fd(),
        rustix::event::PollFlags::IN,
    )];
    // Whatever the answer, the caller looks again.
    let _ = rustix::event::poll(&mut handles, Some(&patience));
}

fn collect(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Not being our child is the usual case: then somebody else collects it.
        let _ = process::waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

fn member(pid: i32, started: u64) -> Option<ProcessEntry> {
    let pid = Pid::from_raw(pid)?;
    let handle = match process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => Some(handle),
        Err(rustix::io::Errno::SRCH) => return None,
        Err(_) => None,
    };
    let member = ProcessEntry {
        pid,
        started,
        handle,
    };
    member.is_same().then_some(member)
}

/// Returns the seeds and everything that descends from them, but never `own`.
fn closure(
    all: &[ProcessStat],
    own: i32,
    is_seed: impl Fn(&ProcessStat) -> bool,
) -> Vec<&ProcessStat> {
    let mut inside: BTreeSet<i32> = BTreeSet::new();
    for stat in all.iter().filter(|stat| stat.pid != own && is_seed(stat)) {
        inside.insert(stat.pid);
    }
    loop {
        let before = inside.len();
        for stat in all {
            if stat.pid != own && inside.contains(&stat.parent) {
                inside.insert(stat.pid);
            }
        }
        if inside.len() == before {
            break;
        }
    }
    all.iter()
        .filter(|stat| inside.contains(&stat.pid))
        .collect()
}

fn ancestors(all: &[ProcessStat], own: i32) -> BTreeSet<i32> {
    let parents: BTreeMap<i32, i32> = all.iter().map(|stat| (stat.pid, stat.parent)).collect();
    std::iter::successors(Some(own), |pid| {
        parents.get(pid).copied().filter(|pid| *pid > 0)
    })
    .collect()
}

/// Tells whether tos has a child that is not the main process of a command and may be an orphan.
fn has_orphans(marker: &[u8]) -> bool {
    let Some(own) = own_stat() else {
        return true;
    };
    let Some(children) = own_children() else {
        return true;
    };
    let mains = running().clone();
    let mut strangers = children.iter().filter(|pid| !mains.contains(pid));
    strangers.any(|pid| {
        stat(*pid).is_some_and(|stat| {
            // A child that tos itself started leads its group or is in tos's own.
            stat.session != own.session
                || (stat.group != *pid && stat.group != own.group)
                // So may an orphan, but that one was marked by the command it comes from.
                || carries(*pid, |entry| entry == marker)
        })
    })
}

fn own_children() -> Option<Vec<i32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let text = fs::read_to_string(thread.path().join("children")).ok()?;
        children.extend(
            text.split_ascii_whitespace()
                .filter_map(|pid| pid.parse::<i32>().ok()),
        );
    }
    Some(children)
}

/// Returns what the kernel says about tos itself. Group and session are 0 when their leaders live outside the
/// pid namespace of tos, as in a container that was entered without a session of its own; no wrapper
/// of the calls that ask for them can say that, so they are read here.
fn own_stat() -> Option<ProcessStat> {
    stat(process::getpid().as_raw_nonzero().get())
}

fn all_stats() -> Vec<ProcessStat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(stat).collect()
}

fn stat(pid: i32) -> Option<ProcessStat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parsed(pid, &String::from_utf8_lossy(&text))
}

/// Reads a line of `/proc/N/stat`; the name in brackets may hold anything, brackets included.
fn parsed(pid: i32, line: &str) -> Option<ProcessStat> {
    let rest = &line[line.rfind(')')? + 1..];
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let id = |at: usize| fields.get(at)?.parse::<i32>().ok();
    Some(ProcessStat {
        pid,
        dead: matches!(*fields.first()?, "Z" | "X"),
        parent: id(1)?,
        group: id(2)?,
        session: id(3)?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        started: number(19)?,
    })
}

fn carries(pid: i32, is_marker: impl Fn(&[u8]) -> bool) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|text| text.split(|byte| *byte == 0).any(is_marker))
}

/// How much the process has read and written so far.
fn transferred(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter_map(|(_, value)| value.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let line = "7 (a) b (c) S 5 6 4 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 99 0 0";
        let stat = parsed(7, line).unwrap();
        let expected = ProcessStat {
            pid: 7,
            dead: false,
            parent: 5,
            group: 6,
            session: 4,
            ticks: 10,
            started: 99,
        };
        assert_eq!(stat, expected);
    }

    #[test]
    fn a_marker_is_below_a_prefix_only_at_a_slash() {
        for (entry, prefix, below) in [
            ("TOS_TOKEN=r1/2/3", "r1", true),
            ("TOS_TOKEN=r1", "r1", true),
            ("TOS_TOKEN=r12/2", "r1", false),
            ("TOS_TOKEN=r1/2", "r1/", true),
            ("X_TOS_TOKEN=r1", "r1", false),
        ] {
            assert_eq!(
                is_below(entry.as_bytes(), prefix),
                below,
                "{entry} {prefix}"
            );
        }
    }

    #[test]
    fn a_reused_id_is_not_taken_for_the_same_process() {
        let own = process::getpid();
        let started = stat(own.as_raw_nonzero().get()).unwrap().started;
        assert!(member(own.as_raw_nonzero().get(), started).is_some());
        assert!(member(own.as_raw_nonzero().get(), started + 1).is_none());
    }

    #[test]
    fn descendants_of_a_seed_belong_to_it_and_tos_never_does() {
        let stat = |pid, parent| ProcessStat {
            pid,
            dead: false,
            parent,
            group: 0,
            session: 0,
            ticks: 0,
            started: 0,
        };
        let all = [stat(9, 8), stat(8, 7), stat(7, 1), stat(5, 9), stat(4, 1)];
        let pids = closure(&all, 5, |stat| stat.pid == 7)
            .iter()
            .map(|s| s.pid)
            .collect::<Vec<_>>();
        assert_eq!(pids, [9, 8, 7]);
    }
}
