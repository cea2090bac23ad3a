//! Splits a command written as one string into its words, by the quoting rules of a POSIX shell.
//!
//! Nothing is expanded and no shell ever sees the result: `$HOME` and `|` are plain characters here.

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
pub fn split(text: &str) -> Result<Vec<String>, Error> {
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
    fn quotes_and_backslashes_group_words() {
        let words = split(r#"printf '%s' '' "a \"b\" \n" c\ d e"f"g"#).unwrap();
        assert_eq!(words, ["printf", "%s", "", r#"a "b" \n"#, "c d", "efg"]);
        assert_eq!(split("  "), Ok(vec![]));
        assert_eq!(split("'a"), Err(Error::OpenQuote));
        assert_eq!(split("a\\"), Err(Error::TrailingBackslash));
        assert_eq!(split("\"a\\"), Err(Error::OpenQuote));
    }
}
