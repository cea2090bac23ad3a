//! What a tree of git cannot hold of files: their exact rights, and folders, also empty ones, with theirs.
//!
//! A part of a checkpoint: for each file or folder its kind, its rights in octal digits, and its path, ended by a NUL.

use super::parts::{Files, Folder, Folders};
use crate::domain::checkpoint::display_path;

/// Returns the part of a checkpoint.
pub(super) fn to_bytes(files: &Files, folders: &Folders) -> Vec<u8> {
    let mut text = Vec::new();
    let mut line = |kind: char, rights: u32, path: &[u8]| {
        text.extend(format!("{kind}{rights:o} ").into_bytes());
        text.extend(path);
        text.push(0);
    };
    for (path, file) in files {
        if let Some(rights) = file.rights {
            line('f', rights, path);
        }
    }
    for (path, folder) in folders {
        let kind = if folder.is_lost { 'd' } else { 'p' };
        line(kind, folder.rights, path);
    }
    text
}

/// Reads the part: gives files their rights, and returns the folders. What is not understood is passed over.
pub(super) fn read(text: &[u8], files: &mut Files) -> Folders {
    let mut folders = Folders::new();
    for line in text.split(|byte| *byte == 0) {
        let Some(blank) = line.iter().position(|byte| *byte == b' ') else {
            continue;
        };
        let (head, path) = (line.get(..blank), line.get(blank + 1..));
        let (Some([kind, rights @ ..]), Some(path)) = (head, path) else {
            continue;
        };
        let rights = std::str::from_utf8(rights).ok();
        let Some(rights) = rights.and_then(|rights| u32::from_str_radix(rights, 8).ok()) else {
            continue;
        };
        match kind {
            b'f' => {
                if let Some(file) = files.get_mut(path) {
                    file.rights = Some(rights);
                }
            }
            b'd' | b'p' => {
                let is_lost = *kind == b'd';
                folders.insert(path.to_vec(), Folder { rights, is_lost });
            }
            _ => {}
        }
    }
    folders
}

/// Returns the folders that would be lost and hold nothing that is kept.
pub(super) fn empty_folders<'a>(files: &Files, folders: &'a Folders) -> Vec<&'a [u8]> {
    let lost = folders.iter().filter(|(_, folder)| folder.is_lost);
    let paths: Vec<&[u8]> = lost.map(|(path, _)| path.as_slice()).collect();
    // What lies below a folder stands together, so the first that may be is enough.
    let is_empty = |folder: &&[u8]| {
        let below = [*folder, b"/"].concat();
        let file = files.range(below.clone()..).next();
        let inner = paths.get(paths.partition_point(|path| *path < below.as_slice()));
        !file.is_some_and(|(path, _)| path.starts_with(&below))
            && !inner.is_some_and(|path| path.starts_with(&below))
    };
    paths.iter().copied().filter(is_empty).collect()
}

/// Returns what a checkpoint holds, as a person reads it: its files, and folders in which none of them is.
pub(super) fn shown(files: &Files, folders: &Folders) -> Vec<String> {
    let mut all: Vec<String> = files.keys().map(|path| display_path(path)).collect();
    let empty = empty_folders(files, folders).into_iter();
    all.extend(empty.map(|path| format!("{}/", display_path(path))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::git::guard::parts::TreeFile;

    #[test]
    fn rights_and_folders_are_read_as_they_were_written() {
        let file = TreeFile {
            mode: 0o100_755,
            id: [7; 20],
            rights: Some(0o4755),
        };
        let mut files = Files::from([(b"a b/\xff".to_vec(), file)]);
        let folders = Folders::from([
            (
                b"a b".to_vec(),
                Folder {
                    rights: 0o2775,
                    is_lost: true,
                },
            ),
            (
                b"empty".to_vec(),
                Folder {
                    rights: 0o700,
                    is_lost: true,
                },
            ),
            (
                b"p".to_vec(),
                Folder {
                    rights: 0o755,
                    is_lost: false,
                },
            ),
        ]);
        let text = to_bytes(&files, &folders);
        for file in files.values_mut() {
            file.rights = None;
        }
        assert_eq!(read(&text, &mut files), folders);
        assert_eq!(files.values().next().unwrap().rights, Some(0o4755));
        assert_eq!(shown(&files, &folders).last().unwrap(), "empty/");
        assert_eq!(shown(&files, &folders).len(), 2);
    }
}
