//! What is special about Tcl, where everything is a command, and about what awk prints.

use crate::domain::policy::{
    partial_text::{UNKNOWN, stripped},
    programs::code::{Language, Scanner, known, lex::Token},
    rule::EffectKind,
    shell::ShellInterpreter,
};

impl Scanner<'_, '_, '_> {
    /// Reads where `print > …` of awk leads.
    pub(super) fn awk_output(&mut self, at: usize) {
        let before = self.tokens.get(..at).unwrap_or_default();
        let from = before
            .iter()
            .rposition(|token| matches!(token, Token::End | Token::Sign('{' | '}')))
            .map_or(0, |at| at + 1);
        let prints = matches!(before.get(from), Some(Token::Word(word)) if word == "print" || word == "printf");
        let open = before
            .iter()
            .skip(from)
            .fold(0_i32, |open, token| match token {
                Token::Sign('(') => open + 1,
                Token::Sign(')') => open - 1,
                Token::Word(_)
                | Token::Text(_)
                | Token::Command(_)
                | Token::Sign(_)
                | Token::End => open,
            });
        let appends = matches!(self.tokens.get(at + 1), Some(Token::Sign('>')));
        match self.tokens.get(if appends { at + 2 } else { at + 1 }) {
            Some(Token::Text(file)) => self.shell.writes(file),
            Some(Token::Word(_) | Token::Sign('(' | '$')) if prints && open == 0 => {
                self.shell
                    .reading
                    .opaque("awk writes to a file whose name is computed");
            }
            _ => {}
        }
    }

    pub(super) fn awk_pipe(&mut self, at: usize) {
        if matches!(self.tokens.get(at + 1), Some(Token::Sign('|')))
            || matches!(
                at.checked_sub(1).and_then(|at| self.tokens.get(at)),
                Some(Token::Sign('|'))
            )
        {
            return;
        }
        let after = matches!(self.tokens.get(at + 1), Some(Token::Word(word)) if word == "getline");
        let text = if after {
            at.checked_sub(1).and_then(|at| self.tokens.get(at))
        } else {
            self.tokens.get(at + 1)
        };
        match text {
            Some(Token::Text(code)) => {
                let code = code.clone();
                drop(self.shell.run_text(&code, "awk", UNKNOWN.to_string()));
            }
            _ => self
                .shell
                .reading
                .opaque("awk runs a command that is only known at run time"),
        }
    }
}

/// Returns whether a word at the start of a piece of Tcl only computes or prints.
fn is_tcl_word(word: &str) -> bool {
    let named = word
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_' || c == ':');
    let known = known::lists(Language::Tcl).is_some_and(|lists| lists.functions.contains(word));
    // What is no name is a value or a part of a text.
    known || !named || word.starts_with(|c: char| c.is_ascii_digit())
}

/// Looks through Tcl, where everything is a command.
pub(super) fn tcl(shell: &mut ShellInterpreter<'_, '_>, code: &str) {
    for line in code.split(['\n', ';', '[', ']', '{', '}']) {
        let words: Vec<String> = line
            .split_whitespace()
            .map(|word| word.trim_matches('"').to_owned())
            .collect();
        let (Some(first), rest) = (words.first(), words.get(1..).unwrap_or_default()) else {
            continue;
        };
        match first.as_str() {
            "exec" | "spawn" | "system" => {
                let command: Vec<String> = rest
                    .iter()
                    .filter(|word| !["-ignorestderr", "-noecho", "--"].contains(&word.as_str()))
                    .cloned()
                    .collect();
                drop(shell.aside(|shell| shell.dispatch(command, String::new())));
            }
            "file"
                if rest
                    .first()
                    .is_some_and(|verb| verb == "delete" || verb == "rename") =>
            {
                let mut named = rest
                    .iter()
                    .skip(1)
                    .filter(|word| !word.starts_with('-'))
                    .peekable();
                if named.peek().is_none() {
                    shell
                        .reading
                        .opaque("Tcl code that removes what is only known at run time");
                }
                for path in named {
                    shell.deletes(path);
                }
            }
            "file"
                if rest.first().is_some_and(|verb| {
                    ["copy", "mkdir", "link", "attributes"].contains(&verb.as_str())
                }) =>
            {
                if let Some(path) = rest.last() {
                    shell.writes(path);
                }
            }
            "open" if rest.first().is_some_and(|path| path.starts_with('|')) => {
                drop(shell.run_text(&rest.join(" ").replace('|', ""), "tcl", String::new()));
            }
            "open" if rest.len() > 1 => {
                if let Some(path) = rest.first() {
                    shell.writes(path);
                }
            }
            "socket" => shell
                .reading
                .does(EffectKind::Network, "socket opens a connection"),
            "eval" | "uplevel" | "source" | "subst" | "after" | "interp" | "load" | "rename" => {
                shell.reading.opaque(format!("Tcl code with `{first}`"));
            }
            "file" | "open" | "cd" | "glob" | "pwd" => {}
            word if is_tcl_word(word) => {}
            word => shell
                .reading
                .opaque(format!("Tcl code with `{}`", stripped(word))),
        }
    }
}
