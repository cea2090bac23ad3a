//! Programs that tell people: a mail program, a command, the desktop's own.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::services;
use crate::{
    adapters::process::detach,
    domain::notify::{Notification, NotificationError},
};

/// At most so much of what a program complains is read.
const COMPLAINT: u64 = 4096;
const MAIL: usize = 100_000;
const DESKTOP: usize = 600;

/// Where programs run, and how long they may take.
pub(super) struct ProgramSettings<'a> {
    pub(super) folder: &'a Path,
    pub(super) deadline: Duration,
}

/// Gives a mail to a program.
pub(super) async fn mail(
    argv: &[String],
    notification: &Notification,
    stage: &ProgramSettings<'_>,
) -> Result<(), NotificationError> {
    let subject = notification.title.replace(['\r', '\n'], " ");
    let mail = format!(
        "Subject: [tos] {subject}\n\n{}\n{}\n",
        notification.title,
        notification.body(MAIL)
    );
    ran(argv, &mail, stage).await
}

/// Gives a JSON object to a program.
pub(super) async fn command(
    argv: &[String],
    notification: &Notification,
    stage: &ProgramSettings<'_>,
) -> Result<(), NotificationError> {
    let text = format!("{}\n", services::notification_json(notification));
    ran(argv, &text, stage).await
}

/// Shows a message on this desktop: `notify-send`, or `osascript` where that is.
pub(super) async fn desktop(
    notification: &Notification,
    stage: &ProgramSettings<'_>,
) -> Result<(), NotificationError> {
    let mut missing = None;
    for argv in [notify_send(notification), osascript(notification)] {
        match ran(&argv, "", stage).await {
            Err(refusal) if refusal.remedy == NOT_FOUND => {
                missing.get_or_insert(refusal.why);
            }
            other => return other,
        }
    }
    Err(NotificationError::permanent(
        missing.unwrap_or_default(),
        "install notify-send (package libnotify-bin or libnotify), or choose another kind",
    ))
}

const NOT_FOUND: &str = "check that the program is installed and on PATH";

fn notify_send(notification: &Notification) -> Vec<String> {
    let urgency = if notification.event.is_urgent() {
        "critical"
    } else {
        "normal"
    };
    // A desktop may read the body as markup, never the title.
    let body = notification
        .body(DESKTOP)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    ["notify-send", "--app-name=tos", "--urgency", urgency, "--"]
        .map(str::to_owned)
        .into_iter()
        .chain([notification.title.clone(), body])
        .collect()
}

fn osascript(notification: &Notification) -> Vec<String> {
    // Title and text are arguments, never part of the script.
    [
        "osascript",
        "-e",
        "on run argv",
        "-e",
        "display notification (item 2 of argv) with title (item 1 of argv)",
        "-e",
        "end run",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([notification.title.clone(), notification.body(DESKTOP)])
    .collect()
}

async fn ran(
    argv: &[String],
    input: &str,
    stage: &ProgramSettings<'_>,
) -> Result<(), NotificationError> {
    let deadline = stage.deadline;
    let (program, rest) = argv
        .split_first()
        .ok_or_else(|| NotificationError::permanent("no program", "name one"))?;
    let mut command = std::process::Command::new(program);
    detach(&mut command);
    let mut child = tokio::process::Command::from(command)
        .args(rest)
        .current_dir(stage.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            let why = format!("{program}: {error}");
            if error.kind() == std::io::ErrorKind::NotFound {
                NotificationError::permanent(why, NOT_FOUND)
            } else {
                NotificationError::permanent(why, "check that the program may be executed")
            }
        })?;
    let (pipe, errors) = (child.stdin.take(), child.stderr.take());
    let work = async {
        let feed = async {
            if let Some(mut pipe) = pipe {
                // A program that does not read says so by its status.
                drop(pipe.write_all(input.as_bytes()).await);
            }
        };
        let listen = async {
            let mut said = Vec::new();
            if let Some(errors) = errors {
                drop(errors.take(COMPLAINT).read_to_end(&mut said).await);
            }
            said
        };
        let ((), said, status) = tokio::join!(feed, listen, child.wait());
        (said, status)
    };
    let (said, status) = tokio::time::timeout(deadline, work).await.map_err(|_| {
        NotificationError::transient(
            format!("{program} did not end within {} s", deadline.as_secs()),
            "check what the program waits for",
        )
    })?;
    let status = status.map_err(|error| NotificationError::transient(error.to_string(), ""))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.trim().lines().next().unwrap_or_default();
    let why = if said.is_empty() {
        format!("{program} ended with {status}")
    } else {
        format!("{program} ended with {status}: {said}")
    };
    Err(NotificationError::transient(
        why,
        "run the program by hand to see why",
    ))
}
