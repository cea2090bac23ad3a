//! Expressions of PowerShell, folded as far as they are constant.

use crate::domain::policy::{
    partial_text::{NAME, TextScanner, UNKNOWN},
    powershell::{
        Reader,
        fold::{added, cast, indexed, operated, range, variable_name},
        names, single_quoted, skip_blank,
    },
    programs, resolved_path,
    shell::bracketed,
};

impl Reader<'_, '_, '_> {
    /// Reads an expression, assignments included, and returns its values.
    pub(super) fn expression(&mut self, scan: &mut TextScanner<'_>) -> Vec<String> {
        let start = *scan;
        if let Some(values) = self.assignment(scan) {
            return values;
        }
        *scan = start;
        let mut left = self.unary(scan);
        while self.shell.reading.spend() {
            skip_blank(scan, false);
            let Some(next) = self.binary(scan, &left) else {
                break;
            };
            left = next;
        }
        left
    }

    fn unary(&mut self, scan: &mut TextScanner<'_>) -> Vec<String> {
        skip_blank(scan, true);
        // Signs in a row would be as many calls inside each other.
        let signs = scan
            .rest()
            .chars()
            .take_while(|c| "!-+ ".contains(*c))
            .count();
        if signs > 32 {
            self.shell.reading.given_up = Some("it is nested too deeply");
            return Vec::new();
        }
        if scan.eat("!") || scan.eat("++") || scan.eat("--") {
            drop(self.unary(scan));
            return vec![NAME.to_string()];
        }
        if scan.rest().starts_with('-') {
            scan.bump();
            let word = scan.take_while(char::is_alphabetic).to_lowercase();
            let right = self.unary(scan);
            return match word.as_str() {
                "join" => vec![right.concat()],
                "split" => right
                    .iter()
                    .flat_map(|text| text.split_whitespace())
                    .map(str::to_owned)
                    .collect(),
                "" => vec![format!("-{}", right.concat())],
                _ => vec![NAME.to_string()],
            };
        }
        scan.eat("+");
        self.primary(scan)
    }

    /// Reads `$name = …`, `$env:NAME = …` and `$a, $b = …`.
    fn assignment(&mut self, scan: &mut TextScanner<'_>) -> Option<Vec<String>> {
        while scan.eat("[") {
            bracketed(scan, '[', ']');
            skip_blank(scan, false);
        }
        if !scan.eat("$") {
            return None;
        }
        let name = variable_name(scan).to_lowercase();
        let names = further_names(scan);
        let indexed = scan.eat("[");
        if indexed {
            bracketed(scan, '[', ']');
        }
        let member = scan
            .take_while(|c| c.is_alphanumeric() || c == '.' || c == '_')
            .to_owned();
        skip_blank(scan, false);
        let add = scan.eat("+=");
        if !add && (!scan.eat("=") || scan.rest().starts_with('=')) {
            return None;
        }
        skip_blank(scan, true);
        let value = self.value_of_statement(scan);
        if !names.is_empty() {
            // The first gets the first, and the last what is left.
            let mut left = value.into_iter();
            for name in std::iter::once(name).chain(names) {
                let one = left.next().unwrap_or_else(|| UNKNOWN.to_string());
                self.assigned(&name, false, add, vec![one]);
            }
            return Some(Vec::new());
        }
        self.assigned(&name, indexed || !member.is_empty(), add, value);
        Some(Vec::new())
    }

    /// Reads the right side of an assignment, which may be a command.
    fn value_of_statement(&mut self, scan: &mut TextScanner<'_>) -> Vec<String> {
        let text = if scan
            .peek()
            .is_some_and(|c| c.is_alphabetic() || c == '&' || c == '.')
        {
            let mut text = self.element(scan, "", true);
            skip_blank(scan, false);
            while scan.rest().starts_with('|') && !scan.rest().starts_with("||") {
                scan.bump();
                skip_blank(scan, true);
                text = self.element(scan, &text, false);
                skip_blank(scan, false);
            }
            return text.lines().map(str::to_owned).collect();
        } else {
            self.expression(scan)
        };
        skip_blank(scan, false);
        if scan.rest().starts_with('|') && !scan.rest().starts_with("||") {
            scan.bump();
            skip_blank(scan, true);
            let printed = self.element(scan, &text.join("\n"), false);
            return printed.lines().map(str::to_owned).collect();
        }
        text
    }

    fn assigned(&mut self, name: &str, part: bool, add: bool, value: Vec<String>) {
        if name == "psdefaultparametervalues" {
            self.shell
                .reading
                .opaque("defaults for parameters of later commands");
        }
        if let Some(variable) = name.strip_prefix("env:") {
            programs::inspect_variable(self.shell, &variable.to_uppercase(), &value.concat());
        }
        if let Some(function) = name.strip_prefix("function:") {
            let body = value.concat();
            let body = body
                .trim_start_matches('{')
                .trim_end_matches('}')
                .to_owned();
            self.shell
                .assign(&format!("function:{function}"), vec![body]);
            return;
        }
        if let Some(alias) = name.strip_prefix("alias:") {
            self.shell.assign(&format!("alias:{alias}"), value);
            return;
        }
        let value = if add || part {
            let before = self.shell.lookup(name).unwrap_or_default();
            match (before.as_slice(), value.as_slice()) {
                ([one], [more]) if add => vec![format!("{one}{more}")],
                _ => [before, value].concat(),
            }
        } else {
            value
        };
        self.shell.assign(name, value);
    }

    /// Reads one operator and its right side; `None` when no operator follows.
    fn binary(&mut self, scan: &mut TextScanner<'_>, left: &[String]) -> Option<Vec<String>> {
        if scan.eat("+") {
            let right = self.unary(scan);
            return Some(added(left, &right));
        }
        if scan.eat(",") {
            let right = self.unary(scan);
            return Some([left.to_vec(), right].concat());
        }
        if scan.eat("..") {
            let right = self.unary(scan);
            return Some(range(&left.concat(), &right.concat()));
        }
        if scan.eat("*") {
            let right = self.unary(scan).concat();
            let count = right.parse::<usize>().unwrap_or(1).min(64);
            return Some(vec![left.concat().repeat(count)]);
        }
        if scan.eat("/") || scan.eat("%") || scan.eat("?") || scan.eat(":") {
            drop(self.unary(scan));
            return Some(vec![NAME.to_string()]);
        }
        if scan.rest().starts_with('-') {
            let mut ahead = *scan;
            ahead.bump();
            let word = ahead.take_while(char::is_alphabetic).to_lowercase();
            *scan = ahead;
            let right = self.joined_operand(scan, &word);
            return Some(operated(&word, left, &right));
        }
        None
    }

    /// Reads the right side of a named operator; some take a list.
    fn joined_operand(&mut self, scan: &mut TextScanner<'_>, word: &str) -> Vec<String> {
        let mut right = self.unary(scan);
        if word == "f" || word.ends_with("replace") || word == "split" {
            skip_blank(scan, false);
            while scan.eat(",") {
                skip_blank(scan, true);
                right.extend(self.unary(scan));
                skip_blank(scan, false);
            }
        }
        right
    }

    /// Reads one operand with everything that hangs on it.
    pub(super) fn primary(&mut self, scan: &mut TextScanner<'_>) -> Vec<String> {
        let value = self.whole_operand(scan);
        if self
            .shell
            .reading
            .spend_value(value.iter().map(String::len).sum())
        {
            value
        } else {
            vec![UNKNOWN.to_string()]
        }
    }

    fn whole_operand(&mut self, scan: &mut TextScanner<'_>) -> Vec<String> {
        let (mut value, mut kind) = self.atom(scan);
        while self.shell.reading.spend() {
            let rest = scan.rest();
            if rest.starts_with("::") {
                scan.take(2);
                let member = self.member(scan);
                let args = self.call_arguments(scan);
                if kind.is_empty() {
                    kind = value.concat().trim_matches(['[', ']']).to_lowercase();
                }
                value = self.static_member(&kind, &member, args);
                kind.clear();
            } else if (rest.starts_with('.') || rest.starts_with("?."))
                && rest
                    .trim_start_matches('?')
                    .chars()
                    .nth(1)
                    .is_some_and(|c| c.is_alphabetic() || "$('\"_".contains(c))
            {
                scan.eat("?");
                scan.bump();
                let member = self.member(scan);
                let args = self.call_arguments(scan);
                value = self.instance_member(&value, &member, args);
            } else if scan.eat("[") {
                let inner = bracketed(scan, '[', ']').to_owned();
                let index = self.evaluated(&inner);
                value = indexed(&value, &index);
            } else {
                return value;
            }
        }
        value
    }

    fn member(&mut self, scan: &mut TextScanner<'_>) -> String {
        match scan.peek() {
            Some('\'' | '"' | '$' | '(') => self.atom(scan).0.concat(),
            _ => scan
                .take_while(|c| c.is_alphanumeric() || c == '_' || c == '`')
                .replace('`', ""),
        }
    }

    fn call_arguments(&mut self, scan: &mut TextScanner<'_>) -> Option<Vec<String>> {
        if scan.eat("{") {
            return Some(vec![format!("{{{}}}", bracketed(scan, '{', '}'))]);
        }
        scan.eat("(").then(|| {
            let inner = bracketed(scan, '(', ')').to_owned();
            self.evaluated(&inner)
        })
    }

    /// Reads text in brackets as statements and returns the values of the last.
    pub(super) fn evaluated(&mut self, inner: &str) -> Vec<String> {
        if inner.trim().is_empty() || !self.shell.reading.enter("()") {
            return Vec::new();
        }
        let mut scan = TextScanner::new(inner);
        skip_blank(&mut scan, true);
        let simple = scan
            .peek()
            .is_some_and(|c| "'\"$([@-+!{".contains(c) || c.is_ascii_digit());
        let mut values = Vec::new();
        if simple {
            values = self.expression(&mut scan);
            skip_blank(&mut scan, false);
        }
        if !scan.rest().is_empty() {
            let rest = scan.rest();
            let text = if simple && rest.starts_with('|') {
                let mut scan = TextScanner::new(rest.get(1..).unwrap_or(""));
                self.pipeline(&mut scan, &values.join("\n"))
            } else {
                self.statements(rest, "")
            };
            values = text.lines().map(str::to_owned).collect();
        }
        self.shell.reading.leave();
        values
    }

    /// Reads an operand alone; the second value is the name of a type, if it is one.
    fn atom(&mut self, scan: &mut TextScanner<'_>) -> (Vec<String>, String) {
        let none = String::new;
        match scan.peek() {
            Some('\'') => {
                scan.bump();
                (vec![single_quoted(scan)], none())
            }
            Some('"') => {
                scan.bump();
                (vec![self.double_quoted(scan)], none())
            }
            Some('@') => (self.at_sign(scan), none()),
            Some('$') => {
                scan.bump();
                (self.dollar(scan), none())
            }
            Some('(') => {
                scan.bump();
                let inner = bracketed(scan, '(', ')').to_owned();
                (self.evaluated(&inner), none())
            }
            Some('{') => {
                scan.bump();
                let inner = bracketed(scan, '{', '}');
                (vec![format!("{{{inner}}}")], none())
            }
            Some('[') => {
                scan.bump();
                let name = bracketed(scan, '[', ']')
                    .replace(['`', ' '], "")
                    .to_lowercase();
                if scan.rest().starts_with("::") {
                    return (Vec::new(), name);
                }
                skip_blank(scan, false);
                let value = if scan
                    .peek()
                    .is_some_and(|c| "'\"$([@{".contains(c) || c.is_ascii_digit())
                {
                    self.primary(scan)
                } else {
                    return (vec![format!("[{name}]")], none());
                };
                (cast(&name, &value), none())
            }
            Some(c) if c.is_ascii_digit() => (
                vec![scan.take_while(char::is_alphanumeric).to_owned()],
                none(),
            ),
            _ => (vec![self.word(scan, false)], none()),
        }
    }

    fn at_sign(&mut self, scan: &mut TextScanner<'_>) -> Vec<String> {
        scan.bump();
        if scan.eat("(") {
            let inner = bracketed(scan, '(', ')').to_owned();
            return self.evaluated(&inner);
        }
        if scan.eat("{") {
            let inner = bracketed(scan, '{', '}').to_owned();
            return self.hashtable(&inner);
        }
        for quote in ["'", "\""] {
            if scan.eat(quote) {
                let end = format!("\n{quote}@");
                let at = scan.rest().find(&end).unwrap_or(scan.rest().len());
                let text = scan.take(at).trim_start_matches(['\r', '\n']).to_owned();
                scan.eat(&end);
                return if quote == "'" {
                    vec![text]
                } else {
                    vec![self.expanded(&text)]
                };
            }
        }
        let name = variable_name(scan).to_lowercase();
        self.shell
            .lookup(&name)
            .unwrap_or_else(|| vec![UNKNOWN.to_string()])
    }

    /// Reads a table: its values, with `-key` before each, as splatting would give them.
    fn hashtable(&mut self, inner: &str) -> Vec<String> {
        let mut values = Vec::new();
        for entry in inner.split([';', '\n']) {
            if let Some((key, value)) = entry.split_once('=') {
                values.push(format!("-{}", key.trim().trim_matches(['\'', '"'])));
                values.extend(self.evaluated(value));
            }
        }
        values
    }

    fn dollar(&mut self, scan: &mut TextScanner<'_>) -> Vec<String> {
        if scan.eat("(") {
            let inner = bracketed(scan, '(', ')').to_owned();
            return self.evaluated(&inner);
        }
        let name = variable_name(scan).to_lowercase();
        self.variable(&name)
    }

    fn variable(&mut self, name: &str) -> Vec<String> {
        if self.shell.is_known(name) {
            return self.shell.lookup(name).unwrap_or_default();
        }
        if let Some(body) = name
            .strip_prefix("function:")
            .and_then(|name| self.shell.lookup(&format!("function:{name}")))
        {
            return vec![format!("{{{}}}", body.concat())];
        }
        let home = || resolved_path::home(self.shell.reading.world);
        let text = match name {
            "env:temp" | "env:tmp" => "/tmp".to_owned(),
            "home" | "env:userprofile" | "env:home" => home(),
            "env:appdata" => format!("{}/AppData/Roaming", home()),
            "env:localappdata" => format!("{}/AppData/Local", home()),
            "profile" => format!("{}/.config/powershell/profile.ps1", home()),
            "pwd" | "psscriptroot" => ".".to_owned(),
            "_" | "psitem" | "args" | "input" | "matches" => UNKNOWN.to_string(),
            _ => names::variable(name).map_or_else(|| UNKNOWN.to_string(), str::to_owned),
        };
        vec![text]
    }

    /// Reads the rest of a double-quoted text, with what is put into it.
    pub(super) fn double_quoted(&mut self, scan: &mut TextScanner<'_>) -> String {
        let mut raw = String::new();
        while let Some(c) = scan.bump() {
            match c {
                '"' if scan.eat("\"") => raw.push_str("`\""),
                '"' => break,
                '`' => {
                    raw.push(c);
                    raw.extend(scan.bump());
                }
                '$' if scan.rest().starts_with('(') => {
                    scan.bump();
                    let inner = bracketed(scan, '(', ')');
                    raw.push_str("$(");
                    raw.push_str(inner);
                    raw.push(')');
                }
                other => raw.push(other),
            }
        }
        self.expanded(&raw)
    }

    fn expanded(&mut self, raw: &str) -> String {
        if !raw.contains(['$', '`']) {
            return raw.to_owned();
        }
        let mut scan = TextScanner::new(raw);
        let mut text = String::new();
        while let Some(c) = scan.bump() {
            match c {
                '`' => match scan.bump() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('0') => text.push('\0'),
                    Some('r') => text.push('\r'),
                    Some('u') if scan.eat("{") => {
                        let code = scan.take_while(|c| c != '}');
                        scan.bump();
                        text.extend(u32::from_str_radix(code, 16).ok().and_then(char::from_u32));
                    }
                    Some(other) => text.push(other),
                    None => {}
                },
                '$' if scan
                    .peek()
                    .is_some_and(|c| c.is_alphanumeric() || "_({?^$".contains(c)) =>
                {
                    text.push_str(&self.dollar(&mut scan).join(" "));
                }
                other => text.push(other),
            }
        }
        text
    }
}

/// Reads the other names of `$a, $b = …`; nothing is read where no assignment follows.
fn further_names(scan: &mut TextScanner<'_>) -> Vec<String> {
    let mut ahead = *scan;
    let mut names = Vec::new();
    loop {
        skip_blank(&mut ahead, false);
        if !ahead.eat(",") {
            break;
        }
        skip_blank(&mut ahead, false);
        if !ahead.eat("$") {
            return Vec::new();
        }
        names.push(variable_name(&mut ahead).to_lowercase());
    }
    let rest = ahead.rest();
    let assigns = rest.starts_with('=') && !rest.starts_with("==") || rest.starts_with("+=");
    if names.is_empty() || !assigns {
        return Vec::new();
    }
    *scan = ahead;
    names
}
