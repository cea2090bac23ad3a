//! The live view in a pseudo terminal: what a person sees, and what the keys do.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::Child,
    sync::{Arc, Mutex},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use serde_json::json;

use crate::place::{Place, is_alive, pairs, until};

/// A terminal with the program in it.
struct Screen {
    keys: File,
    tty: OwnedFd,
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    fn of(place: &Place, words: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let size = Winsize {
            ws_row: 30,
            ws_col: 90,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, size).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let open = || {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap()
        };
        let child = place
            .command(words)
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap();
        let said = Arc::<Mutex<Vec<u8>>>::default();
        let (mut reader, heard) = (
            File::from(controller.try_clone().unwrap()),
            Arc::clone(&said),
        );
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut part) {
                heard.lock().unwrap().extend_from_slice(&part[..count]);
            }
        });
        Self {
            keys: File::from(controller),
            tty: open(),
            child,
            said,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// Returns the last picture.
    fn picture(&self) -> String {
        let text = self.text();
        text.rsplit("\u{1b}[J")
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    fn shows(&self, wanted: &str) {
        until(
            || self.picture().contains(wanted),
            &format!(
                "{wanted:?} is shown; the last picture is\n{}",
                self.picture()
            ),
        );
    }

    /// Waits for the end and for the last words, and returns the exit code.
    fn end(mut self, words: &str) -> Option<i32> {
        let status = self.child.wait().unwrap();
        let modes = tcgetattr(&self.tty).unwrap().local_modes;
        assert!(
            modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG),
            "the terminal is as it was: {modes:?}"
        );
        // What was said last may still be on its way.
        until(
            || self.text().contains(words),
            &format!("{words:?} is said"),
        );
        status.code()
    }
}

#[test]
fn a_picture_shows_what_runs_and_c_cancels() {
    let place = Place::with(
        "goal: live\ntasks:\n- {id: slow, cmd: [sh, -c, 'echo last-words; sleep 36.25']}\n- {id: later, cmd: 'true', depends_on: [slow]}\n",
    );
    let mut screen = Screen::of(&place, &["run", "plan.yaml"]);
    screen.shows("last-words");
    screen.shows("c cancel");
    screen.press("c");
    assert_eq!(screen.end("state: CANCELED"), Some(4));
    let expected = [("slow", "CANCELED"), ("later", "CANCELED")];
    assert_eq!(place.statuses("latest"), pairs(&expected));
    assert!(!is_alive("sleep 36.25"));
}

#[test]
fn the_second_interrupt_kills_what_does_not_listen() {
    let place = Place::with(
        "tasks:\n- {id: deaf, cmd: [sh, -c, 'trap \"\" TERM INT; echo ready; while :; do sleep 0.1; done; : 37.25']}\n",
    );
    let mut screen = Screen::of(&place, &["run", "plan.yaml"]);
    screen.shows("ready");
    screen.press("\u{3}\u{3}");
    assert_eq!(screen.end("state: CANCELED"), Some(4));
    assert_eq!(place.statuses("latest"), pairs(&[("deaf", "CANCELED")]));
    assert!(!is_alive(": 37.25"));
}

#[test]
fn a_digit_follows_the_log_of_a_task_and_zero_closes_it() {
    let place = Place::with(
        "tasks:\n- {id: quiet, cmd: [sh, -c, 'sleep 38.25']}\n- {id: loud, cmd: [sh, -c, 'echo first-line; echo an-error >&2; echo last-line; while ! [ -e go ]; do sleep 0.05; done; echo more; while ! [ -e on ]; do sleep 0.05; done']}\n",
    );
    let mut screen = Screen::of(&place, &["run", "plan.yaml"]);
    screen.shows("last-line");
    assert!(!screen.picture().contains("first-line"));
    screen.press("2");
    screen.shows("first-line");
    screen.shows("an-error");
    place.write("go", "");
    screen.shows("more");
    screen.press("0");
    until(
        || !screen.picture().contains("first-line"),
        "the log is closed",
    );
    screen.press("c");
    assert_eq!(screen.end("state: CANCELED"), Some(4));
}

#[test]
fn leaving_does_not_stop_the_run_and_it_can_be_watched_again() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [sh, -c, 'touch began; while ! [ -e go ]; do sleep 0.05; done']}\n- {id: b, cmd: [touch, made], depends_on: [a]}\n",
    );
    let mut screen = Screen::of(&place, &["run", "plan.yaml"]);
    place.wait_for("began");
    screen.shows("q leave");
    screen.press("q");
    assert_eq!(screen.end("it goes on"), Some(0));
    assert_eq!(place.state("latest")["status"], "RUNNING");
    let mut again = Screen::of(&place, &["status", "latest", "--watch"]);
    again.shows("RUNNING");
    again.press("q");
    assert_eq!(again.end("RUNNING"), Some(0));
    let last = Screen::of(&place, &["status", "latest", "--watch"]);
    last.shows("RUNNING");
    place.write("go", "");
    assert_eq!(last.end("SUCCESS"), Some(0));
    until(
        || place.state("latest")["status"] == "SUCCESS",
        "the run ends by itself",
    );
    assert!(place.path().join("made").exists());
    let run = place.state("latest")["run_id"].as_str().unwrap().to_owned();
    let report = format!(".tos/runs/{run}/report/final_report.md");
    place.wait_for(&report);
}

#[test]
fn a_terminal_that_is_closed_does_not_stop_the_run() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [sh, -c, 'touch began; while ! [ -e go ]; do sleep 0.05; done; echo done']}\n",
    );
    let Screen {
        keys,
        tty,
        mut child,
        ..
    } = Screen::of(&place, &["run", "plan.yaml"]);
    place.wait_for("began");
    let pid = child.id();
    // The reader holds a copy; what it waits for comes when the child lets go, so the child is ended as a closed terminal would.
    drop((keys, tty));
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    child.wait().unwrap();
    assert_eq!(place.state("latest")["status"], "RUNNING");
    place.write("go", "");
    until(
        || place.state("latest")["status"] == "SUCCESS",
        "the run ends by itself",
    );
    assert_eq!(place.state("latest")["tasks"]["a"]["exit_code"], json!(0));
}
