//! Editors and debuggers, whose commands reach the shell.

use crate::domain::policy::{
    partial_text::is_vague,
    programs::{Language, Options, is_in, scan_code, vague_code},
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Functions of Emacs that edit, compute and print.
const LISP: &str = "
indent-region untabify tabify point point-min point-max save-buffer whitespace-cleanup delete-trailing-whitespace message princ print
format setq let let* progn goto-char goto-line forward-line beginning-of-line end-of-line beginning-of-buffer end-of-buffer
re-search-forward search-forward replace-match replace-string replace-regexp while if when unless and or not null nil t insert
sort-lines fill-paragraph mark-whole-buffer buffer-string buffer-substring line-number-at-pos kill-emacs require quote lambda
add-to-list defun interactive 1+ 1- + - * / = < > <= >= string= equal eq concat org-mode emacs-lisp-mode c-mode python-mode
emacs-version emacs-major-version byte-compile-file batch-byte-compile batch-byte-recompile-directory ert-run-tests-batch-and-exit
ert-run-tests-batch checkdoc-file list car cdr cons length mapcar dolist push nth checkdoc setq-default save-excursion
narrow-to-region widen upcase-region downcase-region indent-for-tab-command prog-mode text-mode
";
/// Functions of Vim that look and compute.
const VIM: &str = "
line col getline setline append search searchpos substitute strftime printf len join split map filter nr2char indent cursor fnamemodify
bufname bufnr exists has empty toupper tolower matchstr match repeat max min abs str2nr string type keys values index sort reverse
range strlen strpart trim virtcol winline synID synIDattr foldlevel prevnonblank nextnonblank winsaveview winrestview getpos setpos
expand delete system systemlist job_start termopen jobstart deletebufline getbufline count
";

/// Returns the first function that a text calls and that is not listed; in Lisp the bracket stands in front of the name.
fn unknown_call(code: &str, known: &str, lisp: bool) -> Option<String> {
    let is_name = |c: char| c.is_alphanumeric() || "_-+*/=<>:#".contains(c);
    let plain: String = code.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let calls = plain.match_indices('(').map(|(at, _)| {
        if lisp {
            let rest = plain
                .get(at + 1..)
                .unwrap_or("")
                .trim_start_matches([' ', '\'', '(']);
            rest.split(|c: char| !is_name(c))
                .next()
                .unwrap_or("")
                .to_owned()
        } else {
            let head = plain.get(..at).unwrap_or("");
            let start = head.rfind(|c: char| !(c.is_alphanumeric() || "_:#.".contains(c)));
            head.get(start.map_or(0, |at| at + 1)..)
                .unwrap_or("")
                .to_owned()
        }
    });
    let mut names =
        calls.filter(|name| !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()));
    names.find(|name| !is_in(known, name))
}

/// Returns a line of ed from its command on: numbers, marks and patterns in front say where.
fn without_address(line: &str) -> &str {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || ",;%$.+- ".contains(c));
        let mut chars = rest.chars();
        rest = match chars.next() {
            Some('\'') => chars.as_str().get(1..).unwrap_or(""),
            Some(sign @ ('/' | '?')) => match chars.as_str().split_once(sign) {
                Some((_, behind)) => behind,
                None => return rest,
            },
            _ => return rest,
        };
    }
}

impl ShellInterpreter<'_, '_> {
    pub(super) fn vi(&mut self, name: &str, args: &[String], stdin: &str) {
        let options = Options::parse(args, "cuUSTWiwo", &["cmd"]);
        let mut commands: Vec<String> = options
            .values(&["c", "cmd", "S"])
            .map(str::to_owned)
            .collect();
        commands.extend(
            args.iter()
                .filter_map(|arg| arg.strip_prefix('+').map(str::to_owned)),
        );
        if name == "ex" || options.has(&["e", "s"]) {
            commands.extend(stdin.lines().map(str::to_owned));
        }
        let saves = [
            "w", "wq", "x", "w!", "wq!", "x!", "wqa", "xa", "update", "wa",
        ];
        let mut parts = commands.iter().flat_map(|command| command.split('|'));
        if parts.any(|part| saves.contains(&part.trim().trim_start_matches(':'))) {
            for file in options.rest.iter().filter(|file| !file.starts_with('+')) {
                self.edits(file);
            }
        }
        for command in commands {
            self.vi_command(&command);
        }
    }

    /// Looks at the functions that a command of vim calls.
    fn vim_calls(&mut self, part: &str, bare: &str) {
        let starts = [
            "call ",
            "let ",
            "echo ",
            "exe",
            "put =",
            "silent! call ",
            "silent call ",
            "normal ",
            "return ",
        ];
        let is_call = starts.iter().any(|start| bare.starts_with(start));
        if let Some(call) = unknown_call(part, VIM, false).filter(|_| is_call) {
            self.reading.opaque(format!("vim with `{call}`"));
        }
        if let Some((_, rest)) = part.split_once("delete(") {
            let rest = rest.strip_prefix("expand(").unwrap_or(rest);
            let path = rest
                .trim_start_matches(['"', '\''])
                .split(['"', '\''])
                .next()
                .unwrap_or("");
            self.deletes(path);
        }
    }

    fn vi_command(&mut self, command: &str) {
        vague_code(self, command, "vim");
        for part in command.split('|') {
            let part = part.trim().trim_start_matches([':', ' ']);
            let bare =
                part.trim_start_matches(|c: char| c.is_ascii_digit() || ",%$.' ".contains(c));
            let shell = part.split_once('!').filter(|(head, _)| {
                head.is_empty()
                    || ["r", "read", "w", "write", "silent ", "sil ", "silent"]
                        .contains(&head.trim())
            });
            if let Some((_, code)) = shell.or_else(|| bare.strip_prefix('!').map(|code| ("", code)))
            {
                drop(self.run_text(code, "vim", String::new()));
            }
            for call in [
                "system(",
                "systemlist(",
                "job_start(",
                "termopen(",
                "jobstart(",
            ] {
                if let Some((_, rest)) = part.split_once(call) {
                    let code = rest
                        .trim_start_matches(['"', '\'', '['])
                        .split(['"', '\''])
                        .next()
                        .unwrap_or("");
                    drop(self.run_text(code, "vim", String::new()));
                }
            }
            self.vim_calls(part, bare);
            let languages = [
                ("python3 ", Language::Python),
                ("py3 ", Language::Python),
                ("python ", Language::Python),
                ("py ", Language::Python),
                ("lua ", Language::Lua),
                ("ruby ", Language::Ruby),
                ("perl ", Language::Perl),
            ];
            for (word, language) in languages {
                if let Some(code) = bare.strip_prefix(word) {
                    scan_code(self, language, code);
                }
            }
            for word in ["w ", "write ", "w! ", "saveas ", "wq ", "sav "] {
                if let Some(file) = bare
                    .strip_prefix(word)
                    .filter(|file| !file.starts_with('!'))
                {
                    self.writes(file.trim_start_matches(['>', ' ']));
                }
            }
        }
    }

    pub(super) fn ed(&mut self, args: &[String], stdin: &str) {
        vague_code(self, stdin, "ed");
        let mut saves = is_vague(stdin);
        for line in stdin.lines() {
            let line = without_address(line);
            let code = line
                .strip_prefix('!')
                .or_else(|| line.strip_prefix("r !"))
                .or_else(|| line.strip_prefix("w !"))
                .or_else(|| line.strip_prefix("e !"));
            let saved = ["wq", "w", "W"]
                .iter()
                .find_map(|verb| line.strip_prefix(verb));
            if let Some(code) = code {
                drop(self.run_text(code, "ed", String::new()));
            } else if let Some(file) = saved.map(str::trim) {
                saves |= file.is_empty();
                if !file.is_empty() {
                    self.writes(file);
                }
            }
        }
        if saves {
            for file in args.iter().filter(|arg| !arg.starts_with('-')) {
                self.edits(file);
            }
        }
    }

    pub(super) fn emacs(&mut self, args: &[String]) {
        // emacs takes long options after one dash, too.
        let args: Vec<String> = args
            .iter()
            .map(|arg| {
                let long = arg.starts_with('-') && !arg.starts_with("--") && arg.len() > 2;
                if long { format!("-{arg}") } else { arg.clone() }
            })
            .collect();
        let options = Options::parse(
            &args,
            "efl",
            &["eval", "execute", "funcall", "load", "script"],
        );
        for code in options.values(&["eval", "execute", "e"]) {
            self.lisp(code);
            if let Some(call) = unknown_call(code, LISP, true) {
                self.reading.opaque(format!("Lisp with `{call}`"));
            }
        }
        for call in options.values(&["f", "funcall"]) {
            if !is_in(LISP, call) {
                self.reading.opaque(format!("Lisp with `{call}`"));
            }
        }
        for file in options.values(&["l", "load", "script"]) {
            self.runs_file(file);
        }
    }

    pub(super) fn lisp(&mut self, code: &str) {
        let texts: Vec<&str> = code.split('"').skip(1).step_by(2).collect();
        let runs = [
            "shell-command",
            "call-process",
            "start-process",
            "process-lines",
            "async-shell",
            "system ",
        ];
        let removes = ["delete-file", "delete-directory", "rename-file"];
        if runs.iter().any(|word| code.contains(word)) {
            for text in &texts {
                drop(self.run_text(text, "emacs", String::new()));
            }
            if texts.len() > 1 {
                drop(self.dispatch(
                    texts.iter().map(|text| (*text).to_owned()).collect(),
                    String::new(),
                ));
            }
        }
        if removes.iter().any(|word| code.contains(word)) {
            for text in &texts {
                self.deletes(text);
            }
        }
        if code.contains("write-region") || code.contains("write-file") {
            for text in &texts {
                self.writes(text);
            }
        }
        if code.contains("url-retrieve") || code.contains("open-network-stream") {
            self.reading
                .does(EffectKind::Network, "emacs opens a connection");
        }
    }

    /// Looks at commands that a debugger reads from its input.
    pub(super) fn debugger_input(&mut self, name: &str, stdin: &str) {
        for line in stdin.lines().map(str::trim) {
            let code = line
                .strip_prefix('!')
                .or_else(|| line.strip_prefix("shell "));
            if let Some(code) = code.map(str::to_owned) {
                drop(self.run_text(&code, name, String::new()));
            }
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if reaches_out(word, rest) {
                self.reading
                    .opaque(format!("{name} with `{word}` in its input"));
            }
        }
    }

    pub(super) fn debugger(&mut self, name: &str, args: &[String]) {
        // Both take commands through several options.
        let at = args.iter().position(|arg| arg == "--args" || arg == "--");
        let options = Options::parse(
            args.get(..at.unwrap_or(args.len())).unwrap_or_default(),
            "osSxcp",
            &[
                "ex",
                "eval-command",
                "iex",
                "init-eval-command",
                "one-line",
                "one-line-before-file",
                "command",
            ],
        );
        let mut commands: Vec<String> = options
            .values(&[
                "ex",
                "eval-command",
                "iex",
                "init-eval-command",
                "o",
                "one-line",
                "O",
            ])
            .map(str::to_owned)
            .collect();
        let singles = args
            .iter()
            .zip(args.iter().skip(1))
            .filter(|(flag, _)| ["-ex", "-iex", "-eval-command"].contains(&flag.as_str()));
        commands.extend(singles.map(|(_, command)| command.clone()));
        for command in commands {
            let command = command.trim();
            let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
            match word {
                "shell" | "!" | "make" | "platform" | "pipe" | "|" => {
                    drop(self.run_text(rest.trim_start_matches("shell "), name, String::new()));
                }
                "python" | "py" | "script" | "python-interactive" | "pi" => {
                    scan_code(self, Language::Python, rest);
                }
                _ if reaches_out(word, rest) => {
                    self.reading.opaque(format!(
                        "{name} with `{word}`, which runs, loads or writes something"
                    ));
                }
                "call" | "print" | "p" | "expr" | "expression" => {
                    scan_code(self, Language::C, rest);
                }
                _ if command.starts_with('!') => {
                    drop(self.run_text(command.trim_start_matches('!'), name, String::new()));
                }
                _ => {}
            }
        }
        if let Some(at) = at {
            drop(self.dispatch(
                args.get(at + 1..).unwrap_or_default().to_vec(),
                String::new(),
            ));
        }
    }
}

/// Returns whether a command of a debugger runs, loads or writes something, or acts on a process that it did not start.
fn reaches_out(word: &str, rest: &str) -> bool {
    const WORDS: &str = "source attach guile gu command add-auto-load-safe-path dump restore detach gcore generate-core-file save";
    match word {
        "target" => !rest.starts_with("create"),
        "process" => rest.starts_with("attach"),
        "kill" => !rest.is_empty(),
        _ => is_in(WORDS, word),
    }
}
