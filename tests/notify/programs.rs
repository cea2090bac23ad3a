//! Programs that tell: mail, a command, the desktop.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;
use tos::{
    adapters::notify::{ChannelNotifier, NotificationChannel},
    domain::{
        notify::{Notification, NotificationEvent, RetryHint},
        redaction::Redactor,
    },
    ports::notifier::Notifier,
};

use crate::program::program;

fn notification() -> Notification {
    Notification::new(NotificationEvent::JobEnded, "job `a`: done\nsecond", "r-1")
        .text("all well")
        .next_command("tos status")
}

async fn told(way: NotificationChannel) -> Result<(), tos::domain::notify::NotificationError> {
    ChannelNotifier::new("n", way, &Redactor::default())
        .tell(&notification())
        .await
}

fn words(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn a_mail_has_one_subject_line_and_a_command_gets_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("mail");
    let script = format!("cat > '{}'", place.display());
    assert_eq!(
        told(NotificationChannel::Mail(words(&script))).await,
        Ok(())
    );
    let mail = fs::read_to_string(&place).unwrap();
    assert!(
        mail.starts_with("Subject: [tos] job `a`: done second\n\n")
            && mail.contains("next: tos status"),
        "{mail}"
    );
    assert_eq!(
        told(NotificationChannel::Command(words(&script))).await,
        Ok(())
    );
    let object: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    assert_eq!(object["event"], "job_ended");
    assert_eq!(object["next"], "tos status");
}

#[tokio::test]
async fn a_program_that_fails_or_is_not_there_says_so() {
    let refusal = told(NotificationChannel::Command(words(
        "echo no route >&2; exit 3",
    )))
    .await
    .unwrap_err();
    assert!(
        refusal.why.contains("exit status: 3: no route"),
        "{refusal:?}"
    );
    assert_eq!(refusal.again, RetryHint::Later(None));
    let refusal = told(NotificationChannel::Command(vec![
        "no-such-program".to_owned(),
    ]))
    .await
    .unwrap_err();
    assert!(refusal.remedy.contains("installed"), "{refusal:?}");
    assert_eq!(refusal.again, RetryHint::Never);
}

fn desktop(bin: &Path, root: &Path) -> (Option<i32>, String) {
    fs::create_dir_all(root.join("config")).unwrap();
    fs::write(
        root.join("config/notify.toml"),
        "[[notify]]\nkind = \"desktop\"\n",
    )
    .unwrap();
    let output = program(root, root, &["notify", "test"])
        .env("PATH", bin)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn the_desktop_is_told_by_notify_send_or_osascript_or_says_what_to_install() {
    for (name, second) in [("notify-send", "--app-name=tos"), ("osascript", "-e")] {
        let (bin, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = root.path().join("words");
        let script = bin.path().join(name);
        let text = format!(
            "#!/bin/sh\nfor w in \"$@\"; do echo \"$w\"; done > '{}'\n",
            place.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let (code, said) = desktop(bin.path(), root.path());
        assert_eq!((code, said.as_str()), (Some(0), "desktop: sent\n"));
        let words = fs::read_to_string(&place).unwrap();
        assert!(words.starts_with(second), "{words}");
        assert!(words.contains("\ntos: a test message\n"), "{words}");
    }
    let (bin, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (code, said) = desktop(bin.path(), root.path());
    assert_eq!(code, Some(1));
    assert!(said.contains("install notify-send"), "{said}");
}
