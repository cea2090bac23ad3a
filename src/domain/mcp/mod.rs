//! What a client of the MCP server may reach: folders inside the root and inside the roots it named, and only with the token.
//!
//! Danger: a client names its roots itself, so they can only narrow what the person who started the server gave it.

use std::path::{Component, Path, PathBuf};

/// Returns the folder that a root of a client names; `None` where it is no folder of this machine.
pub fn path_from_file_uri(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    let path = decoded(rest)?;
    (path.starts_with('/') && !path.contains('\0')).then(|| normalize_path(Path::new(&path)))
}

/// Returns why nothing may be done in a root, given the real folders that a client named as its roots.
pub fn roots_error(root: &Path, roots: &[PathBuf]) -> Option<String> {
    if roots.iter().any(|folder| root.starts_with(folder)) {
        return None;
    }
    let named: Vec<String> = roots
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let named = if named.is_empty() {
        "no folder of this machine".to_owned()
    } else {
        named.join(", ")
    };
    Some(format!(
        "{} is not inside the roots of this client ({named}); start the server there, or with `--root`",
        root.display()
    ))
}

/// Returns a path below the root that a client named, made real by `real`, or why it may not be used.
pub fn resolve_path(
    root: &Path,
    wanted: &str,
    real: impl Fn(&Path) -> Option<PathBuf>,
) -> Result<PathBuf, String> {
    let path = normalize_path(&root.join(wanted));
    let path = real(&path).unwrap_or(path);
    if path.starts_with(root) {
        Ok(path)
    } else {
        Err(format!(
            "`{wanted}` lies outside of the root {}",
            root.display()
        ))
    }
}

/// Returns whether the header of a request holds the token. The time it takes says nothing about where they differ.
pub fn bearer_token_matches(header: Option<&[u8]>, token: &str) -> bool {
    let Some(given) = header.and_then(|header| header.strip_prefix(b"Bearer ")) else {
        return false;
    };
    let differ = given.iter().zip(token.as_bytes());
    let differ = differ.fold(0, |all, (one, other)| all | (one ^ other));
    !token.is_empty() && given.len() == token.len() && differ == 0
}

fn normalize_path(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
    }
    plain
}

/// Reads `%20` and the like.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_a_folder_of_this_machine() {
        let folder = |uri: &str| path_from_file_uri(uri);
        assert_eq!(folder("file:///a%20b/c"), Some("/a b/c".into()));
        assert_eq!(folder("file://localhost/a"), Some("/a".into()));
        assert_eq!(folder("file:///a/../b"), Some("/b".into()));
        for foreign in [
            "https://host/a",
            "file://host/a",
            "file://",
            "/a",
            "file:///a%2",
            "file:///%ff",
            "file:///a%00b",
        ] {
            assert_eq!(folder(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn roots_of_a_client_only_narrow() {
        let root = Path::new("/home/a/project");
        assert_eq!(roots_error(root, &["/home/a".into()]), None);
        assert_eq!(
            roots_error(root, &["/x".into(), "/home/a/project".into()]),
            None
        );
        for roots in [
            vec![],
            vec!["/home/a/project/sub".into()],
            vec!["/home/a/proj".into()],
        ] {
            assert!(roots_error(root, &roots).is_some(), "{roots:?}");
        }
    }

    #[test]
    fn a_path_stays_below_the_root_links_followed() {
        let root = Path::new("/r");
        let plain = |path: &Path| Some(path.to_owned());
        assert_eq!(resolve_path(root, "a/./b", plain), Ok("/r/a/b".into()));
        assert_eq!(resolve_path(root, ".", plain), Ok("/r".into()));
        for out in ["..", "/etc", "a/../../x", "../r2"] {
            assert!(resolve_path(root, out, plain).is_err(), "{out}");
        }
        let link = |path: &Path| {
            Some(if path.ends_with("link") {
                "/etc".into()
            } else {
                path.to_owned()
            })
        };
        assert!(resolve_path(root, "link", link).is_err());
    }

    #[test]
    fn only_the_whole_token_opens() {
        assert!(bearer_token_matches(Some(b"Bearer secret"), "secret"));
        for wrong in [
            &b"secret"[..],
            b"Bearer",
            b"Bearer ",
            b"Bearer secre",
            b"Bearer secret1",
            b"bearer secret",
        ] {
            assert!(!bearer_token_matches(Some(wrong), "secret"));
        }
        assert!(!bearer_token_matches(None, "secret"));
        assert!(!bearer_token_matches(Some(b"Bearer "), ""));
    }
}
