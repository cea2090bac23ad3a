//! The two READMEs name the same commands, options, files and documents.

use std::{collections::BTreeSet, fs};

/// Returns what a README has between backticks, what it has people type, and where it leads.
fn named(file: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let text = fs::read_to_string(file).unwrap_or_default();
    let (mut prose, mut typed, mut is_fenced) = (String::new(), Vec::new(), false);
    for line in text.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            prose.push_str(line);
            prose.push(' ');
        } else if let Some(command) = line.strip_prefix("$ ") {
            let command = command.split(" #").next().unwrap_or(command);
            typed.push(command.to_owned());
        }
    }
    let spans = prose.split('`').skip(1).step_by(2).map(str::to_owned);
    let words = typed.into_iter().chain(spans);
    let words = words.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let links = prose.split("](").skip(1);
    let links = links.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
    let links = links.filter(|link| !link.starts_with("README"));
    (words.collect(), links.collect())
}

#[test]
fn both_readmes_name_the_same_commands_and_documents() {
    let (english, english_links) = named("README.md");
    let (japanese, japanese_links) = named("README.ja.md");
    assert!(english.len() > 50, "{english:?}");
    let missing: Vec<_> = english.difference(&japanese).collect();
    let is_command = |word: &&String| word.starts_with("tos ");
    let strange: Vec<_> = japanese.difference(&english).filter(is_command).collect();
    assert!(
        missing.is_empty() && strange.is_empty(),
        "README.ja.md lacks {missing:#?} and has {strange:#?}"
    );
    assert_eq!(english_links, japanese_links);
}
