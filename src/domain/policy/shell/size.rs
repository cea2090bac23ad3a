//! How much a text asks of the parser, guessed before it is parsed.
//!
//! The guess only saves time: whoever misleads it gains some milliseconds of work, never a milder verdict.

/// Brackets inside brackets the parser is trusted with.
const MOST_BRACKETS: u32 = 24;
/// Round brackets directly behind another, inside each other, the parser is trusted with.
const MOST_DOUBLES: u32 = 5;
/// `case` inside `case` the parser is trusted with.
const MOST_CASES: u32 = 5;
/// Compound commands one text may open.
const MOST_COMPOUNDS: usize = 400;
/// Separators between commands one text may have, quoted text and here-documents aside.
const MOST_SEPARATORS: usize = 1_500;
/// Words one text may have, counted likewise.
const MOST_WORDS: usize = 4_000;

/// Returns why a text is not given to the parser, if it is not.
pub(super) fn too_much(code: &str) -> Option<&'static str> {
    if too_nested(code) {
        return Some("it is nested too deeply");
    }
    let count = counted(code);
    let many = count.separators > MOST_SEPARATORS || count.words > MOST_WORDS;
    many.then_some("it has too many parts")
}

/// Returns whether a text nests deeper than the parser can be trusted with.
fn too_nested(code: &str) -> bool {
    let (mut depth, mut most, mut opened) = (0_u32, 0_u32, 0_usize);
    // The parser tries `((` both ways, which doubles its work for each that is open.
    let (mut doubles, mut most_doubles, mut is_behind) = (0_u32, 0_u32, false);
    let mut open: Vec<bool> = Vec::new();
    for c in code.chars() {
        match c {
            '(' | '{' => {
                depth += 1;
                opened += 1;
                most = most.max(depth);
            }
            ')' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match c {
            '(' => {
                doubles += u32::from(is_behind);
                most_doubles = most_doubles.max(doubles);
                open.push(is_behind);
            }
            ')' => doubles -= u32::from(open.pop().unwrap_or_default()),
            _ => {}
        }
        is_behind = c == '(' || is_behind && matches!(c, ' ' | '\t' | '\n');
    }
    most_doubles > MOST_DOUBLES || most > MOST_BRACKETS || opened > 4_000 || words_nest(code)
}

/// Returns whether compound commands stand inside each other more deeply than the parser can be trusted with.
fn words_nest(code: &str) -> bool {
    let (mut cases, mut most_cases, mut compounds) = (0_u32, 0_u32, 0_usize);
    for word in code.split(|c: char| c.is_whitespace() || c == ';') {
        match word {
            "case" => {
                cases += 1;
                most_cases = most_cases.max(cases);
                compounds += 1;
            }
            "esac" => cases = cases.saturating_sub(1),
            "if" | "while" | "until" | "for" | "select" | "elif" | "!" => compounds += 1,
            _ => {}
        }
    }
    most_cases > MOST_CASES || compounds > MOST_COMPOUNDS
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    separators: usize,
    words: usize,
}

/// Counts roughly what the parser will find.
fn counted(code: &str) -> Count {
    let mut count = Count::default();
    let mut lines = code.split_inclusive('\n');
    let mut quote: Option<char> = None;
    while let Some(line) = lines.next() {
        let document = if quote.is_none() {
            delimiter(line)
        } else {
            None
        };
        quote = count_line(line, quote, &mut count);
        if let Some(end) = document.filter(|_| quote.is_none()) {
            // The body of a here-document is one word, however long.
            let ends = |line: &&str| line.trim_end_matches('\n').trim_start_matches('\t') == end;
            let _ = lines.find(ends);
        }
    }
    count
}

/// Counts one line; returns the quotation mark that is open at its end.
fn count_line(line: &str, mut quote: Option<char>, count: &mut Count) -> Option<char> {
    let mut blank = true;
    let mut escaped = false;
    for c in line.chars() {
        if escaped {
            escaped = false;
            continue;
        }
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => escaped = true,
            // Inside double quotes commands can still begin.
            (_, '`') => count.separators += 1,
            (Some(_), '(') => count.separators += 1,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, ';' | '|' | '&' | '(' | '<' | '>' | '\n') => count.separators += 1,
            (None, _) => {}
        }
        let space = c.is_whitespace();
        if quote.is_none() && !space && blank {
            count.words += 1;
        }
        blank = space;
    }
    quote
}

/// Returns the word that ends the here-document this line begins, if it begins one.
fn delimiter(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("<<")?;
    if rest.starts_with('<') {
        return None;
    }
    let rest = rest.trim_start_matches('-').trim_start();
    let end = rest.find(|c: char| c.is_whitespace() || ";|&)<>".contains(c));
    let word = rest.get(..end.unwrap_or(rest.len()))?;
    let word = word.trim_matches(['\'', '"', '\\']);
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_or_in_a_document_is_not_counted() {
        let count = |code| counted(code);
        assert_eq!(
            count("a b; c | d\n"),
            Count {
                separators: 3,
                words: 5
            }
        );
        let quoted = count("echo 'a; b; c' \"d | e $(f)\"\n");
        assert_eq!(quoted.separators, 2);
        let document = count("cat > x <<'EOF'\na; b; c\nd | e\nEOF\nls\n");
        assert_eq!(document.separators, 5);
    }

    #[test]
    fn a_long_file_in_a_document_is_not_too_much_and_a_long_list_is() {
        let document = format!("cat > x <<EOF\n{}EOF\n", "a = b; c | d\n".repeat(4000));
        assert_eq!(too_much(&document), None);
        assert_eq!(too_much(&"a;".repeat(1501)), Some("it has too many parts"));
        assert_eq!(too_much(&"a ".repeat(4001)), Some("it has too many parts"));
        let nested = Some("it is nested too deeply");
        assert_eq!(too_much("((((((( a"), nested);
        // What stands between them does not help the parser.
        assert_eq!(too_much(&"((a ".repeat(7)), nested);
        assert_eq!(too_much(&"((a) * b)\n".repeat(90)), None);
    }
}
