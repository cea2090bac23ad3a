//! The standard input of tos, handed on to a command.
//!
//! Not the file itself: behind a wall an open file is a way out of it (a folder can be walked up, a terminal can be typed
//! into), so a thread copies what comes into a plain pipe. Like every such copier it reads ahead of the command.

use std::{
    io::{IsTerminal, Read, Write},
    os::fd::OwnedFd,
    thread,
};

/// Returns a pipe with what comes on standard input; `None` where nothing can come.
pub fn blocking_standard_input() -> std::io::Result<Option<OwnedFd>> {
    let input = std::io::stdin();
    // Whoever reads a terminal in the background is stopped by it.
    if input.is_terminal() && !is_in_foreground() {
        return Ok(None);
    }
    let (reader, mut writer) = std::io::pipe()?;
    let copy = move || {
        let mut part = [0; 16 * 1024];
        loop {
            match input.lock().read(&mut part) {
                Ok(0) => break,
                Ok(count) => {
                    let bytes = part.get(..count).unwrap_or_default();
                    // A command that reads no more has ended, or has closed it.
                    if writer.write_all(bytes).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    };
    // It may wait for ever for input that nobody sends; it ends with the process.
    drop(thread::Builder::new().spawn(copy)?);
    Ok(Some(reader.into()))
}

fn is_in_foreground() -> bool {
    let group = rustix::termios::tcgetpgrp(std::io::stdin());
    group.is_ok_and(|group| group == rustix::process::getpgrp())
}
