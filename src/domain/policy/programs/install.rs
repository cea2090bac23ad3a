//! Package managers and project tools: what fetches foreign programs, what runs the project's own.

use crate::domain::policy::{
    partial_text::UNKNOWN,
    programs::{Language, Options, lock_file::is_of_the_lock, managers},
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Verbs that bring something onto the machine, or send it away, for any manager.
const FETCHES: &[&str] = &[
    "install",
    "i",
    "add",
    "update",
    "upgrade",
    "download",
    "get",
    "dist-upgrade",
    "full-upgrade",
    "in",
    "localinstall",
    "global",
    "sync",
    "require",
    "ensurepip",
    "reinstall",
    "inject",
    "tap",
    "create",
    "init-script",
    "dlx",
    "exec-remote",
    "source",
    "build-dep",
    "fetch",
    "self-update",
    "ci",
    "self",
    "tool",
    "toolchain",
    "component",
    "target",
    "restore",
    "-S",
    "-U",
    "-Sy",
    "-Syu",
    "-i",
    "--install",
    "-e",
];
/// Verbs of which tools that run scripts of a project have their own.
const FETCHES_TOO: &[&str] = &[
    "install",
    "i",
    "add",
    "update",
    "upgrade",
    "global",
    "require",
    "create",
    "dlx",
    "remove",
    "rm",
    "uninstall",
    "ci",
];
/// Verbs that take something away.
const REMOVES: &[&str] = &[
    "remove",
    "uninstall",
    "purge",
    "autoremove",
    "erase",
    "rm",
    "-R",
    "-r",
    "--purge",
    "-P",
];
/// Verbs that publish.
const SENDS: &[&str] = &[
    "publish",
    "push",
    "login",
    "adduser",
    "unpublish",
    "deprecate",
    "yank",
    "owner",
];
/// Managers of the whole machine: taking away is a change of the system.
const OF_THE_MACHINE: &[&str] = &[
    "apt",
    "apt-get",
    "aptitude",
    "dpkg",
    "dnf",
    "yum",
    "rpm",
    "zypper",
    "pacman",
    "apk",
    "brew",
    "port",
    "snap",
    "flatpak",
    "choco",
    "scoop",
    "winget",
    "emerge",
    "xbps-install",
    "opkg",
];

impl ShellInterpreter<'_, '_> {
    /// Looks at a package manager or project tool.
    pub(super) fn install(&mut self, name: &str, args: &[String], stdin: &str) -> String {
        let options = leading_options(name, args);
        let verb = options.rest.first().map_or("", String::as_str);
        let rest = options.rest.get(1..).unwrap_or_default().to_vec();
        let dry = ["--dry-run", "--simulate", "--just-print"];
        self.tool_settings(name, args);
        let simulates = name.starts_with("apt") && args.iter().any(|arg| arg == "-s");
        if simulates || args.iter().any(|arg| dry.contains(&arg.as_str())) {
            return UNKNOWN.to_string();
        }
        if is_of_the_lock(name, &options, &rest) && !self.changed_lock() {
            self.runs_project();
            return UNKNOWN.to_string();
        }
        match name {
            "npx" | "pnpx" | "bunx" | "uvx" => self.run_package(name, args),
            "pipx" if verb == "run" => self.run_package(name, &rest),
            "bun" if is_bun_file(verb, args) => self.bun(args, stdin),
            "npm" | "pnpm" | "yarn" | "bun" => self.node_tool(name, verb, &options, &rest, stdin),
            "cargo" => self.cargo(verb, &options, &rest),
            "go" => self.go_tool(verb, &rest),
            "dpkg" | "rpm" | "pacman" => self.short_verbs(name, args),
            "uv" if verb == "run" => drop(self.dispatch(after_options(&rest), String::new())),
            "uv" | "pip" | "pip3"
                if [
                    "list",
                    "show",
                    "freeze",
                    "check",
                    "--version",
                    "venv",
                    "help",
                    "debug",
                    "inspect",
                ]
                .contains(&verb) => {}
            "uv" if verb == "pip" => drop(self.install("pip", &rest, stdin)),
            "nix-env"
                if !args
                    .iter()
                    .any(|arg| arg.starts_with("-q") || arg == "--query") =>
            {
                if !args.is_empty() {
                    self.reading.does(
                        EffectKind::PackageInstall,
                        "nix-env changes the installed programs",
                    );
                }
            }
            "mvn" | "gradle" => self.tasks(name, args),
            "code" => self.code_editor(args),
            "stack" | "cabal" | "opam" if verb == "exec" => {
                drop(self.dispatch(after_options(&rest), String::new()));
            }
            "conda" if verb == "run" => drop(self.dispatch(after_options(&rest), String::new())),
            _ => self.verb(name, &options.rest, args),
        }
        UNKNOWN.to_string()
    }

    /// Looks at what an editor with extensions is told.
    fn code_editor(&mut self, args: &[String]) {
        let serves = |arg: &String| ["tunnel", "serve-web", "--remote"].contains(&arg.as_str());
        if args.iter().any(serves) {
            self.reading
                .does(EffectKind::Network, "code talks to other machines");
        }
        let brings = |arg: &String| arg.contains("install-extension");
        if args.iter().any(brings) {
            self.reading.does(
                EffectKind::PackageInstall,
                "code changes its extensions, which are programs",
            );
        }
    }

    /// Looks at options that name programs, and code that stands in the arguments.
    fn tool_settings(&mut self, name: &str, args: &[String]) {
        let given = |start: &str| args.iter().any(|arg| arg.starts_with(start));
        let programs = [
            "--script-shell",
            "--shell=",
            "--node-options",
            "-Dexec.executable",
        ];
        if programs.iter().any(|start| given(start)) {
            self.reading
                .opaque(format!("{name} with a program set in the command"));
        }
        if name == "uv"
            && args
                .iter()
                .any(|arg| arg == "--with" || arg.starts_with("--with="))
        {
            self.reading.does(
                EffectKind::PackageInstall,
                "uv --with brings in foreign programs",
            );
        }
        let code = args.iter().position(|arg| arg == "-e" || arg == "--eval");
        let code = code
            .filter(|_| name == "mix")
            .and_then(|at| args.get(at + 1));
        if let Some(code) = code {
            super::scan_code(self, Language::R, code);
        }
    }

    /// Reads bun where it runs a file or code.
    fn bun(&mut self, args: &[String], stdin: &str) {
        let args = args.strip_prefix(&["run".to_owned()]).unwrap_or(args);
        drop(self.language(Language::JavaScript, "bun", args, stdin));
    }

    fn verb(&mut self, name: &str, words: &[String], args: &[String]) {
        let verb = words.first().map_or("", String::as_str);
        if managers::stays_in_project(name, words) == Some(true)
            && !verb.is_empty()
            && !FETCHES_TOO.contains(&verb)
        {
            self.managed(name, words);
            return;
        }
        if self.has_hashes(name, args) {
            self.runs_project();
            return;
        }
        let from_cache = |arg: &String| arg == "--offline" || arg == "--no-index";
        let fetches = FETCHES.contains(&verb) || name.starts_with("pip") && verb == "wheel";
        if fetches && args.iter().any(from_cache) {
            self.runs_project();
            return;
        }
        if SENDS.contains(&verb) {
            self.reading.does(
                EffectKind::Network,
                format!("{name} {verb} sends to another machine"),
            );
        } else if FETCHES.contains(&verb) {
            if ["download", "fetch", "update"].contains(&verb) {
                self.reading.does(
                    EffectKind::Network,
                    format!("{name} {verb} fetches from another machine"),
                );
            }
            self.reading.does(
                EffectKind::PackageInstall,
                format!("{name} {verb} brings in foreign programs"),
            );
        } else if REMOVES.contains(&verb) {
            let what = if OF_THE_MACHINE.contains(&name) {
                EffectKind::System
            } else {
                EffectKind::PackageInstall
            };
            self.reading
                .does(what, format!("{name} {verb} takes programs away"));
        } else if ["easy_install", "cpan", "cpanm"].contains(&name) && !args.is_empty() {
            self.reading.does(
                EffectKind::PackageInstall,
                format!("{name} brings in foreign programs"),
            );
        } else {
            self.managed(name, words);
        }
    }

    fn short_verbs(&mut self, name: &str, args: &[String]) {
        let Some(first) = args.iter().find(|arg| arg.starts_with('-')) else {
            return;
        };
        let asks = match name {
            "pacman" => {
                first.starts_with("-Q") || first.starts_with("-Ss") || first.starts_with("-Si")
            }
            "rpm" => first.starts_with("-q") || first.starts_with("-V"),
            _ => [
                "-l",
                "-L",
                "-s",
                "-S",
                "--list",
                "--status",
                "--version",
                "--print-architecture",
                "--get-selections",
                "-I",
                "-c",
            ]
            .contains(&first.as_str()),
        };
        if !asks {
            self.reading.does(
                EffectKind::PackageInstall,
                format!("{name} {first} changes the installed programs"),
            );
        }
    }

    fn run_package(&mut self, name: &str, args: &[String]) {
        let options = Options::leading(args, "pc", &["package", "call", "from", "with"]);
        for code in options.values(&["c", "call"]) {
            drop(self.run_text(code, name, String::new()));
        }
        let Some(tool) = options.rest.first() else {
            return;
        };
        let named = options.has(&["p", "package", "from", "with", "y", "yes"]);
        let stays = options.has(&["no-install", "offline", "no"]);
        if !stays && (named || !self.is_installed(tool)) {
            self.reading.does(
                EffectKind::PackageInstall,
                format!("{name} fetches and runs a foreign program"),
            );
        }
        drop(self.dispatch(options.rest.clone(), String::new()));
    }

    /// Returns whether the project holds a tool; where nobody can look, whether it is one that projects usually hold.
    fn is_installed(&self, tool: &str) -> bool {
        let Some(eyes) = &self.reading.world.eyes else {
            return super::described::is_described(tool)
                || [
                    "ts-node",
                    "tsx",
                    "nodemon",
                    "concurrently",
                    "cross-env",
                    "rimraf",
                ]
                .contains(&tool);
        };
        let folders = ["node_modules/.bin", ".venv/bin"];
        !tool.contains(['/', '@'])
            && folders.iter().any(|folder| {
                let path = self.reading.world.root.join(folder).join(tool);
                eyes.known_program(&path).is_some()
            })
    }

    fn node_tool(
        &mut self,
        name: &str,
        verb: &str,
        options: &Options,
        rest: &[String],
        stdin: &str,
    ) {
        for code in options.values(&["c", "call"]) {
            drop(self.run_text(code, name, String::new()));
        }
        if verb == "pkg" && rest.first().is_some_and(|word| word == "set") {
            self.scripts_set(name, rest);
        }
        let is_offline = options.has(&["offline"]) || rest.iter().any(|arg| arg == "--offline");
        match verb {
            "exec" | "x" => {
                let inner = Options::leading(rest, "c", &["call", "package"]);
                for code in inner.values(&["c", "call"]) {
                    drop(self.run_text(code, name, String::new()));
                }
                let fetches = |tool: &String| {
                    !tool.contains('/')
                        && !self.is_installed(tool)
                        && super::table::family(tool).is_none()
                };
                // pnpm runs what is installed, or nothing.
                if name != "pnpm" && inner.rest.first().is_some_and(fetches) {
                    self.reading.does(
                        EffectKind::PackageInstall,
                        format!("{name} {verb} fetches and runs a foreign program"),
                    );
                }
                drop(self.dispatch(inner.rest.clone(), stdin.to_owned()));
            }
            "run" | "run-script" | "test" | "t" | "start" | "stop" | "restart" | "rum" | "urn" => {
                self.package_script(verb, rest);
            }
            "config" | "ls" | "list" | "version" | "--version" | "-v" | "root" | "prefix"
            | "bin" | "why" | "pack" | "help" | "cache" | "explain" | "fund" | "doctor" => {
                if verb == "config" && rest.first().is_some_and(|word| word == "set") {
                    self.reading.does(
                        EffectKind::Persistence,
                        format!("{name} config changes settings of the account"),
                    );
                }
            }
            "init" | "innit" | "create" if rest.iter().any(|word| !word.starts_with('-')) => {
                self.reading.does(
                    EffectKind::PackageInstall,
                    format!("{name} {verb} fetches and runs a foreign program"),
                );
            }
            "view" | "info" | "ping" | "search" | "whoami" | "outdated" | "audit" | "show"
                if is_offline => {}
            "" if name == "yarn" && !is_offline => self.reading.does(
                EffectKind::PackageInstall,
                "yarn brings in foreign programs",
            ),
            "view" | "info" | "ping" | "search" | "whoami" | "outdated" | "audit" | "show"
                if !is_offline =>
            {
                self.reading.does(
                    EffectKind::Network,
                    format!("{name} {verb} asks a registry"),
                );
            }
            _ => {
                let words: Vec<String> = std::iter::once(verb.to_owned())
                    .chain(rest.iter().cloned())
                    .collect();
                self.verb(name, &words, rest);
            }
        }
    }

    fn cargo(&mut self, verb: &str, options: &Options, rest: &[String]) {
        for setting in options.values(&["config"]) {
            if ["runner", "rustc-wrapper", "linker", "credential"]
                .iter()
                .any(|key| setting.contains(key))
            {
                self.reading
                    .opaque("cargo with a program set in the command");
            }
        }
        match verb {
            "install" | "add" | "update" | "fetch" | "binstall" | "publish" | "login"
            | "search" | "owner" | "yank" | "uninstall" | "generate-lockfile" | "vendor"
            | "info" => {
                if [
                    "fetch", "publish", "login", "search", "owner", "yank", "info", "update",
                ]
                .contains(&verb)
                {
                    self.reading.does(
                        EffectKind::Network,
                        format!("cargo {verb} talks to a registry"),
                    );
                } else {
                    self.reading.does(
                        EffectKind::PackageInstall,
                        format!("cargo {verb} brings in or removes foreign programs"),
                    );
                }
            }
            _ if verb.starts_with('+') => {
                let (verb, rest) = rest
                    .split_first()
                    .map_or(("", rest), |(verb, rest)| (verb.as_str(), rest));
                self.cargo(verb, options, rest);
            }
            _ => {
                self.cargo_verb(verb);
                for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"] {
                    let folder = self.lookup(name).unwrap_or_default().concat();
                    if verb == "clean" && !folder.is_empty() {
                        self.deletes(&folder);
                    }
                }
                let inner = Options::parse(rest, "", &["target-dir", "out-dir"]);
                for folder in inner.values(&["target-dir", "out-dir"]) {
                    self.writes(folder);
                }
            }
        }
    }

    fn go_tool(&mut self, verb: &str, rest: &[String]) {
        if verb == "build" || verb == "test" {
            let words = Options::parse(rest, "o", &["o", "ldflags", "gcflags", "tags", "p", "mod"]);
            if let Some(output) = words.value("o").map(str::to_owned) {
                self.changes(&output);
                self.builds(&output, &words.rest);
            }
        }
        let options = Options::parse(rest, "", &["exec", "toolexec"]);
        for (name, value) in &options.given {
            if let (true, Some(code)) = (name.contains("exec"), value) {
                drop(self.run_text(code, "go", String::new()));
            }
        }
        match verb {
            "get" | "install" => self.reading.does(
                EffectKind::PackageInstall,
                format!("go {verb} brings in foreign programs"),
            ),
            "run" if options.rest.first().is_some_and(|word| word.contains('@')) => {
                self.reading.does(
                    EffectKind::PackageInstall,
                    "go run fetches and runs a foreign program",
                );
            }
            "mod" if rest.first().is_some_and(|word| word == "download") => self
                .reading
                .does(EffectKind::Network, "go mod download fetches modules"),
            "env" if rest.iter().any(|word| word == "-w") => self.reading.does(
                EffectKind::Persistence,
                "go env -w changes settings of the account",
            ),
            _ => {
                let at = rest
                    .iter()
                    .position(|word| word == "-exec" || word == "-toolexec");
                if let Some(code) = at.and_then(|at| rest.get(at + 1)) {
                    drop(self.run_text(&code.clone(), "go", String::new()));
                }
            }
        }
    }
}

/// Takes the options in front of the verb off.
pub(super) fn leading_options(name: &str, args: &[String]) -> Options {
    // For pnpm the letter stands for the root of the workspace.
    let letters = if name == "npm" { "Ccw" } else { "Cc" };
    Options::leading(
        args,
        letters,
        &[
            "workspace",
            "prefix",
            "cwd",
            "dir",
            "directory",
            "config",
            "manifest-path",
            "registry",
            "userconfig",
            "loglevel",
            "call",
        ],
    )
}

/// Returns whether bun is told to run code or a file rather than one of its verbs.
fn is_bun_file(verb: &str, args: &[String]) -> bool {
    let first = if verb == "run" {
        args.get(1)
    } else {
        args.first()
    };
    let code = ["-e", "--eval", "-p", "--print", "-r", "--preload"];
    let named = |arg: &String| {
        let name = arg.split('=').next().unwrap_or(arg);
        code.contains(&name)
    };
    let ends = ["js", "ts", "mjs", "mts", "cjs", "cts", "jsx", "tsx"];
    let is_file = |word: &String| {
        let end = word.rsplit_once('.').map(|(_, end)| end);
        word.contains('/') || end.is_some_and(|end| ends.contains(&end))
    };
    args.iter().take(3).any(named) || first.is_some_and(is_file)
}

fn after_options(words: &[String]) -> Vec<String> {
    Options::leading(
        words,
        "pn",
        &[
            "with",
            "python",
            "name",
            "prefix",
            "env-file",
            "group",
            "only-group",
            "no-group",
            "extra",
            "package",
        ],
    )
    .rest
}
