//! What filters and lines of code print of the project's data: a version out of `package.json`, a number that was counted.
//!
//! Nobody knows such a text, but whoever wrote the command did not make it up. That holds only as long as nothing of the command itself
//! goes into what is printed, so filters that put in more than names, dots and dashes make it any text again.

use crate::domain::policy::{
    partial_text::{DATA_TEXT, NAME, OWN, TextScanner, UNKNOWN, is_in, is_made_up, is_vague},
    programs::Options,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    /// Returns what awk prints of data, where its code puts nothing between that could be more than a word.
    pub(super) fn fields_of_data(&mut self, args: &[String], stdin: &str) -> Option<String> {
        const MAKES: &str = "sprintf printf gsub sub gensub system getline ENVIRON ARGV";
        let options = Options::leading(args, "vfF", &["assign", "file", "field-separator"]);
        let (code, files) = options.rest.split_first()?;
        if options.has(&["v", "f", "assign", "file"]) || !literals_are_tame(code) {
            return None;
        }
        let mut words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        if words.any(|word| is_in(MAKES, word)) {
            return None;
        }
        let input = if files.is_empty() {
            stdin.to_owned()
        } else {
            files.iter().map(|file| self.contents(file)).collect()
        };
        data_of(&input)
    }

    /// Returns whether a line of code prints nothing but what it works out of files of the project.
    pub(super) fn works_out_data(&self, code: &str) -> bool {
        const MAKES: [&str; 23] = [
            "chr", "Char", "Code", "decode", "b64", "hex", "bytes", "Buffer", "atob", "escape",
            "join", "replace", "argv", "ARGV", "stdin", "environ", "env", "input", "=>",
            "function", "lambda", "__", ".source",
        ];
        literals_are_tame(code)
            && !MAKES.iter().any(|word| code.contains(word))
            && quoted(code)
                .iter()
                .all(|text| !text.contains('/') && !text.contains('.') || self.is_of_project(text))
    }
}

/// Returns whether code of awk prints nothing that stands in quotes; what stands in them before the first block is only compared.
pub(super) fn prints_no_text(code: &str) -> bool {
    let (head, block) = code.split_once('{').unwrap_or(("", code));
    let compares = head.replace("==", "").replace("!=", "");
    let is_quoted = block.contains('"') || head.contains('"') && compares.contains(['=', '(']);
    !is_quoted || !code.contains("print")
}

/// Returns whether a search keeps the lines of its input as they are.
pub(super) fn keeps_lines(name: &str, args: &[String]) -> bool {
    let is_tame = |arg: &String| {
        let cluster = arg.strip_prefix('-');
        cluster.is_none_or(|letters| letters.chars().all(|c| "viEFGPwx".contains(c)))
    };
    is_in("grep egrep fgrep", name) && args.iter().all(is_tame)
}

/// Returns what a filter makes of the project's data.
pub(super) fn filtered(name: &str, args: &[String], input: &str) -> Option<String> {
    let is_tame = match name {
        "cat" | "grep" | "egrep" | "fgrep" | "rg" | "cut" | "sort" | "uniq" | "head" | "tail" => {
            true
        }
        "tr" => {
            let is_set = |arg: &String| {
                arg.chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.[:]".contains(c))
            };
            args.iter().any(|arg| arg == "-d") || args.iter().all(is_set)
        }
        "jq" | "yq" => args.iter().all(|arg| {
            let makes = [
                "implode", "ascii", "env", "ENV", "input", "@", "$", "+", "arg",
            ];
            literals_are_tame(arg) && !makes.iter().any(|word| arg.contains(word))
        }),
        _ => false,
    };
    // Lines of a source stay its own.
    if !is_tame || is_in("cat head tail uniq", name) && input.contains(OWN) {
        return None;
    }
    data_of(input)
}

/// Returns what sed makes of data or names, where it only leaves something out or puts words in.
pub(super) fn edited(scripts: &[String], input: &str) -> Option<String> {
    let picks = |script: &String| {
        script
            .chars()
            .all(|c| c.is_ascii_digit() || "$,;pq{}".contains(c))
    };
    if input.contains(UNKNOWN) && scripts.iter().all(picks) {
        // Lines of a source are its own.
        return (!is_made_up(input)).then(|| input.to_owned());
    }
    (is_vague(input) && scripts.iter().all(|script| puts_words(script)))
        .then(|| data_of(input))
        .flatten()
}

/// Returns data in place of a text that holds some, and a name in place of one that holds names.
fn data_of(input: &str) -> Option<String> {
    if input.contains(UNKNOWN) {
        return (!is_made_up(input)).then(|| format!("{DATA_TEXT}\n"));
    }
    let is_line = input.trim_end().lines().count() == 1;
    (input.contains(NAME) && is_line && !input.contains('/')).then(|| format!("{NAME}\n"))
}

/// Returns whether a script of sed puts nothing in but words.
fn puts_words(script: &str) -> bool {
    let mut scan = TextScanner::new(script);
    while let Some(c) = scan.bump() {
        match c {
            '/' => drop(taken(&mut scan, '/')),
            's' => {
                let Some(delimiter) = scan.bump() else {
                    return false;
                };
                drop(taken(&mut scan, delimiter));
                let word = |c: char| c.is_ascii_alphanumeric() || "._-&\\".contains(c);
                if !taken(&mut scan, delimiter).chars().all(word) {
                    return false;
                }
                let flags = scan.take_while(|c| c.is_ascii_alphanumeric());
                if flags.contains(['e', 'w', 'm', 'M']) {
                    return false;
                }
            }
            c if c.is_ascii_digit() || "$,;pqd! \n{}".contains(c) => {}
            _ => return false,
        }
    }
    true
}

/// Reads up to a delimiter.
fn taken(scan: &mut TextScanner<'_>, delimiter: char) -> String {
    let mut text = String::new();
    while let Some(c) = scan.bump() {
        if c == delimiter {
            break;
        }
        text.push(c);
        if c == '\\' {
            text.extend(scan.bump());
        }
    }
    text
}

/// Returns whether all that stands in quotes are words, or the names of files that hold data.
fn literals_are_tame(code: &str) -> bool {
    const ENDINGS: [&str; 10] = [
        ".json", ".toml", ".yaml", ".yml", ".lock", ".cfg", ".xml", ".ini", ".csv", ".txt",
    ];
    let word = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
    quoted(code).iter().all(|text| {
        let is_file = ENDINGS.iter().any(|ending| text.ends_with(ending));
        text.chars().all(|c| word(c) || is_file && c == '/')
    })
}

/// Returns what stands in quotes.
fn quoted(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut scan = TextScanner::new(code);
    while let Some(c) = scan.bump() {
        if matches!(c, '\'' | '"' | '`') {
            found.push(taken(&mut scan, c));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_made_up_is_data() {
        let jq = |filter: &str| filtered("jq", &[filter.to_owned()], DATA_TEXT);
        assert_eq!(jq(".version").as_deref(), Some("\u{F0000}\u{F0008}\n"));
        assert_eq!(jq(".version + \"/e\""), None);
        assert_eq!(jq(".x | @base64d"), None);
        assert_eq!(filtered("grep", &[], "\u{F0000}"), None);
        let sed = |script: &str, input: &str| edited(&[script.to_owned()], input);
        assert_eq!(sed("s/^v//", "\u{F0001}\n").as_deref(), Some("\u{F0001}\n"));
        assert_eq!(sed("s/^v/;/", DATA_TEXT), None);
        assert_eq!(sed("s/a/b/w x", DATA_TEXT), None);
        assert_eq!(
            sed("1,20p", "\u{F0000}\u{F0007}").as_deref(),
            Some("\u{F0000}\u{F0007}")
        );
        assert_eq!(sed("1,20p", "\u{F0000}"), None);
    }
}
