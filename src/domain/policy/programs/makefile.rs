//! Makefiles that the command itself wrote: their recipes are commands, their variables and targets are put in first.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use crate::domain::policy::{
    partial_text::{TextScanner, is_in},
    programs::vague_code,
    shell::{ShellInterpreter, bracketed},
};

/// Functions of make that only compute with texts.
const COMPUTES: &str = "wildcard patsubst subst filter filter-out sort word words wordlist notdir dir basename suffix addprefix addsuffix join
    strip firstword lastword abspath realpath info warning error if or and foreach origin value findstring shell";
/// What make calls its own programs.
const PROGRAMS: [(&str, &str); 8] = [
    ("MAKE", "make"),
    ("RM", "rm -f"),
    ("CC", "cc"),
    ("CXX", "c++"),
    ("AR", "ar"),
    ("CURDIR", "."),
    ("MAKEFILE_LIST", "Makefile"),
    ("MAKECMDGOALS", ""),
];
/// How deep variables may stand in each other.
const DEEPEST: u32 = 6;
/// How many recipes and values of one makefile are put together.
const MOST_FILLED: u32 = 2_000;
/// What no shell can read, so that it is not understood.
const UNREADABLE: &str = "$(";

/// What is known at one line of a makefile.
#[derive(Debug, Default)]
struct Rule {
    variables: BTreeMap<String, String>,
    /// Variables that are given more than one value: which of them is meant depends on when it is asked.
    several: BTreeSet<String>,
    filled: Cell<u32>,
    target: String,
    sources: String,
}

impl ShellInterpreter<'_, '_> {
    /// Looks through a makefile: recipes and `$(shell …)`.
    pub(super) fn makefile(&mut self, text: &str) {
        vague_code(self, text, "make");
        for (at, _) in text.match_indices("$(shell ") {
            let mut scan = TextScanner::new(text.get(at + 8..).unwrap_or(""));
            let code = bracketed(&mut scan, '(', ')').to_owned();
            drop(self.run_text(&code, "make", String::new()));
        }
        if text.contains(".RECIPEPREFIX") {
            self.reading
                .opaque("a makefile with another sign before its recipes");
        }
        let mut rule = Rule::default();
        let text = text.replace("\\\n", "");
        for line in text.lines() {
            rule.recipe(line);
        }
        for line in text.lines() {
            let Some(code) = rule.recipe(line) else {
                continue;
            };
            let code = rule.filled(code, DEEPEST);
            let code = code.trim_start_matches(['@', '-', '+', ' ']).to_owned();
            drop(self.aside(|shell| shell.run_text(&code, "make", String::new())));
        }
    }
}

impl Rule {
    /// Returns the command in a line; a variable or the head of a rule is noted.
    fn recipe<'l>(&mut self, line: &'l str) -> Option<&'l str> {
        if let Some(code) = line.strip_prefix('\t') {
            return Some(code);
        }
        if let Some((_, code)) = line.split_once("!=") {
            return Some(code);
        }
        let name = |head: &str| {
            let bare = head.trim().trim_end_matches([':', '?', '+']).trim_end();
            let bare = bare.trim_start_matches("export ").to_owned();
            let is_name = |c: char| c.is_alphanumeric() || "_.-".contains(c);
            (!bare.is_empty() && bare.chars().all(is_name)).then_some(bare)
        };
        if let Some((name, value)) = line
            .split_once('=')
            .and_then(|(head, value)| Some((name(head)?, value)))
        {
            let value = value.trim().to_owned();
            let adds = line.contains("+=");
            let former = self.variables.insert(name.clone(), value.clone());
            if adds || former.is_some_and(|former| former != value) {
                self.several.insert(name);
            }
            return None;
        }
        let (head, rest) = line.split_once(':')?;
        head.trim().clone_into(&mut self.target);
        let (sources, code) = match rest.split_once(';') {
            Some((sources, code)) => (sources, Some(code)),
            None => (rest, None),
        };
        let sources = sources.split('#').next().unwrap_or("");
        sources.trim().clone_into(&mut self.sources);
        code
    }

    /// Returns a recipe as the shell gets it.
    fn filled(&self, code: &str, depth: u32) -> String {
        self.filled.set(self.filled.get() + 1);
        if self.filled.get() > MOST_FILLED {
            return UNREADABLE.to_owned();
        }
        let mut text = String::with_capacity(code.len());
        let mut scan = TextScanner::new(code);
        while let Some(c) = scan.bump() {
            if c != '$' {
                text.push(c);
                continue;
            }
            match scan.bump() {
                Some('(') => text.push_str(&self.value(bracketed(&mut scan, '(', ')'), depth)),
                Some('{') => text.push_str(&self.value(bracketed(&mut scan, '{', '}'), depth)),
                Some('@') if depth > 0 => text.push_str(&self.filled(&self.target, depth - 1)),
                Some('<') if depth > 0 => {
                    let first = self.sources.split_whitespace().next().unwrap_or("");
                    text.push_str(&self.filled(first, depth - 1));
                }
                Some('^' | '+' | '?') if depth > 0 => {
                    text.push_str(&self.filled(&self.sources, depth - 1));
                }
                Some('$') => text.push('$'),
                Some(c) => {
                    text.push_str("$_");
                    text.push(c);
                }
                None => text.push('$'),
            }
        }
        text
    }

    /// Returns what a variable or function of make stands for, as far as the shell is concerned.
    fn value(&self, inner: &str, depth: u32) -> String {
        let name = inner.split([' ', ':', ',']).next().unwrap_or("");
        if inner.starts_with("shell ") {
            return format!(
                "$({})",
                self.filled(inner.get(6..).unwrap_or(""), depth.saturating_sub(1))
            );
        }
        if inner.contains(' ') && !is_in(COMPUTES, name) {
            // A function that runs or writes something, or none at all.
            return UNREADABLE.to_owned();
        }
        let own = self.variables.get(inner);
        let own = own.filter(|_| depth > 0 && !self.several.contains(inner));
        if let Some(value) = own {
            return self.filled(value, depth - 1);
        }
        let known = PROGRAMS.iter().find(|(known, _)| *known == inner);
        if let Some((_, value)) = known {
            return (*value).to_owned();
        }
        // What no makefile says stands in the environment.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let plain: String = name.chars().filter(|c| is_plain(*c)).collect();
        format!("${{{plain}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_targets_are_put_into_recipes() {
        let mut rule = Rule::default();
        for line in [
            "OUT := build",
            "BIN = $(OUT)/app",
            "$(BIN): src/a.c src/b.c",
        ] {
            assert_eq!(rule.recipe(line), None);
        }
        let of = |code: &str| rule.filled(code, DEEPEST);
        assert_eq!(of("$(CC) -o $(BIN) $^"), "cc -o build/app src/a.c src/b.c");
        assert_eq!(of("rm -rf $@"), "rm -rf build/app");
        let mut twice = Rule::default();
        for line in ["A := rm -rf src", "B := $(A)", "A := true"] {
            assert_eq!(twice.recipe(line), None);
        }
        assert_eq!(twice.filled("$(B)", DEEPEST), "${A}");
        let mut many = Rule::default();
        assert_eq!(many.recipe(&format!("A = {}", "$(A)".repeat(2_000))), None);
        assert!(many.filled("$(A)", DEEPEST).contains("$("));
        assert_eq!(
            of("awk '{print $$1}' $(MAKEFILE_LIST)"),
            "awk '{print $1}' Makefile"
        );
        assert_eq!(of("$(X) ${Y:.c=.o}"), "${X} ${Y}");
        assert!(of("$(file >/x,y)").contains("$("));
        assert_eq!(of("$(HOME)/x"), "${HOME}/x");
    }
}
