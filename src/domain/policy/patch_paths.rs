//! Which files a patch is about: the names in its headers. What stands in its body is text like any other.
//!
//! Danger: a name that is missed is a file that nobody looks at. So every header counts that git or `patch` may take a name from,
//! and lines of a body count only as long as the header of that part says there are some.

use crate::domain::policy::partial_text::is_mark;

/// What stands for a file that is not there.
const NOTHING: &str = "/dev/null";
/// Lines of a header that name a file.
const NAMES: [&str; 8] = [
    "--- ",
    "+++ ",
    "*** ",
    "rename from ",
    "rename to ",
    "copy from ",
    "copy to ",
    "Index: ",
];
/// How the body of a mail may be written so that a patch in it cannot be read as it stands.
const ENCODED: [&str; 2] = ["base64", "quoted-printable"];

/// How much in front of each name is taken off before the file is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchStrip {
    /// So many folders.
    Folders(usize),
    /// What git does by itself: one folder, or none where the patch has none to take off.
    AsGit,
    /// What `patch` does by itself: it looks for the file under several names.
    AsPatch,
}

/// Returns the files that a patch may be about, as they are looked for; `None` where its text is not fully known.
pub fn patch_paths(patch: &str, strip: PatchStrip) -> Option<Vec<String>> {
    if patch.contains(is_mark) || is_encoded(patch) {
        return None;
    }
    let mut paths: Vec<String> = Vec::new();
    for name in names(patch) {
        for path in stripped(&name, strip) {
            if !path.is_empty() && !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    Some(paths)
}

/// Returns how many folders the options of `git apply` or `patch` take off.
pub fn strip_of<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<usize> {
    let mut found = None;
    while let Some(word) = words.next() {
        let value = match word {
            "-p" | "--strip" => words.next(),
            _ => word
                .strip_prefix("-p")
                .or_else(|| word.strip_prefix("--strip=")),
        };
        found = value.and_then(|value| value.parse().ok()).or(found);
    }
    found
}

/// Returns whether a patch lies in a mail that is written in another way than it reads.
fn is_encoded(patch: &str) -> bool {
    patch.lines().any(|line| {
        let line = line.to_ascii_lowercase();
        let encoding = line.strip_prefix("content-transfer-encoding:");
        encoding.is_some_and(|encoding| ENCODED.contains(&encoding.trim()))
    })
}

/// Returns the names in the headers of a patch, quoted ones as they are meant.
fn names(patch: &str) -> Vec<String> {
    let mut names = Vec::new();
    // How many lines of the body are still to come on either side.
    let (mut old, mut new) = (0_usize, 0_usize);
    for line in patch.lines() {
        if old > 0 || new > 0 {
            let sides = match line.chars().next() {
                None | Some(' ') => (1, 1),
                Some('-') => (1, 0),
                Some('+') => (0, 1),
                Some('\\') => (0, 0),
                // What cannot be of a body ends it.
                Some(_) => (old, new),
            };
            (old, new) = (old.saturating_sub(sides.0), new.saturating_sub(sides.1));
            if line.starts_with([' ', '-', '+', '\\']) || line.is_empty() {
                continue;
            }
        }
        if let Some(counts) = line.strip_prefix("@@ -") {
            (old, new) = body_lines(counts);
        } else if let Some(pair) = line.strip_prefix("diff --git ") {
            names.extend(both_names(pair));
        } else {
            let header = line.trim_start();
            let rest = NAMES.iter().find_map(|start| header.strip_prefix(start));
            names.extend(rest.map(one_name));
        }
    }
    names.retain(|name| name != NOTHING);
    names
}

/// Returns how many lines of either side follow, by what stands behind `@@ -`.
fn body_lines(counts: &str) -> (usize, usize) {
    let mut sides = counts.split(' ').take(2).map(|side| {
        let count = side.split_once(',').map_or("1", |(_, count)| count);
        count.parse::<usize>().unwrap_or(0)
    });
    (sides.next().unwrap_or(0), sides.next().unwrap_or(0))
}

/// Returns the name in a line of a header; behind a tab stands when the file was changed.
fn one_name(rest: &str) -> String {
    let rest = rest.trim_end_matches('\r');
    if let Some((name, _)) = quoted(rest) {
        return name;
    }
    rest.split('\t')
        .next()
        .unwrap_or(rest)
        .trim_end()
        .to_owned()
}

/// Returns the two names behind `diff --git`. Without quotation marks a blank may be part of either, so every way to part them counts.
fn both_names(pair: &str) -> Vec<String> {
    if let Some((first, rest)) = quoted(pair) {
        return vec![first, one_name(rest.trim_start())];
    }
    let blanks = pair.match_indices(' ').take(16);
    let parts = blanks.filter_map(|(at, _)| Some((pair.get(..at)?, pair.get(at + 1..)?)));
    parts
        .flat_map(|(first, second)| [first.to_owned(), one_name(second)])
        .collect()
}

/// Reads a name in quotation marks; returns it and what stands behind.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let c = rest.chars().next()?;
        rest = rest.get(c.len_utf8()..)?;
        match c {
            '"' => break,
            '\\' => rest = escaped(rest, &mut bytes)?,
            other => bytes.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Some((String::from_utf8_lossy(&bytes).into_owned(), rest))
}

/// Reads what stands behind a backslash; returns what follows it.
fn escaped<'a>(rest: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let digits = rest.get(..3).unwrap_or("");
    if let Ok(byte) = u8::from_str_radix(digits, 8) {
        bytes.push(byte);
        return rest.get(3..);
    }
    let c = rest.chars().next()?;
    let byte = match c {
        'a' => 7,
        'b' => 8,
        't' => b'\t',
        'n' => b'\n',
        'v' => 11,
        'f' => 12,
        'r' => b'\r',
        other => u8::try_from(other).unwrap_or(b'?'),
    };
    bytes.push(byte);
    rest.get(c.len_utf8()..)
}

/// Returns the paths under which a name is looked for.
fn stripped(name: &str, strip: PatchStrip) -> Vec<String> {
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    let absolute = name.starts_with('/');
    let without = |folders: usize| {
        let rest = parts.get(folders.min(parts.len().saturating_sub(1))..);
        let path = rest.unwrap_or_default().join("/");
        if absolute && folders == 0 {
            format!("/{path}")
        } else {
            path
        }
    };
    match strip {
        PatchStrip::Folders(folders) => vec![without(folders)],
        PatchStrip::AsGit => vec![without(1), without(0)],
        PatchStrip::AsPatch => vec![without(1), without(0), without(usize::MAX)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(patch: &str) -> Vec<String> {
        patch_paths(patch, PatchStrip::Folders(1)).unwrap()
    }

    #[test]
    fn every_header_that_names_a_file_is_read() {
        for patch in [
            "--- a/x\n+++ b/.tos/guard.toml\n",
            "--- a/.tos/guard.toml\t2026-01-01\n+++ /dev/null\n",
            "diff --git a/.tos/guard.toml b/.tos/guard.toml\ndeleted file mode 100644\n",
            "diff --git a/x b/.tos/guard.toml\nsimilarity index 100%\nrename from x\nrename to .tos/guard.toml\n",
            "diff --git \"a/.tos/guard.toml\" \"b/\\056tos/guard.toml\"\n",
            "+++ \"b/\\056tos/gu\\141rd.toml\"\n",
            "+++ b/.tos//guard.toml\r\n",
            "Index: a/.tos/guard.toml\n",
            "*** a/.tos/guard.toml\n--- b/.tos/guard.toml\n***************\n",
            "From: x\nSubject: y\n\n---\n  --- a/.tos/guard.toml\n",
            "@@ -1,1 +1,1 @@\n-a\n+b\n+++ b/.tos/guard.toml\n",
            "@@ -1,9 +1,9 @@\n a\ndiff --git a/x b/.tos/guard.toml\n",
        ] {
            assert!(
                git(patch).contains(&".tos/guard.toml".to_owned()),
                "{patch}"
            );
        }
    }

    #[test]
    fn what_a_patch_says_in_its_body_is_no_name() {
        let patch = "diff --git a/doc.md b/doc.md\n--- a/doc.md\n+++ b/doc.md\n@@ -1,2 +1,4 @@\n about .tos/guard.toml\n\
            +++ b/.tos/guard.toml\n+rename to .git/hooks/pre-commit\n--- a/.github/workflows/ci.yml\n+done\n";
        assert_eq!(git(patch), ["doc.md"]);
    }

    #[test]
    fn as_much_is_taken_off_as_the_options_say() {
        let patch = "+++ b/one/two\n";
        let paths = |strip| patch_paths(patch, strip).unwrap();
        assert_eq!(paths(PatchStrip::Folders(0)), ["b/one/two"]);
        assert_eq!(paths(PatchStrip::Folders(2)), ["two"]);
        assert_eq!(paths(PatchStrip::AsGit), ["one/two", "b/one/two"]);
        assert_eq!(paths(PatchStrip::AsPatch), ["one/two", "b/one/two", "two"]);
        assert_eq!(strip_of(["apply", "-p2"].into_iter()), Some(2));
        assert_eq!(strip_of(["--strip", "0", "x"].into_iter()), Some(0));
        assert_eq!(strip_of(["-p", "3"].into_iter()), Some(3));
        assert_eq!(strip_of(["--stat"].into_iter()), None);
    }

    #[test]
    fn a_patch_that_cannot_be_read_is_none() {
        let mail = "Content-Transfer-Encoding: base64\n\nLS0t\n";
        assert_eq!(patch_paths(mail, PatchStrip::AsGit), None);
        let vague = "+++ b/\u{F0000}\n";
        assert_eq!(patch_paths(vague, PatchStrip::AsGit), None);
    }
}
