//! Python.

use tree_sitter::Node;

use super::{KnownNames, MemberChain, children, unquote};

/// Learns what names stand for.
pub(super) fn learn(seen: &mut KnownNames<'_>, node: Node<'_>) {
    match node.kind() {
        "import_statement" => {
            for child in children(node) {
                plain_import(seen, node, child);
            }
        }
        "import_from_statement" | "future_import_statement" => from_import(seen, node),
        "assignment" | "named_expression" => {
            let left = node
                .child_by_field_name("left")
                .or_else(|| node.child_by_field_name("name"));
            let right = node
                .child_by_field_name("right")
                .or_else(|| node.child_by_field_name("value"));
            if let (Some(left), Some(right)) = (left, right)
                && left.kind() == "identifier"
                && let Some(target) = chain(seen, right).and_then(MemberChain::dotted)
            {
                let local = seen.of(left).to_owned();
                let mut scope = KnownNames::scope_of(node, &["function_definition", "lambda"]);
                let text = seen.text.get(scope.clone()).unwrap_or_default();
                let shared = ["global ", "nonlocal "].iter().any(|word| {
                    text.lines().any(|line| {
                        let names = line.trim().strip_prefix(word).unwrap_or_default();
                        names.split(',').any(|name| name.trim() == local)
                    })
                });
                if shared {
                    scope = super::WHOLE_FILE;
                }
                seen.alias_in(&local, target, scope);
            }
        }
        _ => {}
    }
}

fn plain_import(seen: &mut KnownNames<'_>, node: Node<'_>, child: Node<'_>) {
    if child.kind() == "aliased_import" {
        let module = seen.field(child, "name").unwrap_or_default().to_owned();
        let local = seen.field(child, "alias").unwrap_or_default().to_owned();
        seen.alias(&local, module.clone());
        seen.import(node, module, false, false);
    } else if child.kind() == "dotted_name" {
        let module = seen.of(child).to_owned();
        seen.import(node, module, false, false);
    }
}

fn from_import(seen: &mut KnownNames<'_>, node: Node<'_>) {
    let Some(source) = node.child_by_field_name("module_name") else {
        return;
    };
    let module = seen.of(source).to_owned();
    let names: Vec<Node<'_>> = children(node)
        .into_iter()
        .filter(|child| *child != source)
        .collect();
    let wildcard = names.iter().any(|child| child.kind() == "wildcard_import");
    seen.import(node, module.clone(), wildcard, false);
    for child in names {
        if child.kind() == "aliased_import" {
            let name = seen.field(child, "name").unwrap_or_default();
            let local = seen.field(child, "alias").unwrap_or_default().to_owned();
            seen.alias(&local, format!("{module}.{name}"));
        } else if child.kind() == "dotted_name" {
            let name = seen.of(child).to_owned();
            seen.alias(&name, format!("{module}.{name}"));
        }
    }
}

/// Reads `a.b`, `a["b"]`, `getattr(a, "b")`, `__import__("a").b`.
fn chain(seen: &KnownNames<'_>, node: Node<'_>) -> Option<MemberChain> {
    let mut members = Vec::new();
    let mut node = node;
    loop {
        match node.kind() {
            "identifier" => {
                members.reverse();
                return Some(MemberChain {
                    head: seen.of(node).to_owned(),
                    members,
                });
            }
            "attribute" => {
                members.push(Some(seen.field(node, "attribute")?.to_owned()));
                node = node.child_by_field_name("object")?;
            }
            "parenthesized_expression" => node = children(node).into_iter().next()?,
            "subscript" => {
                let key = node
                    .child_by_field_name("subscript")
                    .and_then(|key| literal(seen, key));
                let object = node.child_by_field_name("value")?;
                // Members of a namespace by text; other subscripts are data.
                let space = seen.of(object);
                let names = space.ends_with("__dict__")
                    || ["globals()", "locals()", "vars()", "sys.modules"].contains(&space)
                    || space.starts_with("vars(");
                if !names {
                    return None;
                }
                members.push(key);
                node = if object.kind() == "attribute" && space.ends_with("__dict__") {
                    object.child_by_field_name("object")?
                } else if let Some(module) = first_argument(object) {
                    module
                } else {
                    object
                };
            }
            "call" => {
                let function = node.child_by_field_name("function")?;
                let name = seen.of(function);
                match name {
                    "getattr" => {
                        members.push(argument(node, 1).and_then(|name| literal(seen, name)));
                        node = first_argument(node)?;
                    }
                    "__import__" | "importlib.import_module" | "import_module" => {
                        members.reverse();
                        let module = first_argument(node).and_then(|name| literal(seen, name));
                        return Some(MemberChain {
                            head: module?,
                            members,
                        });
                    }
                    _ => node = function,
                }
            }
            _ => return None,
        }
    }
}

fn argument(call: Node<'_>, place: usize) -> Option<Node<'_>> {
    let arguments = call.child_by_field_name("arguments")?;
    children(arguments).into_iter().nth(place)
}

fn first_argument(call: Node<'_>) -> Option<Node<'_>> {
    argument(call, 0)
}

fn literal(seen: &KnownNames<'_>, node: Node<'_>) -> Option<String> {
    let computed = children(node)
        .iter()
        .any(|child| child.kind() == "interpolation");
    (node.kind() == "string" && !computed).then(|| unquote(seen.of(node)))?
}

/// Records what is used.
pub(super) fn look(seen: &mut KnownNames<'_>, node: Node<'_>) {
    match node.kind() {
        "string" => seen.string(node),
        "attribute" | "identifier" | "subscript" if is_outermost(node) => name(seen, node),
        "call" => call(seen, node),
        "function_definition" => {
            let name = seen.field(node, "name").unwrap_or_default();
            if name.starts_with("test") {
                seen.test(node, name);
            }
        }
        "assert_statement" => {
            seen.facts.assertions += 1;
            let what = children(node)
                .first()
                .map(|child| seen.of(*child))
                .unwrap_or_default();
            if ["True", "1", "not False"].contains(&what) {
                seen.muted(node, "assert True");
            }
        }
        "decorator" => {
            let text = seen.of(node);
            if ["skip", "xfail", "expectedFailure"]
                .iter()
                .any(|word| text.contains(word))
            {
                seen.muted(node, text.trim_start_matches('@'));
            }
        }
        _ => {}
    }
}

fn is_outermost(node: Node<'_>) -> bool {
    let Some(parent) = node.parent() else {
        return true;
    };
    let own = |field: &str| parent.child_by_field_name(field) == Some(node);
    match parent.kind() {
        "attribute"
        | "keyword_argument"
        | "aliased_import"
        | "dotted_name"
        | "parameters"
        | "default_parameter"
        | "typed_parameter"
        | "function_definition"
        | "class_definition"
        | "import_from_statement" => false,
        "assignment" => !own("left") || node.kind() != "identifier",
        "call" => !own("function"),
        _ => true,
    }
}

fn name(seen: &mut KnownNames<'_>, node: Node<'_>) {
    if let Some(chain) = chain(seen, node) {
        let parent = node.parent().map_or("", |parent| parent.kind());
        let one_of_it = parent == "subscript" && node.kind() != "subscript";
        let whole = !one_of_it && !in_membership(node);
        seen.used(node, &chain, None, whole);
    }
}

/// `"X" in os.environ` reads one name.
fn in_membership(node: Node<'_>) -> bool {
    node.parent()
        .is_some_and(|parent| parent.kind() == "comparison_operator")
}

fn call(seen: &mut KnownNames<'_>, node: Node<'_>) {
    let Some(function) = node.child_by_field_name("function") else {
        return;
    };
    let text = seen.of(function).to_owned();
    let first = first_argument(node);
    let argument = first.and_then(|one| literal(seen, one));
    if ["__import__", "importlib.import_module", "import_module"].contains(&text.as_str()) {
        seen.import_call(node, argument.as_deref());
    }
    if text.starts_with("self.assert") || text.starts_with("pytest.raises") {
        seen.facts.assertions += 1;
    }
    if [
        "pytest.skip",
        "self.skipTest",
        "unittest.skip",
        "pytest.xfail",
    ]
    .contains(&text.as_str())
    {
        seen.muted(node, &text);
    }
    let reading = text == "open" && !opens_for_writing(seen, node);
    if text == "getattr" {
        if let Some(chain) = chain(seen, node) {
            seen.used(node, &chain, None, true);
        }
    } else if let Some(chain) = chain(seen, function) {
        let path = argument.as_deref().filter(|_| !reading);
        // A member called on the environment, such as `get`, reads one value.
        seen.used(node, &chain, path, true);
    }
}

fn opens_for_writing(seen: &KnownNames<'_>, node: Node<'_>) -> bool {
    let Some(arguments) = node.child_by_field_name("arguments") else {
        return false;
    };
    let modes = children(arguments)
        .into_iter()
        .skip(1)
        .map(|one| seen.of(one));
    modes
        .into_iter()
        .any(|mode| mode.contains(['w', 'a', 'x', '+']) || !mode.contains(['"', '\'']))
}
