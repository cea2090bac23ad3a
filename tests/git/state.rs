//! The state of tos itself: in no checkpoint, and left alone by every rollback.

use std::fs;

use tos::{
    adapters::git::{
        GitCheckpoints, GitWorktrees,
        options::{CheckpointOptions, Engine},
    },
    domain::checkpoint::{RollbackReport, RollbackRequest, RollbackTemplateFile},
    ports::{checkpoints::Checkpoints, worktrees::Worktrees},
};

use crate::support::{Repo, block_on, take_with};

const ENGINES: [Engine; 2] = [Engine::Native, Engine::Program];
const FOLDERS: [&str; 4] = [".tos", ".orch", "sub/.tos", "sub/deep/.orch"];

fn options(repo: &Repo, engine: Engine) -> CheckpointOptions {
    CheckpointOptions {
        engine,
        ..repo.options()
    }
}

fn back(repo: &Repo, engine: Engine, templates: &[(&str, &str)]) -> RollbackReport {
    let template = |(file, text): &(&str, &str)| RollbackTemplateFile {
        file: file.into(),
        text: (*text).to_owned(),
    };
    let order = RollbackRequest {
        target: Some("1".to_owned()),
        discard: true,
        templates: templates.iter().map(template).collect(),
    };
    block_on(GitCheckpoints::new(options(repo, engine)).roll_back(&order)).unwrap()
}

#[test]
fn records_of_runs_are_in_no_checkpoint_and_outlive_a_rollback() {
    for engine in ENGINES {
        let repo = Repo::with_files();
        for folder in FOLDERS {
            repo.write(&format!("{folder}/runs/1/plan.yaml"), "TOKEN=1\n");
        }
        take_with(options(&repo, engine), "first", false).unwrap();
        let tree = repo.git(&["ls-tree", "-r", "--name-only", "HEAD"]);
        assert!(!tree.contains("runs"), "{engine:?}: {tree}");
        for folder in FOLDERS {
            repo.write(&format!("{folder}/runs/2/plan.yaml"), "TOKEN=2\n");
        }
        repo.write("a.txt", "two\n");
        back(&repo, engine, &[]);
        assert_eq!(repo.read("a.txt"), "one\n");
        for folder in FOLDERS {
            for run in ["1", "2"] {
                let path = format!("{folder}/runs/{run}/plan.yaml");
                assert_eq!(repo.read(&path), format!("TOKEN={run}\n"), "{engine:?}");
            }
        }
        repo.undo();
        assert_eq!(repo.read(".tos/runs/2/plan.yaml"), "TOKEN=2\n");
    }
}

#[test]
fn records_that_somebody_committed_are_neither_brought_up_to_date_nor_taken_away() {
    for engine in ENGINES {
        let repo = Repo::with_files();
        repo.write(".tos/runs/1/log", "one\n");
        repo.write(".tos/runs/old", "old\n");
        repo.commit("by mistake");
        repo.write(".tos/runs/1/log", "more\n");
        take_with(options(&repo, engine), "first", false).unwrap();
        assert_eq!(repo.git(&["show", "HEAD:.tos/runs/1/log"]), "one\n");
        repo.git(&["rm", "-q", "--cached", ".tos/runs/old"]);
        repo.git(&["commit", "-q", "-m", "away"]);
        repo.remove(".tos/runs/old");
        repo.write("a.txt", "two\n");
        back(&repo, engine, &[]);
        assert_eq!(repo.read("a.txt"), "one\n");
        assert_eq!(repo.read(".tos/runs/1/log"), "more\n", "{engine:?}");
        assert!(!repo.has(".tos/runs/old"), "{engine:?}");
    }
}

#[test]
fn a_tasks_work_tree_gives_no_records_away() {
    let repo = Repo::with_files();
    let trees = GitWorktrees::open(&repo.top).unwrap();
    assert_eq!(repo.read(".tos/.gitignore"), "*\n");
    let mut place = trees.make("run", "task", &repo.head()).unwrap();
    fs::create_dir_all(place.top.join(".tos/runs")).unwrap();
    fs::write(place.top.join(".tos/runs/log"), "TOKEN=1\n").unwrap();
    assert_eq!(trees.tree(&place).unwrap(), place.tree);
    trees.roll_back(&mut place).unwrap();
    assert!(!place.top.join(".tos").exists());
}

#[test]
fn a_rollback_does_not_put_a_template_in_the_place_of_what_was_filled_in() {
    for engine in ENGINES {
        let repo = Repo::with_files();
        repo.write("config.json", "fill me in\n");
        repo.write("other.json", "fill me in\n");
        take_with(options(&repo, engine), "fresh", false).unwrap();
        repo.write("config.json", "my goal\n");
        repo.write("other.json", "mine\n");
        let templates = [
            ("config.json", "fill me in\n"),
            ("a.txt", "nothing like it"),
        ];
        let done = back(&repo, engine, &templates);
        assert_eq!(done.kept, ["config.json"]);
        assert_eq!(repo.read("config.json"), "my goal\n", "{engine:?}");
        assert_eq!(repo.read("other.json"), "fill me in\n");
        assert_eq!(repo.status(), " M config.json\n");
        // With it filled in, a checkpoint of it is a state like any other.
        take_with(options(&repo, engine), "filled", false).unwrap();
        repo.write("config.json", "worse\n");
        let order = RollbackRequest {
            target: Some("2".to_owned()),
            discard: true,
            ..RollbackRequest::default()
        };
        block_on(GitCheckpoints::new(options(&repo, engine)).roll_back(&order)).unwrap();
        assert_eq!(repo.read("config.json"), "my goal\n");
    }
}
