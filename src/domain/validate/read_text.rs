//! Careful reading of source texts for which there is no grammar here: what is a comment, which tests and assertions there
//! are, and the pieces that tests are made of.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::LazyLock,
};

use regex::Regex;

use super::{
    facts::{CodeFragment, CodeMarker, SyntaxFacts},
    is_test_path,
};

/// How a language marks comments.
#[derive(Debug, Clone, Copy)]
struct Comments {
    line: &'static [&'static str],
    block: Option<(&'static str, &'static str)>,
    /// The beginning of a line is part of what it means.
    indented: bool,
}

const C_LIKE: Comments = Comments {
    line: &["//"],
    block: Some(("/*", "*/")),
    indented: false,
};

/// Returns how a file marks comments, by its ending; `None` where nothing is known.
fn comments(path: &str) -> Option<Comments> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let lines = |line| Comments {
        line,
        block: None,
        indented: true,
    };
    Some(match ending {
        "java" | "kt" | "kts" | "scala" | "groovy" | "c" | "h" | "cc" | "cpp" | "cxx" | "hpp"
        | "hh" | "cs" | "swift" | "dart" | "m" | "mm" | "zig" | "proto" | "css" | "scss"
        | "gradle" | "sol" | "v" => C_LIKE,
        "php" => Comments {
            line: &["//", "#"],
            ..C_LIKE
        },
        "rb" | "pl" | "pm" | "t" | "r" | "ex" | "exs" | "jl" | "nim" | "cr" | "tcl" | "bats"
        | "yml" | "yaml" | "toml" | "cmake" | "ps1" | "mk" | "rake" => lines(&["#"]),
        "lua" | "sql" | "hs" | "elm" | "adb" => lines(&["--"]),
        "clj" | "cljs" | "cljc" | "el" | "lisp" | "scm" | "ini" => lines(&[";"]),
        "erl" | "tex" => lines(&["%"]),
        _ => return None,
    })
}

/// Returns whether a file is source code that is read by text.
pub(super) fn is_code(path: &str) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    let data = ["yml", "yaml", "toml", "ini", "css", "scss", "tex"];
    comments(path).is_some() && !data.contains(&ending)
}

/// Returns the lines of a text without comments, each with its number; white space outside of texts counts once.
fn stripped(text: &str, comments: Comments) -> Vec<(u32, String)> {
    let mut lines = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(text.lines()) {
        let mut out = String::new();
        let mut quote: Option<char> = None;
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            let after = rest.get(c.len_utf8()..).unwrap_or_default();
            if let Some((begin, end)) = comments.block.filter(|_| quote.is_none()) {
                let mark = if in_block { end } else { begin };
                if let Some(after) = rest.strip_prefix(mark) {
                    in_block = !in_block;
                    rest = after;
                    continue;
                }
                if in_block {
                    rest = after;
                    continue;
                }
            }
            // `$#`, `#{` and addresses are no comments, so one begins a line or follows white space.
            let apart = out.is_empty() || out.ends_with([' ', ';', '{', '}', ')', ',']);
            if quote.is_none() && apart && comments.line.iter().any(|mark| rest.starts_with(mark)) {
                break;
            }
            match quote {
                Some(open) if c == open => quote = None,
                Some(_) if c == '\\' => {
                    out.push(c);
                    let next = after.chars().next();
                    out.extend(next);
                    rest = after
                        .get(next.map_or(0, char::len_utf8)..)
                        .unwrap_or_default();
                    continue;
                }
                None if ['"', '\'', '`'].contains(&c) => quote = Some(c),
                _ => {}
            }
            if quote.is_none() && c.is_whitespace() {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            } else {
                out.push(c);
            }
            rest = after;
        }
        let kept = out.trim_end();
        if !kept.is_empty() {
            let indent = line.len() - line.trim_start().len();
            let indent = if comments.indented { indent } else { 0 };
            lines.push((number, format!("{}{kept}", " ".repeat(indent))));
        }
    }
    lines
}

/// Returns a number that is the same for two texts which differ in comments and white space only; 0 where nothing is left.
pub(super) fn code_digest(path: &str, text: &str) -> u64 {
    let lines: Vec<String> = match comments(path) {
        Some(comments) => stripped(text, comments)
            .into_iter()
            .map(|(_, line)| line)
            .collect(),
        None => text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| !line.is_empty())
            .collect(),
    };
    if lines.is_empty() {
        return 0;
    }
    let spread = comments(path).is_some_and(|comments| !comments.indented);
    let mut state = DefaultHasher::new();
    if spread {
        lines.join(" ").hash(&mut state);
    } else {
        lines.hash(&mut state);
    }
    state.finish().max(1)
}

fn shape(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

static NAMES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let shapes = [
        r#"^\s*(?:@test|it|specify|scenario|example|test|subtest|testWidgets)\s*\(?\s*["'](.+?)["']"#,
        r"^\s*(?:def|func|function|public function|sub)\s+&?(test\w*)",
        r"^\s*(test\w*)\s*\(\s*\)\s*\{",
        r"^\s*(?:TEST|TEST_F|TEST_P|TEST_CASE|SCENARIO)\s*\((.+?)\)",
        r"^\s*\(deftest\s+(\S+)",
        r"^\s*(?:public |private |internal |protected |open |override |static |final |async |suspend )*(?:void|fun|Task|def)\s+[`]?([^`(]*[tT]est[^`(]*)[`]?\s*\(",
    ];
    shapes.into_iter().filter_map(shape).collect()
});
static MARKED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    shape(
        r"^\s*(?:@(?:Test|ParameterizedTest|RepeatedTest|Property)\b|\[(?:Fact|Theory|Test|TestMethod|TestCase)\b|#\[Test\]|/?\*?\s*@test\b)",
    )
});
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| shape(r"[`]([^`]+)[`]\s*\(|(\w+)\s*\("));
static ASSERTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    shape(
        r"(?i)\bassert\w*|\bexpect\w*\b|\brefute\w*|\bshould\w*|\bmust_\w+|\bxctassert\w*|\b(?:CHECK|REQUIRE)\w*\s*\(|\bverify\s*\(|\b(?:ok|is|isnt|is_deeply|like|cmp_ok)\s*\(|^\s*\[{1,2}\s",
    )
});
static MUTES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    shape(
        r#"@Disabled\b|@Ignore\b|\[Ignore|\bSkip\s*=\s*"|\bx(?:it|describe|context|test|specify|scenario)\b|^\s*(?:pending|skip)\b|\.skip\b|(?:^|\W):skip\b|\bskip:\s*(?:true|['"])|markTest(?:Skipped|Incomplete)|XCTSkip|GTEST_SKIP|DISABLED_|enabled\s*=\s*false|(?i:assert(?:True|_true)?\s*\(?\s*true\s*[);]*\s*$|expect\(true\))|\bif\s*\(?\s*(?:false|0)\b"#,
    )
});
static IMPORTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    shape(
        r"^\s*(?:import|use|using|package|namespace|require|require_once|require_relative|include|include_once|#include|from|open|alias|load|module|library|source)\b",
    )
});

fn is(shape: &LazyLock<Option<Regex>>, line: &str) -> bool {
    shape.as_ref().is_some_and(|shape| shape.is_match(line))
}

/// Reads the tests of a text for which there is no grammar.
pub fn scan_text(path: &str, text: &str) -> SyntaxFacts {
    let mut facts = SyntaxFacts {
        code: code_digest(path, text),
        ..SyntaxFacts::default()
    };
    if !is_test_path(path) {
        return facts;
    }
    let Some(comments) = comments(path).filter(|_| is_code(path)) else {
        // Data of tests: every line counts as it is.
        let lines = (1..).zip(text.lines().map(str::trim_end));
        let lines = lines.filter(|(_, line)| !line.is_empty());
        facts.pieces = lines.map(|(line, text)| piece(line, text)).collect();
        return facts;
    };
    let mut marked = false;
    for (line, text) in stripped(text, comments) {
        marked = read_line(&mut facts, line, text.trim(), marked);
    }
    facts
}

fn piece(line: u32, text: &str) -> CodeFragment {
    CodeFragment {
        // A row that others follow has a comma.
        what: text.trim_end_matches([',', ';']).to_owned(),
        line,
        in_test: true,
        mutes: false,
    }
}

/// Reads one line of a test file; `marked` = the one before says that a test begins. Returns whether this one does.
fn read_line(facts: &mut SyntaxFacts, line: u32, text: &str, marked: bool) -> bool {
    let mark = |what: &str| CodeMarker {
        what: what.to_owned(),
        line,
    };
    let name = NAMES.iter().find_map(|shape| shape.captures(text)?.get(1));
    let name = name.map(|name| name.as_str().to_owned());
    let name = name.or_else(|| {
        let begins = marked && !text.starts_with(['@', '[']);
        let names = NAMED.as_ref()?.captures(text).filter(|_| begins)?;
        let name = names.get(1).or_else(|| names.get(2))?;
        Some(name.as_str().to_owned())
    });
    if is(&MUTES, text) {
        facts.muted.push(mark(text));
    }
    let says = text.chars().any(char::is_alphanumeric);
    let frame = is(&IMPORTS, text) || !says || ["end", "do", "done", "fi"].contains(&text);
    if let Some(name) = &name {
        facts.tests.push(mark(name));
    } else if !frame {
        facts.assertions += u32::from(is(&ASSERTS, text));
        facts.pieces.push(piece(line, text));
    }
    is(&MARKED, text) || marked && name.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_white_space_are_told_from_code() {
        let same = |path: &str, a: &str, b: &str| code_digest(path, a) == code_digest(path, b);
        assert!(same(
            "A.java",
            "int a = 1; // one\n",
            "/* x */ int a  =\n  1;\n"
        ));
        assert!(!same("A.java", "s = \"a b\";", "s = \"ab\";"));
        assert!(same(
            "a.rb",
            "puts \"#{x}\" # says\n",
            "puts \"#{x}\"\n\n# more\n"
        ));
        assert!(!same("a.rb", "puts \"# a\"\n", "puts \"# b\"\n"));
        assert!(!same("a.yml", "a:\n  b: 1\n", "a:\nb: 1\n"));
        assert!(!same("a.unknown", "# a\n", "# b\n"));
        assert!(same("a.unknown", "a  b\n", "a b\n\n"));
        assert_eq!(code_digest("A.java", "// nothing\n"), 0);
        assert!(!same(
            "x.css",
            "a{background:url(http://a)}",
            "a{background:url(http://b)}"
        ));
    }

    #[test]
    fn tests_are_read_in_many_languages() {
        let cases = [
            (
                "test/AddTest.java",
                "class AddTest {\n  @Test\n  void adds() {\n    assertEquals(3, add(1, 2));\n  }\n}\n",
                "adds",
            ),
            (
                "spec/add_spec.rb",
                "describe Add do\n  it 'adds' do\n    expect(add(1, 2)).to eq(3)\n  end\nend\n",
                "adds",
            ),
            (
                "tests/AddTest.php",
                "<?php\nclass AddTest {\n  public function testAdds() {\n    $this->assertSame(3, add(1, 2));\n  }\n}\n",
                "testAdds",
            ),
            (
                "test/add.bats",
                "@test \"adds\" {\n  run add 1 2\n  [ \"$output\" = 3 ]\n}\n",
                "adds",
            ),
            (
                "tests/AddTests.cs",
                "class AddTests {\n  [Fact]\n  public void Adds() {\n    Assert.Equal(3, Add(1, 2));\n  }\n}\n",
                "Adds",
            ),
            (
                "Tests/AddTests.swift",
                "func testAdds() {\n  XCTAssertEqual(3, add(1, 2))\n}\n",
                "testAdds",
            ),
            (
                "tests/add_test.cc",
                "TEST(Add, Adds) {\n  EXPECT_EQ(3, add(1, 2));\n}\n",
                "Add, Adds",
            ),
        ];
        for (path, text, name) in cases {
            let facts = scan_text(path, text);
            let names: Vec<&str> = facts.tests.iter().map(|test| test.what.as_str()).collect();
            assert_eq!((names, facts.assertions), (vec![name], 1), "{path}");
            assert!(
                facts.pieces.iter().any(|piece| piece.what.contains('3')),
                "{path}"
            );
        }
    }

    #[test]
    fn what_mutes_a_test_is_seen() {
        for (path, line) in [
            ("test/ATest.java", "@Disabled"),
            ("spec/a_spec.rb", "xit 'adds' do"),
            ("spec/a_spec.rb", "skip 'later'"),
            ("tests/ATest.php", "$this->markTestSkipped();"),
            ("test/a.bats", "skip"),
            ("tests/ATests.cs", "[Fact(Skip = \"later\")]"),
            ("tests/ATest.php", "$this->assertTrue(true);"),
        ] {
            assert_eq!(scan_text(path, line).muted.len(), 1, "{path}: {line}");
        }
        // A label that says where a test does not run is no mark of the test.
        let label = "start_server {tags {\"scripting external:skip\"}} {";
        assert!(scan_text("tests/unit/x.tcl", label).muted.is_empty());
        assert_eq!(scan_text("test/a_test.exs", "  @tag :skip").muted.len(), 1);
    }
}
