//! git: what loses work or history, what runs commands through settings, what talks to other machines.

use crate::domain::policy::{
    partial_text::UNKNOWN,
    programs::{
        Options,
        git_files::replaces_files,
        is_in,
        losses::git_loses,
        transfer::{is_remote, looks_like_host},
    },
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// The commands of git itself, and of extensions that everybody has.
const VERBS: &str = "
add am annotate apply archive bisect blame branch bugreport bundle cat-file check-attr check-ignore check-mailmap check-ref-format
checkout checkout-index cherry cherry-pick clean clone column commit commit-graph commit-tree config count-objects credential
daemon describe diagnose diff diff-files diff-index diff-tree difftool fast-export fast-import fetch fetch-pack filter-branch
filter-repo fmt-merge-msg for-each-ref for-each-repo format-patch fsck gc get-tar-commit-id grep gui hash-object help http-fetch
http-push imap-send index-pack init instaweb interpret-trailers lfs log ls-files ls-remote ls-tree mailinfo mailsplit maintenance
merge merge-base merge-file merge-index merge-tree mergetool mktag mktree multi-pack-index mv name-rev notes p4 pack-objects
pack-redundant pack-refs patch-id prune prune-packed pull push quiltimport range-diff read-tree rebase receive-pack reflog remote
repack replace request-pull rerere reset restore rev-list rev-parse revert rm send-email send-pack shortlog show show-branch
show-index show-ref sparse-checkout stage stash status stripspace submodule submodule-foreach svn switch symbolic-ref tag unpack-file
unpack-objects update-index update-ref update-server-info upload-archive upload-pack var verify-commit verify-pack verify-tag version
whatchanged worktree write-tree flow credential-cache subtree --version
";

impl ShellInterpreter<'_, '_> {
    /// Looks at git.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape of its neighbours, which keep the value"
    )]
    pub(super) fn git(&mut self, args: &[String], stdin: String) -> String {
        let (printed, aliases, remotes) = self.aside(|shell| {
            let printed = shell.git_command(args, &stdin);
            let state = &shell.state;
            (
                printed,
                state.git_aliases.clone(),
                state.git_remotes.clone(),
            )
        });
        // What was given with `-c` is forgotten, what was written down is not.
        if args.first().is_some_and(|verb| verb == "config") {
            self.state.git_aliases = aliases;
        }
        self.state.git_remotes = remotes;
        printed
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
        let full = |name: &str| {
            let long = [
                "git-dir",
                "work-tree",
                "exec-path",
                "config-env",
                "namespace",
            ];
            let found = long
                .iter()
                .find(|long| name.len() > 2 && long.starts_with(name));
            found.map_or_else(|| name.to_owned(), |long| (*long).to_owned())
        };
        self.state.has_foreign_git = false;
        for (name, value) in &options.given {
            let name = full(name);
            match (name.as_str(), value.as_deref()) {
                ("git-dir", _) => self.state.has_foreign_git = true,
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
        self.git_outputs(&options.rest);
        let Some((verb, rest)) = options.rest.split_first() else {
            return String::new();
        };
        if verb.contains(UNKNOWN) {
            self.reading
                .opaque("a git command that is only known at run time");
        }
        if let Some(code) = self.state.git_aliases.get(verb).cloned() {
            let rest: Vec<String> = rest.to_vec();
            return self.git_alias(&code, &rest, stdin);
        }
        self.git_verb(verb, rest, stdin)
    }

    /// Runs an alias that the command itself made.
    fn git_alias(&mut self, code: &str, rest: &[String], stdin: &str) -> String {
        if !self.reading.enter("git alias") {
            return UNKNOWN.to_string();
        }
        let printed = if let Some(code) = code.strip_prefix('!') {
            let code = format!("{code} \"$@\"");
            let rest = rest.to_vec();
            self.aside(|shell| {
                shell.set_arguments("git", &rest);
                shell.run_text(&code, "git alias", stdin.to_owned())
            })
        } else {
            let mut words: Vec<String> = code.split_whitespace().map(str::to_owned).collect();
            words.extend(rest.iter().cloned());
            self.git_command(&words, stdin)
        };
        self.reading.leave();
        printed
    }

    /// Looks at programs git would take from a folder of the command's own.
    fn git_programs(&mut self, folder: &str, words: &[String]) {
        let verb = words.first().map_or("", String::as_str);
        match self.remembered(&format!("{folder}/git-{verb}")) {
            Some(code) => drop(self.run_script(&code, "git", &[], String::new())),
            None => self.reading.opaque("git with programs from another folder"),
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each name, and an arm is a line or two"
    )]
    fn git_verb(&mut self, verb: &str, args: &[String], stdin: &str) -> String {
        let before = args.iter().take_while(|arg| *arg != "--");
        if before.clone().any(|arg| arg == "--help") || args == ["-h"] {
            return UNKNOWN.to_string();
        }
        if !is_in(VERBS, verb) && !verb.contains(UNKNOWN) {
            self.reading
                .opaque(format!("`git {verb}`, which is no command of git itself"));
        }
        self.note_git_step(verb, args);
        self.git_options(verb, args);
        if replaces_files(verb, args) {
            let root = self.git_root();
            self.blurs_below(&root);
        }
        let loses = git_loses(verb, args);
        if verb == "push" {
            self.pushes_list(args);
        }
        if let Some(why) = loses {
            self.loses_in_git(why);
        }
        self.git_keys(verb, args);
        match verb {
            "grep" | "diff" if lists_names(args) => {
                self.git_pager(args);
                for file in git_outputs(args) {
                    self.writes(&file);
                }
                return tracked_names(args);
            }
            "ls-files" => return tracked_names(args),
            "config" => self.git_config(args),
            "maintenance" => self.git_maintenance(args),
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
            "mv" => self.git_move(args),
            "add" | "stage" => self.git_add(args),
            "update-index" if args.iter().any(|arg| arg == "--add") => self.git_add(args),
            "commit" | "status" => {}
            "apply"
                if args.iter().any(|arg| {
                    arg == "-R" || super::super::partial_text::is_long(arg, "reverse")
                }) && !args
                    .iter()
                    .any(|arg| ["--check", "--stat"].contains(&arg.as_str())) =>
            {
                self.reading.does(
                    EffectKind::GitDestructive,
                    "git apply --reverse throws changes away",
                );
                self.git_patch(args, stdin);
            }
            "checkout-index" => self.git_checkout_index(args),
            "apply" | "am" => self.git_patch(args, stdin),
            "diff" | "blame" | "show" | "cat-file" => {
                for file in args.iter().filter(|arg| !arg.starts_with('-')) {
                    if file.contains('/') || file.starts_with('~') {
                        self.reads(file);
                    }
                }
                for file in git_outputs(args) {
                    self.writes(&file);
                }
                return UNKNOWN.to_string();
            }
            "worktree" => self.git_worktree(args),
            "rev-parse" if args.iter().any(|arg| arg == "--show-toplevel") => {
                return format!(
                    "{}\n",
                    crate::domain::policy::resolved_path::slashed(&self.reading.world.root)
                );
            }
            "rev-parse" if args.iter().any(|arg| arg == "--git-path") => {
                let path = args.iter().skip_while(|arg| *arg != "--git-path").nth(1);
                return format!(
                    "{}/.git/{}\n",
                    self.git_root(),
                    path.map_or("", String::as_str)
                );
            }
            "rev-parse"
                if args
                    .iter()
                    .any(|arg| arg.ends_with("git-dir") || arg.ends_with("git-common-dir")) =>
            {
                return format!("{}/.git\n", self.git_root());
            }
            "hash-object" => {
                let options = Options::parse(args, "t", &["path"]);
                if options.has(&["w"]) {
                    self.git_add(&options.rest);
                }
                return format!("{}\n", crate::domain::policy::partial_text::NAME);
            }
            "rev-parse" | "describe" | "write-tree" | "symbolic-ref" | "merge-base"
            | "rev-list" | "branch" | "log" => {
                for file in git_outputs(args) {
                    self.writes(&file);
                }
                return format!("{}\n", crate::domain::policy::partial_text::NAME);
            }
            "init" => self.git_init(args),
            "update-ref"
                if args.iter().any(|arg| arg == "--stdin")
                    && (stdin.contains("delete") || stdin.contains(UNKNOWN)) =>
            {
                self.reading.does(
                    EffectKind::GitDestructive,
                    "git update-ref removes references",
                );
            }
            _ => {
                for file in git_outputs(args) {
                    self.writes(&file);
                }
            }
        }
        UNKNOWN.to_string()
    }

    /// Looks at the options of one of its commands.
    fn git_options(&mut self, verb: &str, args: &[String]) {
        // What stands behind these is a command of its own.
        let runs = ["run", "foreach"];
        let inner = ["bisect", "submodule"].contains(&verb);
        if inner && args.iter().any(|arg| runs.contains(&arg.as_str())) {
            return;
        }
        let words: Vec<String> = std::iter::once(verb.to_owned())
            .chain(args.iter().cloned())
            .collect();
        self.accepted_options("git", &words);
    }

    /// Looks at `git checkout-index`, which can put files somewhere else.
    fn git_checkout_index(&mut self, args: &[String]) {
        let options = Options::parse(args, "", &["prefix", "stage"]);
        let Some(prefix) = options.value("prefix").map(str::to_owned) else {
            return;
        };
        for file in &options.rest {
            self.writes(&format!("{prefix}{file}"));
        }
        if options.rest.is_empty() {
            self.writes(prefix.trim_end_matches('/'));
        }
    }

    pub(super) fn git_root(&self) -> String {
        crate::domain::policy::resolved_path::slashed(&self.reading.world.root)
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
        let adds = options
            .rest
            .first()
            .is_some_and(|word| word == "add" || word == "set-url");
        let turns = verb == "remote" && options.rest.first().is_some_and(|word| word == "set-url");
        if turns
            && options
                .rest
                .iter()
                .any(|word| is_remote(word) && looks_like_host(word))
        {
            self.reading.does(
                EffectKind::Persistence,
                "git remote set-url sends later pushes and pulls elsewhere",
            );
        }
        if let (true, "remote", Some(name)) = (adds, verb, options.rest.get(1)) {
            self.state.git_remotes.insert(name.clone());
        }
        let unnamed = ["push", "fetch", "pull"].contains(&verb)
            && options.rest.is_empty()
            && !self.state.git_remotes.is_empty();
        let added = unnamed
            || verb != "remote"
                && options
                    .rest
                    .iter()
                    .any(|word| self.state.git_remotes.contains(word));
        let url = url || added;
        let only_notes = verb == "remote"
            && !options
                .rest
                .first()
                .is_some_and(|word| word == "update" || word == "show");
        if (url && !only_notes) || always {
            self.reading.does(
                EffectKind::Network,
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
        let remote = options.value("remote").filter(|_| verb == "archive");
        if remote.is_some_and(|remote| is_remote(remote) && looks_like_host(remote)) {
            self.reading
                .does(EffectKind::Network, "git archive asks another machine");
        }
        for file in options.values(&["output", "o"]) {
            if verb == "archive" {
                self.writes(file);
            }
        }
        if let Some(folder) = options
            .value("template")
            .filter(|folder| self.leads_away(folder).is_some())
        {
            self.reading.opaque(format!(
                "git with hooks from {folder}, which is none of the project"
            ));
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
                // It is given the names of the files that were found.
                let whole = format!("{code} {UNKNOWN}");
                drop(self.run_text(&whole, "git grep", String::new()));
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
            self.reading.does(
                EffectKind::GitDestructive,
                "git rm removes files with changes",
            );
        }
        for file in &options.rest {
            self.deletes(file);
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

/// Returns files that any git command may write to.
fn git_outputs(args: &[String]) -> Vec<String> {
    args.iter()
        .filter_map(|arg| arg.strip_prefix("--output=").map(str::to_owned))
        .collect()
}

/// Returns whether git prints the names of files.
fn lists_names(args: &[String]) -> bool {
    args.iter().take_while(|arg| *arg != "--").any(|arg| {
        let cluster = arg.starts_with('-') && !arg.starts_with("--");
        cluster && arg.contains(['l', 'L']) && !arg.contains(char::is_whitespace)
            || arg == "--name-only"
            || arg.starts_with("--files-with")
    })
}

/// Returns the names of files that git follows; an ending that is asked for is theirs.
fn tracked_names(args: &[String]) -> String {
    use crate::domain::policy::partial_text::NAME;
    let from = args.iter().position(|arg| arg == "--");
    let asked = args.iter().skip(from.map_or(0, |at| at + 1));
    let ending = asked.filter(|arg| !arg.starts_with('-')).find_map(|arg| {
        let name = arg.rsplit(['*', NAME]).next()?;
        let is_pattern = arg.contains(['*', NAME]) && name.starts_with('.');
        is_pattern.then_some(name)
    });
    // A search finds some of the files, a list names all.
    let searched = args.iter().any(|arg| !arg.starts_with('-'));
    match ending {
        Some(ending) => format!("{NAME}x{ending}\n"),
        None if searched => format!("{NAME}x\n"),
        None => format!("{NAME}\n"),
    }
}
