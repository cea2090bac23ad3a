//! Patches: which files those of Codex and `OpenCode` touch, and whether one of git or `patch` is about a file.

use crate::domain::{
    guard::checkpoint::covers,
    policy::{FileAccess, PatchStrip, WorktreeChange, WorktreeChangeKind, patch_paths},
};

/// Returns the files of a patch that stands in a command; none where there is no patch.
pub fn patched_files(command: &str) -> Vec<(FileAccess, String)> {
    if command.contains("*** Begin Patch") {
        files(command)
    } else {
        Vec::new()
    }
}

/// Returns the files of a patch, with what it does to each.
pub(super) fn files(patch: &str) -> Vec<(FileAccess, String)> {
    const MARKS: [(&str, FileAccess); 4] = [
        ("*** Add File: ", FileAccess::Write),
        ("*** Update File: ", FileAccess::Write),
        ("*** Move to: ", FileAccess::Write),
        ("*** Delete File: ", FileAccess::Delete),
    ];
    let named = patch.lines().filter_map(|line| {
        MARKS.iter().find_map(|(mark, access)| {
            let path = line.trim_start().strip_prefix(mark)?.trim();
            Some((*access, path.to_owned()))
        })
    });
    named.collect()
}

/// Returns whether a patch that git applies may be about a file; `text_of` says what the files say that it may come from.
pub(super) fn is_patched(
    change: &WorktreeChange,
    file: &str,
    text_of: impl Fn(&str) -> Option<String>,
) -> bool {
    let WorktreeChangeKind::Patch {
        text,
        fed,
        strip,
        directory,
        excludes,
    } = &change.kind
    else {
        return false;
    };
    if excludes.iter().any(|glob| covers(glob, file)) {
        return false;
    }
    let held: Vec<Option<String>> = change.paths.iter().map(|path| text_of(path)).collect();
    let patch = NamedPatch {
        text: text.as_deref(),
        held: &held,
        is_fed: *fed,
        strip: *strip,
    };
    // Names start at the root, or in a folder that is no part of the repository there.
    ["", &change.folder].into_iter().any(|folder| {
        let below = [folder, directory]
            .into_iter()
            .filter(|part| !part.is_empty());
        let below: Vec<&str> = below.collect();
        is_in_patch(&patch, &below.join("/"), file)
    })
}

/// A patch, or the files it may come from.
pub(super) struct NamedPatch<'a> {
    /// Its text, where that is known.
    pub(super) text: Option<&'a str>,
    /// What the files say it may come from.
    pub(super) held: &'a [Option<String>],
    /// Whether it comes in at the standard input.
    pub(super) is_fed: bool,
    /// How much of its names is taken off.
    pub(super) strip: PatchStrip,
}

/// Returns whether a patch whose names start in a folder may be about a file: the headers of its text are looked at, else those
/// of the files it may come from. What comes in from somewhere else may be about any.
pub(super) fn is_in_patch(patch: &NamedPatch<'_>, folder: &str, file: &str) -> bool {
    let is_named = |text: &str| match patch_paths(text, patch.strip) {
        Some(paths) if folder.is_empty() => paths.iter().any(|path| covers(path, file)),
        Some(paths) => paths
            .iter()
            .any(|path| covers(&format!("{folder}/{path}"), file)),
        None => true,
    };
    if let Some(text) = patch.text {
        return is_named(text);
    }
    let is_known = patch.held.iter().any(Option::is_some);
    patch.held.iter().flatten().any(|text| is_named(text)) || patch.is_fed && !is_known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_a_patch_is_found() {
        let patch = "*** Begin Patch\n*** Add File: a\n+x\n*** Update File: b\n*** Move to: c\n@@\n-x\n+y\n\
            *** Delete File: d\n*** End Patch\n";
        let paths: Vec<(FileAccess, String)> = files(patch);
        let expected = [
            (FileAccess::Write, "a"),
            (FileAccess::Write, "b"),
            (FileAccess::Write, "c"),
            (FileAccess::Delete, "d"),
        ];
        assert_eq!(
            paths,
            expected.map(|(access, path)| (access, path.to_owned()))
        );
    }
}
