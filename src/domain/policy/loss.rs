//! What a command would lose that no commit holds, so that it can be kept first.
//!
//! Only losses inside the root are told: what lies elsewhere is decided by rules alone. Paths may be patterns; whoever keeps
//! the files takes rather too many than too few.

use crate::domain::policy::{
    git_reach::{self, LostReferences, WorktreeChange, WorktreeChangeKind},
    interpretation::{CommandEffect, GitInvocation, Interpretation, SimpleCommand},
    partial_text::{is_in, is_mark},
    resolved_path::{ResolvedPath, resolve_word, slashed},
    rule::EffectKind,
};

/// Something inside the root that would be gone afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataLoss {
    /// A file or folder is removed; a pattern relative to the root.
    Removed(String),
    /// A file is written over; a pattern relative to the root.
    Overwritten(String),
    /// Changes to tracked files that are not committed.
    Uncommitted,
    /// Files that git does not track, those it ignores as well where `ignored` is set.
    Untracked {
        /// Whether ignored files go too.
        ignored: bool,
    },
    /// Branches, tags or stashes.
    References(LostReferences),
    /// Files of the work tree that git takes away or replaces; told besides the others, for whoever has files to protect.
    WorkTree(WorktreeChange),
    /// A folder is filled with files that nobody names; told besides the others, in the same way.
    Filled(BulkWrite),
    /// A place among the bounds of the agent, given to a program that may change it.
    Named(NamedPath),
}

impl DataLoss {
    /// Returns whether it only tells more of a loss that stands beside it.
    pub const fn is_detail(&self) -> bool {
        matches!(self, Self::WorkTree(_) | Self::Filled(_) | Self::Named(_))
    }
}

/// A path that is given to a program of which nobody here knows what it does with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPath {
    /// The program.
    pub program: String,
    /// The path, from the root.
    pub path: String,
}

/// What fills a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkWrite {
    /// What kind of program it is.
    pub kind: BulkWriteKind,
    /// The program.
    pub program: String,
    /// The whole command.
    pub words: Vec<String>,
    /// The folder it starts in, absolute.
    pub folder: String,
    /// The root, absolute.
    pub root: String,
    /// The folder that is filled, from the root.
    pub into: String,
    /// What comes in at the standard input, where that is known.
    pub text: Option<String>,
}

/// From what a folder is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkWriteKind {
    /// An archive.
    Archive,
    /// Other folders and files.
    Copy,
    /// A patch.
    Patch,
}

/// Returns from what a program fills folders.
fn fill_kind(program: &str, words: &[String]) -> Option<BulkWriteKind> {
    let unpacks = |pair: &[String]| matches!(pair, [option, module] if option == "-m" && ["tarfile", "zipfile"].contains(&module.as_str()));
    if program.starts_with("py") {
        return words
            .windows(2)
            .any(unpacks)
            .then_some(BulkWriteKind::Archive);
    }
    Some(match program {
        "tar" | "gtar" | "bsdtar" | "unzip" | "7z" | "7za" | "7zr" | "7zz" | "cpio" | "bsdcpio"
        | "pax" | "unrar" | "unar" | "jar" => BulkWriteKind::Archive,
        "cp" | "gcp" | "rsync" | "mv" | "install" | "ditto" => BulkWriteKind::Copy,
        "patch" => BulkWriteKind::Patch,
        _ => return None,
    })
}

/// Returns what a command fills a folder with.
fn fill(act: &SimpleCommand, into: &str, reading: &Interpretation<'_>) -> Option<DataLoss> {
    let program = act.program().to_owned();
    let kind = fill_kind(&program, &act.words)?;
    let mut words = act.words.clone();
    let mut text = None;
    if kind == BulkWriteKind::Patch {
        text = fed(act);
        words.extend(read_files(reading));
    }
    Some(DataLoss::Filled(BulkWrite {
        kind,
        program,
        words,
        text,
        folder: act.folder.clone().unwrap_or_default(),
        root: slashed(&reading.world.root),
        into: into.to_owned(),
    }))
}

/// Returns what a command is fed, where that is known as a whole.
fn fed(act: &SimpleCommand) -> Option<String> {
    (!act.fed.is_empty() && !act.fed.contains(is_mark)).then(|| act.fed.clone())
}

/// Returns the files that the whole of a command reads, any of which may come through a pipe.
fn read_files(reading: &Interpretation<'_>) -> Vec<String> {
    // What git reads it takes apart: a difference of two files is in neither.
    let is_git = |at: usize| {
        let act = reading.acts.get(at);
        act.is_some_and(|act| act.program() == "git")
    };
    let others = reading.effects.iter().filter(|(at, _)| !is_git(*at));
    let read = others.filter_map(|(_, effect)| match effect {
        CommandEffect::Read(
            ResolvedPath::Inside(path) | ResolvedPath::Scratch(path) | ResolvedPath::Outside(path),
        ) => Some(path.clone()),
        CommandEffect::Read(_)
        | CommandEffect::Write(_)
        | CommandEffect::Delete(_)
        | CommandEffect::Does(..) => None,
    });
    // Those of the root start there, wherever the command starts.
    let root = slashed(&reading.world.root);
    read.map(|path| {
        if path.starts_with('/') {
            path
        } else {
            format!("{root}/{path}")
        }
    })
    .collect()
}

/// Returns what git does to the work tree, and what it loses by that without a word of the rules.
fn tree_changes(reading: &Interpretation<'_>) -> Vec<DataLoss> {
    let none = SimpleCommand::default();
    let mut losses = Vec::new();
    for step in &reading.git {
        if git_reach::gives_up(step) {
            losses.push(DataLoss::Uncommitted);
        }
        let Some(mut change) = git_reach::worktree_change(step) else {
            continue;
        };
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "all others are told by the effects of git"
        )]
        let untracked = match &mut change.kind {
            // A patch may say that any file goes.
            WorktreeChangeKind::Patch {
                text, fed: is_fed, ..
            } => {
                if *is_fed {
                    let act = reading.acts.get(step.at).unwrap_or(&none);
                    *text = fed(act);
                    change.paths.extend(read_files(reading));
                }
                Some(DataLoss::Untracked { ignored: false })
            }
            // A stash has neither empty folders nor the rights of files.
            WorktreeChangeKind::Stash { untracked, ignored } => {
                untracked.then_some(DataLoss::Untracked { ignored: *ignored })
            }
            _ => {
                losses.push(DataLoss::WorkTree(change));
                continue;
            }
        };
        losses.push(DataLoss::Uncommitted);
        losses.extend(untracked);
        losses.push(DataLoss::WorkTree(change));
    }
    losses
}

/// Returns the folders that code of another language fills from archives, as far as its words tell that it does.
fn unpacked_by_code(reading: &Interpretation<'_>) -> Vec<DataLoss> {
    const CALLS: [&str; 2] = ["unpack_archive(", ".extractall("];
    let mut losses = Vec::new();
    for act in &reading.acts {
        let code = act.words.join(" ");
        if !CALLS.iter().any(|call| code.contains(call)) {
            continue;
        }
        let parts = code.split(|c: char| c.is_whitespace() || "'\"(),;=".contains(c));
        losses.push(DataLoss::Overwritten(String::new()));
        losses.push(DataLoss::Filled(BulkWrite {
            kind: BulkWriteKind::Archive,
            program: act.words.first().cloned().unwrap_or_default(),
            words: parts.map(str::to_owned).collect(),
            folder: act.folder.clone().unwrap_or_default(),
            root: slashed(&reading.world.root),
            into: String::new(),
            text: None,
        }));
    }
    losses
}

/// Folders in which an agent finds what it is judged by, and what asks for that.
const BOUNDS: [&str; 6] = [
    ".tos",
    ".claude",
    ".codex",
    ".gemini",
    ".cursor",
    ".opencode",
];
/// Programs that read what they are given, open it for a person, or are looked at by what they bring along.
const READERS: &str = "
cat bat batcat tac nl less more most head tail grep egrep fgrep rg ag ack ls eza exa lsd tree fd fdfind find stat wc file du test [ [[
echo printf diff colordiff delta cmp comm md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum sum jq yq tomlq gron
git ln tos tos-shell tos-bash tos-zsh realpath readlink basename dirname cd pushd popd xxd od hexdump hd strings cut sort uniq tr column fold rev awk gawk
mawk sed source . tar gtar bsdtar zip 7z 7za rsync scp open xdg-open code subl export declare local read for case
";

/// Returns the places of the agent's bounds that programs are given of which no effect on them is known.
fn named_paths(reading: &Interpretation<'_>) -> Vec<DataLoss> {
    let mut losses = Vec::new();
    for (at, act) in reading.acts.iter().enumerate() {
        let program = act.program();
        // What only starts another one is that one's.
        let is_wrapper = || {
            let mut others = reading.acts.iter().flat_map(|other| &other.via);
            others.any(|via| via == program)
        };
        for pair in act.words.windows(2) {
            let [before, word] = pair else { continue };
            // Hardly any word names such a place, so that is asked first.
            let Some(path) = bound_place(before, word, act, reading) else {
                continue;
            };
            let is_known = reading
                .effects
                .iter()
                .any(|(of, effect)| *of == at && is_about(effect, &path));
            if !is_known && !is_in(READERS, program) && !is_wrapper() {
                let program = program.to_owned();
                losses.push(DataLoss::Named(NamedPath { program, path }));
            }
        }
    }
    losses
}

/// Returns the place among the bounds that a word names, where it is not left out by it.
fn bound_place(
    before: &str,
    word: &str,
    act: &SimpleCommand,
    reading: &Interpretation<'_>,
) -> Option<String> {
    const LEAVES_OUT: [&str; 5] = ["exclude", "ignore", "skip", "omit", "not"];
    let (option, value) = match word.split_once('=') {
        Some((option, value)) if option.starts_with('-') => (option, value),
        _ if word.starts_with('-') => return None,
        _ if before.starts_with('-') => (before, word),
        _ => ("", word),
    };
    let folder = act.folder.as_deref().unwrap_or_default();
    let is_name = !value.contains(|c: char| c.is_whitespace() || "!(){}'\"".contains(c));
    if !is_name
        || !BOUNDS
            .iter()
            .any(|bound| value.contains(bound) || folder.contains(bound))
        || LEAVES_OUT.iter().any(|word| option.contains(word))
    {
        return None;
    }
    let place = resolve_word(value, act.folder.as_deref(), reading.world);
    let ResolvedPath::Inside(path) = place else {
        return None;
    };
    let (top, rest) = path.split_once('/').unwrap_or((&path, ""));
    // A folder as the value of an option may as well be left out by it.
    (BOUNDS.contains(&top) && (!rest.is_empty() || option.is_empty())).then_some(path)
}

/// Returns whether an effect is about a place, or a folder it lies in or holds.
fn is_about(effect: &CommandEffect, path: &str) -> bool {
    match effect {
        CommandEffect::Read(ResolvedPath::Inside(own))
        | CommandEffect::Write(ResolvedPath::Inside(own))
        | CommandEffect::Delete(ResolvedPath::Inside(own)) => {
            own.starts_with(path) || path.starts_with(own.as_str())
        }
        CommandEffect::Read(_)
        | CommandEffect::Write(_)
        | CommandEffect::Delete(_)
        | CommandEffect::Does(..) => false,
    }
}

/// Returns what was read would lose inside the root.
pub(super) fn losses_of(reading: &Interpretation<'_>) -> Vec<DataLoss> {
    let none = SimpleCommand::default();
    let unnamed = unnamed(reading);
    let stashed = reading.git.iter().any(git_reach::stashes);
    let mut losses = Vec::new();
    for (at, effect) in &reading.effects {
        let act = reading.acts.get(*at).unwrap_or(&none);
        let step = reading.git.iter().rfind(|step| step.at == *at);
        let filled = if let CommandEffect::Write(ResolvedPath::Inside(path)) = effect {
            fill(act, path, reading)
        } else {
            None
        };
        for loss in of_effect(act, effect, step, stashed)
            .into_iter()
            .chain(filled)
        {
            let loss = widened(loss, &unnamed);
            if !losses.contains(&loss) {
                losses.push(loss);
            }
        }
    }
    for loss in tree_changes(reading)
        .into_iter()
        .chain(unpacked_by_code(reading))
        .chain(named_paths(reading))
    {
        // Each change stays: their order tells what git knows when the next one runs.
        if matches!(loss, DataLoss::WorkTree(_)) || !losses.contains(&loss) {
            losses.push(loss);
        }
    }
    losses
}

/// Returns what stands in the place of a name where `find` looks for size, age or emptiness: that is no name, and anything
/// may be found.
fn unnamed(reading: &Interpretation<'_>) -> Vec<String> {
    const TESTS: [&str; 9] = [
        "-newer", "-mtime", "-mmin", "-atime", "-ctime", "-amin", "-cmin", "-size", "-empty",
    ];
    let is_find = |act: &&SimpleCommand| act.program() == "find";
    let pairs = reading.acts.iter().filter(is_find).flat_map(|act| {
        let each = act.words.windows(2);
        each.filter(|pair| matches!(pair, [test, _] if TESTS.contains(&test.as_str())))
    });
    let value = |pair: &[String]| {
        let value = pair.get(1)?.rsplit('/').next()?;
        Some(value.replace(['?', '['], "*"))
    };
    pairs.filter_map(value).collect()
}

fn widened(loss: DataLoss, unnamed: &[String]) -> DataLoss {
    let DataLoss::Removed(path) = &loss else {
        return loss;
    };
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if !unnamed.iter().any(|own| own == name) {
        return loss;
    }
    let folder = folder.trim_end_matches("/*");
    DataLoss::Removed(match folder {
        "" | "*" => "*".to_owned(),
        folder => format!("{folder}/*"),
    })
}

fn of_effect(
    act: &SimpleCommand,
    effect: &CommandEffect,
    step: Option<&GitInvocation>,
    stashed: bool,
) -> Vec<DataLoss> {
    match effect {
        // A folder that is there already stays as it is.
        CommandEffect::Write(_) if act.program() == "mkdir" => Vec::new(),
        // Nor what git finds in its way.
        CommandEffect::Write(_) if step.is_some_and(git_reach::moves_gently) => Vec::new(),
        CommandEffect::Delete(ResolvedPath::Inside(path)) => {
            vec![DataLoss::Removed(path.clone())]
        }
        CommandEffect::Write(ResolvedPath::Inside(path)) => {
            vec![DataLoss::Overwritten(path.clone())]
        }
        CommandEffect::Does(EffectKind::GitDestructive, words) => {
            git_loss(words).map_or_else(Vec::new, |loss| loss.losses(act, step, stashed))
        }
        CommandEffect::Does(..)
        | CommandEffect::Read(_)
        | CommandEffect::Write(_)
        | CommandEffect::Delete(_) => Vec::new(),
    }
}

/// What git would lose, by where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GitLoss {
    Changes,
    Files,
    References,
    Stashes,
}

impl GitLoss {
    fn losses(
        self,
        act: &SimpleCommand,
        step: Option<&GitInvocation>,
        stashed: bool,
    ) -> Vec<DataLoss> {
        let references = || {
            let lost = step.and_then(git_reach::lost_references);
            // Where nothing tells which, it may be any.
            DataLoss::References(lost.unwrap_or_else(|| LostReferences {
                names: None,
                stashes: self == Self::Stashes,
            }))
        };
        match self {
            Self::References => vec![references()],
            // What the same command has stashed before is not in a stash yet.
            Self::Stashes if stashed => vec![
                references(),
                DataLoss::Uncommitted,
                DataLoss::Untracked { ignored: false },
            ],
            Self::Stashes => vec![references()],
            Self::Changes if step.is_some_and(git_reach::stays_at_head) => {
                vec![DataLoss::Uncommitted]
            }
            // Another state may have a file where one lies that is not tracked.
            Self::Changes => vec![
                DataLoss::Uncommitted,
                DataLoss::Untracked { ignored: false },
            ],
            Self::Files => {
                let short = |word: &&String| word.starts_with('-') && !word.starts_with("--");
                let mut options = act.words.iter().filter(short);
                let ignored = options.any(|word| word.contains(['x', 'X']));
                vec![DataLoss::Untracked { ignored }]
            }
        }
    }
}

/// Returns where that lies which git would lose; `None` = no checkpoint can hold it. The words are those of `losses.rs`.
fn git_loss(words: &str) -> Option<GitLoss> {
    const CHANGES: [&str; 2] = ["throws changes away", "removes files with changes"];
    const FILES: [&str; 1] = ["removes files that were never committed"];
    const STASHES: [&str; 1] = ["forgets saved changes"];
    const REFERENCES: [&str; 3] = [
        "removes a branch that is not merged",
        "moves a branch away from its commits",
        "removes or moves a tag",
    ];
    let says = |all: &[&str]| all.iter().any(|end| words.ends_with(end));
    if says(&CHANGES) {
        Some(GitLoss::Changes)
    } else if says(&FILES) {
        Some(GitLoss::Files)
    } else if says(&STASHES) {
        Some(GitLoss::Stashes)
    } else if says(&REFERENCES) {
        Some(GitLoss::References)
    } else {
        None
    }
}

/// Returns whether a checkpoint can hold what is lost, so that the guard need not refuse. What is done again and again, or in
/// a repository that only an option names, is not: the checkpoint is made once, and here.
pub(super) fn is_checkpointable(act: &SimpleCommand, effect: &CommandEffect) -> bool {
    let CommandEffect::Does(EffectKind::GitDestructive, words) = effect else {
        return false;
    };
    let elsewhere = |word: &String| word.starts_with("--git-") || word.starts_with("--work-");
    git_loss(words).is_some()
        && !act.words.iter().any(elsewhere)
        && !act.via.iter().any(|program| program == "watch")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        command::{Command, CommandKind},
        job::rules::PolicyRules,
        policy::{Decision, FileAccess, Policy, PolicyContext, PolicyPreset},
    };

    fn bash(code: &str) -> Command {
        Command {
            kind: CommandKind::Bash,
            code: code.to_owned(),
            argv: Vec::new(),
        }
    }

    fn world() -> PolicyContext {
        PolicyContext {
            attended: true,
            home: Some("/home/ann".into()),
            ..PolicyContext::unattended("/srv/job/root")
        }
    }

    fn losses(code: &str) -> Vec<DataLoss> {
        let mut losses = Policy::losses(&bash(code), &world());
        losses.retain(|loss| !loss.is_detail());
        losses
    }

    fn guard(code: &str) -> Decision {
        let rules = PolicyRules {
            preset: PolicyPreset::Guard,
            allow_types: CommandKind::KNOWN.to_vec(),
            ..PolicyRules::default()
        };
        let policy = Policy::new(&rules).unwrap();
        policy.judge(&bash(code), &world()).decision
    }

    #[test]
    fn what_a_command_loses_is_told_by_where_it_is() {
        let removed = |path: &str| DataLoss::Removed(path.to_owned());
        assert_eq!(
            losses("rm -rf notes src/*.bak"),
            [removed("notes"), removed("src/*.bak")]
        );
        assert_eq!(
            losses("echo x > a.txt"),
            [DataLoss::Overwritten("a.txt".to_owned())]
        );
        assert_eq!(losses("ls; git status"), []);
        for code in [
            "git reset --hard",
            "git reset --hard HEAD",
            "git checkout -- .",
            "git restore .",
        ] {
            assert_eq!(losses(code), [DataLoss::Uncommitted], "{code}");
        }
        assert_eq!(losses("git reset --hard HEAD~1").len(), 2);
        assert_eq!(
            losses("git clean -fdx"),
            [DataLoss::Untracked { ignored: true }]
        );
        assert_eq!(
            losses("git branch -D old"),
            [DataLoss::References(LostReferences {
                names: Some(vec!["refs/heads/old".to_owned()]),
                stashes: false,
            })]
        );
        assert_eq!(losses("git stash drop").len(), 1);
        assert_eq!(
            losses("git mv -f b.txt a.txt"),
            [
                DataLoss::Overwritten("a.txt".to_owned()),
                DataLoss::Overwritten("a.txt/b.txt".to_owned())
            ]
        );
        assert_eq!(losses("git mv b.txt a.txt"), []);
        assert!(losses("git stash -u").contains(&DataLoss::Untracked { ignored: false }));
        assert!(losses("git stash").contains(&DataLoss::Uncommitted));
        for code in [
            "git merge --abort",
            "git rebase --skip",
            "git cherry-pick --abort",
            "git revert --abort",
        ] {
            assert!(losses(code).contains(&DataLoss::Uncommitted), "{code}");
        }
        assert_eq!(losses("git merge --continue"), []);
        assert!(
            losses("git diff --no-index A B | git apply")
                .contains(&DataLoss::Untracked { ignored: false })
        );
        assert!(
            losses("python3 -m zipfile -e o.zip n")
                .contains(&DataLoss::Overwritten("n".to_owned()))
        );
        assert!(losses("git stash && git stash drop").contains(&DataLoss::Uncommitted));
        assert_eq!(losses("rm -rf /srv/other"), []);
        for code in [
            "find . -type f -size +1M -delete",
            "find . -mtime +3 -exec rm {} +",
            "find . -empty -delete",
        ] {
            assert_eq!(losses(code), [removed("*")], "{code}");
        }
        assert_eq!(losses("find out -mmin -5 -delete"), [removed("out/*")]);
    }

    #[test]
    fn a_folder_to_start_in_moves_relative_paths() {
        let world = PolicyContext {
            folder: Some("/srv/job/root/sub".into()),
            ..world()
        };
        assert_eq!(
            Policy::losses(&bash("rm ../a b"), &world),
            [
                DataLoss::Removed("a".to_owned()),
                DataLoss::Removed("sub/b".to_owned())
            ]
        );
    }

    #[test]
    fn the_guard_lets_pass_what_a_checkpoint_holds_and_refuses_the_rest() {
        for (code, decision) in [
            ("rm -rf notes", Decision::Allow),
            ("git reset --hard", Decision::Allow),
            ("git checkout -- .", Decision::Allow),
            ("git branch -D old", Decision::Allow),
            ("git push --force", Decision::Deny),
            ("git reflog expire --expire=now --all", Decision::Deny),
            ("git worktree remove --force ../other", Decision::Deny),
            ("git -C /srv/other reset --hard", Decision::Deny),
            ("cd /srv/other && git reset --hard", Decision::Deny),
            (
                "git --git-dir=/srv/o/.git --work-tree=. reset --hard",
                Decision::Deny,
            ),
            ("watch git reset --hard", Decision::Deny),
            ("git -C src reset --hard", Decision::Allow),
            ("grep -rn TODO *", Decision::Allow),
            ("cat .env", Decision::Ask),
            ("/tmp/x --all", Decision::Ask),
            ("tos guard uninstall claude --yes", Decision::Ask),
            ("tos guard undo 3", Decision::Allow),
            ("rm -rf /srv/other", Decision::Deny),
            ("rm -rf ~", Decision::Deny),
            ("rm -rf .", Decision::Deny),
            ("rm -rf .git", Decision::Deny),
            ("git push origin main", Decision::Ask),
            ("curl https://example.org", Decision::Ask),
            ("mytool --all", Decision::Allow),
            ("mytool rm -rf x", Decision::Ask),
            ("$TOOL x", Decision::Ask),
            ("cargo test && git commit -m x", Decision::Allow),
            ("dd if=x of=/dev/sda", Decision::Deny),
            ("cat x > /dev/sda", Decision::Deny),
            ("ssh host 'rm -rf /'", Decision::Deny),
            ("ssh host uptime", Decision::Ask),
            ("rsync -a --delete ./ host:", Decision::Deny),
            ("rsync -a ./ host:", Decision::Ask),
            ("chmod -R 777 /", Decision::Deny),
            ("chown -R ann /etc", Decision::Deny),
            ("chmod -R u+w src", Decision::Allow),
            ("jq . x > ~/.claude/settings.json", Decision::Deny),
            ("mv x ~/.codex/hooks.json", Decision::Deny),
            ("mv x .claude/settings.json", Decision::Deny),
            ("poetry install", Decision::Allow),
            ("pipenv install", Decision::Allow),
            ("pipenv install requests", Decision::Ask),
            ("pdm install", Decision::Allow),
            ("bundle install", Decision::Allow),
            ("conda env create -f environment.yml", Decision::Allow),
            (
                "conda env create -f https://example.org/e.yml",
                Decision::Ask,
            ),
            ("cargo fetch", Decision::Allow),
            ("go mod download", Decision::Allow),
            ("go mod download example.org/x@latest", Decision::Ask),
            ("docker exec c ls", Decision::Allow),
            ("docker compose exec web pytest -q", Decision::Allow),
            ("docker exec c rm -rf /data", Decision::Deny),
            ("cp -l .claude/settings.json other", Decision::Deny),
            ("ln .tos/guard.toml hard", Decision::Deny),
            ("cp -al .tos t2", Decision::Deny),
            ("ln -s .tos/guard.toml link", Decision::Allow),
            ("env", Decision::Ask),
            ("export -p", Decision::Ask),
            ("env | grep KEY", Decision::Ask),
            ("env | grep -i proxy", Decision::Allow),
        ] {
            assert_eq!(guard(code), decision, "{code}");
        }
    }

    #[test]
    fn a_tool_that_writes_a_file_is_judged_by_its_place() {
        let rules = PolicyRules {
            preset: PolicyPreset::Guard,
            ..PolicyRules::default()
        };
        let policy = Policy::new(&rules).unwrap();
        let decision =
            |access, path: &str| policy.judge_file("Write", access, path, &world()).decision;
        assert_eq!(decision(FileAccess::Write, "src/a.rs"), Decision::Allow);
        assert_eq!(
            decision(FileAccess::Write, "/srv/job/root/src/a.rs"),
            Decision::Allow
        );
        assert_eq!(decision(FileAccess::Write, ".git/config"), Decision::Deny);
        assert_eq!(
            decision(FileAccess::Write, ".tos/guard.toml"),
            Decision::Deny
        );
        assert_eq!(decision(FileAccess::Write, "/etc/passwd"), Decision::Ask);
        assert_eq!(
            decision(FileAccess::Read, "~/.ssh/id_ed25519"),
            Decision::Deny
        );
        assert_eq!(
            decision(FileAccess::Read, "../other/README.md"),
            Decision::Allow
        );
    }
}
