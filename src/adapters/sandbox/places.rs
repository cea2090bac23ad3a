//! Places with keys and tokens that no command may read, and paths that none may write.

use std::path::{Path, PathBuf};

/// Below the home directory: where programs keep keys, tokens, sessions and histories.
const SECRET_PLACES: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".password-store",
    ".vault-token",
    ".terraform.d",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".mozilla",
    ".thunderbird",
    ".claude",
    ".claude.json",
    ".codex",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".config/gh",
    ".config/gcloud",
    ".config/git/credentials",
    ".config/op",
    ".config/rclone",
    ".config/google-chrome",
    ".config/chromium",
    ".config/hub",
    ".local/share/keyrings",
];

/// Elsewhere.
const SYSTEM_SECRETS: &[&str] = &[
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/ssl/private",
];

/// Returns the places that exist, without links, except those the root lies in.
pub(super) fn hidden(home: Option<&Path>, more: &[PathBuf], root: &Path) -> Vec<PathBuf> {
    let in_home = home
        .into_iter()
        .flat_map(|home| SECRET_PLACES.iter().map(move |place| home.join(place)));
    let system = SYSTEM_SECRETS.iter().map(PathBuf::from);
    let found = in_home.chain(system).chain(more.iter().cloned());
    let mut found: Vec<PathBuf> = found
        .filter_map(|place| place.canonicalize().ok())
        .filter(|place| !root.starts_with(place))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Returns those of the paths that exist below the root, as they are named there.
///
/// A link is left out: what it points to is protected where it is, and the link itself can only be
/// kept by a rule on its directory.
pub(super) fn protected(paths: &[PathBuf], root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = paths
        .iter()
        .map(|path| root.join(path))
        .filter_map(|path| path.canonicalize().ok())
        .filter(|path| path.starts_with(root) && path != root)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_that_exist_are_hidden_and_never_the_root() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        std::fs::create_dir_all(home.join(".ssh")).unwrap();
        std::fs::create_dir_all(home.join(".claude/work")).unwrap();
        let found = hidden(Some(&home), &[], &home.join(".claude/work"));
        let below: Vec<_> = found.into_iter().filter(|p| p.starts_with(&home)).collect();
        assert_eq!(below, [home.join(".ssh")]);
    }

    #[test]
    fn only_paths_below_the_root_are_protected() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir(root.join(".git")).unwrap();
        let paths = [".git", "logs", "..", "/etc"].map(PathBuf::from);
        assert_eq!(protected(&paths, &root), [root.join(".git")]);
    }
}
