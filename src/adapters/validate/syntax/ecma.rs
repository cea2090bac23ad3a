//! JavaScript and TypeScript.

use tree_sitter::Node;

use super::{KnownNames, MemberChain, children, unquote};

/// Learns what names stand for.
pub(super) fn learn(seen: &mut KnownNames<'_>, node: Node<'_>) {
    match node.kind() {
        "import_statement" => import(seen, node),
        "export_statement" => {
            if let Some(module) = source(seen, node) {
                seen.import(node, module, false, false);
            }
        }
        "variable_declarator" => bind(seen, node, "name", "value"),
        "assignment_expression" => bind(seen, node, "left", "right"),
        _ => {}
    }
}

fn source(seen: &KnownNames<'_>, node: Node<'_>) -> Option<String> {
    unquote(seen.field(node, "source")?)
}

/// The name under which a module's members are known: without the scheme of the runtime.
fn module_name(module: &str) -> String {
    module.strip_prefix("node:").unwrap_or(module).to_owned()
}

fn import(seen: &mut KnownNames<'_>, node: Node<'_>) {
    let Some(module) = source(seen, node) else {
        return;
    };
    let types = seen.of(node).trim_start().starts_with("import type ");
    let name = module_name(&module);
    seen.import(node, module, false, types);
    for clause in children(node)
        .into_iter()
        .filter(|child| child.kind() == "import_clause")
    {
        for part in children(clause) {
            match part.kind() {
                "identifier" => {
                    let local = seen.of(part).to_owned();
                    seen.alias(&local, name.clone());
                }
                "namespace_import" => {
                    let local = children(part)
                        .first()
                        .map(|one| seen.of(*one))
                        .unwrap_or_default()
                        .to_owned();
                    seen.alias(&local, name.clone());
                }
                "named_imports" => {
                    for one in children(part) {
                        specifier(seen, one, &name);
                    }
                }
                _ => {}
            }
        }
    }
}

fn specifier(seen: &mut KnownNames<'_>, node: Node<'_>, module: &str) {
    let name = seen.field(node, "name").unwrap_or_default();
    let name = unquote(name).unwrap_or_else(|| name.to_owned());
    let local = seen.field(node, "alias").unwrap_or(&name).to_owned();
    let target = if name == "default" {
        module.to_owned()
    } else {
        format!("{module}.{name}")
    };
    seen.alias(&local, target);
}

/// Kinds of nodes that are functions.
const FUNCTIONS: &[&str] = &[
    "function_declaration",
    "function_expression",
    "function",
    "arrow_function",
    "method_definition",
    "generator_function",
    "generator_function_declaration",
];

fn bind(seen: &mut KnownNames<'_>, node: Node<'_>, left: &str, right: &str) {
    let (Some(left), Some(right)) = (
        node.child_by_field_name(left),
        node.child_by_field_name(right),
    ) else {
        return;
    };
    let Some(target) = chain(seen, right).and_then(MemberChain::dotted) else {
        return;
    };
    // What is declared in a function is known in it; what is only given a value may be declared anywhere.
    let scope = if node.kind() == "variable_declarator" {
        KnownNames::scope_of(node, FUNCTIONS)
    } else {
        super::WHOLE_FILE
    };
    if left.kind() == "identifier" {
        let local = seen.of(left).to_owned();
        seen.alias_in(&local, target, scope);
    } else if left.kind() == "object_pattern" {
        for part in children(left) {
            let (name, local) = match part.kind() {
                "pair_pattern" => (seen.field(part, "key"), seen.field(part, "value")),
                _ => (Some(seen.of(part)), Some(seen.of(part))),
            };
            if let (Some(name), Some(local)) = (name, local) {
                let name = unquote(name).unwrap_or_else(|| name.to_owned());
                let local = local.to_owned();
                seen.alias_in(&local, format!("{target}.{name}"), scope.clone());
            }
        }
    }
}

/// Reads `a.b`, `a["b"]`, `require("a").b`, `(await import("a")).b`.
fn chain(seen: &KnownNames<'_>, node: Node<'_>) -> Option<MemberChain> {
    let mut members = Vec::new();
    let mut node = node;
    loop {
        match node.kind() {
            "identifier" | "this" => {
                members.reverse();
                return Some(whole_object(seen.of(node), members));
            }
            "member_expression" => {
                members.push(Some(seen.field(node, "property")?.to_owned()));
                node = node.child_by_field_name("object")?;
            }
            "subscript_expression" => {
                let index = node.child_by_field_name("index")?;
                let number = index.kind() == "number";
                members.push(if number {
                    Some(seen.of(index).to_owned())
                } else {
                    literal(seen, index)
                });
                node = node.child_by_field_name("object")?;
            }
            "parenthesized_expression"
            | "await_expression"
            | "non_null_expression"
            | "as_expression"
            | "satisfies_expression" => {
                node = children(node).into_iter().next()?;
            }
            "sequence_expression" => node = children(node).into_iter().last()?,
            "call_expression" => {
                let function = node.child_by_field_name("function")?;
                let name = seen.of(function);
                if ["require", "import", "require.resolve", "module.require"].contains(&name) {
                    members.reverse();
                    let module = first_argument(node).and_then(|one| literal(seen, one))?;
                    return Some(MemberChain {
                        head: module_name(&module),
                        members,
                    });
                }
                return None;
            }
            _ => return None,
        }
    }
}

/// `globalThis.eval` is `eval`.
fn whole_object(head: &str, mut members: Vec<Option<String>>) -> MemberChain {
    let global = ["globalThis", "global", "window", "self"].contains(&head);
    if global && members.first().is_some_and(Option::is_some) {
        let head = members.remove(0).unwrap_or_default();
        return MemberChain { head, members };
    }
    MemberChain {
        head: head.to_owned(),
        members,
    }
}

fn first_argument(call: Node<'_>) -> Option<Node<'_>> {
    children(call.child_by_field_name("arguments")?)
        .into_iter()
        .next()
}

fn literal(seen: &KnownNames<'_>, node: Node<'_>) -> Option<String> {
    match node.kind() {
        "string" => unquote(seen.of(node)),
        "template_string"
            if !children(node)
                .iter()
                .any(|child| child.kind() == "template_substitution") =>
        {
            unquote(seen.of(node))
        }
        _ => None,
    }
}

/// Records what is used.
pub(super) fn look(seen: &mut KnownNames<'_>, node: Node<'_>) {
    match node.kind() {
        "string" | "template_string" | "regex" => seen.string(node),
        "call_expression" => call(seen, node),
        "new_expression" => {
            if let Some(chain) = node
                .child_by_field_name("constructor")
                .and_then(|one| chain(seen, one))
            {
                seen.used(node, &chain, None, true);
            }
        }
        "identifier" | "member_expression" | "subscript_expression" if is_outermost(node) => {
            if let Some(chain) = chain(seen, node) {
                let parent = node.parent().map_or("", |parent| parent.kind());
                let whole = !["member_expression", "subscript_expression"].contains(&parent);
                seen.used(node, &chain, None, whole);
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
        "member_expression" => !own("object") && !own("property"),
        "subscript_expression" => !own("object"),
        "call_expression" => !own("function"),
        "new_expression" => !own("constructor"),
        "variable_declarator" => !own("name"),
        "assignment_expression" => !own("left") || node.kind() != "identifier",
        "import_specifier"
        | "import_clause"
        | "namespace_import"
        | "formal_parameters"
        | "required_parameter"
        | "function_declaration"
        | "class_declaration"
        | "labeled_statement"
        | "method_definition" => false,
        "pair" => !own("key"),
        _ => true,
    }
}

fn call(seen: &mut KnownNames<'_>, node: Node<'_>) {
    let Some(function) = node.child_by_field_name("function") else {
        return;
    };
    let text = seen.of(function).to_owned();
    let first = first_argument(node);
    let argument = first.and_then(|one| literal(seen, one));
    if ["require", "import", "module.require"].contains(&text.as_str()) {
        seen.import_call(node, argument.as_deref());
    }
    tests(seen, node, &text, argument.as_deref());
    if let Some(chain) = chain(seen, function) {
        seen.used(node, &chain, argument.as_deref(), true);
    } else if let (Some(property), "member_expression") =
        (function.child_by_field_name("property"), function.kind())
    {
        // A member of something computed: `[].constructor.constructor(...)`, `fn().constructor(...)`.
        if seen.of(property) == "constructor" {
            seen.mark(node, "makes code from text through `constructor`");
        }
    }
}

fn tests(seen: &mut KnownNames<'_>, node: Node<'_>, text: &str, name: Option<&str>) {
    let first = text.split('.').next().unwrap_or_default();
    if let Some(name) = name.filter(|_| ["test", "it"].contains(&first)) {
        seen.test(node, name);
    }
    let muted = [".skip", ".only", ".todo", ".failing", ".fails"]
        .iter()
        .any(|word| text.ends_with(word));
    if muted && ["test", "it", "describe", "suite"].contains(&first)
        || ["xit", "xtest", "xdescribe", "fit", "fdescribe"].contains(&text)
    {
        seen.muted(node, text);
    }
    if text == "expect" || first == "assert" {
        seen.facts.assertions += 1;
    }
    if text.starts_with("expect(true).toBe")
        && seen.of(node).contains("true)")
        && !seen.of(node).contains("false")
    {
        seen.muted(node, "expect(true)");
    }
}
