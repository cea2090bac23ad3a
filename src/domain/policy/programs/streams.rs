//! `sed` and `awk`: little languages that can run and write.

use crate::domain::policy::{
    partial_text::{TextScanner, UNKNOWN, is_in},
    programs::{Language, Options, is_stream, scan_code, vague_code},
    rule::EffectKind,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    pub(super) fn sed(&mut self, args: &[String], stdin: &str) -> String {
        let in_place = args.iter().any(|arg| {
            arg.starts_with("--in-place")
                || (arg.starts_with('-')
                    && !arg.starts_with("--")
                    && arg
                        .split(['e', 'f'])
                        .next()
                        .is_some_and(|flags| flags.contains('i')))
        });
        let flat: Vec<String> = args.iter().map(|arg| without_suffix(arg)).collect();
        let options = Options::parse(&flat, "efl", &["expression", "file", "line-length"]);
        let mut rest = options.rest.clone();
        let mut scripts: Vec<String> = options
            .values(&["e", "expression"])
            .map(str::to_owned)
            .collect();
        for file in options.values(&["f", "file"]) {
            if self.remembered(file).is_none() {
                self.runs_file(file);
            }
            scripts.push(if file == "-" {
                stdin.to_owned()
            } else {
                self.remembered(file).unwrap_or_default()
            });
        }
        if scripts.is_empty() && !rest.is_empty() {
            scripts.push(rest.remove(0));
        }
        for script in &scripts {
            self.sed_script(script, stdin);
        }
        for file in &rest {
            if in_place {
                for script in &scripts {
                    self.bends_checks(script, file);
                    self.puts_in_orders(script);
                }
                let is_quiet = options.has(&["n", "quiet", "silent"]);
                if is_quiet || scripts.iter().any(|script| leaves_little(script.trim())) {
                    self.empties(file);
                }
                self.edits(file);
            } else {
                self.reads(file);
            }
        }
        sed_output(&scripts, stdin, rest.is_empty())
    }

    /// Looks at a line that an edit puts into a source, and that `go generate` runs.
    fn puts_in_orders(&mut self, script: &str) {
        for (_, rest) in script
            .match_indices("//go:generate ")
            .map(|(at, mark)| script.split_at(at + mark.len()))
        {
            let code = rest.lines().next().unwrap_or("").to_owned();
            drop(self.aside(|shell| shell.run_text(&code, "go generate", String::new())));
        }
    }

    fn sed_script(&mut self, script: &str, stdin: &str) {
        vague_code(self, script, "sed");
        for command in sed_commands(script) {
            match command {
                SedCommand::Run(code) if code.trim().is_empty() => {
                    vague_code(
                        self,
                        if stdin.is_empty() { "\u{F0000}" } else { stdin },
                        "sed",
                    );
                    drop(self.run_text(stdin, "sed", String::new()));
                }
                SedCommand::Run(code) => drop(self.run_text(&code, "sed", String::new())),
                SedCommand::Write(file) => self.writes(&file),
                SedCommand::Read(file) => self.reads(&file),
            }
        }
    }

    /// Looks at files that awk writes besides its output.
    fn awk_outputs(&mut self, args: &[String]) {
        for arg in args {
            let written = [
                "-o",
                "-d",
                "-p",
                "--pretty-print=",
                "--profile=",
                "--dump-variables=",
            ];
            let file = written.iter().find_map(|start| arg.strip_prefix(start));
            if let Some(file) = file.filter(|file| !file.is_empty()) {
                self.writes(file);
            }
        }
    }

    pub(super) fn awk(&mut self, args: &[String], stdin: &str) {
        let options = Options::leading(
            args,
            "vfFeil",
            &[
                "assign",
                "file",
                "source",
                "field-separator",
                "load",
                "include",
            ],
        );
        let assigned: Vec<String> = options
            .values(&["v", "assign"])
            .filter_map(|setting| setting.split_once('='))
            .map(|(name, value)| format!("{name} = \"{}\"", value.replace('"', "\\\"")))
            .collect();
        let mut codes: Vec<String> = options
            .values(&["e", "source"])
            .map(str::to_owned)
            .collect();
        for file in options.values(&["f", "file", "i", "include"]) {
            if file == "inplace" {
                continue;
            }
            // What the command itself wrote is read below.
            if self.remembered(file).is_none() {
                self.runs_file(file);
            }
            codes.push(if is_stream(file) && self.remembered(file).is_none() {
                stdin.to_owned()
            } else {
                self.remembered(file).unwrap_or_default()
            });
        }
        self.awk_outputs(args);
        if options.has(&["l", "load"]) {
            self.reading.opaque("awk loads a library");
        }
        let mut files = options.rest.iter();
        if codes.is_empty() {
            codes.extend(files.next().cloned());
        }
        for code in codes {
            let code = format!("{}\n{code}", assigned.join("\n"));
            if code.contains("/inet/") {
                self.reading
                    .does(EffectKind::Network, "awk opens a connection");
            }
            scan_code(self, Language::Awk, &code);
        }
        let in_place =
            |pair: &[String]| matches!(pair, [flag, value] if flag == "-i" && value == "inplace");
        if args.windows(2).any(in_place) {
            for file in files {
                self.writes(file);
            }
        }
    }
}

/// Returns an option of sed without what stands behind its `i`: the ending of a copy, as in `-Ei.orig`.
fn without_suffix(arg: &str) -> String {
    let cluster = arg.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
    match cluster.and_then(|cluster| cluster.split_once('i')) {
        Some((before, _)) if !before.contains(['e', 'f', 'l']) => format!("-{before}i"),
        _ => arg.to_owned(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum SedCommand {
    Run(String),
    Write(String),
    Read(String),
}

/// Returns whether a script of sed leaves nothing of a file, or no more than its first lines.
fn leaves_little(script: &str) -> bool {
    let digits = |c: char| c.is_ascii_digit();
    let tail = script.trim_start_matches(digits);
    let is_cut = tail.len() < script.len() && is_in(",$d q Q", tail);
    is_cut || is_in("d 1~1d D Q //d", script)
}

/// Finds the commands of a sed script that run or write something.
fn sed_commands(script: &str) -> Vec<SedCommand> {
    let mut found = Vec::new();
    let mut scan = TextScanner::new(script);
    while let Some(c) = scan.bump() {
        match c {
            '/' => skip_delimited(&mut scan, '/'),
            'e' => found.push(SedCommand::Run(
                scan.take_while(|c| c != '\n' && c != ';' && c != '}')
                    .trim()
                    .to_owned(),
            )),
            'w' | 'W' => found.push(SedCommand::Write(
                scan.take_while(|c| c != '\n').trim().to_owned(),
            )),
            'r' | 'R' => found.push(SedCommand::Read(
                scan.take_while(|c| c != '\n').trim().to_owned(),
            )),
            'a' | 'i' | 'c' | ':' | 'b' | 't' | 'T' | '#' => {
                scan.take_while(|c| c != '\n');
            }
            's' | 'y' => found.extend(substitution(&mut scan, c)),
            _ => {}
        }
    }
    found
}

fn substitution(scan: &mut TextScanner<'_>, command: char) -> Option<SedCommand> {
    let delimiter = scan.bump()?;
    skip_delimited(scan, delimiter);
    let before = scan.rest();
    skip_delimited(scan, delimiter);
    let taken = before.len() - scan.rest().len();
    let replacement = before.get(..taken.saturating_sub(1)).unwrap_or("");
    if command == 'y' {
        return None;
    }
    let flags = scan.take_while(|c| c.is_ascii_alphanumeric());
    if let Some((_, file)) = flags.split_once('w') {
        let rest = scan.take_while(|c| c != '\n');
        return Some(SedCommand::Write(format!("{file}{rest}").trim().to_owned()));
    }
    if flags.contains('e') {
        return Some(SedCommand::Run(replacement.replace('\\', "")));
    }
    None
}

fn skip_delimited(scan: &mut TextScanner<'_>, delimiter: char) {
    while let Some(c) = scan.bump() {
        if c == '\\' {
            scan.bump();
        } else if c == delimiter {
            return;
        }
    }
}

/// Returns what sed prints, where a plain substitution makes that easy to tell.
#[expect(clippy::format_collect, reason = "a handful of short lines")]
fn sed_output(scripts: &[String], stdin: &str, from_input: bool) -> String {
    let [script] = scripts else {
        return UNKNOWN.to_string();
    };
    let mut scan = TextScanner::new(script);
    if !from_input || !scan.eat("s") {
        return UNKNOWN.to_string();
    }
    let Some(delimiter) = scan.bump() else {
        return UNKNOWN.to_string();
    };
    let parts: Vec<&str> = scan.rest().split(delimiter).collect();
    match parts.as_slice() {
        [from, to, flags]
            if !from.is_empty()
                && !from.contains(['.', '*', '[', '\\', '^', '$'])
                && !to.contains(['\\', '&']) =>
        {
            if flags.contains('g') {
                stdin.replace(from, to)
            } else {
                stdin
                    .lines()
                    .map(|line| format!("{}\n", line.replacen(from, to, 1)))
                    .collect()
            }
        }
        _ => UNKNOWN.to_string(),
    }
}
