//! Looks paths up, each part once, and remembers in which folders it looked and as what it found them.
//!
//! What a command may see hangs on a thousand questions about a few dozen folders. As long as none of these folders has changed, each
//! answer is what it was; that is asked with one call for each folder ([`Witness::is_current`]). Danger: the clock of a file system
//! ticks in milliseconds, so what changed just now may change again and look the same; a [`Witness`] of such a folder is never current.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    ffi::{OsStr, OsString},
    fs,
    io::Read,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How many links one path may lead over.
const MOST_LINKS: usize = 40;

/// How long a folder must have been at rest for its times to tell it from what it may become: some ticks of a file system's clock.
const REST: Duration = Duration::from_millis(50);

/// As what a file or folder was found: device, inode, and the times of content and inode with nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    inode_changed: (i64, i64),
}

impl FileIdentity {
    /// Returns as what a path without links is found now; `None` = nothing that can be seen.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let data = path.symlink_metadata().ok()?;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            changed: (data.mtime(), data.mtime_nsec()),
            inode_changed: (data.ctime(), data.ctime_nsec()),
        })
    }

    /// Says whether the last change lies so long back that the next one is told from it by its time.
    fn is_at_rest(self, before: Duration) -> bool {
        let (seconds, nanoseconds) = self.inode_changed;
        let changed = Duration::new(
            u64::try_from(seconds).unwrap_or(0),
            u32::try_from(nanoseconds).unwrap_or(0),
        );
        changed + REST < before
    }
}

/// What answers hang on: folders and files, and as what they were found before the first look at them.
#[derive(Debug)]
pub(super) struct Witness {
    found: BTreeMap<PathBuf, Option<FileIdentity>>,
    is_at_rest: bool,
}

impl Witness {
    /// Says whether every answer would be the same now.
    pub(super) fn is_current(&self) -> bool {
        self.is_at_rest
            && self
                .found
                .iter()
                .all(|(path, as_what)| FileIdentity::of(path) == *as_what)
    }
}

/// What was found at one place, which is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Nothing,
    Link(PathBuf),
    Folder,
    File,
    Special,
}

/// One look around, as long as it takes to decide about one wall.
#[derive(Debug)]
pub(super) struct Lookup {
    began: Duration,
    places: RefCell<BTreeMap<PathBuf, Found>>,
    looked_in: RefCell<BTreeMap<PathBuf, Option<FileIdentity>>>,
}

impl Lookup {
    /// Begins to look around.
    pub(super) fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            began: now.unwrap_or_default(),
            places: RefCell::default(),
            looked_in: RefCell::default(),
        }
    }

    /// Ends it and returns what the answers hang on.
    pub(super) fn witness(self) -> Witness {
        let found = self.looked_in.into_inner();
        let mut seen = found.values().flatten();
        Witness {
            is_at_rest: seen.all(|identity| identity.is_at_rest(self.began)),
            found,
        }
    }

    /// Looks at a place whose folder is named without links.
    fn found(&self, place: &Path) -> Found {
        if let Some(known) = self.places.borrow().get(place) {
            return known.clone();
        }
        if let Some(folder) = place.parent() {
            self.remember(folder);
        }
        let found = match place.symlink_metadata() {
            Err(_) => Found::Nothing,
            Ok(data) if data.is_symlink() => {
                fs::read_link(place).map_or(Found::Nothing, Found::Link)
            }
            Ok(data) if data.is_dir() => Found::Folder,
            Ok(data) if data.is_file() => Found::File,
            Ok(_) => Found::Special,
        };
        let mut places = self.places.borrow_mut();
        places.insert(place.to_owned(), found.clone());
        found
    }

    /// Remembers as what a folder or file is found, before anything is read from it, here or elsewhere.
    pub(super) fn remember(&self, path: &Path) {
        let mut looked_in = self.looked_in.borrow_mut();
        if !looked_in.contains_key(path) {
            looked_in.insert(path.to_owned(), FileIdentity::of(path));
        }
    }

    /// Follows a path to where it really is, and says of each link on the way where it lies, what it says, and whether it is the last
    /// part of the path. `None` = there is nothing at its end.
    pub(super) fn follow(
        &self,
        path: &Path,
        mut over: impl FnMut(&Path, &Path, bool),
    ) -> Option<PathBuf> {
        let mut rest: VecDeque<OsString> = parts(path);
        let mut at = PathBuf::from("/");
        let mut left = MOST_LINKS;
        let mut last = Found::Folder;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                at.pop();
                last = Found::Folder;
                continue;
            }
            let next = at.join(&part);
            match self.found(&next) {
                Found::Link(target) => {
                    left = left.checked_sub(1)?;
                    over(&next, &target, rest.is_empty());
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    for part in parts(&target).into_iter().rev() {
                        rest.push_front(part);
                    }
                }
                found => {
                    at = next;
                    last = found;
                    // Below what is no folder there is nothing.
                    if last != Found::Folder && !rest.is_empty() {
                        return None;
                    }
                }
            }
        }
        (last != Found::Nothing).then_some(at)
    }

    /// Returns where a path really is, where something is there.
    pub(super) fn resolved(&self, path: &Path) -> Option<PathBuf> {
        self.follow(path, |_, _, _| ())
    }

    /// Says whether something is there, links followed.
    pub(super) fn exists(&self, path: &Path) -> bool {
        self.resolved(path).is_some()
    }

    /// Says whether a folder is there, links followed.
    pub(super) fn is_folder(&self, path: &Path) -> bool {
        self.is(path, &Found::Folder)
    }

    /// Says whether a file is there, links followed.
    pub(super) fn is_file(&self, path: &Path) -> bool {
        self.is(path, &Found::File)
    }

    fn is(&self, path: &Path, what: &Found) -> bool {
        let end = self.resolved(path);
        // Nothing stands above `/`, which is looked at here for the first time.
        end.is_some_and(|end| self.found(&end) == *what)
    }

    /// Reads a file; what is none, or not text, has no text.
    pub(super) fn text(&self, path: &Path) -> Option<String> {
        let end = self.resolved(path).filter(|end| self.is_file(end))?;
        self.remember(&end);
        fs::read_to_string(end).ok()
    }

    /// Returns what lies in a folder.
    pub(super) fn entries(&self, folder: &Path) -> Vec<PathBuf> {
        let Some(end) = self.resolved(folder) else {
            return Vec::new();
        };
        self.remember(&end);
        let entries = fs::read_dir(end).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Returns the program that a script's first line names by its path.
    pub(super) fn interpreter(&self, script: &Path) -> Option<PathBuf> {
        let end = self.resolved(script).filter(|end| self.is_file(end))?;
        self.remember(&end);
        interpreter(&end)
    }
}

/// Returns the parts of a path without `/` and `.`.
fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.collect()
}

/// Returns the program that a script's first line names by its path.
pub(super) fn interpreter(script: &Path) -> Option<PathBuf> {
    let mut start = Vec::new();
    // A pipe in its place would never open.
    if !fs::metadata(script).ok()?.is_file() {
        return None;
    }
    let file = fs::File::open(script).ok()?;
    file.take(512).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let word = line.trim_ascii();
    let word = word.split(u8::is_ascii_whitespace).next()?;
    let path = PathBuf::from(OsStr::from_bytes(word));
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        (folder, path)
    }

    /// A look that begins when all that was made before is long at rest.
    fn later() -> Lookup {
        let mut lookup = Lookup::new();
        lookup.began += Duration::from_secs(3600);
        lookup
    }

    #[test]
    fn a_path_is_followed_over_links_to_where_it_is() {
        let (_kept, top) = folder();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(
            top.join("a/b/file"),
            "#!/bin/sh -e
",
        )
        .unwrap();
        symlink("../a", top.join("a/up")).unwrap();
        symlink("a/up/b", top.join("short")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        symlink("nowhere", top.join("dangling")).unwrap();
        let lookup = Lookup::new();
        let file = top.join("a/b/file");
        for name in ["short/file", "a/../short/./file", "a/up/up/b/file"] {
            assert_eq!(
                lookup.resolved(&top.join(name)),
                Some(file.clone()),
                "{name}"
            );
        }
        for name in ["loop", "dangling", "a/b/file/x", "short/none/file", "none"] {
            assert_eq!(lookup.resolved(&top.join(name)), None, "{name}");
        }
        assert_eq!(lookup.resolved(Path::new("/")), Some("/".into()));
        assert!(lookup.is_folder(Path::new("/")) && lookup.is_folder(&top.join("short")));
        assert!(lookup.is_file(&top.join("short/file")) && !lookup.is_file(&top.join("short")));
        assert_eq!(
            lookup.text(&top.join("short/file")).as_deref(),
            Some("#!/bin/sh -e\n")
        );
        assert_eq!(lookup.text(&top.join("short")), None);
        assert_eq!(lookup.interpreter(&file), Some("/bin/sh".into()));
        let mut over = Vec::new();
        lookup.follow(&top.join("short/file"), |link, _, is_last| {
            over.push((link.strip_prefix(&top).unwrap().to_owned(), is_last));
        });
        assert_eq!(over, [("short".into(), false), ("a/up".into(), false)]);
    }

    #[test]
    fn answers_count_until_something_comes_goes_or_is_written() {
        let (_kept, top) = folder();
        fs::create_dir(top.join("home")).unwrap();
        fs::write(top.join("settings"), "one").unwrap();
        let looked = || {
            let lookup = later();
            assert!(!lookup.exists(&top.join("home/.netrc")));
            lookup.text(&top.join("settings"));
            lookup.witness()
        };
        let touched = |path: &Path| {
            // The clock of the file system ticks in milliseconds; another time stands for a later one.
            let file = fs::File::open(path).unwrap();
            let later = file.metadata().unwrap().modified().unwrap() + Duration::from_secs(1);
            file.set_modified(later).unwrap();
        };
        let before = looked();
        assert!(before.is_current());
        fs::write(top.join("home/.netrc"), "machine x").unwrap();
        touched(&top.join("home"));
        assert!(!before.is_current());
        fs::remove_file(top.join("home/.netrc")).unwrap();
        let before = looked();
        touched(&top.join("settings"));
        assert!(!before.is_current());
        let before = looked();
        fs::remove_dir(top.join("home")).unwrap();
        assert!(!before.is_current());
    }

    #[test]
    fn what_changed_just_now_may_change_again_unseen_and_is_not_believed() {
        let (_kept, top) = folder();
        let lookup = Lookup::new();
        lookup.exists(&top.join("x"));
        assert!(!lookup.witness().is_current());
    }
}
