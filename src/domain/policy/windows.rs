//! What PowerShell and the command interpreter of Windows share: paths, and the programs of Windows.

use crate::domain::policy::{
    partial_text::{ANY_CHAR, NAME},
    programs::{this_machine::leads_here, vague::vague_code},
    resolved_path::UNKNOWN_HOME,
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Returns a Windows path in the form the rest of the policy understands.
pub(super) fn path(word: &str) -> String {
    let word = word.trim_matches(['"', '\'', ' ']);
    let lower = word.to_lowercase();
    if ["nul", "con", "prn", "aux", "$null", "nul:"].contains(&lower.as_str()) {
        return "/dev/null".to_owned();
    }
    let word = word
        .strip_prefix("\\\\?\\")
        .or_else(|| word.strip_prefix("\\\\.\\"))
        .or_else(|| {
            lower
                .starts_with("filesystem::")
                .then(|| word.get(12..))
                .flatten()
        })
        .or_else(|| {
            lower
                .starts_with("microsoft.powershell.core\\filesystem::")
                .then(|| word.get(38..))
                .flatten()
        })
        .unwrap_or(word);
    // PowerShell puts the home folder in place of a tilde everywhere.
    let home = word.strip_prefix('~');
    let home = home.filter(|rest| rest.is_empty() || rest.starts_with(['/', '\\']));
    let word = &home.map_or_else(|| word.to_owned(), |rest| format!("{UNKNOWN_HOME}{rest}"));
    word.replace('\\', "/")
        .replace('*', &NAME.to_string())
        .replace('?', &ANY_CHAR.to_string())
}

/// Returns whether a path leads into the registry.
pub(super) fn is_registry(word: &str) -> bool {
    let lower = word.to_lowercase();
    [
        "hklm:",
        "hkcu:",
        "hkcr:",
        "hku:",
        "registry::",
        "hkey_",
        "hklm\\",
        "hkcu\\",
        "microsoft.powershell.core\\registry",
    ]
    .iter()
    .any(|head| lower.starts_with(head))
}

/// Records a change in the registry.
pub(super) fn registry(shell: &mut ShellInterpreter<'_, '_>, word: &str) {
    let lower = word.to_lowercase();
    let starts = [
        "\\run",
        "currentversion\\run",
        "winlogon",
        "image file execution",
        "\\services",
        "shell\\open",
        "appinit",
        "userinit",
    ];
    let what = if starts.iter().any(|part| lower.contains(part)) {
        EffectKind::Persistence
    } else {
        EffectKind::System
    };
    shell
        .reading
        .does(what, format!("changes {word} in the registry"));
}

/// Looks at a program of Windows; returns false when it is none of those known here.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each name, and an arm is a line or two"
)]
pub(super) fn program(shell: &mut ShellInterpreter<'_, '_>, name: &str, args: &[String]) -> bool {
    let words: Vec<String> = args.iter().map(|arg| arg.to_lowercase()).collect();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    let starts = |wanted: &str| {
        words
            .iter()
            .any(|word| word.trim_start_matches(['/', '-']).starts_with(wanted))
    };
    let plain: Vec<&String> = args
        .iter()
        .filter(|arg| !arg.starts_with('-') && !is_switch(arg))
        .collect();
    let share = |arg: &String| {
        arg.starts_with("\\\\") && !arg.starts_with(r"\\?") && !arg.starts_with(r"\\.")
    };
    if args.iter().any(share) {
        shell.reading.does(
            EffectKind::Network,
            format!("{name} with a folder of another machine"),
        );
    }
    if has(&["/?", "-?", "--help", "--version"]) {
        return true;
    }
    match name {
        "robocopy" => {
            if let Some(target) = plain.get(1) {
                if has(&["/mir", "/purge"]) {
                    shell.deletes(&path(target));
                }
                shell.writes(&path(target));
            }
            if let Some(source) = plain.first() {
                let source = path(source);
                shell.reads(&format!("{}/{NAME}", source.trim_end_matches('/')));
            }
            if let Some(source) = plain.first().filter(|_| has(&["/mov", "/move"])) {
                shell.deletes(&path(source));
            }
        }
        "xcopy" => {
            if let Some(source) = plain.first() {
                let source = path(source);
                shell.reads(&source);
                shell.reads(&format!("{}/{NAME}", source.trim_end_matches('/')));
            }
            if let Some(target) = plain.get(1) {
                shell.writes(&path(target));
            }
        }
        "takeown" | "icacls" | "cacls" => {
            let changes = name == "takeown"
                || starts("grant")
                || starts("deny")
                || starts("setowner")
                || starts("reset")
                || starts("inheritance")
                || starts("remove")
                || starts("restore")
                || name == "cacls" && has(&["/g", "/e", "/p", "/r", "/d", "/s"]);
            if changes {
                shell.reading.does(
                    EffectKind::Privilege,
                    format!("{name} takes or gives rights over files"),
                );
            }
        }
        "attrib"
            if plain.iter().any(|word| !word.starts_with('+'))
                && words.iter().any(|word| word.starts_with(['+', '-'])) =>
        {
            for file in args.iter().filter(|arg| !arg.starts_with(['+', '-', '/'])) {
                shell.writes(&path(file));
            }
        }
        "cipher" if starts("w") => shell
            .reading
            .does(EffectKind::System, "cipher wipes free space"),
        "diskpart" | "format" | "bcdedit" | "bootsect" | "bootcfg" | "diskshadow"
        | "manage-bde" | "chkdsk" | "convert" | "label" | "mountvol" | "defrag" | "wevtutil"
        | "vssadmin" | "wbadmin" | "fsutil" | "dism" | "sfc" | "reagentc" | "powercfg"
        | "shutdown" | "logoff" | "tsdiscon" | "rstrui" => {
            let asks = [
                "bcdedit",
                "powercfg",
                "wevtutil",
                "vssadmin",
                "fsutil",
                "wbadmin",
                "chkdsk",
                "mountvol",
                "dism",
                "manage-bde",
            ]
            .contains(&name)
                && (words.is_empty()
                    || starts("list")
                    || starts("query")
                    || starts("enum")
                    || starts("info")
                    || starts("status")
                    || has(&["el", "gl", "qe", "get"])
                    || (name == "chkdsk" && !starts("f") && !starts("r")));
            if !asks {
                shell.reading.does(
                    EffectKind::System,
                    format!("{name} changes disks or the machine"),
                );
            }
        }
        "taskkill" | "tskill" => shell
            .reading
            .does(EffectKind::System, format!("{name} ends processes")),
        "reg" if has(&["save"]) => shell
            .reading
            .does(EffectKind::System, "reg saves keys of the machine"),
        "reg" => {
            if let Some(file) = plain.get(2).filter(|_| has(&["export"])) {
                shell.writes(&path(file));
            }
            if has(&[
                "add", "delete", "import", "restore", "load", "copy", "unload",
            ]) {
                registry(shell, plain.get(1).map_or("a key", |key| key.as_str()));
            }
        }
        "regedit" | "regini" => registry(shell, "a file of keys"),
        "schtasks" => {
            if starts("create") || starts("change") || starts("run") || starts("delete") {
                shell.reading.does(
                    EffectKind::Persistence,
                    "schtasks changes what runs at set times",
                );
            }
            if starts("ru") {
                shell.reading.does(
                    EffectKind::Privilege,
                    "schtasks runs a program as somebody else",
                );
            }
        }
        "sc" => {
            if has(&[
                "create", "config", "delete", "stop", "start", "failure", "sdset",
            ]) {
                shell.reading.does(
                    if has(&["create", "config"]) {
                        EffectKind::Persistence
                    } else {
                        EffectKind::System
                    },
                    "sc changes services",
                );
            }
        }
        "net" | "net1" => net(shell, &words),
        "netsh" => shell.reading.does(
            EffectKind::System,
            "netsh changes the network of the machine",
        ),
        "wmic" => {
            let changes = has(&["delete", "call", "set", "create"])
                || words
                    .iter()
                    .any(|word| word.contains("delete") || word.starts_with("call"));
            if let Some(at) = words.iter().position(|word| word == "create") {
                let code = args.get(at + 1..).unwrap_or_default().join(" ");
                shell.run_cmd(code.trim_matches(['"', '\'']), "wmic");
            }
            if changes {
                shell
                    .reading
                    .does(EffectKind::System, "wmic changes the machine");
            }
        }
        "certutil" => {
            if starts("urlcache")
                || starts("verifyctl")
                || starts("url")
                || words.iter().any(|word| word.contains("://"))
            {
                shell
                    .reading
                    .does(EffectKind::Network, "certutil fetches from another machine");
            } else if starts("addstore") || starts("delstore") || starts("importpfx") {
                shell
                    .reading
                    .does(EffectKind::System, "certutil changes trusted keys");
            } else if (starts("decode") || starts("encode"))
                && let Some(target) = plain.get(1)
            {
                shell.writes(&path(target));
            }
        }
        "bitsadmin" | "ftp" | "tftp" | "telnet" | "nslookup" | "ping" | "tracert" | "pathping"
        | "ssh" | "scp" | "sftp" | "mstsc" | "winrs" | "winrm" | "nltest" | "rasdial"
        | "finger" | "plink" | "pscp" => {
            let here = args.last().is_some_and(|host| leads_here(host));
            if name != "ping" || !here {
                shell.reading.does(
                    EffectKind::Network,
                    format!("{name} talks to another machine"),
                );
            }
            for (flag, value) in args.iter().zip(args.iter().skip(1)) {
                if ["-o", "--output", "-O", "--output-document"].contains(&flag.as_str())
                    && name != "ssh"
                {
                    shell.writes(&path(value));
                }
            }
        }
        "runas" | "psexec" | "psexec64" | "gsudo" | "sudo" | "elevate" | "nircmd" => {
            shell.reading.does(
                EffectKind::Privilege,
                format!("{name} runs a program with other rights"),
            );
            if let Some(at) = args
                .iter()
                .position(|arg| !arg.starts_with(['/', '-', '\\']))
            {
                let code = args.get(at..).unwrap_or_default().join(" ");
                shell.run_cmd(code.trim_matches('"'), name);
            }
        }
        "mshta" | "rundll32" | "regsvr32" | "cscript" | "wscript" | "msiexec" | "installutil"
        | "regasm" | "regsvcs" | "odbcconf" | "cmstp" | "hh" | "presentationhost" | "control"
        | "msdt" | "pcalua" | "ieexec" | "scriptrunner" => {
            if words
                .iter()
                .any(|word| word.contains("http:") || word.contains("https:"))
            {
                shell.reading.does(
                    EffectKind::Network,
                    format!("{name} loads code from another machine"),
                );
            }
            shell.reading.opaque(format!("{name} runs code of its own"));
        }
        "forfiles" => forfiles(shell, args),
        "conhost" | "start-process" | "hstart" | "explorer" => {
            if let Some((first, _)) = args.split_first() {
                let code = args.join(" ");
                vague_code(shell, first, name);
                shell.run_cmd(code.trim_matches('"'), name);
            }
        }
        "setx" => shell.reading.does(
            EffectKind::Persistence,
            "setx changes the environment of the account",
        ),
        "subst" | "mklink" => {
            if let Some(link) = plain.first() {
                shell.writes(&path(link));
            }
            if let (Some(link), Some(target)) = (plain.first(), plain.get(1)) {
                shell.bind(&path(link), &path(target));
            }
        }
        "at" => shell
            .reading
            .does(EffectKind::Persistence, "at makes commands run later"),
        "sdelete" | "sdelete64" | "eraser" => {
            for file in plain {
                shell.deletes(&path(file));
            }
        }
        "compact" | "expand" | "extrac32" | "makecab" => {
            if let Some(target) = plain.get(1) {
                shell.writes(&path(target));
            }
        }
        "more" | "find" | "fc" | "comp" | "sort" => {
            for file in plain {
                shell.reads(&path(file));
            }
        }
        "where" | "findstr" | "tasklist" | "systeminfo" | "ipconfig" | "hostname" | "whoami"
        | "ver" | "tree" | "driverquery" | "getmac" | "netstat" | "arp" | "doskey" | "choice"
        | "timeout" | "clip" | "query" | "qwinsta" | "gpresult" => {}
        _ => return false,
    }
    true
}

fn net(shell: &mut ShellInterpreter<'_, '_>, words: &[String]) {
    let verb = words.first().map_or("", String::as_str);
    let changes = words
        .iter()
        .any(|word| ["/add", "/delete", "/active:yes", "/active:no"].contains(&word.as_str()));
    match verb {
        "user" | "localgroup" | "group" | "accounts" if changes || words.len() > 2 => {
            shell
                .reading
                .does(EffectKind::Privilege, "net changes accounts");
        }
        "use" | "share" if words.len() > 1 => shell
            .reading
            .does(EffectKind::Network, "net connects to another machine"),
        "start" | "stop" | "pause" if words.len() > 1 => {
            shell
                .reading
                .does(EffectKind::System, "net changes services");
        }
        "send" => shell
            .reading
            .does(EffectKind::Network, "net sends a message"),
        _ => {}
    }
}

fn forfiles(shell: &mut ShellInterpreter<'_, '_>, args: &[String]) {
    let after = |flag: &str| {
        args.iter()
            .position(|arg| arg.eq_ignore_ascii_case(flag))
            .and_then(|at| args.get(at + 1))
    };
    let folder = after("/p").map_or_else(|| ".".to_owned(), Clone::clone);
    let Some(code) = after("/c") else {
        return;
    };
    let found = format!("{folder}\\{NAME}");
    let code = code
        .trim_matches('"')
        .replace("@file", &found)
        .replace("@path", &found)
        .replace("@FILE", &found)
        .replace("@PATH", &found)
        .replace("0x22", "\"");
    shell.run_cmd(&code, "forfiles");
}

/// Returns whether a word is an option, as `/s`; a path that starts with `/` has more of them.
pub(super) fn is_switch(word: &str) -> bool {
    let rest = word.strip_prefix('/');
    rest.is_some_and(|rest| !rest.contains(['/', '\\']) && rest.len() < 24)
}
