//! What is not followed in Ruby, Perl, PHP, Lua, awk and the little languages.

use super::{Reader, is_constant, is_runner, module, root, word_before};
use crate::domain::policy::programs::code::{Language, fold, lex::Token, words};

impl Reader<'_> {
    pub(super) fn ruby(&self, at: usize, word: &str) -> Option<String> {
        if let Some(part) = self.named(word) {
            return Some(part);
        }
        let is_symbol =
            self.sign_at(at.checked_sub(1), ':') && !self.sign_at(at.checked_sub(2), ':');
        if is_symbol {
            let is_block = self.sign_at(at.checked_sub(2), '&');
            let known = !is_block || self.has_method(word) || self.lists.functions.contains(word);
            let runs = is_runner(word) || is_block && self.is_judged(word);
            return (runs || !known).then(|| format!("the name of `{word}` as a value"));
        }
        let word = word.trim_end_matches(['?', '!']);
        if is_constant(word) {
            let head = root(word);
            if self.lists.guarded.contains(head) {
                let asked = format!("{word}?");
                let known = self.lists.is_member(word)
                    || self.lists.is_member(&asked)
                    || self.is_judged(word)
                    || is_exception(word) && !self.is_called(at)
                    || head == word && self.follows_index(at);
                return (!known).then(|| format!("`{word}`"));
            }
            if !word.contains('.') || self.lists.is_of_module(word) {
                return None;
            }
        }
        if word.contains('.') {
            let known = |part: &str| part.is_empty() || self.has_method(part);
            let parts = word.split('.').skip(1);
            let unknown = parts
                .filter(|part| !known(part))
                .find(|part| !self.is_judged(&format!(".{part}")));
            let unknown = unknown.filter(|_| !self.is_judged(word) && self.foreign.is_none());
            return unknown.map(|part| format!("the method `{part}`"));
        }
        let takes = matches!(
            self.tokens.get(at + 1),
            Some(Token::Sign('(') | Token::Text(_))
        );
        let is_key = self.sign_at(Some(at + 1), ':');
        (takes && !is_key).then(|| self.function(word)).flatten()
    }

    fn has_method(&self, part: &str) -> bool {
        let lists = self.lists;
        let spelled = |end: &str| lists.methods.contains(format!("{part}{end}").as_str());
        lists.methods.contains(part)
            || spelled("?")
            || spelled("!")
            || self.own.contains(part) && self.is_defined(part)
    }

    fn follows_index(&self, at: usize) -> bool {
        self.sign_at(Some(at + 1), '[') || self.is_called(at) || self.sign_at(Some(at + 1), '<')
    }

    pub(super) fn perl(&self, at: usize, word: &str) -> Option<String> {
        if self.is_used(at) {
            let runs = word.starts_with("IPC::")
                || word.starts_with("Inline")
                || word.starts_with("CORE::");
            return runs.then(|| module(word));
        }
        let is_key = self.sign_at(at.checked_sub(1), '{') && self.sign_at(Some(at + 1), '}')
            || self.sign_at(Some(at + 1), '=') && self.sign_at(Some(at + 2), '>');
        let plain = word.trim_start_matches(['$', '@']);
        if is_key && !self.is_judged(word) {
            return None;
        }
        if let Some(part) = self
            .named(plain)
            .filter(|_| word.starts_with(|c: char| c.is_alphabetic()))
        {
            return Some(part);
        }
        if word.ends_with('.') && self.is_called(at) {
            return Some(format!(
                "a call of whatever `{}` holds",
                word.trim_end_matches('.')
            ));
        }
        if word.starts_with(['$', '@']) && !word.contains('.') {
            return None;
        }
        if let Some((_, last)) = word.rsplit_once('.') {
            let class = word.split('.').next().unwrap_or(word);
            if class.contains("::")
                && !self.is_known_module(class)
                && !words::is_network_module(class)
            {
                return Some(module(class));
            }
            return (!last.is_empty()).then(|| self.method(word)).flatten();
        }
        if word.contains("::") {
            let known = self.is_judged(word)
                || self.lists.is_of_module(word)
                || words::is_network_module(word);
            return (!known).then(|| format!("`{word}`"));
        }
        let takes = matches!(
            self.tokens.get(at + 1),
            Some(Token::Sign('(' | '{') | Token::Text(_))
        );
        takes.then(|| self.function(word)).flatten()
    }

    pub(super) fn php(&self, at: usize, word: &str) -> Option<String> {
        let called = self.is_called(at);
        if word.starts_with('$') && called && (!word.contains('.') || word.ends_with('.')) {
            return Some(format!("a call of whatever `{word}` names"));
        }
        if let Some(part) = self.named(word) {
            return Some(part);
        }
        if word_before(self.tokens, at) == Some("new") {
            return (word.starts_with('$')).then(|| format!("a class that `{word}` names"));
        }
        if self.lists.callers.contains(word) {
            return self.called_by_name(at, word);
        }
        if !called {
            return None;
        }
        if word.contains('.') || word.contains("::") {
            return self.method(&word.replace("::", "."));
        }
        self.function(word)
    }

    /// Judges the functions that a call is given by their names.
    fn called_by_name(&self, at: usize, word: &str) -> Option<String> {
        let end = fold::call_end(self.tokens, at + 1);
        let inside = self.tokens.get(at..end).unwrap_or_default();
        let is_name =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
        let strange = inside.iter().find_map(|token| match token {
            Token::Text(text) if is_name(text) && !self.lists.functions.contains(text.as_str()) => {
                Some(text)
            }
            Token::Text(_) | Token::Word(_) | Token::Command(_) | Token::Sign(_) | Token::End => {
                None
            }
        });
        let direct = matches!(self.tokens.get(at + 2), Some(Token::Word(word)) if word.starts_with('$') && word != "$this");
        let by_value =
            direct && ["array_map", "call_user_func", "call_user_func_array"].contains(&word);
        by_value
            .then(|| format!("a call of whatever {word} is given"))
            .or_else(|| strange.map(|name| format!("the name of `{name}` as a value")))
    }

    pub(super) fn lua(&self, at: usize, word: &str) -> Option<String> {
        if let Some(part) = self.named(word) {
            return Some(part);
        }
        let head = root(word);
        let library = ["os", "io", "string", "table", "math", "utf8", "coroutine"].contains(&head);
        let takes = matches!(
            self.tokens.get(at + 1),
            Some(Token::Sign('(' | '{') | Token::Text(_))
        );
        if library {
            let known = self.lists.functions.contains(word) && head != word
                || self.is_judged(word) && takes
                || head == word && !["os", "io"].contains(&head)
                || self
                    .lists
                    .functions
                    .contains(&*word.split('.').take(2).collect::<Vec<_>>().join("."));
            return (!known).then(|| format!("`{word}`"));
        }
        if self.sign_at(at.checked_sub(1), ':') && takes {
            let known = self.lists.methods.contains(word) || self.is_defined(word);
            return (!known).then(|| format!("the method `{word}`"));
        }
        if !takes {
            let value = self.is_judged(word) && !self.own.contains(word);
            return value.then(|| format!("`{word}` as a value"));
        }
        if word.contains('.') {
            return self.method(word);
        }
        self.function(word)
    }

    pub(super) fn awk(&self, at: usize, word: &str) -> Option<String> {
        if word.starts_with('@') {
            return Some(format!("`{word}`"));
        }
        let computed = self.sign_at(at.checked_sub(1), '@');
        if computed {
            return Some("a function whose name is computed".to_owned());
        }
        let close = self.is_called(at) && !word.starts_with('$');
        close.then(|| self.function(word)).flatten()
    }

    pub(super) fn little(&self, at: usize, word: &str) -> Option<String> {
        let is_member = word.contains('.') && word.starts_with(|c: char| c.is_ascii_uppercase());
        if !self.is_called(at) && !is_member {
            let value = self.is_judged(word) && !self.own.contains(word);
            return value.then(|| format!("`{word}` as a value"));
        }
        self.function(word)
    }

    pub(super) fn has_code_sigil(&self, at: usize) -> bool {
        let before = self.tokens.get(..at).unwrap_or_default();
        let open = before.iter().rposition(|token| *token == Token::Sign('{'));
        self.sign_at(open.and_then(|open| open.checked_sub(1)), '&')
    }

    /// Signs with which Perl names a function.
    pub(super) fn sign(&self, at: usize, sign: char) -> Option<String> {
        if self.language != Language::Perl {
            return None;
        }
        let next = self.tokens.get(at + 1);
        let starts = matches!(
            at.checked_sub(1).map(|at| self.tokens.get(at)),
            None | Some(Some(Token::End))
        );
        match (sign, next) {
            ('*', Some(Token::Word(word))) if starts || self.sign_at(at.checked_sub(1), '=') => {
                Some(format!("`*{word}`, which names a function anew"))
            }
            ('&', Some(Token::Word(word)))
                if word.starts_with('$') && !self.sign_at(at.checked_sub(1), '&') =>
            {
                Some(format!("a call of whatever `{word}` holds"))
            }
            ('&', Some(Token::Word(word)))
                if self.sign_at(at.checked_sub(1), '\\') && self.is_judged(word) =>
            {
                Some(format!("`{word}` as a value"))
            }
            ('&', Some(Token::Sign('{'))) if !self.sign_at(at.checked_sub(1), '&') => {
                Some("a function whose name is computed".to_owned())
            }
            _ => None,
        }
    }
}

/// Returns whether a constant of Ruby is a class of exceptions, by its name: `Psych::Exception`, `JSON::ParserError`.
fn is_exception(word: &str) -> bool {
    let ends = word.ends_with("Error") || word.ends_with("Exception");
    word.contains("::") && !word.contains('.') && ends
}
