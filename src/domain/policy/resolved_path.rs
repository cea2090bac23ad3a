//! Where a path of a command leads: inside the root, to scratch space, elsewhere, or nobody knows.
//!
//! Paths are put together and shortened as text; symbolic links are followed only through the filesystem view of the
//! [`PolicyContext`]. A folder that is not known makes every relative path unknown.

use std::path::Path;

use crate::domain::policy::{
    PolicyContext,
    partial_text::{ANY_CHAR, FRESH, INHERITED, NAME, SET, UNKNOWN, glob_fits, is_mark, readable},
};

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ResolvedPath {
    /// Below the root; relative, `/` between components, empty for the root itself, wildcards as `*`.
    Inside(String),
    /// In a folder anybody may fill and empty.
    Scratch(String),
    /// A device file without consequences, such as `/dev/null`.
    Device,
    /// Below the home folder, which is outside the root; relative to it.
    Home(String),
    /// Anywhere else, absolute.
    Outside(String),
    /// Not known from the text.
    Unknown(String),
}

impl ResolvedPath {
    /// Returns the path as it is compared with rules; `None` where there is none.
    pub(super) fn path(&self) -> Option<&str> {
        match self {
            Self::Inside(path) | Self::Scratch(path) | Self::Home(path) | Self::Outside(path) => {
                Some(path)
            }
            Self::Device | Self::Unknown(_) => None,
        }
    }

    /// Returns the path as a person may read it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Inside(path) if path.is_empty() => "the root".to_owned(),
            Self::Inside(path) | Self::Scratch(path) | Self::Outside(path) => path.clone(),
            Self::Device => "a device".to_owned(),
            Self::Home(path) => format!("~/{path}"),
            Self::Unknown(path) => format!("`{path}`, which is not known from the text"),
        }
    }
}

/// The home folder where its real path is not known.
pub(super) const UNKNOWN_HOME: &str = "/home/~";

/// Returns the home folder as a word.
pub(super) fn home(world: &PolicyContext) -> String {
    let known = world.home.as_deref().filter(|home| home.has_root());
    known.map_or_else(|| UNKNOWN_HOME.to_owned(), slashed)
}

/// Returns a path with `/` between components.
pub(super) fn slashed(path: &Path) -> String {
    let text = path.to_string_lossy();
    if cfg!(windows) {
        text.replace('\\', "/")
    } else {
        text.into_owned()
    }
}

/// Returns whether a path is a folder or lies below it; both are absolute.
pub(super) fn lies_in(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the absolute path that `word` means in `folder`, shortened; `None` when that is not known.
pub(super) fn absolute(word: &str, folder: Option<&str>) -> Option<String> {
    if word.starts_with([UNKNOWN, INHERITED]) {
        return None;
    }
    if word.starts_with('/') || has_drive(word) {
        return Some(shortened(word));
    }
    folder.map(|folder| shortened(&format!("{folder}/{word}")))
}

/// Returns whether the path starts with a drive letter.
pub(super) fn has_drive(path: &str) -> bool {
    let mut chars = path.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':')
}

/// Takes `.` and `..` out of an absolute path.
fn shortened(path: &str) -> String {
    if !path.contains("//") && !path.contains("/.") && !path.ends_with('/') {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    let drive = parts.first().is_some_and(|part| has_drive(part));
    let joined = parts.join("/");
    if drive { joined } else { format!("/{joined}") }
}

/// Finds out where an absolute path leads.
pub(super) fn place(path: &str, world: &PolicyContext) -> ResolvedPath {
    let seen = followed(path, world);
    seated(seen.as_deref().unwrap_or(path), world)
}

/// Finds out where an entry of a folder is: a link at the end of the path is not followed.
pub(super) fn resolve_entry(path: &str, world: &PolicyContext) -> ResolvedPath {
    let seen = path
        .rsplit_once('/')
        .filter(|(folder, _)| !folder.is_empty())
        .and_then(|(folder, name)| {
            followed(folder, world).map(|folder| format!("{folder}/{name}"))
        });
    seated(seen.as_deref().unwrap_or(path), world)
}

fn seated(path: &str, world: &PolicyContext) -> ResolvedPath {
    let roots = spellings(slashed(&world.root), world);
    if let Some(inside) = roots.iter().find_map(|root| below(path, root)) {
        return ResolvedPath::Inside(globbed(inside));
    }
    if is_device(path) {
        return ResolvedPath::Device;
    }
    if roots.iter().any(|root| may_hold(path, root)) {
        return seated_apart(path, world);
    }
    let homes = spellings(home(world), world);
    // What belongs to the account stays that, also where its home lies in a folder that anybody may fill.
    if let Some(own) = homes.iter().find_map(|home| owned(path, home, world)) {
        return ResolvedPath::Home(globbed(own));
    }
    if is_scratch(path, world) {
        return ResolvedPath::Scratch(globbed(path));
    }
    seated_apart(path, world)
}

/// Seats what lies outside the root and is no scratch.
fn seated_apart(path: &str, world: &PolicyContext) -> ResolvedPath {
    match below(path, &home(world)).filter(|inside| is_own(inside) || !is_wide(&home(world), world))
    {
        Some(inside) => ResolvedPath::Home(globbed(inside)),
        None => ResolvedPath::Outside(globbed(path)),
    }
}

/// Returns a folder as it is written and, where that is another path, as it really is.
fn spellings(folder: String, world: &PolicyContext) -> Vec<String> {
    let real = real(&folder, world).filter(|real| *real != folder);
    [Some(folder), real].into_iter().flatten().collect()
}

fn is_scratch(path: &str, world: &PolicyContext) -> bool {
    let mut folders = world.scratch.iter().map(|folder| slashed(folder));
    folders.any(|folder| below(path, &folder).is_some_and(|rest| !is_whole_folder(rest)))
}

/// Returns the part of a path below the home folder, where that decides about it before scratch does.
fn owned<'a>(path: &'a str, home: &str, world: &PolicyContext) -> Option<&'a str> {
    let inside = below(path, home)?;
    (is_own(inside) || !is_wide(home, world)).then_some(inside)
}

/// Returns whether the home folder is, or holds, a folder that anybody may fill, so that not all of it is the account's.
fn is_wide(home: &str, world: &PolicyContext) -> bool {
    let mut folders = world.scratch.iter().map(|folder| slashed(folder));
    home == "/" || folders.any(|folder| below(&folder, home).is_some())
}

/// Returns whether a path below a home folder is the account's own wherever that is: all of it, and its hidden files.
fn is_own(inside: &str) -> bool {
    inside.starts_with('.') || is_whole_folder(inside)
}

/// Returns whether a path may be a folder that holds the root. Names that nothing had before are none of them.
fn may_hold(path: &str, root: &str) -> bool {
    let path = path.trim_end_matches('/');
    if path.contains(FRESH) {
        return false;
    }
    if !path.contains(is_mark) {
        return below(root, path).is_some();
    }
    let glob = globbed(path);
    let mut folder = root;
    while let Some((parent, _)) = folder.rsplit_once('/') {
        if glob_fits(&glob, parent) {
            return true;
        }
        folder = parent;
    }
    glob_fits(&glob, root)
}

/// Returns whether a relative path means everything in the folder it starts from.
pub(super) fn is_whole_folder(path: &str) -> bool {
    matches!(path, "" | "*" | ".*" | "**" | ".[!.]*" | ".?*" | "..?*")
        || path.chars().all(|c| c == NAME)
}

fn real(path: &str, world: &PolicyContext) -> Option<String> {
    let eyes = world.eyes.as_ref()?;
    eyes.real_path(Path::new(path)).map(|path| slashed(&path))
}

/// Follows the links of the known part of a path.
fn followed(path: &str, world: &PolicyContext) -> Option<String> {
    world.eyes.as_ref()?;
    let known = path.split(is_mark).next().unwrap_or(path);
    let folder = if known.len() == path.len() {
        known
    } else {
        known.rsplit_once('/').map_or("/", |(head, _)| head)
    };
    let rest = path.get(folder.len()..).unwrap_or("");
    Some(format!("{}{rest}", real(folder, world)?))
}

/// Returns the part of `path` below `folder`, if it is below.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let folder = folder.trim_end_matches('/');
    let (head, rest) = path.split_at_checked(folder.len())?;
    let same = if has_drive(folder) {
        head.eq_ignore_ascii_case(folder)
    } else {
        head == folder
    };
    if !same {
        return None;
    }
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('/')
    }
}

/// Writes marks as wildcards; several that stay inside one name are one.
fn globbed(path: &str) -> String {
    let mut glob = String::with_capacity(path.len());
    let mut inside_name = false;
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        if c == SET
            && let Some(end) = end_of_set(chars.as_str())
        {
            glob.push('?');
            chars = chars.as_str().get(end..).unwrap_or("").chars();
            inside_name = false;
            continue;
        }
        let is_name = matches!(c, NAME | ANY_CHAR | SET | FRESH);
        if !(is_name && inside_name) {
            glob.push(if is_mark(c) { '*' } else { c });
        }
        inside_name = is_name;
    }
    glob
}

/// Returns where a set ends that begins in front of a text; `None` where it has no end in this component.
fn end_of_set(rest: &str) -> Option<usize> {
    let mut inside = rest
        .char_indices()
        .skip_while(|(_, c)| matches!(c, '!' | '^'));
    // A bracket that comes first is one of the set.
    let (first, _) = inside.nth(1)?;
    let end = rest.get(first..)?.find(']')? + first;
    let is_one_name = !rest.get(..end)?.contains('/');
    is_one_name.then_some(end + 1)
}

fn is_device(path: &str) -> bool {
    const HARMLESS: [&str; 9] = [
        "/dev/null",
        "/dev/zero",
        "/dev/stdin",
        "/dev/stdout",
        "/dev/stderr",
        "/dev/tty",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
    ];
    HARMLESS.contains(&path) || path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/")
}

/// Finds out where a word leads that a command uses as a path.
pub(super) fn resolve_word(
    word: &str,
    folder: Option<&str>,
    world: &PolicyContext,
) -> ResolvedPath {
    absolute(word, folder).map_or_else(
        || ResolvedPath::Unknown(readable(word)),
        |path| place(&path, world),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_one_character_of_a_name() {
        for (text, glob) in [
            ("a[0-9]b", "a?b"),
            (".[!.]*", ".?*"),
            ("x[]a]y/z[q", "x?y/z*q"),
            ("[a/b]", "*a/b]"),
        ] {
            let marked: String = text
                .chars()
                .map(|c| match c {
                    '[' => SET,
                    '*' => NAME,
                    c => c,
                })
                .collect();
            assert_eq!(globbed(&marked), glob, "{text}");
        }
    }

    fn at_home(home: Option<&str>, path: &str) -> ResolvedPath {
        let world = PolicyContext {
            home: home.map(Into::into),
            ..PolicyContext::unattended("/tmp/place/job")
        };
        place(path, &world)
    }

    #[test]
    fn a_home_below_scratch_stays_the_account_s() {
        let home = Some("/tmp/x");
        for inside in [".ssh/id_rsa", ".bashrc", "notes", ""] {
            let path = format!("/tmp/x/{inside}");
            let path = path.trim_end_matches('/');
            assert_eq!(at_home(home, path), ResolvedPath::Home(inside.into()));
        }
        assert_eq!(
            at_home(home, "/tmp/y"),
            ResolvedPath::Scratch("/tmp/y".into())
        );
    }

    #[test]
    fn where_home_is_scratch_its_hidden_files_are_the_account_s() {
        let home = Some("/tmp");
        let ssh = ResolvedPath::Home(".ssh/id_rsa".into());
        assert_eq!(at_home(home, "/tmp/.ssh/id_rsa"), ssh);
        assert_eq!(at_home(home, "/tmp"), ResolvedPath::Home(String::new()));
        let all = format!("/tmp/{NAME}");
        assert!(!matches!(at_home(home, &all), ResolvedPath::Scratch(_)));
        assert_eq!(
            at_home(home, "/tmp/y"),
            ResolvedPath::Scratch("/tmp/y".into())
        );
    }

    #[test]
    fn where_home_is_everything_the_system_stays_outside() {
        let home = Some("/");
        let aws = ResolvedPath::Home(".aws/credentials".into());
        assert_eq!(at_home(home, "/.aws/credentials"), aws);
        let shadow = ResolvedPath::Outside("/etc/shadow".into());
        assert_eq!(at_home(home, "/etc/shadow"), shadow);
        assert_eq!(at_home(home, "/"), ResolvedPath::Home(String::new()));
        assert_eq!(
            at_home(home, "/tmp/y"),
            ResolvedPath::Scratch("/tmp/y".into())
        );
    }

    #[test]
    fn a_home_that_is_not_known_leaves_scratch_as_it_is() {
        for home in [None, Some(""), Some("x")] {
            assert_eq!(
                at_home(home, "/tmp/y"),
                ResolvedPath::Scratch("/tmp/y".into())
            );
            assert_eq!(
                at_home(home, "/etc/x"),
                ResolvedPath::Outside("/etc/x".into())
            );
        }
    }

    #[test]
    fn the_folders_that_hold_the_root_are_no_scratch() {
        let held = |path: &str| at_home(None, path);
        assert_eq!(
            held("/tmp/place"),
            ResolvedPath::Outside("/tmp/place".into())
        );
        assert_eq!(
            held(&format!("/tmp/p{NAME}")),
            ResolvedPath::Outside("/tmp/p*".into())
        );
        assert_eq!(
            held("/tmp/place/b"),
            ResolvedPath::Scratch("/tmp/place/b".into())
        );
        let fresh = format!("/tmp/{FRESH}");
        assert_eq!(held(&fresh), ResolvedPath::Scratch("/tmp/*".into()));
        assert_eq!(held("/tmp/place/job/x"), ResolvedPath::Inside("x".into()));
    }

    fn led(word: &str) -> ResolvedPath {
        let world = PolicyContext::unattended("/srv/job");
        resolve_word(word, Some("/srv/job/sub"), &world)
    }

    #[test]
    fn paths_are_put_together_and_shortened_before_they_are_placed() {
        assert_eq!(led("x/../y"), ResolvedPath::Inside("sub/y".into()));
        assert_eq!(
            led("../../other/x"),
            ResolvedPath::Outside("/srv/other/x".into())
        );
        assert_eq!(
            led("/srv/job/../jobs"),
            ResolvedPath::Outside("/srv/jobs".into())
        );
        assert_eq!(led("/tmp/x"), ResolvedPath::Scratch("/tmp/x".into()));
        assert_eq!(led("/tmp"), ResolvedPath::Outside("/tmp".into()));
        assert_eq!(led("/dev/null"), ResolvedPath::Device);
        assert_eq!(led(".."), ResolvedPath::Inside(String::new()));
    }

    #[test]
    fn a_path_that_starts_unknown_is_unknown() {
        assert_eq!(
            led(&format!("{UNKNOWN}/x")),
            ResolvedPath::Unknown("\u{2026}/x".into())
        );
    }
}
