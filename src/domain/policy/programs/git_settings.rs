//! Settings of git: those that make it run programs, talk to other machines or read other settings.
//!
//! The sections whose settings only say how git shows and merges are listed; a setting of any other is not understood.

use crate::domain::policy::{
    programs::{Options, is_in, vague_code},
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Settings whose value git runs as a command.
const RUN: &[&str] = &[
    "core.editor",
    "core.pager",
    "core.sshcommand",
    "core.fsmonitor",
    "core.gitproxy",
    "core.askpass",
    "sequence.editor",
    "diff.external",
    "gpg.program",
    "web.browser",
    "help.browser",
    "uploadpack.packobjectshook",
];
/// Ends of settings whose value git runs as a command.
const RUN_ENDS: &[&str] = &[
    ".textconv",
    ".clean",
    ".smudge",
    ".process",
    ".helper",
    ".cmd",
    ".command",
    ".driver",
    ".program",
    ".uploadpack",
    ".receivepack",
    ".proxycommand",
    ".path",
    ".vcs",
];

/// Sections of which no setting is dangerous besides those above.
const SECTIONS: &str = "
user author committer color column core pull push fetch merge rebase diff log status branch init commit tag format advice rerere stash
submodule blame grep gc help i18n index interactive pack receive credential gpg http https lfs safe worktree extensions feature
maintenance remote url protocol sequence showbranch notes mailmap apply am checkout clean clone ui alias pager include includeif
filter mergetool difftool web browser uploadpack transfer sendemail gitflow flow github gitlab hub delta man guitool versionsort
completion splitindex fsck repack revert reset restore tar trailer instaweb hooks bundle reachable test ssh commitgraph
";
/// Programs that a setting may name.
const PROGRAMS: &str = "
vim vi nvim nano emacs code ed less more cat delta diff-so-fancy bat true false ssh gpg gpg2 store cache osxkeychain manager
manager-core libsecret wincred input meld vimdiff nvimdiff vimdiff3 opendiff kdiff3 p4merge difft difftastic notepad subl atom micro hx helix
";

impl ShellInterpreter<'_, '_> {
    /// Looks at a setting that is in force for this command or written down.
    pub(super) fn git_setting(&mut self, key: &str, value: &str) {
        let lower = key.to_lowercase();
        if let Some(name) = lower.strip_prefix("alias.") {
            self.state
                .git_aliases
                .insert(name.to_owned(), value.to_owned());
            match value.strip_prefix('!') {
                Some(code) => drop(self.run_text(code, "git alias", String::new())),
                None => drop(self.run_text(&format!("git {value}"), "git alias", String::new())),
            }
            return;
        }
        if lower == "core.hookspath" {
            if value != "/dev/null" && !value.is_empty() {
                self.reading.does(
                    EffectKind::Persistence,
                    "git runs hooks from another folder",
                );
            }
            return;
        }
        if lower == "include.path" || lower.starts_with("includeif.") {
            self.reading.does(
                EffectKind::Persistence,
                "git reads settings from another file",
            );
            return;
        }
        if let Some(why) = loses_later(&lower, value) {
            self.reading.does(EffectKind::GitDestructive, why);
        }
        if runs(&lower) && !["true", "false", "", "cat", "less", "store", "cache"].contains(&value)
        {
            let code = value.strip_prefix('!').unwrap_or(value);
            vague_code(self, code, key);
            drop(self.run_text(code, "git setting", String::new()));
        }
        let elsewhere = [Some("proxy")].contains(&lower.rsplit('.').next())
            || lower.ends_with(".insteadof")
            || (lower.starts_with("remote.") && lower.ends_with("url"));
        if elsewhere {
            self.reading
                .does(EffectKind::Network, "git is sent to another machine");
        }
        let fetches = lower.starts_with("credential.") && lower.ends_with("helper");
        if fetches && value.starts_with(['!', '/', '.', '~']) {
            self.reading
                .opaque("git hands passwords to a program that the command names");
        }
        let trusts = lower.starts_with("http.") && lower.ends_with("sslverify");
        if trusts && ["false", "0", "no", "off"].contains(&value.to_lowercase().as_str()) {
            self.reading
                .opaque("git talks to machines without looking who they are");
        }
        if lower == "protocol.ext.allow" {
            self.reading.opaque("git may run commands as a transport");
        }
    }

    pub(super) fn git_config(&mut self, args: &[String]) {
        let options = Options::parse(
            args,
            "f",
            &["file", "blob", "type", "default", "get", "get-all"],
        );
        if options.has(&["get", "get-all", "list", "l", "get-regexp"]) {
            let is_key = |arg: &String| {
                let arg = arg.to_lowercase();
                ["extraheader", "token", "password"]
                    .iter()
                    .any(|word| arg.contains(word))
            };
            if args.iter().any(is_key) {
                self.reading.opaque("git config, which shows passwords");
            }
            return;
        }
        let mut words: &[String] = &options.rest;
        if words
            .first()
            .is_some_and(|word| word == "set" || word == "get" || word == "list")
        {
            words = words.get(1..).unwrap_or_default();
        }
        let [key, value, ..] = words else {
            return;
        };
        if key.eq_ignore_ascii_case("core.hooksPath") && (value == "/dev/null" || value.is_empty())
        {
            self.reading
                .does(EffectKind::Persistence, "git runs no hooks from now on");
        }
        self.git_setting(key, value);
        self.git_setting_stays(key, value);
        if options.has(&["global", "system"]) {
            self.reading.does(
                EffectKind::Persistence,
                "git config changes settings of the whole account",
            );
        }
        let file = options
            .value("f")
            .or_else(|| options.value("file"))
            .map(str::to_owned);
        if let Some(file) = file {
            self.writes(&file);
        }
    }

    /// Looks at a setting that is written down: what it makes git run, it runs from then on.
    fn git_setting_stays(&mut self, key: &str, value: &str) {
        let lower = key.to_lowercase();
        let section = lower.split('.').next().unwrap_or("");
        if !is_in(SECTIONS, section) {
            self.reading
                .opaque(format!("the setting {key} of git, which is not described"));
        }
        let program = value.split_whitespace().next().unwrap_or("");
        let is_usual = is_in(PROGRAMS, program);
        if runs(&lower) && !is_usual && !value.is_empty() {
            let text = format!("git runs {value} from now on");
            self.reading.does(EffectKind::Persistence, text);
        }
    }

    /// Looks at what git does by itself later.
    pub(super) fn git_maintenance(&mut self, args: &[String]) {
        let verb = args.iter().find(|arg| !arg.starts_with('-'));
        if verb.is_some_and(|verb| verb == "start" || verb == "register") {
            self.reading.does(
                EffectKind::Persistence,
                "git maintenance makes git run at set times",
            );
        }
    }
}

/// Returns what a setting makes git lose later: what nothing leads to any more, or references that each fetch overwrites.
fn loses_later(key: &str, value: &str) -> Option<&'static str> {
    let is_long = ["never", "false", "day", "week", "month", "year"]
        .iter()
        .any(|word| value.contains(word));
    if key.starts_with("gc.") && key.contains("expire") && !is_long {
        return Some("git gc removes lost commits for good");
    }
    if !key.starts_with("remote.") || key.rsplit('.').next() != Some("fetch") {
        return None;
    }
    if value.contains("refs/tos") {
        Some("git fetch then overwrites what tos has kept with what the remote has")
    } else if value.contains(":refs/*") {
        Some("git fetch then lets every ref of the remote overwrite the one of its name here")
    } else if value.contains(":refs/heads") {
        Some("git fetch then lets the branches of the remote overwrite those here")
    } else {
        None
    }
}

/// Returns whether git runs the value of a setting.
fn runs(key: &str) -> bool {
    RUN.contains(&key) || RUN_ENDS.iter().any(|end| key.ends_with(end)) || key.starts_with("pager.")
}
