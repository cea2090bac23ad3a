//! The stage `cage`, where the machine lets root make control groups: every command gets one, whose ceilings the kernel keeps even for
//! root, for everything behind the wall together.
//!
//! For everybody else the ceilings of `inner` hold. A group cannot remove itself, so the next command, or the end of tos,
//! sweeps the empty ones.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::spec::{ResourceLimits, SandboxSpec},
    shared::{JailError, need_lifeline},
};

/// How the groups of tos are called, with the process id behind it.
const PREFIX: &str = "tos-";
/// How often a group is tried to be entered.
const ATTEMPTS: u8 = 3;
/// The file with the most processes of a group.
const COUNT: &str = "pids.max";
/// The file with the most memory that may be swapped out; not every kernel has one.
const SWAP: &str = "memory.swap.max";
const TOP: &str = "/sys/fs/cgroup";

/// Enters a group of its own; returns whether it counts the processes where that is wanted.
pub(super) fn enter_cgroup(spec: &SandboxSpec) -> Result<bool, JailError> {
    let name = format!("{PREFIX}{}", std::process::id());
    need_lifeline()?;
    for (parent, ceilings) in places(&spec.limits) {
        // Another command may sweep the group away before anybody is in it.
        let folder = parent.join(&name);
        let is_joined = (0..ATTEMPTS).any(|_| join(&folder, &ceilings).is_ok());
        let counts = ceilings.iter().any(|(file, _)| *file == COUNT);
        if !is_joined && counts {
            // Somebody has to count them. That memory has no ceiling for all together then is the lesser evil: each process has one.
            return Ok(false);
        }
    }
    Ok(true)
}

/// Tells whether there is any place for a group, and one that holds the number of processes where that is limited: otherwise
/// they have to be counted from outside.
pub(in super::super) fn is_possible(limits: &ResourceLimits) -> bool {
    let places = places(limits);
    let counts = places
        .iter()
        .any(|(_, ceilings)| ceilings.iter().any(|(file, _)| *file == COUNT));
    rustix::process::geteuid().is_root()
        && !places.is_empty()
        && (counts || limits.processes.is_none())
}

/// Removes groups that are empty.
pub(in super::super) fn sweep() {
    let limits = ResourceLimits {
        processes: Some(1),
        memory_bytes: Some(1),
        ..ResourceLimits::default()
    };
    for (parent, _) in places(&limits) {
        for found in fs::read_dir(parent).into_iter().flatten().flatten() {
            if found.file_name().to_string_lossy().starts_with(PREFIX) {
                // The kernel refuses while somebody is in it.
                drop(fs::remove_dir(found.path()));
            }
        }
    }
}

type ResourceLimit = (&'static str, u64);

/// Where groups can be made, and the ceilings to write there.
fn places(limits: &ResourceLimits) -> Vec<(PathBuf, Vec<ResourceLimit>)> {
    let top = Path::new(TOP);
    let controllers = fs::read_to_string(top.join("cgroup.subtree_control")).unwrap_or_default();
    if top.join("cgroup.controllers").exists() {
        let has = |name: &str| controllers.split_whitespace().any(|found| found == name);
        let wanted = [
            limits
                .processes
                .filter(|_| has("pids"))
                .map(|most| (COUNT, most)),
            limits
                .memory_bytes
                .filter(|_| has("memory"))
                .map(|most| ("memory.max", most)),
            // Else what does not fit goes on in the swap of the machine.
            limits
                .memory_bytes
                .filter(|_| has("memory"))
                .map(|_| (SWAP, 0)),
        ];
        let wanted: Vec<ResourceLimit> = wanted.into_iter().flatten().collect();
        return if wanted.is_empty() || !is_writable(top) {
            Vec::new()
        } else {
            vec![(top.to_owned(), wanted)]
        };
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let separate = [
        ("pids", COUNT, limits.processes),
        ("memory", "memory.limit_in_bytes", limits.memory_bytes),
    ];
    let wanted = separate.into_iter().filter_map(|(controller, file, most)| {
        let parent = own_group(&own, controller).filter(|parent| is_writable(parent))?;
        Some((parent, vec![(file, most?)]))
    });
    wanted.collect()
}

/// Returns the group of this process under one controller of the older kind. A group of tos counts
/// as its parent, so that a jailer and tos mean the same place.
fn own_group(table: &str, controller: &str) -> Option<PathBuf> {
    let line = table.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let named = fields.next()?.split(',').any(|name| name == controller);
        named.then(|| fields.next()).flatten()
    })?;
    let folder = Path::new(TOP)
        .join(controller)
        .join(line.trim_start_matches('/'));
    let is_ours = folder
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    let folder = if is_ours {
        folder.parent()?.to_owned()
    } else {
        folder
    };
    folder.join("cgroup.procs").exists().then_some(folder)
}

/// Says whether groups can be made in a folder; in many containers it is mounted read-only.
fn is_writable(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

fn join(folder: &Path, ceilings: &[ResourceLimit]) -> std::io::Result<()> {
    if !folder.is_dir() {
        fs::create_dir(folder)?;
    }
    for (file, most) in ceilings {
        if *file != SWAP || folder.join(file).exists() {
            fs::write(folder.join(file), most.to_string())?;
        }
    }
    // A process with one thread can move just that. The kernel then need not wait for every other processor, as it does for
    // whole processes, which takes longer than starting a command.
    let threads = folder.join("tasks");
    if threads.exists() {
        return fs::write(threads, "0");
    }
    fs::write(folder.join("cgroup.procs"), std::process::id().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_is_not_mounted_has_no_group() {
        let table = "9:name=systemd:/\n8:no-such-controller:/\n0::/\n";
        assert_eq!(own_group(table, "no-such-controller"), None);
        assert_eq!(own_group(table, "pids"), None);
    }
}
