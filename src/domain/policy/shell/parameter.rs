//! `${…}`: every form of parameter expansion.

use crate::domain::policy::{
    partial_text::{NAME, SECRET, TextScanner, UNKNOWN, is_vague},
    shell::{
        ShellInterpreter, ansi_text,
        state::{inherited_as, unknown},
        wild_fits,
    },
};

impl ShellInterpreter<'_, '_> {
    /// Expands the inside of `${…}`.
    pub(super) fn braced_parameter(&mut self, inner: &str) -> Vec<String> {
        let mut scan = TextScanner::new(inner);
        if inner.len() > 1 && scan.eat("#") {
            return vec![self.length(scan.rest())];
        }
        if inner.len() > 1 && scan.eat("!") {
            return self.indirect(scan.rest());
        }
        let name = name_of(&mut scan).to_owned();
        let index = scan
            .eat("[")
            .then(|| super::quoting::bracketed(&mut scan, '[', ']').to_owned());
        if let Some(index) = &index {
            self.hidden_substitutions(index);
        }
        let known = self.is_set(&name);
        let value = self.element(&name, index.as_deref());
        if let Some(value) = self.conditional(&name, known, &value, scan) {
            return value;
        }
        let operation = scan.rest();
        if operation.is_empty() {
            return value;
        }
        let is_list = ["@", "*"].contains(&name.as_str())
            || index
                .as_deref()
                .is_some_and(|index| index == "@" || index == "*");
        if let Some(slash) = self.first_slash(&name, operation) {
            return vec![slash];
        }
        if let Some(slice) = operation.strip_prefix(':').filter(|_| is_list) {
            let from_one = index.is_none();
            return self.sliced(&value, slice, from_one);
        }
        value
            .iter()
            .map(|value| {
                let mut text = self.transformed(value, operation);
                // A part of a key is one, too; where something stands in its place nobody sees it.
                let is_masked = operation.starts_with('/');
                if value.contains(SECRET) && !text.contains(SECRET) && !is_masked {
                    text.push(SECRET);
                }
                text
            })
            .collect()
    }

    /// Returns some members of a list: from `start`, at most `count`; all of them where the numbers are not known.
    fn sliced(&mut self, list: &[String], slice: &str, from_one: bool) -> Vec<String> {
        let (start, count) = slice.split_once(':').unwrap_or((slice, ""));
        let start = self.arithmetic(start.trim());
        let count = (!count.is_empty()).then(|| self.arithmetic(count.trim()));
        let length = list.len();
        let (Ok(start), Ok(count)) = (
            start.parse::<isize>(),
            count.map_or(Ok(length), |count| count.parse::<usize>()),
        ) else {
            return list.to_vec();
        };
        let first = if start < 0 {
            length.saturating_sub(start.unsigned_abs())
        } else {
            start.unsigned_abs().saturating_sub(usize::from(from_one))
        };
        list.iter().skip(first).take(count).cloned().collect()
    }

    /// Returns the length of a value, which lets a text be built from numbers.
    fn length(&mut self, name: &str) -> String {
        let value = self.element(name.trim_end_matches("[@]"), None).concat();
        if is_vague(&value) {
            NAME.to_string()
        } else {
            value.chars().count().to_string()
        }
    }

    fn indirect(&mut self, rest: &str) -> Vec<String> {
        let mut scan = TextScanner::new(rest);
        let name = name_of(&mut scan).to_owned();
        if scan.rest() == "*" || scan.rest() == "@" || scan.rest().starts_with('[') {
            // The names of variables that begin alike; those of keys do.
            let upper = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            if upper && !scan.rest().starts_with('[') && !self.is_known(&name) {
                self.shows_environment("a list of variables");
            }
            return vec![unknown()];
        }
        let target = self.parameter(&name).concat();
        if is_vague(&target) {
            if scan.rest().is_empty() {
                self.shows_environment("a variable whose name is only known at run time");
            }
            return vec![unknown()];
        }
        self.hidden_substitutions(&target);
        self.braced_parameter(&format!("{target}{}", scan.rest()))
    }

    fn is_set(&self, name: &str) -> bool {
        self.state.variables.contains_key(name)
            || ["HOME", "PWD", "IFS", "@", "*", "0"].contains(&name)
            || name
                .parse::<usize>()
                .is_ok_and(|n| n <= self.state.parameters.len())
    }

    fn element(&mut self, name: &str, index: Option<&str>) -> Vec<String> {
        let Some(index) = index else {
            return self.parameter(name);
        };
        let list = self
            .lookup(name)
            .unwrap_or_else(|| vec![inherited_as(name)]);
        if index == "@" || index == "*" {
            return list;
        }
        let index = self.arithmetic(index);
        match index.parse::<usize>() {
            Ok(at) => vec![list.get(at).cloned().unwrap_or_default()],
            Err(_) => vec![unknown()],
        }
    }

    /// Handles `:-`, `:=`, `:+` and `:?`; `None` when the operation is another one.
    fn conditional(
        &mut self,
        name: &str,
        known: bool,
        value: &[String],
        mut scan: TextScanner<'_>,
    ) -> Option<Vec<String>> {
        let colon = scan.eat(":");
        let filled = known && !(colon && value.concat().is_empty());
        let sign = scan.bump()?;
        if !"-=+?".contains(sign) {
            return None;
        }
        let word = scan.rest();
        match sign {
            '+' if filled => Some(self.words_of(word)),
            // Whether it is set outside is not known: the word is what matters more.
            '+' if !known => Some(self.words_of(word)),
            '+' => Some(vec![String::new()]),
            _ if filled => Some(value.to_vec()),
            '=' => {
                let value = self.words_of(word);
                self.assign(name, value.clone());
                Some(value)
            }
            '-' => Some(self.words_of(word)),
            _ => {
                drop(self.words_of(word));
                Some(value.to_vec())
            }
        }
    }

    fn words_of(&mut self, word: &str) -> Vec<String> {
        let words = self.expand(word);
        if words.is_empty() {
            vec![String::new()]
        } else {
            words
        }
    }

    fn transformed(&mut self, value: &str, operation: &str) -> String {
        let mut scan = TextScanner::new(operation);
        match scan.bump() {
            Some('@') => self.at_operator(value, scan.rest()),
            Some('#') => {
                let longest = scan.eat("#");
                let pattern = self.expand_one(scan.rest());
                without_head(value, &pattern, longest)
            }
            Some('%') => {
                let longest = scan.eat("%");
                let pattern = self.expand_one(scan.rest());
                without_tail(value, &pattern, longest)
            }
            Some('/') => self.replaced(value, scan.rest()),
            Some('^') => cased(value, scan.rest(), char::to_uppercase),
            Some(',') => cased(value, scan.rest(), char::to_lowercase),
            Some(':') => self.substring(value, scan.rest()),
            _ => unknown(),
        }
    }

    fn at_operator(&mut self, value: &str, operator: &str) -> String {
        match operator {
            "P" => {
                if self.reading.enter("${@P}") {
                    let text = self.expand_quoted(value);
                    self.reading.leave();
                    return text;
                }
                unknown()
            }
            "E" => ansi_text(value),
            "U" => value.to_uppercase(),
            "L" => value.to_lowercase(),
            "u" => cased(value, "", char::to_uppercase),
            "Q" => format!("'{value}'"),
            _ => unknown(),
        }
    }

    fn replaced(&mut self, value: &str, rest: &str) -> String {
        let (all, rest) = rest
            .strip_prefix('/')
            .map_or((false, rest), |rest| (true, rest));
        let (pattern, replacement) = split_at_slash(rest);
        let pattern = self.expand_one(pattern);
        let replacement = self.expand_one(replacement);
        if let Some(pattern) = pattern.strip_prefix('#') {
            return value
                .strip_prefix(pattern)
                .map_or_else(|| value.to_owned(), |rest| format!("{replacement}{rest}"));
        }
        if let Some(pattern) = pattern.strip_prefix('%') {
            return value
                .strip_suffix(pattern)
                .map_or_else(|| value.to_owned(), |rest| format!("{rest}{replacement}"));
        }
        if pattern.is_empty() {
            return value.to_owned();
        }
        if pattern.contains(['*', '?', '[']) {
            return pattern_replaced(value, &pattern, &replacement, all);
        }
        if is_vague(&pattern) {
            return unknown();
        }
        if all {
            value.replace(&pattern, &replacement)
        } else {
            value.replacen(&pattern, &replacement, 1)
        }
    }

    /// Returns the slash that these variables begin with, where a substring is only that.
    fn first_slash(&self, name: &str, operation: &str) -> Option<String> {
        let begins = ["PATH", "SHELL", "HOME", "PWD", "OLDPWD", "TMPDIR"].contains(&name);
        let is_first = operation
            .strip_prefix(':')
            .is_some_and(|slice| slice.trim() == "0:1");
        (begins && is_first && !self.is_known(name)).then(|| "/".to_owned())
    }

    fn substring(&mut self, value: &str, rest: &str) -> String {
        let (offset, length) = rest.split_once(':').unwrap_or((rest, ""));
        let offset = self.arithmetic(offset.trim());
        let length = self.arithmetic(length.trim());
        let count = i64::try_from(value.chars().count()).unwrap_or(i64::MAX);
        let Ok(offset) = offset.parse::<i64>() else {
            return unknown();
        };
        if is_vague(value) {
            return if value.contains(UNKNOWN) {
                unknown()
            } else {
                NAME.to_string()
            };
        }
        let start = if offset < 0 {
            (count + offset).max(0)
        } else {
            offset
        };
        let end = match length.parse::<i64>() {
            Ok(length) if length < 0 => count + length,
            Ok(length) => start.saturating_add(length),
            Err(_) => count,
        };
        let skip = usize::try_from(start).unwrap_or(0);
        let take = usize::try_from(end - start).unwrap_or(0);
        value.chars().skip(skip).take(take).collect()
    }
}

fn name_of<'a>(scan: &mut TextScanner<'a>) -> &'a str {
    let name = scan.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
    if name.is_empty() {
        return match scan.peek() {
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => scan.take(1),
            _ => "",
        };
    }
    name
}

/// Splits a replacement at its first slash that is not escaped.
fn split_at_slash(rest: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        if c == '/' && !escaped && at > 0 {
            return (
                rest.get(..at).unwrap_or(""),
                rest.get(at + 1..).unwrap_or(""),
            );
        }
        escaped = c == '\\' && !escaped;
    }
    (rest, "")
}

fn without_head(value: &str, pattern: &str, longest: bool) -> String {
    if let Some(rest) = value.strip_prefix(pattern) {
        return rest.to_owned();
    }
    let mut ends: Vec<usize> = value.char_indices().map(|(at, _)| at).take(512).collect();
    ends.push(value.len());
    if longest {
        ends.reverse();
    }
    let cut = ends.into_iter().find(|end| {
        value
            .get(..*end)
            .is_some_and(|head| wild_fits(pattern, head))
    });
    cut.and_then(|end| value.get(end..))
        .unwrap_or(value)
        .to_owned()
}

fn without_tail(value: &str, pattern: &str, longest: bool) -> String {
    if let Some(rest) = value.strip_suffix(pattern) {
        return rest.to_owned();
    }
    let mut starts: Vec<usize> = value.char_indices().map(|(at, _)| at).take(512).collect();
    starts.push(value.len());
    if !longest {
        starts.reverse();
    }
    let cut = starts.into_iter().find(|start| {
        value
            .get(*start..)
            .is_some_and(|tail| wild_fits(pattern, tail))
    });
    cut.and_then(|start| value.get(..start))
        .unwrap_or(value)
        .to_owned()
}

fn pattern_replaced(value: &str, pattern: &str, replacement: &str, all: bool) -> String {
    let chars: Vec<char> = value.chars().take(256).collect();
    let mut text = String::new();
    let mut at = 0;
    let mut done = false;
    while at < chars.len() {
        let longest = (at + 1..=chars.len()).rev().find(|end| {
            let part: String = chars.get(at..*end).unwrap_or_default().iter().collect();
            wild_fits(pattern, &part)
        });
        match longest {
            Some(end) if !done || all => {
                text.push_str(replacement);
                at = end;
                done = true;
            }
            _ => {
                text.extend(chars.get(at));
                at += 1;
            }
        }
    }
    text
}

/// Changes the case of the first character, or of all when the operator is doubled.
fn cased<I: Iterator<Item = char>>(value: &str, rest: &str, change: impl Fn(char) -> I) -> String {
    let all = rest.starts_with(['^', ',']);
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.chars().enumerate() {
        if all || at == 0 {
            text.extend(change(c));
        } else {
            text.push(c);
        }
    }
    text
}
