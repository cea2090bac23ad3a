//! Editors and debuggers, whose commands reach the shell.

use crate::domain::policy::{
    programs::{Language, Options, scan_code, vague_code},
    rule::EffectTrait,
    shell::Machine,
};

impl Machine<'_, '_> {
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
                self.writes(file);
            }
        }
        for command in commands {
            self.vi_command(&command);
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
            if let Some((_, rest)) = part.split_once("delete(") {
                let path = rest
                    .trim_start_matches(['"', '\''])
                    .split(['"', '\''])
                    .next()
                    .unwrap_or("");
                self.deletes(path);
            }
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
        for line in stdin.lines() {
            let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || ",%$. ".contains(c));
            let code = line
                .strip_prefix('!')
                .or_else(|| line.strip_prefix("r !"))
                .or_else(|| line.strip_prefix("w !"))
                .or_else(|| line.strip_prefix("e !"));
            if let Some(code) = code {
                drop(self.run_text(code, "ed", String::new()));
            } else if let Some(file) = line.strip_prefix("w ") {
                self.writes(file.trim());
            }
        }
        if stdin.lines().any(|line| line == "w" || line == "wq") {
            for file in args.iter().filter(|arg| !arg.starts_with('-')) {
                self.writes(file);
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
                .does(EffectTrait::Network, "emacs opens a connection");
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
