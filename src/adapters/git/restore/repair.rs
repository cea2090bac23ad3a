//! Makes a repository usable again before a way back, whatever was done to git's own files: an agent may have written
//! anything there, and none of it may block a restore or lead it to another place.
//!
//! Nothing is deleted: what is damaged is moved aside within the git directory, and said. What a checkpoint has seen of
//! the configuration and of HEAD is kept beside them and put in the place of what cannot be read.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use git2::{Config, Repository};

use crate::adapters::git::{
    error::{ErrorContext, Result, path_text},
    index,
    index::publish,
    options::CheckpointOptions,
    program::GitProgram,
    repository::WorktreeRepository,
};

/// The folder in the git directory for what checkpoints have seen.
const KEPT: &str = "tos/kept";
/// A configuration that lets git work, where nothing better is known.
const PLAIN_CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n";
/// Extensions that tos and its library know.
const KNOWN_EXTENSIONS: &[&str] = &[
    "objectformat",
    "refstorage",
    "worktreeconfig",
    "partialclone",
    "preciousobjects",
    "noop",
    "noop-v1",
];
/// Folders of references: a file in such a place hides everything below it.
const REF_FOLDERS: &[&str] = &[
    "refs",
    "refs/heads",
    "refs/tags",
    "refs/tos",
    "refs/tos/checkpoints",
    "refs/tos/disk",
    "refs/tos/safety",
    "refs/tos/trees",
];

/// Keeps what git needs to open the repository, for the day when it was damaged.
pub(in crate::adapters::git) fn blocking_back_up(home: &WorktreeRepository) {
    let pairs = [
        (home.git.commondir(), "config"),
        (home.directory.as_path(), "HEAD"),
    ];
    for (folder, name) in pairs {
        let kept = folder.join(KEPT);
        // Without it a restore does with less; a checkpoint does not fail for that.
        drop(
            fs::create_dir_all(&kept)
                .and_then(|()| fs::copy(folder.join(name), kept.join(name)).map(drop)),
        );
    }
}

/// Repairs what keeps the repository of a root from being opened and read; returns what was done, one line each.
pub(in crate::adapters::git) fn blocking_repair(
    options: &CheckpointOptions,
) -> Result<Vec<String>> {
    let Some(mut place) = Place::find(&options.root) else {
        return Ok(Vec::new());
    };
    if place.is_of_another_format() {
        // What looks damaged there is only written otherwise; opening it says what it is.
        return Ok(Vec::new());
    }
    place.blocking_head()?;
    place.blocking_refs()?;
    place.blocking_lists()?;
    place.blocking_config()?;
    place.blocking_locks(options.lock_wait)?;
    place.blocking_index()?;
    Ok(place.told)
}

/// Tells whether a line of a file is one of git's.
type IsGood = fn(&str) -> bool;

/// Where the parts of a repository are, found without asking its configuration.
struct Place {
    top: PathBuf,
    /// The git directory of this work tree.
    directory: PathBuf,
    /// What all its work trees share.
    common: PathBuf,
    told: Vec<String>,
}

impl Place {
    fn find(root: &Path) -> Option<Self> {
        let root = root.canonicalize().ok()?;
        let top = root
            .ancestors()
            .find(|folder| folder.join(".git").symlink_metadata().is_ok())?
            .to_owned();
        let dot = top.join(".git");
        let directory = if dot.is_dir() {
            dot
        } else {
            let link = fs::read_to_string(&dot).ok()?;
            let path = link.trim().strip_prefix("gitdir: ")?.to_owned();
            top.join(path).canonicalize().ok()?
        };
        let common = fs::read_to_string(directory.join("commondir")).ok();
        let common = common.and_then(|path| directory.join(path.trim()).canonicalize().ok());
        Some(Self {
            common: common.unwrap_or_else(|| directory.clone()),
            top,
            directory,
            told: Vec::new(),
        })
    }

    /// Returns whether the repository is of a format that nothing here can read, and always was as far as a checkpoint knows.
    fn is_of_another_format(&self) -> bool {
        let says = |file: &Path| {
            let text = fs::read_to_string(file).ok()?;
            let lines = text
                .lines()
                .map(|line| line.replace([' ', '\t'], "").to_ascii_lowercase());
            let other = |line: String| {
                let (name, value) = line
                    .split_once('=')
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))?;
                match name.as_str() {
                    "objectformat" => Some(value != "sha1"),
                    "refstorage" => Some(value != "files"),
                    _ => None,
                }
            };
            Some(lines.filter_map(other).any(|is_other| is_other))
        };
        let kept = says(&self.common.join(KEPT).join("config"));
        says(&self.common.join("config")) == Some(true) && kept.unwrap_or(true)
    }

    /// Moves something out of git's sight.
    fn blocking_set_aside(&mut self, path: &Path, why: &str) -> Result<()> {
        let name = path.strip_prefix(&self.common).unwrap_or(path);
        let name = name.to_string_lossy().trim_matches('/').replace('/', "-");
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs());
        let free = (0..).map(|number| self.common.join(format!("damaged-{now}-{number}-{name}")));
        let to = free
            .into_iter()
            .find(|to| to.symlink_metadata().is_err())
            .unwrap_or_else(|| self.common.join(format!("damaged-{name}")));
        fs::rename(path, &to).at("move aside", path)?;
        self.told.push(format!(
            "`{}` {why}; it is kept as `{}`",
            path_text(path),
            path_text(&to)
        ));
        Ok(())
    }

    fn blocking_head(&mut self) -> Result<()> {
        let path = self.directory.join("HEAD");
        if fs::read_to_string(&path).is_ok_and(|text| is_head(&text)) {
            return Ok(());
        }
        if path.symlink_metadata().is_ok() {
            self.blocking_set_aside(&path, "is no HEAD")?;
        } else {
            self.told.push(format!("`{}` was gone", path_text(&path)));
        }
        let kept = fs::read_to_string(self.directory.join(KEPT).join("HEAD")).ok();
        let head = kept.filter(|text| is_head(text));
        let head = head.unwrap_or_else(|| format!("ref: {}\n", self.some_branch()));
        fs::write(&path, &head).at("write", &path)?;
        self.told.push(format!("HEAD is `{}` again", head.trim()));
        Ok(())
    }

    fn some_branch(&self) -> String {
        let folder = self.common.join("refs/heads");
        let there = |name: &&str| folder.join(name).is_file();
        let usual = ["main", "master"].iter().find(|name| there(name));
        usual.map_or_else(
            || "refs/heads/main".to_owned(),
            |name| format!("refs/heads/{name}"),
        )
    }

    fn blocking_refs(&mut self) -> Result<()> {
        // With another storage of references these folders mean something else.
        if self.common.join("reftable").exists() {
            return Ok(());
        }
        for folder in REF_FOLDERS {
            let path = self.common.join(folder);
            if path.symlink_metadata().is_ok_and(|data| !data.is_dir()) {
                self.blocking_set_aside(&path, "stands in the place of a folder")?;
            }
        }
        let heads = self.common.join("refs/heads");
        fs::create_dir_all(&heads).at("create", &heads)?;
        let mut open = vec![self.common.join("refs")];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(path);
                } else if path.extension().is_none_or(|ending| ending != "lock")
                    && !fs::read_to_string(&path).is_ok_and(|text| is_head(&text))
                {
                    self.blocking_set_aside(&path, "is no reference")?;
                }
            }
        }
        Ok(())
    }

    /// Lists of ids that git reads as a whole, and fails over one line.
    fn blocking_lists(&mut self) -> Result<()> {
        let lists: [(&str, IsGood); 3] = [
            ("packed-refs", is_packed_reference),
            ("shallow", is_id),
            ("info/grafts", |line| {
                line.starts_with('#') || line.split(' ').all(is_id)
            }),
        ];
        for (name, is_good) in lists {
            let path = self.common.join(name);
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(_) => {
                    self.blocking_set_aside(&path, "cannot be read")?;
                    continue;
                }
            };
            let all = String::from_utf8_lossy(&bytes).into_owned();
            if all.lines().all(is_good) && (all.is_empty() || all.ends_with('\n')) {
                continue;
            }
            self.blocking_set_aside(&path, "has lines that are none of git's")?;
            let good: Vec<&str> = all.lines().filter(|line| is_good(line)).collect();
            if !good.is_empty() {
                fs::write(&path, format!("{}\n", good.join("\n"))).at("write", &path)?;
            }
        }
        Ok(())
    }

    fn blocking_config(&mut self) -> Result<()> {
        let path = self.common.join("config");
        if path.is_file() && self.opens_here() {
            return Ok(());
        }
        let kept = self.common.join(KEPT).join("config");
        if !path.is_file()
            || Config::open(&path)
                .and_then(|mut all| all.snapshot())
                .is_err()
        {
            if path.symlink_metadata().is_ok() {
                self.blocking_set_aside(&path, "cannot be read")?;
            } else {
                self.told.push(format!("`{}` was gone", path_text(&path)));
            }
            let known = Config::open(&kept).and_then(|mut all| all.snapshot());
            if kept.is_file() && known.is_ok() {
                fs::copy(&kept, &path).at("copy", &kept)?;
                self.told
                    .push("the configuration of the last checkpoint is in its place".to_owned());
            } else {
                fs::write(&path, PLAIN_CONFIG).at("write", &path)?;
                self.told.push(
                    "a plain configuration is in its place; remotes and your name have to be set anew"
                        .to_owned(),
                );
            }
        }
        if !self.opens_here() {
            self.blocking_mend(&path)?;
        }
        let own = self.directory.join("config.worktree");
        if !self.opens_here() && own.symlink_metadata().is_ok() {
            self.blocking_set_aside(&own, "keeps the repository from being opened")?;
        }
        Ok(())
    }

    /// Tells whether the repository opens, with the files of this folder as its work tree.
    fn opens_here(&self) -> bool {
        let opened = Repository::open(&self.top);
        let top = opened
            .ok()
            .and_then(|git| git.workdir()?.canonicalize().ok());
        top == self.top.canonicalize().ok()
    }

    /// Takes the settings out that keep the repository from being opened or lead to another folder.
    fn blocking_mend(&mut self, path: &Path) -> Result<()> {
        let reading = || format!("could not read `{}`", path_text(path));
        let mut all = Config::open(path).doing(reading)?;
        let mut wrong = Vec::new();
        let names = |all: &Config| -> Result<Vec<String>> {
            let mut found = Vec::new();
            let mut entries = all.entries(Some("extensions\\..*")).doing(reading)?;
            while let Some(entry) = entries.next() {
                let entry = entry.doing(reading)?;
                found.extend(entry.name().ok().map(str::to_owned));
            }
            Ok(found)
        };
        for name in names(&all)? {
            let short = name.trim_start_matches("extensions.").to_lowercase();
            if !KNOWN_EXTENSIONS.contains(&short.as_str()) {
                wrong.push(name);
            }
        }
        let version = all.get_i64("core.repositoryformatversion").unwrap_or(0);
        if !(0..=1).contains(&version) {
            wrong.push("core.repositoryformatversion".to_owned());
        }
        if all.get_bool("core.bare").unwrap_or(true) {
            wrong.push("core.bare".to_owned());
        }
        if all.get_string("core.worktree").is_ok() {
            wrong.push("core.worktree".to_owned());
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let copy = self.common.join("config.tos");
        fs::copy(path, &copy).at("copy", path)?;
        self.blocking_set_aside(&copy, "holds the configuration as it was")?;
        for name in &wrong {
            drop(all.remove(name));
        }
        if wrong.iter().any(|name| name == "core.bare") {
            drop(all.set_bool("core.bare", false));
        }
        if wrong.iter().any(|name| name.ends_with("version")) {
            drop(all.set_i64("core.repositoryformatversion", 0));
        }
        self.told.push(format!(
            "the configuration kept this folder from being restored; taken out: {}",
            wrong.join(", ")
        ));
        Ok(())
    }

    /// Locks that nobody holds any more.
    fn blocking_locks(&mut self, patience: Duration) -> Result<()> {
        let mut locks = vec![
            self.directory.join("index.lock"),
            self.directory.join("HEAD.lock"),
            self.common.join("packed-refs.lock"),
            self.common.join("config.lock"),
        ];
        let head = fs::read_to_string(self.directory.join("HEAD")).unwrap_or_default();
        if let Some(name) = head.trim().strip_prefix("ref: ") {
            locks.push(self.common.join(format!("{name}.lock")));
        }
        locks.retain(|lock| lock.symlink_metadata().is_ok());
        if locks.is_empty() {
            return Ok(());
        }
        // One that a git at work holds goes away by itself.
        drop(publish::blocking_wait_unlocked(
            &self.directory.join("index"),
            patience,
        ));
        if is_git_at_work(&self.top) {
            return Ok(());
        }
        for lock in locks {
            if lock.symlink_metadata().is_ok() {
                self.blocking_set_aside(&lock, "was left by a git that is no longer at work")?;
            }
        }
        Ok(())
    }

    fn blocking_index(&mut self) -> Result<()> {
        let path = self.directory.join("index");
        let is_whole = match index::read(&path) {
            Ok(Ok(_)) => true,
            // Other forms of it only git reads.
            Ok(Err(_)) => GitProgram::new(&self.top)
                .run(&["ls-files", "-z"], b"")
                .is_ok(),
            Err(_) => false,
        };
        if is_whole {
            return Ok(());
        }
        self.blocking_set_aside(&path, "is no index; what was staged is only in it")
    }
}

/// Tells whether a text is what HEAD or another reference holds: an id, or the name of a reference.
fn is_head(text: &str) -> bool {
    let text = text.trim_end();
    let symbolic = text.strip_prefix("ref:").map(str::trim_start);
    symbolic.is_some_and(|name| name.starts_with("refs/") && !name.contains([' ', '\n']))
        || is_id(text)
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_packed_reference(line: &str) -> bool {
    let named = |line: &str| {
        line.split_once(' ')
            .is_some_and(|(id, name)| is_id(id) && name.starts_with("refs/"))
    };
    line.starts_with('#') || line.strip_prefix('^').is_some_and(is_id) || named(line)
}

/// Tells whether a git program works in a folder or below it; true where that cannot be seen.
fn is_git_at_work(top: &Path) -> bool {
    let Ok(all) = fs::read_dir("/proc") else {
        return true;
    };
    let own = std::process::id().to_string();
    let numbers = all.flatten().filter(|entry| {
        let name = entry.file_name();
        name.as_bytes().iter().all(u8::is_ascii_digit) && name != own.as_str()
    });
    numbers.into_iter().any(|entry| {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let folder = fs::read_link(entry.path().join("cwd"));
        name.starts_with("git") && folder.is_ok_and(|folder| folder.starts_with(top))
    })
}
