//! The pieces that code is made of, without comments and however it is spaced: statements, heads of statements, rows of
//! tables. And one number for all the code that is no test.

use std::hash::{DefaultHasher, Hash, Hasher};

use tree_sitter::{Node, TreeCursor};

use super::{KnownNames, line};
use crate::domain::validate::facts::{CodeFragment, Language};

/// Nodes whose named children are pieces of their own.
const BLOCKS: &[&str] = &[
    "program",
    "module",
    "source_file",
    "block",
    "statement_block",
    "statement_list",
    "declaration_list",
    "class_body",
    "compound_statement",
    "do_group",
    "subshell",
    "switch_body",
    "match_block",
];
/// Nodes that hold rows.
const TABLES: &[&str] = &[
    "list",
    "tuple",
    "set",
    "dictionary",
    "array",
    "array_expression",
    "tuple_expression",
    "literal_value",
];
/// What a row of a table is.
const ROWS: &[&str] = &[
    "list",
    "tuple",
    "dictionary",
    "set",
    "array",
    "object",
    "array_expression",
    "tuple_expression",
    "struct_expression",
    "composite_literal",
    "literal_value",
    "call",
    "call_expression",
];
/// Nodes that are read as one token, white space and all.
const WHOLE: &[&str] = &[
    "string",
    "string_literal",
    "raw_string_literal",
    "interpreted_string_literal",
    "char_literal",
    "rune_literal",
    "template_string",
    "regex",
    "raw_string",
    "heredoc_body",
    "concatenation",
];

/// Parts of the names of nodes that only hold others or bring them in.
const FRAMES: &[&str] = &[
    "function",
    "method",
    "class",
    "impl",
    "mod_item",
    "import",
    "use_declaration",
    "package",
    "extern",
];
/// Nodes that are calls.
const CALLS: &[&str] = &["expression_statement", "call_expression"];

/// One piece while it is read.
struct OpenFragment {
    depth: usize,
    line: u32,
    tokens: Vec<String>,
    /// It says what is expected, so it is not taken apart.
    asserts: bool,
    /// Others stand inside it.
    outer: bool,
    /// It is only the frame of others: a function, a class, an import.
    frame: bool,
    /// It may be a call that gives others a name.
    call: bool,
}

/// What a node means to the nodes in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FragmentContext {
    /// Each is a piece of its own.
    Block,
    /// Each may be a row.
    Table,
    Other,
}

fn around(node: Node<'_>) -> FragmentContext {
    let kind = node.kind();
    if BLOCKS.contains(&kind) || kind == "decorated_definition" {
        FragmentContext::Block
    } else if TABLES.contains(&kind) {
        FragmentContext::Table
    } else {
        FragmentContext::Other
    }
}

struct FragmentReader<'a, 't> {
    seen: &'a mut KnownNames<'t>,
    language: Language,
    open: Vec<OpenFragment>,
    /// The depth at which a test within a file begins.
    test: Option<usize>,
    state: DefaultHasher,
    any: bool,
    /// What the nodes around are; to ask a node for its parent takes as long as it lies deep.
    around: Vec<FragmentContext>,
}

/// Reads all pieces of a tree, without recursion: nesting may be as deep as it likes.
pub(super) fn read(seen: &mut KnownNames<'_>, root: Node<'_>, language: Language) {
    let mut reader = FragmentReader {
        seen,
        language,
        open: Vec::new(),
        test: None,
        state: DefaultHasher::new(),
        any: false,
        around: Vec::new(),
    };
    let mut cursor = root.walk();
    let mut depth = 0;
    loop {
        let deeper = reader.enter(&cursor, depth);
        let around = around(cursor.node());
        if deeper && cursor.goto_first_child() {
            reader.around.push(around);
            depth += 1;
            continue;
        }
        reader.leave(cursor.node(), depth);
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                let any = reader.any;
                let code = reader.state.finish().max(1);
                seen.facts.code = if any { code } else { 0 };
                return;
            }
            depth -= 1;
            reader.around.pop();
            reader.leave(cursor.node(), depth);
        }
    }
}

impl FragmentReader<'_, '_> {
    /// Takes a node; returns whether its children are to be taken too.
    fn enter(&mut self, cursor: &TreeCursor<'_>, depth: usize) -> bool {
        let node = cursor.node();
        let kind = node.kind();
        if kind.contains("comment") || self.is_docstring(node) {
            return false;
        }
        if self.test.is_none() && self.begins_test(node) {
            self.test = Some(depth);
        }
        if node.is_named() && self.begins(node) {
            self.begin(node, depth);
        }
        if BLOCKS.contains(&kind) {
            self.hash("{");
        }
        if node.child_count() > 0 && !WHOLE.contains(&kind) {
            return true;
        }
        let text = self.seen.of(node);
        if !text.is_empty() && text != "\n" {
            self.token(text);
        }
        false
    }

    fn begin(&mut self, node: Node<'_>, depth: usize) {
        if let Some(outer) = self.open.last_mut() {
            outer.outer = true;
        }
        let asserts = asserts(self.seen.of(node));
        let kind = node.kind();
        self.open.push(OpenFragment {
            depth,
            line: line(node),
            tokens: Vec::new(),
            asserts,
            outer: false,
            frame: FRAMES.iter().any(|name| kind.contains(name)),
            call: CALLS.contains(&kind),
        });
    }

    fn begins(&self, node: Node<'_>) -> bool {
        let inside = self.open.iter().any(|open| open.asserts);
        match self.around.last() {
            Some(FragmentContext::Block) => return true,
            Some(FragmentContext::Table) if !inside => {}
            _ => return false,
        }
        let wrapped = ["literal_element", "keyed_element"].contains(&node.kind());
        let row = if wrapped {
            node.named_child(0)
        } else {
            Some(node)
        };
        row.is_some_and(|row| ROWS.contains(&row.kind()))
    }

    fn token(&mut self, text: &str) {
        self.hash(text);
        // Rows may be joined by others, and the last one may end with a comma.
        if [",", ";"].contains(&text) {
            return;
        }
        if let Some(open) = self.open.last_mut() {
            open.tokens.push(text.to_owned());
        }
    }

    fn hash(&mut self, text: &str) {
        if self.test.is_none() {
            text.hash(&mut self.state);
            self.any |= text != "{" && text != "}";
        }
    }

    fn leave(&mut self, node: Node<'_>, depth: usize) {
        if BLOCKS.contains(&node.kind()) {
            self.hash("}");
        }
        if self.open.last().is_some_and(|open| open.depth == depth)
            && let Some(open) = self.open.pop()
        {
            self.close(&open);
        }
        if self.test == Some(depth) {
            self.test = None;
        }
    }

    fn close(&mut self, open: &OpenFragment) {
        // `describe("...", () => { ... })` is a name with others inside; an `if` with others inside is a condition.
        let names = open.outer && open.call && !open.asserts;
        if open.frame || names || open.tokens.is_empty() {
            return;
        }
        // A function that ends right at its top does not do the rest; one that ends on a condition may.
        let top = self.open.last().is_none_or(|around| {
            let first = around.tokens.first().map_or("", String::as_str);
            around.frame || around.call && !CONDITIONS.contains(&first)
        });
        let what = open.tokens.join(" ");
        let ends = top && ENDS.contains(&what.as_str());
        self.seen.facts.pieces.push(CodeFragment {
            mutes: ends || mutes(&what),
            what,
            line: open.line,
            in_test: self.test.is_some(),
        });
    }

    /// A text on its own at the beginning says what something is for.
    fn is_docstring(&self, node: Node<'_>) -> bool {
        self.language == Language::Python
            && node.kind() == "expression_statement"
            && node.named_child_count() == 1
            && node
                .named_child(0)
                .is_some_and(|child| child.kind() == "string")
    }

    /// In Rust tests stand in the file that they test.
    fn begins_test(&self, node: Node<'_>) -> bool {
        if self.language != Language::Rust || !["mod_item", "function_item"].contains(&node.kind())
        {
            return false;
        }
        let mut before = node.prev_sibling();
        while let Some(sibling) = before {
            match sibling.kind() {
                "attribute_item" => {
                    let text = self.seen.of(sibling);
                    if text.contains("test") && !text.contains("not(test") {
                        return true;
                    }
                }
                "line_comment" | "block_comment" => {}
                _ => return false,
            }
            before = sibling.prev_sibling();
        }
        false
    }
}

/// Words that open a block which may be passed by.
const CONDITIONS: &[&str] = &[
    "if", "else", "elif", "for", "while", "match", "switch", "case", "select", "until", "loop",
    "try", "with",
];

/// Statements that end a function or a program.
const ENDS: &[&str] = &[
    "return",
    "return 0",
    "exit",
    "exit 0",
    "sys . exit ( )",
    "sys . exit ( 0 )",
    "os . _exit ( 0 )",
    "process . exit ( )",
    "process . exit ( 0 )",
    "os . Exit ( 0 )",
    "std :: process :: exit ( 0 )",
];

/// Returns whether a piece is a condition that never holds, or takes failures away.
fn mutes(what: &str) -> bool {
    let never = [
        "if False",
        "if 0 ",
        "if ( false )",
        "if ( 0 )",
        "if false",
        "while False",
        "while false",
    ];
    never.iter().any(|start| what.starts_with(start))
        || without_quoted(what).contains("except AssertionError")
        || what.starts_with("pytestmark") && (what.contains("skip") || what.contains("xfail"))
        || what.starts_with("# [ cfg") && what.contains("any ( )")
        || what.starts_with("raise") && what.contains("SkipTest")
}

/// Returns the code without the texts that it quotes: what stands in one is not run.
fn without_quoted(what: &str) -> String {
    let mut kept = String::with_capacity(what.len());
    let mut open: Option<char> = None;
    let mut escaped = false;
    for c in what.chars() {
        match open {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(mark) if c == mark => open = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => open = Some(c),
            None => kept.push(c),
        }
    }
    kept
}

/// Returns whether a statement says what is expected, by what it begins with.
fn asserts(text: &str) -> bool {
    let text = text
        .trim_start_matches("await ")
        .trim_start_matches("return ");
    let end = text.find(['(', ' ', '\n']).unwrap_or(text.len());
    let head = text.get(..end).unwrap_or_default().to_ascii_lowercase();
    ["assert", "expect", "require.", "should"]
        .iter()
        .any(|word| head.contains(word))
}
