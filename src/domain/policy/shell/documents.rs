//! Here-documents that the parser crate would misread: something is expanded behind one on the same line.
//!
//! The crate takes what stands inside of `${…}` and `$(…)` there for a word of its own: of `cat <<E > ${HOME}/x` it makes
//! `> HOME` and `${}/x`. So the body of such a document is put in its place as a here-string, which says the same. Danger:
//! whatever is not one plain document is not changed and counts as unreadable.

use std::borrow::Cow;

/// What a line says of its here-document.
struct Document<'t> {
    /// The text of the line in front of it.
    head: &'t str,
    /// The word that ends it.
    end: String,
    /// Whether nothing in it is expanded.
    literal: bool,
    /// Whether tabs in front of its lines are taken away.
    indented: bool,
    /// The text of the line behind it.
    rest: &'t str,
}

/// Returns the text with such documents written as here-strings; `None` where that cannot be done.
pub(super) fn settled(code: &str) -> Option<Cow<'_, str>> {
    let is_hit = |line: &str| {
        let behind = line.split_once("<<").map_or("", |(_, behind)| behind);
        !behind.starts_with('<') && (behind.contains("$(") || behind.contains("${"))
    };
    if !code.contains("<<") || !code.lines().any(is_hit) {
        return Some(Cow::Borrowed(code));
    }
    let mut out = String::with_capacity(code.len() + 16);
    let mut quoted = false;
    let mut lines = code.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let Some(document) = document(line, quoted) else {
            quoted = ends_quoted(line, quoted);
            out.push_str(line);
            continue;
        };
        quoted = ends_quoted(document.head, quoted);
        let mut body = String::new();
        let mut as_written = String::new();
        let mut found = false;
        for line in lines.by_ref() {
            as_written.push_str(line);
            let text = line.strip_suffix('\n').unwrap_or(line);
            let text = if document.indented {
                text.trim_start_matches('\t')
            } else {
                text
            };
            if text == document.end {
                found = true;
                break;
            }
            body.push_str(text);
            body.push('\n');
        }
        if !is_hit(line) || !found {
            // A shift of numbers is none of these.
            out.push_str(line);
            out.push_str(&as_written);
            continue;
        }
        if document.rest.contains("<<") {
            return None;
        }
        let body = body.strip_suffix('\n').unwrap_or(&body);
        out.push_str(document.head);
        out.push_str("<<< ");
        if document.literal {
            out.push('\'');
            out.push_str(&body.replace('\'', "'\\''"));
            out.push('\'');
        } else {
            out.push('"');
            out.push_str(&in_double_quotes(body));
            out.push('"');
        }
        out.push_str(document.rest);
        // Its last line, and the one that ended it, still count as lines.
        if !document.rest.trim_end_matches('\n').ends_with('\\') {
            out.push_str(if body.is_empty() { "\n" } else { "\n\n" });
        }
        quoted = ends_quoted(document.rest, quoted);
    }
    Some(Cow::Owned(out))
}

/// Finds the here-document that a line begins, outside of single quotes.
fn document(line: &str, quoted: bool) -> Option<Document<'_>> {
    let mut from = 0;
    let at = loop {
        let at = from + line.get(from..)?.find("<<")?;
        let before = line.get(..at)?;
        let run = line.get(at..)?.chars().take_while(|c| *c == '<').count();
        if run == 2 && !ends_quoted(before, quoted) && !before.trim_end().ends_with("((") {
            break at;
        }
        from = at + run;
    };
    let head = line.get(..at)?;
    let behind = line.get(at + 2..)?;
    let indented = behind.starts_with('-');
    let behind = behind
        .strip_prefix('-')
        .unwrap_or(behind)
        .trim_start_matches([' ', '\t']);
    let stop = behind.find(|c: char| c.is_whitespace() || ";|&<>()".contains(c));
    let (word, rest) = behind.split_at(stop.unwrap_or(behind.len()));
    let end = word.replace(['\'', '"', '\\'], "");
    (!end.is_empty() && !end.contains('$')).then_some(Document {
        head,
        literal: end.len() < word.len(),
        end,
        indented,
        rest,
    })
}

/// Returns whether a text ends inside of single quotes.
fn ends_quoted(text: &str, quoted: bool) -> bool {
    let mut quoted = quoted;
    let mut double = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' if !double || quoted => quoted = !quoted,
            '"' if !quoted => double = !double,
            '\\' if !quoted => drop(chars.next()),
            _ => {}
        }
    }
    quoted
}

/// Returns the body of a document as it stands in double quotes.
fn in_double_quotes(body: &str) -> String {
    let mut out = String::with_capacity(body.len() + 8);
    let mut chars = body.chars().peekable();
    // Inside of brackets quotes belong to the code there.
    let mut open: Vec<char> = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' if open.is_empty() => match chars.next() {
                Some('"') => out.push_str("\\\\\\\""),
                Some(next) => out.extend(['\\', next]),
                None => out.push_str("\\\\"),
            },
            '"' if open.is_empty() => out.push_str("\\\""),
            '$' if chars.peek() == Some(&'(') || chars.peek() == Some(&'{') => {
                out.push('$');
                if let Some(bracket) = chars.next() {
                    out.push(bracket);
                    open.push(if bracket == '(' { ')' } else { '}' });
                }
            }
            '`' => {
                if open.last() == Some(&'`') {
                    open.pop();
                } else {
                    open.push('`');
                }
                out.push('`');
            }
            c => {
                if c == '(' && open.last() == Some(&')') {
                    open.push(')');
                } else if open.last() == Some(&c) {
                    open.pop();
                }
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: &str) -> String {
        settled(code).unwrap().into_owned()
    }

    #[test]
    fn a_document_with_an_expansion_behind_it_becomes_a_here_string() {
        for (code, expected) in [
            (
                "cat <<E > ${HOME}/x\na \"b\" $c\nE\nls\n",
                "cat <<< \"a \\\"b\\\" $c\" > ${HOME}/x\n\n\nls\n",
            ),
            (
                "cat <<'E' >> \"${HOME}/x\"\nit's $c\nE\n",
                "cat <<< 'it'\\''s $c' >> \"${HOME}/x\"\n\n\n",
            ),
            (
                "cat <<-E && rm -rf $(x)\n\ta\n\tE\n",
                "cat <<< \"a\" && rm -rf $(x)\n\n\n",
            ),
            (
                "a <<E | b ${c}\n$(echo \"x\")\nE",
                "a <<< \"$(echo \"x\")\" | b ${c}\n\n\n",
            ),
        ] {
            assert_eq!(text(code), expected, "{code}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for code in [
            "cat <<E > x\n${HOME} <<F $(a)\nE\n",
            "echo $((1 << ${x}))\n",
            "cat <<< ${x}\n",
            "x=$(cat <<E\n${y}\nE\n)\n",
            "echo '<<E ${x}'\nE\n",
        ] {
            assert_eq!(text(code), code, "{code}");
        }
        assert!(settled("cat <<A - <<B ${x}\na\nA\nb\nB\n").is_none());
    }
}
