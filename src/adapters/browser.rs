//! Shows an address in the user's browser, where there is one.

use std::process::{Command, Stdio};

/// Hands an address to the desktop; returns whether something took it. Nothing is tried without a desktop.
pub fn open(address: &str, environment: &[(String, String)]) -> bool {
    let has = |name: &str| {
        environment
            .iter()
            .any(|(known, value)| known == name && !value.is_empty())
    };
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else if has("DISPLAY") || has("WAYLAND_DISPLAY") {
        "xdg-open"
    } else {
        return false;
    };
    let mut command = Command::new(program);
    command
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
