//! Where a path of a command leads: inside the root, to scratch space, elsewhere, or nobody knows.
//!
//! Paths are put together and shortened as text; symbolic links are followed only through the eyes of the
//! [`World`]. A folder that is not known makes every relative path unknown.

use std::path::Path;

use crate::domain::policy::{
    World,
    text::{ANY_CHAR, INHERITED, NAME, SET, UNKNOWN, is_mark, readable},
};

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
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

impl Place {
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
pub(super) const SOME_HOME: &str = "/home/~";

/// Returns the home folder as a word.
pub(super) fn home(world: &World) -> String {
    world
        .home
        .as_deref()
        .map_or_else(|| SOME_HOME.to_owned(), slashed)
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
pub(super) fn place(path: &str, world: &World) -> Place {
    let seen = followed(path, world);
    seated(seen.as_deref().unwrap_or(path), world)
}

/// Finds out where an entry of a folder is: a link at the end of the path is not followed.
pub(super) fn entry(path: &str, world: &World) -> Place {
    let seen = path
        .rsplit_once('/')
        .filter(|(folder, _)| !folder.is_empty())
        .and_then(|(folder, name)| {
            followed(folder, world).map(|folder| format!("{folder}/{name}"))
        });
    seated(seen.as_deref().unwrap_or(path), world)
}

fn seated(path: &str, world: &World) -> Place {
    let root = slashed(&world.root);
    if let Some(inside) = below(path, &root) {
        return Place::Inside(globbed(inside));
    }
    let real_root = real(&root, world).filter(|real| *real != root);
    if let Some(inside) = real_root.as_deref().and_then(|root| below(path, root)) {
        return Place::Inside(globbed(inside));
    }
    if is_device(path) {
        return Place::Device;
    }
    if world
        .scratch
        .iter()
        .any(|folder| below(path, &slashed(folder)).is_some_and(|rest| !is_all(rest)))
    {
        return Place::Scratch(globbed(path));
    }
    match below(path, &home(world)) {
        Some(inside) => Place::Home(globbed(inside)),
        None => Place::Outside(globbed(path)),
    }
}

/// Returns whether a relative path means everything in the folder it starts from.
pub(super) fn is_all(path: &str) -> bool {
    matches!(path, "" | "*" | ".*" | "**" | ".[!.]*" | "..?*") || path.chars().all(|c| c == NAME)
}

fn real(path: &str, world: &World) -> Option<String> {
    let eyes = world.eyes.as_ref()?;
    eyes.real_path(Path::new(path)).map(|path| slashed(&path))
}

/// Follows the links of the known part of a path.
fn followed(path: &str, world: &World) -> Option<String> {
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
    for c in path.chars() {
        let is_name = matches!(c, NAME | ANY_CHAR | SET);
        if !(is_name && inside_name) {
            glob.push(if is_mark(c) { '*' } else { c });
        }
        inside_name = is_name;
    }
    glob
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
pub(super) fn place_of(word: &str, folder: Option<&str>, world: &World) -> Place {
    absolute(word, folder).map_or_else(
        || Place::Unknown(readable(word)),
        |path| place(&path, world),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(word: &str) -> Place {
        let world = World::unattended("/srv/job");
        place_of(word, Some("/srv/job/sub"), &world)
    }

    #[test]
    fn paths_are_put_together_and_shortened_before_they_are_placed() {
        assert_eq!(led("x/../y"), Place::Inside("sub/y".into()));
        assert_eq!(led("../../other/x"), Place::Outside("/srv/other/x".into()));
        assert_eq!(led("/srv/job/../jobs"), Place::Outside("/srv/jobs".into()));
        assert_eq!(led("/tmp/x"), Place::Scratch("/tmp/x".into()));
        assert_eq!(led("/tmp"), Place::Outside("/tmp".into()));
        assert_eq!(led("/dev/null"), Place::Device);
        assert_eq!(led(".."), Place::Inside(String::new()));
    }

    #[test]
    fn a_path_that_starts_unknown_is_unknown() {
        assert_eq!(
            led(&format!("{UNKNOWN}/x")),
            Place::Unknown("\u{2026}/x".into())
        );
    }
}
