//! Interpreters of other languages: where their code comes from.

use crate::domain::policy::{
    partial_text::UNKNOWN,
    programs::{Language, Options, is_stream, scan_code, vague_code},
    rule::EffectKind,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    /// Looks at files that Perl or Ruby edit where they lie.
    fn edited_in_place(&mut self, args: &[String], options: &Options, codes: &[&str]) {
        // What prints no line back leaves none.
        let keeps = |code: &str| {
            !matches!(
                code.trim(),
                "" | "$_=\"\"" | "$_=''" | "undef $_" | "$_ = ''"
            )
        };
        let prints = args
            .iter()
            .any(|arg| arg.starts_with('-') && arg.contains('p'))
            || options
                .values(codes)
                .any(|code| code.contains("print") || code.contains("puts"));
        // What is kept by the number of its line is little.
        let by_number = |arg: &String| arg.contains("print if $.") || arg.contains("print if 0");
        let is_empty =
            !prints || options.values(codes).any(|code| !keeps(code)) || args.iter().any(by_number);
        for file in &options.rest {
            if is_empty {
                self.empties(file);
            }
            for code in options.values(codes) {
                self.bends_checks(code, file);
            }
            self.edits(file);
        }
    }

    /// Looks at an interpreter of another language.
    pub(super) fn language(
        &mut self,
        language: Language,
        name: &str,
        args: &[String],
        stdin: &str,
    ) -> String {
        let (codes, values) = code_options(language);
        if name == "osascript" && !args.is_empty() {
            self.reading.opaque("code of AppleScript");
        }
        let clustered = split_code_letters(args, language);
        let options = if language == Language::Python {
            python_options(&clustered, values)
        } else {
            Options::leading(&clustered, values, LONG_VALUES)
        };
        for file in options.values(&["r", "require", "import", "loader", "I"]) {
            if file.starts_with("data:") {
                self.reading
                    .opaque(format!("{name} loads code that stands in an option"));
            } else if file.contains('/') && !file.contains("://") {
                self.runs_file(file);
            }
        }
        self.loads_options(language, name, &options);
        self.oddities(language, name, args, &options);
        let modules = modules_text(language, &options);
        let mut found = false;
        for code in options.values(codes) {
            found = true;
            scan_code(self, language, &format!("{modules}{code}"));
        }
        if !found && !modules.is_empty() {
            scan_code(self, language, &modules);
        }
        if matches!(language, Language::Perl | Language::Ruby)
            && args.iter().any(|arg| edits_in_place(arg))
        {
            self.edited_in_place(args, &options, codes);
        }
        for module in options.values(&["r", "require", "import", "loader"]) {
            if language == Language::JavaScript
                && let Some(code) = self.remembered(module)
            {
                scan_code(self, language, &code);
            }
        }
        if language == Language::Python
            && let Some(module) = options.value("m")
        {
            self.python_module(module, &options);
            return UNKNOWN.to_string();
        }
        if !found {
            self.language_file(language, name, &options, stdin);
        }
        self.changes_arguments(language, name, &options, stdin);
        UNKNOWN.to_string()
    }

    /// Looks at files outside of the project that code is called with, if it changes what it is called with.
    fn changes_arguments(
        &mut self,
        language: Language,
        name: &str,
        options: &Options,
        stdin: &str,
    ) {
        const GIVEN: [&str; 4] = ["ARGV", "sys.argv", "process.argv", "$argv"];
        const CHANGES: [&str; 15] = [
            "write",
            "Write",
            "'w'",
            "\"w\"",
            "'a'",
            "\"a\"",
            "unlink",
            "rmtree",
            "remove(",
            "rename",
            "rm_r",
            "truncate",
            "put_contents",
            "rmSync",
            "copyFile",
        ];
        if options.rest.is_empty() {
            return;
        }
        let (codes, _) = code_options(language);
        let mut own: Vec<String> = options
            .values(codes)
            .map(|code| code.replace("stdout.write", ""))
            .collect();
        if own.is_empty() {
            own.push(stdin.to_owned());
        }
        let in_code = |mark: &&str| own.iter().any(|code| code.contains(*mark));
        if !GIVEN.iter().any(in_code) || !CHANGES.iter().any(in_code) {
            return;
        }
        let foreign = options.rest.iter().find_map(|arg| self.leads_away(arg));
        if let Some(path) = foreign {
            self.reading.opaque(format!(
                "{name} with code that may change {path}, which is none of the project"
            ));
        }
    }

    /// Reads the program file, or the input, of an interpreter.
    fn language_file(&mut self, language: Language, name: &str, options: &Options, stdin: &str) {
        let mut rest = options.rest.iter();
        let file = rest.next();
        if name == "deno" && self.deno(&options.rest) {
            return;
        }
        match file {
            Some(file) if !is_stream(file) || self.remembered(file).is_some() => {
                self.reads(&file.clone());
                let installs = ["install", "develop", "upload", "register", "bdist_wininst"];
                let verb = options.rest.get(1).map_or("", String::as_str);
                if file.ends_with("setup.py") && installs.contains(&verb) {
                    self.reading.does(
                        EffectKind::PackageInstall,
                        format!("setup.py {verb} changes the installed packages or sends them"),
                    );
                }
                if let Some(code) = self.remembered(file) {
                    vague_code(self, &code, name);
                    let code = super::code_elsewhere::seen_from_here(language, file, code);
                    scan_code(self, language, &code);
                } else if file.contains("://") {
                    self.reading.does(
                        EffectKind::Network,
                        format!("{name} runs code from another machine"),
                    );
                } else if file.contains(UNKNOWN) {
                    self.reading.opaque(format!(
                        "{name} reads a file that is only known at run time"
                    ));
                } else {
                    self.runs_file(&file.clone());
                    self.runs_text(&file.clone());
                    self.runs_project();
                }
            }
            _ if !options.given.is_empty() && stdin.is_empty() => {}
            // It says what it is.
            _ if options.has(&["version", "help", "V"]) && options.rest.is_empty() => {}
            _ => scan_code(self, language, stdin),
        }
    }

    /// Looks at a verb of deno; returns whether it is one.
    fn deno(&mut self, args: &[String]) -> bool {
        let Some((verb, rest)) = args.split_first() else {
            return false;
        };
        let own = [
            "fmt", "lint", "task", "check", "cache", "info", "doc", "types", "init", "coverage",
        ];
        let brings = [
            "install",
            "i",
            "add",
            "remove",
            "uninstall",
            "upgrade",
            "publish",
            "deploy",
            "outdated",
            "jupyter",
            "x",
        ];
        if brings.contains(&verb.as_str()) {
            self.reading.does(
                EffectKind::PackageInstall,
                format!("deno {verb} brings in or sends foreign programs"),
            );
            return true;
        }
        if own.contains(&verb.as_str()) {
            self.foreign_files("deno", rest);
            self.runs_project();
            return true;
        }
        let runs = ["run", "eval", "test", "bench", "compile", "serve"];
        if !runs.contains(&verb.as_str()) {
            return false;
        }
        let values = [
            "config",
            "import-map",
            "cwd",
            "lock",
            "preload",
            "output",
            "filter",
            "ext",
            "env-file",
        ];
        let options = Options::leading(rest, "co", &values);
        for (option, value) in &options.given {
            if let Some(value) = value {
                self.foreign_files("deno", &[format!("--{option}={value}")]);
            }
        }
        match options.rest.first() {
            None => self.runs_project(),
            Some(code) if verb == "eval" => scan_code(self, Language::JavaScript, code),
            Some(file) => {
                let inner = Options {
                    given: Vec::new(),
                    rest: vec![file.clone()],
                };
                self.language_file(Language::JavaScript, "", &inner, "");
            }
        }
        true
    }

    /// Looks at what only one of the interpreters does.
    fn oddities(&mut self, language: Language, name: &str, args: &[String], options: &Options) {
        let debugs = |arg: &String| arg.starts_with("-d:") || arg.starts_with("-dt:");
        if language == Language::Ruby && args.iter().any(|arg| arg == "-run") {
            self.reading
                .opaque("ruby with its library of file commands");
        }
        if let Some((file, rest)) = options.rest.split_first() {
            self.told_code(name, rest);
            self.task_names(crate::domain::policy::partial_text::base_name(file), rest);
        }
        for arg in args {
            let listens = ["=0.0.0.0", " 0.0.0.0", "=[::]"]
                .iter()
                .any(|all| arg.contains(all));
            if listens || arg == "::" || arg.starts_with("0.0.0.0") {
                self.reading.does(
                    EffectKind::Network,
                    format!("{name} listens to other machines"),
                );
            }
        }
        if language == Language::Perl && args.iter().any(debugs) {
            self.reading.opaque("perl with a debugger of its own");
        }
        let magic = |code: &str| {
            code.lines()
                .any(|line| line.trim_start().starts_with(['!', '%']))
        };
        if name == "ipython" && options.values(&["c"]).any(magic) {
            self.reading.opaque("a command of ipython");
        }
        if let Some(address) = options.value("S").filter(|_| language == Language::Php)
            && (!super::leads_here(address) || options.value("t") == Some("/"))
        {
            self.reading
                .does(EffectKind::Network, "php serves other machines");
        }
    }

    /// Looks at options that name files and folders from which an interpreter loads code or settings.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything that is not named has no meaning here"
    )]
    fn loads_options(&mut self, language: Language, name: &str, options: &Options) {
        let others: &[&str] = match language {
            Language::Php => &["r", "B", "R", "E"],
            Language::Python => &["c", "m", "W", "X"],
            _ => &[
                "e", "E", "eval", "p", "print", "pe", "M", "m", "l", "x", "C", "F", "i", "execute",
            ],
        };
        for (option, value) in &options.given {
            let Some(value) = value else { continue };
            if language == Language::Php && option == "d" {
                let key = value.split('=').next().unwrap_or("");
                if !is_setting(key) {
                    self.reading
                        .opaque(format!("{name} with the setting `{key}`"));
                }
            } else if !others.contains(&option.as_str()) {
                self.foreign_files(name, &[format!("--file-{option}={value}")]);
            }
        }
    }

    /// Looks at modules that unpack an archive.
    fn unpacks(&mut self, args: &[String]) {
        let extracts = |arg: &String| arg == "-e" || arg == "--extract";
        let folder = args
            .iter()
            .position(extracts)
            .and_then(|at| args.get(at + 2));
        if let Some(folder) = folder {
            self.writes_below(folder);
        }
        self.files_in_words("zipfile", args);
    }

    fn python_module(&mut self, module: &str, options: &Options) {
        let is_tool = matches!(
            super::table::family(module),
            Some(super::ProgramFamily::Remote | super::ProgramFamily::Install)
        );
        if is_tool && !["pip", "easy_install"].contains(&module) {
            let words = std::iter::once(module.to_owned()).chain(options.rest.iter().cloned());
            drop(self.dispatch(words.collect(), String::new()));
            return;
        }
        self.edited_tasks(module, &options.rest);
        self.edited_builds(module, &options.rest);
        self.module_of_python(module, options);
    }

    fn module_of_python(&mut self, module: &str, options: &Options) {
        if module == "ensurepip" {
            self.reading.does(
                EffectKind::PackageInstall,
                "python -m ensurepip brings in foreign programs",
            );
        }
        match module {
            "pip" | "ensurepip" | "easy_install" => drop(self.install(
                if module == "ensurepip" {
                    "easy_install"
                } else {
                    module
                },
                &options.rest,
                "",
            )),
            // It serves the folder to whoever asks.
            "http.server" => self.foreign_files(module, &options.rest),
            "http" | "smtpd" | "ftplib" | "telnetlib" | "webbrowser" | "socketserver"
            | "pyftpdlib" | "xmlrpc.server" => {
                self.reading.does(
                    EffectKind::Network,
                    format!("python -m {module} opens a connection"),
                );
            }
            "timeit" => {
                for code in &options.rest {
                    scan_code(self, Language::Python, code);
                }
            }
            "pdb" => {
                let inner = Options::leading(&options.rest, "cm", &["command"]);
                for code in inner.values(&["c", "command"]) {
                    let code = code.trim_start_matches(['!', ' ']);
                    scan_code(self, Language::Python, code);
                }
                self.foreign_files(module, &options.rest);
                self.runs_project();
            }
            "compileall" | "venv" | "virtualenv" => {
                for folder in &options.rest {
                    self.changes(folder);
                }
            }
            "zipfile" | "tarfile" => self.unpacks(&options.rest),
            "cProfile" | "profile" | "trace" | "coverage" => {
                let mut words = options.rest.iter().skip_while(|word| {
                    word.starts_with('-') || ["run", "time"].contains(&word.as_str())
                });
                if let Some(file) = words.next().filter(|file| file.contains('/')) {
                    self.runs_file(file);
                }
                self.foreign_files(module, &options.rest);
                self.runs_project();
            }
            "json.tool" | "tokenize" | "ast" | "dis" | "base64" | "calendar" | "platform"
            | "sysconfig" | "this" | "inspect" | "pyclbr" | "symtable" | "tabnanny"
            | "mimetypes" | "quopri" => {}
            "code" | "runpy" | "zipapp" | "idlelib" | "pty" => {
                self.reading.opaque(format!("python -m {module}"));
            }
            _ => {
                self.accepted_options(module, &options.rest);
                self.option_effects(module, &options.rest);
                self.told(module, &options.rest);
                self.foreign_files(module, &options.rest);
                self.runs_project();
            }
        }
    }
}

/// Returns whether an option of Perl or Ruby changes the files themselves: `-i`, `-pi`, `-0777pi.bak`.
fn edits_in_place(arg: &str) -> bool {
    let cluster = arg.strip_prefix('-').unwrap_or("");
    // Behind these letters stands a value.
    let own = cluster.split([
        'e', 'E', 'I', 'm', 'M', 'F', 'x', 'C', 'd', 'D', 'T', 'r', 'K', '-',
    ]);
    own.into_iter().next().unwrap_or("").contains('i')
}

/// Reads the options of Python: what stands behind `-m MODULE` belongs to the module.
fn python_options(args: &[String], values: &str) -> Options {
    let at = args.iter().position(|arg| {
        let letters = arg.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        letters
            .is_some_and(|letters| letters.contains('m') && !letters.contains(['c', 'W', 'X', 'Q']))
    });
    let code = args.iter().position(|arg| arg == "-c");
    let script = args.iter().position(|arg| !arg.starts_with('-'));
    let Some(at) = at.filter(|at| code.is_none_or(|code| *at < code)) else {
        return Options::leading(args, values, LONG_VALUES);
    };
    // A file in front, which is no value of an option, takes all that follows.
    let is_value = |at: usize| {
        at.checked_sub(1)
            .and_then(|at| args.get(at))
            .is_some_and(|before| ["-W", "-X", "-Q"].contains(&before.as_str()))
    };
    if script.is_some_and(|script| script < at && !is_value(script)) {
        return Options::leading(args, values, LONG_VALUES);
    }
    let glued = args.get(at).is_some_and(|arg| !arg.ends_with('m'));
    let end = if glued { at + 1 } else { at + 2 };
    let (own, rest) = args.split_at(end.min(args.len()));
    let mut options = Options::leading(own, values, LONG_VALUES);
    options.rest = rest.to_vec();
    options
}

/// Returns the text that loads the modules named by options.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
fn modules_text(language: Language, options: &Options) -> String {
    let (letters, start, quote): (&[&str], &str, &str) = match language {
        Language::Perl => (&["M", "m"], "use ", ""),
        Language::Ruby => (&["r"], "require ", "\""),
        Language::Lua => (&["l"], "require ", "\""),
        _ => return String::new(),
    };
    let load = |module: &str| {
        let module = module.trim_start_matches('-');
        let ends = |c: char| c == '=' || c.is_whitespace();
        let name = module.split(ends).next().unwrap_or(module);
        format!("{start}{quote}{name}{quote}; ")
    };
    options.values(letters).map(load).collect()
}

/// Returns whether a setting of PHP neither loads nor runs anything.
fn is_setting(key: &str) -> bool {
    const HARMLESS: &str = "
memory_limit max_execution_time display_errors display_startup_errors error_reporting log_errors xdebug.mode pcov.enabled opcache.enable
opcache.enable_cli date.timezone short_open_tag precision serialize_precision zend.assertions assert.exception default_charset
output_buffering html_errors max_input_time upload_max_filesize post_max_size phar.readonly xdebug.start_with_request pcov.directory
variables_order register_argc_argv implicit_flush mbstring.language xdebug.max_nesting_level opcache.jit opcache.jit_buffer_size
";
    HARMLESS
        .split_ascii_whitespace()
        .any(|own| own == key.trim())
}

/// Takes letters of interpreters apart where code follows a cluster, as in `-lane CODE`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
fn split_code_letters(args: &[String], language: Language) -> Vec<String> {
    let codes = match language {
        Language::Perl => "eE",
        Language::Ruby => "e",
        Language::JavaScript => "ep",
        _ => return args.to_vec(),
    };
    let mut words = Vec::with_capacity(args.len());
    for arg in args {
        let cluster = arg.strip_prefix('-').filter(|cluster| {
            cluster.len() > 1
                && !cluster.starts_with('-')
                && cluster.chars().all(char::is_alphanumeric)
        });
        match cluster {
            Some(cluster)
                if cluster.ends_with(|c| codes.contains(c))
                    && !cluster.starts_with(['I', 'M', 'r']) =>
            {
                words.push(format!("-{}", cluster.chars().last().unwrap_or('e')));
            }
            _ => words.push(arg.clone()),
        }
    }
    words
}

/// Long options of interpreters that take a value.
const LONG_VALUES: &[&str] = &[
    "eval",
    "print",
    "require",
    "import",
    "loader",
    "execute",
    "preload",
    "experimental-loader",
    "env-file",
    "input-type",
    "conditions",
    "config",
    "import-map",
    "cwd",
    "lock",
    "define",
];

/// Returns the options of an interpreter that take code, and its letters with a value.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
const fn code_options(language: Language) -> (&'static [&'static str], &'static str) {
    match language {
        Language::Python => (&["c"], "cmWXQ"),
        Language::Perl => (&["e", "E"], "eEIMmCD"),
        Language::Ruby => (&["e"], "eIrCEKFx"),
        Language::JavaScript => (&["e", "eval", "p", "print", "pe"], "eprC"),
        Language::Php => (&["r", "B", "R", "E"], "rBREdcfFStz"),
        Language::Lua => (&["e"], "el"),
        _ => (&["e", "E", "eval"], "eEL"),
    }
}
