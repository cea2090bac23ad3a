//! Areas: do two sets of path patterns name a common file?
//!
//! Patterns know `*` and `?` within a name, and `**` for any number of folders. `src/a` and `src/a/` mean everything below,
//! too; `src/a.rs` is a file. The answer is exact for these patterns; what is written otherwise (`[…]`, `{…}`) counts as any text.

/// Returns the first pair of patterns that can name the same file.
pub fn overlap<'a>(one: &'a [String], other: &'a [String]) -> Option<(&'a str, &'a str)> {
    one.iter().find_map(|a| {
        let b = other.iter().find(|b| patterns_overlap(a, b))?;
        Some((a.as_str(), b.as_str()))
    })
}

/// Returns whether two patterns can name the same file.
pub fn patterns_overlap(one: &str, other: &str) -> bool {
    !begins_differ(one, other) && meet(&segments(one), &segments(other))
}

/// Returns whether two patterns part before either says anything but a name; most pairs do, and need no table.
fn begins_differ(one: &str, other: &str) -> bool {
    let mut pairs = names(one).zip(names(other));
    let parted = pairs.find_map(|(a, b)| {
        let special = ['*', '?', '[', '{', '\\', '!'];
        if a.contains(special) || b.contains(special) {
            return Some(false);
        }
        (a != b).then_some(true)
    });
    parted.unwrap_or_default()
}

fn names(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter(|name| !matches!(*name, "" | "."))
}

/// Returns whether every file that `narrow` names is one that `wide` names, as far as their words show it.
pub fn covers(wide: &str, narrow: &str) -> bool {
    let (wide, narrow) = (segments(wide), segments(narrow));
    table(wide.len(), narrow.len(), |i, j, at| {
        let (a, b) = (wide.get(i), narrow.get(j));
        match (a, b) {
            (None, None) => true,
            (Some(a), _) if a == "**" => at(i + 1, j) || (b.is_some() && at(i, j + 1)),
            (_, Some(b)) if b == "**" => false,
            (Some(a), Some(b)) => {
                let is_open = b.contains(['*', '?']);
                let holds = a == b || a == "*" || (!is_open && names_meet(a, b));
                holds && at(i + 1, j + 1)
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    })
}

fn segments(pattern: &str) -> Vec<String> {
    let mut names: Vec<String> = names(pattern).map(plain).collect();
    // What has an extension is a file, and anything else stands for what lies below it, too.
    let is_file = names
        .last()
        .is_some_and(|name| name.trim_start_matches('.').contains('.'));
    if !is_file || pattern.ends_with('/') {
        names.push("**".to_owned());
    }
    names
}

/// Turns what is not understood into any text, so that an overlap is rather seen than missed.
fn plain(name: &str) -> String {
    if name.contains(['[', '{', '\\', '!']) {
        "*".to_owned()
    } else {
        name.to_owned()
    }
}

/// Meets pattern with pattern by a table: cell `(i, j)` says whether the rests from there on have a path in common.
fn meet(one: &[String], other: &[String]) -> bool {
    table(one.len(), other.len(), |i, j, at| {
        let (a, b) = (one.get(i), other.get(j));
        match (a, b) {
            (None, None) => true,
            (Some(a), _) if a == "**" => at(i + 1, j) || (b.is_some() && at(i, j + 1)),
            (_, Some(b)) if b == "**" => at(i, j + 1) || (a.is_some() && at(i + 1, j)),
            (Some(a), Some(b)) => names_meet(a, b) && at(i + 1, j + 1),
            (None, Some(_)) | (Some(_), None) => false,
        }
    })
}

fn names_meet(one: &str, other: &str) -> bool {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    table(one.len(), other.len(), |i, j, at| {
        match (one.get(i), other.get(j)) {
            (None, None) => true,
            (Some('*'), b) => at(i + 1, j) || (b.is_some() && at(i, j + 1)),
            (a, Some('*')) => at(i, j + 1) || (a.is_some() && at(i + 1, j)),
            (Some('?'), Some(_)) | (Some(_), Some('?')) => at(i + 1, j + 1),
            (Some(a), Some(b)) => a == b && at(i + 1, j + 1),
            (None, Some(_)) | (Some(_), None) => false,
        }
    })
}

/// Fills a table from its far corner and returns its first cell.
fn table(
    rows: usize,
    columns: usize,
    cell: impl Fn(usize, usize, &dyn Fn(usize, usize) -> bool) -> bool,
) -> bool {
    let width = columns + 1;
    let mut cells = vec![false; (rows + 1) * width];
    for i in (0..=rows).rev() {
        for j in (0..=columns).rev() {
            let at = |i: usize, j: usize| {
                i <= rows && j <= columns && cells.get(i * width + j).copied().unwrap_or_default()
            };
            let value = cell(i, j, &at);
            if let Some(slot) = cells.get_mut(i * width + j) {
                *slot = value;
            }
        }
    }
    cells.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_overlap_when_one_file_fits_both() {
        for (one, other, expected) in [
            ("src/a/**", "src/b/**", false),
            ("src/a/**", "src/**", true),
            ("src/**", "src/a/b/c.rs", true),
            ("**", "anything/at/all", true),
            ("src/*.rs", "src/lib.rs", true),
            ("src/*.rs", "src/lib.ts", false),
            ("src/*.rs", "src/deep/lib.rs", false),
            ("**/lib.rs", "src/deep/lib.rs", true),
            ("**/lib.rs", "src/deep/main.rs", false),
            ("src/a", "src/a/x.rs", true),
            ("src/a/", "src/ab/x.rs", false),
            ("src/a?c", "src/abc", true),
            ("src/a*z/q", "src/*bz/q", true),
            ("./src//a", "src/a", true),
            ("shared/types.ts", "shared/types.ts", true),
            ("src/[ab].rs", "src/a.rs", true),
            ("docs", "src", false),
        ] {
            assert_eq!(patterns_overlap(one, other), expected, "{one} and {other}");
            assert_eq!(patterns_overlap(other, one), expected, "{other} and {one}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_names_whole() {
        for (wide, narrow, yes) in [
            ("src/**", "src/a/b.rs", true),
            ("src", "src/**", true),
            ("src/*", "src/a.rs", true),
            ("src/*.rs", "src/*.rs", true),
            ("**", "src/**", true),
            ("src/*.rs", "src/*", false),
            ("src/a/**", "src/**", false),
            ("src/a.rs", "src/b.rs", false),
            ("docs", "src/**", false),
            ("src/?.rs", "src/ab.rs", false),
        ] {
            assert_eq!(covers(wide, narrow), yes, "{wide} {narrow}");
        }
    }
}
