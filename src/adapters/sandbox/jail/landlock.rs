//! Part of the stage `inner`: the rules on files, network, signals and names of sockets.
//!
//! Rules only add rights to nothing, so what must not be seen is left out by naming everything around it. That is why new
//! entries directly in the root cannot be allowed: the root itself is never named when something in it is protected.

use std::{
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{
    super::spec::{FolderAccess, SandboxSpec},
    shared::JailError,
};
use crate::domain::sandbox::{ConfinementLevel, NetworkAccess};

/// The newest rules known here; older kernels give what they have, and the trial says what that is.
const RULES: ABI = ABI::V6;

/// Where the devices of the machine are: disks, which root could read past all files, and terminals of other programs.
const DEVICE_FOLDER: &str = "/dev";

/// Devices that every program may read and write.
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// Makes a domain behind walls of mounts: nothing in it traces or signals what is outside, the first process of `bwrap` among it,
/// which has neither filter nor ceilings; nor does it reach sockets that processes outside have by name (session buses, X11).
/// Returns whether the kernel could do that (from 6.12 on).
pub(super) fn enter_domain() -> Result<bool, JailError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Puts this process and what comes of it behind the rules.
pub(super) fn restrict(spec: &SandboxSpec) -> Result<(), JailError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RULES))?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    if spec.network != NetworkAccess::Full {
        rules = rules.handle_access(AccessNet::from_all(RULES))?;
    }
    let all = AccessFs::from_all(RULES);
    let temporary = std::env::temp_dir();
    let writable = writable(spec)?;
    let status = rules
        .create()?
        .add_rules(rules_for(readable(spec)?, AccessFs::from_read(RULES)))?
        .add_rules(rules_for(writable, all))?
        .add_rules(path_beneath_rules([temporary], all))?
        .add_rules(path_beneath_rules(DEVICES, all))?
        .restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err("this kernel has no Landlock".into());
    }
    Ok(())
}

/// Rules can only add rights, so what is covered or hidden, and every device, is left out by naming everything around it.
fn readable(spec: &SandboxSpec) -> Result<Vec<PathBuf>, JailError> {
    let covered = spec
        .layers
        .iter()
        .filter(|(_, layer)| *layer == FolderAccess::Cover);
    let covered = covered.map(|(path, _)| path.clone());
    let holes = covered.chain(spec.hidden.iter().cloned());
    let holes: Vec<PathBuf> = holes.chain([DEVICE_FOLDER.into()]).collect();
    let mut found = around(Path::new("/"), &holes)?;
    for (path, layer) in &spec.layers {
        if *layer != FolderAccess::Cover {
            found.extend(around(path, &holes)?);
        }
    }
    Ok(found)
}

/// Likewise for writing: everything in the root but what is protected or hidden. New entries directly
/// in the root cannot be allowed without allowing changes to `.git` as well.
fn writable(spec: &SandboxSpec) -> Result<Vec<PathBuf>, JailError> {
    if spec.level != ConfinementLevel::Workspace {
        return Ok(Vec::new());
    }
    let covered = spec
        .layers
        .iter()
        .filter(|(_, layer)| *layer == FolderAccess::Cover);
    let covered = covered.map(|(path, _)| path);
    let holes = spec.protected.iter().chain(&spec.hidden).chain(covered);
    let holes: Vec<PathBuf> = holes.cloned().collect();
    around(&spec.root, &holes)
}

/// Makes a rule for each path that is still there and still no link: a command that runs beside this one may put one in its place.
fn rules_for(
    paths: Vec<PathBuf>,
    access: BitFlags<AccessFs>,
) -> impl Iterator<Item = Result<PathBeneath<OwnedFd>, RulesetError>> {
    paths.into_iter().filter_map(move |path| {
        let file = opened(&path).ok()?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&file).ok()?.st_mode);
        let access = match kind {
            FileType::Directory => access,
            FileType::Symlink => return None,
            _ => access & AccessFs::from_file(RULES),
        };
        Some(Ok(PathBeneath::new(file, access)))
    })
}

/// Opens a path only to name it in a rule; no part of it may be a link.
fn opened(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOSYS) => rustix::fs::open(path, flags, Mode::empty()),
        opened => opened,
    }
}

/// Returns the largest folders and files below `top` that hold none of the `holes`.
fn around(top: &Path, holes: &[PathBuf]) -> Result<Vec<PathBuf>, JailError> {
    let below: Vec<&PathBuf> = holes.iter().filter(|hole| hole.starts_with(top)).collect();
    if below.is_empty() {
        return Ok(vec![top.to_owned()]);
    }
    if below
        .iter()
        .any(|hole| hole.as_os_str().as_bytes() == top.as_os_str().as_bytes())
    {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(top)?.flatten() {
        let path = entry.path();
        // A link would be followed to a place that has, or has not, rules of its own.
        if !path.is_symlink() {
            found.extend(around(&path, holes)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_below_the_root_is_neither_readable_nor_writable() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().canonicalize().unwrap();
        for folder in [".git", ".ssh", "work"] {
            std::fs::create_dir(root.join(folder)).unwrap();
        }
        let spec = SandboxSpec {
            backend: crate::domain::sandbox::SandboxBackend::Landlock,
            level: ConfinementLevel::Workspace,
            network: NetworkAccess::None,
            protected: vec![root.join(".git")],
            repository: Vec::new(),
            layers: vec![(root.clone(), FolderAccess::Root)],
            links: Vec::new(),
            hidden: vec![root.join(".ssh")],
            limits: crate::adapters::sandbox::ResourceLimits::default(),
            temporary: None,
            proxy: None,
            program: root.clone(),
            directory: root.clone(),
            root: root.clone(),
            environment: None,
            input: None,
            input_file: None,
            input_is_pipe: false,
        };
        assert_eq!(writable(&spec).unwrap(), [root.join("work")]);
        let readable = readable(&spec).unwrap();
        assert!(!readable.contains(&root));
        assert!(
            !readable.iter().any(|path| path.starts_with("/dev")),
            "{readable:?}"
        );
    }

    #[test]
    fn no_rule_is_made_for_what_has_become_a_link() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("real/in")).unwrap();
        std::os::unix::fs::symlink("real", top.join("link")).unwrap();
        assert!(opened(&top.join("real/in")).is_ok());
        assert!(opened(&top.join("link/in")).is_err());
        let paths = ["real", "link", "link/in", "gone"].map(|name| top.join(name));
        assert_eq!(
            rules_for(paths.into(), AccessFs::from_all(RULES)).count(),
            1
        );
    }

    #[test]
    fn what_is_around_a_hole_is_named_without_it() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        for folder in ["a/b", "a/c", "d"] {
            std::fs::create_dir_all(top.join(folder)).unwrap();
        }
        let mut found = around(top, &[top.join("a/b")]).unwrap();
        found.sort();
        assert_eq!(found, [top.join("a/c"), top.join("d")]);
        assert_eq!(around(top, &[]).unwrap(), [top]);
    }
}
