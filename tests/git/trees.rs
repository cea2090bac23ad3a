//! Linked work trees of one repository: each has checkpoints and snapshots of its own.

use std::{fs, path::PathBuf};

use tos::{
    adapters::git::{GitCheckpoints, GitWorktrees, options::CheckpointOptions},
    domain::checkpoint::{
        CheckpointError, CheckpointReport, CheckpointRequest, RollbackReport, RollbackRequest,
        UndoReport,
    },
    ports::{checkpoints::Checkpoints, worktrees::Worktrees as _},
};

use crate::support::{Repo, block_on, git_in};

/// A work tree that another repository lends its objects and refs to.
struct Linked {
    top: PathBuf,
}

impl Linked {
    fn of(repo: &Repo, name: &str, branch: &str) -> Self {
        let top = repo.top.with_file_name(name);
        let path = top.to_str().unwrap();
        repo.git(&["worktree", "add", "-q", "-b", branch, path]);
        Self { top }
    }

    fn git(&self, words: &[&str]) -> String {
        git_in(&self.top, words).trim().to_owned()
    }

    fn write(&self, path: &str, content: &str) {
        fs::write(self.top.join(path), content).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.top.join(path)).unwrap()
    }

    fn checkpoints(&self) -> GitCheckpoints {
        GitCheckpoints::new(CheckpointOptions::for_root(self.top.clone()))
    }

    fn take(&self, name: &str) -> Result<CheckpointReport, CheckpointError> {
        let order = CheckpointRequest {
            name: name.to_owned(),
            allow_secrets: false,
        };
        block_on(self.checkpoints().take(&order))
    }

    fn roll_back(&self, target: Option<&str>) -> Result<RollbackReport, CheckpointError> {
        roll_back(&self.checkpoints(), target)
    }

    fn undo(&self) -> Result<UndoReport, CheckpointError> {
        block_on(self.checkpoints().undo(None))
    }
}

fn roll_back(of: &GitCheckpoints, target: Option<&str>) -> Result<RollbackReport, CheckpointError> {
    let order = RollbackRequest {
        target: target.map(str::to_owned),
        discard: true,
        ..RollbackRequest::default()
    };
    block_on(of.roll_back(&order))
}

#[test]
fn the_snapshots_of_one_work_tree_are_not_those_of_another() {
    let main = Repo::with_files();
    let linked = Linked::of(&main, "w2", "side");
    let taken = linked.take("b").unwrap();
    assert_eq!(
        (taken.number, taken.reference.as_str()),
        (1, "refs/tos/trees/w2/checkpoints/1")
    );
    assert_eq!(linked.git(&["rev-parse", &taken.reference]), taken.hash);
    linked.write("a.txt", "junk\n");
    let done = linked.roll_back(None).unwrap();
    assert_eq!(done.safety_reference, "refs/tos/trees/w2/safety/1");
    assert_eq!(linked.read("a.txt"), "one\n");
    let before = (main.picture(), main.staged(), main.head());
    let failure = block_on(main.checkpoints().undo(None)).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "nothing to undo: no ref below refs/tos/safety"
    );
    let failure = roll_back(&main.checkpoints(), None).unwrap_err();
    assert!(
        failure.to_string().contains("below refs/tos/checkpoints;"),
        "{failure}"
    );
    for absent in ["b", "1", "safety/1"] {
        assert!(
            matches!(
                main.try_roll_back(absent, true),
                Err(CheckpointError::Unknown { .. })
            ),
            "{absent}"
        );
    }
    assert_eq!(block_on(main.checkpoints().list()).unwrap(), []);
    assert_eq!((main.picture(), main.staged(), main.head()), before);
    assert_eq!(main.git(&["symbolic-ref", "HEAD"]), "refs/heads/main\n");
    let listed = block_on(linked.checkpoints().list()).unwrap();
    let hashes: Vec<&str> = listed.iter().map(|one| one.hash.as_str()).collect();
    let safety = linked.git(&["rev-parse", "refs/tos/trees/w2/safety/1"]);
    assert_eq!(hashes, [taken.hash.as_str(), safety.as_str()]);
    let undone = linked.undo().unwrap();
    assert_eq!(
        (undone.reference.as_str(), undone.safety_reference.as_str()),
        ("refs/tos/trees/w2/safety/1", "refs/tos/trees/w2/safety/2")
    );
    assert_eq!(linked.read("a.txt"), "junk\n");
}

#[test]
fn the_main_work_tree_keeps_its_names_and_a_linked_one_does_not_see_them() {
    let main = Repo::with_files();
    let linked = Linked::of(&main, "w2", "side");
    let taken = main.take("a");
    assert_eq!(taken.reference, "refs/tos/checkpoints/1");
    assert_eq!(linked.take("b").unwrap().number, 1);
    assert!(matches!(
        linked.roll_back(Some("a")),
        Err(CheckpointError::Unknown { .. })
    ));
    linked.take("c").unwrap();
    assert_eq!(main.take("d").number, 2);
    let done = roll_back(&main.checkpoints(), None).unwrap();
    assert_eq!(done.hash, main.git(&["rev-parse", "HEAD"]).trim());
    assert_eq!(done.safety_reference, "refs/tos/safety/1");
}

#[test]
fn a_full_hash_or_ref_name_leads_to_a_checkpoint_of_any_work_tree() {
    let main = Repo::with_files();
    let linked = Linked::of(&main, "w2", "side");
    let taken = main.take("a");
    for target in [taken.hash.as_str(), "refs/tos/checkpoints/1"] {
        assert_eq!(linked.roll_back(Some(target)).unwrap().hash, taken.hash);
    }
    linked.write("a.txt", "theirs\n");
    let theirs = linked.take("b").unwrap();
    for target in [theirs.hash.as_str(), "refs/tos/trees/w2/checkpoints/1"] {
        assert_eq!(main.roll_back(target, false).hash, theirs.hash);
    }
}

#[test]
fn a_branch_that_another_work_tree_has_checked_out_is_not_moved() {
    let main = Repo::with_files();
    let first = main.head();
    main.write("a.txt", "two\n");
    let second = main.commit("second");
    let top = main.top.with_file_name("w2");
    let path = top.to_str().unwrap();
    main.git(&["worktree", "add", "-q", "-f", path, "main"]);
    let linked = Linked { top };
    linked.write("a.txt", "mine\n");
    let told = |failure: CheckpointError| {
        let text = failure.to_string();
        assert!(
            matches!(failure, CheckpointError::CheckedOut { .. }),
            "{text}"
        );
        assert!(text.contains("`main`"), "{text}");
        let other = format!("git -C '{}' switch --detach", main.top.display());
        assert!(text.contains(&other), "{text}");
        assert!(text.contains("git worktree prune"), "{text}");
    };
    told(linked.roll_back(Some(&first)).unwrap_err());
    told(linked.take("x").unwrap_err());
    assert_eq!(
        (linked.read("a.txt").as_str(), main.head()),
        ("mine\n", second)
    );
    assert_eq!(main.git(&["for-each-ref", "refs/tos"]), "");
}

#[test]
fn an_undo_does_not_switch_to_a_branch_that_another_work_tree_took() {
    let main = Repo::with_files();
    let first = main.head();
    main.git(&["switch", "-q", "-c", "side"]);
    main.take("a");
    main.roll_back(&first, false);
    main.git(&["switch", "-q", "main"]);
    let top = main.top.with_file_name("w2");
    main.git(&["worktree", "add", "-q", top.to_str().unwrap(), "side"]);
    let before = main.git(&["for-each-ref"]);
    let failure = block_on(main.checkpoints().undo(None)).unwrap_err();
    assert!(
        matches!(&failure, CheckpointError::CheckedOut { branch, at } if branch == "side" && *at == top.display().to_string()),
        "{failure}"
    );
    assert_eq!(main.git(&["for-each-ref"]), before);
    git_in(&top, &["switch", "-q", "--detach"]);
    main.undo();
    assert_eq!(main.git(&["symbolic-ref", "HEAD"]), "refs/heads/side\n");
}

#[test]
fn a_branch_in_the_middle_of_a_rebase_elsewhere_is_not_moved() {
    let main = Repo::with_files();
    let first = main.head();
    main.git(&["switch", "-q", "-c", "side"]);
    main.write("a.txt", "two\n");
    main.commit("second");
    let linked = Linked::of(&main, "w2", "other");
    linked.git(&["switch", "-q", "--ignore-other-worktrees", "side"]);
    linked.git(&[
        "-c",
        "sequence.editor=sed -i s/^pick/edit/",
        "rebase",
        "-q",
        "-i",
        &first,
    ]);
    assert_eq!(linked.git(&["rev-parse", "--abbrev-ref", "HEAD"]), "HEAD");
    assert!(matches!(
        main.try_roll_back(&first, true),
        Err(CheckpointError::CheckedOut { .. })
    ));
}

#[test]
fn a_work_tree_with_an_odd_name_has_refs_that_git_accepts() {
    let main = Repo::with_files();
    let linked = Linked::of(&main, "w2", "side");
    let folder = main.top.join(".git/worktrees");
    let odd = folder.join("a b%..lock");
    fs::rename(folder.join("w2"), &odd).unwrap();
    fs::write(
        linked.top.join(".git"),
        format!("gitdir: {}\n", odd.display()),
    )
    .unwrap();
    let taken = linked.take("x").unwrap();
    assert_eq!(
        taken.reference,
        "refs/tos/trees/a%20b%25%2E%2Elock/checkpoints/1"
    );
    assert_eq!(linked.git(&["rev-parse", &taken.reference]), taken.hash);
}

/// git reads what it keeps of every work tree when it makes one, and gives up at one that is half made.
#[test]
fn work_trees_are_made_beside_each_other() {
    let repo = Repo::with_files();
    let trees = GitWorktrees::open(&repo.top).unwrap();
    let head = repo.head();
    std::thread::scope(|scope| {
        for hand in 0..4 {
            let (trees, head) = (&trees, &head);
            scope.spawn(move || {
                for number in 0..25 {
                    let (run, task) = (format!("run-{hand}"), format!("task-{number}"));
                    let place = trees.make(&run, &task, head).unwrap();
                    trees.remove(&place).unwrap();
                }
            });
        }
    });
}
