//! Programs that run another program: peeled by the data of the table.

use crate::domain::policy::{
    partial_text::UNKNOWN,
    programs::{Options, is_in, table::WrapperSpec},
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Returns words without the numbers in front of them: how often, and after which time.
fn without_numbers(args: &[String]) -> &[String] {
    let is_number = |arg: &String| arg.trim_end_matches('s').parse::<f64>().is_ok();
    let first = args.iter().position(|arg| !is_number(arg));
    args.get(first.unwrap_or(args.len())..).unwrap_or_default()
}

impl ShellInterpreter<'_, '_> {
    /// Peels a wrapper off and looks at what is inside.
    pub(super) fn wrapper(
        &mut self,
        name: &str,
        spec: &WrapperSpec,
        args: &[String],
        stdin: String,
    ) -> String {
        if !self.reading.enter(name) {
            return UNKNOWN.to_string();
        }
        if args.first().is_some_and(|verb| verb == "publish") {
            self.reading.does(
                EffectKind::Network,
                format!("{name} publish sends to another machine"),
            );
        }
        let args = if name == "retry" {
            without_numbers(args)
        } else {
            args
        };
        let printed = self.peeled(name, spec, args, stdin);
        self.reading.leave();
        printed
    }

    fn peeled(&mut self, name: &str, spec: &WrapperSpec, args: &[String], stdin: String) -> String {
        match name {
            "cmd" => {
                super::super::cmd::read_line(self, args);
                return UNKNOWN.to_string();
            }
            "command" if args.first().is_some_and(|arg| arg == "-v" || arg == "-V") => {
                return self.printer("which", args.get(1..).unwrap_or_default(), &stdin);
            }
            "env" => {
                if let Some(text) = split_string(args) {
                    let text = text
                        .replace("\\_", " ")
                        .replace("\\t", " ")
                        .replace("\\c", "");
                    return self.run_text(&text, name, stdin);
                }
            }
            _ => {}
        }
        let options = Options::leading(args, spec.short, &spec.long);
        if ["pssh", "parallel-ssh", "pdsh", "dsh", "ansible"].contains(&name)
            && !super::is_question(args)
        {
            self.reading.does(
                EffectKind::Network,
                format!("{name} runs commands on other machines"),
            );
        }
        self.run_coded(name, spec, &options, &stdin);
        self.apart(name, &options);
        let mut words: &[String] = &options.rest;
        if spec.assigns {
            words = self.assigned(words);
        }
        // `flock FILE COMMAND` and its like have arguments of their own first.
        let skip = if name == "script" && options.has(&["c", "command"]) {
            words.len()
        } else {
            spec.skip
        };
        words = words.get(skip..).unwrap_or_default();
        if let Some(text) = typed(name, words) {
            return self.run_text(&text, name, stdin);
        }
        let inner = inner_command(name, words);
        if inner.is_empty() && !words.is_empty() {
            self.managed(name, words);
        }
        words = inner;
        let of_command;
        if ["micromamba", "mamba"].contains(&name) {
            of_command = Options::leading(words, "npr", &["name", "prefix", "cwd"]).rest;
            words = &of_command;
        }
        if name == "flock"
            && words
                .first()
                .is_some_and(|word| word == "-c" || word == "--command")
        {
            return self.run_text(&words.get(1..).unwrap_or_default().join(" "), name, stdin);
        }
        let folder = options.value("C").or_else(|| options.value("chdir"));
        match folder.filter(|_| name == "env") {
            Some(folder) => self.aside(|shell| {
                shell.go_to(folder);
                shell.inner(name, spec, words, stdin)
            }),
            None => self.inner(name, spec, words, stdin),
        }
    }

    fn inner(&mut self, name: &str, spec: &WrapperSpec, words: &[String], stdin: String) -> String {
        let shell = name == "sudo"
            || name == "doas"
            || name == "su"
            || name == "chroot"
            || name == "unshare"
            || name == "script";
        match words {
            [] if shell && !stdin.is_empty() => {
                super::vague_code(self, &stdin, name);
                self.run_text(&stdin, name, String::new())
            }
            [] => String::new(),
            [only] if only.contains(char::is_whitespace) => self.run_text(only, name, stdin),
            _ if spec.each || (spec.joined && name == "hyperfine") => {
                for word in words {
                    drop(self.run_text(&script_in_full(word), name, String::new()));
                }
                String::new()
            }
            _ if spec.joined => {
                // Some of these hand the words on as they are when they are told to.
                drop(self.aside(|shell| shell.dispatch(words.to_vec(), stdin.clone())));
                self.run_text(&words.join(" "), name, stdin)
            }
            [first, args @ ..] if self.is_script_of(name, first) => {
                self.told(first, args);
                self.runs_project();
                UNKNOWN.to_string()
            }
            [file, ..] if name == "nodemon" && file.contains('.') && !file.contains('/') => {
                let mut all = vec![interpreter_of(file).to_owned()];
                all.extend(words.iter().cloned());
                self.aside(|shell| shell.dispatch(all, stdin))
            }
            _ => self.aside(|shell| {
                if ["command", "builtin", "env"].contains(&name) {
                    // These pass functions by.
                    drop(
                        words
                            .first()
                            .and_then(|word| shell.state.functions.remove(word)),
                    );
                }
                shell.dispatch(words.to_vec(), stdin)
            }),
        }
    }

    /// Returns whether a word names a script that the project itself defines for this runner.
    fn is_script_of(&self, runner: &str, word: &str) -> bool {
        let runners = ["pdm", "hatch", "rye", "pixi", "poetry", "pipenv"];
        runners.contains(&runner)
            && !word.contains('/')
            && !super::super::partial_text::is_vague(word)
            && super::table::family(word).is_none()
            && !self.state.functions.contains_key(word)
    }

    fn run_coded(&mut self, name: &str, spec: &WrapperSpec, options: &Options, stdin: &str) {
        for code in options.values(&spec.code) {
            super::vague_code(self, code, name);
            if name == "expect" {
                super::scan_code(self, super::Language::Tcl, code);
            } else {
                drop(self.run_text(code, name, stdin.to_owned()));
            }
        }
    }

    /// Says what some wrappers do besides running something.
    fn apart(&mut self, name: &str, options: &Options) {
        match name {
            "systemd-run"
                if options.has(&[
                    "on-calendar",
                    "on-boot",
                    "on-active",
                    "on-startup",
                    "timer-property",
                ]) =>
            {
                self.reading.does(
                    EffectKind::Persistence,
                    "a timer of the system runs it later",
                );
            }
            "torsocks" | "torify" | "proxychains" | "proxychains4" | "tsocks" => {
                self.reading.does(
                    EffectKind::Network,
                    format!("{name} goes through another machine"),
                );
            }
            "script" => {
                if let Some(file) = options.rest.last() {
                    self.writes(&file.clone());
                }
            }
            _ => {
                for file in options.values(&["o", "output"]) {
                    let file = file.to_owned();
                    if ["strace", "ltrace", "time"].contains(&name) && !file.starts_with(['L', '0'])
                    {
                        self.writes(&file);
                    }
                }
            }
        }
    }

    /// Takes `NAME=value` words away, looking at each.
    fn assigned<'a>(&mut self, words: &'a [String]) -> &'a [String] {
        let mut rest = words;
        while let Some((first, tail)) = rest.split_first() {
            let Some((name, value)) = first.split_once('=') else {
                break;
            };
            if name.contains('/') {
                break;
            }
            self.assign(name, vec![value.to_owned()]);
            super::inspect_variable(self, name, value);
            rest = tail;
        }
        rest
    }
}

/// Returns `npm run NAME` for the short form `npm:NAME`.
fn script_in_full(word: &str) -> String {
    match word.split_once(':') {
        Some((manager @ ("npm" | "pnpm" | "yarn" | "bun"), script)) => {
            format!("{manager} run {}", script.replace('*', "all"))
        }
        _ => word.to_owned(),
    }
}

/// Returns the interpreter that a watcher starts for a file, by its ending.
fn interpreter_of(file: &str) -> &'static str {
    match file.rsplit('.').next().unwrap_or("") {
        "py" => "python3",
        "rb" => "ruby",
        "pl" => "perl",
        "php" => "php",
        "sh" => "sh",
        "ts" | "mts" | "cts" | "tsx" => "ts-node",
        _ => "node",
    }
}

/// Returns the text of `env -S`, which is split like a command line.
fn split_string(args: &[String]) -> Option<String> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg
            .strip_prefix("--split-string=")
            .or_else(|| arg.strip_prefix("-S").filter(|text| !text.is_empty()))
            .or_else(|| arg.strip_prefix("-iS").filter(|text| !text.is_empty()))
            .or_else(|| arg.strip_prefix("-vS").filter(|text| !text.is_empty()));
        let rest = || {
            args.clone()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        };
        if let Some(text) = text {
            return Some(format!("{text} {}", rest()));
        }
        if arg == "-S"
            || arg == "--split-string"
            || (arg.starts_with('-') && !arg.starts_with("--") && arg.ends_with('S'))
        {
            return Some(rest());
        }
    }
    None
}

/// Returns the place behind the first of these words.
fn behind(words: &[String], marks: &[&str]) -> Option<usize> {
    let at = words.iter().position(|word| marks.contains(&word.as_str()));
    at.map(|at| at + 1)
}

/// Skips the options of a subcommand of tmux, those with a value of their own too.
fn behind_options(words: &[String]) -> &[String] {
    let mut words = words;
    while let [option, rest @ ..] = words
        && option.starts_with('-')
    {
        let takes = option.ends_with(|last| "sntcxyeFfl".contains(last));
        words = rest.get(usize::from(takes)..).unwrap_or_default();
    }
    words
}

/// Returns the text that keys make which tmux sends to a shell.
fn typed(name: &str, words: &[String]) -> Option<String> {
    const KEYS: &str = "Enter C-m C-c C-l Escape KPEnter";
    let (verb, rest) = words.split_first()?;
    let sends = name == "tmux" && ["send-keys", "send"].contains(&verb.as_str());
    let keys = behind_options(rest).iter().map(String::as_str);
    let text: Vec<&str> = keys.filter(|word| !is_in(KEYS, word)).collect();
    sends.then(|| text.join(" "))
}

/// Skips the options of perf that have a value of their own.
fn behind_values(words: &[String]) -> &[String] {
    let mut words = words;
    while let [option, rest @ ..] = words
        && option.starts_with('-')
        && option != "--"
    {
        let values = "-e -o -p -r -C -I -F -t -D --call-graph --event --output --repeat --freq --count --delay --cgroup --cpu";
        words = rest
            .get(usize::from(is_in(values, option))..)
            .unwrap_or_default();
    }
    words
}

/// Skips the subcommands with which some wrappers say that a command follows.
fn inner_command<'a>(name: &str, words: &'a [String]) -> &'a [String] {
    let at =
        match name {
            "poetry" | "pipenv" | "volta" | "pixi" | "rye" | "hatch" | "pdm" | "devbox"
            | "toolbox" | "doppler" | "op" | "infisical" | "teller" | "dotenvx" | "micromamba"
            | "mamba" => behind(words, &["run", "shell"]),
            "flox" => behind(words, &["activate", "--"]),
            "chamber" | "aws-vault" => behind(words, &["exec"]).map(|at| at + 1),
            "bundle" | "mise" | "asdf" | "pyenv" | "nodenv" | "goenv" | "jenv" | "plenv"
            | "phpenv" => behind(words, &["exec", "x"]),
            "rbenv" => behind(words, &["exec"]),
            "direnv" => behind(words, &["exec"]).map(|at| at + 1),
            "nix" => behind(words, &["-c", "--command", "--"]),
            "guix" => behind(words, &["--"]),
            "distrobox" => behind(words, &["--", "-e"]),
            "perf" => words
                .first()
                .filter(|word| ["stat", "record", "trace"].contains(&word.as_str()))
                .map(|_| 1),
            "tmux" => words
                .first()
                .filter(|word| word.starts_with("new") || word.contains('-') || *word == "run")
                .map(|_| 1),
            "machinectl" => words.first().filter(|word| *word == "shell").map(|_| 2),
            _ => Some(0),
        };
    // Options of the subcommand itself.
    let words = at.and_then(|at| words.get(at..)).unwrap_or_default();
    let words = match name {
        "perf" => behind_values(words),
        "tmux" => behind_options(words),
        _ => words,
    };
    let own = matches!(
        name,
        "perf"
            | "tmux"
            | "poetry"
            | "bundle"
            | "mise"
            | "direnv"
            | "bwrap"
            | "firejail"
            | "volta"
            | "pixi"
            | "rye"
            | "hatch"
            | "pdm"
            | "devbox"
            | "toolbox"
            | "doppler"
            | "op"
            | "infisical"
            | "teller"
            | "dotenvx"
            | "flox"
            | "chamber"
            | "aws-vault"
            | "pipenv"
            | "arch"
            | "valgrind"
            | "setpriv"
            | "capsh"
    );
    if !own {
        return words;
    }
    let start = words.iter().position(|word| !word.starts_with('-'));
    start.and_then(|at| words.get(at..)).unwrap_or_default()
}
