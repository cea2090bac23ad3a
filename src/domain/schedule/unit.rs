//! What makes a system call `tos schedule run-due` every minute: a systemd timer, a launchd agent, a line for cron.

/// The system that calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// systemd, as the user.
    Systemd,
    /// launchd, as the user.
    Launchd,
    /// cron.
    Cron,
}

/// Returns the files, or the line, and how they are put into force.
pub fn unit(system: System, program: &str, root: &str, id: &str) -> String {
    match system {
        System::Systemd => systemd(program, root, id),
        System::Launchd => launchd(program, root, id),
        System::Cron => cron(program, root),
    }
}

fn systemd(program: &str, root: &str, id: &str) -> String {
    let (program, root) = (quoted(program), quoted(root));
    format!(
        "# ~/.config/systemd/user/tos-{id}.service\n\
         [Unit]\n\
         Description=tos schedules of {root}\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         # What is due goes on by itself when this ends.\n\
         KillMode=process\n\
         ExecStart={program} --root {root} schedule run-due\n\
         \n\
         # ~/.config/systemd/user/tos-{id}.timer\n\
         [Unit]\n\
         Description=tos schedules of {root}, every minute\n\
         \n\
         [Timer]\n\
         OnCalendar=*:*:00\n\
         AccuracySec=1s\n\
         Persistent=true\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n\
         \n\
         # Write the two files, then:\n\
         #   systemctl --user daemon-reload && systemctl --user enable --now tos-{id}.timer\n\
         # To run while nobody is logged in: loginctl enable-linger\n"
    )
}

/// systemd reads quotes, backslashes, `%` and `$` as its own.
fn quoted(word: &str) -> String {
    let word = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    format!("\"{word}\"")
}

fn launchd(program: &str, root: &str, id: &str) -> String {
    let words = [program, "--root", root, "schedule", "run-due"];
    let words = words
        .map(|word| format!("    <string>{}</string>\n", escaped(word)))
        .concat();
    format!(
        "<!-- ~/Library/LaunchAgents/tos.{id}.plist; then: launchctl load -w that file -->\n\
         <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n\
         <dict>\n\
         \x20 <key>Label</key>\n\
         \x20 <string>tos.{id}</string>\n\
         \x20 <key>ProgramArguments</key>\n\
         \x20 <array>\n\
         {words}\
         \x20 </array>\n\
         \x20 <key>StartInterval</key>\n\
         \x20 <integer>60</integer>\n\
         \x20 <key>AbandonProcessGroup</key>\n\
         \x20 <true/>\n\
         </dict>\n\
         </plist>\n"
    )
}

fn escaped(word: &str) -> String {
    word.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn cron(program: &str, root: &str) -> String {
    // cron reads `%` as the end of the line, the shell reads the rest.
    let word = |word: &str| format!("'{}'", word.replace('\'', "'\\''").replace('%', "\\%"));
    format!(
        "# Add this line with `crontab -e`:\n* * * * * {} --root {} schedule run-due\n",
        word(program),
        word(root)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_blanks_quotes_and_signs_stay_one_word() {
        let (program, root) = ("/opt/a b/tos", "/home/o'neil/50% \"x\"");
        let of = |system| unit(system, program, root, "x-1");
        assert!(of(System::Systemd).contains(
            "ExecStart=\"/opt/a b/tos\" --root \"/home/o'neil/50%% \\\"x\\\"\" schedule run-due\n"
        ));
        assert!(of(System::Cron).ends_with(
            "\n* * * * * '/opt/a b/tos' --root '/home/o'\\''neil/50\\% \"x\"' schedule run-due\n"
        ));
        assert!(of(System::Launchd).contains("<string>/home/o'neil/50% \"x\"</string>"));
    }
}
