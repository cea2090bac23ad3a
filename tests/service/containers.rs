//! Attempts in containers: what is missing is said; with podman and an image they are worked on, and stopped, in there.
//!
//! The last test needs podman and a machine on which containers can be started; its image it makes itself of the machine's own
//! programs. Where that is not so it says so and checks nothing (with `TOS_TEST_CONTAINERS_REQUIRED=1` it fails).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    place::{Place, Service},
    repository::git,
};

#[test]
fn containers_without_their_program_or_their_image_are_refused_with_what_helps() {
    let place = Place::new("EXECUTION_ENVIRONMENT = 'sandbox'\n");
    let (ok, said) = place.run(&["serve"]);
    assert!(
        !ok && said.contains("SANDBOX_DOCKER_IMAGE is empty"),
        "{said}"
    );
    let file = place.top.join("config/service.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        format!("{text}SANDBOX_DOCKER_IMAGE = 'localhost/no-such-image:1'\n"),
    )
    .unwrap();
    let programs = without_containers(&place);
    let output = place
        .command(&["serve"])
        .env("PATH", &programs)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("neither podman nor docker"),
        "{said}"
    );
}

#[test]
fn a_running_service_takes_no_container_that_it_cannot_make() {
    let place = Place::new("");
    let programs = without_containers(&place);
    let service = Service::start_with(&place, &[("PATH", programs.as_os_str())]);
    let ask = |settings: Value| {
        service.raw(
            "PATCH",
            "/config",
            &service.token,
            &service.address,
            &settings.to_string(),
        )
    };
    let wanted = json!({ "EXECUTION_ENVIRONMENT": "sandbox", "SANDBOX_DOCKER_IMAGE": "localhost/no-such-image:1" });
    let (status, text) = ask(wanted);
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("neither podman nor docker"), "{text}");
    // Nothing of it is kept, and other settings are changed as ever.
    let (status, text) =
        ask(json!({ "SANDBOX_DOCKER_IMAGE": "localhost/other:1", "WORKER_COUNT": "2" }));
    assert_eq!(status, 200, "{text}");
    let kept = fs::read_to_string(place.top.join(".tos/service-settings.toml")).unwrap();
    assert!(!kept.contains("EXECUTION_ENVIRONMENT"), "{kept}");
}

/// Makes a folder of programs for a search path on which nothing makes containers.
fn without_containers(place: &Place) -> PathBuf {
    let programs = place.top.join(".tos/programs");
    fs::create_dir_all(&programs).unwrap();
    for name in ["git", "sh"] {
        let found =
            ["/usr/local/bin", "/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
        let found = found.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, programs.join(name)).unwrap();
    }
    programs
}

/// The variables with which podman works here: its settings, and a store of its own that goes away with the test.
type Variables = [(&'static str, PathBuf); 2];

/// Says how podman is used here, if it can start a container at all.
fn podman(image: &str, folder: &Path) -> Option<Variables> {
    const STORE: &str = "CONTAINERS_STORAGE_CONF";
    let store = folder.join("storage.conf");
    let [graph, state] = ["graph", "state"].map(|name| folder.join(name).display().to_string());
    let text =
        format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{graph}\"\nrunroot = \"{state}\"\n");
    fs::write(&store, text).unwrap();
    let attempts = [
        "",
        "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1000:1000\"]\n[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\n",
    ];
    let tar = Command::new("tar")
        .args([
            "-C",
            "/",
            "-ch",
            "--ignore-failed-read",
            "bin/sh",
            "bin/sleep",
            "bin/cat",
            "bin/touch",
            "usr/bin/env",
            "lib64",
        ])
        .args(["lib/x86_64-linux-gnu/libc.so.6", "-f"])
        .arg(folder.join("image.tar"))
        .output()
        .ok()?;
    let imported = Command::new("podman")
        .arg("import")
        .arg(folder.join("image.tar"))
        .arg(image)
        .env(STORE, &store)
        .output()
        .ok()?;
    if !tar.status.success() || !imported.status.success() {
        return None;
    }
    attempts.iter().enumerate().find_map(|(place, text)| {
        let file = folder.join(format!("containers-{place}.conf"));
        fs::write(&file, text).unwrap();
        let run = Command::new("podman")
            .args([
                "run",
                "--rm",
                "--pull",
                "never",
                "--network",
                "none",
                "--pids-limit",
                "100",
                image,
                "sh",
                "-c",
                "echo works",
            ])
            .env("CONTAINERS_CONF", &file)
            .env(STORE, &store)
            .output()
            .ok()?;
        String::from_utf8_lossy(&run.stdout)
            .contains("works")
            .then(|| [("CONTAINERS_CONF", file), (STORE, store.clone())])
    })
}

#[test]
fn an_attempt_is_made_in_a_container_and_a_stop_removes_it() {
    const IMAGE: &str = "localhost/tos-attempts:test";
    let settings = format!(
        "EXECUTION_ENVIRONMENT = 'sandbox'\nSANDBOX_DOCKER_IMAGE = '{IMAGE}'\nSANDBOX_DOCKER_NETWORK = 'none'\n"
    );
    let place = Place::new(&settings);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let Some(variables) = podman(IMAGE, folder.path()) else {
        assert!(
            std::env::var_os("TOS_TEST_CONTAINERS_REQUIRED").is_none(),
            "podman starts no container here"
        );
        eprintln!("skipped: podman starts no container here");
        return;
    };
    // The agent says what it sees, which only a container shows.
    let script = "printf '#!/bin/sh\\necho \"Hello, ${1:-world}\"\\n' > greet.sh\n\
                  if [ -e /run/.containerenv ]; then echo container > seen.txt; else echo machine > seen.txt; fi\n\
                  echo \"$HOME\" >> seen.txt\n\
                  case \"$1\" in *slow*) sleep 61408 ;; esac\n";
    fs::write(place.top.join("agent.sh"), script).unwrap();
    git(
        &place.top,
        &["commit", "-qam", "an agent that says where it is"],
    );
    let inherited = variables
        .each_ref()
        .map(|(name, file)| (*name, file.as_os_str()));
    let service = Service::start_with(&place, &inherited);
    let task = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.until(task, "done");
    let seen = git(&place.top, &["show", "main:seen.txt"]);
    assert!(
        seen.starts_with("container") && seen.contains(".tos/"),
        "{seen}"
    );
    let slow = service.add(json!({ "title": "be slow" }));
    service.until(slow, "running");
    let running = || {
        let listed = Command::new("podman")
            .args(["ps", "--quiet"])
            .args(["--filter", "ancestor=localhost/tos-attempts:test"])
            .envs(inherited)
            .output()
            .unwrap();
        !listed.stdout.is_empty()
    };
    Place::until_true(running);
    place.tos(&["proc", "stop-all"]);
    Place::until_true(|| !running());
    service.until(slow, "queued");
}
