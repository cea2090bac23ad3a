//! Properties of the run log, over the log of the whole story: any prefix of it, cut anywhere, is a log one
//! can go on from; a snapshot and the rest say what the whole says; records rebuilt are the records written.

use std::{
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use proptest::prelude::*;
use tos::{
    domain::job::{event::RunLogEvent, state::JobLoopState},
    ports::{model::Model, store::Store},
    services::job::recovery,
};

use crate::{
    crash::closed_calls,
    fakes::FakeModel,
    stage::{Stage, folder, layout},
    story,
};

/// Returns the log of an undisturbed story.
fn whole() -> &'static [u8] {
    static LOG: OnceLock<Vec<u8>> = OnceLock::new();
    LOG.get_or_init(|| {
        let folder = folder();
        let stage = Stage::new(folder.path(), FakeModel::new(story::answer));
        let store: Arc<dyn Store> = stage.store();
        stage.run_to_the_end(&store).unwrap();
        stage.check_the_end();
        fs::read(layout(folder.path()).run_log()).unwrap()
    })
}

fn events() -> Vec<RunLogEvent> {
    let lines = whole().split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Lays down a log and nothing else.
fn stage_with_log(root: &Path, model: &Arc<FakeModel>, log: &[u8]) -> Stage {
    let path = layout(root).run_log();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, log).unwrap();
    Stage::new(root, Arc::clone(model) as Arc<dyn Model>)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_prefix_of_a_log_goes_on_to_the_same_end(cut in 0.0..=1.0_f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a place in the log")]
        let cut = (whole().len() as f64 * cut) as usize;
        let folder = folder();
        let model = FakeModel::new(story::answer);
        let stage = stage_with_log(folder.path(), &model, &whole()[..cut]);
        // What commands had done up to there is on the disk, as far as the log knows.
        let known = stage.log();
        let answered = closed_calls(&known);
        let store: Arc<dyn Store> = stage.store();
        stage.run_to_the_end(&store).unwrap();
        let log = stage.log();
        stage.check_records(&log);
        let state = recovery::fold_events(JobLoopState::default(), &log);
        prop_assert_eq!((state.jobs_done, state.job_index), (3, 4));
        prop_assert_eq!(&log[..known.len()], known.as_slice());
        let closed = closed_calls(&log);
        prop_assert_eq!(model.calls(), closed - answered);
    }

    #[test]
    fn a_snapshot_and_the_rest_say_what_the_whole_log_says(at in 0..200_usize) {
        let events = events();
        let at = at.min(events.len());
        let first = recovery::fold_events(JobLoopState::default(), &events[..at]);
        let snapshot: JobLoopState = serde_json::from_slice(&serde_json::to_vec(&first).unwrap()).unwrap();
        prop_assert_eq!(&snapshot, &first);
        prop_assert_eq!(
            recovery::fold_events(snapshot, &events[at..]),
            recovery::fold_events(JobLoopState::default(), &events)
        );
    }

    #[test]
    fn whatever_a_byte_of_the_log_becomes_nothing_panics_and_the_loop_ends(
        place in 0.0..1.0_f64,
        byte in any::<u8>(),
    ) {
        let mut log = whole().to_vec();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a place in the log")]
        let place = (log.len() as f64 * place) as usize;
        log[place] = byte;
        let folder = folder();
        let model = FakeModel::new(story::answer);
        let stage = stage_with_log(folder.path(), &model, &log);
        let store: Arc<dyn Store> = stage.store();
        match stage.run_to_the_end(&store) {
            Ok(passage) => prop_assert!(passage.state.job_index >= 4),
            // A digit of a version may become another one.
            Err(error) => prop_assert!(error.to_string().contains("newer tos"), "{}", error),
        }
    }
}
