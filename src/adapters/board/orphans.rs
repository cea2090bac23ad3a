//! Processes that an earlier service of a root left behind: those that carry a token of another service and work in a folder
//! of this root. Danger: a number can be given to another process; so what is told to end is looked at again before.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    adapters::{
        files,
        process::{TOKEN_VARIABLE, variable_in},
    },
    ports::board::OrphanCleanup,
};

/// How long processes may take to end by themselves.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(20);

/// Ends them: politely, then at once. `instance` is the service that runs now, whose own processes are none.
pub fn blocking_end_orphans(state: &Path, instance: &str) -> OrphanCleanup {
    let state = files::canonical(state);
    let is_orphan = |pid: u32| is_orphan(pid, &state, instance);
    let mut pids: Vec<u32> = processes().filter(|pid| is_orphan(*pid)).collect();
    pids.sort_unstable();
    let mut cleanup = OrphanCleanup {
        matched: pids.len(),
        ..OrphanCleanup::default()
    };
    let signal = |pid: u32, signal| {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        raw.is_some_and(|raw| is_orphan(pid) && kill_process(raw, signal).is_ok())
    };
    cleanup.signaled = pids
        .iter()
        .filter(|pid| signal(**pid, Signal::TERM))
        .count();
    let until = Instant::now() + PATIENCE;
    while pids.iter().any(|pid| is_orphan(*pid)) && Instant::now() < until {
        std::thread::sleep(LOOK);
    }
    cleanup.killed = pids
        .iter()
        .filter(|pid| signal(**pid, Signal::KILL))
        .count();
    cleanup.pids = pids;
    cleanup
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_orphan(pid: u32, state: &Path, instance: &str) -> bool {
    let place = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(place.join("stat")).unwrap_or_default();
    let is_dead = stat
        .rsplit_once(") ")
        .is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']));
    if is_dead || pid == std::process::id() {
        return false;
    }
    let environment = fs::read(place.join("environ")).unwrap_or_default();
    let Some(token) = variable_in(&environment, TOKEN_VARIABLE) else {
        return false;
    };
    let is_own = !instance.is_empty()
        && token
            .strip_prefix(instance)
            .is_some_and(|rest| rest.starts_with(['-', '/']));
    let works_here = fs::read_link(place.join("cwd")).is_ok_and(|cwd| cwd.starts_with(state));
    works_here && !is_own
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn started(folder: &Path, token: &str, words: &[&str]) -> Child {
        Command::new("sh")
            .args(["-c", words[0]])
            .current_dir(folder)
            .env(TOKEN_VARIABLE, token)
            .spawn()
            .unwrap()
    }

    #[test]
    fn what_another_service_left_here_is_ended_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (state, elsewhere) = (folder.path().join(".tos"), folder.path().join("other"));
        fs::create_dir_all(&state).unwrap();
        fs::create_dir_all(&elsewhere).unwrap();
        let mut old = started(&state, "old-1/task-1/1", &["exec sleep 61409"]);
        let mut stubborn = started(
            &state,
            "old-2",
            &["trap '' TERM; touch ready; exec sleep 61409"],
        );
        while !state.join("ready").exists() {
            std::thread::sleep(LOOK);
        }
        let mut own = started(&state, "now-1/task-1/1", &["exec sleep 61409"]);
        let mut foreign = started(&elsewhere, "old-1/task-1/1", &["exec sleep 61409"]);
        let done = blocking_end_orphans(&state, "now");
        assert!(
            done.matched >= 2 && done.signaled >= 2 && done.killed >= 1,
            "{done:?}"
        );
        assert!(
            done.pids.contains(&old.id()) && done.pids.contains(&stubborn.id()),
            "{done:?}"
        );
        assert!(!old.wait().unwrap().success() && !stubborn.wait().unwrap().success());
        for alive in [&mut own, &mut foreign] {
            assert!(alive.try_wait().unwrap().is_none());
            alive.kill().unwrap();
            alive.wait().unwrap();
        }
        assert_eq!(
            blocking_end_orphans(&state, "now"),
            OrphanCleanup::default()
        );
    }
}
