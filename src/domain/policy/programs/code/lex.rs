//! Cuts code into words, literals and signs; comments fall away.

use crate::domain::policy::{
    partial_text::{TextScanner, UNKNOWN},
    programs::code::Language,
    shell::ansi_text,
};

/// A piece of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name with its dots, or a number.
    Word(String),
    /// A text literal, unescaped.
    Text(String),
    /// A literal that the language runs as a command.
    Command(String),
    /// Anything else, one character.
    Sign(char),
    /// The end of a statement.
    End,
}

/// Cuts code into pieces.
pub(super) fn tokens(language: Language, code: &str) -> Vec<Token> {
    let mut inside = Vec::new();
    let mut found = cut(language, code, &mut inside);
    // What stands in the holes of a text is code as well.
    for _ in 0..DEEPEST {
        for hole in std::mem::take(&mut inside) {
            found.push(Token::End);
            found.extend(cut(language, &hole, &mut inside));
        }
    }
    found
}

/// How deep texts with holes may stand in each other.
const DEEPEST: u32 = 8;

fn cut(language: Language, code: &str, inside: &mut Vec<String>) -> Vec<Token> {
    let mut scan = TextScanner::new(code);
    let mut found: Vec<Token> = Vec::new();
    while let Some(c) = scan.peek() {
        let before = scan.rest();
        if skip_comment(language, &mut scan) {
            continue;
        }
        if c == '\n' || c == ';' {
            scan.bump();
            // A method at the start of a line belongs to what stands before it.
            let goes_on = c == '\n' && language == Language::C && {
                let rest = scan.rest().trim_start();
                rest.starts_with('.') && rest.chars().nth(1).is_some_and(char::is_alphabetic)
            };
            if !goes_on {
                found.push(Token::End);
            }
        } else if c.is_whitespace() {
            scan.bump();
        } else if let Some(token) = literal(language, &mut scan, found.last()) {
            let end = before.len() - scan.rest().len();
            if matches!(token, Token::Text(_)) {
                note_holes(language, before.get(..end).unwrap_or(""), inside);
            }
            found.push(token);
        } else if is_word(c)
            || c == '.' && scan.rest().chars().nth(1).is_some_and(char::is_alphabetic)
        {
            found.push(word(language, &mut scan));
        } else {
            scan.bump();
            found.push(Token::Sign(c));
        }
    }
    found
}

/// Notes the code that stands inside of a literal.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
fn note_holes(language: Language, literal: &str, inside: &mut Vec<String>) {
    let at = literal.find(['\'', '"', '`']).unwrap_or(0);
    let (prefix, quoted) = literal.split_at(at);
    let opens: &[&str] = match language {
        Language::Python if prefix.to_lowercase().contains('f') => &["{"],
        Language::JavaScript if quoted.starts_with('`') => &["${"],
        Language::Ruby if !quoted.starts_with('\'') => &["#{"],
        Language::Perl if !quoted.starts_with('\'') => &["@{[", "${\\"],
        Language::Php if quoted.starts_with('"') => &["{$"],
        _ => return,
    };
    if language == Language::Python {
        inside.extend(python_holes(quoted));
        return;
    }
    for open in opens {
        let kept = if *open == "{$" { 1 } else { open.len() };
        for (at, _) in literal.match_indices(open) {
            let rest = literal.get(at + kept..).unwrap_or("");
            let hole = until_closed(rest, language == Language::Python);
            if !hole.is_empty() {
                inside.push(hole.to_owned());
            }
        }
    }
}

/// Returns the code in the braces of a text of Python, where two braces together are one that is meant.
fn python_holes(literal: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0_u32;
    let mut scan = TextScanner::new(literal);
    while let Some(c) = scan.bump() {
        match c {
            '{' if depth == 0 && scan.eat("{") => {}
            '{' => {
                depth += 1;
                let hole = until_closed(scan.rest(), true);
                if !hole.is_empty() {
                    found.push(hole.to_owned());
                }
            }
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

/// Returns the text up to the brace that closes it, or up to the format behind it: `x:>10`.
fn until_closed(rest: &str, has_format: bool) -> &str {
    let mut depth = 0_u32;
    let mut quote = None;
    let end = rest.char_indices().find(|(_, c)| {
        match (quote, c) {
            (Some(open), c) if open == *c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(*c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') if depth > 0 => depth -= 1,
            (None, '}') => return true,
            (None, ':') => return has_format && depth == 0,
            (None, _) => {}
        }
        false
    });
    rest.get(..end.map_or(rest.len(), |(at, _)| at))
        .unwrap_or(rest)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || c == '@'
}

fn skip_comment(language: Language, scan: &mut TextScanner<'_>) -> bool {
    let slashes = matches!(language, Language::JavaScript | Language::Php | Language::C);
    let hash = !matches!(language, Language::JavaScript | Language::Lua | Language::C);
    let line = (slashes && scan.rest().starts_with("//"))
        || (hash && scan.peek() == Some('#'))
        || (language == Language::Lua && scan.rest().starts_with("--"));
    if line {
        scan.take_while(|c| c != '\n');
        return true;
    }
    if slashes && scan.eat("/*") {
        let end = scan
            .rest()
            .find("*/")
            .map_or(scan.rest().len(), |at| at + 2);
        scan.take(end);
        return true;
    }
    false
}

fn word(language: Language, scan: &mut TextScanner<'_>) -> Token {
    let colons = matches!(
        language,
        Language::Perl | Language::Ruby | Language::Php | Language::R | Language::C
    );
    let mut text = String::new();
    loop {
        let part = scan.take_while(|c| {
            is_word(c) || c == '.' && language != Language::Perl && language != Language::Php
        });
        text.push_str(part);
        if colons && scan.eat("::") {
            text.push_str("::");
        } else if scan.rest().starts_with("->")
            && matches!(language, Language::Perl | Language::Php)
        {
            scan.eat("->");
            text.push('.');
        } else if matches!(language, Language::R | Language::Ruby)
            && (scan.rest().starts_with("!(") || scan.rest().starts_with("?("))
        {
            // The mark at the end of a name says nothing about what it does.
            scan.bump();
            return Token::Word(text);
        } else if part.is_empty() && scan.peek() == Some('.') {
            scan.bump();
            text.push('.');
        } else {
            return Token::Word(text);
        }
    }
}

/// Reads a literal if one starts here.
fn literal(
    language: Language,
    scan: &mut TextScanner<'_>,
    before: Option<&Token>,
) -> Option<Token> {
    let c = scan.peek()?;
    match c {
        '\'' | '"' => Some(Token::Text(quoted(language, scan, ""))),
        '`' => {
            scan.bump();
            let text = until(scan, '`', true);
            Some(if language == Language::C {
                // Go writes texts like this.
                Token::Text(text)
            } else if language == Language::JavaScript {
                Token::Text(holes(&ansi_text(&text), "${"))
            } else {
                Token::Command(text)
            })
        }
        '/' if matches!(
            language,
            Language::Awk | Language::Perl | Language::Ruby | Language::JavaScript
        ) && (starts_regex(before)
            || language == Language::Awk && before == Some(&Token::Sign('}'))) =>
        {
            scan.bump();
            until(scan, '/', true);
            Some(Token::Sign('/'))
        }
        'b' | 'r' | 'f' | 'u' | 'B' | 'R' | 'F' | 'U' if language == Language::Python => {
            prefixed(scan)
        }
        'q' if language == Language::Perl => perl_quote(scan),
        's' if language == Language::Perl && starts_regex(before) => perl_substitution(scan),
        '%' if language == Language::Ruby => ruby_quote(scan),
        _ => None,
    }
}

fn starts_regex(before: Option<&Token>) -> bool {
    match before {
        None | Some(Token::End) => true,
        Some(Token::Sign(c)) => "({,!~&|=;?:[".contains(*c),
        Some(Token::Word(word)) => [
            "return", "if", "and", "or", "split", "grep", "while", "unless", "until", "not",
            "elsif", "when", "map", "print", "puts", "case", "join", "any", "first", "all", "x=",
        ]
        .contains(&word.as_str()),
        Some(Token::Text(_) | Token::Command(_)) => false,
    }
}

fn prefixed(scan: &mut TextScanner<'_>) -> Option<Token> {
    let at = scan.rest().find(['\'', '"'])?;
    let prefix = scan.rest().get(..at)?;
    if at > 2 || !prefix.chars().all(|c| "brfuBRFU".contains(c)) {
        return None;
    }
    let prefix = prefix.to_lowercase();
    scan.take(at);
    Some(Token::Text(quoted(Language::Python, scan, &prefix)))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
fn quoted(language: Language, scan: &mut TextScanner<'_>, prefix: &str) -> String {
    let quote = scan.bump().unwrap_or('"');
    let triple: String = [quote; 3].iter().collect();
    if language == Language::Python && scan.rest().starts_with(triple.get(1..).unwrap_or("")) {
        scan.take(2);
        let end = scan.rest().find(&triple).unwrap_or(scan.rest().len());
        let text = scan.take(end).to_owned();
        scan.eat(&triple);
        return unescaped(&text, prefix);
    }
    let single =
        quote == '\'' && matches!(language, Language::Perl | Language::Ruby | Language::Php);
    let text = until(scan, quote, true);
    if single {
        return text.replace("\\'", "'");
    }
    let text = unescaped(&text, prefix);
    match language {
        Language::Ruby => holes(&text, "#{"),
        Language::Perl | Language::Php if quote == '"' => interpolated(&text),
        _ => text,
    }
}

fn unescaped(text: &str, prefix: &str) -> String {
    let text = if prefix.contains('r') {
        text.to_owned()
    } else {
        ansi_text(text)
    };
    if prefix.contains('f') {
        holes(&text, "{")
    } else {
        text
    }
}

/// Replaces computed parts of a text by the mark for anything.
fn holes(text: &str, open: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once(open) {
        result.push_str(head);
        result.push(UNKNOWN);
        rest = tail.split_once('}').map_or("", |(_, after)| after);
    }
    result.push_str(rest);
    result
}

/// Replaces `$name` and `@name` in a text by the mark for anything.
fn interpolated(text: &str) -> String {
    let mut result = String::new();
    let mut scan = TextScanner::new(text);
    while let Some(c) = scan.bump() {
        let named = scan
            .peek()
            .is_some_and(|c| c.is_alphabetic() || c == '_' || c == '{');
        if c == '$' && named {
            scan.take_while(|c| c.is_alphanumeric() || "_{}[]".contains(c));
            result.push(UNKNOWN);
        } else {
            result.push(c);
        }
    }
    result
}

fn perl_quote(scan: &mut TextScanner<'_>) -> Option<Token> {
    let kind = ["qq", "qx", "qw", "qr", "q"]
        .into_iter()
        .find(|kind| scan.rest().starts_with(kind))?;
    let after = scan.rest().get(kind.len()..)?;
    let open = after.trim_start().chars().next()?;
    if open.is_alphanumeric() || "_,;=)".contains(open) {
        return None;
    }
    scan.take(kind.len());
    scan.take_while(char::is_whitespace);
    scan.bump();
    let text = until(scan, closing(open), true);
    Some(match kind {
        "qx" => Token::Command(text),
        "qr" => Token::Sign('/'),
        _ => Token::Text(text),
    })
}

/// Reads `s/…/…/` where what is put in is a text; with code in it, it is read word by word.
fn perl_substitution(scan: &mut TextScanner<'_>) -> Option<Token> {
    let mut ahead = *scan;
    ahead.bump();
    let open = ahead.bump()?;
    if open.is_alphanumeric() || open.is_whitespace() || "_,;=>)]}".contains(open) {
        return None;
    }
    let from = until(&mut ahead, closing(open), true);
    let is_bracket = closing(open) != open;
    let second = if is_bracket {
        ahead.take_while(char::is_whitespace);
        ahead.bump()?
    } else {
        open
    };
    let to = until(&mut ahead, closing(second), true);
    let flags = ahead.take_while(char::is_alphanumeric);
    let runs = |text: &str| {
        // A subscript is computed.
        let variable = text.find(['$', '@']).and_then(|at| text.get(at..));
        let is_computed =
            variable.is_some_and(|rest| rest.contains(['[', '{']) || rest.contains("->"));
        is_computed && open != '\''
            || ["@{", "${", "?{", "??{"]
                .iter()
                .any(|mark| text.contains(mark))
    };
    // Brackets in brackets are counted, which this does not.
    let is_nested = is_bracket && (from.contains(open) || to.contains(second));
    if flags.contains('e') || is_nested || runs(&from) || runs(&to) {
        return None;
    }
    *scan = ahead;
    Some(Token::Sign('/'))
}

fn ruby_quote(scan: &mut TextScanner<'_>) -> Option<Token> {
    let mut chars = scan.rest().chars().skip(1);
    let kind = chars.next()?;
    let open = chars.next()?;
    if !"xqQwWi".contains(kind) || open.is_alphanumeric() || open.is_whitespace() {
        return None;
    }
    scan.take(2 + open.len_utf8());
    let text = until(scan, closing(open), true);
    Some(if kind == 'x' {
        Token::Command(text)
    } else {
        Token::Text(text)
    })
}

const fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '<' => '>',
        other => other,
    }
}

fn until(scan: &mut TextScanner<'_>, end: char, escapes: bool) -> String {
    let mut text = String::new();
    while let Some(c) = scan.bump() {
        if c == end {
            break;
        }
        text.push(c);
        if c == '\\' && escapes {
            text.extend(scan.bump());
        }
    }
    text
}
