//! Splits a command written as one string into its words, by the quoting rules of a POSIX shell.
//!
//! Nothing is expanded and no shell ever sees the result, so what only a shell understands is found and
//! refused: `make && make test` would otherwise start `make` with the words `&&`, `make` and `test`.

/// Why a string cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A quote is opened and never closed.
    #[error("has a quote that is never closed")]
    OpenQuote,
    /// The text ends in a backslash.
    #[error("ends in a backslash that quotes nothing")]
    TrailingBackslash,
}

/// Returns the words of `text`.
pub fn split_words(text: &str) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => single(&mut chars, word.get_or_insert_default())?,
            '"' => double(&mut chars, word.get_or_insert_default())?,
            '\\' => {
                let next = chars.next().ok_or(Error::TrailingBackslash)?;
                word.get_or_insert_default().push(next);
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Returns the first part of `text` that means something to a shell only and is not quoted.
///
/// A redirection counts at the beginning of a word and a lone `&` at its end, because `foo>=1.0` and
/// `?a=1&b=2` are ordinary arguments.
pub fn find_shell_syntax(text: &str) -> Option<&'static str> {
    let mut before = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let (found, length) = match c {
            '\'' => (None, quoted(after, '\'')),
            '"' => (None, quoted(after, '"')),
            '\\' => (None, 1 + after.chars().next().map_or(0, char::len_utf8)),
            _ => (special(c, after, before), c.len_utf8()),
        };
        if found.is_some() {
            return found;
        }
        // The digits of `2>` belong to the redirection.
        if !(c.is_ascii_digit() && before.is_none()) {
            before = Some(c).filter(|c| !c.is_whitespace());
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    None
}

/// Returns the length of a quoted part whose opening quote has been read, both quotes included.
fn quoted(after: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in after.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return at + 2,
            _ => {}
        }
    }
    after.len() + 1
}

/// Returns what the character `c` begins for a shell, given what stands after it and before it in its word.
fn special(c: char, after: &str, before: Option<char>) -> Option<&'static str> {
    let next = after.chars().next();
    let ends_word = next.is_none_or(char::is_whitespace);
    match (c, next) {
        ('&', Some('&')) => Some("&&"),
        ('&', _) if ends_word => Some("&"),
        ('|', Some('|')) => Some("||"),
        ('|', _) => Some("|"),
        (';', _) => Some(";"),
        ('`', _) => Some("`"),
        ('$', Some('(')) => Some("$("),
        ('$', Some('{')) => Some("${"),
        ('$', Some(c)) if c.is_ascii_alphabetic() || c == '_' => Some("$NAME"),
        ('~', _) if before.is_none() && (ends_word || next == Some('/')) => Some("~"),
        ('>', _) if before.is_none() => Some(">"),
        ('<', _) if before.is_none() => Some("<"),
        _ => None,
    }
}

fn single(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), Error> {
    loop {
        match chars.next().ok_or(Error::OpenQuote)? {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
}

fn double(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), Error> {
    loop {
        match chars.next().ok_or(Error::OpenQuote)? {
            '"' => return Ok(()),
            '\\' => match chars.next().ok_or(Error::OpenQuote)? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_shell_understands_is_found_where_it_is_not_quoted() {
        for (text, found) in [
            ("make && make test", "&&"),
            ("make&&make test", "&&"),
            ("a || b", "||"),
            ("a | b", "|"),
            ("a|b", "|"),
            ("cd x; make", ";"),
            ("server &", "&"),
            ("a > out", ">"),
            ("a 2>&1", ">"),
            ("a >out", ">"),
            ("a <in", "<"),
            ("echo $HOME", "$NAME"),
            ("echo ${HOME}", "${"),
            ("echo $(date)", "$("),
            ("echo `date`", "`"),
            ("ls ~/x", "~"),
        ] {
            assert_eq!(find_shell_syntax(text), Some(found), "{text}");
        }
        for text in [
            "printf '&& | $HOME' \"; > ` $x\" \\; \\$HOME \\| 'it' 'x'",
            "pip install foo>=1.0 a<b",
            "curl http://x/?a=1&b=2 -H a~b grep a$",
            "awk '{print $1}' x=1 5 $1",
            "find . -exec rm {} \\;",
        ] {
            assert_eq!(find_shell_syntax(text), None, "{text}");
        }
    }

    #[test]
    fn quotes_and_backslashes_group_words() {
        let words = split_words(r#"printf '%s' '' "a \"b\" \n" c\ d e"f"g"#).unwrap();
        assert_eq!(words, ["printf", "%s", "", r#"a "b" \n"#, "c d", "efg"]);
        assert_eq!(split_words("  "), Ok(vec![]));
        assert_eq!(split_words("'a"), Err(Error::OpenQuote));
        assert_eq!(split_words("a\\"), Err(Error::TrailingBackslash));
        assert_eq!(split_words("\"a\\"), Err(Error::OpenQuote));
    }
}
