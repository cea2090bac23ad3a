//! Reads code of other languages for calls with consequences.
//!
//! This is no interpreter. The text is cut into words and literals, constant expressions are folded, variables
//! that hold one constant are followed, and every call of a known function is looked at with its arguments.
//! A call that runs commands or code from something that is not constant is opaque.

mod asked;
mod fold;
mod keys;
mod known;
mod lex;
mod listed;
mod little;
mod opened;
mod paths;
mod reach;
mod servers;
mod strict;
mod words;

use crate::domain::policy::{
    interpretation::CommandEffect,
    partial_text::{UNKNOWN, base_name, is_in, stripped, without_own},
    programs::{files::sets_id, vague_code},
    resolved_path::{ResolvedPath, has_drive},
    rule::EffectKind,
    shell::ShellInterpreter,
};
use lex::Token;
use paths::{KnownFolders, is_place, looks_like_path};
use servers::{asks, is_here, is_own_port, opens_port};
use words::CallEffect;

/// A language whose code is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain::policy) enum Language {
    /// Python.
    Python,
    /// Perl.
    Perl,
    /// Ruby.
    Ruby,
    /// JavaScript and TypeScript.
    JavaScript,
    /// PHP.
    Php,
    /// Lua.
    Lua,
    /// awk.
    Awk,
    /// Tcl.
    Tcl,
    /// C and its relatives.
    C,
    /// R, Julia and others that only share the names of functions.
    R,
}

/// Looks through code that is about to run for what it would do, and for what cannot be followed.
pub(in crate::domain::policy) fn scan(
    shell: &mut ShellInterpreter<'_, '_>,
    language: Language,
    code: &str,
) {
    read(shell, language, code, true);
}

/// Looks through a file that a tool of the project may run: only calls with consequences count.
pub(in crate::domain::policy) fn scan_file(
    shell: &mut ShellInterpreter<'_, '_>,
    language: Language,
    code: &str,
) {
    read(shell, language, &without_own(code), false);
}

fn read(shell: &mut ShellInterpreter<'_, '_>, language: Language, code: &str, is_strict: bool) {
    if !shell.reading.spend_text(code) || !shell.reading.enter("code") {
        return;
    }
    if code.contains(UNKNOWN) {
        shell.reading.opaque("code that is only known at run time");
    }
    asked::at_home(shell, language, code);
    if is_strict {
        shell.whole_code(code);
        shell.silences_in_code(code);
        // Code that puts a hook into the file of the test runner.
        for file in ["conftest.py", "pyproject.toml", "pytest.ini", "setup.cfg"] {
            if code.contains(file) {
                shell.weakens_checks(file, code);
            }
        }
    }
    if language == Language::Tcl {
        little::tcl(shell, code);
    } else {
        let known = KnownFolders::new(shell);
        let code = paths::with_home(code, &known);
        let tokens = fold::folded(lex::tokens(language, &code), language, &known);
        let part = is_strict
            .then(|| {
                let away = |text: &str| shell.leads_away(text).is_some();
                strict::unfollowed(language, &tokens, &|| reach::reach(shell, &tokens), &away)
            })
            .flatten();
        if let Some(part) = part {
            shell.reading.opaque(format!("code that uses {part}"));
        }
        let keys = keys::taken(&code, &tokens);
        if is_strict && keys.is_some() && keys::shows_spelled(&code) {
            shell
                .reading
                .opaque("the code, which shows what a file with keys says");
        }
        shell.aside(|shell| {
            Scanner {
                shell,
                language,
                tokens: &tokens,
                keys,
            }
            .run();
        });
    }
    shell.reading.leave();
}

struct Scanner<'s, 'r, 'w> {
    shell: &'s mut ShellInterpreter<'r, 'w>,
    language: Language,
    tokens: &'s [Token],
    /// The file whose keys the code takes.
    keys: Option<&'s str>,
}

impl Scanner<'_, '_, '_> {
    fn run(mut self) {
        for at in 0..self.tokens.len() {
            match self.tokens.get(at) {
                Some(Token::Word(word)) => self.word(at, word),
                Some(Token::Text(text)) if is_place(text) => self.shell.reads(text),
                Some(Token::Command(text)) => {
                    vague_code(self.shell, text, "backquotes");
                    drop(self.shell.run_text(text, "backquotes", String::new()));
                }
                Some(Token::Sign('|')) if self.language == Language::Awk => self.awk_pipe(at),
                Some(Token::Sign('>')) if self.language == Language::Awk => self.awk_output(at),
                _ => {}
            }
            if self.shell.reading.given_up.is_some() {
                return;
            }
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each kind of call, and an arm is a line or two"
    )]
    fn word(&mut self, at: usize, word: &str) {
        let called = matches!(self.tokens.get(at + 1), Some(Token::Sign('(')));
        self.sets_variable(at, word);
        if self.tagged(at, word) {
            return;
        }
        if word == "pytest.main" {
            let args = fold::arguments(self.tokens, at + 1);
            let mut words = vec!["pytest".to_owned()];
            words.extend(args.into_iter().flatten());
            drop(
                self.shell
                    .aside(|shell| shell.dispatch(words, String::new())),
            );
            return;
        }
        if !called && !self.bare(at) {
            if word.contains("::") && words::is_network_module(word) {
                self.shell.reading.does(
                    EffectKind::Network,
                    format!("{word} talks to another machine"),
                );
            }
            return;
        }
        let before = at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let block = matches!(self.tokens.get(at + 1), Some(Token::Sign('{')));
        if word == "do" && block {
            return;
        }
        if word == ".exec" && before == Some(&Token::Sign('/')) {
            // A regular expression that is applied.
            return;
        }
        let args = fold::arguments(self.tokens, at + 1);
        self.address(word, &args);
        let receiver = self.receiver(at, word);
        let Some(call) = words::call(self.language, word) else {
            return;
        };
        match call {
            CallEffect::Run if self.language == Language::C => self.runs_built(at, word, &args),
            CallEffect::Run => self.runs(word, &args),
            CallEffect::Delete if receiver.is_some() => self.deletes(&[receiver]),
            CallEffect::Delete => {
                self.deletes(&args);
                // What is emptied is so under all of its names.
                if word.contains("truncate") {
                    self.writes(&args);
                }
            }
            CallEffect::Move => {
                let (from, to) = match receiver {
                    Some(path) => (vec![Some(path)], args.clone()),
                    None if word.starts_with('.') => (Vec::new(), args.clone()),
                    None => {
                        let (from, to) = args.split_at(args.len().min(1));
                        (from.to_vec(), to.to_vec())
                    }
                };
                self.deletes(&from);
                self.writes(&to);
            }
            CallEffect::Write if self.language == Language::C && word.ends_with("open") => {
                if self.opens_to_write(word) {
                    self.writes(&args);
                }
            }
            CallEffect::Write => self.writes(&args),
            CallEffect::WriteSecond if self.language == Language::R => {
                for path in args.iter().flatten().filter(|path| path.contains('/')) {
                    self.shell.writes(path);
                }
            }
            CallEffect::WriteSecond => {
                self.writes(args.get(1..).unwrap_or_default());
                if let [Some(target), Some(link), ..] = args.as_slice()
                    && (word.contains("symlink") || word.contains("ln_s"))
                {
                    self.shell.link(link, target);
                }
            }
            CallEffect::WriteReceiver => self.writes(&[receiver]),
            CallEffect::Folder => {
                let folder = args.first().cloned().flatten();
                self.shell
                    .go_to(&folder.unwrap_or_else(|| UNKNOWN.to_string()));
            }
            CallEffect::Open if word.starts_with("Deno") => self.writes(&args),
            CallEffect::Open => self.opens(&self.with_names(at, args)),
            CallEffect::Mode => self.mode(at, &args),
            CallEffect::Network if asks(word) && (is_here(&args) || self.asks_own_server(at)) => {}
            // A short name that may be a session, where no session is opened.
            CallEffect::Network if word.starts_with("s.") && !self.opens_session(&args) => {}
            CallEffect::Network if word.ends_with("createServer") && self.listens_here() => {}
            CallEffect::Network
                if opens_port(word)
                    && is_own_port(&args)
                    && reach::reach(self.shell, self.tokens).is_none() => {}
            // What a hash holds.
            CallEffect::Network if self.language == Language::Ruby && word.ends_with("fetch") => {}
            CallEffect::Network => self.shell.reading.does(
                EffectKind::Network,
                format!("{word} talks to another machine"),
            ),
            CallEffect::Database => self.connects(word, at, &args),
            CallEffect::Privilege => self
                .shell
                .reading
                .does(EffectKind::Privilege, format!("{word} takes other rights")),
            CallEffect::Evaluate => self.evaluates(word, &args),
            CallEffect::Load => self.loads(&args),
            CallEffect::Source => self.sources(&args),
            CallEffect::Kill => self
                .shell
                .reading
                .does(EffectKind::System, format!("{word} ends processes")),
        }
    }

    /// Reads the text behind a tag that runs it, as in Bun.
    fn tagged(&mut self, at: usize, word: &str) -> bool {
        let tag = self.language == Language::JavaScript && word.ends_with('$');
        match self.tokens.get(at + 1) {
            Some(Token::Text(code)) if tag => {
                vague_code(self.shell, code, word);
                drop(self.shell.run_text(code, word, String::new()));
                true
            }
            _ => false,
        }
    }

    /// Returns the constant that a method is called on.
    fn receiver(&self, at: usize, word: &str) -> Option<String> {
        let before = at.checked_sub(1).and_then(|at| self.tokens.get(at));
        match before {
            Some(Token::Text(text)) if word.starts_with('.') => Some(text.clone()),
            _ => None,
        }
    }

    /// Returns whether the language lets this word be called without brackets, and something follows it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything that is not named has no meaning here"
    )]
    fn bare(&self, at: usize) -> bool {
        let free = matches!(
            self.language,
            Language::Perl | Language::Ruby | Language::Php | Language::Lua
        );
        let next = self.tokens.get(at + 1);
        let back = |steps: usize| at.checked_sub(steps).and_then(|at| self.tokens.get(at));
        let is_key = back(1) == Some(&Token::Sign('{'))
            && next == Some(&Token::Sign('}'))
            && matches!(back(2), Some(Token::Word(_)))
            && !matches!(back(2), Some(Token::Word(word)) if word == "sub")
            || next == Some(&Token::Sign('='))
            || next == Some(&Token::Sign(':'));
        // Perl takes `$_` where nothing is given, and Ruby calls methods by their names alone.
        let Some(Token::Word(word)) = self.tokens.get(at) else {
            return false;
        };
        let alone = match self.language {
            Language::Perl => !word.starts_with(['$', '@']) && !word.contains("::"),
            Language::Ruby => word.contains('.'),
            _ => false,
        };
        if alone && !is_key && words::call(self.language, word).is_some() {
            return true;
        }
        let spread = next == Some(&Token::Sign('*'))
            && matches!(self.tokens.get(at + 2), Some(Token::Text(_)));
        let spread = spread && words::call(self.language, word) == Some(CallEffect::Run);
        free && (spread
            || matches!(
                next,
                Some(Token::Text(_) | Token::Word(_) | Token::Sign('{' | '[' | '<'))
            ))
    }

    fn runs(&mut self, word: &str, args: &[Option<String>]) {
        const SHELLS: &str = "sh bash dash zsh ksh python python3 perl node ruby";
        let known: Vec<String> = args.iter().flatten().cloned().collect();
        let Some(first) = known.first() else {
            if !args.is_empty() {
                self.shell.reading.opaque(format!(
                    "{word} runs a command that is only known at run time"
                ));
            }
            return;
        };
        if args.first().is_some_and(Option::is_none) {
            self.shell.reading.opaque(format!(
                "{word} runs a command that is only known at run time"
            ));
        }
        // A shell without a text runs what it is fed.
        if is_in(SHELLS, base_name(first.trim())) && known.len() == args.len() && args.len() < 3 {
            let is_fed = known.iter().skip(1).all(|arg| arg.len() < 3 && arg != "-c");
            if is_fed {
                self.shell
                    .reading
                    .opaque(format!("{word} starts {first}, which runs what it is fed"));
            }
        }
        // A format is filled in at run time.
        if paths::is_format(first) {
            let text = format!("{word} runs a command that is put together at run time");
            self.shell.reading.opaque(text);
        }
        // What it reads may come from the code.
        let anything = UNKNOWN.to_string();
        if first.contains(char::is_whitespace) || known.len() == 1 {
            vague_code(self.shell, first, word);
            drop(self.shell.run_text(first, word, anything));
        } else {
            drop(
                self.shell
                    .aside(|shell| shell.dispatch(known.clone(), anything)),
            );
        }
    }

    /// Reads a command that is put together by calls which follow, as in Rust.
    fn runs_built(&mut self, at: usize, word: &str, args: &[Option<String>]) {
        let mut words = args.to_vec();
        let end = self.tokens.get(at..).unwrap_or_default();
        let end = end.iter().position(|token| *token == Token::End);
        let last = end.map_or(self.tokens.len(), |end| at + end);
        for more in at + 1..last {
            if matches!(self.tokens.get(more), Some(Token::Word(word)) if word == ".arg" || word == ".args")
            {
                let inside = self.tokens.get(more..fold::call_end(self.tokens, more + 1));
                words.extend(
                    inside
                        .unwrap_or_default()
                        .iter()
                        .filter_map(|token| match token {
                            Token::Text(text) => Some(Some(text.clone())),
                            Token::Word(_) | Token::Command(_) | Token::Sign(_) | Token::End => {
                                None
                            }
                        }),
                );
            }
        }
        self.runs(word, &words);
    }

    fn deletes(&mut self, args: &[Option<String>]) {
        let known: Vec<&String> = args
            .iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .collect();
        if !known.is_empty() {
            for path in known {
                let path = self.expanded(path);
                self.shell.deletes(&path);
            }
            return;
        }
        let paths = self.paths();
        if paths.is_empty() {
            let unknown = ResolvedPath::Unknown("a computed path".to_owned());
            self.shell.reading.effect(CommandEffect::Delete(unknown));
        }
        for path in paths {
            self.shell.deletes(&path);
        }
    }

    fn writes(&mut self, args: &[Option<String>]) {
        if let Some(Some(path)) = args.first() {
            listed::written(self.shell, path, self.tokens);
            if let Some(keys) = self.keys {
                self.shell.copies_keys(keys, path);
            }
            return;
        }
        // The path is somewhere else in the code: every absolute one may be it.
        for path in self.paths() {
            if path.starts_with(['/', '~']) || has_drive(&path) {
                self.shell.writes(&path);
            }
        }
        let texts = self.tokens.iter().filter_map(|token| match token {
            Token::Text(text) => Some(text),
            Token::Word(_) | Token::Command(_) | Token::Sign(_) | Token::End => None,
        });
        for text in texts.filter(|text| !stripped(text).is_empty()) {
            self.shell.blurs(text);
        }
        self.shell.blurs_words();
    }

    fn opens(&mut self, args: &[Option<String>]) {
        let texts: Vec<&String> = args.iter().flatten().collect();
        let redirects = texts.iter().find_map(|text| {
            let text = text.trim();
            text.strip_prefix("+<")
                .or_else(|| text.trim_start_matches('+').strip_prefix('>'))
        });
        let pipes = texts.iter().any(|text| {
            text.trim().starts_with('|') || text.trim().ends_with('|') || *text == "-|"
        });
        if pipes && matches!(self.language, Language::Perl | Language::Ruby) {
            for text in &texts {
                let code = text.trim_matches(['|', '-', ' ']).to_owned();
                drop(self.shell.run_text(&code, "open", UNKNOWN.to_string()));
            }
            return;
        }
        if let Some(rest) = redirects.filter(|_| matches!(self.language, Language::Perl)) {
            let file = rest.trim_start_matches('>').trim();
            if file.is_empty() || file.starts_with(':') {
                if let Some(file) = texts.last() {
                    self.shell.writes(file);
                }
            } else {
                self.shell.writes(file);
            }
            return;
        }
        let writing = texts.iter().skip(1).any(|mode| {
            mode.len() <= 4
                && mode.contains(['w', 'a', 'x', '+'])
                && mode.chars().all(|c| "wax+rbtU".contains(c))
        });
        let only_mode = texts.len() == 1
            && args.len() > 1
            && texts
                .iter()
                .all(|mode| mode.len() <= 3 && mode.starts_with(['w', 'a', 'x']));
        if writing || only_mode {
            let first = args.first().cloned().flatten();
            self.writes(&[first]);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything that is not named has no meaning here"
    )]
    fn mode(&mut self, at: usize, args: &[Option<String>]) {
        let end = fold::call_end(self.tokens, at + 1);
        let numbers = self
            .tokens
            .get(at..end)
            .unwrap_or_default()
            .iter()
            .filter_map(|token| match token {
                Token::Word(word) => word.strip_prefix("0o").or_else(|| word.strip_prefix('0')),
                _ => None,
            });
        let call = self.tokens.get(at..end).unwrap_or_default();
        let named = call.iter().any(|token| matches!(token, Token::Word(word) if word.contains("S_ISUID") || word.contains("S_ISGID") || word.parse::<u32>().is_ok_and(|mode| !word.starts_with('0') && mode > 0o777 && mode & 0o6000 != 0)));
        if named || numbers.into_iter().any(sets_id) {
            self.shell.reading.does(
                EffectKind::Privilege,
                "chmod makes a file run with its owner's rights",
            );
        }
        self.writes(args);
    }

    fn evaluates(&mut self, word: &str, args: &[Option<String>]) {
        match args.first() {
            Some(Some(code)) => {
                let code = code.clone();
                scan(self.shell, self.language, &code);
            }
            Some(None) => self
                .shell
                .reading
                .opaque(format!("{word} runs code that is only known at run time")),
            None => {}
        }
    }

    fn loads(&mut self, args: &[Option<String>]) {
        match args.first() {
            Some(Some(name)) if is_in("http node:http", name) && self.listens_here() => {}
            Some(Some(name)) if words::is_network_module(name) => {
                self.shell.reading.does(
                    EffectKind::Network,
                    format!("{name} talks to another machine"),
                );
            }
            Some(Some(name)) if name.starts_with(['/', '~', '.']) || name.contains("://") => {
                self.sources(&[Some(name.clone())]);
            }
            Some(None) => self
                .shell
                .reading
                .opaque("a module whose name is only known at run time"),
            _ => {}
        }
    }

    /// Looks at a file that is loaded as code.
    fn sources(&mut self, args: &[Option<String>]) {
        let Some(Some(file)) = args.first() else {
            self.shell
                .reading
                .opaque("a file with code whose name is only known at run time");
            return;
        };
        if file.contains("://") {
            self.shell
                .reading
                .does(EffectKind::Network, format!("it loads code from {file}"));
        }
        if let Some(code) = self.shell.remembered(file) {
            scan(self.shell, self.language, &code);
        } else {
            self.shell.runs_file(file);
        }
        self.shell.reads(file);
    }

    /// Returns every literal that looks like a path.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything that is not named has no meaning here"
    )]
    fn paths(&self) -> Vec<String> {
        let texts = self.tokens.iter().filter_map(|token| match token {
            Token::Text(text) => Some(text),
            _ => None,
        });
        texts
            .filter(|text| looks_like_path(text))
            .cloned()
            .collect()
    }
}
