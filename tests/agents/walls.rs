//! Agents behind each wall, for root and for an ordinary user.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    BOTH,
    bench::{Agent, Bench, Machine, REPAIR, TEST, folder, is_open, program},
};

/// Runs a task whose agent also tries to read a key and to write outside; returns the wall and what its tools said.
fn behind(agent: Agent, machine: Machine) -> Option<(Bench, String, String)> {
    let mut bench = Bench::new(agent)?;
    bench.machine = machine;
    fs::create_dir(bench.home().join(".ssh")).unwrap();
    fs::write(bench.home().join(".ssh/id"), "the key").unwrap();
    let deed = format!(
        "DO: cat {home}/.ssh/id; touch {home}/outside; git status --short",
        home = bench.home().display()
    );
    let ended = bench.run_one(&format!("{REPAIR}\n{TEST}\n{deed}\nSAY: done"));
    let start = bench.records("session.start")[0]["start"].clone();
    let backend = start["backend"].as_str().unwrap().to_owned();
    assert_eq!(
        ended.code,
        Some(0),
        "{agent:?} {machine:?} {backend}: {}\n{}",
        ended.said,
        bench.results()
    );
    let results = bench.results();
    Some((bench, backend, results))
}

#[test]
fn behind_walls_of_mounts_agents_work_with_all_their_tools_and_reach_nothing_else() {
    for agent in BOTH {
        for (machine, wall) in [
            (Machine::Whole, "namespaces"),
            (Machine::WithBubblewrap, "bubblewrap"),
        ] {
            let Some((bench, backend, results)) = behind(agent, machine) else {
                return;
            };
            assert_eq!(backend, wall);
            assert!(
                results.contains("OK") && results.contains("app.py"),
                "{results}"
            );
            assert!(!results.contains("the key"), "{results}");
            assert!(
                !bench.home().join("outside").exists(),
                "{agent:?} {backend}"
            );
        }
    }
}

#[test]
fn where_no_wall_lets_an_agent_out_to_its_hosts_a_list_that_wants_one_is_refused() {
    for agent in BOTH {
        let Some(mut bench) = Bench::new(agent) else {
            return;
        };
        bench.machine = Machine::WithoutNamespaces;
        "sandbox = \"require\"\n".clone_into(&mut bench.list_lines);
        let ended = bench.run_one(REPAIR);
        assert_eq!(ended.code, Some(5), "{agent:?}: {}", ended.said);
        assert!(ended.said.contains("no wall is proved"), "{}", ended.said);
        assert!(bench.server.requests().is_empty(), "nobody was asked");
    }
}

#[test]
fn without_a_wall_an_agent_keeps_its_own_limits() {
    for agent in BOTH {
        let Some(mut bench) = Bench::new(agent) else {
            return;
        };
        bench.machine = Machine::WithoutNamespaces;
        let outside = bench.home().join("outside");
        let ended = bench.run_one(&format!(
            "DO: touch {}\n{REPAIR}\n{TEST}",
            outside.display()
        ));
        let start = bench.records("session.start")[0]["start"].clone();
        assert_eq!(start["backend"], "none", "{}", ended.said);
        assert!(!outside.exists(), "{agent:?}: {}", ended.said);
    }
}

#[test]
fn for_an_ordinary_user_the_walls_are_as_good() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let Some(bench) = Bench::new(Agent::Claude) else {
        return;
    };
    let place = open_folder();
    let copy = |from: &Path, name: &str| {
        let to = place.path().join(name);
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
        to
    };
    let tests = copy(&std::env::current_exe().unwrap(), "tests");
    let tos = copy(&program(), "tos");
    let agents = bench.agents_for_everybody(place.path());
    let work = place.path().join("work");
    fs::create_dir(&work).unwrap();
    std::os::unix::fs::chown(&work, Some(65534), Some(65534)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(tests)
        .args(["walls::", "--test-threads", "2"])
        .env("TOS_TEST_PROGRAM", tos)
        .env("TOS_TEST_FOLDER", work)
        .env("TOS_TEST_AGENTS", agents)
        .env("HOME", "/nonexistent")
        .env("TMPDIR", "/tmp")
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let more = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{more}");
}

/// Makes a folder that everybody can reach and no wall covers.
fn open_folder() -> TempDir {
    let usual = folder();
    fs::set_permissions(usual.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if is_open(usual.path()) {
        return usual;
    }
    // The checkout is closed to others, as it is in root's home.
    let other = tempfile::Builder::new()
        .prefix("tos-tests-")
        .tempdir_in("/var/cache")
        .unwrap();
    fs::set_permissions(other.path(), fs::Permissions::from_mode(0o755)).unwrap();
    other
}
