//! Programs that talk to other machines.

use crate::domain::policy::{
    partial_text::{UNKNOWN, base_name, is_vague},
    programs::{Options, cloud, is_in, vague_code},
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Words with which these programs only answer about themselves or this machine.
const LOCAL: &[&str] = &[
    "--version",
    "-V",
    "--help",
    "-h",
    "version",
    "help",
    "config",
    "--manual",
    "auth",
    "completion",
];
/// Subcommands of container programs that only ask, or build what the project describes.
const DOCKER: &[&str] = &[
    "ps", "images", "info", "logs", "inspect", "version", "build", "top", "stats", "port", "diff",
    "history", "events",
];
/// The same behind `compose`, `image` and their like.
const DOCKER_INNER: &[&str] = &[
    "ps", "ls", "list", "logs", "config", "images", "inspect", "top", "version", "build",
    "history", "port", "events", "df", "show",
];
/// Subcommands that stay on this machine, also of programs that change others (`remote`).
const LOCAL_VERBS: &[(&str, &[&str])] = &[
    ("svn", &["status", "diff", "add", "revert", "info", "log"]),
    (
        "hg",
        &[
            "status", "diff", "add", "commit", "log", "summary", "branch", "init", "annotate",
            "cat",
        ],
    ),
    ("bzr", &["status", "diff", "add", "commit", "log"]),
    ("docker", DOCKER),
    ("podman", DOCKER),
    ("nerdctl", DOCKER),
    (
        "kubectl",
        &[
            "version",
            "config",
            "get",
            "describe",
            "logs",
            "top",
            "explain",
            "api-resources",
            "api-versions",
            "cluster-info",
            "diff",
            "kustomize",
            "wait",
            "events",
        ],
    ),
    ("helm", &["template", "lint", "version"]),
    ("tailscale", &["status"]),
    ("multipass", &["list", "ls", "info", "networks", "aliases"]),
    ("gh", &["status"]),
    ("terraform", &["graph", "providers"]),
    ("tofu", &["graph", "providers"]),
    ("vagrant", &["status", "global-status", "validate"]),
    (
        "dvc",
        &[
            "status", "diff", "dag", "repro", "metrics", "params", "stage", "root",
        ],
    ),
];

/// Returns whether a client of a database is told to empty it, or to run code that nobody reads.
fn destroys_data(name: &str, args: &[String]) -> bool {
    let words: &[&str] = match name {
        "redis-cli" => &[
            "flushall",
            "flushdb",
            "shutdown",
            "config",
            "eval",
            "script",
            "module",
            "replicaof",
            "slaveof",
            "debug",
            "swapdb",
        ],
        "mongosh" | "mongo" => &[
            "dropdatabase",
            ".drop(",
            "load(",
            "deletemany",
            ".remove(",
            "require(",
            "child_process",
            "shutdown",
            "runcommand",
        ],
        _ => return false,
    };
    args.iter().any(|arg| {
        let arg = arg.to_lowercase();
        words.iter().any(|word| {
            if name == "redis-cli" {
                arg == *word
            } else {
                arg.contains(word)
            }
        })
    })
}

impl ShellInterpreter<'_, '_> {
    /// Looks at clients of databases.
    fn destroys(&mut self, name: &str, args: &[String]) {
        if destroys_data(name, args) {
            let what = format!("{name} destroys what a server holds");
            self.reading.does(EffectKind::System, what);
        }
    }

    /// Looks at a program that talks to other machines.
    pub(super) fn network(&mut self, name: &str, args: &[String], stdin: String) -> String {
        self.sent_files(name, args);
        if is_local(name, args) {
            return UNKNOWN.to_string();
        }
        self.destroys(name, args);
        if super::loopback::is_loopback_only(name, args) {
            self.fetched_files(name, args);
            return UNKNOWN.to_string();
        }
        if [
            "gh", "glab", "hub", "aws", "gcloud", "az", "gsutil", "kubectl", "helm", "heroku",
            "vercel", "netlify", "fly", "flyctl", "doctl",
        ]
        .contains(&name)
        {
            let options = Options::leading(
                args,
                "RrnC",
                &[
                    "repo",
                    "profile",
                    "region",
                    "project",
                    "namespace",
                    "context",
                    "app",
                ],
            );
            let mut words: Vec<&str> = options.rest.iter().map(String::as_str).collect();
            if words.is_empty() && ["vercel", "netlify"].contains(&name) {
                words.push("deploy");
            }
            self.remote_verb(name, &words);
            return UNKNOWN.to_string();
        }
        match name {
            "ssh" | "autossh" | "scp" | "sftp" | "sshfs" | "mosh" | "ssh-copy-id" => {
                self.ssh(name, args);
            }
            "sshpass" => {
                let options = Options::leading(args, "pfd", &[]);
                return self.dispatch(options.rest, stdin);
            }
            "nc" | "ncat" | "netcat" | "nc.openbsd" | "nc.traditional" => self.netcat(args),
            "socat" => self.socat(args),
            "docker" | "podman" | "nerdctl" => {
                self.container(name, args);
                let is_set = self
                    .has_set(|name| name.starts_with("COMPOSE_") || name.starts_with("DOCKER_"));
                let has_services = self.has_made(|path| base_name(path).contains("compose"));
                if let Some(inner) = in_service(args).filter(|_| !is_set && !has_services) {
                    return self.dispatch(inner, stdin);
                }
            }
            _ => {}
        }
        let only_files = !args.is_empty()
            && ["curl", "wget", "fetch"].contains(&name)
            && args.iter().any(|arg| arg.starts_with("file:"))
            && !args
                .iter()
                .any(|arg| arg.contains("://") && !arg.starts_with("file:"));
        if !only_files {
            self.reading.does(
                EffectKind::Network,
                format!("{name} talks to another machine"),
            );
        }
        self.fetched_files(name, args);
        UNKNOWN.to_string()
    }

    /// Records the files a program writes what it fetched into.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each name, and an arm is a line or two"
    )]
    fn fetched_files(&mut self, name: &str, args: &[String]) {
        let (short, long): (&str, &[&str]) = match name {
            "curl" => (
                "oDcKXHdFuAebTxmrwyYzEQtP",
                &[
                    "output",
                    "dump-header",
                    "cookie-jar",
                    "output-dir",
                    "trace",
                    "stderr",
                    "config",
                    "data",
                    "header",
                ],
            ),
            "wget" | "wget2" => (
                "OPoaitTwQUS",
                &[
                    "output-document",
                    "directory-prefix",
                    "output-file",
                    "use-askpass",
                ],
            ),
            "aria2c" => ("odl", &["out", "dir", "log"]),
            "scp" | "rcp" => ("SoFiPlcJ", &[]),
            _ => return,
        };
        let options = Options::parse(args, short, long);
        let named: Vec<String> = match name {
            "scp" | "rcp" => options
                .rest
                .last()
                .filter(|path| !super::transfer::is_remote(path))
                .cloned()
                .into_iter()
                .collect(),
            "curl" => options
                .values(&[
                    "o",
                    "output",
                    "D",
                    "dump-header",
                    "c",
                    "cookie-jar",
                    "output-dir",
                    "trace",
                    "stderr",
                ])
                .map(str::to_owned)
                .collect(),
            "wget" | "wget2" => options
                .values(&[
                    "O",
                    "output-document",
                    "P",
                    "directory-prefix",
                    "o",
                    "output-file",
                ])
                .map(str::to_owned)
                .collect(),
            _ => options
                .values(&["o", "out", "d", "dir", "l", "log"])
                .map(str::to_owned)
                .collect(),
        };
        for file in named.iter().filter(|file| *file != "-") {
            self.writes(file);
            self.remember(file, &UNKNOWN.to_string(), true);
        }
        for code in options.values(&["use-askpass"]) {
            drop(self.run_text(code, name, String::new()));
        }
    }

    /// Records the files that curl is told to send: `@file`, `-T file`.
    fn sent_files(&mut self, name: &str, args: &[String]) {
        if name != "curl" {
            return;
        }
        for arg in args {
            let file = arg.split_once('@').filter(|(head, _)| {
                head.is_empty() || head.ends_with('=') || head.starts_with('-')
            });
            if let Some((_, file)) = file {
                self.reads(file);
            }
        }
        let options = Options::parse(args, "T", &["upload-file"]);
        for file in options.values(&["T", "upload-file"]) {
            self.reads(file);
        }
    }

    fn ssh(&mut self, name: &str, args: &[String]) {
        let short = if name == "scp" || name == "sftp" {
            "SoFiPlcJBRbDX"
        } else {
            "oFiplLRDJWbceEmOQSwBI"
        };
        let options = Options::leading(args, short, &["ssh"]);
        for setting in options.values(&["o"]) {
            let (key, value) = setting.split_once(['=', ' ']).unwrap_or((setting, ""));
            let key = key.to_lowercase();
            if ["proxycommand", "localcommand", "knownhostscommand"].contains(&key.as_str()) {
                vague_code(self, value, name);
                drop(self.run_text(value, name, String::new()));
            }
            if ["pkcs11provider", "securitykeyprovider"].contains(&key.as_str()) {
                self.reading.opaque(format!("{name} loads a library"));
            }
        }
        if name == "ssh" && removes_there(options.rest.get(1..).unwrap_or_default()) {
            let why = "ssh removes or ends what is on another machine";
            self.reading.does(EffectKind::System, why);
        }
        if name == "scp" || name == "sftp" {
            for program in options.values(&["S", "D"]) {
                drop(self.dispatch(vec![program.to_owned()], String::new()));
            }
        }
        if name == "mosh" {
            for code in options.values(&["ssh"]) {
                drop(self.run_text(code, name, String::new()));
            }
        }
    }

    fn netcat(&mut self, args: &[String]) {
        let options = Options::parse(args, "ecpwsqiIOTXx", &["exec", "sh-exec", "lua-exec"]);
        for code in options.values(&["e", "c", "exec", "sh-exec"]) {
            drop(self.run_text(code, "nc", String::new()));
        }
    }

    fn socat(&mut self, args: &[String]) {
        for arg in args {
            let (kind, code) = arg.split_once(':').unwrap_or((arg, ""));
            match kind.to_uppercase().as_str() {
                "EXEC" | "SYSTEM" | "SHELL" => {
                    let code = code.split(',').next().unwrap_or(code);
                    drop(self.run_text(code, "socat", String::new()));
                }
                "OPEN" | "CREATE" | "FILE" | "GOPEN" => {
                    self.writes(code.split(',').next().unwrap_or(code));
                }
                _ => {}
            }
        }
    }

    fn container(&mut self, name: &str, args: &[String]) {
        let options = Options::parse(args, "v", &["volume", "mount"]);
        for mount in options.values(&["v", "volume", "mount"]) {
            let source = mount.split(':').next().unwrap_or(mount);
            if source.starts_with('/') || is_vague(source) {
                self.writes(source);
            }
        }
        if options.has(&["privileged"])
            || options
                .rest
                .iter()
                .any(|word| ["rm", "rmi", "prune", "kill", "down"].contains(&word.as_str()))
        {
            self.reading.does(
                EffectKind::System,
                format!("{name} changes containers or takes rights of the system"),
            );
        }
    }
}

/// Returns what runs in a container of the project's own services: `docker compose exec -T db psql`. It is judged as if it ran here: the folder it
/// runs in is most often this one, so another one (`-w`) is not understood, and variables (`-e A=b`) stand in front of it.
fn in_service(args: &[String]) -> Option<Vec<String>> {
    const TAME: &str =
        "-T -i -t -it -ti --rm --no-deps -q --quiet --quiet-pull --no-TTY --interactive";
    let [compose, verb, rest @ ..] = args else {
        return None;
    };
    if compose != "compose" || !is_in("exec run", verb) {
        return None;
    }
    let mut settings = Vec::new();
    let mut at = 0;
    while let Some(option) = rest.get(at).filter(|word| word.starts_with('-')) {
        let value = match option.split_once('=') {
            Some(("--env", value)) => Some(value.to_owned()),
            None if is_in("-e --env", option) => {
                at += 1;
                Some(rest.get(at)?.clone())
            }
            None if is_in(TAME, option) => None,
            _ => return None,
        };
        // Without a value it is that of this shell.
        if value.as_ref().is_some_and(|value| !value.contains('=')) {
            return None;
        }
        settings.extend(value);
        at += 1;
    }
    let command = rest.get(at + 1..)?;
    let is_named = rest.get(at).is_some_and(|service| !is_vague(service));
    if !is_named || command.is_empty() {
        return None;
    }
    if !settings.is_empty() {
        settings.insert(0, "env".to_owned());
    }
    settings.extend(command.iter().cloned());
    Some(settings)
}

/// Returns whether a program stays on this machine with this subcommand.
pub(super) fn is_local_verb(name: &str, verb: &str) -> bool {
    let mut own = LOCAL_VERBS.iter().filter(|(program, _)| *program == name);
    own.any(|(_, verbs)| verbs.contains(&verb))
}

/// Returns whether the program of a forge only asks the one that is set up for this project about what everybody working on it sees.
fn asks_forge(name: &str, args: &[String]) -> bool {
    const ASKS: &str = "view list ls checks diff status watch";
    const ABOUT: &str =
        "pr issue run release repo workflow label cache ruleset milestone mr ci pipeline project";
    let away = ["--web", "-w", "--hostname", "--repo", "-R"];
    let elsewhere = args.iter().any(|arg| {
        let option = arg.split('=').next().unwrap_or(arg);
        away.contains(&option) || arg.starts_with("-R") || arg.contains("://")
    });
    ["gh", "glab"].contains(&name)
        && !elsewhere
        && matches!(args, [about, asks, ..] if is_in(ABOUT, about) && is_in(ASKS, asks))
}

/// Returns whether two words together only ask, of verbs that change something with others behind them.
fn asks_more(name: &str, words: &[String]) -> bool {
    let both = words.first().zip(words.get(1));
    let both = both.map(|(verb, inner)| (verb.as_str(), inner.as_str()));
    match (name, both) {
        ("helm", Some(("show", _))) => words.iter().any(|word| word.starts_with("./")),
        ("helm", Some(("dependency" | "dep" | "plugin", "list" | "ls"))) => true,
        ("kubectl", Some(("rollout", "status" | "history"))) => true,
        ("kubectl", Some(("auth", "can-i" | "whoami"))) => true,
        _ => false,
    }
}

/// Returns whether ssh only shows which settings it would use.
fn is_dry_ssh(name: &str, args: &[String]) -> bool {
    let options: Vec<&String> = args.iter().filter(|arg| arg.starts_with('-')).collect();
    name == "ssh" && matches!(options.as_slice(), [only] if *only == "-G" || *only == "-V")
}

fn is_local(name: &str, args: &[String]) -> bool {
    let Some(first) = args.first() else {
        return true;
    };
    if asks_forge(name, args) || cloud::asks(name, args) || is_dry_ssh(name, args) {
        return true;
    }
    if args.iter().any(|arg| arg == "--help") && !args.iter().any(|arg| arg.contains("://")) {
        return true;
    }
    if args.len() == 1 && LOCAL.contains(&first.as_str()) {
        return true;
    }
    let options = Options::leading(
        args,
        "nfp",
        &["namespace", "context", "file", "project-name", "kubeconfig"],
    );
    let mut words = options.rest.iter().map(String::as_str);
    let (first, inner) = (words.next().unwrap_or(first), words);
    let is_container = ["docker", "podman", "nerdctl"].contains(&name);
    if is_container
        && [
            "compose",
            "image",
            "container",
            "network",
            "volume",
            "context",
            "system",
            "buildx",
            "builder",
        ]
        .contains(&first)
    {
        let rest: Vec<String> = inner.map(str::to_owned).collect();
        let options = Options::leading(
            &rest,
            "fp",
            &[
                "file",
                "project-name",
                "profile",
                "env-file",
                "project-directory",
            ],
        );
        return options
            .rest
            .first()
            .is_none_or(|verb| DOCKER_INNER.contains(&verb.as_str()));
    }
    if name == "kubectl" && kubectl_tells_more(&options.rest) {
        return false;
    }
    if asks_more(name, &options.rest) {
        return true;
    }
    let dry = |arg: &String| {
        ["--dry-run", "--dry-run=client", "--dry-run=server"].contains(&arg.as_str())
    };
    if name == "kubectl"
        && args.iter().any(dry)
        && ["apply", "create", "run", "delete", "replace"].contains(&first)
    {
        return true;
    }
    is_local_verb(name, first) || (name == "mc" && !args.iter().any(|arg| arg.contains("://")))
}

/// Returns whether kubectl changes its own settings, or shows what is secret.
fn kubectl_tells_more(words: &[String]) -> bool {
    let asks = |verb: &String| {
        verb.contains("view") || verb.starts_with("get") || verb.starts_with("current")
    };
    let sets = words.first().is_some_and(|verb| verb == "config")
        && words.get(1).is_some_and(|verb| !asks(verb));
    sets || words.iter().any(|word| word.starts_with("secret"))
}

/// Returns whether a command for another machine removes something there, or ends it.
fn removes_there(words: &[String]) -> bool {
    const PROGRAMS: [&str; 14] = [
        "rm", "rmdir", "unlink", "shred", "dd", "wipefs", "truncate", "reboot", "shutdown",
        "poweroff", "halt", "userdel", "dropdb", "mkfs",
    ];
    words.iter().any(|text| {
        let parts = text.split(|c: char| c.is_whitespace() || ";|&()`'\"".contains(c));
        let mut names = parts.map(crate::domain::policy::partial_text::base_name);
        names.any(|name| PROGRAMS.contains(&name) || name.starts_with("mkfs."))
    })
}
