//! Finding the ends of quoted and bracketed parts of a word, and the meaning of escapes in them.

use crate::domain::policy::partial_text::TextScanner;

/// Reads the inside of `(…)` whose opening bracket has been read, up to and with its closing one.
pub(in crate::domain::policy) fn bracketed<'a>(
    scan: &mut TextScanner<'a>,
    open: char,
    close: char,
) -> &'a str {
    let rest = scan.rest();
    let mut inner = *scan;
    let mut depth = 0_u32;
    loop {
        let at = rest.len() - inner.rest().len();
        let Some(c) = inner.bump() else {
            return scan.take(rest.len());
        };
        match c {
            '\\' => drop(inner.bump()),
            '\'' => drop(until(&mut inner, '\'', false)),
            '"' => drop(double_quoted(&mut inner)),
            '`' => drop(until(&mut inner, '`', true)),
            c if c == open => depth += 1,
            c if c == close && depth == 0 => {
                let text = scan.take(at);
                scan.bump();
                return text;
            }
            c if c == close => depth -= 1,
            _ => {}
        }
    }
}

/// Reads up to and with the next `end`; returns the text before it.
pub(super) fn until<'a>(scan: &mut TextScanner<'a>, end: char, escapes: bool) -> &'a str {
    let rest = scan.rest();
    let mut inner = *scan;
    loop {
        let at = rest.len() - inner.rest().len();
        match inner.bump() {
            None => return scan.take(rest.len()),
            Some('\\') if escapes => drop(inner.bump()),
            Some(c) if c == end => {
                let text = scan.take(at);
                scan.bump();
                return text;
            }
            Some(_) => {}
        }
    }
}

/// Reads the inside of a double-quoted part, up to and with its closing quote.
pub(super) fn double_quoted<'a>(scan: &mut TextScanner<'a>) -> &'a str {
    let rest = scan.rest();
    let mut inner = *scan;
    loop {
        let at = rest.len() - inner.rest().len();
        match inner.bump() {
            None => return scan.take(rest.len()),
            Some('\\') => drop(inner.bump()),
            Some('"') => {
                let text = scan.take(at);
                scan.bump();
                return text;
            }
            Some('`') => drop(until(&mut inner, '`', true)),
            Some('$') if inner.eat("(") => drop(bracketed(&mut inner, '(', ')')),
            Some('$') if inner.eat("{") => drop(bracketed(&mut inner, '{', '}')),
            Some(_) => {}
        }
    }
}

/// Returns what `$'…'`, `echo -e` and `printf` make of escapes.
pub(in crate::domain::policy) fn ansi_text(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut scan = TextScanner::new(text);
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
    while let Some(c) = scan.bump() {
        if c == '\\' {
            escape(&mut scan, &mut bytes);
        } else {
            push(&mut bytes, c);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads one escape from behind its backslash.
fn escape(scan: &mut TextScanner<'_>, bytes: &mut Vec<u8>) {
    if scan.peek().is_some_and(|c| c.is_digit(8)) {
        // `echo -e` takes a leading zero and three digits, `printf` and `$'…'` three digits.
        let most = if scan.peek() == Some('0') { 4 } else { 3 };
        bytes.push(low_byte(number(scan, 8, most)));
        return;
    }
    match scan.bump() {
        None => bytes.push(b'\\'),
        Some('n') => bytes.push(b'\n'),
        Some('t') => bytes.push(b'\t'),
        Some('r') => bytes.push(b'\r'),
        Some('a') => bytes.push(7),
        Some('b') => bytes.push(8),
        Some('e' | 'E') => bytes.push(27),
        Some('f') => bytes.push(12),
        Some('v') => bytes.push(11),
        Some('x') => bytes.push(low_byte(number(scan, 16, 2))),
        Some('u') => push(
            bytes,
            char::from_u32(number(scan, 16, 4)).unwrap_or('\u{FFFD}'),
        ),
        Some('U') => push(
            bytes,
            char::from_u32(number(scan, 16, 8)).unwrap_or('\u{FFFD}'),
        ),
        Some('c') => drop(scan.bump()),
        Some(c @ ('\\' | '\'' | '"' | '?')) => push(bytes, c),
        Some(other) => {
            bytes.push(b'\\');
            push(bytes, other);
        }
    }
}

fn low_byte(number: u32) -> u8 {
    u8::try_from(number & 0xFF).unwrap_or(0)
}

fn number(scan: &mut TextScanner<'_>, radix: u32, most: usize) -> u32 {
    let mut value = 0_u32;
    for _ in 0..most {
        let Some(digit) = scan.peek().and_then(|c| c.to_digit(radix)) else {
            break;
        };
        scan.bump();
        value = value.saturating_mul(radix).saturating_add(digit);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_understood_in_all_their_spellings() {
        assert_eq!(ansi_text(r"\x72\x6d"), "rm");
        assert_eq!(ansi_text(r"\162\155"), "rm");
        assert_eq!(ansi_text(r"\0162\0155"), "rm");
        assert_eq!(ansi_text(r"\u0072m"), "rm");
        assert_eq!(ansi_text(r"a\qb"), r"a\qb");
    }

    #[test]
    fn a_bracket_inside_quotes_does_not_end_a_substitution() {
        let mut scan = TextScanner::new("echo ')' $(x \")\") ) tail");
        assert_eq!(bracketed(&mut scan, '(', ')'), "echo ')' $(x \")\") ");
        assert_eq!(scan.rest(), " tail");
    }
}
