//! Programs that change the machine itself, and what makes things run later by themselves.

use crate::domain::policy::{
    partial_text::{ANY_CHAR, SET, UNKNOWN, glob_fits},
    programs::{Options, is_question, vague_code},
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Files that are read or run later without being asked, relative to the home folder.
const AT_HOME: &str = "
.bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile .zlogin .zlogout .kshrc
.cshrc .tcshrc .login .inputrc .config/fish/** .config/autostart/** .config/systemd/** .config/environment.d/**
.local/share/systemd/** .local/share/applications/** .ssh/** .gitconfig .config/git/** .git-templates/** .vimrc .exrc
.vim/** .config/nvim/** .emacs .emacs.d/** .tmux.conf .screenrc .xinitrc .xprofile .xsession .xsessionrc .pam_environment
.netrc .npmrc .pypirc .pip/** .config/pip/** .cargo/config .cargo/config.toml .cargo/env .gemrc .irbrc .pythonrc
.pythonrc.py .perldb .lldbinit .gdbinit .config/gdb/** .docker/** .kube/** .aws/** .gnupg/** .local/bin/** bin/**
Library/LaunchAgents/** .config/plasma-workspace/** .gtkrc-2.0 .dircolors .wgetrc .curlrc .condarc .mailcap .psqlrc
.sqliterc .my.cnf .hgrc .lesskey .lessfilter .config/direnv/** .claude/** .codex/** .cursor/** .config/mimeapps.list
";
/// The same, absolute.
const ANYWHERE: &str = "
/etc/cron** /etc/cron*/** /var/spool/cron/** /etc/systemd/** /lib/systemd/** /usr/lib/systemd/** /run/systemd/**
/etc/init.d/** /etc/rc*.d/** /etc/rc.local /etc/profile /etc/profile.d/** /etc/bash** /etc/bash.bashrc /etc/zsh/**
/etc/environment /etc/ld.so.preload /etc/ld.so.conf** /etc/pam.d/** /etc/ssh/** /etc/sudoers /etc/sudoers.d/**
/etc/xdg/autostart/** /etc/udev/** /etc/modules** /etc/apt/** /etc/gitconfig /etc/at.allow /etc/inittab
/Library/LaunchAgents/** /Library/LaunchDaemons/** /etc/skel/** /etc/update-motd.d/** /etc/NetworkManager/**
";
/// The same, inside the root.
const INSIDE: &str = "
.git/hooks/** .git/config .git/info/attributes .husky/** .envrc .vscode/tasks.json .vscode/settings.json
.git/modules/*/hooks/** .git/modules/*/config .claude/** .codex/** .cursor/** .gemini/** .mcp.json .devcontainer/**
.vscode/mcp.json .idea/workspace.xml .git/info/grafts .githooks/** .opencode/** opencode.json opencode.jsonc .claude-plugin/**
";

/// Returns whether a path is one of those that run or take effect later by themselves.
pub(in crate::domain::policy) fn persistent_path(kind: PathBase, path: &str) -> bool {
    let globs = match kind {
        PathBase::Home => AT_HOME,
        PathBase::Outside => ANYWHERE,
        PathBase::Inside => INSIDE,
    };
    globs
        .split_ascii_whitespace()
        .any(|glob| glob_fits(glob, path))
}

/// What a path handed to [`persistent_path`] is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain::policy) enum PathBase {
    /// The home folder.
    Home,
    /// Nothing: it is absolute.
    Outside,
    /// The root of the job.
    Inside,
}

impl ShellInterpreter<'_, '_> {
    /// Looks at a program that changes the machine.
    pub(super) fn system(&mut self, name: &str, args: &[String], stdin: &str) -> String {
        if args.iter().any(|arg| arg == "--version" || arg == "--help") {
            return UNKNOWN.to_string();
        }
        let asks = matches!(
            (name, args.first().map(String::as_str)),
            ("diskutil", Some("list" | "info"))
                | ("csrutil", Some("status"))
                | ("spctl", Some("--status"))
        );
        match name {
            _ if asks => {}
            "crontab" => self.crontab(args),
            "at" | "batch" | "incrontab" | "fcrontab" => self.later(name, args, stdin),
            "systemctl" | "service" | "launchctl" | "loginctl" | "initctl" => {
                self.services(name, args);
            }
            "kill" | "pkill" | "killall" | "xkill" => self.kill(name, args),
            "ip" | "ifconfig" | "route" | "sysctl" | "hostnamectl" | "timedatectl"
            | "localectl" | "dmesg" | "mount" | "swapon" | "zfs" | "zpool" | "btrfs" | "fdisk"
            | "parted" | "dmsetup" | "iptables" | "nft" | "ufw" | "efibootmgr" | "auditctl"
            | "semanage" => {
                self.maybe_asking(name, args);
            }
            "journalctl" => self.journal(args),
            "gpg" | "ssh-add" | "wall" | "security" | "defaults" | "tmutil" => {
                self.keys(name, args);
            }
            "ssh-keygen" => self.key_file(args),
            "schtasks" | "reg" => super::super::cmd::machine_program(self, name, args),
            "ldconfig" if args.iter().all(|arg| arg == "-p" || arg == "-v") => {}
            "passwd" | "chpasswd" | "useradd" | "adduser" | "userdel" | "deluser" | "usermod"
            | "groupadd" | "groupdel" | "groupmod" | "gpasswd" | "chsh" | "chfn" => {
                self.reading
                    .does(EffectKind::Privilege, format!("{name} changes accounts"));
            }
            "update-rc.d" | "chkconfig" | "rc-update" | "insserv" => {
                self.reading.does(
                    EffectKind::Persistence,
                    format!("{name} makes a service start by itself"),
                );
            }
            _ => self
                .reading
                .does(EffectKind::System, format!("{name} changes the machine")),
        }
        UNKNOWN.to_string()
    }

    fn crontab(&mut self, args: &[String]) {
        let options = Options::parse(args, "u", &[]);
        if options.has(&["l"]) && options.rest.is_empty() {
            return;
        }
        let what = if options.has(&["r"]) {
            "crontab removes what runs at set times"
        } else {
            "crontab makes commands run at set times"
        };
        self.reading.does(EffectKind::Persistence, what);
    }

    fn later(&mut self, name: &str, args: &[String], stdin: &str) {
        if args.first().is_some_and(|arg| arg == "-l" || arg == "-V") {
            return;
        }
        self.reading.does(
            EffectKind::Persistence,
            format!("{name} makes commands run later"),
        );
        vague_code(self, stdin, name);
        drop(self.run_text(stdin, name, String::new()));
    }

    fn services(&mut self, name: &str, args: &[String]) {
        let words: Vec<&str> = args
            .iter()
            .map(String::as_str)
            .filter(|arg| !arg.starts_with('-'))
            .collect();
        let asks = [
            "status",
            "show",
            "list-units",
            "list-unit-files",
            "is-active",
            "is-enabled",
            "cat",
            "list",
            "print",
            "list-sessions",
            "is-failed",
            "list-timers",
            "list-dependencies",
        ];
        if words.is_empty() || words.iter().any(|word| asks.contains(word)) {
            return;
        }
        let stays = [
            "enable",
            "load",
            "bootstrap",
            "link",
            "edit",
            "preset",
            "enable-linger",
            "import-environment",
            "set-environment",
        ];
        if words.iter().any(|word| stays.contains(word)) {
            self.reading.does(
                EffectKind::Persistence,
                format!("{name} makes a service start by itself"),
            );
        } else {
            self.reading.does(
                EffectKind::System,
                format!("{name} changes services or power"),
            );
        }
    }

    fn kill(&mut self, name: &str, args: &[String]) {
        let asks = args
            .iter()
            .any(|arg| arg == "-l" || arg == "-L" || arg == "-0")
            || args.is_empty();
        let own = name == "kill"
            && args
                .iter()
                .filter(|arg| {
                    let group = arg
                        .strip_prefix('-')
                        .is_some_and(super::printers::is_process);
                    !arg.starts_with('-') || group || arg.parse::<i64>().is_ok_and(|n| n < -64)
                })
                .all(|arg| {
                    let number = arg.trim_start_matches('-');
                    // A pattern stands for whatever runs.
                    !number.starts_with(|c: char| c.is_ascii_digit() || c == SET || c == ANY_CHAR)
                });
        let all = args.iter().skip(1).any(|arg| arg == "-1" || arg == "1")
            || args.iter().any(|arg| arg == "1");
        if !asks && (all || !own) {
            self.reading.does(
                EffectKind::System,
                format!("{name} ends processes it did not start"),
            );
        }
    }

    /// Looks at the journal of the machine, which options shorten or write anew.
    fn journal(&mut self, args: &[String]) {
        const CHANGES: [&str; 7] = [
            "--vacuum",
            "--rotate",
            "--flush",
            "--relinquish",
            "--setup",
            "--update",
            "--smart",
        ];
        let changes = |arg: &String| CHANGES.iter().any(|start| arg.starts_with(start));
        if args.iter().any(changes) {
            let why = "journalctl changes the machine";
            self.reading.does(EffectKind::System, why);
        }
    }

    /// Programs that both ask and change.
    fn maybe_asking(&mut self, name: &str, args: &[String]) {
        let changing = [
            "add",
            "del",
            "delete",
            "set",
            "flush",
            "up",
            "down",
            "replace",
            "change",
            "-w",
            "create",
            "destroy",
            "rollback",
            "-A",
            "-D",
            "-F",
            "-I",
            "-X",
            "-P",
            "enable",
            "disable",
            "reset",
            "set-hostname",
            "set-time",
            "-C",
            "--clear",
            "--vacuum-size",
            "--vacuum-time",
            "--rotate",
            "mkpart",
            "mklabel",
            "rm",
            "remove",
            "subvolume",
            "-c",
            "-b",
            "-B",
            "allow",
            "deny",
            "-p",
            "netns",
            "-a",
        ];
        // Of the kernel's settings this shows all.
        let all = |word: &&str| name != "sysctl" || !["-a", "--all", "-n"].contains(word);
        let words: Vec<&str> = args.iter().map(String::as_str).filter(all).collect();
        let sets = name == "sysctl" && words.iter().any(|word| word.contains('='));
        let devices = ["mount", "swapon", "fdisk", "parted", "dmsetup"].contains(&name)
            && words.iter().any(|word| !word.starts_with('-'))
            && !words.contains(&"-l");
        if sets
            || devices
            || words.iter().any(|word| changing.contains(word)) && !["dmesg"].contains(&name)
        {
            self.reading
                .does(EffectKind::System, format!("{name} changes the machine"));
        }
    }

    fn keys(&mut self, name: &str, args: &[String]) {
        if name == "gpg"
            && (is_question(args)
                || !args.iter().any(|arg| {
                    let changes = [
                        "-gen-",
                        "--generate",
                        "--quick",
                        "--edit",
                        "--card",
                        "--passwd",
                    ];
                    changes.iter().any(|word| arg.contains(word))
                        || arg.contains("delete")
                        || arg.contains("recv")
                        || arg.contains("send")
                        || arg.contains("keyserver")
                        || arg.contains("export-secret")
                        || arg == "-o"
                        || arg == "--output"
                }))
        {
            return;
        }
        let reading = args.first().is_some_and(|arg| {
            ["-l", "-L", "read", "find-certificate", "list"].contains(&arg.as_str())
        });
        if !reading {
            self.reading.does(
                EffectKind::System,
                format!("{name} changes keys or settings of the account"),
            );
        }
    }

    fn key_file(&mut self, args: &[String]) {
        let options = Options::parse(args, "fNCtbPVIOzsnDWmwrYEGJjMSAeRQ", &[]);
        if options.has(&["l", "F", "y", "e", "B"]) && !options.has(&["R"]) {
            // The public half comes from the private one.
            let file = options.value("f").filter(|_| options.has(&["y"]));
            if let Some(file) = file.map(str::to_owned) {
                self.reads(&file);
            }
            return;
        }
        match options.value("f") {
            Some(file) => {
                let file = file.to_owned();
                self.writes(&file);
            }
            None => self.writes("/root/.ssh/id_rsa"),
        }
    }
}
