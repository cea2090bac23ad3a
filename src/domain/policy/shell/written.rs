//! Files that the command itself writes, and what they say.
//!
//! What is written is remembered, because it may be run. Danger: a change that is not followed has to make the text vague (`blurs`), so
//! `writes` does, and whoever knows what is written says `makes` or `appends` and then `remember`.

use crate::domain::policy::{
    partial_text::{
        ANY_CHAR, FRESH, INHERITED, NAME, OWN_TEXT, SECRET, UNKNOWN, base_name, glob_fits, is_mark,
        is_unknown, is_vague,
    },
    resolved_path,
    resolved_path::ResolvedPath,
    shell::{ShellInterpreter, emptied::is_source, state::unknown},
};

/// The most that is remembered of one file.
const MOST_KEPT: usize = 32 * 1024;
/// Files that people see like what is printed.
const SEEN: [&str; 7] = [
    "/dev/tty",
    "/dev/stdout",
    "/dev/stderr",
    "/dev/fd/1",
    "/dev/fd/2",
    "/proc/self/fd/1",
    "/proc/self/fd/2",
];

/// Folders with the tools that a project installed.
const TOOLS: [&str; 3] = ["node_modules/.bin/", "venv/bin/", "vendor/bin/"];

/// How a text comes into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteManner {
    /// Behind what is there.
    Behind,
    /// In place of what is there.
    Over,
    /// In place of what is there, or not at all.
    Perhaps,
}

impl ShellInterpreter<'_, '_> {
    /// Records that the file a word names gets a new content, which nobody follows.
    pub(in crate::domain::policy) fn writes(&mut self, word: &str) {
        self.blurs(word);
        self.makes(word);
    }

    /// Records that the file a word names gets a new content; what it is, is remembered afterwards.
    pub(in crate::domain::policy) fn makes(&mut self, word: &str) {
        if let Some(path) = resolved_path::absolute(word, self.folder()) {
            self.state.built.remove(&path);
            self.replaces_tool(&path);
            // What is put into a work tree is none of the project's.
            self.loses_sealed(word);
            let checkouts = &mut self.state.checkouts;
            checkouts.retain(|top| !resolved_path::lies_in(&path, top));
            self.state.made.insert(path);
        }
        self.changes(word);
    }

    /// Looks at a file that is put in the place of a tool which the project installed.
    fn replaces_tool(&mut self, path: &str) {
        let folder = |end: &&str| path.ends_with(end.trim_end_matches('/'));
        let tool = TOOLS
            .iter()
            .find_map(|folder| path.split_once(folder))
            .map(|(_, name)| name);
        let name = tool.or_else(|| {
            TOOLS
                .iter()
                .find(|end| folder(end))
                .map(|_| base_name(path))
        });
        if let Some(name) = name.filter(|name| !name.is_empty() && !name.starts_with("activate")) {
            let what = format!("{name}, which is put in the place of a tool of the project");
            self.reading.opaque(what);
        }
    }

    /// Returns the names of the files that the command itself made in a folder.
    pub(in crate::domain::policy) fn made_in<'s>(
        &'s self,
        folder: &'s str,
    ) -> impl Iterator<Item = &'s str> {
        let folder = folder.trim_end_matches('/');
        self.state.made.iter().filter_map(move |path| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/')).then_some(name)
        })
    }

    /// Records that something is put behind what the file a word names says, which may be known to nobody.
    pub(in crate::domain::policy) fn appends(&mut self, word: &str) {
        if self.has_written(word) && self.remembered(word).is_none() {
            self.remember(word, &unknown(), true);
        }
        self.makes(word);
    }

    /// Remembers what the command wrote into a file.
    pub(in crate::domain::policy) fn remember(&mut self, word: &str, text: &str, append: bool) {
        let Some(path) = resolved_path::absolute(word, self.folder()) else {
            // In a folder that nobody knows, or under a name that is made up at run time, it may be any.
            self.blurs(word);
            return;
        };
        if is_vague(&path) {
            self.blurs_fitting(&path);
        }
        if text.contains(SECRET) && is_seen(&path) {
            self.shows_secret(text);
        }
        if text.contains(SECRET) {
            self.copied(word);
        }
        // What is written to a link may stand in what it leads to, where the link is still there.
        if let Some(target) = self.state.links.get(&path).cloned() {
            self.keep(target, text, WriteManner::Perhaps);
        }
        // The same text in all of them: a name that is only partly known is a new one more often.
        let name = base_name(&path).trim_start_matches(is_mark);
        if !append && !is_vague(text) && name.starts_with('.') && path.contains(NAME) {
            self.empties(word);
        }
        if !append && !text.is_empty() && text.trim().is_empty() {
            self.empties(word);
        }
        self.weakens_checks(&path, text);
        // A bundle takes in what its settings define.
        let plain = || text.split_whitespace().collect::<String>();
        if base_name(&path).contains(".config.") && plain().contains("JSON.stringify(process.env)")
        {
            self.shows_environment(base_name(&path));
        }
        if !append {
            self.empties_test(&path, text);
        }
        self.names_programs(&path, text);
        let manner = match (append, self.state.conditions) {
            (true, _) => WriteManner::Behind,
            (false, 0) => WriteManner::Over,
            (false, _) => WriteManner::Perhaps,
        };
        self.keep(path, text, manner);
    }

    /// Returns whether a file may be there already; where nobody looks, it may.
    pub(in crate::domain::policy) fn may_be_there(&self, path: &str) -> bool {
        let eyes = self.reading.world.eyes.as_ref();
        is_vague(path) || eyes.is_none_or(|eyes| eyes.is_there(std::path::Path::new(path)))
    }

    fn keep(&mut self, path: String, text: &str, manner: WriteManner) {
        let kept = self.state.files.entry(path).or_default();
        match manner {
            WriteManner::Behind => kept.push_str(text),
            WriteManner::Over => text.clone_into(kept),
            WriteManner::Perhaps => *kept = either(kept, text),
        }
        if kept.len() > MOST_KEPT {
            *kept = unknown();
        }
    }

    /// Forgets what a file said that was then changed in a way nobody followed.
    pub(in crate::domain::policy) fn forget(&mut self, word: &str) {
        if let Some(path) = resolved_path::absolute(word, self.folder()) {
            drop(self.state.bound.remove(&path));
            drop(self.state.files.insert(path, unknown()));
        }
    }

    /// Notes that a file which the command itself wrote may say something else now; what it said stays possible.
    pub(in crate::domain::policy) fn blurs(&mut self, word: &str) {
        // What the surroundings name is theirs.
        if self.state.files.is_empty() || word.starts_with(INHERITED) {
            return;
        }
        let path = resolved_path::absolute(word, self.folder());
        let path = path.unwrap_or_else(|| format!("{UNKNOWN}/{word}"));
        if is_vague(&path) {
            self.blurs_fitting(&path);
            return;
        }
        let led = self.state.links.get(&path).cloned();
        self.blur_where(|file| *file == path || Some(file) == led.as_ref());
    }

    /// Notes the same of every file that a path may mean of which only parts are known.
    fn blurs_fitting(&mut self, path: &str) {
        // What nothing had as its name before is none of them.
        if path.contains(FRESH) {
            return;
        }
        let glob: String = path.chars().filter(|c| *c != SECRET).fold(
            String::with_capacity(path.len()),
            |mut glob, c| {
                match c {
                    ANY_CHAR => glob.push('?'),
                    // What is found below a folder may lie deeper.
                    c if is_mark(c) => glob.push_str("**"),
                    c => glob.push(c),
                }
                glob
            },
        );
        self.blur_where(|file| glob_fits(&glob, file));
    }

    fn blur_where(&mut self, is_meant: impl Fn(&String) -> bool) {
        for (path, text) in &mut self.state.files {
            if !path.starts_with("/dev/") && is_meant(path) && !text.ends_with(UNKNOWN) {
                text.push(UNKNOWN);
            }
        }
    }

    /// Notes the same of every file that stands among the words of the command looked at last.
    pub(in crate::domain::policy) fn blurs_words(&mut self) {
        if self.state.files.is_empty() {
            return;
        }
        let words = self.reading.acts.last().map(|act| act.words.clone());
        // The first is the program, and what is run is rarely what is written.
        for word in words.iter().flatten().skip(2) {
            self.blurs(word);
        }
    }

    /// Notes that every file of a folder which the command itself wrote may say something else now.
    pub(in crate::domain::policy) fn blurs_below(&mut self, folder: &str) {
        let folder = resolved_path::absolute(folder, self.folder());
        // Where the folder is not known it may be any.
        let folder = folder.filter(|folder| !is_unknown(folder));
        self.blur_where(|path| {
            folder.as_deref().is_none_or(|folder| {
                let rest = path.strip_prefix(folder.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.starts_with('/'))
            })
        });
    }

    /// Records that a folder is filled from something that nobody looks into.
    pub(in crate::domain::policy) fn writes_below(&mut self, folder: &str) {
        self.blurs_below(folder);
        self.writes(folder);
    }

    /// Records that a folder is filled from an archive.
    pub(in crate::domain::policy) fn unpacks_into(&mut self, archive: Option<&str>, folder: &str) {
        let is_foreign = |place: &ResolvedPath| {
            matches!(
                place,
                ResolvedPath::Scratch(_) | ResolvedPath::Outside(_) | ResolvedPath::Home(_)
            )
        };
        let foreign = archive.is_some_and(|archive| {
            !self.has_written(archive) && self.resolve_all(archive).iter().any(is_foreign)
        });
        if foreign && !self.resolve_all(folder).iter().any(is_foreign) {
            let path = resolved_path::absolute(folder, self.folder());
            self.state.filled.extend(path);
        }
        self.writes_below(folder);
    }

    /// Returns whether a path may have come out of such an archive.
    pub(in crate::domain::policy) fn was_unpacked(&self, word: &str) -> bool {
        if self.state.filled.is_empty() {
            return false;
        }
        let path = resolved_path::absolute(word, self.folder()).unwrap_or_default();
        let mut filled = self.state.filled.iter();
        filled.any(|folder| resolved_path::lies_in(&path, folder))
    }

    /// Remembers the files of a folder that the command itself wrote under another folder, too.
    pub(in crate::domain::policy) fn carries_below(&mut self, source: &str, target: &str) {
        let folder = self.folder();
        let (Some(source), Some(target)) = (
            resolved_path::absolute(source, folder),
            resolved_path::absolute(target, folder),
        ) else {
            return;
        };
        let moved = |path: &String| {
            let rest = path.strip_prefix(source.as_str())?;
            rest.starts_with('/').then(|| format!("{target}{rest}"))
        };
        let files = self.state.files.iter();
        let files: Vec<(String, String)> = files
            .filter_map(|(path, text)| Some((moved(path)?, text.clone())))
            .collect();
        let made: Vec<String> = self.state.made.iter().filter_map(moved).collect();
        // Copies of copies add up.
        let size = |text: &String| text.len() + 16;
        let sizes = files.iter().map(|(path, text)| size(path) + size(text));
        if !self
            .reading
            .spend_value(sizes.chain(made.iter().map(size)).sum())
        {
            return;
        }
        for (path, text) in files {
            self.keep(path, &text, WriteManner::Perhaps);
        }
        self.state.made.extend(made);
    }

    /// Returns the files to which the command itself gave a content that nobody knows.
    pub(in crate::domain::policy) fn unread_files(&self) -> Vec<String> {
        let paths = self.state.made.iter().chain(self.state.bound.keys());
        let is_unread = |path: &String| {
            let text = self.state.files.get(path);
            self.has_written(path) && text.is_none_or(|text| text.contains(UNKNOWN))
        };
        paths.filter(|path| is_unread(path)).cloned().collect()
    }

    /// Returns what the command itself wrote into the file a word names.
    pub(in crate::domain::policy) fn remembered(&self, word: &str) -> Option<String> {
        if self.state.files.is_empty() {
            return None;
        }
        let path = resolved_path::absolute(word, self.folder())?;
        let own = self.state.files.get(&path);
        // A link says what the file says to which it leads.
        let led = self.state.links.get(&path);
        let led = led.and_then(|target| self.state.files.get(target));
        match (own, led) {
            (Some(own), Some(led)) => Some(either(own, led)),
            _ => own.or(led).cloned(),
        }
    }

    /// Returns whether one of the files that the command itself wrote holds the value of a key.
    pub(in crate::domain::policy) fn keeps_secret(&self) -> bool {
        self.state.files.values().any(|text| text.contains(SECRET))
    }

    /// Returns what the command itself wrote into a file that is called `name`.
    pub(in crate::domain::policy) fn written_as(&self, name: &str) -> Option<String> {
        let tail = format!("/{name}");
        let found = self
            .state
            .files
            .iter()
            .find(|(path, _)| path.ends_with(&tail))?;
        Some(found.1.clone())
    }

    /// Returns whether the command itself gave the file a word names its content, from something else than the project.
    pub(in crate::domain::policy) fn has_written(&self, word: &str) -> bool {
        let Some(path) = resolved_path::absolute(word, self.folder()) else {
            return false;
        };
        if let Some(source) = self.state.bound.get(&path) {
            let inside = matches!(
                resolved_path::place(source, self.reading.world),
                ResolvedPath::Inside(_)
            );
            return !inside || self.state.made.contains(source);
        }
        self.state.made.contains(&path)
    }

    /// Returns whether the command itself wrote nothing so far.
    pub(in crate::domain::policy) fn wrote_nothing(&self) -> bool {
        self.state.files.is_empty() && self.state.made.is_empty()
    }

    /// Returns whether the command itself gave a file of such a path a content.
    pub(in crate::domain::policy) fn has_made(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        self.state.made.iter().any(|path| is_meant(path))
    }

    /// Returns the files whose content the command itself wrote, and what they say.
    pub(in crate::domain::policy) fn written_files(
        &self,
    ) -> impl Iterator<Item = (String, String)> {
        let files = self.state.files.iter();
        files.map(|(path, text)| (path.clone(), text.clone()))
    }

    /// Returns whether the command itself wrote anything into a folder.
    pub(in crate::domain::policy) fn wrote_below(&self, folder: &str) -> bool {
        let Some(folder) = resolved_path::absolute(folder, self.folder()) else {
            return false;
        };
        self.state.files.keys().any(|path| {
            path.strip_prefix(folder.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// Returns whether a file lies in the project, and the command itself gave it no content.
    fn is_of_project(&self, word: &str) -> bool {
        let is_inside = |place: &ResolvedPath| matches!(place, ResolvedPath::Inside(_));
        !word.contains(UNKNOWN)
            && !self.has_written(word)
            && self.resolve_all(word).iter().all(is_inside)
    }

    /// Returns a file's text as a program would read it: known when the command wrote it.
    pub(in crate::domain::policy) fn contents(&self, word: &str) -> String {
        if word == "/dev/null" {
            return String::new();
        }
        self.remembered(word).unwrap_or_else(|| {
            let is_outside = |place: &ResolvedPath| matches!(place, ResolvedPath::Outside(_));
            // The number of a process that somebody else started.
            let is_process = word.rsplit('.').next() == Some("pid")
                && self.resolve_all(word).iter().all(is_outside);
            let is_own = is_source(word) && self.is_of_project(word);
            if is_process {
                format!("2{NAME}\n")
            } else if is_own {
                OWN_TEXT.to_owned()
            } else {
                unknown()
            }
        })
    }
}

/// Returns whether a file is the screen.
fn is_seen(path: &str) -> bool {
    SEEN.contains(&path)
}

/// Returns a text that says what each of two says. Where the first would make another text of the second it is vague.
fn either(one: &str, other: &str) -> String {
    if one == other || one.is_empty() {
        return other.to_owned();
    }
    let open = if is_open(one) {
        UNKNOWN.to_string()
    } else {
        String::new()
    };
    format!("{one}{open}\n{other}")
}

/// Returns whether a text may go on in what follows it: a quotation, a bracket, a document.
fn is_open(text: &str) -> bool {
    let count = |sign: char| text.matches(sign).count();
    let odd = |sign: char| count(sign) % 2 == 1;
    let pairs = [('{', '}'), ('(', ')'), ('[', ']')];
    text.contains("<<")
        || text.ends_with('\\')
        || ['\'', '"', '`'].into_iter().any(odd)
        || pairs
            .into_iter()
            .any(|(open, close)| count(open) != count(close))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_swallows_what_follows_is_vague() {
        assert_eq!(either("echo a", "echo b"), "echo a\necho b");
        assert_eq!(either("", "echo b"), "echo b");
        assert_eq!(either("echo b", "echo b"), "echo b");
        for open in [": '", ": \"", ": <<E", "f() {", "x \\", "x=$(", ": `"] {
            assert!(either(open, "rm x").contains(UNKNOWN), "{open}");
        }
    }
}
