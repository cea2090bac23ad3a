//! Brace expansion, which happens before anything else: `{a,b}` and `{1..3}`.

use crate::domain::policy::partial_text::TextScanner;

const MOST: usize = 256;
/// How many members of each sequence stand for all: the first of these with which there are not too many words.
const SOME: [usize; 4] = [MOST, 64, 8, 2];
/// Words a shell can be trusted to hold in memory.
pub(super) const MOST_WORDS: u64 = 2_000_000;

/// Returns the words a raw word stands for, and how many a shell would make; the word itself when it has no braces to expand.
/// Where there are too many, the first members of each sequence stand for it; `None` where that does not help.
pub(super) fn expanded(word: &str) -> (Option<Vec<String>>, u64) {
    if !word.contains('{') || !(word.contains(',') || word.contains("..")) {
        return (Some(vec![word.to_owned()]), 1);
    }
    let mut found = SOME.iter().map(|most| expand(word, &mut { MOST }, *most));
    (found.find_map(|found| found), counted(word))
}

/// Returns how many words a raw word stands for.
fn counted(word: &str) -> u64 {
    let Some((_, inner, tail)) = first_group(word) else {
        return 1;
    };
    let parts = members(inner);
    let middles = if parts.len() > 1 {
        let each = parts.iter().map(|part| counted(part));
        each.fold(0, u64::saturating_add)
    } else {
        length(inner).unwrap_or(0)
    };
    middles.saturating_mul(counted(tail))
}

/// Expands a word, with at most so many members of each sequence; `None` where it is more than is left.
fn expand(word: &str, left: &mut usize, most: usize) -> Option<Vec<String>> {
    let Some((head, inner, tail)) = first_group(word) else {
        return Some(vec![word.to_owned()]);
    };
    let parts = members(inner);
    let middles: Vec<String> = if parts.len() > 1 {
        let each = parts.iter().map(|part| expand(part, left, most));
        each.collect::<Option<Vec<_>>>()?.concat()
    } else {
        sequence(inner, most).unwrap_or_default()
    };
    let tails = expand(tail, left, most)?;
    let mut found = Vec::new();
    for middle in &middles {
        for tail in &tails {
            *left = left.checked_sub(1)?;
            found.push(format!("{head}{middle}{tail}"));
        }
    }
    Some(found)
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
        if members(inner).len() > 1 || length(inner).is_some() {
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

/// A sequence: its ends, how far apart its members are, and whether they are letters.
type Sequence = (i64, i64, u64, bool);

/// Reads `1..9`, `a..z` and the same with a step.
fn ends(inner: &str) -> Option<Sequence> {
    let mut parts = inner.split("..");
    let (from, to) = (parts.next()?, parts.next()?);
    let step = match parts.next() {
        Some(step) => step.parse::<i64>().ok()?.unsigned_abs().max(1),
        None => 1,
    };
    if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
        return Some((from, to, step, false));
    }
    let letter = |text: &str| single(text).map(|c| i64::from(u32::from(c)));
    Some((letter(from)?, letter(to)?, step, true))
}

/// Returns how many members a sequence has, if it is one.
fn length(inner: &str) -> Option<u64> {
    let (from, to, step, _) = ends(inner)?;
    Some((from.abs_diff(to) / step).saturating_add(1))
}

/// Returns the members of a sequence, the first ones where there are more than `most`.
fn sequence(inner: &str, most: usize) -> Option<Vec<String>> {
    let (from, to, step, letters) = ends(inner)?;
    let shown = |n: i64| match u32::try_from(n).ok().and_then(char::from_u32) {
        Some(letter) if letters => letter.to_string(),
        _ => n.to_string(),
    };
    let step = usize::try_from(step).ok()?;
    let members = numbers(from, to).step_by(step).take(most);
    Some(members.map(shown).collect())
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

    fn expanded(word: &str) -> Vec<String> {
        super::expanded(word).0.unwrap()
    }

    #[test]
    fn the_words_of_a_shell_are_counted_though_few_are_made() {
        let count = |word: &str| super::expanded(word).1;
        assert_eq!(count("{1..99999}{1..99999}{1..99999}"), 99_999_u64.pow(3));
        assert_eq!(count("a{b,{1..10}}{x,y}"), 22);
        assert_eq!(
            count("{-9223372036854775808..9223372036854775807}"),
            u64::MAX
        );
        assert_eq!(expanded("{1..1000}").len(), MOST);
        assert_eq!(expanded("{1..50}{1..50}").len(), 64);
        // What stands behind a long sequence is not lost.
        assert!(expanded("x/{{1..1000},../../etc}").contains(&"x/../../etc".to_owned()));
        assert!(super::expanded(&"{a,b}".repeat(9)).0.is_none());
    }

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
