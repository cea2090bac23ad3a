//! Collects what a task leaves behind: files that match its patterns, copied into the run and measured.
//!
//! Only regular files are taken, never a symbolic link nor anything below one. What lies outside the task's
//! directory is taken too, under a name that says so; nothing is ever written outside the run's artifacts and the
//! plan's `artifacts_dir`.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
};

use globset::{GlobBuilder, GlobMatcher};
use sha2::{Digest, Sha256};

use crate::{adapters::plan::guard, domain::plan::event::Artifact};

/// What to collect, and where to.
pub(crate) struct Collection<'a> {
    /// The patterns.
    pub(crate) patterns: &'a [String],
    /// The directory of the task.
    pub(crate) cwd: &'a Path,
    /// The directory of the run.
    pub(crate) run: &'a Path,
    /// The task.
    pub(crate) id: &'a str,
    /// Where a second copy goes.
    pub(crate) second: Option<&'a Path>,
}

/// Collects the outputs; what cannot be read or copied is left out.
pub(crate) fn collect(collection: &Collection<'_>) -> Vec<Artifact> {
    let base = collection.run.join("artifacts").join(collection.id);
    if guard::symlink_in(&base).is_some() || std::fs::create_dir_all(&base).is_err() {
        return Vec::new();
    }
    let second = collection
        .second
        .map(|path| path.join(collection.id))
        .filter(|path| guard::symlink_in(path).is_none());
    let mut taken = BTreeSet::new();
    let mut artifacts = Vec::new();
    for source in matching(collection.patterns, collection.cwd) {
        let name = distinct(&destination(&source, collection.cwd), &mut taken);
        let Ok((bytes, sha256)) = copy(&source, &base.join(&name)) else {
            continue;
        };
        if let Some(second) = &second {
            // The second copy is a convenience; the run's own is the record.
            drop(copy(&source, &second.join(&name)));
        }
        let path = format!("artifacts/{}/{}", collection.id, name.display());
        artifacts.push(Artifact {
            path,
            bytes,
            sha256,
        });
    }
    artifacts
}

/// Returns the regular files that match one of the patterns, each once, sorted.
pub(crate) fn matching(patterns: &[String], cwd: &Path) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let cwd = clean(cwd);
    for pattern in patterns {
        // Joining an absolute pattern replaces the directory, as with any path.
        let whole = clean(&cwd.join(pattern));
        let (base, rest) = match whole.strip_prefix(&cwd) {
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
        if guard::symlink_in(&fixed).is_none() {
            walk(&fixed, &glob.compile_matcher(), &mut found, 0);
        }
    }
    found.into_iter().collect()
}

/// Resolves `.` and `..` by name alone.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

fn is_plain_file(path: &Path) -> bool {
    guard::symlink_in(path).is_none()
        && std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

fn walk(directory: &Path, glob: &GlobMatcher, found: &mut BTreeSet<PathBuf>, depth: usize) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < 128 => walk(&path, glob, found, depth + 1),
            Ok(kind) if kind.is_file() && glob.is_match(&path) => {
                found.insert(path);
            }
            _ => {}
        }
    }
}

fn destination(source: &Path, cwd: &Path) -> PathBuf {
    let (prefix, rest) = match source.strip_prefix(clean(cwd)) {
        Ok(inside) => ("", inside),
        Err(_) => ("__abs__", source.strip_prefix("/").unwrap_or(source)),
    };
    let mut name = PathBuf::from(prefix);
    for part in rest.components() {
        name.push(part.as_os_str().to_string_lossy().replace(':', "_"));
    }
    name
}

fn distinct(name: &Path, taken: &mut BTreeSet<String>) -> PathBuf {
    let key = |path: &Path| path.to_string_lossy().to_lowercase();
    let mut candidate = name.to_owned();
    let mut number = 1;
    while !taken.insert(key(&candidate)) {
        number += 1;
        candidate = PathBuf::from(format!("{}__case{number}", name.display()));
    }
    candidate
}

/// Copies a file, sharing its blocks where the file system can, and returns its size and digest.
fn copy(source: &Path, target: &Path) -> io::Result<(u64, String)> {
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
        if guard::symlink_in(parent).is_some() {
            return Err(io::Error::other("a symbolic link stands in the way"));
        }
    }
    let mut input = guard::open_regular(source)?;
    match std::fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut output = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(target)?;
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

/// Returns bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
