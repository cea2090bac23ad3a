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
    let mut words = words;
    if written.contains(['$', '`']) {
        match computed(seen.text, written.trim_matches('"')) {
            ComputedName::FromOutside => return,
            ComputedName::Known(known) => {
                words.splice(..1, known);
            }
            ComputedName::Unknown => {
                seen.mark(node, "runs a command whose name is computed");
                return;
            }
        }
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

/// What is known of a command whose name holds a variable.
enum ComputedName {
    /// Whoever starts the script says what it is, as a build file does.
    FromOutside,
    /// The script says it itself, in plain words.
    Known(Vec<String>),
    /// It is worked out.
    Unknown,
}

/// Finds out what a name with a variable in it stands for, from the text of its script.
fn computed(script: &str, written: &str) -> ComputedName {
    if ["$@", "${@}"].contains(&written) {
        return ComputedName::FromOutside;
    }
    let (folder, program) = written.rsplit_once('/').unwrap_or(("", written));
    if !folder.is_empty() && !program.contains(['$', '`']) && !program.is_empty() {
        return ComputedName::Known(vec![program.to_owned()]);
    }
    let name = written
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    let Some(name) = name.or_else(|| written.strip_prefix('$')) else {
        return ComputedName::Unknown;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return ComputedName::Unknown;
    }
    let values = assigned(script, name);
    match values {
        None => ComputedName::Unknown,
        Some(values) if values.is_empty() => {
            let from_outside = name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
                && name.starts_with(|c: char| c.is_ascii_uppercase());
            if from_outside {
                ComputedName::FromOutside
            } else {
                ComputedName::Unknown
            }
        }
        // Several values are several programs, of which nobody knows which it is.
        Some(values) => match values.as_slice() {
            [only] => ComputedName::Known(only.split_whitespace().map(str::to_owned).collect()),
            _ => ComputedName::Unknown,
        },
    }
}

/// Returns the plain values that a script gives a variable; nothing where it gets one in another way.
fn assigned(script: &str, name: &str) -> Option<Vec<String>> {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut values = Vec::new();
    for (at, _) in script.match_indices(name) {
        let (before, behind) = (script.get(..at)?, script.get(at + name.len()..)?);
        if before.ends_with(inner) || behind.starts_with(inner) || before.ends_with(['$', '-']) {
            continue;
        }
        let line = before.rsplit('\n').next().unwrap_or("");
        let told = |word: &str| {
            [
                "read",
                "for",
                "select",
                "mapfile",
                "readarray",
                "getopts",
                "unset",
                "printf",
                "eval",
                "nameref",
            ]
            .contains(&word)
        };
        let by_command = line.split([' ', '\t', ';']).any(told);
        if before.ends_with("${") {
            // `${NAME:=x}` gives it a value as well.
            if behind.starts_with(":=") || behind.starts_with('=') {
                return None;
            }
            continue;
        }
        match behind.strip_prefix('=') {
            Some(value) => values.push(plain_value(value)?),
            None if by_command || behind.starts_with("+=") || behind.starts_with('[') => {
                return None;
            }
            None => {}
        }
    }
    values.dedup();
    Some(values)
}

/// Returns the value of an assignment that is written out, or that has a written-out default.
fn plain_value(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| ['"', '\''].contains(c));
    let value = match quote {
        Some(mark) => text.get(1..)?.split(mark).next()?,
        None => text.split([' ', '\t', '\n', ';', '&', '|', ')']).next()?,
    };
    let default = value
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .and_then(|rest| rest.split_once(":-"))
        .map(|(_, default)| default);
    let value = default.unwrap_or(value).trim();
    (!value.is_empty() && !value.contains(['$', '`', '\\', '*', '?'])).then(|| value.to_owned())
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
