//! Files that keep an agent in its bounds, and which commands would take them away: the rules of the guard in `.tos/`, and the
//! settings of agents with the hook in them.
//!
//! A rule about paths sees what a command names. What git, an archive or a copy of a whole folder brings along is named by
//! nobody, so it is held against the files that are there. Danger: in doubt a file is taken to be in reach.

use std::path::Path;

use crate::domain::{
    guard::{
        checkpoint::covers,
        patch::{NamedPatch, is_in_patch, is_patched},
    },
    policy::{
        BulkWrite, BulkWriteKind, DataLoss, PatchStrip, WorktreeChange, WorktreeChangeKind,
        strip_of,
    },
};

/// Settings of agents in a project that may have the hook in them.
pub const AGENT_SETTINGS_FILES: [&str; 7] = [
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".codex/hooks.json",
    ".gemini/settings.json",
    ".cursor/hooks.json",
    ".opencode/plugin/tos-guard.js",
    ".opencode/plugins/tos-guard.js",
];
/// The rule that refusals name.
pub const PROTECTED_FILES_RULE: &str = "guard/protected-files";

/// How git sees a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackedState {
    /// It is in the index.
    Tracked,
    /// It is not.
    Untracked,
    /// It is not, and a rule says that it need not be.
    Ignored,
}

/// What can be asked about a project.
pub trait ProjectInspector {
    /// Returns the files to protect that are there, from the root.
    fn protected_files(&self) -> Vec<String>;

    /// Returns how git sees a file; where there is no repository it is untracked.
    fn state(&self, path: &str) -> TrackedState;

    /// Returns whether git tracks something below a folder.
    fn holds_tracked(&self, folder: &str) -> bool;

    /// Returns whether a word names a state of the repository.
    fn is_revision(&self, word: &str) -> bool;

    /// Returns whether a file would be another, or gone, if it was brought to a state; `None` = the index.
    fn differs(&self, path: &str, revision: Option<&str>) -> bool;

    /// Returns whether something is there.
    fn exists(&self, path: &Path) -> bool;

    /// Returns whether a file holds a text; `None` where it cannot be said.
    fn holds_text(&self, path: &Path, text: &str) -> Option<bool>;

    /// Returns what a file says; `None` where it cannot be said.
    fn text_of(&self, path: &Path) -> Option<String>;

    /// Returns whether a commit, or a range of them, changed a file.
    fn is_changed_by(&self, path: &str, revision: &str) -> bool {
        self.differs(path, Some(&format!("{revision}^")))
    }

    /// Returns whether a path is a second name of a file.
    fn is_second_name(&self, path: &str, file: &str) -> bool {
        let _ = (path, file);
        false
    }
}

/// A project in which git has been told of a file meanwhile, or to forget it.
struct Later<'a> {
    now: &'a dyn ProjectInspector,
    file: &'a str,
    state: TrackedState,
}

impl ProjectInspector for Later<'_> {
    fn protected_files(&self) -> Vec<String> {
        self.now.protected_files()
    }
    fn state(&self, path: &str) -> TrackedState {
        if path == self.file {
            self.state
        } else {
            self.now.state(path)
        }
    }
    fn holds_tracked(&self, folder: &str) -> bool {
        self.now.holds_tracked(folder)
    }
    fn is_revision(&self, word: &str) -> bool {
        // Those that the command itself makes are not there yet.
        self.now.is_revision(word) || word.starts_with("HEAD") || word.starts_with('@')
    }
    // No commit has a file that was not tracked before.
    fn differs(&self, path: &str, revision: Option<&str>) -> bool {
        if path == self.file {
            self.state == TrackedState::Tracked && revision.is_some()
        } else {
            self.now.differs(path, revision)
        }
    }
    fn exists(&self, path: &Path) -> bool {
        self.now.exists(path)
    }
    fn holds_text(&self, path: &Path, text: &str) -> Option<bool> {
        self.now.holds_text(path, text)
    }
    fn text_of(&self, path: &Path) -> Option<String> {
        self.now.text_of(path)
    }
    fn is_second_name(&self, path: &str, file: &str) -> bool {
        self.now.is_second_name(path, file)
    }
}

/// Returns how git will see a file when a change runs, where the ones before it made that another way.
fn later_state(
    at: usize,
    file: &str,
    losses: &[DataLoss],
    view: &dyn ProjectInspector,
) -> Option<TrackedState> {
    let now = view.state(file);
    let mut later = now;
    for loss in losses.iter().take(at) {
        let DataLoss::WorkTree(change) = loss else {
            continue;
        };
        let is_kept_out = later == TrackedState::Ignored;
        if !is_meant(change, file) {
            continue;
        }
        if let WorktreeChangeKind::Stage { ignored } = &change.kind
            && (*ignored || !is_kept_out)
        {
            later = TrackedState::Tracked;
        }
        if change.kind == WorktreeChangeKind::Unstage {
            later = if now == TrackedState::Tracked {
                TrackedState::Untracked
            } else {
                now
            };
        }
    }
    (later != now).then_some(later)
}

/// Returns the first file that a tool would change under a second name.
pub fn hard_link_threat(path: &str, view: &dyn ProjectInspector) -> Option<Threat> {
    let files = view.protected_files();
    let file = files.iter().find(|file| view.is_second_name(path, file))?;
    Some(Threat {
        path: file.clone(),
        what: format!("{path} is a second name of"),
        remedy: "write to another file".to_owned(),
    })
}

/// A file that a command would take away, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threat {
    /// The file, from the root.
    pub path: String,
    /// What does it, in words.
    pub what: String,
    /// What to do instead.
    pub remedy: String,
}

impl Threat {
    /// Returns the reason of a refusal.
    pub fn reason(&self) -> String {
        let Self { path, what, remedy } = self;
        format!(
            "rule `{PROTECTED_FILES_RULE}`: {what} {path}, which keeps the agent in its bounds; {remedy}"
        )
    }
}

/// Returns the first file that something would take away.
pub fn find_threat(losses: &[DataLoss], view: &dyn ProjectInspector) -> Option<Threat> {
    let relevant = |loss: &&DataLoss| {
        matches!(
            loss,
            DataLoss::Removed(_)
                | DataLoss::Overwritten(_)
                | DataLoss::WorkTree(_)
                | DataLoss::Filled(_)
                | DataLoss::Named(_)
        )
    };
    losses.iter().find(relevant)?;
    let files = view.protected_files();
    let is_in = |at: usize, loss: &DataLoss, file: &str| {
        let Some(state) = later_state(at, file, losses, view) else {
            return threatens(loss, file, losses, view);
        };
        let later = Later {
            now: view,
            file,
            state,
        };
        threatens(loss, file, losses, &later)
    };
    let (at, loss, path) = files.iter().find_map(|file| {
        let mut each = losses.iter().enumerate();
        let (at, loss) = each.find(|(at, loss)| is_in(*at, loss, file))?;
        Some((at, loss, file))
    })?;
    // One remedy for all, so that nobody is refused once for each.
    let mut tops: Vec<&str> = Vec::new();
    for file in files.iter().filter(|file| is_in(at, loss, file)) {
        if !tops.contains(&top_of(file)) {
            tops.push(top_of(file));
        }
    }
    let (what, mut remedy) = told(loss, &tops)?;
    if later_state(at, path, losses, view) == Some(TrackedState::Tracked) {
        let out = each(&tops, |top| format!("':!{top}'"));
        remedy = format!("leave it out of what is added before: `git add -A -- . {out}`");
    }
    Some(Threat {
        path: path.clone(),
        what,
        remedy,
    })
}

fn threatens(loss: &DataLoss, file: &str, all: &[DataLoss], view: &dyn ProjectInspector) -> bool {
    match loss {
        DataLoss::Removed(glob) => covers(glob, file),
        // Who fills a folder is looked at by what it is filled with.
        DataLoss::Overwritten(glob) => {
            view.is_second_name(glob, file) || !is_filled(glob, all) && covers(glob, file)
        }
        DataLoss::WorkTree(change) => is_in_reach(change, file, view),
        DataLoss::Filled(fill) => brings(fill, file, view),
        DataLoss::Named(named) => {
            covers(&named.path, file) || view.is_second_name(&named.path, file)
        }
        DataLoss::Uncommitted | DataLoss::Untracked { .. } | DataLoss::References(_) => false,
    }
}

/// Returns what does it, and what to do instead.
fn told(loss: &DataLoss, tops: &[&str]) -> Option<(String, String)> {
    let names: Vec<String> = tops.iter().map(|top| format!("`{top}`")).collect();
    let names = names.join(" and ");
    Some(match loss {
        DataLoss::Removed(_) => (
            "this removes".to_owned(),
            format!("name what is to go without {names}"),
        ),
        DataLoss::Overwritten(_) => (
            "this writes over".to_owned(),
            format!("write to a place outside of {names}"),
        ),
        DataLoss::WorkTree(change) => (
            format!("`{}` would take away or replace", change.command),
            remedy(change, tops, &names),
        ),
        DataLoss::Filled(fill) => (
            format!("`{}` may bring along another", fill.program),
            fill_remedy(fill, tops, &names),
        ),
        DataLoss::Named(named) => (
            format!("`{}` may change", named.program),
            "read it with `cat` or `grep`; a person changes it".to_owned(),
        ),
        DataLoss::Uncommitted | DataLoss::Untracked { .. } | DataLoss::References(_) => {
            return None;
        }
    })
}

/// Returns an option for each name.
fn each(tops: &[&str], option: impl Fn(&str) -> String) -> String {
    let all: Vec<String> = tops.iter().map(|top| option(top)).collect();
    all.join(" ")
}

fn is_filled(path: &str, all: &[DataLoss]) -> bool {
    all.iter()
        .any(|loss| matches!(loss, DataLoss::Filled(fill) if fill.into == path))
}

/// Returns the folder or file at the root that a path is in.
fn top_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

fn remedy(change: &WorktreeChange, tops: &[&str], names: &str) -> String {
    let command = &change.command;
    let out = each(tops, |top| format!("':!{top}'"));
    match &change.kind {
        WorktreeChangeKind::Clean { .. } => {
            format!("add `{}` to it", each(tops, |top| format!("-e {top}")))
        }
        WorktreeChangeKind::Stash { .. } => {
            format!("leave {names} out: `git stash push … -- . {out}`")
        }
        WorktreeChangeKind::Move => format!("leave {names} where it is"),
        WorktreeChangeKind::Patch { .. } => format!(
            "add `{}` to it; a patch that comes through a pipe has to lie in a file to be looked at",
            each(tops, |top| format!("--exclude='{top}/*'"))
        ),
        WorktreeChangeKind::Sparse { .. } => format!("name {names} as well"),
        WorktreeChangeKind::Repeat { .. } => format!(
            "do it with `-n`, take {names} out with `git restore --staged --worktree`, or leave it to a person"
        ),
        WorktreeChangeKind::Stage { .. } | WorktreeChangeKind::Unstage => {
            format!("leave {names} out")
        }
        WorktreeChangeKind::Replace { .. }
            if command == "git checkout" || command == "git restore" =>
        {
            format!(
                "leave {names} out: `git restore … -- . {out}`; a whole other state is for a person to check out"
            )
        }
        WorktreeChangeKind::Replace { .. } => format!(
            "a whole other state is for a person to check out; files come from it with `git restore --source=STATE -- . {out}`"
        ),
    }
}

/// Returns whether `git clean` would take a file away.
fn is_cleaned(
    change: &WorktreeChange,
    state: TrackedState,
    file: &str,
    view: &dyn ProjectInspector,
) -> bool {
    let WorktreeChangeKind::Clean {
        folders,
        ignored,
        only_ignored,
        excludes,
    } = &change.kind
    else {
        return false;
    };

    let is_taken = match state {
        TrackedState::Tracked => false,
        TrackedState::Untracked => !only_ignored,
        TrackedState::Ignored => *ignored,
    };
    // Without `-d` git looks only into folders it has something in, and into those that are named.
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_looked_into =
        *folders || !change.paths.is_empty() || folder.is_empty() || view.holds_tracked(folder);
    let is_limited = change.paths.iter().any(|path| !path.starts_with('!'));
    is_taken
        && is_looked_into
        && (is_limited || is_below(file, &change.folder))
        && is_meant(change, file)
        && !is_excluded(excludes, file)
}

/// Returns whether a command of git would take a file away or make it another.
fn is_in_reach(change: &WorktreeChange, file: &str, view: &dyn ProjectInspector) -> bool {
    let state = view.state(file);
    match &change.kind {
        WorktreeChangeKind::Clean { .. } => is_cleaned(change, state, file, view),
        WorktreeChangeKind::Stash { untracked, ignored } => {
            let is_taken = match state {
                TrackedState::Tracked => view.differs(file, Some("HEAD")),
                TrackedState::Untracked => *untracked,
                TrackedState::Ignored => *ignored,
            };
            is_taken && is_meant(change, file)
        }
        WorktreeChangeKind::Move => is_meant(change, file),
        WorktreeChangeKind::Patch { .. } => {
            is_patched(change, file, |path| view.text_of(Path::new(path)))
        }
        WorktreeChangeKind::Stage { .. } | WorktreeChangeKind::Unstage => false,
        WorktreeChangeKind::Repeat { words } => {
            let is_tracked = state == TrackedState::Tracked;
            is_tracked && words.iter().any(|word| view.is_changed_by(file, word))
        }
        WorktreeChangeKind::Sparse { words } => {
            let is_named = |word: &String| covers(word.trim_matches('/'), file);
            state == TrackedState::Tracked && file.contains('/') && !words.iter().any(is_named)
        }
        WorktreeChangeKind::Replace {
            words,
            otherwise,
            needs_words,
        } => replaces(
            change,
            words,
            otherwise.as_deref(),
            *needs_words,
            file,
            view,
        ),
    }
}

fn replaces(
    change: &WorktreeChange,
    words: &[String],
    otherwise: Option<&str>,
    needs_words: bool,
    file: &str,
    view: &dyn ProjectInspector,
) -> bool {
    let (states, others): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| view.is_revision(word));
    let mut change = change.clone();
    for word in others {
        let path = if change.folder.is_empty() || word.starts_with(':') {
            word.clone()
        } else {
            format!("{}/{word}", change.folder)
        };
        change.paths.push(path.trim_start_matches("./").to_owned());
    }
    if !is_meant(&change, file) || states.is_empty() && needs_words && change.paths.is_empty() {
        return false;
    }
    if states.is_empty() {
        return view.differs(file, otherwise);
    }
    states.iter().any(|state| view.differs(file, Some(state)))
}

fn is_below(file: &str, folder: &str) -> bool {
    folder.is_empty()
        || file
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// Returns whether the paths of a command mean a file.
fn is_meant(change: &WorktreeChange, file: &str) -> bool {
    let (out, paths): (Vec<&String>, Vec<&String>) =
        change.paths.iter().partition(|path| path.starts_with('!'));
    let is_out = out
        .iter()
        .any(|path| path.get(1..).is_some_and(|path| covers_path(path, file)));
    let is_in = paths.is_empty()
        || paths
            .iter()
            .any(|path| *path == "." || path.starts_with(':') || covers_path(path, file));
    is_in && !is_out
}

fn covers_path(path: &str, file: &str) -> bool {
    covers(path, file)
        || path
            .strip_suffix("/**")
            .is_some_and(|path| covers(path, file))
}

/// Returns whether patterns of `git clean -e` leave a file alone. They are those of `.gitignore`.
fn is_excluded(patterns: &[String], file: &str) -> bool {
    // One that takes back makes it a matter of their order.
    if patterns.iter().any(|pattern| pattern.starts_with('!')) {
        return false;
    }
    let is_named = |pattern: &String| {
        let pattern = pattern.trim_end_matches("/**").trim_end_matches("/*");
        let pattern = pattern.trim_end_matches('/');
        let (pattern, anchored) = match pattern.strip_prefix('/') {
            Some(rest) => (rest, true),
            None => (pattern, pattern.contains('/')),
        };
        let pattern = pattern.strip_prefix("**/").unwrap_or(pattern);
        if pattern.is_empty() {
            return false;
        }
        if anchored {
            return covers(pattern, file);
        }
        file.split('/').any(|part| covers(pattern, part))
    };
    patterns.iter().any(is_named)
}

/// Returns whether what fills a folder may bring along a file of this name.
fn brings(fill: &BulkWrite, file: &str, view: &dyn ProjectInspector) -> bool {
    if !covers(&fill.into, file) || is_left_out(&fill.words, top_of(file)) {
        return false;
    }
    let inner = file.strip_prefix(&fill.into).unwrap_or(file);
    let inner = inner.trim_start_matches('/');
    let words: Vec<&String> = fill
        .words
        .iter()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let place = |word: &str| Path::new(&fill.folder).join(word);
    let holds = |word: &&&String| view.holds_text(&place(word), inner);
    match fill.kind {
        BulkWriteKind::Archive => {
            // The archive is one of the words; where it cannot be looked into it may hold anything.
            let known: Vec<bool> = words.iter().filter_map(|word| holds(&word)).collect();
            known.is_empty() || known.contains(&true)
        }
        BulkWriteKind::Patch => {
            let value = |word: &String| match word.strip_prefix("-i") {
                Some(file) => file.to_owned(),
                None => word.strip_prefix("--input=").unwrap_or(word).to_owned(),
            };
            let files: Vec<String> = fill.words.iter().skip(1).map(value).collect();
            let held: Vec<Option<String>> = files
                .iter()
                .map(|file| view.text_of(&place(file)))
                .collect();
            let strip = strip_of(fill.words.iter().map(String::as_str));
            let patch = NamedPatch {
                text: fill.text.as_deref(),
                held: &held,
                is_fed: true,
                strip: strip.map_or(PatchStrip::AsPatch, PatchStrip::Folders),
            };
            is_in_patch(&patch, "", inner)
        }
        BulkWriteKind::Copy => words.iter().any(|word| {
            let is_named = word.trim_end_matches('/').rsplit('/').next() == Some(top_of(inner));
            let folder = if word.contains(['*', '?', '[']) {
                word.rsplit_once('/').map_or(".", |(folder, _)| folder)
            } else {
                word.as_str()
            };
            let is_here = place(folder)
                .components()
                .eq(Path::new(&fill.root).join(&fill.into).components());
            !is_here && (is_named || word.contains(':') || view.exists(&place(folder).join(inner)))
        }),
    }
}

/// Returns whether options keep a name out of what is brought.
fn is_left_out(words: &[String], top: &str) -> bool {
    let is_option =
        |word: &&String| word.starts_with("--exclude") || word.starts_with("-x!") || *word == "-x";
    let at = words.iter().position(|word| is_option(&word));
    let after = at.and_then(|at| words.get(at..));
    after.is_some_and(|after| after.iter().any(|word| word.contains(top)))
}

fn fill_remedy(fill: &BulkWrite, tops: &[&str], names: &str) -> String {
    let program = fill.program.as_str();
    match fill.kind {
        BulkWriteKind::Archive if program.contains("tar") => {
            format!(
                "add `{}` to it",
                each(tops, |top| format!("--exclude={top}"))
            )
        }
        BulkWriteKind::Archive if program == "unzip" => {
            format!("add `-x {}` to it", each(tops, |top| format!("'{top}/*'")))
        }
        BulkWriteKind::Archive => {
            "unpack it into a folder of its own and copy what you need".to_owned()
        }
        BulkWriteKind::Copy if program == "rsync" => {
            format!(
                "add `{}` to it",
                each(tops, |top| format!("--exclude={top}"))
            )
        }
        BulkWriteKind::Copy => format!("copy it without its {names}"),
        BulkWriteKind::Patch => format!(
            "take {names} out of the patch; one that comes through a pipe has to lie in a file to be looked at"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        command::{Command, CommandKind},
        policy::{Policy, PolicyContext},
    };

    /// A project with rules that git does not track, and settings that it does.
    #[derive(Default)]
    struct Project {
        ignored: bool,
        changed: bool,
        tracked_beside: bool,
    }

    impl ProjectInspector for Project {
        fn protected_files(&self) -> Vec<String> {
            vec![
                ".tos/guard.toml".to_owned(),
                ".claude/settings.json".to_owned(),
            ]
        }
        fn state(&self, path: &str) -> TrackedState {
            match path {
                ".claude/settings.json" => TrackedState::Tracked,
                _ if self.ignored => TrackedState::Ignored,
                _ => TrackedState::Untracked,
            }
        }
        fn holds_tracked(&self, _: &str) -> bool {
            self.tracked_beside
        }
        fn is_revision(&self, word: &str) -> bool {
            ["HEAD", "main", "old", "other"].contains(&word)
        }
        fn differs(&self, path: &str, revision: Option<&str>) -> bool {
            path == ".claude/settings.json" && (self.changed || revision == Some("old"))
                || path == ".tos/guard.toml" && revision == Some("other")
        }
        fn is_changed_by(&self, path: &str, revision: &str) -> bool {
            self.differs(path, Some(revision))
        }
        fn is_second_name(&self, path: &str, file: &str) -> bool {
            (path, file) == ("hard", ".tos/guard.toml")
        }
        fn exists(&self, path: &Path) -> bool {
            path.ends_with("with/.tos/guard.toml")
        }
        fn holds_text(&self, path: &Path, text: &str) -> Option<bool> {
            match path.to_str()?.rsplit('/').next()? {
                "evil.tar" => Some(text.starts_with(".tos") || text == "guard.toml"),
                "good.tar" => Some(false),
                _ => None,
            }
        }
        fn text_of(&self, path: &Path) -> Option<String> {
            let text = match path.to_str()?.rsplit('/').next()? {
                "evil.patch" => {
                    "--- a/.tos/guard.toml\n+++ b/.tos/guard.toml\n@@ -1 +1 @@\n-x\n+y\n"
                }
                "inner.patch" => "--- a/guard.toml\n+++ b/guard.toml\n@@ -1 +1 @@\n-x\n+y\n",
                "moved.patch" => "diff --git a/x b/x\nrename from x\nrename to .tos/guard.toml\n",
                "quoted.patch" => "--- \"a/x\"\n+++ \"b/\\056tos/guard.toml\"\n",
                "mail.patch" => "Content-Transfer-Encoding: base64\n\nLS0t\n",
                "good.patch" => "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n",
                "talk.patch" => {
                    "--- a/x\n+++ b/x\n@@ -1 +1,3 @@\n a\n+see .tos/guard.toml\n++++ b/.tos/guard.toml\n"
                }
                _ => return None,
            };
            Some(text.to_owned())
        }
    }

    fn found(view: &Project, code: &str) -> Option<Threat> {
        let command = Command::with_code(CommandKind::Bash, code.to_owned());
        let world = PolicyContext::unattended("/srv/job/root");
        find_threat(&Policy::losses(&command, &world), view)
    }

    #[test]
    fn what_would_take_rules_or_settings_away_is_found() {
        let view = Project::default();
        for code in [
            "git clean -fdx",
            "git clean -fd",
            "git -C . clean -fd",
            "git clean -f .tos",
            "git clean -fdx -e build",
            "cd build && git clean -fdx :/",
            "git clean -fdx -e .tos -e '!.tos'",
            "git stash -u",
            "git stash push --include-untracked -m x",
            "git stash -a",
            "git reset --hard old",
            "git checkout old",
            "git checkout -q -f other",
            "git switch old",
            "git checkout old -- .",
            "git checkout other -- .tos",
            "git restore --source=old .",
            "git restore -s other .tos",
            "git mv .tos x",
            "rm -rf .tos",
            "rm -rf .[!.]*",
            "rm -rf .claude",
            "mv .tos x",
            "find . -name '*.toml' -delete",
            "find . -maxdepth 1 -not -name .git -exec rm -rf {} +",
            "echo x > .claude/settings.json",
            "echo x > hard",
            "ln .tos/guard.toml other",
            "cp -al .tos other",
            "link .tos/guard.toml other",
            "tar xf unknown.tgz",
            "tar xf evil.tar",
            "unzip -o unknown.zip",
            "cp -r ../with/. .",
            "rsync -a ../with/ ./",
            "cp ../x/guard.toml .tos",
            "git apply evil.patch",
            "git apply --directory=.tos inner.patch",
            "git apply < evil.patch",
            "cat evil.patch | git apply",
            "git diff a b | git apply",
            "patch -p1 < evil.patch",
            "cat evil.patch | patch -p1",
            "git diff a b | patch -p1",
            "patch -p1 <<'E'\n--- a/.tos/guard.toml\n+++ b/.tos/guard.toml\nE",
            "python3 -m tarfile -e unknown.tgz .",
            "python3 -m zipfile -e evil.tar .",
            "python3 -c \"import shutil; shutil.unpack_archive('evil.tar', '.')\"",
            "git add -A && git stash",
            "git add -A && git reset --hard",
            "git add . && git commit -qm x && git switch old",
            "git add -A && git commit -qm x && git reset --hard HEAD~1",
            "git add -A && git commit -qm x && git revert --no-edit HEAD",
            "git add -A && git commit -qm x && git restore --source=HEAD~1 .",
            "git add -A && git commit -qm x && git rebase --onto old HEAD",
            "git rm -q --cached -r . && git clean -fdx -e .tos",
            "git revert old",
            "git bisect start HEAD old",
            "git sparse-checkout set src",
            "patch -p1 -i evil.patch",
        ] {
            assert!(found(&view, code).is_some(), "{code}");
        }
    }

    #[test]
    fn a_patch_is_about_what_its_headers_name() {
        let view = Project::default();
        for code in [
            "git apply moved.patch",
            "git apply quoted.patch",
            "git am mail.patch",
            "cd .tos && git apply inner.patch",
            "patch -d .tos -i inner.patch",
            "patch -p1 < quoted.patch",
        ] {
            assert!(found(&view, code).is_some(), "{code}");
        }
        for code in [
            "git apply talk.patch",
            "cat talk.patch | git apply",
            "patch -p1 < talk.patch",
        ] {
            assert_eq!(found(&view, code), None, "{code}");
        }
    }

    #[test]
    fn a_second_name_cannot_be_emptied() {
        let view = Project::default();
        for code in [
            "truncate -s 0 hard",
            "shred -n 1 hard",
            "python3 -c \"import os; os.truncate('hard', 0)\"",
            "node -e \"require('fs').truncateSync('hard')\"",
            "printf ',d\\nw\\nq\\n' | ed -s hard",
            "printf '/deny/d\\nwq\\n' | ed -s hard",
        ] {
            assert!(found(&view, code).is_some(), "{code}");
        }
        assert_eq!(found(&view, "rm hard"), None);
    }

    #[test]
    fn what_leaves_them_alone_is_not_in_the_way() {
        let view = Project::default();
        for code in [
            "git clean -fdx -e .tos",
            "git clean -fdx -e /.tos",
            "git clean -fdx -e .tos/",
            "git clean -fdx -e '.tos/**'",
            "git clean -fdx --exclude=.tos -e .claude",
            "git clean -fdx -e '.to*'",
            "git clean -fdxn",
            "git clean -f",
            "git clean -fdx build",
            "cd build && git clean -fdx",
            "git clean -fdX",
            "git stash",
            "git stash push -u -- . ':!.tos'",
            "git stash push -u src",
            "git stash pop",
            "git reset --hard",
            "git reset --hard main",
            "git checkout main",
            "git checkout -b new",
            "git checkout -- .",
            "git checkout old -- src",
            "git checkout -q -- a.rs b.rs",
            "git restore .",
            "git restore --source=old -- . ':!.claude'",
            "git restore --staged .",
            "git mv a b",
            "rm -rf build",
            "rm -rf src/*",
            "find src -name '*.toml' -delete",
            "mkdir -p .tos .claude",
            "ln -s .tos/guard.toml other",
            "cp -r .tos other",
            "find . -name __pycache__ -type d -prune -exec rm -rf {} +",
            "find . -type d \\( -name a -o -name b \\) -prune -exec rm -rf {} +",
            "tar xf good.tar",
            "tar xf unknown.tgz -C build",
            "tar xf unknown.tgz --exclude=.tos --exclude .claude",
            "cp -r ../without/. .",
            "git apply good.patch",
            "git apply evil.patch --exclude='.tos/*'",
            "cat good.patch | git apply",
            "patch -p1 < good.patch",
            "patch -p1 <<'E'\n--- a/x\n+++ b/x\nE",
            "python3 -m zipfile -e good.tar .",
            "git add -A && git commit -qm x",
            "git add -A -- . ':!.tos' && git stash",
            "git add src && git stash",
            "git add -u && git reset --hard",
            "git revert main",
            "git rebase main",
            "git sparse-checkout set src .claude",
            "git sparse-checkout list",
        ] {
            assert_eq!(found(&view, code), None, "{code}");
        }
        let ignored = Project {
            ignored: true,
            ..Project::default()
        };
        assert_eq!(found(&ignored, "git clean -fd"), None);
        assert_eq!(found(&ignored, "git stash -u"), None);
        assert!(found(&ignored, "git clean -fdX").is_some());
        assert!(found(&ignored, "git stash -a").is_some());
        let beside = Project {
            tracked_beside: true,
            ..Project::default()
        };
        assert!(found(&beside, "git clean -f").is_some());
        let changed = Project {
            changed: true,
            ..Project::default()
        };
        for code in [
            "git reset --hard",
            "git checkout -- .",
            "git restore .",
            "git stash",
            "git checkout -f",
        ] {
            assert!(found(&changed, code).is_some(), "{code}");
        }
    }

    #[test]
    fn the_refusal_says_what_to_do() {
        let reason = |code: &str| found(&Project::default(), code).unwrap().reason();
        assert_eq!(
            reason("git clean -fdx"),
            "rule `guard/protected-files`: `git clean` would take away or replace .tos/guard.toml, which keeps the agent in its \
             bounds; add `-e .tos` to it"
        );
        assert!(reason("git stash -u").contains("':!.tos'"));
        assert!(reason("tar xf evil.tar").contains("--exclude=.tos"));
    }
}
