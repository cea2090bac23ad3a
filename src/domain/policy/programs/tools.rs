//! Tools with a language or an option of their own that runs commands: editors, `sed`, `awk`, `make`, compilers.

use crate::domain::policy::{
    partial_text::{UNKNOWN, is_unknown, is_vague},
    programs::{
        Language, Options, arguments::words_of, base_name, is_in, is_question, is_stream,
        scan_code, table, vague_code,
    },
    resolved_path,
    resolved_path::ResolvedPath,
    rule::EffectKind,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    /// Looks at a tool that can run commands.
    pub(super) fn tool(&mut self, name: &str, args: &[String], stdin: String) -> String {
        match name {
            "sed" | "gsed" => return self.sed(args, &stdin),
            "awk" | "gawk" | "mawk" | "nawk" | "original-awk" => {
                self.awk(args, &stdin);
                // Fields of names are names, as long as nothing is put between them.
                let is_plain = |code: &String| super::project_data::prints_no_text(code);
                let prints_fields = args.iter().any(|code| code.contains("print $"));
                let is_named = is_vague(&stdin) && !is_unknown(&stdin);
                if super::printers::is_process(&stdin) {
                    return stdin;
                }
                if is_named && prints_fields && args.iter().all(is_plain) {
                    return stdin;
                }
            }
            "vim" | "vi" | "nvim" | "view" | "ex" | "rvim" | "vimdiff" => {
                self.vi(name, args, &stdin);
            }
            "ed" | "red" => self.ed(args, &stdin),
            "emacs" | "emacsclient" => self.emacs(args),
            "gdb" | "lldb" => {
                self.debugger(name, args);
                self.debugger_input(name, &stdin);
            }
            "make" | "gmake" | "bmake" => self.make(args, &stdin),
            "just" | "task" | "rake" | "ninja" | "meson" | "cmake" => self.build(name, args),
            "gcc" | "g++" | "cc" | "c++" | "clang" | "clang++" | "tcc" | "rustc" | "as" | "ld"
            | "cpp" | "m4" => self.compiler(name, args, &stdin),
            "sqlite3" | "duckdb" | "psql" | "mysql" | "mariadb" => {
                self.database(name, args, &stdin);
            }
            "powershell" | "pwsh" => super::super::powershell::program(self, args, &stdin),
            "tclsh" | "wish" => self.tclsh(args, &stdin),
            "mshta" | "rundll32" | "regsvr32" | "cscript" | "wscript" | "msiexec" => {
                self.reading.opaque(format!("{name} runs code of its own"));
            }
            _ => self.little_language(name, args, &stdin),
        }
        UNKNOWN.to_string()
    }

    /// Looks at a variable that is given to make.
    fn make_variable(&mut self, name: &str, value: &str) {
        if name == "SHELL"
            && !["/bin/sh", "/bin/bash", "bash", "sh", "/usr/bin/env bash"].contains(&value)
        {
            self.reading
                .opaque("make with another program as its shell");
        }
        self.makefile(&format!("{name}={value}"));
        // A recipe may run any variable but one that names a folder for what is installed.
        let is_folder = ["DESTDIR", "PREFIX", "prefix"].contains(&name)
            && !value.contains([' ', '$', '`', ';', '|', '&']);
        // Names of tests and files are words of a command, and begin none.
        let first = value.split_whitespace().next().unwrap_or("");
        let is_name = words_of(name).iter().any(|word| is_in(NAMING, word))
            && !value.contains(['$', '`', ';', '|', '&'])
            && !table::has_consequences(base_name(first));
        if !is_folder && !is_name && value.contains([' ', '$', '`', ';', '|', '&', '/']) {
            // What starts with a sign is options of some program.
            let options = if value.starts_with('-') { ": " } else { "" };
            let code = format!("{options}{value}");
            drop(self.aside(|shell| shell.run_text(&code, "make", String::new())));
        }
    }

    fn make(&mut self, args: &[String], stdin: &str) {
        let options = Options::parse(
            args,
            "CfIjloW",
            &[
                "directory",
                "file",
                "makefile",
                "eval",
                "include-dir",
                "jobs",
                "load-average",
            ],
        );
        if is_question(args) && !args.is_empty() {
            return;
        }
        for text in options.values(&["eval", "E"]) {
            self.makefile(text);
        }
        for word in &options.rest {
            if let Some((name, value)) = word.split_once('=') {
                self.make_variable(name, value);
            }
        }
        let folder = options
            .value("C")
            .or_else(|| options.value("directory"))
            .unwrap_or(".")
            .to_owned();
        self.aside(|shell| {
            shell.go_to(&folder);
            shell.runs_project();
        });
        let named = options
            .value("f")
            .or_else(|| options.value("file"))
            .or_else(|| options.value("makefile"))
            .map(str::to_owned);
        let files = named.map_or_else(
            || {
                vec![
                    "Makefile".to_owned(),
                    "makefile".to_owned(),
                    "GNUmakefile".to_owned(),
                ]
            },
            |file| vec![file],
        );
        for file in files {
            if file == "-" || file == "/dev/stdin" {
                self.makefile(stdin);
                continue;
            }
            let path = if file.starts_with('/') {
                file
            } else {
                format!("{folder}/{file}")
            };
            if let Some(text) = self.remembered(&path) {
                self.makefile(&text);
            }
        }
    }

    fn build(&mut self, name: &str, args: &[String]) {
        let options = Options::parse(args, "EPfCBSc", &["command", "eval"]);
        if name == "cmake" {
            match args.first().map(String::as_str) {
                Some("-E") => self.cmake_tool(args.get(1..).unwrap_or_default()),
                Some("-P") => {
                    if let Some(code) = args.get(1).and_then(|file| self.remembered(file))
                        && (code.contains("execute_process") || code.contains("REMOVE"))
                    {
                        self.reading.opaque("a cmake script written by the command");
                    }
                }
                _ if args
                    .iter()
                    .any(|arg| arg == "--install" || arg.starts_with("--install=")) =>
                {
                    self.installs(name, args, &["prefix"]);
                }
                Some(first) if first.starts_with("-D") && args.iter().any(|arg| arg == "-P") => {
                    self.reading
                        .opaque("a cmake script with settings of the command");
                }
                _ => {}
            }
        } else if name == "meson" && args.first().is_some_and(|verb| verb == "install") {
            self.installs(name, args, &["destdir"]);
        } else if name == "rake" {
            let printed = Options::parse(args, "p", &["execute-print"]);
            let codes = options.values(&["E", "e"]);
            for code in codes.chain(printed.values(&["p", "execute-print"])) {
                scan_code(self, Language::Ruby, code);
            }
        } else if name == "just" {
            for code in options.values(&["c", "command"]) {
                drop(self.run_text(code, name, String::new()));
            }
            // The command goes on to the end of the words.
            let is_command = |arg: &String| ["-c", "--command"].contains(&arg.as_str());
            let at = args.iter().position(is_command);
            let words = at.and_then(|at| args.get(at + 1..)).unwrap_or_default();
            if words.len() > 1 {
                drop(self.dispatch(words.to_vec(), String::new()));
            }
        }
    }

    /// Looks at a tool that installs what was built: without a folder that is named it goes where the machine keeps its programs.
    fn installs(&mut self, name: &str, args: &[String], targets: &[&str]) {
        let options = Options::parse(
            args,
            "C",
            &["prefix", "destdir", "install", "config", "component"],
        );
        let target = targets.iter().find_map(|target| options.value(target));
        match target {
            Some(folder) => self.writes(&format!("{folder}/bin")),
            None if self.is_known("DESTDIR") => {}
            None => self.reading.does(
                EffectKind::System,
                format!("{name} installs into the machine"),
            ),
        }
    }

    fn cmake_tool(&mut self, args: &[String]) {
        let Some((verb, rest)) = args.split_first() else {
            return;
        };
        match verb.as_str() {
            "remove" | "remove_directory" | "rm" => {
                for path in rest.iter().filter(|arg| !arg.starts_with('-')) {
                    self.deletes(path);
                }
            }
            "copy" | "copy_directory" | "create_symlink" | "rename" | "touch"
            | "make_directory" | "copy_if_different" => {
                if let Some(path) = rest.last() {
                    self.writes(&path.clone());
                }
                if let ("rename", Some(path)) = (verb.as_str(), rest.first()) {
                    self.deletes(&path.clone());
                }
            }
            "env" | "time" | "chdir" => {
                let at = rest
                    .iter()
                    .position(|word| !word.contains('=') && !word.starts_with('-'))
                    .unwrap_or(0);
                let at = if verb == "chdir" { 1 } else { at };
                drop(self.dispatch(rest.get(at..).unwrap_or_default().to_vec(), String::new()));
            }
            _ => {}
        }
    }

    fn compiler(&mut self, name: &str, args: &[String], stdin: &str) {
        let options = Options::parse(args, "oxIDLlBf", &["output"]);
        let output = options.value("o").map(str::to_owned);
        if args.iter().any(|arg| {
            arg.starts_with("-wrapper")
                || arg.starts_with("-fplugin")
                || arg.starts_with("-specs")
                || arg.starts_with("-B")
                || ["-load", "-plugin", "-add-plugin"].contains(&arg.as_str())
                || arg.starts_with("-fpass-plugin")
        }) {
            self.reading
                .opaque(format!("{name} runs programs named in the command"));
        }
        if let Some(output) = &output {
            self.changes(output);
            // What else is linked in nobody looked into.
            let links = |arg: &String| {
                let library = arg.strip_prefix("-l");
                ["-L", "-Wl", "-Xlinker", "@", "-B"]
                    .iter()
                    .any(|start| arg.starts_with(start))
                    || library.is_some_and(|name| !is_in("m pthread rt dl stdc++ z", name))
            };
            if !options.rest.is_empty() && !args.iter().any(links) {
                self.builds(output, &options.rest);
            }
        }
        let mut sources: Vec<String> = options.rest.clone();
        if args.iter().any(|arg| arg == "-") {
            sources.push("-".to_owned());
        }
        if name == "m4" && (stdin.contains("syscmd") || stdin.contains(UNKNOWN)) {
            self.reading.opaque("m4 with input that may run commands");
        }
        for source in sources {
            let code = if source == "-" {
                Some(stdin.to_owned())
            } else {
                self.remembered(&source)
            };
            if let Some(code) = code {
                vague_code(self, &code, name);
                scan_code(self, Language::C, &code);
            } else if self.has_written(&source) {
                self.reading
                    .opaque(format!("the file {source}, which the command itself made"));
            }
        }
    }

    /// Remembers a program that is compiled from sources of the project, or from some that the command itself wrote.
    pub(super) fn builds(&mut self, output: &str, sources: &[String]) {
        let is_inside = |place: &ResolvedPath| matches!(place, ResolvedPath::Inside(_));
        let is_own = |shell: &Self, source: &String| {
            shell.remembered(source).is_some() || shell.resolve_all(source).iter().all(is_inside)
        };
        if sources.iter().all(|source| is_own(self, source)) {
            let path = resolved_path::absolute(output, self.folder());
            self.state.built.extend(path);
        }
    }

    fn tclsh(&mut self, args: &[String], stdin: &str) {
        let code = match args.first() {
            Some(file) if !is_stream(file) => self.remembered(file).unwrap_or_default(),
            _ => stdin.to_owned(),
        };
        scan_code(self, Language::Tcl, &code);
    }

    /// Languages of which only the names of functions are known.
    fn little_language(&mut self, name: &str, args: &[String], stdin: &str) {
        let reads = [
            "jshell",
            "irb",
            "iex",
            "octave",
            "scala",
            "groovy",
            "ocaml",
            "ghc",
            "gnuplot",
            "guile",
            "racket",
            "sbcl",
            "jjs",
            "jrunscript",
            "erl",
            "elixir",
            "clisp",
            "swift",
        ];
        if reads.contains(&name) && !stdin.is_empty() && !args.iter().any(|arg| arg.contains('.')) {
            self.reading
                .opaque(format!("the input of {name}, which it runs as code"));
        }
        let code = |pair: &[String]| match pair {
            [option, code]
                if ["-eval", "--eval", "-c", "-run", "--execute", "-s"]
                    .contains(&option.as_str()) =>
            {
                Some(code.clone())
            }
            _ => None,
        };
        if ["erl", "guile", "racket", "sbcl", "clisp", "octave"].contains(&name) {
            for code in args.windows(2).filter_map(code).collect::<Vec<_>>() {
                self.lisp(&code);
                if !is_printing(&code) {
                    self.reading.opaque(format!("code of {name}"));
                }
            }
        }
        let options = Options::parse(args, "e", &["eval"]);
        for code in options
            .values(&["e", "eval"])
            .map(str::to_owned)
            .collect::<Vec<_>>()
        {
            self.lisp(&code);
            scan_code(self, Language::R, &code);
        }
        if args.iter().any(|arg| arg.contains("shell-escape")) {
            self.reading
                .opaque(format!("{name} may run commands of its document"));
        }
    }
}

/// Words in the names of make's variables that hold names.
const NAMING: &str = "test tests file files src srcs target targets name names pkg pkgs package packages module modules tag tags suite suites
    spec specs case cases msg message pattern filter dir dirs path version";

/// Returns whether code of a little language only computes and prints: it calls nothing but a few well known names.
fn is_printing(code: &str) -> bool {
    const NAMES: &str = "
display newline print format write princ terpri io halt init stop + - * / = < > list car cdr cons map lambda define let if
not and or length append reverse sqrt expt max min string-append number->string disp printf fprintf lists seq sum quit exit
erlang version lisp-implementation-version system_info otp_release integer_to_list tuple_to_list element timer now
";
    let names = code.split(|c: char| c.is_whitespace() || "()[]{}',;:\".~".contains(c));
    let code = &code
        .replace("\"~p", "")
        .replace("\"~s", "")
        .replace("\"~w", "");
    let texts = (code.contains('/') || code.contains("\"~")) && code.contains('"');
    // A letter is a variable, or says how something is printed: `~p`.
    !texts
        && names
            .filter(|name| name.len() > 1 && name.starts_with(|c: char| c.is_alphabetic()))
            .all(|name| is_in(NAMES, name))
}
