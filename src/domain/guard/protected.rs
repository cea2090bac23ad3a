//! Files that keep an agent in its bounds, and which commands would take them away: the rules of the guard in `.tos/`, and the
//! settings of agents with the hook in them.
//!
//! A rule about paths sees what a command names. What git, an archive or a copy of a whole folder brings along is named by
//! nobody, so it is held against the files that are there. Danger: in doubt a file is taken to be in reach.

use std::path::Path;

use crate::domain::{
    guard::checkpoint::covers,
    policy::{FillKind, FolderFill, PolicyLoss, TreeChange, TreeChangeKind},
};

/// Settings of agents in a project that may have the hook in them.
pub const SETTINGS: [&str; 7] = [
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".codex/hooks.json",
    ".gemini/settings.json",
    ".cursor/hooks.json",
    ".opencode/plugin/tos-guard.js",
    ".opencode/plugins/tos-guard.js",
];
/// The rule that refusals name.
pub const RULE: &str = "guard/protected-files";

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
pub trait ProjectView {
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
        format!("rule `{RULE}`: {what} {path}, which keeps the agent in its bounds; {remedy}")
    }
}

/// Returns the first file that something would take away.
pub fn threat(losses: &[PolicyLoss], view: &dyn ProjectView) -> Option<Threat> {
    let relevant = |loss: &&PolicyLoss| {
        matches!(
            loss,
            PolicyLoss::Removed(_)
                | PolicyLoss::Overwritten(_)
                | PolicyLoss::WorkTree(_)
                | PolicyLoss::Filled(_)
        )
    };
    losses.iter().find(relevant)?;
    let files = view.protected_files();
    let is_in = |loss: &PolicyLoss, file: &str| threatens(loss, file, losses, view);
    let (loss, path) = files.iter().find_map(|file| {
        let loss = losses.iter().find(|loss| is_in(loss, file))?;
        Some((loss, file))
    })?;
    // One remedy for all, so that nobody is refused once for each.
    let mut tops: Vec<&str> = Vec::new();
    for file in files.iter().filter(|file| is_in(loss, file)) {
        if !tops.contains(&top_of(file)) {
            tops.push(top_of(file));
        }
    }
    let (what, remedy) = told(loss, &tops)?;
    Some(Threat {
        path: path.clone(),
        what,
        remedy,
    })
}

fn threatens(loss: &PolicyLoss, file: &str, all: &[PolicyLoss], view: &dyn ProjectView) -> bool {
    match loss {
        PolicyLoss::Removed(glob) => covers(glob, file),
        // Who fills a folder is looked at by what it is filled with.
        PolicyLoss::Overwritten(glob) => !is_filled(glob, all) && covers(glob, file),
        PolicyLoss::WorkTree(change) => is_in_reach(change, file, view),
        PolicyLoss::Filled(fill) => brings(fill, file, view),
        PolicyLoss::Uncommitted | PolicyLoss::Untracked { .. } | PolicyLoss::References(_) => false,
    }
}

/// Returns what does it, and what to do instead.
fn told(loss: &PolicyLoss, tops: &[&str]) -> Option<(String, String)> {
    let names: Vec<String> = tops.iter().map(|top| format!("`{top}`")).collect();
    let names = names.join(" and ");
    Some(match loss {
        PolicyLoss::Removed(_) => (
            "this removes".to_owned(),
            format!("name what is to go without {names}"),
        ),
        PolicyLoss::Overwritten(_) => (
            "this writes over".to_owned(),
            format!("write to a place outside of {names}"),
        ),
        PolicyLoss::WorkTree(change) => (
            format!("`{}` would take away or replace", change.command),
            remedy(change, tops, &names),
        ),
        PolicyLoss::Filled(fill) => (
            format!("`{}` may bring along another", fill.program),
            fill_remedy(fill, tops, &names),
        ),
        PolicyLoss::Uncommitted | PolicyLoss::Untracked { .. } | PolicyLoss::References(_) => {
            return None;
        }
    })
}

/// Returns an option for each name.
fn each(tops: &[&str], option: impl Fn(&str) -> String) -> String {
    let all: Vec<String> = tops.iter().map(|top| option(top)).collect();
    all.join(" ")
}

fn is_filled(path: &str, all: &[PolicyLoss]) -> bool {
    all.iter()
        .any(|loss| matches!(loss, PolicyLoss::Filled(fill) if fill.into == path))
}

/// Returns the folder or file at the root that a path is in.
fn top_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

fn remedy(change: &TreeChange, tops: &[&str], names: &str) -> String {
    let command = &change.command;
    let out = each(tops, |top| format!("':!{top}'"));
    match &change.kind {
        TreeChangeKind::Clean { .. } => {
            format!("add `{}` to it", each(tops, |top| format!("-e {top}")))
        }
        TreeChangeKind::Stash { .. } => {
            format!("leave {names} out: `git stash push … -- . {out}`")
        }
        TreeChangeKind::Move => format!("leave {names} where it is"),
        TreeChangeKind::Patch => format!("take {names} out of the patch"),
        TreeChangeKind::Replace { .. } if command == "git checkout" || command == "git restore" => {
            format!(
                "leave {names} out: `git restore … -- . {out}`; a whole other state is for a person to check out"
            )
        }
        TreeChangeKind::Replace { .. } => format!(
            "a whole other state is for a person to check out; files come from it with `git restore --source=STATE -- . {out}`"
        ),
    }
}

/// Returns whether a command of git would take a file away or make it another.
fn is_in_reach(change: &TreeChange, file: &str, view: &dyn ProjectView) -> bool {
    let state = view.state(file);
    match &change.kind {
        TreeChangeKind::Clean {
            folders,
            ignored,
            only_ignored,
            excludes,
        } => {
            let is_taken = match state {
                TrackedState::Tracked => false,
                TrackedState::Untracked => !only_ignored,
                TrackedState::Ignored => *ignored,
            };
            // Without `-d` git looks only into folders it has something in, and into those that are named.
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            let is_looked_into = *folders
                || !change.paths.is_empty()
                || folder.is_empty()
                || view.holds_tracked(folder);
            let is_limited = change.paths.iter().any(|path| !path.starts_with('!'));
            is_taken
                && is_looked_into
                && (is_limited || is_below(file, &change.folder))
                && is_meant(change, file)
                && !is_excluded(excludes, file)
        }
        TreeChangeKind::Stash { untracked, ignored } => {
            let is_taken = match state {
                TrackedState::Tracked => view.differs(file, Some("HEAD")),
                TrackedState::Untracked => *untracked,
                TrackedState::Ignored => *ignored,
            };
            is_taken && is_meant(change, file)
        }
        TreeChangeKind::Move => is_meant(change, file),
        TreeChangeKind::Patch => change
            .paths
            .iter()
            .any(|path| view.holds_text(Path::new(path), file) == Some(true)),
        TreeChangeKind::Replace {
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
    change: &TreeChange,
    words: &[String],
    otherwise: Option<&str>,
    needs_words: bool,
    file: &str,
    view: &dyn ProjectView,
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
fn is_meant(change: &TreeChange, file: &str) -> bool {
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
fn brings(fill: &FolderFill, file: &str, view: &dyn ProjectView) -> bool {
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
        FillKind::Archive => {
            // The archive is one of the words; where it cannot be looked into it may hold anything.
            let known: Vec<bool> = words.iter().filter_map(|word| holds(&word)).collect();
            known.is_empty() || known.contains(&true)
        }
        FillKind::Patch => words.iter().any(|word| holds(&word) == Some(true)),
        FillKind::Copy => words.iter().any(|word| {
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

fn fill_remedy(fill: &FolderFill, tops: &[&str], names: &str) -> String {
    let program = fill.program.as_str();
    match fill.kind {
        FillKind::Archive if program.contains("tar") => {
            format!(
                "add `{}` to it",
                each(tops, |top| format!("--exclude={top}"))
            )
        }
        FillKind::Archive if program == "unzip" => {
            format!("add `-x {}` to it", each(tops, |top| format!("'{top}/*'")))
        }
        FillKind::Archive => "unpack it into a folder of its own and copy what you need".to_owned(),
        FillKind::Copy if program == "rsync" => {
            format!(
                "add `{}` to it",
                each(tops, |top| format!("--exclude={top}"))
            )
        }
        FillKind::Copy => format!("copy it without its {names}"),
        FillKind::Patch => format!("take {names} out of the patch"),
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

    impl ProjectView for Project {
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
        fn exists(&self, path: &Path) -> bool {
            path.ends_with("with/.tos/guard.toml")
        }
        fn holds_text(&self, path: &Path, text: &str) -> Option<bool> {
            match path.to_str()?.rsplit('/').next()? {
                "evil.tar" | "evil.patch" => Some(text.starts_with(".tos")),
                "good.tar" | "good.patch" => Some(false),
                _ => None,
            }
        }
    }

    fn found(view: &Project, code: &str) -> Option<Threat> {
        let command = Command {
            kind: CommandKind::Bash,
            code: code.to_owned(),
            argv: Vec::new(),
        };
        let world = PolicyContext::unattended("/srv/job/root");
        threat(&Policy::losses(&command, &world), view)
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
            "tar xf unknown.tgz",
            "tar xf evil.tar",
            "unzip -o unknown.zip",
            "cp -r ../with/. .",
            "rsync -a ../with/ ./",
            "cp ../x/guard.toml .tos",
            "git apply evil.patch",
            "patch -p1 -i evil.patch",
        ] {
            assert!(found(&view, code).is_some(), "{code}");
        }
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
            "tar xf good.tar",
            "tar xf unknown.tgz -C build",
            "tar xf unknown.tgz --exclude=.tos --exclude .claude",
            "cp -r ../without/. .",
            "git apply good.patch",
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
