//! A stage for flows: a root in a temporary folder, the rules of the story, and one passage after the other
//! over it, in this process.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;
use tos::{
    adapters::job::store::{DiskStore, StoreLayout},
    domain::{
        command::CommandKind,
        job::{
            JobSetup,
            event::{EventKind, RunLogEvent, RunSettingsRecord},
            outcome::JobRunOutcome,
            record::RunSummaryFacts,
            rules::{
                AfterCrash, DoneCheck, DoneCondition, JobBudget, JobRules, JobSeriesConfig,
                PerRole, PolicyRules, RetryPolicy,
            },
            state::JobLoopState,
        },
        model::ModelPrice,
        policy::{Decision, Policy, PolicyContext, PolicyPreset},
        redaction::Redactor,
    },
    ports::{
        approvals::Approvals,
        clock::Clock,
        model::Model,
        runner::CommandRunner,
        store::{Error, RecordFile, Store},
    },
    services::{
        JobPorts,
        job::{
            event_bus::{EventReporter, records_changed_by},
            recovery, run,
            run::{RunReport, RunRequest},
            run_loop::CommandSettings,
        },
    },
};

use crate::{
    fakes::{FakeClock, FakePerson, FakeProbe, FakeRunner},
    story,
};

/// Returns the rules of the story.
pub(crate) fn rules() -> JobRules {
    let [draft, review, final_] = story::TEMPLATES.map(str::to_owned);
    JobRules {
        max_steps: 8,
        json_retry: 1,
        json_retry_prefix: story::AGAIN.into(),
        retry: RetryPolicy {
            attempts: 1,
            base: Duration::ZERO,
            max_wait: Duration::from_secs(120),
        },
        command_timeout: Duration::from_secs(60),
        idle_timeout: None,
        grace: Duration::from_secs(10),
        require_approval: true,
        on_unknown: AfterCrash::Rerun,
        templates: PerRole {
            draft,
            review,
            final_,
        },
        deadlines: PerRole {
            draft: Duration::from_secs(60),
            review: Duration::from_secs(60),
            final_: Duration::from_secs(60),
        },
        prices: PerRole {
            draft: Some(price(0.1)),
            review: None,
            final_: Some(price(0.3)),
        },
        budget: JobBudget::default(),
        no_progress_limit: Some(3),
        job_loop: Some(JobSeriesConfig {
            max_jobs: 3,
            name: "story".into(),
        }),
        experimental: false,
        sprint: None,
        done: DoneCondition {
            all: vec![DoneCheck::Contains {
                file: story::GOAL.0.into(),
                texts: vec![story::GOAL.1.into()],
            }],
            fresh: true,
        },
        policy: PolicyRules {
            default_allow: true,
            stop_on_deny: false,
            deny_if_contains: vec!["forbidden".into()],
            deny_patterns: vec![],
            allow_types: vec![CommandKind::Sh],
            preset: PolicyPreset::Original,
            rules: vec![],
            on_opaque: Decision::Allow,
        },
        job_result: "workspace/artifacts/job_result.json".into(),
    }
}

/// A price whose sums are no round numbers.
fn price(input_per_mtok: f64) -> ModelPrice {
    ModelPrice {
        input_per_mtok,
        output_per_mtok: 0.7,
        cached_input_per_mtok: None,
        cache_write_per_mtok: None,
    }
}

/// Returns where things lie below a root.
pub(crate) fn layout(root: &Path) -> StoreLayout {
    StoreLayout {
        root: root.to_owned(),
        workspace: "workspace".into(),
        logs: "logs".into(),
        job_input: None,
        job_result: "workspace/artifacts/job_result.json".into(),
        summary: "logs/last_run_summary.json".into(),
        archive_keep: 20,
    }
}

/// Returns a temporary folder that costs no disk writes where the machine has one.
pub(crate) fn folder() -> tempfile::TempDir {
    let quick = Path::new("/dev/shm");
    let made = if quick.is_dir() {
        tempfile::tempdir_in(quick)
    } else {
        tempfile::tempdir()
    };
    made.expect("a temporary folder can be made")
}

/// Everything around a passage.
pub(crate) struct Stage {
    pub(crate) root: PathBuf,
    pub(crate) rules: JobRules,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) runner: Arc<FakeRunner>,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) clean: bool,
    pub(crate) wait: bool,
    pub(crate) attended: bool,
    pub(crate) approvals: Arc<dyn Approvals>,
    /// Makes those who hear of events.
    pub(crate) reporters: Box<dyn Fn() -> Vec<Box<dyn EventReporter>>>,
}

impl Stage {
    /// Sets a stage below `root` where `model` answers.
    pub(crate) fn new(root: &Path, model: Arc<dyn Model>) -> Self {
        Self {
            root: root.to_owned(),
            rules: rules(),
            clock: Arc::default(),
            runner: Arc::new(FakeRunner::new(root.to_owned())),
            model,
            clean: false,
            wait: false,
            attended: false,
            approvals: Arc::new(FakePerson(true)),
            reporters: Box::new(Vec::new),
        }
    }

    /// Returns a store that lives for ever.
    pub(crate) fn store(&self) -> Arc<DiskStore> {
        Arc::new(DiskStore::new(layout(&self.root)))
    }

    /// Runs one passage and writes its summary.
    pub(crate) fn run(&self, store: &Arc<dyn Store>) -> Result<RunReport, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let (_sender, stop) = watch::channel(0);
        let passage = runtime.block_on(self.passage(Arc::clone(store), stop))?;
        let files = RunSummaryFacts {
            mode: "run".into(),
            disk: passage.disk.clone(),
            outcome: Some(passage.outcome.clone()),
            ..RunSummaryFacts::default()
        };
        run::write_run_summary(store.as_ref(), &passage.state, &files)?;
        Ok(passage)
    }

    /// Runs one passage on a living store.
    pub(crate) fn again(&self) -> RunReport {
        let store: Arc<dyn Store> = self.store();
        self.run(&store).expect("the disk works")
    }

    /// Runs passages on one store until the loop is complete.
    pub(crate) fn run_to_the_end(&self, store: &Arc<dyn Store>) -> Result<RunReport, Error> {
        let mut ends = Vec::new();
        while ends.len() < 12 {
            let passage = self.run(store)?;
            if matches!(passage.outcome, JobRunOutcome::LoopComplete { .. }) {
                return Ok(passage);
            }
            ends.push(passage.outcome);
        }
        panic!("the loop does not come to its end: {ends:#?}");
    }

    async fn passage(
        &self,
        store: Arc<dyn Store>,
        stop: watch::Receiver<u8>,
    ) -> Result<RunReport, Error> {
        let model = &self.model;
        let ports = JobPorts {
            models: PerRole {
                draft: Arc::clone(model),
                review: Arc::clone(model),
                final_: Arc::clone(model),
            },
            runner: Arc::clone(&self.runner) as Arc<dyn CommandRunner>,
            probe: Arc::new(FakeProbe(self.root.clone())),
            store,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            approvals: Arc::clone(&self.approvals),
        };
        run::run(self.order(), &ports, (self.reporters)(), stop, &|_| {}).await
    }

    fn order(&self) -> RunRequest {
        let rules = self.rules.clone();
        RunRequest {
            facts: RunSettingsRecord {
                mode: "run".into(),
                max_jobs: rules.job_loop.as_ref().map(|jobs| jobs.max_jobs),
                job_name: "story".into(),
                job_result: "workspace/artifacts/job_result.json".into(),
                ..RunSettingsRecord::default()
            },
            setup: JobSetup {
                policy: Policy::new(&rules.policy).expect("the rules make a policy"),
                rules,
                world: PolicyContext {
                    attended: self.attended,
                    ..PolicyContext::unattended(self.root.clone())
                },
                redactor: Redactor::default(),
                run: format!("run-{}", self.clock.now().timestamp()),
            },
            workshop: CommandSettings {
                root: self.root.clone(),
                steps: self.root.join("logs/steps"),
                deadline: Duration::from_secs(60),
                idle_deadline: None,
                run: "run".into(),
            },
            clean: self.clean,
            wait: self.wait,
        }
    }

    /// Returns the lines that commands have left.
    pub(crate) fn marks(&self) -> Vec<String> {
        let text = fs::read_to_string(self.root.join("marks.txt")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Returns the events that can be read from the log, without mending it.
    pub(crate) fn log(&self) -> Vec<RunLogEvent> {
        let text = fs::read(layout(&self.root).run_log()).unwrap_or_default();
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        lines
            .map_while(|line| serde_json::from_slice(line.strip_suffix(b"\n")?).ok())
            .collect()
    }

    /// Checks what has to hold at the end of the story, however often it was interrupted.
    pub(crate) fn check_the_end(&self) {
        let events = self.log();
        let state = recovery::fold_events(JobLoopState::default(), &events);
        assert_eq!((state.jobs_done, state.job_index), (3, 4), "jobs");
        let names: Vec<String> = state
            .steps
            .iter()
            .map(|line| format!("{}", line.step))
            .collect();
        assert_eq!(names.join(" "), "1 2 3 4 5 6 7 8", "steps");
        let count = |wanted: fn(&EventKind) -> bool| {
            events.iter().filter(|event| wanted(&event.event)).count()
        };
        assert_eq!(
            count(|kind| matches!(kind, EventKind::QueryAnswered { .. })),
            story::CALLS - 2,
            "replies"
        );
        assert_eq!(
            count(|kind| matches!(kind, EventKind::CommandEnded { .. })),
            story::MARKS.len(),
            "finished commands"
        );
        assert_eq!(
            count(|kind| matches!(kind, EventKind::JobEnded { .. })),
            3,
            "ended jobs"
        );
        let mut marks = self.marks();
        marks.dedup();
        assert_eq!(marks, story::MARKS, "marks");
        self.check_records(&events);
    }

    /// Checks that every record is what a rebuild from the log alone would write.
    pub(crate) fn check_records(&self, events: &[RunLogEvent]) {
        let mut state = JobLoopState::default();
        let mut wanted = std::collections::BTreeMap::new();
        for event in events {
            state.apply(event);
            wanted.extend(records_changed_by(event, &state));
        }
        let layout = layout(&self.root);
        for (record, content) in &wanted {
            let found = fs::read_to_string(layout.record(*record)).expect("the record is there");
            assert_eq!(&found, content, "{record:?}");
            serde_json::from_str::<serde_json::Value>(&found).expect("the record is JSON");
        }
        let steps = wanted.keys().filter_map(|record| match record {
            RecordFile::Step(number) => Some(*number),
            _ => None,
        });
        assert_eq!(
            self.store().record_files().step_logs,
            steps.collect::<Vec<u32>>(),
            "no other step logs"
        );
    }
}
