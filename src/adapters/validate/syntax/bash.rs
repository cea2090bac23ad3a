//! Shell scripts.

use tree_sitter::Node;

use super::{KnownNames, MemberChain, children, unquote};

/// Nothing to learn: a shell has no imports, and what variables hold cannot be known.
pub(super) fn learn(_seen: &mut KnownNames<'_>, _node: Node<'_>) {}

/// Records what is used.
pub(super) fn look(seen: &mut KnownNames<'_>, node: Node<'_>) {
    match node.kind() {
        "command" => command(seen, node),
        "file_redirect" => {
            let target = node
                .child_by_field_name("destination")
                .map(|one| bare(seen.of(one)));
            let writes = seen.of(node).contains('>');
            if let Some(target) = target.filter(|target| writes && !target.starts_with('&')) {
                let chain = MemberChain {
                    head: "redirect".into(),
                    members: vec![],
                };
                seen.used(node, &chain, Some(&target), true);
            }
        }
        "declaration_command" => {
            let words: Vec<&str> = seen.of(node).split_whitespace().collect();
            let only_options = words.iter().skip(1).all(|word| word.starts_with('-'));
            let asks = words.iter().skip(1).all(|word| !word.contains(['f', 'F']));
            if only_options && asks && !words.contains(&"local") {
                used(seen, node, "export -p", "", true);
            }
        }
        "function_definition" => {
            let name = seen.field(node, "name").unwrap_or_default();
            if name.starts_with("test") {
                seen.test(node, name);
            }
        }
        _ => {}
    }
}

fn bare(text: &str) -> String {
    unquote(text).unwrap_or_else(|| text.replace(['\\', '"', '\''], ""))
}

fn used(seen: &mut KnownNames<'_>, node: Node<'_>, name: &str, argument: &str, whole: bool) {
    let chain = MemberChain {
        head: name.to_owned(),
        members: vec![],
    };
    seen.used(node, &chain, Some(argument), whole);
}

/// Returns whether a command of this name means everything it is about: `set` prints all variables only when nothing
/// stands behind it, `env` and `printenv` where only options do.
fn is_whole(program: &str, rest: &[String]) -> bool {
    match program {
        "set" => rest.is_empty(),
        "env" | "printenv" => rest.iter().all(|word| word.starts_with('-')),
        _ => true,
    }
}

/// Commands that run another command given as words.
const WRAPPERS: &[&str] = &[
    "env", "nice", "nohup", "time", "timeout", "xargs", "command", "builtin", "stdbuf", "setsid",
    "exec", "sudo", "doas",
];

fn command(seen: &mut KnownNames<'_>, node: Node<'_>) {
    let Some(first) = node.child_by_field_name("name") else {
        return;
    };
    let parts = children(node);
    let words: Vec<String> = parts
        .iter()
        .filter(|part| {
            ![
                "file_redirect",
                "herestring_redirect",
                "variable_assignment",
                "heredoc_redirect",
            ]
            .contains(&part.kind())
        })
        .map(|part| bare(seen.of(*part)))
        .collect();
    let written = seen.of(first);
    if written.contains(['$', '`']) {
        let plain = written.trim_matches('"');
        if !["$@", "${@}", "$CARGO", "$PYTHON", "$CC", "$MAKE"].contains(&plain) {
            seen.mark(node, "runs a command whose name is computed");
        }
        return;
    }
    let mut words = words.as_slice();
    while let Some((program, rest)) = words.split_first() {
        let program = program.rsplit('/').next().unwrap_or(program);
        let whole = is_whole(program, rest);
        if program != "env" || whole {
            used(seen, node, program, &rest.join(" "), whole);
        }
        programs(seen, node, program, rest);
        if !WRAPPERS.contains(&program) {
            return;
        }
        let option = |word: &&String| {
            word.starts_with('-')
                || word.contains('=')
                || word.chars().all(|c| c.is_ascii_digit() || c == 's')
        };
        let skip = rest.iter().take_while(option).count();
        words = rest.get(skip..).unwrap_or_default();
    }
}

/// Programs that run what they are told in a word.
const TELLABLE: &[&str] = &[
    "python", "python3", "node", "perl", "ruby", "bash", "sh", "zsh",
];

fn programs(seen: &mut KnownNames<'_>, node: Node<'_>, program: &str, rest: &[String]) {
    let has = |words: &[&str]| rest.iter().any(|word| words.contains(&word.as_str()));
    if TELLABLE.contains(&program) && has(&["-c", "-e"]) {
        seen.mark(node, format!("code for `{program}` on the command line"));
    }
    if program == "find" && has(&["-delete", "-exec", "-execdir", "-ok"]) {
        seen.mark(node, "`find` that deletes or runs");
    }
}
