//! The program at a terminal of its own, at which somebody types.

use std::{
    fs::File,
    io::{Read, Write},
    process::Command,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Runs a command at a terminal at which this is typed; returns its exit code and what the terminal showed.
pub(crate) fn at_terminal(mut command: Command, typed: &str) -> (Option<i32>, String) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let open = || {
        let path = name.to_str().unwrap();
        File::options().read(true).write(true).open(path).unwrap()
    };
    let mut child = command
        .stdin(open())
        .stdout(open())
        .stderr(open())
        .spawn()
        .unwrap();
    // The command holds the terminal open, and the end of the output would never come.
    drop(command);
    let mut controller = File::from(controller);
    controller.write_all(typed.as_bytes()).unwrap();
    let (mut said, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = controller.read(&mut part) {
        said.extend_from_slice(&part[..count]);
    }
    let said = String::from_utf8_lossy(&said).replace("\r\n", "\n");
    (child.wait().unwrap().code(), said)
}
