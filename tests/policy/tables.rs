//! The tables of words in the policy: a word that stands twice in one list says nothing the second time, and whoever takes one of
//! them out is left with the other.

use std::{collections::BTreeSet, fs, path::PathBuf};

/// Tables of which each line is a list of its own.
const OF_LINES: [&str; 2] = ["UNBOUND", "UNBOUND_VALUES"];
/// What reads like a table and is a sentence.
const SENTENCES: [&str; 1] = ["REMEDY"];
/// Files with tables that are no source code.
const LISTS: [&str; 1] = ["src/domain/policy/programs/accepted/options.txt"];

fn sources() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src/domain/policy")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Returns the constants of a source that are one text, by name.
fn texts(source: &str) -> Vec<(&str, &str)> {
    let places = source.match_indices(": &str =");
    places
        .filter_map(|(at, sign)| {
            let name = source[..at].rsplit(char::is_whitespace).next()?;
            let rest = source[at + sign.len()..].trim_start().strip_prefix('"')?;
            Some((name, rest.split('"').next()?))
        })
        .collect()
}

/// Returns the words that stand twice in a column.
fn doubled(column: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let words = column.split_ascii_whitespace();
    let again = words.filter(|word| *word != "\\" && !seen.insert(*word));
    again.map(str::to_owned).collect()
}

/// Returns the lists of a table: its lines, parted by bars, or the whole where there are none.
fn lists<'a>(name: &str, table: &'a str) -> Vec<&'a str> {
    if table.contains('|') || OF_LINES.contains(&name) {
        table.lines().flat_map(|line| line.split('|')).collect()
    } else {
        vec![table]
    }
}

#[test]
fn no_list_of_words_names_one_twice() {
    let mut found = Vec::new();
    let mut tables = 0;
    for path in sources() {
        let source = fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_table = |(name, text): &(&str, &str)| {
            text.split_ascii_whitespace().count() > 3 && !SENTENCES.contains(name)
        };
        for (name, text) in texts(&source).into_iter().filter(is_table) {
            tables += 1;
            let again: Vec<String> = lists(name, text).into_iter().flat_map(doubled).collect();
            if !again.is_empty() {
                found.push(format!("{file} {name}: {}", again.join(" ")));
            }
        }
    }
    assert!(tables > 100, "only {tables} tables were found");
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn no_section_of_options_names_one_twice() {
    for list in LISTS {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(list);
        let text = fs::read_to_string(path).unwrap();
        let mut found = Vec::new();
        let mut titles = BTreeSet::new();
        for section in text.split("\n= ") {
            let (title, lines) = section.split_once('\n').unwrap_or((section, ""));
            let title = title.trim_start_matches("= ");
            if !titles.insert(title.split(" | ").next().unwrap_or(title)) {
                found.push(format!("{title} itself"));
            }
            for line in lines.lines().filter(|line| line.starts_with("l ")) {
                let again = doubled(line);
                if !again.is_empty() {
                    found.push(format!("{title}: {}", again.join(" ")));
                }
            }
        }
        assert_eq!(found, Vec::<String>::new(), "{list}");
    }
}
