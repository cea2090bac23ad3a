//! Grammars: from a source text to the facts that validators judge.
//!
//! Two passes over each tree: the first learns which local names stand for what (imports, aliases,
//! assignments, destructuring), the second follows every use back to where it comes from. Scopes are
//! ignored on purpose: a name that stands for something dangerous anywhere counts everywhere.

mod bash;
mod ecma;
mod go;
mod manifest;
mod pieces;
mod python;
mod rust;

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use tree_sitter::{Node, Parser};

use crate::domain::validate::facts::{CodeMarker, Language, ModuleImport, NameUse, SyntaxFacts};

pub use manifest::parts as manifest_parts;

/// Texts above this size are not parsed; what cannot be parsed counts as found.
pub const MAX_SOURCE_BYTES: usize = 1 << 20;

/// Parses a text; `None` where it is too large or the grammar gives up.
pub fn parse_syntax(language: Language, text: &str) -> Option<SyntaxFacts> {
    if text.len() > MAX_SOURCE_BYTES {
        return None;
    }
    let grammar = match language {
        Language::Python => tree_sitter_python::LANGUAGE.into(),
        Language::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
        Language::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        Language::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
        Language::Rust => tree_sitter_rust::LANGUAGE.into(),
        Language::Go => tree_sitter_go::LANGUAGE.into(),
        Language::Shell => tree_sitter_bash::LANGUAGE.into(),
    };
    let named = with_name(language, text);
    let text = named.as_ref();
    let mut parser = Parser::new();
    parser.set_language(&grammar).ok()?;
    let tree = parser.parse(text, None)?;
    let mut seen = KnownNames::new(text);
    let nodes = preorder(tree.root_node());
    let (learn, look): (SyntaxPass, SyntaxPass) = match language {
        Language::Python => (python::learn, python::look),
        Language::JavaScript | Language::TypeScript | Language::Tsx => (ecma::learn, ecma::look),
        Language::Rust => (rust::learn, rust::look),
        Language::Go => (go::learn, go::look),
        Language::Shell => (bash::learn, bash::look),
    };
    for node in &nodes {
        learn(&mut seen, *node);
    }
    for node in &nodes {
        if node.is_error() || node.is_missing() {
            seen.facts.errors.push(line(*node));
        }
        look(&mut seen, *node);
    }
    pieces::read(&mut seen, tree.root_node(), language);
    Some(seen.facts)
}

/// Gives a name to a function without one whose body is missing, as in files of declarations: the grammar knows those with
/// a name alone.
fn with_name(language: Language, text: &str) -> Cow<'_, str> {
    const START: &str = "export default function";
    let typed = matches!(language, Language::TypeScript | Language::Tsx);
    if !typed || !text.contains(START) {
        return Cow::Borrowed(text);
    }
    let named = ["(", " (", "<", " <"]
        .iter()
        .fold(text.to_owned(), |text, open| {
            let bracket = open.trim_start();
            text.replace(&format!("{START}{open}"), &format!("{START} it{bracket}"))
        });
    Cow::Owned(named)
}

type SyntaxPass = fn(&mut KnownNames<'_>, Node<'_>);

/// Collects every node, parents first, without recursion: nesting may be as deep as it likes.
fn preorder(root: Node<'_>) -> Vec<Node<'_>> {
    let mut nodes = Vec::new();
    let mut cursor = root.walk();
    loop {
        nodes.push(cursor.node());
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return nodes;
            }
        }
    }
}

/// What was seen so far.
struct KnownNames<'t> {
    text: &'t str,
    facts: SyntaxFacts,
    /// What a local name may stand for.
    aliases: BTreeMap<String, Vec<NameAlias>>,
}

/// What a name stands for, and where it does: what one function calls `server` is none of another's.
#[derive(PartialEq, Eq)]
struct NameAlias {
    target: String,
    scope: Range<usize>,
}

/// Everywhere in the file.
const WHOLE_FILE: Range<usize> = 0..usize::MAX;

/// A name with its members: `a.b["c"]`.
struct MemberChain {
    /// The first name, as written.
    head: String,
    /// Members; `None` = computed.
    members: Vec<Option<String>>,
}

impl MemberChain {
    /// Joins the names with dots; `None` where a member is computed.
    fn dotted(self) -> Option<String> {
        let members: Option<Vec<String>> = self.members.into_iter().collect();
        let names: Vec<String> = std::iter::once(self.head).chain(members?).collect();
        Some(names.join("."))
    }
}

impl<'t> KnownNames<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            facts: SyntaxFacts::default(),
            aliases: BTreeMap::new(),
        }
    }

    fn of(&self, node: Node<'_>) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn field(&self, node: Node<'_>, name: &str) -> Option<&'t str> {
        node.child_by_field_name(name).map(|child| self.of(child))
    }

    fn alias(&mut self, local: &str, target: String) {
        self.alias_in(local, target, WHOLE_FILE);
    }

    fn alias_in(&mut self, local: &str, target: String, scope: Range<usize>) {
        if local == target {
            return;
        }
        let known = self.aliases.entry(local.to_owned()).or_default();
        let wider = |old: &NameAlias| {
            old.target == target && old.scope.start <= scope.start && old.scope.end >= scope.end
        };
        if !known.iter().any(wider) && known.len() < 64 {
            known.push(NameAlias { target, scope });
        }
    }

    /// Returns the part of the file in which a name that is given a value here means it.
    fn scope_of(node: Node<'_>, functions: &[&str]) -> Range<usize> {
        let mut around = node.parent();
        while let Some(outer) = around {
            if functions.contains(&outer.kind()) {
                return outer.byte_range();
            }
            around = outer.parent();
        }
        WHOLE_FILE
    }

    /// Returns everything a name may stand for at a place, itself last unless it is known.
    fn resolve(&self, head: &str, at: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![head.to_owned()];
        while let Some(name) = open.pop() {
            let first = name.split('.').next().unwrap_or_default().to_owned();
            let rest = name.strip_prefix(&first).unwrap_or_default().to_owned();
            let here: Vec<&str> = self.aliases.get(&first).map_or_else(Vec::new, |known| {
                let here = known.iter().filter(|alias| alias.scope.contains(&at));
                here.map(|alias| alias.target.as_str()).collect()
            });
            match Some(here).filter(|here| !here.is_empty() && found.len() < 16) {
                Some(targets) if !found.contains(&name) => {
                    found.push(name);
                    open.extend(targets.iter().map(|target| format!("{target}{rest}")));
                }
                Some(_) => {}
                None => found.push(name),
            }
        }
        if found.len() > 1 {
            found.retain(|name| name != head);
        }
        found
    }

    /// Records a call that imports what its argument names.
    fn import_call(&mut self, node: Node<'_>, module: Option<&str>) {
        match module {
            Some(module) => self.import(node, module, false, false),
            None => self.mark(node, "imports a module whose name is computed"),
        }
    }

    fn import(
        &mut self,
        node: Node<'_>,
        module: impl Into<String>,
        wildcard: bool,
        types_only: bool,
    ) {
        self.facts.imports.push(ModuleImport {
            module: module.into(),
            line: line(node),
            wildcard,
            types_only,
        });
    }

    fn mark(&mut self, node: Node<'_>, what: impl Into<String>) {
        self.facts.marks.push(CodeMarker {
            what: what.into(),
            line: line(node),
        });
    }

    fn file(&mut self, node: Node<'_>, path: &str) {
        self.facts.files.push(CodeMarker {
            what: path.to_owned(),
            line: line(node),
        });
    }

    fn string(&mut self, node: Node<'_>) {
        let what = self.of(node).to_owned();
        self.facts.strings.push(CodeMarker {
            what,
            line: line(node),
        });
    }

    fn test(&mut self, node: Node<'_>, name: &str) {
        self.facts.tests.push(CodeMarker {
            what: name.to_owned(),
            line: line(node),
        });
    }

    fn muted(&mut self, node: Node<'_>, what: &str) {
        self.facts.muted.push(CodeMarker {
            what: what.to_owned(),
            line: line(node),
        });
    }

    /// Records the use of a chain under every name it may stand for.
    fn used(&mut self, node: Node<'_>, chain: &MemberChain, argument: Option<&str>, whole: bool) {
        for head in self.resolve(&chain.head, node.start_byte()) {
            let mut name = head;
            for member in &chain.members {
                let Some(member) = member else {
                    self.facts.computed.push(CodeMarker {
                        what: name.clone(),
                        line: line(node),
                    });
                    break;
                };
                name = format!("{name}.{member}");
            }
            self.facts.uses.push(NameUse {
                name,
                line: line(node),
                argument: argument.map(str::to_owned),
                whole,
            });
        }
    }
}

/// Returns the line of a node, from 1.
fn line(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX)
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).collect()
}

/// Returns the content of a plain literal; `None` where it has parts that are computed.
fn unquote(text: &str) -> Option<String> {
    let text = text.trim_start_matches(['r', 'u', 'b', 'R', 'U', 'B', 'f', 'F']);
    for quote in ["\"\"\"", "'''", "\"", "'", "`"] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote))
        {
            return (!inner.contains("${")).then(|| unescape(inner));
        }
    }
    None
}

/// Undoes the escapes with which a name could be hidden: `\x63`, `\u0063`, `\u{63}`.
fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let (c, used) = escape(after);
        out.extend(c);
        rest = after.get(used..).unwrap_or_default();
    }
    out + rest
}

fn escape(after: &str) -> (Option<char>, usize) {
    let code = |from: usize, to: usize| {
        let digits = after.get(from..to)?;
        char::from_u32(u32::from_str_radix(digits, 16).ok()?)
    };
    let first = after.chars().next();
    match first {
        Some('x') if code(1, 3).is_some() => (code(1, 3), 3),
        Some('u') if after.starts_with("u{") => {
            let end = after.find('}').unwrap_or(2);
            (code(2, end), end + 1)
        }
        Some('u') if code(1, 5).is_some() => (code(1, 5), 5),
        Some('n') => (Some('\n'), 1),
        Some(c) => (Some(c), c.len_utf8()),
        None => (None, 0),
    }
}

#[cfg(test)]
mod tests;
