//! Words whose value is only partly known.
//!
//! A word is a plain string in which a few private characters stand for what the text alone does not tell.
//! Input that already contains such a character is refused before anything is read, so a mark in a word was
//! always put there by the reader of the command.

/// Any text at all.
pub(super) const UNKNOWN: char = '\u{F0000}';
/// Any text inside one path component: the result of a pattern, or of a program that prints names.
pub(super) const NAME: char = '\u{F0001}';
/// The value of a variable that the command itself never set.
pub(super) const INHERITED: char = '\u{F0002}';
/// One character of a pattern.
pub(super) const ANY_CHAR: char = '\u{F0003}';
/// The start of a set of characters in a pattern.
pub(super) const SET: char = '\u{F0004}';

/// A name that nothing had before: what `mktemp` makes up.
pub(super) const FRESH: char = '\u{F0005}';

/// Stands behind [`INHERITED`] where the name of the variable says that its value is a key or a password.
pub(super) const SECRET: char = '\u{F0006}';

/// Stands behind [`UNKNOWN`] where the text is what a source of the project says that the command did not write: nobody knows it, and whoever
/// runs the project runs it anyway.
pub(super) const OWN: char = '\u{F0007}';

/// Such a text.
pub(super) const OWN_TEXT: &str = "\u{F0000}\u{F0007}";

/// Returns a text without what sources of the project say. Where the rest opens a comment or a text over lines, that may end in what is cut
/// out, so nothing is.
pub(super) fn without_own(text: &str) -> String {
    const OPENS: [&str; 9] = [
        "/*", "*/", "\"\"\"", "'''", "`", "r#", "=begin", "<<", "__END__",
    ];
    let rest = text.replace(OWN_TEXT, "");
    if OPENS.iter().any(|mark| rest.contains(mark)) {
        return text.to_owned();
    }
    rest
}

/// Returns whether `c` is one of the marks.
pub(super) const fn is_mark(c: char) -> bool {
    matches!(c, '\u{F0000}'..='\u{F0007}')
}

/// Returns whether the text holds any mark, that is, whether it is not fully known.
pub(super) fn is_vague(text: &str) -> bool {
    text.contains(is_mark)
}

/// Returns whether parts of the text are unknown altogether, patterns and names aside.
pub(super) fn is_unknown(text: &str) -> bool {
    text.contains([UNKNOWN, INHERITED, OWN])
}

/// Returns the text as a person may read it, marks written as shell wildcards.
pub(super) fn readable(text: &str) -> String {
    if !is_vague(text) {
        return text.to_owned();
    }
    text.chars()
        .filter(|c| ![SECRET, OWN].contains(c))
        .map(|c| match c {
            UNKNOWN | INHERITED => '\u{2026}',
            NAME | FRESH => '*',
            ANY_CHAR => '?',
            SET => '[',
            other => other,
        })
        .collect()
}

/// Returns the text without any mark.
pub(super) fn stripped(text: &str) -> String {
    text.chars().filter(|c| !is_mark(*c)).collect()
}

/// Returns the last component of a path written with either slash.
pub(super) fn base_name(path: &str) -> &str {
    path.trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(path)
}

/// Returns whether a word stands in a list, whose words have blanks or ends of lines between them.
pub(super) fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|own| own == word)
}

/// Returns whether `option` is `--name`, `--name=value`, or an unambiguous beginning of it.
pub(super) fn is_long(option: &str, name: &str) -> bool {
    let Some(word) = option.strip_prefix("--") else {
        return false;
    };
    let word = word.split_once('=').map_or(word, |(head, _)| head);
    word.len() >= 2 && name.starts_with(word)
}

/// Returns whether any argument is the option, in its long form or among clustered short letters.
pub(super) fn has_option(args: &[String], letters: &str, names: &[&str]) -> bool {
    args.iter().take_while(|arg| *arg != "--").any(|arg| {
        if arg.starts_with("--") {
            names.iter().any(|name| is_long(arg, name))
        } else {
            arg.strip_prefix('-')
                .is_some_and(|cluster| cluster.contains(|c| letters.contains(c)))
        }
    })
}

/// Reads a text character by character; every step is total.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextScanner<'a> {
    rest: &'a str,
}

impl<'a> TextScanner<'a> {
    /// Starts at the beginning of `text`.
    pub(super) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// Returns what has not been read.
    pub(super) const fn rest(&self) -> &'a str {
        self.rest
    }

    /// Returns the next character without reading it.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Reads one character.
    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or("");
        Some(c)
    }

    /// Reads `text` if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads as long as the characters fit.
    pub(super) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// Reads `bytes` bytes, which have to end between two characters.
    pub(super) fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

/// Returns whether a path fits a glob: `*` and `?` stay inside a component, `**` does not.
///
/// Both sides may hold wildcards (a path can come from a shell pattern); they fit when either covers the other.
pub(super) fn glob_overlaps(glob: &str, path: &str) -> bool {
    if !path.contains(['*', '?']) {
        return glob_fits(glob, path);
    }
    // Most pairs differ in the plain text before the first wildcards or behind the last ones.
    let (left, right) = (edges(glob), edges(path));
    let starts = left.0.starts_with(right.0) || right.0.starts_with(left.0);
    let ends = left.1.ends_with(right.1) || right.1.ends_with(left.1);
    starts && ends && (glob_fits(glob, path) || glob_fits(path, glob))
}

/// Returns whether there is a path that fits both globs. As in a shell, a wildcard of `path` does not stand for a dot in front of a name.
pub(super) fn globs_meet(glob: &str, path: &str) -> bool {
    let (glob, path): (Vec<char>, Vec<char>) = (glob.chars().collect(), path.chars().collect());
    let mut budget = 20_000;
    meet(&glob, &path, true, &mut budget)
}

fn meet(glob: &[char], path: &[char], starts: bool, budget: &mut u32) -> bool {
    *budget = budget.saturating_sub(1);
    if *budget == 0 {
        return true;
    }
    let stars = |text: &[char]| text.iter().take_while(|c| **c == '*').count();
    let (of_glob, of_path) = (stars(glob), stars(path));
    if of_glob > 0 {
        let (_, rest) = glob.split_at(of_glob);
        let ends = rest
            .strip_prefix(&['/'])
            .filter(|_| of_glob > 1 && starts)
            .is_some_and(|behind| meet(behind, path, true, budget));
        let next = path
            .split_first()
            .filter(|(c, _)| of_glob > 1 || **c != '/');
        return ends
            || meet(rest, path, starts, budget)
            || next.is_some_and(|(c, behind)| meet(glob, behind, *c == '/', budget));
    }
    if of_path > 0 {
        let (_, rest) = path.split_at(of_path);
        let next = glob
            .split_first()
            .filter(|(c, _)| (of_path > 1 || **c != '/') && !(starts && **c == '.'));
        return meet(glob, rest, starts, budget)
            || next.is_some_and(|(c, behind)| meet(behind, path, *c == '/', budget));
    }
    match (glob.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((a, glob)), Some((b, path))) => {
            let same = a == b
                || *a == '?' && *b != '/'
                || *b == '?' && *a != '/' && !(starts && *a == '.');
            same && meet(glob, path, *b == '/', budget)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Returns the plain text before the first wildcard and behind the last one.
fn edges(glob: &str) -> (&str, &str) {
    let (first, last) = (glob.find(['*', '?']), glob.rfind(['*', '?']));
    match (first, last) {
        (Some(first), Some(last)) => {
            let behind = glob.get(last + 1..).unwrap_or("");
            // `**/` may stand for nothing at all, its slash included.
            let is_deep = glob.get(..last).is_some_and(|head| head.ends_with('*'));
            let slash = if is_deep { "/" } else { "" };
            let behind = behind.strip_prefix(slash).unwrap_or(behind);
            (glob.get(..first).unwrap_or(""), behind)
        }
        _ => (glob, glob),
    }
}

/// Returns whether `text` fits `glob`.
pub(super) fn glob_fits(glob: &str, text: &str) -> bool {
    let plain = |part: &str| !part.contains(['*', '?']);
    // The shapes that rules are made of need no search.
    if plain(glob) {
        return glob == text;
    }
    if let Some(name) = glob.strip_prefix("**/").filter(|rest| plain(rest)) {
        let head = text.strip_suffix(name);
        return head.is_some_and(|head| head.is_empty() || head.ends_with('/'));
    }
    if let Some(folder) = glob.strip_suffix("/**").filter(|rest| plain(rest)) {
        let rest = text.strip_prefix(folder);
        return rest.is_some_and(|rest| rest.starts_with('/'));
    }
    let mut budget = 4_000;
    fits(glob, text, &mut budget)
}

fn fits(glob: &str, text: &str, budget: &mut u32) -> bool {
    let (mut glob, mut text) = (TextScanner::new(glob), TextScanner::new(text));
    loop {
        *budget = budget.saturating_sub(1);
        if *budget == 0 {
            return false;
        }
        if glob.eat("**") {
            let slash = glob.eat("/");
            return deep(glob.rest(), text, slash, budget);
        }
        if glob.eat("*") {
            return shallow(glob.rest(), text, budget);
        }
        match (glob.bump(), text.bump()) {
            (None, None) => return true,
            (Some('?'), Some(c)) if c != '/' => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

/// Tries every end of a `*`.
fn shallow(glob: &str, mut text: TextScanner<'_>, budget: &mut u32) -> bool {
    loop {
        if fits(glob, text.rest(), budget) {
            return true;
        }
        match text.bump() {
            Some(c) if c != '/' => {}
            _ => return false,
        }
    }
}

/// Tries every end of a `**`; with a slash behind it, only ends between components.
fn deep(glob: &str, mut text: TextScanner<'_>, whole: bool, budget: &mut u32) -> bool {
    let mut between = true;
    loop {
        if (between || !whole) && fits(glob, text.rest(), budget) {
            return true;
        }
        match text.bump() {
            Some(c) => between = c == '/',
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_inside_a_component_and_two_stars_do_not() {
        let cases = [
            ("*.rs", "a.rs", true),
            ("*.rs", "a/b.rs", false),
            ("**/*.rs", "a/b.rs", true),
            ("**/*.rs", "b.rs", true),
            (".git/**", ".git/hooks/x", true),
            (".git/**", ".gitignore", false),
            ("a?c", "abc", true),
        ];
        for (glob, path, wanted) in cases {
            assert_eq!(glob_fits(glob, path), wanted, "{glob} {path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_quick_shapes_say_what_the_search_says(glob in "(\\*\\*/)?[ab/*?]{0,5}(/\\*\\*)?", text in "[ab/]{0,8}") {
            let mut budget = 4_000;
            proptest::prop_assert_eq!(glob_fits(&glob, &text), fits(&glob, &text, &mut budget));
        }

        #[test]
        fn the_edges_rule_nothing_out_that_overlaps(glob in "[ab/*?]{0,6}", path in "[ab/*]{0,8}") {
            let mut budget = [4_000, 4_000];
            let slow = fits(&glob, &path, &mut budget[0])
                || (path.contains('*') && fits(&path, &glob, &mut budget[1]));
            proptest::prop_assert_eq!(glob_overlaps(&glob, &path), slow);
        }
    }

    #[test]
    fn a_beginning_of_a_long_option_counts_as_the_option() {
        assert!(is_long("--har", "hard"));
        assert!(is_long("--filter=x", "filter"));
        assert!(!is_long("--hard", "hash"));
    }

    #[test]
    fn two_patterns_meet_where_a_file_fits_both() {
        let cases = [
            (".ssh/**", ".s*/id_*", true),
            (".ssh/**", ".*/id_*", true),
            (".ssh/**", "*/id_rsa", false),
            (".ssh/**", "projects/*/README.md", false),
            (".aws/credentials", ".a*/c*", true),
            (".aws/credentials", ".a*/x*", false),
            (".config/gh/**", ".config/*/hosts.yml", true),
            ("**/id_rsa", "a/i*", true),
            ("a?c", "a*", true),
            ("a/b", "a*", false),
        ];
        for (glob, path, wanted) in cases {
            assert_eq!(globs_meet(glob, path), wanted, "{glob} {path}");
        }
        assert!(
            globs_meet(&"*a".repeat(40), &"*b".repeat(40)),
            "what takes too long counts"
        );
    }

    #[test]
    fn a_glob_of_many_stars_ends() {
        assert!(!glob_fits(&"*a".repeat(40), &"ab".repeat(200)));
    }
}
