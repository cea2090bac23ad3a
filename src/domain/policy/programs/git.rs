//! git: what loses work or history, what runs commands through settings, what talks to other machines.

use crate::domain::policy::{
    programs::{Options, transfer::is_remote, vague_code},
    rule::Trait,
    shell::Machine,
    text::UNKNOWN,
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

impl Machine<'_, '_> {
    /// Looks at git.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape of its neighbours, which keep the value"
    )]
    pub(super) fn git(&mut self, args: &[String], stdin: String) -> String {
        self.aside(|shell| shell.git_command(args, &stdin))
    }

    fn git_command(&mut self, args: &[String], stdin: &str) -> String {
        let options = Options::leading(
            args,
            "Cc",
            &[
                "git-dir",
                "work-tree",
                "namespace",
                "config-env",
                "super-prefix",
                "attr-source",
            ],
        );
        for (name, value) in &options.given {
            match (name.as_str(), value.as_deref()) {
                ("C", Some(folder)) => self.go_to(folder),
                ("work-tree", Some(folder)) => self.go_to(folder),
                ("c", Some(setting)) => {
                    let (key, value) = setting.split_once('=').unwrap_or((setting, "true"));
                    self.git_setting(key, value);
                }
                ("config-env", Some(_)) => self
                    .reading
                    .opaque("a setting of git taken from a variable"),
                ("exec-path", Some(folder)) => self.git_programs(folder, &options.rest),
                _ => {}
            }
        }
        let Some((verb, rest)) = options.rest.split_first() else {
            return String::new();
        };
        if verb.contains(UNKNOWN) {
            self.reading
                .opaque("a git command that is only known at run time");
        }
        self.git_verb(verb, rest, stdin)
    }

    /// Looks at programs git would take from a folder of the command's own.
    fn git_programs(&mut self, folder: &str, words: &[String]) {
        let verb = words.first().map_or("", String::as_str);
        match self.remembered(&format!("{folder}/git-{verb}")) {
            Some(code) => drop(self.run_script(&code, "git", &[], String::new())),
            None => self.reading.opaque("git with programs from another folder"),
        }
    }

    /// Looks at a setting that is in force for this command or written down.
    fn git_setting(&mut self, key: &str, value: &str) {
        let lower = key.to_lowercase();
        if lower.starts_with("alias.") {
            match value.strip_prefix('!') {
                Some(code) => drop(self.run_text(code, "git alias", String::new())),
                None => drop(self.run_text(&format!("git {value}"), "git alias", String::new())),
            }
            return;
        }
        if lower == "core.hookspath" {
            if value != "/dev/null" && !value.is_empty() {
                self.reading
                    .does(Trait::Persistence, "git runs hooks from another folder");
            }
            return;
        }
        if lower == "include.path" || lower.starts_with("includeif.") {
            self.reading
                .does(Trait::Persistence, "git reads settings from another file");
            return;
        }
        let runs = RUN.contains(&lower.as_str())
            || RUN_ENDS.iter().any(|end| lower.ends_with(end))
            || lower.starts_with("pager.");
        if runs && !["true", "false", "", "cat", "less", "store", "cache"].contains(&value) {
            let code = value.strip_prefix('!').unwrap_or(value);
            vague_code(self, code, key);
            drop(self.run_text(code, "git setting", String::new()));
        }
        let elsewhere = [Some("proxy")].contains(&lower.rsplit('.').next())
            || lower.ends_with(".insteadof")
            || (lower.starts_with("remote.") && lower.ends_with("url"));
        if elsewhere {
            self.reading
                .does(Trait::Network, "git is sent to another machine");
        }
        if lower == "protocol.ext.allow" {
            self.reading.opaque("git may run commands as a transport");
        }
    }

    fn git_verb(&mut self, verb: &str, args: &[String], stdin: &str) -> String {
        let loses = git_loses(verb, args);
        if let Some(why) = loses {
            self.reading.does(Trait::GitDestructive, why);
        }
        match verb {
            "config" => self.git_config(args),
            "clone" | "fetch" | "pull" | "push" | "ls-remote" | "remote" | "submodule"
            | "archive" | "send-email" | "fetch-pack" | "send-pack" | "http-fetch"
            | "http-push" | "lfs" | "svn" | "p4" | "request-pull" | "imap-send" | "daemon"
            | "instaweb" | "upload-pack" | "receive-pack" => self.git_remote(verb, args),
            "grep" => self.git_pager(args),
            "rebase" => self.git_rebase(args),
            "bisect" => {
                if let Some((_, command)) = args.split_first().filter(|(verb, _)| *verb == "run") {
                    drop(self.dispatch(command.to_vec(), String::new()));
                }
            }
            "submodule-foreach" | "for-each-repo" | "difftool" | "mergetool" | "filter-branch" => {
                self.git_tools(args);
            }
            "rm" => self.git_remove(args),
            "mv" | "add" | "commit" | "status" => {}
            "apply" | "am" | "checkout-index" => {}
            "worktree" => self.git_worktree(args),
            "rev-parse" if args.iter().any(|arg| arg == "--show-toplevel") => {
                return format!(
                    "{}\n",
                    crate::domain::policy::place::slashed(&self.reading.world.root)
                );
            }
            "rev-parse" | "describe" | "hash-object" | "write-tree" | "symbolic-ref"
            | "merge-base" | "rev-list" | "ls-files" | "branch" | "log" => {
                for file in git_outputs(args) {
                    self.writes(&file);
                }
                return format!("{}\n", crate::domain::policy::text::NAME);
            }
            "init" => self.git_init(args),
            "update-ref"
                if args.iter().any(|arg| arg == "--stdin")
                    && (stdin.contains("delete") || stdin.contains(UNKNOWN)) =>
            {
                self.reading
                    .does(Trait::GitDestructive, "git update-ref removes references");
            }
            _ => {
                for file in git_outputs(args) {
                    self.writes(&file);
                }
            }
        }
        UNKNOWN.to_string()
    }

    fn git_config(&mut self, args: &[String]) {
        let options = Options::parse(
            args,
            "f",
            &["file", "blob", "type", "default", "get", "get-all"],
        );
        if options.has(&["get", "get-all", "list", "l", "get-regexp"]) {
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
        self.git_setting(key, value);
        if options.has(&["global", "system"]) {
            self.reading.does(
                Trait::Persistence,
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

    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each name, and an arm is a line or two"
    )]
    fn git_remote(&mut self, verb: &str, args: &[String]) {
        let options = Options::parse(
            args,
            "ubojcS",
            &[
                "upload-pack",
                "receive-pack",
                "exec",
                "template",
                "config",
                "branch",
                "origin",
                "depth",
                "reference",
                "separate-git-dir",
                "server-option",
                "push-option",
                "format",
                "output",
                "prefix",
                "remote",
            ],
        );
        for code in options.values(&["upload-pack", "receive-pack", "exec", "u"]) {
            if verb != "push" || code.contains([' ', '/']) {
                drop(self.run_text(code, "git", String::new()));
            }
        }
        for setting in options.values(&["config", "c"]) {
            if let Some((key, value)) = setting.split_once('=') {
                self.git_setting(key, value);
            }
        }
        if verb == "submodule" {
            self.git_submodule(&options.rest);
        }
        for word in &options.rest {
            if let Some(code) = word.strip_prefix("ext::") {
                drop(self.run_text(code, "git", String::new()));
            }
        }
        let url = options.rest.iter().any(|word| {
            is_remote(word)
                && !word.starts_with(':')
                && !word.starts_with('+')
                && looks_like_host(word)
        });
        let always = [
            "send-email",
            "daemon",
            "instaweb",
            "imap-send",
            "svn",
            "p4",
            "http-push",
            "http-fetch",
        ]
        .contains(&verb);
        let only_notes = verb == "remote"
            && !options
                .rest
                .first()
                .is_some_and(|word| word == "update" || word == "show");
        if (url && !only_notes) || always {
            self.reading.does(
                Trait::Network,
                format!("git {verb} talks to a machine named in the command"),
            );
        }
        if verb == "clone" {
            let target = options
                .rest
                .get(1)
                .cloned()
                .unwrap_or_else(|| ".".to_owned());
            self.writes(&target);
        }
        for file in options.values(&["output", "o"]) {
            if verb == "archive" {
                self.writes(file);
            }
        }
    }

    fn git_submodule(&mut self, words: &[String]) {
        if let Some((_, command)) = words.split_first().filter(|(verb, _)| *verb == "foreach") {
            drop(self.run_text(&command.join(" "), "git submodule", String::new()));
        }
    }

    fn git_pager(&mut self, args: &[String]) {
        for arg in args {
            let code = arg
                .strip_prefix("--open-files-in-pager=")
                .or_else(|| arg.strip_prefix("-O").filter(|code| !code.is_empty()));
            if let Some(code) = code {
                drop(self.run_text(code, "git grep", String::new()));
            }
        }
    }

    fn git_rebase(&mut self, args: &[String]) {
        let options = Options::parse(
            args,
            "xsX",
            &["exec", "onto", "strategy", "strategy-option"],
        );
        for code in options.values(&["x", "exec"]) {
            drop(self.run_text(code, "git rebase", String::new()));
        }
    }

    fn git_tools(&mut self, args: &[String]) {
        let options = Options::parse(
            args,
            "xtg",
            &[
                "extcmd",
                "tool",
                "tree-filter",
                "index-filter",
                "msg-filter",
                "env-filter",
                "commit-filter",
                "parent-filter",
                "setup",
                "tag-name-filter",
            ],
        );
        for code in options.values(&[
            "x",
            "extcmd",
            "tree-filter",
            "index-filter",
            "msg-filter",
            "env-filter",
            "commit-filter",
            "parent-filter",
            "setup",
        ]) {
            drop(self.run_text(code, "git", String::new()));
        }
    }

    fn git_remove(&mut self, args: &[String]) {
        let options = Options::parse(args, "", &["pathspec-from-file"]);
        if options.has(&["cached", "n", "dry-run"]) {
            return;
        }
        let whole = options
            .rest
            .iter()
            .any(|path| path == "." || path == "*" || path == "/" || path.starts_with(':'));
        if whole || options.has(&["f", "force"]) {
            self.reading
                .does(Trait::GitDestructive, "git rm removes files with changes");
        }
        for file in &options.rest {
            self.deletes(file);
        }
    }

    fn git_worktree(&mut self, args: &[String]) {
        let options = Options::parse(args, "bB", &["reason"]);
        if options
            .rest
            .first()
            .is_some_and(|verb| verb == "add" || verb == "move")
            && let Some(folder) = options.rest.get(1)
        {
            self.writes(&folder.clone());
        }
    }

    fn git_init(&mut self, args: &[String]) {
        let options = Options::parse(
            args,
            "b",
            &[
                "template",
                "separate-git-dir",
                "initial-branch",
                "object-format",
            ],
        );
        for folder in options
            .values(&["separate-git-dir"])
            .map(str::to_owned)
            .chain(options.rest.iter().cloned())
        {
            self.writes(&folder);
        }
    }
}

/// Returns whether a remote word names a host rather than a branch mapping such as `HEAD:main`.
fn looks_like_host(word: &str) -> bool {
    word.contains("://")
        || word.contains('@')
        || word
            .split(':')
            .next()
            .is_some_and(|host| host.contains('.'))
            && word.contains('/')
}

/// Returns files that any git command may write to.
fn git_outputs(args: &[String]) -> Vec<String> {
    args.iter()
        .filter_map(|arg| arg.strip_prefix("--output=").map(str::to_owned))
        .collect()
}

/// Returns what a git command would lose, in words.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each name, and an arm is a line or two"
)]
fn git_loses(verb: &str, args: &[String]) -> Option<&'static str> {
    let options = Options::parse(
        args,
        "mbBcCs",
        &[
            "message",
            "source",
            "pathspec-from-file",
            "expire",
            "orphan",
        ],
    );
    let has = |names: &[&str]| options.has(names);
    let rest: Vec<&str> = options.rest.iter().map(String::as_str).collect();
    let first = rest.first().copied().unwrap_or("");
    match verb {
        "reset" if has(&["hard", "merge", "keep"]) => Some("git reset throws changes away"),
        "checkout" => checkout_loses(args, &options, &rest),
        "switch" if has(&["f", "force", "discard-changes"]) || (has(&["C", "force-create"])) => {
            Some("git switch throws changes away")
        }
        "restore" if !has(&["staged", "S"]) || has(&["worktree", "W"]) => {
            Some("git restore throws changes away")
        }
        "restore" if options.given.iter().any(|(name, _)| name == "W") => {
            Some("git restore throws changes away")
        }
        "clean" if !has(&["n", "dry-run"]) && has(&["f", "force", "d", "x", "X", "i"]) => {
            Some("git clean removes files that were never committed")
        }
        "stash" if ["drop", "clear"].contains(&first) => Some("git stash forgets saved changes"),
        "branch" if options.given.iter().any(|(name, _)| name == "D") => {
            Some("git branch removes a branch that is not merged")
        }
        "branch" if has(&["d", "delete"]) && has(&["f", "force"]) => {
            Some("git branch removes a branch that is not merged")
        }
        "branch"
            if options
                .given
                .iter()
                .any(|(name, _)| ["f", "M", "C", "force"].contains(&name.as_str())) =>
        {
            Some("git branch moves a branch away from its commits")
        }
        "tag" if has(&["d", "delete", "f", "force"]) => Some("git tag removes or moves a tag"),
        "update-ref" if has(&["d", "delete"]) || rest.len() > 1 => {
            Some("git update-ref moves or removes a reference")
        }
        "symbolic-ref" if has(&["d", "delete"]) => Some("git symbolic-ref removes a reference"),
        "reflog" if ["expire", "delete", "drop"].contains(&first) => {
            Some("git reflog forgets where references were")
        }
        "gc" if args.iter().any(|arg| arg.starts_with("--prune")) => {
            Some("git gc removes lost commits for good")
        }
        "prune" | "prune-packed" if !has(&["n", "dry-run"]) => {
            Some("git prune removes lost commits for good")
        }
        "filter-branch" | "filter-repo" | "replace" => Some("git rewrites history"),
        "fast-import" if has(&["force"]) => Some("git rewrites history"),
        "repack" if has(&["a", "d"]) && has(&["unpack-unreachable"]) => {
            Some("git repack removes lost commits")
        }
        "worktree" if first == "remove" && has(&["f", "force"]) => {
            Some("git worktree removes a folder with changes")
        }
        "submodule" if first == "deinit" && has(&["f", "force"]) => {
            Some("git submodule removes a folder with changes")
        }
        "push" => push_loses(&options, &rest),
        "remote" if ["remove", "rm", "prune"].contains(&first) => {
            Some("git remote forgets what another machine holds")
        }
        "read-tree" if has(&["reset", "u"]) => Some("git read-tree throws changes away"),
        "checkout-index" if has(&["f", "force"]) => Some("git checkout-index throws changes away"),
        "rebase" if has(&["root"]) => Some("git rewrites history"),
        "notes" if first == "remove" || first == "prune" => Some("git notes removes notes"),
        "rm" | "commit" => None,
        _ => None,
    }
}

fn checkout_loses(args: &[String], options: &Options, rest: &[&str]) -> Option<&'static str> {
    const WHY: Option<&str> = Some("git checkout throws changes away");
    let forced = options.given.iter().any(|(name, _)| {
        ["f", "force", "B", "ours", "theirs", "pathspec-from-file"].contains(&name.as_str())
    });
    let paths = args
        .iter()
        .position(|arg| arg == "--")
        .is_some_and(|at| at + 1 < args.len());
    let path_like = |word: &&str| {
        *word == "."
            || word.starts_with("./")
            || word.starts_with(':')
            || word.ends_with('/')
            || word.contains('*')
    };
    if forced || paths || rest.iter().any(path_like) {
        WHY
    } else {
        None
    }
}

fn push_loses(options: &Options, rest: &[&str]) -> Option<&'static str> {
    if options.has(&["n", "dry-run"]) {
        return None;
    }
    let force = [
        "f",
        "force",
        "force-with-lease",
        "mirror",
        "delete",
        "d",
        "prune",
        "force-if-includes",
    ];
    let forced = options.given.iter().any(|(name, _)| {
        force.contains(&name.as_str())
            || (name.len() > 3
                && (name.starts_with("for")
                    || "mirror".starts_with(name.as_str())
                    || "delete".starts_with(name.as_str())))
    });
    let mapped = rest
        .iter()
        .skip(1)
        .any(|word| word.starts_with('+') || word.starts_with(':'));
    (forced || mapped).then_some("git push overwrites or removes what another machine holds")
}
