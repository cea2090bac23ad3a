//! The words of `bwrap`, which makes the namespaces and mounts and then starts the stage `inner`.
//!
//! The order is that of `mounts`, which builds the same inside without `bwrap`; whoever changes one changes both.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::super::spec::{
    FolderAccess, INNER_PROXY, JAILER_ARG, KEPT_IN_RUN, SandboxSpec, TOS_PATH_IN_SANDBOX,
};
use crate::{
    adapters::process::find_program,
    domain::sandbox::{ConfinementLevel, NetworkAccess, RepositoryAccess},
};

/// Parts of `/proc` through which the machine can be changed.
const PROC_LEVERS: [&str; 4] = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"];

/// Finds the program in a search path.
pub(in super::super) fn find(path: &std::ffi::OsStr) -> Option<PathBuf> {
    find_program::find(path, Path::new("/"), "bwrap".as_ref())
}

/// Returns the arguments of `bwrap` up to and including those of `inner`; the command follows. `file`: SPEC.
pub(super) fn arguments(spec: &SandboxSpec, file: &str) -> Vec<OsString> {
    let mut list = ArgumentList(Vec::new());
    list.words(&[
        "--die-with-parent",
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
    ]);
    list.words(&["--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL"]);
    if spec.network != NetworkAccess::Full {
        list.words(&["--unshare-net"]);
    }
    list.words(&["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]);
    // Root may change these whatever rights it has given up.
    for lever in PROC_LEVERS.map(Path::new) {
        if lever.exists() {
            list.mount("--ro-bind", lever, lever);
        }
    }
    list.own_folders(spec);
    list.words(&[
        "--size",
        &spec.limits.temporary_bytes.to_string(),
        "--tmpfs",
        "/run",
    ]);
    for kept in KEPT_IN_RUN.map(Path::new) {
        if kept.exists() {
            list.mount("--ro-bind", kept, kept);
        }
    }
    list.layers(spec);
    for path in &spec.protected {
        list.mount("--ro-bind", path, path);
    }
    for (path, access) in &spec.pinned_repository() {
        let option = match access {
            RepositoryAccess::Read => "--ro-bind",
            RepositoryAccess::Write => "--bind",
        };
        list.mount(option, path, path);
    }
    // Last, so that nothing brings back what lies in a protected place.
    for path in &spec.hidden {
        if path.is_dir() {
            list.path("--tmpfs", path);
            list.path("--remount-ro", path);
        } else {
            list.mount("--ro-bind", Path::new("/dev/null"), path);
        }
    }
    list.mount("--ro-bind", &spec.program, Path::new(TOS_PATH_IN_SANDBOX));
    if let Some(proxy) = &spec.proxy {
        list.mount("--ro-bind", proxy, Path::new(INNER_PROXY));
    }
    if spec.network == NetworkAccess::Full
        && let Ok(resolver) = Path::new("/etc/resolv.conf").canonicalize()
        && resolver.starts_with("/run")
    {
        list.mount("--ro-bind", &resolver, &resolver);
    }
    // Only now, for places to mount on are made in covered folders.
    for (path, layer) in &spec.layers {
        if *layer == FolderAccess::Cover {
            list.path("--remount-ro", path);
        }
    }
    // Devices are written through, and nothing can be put beside them.
    list.words(&["--remount-ro", "/dev"]);
    list.path("--chdir", &spec.directory);
    list.words(&["--", TOS_PATH_IN_SANDBOX, JAILER_ARG, "inner", file]);
    list.0
}

struct ArgumentList(Vec<OsString>);

impl ArgumentList {
    /// Gives the command temporary directories of its own.
    fn own_folders(&mut self, spec: &SandboxSpec) {
        let size = spec.limits.temporary_bytes.to_string();
        for folder in ["/tmp", "/var/tmp", "/dev/shm"] {
            match &spec.temporary {
                Some(lasting) if folder == "/tmp" => {
                    self.mount("--bind", lasting, Path::new(folder));
                }
                _ => self.words(&["--size", &size, "--tmpfs", folder]),
            }
        }
    }

    /// Covers folders and brings back what is shown in them.
    fn layers(&mut self, spec: &SandboxSpec) {
        let bind = if spec.level == ConfinementLevel::Workspace {
            "--bind"
        } else {
            "--ro-bind"
        };
        for (path, layer) in &spec.layers {
            match layer {
                FolderAccess::Cover => self.path("--tmpfs", path),
                FolderAccess::Show => self.mount("--ro-bind", path, path),
                FolderAccess::Root => {
                    self.mount(bind, path, path);
                    for pin in spec.pinned() {
                        self.mount(bind, &pin, &pin);
                    }
                }
            }
        }
        for (link, target) in &spec.links {
            self.mount("--symlink", target, link);
        }
    }

    fn words(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn path(&mut self, option: &str, path: &Path) {
        self.0.push(option.into());
        self.0.push(path.into());
    }

    fn mount(&mut self, option: &str, source: &Path, target: &Path) {
        self.path(option, source);
        self.0.push(target.into());
    }
}
