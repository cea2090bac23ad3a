//! What makes a system call `tos schedule run-due` every minute: a systemd timer, a launchd agent, a line for cron.

/// The system that calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemScheduler {
    /// systemd, as the user.
    Systemd,
    /// launchd, as the user.
    Launchd,
    /// cron.
    Cron,
}

/// What is called, and where.
#[derive(Debug, Clone, Copy)]
pub struct UnitCommand<'a> {
    /// The program.
    pub program: &'a str,
    /// The root.
    pub root: &'a str,
    /// What tells this root from others in names of files.
    pub id: &'a str,
    /// Where programs are looked for: these systems know only the barest folders.
    pub path: &'a str,
}

/// Returns the files, or the line, and how they are put into force.
pub fn scheduler_unit(system: SystemScheduler, call: &UnitCommand<'_>) -> String {
    match system {
        SystemScheduler::Systemd => systemd(call),
        SystemScheduler::Launchd => launchd(call),
        SystemScheduler::Cron => cron(call),
    }
}

fn systemd(call: &UnitCommand<'_>) -> String {
    let id = call.id;
    let (program, root) = (quoted(call.program), quoted(call.root));
    let path = quoted(&format!("PATH={}", call.path)).replace("$$", "$");
    format!(
        "# ~/.config/systemd/user/tos-{id}.service\n\
         [Unit]\n\
         Description=tos schedules of {root}\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         # What is due goes on by itself when this ends.\n\
         KillMode=process\n\
         Environment={path}\n\
         # Keys and tokens of the night, NAME=VALUE a line: EnvironmentFile=%h/.config/tos/environment\n\
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

fn launchd(call: &UnitCommand<'_>) -> String {
    let UnitCommand {
        program, root, id, ..
    } = *call;
    let path = escaped(call.path);
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
         \x20 <key>EnvironmentVariables</key>\n\
         \x20 <dict>\n\
         \x20   <key>PATH</key>\n\
         \x20   <string>{path}</string>\n\
         \x20 </dict>\n\
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

fn cron(call: &UnitCommand<'_>) -> String {
    // cron reads `%` as the end of the line, the shell reads the rest.
    let word = |word: &str| format!("'{}'", word.replace('\'', "'\\''").replace('%', "\\%"));
    format!(
        "# Add this line with `crontab -e`:\n* * * * * PATH={} {} --root {} schedule run-due\n",
        word(call.path),
        word(call.program),
        word(call.root)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_blanks_quotes_and_signs_stay_one_word() {
        let (program, root) = ("/opt/a b/tos", "/home/o'neil/50% \"x\"");
        let call = UnitCommand {
            program,
            root,
            id: "x-1",
            path: "/home/a b/bin:/usr/bin",
        };
        let of = |system| scheduler_unit(system, &call);
        assert!(
            of(SystemScheduler::Systemd)
                .contains("\nEnvironment=\"PATH=/home/a b/bin:/usr/bin\"\n")
        );
        assert!(of(SystemScheduler::Launchd).contains("<string>/home/a b/bin:/usr/bin</string>"));
        assert!(of(SystemScheduler::Systemd).contains(
            "ExecStart=\"/opt/a b/tos\" --root \"/home/o'neil/50%% \\\"x\\\"\" schedule run-due\n"
        ));
        assert!(of(SystemScheduler::Cron).ends_with(
            "\n* * * * * PATH='/home/a b/bin:/usr/bin' '/opt/a b/tos' --root '/home/o'\\''neil/50\\% \"x\"' schedule run-due\n"
        ));
        assert!(of(SystemScheduler::Launchd).contains("<string>/home/o'neil/50% \"x\"</string>"));
    }
}
