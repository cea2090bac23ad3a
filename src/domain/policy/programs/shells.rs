//! Programs that read shell text, and those that build commands from names: `sh`, `xargs`, `find`, `parallel`.

use crate::domain::policy::{
    partial_text::{ANY_CHAR, NAME, SET, UNKNOWN, base_name, has_option, is_in, is_vague},
    programs::{Options, is_stream, vague_code},
    rule::EffectKind,
    shell::{ShellInterpreter, ansi_text},
};

/// The most command lines one list of names is turned into.
const MOST_LINES: usize = 32;

impl ShellInterpreter<'_, '_> {
    /// Looks at a program that reads shell text or builds commands.
    pub(super) fn shell_program(&mut self, name: &str, args: &[String], stdin: String) -> String {
        if !self.reading.enter(name) {
            return UNKNOWN.to_string();
        }
        let printed = match name {
            "busybox" | "toybox" => self.applet(args, stdin),
            "xargs" => self.xargs(args, &stdin),
            "find" => self.find(args),
            "fd" | "fdfind" => self.fd(args),
            "parallel" => self.parallel(args, &stdin),
            "setarch" | "i386" | "x86_64" => self.architecture(args, stdin),
            _ => self.sh(name, args, stdin),
        };
        self.reading.leave();
        printed
    }

    fn applet(&mut self, args: &[String], stdin: String) -> String {
        if args.first().is_none_or(|arg| arg.starts_with('-')) {
            return String::new();
        }
        self.dispatch(args.to_vec(), stdin)
    }

    fn architecture(&mut self, args: &[String], stdin: String) -> String {
        let options = Options::leading(args, "", &[]);
        let words = match options.rest.as_slice() {
            [first, rest @ ..]
                if super::table::family(first).is_none()
                    || first == "x86_64"
                    || first == "i386" =>
            {
                rest.to_vec()
            }
            all => all.to_vec(),
        };
        self.dispatch(words, stdin)
    }

    fn sh(&mut self, name: &str, args: &[String], stdin: String) -> String {
        let options = Options::leading(args, "oO", &["rcfile", "init-file"]);
        for file in options.values(&["rcfile", "init-file"]) {
            let code = self.contents(file);
            vague_code(self, &code, name);
            drop(self.aside(|shell| shell.run_text(&code, name, String::new())));
        }
        let short = |letter: &str| options.given.iter().any(|(given, _)| given == letter);
        if short("n") && !short("c") {
            return String::new();
        }
        if short("c") {
            let mut rest = options.rest.iter();
            // Code that starts with a dash looks like one more option.
            let Some(code) = rest.next().or(args.last()).cloned() else {
                return String::new();
            };
            vague_code(self, &code, name);
            let mut names = rest.cloned();
            let zero = names.next().unwrap_or_else(|| name.to_owned());
            let parameters: Vec<String> = names.collect();
            let traces = short("x");
            return self.aside(|shell| {
                shell.state.traces |= traces;
                shell.set_arguments(&zero, &parameters);
                shell.run_text(&code, name, stdin)
            });
        }
        match options.rest.split_first() {
            Some((file, rest)) if !short("s") && file != "-" => {
                if short("x") {
                    self.traces_file(file);
                }
                self.script(name, file, rest, stdin)
            }
            _ if has_option(args, "", &["version", "help"]) => String::new(),
            _ => {
                vague_code(self, &stdin, name);
                self.aside(|shell| {
                    shell.set_arguments(name, &options.rest);
                    shell.run_text(&stdin, name, String::new())
                })
            }
        }
    }

    fn script(&mut self, name: &str, file: &str, args: &[String], stdin: String) -> String {
        self.reads(file);
        if let Some(code) = self.remembered(file) {
            vague_code(self, &code, name);
            return self.aside(|shell| {
                shell.set_arguments(file, args);
                shell.run_text(&code, name, stdin)
            });
        }
        if is_stream(file) {
            vague_code(self, &stdin, name);
            return self.aside(|shell| shell.run_text(&stdin, name, String::new()));
        }
        self.runs_file(file);
        self.runs_text(file);
        if file.contains(UNKNOWN) {
            self.reading.opaque(format!(
                "{name} reads a file that is only known at run time"
            ));
        }
        UNKNOWN.to_string()
    }

    fn xargs(&mut self, args: &[String], stdin: &str) -> String {
        let options = Options::leading(
            args,
            "adEILnPsle",
            &[
                "arg-file",
                "delimiter",
                "max-lines",
                "max-args",
                "max-procs",
                "max-chars",
                "replace",
                "process-slot-var",
            ],
        );
        let options = optional_replace(args).unwrap_or(options);
        let input = match options.value("a").or_else(|| options.value("arg-file")) {
            Some(file) if !is_stream(file) || self.remembered(file).is_some() => {
                self.contents(file)
            }
            _ => stdin.to_owned(),
        };
        let whole = options.has(&["I", "d", "delimiter", "0", "null", "i", "replace", "L"]);
        let items = items(&input, whole);
        let mut template = options.rest.clone();
        if template.is_empty() {
            template.push("echo".to_owned());
        }
        let mark = options
            .value("I")
            .or_else(|| options.value("replace"))
            .map(str::to_owned)
            .or_else(|| options.has(&["i", "replace"]).then(|| "{}".to_owned()));
        let starts_code = template
            .first()
            .is_some_and(|name| super::table::reads_code(base_name(name)));
        let evaluates = template
            .iter()
            .any(|word| word.contains("eval") || word.starts_with("$1") || word.contains("\"$@\""));
        if starts_code && (evaluates || template.len() < 2) {
            self.reading.opaque("commands that arrive on a pipe");
        }
        if items.iter().any(|item| item.contains(UNKNOWN)) && !takes_names(&template) {
            self.reading.opaque(format!(
                "{}, fed with words that arrive on a pipe",
                template.first().map_or("", String::as_str)
            ));
        }
        let Some(mark) = mark else {
            template.extend(items);
            return self.dispatch(template, String::new());
        };
        let mut printed = String::new();
        for item in items.iter().take(MOST_LINES) {
            let words = template
                .iter()
                .map(|word| word.replace(&mark, item))
                .collect();
            printed.push_str(&self.dispatch(words, String::new()));
        }
        printed
    }

    fn parallel(&mut self, args: &[String], stdin: &str) -> String {
        let options = Options::leading(
            args,
            "jINnaSd",
            &[
                "jobs", "arg-file", "colsep", "delay", "joblog", "results", "sshlogin",
            ],
        );
        let at = options.rest.iter().position(|word| word.starts_with(":::"));
        let (template, lists) = match at {
            Some(at) => options.rest.split_at(at),
            None => (options.rest.as_slice(), [].as_slice()),
        };
        // Four colons: the lines of files.
        let from_files = lists.first().is_some_and(|word| word.starts_with("::::"));
        let items: Vec<String> = if from_files {
            let files = lists.iter().filter(|word| !word.starts_with(":::"));
            let texts: Vec<String> = files
                .map(|file| self.remembered(file).unwrap_or_else(|| UNKNOWN.to_string()))
                .collect();
            texts.iter().flat_map(|text| items(text, true)).collect()
        } else if lists.is_empty() {
            items(stdin, true)
        } else {
            lists
                .iter()
                .filter(|word| !word.starts_with(":::"))
                .cloned()
                .collect()
        };
        // One word is a text for the shell; several keep what they are.
        let template = match template {
            [text] => text.clone(),
            words => {
                let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                words.join(" ")
            }
        };
        let mut printed = String::new();
        for item in items.iter().take(MOST_LINES) {
            let code = if template.is_empty() {
                item.clone()
            } else if template.contains('{') {
                let mut code = template.clone();
                for mark in ["{}", "{.}", "{/}", "{//}", "{1}"] {
                    code = code.replace(mark, item);
                }
                code
            } else {
                format!("{template} {}", quoted(item))
            };
            vague_code(
                self,
                if template.is_empty() { &code } else { "" },
                "parallel",
            );
            printed.push_str(&self.run_text(&code, "parallel", String::new()));
        }
        printed
    }

    #[expect(clippy::format_collect, reason = "a handful of short lines")]
    fn find(&mut self, args: &[String]) -> String {
        let at = args
            .iter()
            .position(|arg| {
                (arg.starts_with('-') && !["-H", "-L", "-P"].contains(&arg.as_str()))
                    || arg == "("
                    || arg == "!"
            })
            .unwrap_or(args.len());
        let (starts, tests) = args.split_at(at);
        let starts: Vec<&str> = starts
            .iter()
            .map(String::as_str)
            .filter(|arg| !["-H", "-L", "-P"].contains(arg))
            .collect();
        let starts = if starts.is_empty() { vec!["."] } else { starts };
        let mut at = 0;
        while at < tests.len() {
            at += self.find_action(&starts, tests, at);
        }
        let is_told = |word: &String| word.starts_with("-print") || word == "-ls";
        let told = tests.iter().position(is_told).unwrap_or(tests.len());
        let found = found_by(&starts, tests, told);
        found.iter().map(|path| format!("{path}\n")).collect()
    }

    /// Looks at one word of `find`: what stands behind an action does not narrow down what it is done to. Returns how many words
    /// belong to it.
    fn find_action(&mut self, starts: &[&str], tests: &[String], at: usize) -> usize {
        let Some((test, tail)) = tests.get(at..).and_then(<[String]>::split_first) else {
            return 1;
        };
        if !is_find_action(test) {
            return 1;
        }
        let mut taken = 1;
        let limits = |word: &String| is_in(LIMITS, word);
        let branch = tail.iter().take_while(|word| !is_in("-o -or ,", word));
        if test == "-delete" && branch.clone().any(limits) {
            self.reading.does(
                EffectKind::GitDestructive,
                "find removes before it looks at what stands behind, which throws changes away",
            );
        }
        for path in &found_by(starts, tests, at) {
            match test.as_str() {
                "-delete" => self.deletes(path),
                "-fprint" | "-fprint0" | "-fls" | "-fprintf" => {
                    if let Some(file) = tail.first() {
                        self.writes(&file.clone());
                    }
                }
                "-exec" | "-execdir" | "-ok" | "-okdir" => {
                    let end = tail
                        .iter()
                        .position(|word| word == ";" || word == "+")
                        .unwrap_or(tail.len());
                    let (command, _) = tail.split_at(end);
                    taken = end + 1;
                    let words = command
                        .iter()
                        .map(|word| word.replace("{}", path))
                        .collect();
                    drop(self.aside(|shell| shell.dispatch(words, String::new())));
                }
                _ => {}
            }
        }
        taken
    }

    fn fd(&mut self, args: &[String]) -> String {
        let at = args
            .iter()
            .position(|arg| ["-x", "-X", "--exec", "--exec-batch"].contains(&arg.as_str()));
        // What is found lies where it was looked for.
        let leads_out = |arg: &&String| arg.starts_with(['/', '~']) || arg.starts_with("..");
        let looked = args.get(..at.unwrap_or(args.len())).unwrap_or_default();
        let start = looked.iter().find(leads_out).map_or_else(
            || NAME.to_string(),
            |folder| folder.trim_end_matches('/').to_owned(),
        );
        let ending = Options::parse(looked, "etEdSjg", &["extension"]);
        let ending = ending.value("e").or_else(|| ending.value("extension"));
        let path = match ending {
            Some(ending) => format!("{start}/{NAME}.{ending}"),
            None => format!("{start}/{NAME}x"),
        };
        if let Some(command) = at.and_then(|at| args.get(at + 1..)) {
            let mut words: Vec<String> = command
                .iter()
                .map(|word| word.replace("{}", &path))
                .collect();
            if !command.iter().any(|word| word.contains("{}")) {
                words.push(path.clone());
            }
            drop(self.aside(|shell| shell.dispatch(words, String::new())));
        }
        format!("{path}\n")
    }
}

/// Reads the options of `xargs --replace`, which takes its value only behind an equals sign.
fn optional_replace(args: &[String]) -> Option<Options> {
    let at = args.iter().position(|arg| arg == "--replace")?;
    let mut args = args.to_vec();
    if let Some(arg) = args.get_mut(at) {
        "--replace={}".clone_into(arg);
    }
    Some(Options::leading(
        &args,
        "adEILnPsle",
        &[
            "arg-file",
            "delimiter",
            "max-lines",
            "max-args",
            "max-procs",
            "max-chars",
            "process-slot-var",
        ],
    ))
}

/// Returns whether a program only takes the words it gets as names of files or as text, whatever they are.
fn takes_names(template: &[String]) -> bool {
    let name = template.first().map_or("", |name| base_name(name));
    super::table::takes_names(name) || super::described::is_described(name)
}

/// Returns a word in quotes where it holds anything that a shell would take apart.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Splits input into the arguments it becomes.
fn items(input: &str, lines: bool) -> Vec<String> {
    if input.contains(UNKNOWN) {
        return vec![UNKNOWN.to_string()];
    }
    if lines {
        let lines = input.split(['\n', '\0']).filter(|line| !line.is_empty());
        return lines
            .map(|line| line.trim_start().to_owned())
            .take(64)
            .collect();
    }
    input
        .split([' ', '\t', '\n', '\0'])
        .filter(|word| !word.is_empty())
        .map(|word| ansi_text(&word.replace(['\'', '"'], "")))
        .take(256)
        .collect()
}

/// Tests of `find` that narrow down what is found.
const LIMITS: &str = "-name -iname -path -ipath -wholename -regex -iregex -type -newer -mtime -mmin -atime -ctime -size -empty -user -group
    -perm -not !";

/// Returns what `find` comes upon at one of its words: the tests up to there say what.
fn found_by(starts: &[&str], tests: &[String], at: usize) -> Vec<String> {
    let before = tests.get(..=at).unwrap_or(tests);
    let names = found_names(before);
    let paths = starts.iter().flat_map(|start| {
        let each = names.iter();
        each.map(|name| found_path(start, name.as_deref(), tests))
    });
    paths.collect()
}

/// Returns the names of what `find` looks for, one for each of its alternatives; what is not descended into is not found.
fn found_names(tests: &[String]) -> Vec<Option<String>> {
    let is_or = |word: &String| matches!(word.as_str(), "-o" | "-or" | ",");
    let branches = tests.split(is_or);
    // An alternative that only shows the rest says nothing about what is done to the others.
    let shows = |word: &String| matches!(word.as_str(), "-print" | "-print0" | "-ls" | "-true");
    let branches = branches.filter(|branch| {
        let only_shows =
            !branch.is_empty() && branch.iter().all(shows) && branch.len() < tests.len();
        // One that is passed over and acted on, as in `-prune -exec rm -rf {} +`, is found all the same.
        let acts = branch.iter().any(|word| is_find_action(word));
        !only_shows && (acts || !branch.iter().any(|word| word == "-prune"))
    });
    let mut names: Vec<Option<String>> = Vec::new();
    for name in branches.map(found_name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() || names.contains(&None) {
        return vec![None];
    }
    names
}

/// Returns whether a word of `find` does something to what is found, or tells it.
fn is_find_action(word: &str) -> bool {
    word == "-delete"
        || ["-exec", "-ok", "-print", "-fprint", "-ls", "-fls"]
            .iter()
            .any(|action| word.starts_with(action))
}

/// Returns the pattern that narrows down what `find` finds, if there is one.
fn found_name(tests: &[String]) -> Option<String> {
    let is_negated = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| tests.get(at));
        before.is_some_and(|word| word == "-not" || word == "!")
    };
    // What is not to be found says nothing about what is. Age and size say nothing about names: what git keeps is among them.
    let at = tests.iter().enumerate().position(|(at, test)| {
        !is_negated(at)
            && [
                "-name",
                "-iname",
                "-path",
                "-ipath",
                "-wholename",
                "-regex",
                "-iregex",
                "-empty",
                "-user",
                "-perm",
            ]
            .contains(&test.as_str())
    })?;
    let pattern = tests.get(at + 1).map_or("x", String::as_str);
    if matches!(pattern, "*" | "*.*" | "" | "?*")
        || tests
            .get(at)
            .is_some_and(|test| test.contains("perm") || test.contains("user"))
    {
        return None;
    }
    let last = pattern.rsplit('/').next().unwrap_or(pattern);
    Some(
        last.replace('*', &NAME.to_string())
            .replace('?', &ANY_CHAR.to_string())
            .replace('[', &SET.to_string()),
    )
}

/// Returns what a found path looks like.
fn found_path(start: &str, name: Option<&str>, tests: &[String]) -> String {
    let start = start.trim_end_matches('/');
    let only = tests
        .windows(2)
        .any(|pair| matches!(pair, [test, depth] if test == "-maxdepth" && depth == "0"));
    if only || is_vague(start) && name.is_none() {
        return start.to_owned();
    }
    match name {
        Some(name) => format!("{start}/{NAME}/{name}"),
        None => format!("{start}/{NAME}"),
    }
}
