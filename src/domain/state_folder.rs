//! The names of folders in which tos keeps its own state.
//!
//! Whatever lies in one is in no checkpoint and no change, and no rollback touches it.

/// Returns the name of the folder of tos, or the path of something in it, as a literal.
macro_rules! tos_path {
    () => {
        ".tos"
    };
    ($below:literal) => {
        concat!(".tos/", $below)
    };
}
pub(crate) use tos_path;

/// The folder of tos in a root.
pub const TOS_FOLDER: &str = tos_path!();

/// Tells whether a folder of this name holds state of tos; `.orch` is the name that `orch` used.
pub fn is_state_name(name: &[u8]) -> bool {
    name == TOS_FOLDER.as_bytes() || name == b".orch"
}

/// Tells whether a path is such a folder, or below one.
pub fn is_state_path(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(is_state_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_folder_is_named_after_it() {
        assert_eq!(tos_path!("a/b"), format!("{TOS_FOLDER}/a/b"));
    }

    #[test]
    fn state_is_told_by_whole_names_at_any_depth() {
        for path in [".tos", ".tos/runs/x", "sub/.tos/a", "a/.orch/runs"] {
            assert!(is_state_path(path.as_bytes()), "{path}");
        }
        for path in ["tos", ".tosx/a", "a/x.tos", "a.orch/b", ""] {
            assert!(!is_state_path(path.as_bytes()), "{path}");
        }
    }
}
