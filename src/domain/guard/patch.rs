//! The patches of Codex and `OpenCode`: which files they touch.

use crate::domain::policy::FileAccess;

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
