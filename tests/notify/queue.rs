//! The queue: at least once, bounded, beside the work.

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;
use tos::{
    adapters::notify::{NotificationQueue, QueueOptions},
    domain::{
        notify::{Notification, NotificationError, NotificationEvent, RetryHint},
        redaction::Redactor,
    },
    ports::{
        BoxFuture,
        notifier::{NotificationSink, Notifier},
    },
};

/// Answers by a list, then always with yes; keeps what it was told.
struct Scripted {
    name: &'static str,
    answers: Mutex<VecDeque<NotificationError>>,
    told: Arc<Mutex<Vec<Notification>>>,
    hangs: bool,
}

impl Scripted {
    fn new(name: &'static str, answers: impl IntoIterator<Item = NotificationError>) -> Self {
        Self {
            name,
            answers: Mutex::new(answers.into_iter().collect()),
            told: Arc::default(),
            hangs: false,
        }
    }
}

impl Notifier for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn wants(&self, event: NotificationEvent) -> bool {
        event != NotificationEvent::Started
    }

    fn is_ephemeral(&self) -> bool {
        false
    }

    fn tell<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotificationError>> {
        Box::pin(async move {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            self.told.lock().unwrap().push(notification.clone());
            let answer = self.answers.lock().unwrap().pop_front();
            answer.map_or(Ok(()), Err)
        })
    }
}

fn options(folder: &Path, run: &str) -> QueueOptions {
    QueueOptions {
        folder: folder.to_owned(),
        run: run.to_owned(),
        second: Duration::ZERO,
        redactor: Redactor::new(["hunter2hunter2".to_owned()]),
    }
}

fn failed(text: &str) -> Notification {
    Notification::new(NotificationEvent::PlanFailed, text, "r")
}

fn later() -> NotificationError {
    NotificationError::transient("busy", "")
}

/// Waits for a condition that another thread brings about.
fn until(mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(std::time::Instant::now() < end, "it never holds");
        std::thread::yield_now();
    }
}

fn waiting(folder: &TempDir) -> Vec<String> {
    let mut all = Vec::new();
    for run in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
        for file in fs::read_dir(run.path()).into_iter().flatten().flatten() {
            let path = file.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                all.push(
                    path.strip_prefix(folder.path())
                        .unwrap()
                        .display()
                        .to_string(),
                );
            }
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn what_arrives_is_counted_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let one = Scripted::new("a", []);
    let told = Arc::clone(&one.told);
    let queue = NotificationQueue::start(vec![Arc::new(one)], options(folder.path(), "1")).unwrap();
    queue.send(failed("the key is hunter2hunter2"));
    queue.send(Notification::new(
        NotificationEvent::Started,
        "not wanted",
        "r",
    ));
    let standing = queue.flush(Duration::from_secs(30)).await;
    assert_eq!((standing.arrived, standing.failed), (1, Vec::new()));
    assert_eq!(told.lock().unwrap()[0].title, "the key is [redacted]");
    assert_eq!(waiting(&folder), Vec::<String>::new());
    drop(queue);
    assert!(!folder.path().join("1").exists());
}

#[tokio::test]
async fn a_refusal_that_passes_is_tried_again_and_a_pause_is_kept_to() {
    let folder = tempfile::tempdir().unwrap();
    let pause = NotificationError {
        again: RetryHint::Later(Some(0)),
        ..later()
    };
    let one = Scripted::new("a", [later(), pause]);
    let told = Arc::clone(&one.told);
    let queue = NotificationQueue::start(vec![Arc::new(one)], options(folder.path(), "1")).unwrap();
    queue.send(failed("x"));
    until(|| told.lock().unwrap().len() == 3 && waiting(&folder).is_empty());
    // The last try is counted a moment after it was told.
    while queue.flush(Duration::ZERO).await.arrived == 0 {
        tokio::task::yield_now().await;
    }
    let standing = queue.flush(Duration::from_secs(30)).await;
    assert_eq!((standing.arrived, standing.failed), (1, Vec::new()));
}

#[tokio::test]
async fn tries_are_bounded_and_what_is_given_up_is_laid_aside() {
    let folder = tempfile::tempdir().unwrap();
    let one = Scripted::new("a", std::iter::repeat_n(later(), 100));
    let told = Arc::clone(&one.told);
    let queue = NotificationQueue::start(vec![Arc::new(one)], options(folder.path(), "1")).unwrap();
    queue.send(failed("x"));
    until(|| waiting(&folder) == ["undelivered/1-000000.json"]);
    assert_eq!(told.lock().unwrap().len(), 5);
    let standing = queue.flush(Duration::from_secs(30)).await;
    assert_eq!(standing.failed, ["a could not be told: busy"]);
}

#[tokio::test]
async fn a_lasting_refusal_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let one = Scripted::new(
        "a",
        [NotificationError::permanent("no such channel", "make one")],
    );
    let told = Arc::clone(&one.told);
    let queue = NotificationQueue::start(vec![Arc::new(one)], options(folder.path(), "1")).unwrap();
    queue.send(failed("x"));
    let standing = queue.flush(Duration::from_secs(30)).await;
    assert_eq!(
        standing.failed,
        ["a could not be told: no such channel; make one"]
    );
    until(|| waiting(&folder) == ["undelivered/1-000000.json"]);
    assert_eq!(told.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn one_way_that_hangs_holds_up_neither_the_work_nor_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut stuck = Scripted::new("stuck", []);
    stuck.hangs = true;
    let fine = Scripted::new("fine", []);
    let told = Arc::clone(&fine.told);
    let ways: Vec<Arc<dyn Notifier>> = vec![Arc::new(stuck), Arc::new(fine)];
    let queue = NotificationQueue::start(ways, options(folder.path(), "1")).unwrap();
    for at in 0..50 {
        queue.send(failed(&at.to_string()));
    }
    until(|| told.lock().unwrap().len() == 50);
    // The last one is counted a moment after it was told.
    while queue.flush(Duration::ZERO).await.arrived < 50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(waiting(&folder).len(), 50, "what hangs is kept");
}

#[tokio::test]
async fn what_a_killed_process_left_is_delivered_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut stuck = Scripted::new("a", []);
    stuck.hangs = true;
    let queue =
        NotificationQueue::start(vec![Arc::new(stuck)], options(folder.path(), "1")).unwrap();
    queue.send(failed("first"));
    queue.send(failed("second"));
    // A killed process gives its lock back and leaves its files.
    assert_eq!(waiting(&folder).len(), 2);
    drop(queue);
    assert_eq!(waiting(&folder), ["1/000000.json", "1/000001.json"]);
    let next = Scripted::new("a", []);
    let told = Arc::clone(&next.told);
    let queue =
        NotificationQueue::start(vec![Arc::new(next)], options(folder.path(), "2")).unwrap();
    until(|| waiting(&folder).is_empty());
    let told = told.lock().unwrap().clone();
    let titles: Vec<&str> = told.iter().map(|one| one.title.as_str()).collect();
    assert_eq!(titles, ["first", "second"]);
    assert!(told[0].body(500).starts_with("told late: it happened at "));
    let standing = queue.flush(Duration::ZERO).await;
    assert_eq!(standing.arrived, 0, "another session's are not counted");
    assert!(!folder.path().join("1").exists());
}

#[tokio::test]
async fn what_a_living_process_delivers_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut stuck = Scripted::new("a", []);
    stuck.hangs = true;
    let first =
        NotificationQueue::start(vec![Arc::new(stuck)], options(folder.path(), "1")).unwrap();
    first.send(failed("mine"));
    let other = Scripted::new("a", []);
    let told = Arc::clone(&other.told);
    let second =
        NotificationQueue::start(vec![Arc::new(other)], options(folder.path(), "2")).unwrap();
    second.send(failed("yours"));
    second.flush(Duration::from_secs(30)).await;
    assert_eq!(told.lock().unwrap().len(), 1);
    assert_eq!(waiting(&folder), ["1/000000.json"]);
}
