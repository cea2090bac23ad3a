//! A person at the terminal, or nobody.

use std::io::{BufRead, Write};

use crate::{
    domain::command::Command,
    ports::{
        BoxFuture,
        approvals::{Answer, Approvals},
    },
};

/// Nobody is there: every answer is no.
#[derive(Debug)]
pub struct Nobody;

impl Approvals for Nobody {
    fn ask<'a>(
        &'a self,
        _id: &'a str,
        _command: &'a Command,
        _reason: &'a str,
    ) -> BoxFuture<'a, Answer> {
        Box::pin(async {
            Answer {
                yes: false,
                by: "nobody was there to ask".to_owned(),
            }
        })
    }
}

/// Asks whoever sits at the terminal.
#[derive(Debug)]
pub struct Terminal;

impl Approvals for Terminal {
    fn ask<'a>(
        &'a self,
        _id: &'a str,
        command: &'a Command,
        reason: &'a str,
    ) -> BoxFuture<'a, Answer> {
        let question = format!(
            "\n{}: {}\n{reason}\nRun it? [y/N] ",
            command.kind.as_str(),
            command.text()
        );
        Box::pin(async move {
            let yes = tokio::task::spawn_blocking(move || blocking_ask(&question)).await;
            Answer {
                yes: yes.unwrap_or(false),
                by: "the person at the terminal".to_owned(),
            }
        })
    }
}

fn blocking_ask(question: &str) -> bool {
    let mut line = String::new();
    let mut out = std::io::stderr().lock();
    let asked = out
        .write_all(question.as_bytes())
        .and_then(|()| out.flush());
    drop(out);
    asked.is_ok()
        && std::io::stdin().lock().read_line(&mut line).is_ok()
        && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
