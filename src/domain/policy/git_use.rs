//! Decides whether a command is git's own write and nothing else: only for such a one may a wall leave `.git` writable.
//!
//! Danger: whatever else runs in the same command could write there, too. So the list is of what may stand beside git,
//! never of what may not, and one thing that is not understood makes the whole command an ordinary one.

use crate::domain::{
    command::Command,
    policy::{
        Policy, PolicyContext,
        interpretation::{CommandEffect, Interpretation},
        judge,
        rule::EffectKind,
    },
};

/// What a command wants of the repository, as far as its text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitUse {
    /// Nothing that would be written by git.
    None,
    /// Git writes, and nothing else runs but what prints and looks.
    Only,
    /// The same, and it tidies up, which reaches into what belongs to other work trees.
    Upkeep,
    /// The same, and it writes into the settings of the repository, too, which is half the work of such a command.
    Settings,
    /// Git writes, and other programs run beside it.
    Mixed,
    /// Nothing but the making of a repository.
    Begins,
}

/// Options of `git init` that bring nothing along; with `--template` hooks would come.
const PLAIN_BEGINNINGS: &[&str] = &["-q", "--quiet", "-b", "--initial-branch"];

/// What a command of git does to the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GitManner {
    /// It looks.
    Looks,
    /// It writes what belongs to git.
    Writes,
    /// It writes where other programs are named, too: settings, other work trees, submodules.
    Settings,
    /// It is not known, or it starts programs.
    Unknown,
}

/// Commands of git that write what belongs to it.
const WRITES: &[&str] = &[
    "add",
    "am",
    "apply",
    "branch",
    "checkout",
    "cherry-pick",
    "commit",
    "commit-graph",
    "commit-tree",
    "fetch",
    "gc",
    "index-pack",
    "merge",
    "mktag",
    "mktree",
    "multi-pack-index",
    "mv",
    "notes",
    "pack-objects",
    "pack-refs",
    "prune",
    "prune-packed",
    "pull",
    "push",
    "read-tree",
    "rebase",
    "repack",
    "replace",
    "rerere",
    "reset",
    "restore",
    "revert",
    "rm",
    "stage",
    "stash",
    "switch",
    "tag",
    "unpack-objects",
    "update-index",
    "update-ref",
    "write-tree",
];

/// Commands of git that only look, or change no more than the work tree.
const LOOKS: &[&str] = &[
    "annotate",
    "archive",
    "blame",
    "cat-file",
    "check-attr",
    "check-ignore",
    "cherry",
    "clean",
    "count-objects",
    "describe",
    "diff",
    "diff-files",
    "diff-index",
    "diff-tree",
    "for-each-ref",
    "format-patch",
    "grep",
    "log",
    "ls-files",
    "ls-remote",
    "ls-tree",
    "merge-base",
    "name-rev",
    "range-diff",
    "rev-list",
    "rev-parse",
    "shortlog",
    "show",
    "show-ref",
    "status",
    "var",
    "verify-pack",
    "version",
    "--version",
];

/// Commands of git that tidy up.
const TIDIES_UP: &[&str] = &["gc", "maintenance", "prune", "reflog", "repack"];

/// Options of `git config` that ask for something.
const ASKS: &[&str] = &[
    "--get",
    "--get-all",
    "--get-regexp",
    "--get-urlmatch",
    "--list",
    "-l",
];

/// What may run beside git: it prints or looks, and starts nothing.
const HARMLESS: &[&str] = &[
    ":", "[", "[[", "basename", "cat", "cd", "cut", "date", "dirname", "echo", "exit", "false",
    "grep", "head", "local", "ls", "printf", "pwd", "read", "return", "set", "sleep", "sort",
    "tail", "test", "tr", "true", "uniq", "wc",
];

/// Options of git itself that change no more than how it prints and where it starts.
const PLAIN_OPTIONS: &[&str] = &[
    "--no-pager",
    "-P",
    "--no-optional-locks",
    "--literal-pathspecs",
];

/// Settings that may be given with `-c`; others can name programs.
const PLAIN_SETTINGS: &[&str] = &[
    "user.",
    "color.",
    "advice.",
    "commit.",
    "init.",
    "author.",
    "committer.",
];

/// Long options of git's commands that name a program to run.
const STARTERS: &[&str] = &["exec", "upload-pack", "receive-pack", "open-files-in-pager"];

/// Variables of git that name nobody's program.
const PLAIN_VARIABLES: &[&str] = &["GIT_AUTHOR_", "GIT_COMMITTER_"];

impl Policy {
    /// Says what a command wants of the repository. It says nothing about whether the command may run.
    pub fn git_use(command: &Command, world: &PolicyContext) -> GitUse {
        let mut reading = Interpretation::new(world);
        judge::read(command, &mut reading);
        let git: Vec<&[String]> = reading
            .acts
            .iter()
            .filter_map(|act| git_words(&act.words))
            .collect();
        if begins(&git, reading.acts.len(), &command.text()) {
            return GitUse::Begins;
        }
        let writes = |words: &&[String]| match verb(words) {
            Some((verb, rest)) => {
                let manner = manner(verb, &rest);
                matches!(manner, GitManner::Writes | GitManner::Settings)
            }
            // Behind an option that is not known it cannot be told from other words.
            None => words.iter().any(|word| WRITES.contains(&word.as_str())),
        };
        if !git.iter().any(writes) {
            return GitUse::None;
        }
        let is_opaque = |(_, effect): &(usize, CommandEffect)| {
            matches!(effect, CommandEffect::Does(EffectKind::Opaque, _))
        };
        let is_plain = reading.given_up.is_none()
            && reading.acts.iter().all(|act| is_plain(&act.words))
            && !reading.effects.iter().any(is_opaque)
            && has_plain_variables(&command.text());
        let writes_settings = |words: &&[String]| {
            verb(words).is_some_and(|(verb, rest)| manner(verb, &rest) == GitManner::Settings)
        };
        let tidies_up = |words: &&[String]| {
            verb(words).is_some_and(|(verb, rest)| {
                TIDIES_UP.contains(&verb) && manner(verb, &rest) != GitManner::Looks
            })
        };
        match (is_plain, git.iter().any(writes_settings)) {
            (true, false) if git.iter().any(tidies_up) => GitUse::Upkeep,
            (true, false) => GitUse::Only,
            (true, true) => GitUse::Settings,
            (false, _) => GitUse::Mixed,
        }
    }
}

/// Says whether a command is one `git init` and nothing else: no other program, no redirection, no variable.
fn begins(git: &[&[String]], acts: usize, text: &str) -> bool {
    let [words] = git else { return false };
    let plain = |word: &String| {
        let name = word.split('=').next().unwrap_or_default();
        !word.starts_with('-') || PLAIN_BEGINNINGS.contains(&name)
    };
    acts == 1
        && words.first().is_some_and(|verb| verb == "init")
        && words.iter().all(plain)
        && !text.contains(['<', '>', ';', '&', '|', '$', '`', '(', '=', '\n'])
}

/// Returns the words behind the name of git, where that is what runs.
fn git_words(words: &[String]) -> Option<&[String]> {
    let (first, rest) = words.split_first()?;
    ["git", "/usr/bin/git", "/usr/local/bin/git"]
        .contains(&first.as_str())
        .then_some(rest)
}

/// Returns the command of git, behind options that may stand before it, and its words; `None` where one of the options may not.
fn verb(words: &[String]) -> Option<(&str, Vec<&str>)> {
    let mut words = words.iter().map(String::as_str);
    loop {
        match words.next()? {
            "-C" => drop(words.next()?),
            "-c" => {
                let setting = words.next()?.to_ascii_lowercase();
                if !PLAIN_SETTINGS
                    .iter()
                    .any(|plain| setting.starts_with(plain))
                {
                    return None;
                }
            }
            option if PLAIN_OPTIONS.contains(&option) => {}
            option if option.starts_with('-') && option != "--version" => return None,
            verb => return Some((verb, words.collect())),
        }
    }
}

/// Says what a command of git does with these words.
fn manner(verb: &str, rest: &[&str]) -> GitManner {
    use GitManner::{Looks, Settings, Unknown, Writes};
    let mut names = rest.iter().filter(|word| !word.starts_with('-'));
    let first = names.next().copied().unwrap_or_default();
    let has = |wanted: &[&str]| rest.iter().any(|word| wanted.contains(word));
    let or_looks = |writes: bool| if writes { Writes } else { Looks };
    match (verb, first) {
        ("prune" | "reflog", _) if has(&["-n", "--dry-run"]) => Looks,
        ("reflog", _) => or_looks(["expire", "delete", "drop"].contains(&first)),
        ("symbolic-ref", _) => or_looks(names.next().is_some() || has(&["-d", "--delete"])),
        ("hash-object", _) => or_looks(has(&["-w"])),
        ("fsck", _) => or_looks(has(&["--lost-found"])),
        ("maintenance", "run") | ("remote", "prune" | "update" | "set-head") => Writes,
        ("bisect", "run" | "view" | "visualize") | ("submodule", "foreach") => Unknown,
        ("bisect", _) => or_looks(!["", "log", "help"].contains(&first)),
        ("maintenance", "is-needed")
        | ("remote", "" | "show" | "get-url")
        | ("worktree" | "sparse-checkout", "list")
        | ("submodule", "" | "status" | "summary") => Looks,
        ("config", "edit") => Unknown,
        ("config", _) if has(&["-e", "--edit"]) => Unknown,
        ("config", "get" | "list") => Looks,
        ("config", _) if has(ASKS) || rest.iter().any(names_a_file) => Looks,
        ("config", _) if names.next().is_none() && !has(&["--unset", "--unset-all"]) => Looks,
        ("config" | "maintenance" | "remote" | "worktree" | "submodule" | "sparse-checkout", _) => {
            Settings
        }
        ("branch" | "push", _) if writes_settings(verb, rest) => Settings,
        _ if WRITES.contains(&verb) => Writes,
        _ if LOOKS.contains(&verb) => Looks,
        _ => Unknown,
    }
}

/// Says whether an option of `git config` leads to another file than the settings of the repository.
fn names_a_file(word: &&str) -> bool {
    *word == "-f" || word.starts_with("--file") || word.starts_with("--blob")
}

fn is_plain(words: &[String]) -> bool {
    let Some(first) = words.first() else {
        return true;
    };
    let Some(rest) = git_words(words) else {
        return HARMLESS.contains(&first.as_str()) || is_assignment(first);
    };
    let Some((verb, own)) = verb(rest) else {
        return false;
    };
    let starts = |word: &String| {
        let name = word.strip_prefix("--").unwrap_or_default();
        let name = name.split('=').next().unwrap_or_default();
        let is_starter = !name.is_empty() && STARTERS.iter().any(|long| long.starts_with(name));
        let is_short = (verb == "rebase" && word.starts_with("-x"))
            || (verb == "grep" && word.starts_with("-O"));
        is_starter || is_short
    };
    let before = rest.iter().take_while(|word| *word != "--");
    manner(verb, &own) != GitManner::Unknown && !before.into_iter().any(starts)
}

/// Says whether a command of git writes down which branch follows which, or renames what is written down.
fn writes_settings(verb: &str, rest: &[&str]) -> bool {
    let (short, long): (&str, &[&str]) = match verb {
        "branch" => (
            "mMcCu",
            &[
                "--move",
                "--copy",
                "--set-upstream-to",
                "--unset-upstream",
                "--edit-description",
            ],
        ),
        _ => ("u", &["--set-upstream"]),
    };
    rest.iter().any(|word| {
        let name = word.split('=').next().unwrap_or_default();
        let is_short = word.starts_with('-')
            && !word.starts_with("--")
            && word.chars().any(|letter| short.contains(letter));
        is_short || long.contains(&name)
    })
}

/// A variable of the command's own, such as `M=text`.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Refuses texts that set where programs are found or what git runs.
fn has_plain_variables(text: &str) -> bool {
    let named = text.match_indices("GIT_").all(|(at, _)| {
        let rest = text.get(at..).unwrap_or_default();
        PLAIN_VARIABLES.iter().any(|plain| rest.starts_with(plain))
    });
    let others = [
        "PATH=", "EDITOR=", "VISUAL=", "PAGER=", "LD_", "BASH_ENV", "HOME=", "IFS=",
    ];
    named && !others.iter().any(|name| text.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::CommandKind;

    fn bash(code: &str) -> GitUse {
        let command = Command {
            kind: CommandKind::Bash,
            code: code.to_owned(),
            argv: Vec::new(),
        };
        Policy::git_use(&command, &PolicyContext::unattended("/srv/job/root"))
    }

    #[test]
    fn what_only_git_writes_is_git_s_own() {
        for code in [
            "git commit -m x",
            "git add -A && git commit -m 'two words'",
            "git -c user.name=me -c user.email=a@b commit -q -m x",
            "cd sub && git add . ; git status --short | head -3",
            "git commit -F - <<'E'\nlong text\nE",
            "git commit -m \"$(printf 'a\\n\\nb')\"",
            "GIT_AUTHOR_DATE='2026-01-01' git commit -m x",
            "git stash && git checkout -b feature && git stash pop",
            "git merge --no-ff other || echo failed",
            "git rebase main",
            "git log --oneline; git tag v1",
            "git pack-refs --all",
            "git symbolic-ref HEAD refs/heads/other",
            "git bisect start && git bisect bad && git bisect reset",
            "git remote prune origin",
            "git fsck --lost-found",
        ] {
            assert_eq!(bash(code), GitUse::Only, "{code}");
        }
        let exec = Command {
            kind: CommandKind::Exec,
            code: String::new(),
            argv: ["git", "commit", "-m", "make test"]
                .map(str::to_owned)
                .into(),
        };
        let world = PolicyContext::unattended("/srv/job/root");
        assert_eq!(Policy::git_use(&exec, &world), GitUse::Only);
    }

    #[test]
    fn tidying_up_is_known() {
        for code in [
            "git gc --prune=now",
            "git maintenance run --task=gc",
            "git reflog expire --expire=now --all && git gc -q && git count-objects",
            "git commit -m x; git repack -ad && git prune",
        ] {
            assert_eq!(bash(code), GitUse::Upkeep, "{code}");
        }
        assert_eq!(bash("git gc; ./x"), GitUse::Mixed);
        // Beside what only looks nothing has to be open.
        for code in [
            "git reflog; git commit -m x",
            "git reflog show main && git tag v1",
            "git reflog exists HEAD && git add a",
            "git reflog expire --dry-run --all; git commit -m x",
            "git maintenance is-needed || git commit -m x",
            "git prune -n; git commit -m x",
        ] {
            assert_eq!(bash(code), GitUse::Only, "{code}");
        }
    }

    #[test]
    fn the_making_of_a_repository_alone_is_known() {
        for code in ["git init", "git init -q .", "git init -b main"] {
            assert_eq!(bash(code), GitUse::Begins, "{code}");
        }
        for code in [
            "git init --template=hooks",
            "git init; echo x > .git/config",
            "GIT_TEMPLATE_DIR=x git init",
            "git -c core.fsmonitor=./x init",
            "mkdir .git",
        ] {
            assert_eq!(bash(code), GitUse::None, "{code}");
        }
    }

    #[test]
    fn anything_that_runs_beside_git_makes_it_an_ordinary_command() {
        for code in [
            "make test && git commit -am x",
            "git commit -m x; ./script",
            "git add $(./list)",
            "PATH=.:$PATH git commit -m x",
            "GIT_EDITOR=./e git commit",
            "EDITOR=./e git commit",
            "git -c core.editor=./e commit",
            "git -c core.hooksPath=hooks commit -m x",
            "git --exec-path=. commit -m x",
            "git --git-dir=x/.git commit -m x",
            "git rebase -x ./run main",
            "git rebase --exec ./run main",
            "git rebase --exe=./run main",
            "git fetch --upload-pack ./run origin",
            "git commit -m x & python3 -c 'print(1)'",
            "git() { ./evil; }; git commit -m x; command git commit -m y",
            "find . -name x | xargs git add",
            "echo 'import os' > setup.py; python setup.py; git add .",
            "git ci -m x; git commit -m y",
            "./git commit -m x; git add .",
            "env X=1 git commit -m x",
            "bash -c 'git commit -m x'",
            "git bisect run ./t; git commit",
            "git submodule foreach ./x; git commit",
            "git config -e; git commit",
            "git filter-branch --tree-filter ./x; git commit",
        ] {
            assert_eq!(bash(code), GitUse::Mixed, "{code}");
        }
    }

    #[test]
    fn what_writes_settings_of_the_repository_is_known() {
        for code in [
            "git branch -m trunk",
            "git branch --set-upstream-to=origin/x",
            "git add . && git branch -u origin/x",
            "git push -u origin x",
            "git branch --move a b",
            "git config user.name me",
            "git config --unset core.x",
            "git remote add origin https://example.org/x",
            "git worktree add sub/x",
            "git worktree prune",
            "git submodule update --init",
            "git sparse-checkout set src",
            "git maintenance start",
        ] {
            assert_eq!(bash(code), GitUse::Settings, "{code}");
        }
        for code in [
            "git branch -d m",
            "git branch mu",
            "git commit -m u",
            "git push origin u",
        ] {
            assert_eq!(bash(code), GitUse::Only, "{code}");
        }
    }

    #[test]
    fn looking_is_no_writing() {
        for code in [
            "git status",
            "git log -3",
            "ls",
            "make",
            "git config core.x",
            "git config --get core.x",
            "git config -l",
            "git config -f .gitmodules submodule.x.branch main",
            "git remote -v",
            "git worktree list",
            "git reflog",
            "git reflog show --all",
            "git prune --dry-run",
            "git maintenance is-needed",
            "git fsck",
            "git symbolic-ref --short HEAD",
            "git bisect log",
            "git hash-object a.txt",
            "git submodule",
            "echo git commit",
        ] {
            assert_eq!(bash(code), GitUse::None, "{code}");
        }
    }
}
