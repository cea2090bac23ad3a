//! Finds out whether files are converted between disk and repository.
//!
//! Decides by words, not by patterns: if no attribute file so much as mentions a conversion, there is
//! none. If one does, the git program is asked about the files concerned; a wrong guess only costs time.

use std::path::PathBuf;

use crate::adapters::git::{index::Index, paths::absolute, repository::WorktreeRepository};

/// What may happen to content on its way in or out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::adapters::git) struct ContentConversions {
    /// Line endings may change on the way in where there is a carriage return.
    pub(in crate::adapters::git) line_ends_in: bool,
    /// Line endings may change on the way out.
    pub(in crate::adapters::git) line_ends_out: bool,
    /// Filters, `$Id$` or encodings: anything may change.
    pub(in crate::adapters::git) content: bool,
}

impl ContentConversions {
    /// Reads the configuration and the attribute files that lie outside the work tree.
    pub(in crate::adapters::git) fn configured(home: &WorktreeRepository) -> Self {
        let mut all = Self::default();
        let autocrlf = home.config("core.autocrlf").map(|word| word.to_lowercase());
        match autocrlf.as_deref() {
            None | Some("false" | "no" | "off" | "0" | "") => {}
            Some("input") => all.line_ends_in = true,
            Some(_) => (all.line_ends_in, all.line_ends_out) = (true, true),
        }
        all.line_ends_out |= home
            .config("core.eol")
            .is_some_and(|eol| eol != "lf" && eol != "native");
        for path in outside(home) {
            if let Ok(text) = std::fs::read(path) {
                all.read(&text);
            }
        }
        all
    }

    /// Adds what the attribute files of the work tree say.
    pub(in crate::adapters::git) fn read_files<'a>(
        &mut self,
        home: &WorktreeRepository,
        paths: impl Iterator<Item = &'a [u8]>,
    ) {
        for path in paths.filter(|path| is_attributes(path)) {
            if let Ok(text) = std::fs::read(absolute(&home.top, path)) {
                self.read(&text);
            }
        }
    }

    /// Adds what the attribute files said that the index has: what is on the disk may have been written by them.
    pub(in crate::adapters::git) fn read_index(
        &mut self,
        home: &WorktreeRepository,
        index: &Index,
    ) {
        let entries = index.entries.iter();
        for entry in entries.filter(|entry| is_attributes(index.path(entry))) {
            let blob = git2::Oid::from_bytes(&entry.id).and_then(|id| home.git.find_blob(id));
            if let Ok(blob) = blob {
                self.read(blob.content());
            }
        }
    }

    /// Adds what one attribute file says.
    pub(in crate::adapters::git) fn read(&mut self, text: &[u8]) {
        let says = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
        self.content |= says(b"filter") || says(b"ident") || says(b"working-tree-encoding");
        self.line_ends_out |= says(b"eol") || says(b"crlf");
        self.line_ends_in |= self.line_ends_out || says(b"text");
    }

    /// Tells whether this content may be stored differently from what is on disk.
    pub(in crate::adapters::git) fn may_change(self, content: &[u8]) -> bool {
        self.content || (self.line_ends_in && content.contains(&b'\r'))
    }

    /// Tells whether what is stored may be written to disk differently.
    pub(in crate::adapters::git) fn may_change_out(self) -> bool {
        self.content || self.line_ends_out
    }
}

/// Tells whether a path is one of an attribute file.
pub(in crate::adapters::git) fn is_attributes(path: &[u8]) -> bool {
    path.strip_suffix(b".gitattributes")
        .is_some_and(|before| before.is_empty() || before.ends_with(b"/"))
}

fn outside(home: &WorktreeRepository) -> Vec<PathBuf> {
    let mut paths = vec![
        home.git.commondir().join("info").join("attributes"),
        PathBuf::from("/etc/gitattributes"),
        PathBuf::from("/usr/local/etc/gitattributes"),
    ];
    let configured = home
        .git
        .config()
        .and_then(|config| config.get_path("core.attributesFile"));
    paths.extend(configured.ok());
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home_folder = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    if let Some(folder) = folder.or_else(home_folder) {
        paths.push(folder.join("git").join("attributes"));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> ContentConversions {
        let mut all = ContentConversions::default();
        all.read(text.as_bytes());
        all
    }

    #[test]
    fn attributes_that_convert_nothing_leave_content_alone() {
        assert_eq!(
            of("*.png binary diff=png\n*.rs linguist-generated\n"),
            ContentConversions::default()
        );
    }

    #[test]
    fn only_carriage_returns_are_at_stake_where_only_line_ends_are() {
        let text = of("* text=auto\n");
        assert!(!text.may_change(b"a\nb\n") && text.may_change(b"a\r\nb\n"));
        assert!(!text.may_change_out());
        assert!(of("*.bat eol=crlf").may_change_out());
    }

    #[test]
    fn a_filter_may_change_anything() {
        let filtered = of("*.bin filter=lfs");
        assert!(filtered.may_change(b"") && filtered.may_change_out());
    }
}
