//! What programs do: one table from names to families, one file for each family.
//!
//! A program that is not in the table is taken to work inside its folder and to print nothing that can be
//! known; but when one of its arguments is itself a program with consequences, it is read as a wrapper.

mod accepted;
mod agents;
mod argument_paths;
mod arguments;
mod build_files;
mod cloud;
mod code;
mod code_elsewhere;
mod databases;
mod described;
mod editors;
mod endless_code;
pub(in crate::domain::policy) mod environment;
mod files;
mod foreign;
mod git;
mod git_added;
mod git_files;
mod git_settings;
mod install;
mod languages;
mod lock_file;
mod loopback;
mod losses;
mod makefile;
mod managers;
mod network;
mod open_servers;
mod options;
mod overrides;
mod package_json;
mod printers;
mod project_data;
mod remote;
mod secrets;
mod shells;
mod side_doors;
mod streams;
mod system;
mod table;
mod task_files;
mod temporary;
pub(in crate::domain::policy) mod this_machine;
mod tools;
mod transfer;
pub(in crate::domain::policy) mod vague;
mod variables;
mod weakened_checks;
mod wrappers;

pub(super) use code::{Language, scan as scan_code, scan_file};
pub(super) use options::{Options, picks};
pub(super) use printers::base64_bytes;
pub(super) use system::{PathBase, persistent_path};
pub(super) use table::is_known_program;
pub(super) use this_machine::leads_here;
pub(in crate::domain::policy) use vague::vague_code;

use crate::domain::policy::{
    partial_text::{
        NAME, SECRET, UNKNOWN, base_name, has_option, is_in, is_mark, is_unknown, stripped,
    },
    resolved_path,
    rule::EffectKind,
    shell::{ShellInterpreter, wild_fits},
    windows,
};
use table::ProgramFamily;

/// Returns whether a file name stands for a stream of the process.
pub(super) fn is_stream(file: &str) -> bool {
    file == "-"
        || file == "/dev/stdin"
        || file.starts_with("/dev/fd/")
        || file.starts_with("/proc/self/fd/")
}

/// Looks at a variable whose value other programs run or load.
pub(super) fn inspect_variable(shell: &mut ShellInterpreter<'_, '_>, name: &str, value: &str) {
    let stays = name == "HOME" && value == resolved_path::home(shell.reading.world);
    if value.is_empty() || value == "none" || stays {
        return;
    }
    agents::note_variable(shell, name);
    if shell.injects_code(name, value) {
        shell.reading.opaque(format!(
            "the variable {name}, which changes what programs run"
        ));
    }
    if let Some(address) = side_doors::server_elsewhere(value) {
        shell.reading.does(
            EffectKind::Network,
            format!(
                "{name} leads to {}",
                address.split('@').next_back().unwrap_or("")
            ),
        );
    }
    match table::variable(name) {
        table::VariableUse::Harmless => {}
        table::VariableUse::Command => {
            let compilers = ["CC", "CXX", "LD", "AR", "CPP", "CONFIG_SHELL"];
            if value.starts_with('.') && value.contains('/') && !compilers.contains(&name) {
                shell.reading.opaque(format!(
                    "the variable {name}, which makes programs run {value}"
                ));
            }
            vague_code(shell, value, name);
            drop(shell.aside(|shell| shell.run_text(value, name, String::new())));
        }
        table::VariableUse::Prompt => shell.hidden_substitutions(value),
        table::VariableUse::File => {
            if let Some(code) = shell.remembered(value) {
                drop(shell.aside(|shell| shell.run_text(&code, name, String::new())));
            }
            shell.reading.opaque(format!(
                "{name} makes later programs load {}",
                stripped(value)
            ));
        }
        table::VariableUse::Options => {
            let loads = [
                "-r",
                "--require",
                "--import",
                "--loader",
                "-e",
                "--eval",
                "-M",
                "-d",
                "-javaagent",
                "-I",
            ];
            if value
                .split_whitespace()
                .any(|word| loads.iter().any(|load| word.starts_with(load)))
            {
                shell
                    .reading
                    .opaque(format!("{name} makes later programs run code"));
            }
        }
        table::VariableUse::Function => {
            let body = value.trim_start_matches("()").trim();
            drop(shell.aside(|shell| shell.run_text(body, name, String::new())));
        }
    }
}

impl ShellInterpreter<'_, '_> {
    /// Looks at one simple command and returns what it would print.
    pub(in crate::domain::policy) fn dispatch(
        &mut self,
        words: Vec<String>,
        stdin: String,
    ) -> String {
        let anything = UNKNOWN.to_string();
        if !self.reading.spend() {
            return anything;
        }
        let Some(first) = words.first() else {
            return String::new();
        };
        if first == "--" {
            return self.dispatch(words.get(1..).unwrap_or_default().to_vec(), stdin);
        }
        self.reading.act(&words);
        let folder = self.folder().map(str::to_owned);
        self.reading.act_starts_in(folder);
        if ["git", "patch"].contains(&base_name(first)) {
            self.reading.act_is_fed(&stdin);
        }
        if let Some(known) = self.vague_name(first) {
            let Some(name) = known else {
                return anything;
            };
            let mut words = words;
            if let Some(first) = words.first_mut() {
                *first = name;
            }
            return self.dispatch(words, stdin);
        }
        if self.state.functions.contains_key(first) {
            let name = first.clone();
            return self.call(&name, words.get(1..).unwrap_or_default(), stdin);
        }
        if let Some(printed) = self.builtin(&words, &stdin) {
            return printed;
        }
        self.program(&words, stdin)
    }

    /// Decides what to do about a command name that is not fully known: `None` when it is known,
    /// `Some(None)` when nothing more can be said, `Some(Some(name))` to look at it as that program.
    #[expect(
        clippy::option_option,
        reason = "three answers: none, not constant, a constant"
    )]
    fn vague_name(&mut self, word: &str) -> Option<Option<String>> {
        if !self.has_vague_name(word) {
            return None;
        }
        self.reading
            .opaque("the name of the program is only known at run time");
        if is_unknown(word) {
            let rest = stripped(word);
            return Some((!rest.is_empty()).then_some(rest));
        }
        let pattern: String = base_name(word)
            .chars()
            .map(|c| match c {
                NAME => '*',
                '\u{F0003}' => '?',
                '\u{F0004}' => '[',
                other => other,
            })
            .collect();
        let fits = |name: &&str| wild_fits(&pattern, name);
        Some(table::with_consequences().find(fits).map(str::to_owned))
    }

    /// Returns the usual name of the program a command word stands for.
    fn program_name(&self, word: &str) -> String {
        if let Some(path) = self.bound_program(word) {
            return base_name(&path).to_owned();
        }
        let seen = word
            .contains('/')
            .then(|| resolved_path::absolute(word, self.folder()))
            .flatten();
        let eyes = self.reading.world.eyes.as_ref();
        let real = seen.and_then(|path| eyes?.known_program(std::path::Path::new(&path)));
        let known = real.filter(|name| table::family(name).is_some());
        known.unwrap_or_else(|| usual_name(plain_name(base_name(word)), word.contains('/')))
    }

    fn program(&mut self, words: &[String], stdin: String) -> String {
        let Some((first, args)) = words.split_first() else {
            return String::new();
        };
        let name = self.program_name(first);
        let written = if first.contains('/') {
            self.remembered(first)
        } else if self.is_known("PATH") {
            self.written_as(first)
        } else {
            None
        };
        if let Some(code) = written {
            return self.run_script(&code, first, args, stdin);
        }
        if self.starts_agent(&name, args) {
            return UNKNOWN.to_string();
        }
        // Editors that only people use: without one nothing happens, with one the file is changed.
        if is_in("nano pico micro hx helix kak jed joe mcedit", &name) {
            for file in args.iter().filter(|arg| !arg.starts_with(['-', '+'])) {
                self.changes(file);
            }
        }
        if is_in("visudo vipw vigr", &name) {
            let why = format!("{name} changes who may do what on the machine");
            self.reading.does(EffectKind::System, why);
        }
        self.edited_tasks(&name, args);
        self.edited_builds(&name, args);
        self.code_elsewhere(&name, args);
        if self.declared_packages(&name, args) {
            self.environment_words(&name, args);
            return UNKNOWN.to_string();
        }
        let Some(family) = table::family(&name) else {
            self.option_effects(&name, args);
            self.accepted_options(&name, args);
            self.arguments(&name, args);
            if !self.foreign(&name, args) {
                self.untabled(first, &name, args);
            }
            self.unknown_wrapper(&name, args);
            return UNKNOWN.to_string();
        };
        let bare = name.strip_suffix(".exe").unwrap_or(&name);
        // What only has the name of a known program may be anything.
        if first.contains('/') && self.bound_program(first).is_none() {
            self.runs_file(first);
        }
        if !is_text_only(family)
            || ["parallel", "nix", "find", "xargs", "tmux", "perf"].contains(&bare)
        {
            self.option_effects(bare, args);
            self.arguments(bare, args);
        }
        if bare != "git" {
            self.accepted_options(bare, args);
        }
        self.environment_words(bare, args);
        if matches!(family, ProgramFamily::Install | ProgramFamily::Tool)
            && arguments::can_run_code(bare)
        {
            self.told_by_name(bare, args);
        }
        self.family(family, bare, args, stdin)
    }

    /// Looks at a program of a family; what it prints of a secret is one, however it spells it.
    fn family(
        &mut self,
        family: ProgramFamily,
        name: &str,
        args: &[String],
        stdin: String,
    ) -> String {
        let is_given = stdin.contains(SECRET) || self.is_given_secret(name, args);
        let mut printed = self.printed_by(family, name, args, stdin);
        if is_given && !printed.contains(SECRET) && environment::hands_on(family, name, args) {
            printed.push(SECRET);
        }
        printed
    }

    /// Returns whether a file that a program is given holds a secret which the command itself wrote there, or a word of a filter does.
    fn is_given_secret(&self, name: &str, args: &[String]) -> bool {
        environment::prints_words(name) && args.iter().any(|arg| arg.contains(SECRET))
            || self.keeps_secret()
                && args.iter().any(|arg| {
                    let text = self.remembered(arg.strip_prefix("if=").unwrap_or(arg));
                    text.is_some_and(|text| text.contains(SECRET))
                })
    }

    fn printed_by(
        &mut self,
        family: ProgramFamily,
        name: &str,
        args: &[String],
        stdin: String,
    ) -> String {
        if matches!(family, ProgramFamily::Install) || table::runs_project(name) {
            self.runs_project();
        }
        if matches!(family, ProgramFamily::Install | ProgramFamily::Tool)
            && !table::reads_anything(name)
        {
            self.foreign_files(name, args);
        }
        match family {
            ProgramFamily::Wrapper(spec) => {
                if name == "nix" && args.iter().any(|arg| arg == "--expr" || arg == "--impure") {
                    self.reading.opaque("an expression of nix");
                }
                self.wrapper_files(name, args);
                self.files_of_wrapper(name, args);
                self.wrapper(name, spec, args, stdin)
            }
            ProgramFamily::Privilege(spec) => {
                if !is_question(args) {
                    self.reading
                        .does(EffectKind::Privilege, format!("{name} takes other rights"));
                }
                self.wrapper(name, spec, args, stdin)
            }
            ProgramFamily::Shell => self.shell_program(name, args, stdin),
            ProgramFamily::Language(language) => self.language(language, name, args, &stdin),
            ProgramFamily::Print => self.printed(name, args, &stdin),
            ProgramFamily::Files => self.file_program(name, args, &stdin),
            ProgramFamily::Transfer => self.transfer(name, args, &stdin),
            ProgramFamily::Git => self.git(args, stdin),
            ProgramFamily::Network => self.network(name, args, stdin),
            ProgramFamily::Install => self.install(name, args, &stdin),
            ProgramFamily::System => self.system(name, args, &stdin),
            ProgramFamily::Tool => self.tool(name, args, stdin),
            ProgramFamily::Remote => self.remote(name, args),
        }
    }

    /// Looks at files that a wrapper writes, and projects elsewhere that it works in.
    fn wrapper_files(&mut self, name: &str, args: &[String]) {
        for arg in args {
            if let Some(file) = arg.strip_prefix("--log-file=") {
                self.writes(file);
            }
        }
        self.hands_out_secrets(name, args);
        if name.ends_with("env") && name.len() < 8 {
            self.option_effects(name, args);
        }
        let attaches = args
            .iter()
            .any(|arg| arg == "-p" || arg.starts_with("--attach"));
        let unit = name == "systemd-run" && !args.iter().any(|arg| arg == "--scope");
        if unit || attaches && ["strace", "ltrace", "py-spy", "rr"].contains(&name) {
            self.reading.does(
                EffectKind::System,
                format!("{name} acts outside of the command's own processes"),
            );
        }
        for pair in args.windows(2) {
            let writes = match name {
                "strace" | "ltrace" | "perf" | "time" | "heaptrack" | "samply" | "py-spy"
                | "kcov" | "valgrind" => "-o",
                "rlwrap" => "-l",
                _ => "",
            };
            if let [option, file] = pair
                && option == writes
                && !file.starts_with(['|', '!'])
            {
                self.writes(file);
            }
            let piped = |file: &str| file.strip_prefix(['|', '!']).map(str::to_owned);
            if let [option, file] = pair
                && ["strace", "ltrace"].contains(&name)
                && option == "-o"
                && let Some(code) = piped(file)
            {
                drop(self.run_text(&code, name, String::new()));
            }
        }
        if ["poetry", "pipenv", "bundle", "pdm", "hatch", "rye"].contains(&name) {
            self.foreign_files(name, args);
        }
    }

    /// Looks at wrappers that run a command with secrets, told to show them instead.
    fn hands_out_secrets(&mut self, name: &str, args: &[String]) {
        let keepers = [
            "op",
            "doppler",
            "infisical",
            "chamber",
            "aws-vault",
            "teller",
            "dotenvx",
        ];
        let runs = ["run", "exec", "shell", "help", "completion"];
        let verb = args.iter().find(|arg| !arg.starts_with('-'));
        if keepers.contains(&name) && verb.is_some_and(|verb| !runs.contains(&verb.as_str())) {
            self.reading
                .opaque(format!("{name}, which hands out or changes secrets"));
        }
    }

    /// Looks at programs of Windows that other shells can start, too; returns whether it is one.
    fn foreign(&mut self, name: &str, args: &[String]) -> bool {
        let programs = [
            "robocopy",
            "taskkill",
            "vssadmin",
            "diskpart",
            "wmic",
            "certutil",
            "bitsadmin",
            "takeown",
            "icacls",
            "bcdedit",
            "cipher",
            "wbadmin",
            "sdelete",
        ];
        let name = name.strip_suffix(".exe").unwrap_or(name);
        if programs.contains(&name) {
            windows::program(self, name, args);
        } else if ["del", "erase", "rd"].contains(&name) {
            for file in args
                .iter()
                .filter(|arg| !arg.starts_with('/') || arg.len() > 2)
            {
                self.deletes(&windows::path(file));
            }
        } else {
            return false;
        }
        true
    }

    /// Reads a program nobody knows as a wrapper, when an argument is a program with consequences.
    fn unknown_wrapper(&mut self, name: &str, args: &[String]) {
        // The words behind these are tasks: `./mvnw clean install`.
        if ["mvnw", "gradlew", "sbt", "mill", "lein", "ant"].contains(&name) {
            return;
        }
        let mut before = "";
        let found = args.iter().position(|arg| {
            let option = std::mem::replace(&mut before, arg);
            // The name of a language is no program.
            let is_kind = [
                "-g",
                "--generator",
                "-l",
                "--lang",
                "--language",
                "--target",
            ]
            .contains(&option);
            let picked = picks(name, option) || is_kind;
            !picked
                && !arg.starts_with('-')
                && !arg.contains([':', '*', '{', '(', '=', ','])
                && (!arg.contains('/') || arg.starts_with(['/', '.', '~']))
                && table::has_consequences(base_name(arg))
                && self.reading.given_up.is_none()
        });
        let Some(tail) = found.and_then(|at| args.get(at..)) else {
            return;
        };
        if tail.len() < 2 || !self.reading.enter("an unknown wrapper") {
            return;
        }
        let tail = tail.to_vec();
        drop(self.aside(|shell| shell.dispatch(tail, String::new())));
        self.reading.leave();
    }

    /// Runs a script the command itself wrote.
    pub(super) fn run_script(
        &mut self,
        code: &str,
        name: &str,
        args: &[String],
        stdin: String,
    ) -> String {
        vague_code(self, code, name);
        let first = code.lines().next().unwrap_or("");
        let interpreter = first.strip_prefix("#!").unwrap_or("/bin/sh").trim();
        let program = interpreter
            .split_whitespace()
            .map(base_name)
            .find(|word| *word != "env");
        match program.and_then(table::family) {
            Some(ProgramFamily::Language(language)) => {
                scan_code(self, language, code);
                UNKNOWN.to_string()
            }
            _ => self.aside(|shell| {
                shell.set_arguments(name, args);
                shell.run_text(code, name, stdin)
            }),
        }
    }
}

/// Returns whether the arguments of a program are text to print, so that they name nothing it talks to.
const fn is_text_only(family: ProgramFamily) -> bool {
    matches!(
        family,
        ProgramFamily::Wrapper(_) | ProgramFamily::Privilege(_) | ProgramFamily::Shell
    )
}

/// Returns whether a program is only asked about itself, or started without any argument.
pub(super) fn is_question(args: &[String]) -> bool {
    args.first().is_some_and(|arg| {
        ["--version", "--help", "-V", "-h", "-version", "-help"].contains(&arg.as_str())
    }) && args.len() == 1
        || args.is_empty() && !has_option(args, "", &[])
}

/// Returns the name without a version, and that of the tool that builds for another machine without its machine: `gcc-13`,
/// `arm-none-eabi-gcc`.
fn usual_name(name: String, is_path: bool) -> String {
    const CROSS: &str = "gcc g++ cc c++ clang clang++ ld as ar nm objcopy objdump readelf size strip ranlib gdb cpp gfortran strings addr2line";
    let is_version = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    if !name.contains(is_version) || table::family(&name).is_some() {
        return name;
    }
    let plain = name.trim_end_matches(is_version);
    if table::family(plain).is_some() {
        return plain.to_owned();
    }
    match plain.rsplit_once('-') {
        Some((machine, tool))
            if !is_path
                && (machine.contains('-') || ["avr", "llvm"].contains(&machine))
                && is_in(CROSS, tool) =>
        {
            tool.to_owned()
        }
        _ => name,
    }
}

/// Folds what some systems do not tell apart: case, full-width letters.
fn plain_name(name: &str) -> String {
    if name.is_ascii() && !name.contains(|c: char| c.is_ascii_uppercase()) {
        return name.to_owned();
    }
    name.chars()
        .filter(|c| !is_mark(*c))
        .map(|c| match u32::from(c) {
            code @ 0xFF01..=0xFF5E => char::from_u32(code - 0xFEE0).unwrap_or(c),
            _ => c,
        })
        .map(|c| c.to_ascii_lowercase())
        .collect()
}
