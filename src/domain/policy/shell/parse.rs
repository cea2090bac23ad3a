//! Gives text to the parser crate, and never a text that the crate does not come back from.
//!
//! Two faults of the crate were found by fuzzing: a here-document whose end is an empty word makes its tokenizer collect
//! empty tokens without end once the text is over, and a file number that no integer holds makes it panic. Texts with
//! either are refused before they are parsed; any panic that is left is caught, and the text counts as unreadable.
//!
//! That names what is known. The bound on what is not: a text outside of a small grammar ([`is_small`]) is first parsed where
//! a limit of time and memory ends the attempt ([`FilesystemView::try_parse`]); only what came back there is parsed here,
//! where the same text takes the same way.
//!
//! [`FilesystemView::try_parse`]: crate::domain::policy::FilesystemView::try_parse

use std::panic::{AssertUnwindSafe, catch_unwind};

use brush_parser::{Parser, ParserOptions, ast};

use crate::domain::policy::{
    context::ParseOutcome, interpretation::Interpretation, shell::documents,
};

/// Digits in front of `<` or `>` up to which every number fits into what the parser keeps it in.
const MOST_DIGITS: usize = 9;
/// Bytes of a text that is parsed without an attempt elsewhere.
const SMALL_BYTES: usize = 8 * 1024;
/// Brackets inside brackets of such a text.
const SMALL_DEPTH: u32 = 4;
/// Words of such a text that open or continue a compound command.
const SMALL_COMPOUNDS: usize = 12;
/// Attempts elsewhere that one command may cost.
const MOST_ATTEMPTS: usize = 24;

/// What became of a text.
pub(super) enum ParsedText {
    /// It is a program.
    Program(ast::Program),
    /// It is not valid shell, or nothing that the parser may be given.
    Invalid,
    /// Parsing did not end within the limits, or could not be tried; with the reason.
    NotInTime(&'static str),
}

/// Parses a text. Outside of the small grammar it is tried first where nothing can go wrong.
pub(super) fn parsed(code: &str, reading: &mut Interpretation<'_>) -> ParsedText {
    let Some(code) = documents::settled(code) else {
        return ParsedText::Invalid;
    };
    let code = code.as_ref();
    if breaks_the_parser(code) {
        return ParsedText::Invalid;
    }
    if !is_small(code) {
        match attempt(code, reading) {
            Attempt::Ended => {}
            Attempt::Failed(why) => return ParsedText::NotInTime(why),
            // Nobody can end the attempt, so there is none where the end of a document has to be worked out.
            Attempt::None if has_vague_document_end(code) => return ParsedText::Invalid,
            Attempt::None => {}
        }
    }
    parse(code).map_or(ParsedText::Invalid, ParsedText::Program)
}

/// What an attempt at parsing elsewhere says.
enum Attempt {
    /// Nothing can try it.
    None,
    /// The parser comes back from this text.
    Ended,
    /// It must not be parsed here; with the reason.
    Failed(&'static str),
}

/// Lets the text be parsed elsewhere.
fn attempt(code: &str, reading: &mut Interpretation<'_>) -> Attempt {
    let Some(eyes) = reading.world.eyes.as_ref() else {
        return Attempt::None;
    };
    if reading.attempts.iter().any(|text| text == code) {
        return Attempt::Ended;
    }
    if reading.attempts.len() >= MOST_ATTEMPTS {
        return Attempt::Failed("it has too many parts");
    }
    match eyes.try_parse(code) {
        ParseOutcome::NotTried => return Attempt::None,
        ParseOutcome::Ended => {}
        ParseOutcome::OverTime => return Attempt::Failed("it could not be read in time"),
        ParseOutcome::Died => return Attempt::Failed("it could not be read in time and memory"),
        ParseOutcome::NotStarted => {
            return Attempt::Failed(
                "it has to be read in a process of its own, which could not be started",
            );
        }
    }
    reading.attempts.push(code.to_owned());
    Attempt::Ended
}

/// Parses a text here and now, without any bound, and forgets what it found: for the process that may be ended over it.
pub fn parse_unbounded(code: &str) {
    drop(parse(code));
}

/// Parses a text here and now, without any bound. A panic of the parser is caught.
fn parse(code: &str) -> Option<ast::Program> {
    let options = ParserOptions::default();
    let parse = || Parser::new(code.as_bytes(), &options).parse_program().ok();
    catch_unwind(AssertUnwindSafe(parse)).ok().flatten()
}

/// Returns whether the parser is known to come back from a text soon.
///
/// Without a here-document the tokenizer consumes a character or ends a word in every round, so it ends with the text. The
/// grammar tries alternatives only where a bracket or the word of a compound command stands; where few are inside each
/// other, the work grows with the length of the text.
fn is_small(code: &str) -> bool {
    if code.len() > SMALL_BYTES || has_document(code) {
        return false;
    }
    let (mut depth, mut most, mut in_a_row) = (0_u32, 0_u32, 0_u32);
    for c in code.chars() {
        in_a_row = match c {
            '(' => in_a_row + 1,
            ' ' | '\t' | '\n' => in_a_row,
            _ => 0,
        };
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
        if in_a_row > 2 || most > SMALL_DEPTH {
            return false;
        }
    }
    let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let opens = |word: &&str| {
        matches!(
            *word,
            "if" | "elif" | "while" | "until" | "for" | "select" | "case" | "coproc" | "function"
        )
    };
    words.filter(opens).count() <= SMALL_COMPOUNDS
}

/// Returns whether a text may hold a here-document: two signs, joined perhaps, and not the three of a here-string.
fn has_document(code: &str) -> bool {
    let joined = code.replace("\\\n", "");
    [code, &joined].iter().any(|text| {
        let mut signs = 0_usize;
        text.chars().chain(['\0']).any(|c| {
            if c == '<' {
                signs += 1;
                return false;
            }
            !matches!(std::mem::take(&mut signs), 0 | 1 | 3)
        })
    })
}

/// Returns whether the text holds anything that the parser is known to fail on, wherever it stands: looking at quotes
/// here as well would have to agree with the parser in every detail.
fn breaks_the_parser(code: &str) -> bool {
    has_large_number(code) || has_empty_document_end(code)
}

/// Returns whether a number that is too large stands directly in front of a redirection.
fn has_large_number(code: &str) -> bool {
    let digits = |head: &str| {
        let head = head.chars().rev().filter(|c| !is_joined(*c));
        head.take_while(char::is_ascii_digit).count()
    };
    // Behind the last redirection none follows.
    let heads = code.rsplit(['<', '>']).skip(1);
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

/// Returns whether the word that ends a here-document holds something to expand.
fn has_vague_document_end(code: &str) -> bool {
    code.split("<<").skip(1).any(|behind| {
        let word = behind.trim_start_matches(['-', ' ', '\t', '<']);
        let word = word.split([' ', '\t', '\n', ';', '|', '&', '<', '>', ')']);
        word.take(1).any(|word| word.contains(['$', '`']))
    })
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
    fn where_nothing_can_try_a_text_the_end_of_a_document_is_plain() {
        let texts = ["<<EOF$(\r ", "<< *$[ |&* ", "x<<case$(( ))  ", "<<-${\r<< "];
        for text in texts {
            assert!(has_vague_document_end(text), "{text}");
        }
        assert!(!has_vague_document_end("cat <<EOF\n$(x)\nEOF\n"));
        assert!(!has_vague_document_end("cat <<'EOF' > $x\n$(x)\nEOF\n"));
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
            assert!(breaks_the_parser(text) || parse(text).is_none(), "{text}");
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
            "echo key_0123456789",
            "echo > x key_0123456789",
        ];
        for text in texts {
            assert!(!breaks_the_parser(text) && parse(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_has_a_document_or_nests_deeply_is_tried_elsewhere_first() {
        let large = [
            "cat <<EOF\nx\nEOF\n",
            "\"${ <<'' \"",
            "cat <\\\n<'' x",
            "echo $((1 << 2))",
            "cat <<<<x",
            "((((1))))",
            "$( ( ( x ) ) )",
            "${a:-${b:-${c:-${d:-${e}}}}}",
        ];
        for text in large {
            assert!(!is_small(text), "{text}");
        }
        let small = [
            "cat <<< x",
            "for f in *.rs; do echo \"$(basename \"${f%.rs}\")\"; done",
            "if [[ -n ${x} ]]; then (cd a && make); fi",
            "a=(1 2 3); echo ${a[0]} $((1 + 2))",
            "sort < a > b 2>&1",
        ];
        for text in small {
            assert!(is_small(text), "{text}");
        }
    }

    #[derive(Debug)]
    struct Fixed(ParseOutcome, std::sync::atomic::AtomicUsize);

    impl crate::domain::policy::FilesystemView for Fixed {
        fn real_path(&self, _: &std::path::Path) -> Option<std::path::PathBuf> {
            None
        }
        fn known_program(&self, _: &std::path::Path) -> Option<String> {
            None
        }
        fn try_parse(&self, _: &str) -> ParseOutcome {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.0
        }
    }

    /// Reads a text; returns why it was given up, and how many attempts it cost.
    fn read(answer: ParseOutcome, text: &str) -> (Option<&'static str>, usize) {
        let eyes = std::sync::Arc::new(Fixed(answer, 0.into()));
        let world = crate::domain::policy::PolicyContext {
            eyes: Some(eyes.clone()),
            ..crate::domain::policy::PolicyContext::unattended("/srv/job/root")
        };
        let mut reading = Interpretation::new(&world);
        let command = crate::domain::command::Command {
            kind: crate::domain::command::CommandKind::Bash,
            code: text.to_owned(),
            argv: Vec::new(),
        };
        crate::domain::policy::judge::read(&command, &mut reading);
        (
            reading.given_up,
            eyes.1.load(std::sync::atomic::Ordering::Relaxed),
        )
    }

    #[test]
    fn a_text_that_was_not_read_in_time_ends_the_reading() {
        let document = "cat <<EOF\nx\nEOF\n";
        assert_eq!(read(ParseOutcome::Ended, document), (None, 1));
        let twice = format!("eval \"$x\"; bash -c '{document}'; bash -c '{document}'");
        assert_eq!(read(ParseOutcome::Ended, &twice).1, 2);
        for answer in [
            ParseOutcome::OverTime,
            ParseOutcome::Died,
            ParseOutcome::NotStarted,
        ] {
            let (why, attempts) = read(answer, document);
            assert!(why.is_some(), "{answer:?}");
            assert_eq!(attempts, 1);
        }
        assert_eq!(read(ParseOutcome::OverTime, "ls -l | wc"), (None, 0));
    }
}
