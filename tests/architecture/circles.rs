//! No file needs, over whatever way, a file that needs it: what two of them share lies in a third.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{code_of, ident, rust_files};

/// Module -> the modules it names.
type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_file_needs_one_that_needs_it() {
    let graph = graph(Path::new("src"));
    let circles: Vec<String> = circles(&graph)
        .iter()
        .map(|circle| described(circle, &graph))
        .collect();
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}

#[test]
fn a_circle_is_found_over_any_number_of_files_and_ways_of_naming() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("a/mod.rs", "use crate::{b::{self, Thing}, d};"),
        ("b.rs", "fn f() { crate::c::g(); }"),
        ("c.rs", "use super::a::inner::Deep;"),
        ("a/inner.rs", "pub(super) use super::X;"),
        ("d.rs", "// use crate::a;\n#[cfg(test)]\nuse crate::a;"),
        ("lib.rs", "mod a;"),
    ];
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let found = circles(&graph(folder.path()));
    assert_eq!(
        found,
        [BTreeSet::from(
            ["a", "a::inner", "b", "c"].map(String::from)
        )]
    );
}

/// Reads which module names which below a folder of sources.
fn graph(sources: &Path) -> Graph {
    let mut texts = BTreeMap::new();
    for file in rust_files(sources) {
        let below = file
            .strip_prefix(sources)
            .expect("it was found below")
            .with_extension("");
        let mut parts: Vec<&str> = below
            .iter()
            .map(|part| part.to_str().expect("names of sources are UTF-8"))
            .collect();
        if parts.last() == Some(&"mod") {
            parts.pop();
        }
        texts.insert(
            parts.join("::"),
            fs::read_to_string(&file).expect("source is readable"),
        );
    }
    let needed = |name: &String, text: &String| {
        paths(code_of(text))
            .iter()
            .filter_map(|path| module(path, name, &texts))
            .filter(|needed| needed != name)
            .collect()
    };
    texts
        .iter()
        .map(|(name, text)| (name.clone(), needed(name, text)))
        .collect()
}

/// Returns every path of a text that starts with `crate`, `super` or `self`, groups opened.
fn paths(code: &str) -> Vec<String> {
    let code: String = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(|line| [line, " "])
        .collect();
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = &code[..at];
            // `pub(in crate::a)` says who may name it, not whom it names.
            let is_part = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if !is_part && !before.ends_with("(in ") {
                open(&code[at..], "", &mut found);
            }
        }
    }
    found
}

/// Adds the paths that a text begins with to those found; returns what is left of the text.
fn open<'t>(text: &'t str, before: &str, found: &mut Vec<String>) -> &'t str {
    let text = text.trim_start();
    let Some(mut rest) = text.strip_prefix('{') else {
        let name = ident(text);
        let rest = &text[name.len()..];
        let path = format!("{before}{name}");
        return match rest.strip_prefix("::") {
            Some(rest) if !name.is_empty() => open(rest, &format!("{path}::"), found),
            _ => {
                found.push(path);
                rest
            }
        };
    };
    loop {
        rest = open(rest, before, found);
        // What stands behind a name, as in `name as other`, is skipped.
        let Some(end) = rest.find([',', '}']) else {
            return "";
        };
        let (sign, behind) = rest[end..].split_at(1);
        rest = behind.trim_start();
        if sign == "}" {
            return rest;
        }
        if let Some(behind) = rest.strip_prefix('}') {
            return behind;
        }
    }
}

/// Returns the module that a path leads into, seen from another.
fn module(path: &str, from: &str, texts: &BTreeMap<String, String>) -> Option<String> {
    let mut place: Vec<&str> = from.split("::").filter(|part| !part.is_empty()).collect();
    for (at, part) in path.split("::").enumerate() {
        match part {
            "crate" => place.clear(),
            "super" => drop(place.pop()),
            "self" if at == 0 => {}
            part => place.push(part),
        }
    }
    // The last parts may be items of a module.
    (1..=place.len())
        .rev()
        .map(|length| place[..length].join("::"))
        .find(|name| texts.contains_key(name))
}

/// Returns the groups of modules that need each other.
fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reach = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = graph[from].iter().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next.clone()) {
                open.extend(graph.get(next).into_iter().flatten());
            }
        }
        seen
    };
    let all: BTreeMap<&String, BTreeSet<String>> =
        graph.keys().map(|name| (name, reach(name))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (name, reached) in &all {
        if !reached.contains(*name) || found.iter().any(|circle| circle.contains(*name)) {
            continue;
        }
        let back = |other: &&String| all[*other].contains(*name);
        found.push(reached.iter().filter(back).cloned().collect());
    }
    found
}

/// Says who names whom in a circle.
fn described(circle: &BTreeSet<String>, graph: &Graph) -> String {
    let lines = circle.iter().map(|name| {
        let inside: Vec<&str> = graph[name]
            .intersection(circle)
            .map(String::as_str)
            .collect();
        format!("  {name} names {}", inside.join(", "))
    });
    let lines: Vec<String> = lines.collect();
    format!("a circle of {} files:\n{}", circle.len(), lines.join("\n"))
}
