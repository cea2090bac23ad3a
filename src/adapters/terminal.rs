//! The terminal on standard input and output, with keys read one by one.

use std::{
    io::{IsTerminal, Read, Write},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};

use crate::ports::terminal::Terminal;

/// The terminal this process was started from.
#[derive(Debug)]
pub struct ProcessTerminal {
    before: Termios,
    drawn: usize,
}

impl ProcessTerminal {
    /// Takes over the terminal; nothing where there is none.
    pub fn open() -> Option<Self> {
        if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
            return None;
        }
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut keys = before.clone();
        // Keys arrive one by one and unseen, also the one that would interrupt.
        keys.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &keys).ok()?;
        Some(Self { before, drawn: 0 })
    }

    fn write(text: &str) {
        let mut out = std::io::stdout().lock();
        // A terminal that is gone shows nothing; the run goes on.
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }
}

impl Terminal for ProcessTerminal {
    fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(std::io::stdout())
            .map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        size.ok()
            .filter(|(columns, rows)| *columns > 0 && *rows > 0)
            .unwrap_or((80, 24))
    }

    fn draw(&mut self, lines: &[String]) {
        let mut text = String::from("\u{1b}[?25l");
        if self.drawn > 0 {
            text = format!("{text}\u{1b}[{}A", self.drawn);
        }
        text.push_str("\r\u{1b}[J");
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        self.drawn = lines.len();
        Self::write(&text);
    }

    fn key(&mut self, limit: Duration) -> Option<char> {
        let limit = Timespec::try_from(limit).ok()?;
        let stdin = std::io::stdin();
        let ready = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&limit)).ok()?;
        if ready == 0 {
            return None;
        }
        let mut byte = [0];
        let count = stdin.lock().read(&mut byte).ok()?;
        // The end of input is a terminal that was closed: leave, and let the run go on.
        Some(if count == 0 { 'q' } else { char::from(byte[0]) })
    }
}

impl Drop for ProcessTerminal {
    fn drop(&mut self) {
        Self::write("\u{1b}[?25h");
        // Nothing can be done about a terminal that does not take its settings back.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}
