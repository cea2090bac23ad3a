//! Turns raw words into the words a program would see.

use crate::domain::policy::{
    partial_text::{ANY_CHAR, NAME, SET, TextScanner, UNKNOWN},
    resolved_path,
    rule::EffectKind,
    shell::{
        ShellInterpreter, ansi_text, braces,
        quoting::{bracketed, double_quoted, until},
        state::{inherited, inherited_as, unknown},
    },
};

/// Words under construction: unquoted blanks end one, quotes keep an empty one alive.
#[derive(Debug, Default)]
struct FieldBuilder {
    done: Vec<String>,
    current: String,
    begun: bool,
}

impl FieldBuilder {
    fn push(&mut self, text: &str) {
        self.current.push_str(text);
        self.begun = true;
    }

    fn end(&mut self) {
        if self.begun {
            self.done.push(std::mem::take(&mut self.current));
        }
        self.begun = false;
    }

    /// Adds a list, each member a word of its own, the first and last joined to what surrounds them.
    fn push_list(&mut self, list: &[String]) {
        for (at, value) in list.iter().enumerate() {
            if at > 0 {
                self.end();
            }
            self.push(value);
        }
    }
}

/// Returns whether nothing in the word needs expanding.
fn is_plain(word: &str) -> bool {
    !word.contains(['\'', '"', '\\', '$', '`', '~', '{', '*', '?', '[', '('])
}

impl ShellInterpreter<'_, '_> {
    /// Expands a raw word into fields.
    pub(in crate::domain::policy) fn expand(&mut self, word: &str) -> Vec<String> {
        if is_plain(word) {
            return vec![word.to_owned()];
        }
        let mut found = Vec::with_capacity(1);
        let (words, count) = braces::expanded(word);
        if count > braces::MOST_WORDS {
            let why = "it makes more words than the memory holds";
            self.reading.does(EffectKind::System, why);
        }
        let Some(words) = words else {
            self.reading.given_up = Some("it has too many parts");
            return vec![unknown()];
        };
        for word in words {
            let mut fields = FieldBuilder::default();
            self.fields(&word, &mut fields);
            fields.end();
            found.append(&mut fields.done);
        }
        found
    }

    /// Expands a raw word into one text, without splitting or patterns: a value, a here-string, a case word.
    pub(in crate::domain::policy) fn expand_one(&mut self, word: &str) -> String {
        if is_plain(word) {
            return word.to_owned();
        }
        let mut text = String::new();
        let mut scan = TextScanner::new(word);
        self.tilde(&mut scan, &mut text);
        while let Some(c) = scan.bump() {
            match c {
                '\'' => text.push_str(until(&mut scan, '\'', false)),
                '"' => {
                    let inner = double_quoted(&mut scan);
                    text.push_str(&self.expand_quoted(inner));
                }
                '\\' => escaped(&mut scan, &mut text),
                '$' if scan.eat("'") => text.push_str(&ansi_text(until(&mut scan, '\'', true))),
                '$' if scan.eat("\"") => {
                    let inner = double_quoted(&mut scan);
                    text.push_str(&self.expand_quoted(inner));
                }
                '$' => text.push_str(&self.dollar(&mut scan).join(" ")),
                '`' => {
                    let code = unescaped(until(&mut scan, '`', true));
                    text.push_str(&self.substitution(&code));
                }
                other => text.push(other),
            }
        }
        text
    }

    /// Expands the inside of double quotes, or the body of a here-document.
    pub(in crate::domain::policy) fn expand_quoted(&mut self, inner: &str) -> String {
        if !inner.contains(['$', '`', '\\']) {
            return inner.to_owned();
        }
        let mut text = String::new();
        let mut scan = TextScanner::new(inner);
        while let Some(c) = scan.bump() {
            match c {
                '\\' => match scan.bump() {
                    Some('\n') | None => {}
                    Some(c @ ('$' | '`' | '"' | '\\')) => text.push(c),
                    Some(c) => {
                        text.push('\\');
                        text.push(c);
                    }
                },
                '$' => text.push_str(&self.dollar(&mut scan).join(" ")),
                '`' => {
                    let code = unescaped(until(&mut scan, '`', true));
                    text.push_str(&self.substitution(&code));
                }
                other => text.push(other),
            }
        }
        text
    }

    fn fields(&mut self, word: &str, fields: &mut FieldBuilder) {
        let mut scan = TextScanner::new(word);
        let mut head = String::new();
        self.tilde(&mut scan, &mut head);
        if !head.is_empty() {
            fields.push(&head);
        }
        while let Some(c) = scan.bump() {
            match c {
                // A bracket that is never closed is no pattern; `[` is a command.
                '[' if !scan.rest().contains(']') => fields.push("["),
                '\'' => fields.push(until(&mut scan, '\'', false)),
                '"' => {
                    let inner = double_quoted(&mut scan);
                    self.quoted_fields(inner, fields);
                }
                '\\' => {
                    let mut text = String::new();
                    escaped(&mut scan, &mut text);
                    if !text.is_empty() {
                        fields.push(&text);
                    }
                }
                '$' if scan.eat("'") => fields.push(&ansi_text(until(&mut scan, '\'', true))),
                '$' if scan.eat("\"") => {
                    let inner = double_quoted(&mut scan);
                    self.quoted_fields(inner, fields);
                }
                '$' => {
                    let list = self.dollar(&mut scan);
                    self.split(&list, fields);
                }
                '`' => {
                    let code = unescaped(until(&mut scan, '`', true));
                    let text = self.substitution(&code);
                    self.split(&[text], fields);
                }
                '@' | '?' | '*' | '+' | '!' if scan.peek() == Some('(') => {
                    scan.bump();
                    bracketed(&mut scan, '(', ')');
                    fields.push(&NAME.to_string());
                }
                other => push_pattern(other, fields),
            }
        }
    }

    /// Adds the inside of double quotes: one word, but `"$@"` and `"${list[@]}"` stay lists.
    fn quoted_fields(&mut self, inner: &str, fields: &mut FieldBuilder) {
        let slice = inner.strip_prefix("${@:").and_then(|rest| rest.find('}'));
        let list = ["$@", "${@}"].contains(&inner)
            || slice.is_some_and(|end| end + 5 == inner.len())
            || (inner.starts_with("${")
                && (inner.ends_with("[@]}") || inner.contains("[@]:") && inner.ends_with('}'))
                && !inner.starts_with("${#"));
        if list {
            let mut scan = TextScanner::new(inner);
            scan.bump();
            let values = self.dollar(&mut scan);
            fields.push_list(&values);
            return;
        }
        let text = self.expand_quoted(inner);
        fields.push(&text);
    }

    /// Adds unquoted values: they are split at the characters of `IFS`, and patterns in them are live.
    fn split(&mut self, list: &[String], fields: &mut FieldBuilder) {
        let ifs = self.lookup("IFS").unwrap_or_default().concat();
        for (at, value) in list.iter().enumerate() {
            if at > 0 {
                fields.end();
            }
            for c in value.chars() {
                if ifs.contains(c) {
                    fields.end();
                } else {
                    push_pattern(c, fields);
                }
            }
        }
    }

    /// Reads what follows a dollar sign and returns its value, a list of one or more.
    pub(super) fn dollar(&mut self, scan: &mut TextScanner<'_>) -> Vec<String> {
        let values = self.dollar_values(scan);
        if self
            .reading
            .spend_value(values.iter().map(String::len).sum())
        {
            values
        } else {
            vec![UNKNOWN.to_string()]
        }
    }

    fn dollar_values(&mut self, scan: &mut TextScanner<'_>) -> Vec<String> {
        if scan.eat("((") {
            return vec![self.arithmetic_word(scan)];
        }
        if scan.eat("(") {
            let code = bracketed(scan, '(', ')');
            return vec![self.substitution(code)];
        }
        if scan.eat("[") {
            let inner = bracketed(scan, '[', ']');
            return vec![self.arithmetic(inner)];
        }
        if scan.eat("{") {
            let inner = bracketed(scan, '{', '}');
            return self.braced_parameter(inner);
        }
        let name = scan.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if let Some(first) = name.chars().next() {
            if first.is_ascii_digit() {
                // Only the first digit belongs to the name.
                let rest = name.get(1..).unwrap_or("");
                let mut value = self.parameter(name.get(..1).unwrap_or(""));
                if let Some(last) = value.last_mut() {
                    last.push_str(rest);
                }
                return value;
            }
            return self.parameter(name);
        }
        match scan.peek() {
            Some(c @ ('@' | '*' | '#' | '?' | '-' | '$' | '!')) => {
                scan.bump();
                self.parameter(c.encode_utf8(&mut [0; 4]))
            }
            _ => vec!["$".to_owned()],
        }
    }

    /// Returns the value of a parameter by name.
    pub(super) fn parameter(&mut self, name: &str) -> Vec<String> {
        match name {
            "@" | "*" => return self.state.parameters.clone(),
            "#" | "?" | "$" | "!" => return vec![NAME.to_string()],
            "-" => return vec!["hB".to_owned()],
            "0" => return vec![self.state.zero.clone()],
            _ => {}
        }
        if let Ok(number) = name.parse::<usize>() {
            let value = self.state.parameters.get(number.saturating_sub(1));
            return vec![value.cloned().unwrap_or_else(inherited)];
        }
        let value = self
            .lookup(name)
            .unwrap_or_else(|| vec![inherited_as(name)]);
        vec![value.first().cloned().unwrap_or_default()]
    }

    /// Reads a substitution and returns what it prints.
    pub(super) fn substitution(&mut self, code: &str) -> String {
        let code = code.trim_matches([' ', '\t', '\n']);
        if let Some(file) = code
            .strip_prefix('<')
            .filter(|rest| !rest.starts_with(['<', '(']))
        {
            let file = self.expand_one(file.trim());
            self.reads(&file);
            return trimmed(self.contents(&file));
        }
        if code.is_empty() {
            return String::new();
        }
        let text = self.aside(|shell| shell.run_text(code, "$()", UNKNOWN.to_string()));
        trimmed(text)
    }

    fn tilde(&self, scan: &mut TextScanner<'_>, text: &mut String) {
        if !scan.eat("~") {
            return;
        }
        let user = scan.take_while(|c| c.is_ascii_alphanumeric() || "_-+".contains(c));
        let ends = scan.peek().is_none_or(|c| c == '/' || c == ':');
        match user {
            "" if ends => text.push_str(&resolved_path::home(self.reading.world)),
            "+" if ends => text.push_str(self.folder().unwrap_or("")),
            _ if ends => {
                text.push_str("/home/");
                text.push_str(user);
            }
            _ => {
                text.push('~');
                text.push_str(user);
            }
        }
    }
}

fn push_pattern(c: char, fields: &mut FieldBuilder) {
    let mark = match c {
        '*' => NAME,
        '?' => ANY_CHAR,
        '[' => SET,
        other => other,
    };
    fields.current.push(mark);
    fields.begun = true;
}

fn escaped(scan: &mut TextScanner<'_>, text: &mut String) {
    match scan.bump() {
        Some('\n') | None => {}
        Some(c) => text.push(c),
    }
}

/// Takes the escapes of a backquoted substitution away.
fn unescaped(code: &str) -> String {
    let mut text = String::with_capacity(code.len());
    let mut scan = TextScanner::new(code);
    while let Some(c) = scan.bump() {
        let bare = c == '\\' && matches!(scan.peek(), Some('`' | '\\' | '$'));
        text.extend(if bare { scan.bump() } else { Some(c) });
    }
    text
}

fn trimmed(mut text: String) -> String {
    let end = text.trim_end_matches('\n').len();
    text.truncate(end);
    text
}
