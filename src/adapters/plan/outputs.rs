//! Collects what a task leaves behind: files that match its patterns, copied into the run and measured.
//!
//! Only regular files are taken, never a symbolic link nor anything below one. What lies outside the task's
//! directory is taken too, under a name that says so; nothing is ever written outside the run's artifacts and the
//! plan's `artifacts_dir`. What tos and git keep for themselves is no output of anybody, whatever the pattern: the
//! home of the runs holds the outputs of every run before, so each run would double it.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io,
    io::{Read, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use globset::{GlobBuilder, GlobMatcher};
use sha2::{Digest, Sha256};

use crate::{
    adapters::plan::safe_open,
    domain::{hash::hex, plan::event::Artifact, state_folder::TOS_FOLDER},
    ports::plan_host::{FileAccessRules, normalize_path},
};

/// What to collect, and where to.
pub(crate) struct OutputCollection<'a> {
    /// The patterns.
    pub(crate) patterns: &'a [String],
    /// The directory of the task.
    pub(crate) cwd: &'a Path,
    /// The directory of the run.
    pub(crate) run: &'a Path,
    /// The home of all runs.
    pub(crate) home: &'a Path,
    /// The task.
    pub(crate) id: &'a str,
    /// Where a second copy goes.
    pub(crate) second: Option<&'a Path>,
    /// What may be touched; `None` = whatever the user may.
    pub(crate) reach: Option<&'a FileAccessRules>,
}

/// Where nobody's files lie.
pub(crate) struct ProtectedFolders {
    places: Vec<PathBuf>,
    /// Entered only by patterns that name it.
    second: Option<PathBuf>,
    /// Folders of these names, wherever they are.
    names: &'static [&'static str],
    cwd: PathBuf,
}

impl ProtectedFolders {
    /// Shuts the home of the runs; a task whose directory is in there sees all but the runs and what they remember.
    pub(crate) fn home(home: &Path, cwd: &Path) -> Self {
        let home = std::fs::canonicalize(home).unwrap_or_else(|_| normalize_path(home));
        let cwd = normalize_path(cwd);
        let places = if cwd.starts_with(&home) {
            vec![home.join("runs"), home.join("cache")]
        } else {
            vec![home]
        };
        Self {
            places,
            second: None,
            names: &[],
            cwd,
        }
    }

    fn for_outputs(collection: &OutputCollection<'_>) -> Self {
        let mut shut = Self::home(collection.home, collection.cwd);
        shut.names = &[".git", TOS_FOLDER, ".orch"];
        shut.second = collection.second.map(normalize_path);
        let own = collection.second.map(|path| path.join(collection.id));
        shut.places.extend(own.as_deref().map(normalize_path));
        shut
    }

    fn has(&self, path: &Path) -> bool {
        let mut here = self.cwd.components();
        // A task may well run in a work tree that lies below such a folder; that one is meant.
        let mut beyond = path
            .components()
            .skip_while(|part| here.next().as_ref() == Some(part));
        self.places.iter().any(|place| path.starts_with(place))
            || beyond.any(|part| self.names.iter().any(|name| part.as_os_str() == *name))
    }
}

/// What was kept, and what was promised and is not there.
#[derive(Debug, Default)]
pub(crate) struct CollectedOutputs {
    /// The files.
    pub(crate) artifacts: Vec<Artifact>,
    /// Why the promise is not kept, in words; empty where it is.
    pub(crate) lacking: Vec<String>,
}

/// Collects the outputs.
pub(crate) fn collect(collection: &OutputCollection<'_>) -> CollectedOutputs {
    let base = collection.run.join("artifacts").join(collection.id);
    let mut collected = CollectedOutputs::default();
    if safe_open::symlink_in(&base).is_some() || std::fs::create_dir_all(&base).is_err() {
        let place = base.display();
        collected.lacking = vec![format!("its outputs cannot be kept in `{place}`")];
        return collected;
    }
    let second = collection
        .second
        .map(|path| path.join(collection.id))
        .filter(|path| safe_open::symlink_in(path).is_none())
        .filter(|path| {
            collection
                .reach
                .is_none_or(|reach| reach.may_write(&normalize_path(path)))
        });
    let mut taken = BTreeSet::new();
    let shut = ProtectedFolders::for_outputs(collection);
    let mut sources = BTreeSet::new();
    for pattern in collection.patterns {
        let found = matching(std::slice::from_ref(pattern), &shut, collection.reach);
        if found.is_empty() {
            let lacking = format!("output `{pattern}` was not made: no regular file of this name");
            collected.lacking.push(lacking);
        }
        sources.extend(found);
    }
    for source in sources {
        let name = distinct(&destination(&source, collection.cwd), &mut taken);
        let (bytes, sha256) = match copy(&source, &base.join(&name)) {
            Ok(copied) => copied,
            Err(error) => {
                let source = source.display();
                let lacking = format!("output `{source}` could not be kept: {error}");
                collected.lacking.push(lacking);
                continue;
            }
        };
        if let Some(second) = &second {
            // The second copy is a convenience; the run's own is the record.
            drop(copy(&source, &second.join(&name)));
        }
        let path = Path::new("artifacts").join(collection.id).join(&name);
        let (path, raw) = recorded(&path);
        collected.artifacts.push(Artifact {
            path,
            raw,
            bytes,
            sha256,
        });
    }
    collected
}

/// Returns the text for a path, and its bytes in digits where the text does not say them.
fn recorded(path: &Path) -> (String, Option<String>) {
    use std::fmt::Write as _;
    if let Some(text) = path.to_str() {
        return (text.to_owned(), None);
    }
    let bytes = path.as_os_str().as_bytes();
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        shown.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\x{byte:02X}");
        }
    }
    (shown, Some(hex(bytes)))
}

/// Returns the path of an artifact, relative to its run.
pub(crate) fn path_of(artifact: &Artifact) -> PathBuf {
    let Some(digits) = &artifact.raw else {
        return PathBuf::from(&artifact.path);
    };
    let bytes = digits.as_bytes().chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).unwrap_or_default();
        u8::from_str_radix(text, 16).unwrap_or(b'?')
    });
    PathBuf::from(OsString::from_vec(bytes.collect()))
}

/// Returns the regular files within `reach` that match one of the patterns and are not shut, each once, sorted.
pub(crate) fn matching(
    patterns: &[String],
    shut: &ProtectedFolders,
    reach: Option<&FileAccessRules>,
) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let cwd = &shut.cwd;
    for pattern in patterns {
        // Joining an absolute pattern replaces the directory, as with any path.
        let whole = normalize_path(&cwd.join(pattern));
        let (base, rest) = match whole.strip_prefix(cwd) {
            Ok(inside) => (cwd.as_path(), inside),
            Err(_) => (Path::new("/"), whole.strip_prefix("/").unwrap_or(&whole)),
        };
        let Some((base_text, rest)) = base.to_str().zip(rest.to_str()) else {
            continue;
        };
        let Some(magic) = rest.find(['*', '?', '[', '{']) else {
            found.extend(is_plain_file(&whole).then_some(whole));
            continue;
        };
        let fixed = base.join(&rest[..rest[..magic].rfind('/').unwrap_or(0)]);
        let text = format!(
            "{}/{rest}",
            globset::escape(base_text.trim_end_matches('/'))
        );
        // `dist/**` means every file below, as everybody expects.
        let Ok(glob) = GlobBuilder::new(&text).literal_separator(true).build() else {
            continue;
        };
        if safe_open::symlink_in(&fixed).is_none() {
            walk(&fixed, &glob.compile_matcher(), shut, &mut found, 0);
        }
    }
    found
        .into_iter()
        .filter(|path| !shut.has(path) && reach.is_none_or(|reach| reach.may_read(path)))
        .collect()
}

fn is_plain_file(path: &Path) -> bool {
    safe_open::symlink_in(path).is_none()
        && std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

fn walk(
    directory: &Path,
    glob: &GlobMatcher,
    shut: &ProtectedFolders,
    found: &mut BTreeSet<PathBuf>,
    depth: usize,
) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind)
                if kind.is_dir()
                    && depth < 128
                    && shut.second.as_ref() != Some(&path)
                    && !shut.has(&path) =>
            {
                walk(&path, glob, shut, found, depth + 1);
            }
            Ok(kind) if kind.is_file() && glob.is_match(&path) => {
                found.insert(path);
            }
            _ => {}
        }
    }
}

fn destination(source: &Path, cwd: &Path) -> PathBuf {
    let (prefix, rest) = match source.strip_prefix(normalize_path(cwd)) {
        Ok(inside) => ("", inside),
        Err(_) => ("__abs__", source.strip_prefix("/").unwrap_or(source)),
    };
    let mut name = PathBuf::from(prefix);
    for part in rest.components() {
        let bytes = part.as_os_str().as_bytes().iter();
        let bytes = bytes.map(|byte| if *byte == b':' { b'_' } else { *byte });
        name.push(OsString::from_vec(bytes.collect()));
    }
    name
}

fn distinct(name: &Path, taken: &mut BTreeSet<String>) -> PathBuf {
    let key = |path: &Path| recorded(path).0.to_lowercase();
    let mut candidate = name.to_owned();
    let mut number = 1;
    while !taken.insert(key(&candidate)) {
        number += 1;
        let mut text = name.as_os_str().to_owned();
        text.push(format!("__case{number}"));
        candidate = PathBuf::from(text);
    }
    candidate
}

/// Copies a file, sharing its blocks where the file system can, and returns its size and digest.
pub(crate) fn copy(source: &Path, target: &Path) -> io::Result<(u64, String)> {
    let mut input = safe_open::open_no_symlinks(source)?;
    let mut output = safe_open::create_replacing(target)?;
    let is_shared = rustix::fs::ioctl_ficlone(&output, &input).is_ok();
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = input.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        if !is_shared {
            output.write_all(&buffer[..count])?;
        }
        bytes += count as u64;
    }
    let metadata = input.metadata()?;
    output.set_permissions(metadata.permissions())?;
    output.set_modified(metadata.modified()?)?;
    Ok((bytes, hex(&hash.finalize())))
}
