//! Gives text to the parser crate, and never a text that the crate does not come back from.
//!
//! Two faults of the crate were found by fuzzing: a here-document whose end is an empty word makes its tokenizer collect
//! empty tokens without end once the text is over, and a file number that no integer holds makes it panic. Texts with
//! either are refused before they are parsed; any panic that is left is caught, and the text counts as unreadable.

use std::panic::{AssertUnwindSafe, catch_unwind};

use brush_parser::{Parser, ParserOptions, ast};

/// Digits in front of `<` or `>` up to which every number fits into what the parser keeps it in.
const MOST_DIGITS: usize = 9;

/// Returns the parsed text; `None` when it is not valid shell, or nothing that the parser may be given.
pub(super) fn parsed(code: &str) -> Option<ast::Program> {
    if breaks_the_parser(code) {
        return None;
    }
    let options = ParserOptions::default();
    let parse = || Parser::new(code.as_bytes(), &options).parse_program().ok();
    catch_unwind(AssertUnwindSafe(parse)).ok().flatten()
}

/// Returns whether the text holds anything that the parser is known to fail on, wherever it stands: looking at quotes
/// here as well would have to agree with the parser in every detail.
fn breaks_the_parser(code: &str) -> bool {
    has_large_number(code) || has_empty_document_end(code)
}

/// Returns whether a number that is too large stands directly in front of a redirection.
fn has_large_number(code: &str) -> bool {
    let heads = code.split(['<', '>']);
    let digits = |head: &str| {
        let head = head.chars().rev().filter(|c| !is_joined(*c));
        head.take_while(char::is_ascii_digit).count()
    };
    heads.map(digits).any(|count| count > MOST_DIGITS)
}

/// A backslash and a line break between two characters join them.
const fn is_joined(c: char) -> bool {
    matches!(c, '\\' | '\n')
}

/// Returns whether a here-document may end at an empty word: all but words that surely are none.
///
/// At the end of the text the tokenizer goes round for ever exactly when the word that ends an open document is empty, since
/// every text ends in an empty word. So what follows `<<` has to begin with a character that stays in the word.
fn has_empty_document_end(code: &str) -> bool {
    // Inside of substitutions the parser takes a second blank behind `<<` for the word.
    let nested = ["$(", "$[", "${", "`"]
        .iter()
        .any(|open| code.contains(open));
    let mut rest = code;
    while let Some((_, behind)) = rest.split_once("<<") {
        rest = behind;
        // A here-string takes any word.
        if let Some(text) = behind.strip_prefix('<') {
            rest = text;
            continue;
        }
        let behind = behind.strip_prefix('-').unwrap_or(behind);
        let word = behind.trim_start_matches([' ', '\t']);
        let blanks = behind.len() - word.len();
        if nested && blanks > 1 || !has_letters(word) {
            return true;
        }
    }
    false
}

/// Returns whether a word, its quotes and backslashes taken away, begins with a character that is no white space.
fn has_letters(word: &str) -> bool {
    let bare = word.strip_prefix(['\'', '"', '\\']).unwrap_or(word);
    let quoted = bare.len() < word.len();
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || "_.-+!:@%,=#*/~^?[{".contains(c)
            || !c.is_ascii() && !c.is_whitespace() && !c.is_control()
    };
    bare.starts_with(plain)
        || !quoted
            && word.starts_with('$')
            && word.get(1..).is_some_and(|rest| {
                rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "_({".contains(c))
            })
        || !quoted && word.starts_with('(')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_the_parser_does_not_come_back_from_are_not_given_to_it() {
        let texts = [
            "\"${ <<'' \"",
            "cat${ <<'' x ",
            "cat <<'' x",
            "cat <<\"\" x",
            "cat <<-'' x",
            "cat <<\\\n'' x",
            "cat <<''\"\" x",
            "cat <<$'' x",
            "$(cat <<  x",
            "$(cat << \\\n  x",
            "x=$((1 << ''",
            "cat <<\r  <<-  ",
            "cat <<\u{c} x",
            "cat <<",
            "cat <<;",
            "cat <<\\\\",
            "cat <<\u{a0}x",
            "cat <<' '",
            "echo $(( $((1)) << ''",
        ];
        for text in texts {
            assert!(breaks_the_parser(text), "{text}");
        }
    }

    #[test]
    fn a_file_number_that_is_too_large_is_not_valid_shell() {
        let texts = [
            "echo hi 22222222222>/dev/null",
            "rm -rf /srv/data 22222222222>/dev/null",
            "chmod 600600600600600<<",
            "echo 2147483648>x",
            "echo 99999\\\n99999>x",
        ];
        for text in texts {
            assert!(parsed(text).is_none(), "{text}");
        }
    }

    #[test]
    fn usual_documents_and_numbers_are_parsed() {
        let texts = [
            "cat <<EOF\nx\nEOF\n",
            "cat <<'EOF' > f\nx\nEOF\n",
            "cat <<-\"EOF\"\n\tx\n\tEOF\n",
            "cat << EOF\nx\nEOF\n",
            "x=$(cat <<EOF\nx\nEOF\n)",
            "echo $((1<<2)) $((1 << 2))",
            "cat <<\\EOF\nx\nEOF\n",
            "echo $((x << y)) $((1 << (2)))",
            "cat <<<''",
            "cat <<< \"\"",
            "make 2>&1 | tee log",
            "echo 1234567890 > x",
        ];
        for text in texts {
            assert!(parsed(text).is_some(), "{text}");
        }
    }
}
