//! Arithmetic: numbers do no harm, but looking one up can run a substitution hidden in a value.

use crate::domain::policy::{
    partial_text::{NAME, TextScanner},
    shell::{ShellInterpreter, quoting::bracketed},
};

impl ShellInterpreter<'_, '_> {
    /// Reads `…))` whose beginning has been read.
    pub(super) fn arithmetic_word(&mut self, scan: &mut TextScanner<'_>) -> String {
        let inner = bracketed(scan, '(', ')');
        if !scan.eat(")") {
            // `$((` that is not arithmetic: a substitution starting with a subshell.
            let rest = bracketed(scan, '(', ')');
            return self.substitution(&format!("({inner}){rest}"));
        }
        self.arithmetic(inner)
    }

    /// Reads an expression for its side effects and returns its value when it is plain.
    pub(super) fn arithmetic(&mut self, expression: &str) -> String {
        let text = self.expand_quoted(expression);
        self.hidden_substitutions(&text);
        let mut scan = TextScanner::new(&text);
        while let Some(c) = scan.peek() {
            if c.is_ascii_alphabetic() || c == '_' {
                let name = scan
                    .take_while(|c| c.is_ascii_alphanumeric() || c == '_')
                    .to_owned();
                for value in self.all_values(&name) {
                    self.hidden_substitutions(&value);
                }
            } else {
                scan.bump();
            }
        }
        let plain = text.trim();
        if plain.parse::<i64>().is_ok() {
            plain.to_owned()
        } else {
            sum(plain).map_or_else(|| NAME.to_string(), |sum| sum.to_string())
        }
    }

    /// Reads the substitutions in a text that will be expanded once more, such as an array index.
    pub(in crate::domain::policy) fn hidden_substitutions(&mut self, text: &str) {
        if (text.contains("$(") || text.contains('`')) && self.reading.enter("an expression") {
            drop(self.expand_quoted(text));
            self.reading.leave();
        }
    }

    pub(super) fn all_values(&self, name: &str) -> Vec<String> {
        let Some(variable) = self.state.variables.get(name) else {
            return Vec::new();
        };
        variable.values.iter().flatten().cloned().collect()
    }
}

/// Adds up `1+2-3` and the like.
fn sum(text: &str) -> Option<i64> {
    let mut scan = TextScanner::new(text);
    let mut total = 0_i64;
    let mut sign = 1;
    loop {
        scan.take_while(char::is_whitespace);
        let digits = scan.take_while(|c| c.is_ascii_digit());
        total = total.checked_add(digits.parse::<i64>().ok()?.checked_mul(sign)?)?;
        scan.take_while(char::is_whitespace);
        sign = match scan.bump() {
            None => return Some(total),
            Some('+') => 1,
            Some('-') => -1,
            Some(_) => return None,
        };
    }
}

/// Returns whether what stands in double brackets can be nothing but an expression: it begins with a length or a counter, or an
/// operator follows its first word.
pub(super) fn is_expression(text: &str) -> bool {
    let text = text.trim();
    let first = text.split_whitespace().next().unwrap_or("");
    let second = text.get(first.len()..).unwrap_or("").trim_start();
    let operators = [
        "=", "<", ">", "+", "*", "/", "%", "!=", "&&", "||", "?", "^", "|", "&",
    ];
    text.starts_with("${#")
        || is_compared(text)
        || first.ends_with("++")
        || first.ends_with("--")
        || first.contains("+=")
        || text.starts_with("++")
        || operators
            .iter()
            .any(|operator| second.starts_with(operator) && !text.contains(';'))
            && !text.contains("$(")
}

/// Returns whether an expression compares what a command prints with a number: `$(wc -l < x) > 300`.
fn is_compared(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("$(") else {
        return false;
    };
    let mut depth = 1_u32;
    let end = rest.find(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let behind = end.and_then(|end| rest.get(end + 1..)).unwrap_or("").trim();
    let number = behind.trim_start_matches(['<', '>', '=', '!', '+', '-', '*', '%']);
    number.len() < behind.len() && number.trim().parse::<u64>().is_ok()
}
