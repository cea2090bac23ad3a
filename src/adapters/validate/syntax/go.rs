//! Go.

use tree_sitter::Node;

use super::{KnownNames, MemberChain, children, unquote};

/// Learns what names stand for.
pub(super) fn learn(seen: &mut KnownNames<'_>, node: Node<'_>) {
    match node.kind() {
        "import_spec" => {
            let Some(module) = seen.field(node, "path").and_then(unquote) else {
                return;
            };
            let name = seen.field(node, "name").map(str::to_owned);
            let last = module.rsplit('/').next().unwrap_or_default();
            let local = name.clone().unwrap_or_else(|| last.to_owned());
            seen.import(node, module.clone(), local == ".", false);
            if module == "C" {
                seen.mark(node, "calls functions of C");
            }
            if local != "_" && local != "." {
                seen.alias(&local, module);
            }
        }
        "short_var_declaration" | "assignment_statement" | "var_spec" => {
            let sides = (
                node.child_by_field_name("left")
                    .or_else(|| node.child_by_field_name("name")),
                node.child_by_field_name("right")
                    .or_else(|| node.child_by_field_name("value")),
            );
            let (Some(left), Some(right)) = sides else {
                return;
            };
            let first = |node: Node<'_>| {
                if node.kind() == "expression_list" {
                    children(node)
                        .first()
                        .copied()
                        .map(|one| (one.kind().to_owned(), seen.of(one).to_owned()))
                } else {
                    Some((node.kind().to_owned(), seen.of(node).to_owned()))
                }
            };
            if let (Some((_, local)), Some((kind, target))) = (first(left), first(right))
                && ["selector_expression", "identifier"].contains(&kind.as_str())
            {
                seen.alias(&local, target);
            }
        }
        _ => {}
    }
}

/// Records what is used.
pub(super) fn look(seen: &mut KnownNames<'_>, node: Node<'_>) {
    match node.kind() {
        "interpreted_string_literal" | "raw_string_literal" => seen.string(node),
        "selector_expression" | "qualified_type" => selector(seen, node),
        "identifier" => {
            let name = seen.of(node).to_owned();
            let inner = node.parent().is_some_and(|parent| {
                [
                    "selector_expression",
                    "short_var_declaration",
                    "expression_list",
                    "var_spec",
                ]
                .contains(&parent.kind())
            });
            if !inner && seen.aliases.contains_key(&name) {
                seen.used(
                    node,
                    &MemberChain {
                        head: name,
                        members: vec![],
                    },
                    None,
                    true,
                );
            }
        }
        "comment" => {
            let text = seen.of(node);
            for word in [
                "//go:linkname",
                "//go:generate",
                "//go:cgo_",
                "//export ",
                "//go:build ignore",
            ] {
                if text.starts_with(word) {
                    seen.mark(
                        node,
                        format!("the directive `{}`", word.trim_start_matches('/').trim()),
                    );
                }
            }
        }
        "function_declaration" => {
            let name = seen.field(node, "name").unwrap_or_default();
            if ["Test", "Benchmark", "Fuzz", "Example"]
                .iter()
                .any(|start| name.starts_with(start))
            {
                seen.test(node, name);
            }
            if name == "init" {
                seen.mark(node, "a function that runs by itself (`init`)");
            }
        }
        _ => {}
    }
}

fn selector(seen: &mut KnownNames<'_>, node: Node<'_>) {
    if node
        .parent()
        .is_some_and(|parent| parent.kind() == "selector_expression")
    {
        return;
    }
    let text: String = seen.of(node).split_whitespace().collect();
    let mut parts = text.split('.').map(str::to_owned);
    let head = parts.next().unwrap_or_default();
    if !head.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return;
    }
    let call = node
        .parent()
        .filter(|parent| parent.kind() == "call_expression");
    let argument = call
        .and_then(|call| call.child_by_field_name("arguments"))
        .and_then(|arguments| children(arguments).into_iter().next())
        .and_then(|first| unquote(seen.of(first)));
    let members: Vec<String> = parts.collect();
    let testing = ["t", "b", "assert", "require"].contains(&head.as_str());
    let last = members.last().map(String::as_str).unwrap_or_default();
    if testing && call.is_some() {
        if ["Skip", "SkipNow", "Skipf"].contains(&last) {
            seen.muted(node, "t.Skip");
        } else if ["Error", "Errorf", "Fatal", "Fatalf", "Fail", "FailNow"].contains(&last)
            || ["assert", "require"].contains(&head.as_str())
        {
            seen.facts.assertions += 1;
        }
    }
    let chain = MemberChain {
        head,
        members: members.into_iter().map(Some).collect(),
    };
    seen.used(node, &chain, argument.as_deref(), true);
}
