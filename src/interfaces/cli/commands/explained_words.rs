//! The words behind `tos guard explain` and `tos policy explain`: a command that was typed without quotes is one all the same.

use std::ffi::OsString;

use super::own_options::own_length;

/// More options that may stand behind the command; `true` = they take a word.
const OWN: [(&str, bool); 9] = [
    ("--unattended", false),
    ("--attended", false),
    ("--sandboxed", false),
    ("--type", true),
    ("--help", false),
    ("-h", false),
    ("-v", false),
    ("-vv", false),
    ("-q", false),
];

/// Joins the words of a command that is to be explained into one. Options of tos stand before it, or, where the command is one
/// word, behind it.
pub fn join_explained_command(words: Vec<OsString>) -> Vec<OsString> {
    let is = |at: usize, wanted: &[&str]| {
        let word = words.get(at).and_then(|word| word.to_str());
        word.is_some_and(|word| wanted.contains(&word))
    };
    if !is(1, &["guard", "policy"]) || !is(2, &["explain"]) {
        return words;
    }
    let mut start = 3;
    while let Some(length) = own_length(&words, start, &OWN) {
        start += length;
    }
    if is(start, &["--"]) {
        start += 1;
    }
    let Some(rest) = words.get(start + 1..).filter(|rest| !rest.is_empty()) else {
        return words;
    };
    let first = words.get(start).map(|word| word.to_string_lossy());
    let is_quoted =
        first.is_some_and(|first| first.contains(char::is_whitespace) || first.is_empty());
    // Short options behind the command are its own.
    let is_long = |at: usize| words.get(at).is_some_and(|word| word.len() > 3);
    let mut at = start + 1;
    while let Some(length) = own_length(&words, at, &OWN).filter(|_| is_long(at)) {
        at += length;
    }
    if is_quoted || at >= start + 1 + rest.len() {
        return words;
    }
    let (front, command) = words.split_at(start);
    let command: Vec<String> = command
        .iter()
        .map(|word| quoted(&word.to_string_lossy()))
        .collect();
    let mut words = front.to_vec();
    words.push(command.join(" ").into());
    words
}

/// Writes a word so that a shell reads it as one, where it is not plain.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,*?[]{}~!^&|;<>()$".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &[&str]) -> Vec<String> {
        let words = text.iter().map(OsString::from).collect();
        let words = join_explained_command(words).into_iter();
        words.map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_command_without_quotes_is_one_word() {
        for (words, wanted) in [
            (
                &["tos", "guard", "explain", "rm", "-rf", "x"][..],
                &["tos", "guard", "explain", "rm -rf x"][..],
            ),
            (
                &[
                    "tos", "policy", "explain", "--json", "git", "commit", "-m", "a b",
                ],
                &["tos", "policy", "explain", "--json", "git commit -m 'a b'"],
            ),
            (
                &[
                    "tos", "guard", "explain", "--type", "sh", "rm", "-r", "x", "--json",
                ],
                &["tos", "guard", "explain", "--type", "sh", "rm -r x --json"],
            ),
        ] {
            assert_eq!(joined(words), wanted);
        }
        assert_eq!(
            joined(&["tos", "guard", "explain", "ls", "-h"]),
            ["tos", "guard", "explain", "ls -h"]
        );
        for words in [
            &["tos", "guard", "explain", "-v", "ls"][..],
            &["tos", "guard", "explain", "rm -rf x", "--json"],
            &["tos", "guard", "explain", "ls", "--type", "sh", "--json"],
            &["tos", "guard", "explain", ""],
            &["tos", "guard", "explain"],
            &["tos", "guard", "undo", "3"],
        ] {
            assert_eq!(joined(words), words);
        }
    }
}
