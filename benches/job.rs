//! What a job pays for being durable: one recorded event against a bare append, one whole replayed step.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench looks at the real disk and has no readers"
)]

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};
use tos::{
    adapters::{
        clock::SystemClock,
        job::{approvals::DenyAllApprovals, probe::DiskConditionProbe, store},
        model, process,
    },
    domain::{
        job::{
            JobSetup,
            event::{EventKind, RUN_LOG_VERSION, RunLogEvent, RunSettingsRecord},
            rules::{DoneCheck, JobRules, PerRole},
        },
        policy::{Policy, PolicyContext},
        redaction::Redactor,
    },
    ports::{clock::Clock, model::Model, runner::CommandRunner, store::Store},
    services::{
        JobPorts,
        job::{run, run::RunRequest, run_loop::CommandSettings},
    },
};

const STEPS: u32 = 20;

fn layout(root: &Path) -> store::StoreLayout {
    store::StoreLayout {
        root: root.to_owned(),
        workspace: "workspace".into(),
        logs: "logs".into(),
        job_input: None,
        job_result: "workspace/artifacts/job_result.json".into(),
        summary: "logs/last_run_summary.json".into(),
        archive_keep: 20,
    }
}

fn event(seq: u64) -> RunLogEvent {
    RunLogEvent {
        v: RUN_LOG_VERSION,
        seq,
        at: SystemClock::new().now(),
        run: "20260101-000000-abcdef".into(),
        event: EventKind::CommandStarted { index: 0 },
    }
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append, durable");
    let folder = tempfile::tempdir().unwrap();
    let line = serde_json::to_vec(&event(1)).unwrap();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.path().join("bare"))
        .unwrap();
    group.bench_function("bare write and fdatasync", |b| {
        b.iter(|| {
            file.write_all(&line).unwrap();
            file.sync_data().unwrap();
        });
    });
    let log = store::DiskStore::new(layout(folder.path()));
    let mut seq = 0;
    group.bench_function("run log", |b| {
        b.iter(|| {
            seq += 1;
            log.append(&[event(seq)], true).unwrap();
        });
    });
    group.finish();
}

fn rules() -> JobRules {
    let config = r#"{"max_steps": 20, "api_backoff_sec": 0, "done_condition": {"all": [{"file": "never", "exists": true}]}}"#;
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("config_v0_3.json"), config).unwrap();
    let settings = tos::config::Settings::load(
        root.path(),
        None,
        &[],
        &tos::config::FlagOverrides::default(),
    );
    let mut rules = settings.unwrap().rules;
    rules.done.all = vec![DoneCheck::Exists {
        file: "never".into(),
        exists: true,
    }];
    rules
}

fn recording() -> String {
    let mut lines = String::new();
    for turn in 0..STEPS {
        for (role, text) in [
            ("draft", r#"{"thought": "none", "commands": []}"#),
            (
                "review",
                r#"{"review": "fine", "improved_commands": [], "approval": true}"#,
            ),
            ("final", r#"{"final_commands": [], "summary": "nothing"}"#),
        ] {
            let line = serde_json::json!({
                "version": 1, "job": 1, "role": role, "turn": turn, "text": text,
                "usage": {"input": 10, "output": 10},
            });
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
    }
    lines
}

fn ports(root: &Path, recording: PathBuf) -> JobPorts {
    let mut options = model::ModelOptions::new(model::Provider::Replay, "bench");
    options.recording = Some(model::ReplaySource::File(recording));
    let model: Arc<dyn Model> =
        Arc::from(model::build(&options, &model::HttpClients::default()).unwrap());
    let runner_options = process::CommandRunnerOptions::new(root.to_owned(), Redactor::default());
    let runner: Arc<dyn CommandRunner> =
        Arc::new(process::LocalCommandRunner::new(runner_options, None));
    JobPorts {
        models: PerRole {
            draft: Arc::clone(&model),
            review: Arc::clone(&model),
            final_: model,
        },
        probe: Arc::new(DiskConditionProbe::new(
            root.to_owned(),
            Duration::from_secs(1),
            Arc::clone(&runner),
        )),
        runner,
        store: Arc::new(store::DiskStore::new(layout(root))),
        clock: Arc::new(SystemClock::new()),
        approvals: Arc::new(DenyAllApprovals),
    }
}

fn twenty_steps(root: &Path, recording: PathBuf, rules: &JobRules) {
    let setup = JobSetup {
        rules: rules.clone(),
        policy: Policy::new(&rules.policy).unwrap(),
        world: PolicyContext::unattended(root),
        redactor: Redactor::default(),
        run: "bench".into(),
    };
    let order = RunRequest {
        setup,
        facts: RunSettingsRecord::default(),
        workshop: CommandSettings {
            root: root.to_owned(),
            steps: root.join("logs/steps"),
            deadline: Duration::from_secs(1),
            idle_deadline: None,
            run: "bench".into(),
        },
        clean: false,
        wait: false,
    };
    let ports = ports(root, recording);
    let (_keep, stop) = tokio::sync::watch::channel(0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let run = run::run(order, &ports, Vec::new(), stop, &|_| {});
    let passage = runtime.block_on(run).unwrap();
    assert_eq!(passage.state.steps.len(), STEPS as usize + 1);
}

fn step(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let recorded = folder.path().join("replies.jsonl");
    std::fs::write(&recorded, recording()).unwrap();
    let rules = rules();
    let mut group = c.benchmark_group("job");
    group.sample_size(10);
    group.throughput(criterion::Throughput::Elements(u64::from(STEPS)));
    let mut count = 0;
    group.bench_function("replayed steps without a command, all files durable", |b| {
        b.iter(|| {
            count += 1;
            let root = folder.path().join(count.to_string());
            std::fs::create_dir_all(&root).unwrap();
            twenty_steps(&root, recorded.clone(), &rules);
        });
    });
    group.finish();
}

criterion_group!(benches, append, step);
criterion_main!(benches);
