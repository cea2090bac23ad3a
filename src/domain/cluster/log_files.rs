//! The logs of an attempt on their way from a worker to its controller: names that lead nowhere else, and no more text than is read.

use serde::{Deserialize, Serialize};

use crate::domain::text::last_bytes;

/// How much of one file travels, in bytes.
const FILE: usize = 2 * 1024 * 1024;
/// How much of all of them together.
const ALL: usize = 16 * 1024 * 1024;
/// How many files.
const FILES: usize = 200;

/// Files of a log folder, each with its path below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogBundle {
    /// Path and text.
    pub files: Vec<(String, String)>,
}

impl LogBundle {
    /// Takes files in, the end of each where it is too long; what is beyond the limits stays away, and a line says so.
    pub fn of(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let (mut kept, mut left) = (Vec::new(), ALL);
        let mut away = 0_usize;
        for (path, text) in files {
            let text = end_of(text, FILE);
            if kept.len() >= FILES || text.len() > left {
                away += 1;
                continue;
            }
            left -= text.len();
            kept.push((path, text));
        }
        if away > 0 {
            let text = format!("{away} further files stayed on the worker's machine\n");
            kept.push(("left-on-the-worker.txt".to_owned(), text));
        }
        Self { files: kept }
    }

    /// Returns the files whose names lead nowhere else: a worker's word is not trusted with the controller's folders.
    pub fn safe_files(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter().take(FILES + 1);
        let plain = files.filter(|(path, _)| is_plain_path(path));
        plain.map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

/// Returns whether a text is one plain name of a file or a folder.
pub fn is_plain_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 200 && !name.starts_with('.') && name.chars().all(fits)
}

fn is_plain_path(path: &str) -> bool {
    path.len() <= 500 && path.split('/').all(is_plain_name)
}

/// Returns the end of a text, beginning with a whole line.
fn end_of(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let end = last_bytes(&text, most);
    let end = end.split_once('\n').map_or(end, |(_, lines)| lines);
    format!(
        "(the first {} bytes stayed on the worker's machine)\n{end}",
        text.len() - end.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_travels_with_its_end_and_says_so() {
        let long = format!("first\n{}\nlast\n", "x".repeat(FILE));
        let bundle = LogBundle::of([("a.log".to_owned(), long)]);
        let text = &bundle.files[0].1;
        assert!(text.starts_with("(the first ") && text.ends_with("\nlast\n"));
        assert!(!text.contains("first\nx"));
        assert_eq!(end_of("short".to_owned(), 5), "short");
        assert!(end_of("äääb".to_owned(), 2).ends_with("\nb"));
    }

    #[test]
    fn what_is_beyond_the_limits_is_counted() {
        let many = (0..FILES + 3).map(|number| (format!("{number}.log"), "x".to_owned()));
        let bundle = LogBundle::of(many);
        assert_eq!(bundle.files.len(), FILES + 1);
        assert!(bundle.files[FILES].1.starts_with("3 further"));
        let big = (0..20).map(|number| (format!("{number}.log"), "x".repeat(FILE)));
        assert_eq!(LogBundle::of(big).files.len(), ALL / FILE + 1);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_left_out() {
        let names = [
            "a/b.log", "../a", "/etc/x", "a/../b", ".git/x", "a//b", "", "a b", "ok.txt",
        ];
        let bundle = LogBundle {
            files: names
                .iter()
                .map(|name| ((*name).to_owned(), String::new()))
                .collect(),
        };
        let plain: Vec<&str> = bundle.safe_files().map(|(path, _)| path).collect();
        assert_eq!(plain, ["a/b.log", "ok.txt"]);
    }
}
