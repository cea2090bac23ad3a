//! Finds programs along a search path, as a shell would.

use std::{
    ffi::OsStr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Returns the first program of this name along `path`; entries that are not absolute start at `directory`. A name
/// with a slash is a path itself.
pub(in crate::adapters) fn find(path: &OsStr, directory: &Path, name: &OsStr) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    if name.as_encoded_bytes().contains(&b'/') {
        let program = directory.join(name);
        return is_program(&program).then_some(program);
    }
    std::env::split_paths(path)
        .map(|folder| directory.join(folder).join(name))
        .find(|program| is_program(program))
}

/// Returns whether this is a file somebody may execute.
pub(in crate::adapters) fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_first_executable_file_of_the_path_is_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        for name in ["a/x/inner", "b/x", "c/x", "d/x"] {
            fs::create_dir_all(top.join(name).parent().unwrap()).unwrap();
            fs::write(top.join(name), "").unwrap();
        }
        for name in ["c/x", "d/x"] {
            fs::set_permissions(top.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let found = |path: &str, name: &str| find(path.as_ref(), top, name.as_ref());
        assert_eq!(found("a:b:c:d", "x"), Some(top.join("c/x")));
        assert_eq!(found("a:b", "x"), None);
        assert_eq!(found("a", "d/x"), Some(top.join("d/x")));
        assert_eq!(found("a", "b/x"), None);
        assert_eq!(found("c", ""), None);
    }
}
