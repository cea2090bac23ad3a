//! Which project an agent works in.

use std::path::{Path, PathBuf};

use crate::{adapters::files, domain::guard::NO_PROJECT};

/// The project of a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectLocation {
    /// Its root: the top of the repository, else the folder itself.
    pub root: PathBuf,
    /// The folder commands start in.
    pub folder: PathBuf,
}

/// Finds the project around a folder. The home folder and what holds it is nobody's project: there the root is a folder that
/// does not exist, so that everything lies outside of it.
pub fn project_of(folder: &Path, home: Option<&Path>, named: Option<&Path>) -> ProjectLocation {
    let home = home.map(files::canonical);
    let real = files::canonical(folder);
    let mut top = top_of(&real);
    if top.is_none()
        && let Some(named) = named
    {
        let named = files::canonical(named);
        if named.is_dir() && !real.starts_with(&named) {
            top = Some(top_of(&named).unwrap_or(named));
        }
    }
    let root = top.unwrap_or_else(|| real.clone());
    let is_wide =
        home.as_ref().is_some_and(|home| home.starts_with(&root)) || root.parent().is_none();
    let root = if is_wide { root.join(NO_PROJECT) } else { root };
    ProjectLocation { root, folder: real }
}

fn top_of(folder: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .find(|folder| folder.join(".git").symlink_metadata().is_ok())
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_the_repository_around_a_folder_and_never_the_home() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let (home, project) = (top.join("home"), top.join("home/project"));
        std::fs::create_dir_all(project.join("sub")).unwrap();
        std::fs::create_dir(project.join(".git")).unwrap();
        std::fs::create_dir(home.join("plain")).unwrap();
        let root = |folder: &Path| project_of(folder, Some(&home), None).root;
        assert_eq!(root(&project.join("sub")), project);
        assert_eq!(root(&home.join("plain")), home.join("plain"));
        assert_eq!(root(&home), home.join(".tos-no-project"));
        assert_eq!(root(Path::new("/")), Path::new("/.tos-no-project"));
        let named = project_of(&home.join("plain"), Some(&home), Some(&project));
        assert_eq!(named.root, project);
        assert_eq!(named.folder, home.join("plain"));
    }
}
