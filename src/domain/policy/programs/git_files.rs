//! Files that patches change, and commands of git that bring the work tree to another state.

use crate::domain::policy::{
    partial_text::FRESH,
    patch_paths::{PatchStrip, patch_paths, strip_of},
    programs::{Options, base_name, is_in, is_stream},
    resolved_path,
    resolved_path::ResolvedPath,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    /// Looks at `git worktree add`: a state of this project in a folder that nobody had before is the project's.
    pub(super) fn git_worktree(&mut self, args: &[String]) {
        let options = Options::parse(args, "bB", &["reason"]);
        if options
            .rest
            .first()
            .is_some_and(|verb| verb == "add" || verb == "move")
            && let Some(folder) = options.rest.get(1)
        {
            self.writes(&folder.clone());
            // One of this project, in a folder that nobody had before.
            let is_fresh =
                folder.contains(FRESH) && !folder.contains("..") && self.state.conditions == 0;
            let is_here = self
                .resolve_all(".")
                .iter()
                .all(|place| matches!(place, ResolvedPath::Inside(_)));
            if is_fresh && is_here && !self.state.has_foreign_git {
                let path = resolved_path::absolute(folder, self.folder());
                self.state.checkouts.extend(path);
            }
        }
    }

    /// Looks at the files that a patch changes, as they are looked for from several folders.
    pub(super) fn patched(&mut self, folders: &[String], patch: &str, strip: PatchStrip) {
        let Some(paths) = patch_paths(patch, strip) else {
            for folder in folders {
                self.blurs_below(folder);
            }
            return;
        };
        for path in paths {
            if path.starts_with('/') {
                self.edits(&path);
                continue;
            }
            for folder in folders {
                self.edits(&format!("{folder}/{path}"));
            }
        }
    }

    /// Looks at `git mv`, which writes over what is there only where it is told to.
    pub(super) fn git_move(&mut self, args: &[String]) {
        let options = Options::parse(args, "", &[]);
        if options.has(&["n", "dry-run"]) {
            return;
        }
        if let Some((target, sources)) = options.rest.split_last() {
            self.puts_tests_away(sources, target);
            if !options.has(&["f", "force"]) {
                for source in sources {
                    self.changes(source);
                }
            }
            self.writes(target);
            for source in sources {
                let name = base_name(source);
                self.writes(&format!("{}/{name}", target.trim_end_matches('/')));
            }
        }
    }

    /// Looks at the files that a patch changes, given as files or fed.
    pub(super) fn git_patch(&mut self, args: &[String], stdin: &str) {
        const VALUES: [&str; 6] = [
            "directory",
            "exclude",
            "include",
            "whitespace",
            "strip",
            "patch-format",
        ];
        let options = Options::parse(args, "pC", &VALUES);
        let looks = ["check", "stat", "numstat", "summary", "cached"];
        if options.has(&looks) && !options.has(&["apply"]) {
            return;
        }
        let strip = strip_of(args.iter().map(String::as_str));
        let strip = strip.map_or(PatchStrip::AsGit, PatchStrip::Folders);
        // Names start at the root of the repository, or where no repository is in this very folder.
        let below = options.value("directory").unwrap_or(".");
        let folders = [format!("{}/{below}", self.git_root()), format!("./{below}")];
        if options.rest.is_empty() {
            self.patched(&folders, stdin, strip);
        }
        for file in &options.rest {
            let patch = if is_stream(file) {
                stdin.to_owned()
            } else {
                self.contents(file)
            };
            self.patched(&folders, &patch, strip);
        }
    }
}

/// Returns whether a command of git brings files of the work tree to another state.
pub(super) fn replaces_files(verb: &str, args: &[String]) -> bool {
    const ALWAYS: &str = "pull merge rebase cherry-pick revert read-tree checkout-index filter-branch filter-repo subtree
        sparse-checkout bisect";
    let options = Options::parse(args, "bBcCsm", &["source", "message", "orphan"]);
    let first = options.rest.first().map_or("", String::as_str);
    match verb {
        // A new branch where one stands changes no file.
        "checkout" => !(options.has(&["b", "orphan"]) && options.rest.is_empty()),
        "switch" => !(options.has(&["c", "create", "orphan"]) && options.rest.is_empty()),
        "reset" => options.has(&["hard", "merge", "keep"]),
        "restore" => !options.has(&["staged", "S"]) || options.has(&["worktree", "W"]),
        "stash" => !is_in("list show drop clear create store", first),
        "submodule" => is_in("update foreach", first),
        _ => is_in(ALWAYS, verb),
    }
}
