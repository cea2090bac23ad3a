//! Rust.

use tree_sitter::Node;

use super::{KnownNames, MemberChain, children, unquote};

/// Learns what names stand for.
pub(super) fn learn(seen: &mut KnownNames<'_>, node: Node<'_>) {
    match node.kind() {
        "use_declaration" => {
            if let Some(tree) = node.child_by_field_name("argument") {
                use_tree(seen, node, tree);
            }
        }
        "extern_crate_declaration" => {
            let name = seen.field(node, "name").unwrap_or_default().to_owned();
            if let Some(local) = seen.field(node, "alias").map(str::to_owned) {
                seen.alias(&local, name.clone());
            }
            seen.import(node, name, false, false);
        }
        "let_declaration" | "const_item" | "static_item" => {
            let local = node
                .child_by_field_name("pattern")
                .or_else(|| node.child_by_field_name("name"));
            let value = node.child_by_field_name("value");
            if let (Some(local), Some(value)) = (local, value)
                && local.kind() == "identifier"
                && ["scoped_identifier", "identifier"].contains(&value.kind())
            {
                let (local, target) = (seen.of(local).to_owned(), dotted(seen.of(value)));
                seen.alias(&local, target);
            }
        }
        _ => {}
    }
}

fn dotted(path: &str) -> String {
    let path: String = path.split_whitespace().collect();
    let path = path.replace("r#", "");
    path.trim_start_matches("::").replace("::", ".")
}

/// Flattens `a::{b, c as d, e::*}`.
fn use_tree(seen: &mut KnownNames<'_>, node: Node<'_>, tree: Node<'_>) {
    let mut open = vec![(String::new(), tree)];
    while let Some((prefix, tree)) = open.pop() {
        let join = |path: &str| {
            if prefix.is_empty() {
                dotted(path)
            } else {
                format!("{prefix}.{}", dotted(path))
            }
        };
        match tree.kind() {
            "use_list" => open.extend(
                children(tree)
                    .into_iter()
                    .map(|child| (prefix.clone(), child)),
            ),
            "scoped_use_list" => {
                let path = join(seen.field(tree, "path").unwrap_or_default());
                open.extend(tree.child_by_field_name("list").map(|list| (path, list)));
            }
            "use_as_clause" => {
                let path = join(seen.field(tree, "path").unwrap_or_default());
                let local = seen.field(tree, "alias").unwrap_or_default().to_owned();
                seen.alias(&local, path.clone());
                seen.import(node, path.replace('.', "::"), false, false);
            }
            "use_wildcard" => {
                let path = children(tree)
                    .first()
                    .map(|child| join(seen.of(*child)))
                    .unwrap_or_default();
                seen.import(node, path.replace('.', "::"), true, false);
            }
            _ => {
                let path = join(seen.of(tree));
                let path = path.strip_suffix(".self").unwrap_or(&path).to_owned();
                let local = path.rsplit('.').next().unwrap_or_default().to_owned();
                seen.alias(&local, path.clone());
                seen.import(node, path.replace('.', "::"), false, false);
            }
        }
    }
}

/// Records what is used.
pub(super) fn look(seen: &mut KnownNames<'_>, node: Node<'_>) {
    match node.kind() {
        "string_literal" | "raw_string_literal" => seen.string(node),
        "scoped_identifier" | "scoped_type_identifier" | "identifier" | "type_identifier" => {
            path(seen, node);
        }
        "unsafe_block" => seen.mark(node, "an unsafe block"),
        "foreign_mod_item" => seen.mark(node, "functions of another language"),
        "function_modifiers" if seen.of(node).contains("unsafe") => {
            seen.mark(node, "an unsafe function");
        }
        "impl_item" if seen.of(node).starts_with("unsafe") => {
            seen.mark(node, "an unsafe implementation");
        }
        "macro_invocation" => macros(seen, node),
        "attribute_item" | "inner_attribute_item" => attribute(seen, node),
        _ => {}
    }
}

fn path(seen: &mut KnownNames<'_>, node: Node<'_>) {
    let parent = node.parent();
    let inner = parent.is_some_and(|parent| {
        [
            "scoped_identifier",
            "scoped_type_identifier",
            "use_declaration",
            "scoped_use_list",
            "use_list",
            "use_as_clause",
            "use_wildcard",
            "macro_invocation",
        ]
        .contains(&parent.kind())
    });
    if inner {
        return;
    }
    let name = dotted(seen.of(node));
    let mut parts = name.split('.').map(str::to_owned);
    let head = parts.next().unwrap_or_default();
    // A bare name matters only where it stands for something imported.
    if node.kind().ends_with("identifier")
        && !node.kind().starts_with("scoped")
        && !seen.aliases.contains_key(&head)
    {
        return;
    }
    let argument = parent
        .filter(|parent| parent.kind() == "call_expression")
        .and_then(|call| call.child_by_field_name("arguments"))
        .and_then(|arguments| children(arguments).into_iter().next())
        .and_then(|first| unquote(seen.of(first)));
    let chain = MemberChain {
        head,
        members: parts.map(Some).collect(),
    };
    seen.used(node, &chain, argument.as_deref(), true);
}

fn macros(seen: &mut KnownNames<'_>, node: Node<'_>) {
    let name = dotted(seen.field(node, "macro").unwrap_or_default());
    let last = name.rsplit('.').next().unwrap_or_default().to_owned();
    let text = seen.of(node);
    match last.as_str() {
        "include" => seen.mark(node, "compiles a file that is no module"),
        "include_str" | "include_bytes" if text.contains("..") || text.contains("\"/") => {
            match literal(text) {
                Some(path) => seen.file(node, path),
                None => seen.mark(node, "builds in a file from outside the folder"),
            }
        }
        "asm" | "global_asm" => seen.mark(node, "machine code"),
        "assert" | "assert_eq" | "assert_ne" | "prop_assert" | "prop_assert_eq"
        | "assert_snapshot" | "assert_matches" => {
            seen.facts.assertions += 1;
            let inside = text
                .split_once('!')
                .map(|(_, inside)| inside.trim_matches(['(', ')', ' ']))
                .unwrap_or_default();
            if inside == "true" {
                seen.muted(node, "assert!(true)");
            }
        }
        _ => {}
    }
    // Tokens inside a macro are not parsed as expressions; dangerous paths still show in them.
    for word in [
        "Command::new",
        "remove_dir_all",
        "remove_file",
        "unsafe {",
        "unsafe{",
    ] {
        if text.contains(word) && last != "include_str" && !text.contains(&format!("\"{word}")) {
            seen.mark(node, format!("`{word}` inside a macro"));
        }
    }
}

fn is_rust(path: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, ending)| ending == "rs")
}

/// Returns the one plain text in some code.
fn literal(code: &str) -> Option<&str> {
    let mut parts = code.split('"');
    let (_, text, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = parts.next().is_none()
        && !text.contains('\\')
        && !rest.contains('!')
        && !code.contains("concat");
    plain.then_some(text)
}

fn attribute(seen: &mut KnownNames<'_>, node: Node<'_>) {
    let text: String = seen.of(node).split_whitespace().collect();
    let inside = text
        .trim_start_matches(['#', '!'])
        .trim_matches(['[', ']'])
        .to_owned();
    if inside.starts_with("path=") || inside.contains(",path=") {
        match literal(seen.of(node)) {
            Some(path) if inside.starts_with("path=") && is_rust(path) => seen.file(node, path),
            _ => seen.mark(node, "takes a module from another file (`#[path]`)"),
        }
    }
    for word in [
        "no_mangle",
        "export_name",
        "link_section",
        "link(",
        "proc_macro",
        "ctor",
    ] {
        if inside.contains(word) {
            seen.mark(node, format!("the attribute `{word}`").replace('(', ""));
        }
    }
    if inside == "ignore" || inside.starts_with("ignore=") {
        seen.muted(node, "#[ignore]");
    }
    if inside == "test"
        || inside.ends_with("::test")
        || inside == "rstest"
        || inside.starts_with("test_case")
        || inside.contains("::test(")
    {
        let function = std::iter::successors(node.next_named_sibling(), Node::next_named_sibling)
            .find(|next| next.kind() == "function_item");
        let name = function
            .and_then(|function| seen.field(function, "name"))
            .unwrap_or_default();
        seen.test(node, name);
    }
}
