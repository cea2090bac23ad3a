//! What a command may see: no home but what its programs need, no keys and tokens; and what it may not write.
//!
//! Danger: what is shown is decided outside the wall from paths that others may have put there. So every path is
//! followed link by link before it is believed, and a program that is only named opens no more than its own package.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    lookup::{Lookup, Witness},
    program_folders,
    spec::{FolderAccess, TOS_PATH_IN_SANDBOX},
};
use crate::domain::{
    redaction::Redactor,
    sandbox::{
        HiddenFolder, SandboxBackend,
        home::{
            CREDENTIAL_NAMES, GIT_CONFIG_PATHS, SECRET_PLACES, is_secret, paths_needed_by_folder,
            paths_needed_by_program,
        },
    },
};

/// Places of secrets outside any home.
const SYSTEM_SECRETS: &[&str] = &[
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/ssl/private",
];

/// Folders that walls made of mounts cover with private ones.
const PRIVATE: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];

/// Folders that hold a whole system; a home that is one of them, or holds one, cannot be covered.
const SYSTEM: &[&str] = &[
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/nix", "/opt",
    "/proc", "/run", "/sbin", "/snap", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/tmp",
];

/// Folders of `PATH` whose links stay in the system.
const SYSTEM_PROGRAMS: &[&str] = &["/bin", "/sbin", "/usr/bin", "/usr/sbin"];

/// How many interpreters of interpreters are looked up.
const MOST_INTERPRETERS: u8 = 4;

/// What a wall is asked to show and to hide.
#[derive(Debug)]
pub(super) struct ViewRequest<'a> {
    pub(super) backend: SandboxBackend,
    pub(super) root: &'a Path,
    pub(super) home: Option<&'a Path>,
    /// Further folders to cover.
    pub(super) covered: &'a [PathBuf],
    /// Further places to hide wherever they are.
    pub(super) hidden: &'a [PathBuf],
    /// Further places to show.
    pub(super) show: &'a [PathBuf],
    /// Search paths.
    pub(super) search: Vec<&'a OsStr>,
    /// The program to start.
    pub(super) program: &'a Path,
    /// tos itself.
    pub(super) self_process: &'a Path,
}

/// What a command sees. All paths exist and are without links.
#[derive(Debug, Default)]
pub(super) struct SandboxView {
    pub(super) layers: Vec<(PathBuf, FolderAccess)>,
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    pub(super) hidden: Vec<PathBuf>,
}

/// Views that were found, each with what was asked and what it hangs on.
static KNOWN: Mutex<BTreeMap<String, (Witness, Arc<SandboxView>)>> = Mutex::new(BTreeMap::new());

/// How many views are remembered; a plan or a night starts a few programs in a few roots.
const MOST_VIEWS: usize = 64;

/// Finds out what a command may see, or why its program cannot be shown. What was found before counts while nothing that it hangs on
/// has changed.
pub(super) fn view(wish: &ViewRequest<'_>) -> Result<Arc<SandboxView>, String> {
    let asked = format!("{wish:?}");
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let remembered = known().remove(&asked);
    let (witness, view) = match remembered {
        Some((witness, view)) if witness.is_current() => (witness, view),
        _ => {
            let lookup = Lookup::new();
            let view = shown(wish, &lookup)?.finish(wish);
            (lookup.witness(), Arc::new(view))
        }
    };
    let mut known = known();
    if known.len() >= MOST_VIEWS {
        known.clear();
    }
    known.insert(asked, (witness, Arc::clone(&view)));
    Ok(view)
}

/// Says whether a command that starts in a folder, which is without links, finds it hidden.
pub(super) fn hidden_folder(wish: &ViewRequest<'_>, folder: &Path) -> Option<HiddenFolder> {
    let lookup = Lookup::new();
    let viewer = shown(wish, &lookup).ok()?;
    let cover = viewer.covering(folder)?.to_owned();
    let mut seen = viewer.shown.iter().chain([&viewer.root]);
    // Places to mount on are made on the way to what is shown; without mounts everything is where it was.
    let can_start = cover == folder
        || wish.backend == SandboxBackend::Landlock
        || seen.any(|path| path.starts_with(folder));
    Some(HiddenFolder { cover, can_start })
}

fn shown<'a>(wish: &ViewRequest<'_>, lookup: &'a Lookup) -> Result<ViewBuilder<'a>, String> {
    let mut viewer = ViewBuilder::new(wish, lookup);
    viewer.show_repository(wish.root);
    for path in wish.show {
        viewer.show(path);
    }
    if let Some(home) = wish.home {
        viewer.show_git_settings(home);
    }
    let folders: Vec<PathBuf> = wish
        .search
        .iter()
        .flat_map(|search| std::env::split_paths(search))
        .filter(|folder| folder.is_absolute())
        .collect();
    for folder in &folders {
        viewer.show_programs(folder);
    }
    if wish.backend == SandboxBackend::Landlock {
        viewer.show(wish.self_process);
    }
    if wish.program != Path::new(TOS_PATH_IN_SANDBOX) {
        let is_installed = wish
            .program
            .parent()
            .is_some_and(|folder| folders.iter().any(|known| known == folder));
        viewer.show_program(wish.program, is_installed, MOST_INTERPRETERS);
        viewer.check(wish.program)?;
    }
    Ok(viewer)
}

/// Returns the places with keys and tokens that exist, without links, except those the root lies in.
pub(super) fn secret_paths(
    home: Option<&Path>,
    more: &[PathBuf],
    root: &Path,
    lookup: &Lookup,
) -> Vec<PathBuf> {
    let in_home = home
        .into_iter()
        .flat_map(|home| SECRET_PLACES.iter().map(move |place| home.join(place)));
    let system = SYSTEM_SECRETS.iter().map(PathBuf::from);
    let found = in_home.chain(system).chain(more.iter().cloned());
    let mut found: Vec<PathBuf> = found
        .filter_map(|place| lookup.resolved(&place))
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

/// Returns every home of this machine that there is: the user's own, by its variable and by the table of users, and
/// everybody else's.
fn homes(own: Option<&Path>, lookup: &Lookup) -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw().to_string();
    let table = lookup.text(Path::new("/etc/passwd")).unwrap_or_default();
    let listed = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_own = fields.get(2) == Some(&user.as_str());
        fields.get(5).filter(|_| is_own).map(PathBuf::from)
    });
    let others = lookup.entries(Path::new("/home"));
    let found = own.map(Path::to_owned).into_iter().chain(listed);
    let found = found.chain([PathBuf::from("/root")]).chain(others);
    found
        .filter_map(|home| lookup.resolved(&home))
        .filter(|home| lookup.is_folder(home))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Follows paths and collects what is shown.
struct ViewBuilder<'a> {
    lookup: &'a Lookup,
    root: PathBuf,
    /// Covered folders, without links.
    covered: BTreeSet<PathBuf>,
    /// Folders that the wall covers anyway.
    private: Vec<PathBuf>,
    shown: BTreeSet<PathBuf>,
    links: BTreeMap<PathBuf, PathBuf>,
    homes: Vec<PathBuf>,
    /// Interpreters that were looked at, whether as installed ones, and how many of theirs were followed.
    interpreters: BTreeSet<(PathBuf, bool, u8)>,
}

impl<'a> ViewBuilder<'a> {
    fn new(wish: &ViewRequest<'_>, lookup: &'a Lookup) -> Self {
        let root = wish.root.to_owned();
        let homes = homes(wish.home, lookup);
        let mut covered = BTreeSet::new();
        let more = wish.covered.iter().filter_map(|path| lookup.resolved(path));
        for folder in homes.iter().cloned().chain(more) {
            let is_system = SYSTEM
                .iter()
                .any(|place| Path::new(place).starts_with(&folder));
            if !is_system && !folder.starts_with(&root) {
                covered.insert(folder);
                continue;
            }
            // What cannot be covered as a whole loses at least its places of secrets.
            let secrets = SECRET_PLACES.iter().map(|place| folder.join(place));
            let secrets = secrets.filter_map(|place| lookup.resolved(&place));
            covered.extend(
                secrets.filter(|place| lookup.is_folder(place) && !root.starts_with(place)),
            );
        }
        let private = if wish.backend == SandboxBackend::Landlock {
            Vec::new()
        } else {
            PRIVATE.map(PathBuf::from).into()
        };
        covered.retain(|folder| !private.contains(folder));
        Self {
            lookup,
            root,
            covered,
            private,
            shown: BTreeSet::new(),
            links: BTreeMap::new(),
            homes,
            interpreters: BTreeSet::new(),
        }
    }

    /// Returns the innermost covered folder in which a path could only be seen when it is shown.
    fn covering(&self, path: &Path) -> Option<&Path> {
        for folder in path.ancestors() {
            if folder == self.root || self.shown.contains(folder) {
                return None;
            }
            if self.covered.contains(folder) || self.private.iter().any(|one| one == folder) {
                return self
                    .covered
                    .get(folder)
                    .or_else(|| self.private.iter().find(|one| *one == folder))
                    .map(PathBuf::as_path);
            }
        }
        None
    }

    /// Returns the home a path lies in, or else the covered folder, and the way from there.
    fn below<'p>(&self, path: &'p Path) -> Option<(PathBuf, &'p Path)> {
        let covering = self.covering(path)?;
        let homes = self.homes.iter().filter(|home| path.starts_with(home));
        let top = homes.max_by_key(|home| home.as_os_str().len());
        let top = top.map_or(covering, PathBuf::as_path).to_owned();
        let rest = path.strip_prefix(&top).ok()?;
        (!rest.as_os_str().is_empty()).then_some((top, rest))
    }

    /// Follows a path to where it really is, and remembers the links on the way that would be covered. Returns the
    /// places at which its last part was a link, and the end.
    fn follow(&mut self, path: &Path) -> Option<(Vec<PathBuf>, PathBuf)> {
        let (mut hops, links) = (Vec::new(), &mut self.links);
        let end = self.lookup.follow(path, |link, target, is_last| {
            if is_last {
                hops.push(link.to_owned());
            }
            links.insert(link.to_owned(), target.to_owned());
        });
        Some((hops, end?))
    }

    /// Shows one place.
    fn show(&mut self, path: &Path) {
        if let Some((_, end)) = self.follow(path)
            && self.covering(&end).is_some_and(|folder| folder != end)
        {
            self.shown.insert(end);
        }
    }

    fn show_all(&mut self, top: &Path, paths: Vec<PathBuf>) {
        for path in paths {
            self.show(&top.join(path));
        }
    }

    /// Shows the repository that the root is a part of: its history, and what builds of a part need of the whole.
    fn show_repository(&mut self, root: &Path) {
        let Some(top) = root
            .ancestors()
            .find(|top| self.lookup.exists(&top.join(".git")))
        else {
            return;
        };
        self.show(top);
        let Some(text) = self.lookup.text(&top.join(".git")) else {
            return;
        };
        let Some(linked) = text.trim().strip_prefix("gitdir: ") else {
            return;
        };
        let folder = top.join(linked);
        self.show(&folder);
        if let Some(common) = self.lookup.text(&folder.join("commondir")) {
            self.show(&folder.join(common.trim()));
        }
    }

    /// Shows the settings of git that hold no secret.
    fn show_git_settings(&mut self, home: &Path) {
        let redactor = Redactor::default();
        for name in GIT_CONFIG_PATHS {
            let path = home.join(name);
            let text = self.lookup.text(&path).unwrap_or_default();
            let lower = text.to_lowercase();
            let speaks = ["extraheader", "password", "token"];
            let is_plain =
                !redactor.contains_secret(&text) && !speaks.iter().any(|word| lower.contains(word));
            if is_plain && !text.is_empty() {
                self.show(&path);
            }
        }
    }

    /// Shows a folder of programs and what they need.
    fn show_programs(&mut self, folder: &Path) {
        let Some((_, end)) = self.follow(folder) else {
            return;
        };
        if SYSTEM_PROGRAMS
            .iter()
            .any(|system| end == Path::new(system))
        {
            return;
        }
        if let Some((top, rest)) = self.below(&end) {
            let needed = paths_needed_by_folder(rest, &|path| self.lookup.exists(&top.join(path)));
            self.show_all(&top, needed);
        }
        self.lookup.remember(&end);
        let programs = program_folders::programs(&end);
        for link in &programs.links {
            self.show_program(link, true, MOST_INTERPRETERS);
        }
        for interpreter in &programs.interpreters {
            self.show_named(interpreter, true, MOST_INTERPRETERS);
        }
    }

    /// Shows a program, the package it belongs to, and what interprets it.
    fn show_program(&mut self, program: &Path, is_installed: bool, left: u8) {
        let Some((hops, end)) = self.follow(program) else {
            return;
        };
        for place in hops.iter().chain([&end]) {
            let Some((top, rest)) = self.below(place) else {
                continue;
            };
            if !is_installed && is_secret(rest) {
                continue;
            }
            let needed = paths_needed_by_program(rest, is_installed, &|path| {
                self.lookup.exists(&top.join(path))
            });
            self.show_all(&top, needed);
        }
        self.show_interpreter(&end, is_installed, left);
    }

    /// Shows what the first line of a script names.
    fn show_interpreter(&mut self, script: &Path, is_installed: bool, left: u8) {
        if let Some(interpreter) = self.lookup.interpreter(script) {
            self.show_named(&interpreter, is_installed, left);
        }
    }

    /// Shows an interpreter, unless this was the last that is followed.
    fn show_named(&mut self, interpreter: &Path, is_installed: bool, left: u8) {
        let Some(left) = left.checked_sub(1) else {
            return;
        };
        let asked = (interpreter.to_owned(), is_installed, left);
        // Hundreds of scripts name the same few; a second look at one shows nothing new.
        if !self.interpreters.contains(&asked) {
            self.show_program(interpreter, is_installed, left);
            self.interpreters.insert(asked);
        }
    }

    /// Says why a program could not be started behind the wall.
    fn check(&mut self, program: &Path) -> Result<(), String> {
        let Some((_, end)) = self.follow(program) else {
            return Ok(());
        };
        let chain = std::iter::successors(Some(end.clone()), |script| {
            let named = self.lookup.interpreter(script)?;
            self.lookup.resolved(&named)
        });
        for place in chain.take(usize::from(MOST_INTERPRETERS)) {
            if let Some(folder) = self.covering(&place) {
                let what = if place == end {
                    format!("`{}`", program.display())
                } else {
                    format!(
                        "`{}`, which interprets `{}`,",
                        place.display(),
                        program.display()
                    )
                };
                return Err(format!(
                    "{what} lies in `{}`, which the sandbox hides; install it outside, or name the folder it needs in `sandbox.show`",
                    folder.display()
                ));
            }
        }
        Ok(())
    }

    fn finish(self, wish: &ViewRequest<'_>) -> SandboxView {
        let secrets = secret_paths(wish.home, wish.hidden, &self.root, self.lookup);
        let within = self
            .shown
            .iter()
            .flat_map(|shown| credentials(shown, self.lookup));
        let beside = wish
            .search
            .iter()
            .flat_map(|search| std::env::split_paths(search))
            .filter_map(|folder| folder.parent().map(Path::to_owned))
            .flat_map(|parent| credentials(&parent, self.lookup));
        let mut hidden: Vec<PathBuf> = secrets
            .into_iter()
            .chain(within)
            .chain(beside)
            .filter(|place| self.covering(place).is_none())
            .collect();
        hidden.sort();
        hidden.dedup();
        let is_seen = |path: &&PathBuf| {
            path.parent()
                .is_none_or(|parent| self.covering(parent).is_none())
        };
        let links = self
            .links
            .iter()
            .filter(|(link, _)| self.covering(link).is_some());
        let shown = self.shown.iter().filter(|path| !is_seen(path));
        let covered = self.covered.iter().filter(is_seen);
        let mut layers: Vec<(PathBuf, FolderAccess)> = covered
            .map(|path| (path.clone(), FolderAccess::Cover))
            .chain(shown.map(|path| (path.clone(), FolderAccess::Show)))
            .chain([(self.root.clone(), FolderAccess::Root)])
            .collect();
        layers.sort();
        SandboxView {
            layers,
            links: links
                .map(|(link, target)| (link.clone(), target.clone()))
                .collect(),
            hidden,
        }
    }
}

/// Returns what log in files an installation keeps directly in its folder.
fn credentials(folder: &Path, lookup: &Lookup) -> Vec<PathBuf> {
    if folder.file_name() == Some(OsStr::new("node_modules")) {
        // Packages may be called so.
        return Vec::new();
    }
    let names = CREDENTIAL_NAMES.iter().map(|name| folder.join(name));
    let found = names.filter_map(|path| lookup.resolved(&path));
    found.filter(|path| lookup.is_file(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    /// A machine below a folder: `home` is the home, `root` the root, which may lie in it.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new(files: &[(&str, &str)]) -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            for (path, text) in files {
                let path = machine.path(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                match text.strip_prefix("-> ") {
                    Some(target) => symlink(target, path).unwrap(),
                    None => fs::write(
                        path,
                        text.replace("HOME", machine.path("home").to_str().unwrap()),
                    )
                    .unwrap(),
                }
            }
            machine
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(name)
        }

        fn view(
            &self,
            root: &str,
            search: &[&str],
            program: &str,
        ) -> Result<Arc<SandboxView>, String> {
            let folders = search.iter().map(|folder| self.path(folder));
            let search = std::env::join_paths(folders).unwrap();
            let (root, home) = (self.path(root), self.path("home"));
            view(&ViewRequest {
                backend: SandboxBackend::Landlock,
                root: &root,
                home: Some(&home),
                covered: &[],
                hidden: &[],
                show: &[],
                search: vec![&search],
                program: &self.path(program),
                self_process: Path::new("/proc/self/exe"),
            })
        }

        fn names(&self, view: &SandboxView, wanted: FolderAccess) -> Vec<String> {
            let mine = view.layers.iter().filter(|(_, layer)| *layer == wanted);
            let below = mine.filter_map(|(path, _)| path.strip_prefix(self.path("")).ok());
            below.map(|path| path.display().to_string()).collect()
        }
    }

    #[test]
    fn a_home_shows_nothing_but_what_its_programs_need() {
        let machine = Machine::new(&[
            ("home/.cargo/bin/tool", ""),
            ("home/.cargo/credentials.toml", "key"),
            ("home/.rustup/x", ""),
            ("home/notes/secret", ""),
            ("home/.local/bin/agent", "-> ../share/agent/versions/2"),
            ("home/.local/share/agent/versions/2", ""),
            ("home/.local/bin/script", "#!HOME/venv/x/bin/python\n"),
            ("home/venv/x/bin/python", "-> ../../../.pyenv/bin/python"),
            ("home/venv/x/pyvenv.cfg", ""),
            ("home/.pyenv/bin/python", ""),
            ("home/proj/file", ""),
        ]);
        let search = ["home/.cargo/bin", "home/.local/bin"];
        let view = machine
            .view("home/proj", &search, "home/.cargo/bin/tool")
            .unwrap();
        assert_eq!(machine.names(&view, FolderAccess::Cover), ["home"]);
        assert_eq!(machine.names(&view, FolderAccess::Root), ["home/proj"]);
        assert_eq!(
            machine.names(&view, FolderAccess::Show),
            [
                "home/.cargo",
                "home/.local/bin",
                "home/.local/share/agent/versions",
                "home/.pyenv",
                "home/.rustup",
                "home/venv/x",
            ]
        );
        assert!(
            view.hidden
                .contains(&machine.path("home/.cargo/credentials.toml"))
        );
    }

    #[test]
    fn links_in_a_covered_home_are_remembered() {
        let machine = Machine::new(&[
            ("data/cargo/bin/tool", ""),
            ("home/.cargo", "-> ../data/cargo"),
            ("root/x", ""),
        ]);
        let view = machine
            .view("root", &["home/.cargo/bin"], "data/cargo/bin/tool")
            .unwrap();
        assert_eq!(
            view.links,
            [(machine.path("home/.cargo"), PathBuf::from("../data/cargo"))]
        );
    }

    #[test]
    fn a_program_that_is_named_is_shown_without_what_lies_beside_it() {
        let machine = Machine::new(&[
            ("home/papers/run.sh", "#!/bin/sh\n"),
            ("home/papers/secret", ""),
            ("home/.ssh/run.sh", "#!/bin/sh\n"),
            ("root/x", ""),
        ]);
        let view = machine.view("root", &[], "home/papers/run.sh").unwrap();
        assert_eq!(
            machine.names(&view, FolderAccess::Show),
            ["home/papers/run.sh"]
        );
        let refusal = machine.view("root", &[], "home/.ssh/run.sh").unwrap_err();
        assert!(refusal.contains("which the sandbox hides"), "{refusal}");
        assert!(refusal.contains("sandbox.show"), "{refusal}");
    }

    #[test]
    fn a_root_that_is_the_home_keeps_only_the_places_of_secrets_covered() {
        let machine = Machine::new(&[("home/.ssh/key", ""), ("home/.npmrc", ""), ("home/x", "")]);
        let view = machine.view("home", &[], "home/x").unwrap();
        assert_eq!(machine.names(&view, FolderAccess::Cover), ["home/.ssh"]);
        assert!(view.hidden.contains(&machine.path("home/.npmrc")));
    }

    #[test]
    fn the_repository_around_the_root_is_shown_and_a_linked_one_with_its_history() {
        let machine = Machine::new(&[
            ("home/mono/.git/HEAD", ""),
            ("home/mono/part/x", ""),
            ("home/main/.git/worktrees/w/commondir", "../.."),
            ("home/linked/.git", "gitdir: HOME/main/.git/worktrees/w"),
        ]);
        let view = machine
            .view("home/mono/part", &[], "home/mono/part/x")
            .unwrap();
        assert_eq!(machine.names(&view, FolderAccess::Show), ["home/mono"]);
        let view = machine
            .view("home/linked", &[], "home/linked/.git")
            .unwrap();
        assert_eq!(machine.names(&view, FolderAccess::Show), ["home/main/.git"]);
    }

    #[test]
    fn settings_of_git_are_shown_unless_they_hold_a_secret() {
        let plain = Machine::new(&[("home/.gitconfig", "[user]\nname = x\n"), ("root/x", "")]);
        let view = plain.view("root", &[], "root/x").unwrap();
        assert_eq!(plain.names(&view, FolderAccess::Show), ["home/.gitconfig"]);
        let secret = "[http]\nextraheader = AUTHORIZATION: basic eDp5\n";
        let telling = Machine::new(&[("home/.gitconfig", secret), ("root/x", "")]);
        let view = telling.view("root", &[], "root/x").unwrap();
        assert_eq!(telling.names(&view, FolderAccess::Show), [""; 0]);
    }

    #[test]
    fn a_folder_that_is_covered_is_hidden_and_one_below_it_is_not_even_there() {
        let machine = Machine::new(&[("home/plain/x", ""), ("home/code/proj/x", "")]);
        let hidden = |folder: &str, backend| {
            let (root, home) = (machine.path("home/code/proj"), machine.path("home"));
            let wish = ViewRequest {
                backend,
                root: &root,
                home: Some(&home),
                covered: &[],
                hidden: &[],
                show: &[],
                search: Vec::new(),
                program: Path::new(TOS_PATH_IN_SANDBOX),
                self_process: Path::new("/proc/self/exe"),
            };
            hidden_folder(&wish, &machine.path(folder))
        };
        let cover = machine.path("home");
        for (folder, can_start) in [("home", true), ("home/plain", false), ("home/code", true)] {
            let told = hidden(folder, SandboxBackend::Bubblewrap);
            let cover = cover.clone();
            assert_eq!(told, Some(HiddenFolder { cover, can_start }), "{folder}");
        }
        let told = hidden("home/plain", SandboxBackend::Landlock).unwrap();
        assert!(told.can_start);
        assert_eq!(hidden("home/code/proj", SandboxBackend::Bubblewrap), None);
    }

    #[test]
    fn only_places_that_exist_are_hidden_and_never_the_root() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        fs::create_dir_all(home.join(".ssh")).unwrap();
        fs::create_dir_all(home.join(".claude/work")).unwrap();
        let found = secret_paths(Some(&home), &[], &home.join(".claude/work"), &Lookup::new());
        let below: Vec<_> = found.into_iter().filter(|p| p.starts_with(&home)).collect();
        assert_eq!(below, [home.join(".ssh")]);
    }

    #[test]
    fn only_paths_below_the_root_are_protected() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir(root.join(".git")).unwrap();
        let paths = [".git", "logs", "..", "/etc"].map(PathBuf::from);
        assert_eq!(protected(&paths, &root), [root.join(".git")]);
    }
}
