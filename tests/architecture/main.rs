//! The house rules, as a test: who may import whom, and how big a file may be.

#![expect(clippy::disallowed_methods, reason = "tests look at the real disk")]

mod circles;
mod readmes;

use std::{collections::BTreeSet, fs, path::Path};

/// Floor, the floors it may name, the outside crates it may name.
const FLOORS: &[(&str, &[&str], &[&str])] = &[
    (
        "domain",
        &["domain"],
        &[
            "serde",
            "serde_json",
            "regex",
            "chrono",
            "chrono_tz",
            "thiserror",
            "brush_parser",
        ],
    ),
    ("ports", &["ports", "domain"], &["thiserror"]),
    (
        "config",
        &["config", "domain"],
        &["serde", "serde_json", "regex", "thiserror"],
    ),
    ("adapters", &["adapters", "ports", "domain"], &["*"]),
    (
        "services",
        &["services", "ports", "domain"],
        &["tokio", "thiserror", "tracing", "serde_json"],
    ),
    ("app", &["*"], &["*"]),
    (
        "interfaces",
        &["interfaces", "services", "ports", "domain", "config"],
        &["*"],
    ),
];
const OUTSIDE: &[&str] = &[
    "serde",
    "serde_json",
    "regex",
    "chrono",
    "chrono_tz",
    "thiserror",
    "tokio",
    "tracing",
    "reqwest",
    "git2",
    "clap",
    "tempfile",
    "rustix",
    "indicatif",
    "brush_parser",
    "tree_sitter",
];
const MAX_LINES: usize = 600;

#[test]
fn imports_point_downstairs_and_files_stay_small() {
    let mut faults = BTreeSet::new();
    for (floor, floors, crates) in FLOORS {
        for file in rust_files(&Path::new("src").join(floor)) {
            let text = fs::read_to_string(&file).expect("source is readable");
            let name = file.display();
            let code = code_of(&text);
            if !text.starts_with("//!") {
                faults.insert(format!("{name}: no module comment"));
            }
            if code.lines().count() > MAX_LINES {
                faults.insert(format!("{name}: over {MAX_LINES} lines"));
            }
            for used in named_after(code, "crate::") {
                if !floors.contains(&"*") && !floors.contains(&used.as_str()) {
                    faults.insert(format!("{name}: {floor} names {used}"));
                }
            }
            for outside in OUTSIDE {
                let allowed = crates.contains(outside) || crates.contains(&"*");
                if !allowed && mentions(code, &format!("{outside}::")) {
                    faults.insert(format!("{name}: {floor} names the crate {outside}"));
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "\n{}",
        faults.into_iter().collect::<Vec<_>>().join("\n")
    );
}

/// Returns a file's text up to its tests.
fn code_of(text: &str) -> &str {
    text.split_once("#[cfg(test)]")
        .map_or(text, |(code, _)| code)
}

fn rust_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}

/// First path segments after `prefix`, looking inside one `{…}` group.
fn named_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        if !rest.starts_with('{') {
            names.insert(ident(rest));
            continue;
        }
        let mut depth = 0;
        let mut fresh = false;
        for (i, c) in rest.char_indices() {
            match c {
                '{' => (depth, fresh) = (depth + 1, depth == 0),
                '}' => depth -= 1,
                ',' => fresh = depth == 1,
                c if fresh && c.is_alphabetic() => {
                    names.insert(ident(&rest[i..]));
                    fresh = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

fn mentions(code: &str, needle: &str) -> bool {
    code.match_indices(needle)
        .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

fn ident(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn every_file_that_the_guides_name_exists() {
    let mut lost = Vec::new();
    for guide in ["docs/architecture.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(guide).expect("a guide is readable");
        let code = text.split('`').skip(1).step_by(2);
        let named = code.filter(|name| {
            let below = [
                "src/",
                "tests/",
                "docs/",
                "config/",
                "benches/",
                "examples/",
            ];
            below.iter().any(|folder| name.starts_with(folder))
                && !name.contains(['*', '<', ' '])
                && !name.contains("NNNN")
        });
        lost.extend(
            named
                .filter(|name| !Path::new(name).exists())
                .map(|name| format!("{guide}: `{name}`")),
        );
    }
    assert!(lost.is_empty(), "\n{}", lost.join("\n"));
}
