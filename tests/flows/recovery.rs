//! Files that are torn, empty, foreign, edited, older or newer than this program: each is kept under a
//! telling name, written again from the run log, and said aloud; and then the story goes on.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tos::{
    domain::job::outcome::JobRunOutcome,
    ports::{model::Model, store::Store},
    services::job::run::RunReport,
};

use crate::{
    fakes::FakeModel,
    stage::{Stage, folder},
    story,
};

/// A story whose first job is done.
struct Scene {
    folder: TempDir,
    stage: Stage,
    model: Arc<FakeModel>,
}

impl Scene {
    fn new() -> Self {
        let folder = folder();
        let model = FakeModel::new(story::answer);
        let stage = Stage::new(folder.path(), Arc::clone(&model) as Arc<dyn Model>);
        Self {
            folder,
            stage,
            model,
        }
    }

    fn after_job_1() -> Self {
        let scene = Self::new();
        scene.run_done("done (job 1/3 completed)");
        scene
    }

    fn at_the_end() -> Self {
        let scene = Self::new();
        scene.finish();
        scene
    }

    fn store(&self) -> Arc<dyn Store> {
        self.stage.store()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Runs once and expects this end.
    fn run_done(&self, reason: &str) -> RunReport {
        let passage = self.stage.again();
        assert_eq!(passage.outcome.reason(), reason, "{:?}", passage.notes);
        passage
    }

    /// Runs to the end of the story, which has to be as if nothing had happened.
    fn finish(&self) {
        self.stage.run_to_the_end(&self.store()).unwrap();
        self.stage.check_the_end();
        assert_eq!(self.model.calls(), story::CALLS, "calls");
        assert_eq!(self.stage.marks(), story::MARKS);
    }

    /// Returns the one file beside `file` whose name says `word`.
    fn kept(&self, file: &str, word: &str) -> String {
        let path = self.path(file);
        let prefix = format!("{}.{word}-", path.file_name().unwrap().to_str().unwrap());
        let names = names(path.parent().unwrap());
        let mut kept = names.iter().filter(|name| name.starts_with(&prefix));
        let name = kept
            .next()
            .unwrap_or_else(|| panic!("no {prefix} in {names:?}"));
        assert_eq!(kept.next(), None);
        let bytes = fs::read(path.with_file_name(name)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Asserts that exactly one sentence was said and that it holds these words.
fn said(passage: &RunReport, words: &[&str]) {
    let [note] = passage.notes.as_slice() else {
        panic!("one sentence was expected: {:?}", passage.notes);
    };
    for word in words {
        assert!(note.contains(word), "`{word}` is missing in: {note}");
    }
}

const LOG: &str = "logs/run.jsonl";
const SNAPSHOT: &str = "logs/run_snapshot.json";
const STATE: &str = "workspace/phase_state.json";
const SUMMARY: &str = "workspace/artifacts/phase_summary.json";
const RESULT: &str = "workspace/artifacts/job_result.json";

#[test]
fn an_undisturbed_story_has_nothing_to_say() {
    let scene = Scene::after_job_1();
    let passage = scene.run_done("done (job 2/3 completed)");
    assert_eq!(passage.notes, Vec::<String>::new());
    scene.finish();
}

#[test]
fn a_torn_last_line_is_kept_and_the_story_goes_on() {
    let scene = Scene::after_job_1();
    let whole = scene.read(LOG);
    scene.write(LOG, whole.clone() + "{\"v\":1,\"seq\":9");
    let passage = scene.run_done("done (job 2/3 completed)");
    said(
        &passage,
        &["run.jsonl ended in the middle of a line", "run.jsonl.torn-"],
    );
    assert_eq!(scene.kept(LOG, "torn"), "{\"v\":1,\"seq\":9");
    assert!(scene.read(LOG).starts_with(&whole));
    scene.finish();
}

#[test]
fn zeros_that_a_power_cut_left_at_the_end_are_a_torn_line() {
    for zeros in ["\0".repeat(700), "\0".repeat(700) + "\n"] {
        let scene = Scene::after_job_1();
        scene.write(LOG, scene.read(LOG) + &zeros);
        let passage = scene.run_done("done (job 2/3 completed)");
        said(&passage, &["torn"]);
        assert_eq!(scene.kept(LOG, "torn"), zeros);
        scene.finish();
    }
}

#[test]
fn a_log_damaged_in_the_middle_is_kept_whole_and_no_finished_job_is_done_again() {
    let scene = Scene::after_job_1();
    scene.run_done("done (job 2/3 completed)");
    let whole = scene.read(LOG);
    let middle = whole[..whole.len() / 4].rfind('\n').unwrap() + 1;
    let damaged = format!("{}#{}", &whole[..middle], &whole[middle + 1..]);
    scene.write(LOG, &damaged);
    let passage = scene.stage.again();
    let notes = passage.notes.join("\n");
    assert!(notes.contains("run.jsonl is damaged after"), "{notes}");
    assert!(notes.contains("run_snapshot.json does not fit"), "{notes}");
    assert!(
        notes.contains(
            "workspace/phase_state.json was taken over: job 3 comes next, steps go on with 6"
        ),
        "{notes}"
    );
    assert_eq!(scene.kept(LOG, "damaged"), damaged);
    assert_eq!((passage.state.job_index, passage.state.next_step), (3, 7));
    let again = scene.stage.again();
    assert_eq!(again.notes, Vec::<String>::new());
    assert_eq!(again.outcome.reason(), "done (job 3/3 completed)");
    assert_eq!(scene.stage.marks(), story::MARKS);
}

#[test]
fn a_foreign_file_in_place_of_the_log_is_kept_and_the_job_index_survives() {
    let scene = Scene::after_job_1();
    scene.write(LOG, "these are\nmy notes\n");
    let passage = scene.run_done("done (job 2/3 completed)");
    let notes = passage.notes.join("\n");
    assert!(notes.contains("run.jsonl is not a run log"), "{notes}");
    assert!(
        notes.contains(
            "workspace/phase_state.json was taken over: job 2 comes next, steps go on with 3"
        ),
        "{notes}"
    );
    assert_eq!(scene.kept(LOG, "foreign"), "these are\nmy notes\n");
    assert!(!scene.kept(SNAPSHOT, "stale").is_empty());
}

#[test]
fn a_lost_log_is_begun_anew_where_the_phase_state_says() {
    let scene = Scene::after_job_1();
    fs::remove_file(scene.path(LOG)).unwrap();
    let passage = scene.run_done("done (job 2/3 completed)");
    let notes = passage.notes.join("\n");
    assert!(
        notes.contains("job 2 comes next, steps go on with 3"),
        "{notes}"
    );
}

#[test]
fn an_empty_log_is_like_a_lost_one() {
    let scene = Scene::after_job_1();
    scene.write(LOG, "");
    let passage = scene.run_done("done (job 2/3 completed)");
    let notes = passage.notes.join("\n");
    assert!(
        notes.contains("job 2 comes next, steps go on with 3"),
        "{notes}"
    );
}

#[test]
fn a_log_of_a_newer_tos_is_left_alone() {
    let scene = Scene::after_job_1();
    let newer = scene
        .read(LOG)
        .replace("{\"v\":1,", "{\"v\":9,\"more\":true,");
    scene.write(LOG, &newer);
    let error = scene.stage.run(&scene.store()).unwrap_err();
    assert!(
        error.to_string().contains("written by a newer tos"),
        "{error}"
    );
    assert_eq!(scene.read(LOG), newer);
}

#[test]
fn a_stale_snapshot_is_kept_and_the_log_is_read_in_full() {
    let scene = Scene::after_job_1();
    let stale = scene
        .read(SNAPSHOT)
        .replace("\"job_index\":2", "\"job_index\":3");
    scene.write(
        SNAPSHOT,
        stale.replace("\"log_sha256\":\"", "\"log_sha256\":\"0"),
    );
    let passage = scene.run_done("done (job 2/3 completed)");
    said(&passage, &["run_snapshot.json does not fit the run log"]);
    scene.finish();
}

#[test]
fn a_snapshot_is_only_a_shortcut() {
    let scene = Scene::after_job_1();
    fs::remove_file(scene.path(SNAPSHOT)).unwrap();
    let passage = scene.run_done("done (job 2/3 completed)");
    assert_eq!(passage.notes, Vec::<String>::new());
    scene.finish();
}

#[test]
fn w14_w17_w58_a_record_that_is_torn_empty_foreign_or_gone_is_written_again() {
    let edited = |file: &str, scene: &Scene| {
        let mut value: Value = serde_json::from_str(&scene.read(file)).unwrap();
        let map = value.as_object_mut().unwrap();
        for key in ["job_index", "total_steps", "jobs_executed", "done_reason"] {
            if map.contains_key(key) {
                map.insert(key.into(), json!("7 or so"));
            }
        }
        value.to_string()
    };
    for file in ["logs/steps/step_002.json", STATE, SUMMARY, RESULT] {
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        for (content, word) in [
            (Some("{\"phase\": \"do".to_owned()), "damaged"),
            (Some(String::new()), "damaged"),
            (Some("[1]".to_owned()), "damaged"),
            (Some("EDIT".to_owned()), "edited"),
            (None, "missing"),
        ] {
            let scene = Scene::at_the_end();
            let before = scene.read(file);
            let content = content.map(|text| match text.as_str() {
                "EDIT" => edited(file, &scene),
                _ => text,
            });
            match &content {
                Some(content) => scene.write(file, content),
                None => fs::remove_file(scene.path(file)).unwrap(),
            }
            let passage = scene.stage.again();
            assert!(matches!(
                passage.outcome,
                JobRunOutcome::LoopComplete { .. }
            ));
            said(
                &passage,
                &[name, word, "it was written again from the run log"],
            );
            if let Some(content) = content {
                assert_eq!(scene.kept(file, word), content, "{file}");
            }
            if file == RESULT || file.contains("step_") {
                assert_eq!(scene.read(file), before, "{file}");
            }
            scene.stage.check_the_end();
            assert_eq!(scene.stage.again().notes, Vec::<String>::new());
        }
    }
}

#[test]
fn the_state_of_the_original_is_taken_over_once_and_left_alone() {
    let scene = Scene::new();
    let old = "\u{feff}{\"current_phase\": \"done\", \"current_step\": 2, \"job_index\": 2}";
    scene.write("workspace/artifacts/phase_state.json", old);
    scene.write("logs/steps/step_001.json", "{}");
    scene.write("logs/steps/step_002.json", "{}");
    let passage = scene.run_done("done (job 2/3 completed)");
    said(
        &passage,
        &[
            "workspace/artifacts/phase_state.json was taken over",
            "job 2",
            "steps go on with 3",
        ],
    );
    assert_eq!(scene.read("workspace/artifacts/phase_state.json"), old);
    assert_eq!(scene.read("logs/steps/step_001.json"), "{}");
    let again = scene.stage.again();
    assert_eq!(again.notes, Vec::<String>::new());
    assert_eq!(again.state.job_index, 3);
}

#[test]
fn w17_a_state_of_the_original_with_another_shape_is_said_and_left_alone() {
    for (content, words) in [
        ("", "is empty"),
        ("[1]", "is not a JSON object"),
        ("{\"job_index\": \"2\"}", "not a number"),
        ("{\"job_index\":", "is not JSON"),
    ] {
        let scene = Scene::new();
        scene.write("workspace/artifacts/phase_state.json", content);
        let passage = scene.run_done("done (job 1/3 completed)");
        said(
            &passage,
            &["workspace/artifacts/phase_state.json", words, "left alone"],
        );
        assert_eq!(scene.read("workspace/artifacts/phase_state.json"), content);
        scene.finish();
    }
}

#[test]
fn a_clock_that_goes_backwards_changes_nothing() {
    let scene = Scene::after_job_1();
    scene.stage.clock.move_by(-90_000);
    let passage = scene.run_done("done (job 2/3 completed)");
    assert_eq!(passage.notes, Vec::<String>::new());
    scene.stage.clock.move_by(-90_000);
    scene.finish();
}

#[test]
fn a_process_that_outlived_its_tos_is_ended_and_said() {
    let scene = Scene::after_job_1();
    let log = scene.read(LOG);
    let cut = log.trim_end().rfind('\n').unwrap();
    scene.write(LOG, &log[..=cut]);
    scene
        .stage
        .runner
        .left_over
        .store(2, std::sync::atomic::Ordering::SeqCst);
    let passage = scene.stage.again();
    let notes = passage.notes.join("\n");
    assert!(
        notes.contains("2 of its processes were still alive"),
        "{notes}"
    );
}
