//! Brace expansion, which happens before anything else: `{a,b}` and `{1..3}`.

use crate::domain::policy::partial_text::TextScanner;

const MOST: usize = 256;

/// Returns the words a raw word stands for; the word itself when it has no braces to expand.
pub(super) fn expanded(word: &str) -> Vec<String> {
    if !word.contains('{') || !(word.contains(',') || word.contains("..")) {
        return vec![word.to_owned()];
    }
    let mut left = MOST;
    expand(word, &mut left)
}

fn expand(word: &str, left: &mut usize) -> Vec<String> {
    let Some((head, inner, tail)) = first_group(word) else {
        return vec![word.to_owned()];
    };
    let parts = members(inner);
    let middles: Vec<String> = if parts.len() > 1 {
        parts.iter().flat_map(|part| expand(part, left)).collect()
    } else {
        sequence(inner).unwrap_or_default()
    };
    let tails = expand(tail, left);
    let mut found = Vec::new();
    for middle in &middles {
        for tail in &tails {
            if *left == 0 {
                return found;
            }
            *left -= 1;
            found.push(format!("{head}{middle}{tail}"));
        }
    }
    found
}

/// Finds the first group that really expands: the text before it, inside it and behind it.
fn first_group(word: &str) -> Option<(&str, &str, &str)> {
    let mut scan = TextScanner::new(word);
    loop {
        skip_quoted(&mut scan);
        let at = word.len() - scan.rest().len();
        if scan.bump()? != '{' {
            continue;
        }
        let Some(inner) = group(scan.rest()) else {
            continue;
        };
        if members(inner).len() > 1 || sequence(inner).is_some() {
            let tail = scan.rest().get(inner.len() + 1..).unwrap_or("");
            return Some((word.get(..at)?, inner, tail));
        }
    }
}

/// Skips over everything in which braces mean nothing.
fn skip_quoted(scan: &mut TextScanner<'_>) {
    loop {
        let before = scan.rest().len();
        match scan.peek() {
            Some('\\') => {
                scan.bump();
                scan.bump();
            }
            Some(quote @ ('\'' | '"' | '`')) => {
                scan.bump();
                while let Some(c) = scan.bump() {
                    if c == quote {
                        break;
                    }
                    if c == '\\' && quote != '\'' {
                        scan.bump();
                    }
                }
            }
            Some('$') if scan.rest().starts_with("${") => skip_nested(scan, '{', '}'),
            Some('$') if scan.rest().starts_with("$(") => skip_nested(scan, '(', ')'),
            _ => {}
        }
        if scan.rest().len() == before {
            return;
        }
    }
}

fn skip_nested(scan: &mut TextScanner<'_>, open: char, close: char) {
    let mut depth = 0_u32;
    while let Some(c) = scan.bump() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return;
            }
        }
    }
}

/// Returns the inside of a group whose opening brace has been read.
fn group(rest: &str) -> Option<&str> {
    let mut scan = TextScanner::new(rest);
    let mut depth = 0_u32;
    loop {
        skip_quoted(&mut scan);
        let at = rest.len() - scan.rest().len();
        match scan.bump()? {
            '{' => depth += 1,
            '}' if depth == 0 => return rest.get(..at),
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// Splits the inside of a group at its own commas.
fn members(inner: &str) -> Vec<&str> {
    let mut scan = TextScanner::new(inner);
    let (mut depth, mut start) = (0_u32, 0);
    let mut found = Vec::new();
    loop {
        skip_quoted(&mut scan);
        let at = inner.len() - scan.rest().len();
        match scan.bump() {
            Some('{') => depth += 1,
            Some('}') => depth = depth.saturating_sub(1),
            Some(',') if depth == 0 => {
                found.push(inner.get(start..at).unwrap_or(""));
                start = at + 1;
            }
            Some(_) => {}
            None => break,
        }
    }
    found.push(inner.get(start..).unwrap_or(""));
    found
}

/// Returns the members of `1..9`, `a..z` and the same with a step.
fn sequence(inner: &str) -> Option<Vec<String>> {
    let mut parts = inner.split("..");
    let (from, to) = (parts.next()?, parts.next()?);
    let step = match parts.next() {
        Some(step) => step.parse::<i64>().ok()?.unsigned_abs().max(1),
        None => 1,
    };
    let step = usize::try_from(step).ok()?;
    if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
        return Some(
            numbers(from, to)
                .step_by(step)
                .take(MOST)
                .map(|n| n.to_string())
                .collect(),
        );
    }
    let (from, to) = (single(from)?, single(to)?);
    let numbers = numbers(i64::from(u32::from(from)), i64::from(u32::from(to)));
    Some(
        numbers
            .step_by(step)
            .take(MOST)
            .filter_map(|n| u32::try_from(n).ok().and_then(char::from_u32))
            .map(String::from)
            .collect(),
    )
}

fn numbers(from: i64, to: i64) -> Box<dyn Iterator<Item = i64>> {
    if from <= to {
        Box::new(from..=to)
    } else {
        Box::new((to..=from).rev())
    }
}

fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    let first = chars.next()?;
    (chars.next().is_none() && first.is_ascii_alphabetic()).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_multiply_and_quotes_protect() {
        assert_eq!(expanded("a{b,c}d"), ["abd", "acd"]);
        assert_eq!(expanded("{r,R}{m,M}"), ["rm", "rM", "Rm", "RM"]);
        assert_eq!(expanded("{1..3}"), ["1", "2", "3"]);
        assert_eq!(expanded("'{a,b}'"), ["'{a,b}'"]);
        assert_eq!(expanded("${x:-{a,b}}"), ["${x:-{a,b}}"]);
        assert_eq!(expanded("{a}"), ["{a}"]);
        assert_eq!(expanded("{rm,-rf,x}"), ["rm", "-rf", "x"]);
    }
}
