//! Death at every point of the story: by SIGKILL in a process of its own, and by a store that goes silent.
//!
//! The number of rounds with SIGKILL can be raised by `TOS_CRASH_ROUNDS`; by default every third point of
//! the story is hit, which is more than 200 kills. The quick kind hits every point, and pairs of points.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tos::{
    adapters::model::{HttpClients, ModelOptions, Provider, Secret, build},
    domain::{
        job::{
            event::{EventKind, RunLogEvent},
            state::JobLoopState,
        },
        redaction::Redactor,
    },
    ports::{model::Model, store::Store},
    services::job::recovery,
};

use crate::{
    fakes::FakeModel,
    mortal::{Death, Mortal},
    server::Server,
    stage::{Stage, folder, layout},
    story,
};

/// What the log says about effects that were paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    calls: usize,
    commands: usize,
    job_index: u32,
}

/// Returns how many calls the log closes, by a reply or by a failure.
pub(crate) fn closed_calls(events: &[RunLogEvent]) -> usize {
    let closed = |event: &&RunLogEvent| {
        matches!(
            event.event,
            EventKind::QueryAnswered { .. } | EventKind::QueryFailed { .. }
        )
    };
    events.iter().filter(closed).count()
}

fn told(events: &[RunLogEvent]) -> Told {
    let ended = |event: &&RunLogEvent| matches!(event.event, EventKind::CommandEnded { .. });
    Told {
        calls: closed_calls(events),
        commands: events.iter().filter(ended).count(),
        job_index: recovery::fold_events(JobLoopState::default(), events).job_index,
    }
}

/// Keeps the books over kills: what was bought or done, and is not in the log because of a kill.
#[derive(Debug, Default)]
struct Books {
    lost_calls: usize,
    lost_commands: usize,
    job_index: u32,
}

impl Books {
    /// Looks after a kill. At most the one call and the one command that were under way may be lost.
    fn after_kill(&mut self, stage: &Stage, calls: usize, round: &str) {
        let told = told(&stage.log());
        let lost = calls - told.calls - self.lost_calls;
        assert!(lost <= 1, "{round}: {lost} replies were lost by one kill");
        self.lost_calls += lost;
        let lost = stage.marks().len() - told.commands - self.lost_commands;
        assert!(
            lost <= 1,
            "{round}: {lost} command ends were lost by one kill"
        );
        self.lost_commands += lost;
        assert!(
            told.job_index >= self.job_index,
            "{round}: the job index went back"
        );
        self.job_index = told.job_index;
    }

    /// Looks at the end: everything that was ever recorded was bought and done once.
    fn at_the_end(&self, stage: &Stage, calls: usize, round: &str) {
        let told = told(&stage.log());
        assert_eq!(calls, told.calls + self.lost_calls, "{round}: calls");
        assert_eq!(
            stage.marks().len(),
            story::MARKS.len() + self.lost_commands,
            "{round}: commands"
        );
        stage.check_the_end();
    }
}

/// The other side of the tests with SIGKILL: tells the story in this process until it is killed.
#[test]
fn child_that_tells_the_story_until_it_is_killed() {
    let Ok(root) = std::env::var("TOS_CRASH_ROOT") else {
        return;
    };
    let at = std::env::var("TOS_CRASH_AT").unwrap();
    let at = at.parse().unwrap();
    let url = std::env::var("TOS_CRASH_SERVER").unwrap();
    let root = Path::new(&root);
    let mut options = ModelOptions::new(Provider::OpenAi, "test-model");
    options.base_url = Some(format!("{url}/v1"));
    options.api_key = Some(Secret::new("sk-loopback-0123456789"));
    let model = build(&options, &HttpClients::new(Redactor::default())).unwrap();
    let stage = Stage::new(root, Arc::from(model));
    let mortal = Arc::new(Mortal::new(layout(root), Death::Sigkill, at));
    let store: Arc<dyn Store> = Arc::clone(&mortal) as Arc<dyn Store>;
    stage.run_to_the_end(&store).unwrap();
    fs::write(root.join("points"), mortal.points().to_string()).unwrap();
}

/// Runs the child; returns whether it came to the end of the story.
fn child(root: &Path, server: &Server, at: u64) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "crash::child_that_tells_the_story_until_it_is_killed",
            "--exact",
        ])
        .env_clear()
        .env("TOS_CRASH_ROOT", root)
        .env("TOS_CRASH_SERVER", server.url())
        .env("TOS_CRASH_AT", at.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    server.settle();
    let killed = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        killed || output.status.success(),
        "the child failed: {said}"
    );
    !killed
}

/// Tells the story with a kill at each of these points, one child after the other, then undisturbed.
fn round_with_kills(points: &[u64]) {
    let round = format!("kills at {points:?}");
    let folder = folder();
    let server = Server::start(story::answer);
    let stage = Stage::new(folder.path(), FakeModel::new(story::answer));
    let mut books = Books::default();
    for at in points.iter().copied().chain([u64::MAX]) {
        if child(folder.path(), &server, at) {
            break;
        }
        books.after_kill(&stage, server.calls(), &round);
    }
    books.at_the_end(&stage, server.calls(), &round);
}

/// Returns how many points an undisturbed story passes, after checking that it is undisturbed.
fn points_of_the_story() -> u64 {
    let folder = folder();
    let server = Server::start(story::answer);
    assert!(child(folder.path(), &server, u64::MAX));
    assert_eq!(server.calls(), story::CALLS);
    let stage = Stage::new(folder.path(), FakeModel::new(story::answer));
    assert_eq!(stage.marks(), story::MARKS);
    stage.check_the_end();
    let points = fs::read_to_string(folder.path().join("points")).unwrap();
    points.parse().unwrap()
}

#[test]
fn a_kill_at_any_point_buys_nothing_twice_and_runs_nothing_twice() {
    let points = points_of_the_story();
    let all: Vec<Vec<u64>> = match rounds_wanted() {
        // Every event boundary and the middle of every line, once each.
        None => (0..points).map(|at| vec![at]).collect(),
        Some(rounds) => (0..rounds)
            .map(|round| vec![round % points, round / points % 40, round % 7])
            .collect(),
    };
    assert!(all.len() >= 200, "{points} points make {} kills", all.len());
    in_parallel(&all, round_with_kills);
}

fn rounds_wanted() -> Option<u64> {
    std::env::var("TOS_CRASH_ROUNDS")
        .ok()
        .map(|rounds| rounds.parse().expect("TOS_CRASH_ROUNDS is a number"))
}

/// Spreads the rounds over the processors; every round that fails is named, by its points.
fn in_parallel(all: &[Vec<u64>], round: impl Fn(&[u64]) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some(points) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| round(points))).is_err() {
                failed.lock().unwrap().push(points);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "rounds that failed: {failed:?}");
}

/// The quick kind: the store dies, the process lives, and a new store goes on.
fn round_with_silence(points: &[u64]) {
    let round = format!("silence at {points:?}");
    let folder = folder();
    let model = FakeModel::new(story::answer);
    let stage = Stage::new(folder.path(), Arc::clone(&model) as Arc<dyn Model>);
    let mut books = Books::default();
    for at in points.iter().copied().chain([u64::MAX]) {
        let store: Arc<dyn Store> =
            Arc::new(Mortal::new(layout(folder.path()), Death::Silence, at));
        if stage.run_to_the_end(&store).is_ok() {
            break;
        }
        books.after_kill(&stage, model.calls(), &round);
    }
    books.at_the_end(&stage, model.calls(), &round);
}

#[test]
fn a_store_that_dies_at_any_point_is_taken_up_by_the_next() {
    let points = points_of_the_story();
    let singles = (0..points).map(|at| vec![at]);
    // A death during the recovery from a death, and a third one.
    let more = (0..points).map(|at| vec![at, at % 11, (at * 7) % 23]);
    let all: Vec<Vec<u64>> = singles.chain(more).collect();
    in_parallel(&all, round_with_silence);
}
