//! What git would lose: changes, branches, tags, history, what another machine holds.

use crate::domain::policy::{
    interpretation::{GitInvocation, SimpleCommand},
    partial_text::{FRESH, UNKNOWN},
    programs::Options,
    resolved_path::ResolvedPath,
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Commands of git that write references they are told by name.
const WRITES_REFERENCES: [&str; 7] = [
    "fetch",
    "fetch-pack",
    "pull",
    "push",
    "send-pack",
    "symbolic-ref",
    "update-ref",
];
/// What stands behind a loss in a repository that is not the root's.
const ELSEWHERE: &str = " in another folder";

impl ShellInterpreter<'_, '_> {
    /// Looks at a push of what a list of branches or tags says: that is any of them.
    pub(super) fn pushes_list(&mut self, args: &[String]) {
        let lists = |act: &SimpleCommand| {
            let words: Vec<&str> = act.words.iter().map(String::as_str).collect();
            let is_quiet = |rest: &[&str]| rest.iter().all(|word| word.starts_with('-'));
            match words.as_slice() {
                ["git", "for-each-ref" | "ls-remote" | "show-ref", ..]
                | ["git", "branch" | "tag"] => true,
                ["git", "branch" | "tag", rest @ ..] => {
                    let names = |word: &&str| {
                        word.starts_with("--format")
                            || [
                                "-l",
                                "--list",
                                "-a",
                                "-r",
                                "--all",
                                "--merged",
                                "--no-merged",
                            ]
                            .contains(word)
                    };
                    !rest.contains(&"--show-current") && (rest.iter().any(names) || is_quiet(rest))
                }
                _ => false,
            }
        };
        let is_made_up = args.iter().skip(1).any(|word| word.contains(UNKNOWN));
        let is_tried = args.iter().any(|arg| arg == "-n" || arg == "--dry-run");
        if is_made_up && !is_tried && self.reading.acts.iter().any(lists) {
            self.loses_in_git("git push sends branches that the text does not name");
        }
    }

    /// Notes what git is to do, for whoever looks at what that takes away.
    pub(super) fn note_git_step(&mut self, verb: &str, args: &[String]) {
        let places = self.resolve_all(".");
        let folder = match places.as_slice() {
            [ResolvedPath::Inside(folder)] => Some(folder.clone()),
            // Where it is not known in which of several folders, all of the root is meant.
            several
                if several
                    .iter()
                    .any(|place| matches!(place, ResolvedPath::Inside(_))) =>
            {
                Some(String::new())
            }
            _ => None,
        };
        let at = self.reading.acts.len().saturating_sub(1);
        self.reading.git.push(GitInvocation {
            at,
            verb: verb.to_owned(),
            args: args.to_vec(),
            folder,
        });
    }

    /// Records what git would lose, and whether that is in the root.
    pub(super) fn loses_in_git(&mut self, why: &str) {
        let places = self.resolve_all(".");
        let inside = places
            .iter()
            .all(|place| matches!(place, ResolvedPath::Inside(_)));
        let elsewhere = if inside { "" } else { ELSEWHERE };
        self.reading
            .does(EffectKind::GitDestructive, format!("{why}{elsewhere}"));
    }
}

/// Returns what a git command would lose, in words.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each name, and an arm is a line or two"
)]
pub(super) fn git_loses(verb: &str, args: &[String]) -> Option<&'static str> {
    let options = Options::parse(
        args,
        "mbBcCs",
        &[
            "message",
            "source",
            "pathspec-from-file",
            "expire",
            "orphan",
        ],
    );
    let has = |names: &[&str]| options.has(names);
    let rest: Vec<&str> = options.rest.iter().map(String::as_str).collect();
    let first = rest.first().copied().unwrap_or("");
    if WRITES_REFERENCES.contains(&verb) && args.iter().any(|arg| arg.contains("refs/tos")) {
        return Some("git changes what tos has kept");
    }
    match verb {
        "fetch" | "pull" if overwrites_references(&options, &rest) => {
            Some("git fetch overwrites and removes references")
        }
        "remote" if first == "add" && args.iter().any(|arg| arg.starts_with("--mirror")) => {
            Some("git remote makes each fetch overwrite references")
        }
        "reset" if has(&["hard", "merge", "keep"]) => Some("git reset throws changes away"),
        "checkout" => checkout_loses(args, &options, &rest),
        "switch" if has(&["f", "force", "discard-changes"]) || (has(&["C", "force-create"])) => {
            Some("git switch throws changes away")
        }
        "restore" if !has(&["staged", "S"]) || has(&["worktree", "W"]) => {
            Some("git restore throws changes away")
        }
        "restore" if options.given.iter().any(|(name, _)| name == "W") => {
            Some("git restore throws changes away")
        }
        "clean" if !has(&["n", "dry-run"]) && has(&["f", "force", "d", "x", "X", "i"]) => {
            Some("git clean removes files that were never committed")
        }
        "stash" if ["drop", "clear"].contains(&first) => Some("git stash forgets saved changes"),
        "branch" if options.given.iter().any(|(name, _)| name == "D") => {
            Some("git branch removes a branch that is not merged")
        }
        "branch" if has(&["d", "delete"]) && has(&["f", "force"]) => {
            Some("git branch removes a branch that is not merged")
        }
        "branch"
            if options
                .given
                .iter()
                .any(|(name, _)| ["f", "M", "C", "force"].contains(&name.as_str())) =>
        {
            Some("git branch moves a branch away from its commits")
        }
        "tag" if has(&["d", "delete", "f", "force"]) => Some("git tag removes or moves a tag"),
        "update-ref" if has(&["d", "delete"]) || rest.len() > 1 => {
            Some("git update-ref moves or removes a reference")
        }
        "symbolic-ref" if has(&["d", "delete"]) => Some("git symbolic-ref removes a reference"),
        "reflog" if ["expire", "delete", "drop"].contains(&first) => {
            Some("git reflog forgets where references were")
        }
        "gc" if args.iter().any(|arg| arg.starts_with("--prune")) => {
            Some("git gc removes lost commits for good")
        }
        "prune" | "prune-packed" if !has(&["n", "dry-run"]) => {
            Some("git prune removes lost commits for good")
        }
        "filter-branch" | "filter-repo" | "replace" => Some("git rewrites history"),
        "fast-import" if has(&["force"]) => Some("git rewrites history"),
        "repack" if has(&["a", "d"]) && has(&["unpack-unreachable"]) => {
            Some("git repack removes lost commits")
        }
        "worktree"
            if first == "remove"
                && has(&["f", "force"])
                // One in a folder that the command itself made up holds nobody's work.
                && !rest
                    .get(1)
                    .is_some_and(|word| word.contains(FRESH) && !word.contains("..")) =>
        {
            Some("git worktree removes a folder with changes")
        }
        "submodule" if ["deinit", "update"].contains(&first) && has(&["f", "force"]) => {
            Some("git submodule removes a folder with changes")
        }
        "push" | "send-pack" => push_loses(&options, &rest),
        "remote" if ["remove", "rm", "prune"].contains(&first) && !has(&["n", "dry-run"]) => {
            Some("git remote forgets what another machine holds")
        }
        "read-tree" if has(&["reset", "u"]) => Some("git read-tree throws changes away"),
        "checkout-index" if has(&["f", "force"]) => Some("git checkout-index throws changes away"),
        "rebase" if has(&["root"]) => Some("git rewrites history"),
        "notes" if first == "remove" || first == "prune" => Some("git notes removes notes"),
        "rm" | "commit" => None,
        _ => None,
    }
}

fn checkout_loses(args: &[String], options: &Options, rest: &[&str]) -> Option<&'static str> {
    const WHY: Option<&str> = Some("git checkout throws changes away");
    let forced = options.given.iter().any(|(name, _)| {
        ["f", "force", "B", "ours", "theirs", "pathspec-from-file"].contains(&name.as_str())
    });
    let paths = args
        .iter()
        .position(|arg| arg == "--")
        .is_some_and(|at| at + 1 < args.len());
    let path_like = |word: &&str| {
        *word == "."
            || word.starts_with("./")
            || word.starts_with(':')
            || word.ends_with('/')
            || word.contains('*')
    };
    // Two words without `--` are a revision and a path, unless a branch is made or followed.
    let makes = options.has(&["b", "orphan", "t", "track", "detach", "B", "d"]);
    let revision_and_path = rest.len() > 1 && !makes;
    let named_file = rest.first().is_some_and(|word| is_file_name(word)) && !makes;
    if forced || paths || revision_and_path || named_file || rest.iter().any(path_like) {
        WHY
    } else {
        None
    }
}

/// Returns whether a word is more likely a file than a branch: it ends like a file of source code.
fn is_file_name(word: &str) -> bool {
    let ending = word.rsplit_once('.').map_or("", |(_, ending)| ending);
    let endings = [
        "rs", "py", "js", "ts", "tsx", "jsx", "go", "c", "h", "cc", "cpp", "hpp", "java", "kt",
        "rb", "php", "sh", "md", "txt", "json", "toml", "yaml", "yml", "lock", "html", "css",
        "scss", "sql", "xml", "cfg", "ini", "vue", "svelte", "swift", "cs", "lua", "pl",
    ];
    endings.contains(&ending)
}

fn push_loses(options: &Options, rest: &[&str]) -> Option<&'static str> {
    if options.has(&["n", "dry-run"]) {
        return None;
    }
    let force = [
        "f",
        "force",
        "force-with-lease",
        "mirror",
        "delete",
        "d",
        "prune",
        "force-if-includes",
    ];
    let forced = options.given.iter().any(|(name, _)| {
        force.contains(&name.as_str())
            || (name.len() > 3
                && (name.starts_with("for")
                    || "mirror".starts_with(name.as_str())
                    || "delete".starts_with(name.as_str())))
    });
    let mapped = rest
        .iter()
        .skip(1)
        .any(|word| word.starts_with('+') || word.starts_with(':'));
    (forced || mapped).then_some("git push overwrites or removes what another machine holds")
}

/// Returns whether what is brought in writes over references of this repository, or prunes them away.
fn overwrites_references(options: &Options, rest: &[&str]) -> bool {
    let is_forced = options.has(&["f", "force"]);
    let prunes = options.has(&["p", "prune"]);
    // The first word is where it comes from.
    rest.iter().skip(1).any(|word| {
        let into = word.split_once(':').map_or("", |(_, into)| into);
        let is_own = into.is_empty() || into.starts_with("refs/remotes/");
        let is_forced = is_forced || word.starts_with('+');
        !is_own && (is_forced || prunes && into.contains('*'))
    })
}
