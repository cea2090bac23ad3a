//! What tos and its jailers both know: the specification of one wall (JSON in a file that jailers inherit), and where
//! things are found behind it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::domain::sandbox::{ConfinementLevel, NetworkAccess, RepositoryAccess, SandboxBackend};

/// Ceilings of one command; `None` = no ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceLimits {
    /// Address space of one process, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at a time.
    pub processes: Option<u64>,
    /// Processor time of one process, in seconds.
    pub cpu_seconds: Option<u64>,
    /// The largest file, in bytes.
    pub file_bytes: Option<u64>,
    /// What fits into the private temporary directory, in bytes.
    pub temporary_bytes: u64,
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            processes: Some(4096),
            cpu_seconds: None,
            file_bytes: Some(8 << 30),
            temporary_bytes: 2 << 30,
        }
    }
}

/// One wall for one command. All paths are absolute, without links, and exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SandboxSpec {
    pub(super) backend: SandboxBackend,
    pub(super) level: ConfinementLevel,
    pub(super) network: NetworkAccess,
    pub(super) root: PathBuf,
    /// What covers what, parents before what lies in them; the root is among them.
    pub(super) layers: Vec<(PathBuf, FolderAccess)>,
    /// Links that lie in covered folders, and what they say.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    /// Below the root, readable only.
    pub(super) protected: Vec<PathBuf>,
    /// Parts of the repository that git writes, and what in them stays readable only; each lies over those before it, and all
    /// of them over `protected`.
    pub(super) repository: Vec<(PathBuf, RepositoryAccess)>,
    /// Anywhere where it could be seen, not even readable.
    pub(super) hidden: Vec<PathBuf>,
    pub(super) limits: ResourceLimits,
    /// The folder that is `/tmp` behind the wall, or what stands for it; `None` = a new one for each command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) temporary: Option<PathBuf>,
    /// The socket of the proxy, where one runs.
    pub(super) proxy: Option<PathBuf>,
    /// tos itself.
    pub(super) program: PathBuf,
    /// Where the command starts.
    pub(super) directory: PathBuf,
    /// The descriptor with the command's environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<i32>,
    /// The descriptor that becomes the command's standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<i32>,
    /// The file that becomes the command's standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input_file: Option<PathBuf>,
    /// That file is a pipe, which tos holds open for writing.
    #[serde(default)]
    pub(super) input_is_pipe: bool,
}

impl SandboxSpec {
    /// Returns the folders between the root and what is protected in it. Each is mounted onto itself, for a place where something is
    /// mounted cannot be renamed; else its parent could be moved away and another protected place be made in its stead.
    pub(super) fn pinned(&self) -> Vec<PathBuf> {
        let each = self.protected.iter();
        let pins: BTreeSet<PathBuf> = each.flat_map(|path| between(&self.root, path)).collect();
        let is_closed = |pin: &PathBuf| self.protected.iter().any(|path| pin.starts_with(path));
        pins.into_iter().filter(|pin| !is_closed(pin)).collect()
    }

    /// Returns the parts of the repository, with the folders on the way to those that are closed.
    pub(super) fn pinned_repository(&self) -> Vec<(PathBuf, RepositoryAccess)> {
        let mut parts: Vec<(PathBuf, RepositoryAccess)> = Vec::new();
        for (path, access) in &self.repository {
            let open = parts.iter().rev().find(|(open, access)| {
                *access == RepositoryAccess::Write && path.starts_with(open) && path != open
            });
            let way = match (access, open) {
                (RepositoryAccess::Read, Some((open, _))) => between(open, path),
                _ => Vec::new(),
            };
            for pin in way {
                if !parts.iter().any(|(known, _)| *known == pin) {
                    parts.push((pin, RepositoryAccess::Write));
                }
            }
            parts.push((path.clone(), *access));
        }
        parts
    }
}

/// Returns the folders below `top` that `path` lies in, the outermost first.
fn between(top: &Path, path: &Path) -> Vec<PathBuf> {
    let above = path.ancestors().skip(1);
    let mut found: Vec<PathBuf> = above
        .take_while(|folder| folder.starts_with(top) && *folder != top)
        .map(Path::to_owned)
        .collect();
    found.reverse();
    found
}

/// What becomes of a folder behind a wall, with everything in it that has no layer of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FolderAccess {
    /// It is empty.
    Cover,
    /// It can be read.
    Show,
    /// It is the root.
    Root,
}

/// The first word of the command line that makes tos a jailer.
pub const JAILER_ARG: &str = "__jail";
/// Where tos itself is found behind a wall made of mounts.
pub(super) const TOS_PATH_IN_SANDBOX: &str = "/run/tos/jail";
/// Where the proxy's socket is found behind such a wall.
pub(super) const INNER_PROXY: &str = "/run/tos/proxy";
/// The proxy port: where connections to the proxy are taken behind the wall.
pub(super) const PROXY_PORT: u16 = 8118;
/// Parts of the covered `/run` that hold programs, not services.
pub(super) const KEPT_IN_RUN: [&str; 3] = [
    "/run/current-system",
    "/run/booted-system",
    "/run/opengl-driver",
];
