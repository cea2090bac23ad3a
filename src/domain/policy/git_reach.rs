//! What a git command would take away or replace, by its words: which references, which files of the work tree. The guard asks
//! the repository then whether that is there.
//!
//! Danger: a word that is not understood has to mean more, never less.

use crate::domain::policy::{
    interpretation::GitInvocation,
    partial_text::{is_long, is_mark},
    patch_paths::{PatchStrip, strip_of},
    programs::Options,
};

/// References that a command removes or moves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostReferences {
    /// Their whole names; `None` = any of them.
    pub names: Option<Vec<String>>,
    /// Whether stashes go.
    pub stashes: bool,
}

/// What a command does to files of the work tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreeChange {
    /// What it is called, e.g. `git clean`.
    pub command: String,
    /// What it does.
    pub kind: WorktreeChangeKind,
    /// The folder it starts in, from the root.
    pub folder: String,
    /// The paths it is limited to, from the root; those that begin with `!` are left out. Empty = all.
    pub paths: Vec<String>,
}

/// The ways in which git takes files away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorktreeChangeKind {
    /// Removes what is not tracked.
    Clean {
        /// Whole folders as well.
        folders: bool,
        /// Ignored files as well.
        ignored: bool,
        /// Nothing but ignored files.
        only_ignored: bool,
        /// Patterns of what is left alone.
        excludes: Vec<String>,
    },
    /// Puts changes away.
    Stash {
        /// Files that are not tracked as well.
        untracked: bool,
        /// Ignored files as well.
        ignored: bool,
    },
    /// Brings files to another state. Words may be revisions or, where they are none, paths.
    Replace {
        /// Words that may name the state.
        words: Vec<String>,
        /// The state where none of them does; `None` = the index.
        otherwise: Option<String>,
        /// Nothing happens where no word names a state and no path is there.
        needs_words: bool,
    },
    /// Moves or removes what the paths name.
    Move,
    /// Changes what patches say, which the paths name.
    Patch {
        /// The patch itself, where it comes in at the standard input and is known.
        text: Option<String>,
        /// Whether it comes in there.
        fed: bool,
        /// How much of each name in it is taken off.
        strip: PatchStrip,
        /// The folder that is put in front of what is left; empty = none.
        directory: String,
        /// Patterns of what is left alone.
        excludes: Vec<String>,
    },
    /// Takes files that are not tracked into the index, so that what comes next may take them away.
    Stage {
        /// Ignored files as well.
        ignored: bool,
    },
    /// Takes files out of the index.
    Unstage,
    /// Takes back, or repeats, what commits did to files.
    Repeat {
        /// Words that may name the commits.
        words: Vec<String>,
    },
    /// Leaves only these folders, and the files at the root.
    Sparse {
        /// The folders.
        words: Vec<String>,
    },
}

/// Returns what a step does to the work tree.
pub(super) fn worktree_change(step: &GitInvocation) -> Option<WorktreeChange> {
    let args = &step.args;
    let options = options(args);
    let (kind, mut paths) = match step.verb.as_str() {
        "clean" => clean(&options)?,
        "stash" => stash(args, &options)?,
        "mv" => {
            let (_, from) = options.rest.split_last()?;
            (WorktreeChangeKind::Move, from.to_vec())
        }
        "apply" | "am" => patch(args, &options)?,
        "add" | "stage" => stage(&options)?,
        "update-index" if options.has(&["add"]) => (
            WorktreeChangeKind::Stage { ignored: true },
            options.rest.clone(),
        ),
        "rm" if options.has(&["cached"]) => (WorktreeChangeKind::Unstage, options.rest.clone()),
        "revert" | "cherry-pick" => {
            let words = options.rest.clone();
            (WorktreeChangeKind::Repeat { words }, Vec::new())
        }
        "sparse-checkout" => match options.rest.split_first() {
            Some((verb, words)) if ["set", "init", "reapply"].contains(&verb.as_str()) => {
                let words = words.to_vec();
                (WorktreeChangeKind::Sparse { words }, Vec::new())
            }
            _ => return None,
        },
        "rebase" | "bisect" => (elsewhere(&options, &step.verb)?, Vec::new()),
        "checkout" | "switch" | "reset" | "restore" | "read-tree" | "checkout-index" => {
            replaced(&step.verb, args, &options)?
        }
        _ => return None,
    };
    let folder = step.folder.clone()?;
    for path in &mut paths {
        *path = match kind {
            // Patches lie anywhere.
            WorktreeChangeKind::Patch { .. } if folder.is_empty() => path.clone(),
            WorktreeChangeKind::Patch { .. } => format!("{folder}/{path}"),
            WorktreeChangeKind::Clean { .. }
            | WorktreeChangeKind::Stash { .. }
            | WorktreeChangeKind::Replace { .. }
            | WorktreeChangeKind::Stage { .. }
            | WorktreeChangeKind::Unstage
            | WorktreeChangeKind::Repeat { .. }
            | WorktreeChangeKind::Sparse { .. }
            | WorktreeChangeKind::Move => from_root(path, &folder),
        };
    }
    Some(WorktreeChange {
        command: format!("git {}", step.verb),
        kind,
        folder,
        paths,
    })
}

fn options(args: &[String]) -> Options {
    const WITH_VALUE: [&str; 12] = [
        "directory",
        "onto",
        "mainline",
        "exclude",
        "message",
        "source",
        "pathspec-from-file",
        "conflict",
        "orphan",
        "create",
        "force-create",
        "prefix",
    ];
    Options::parse(args, "ebBcCsm", &WITH_VALUE)
}

fn patch(args: &[String], options: &Options) -> Option<(WorktreeChangeKind, Vec<String>)> {
    let only_looks = options.has(&["check", "stat", "numstat", "summary", "cached"]);
    if only_looks && !options.has(&["apply"]) {
        return None;
    }
    let files: Vec<String> = options
        .rest
        .iter()
        .filter(|file| *file != "-")
        .cloned()
        .collect();
    let kind = WorktreeChangeKind::Patch {
        text: None,
        fed: files.is_empty() && !options.has(&["abort", "continue", "skip", "quit"]),
        strip: strip_of(args.iter().map(String::as_str))
            .map_or(PatchStrip::AsGit, PatchStrip::Folders),
        directory: options
            .value("directory")
            .unwrap_or("")
            .trim_matches('/')
            .to_owned(),
        excludes: options.values(&["exclude"]).map(str::to_owned).collect(),
    };
    Some((kind, files))
}

fn stage(options: &Options) -> Option<(WorktreeChangeKind, Vec<String>)> {
    let is_whole_folder = options.has(&["A", "all", "no-ignore-removal"]);
    let takes_none = options.has(&["n", "dry-run", "u", "update", "refresh"])
        || options.rest.is_empty() && !is_whole_folder;
    let ignored = options.has(&["f", "force"]);
    (!takes_none).then(|| (WorktreeChangeKind::Stage { ignored }, options.rest.clone()))
}

/// Reads the commands that go to other commits for a while, or put commits on another one.
fn elsewhere(options: &Options, verb: &str) -> Option<WorktreeChangeKind> {
    let words: Vec<String> = if verb == "rebase" {
        options.values(&["onto"]).map(str::to_owned).collect()
    } else {
        let verb = options.rest.first()?;
        let goes = ["start", "good", "bad", "new", "old", "skip"];
        goes.contains(&verb.as_str())
            .then(|| options.rest.get(1..))??
            .to_vec()
    };
    let is_named = |words: &Vec<String>| !words.is_empty();
    Some(words)
        .filter(is_named)
        .map(|words| WorktreeChangeKind::Replace {
            words,
            otherwise: Some("HEAD".to_owned()),
            needs_words: true,
        })
}

fn clean(options: &Options) -> Option<(WorktreeChangeKind, Vec<String>)> {
    let removes = options.has(&["f", "force", "d", "x", "X", "i", "interactive"]);
    if options.has(&["n", "dry-run"]) || !removes {
        return None;
    }
    let only_ignored = options.has(&["X"]);
    let kind = WorktreeChangeKind::Clean {
        folders: options.has(&["d"]),
        ignored: only_ignored || options.has(&["x"]),
        only_ignored,
        excludes: options
            .values(&["e", "exclude"])
            .map(str::to_owned)
            .collect(),
    };
    Some((kind, options.rest.clone()))
}

fn stash(args: &[String], options: &Options) -> Option<(WorktreeChangeKind, Vec<String>)> {
    let verb = options.rest.first().map_or("push", String::as_str);
    let rest = options.rest.get(1..).unwrap_or_default();
    let reads = |otherwise: &str| WorktreeChangeKind::Replace {
        words: rest.to_vec(),
        otherwise: Some(otherwise.to_owned()),
        needs_words: false,
    };
    match verb {
        "pop" | "apply" | "branch" => return Some((reads("stash@{0}"), Vec::new())),
        "push" | "save" => {}
        _ => return None,
    }
    let is_partial = options.has(&["staged", "S", "patch", "p"]);
    let kind = WorktreeChangeKind::Stash {
        untracked: has_long(args, "include-untracked") || options.has(&["u", "a", "all"]),
        ignored: options.has(&["a", "all"]),
    };
    // The words of `save` are a message.
    let paths = if verb == "save" { &[] } else { rest };
    (!is_partial).then(|| (kind, paths.to_vec()))
}

fn has_long(args: &[String], name: &str) -> bool {
    let before = args.iter().take_while(|arg| *arg != "--");
    before.into_iter().any(|arg| is_long(arg, name))
}

/// Reads the commands that bring files to another state.
fn replaced(
    verb: &str,
    args: &[String],
    options: &Options,
) -> Option<(WorktreeChangeKind, Vec<String>)> {
    let dashes = args.iter().position(|arg| arg == "--");
    let behind = dashes.map_or(&[][..], |at| args.get(at + 1..).unwrap_or_default());
    let count = options.rest.len().saturating_sub(behind.len());
    let words: Vec<String> = options.rest.iter().take(count).cloned().collect();
    let behind = behind.to_vec();
    let head = Some("HEAD".to_owned());
    let forced = options.has(&["f", "force", "discard-changes"]);
    let of = |words: Vec<String>, otherwise: Option<String>, needs_words: bool| {
        Some(WorktreeChangeKind::Replace {
            words,
            otherwise,
            needs_words,
        })
    };
    let kind = match verb {
        "reset" if options.has(&["hard", "merge", "keep"]) => of(words, head, false),
        "reset" if !options.has(&["soft", "p", "patch"]) => Some(WorktreeChangeKind::Unstage),
        "restore" => {
            let source = options.values(&["s", "source"]).map(str::to_owned);
            let source: Vec<String> = source.collect();
            let is_staged = options.has(&["staged", "S"]);
            if is_staged && !options.has(&["worktree", "W"]) {
                return None;
            }
            let paths = [words, behind].concat();
            let otherwise = if is_staged { head } else { None };
            return Some((of(source, otherwise, false)?, paths));
        }
        "read-tree" if options.has(&["reset", "u"]) => of(words, head, false),
        "checkout-index" if options.has(&["a", "all"]) => of(Vec::new(), None, false),
        "checkout-index" => return Some((of(Vec::new(), None, false)?, [words, behind].concat())),
        "checkout" | "switch" if options.has(&["orphan", "patch", "p"]) => None,
        "checkout" if !behind.is_empty() => of(words, None, false),
        "checkout" | "switch" => {
            let previous = |word: String| {
                if word == "-" {
                    "@{-1}".to_owned()
                } else {
                    word
                }
            };
            let words = words.into_iter().map(previous).collect();
            of(words, head.filter(|_| forced), !forced)
        }
        _ => None,
    };
    Some((kind?, behind))
}

/// Returns a path from the root, as git reads it in a folder; what it leaves out begins with `!`.
fn from_root(path: &str, folder: &str) -> String {
    let (path, is_out) = match path {
        _ if path.starts_with(":!") || path.starts_with(":^") => (path.get(2..), true),
        _ if path.starts_with(":(exclude)") => (path.get(10..), true),
        _ if path.starts_with(":/") => return path.get(2..).unwrap_or("").to_owned(),
        // Other words of git's may mean anything.
        _ if path.starts_with(':') => return String::new(),
        _ => (Some(path), false),
    };
    let path = path.unwrap_or("");
    let joined = if folder.is_empty() || path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{folder}/{path}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let path: String = parts.join("/");
    let path: String = path
        .chars()
        .map(|c| if is_mark(c) { '*' } else { c })
        .collect();
    if is_out { format!("!{path}") } else { path }
}

/// Returns the references that a step takes away; `None` where it takes none.
pub(super) fn lost_references(step: &GitInvocation) -> Option<LostReferences> {
    let options = Options::parse(&step.args, "muF", &["message", "file", "sort", "format"]);
    let rest = &options.rest;
    let below = |prefix: &str, names: &[String]| {
        let is_known = |name: &String| !name.contains(is_mark);
        let names: Option<Vec<String>> = names
            .iter()
            .map(|name| is_known(name).then(|| format!("{prefix}{name}")))
            .collect();
        Some(LostReferences {
            names,
            stashes: false,
        })
    };
    match step.verb.as_str() {
        "branch" if options.has(&["r", "remotes"]) => below("refs/remotes/", rest),
        "branch" if options.has(&["d", "D", "delete"]) => below("refs/heads/", rest),
        // The branch that is moved away, or written over: the last of two, else the one checked out.
        "branch" if options.has(&["m", "M", "move", "c", "C", "copy"]) => {
            below("refs/heads/", rest.get(rest.len().saturating_sub(1)..)?)
        }
        "branch" => below("refs/heads/", rest.get(..rest.len().min(1))?),
        "tag" if options.has(&["d", "delete"]) => below("refs/tags/", rest),
        "tag" => below("refs/tags/", rest.get(..rest.len().min(1))?),
        "stash" => Some(LostReferences {
            names: Some(Vec::new()),
            stashes: true,
        }),
        _ => None,
    }
}

/// Returns whether a step brings files to the state of the last commit or the index, so that only tracked ones change.
pub(super) fn stays_at_head(step: &GitInvocation) -> bool {
    if step.verb == "rm" {
        return true;
    }
    let change = worktree_change(step);
    let kind = change.map(|change| change.kind);
    matches!(kind, Some(WorktreeChangeKind::Replace { words, .. }) if words.iter().all(|word| word == "HEAD" || word == "@"))
}

/// Returns whether a step moves files without writing over any.
pub(super) fn moves_gently(step: &GitInvocation) -> bool {
    step.verb == "mv" && !options(&step.args).has(&["f", "force"])
}

/// Returns whether a step gives up what was begun, with all that was done to bring it to an end.
pub(super) fn gives_up(step: &GitInvocation) -> bool {
    let begun = ["merge", "rebase", "cherry-pick", "revert"];
    let is_end = |arg: &String| is_long(arg, "abort") || is_long(arg, "skip");
    begun.contains(&step.verb.as_str()) && step.args.iter().any(is_end)
}

/// Returns whether a step puts changes into a stash.
pub(super) fn stashes(step: &GitInvocation) -> bool {
    let verb = step.args.iter().find(|arg| !arg.starts_with('-'));
    step.verb == "stash"
        && verb.is_none_or(|verb| ["push", "save", "create", "store"].contains(&verb.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str, folder: &str) -> GitInvocation {
        let mut words = text.split_whitespace().map(str::to_owned);
        GitInvocation {
            at: 0,
            verb: words.next().unwrap(),
            args: words.collect(),
            folder: Some(folder.to_owned()),
        }
    }

    fn change(text: &str) -> Option<WorktreeChange> {
        worktree_change(&step(text, ""))
    }

    fn kind(text: &str) -> Option<(WorktreeChangeKind, Vec<String>)> {
        change(text).map(|change| (change.kind, change.paths))
    }

    fn replace(words: &[&str], otherwise: Option<&str>, needs_words: bool) -> WorktreeChangeKind {
        WorktreeChangeKind::Replace {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            otherwise: otherwise.map(str::to_owned),
            needs_words,
        }
    }

    #[test]
    fn a_clean_knows_what_it_leaves_alone() {
        let found =
            worktree_change(&step("clean -fdx -e .tos --exclude=/x build ../y", "sub")).unwrap();
        assert_eq!(found.paths, ["sub/build", "y"]);
        assert_eq!(
            found.kind,
            WorktreeChangeKind::Clean {
                folders: true,
                ignored: true,
                only_ignored: false,
                excludes: vec![".tos".to_owned(), "/x".to_owned()],
            }
        );
    }

    #[test]
    fn what_is_put_away_is_told_apart() {
        let stash = |untracked, ignored| WorktreeChangeKind::Stash { untracked, ignored };
        let none: Vec<String> = Vec::new();
        for (text, wanted, paths) in [
            ("stash", stash(false, false), none.clone()),
            ("stash -u", stash(true, false), none.clone()),
            (
                "stash push --include-untracked -- . :!.tos",
                stash(true, false),
                vec![String::new(), "!.tos".to_owned()],
            ),
            (
                "stash push -a src",
                stash(true, true),
                vec!["src".to_owned()],
            ),
            (
                "stash pop",
                replace(&[], Some("stash@{0}"), false),
                none.clone(),
            ),
        ] {
            assert_eq!(kind(text), Some((wanted, paths)), "{text}");
        }
    }

    #[test]
    fn what_is_brought_to_another_state_is_told_apart() {
        let none: Vec<String> = Vec::new();
        for (text, wanted, paths) in [
            (
                "reset --hard HEAD~2",
                replace(&["HEAD~2"], Some("HEAD"), false),
                none.clone(),
            ),
            (
                "checkout main",
                replace(&["main"], None, true),
                none.clone(),
            ),
            (
                "checkout -f",
                replace(&[], Some("HEAD"), false),
                none.clone(),
            ),
            (
                "checkout -- .",
                replace(&[], None, false),
                vec![String::new()],
            ),
            (
                "checkout v1 -- src",
                replace(&["v1"], None, false),
                vec!["src".to_owned()],
            ),
            (
                "restore -s v1 src",
                replace(&["v1"], None, false),
                vec!["src".to_owned()],
            ),
            ("switch -", replace(&["@{-1}"], None, true), none.clone()),
            ("reset", WorktreeChangeKind::Unstage, none.clone()),
            (
                "add -A -- . :!.tos",
                WorktreeChangeKind::Stage { ignored: false },
                vec![String::new(), "!.tos".to_owned()],
            ),
            (
                "rebase --onto old main",
                replace(&["old"], Some("HEAD"), true),
                none.clone(),
            ),
            (
                "mv a b c",
                WorktreeChangeKind::Move,
                vec!["a".to_owned(), "b".to_owned()],
            ),
        ] {
            assert_eq!(kind(text), Some((wanted, paths)), "{text}");
        }
    }

    #[test]
    fn what_leaves_the_files_alone_changes_no_tree() {
        for text in [
            "stash list",
            "add -u",
            "add -n .",
            "apply --check x.patch",
            "rebase main",
            "bisect reset",
            "stash drop",
            "restore --staged x",
            "status",
            "commit",
        ] {
            assert_eq!(change(text), None, "{text}");
        }
    }

    #[test]
    fn references_are_named() {
        let names = |text: &str| lost_references(&step(text, "")).and_then(|lost| lost.names);
        for (text, wanted) in [
            ("branch -D a b", vec!["refs/heads/a", "refs/heads/b"]),
            ("branch -M old new", vec!["refs/heads/new"]),
            ("branch -f main HEAD~1", vec!["refs/heads/main"]),
            ("tag -d v1", vec!["refs/tags/v1"]),
            ("tag -f v1 HEAD", vec!["refs/tags/v1"]),
            ("stash drop", vec![]),
        ] {
            let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
            assert_eq!(names(text), Some(wanted), "{text}");
        }
        assert!(stashes(&step("stash -u", "")) && !stashes(&step("stash drop", "")));
    }
}
