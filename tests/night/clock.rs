//! The end of a session, by a clock that is told the time.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use tos::{
    adapters::{
        agent::{runners, runners::LocalAgentSandboxes},
        git::GitWorktrees,
        job::approvals::DenyAllApprovals,
        ledger::{LedgerFile, LedgerOptions},
        night::{event_files::EventFiles, heartbeats::HeartbeatFiles, machine::LocalMachine},
        sandbox::ResourceLimits,
    },
    config::{FlagOverrides, Settings, task_list},
    domain::{
        ledger::SessionStart,
        policy::PolicyContext,
        redaction::Redactor,
        sandbox::SandboxBackend,
        tasks::{AgentTask, StopReason},
        time::Timestamp,
    },
    ports::{BoxFuture, clock::Clock, ledger::Ledger, notifier::NullNotificationSink},
    services::{
        tasks,
        tasks::{SessionObserver, SessionPorts, SessionSettings},
    },
};

use crate::root::Root;

/// Every wait takes no time and moves the clock on, once something it waits for has begun; until it stands still for good.
struct Hasty {
    seconds: AtomicU64,
    most: u64,
    slept: u64,
    begun: std::path::PathBuf,
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        let seconds = i64::try_from(self.seconds.load(Ordering::SeqCst)).unwrap();
        chrono::DateTime::from_timestamp(1_790_000_000 + seconds, 0)
            .unwrap()
            .fixed_offset()
    }

    /// The machine is asleep for a part of the time.
    fn monotonic(&self) -> Duration {
        let seconds = self.seconds.load(Ordering::SeqCst);
        Duration::from_secs(seconds.saturating_sub(self.slept.min(seconds)))
    }

    fn boottime(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    fn random(&self) -> f64 {
        0.5
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while !self.begun.exists() {
                tokio::task::yield_now().await;
            }
            if self.seconds.load(Ordering::SeqCst) >= self.most {
                std::future::pending::<()>().await;
            }
            tokio::task::yield_now().await;
            self.seconds.fetch_add(duration.as_secs(), Ordering::SeqCst);
        })
    }
}

struct Nobody;

impl SessionObserver for Nobody {
    fn is_startable_program(&self, _task: &AgentTask) -> bool {
        true
    }

    fn line(&self, _text: &str) {}
}

fn tools(root: &Root, clock: Arc<dyn Clock>) -> SessionPorts {
    let state = root.root.join(".tos");
    let redactor = Redactor::new(Vec::<String>::new());
    let path = ("PATH".into(), "/usr/bin:/bin".into());
    SessionPorts {
        worktrees: Arc::new(GitWorktrees::open(&root.root).unwrap()),
        runners: Arc::new(LocalAgentSandboxes::new(runners::AgentSandboxOptions {
            home: None,
            environment: vec![path],
            redactor: redactor.clone(),
            program: Path::new(env!("CARGO_BIN_EXE_tos")).to_owned(),
            state: state.clone(),
            limits: ResourceLimits::default(),
            show: Vec::new(),
            backends: SandboxBackend::CONFINING.into(),
        })),
        ledger: Arc::new(ledger(root)),
        notifiers: Vec::new(),
        notifications: Arc::new(NullNotificationSink),
        clock,
        heartbeats: Arc::new(HeartbeatFiles::new(state.join("sessions"))),
        journal: Arc::new(EventFiles::new(state.join("events"), redactor, None)),
        machine: Arc::new(LocalMachine::new(root.root.clone())),
        approvals: Arc::new(DenyAllApprovals),
        policy: Arc::new(
            Settings::load(&root.root, None, &[], &FlagOverrides::default())
                .unwrap()
                .policy()
                .unwrap(),
        ),
        is_shared: false,
        world: PolicyContext::unattended(root.root.clone()),
    }
}

fn ledger(root: &Root) -> LedgerFile {
    LedgerFile::new(LedgerOptions {
        root: root.root.clone(),
        state: None,
        actor: "tester".into(),
        tool: "0.4.0".into(),
        policy: "p".into(),
        gates: "g".into(),
    })
}

#[tokio::test]
async fn what_is_under_way_a_minute_after_the_cap_is_ended() {
    let root = Root::new("touch \"$(dirname \"$0\")/begun\"; exec sleep 61877");
    let names = ["T-01".to_owned(), "T-02".to_owned()];
    let text = root.list_text("retry_then_stop", &names, "");
    let list = task_list::parse(&text, "list").unwrap();
    let clock = Arc::new(Hasty {
        seconds: AtomicU64::new(100),
        most: 1160,
        slept: 300,
        begun: root.home.path().join("begun"),
    });
    let tools = tools(&root, clock);
    let terms = SessionSettings {
        seconds: Some(1000),
        ..SessionSettings::new("r", SessionStart::default())
    };
    let (_sender, stop) = watch::channel(0);
    let summary = tasks::run(&list, &tools, &terms, &Nobody, stop)
        .await
        .unwrap();
    assert_eq!(summary.stop, StopReason::TimeCap);
    let reasons: Vec<&str> = summary
        .tasks
        .iter()
        .map(|end| end.reason.as_str())
        .collect();
    assert_eq!(reasons, ["the session had to be over", "not run"]);
    let beat = tools.heartbeats.last("r").unwrap();
    assert_eq!(beat.wall_s, 1060, "a minute after the cap, and no later");
    let end = ledger(&root).read().unwrap().records.pop().unwrap();
    let end = serde_json::to_value(end.entry).unwrap();
    assert_eq!(
        end["end"]["suspend_s"], 200,
        "sleep counts as time and is told"
    );
    assert!(
        fs::read_dir(root.root.join(".tos/worktrees"))
            .unwrap()
            .next()
            .is_none()
    );
}

/// Runs a list by a clock whose waits take no time.
async fn hurried(agent: &str, names: &[String]) -> (Root, tasks::ListReport) {
    let root = Root::new(agent);
    let begun = root.home.path().join("begun");
    fs::write(&begun, "").unwrap();
    let list = task_list::parse(&root.list_text("retry_then_stop", names, ""), "list").unwrap();
    let clock = Arc::new(Hasty {
        seconds: AtomicU64::new(100),
        most: u64::MAX,
        slept: 0,
        begun,
    });
    let tools = tools(&root, clock);
    let (_sender, stop) = watch::channel(0);
    let terms = SessionSettings::new("r", SessionStart::default());
    let summary = tasks::run(&list, &tools, &terms, &Nobody, stop)
        .await
        .unwrap();
    (root, summary)
}

/// The seconds of each wait of a kind, as the ledger has them.
fn waits(root: &Root, kind: &str) -> Vec<u64> {
    let records = ledger(root).read().unwrap().records;
    let entries = records
        .into_iter()
        .map(|record| serde_json::to_value(record.entry).unwrap());
    entries
        .filter(|entry| entry["kind"] == kind)
        .map(|entry| entry["seconds"].as_u64().unwrap())
        .collect()
}

/// Complains so many times, then works.
fn complains(times: usize, complaint: &str) -> String {
    format!(
        "n=$(cat \"$(dirname \"$0\")/n\" 2>/dev/null || echo 0)\n\
         [ $n -ge {times} ] || {{ echo $((n+1)) >\"$(dirname \"$0\")/n\"; echo half >half.txt; echo '{complaint}' >&2; exit 1; }}\n\
         echo 'x = 1' > $TOS_TASK.py\n"
    )
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_again_and_no_attempt_is_spent() {
    let agent = complains(3, "API Error: 529 overloaded, status 529");
    let (root, summary) = hurried(&agent, &["T-01".to_owned()]).await;
    assert_eq!(summary.stop, StopReason::QueueEmpty);
    assert_eq!(
        (summary.tasks[0].attempts, summary.tasks[0].commit.is_some()),
        (1, true)
    );
    assert_eq!(waits(&root, "provider.wait"), [30, 60, 120]);
}

#[tokio::test]
async fn a_provider_that_stays_down_ends_the_session_without_a_failure() {
    let agent = complains(100, "unexpected status 503 Service Unavailable");
    let (root, summary) = hurried(&agent, &["T-01".to_owned(), "T-02".to_owned()]).await;
    assert_eq!(summary.stop, StopReason::Provider);
    let end = &summary.tasks[0];
    assert_eq!((end.outcome.as_str(), end.attempts), ("blocked", 0));
    assert!(
        end.reason.contains("503 Service Unavailable"),
        "{}",
        end.reason
    );
    assert_eq!(summary.tasks[1].outcome.as_str(), "not_run");
    assert_eq!(waits(&root, "provider.wait"), [30, 60, 120, 240, 480]);
}

#[tokio::test]
async fn what_needs_a_person_ends_the_session_at_once_with_the_remedy() {
    for (complaint, remedy) in [
        ("Credit balance is too low", "add credit"),
        ("Invalid API key", "check the key"),
    ] {
        let (root, summary) = hurried(
            &complains(100, complaint),
            &["T-01".to_owned(), "T-02".to_owned()],
        )
        .await;
        assert_eq!(summary.stop, StopReason::NeedsPerson, "{complaint}");
        let end = &summary.tasks[0];
        assert_eq!((end.outcome.as_str(), end.attempts), ("blocked", 0));
        assert!(
            end.reason.contains(complaint) && end.reason.contains(remedy),
            "{}",
            end.reason
        );
        assert_eq!(waits(&root, "provider.wait").len(), 0);
    }
}

#[tokio::test]
async fn a_quota_of_which_nobody_says_when_it_is_renewed_is_tried_with_a_growing_pause() {
    let (root, summary) = hurried(&complains(6, "quota exceeded"), &["T-01".to_owned()]).await;
    assert_eq!(summary.stop, StopReason::QueueEmpty);
    assert_eq!(summary.tasks[0].attempts, 1);
    assert_eq!(
        waits(&root, "quota.wait"),
        [300, 600, 1200, 2400, 3600, 3600]
    );
}
