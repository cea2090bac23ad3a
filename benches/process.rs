//! What a command costs: bare, through the runner, and behind each wall of this machine.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench starts real processes and may fail loudly"
)]

use std::{hint::black_box, path::Path, process::Stdio, sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use tos::{
    adapters::{
        process::{CommandRunnerOptions, LocalCommandRunner},
        sandbox::{BackendSandbox, Options},
    },
    domain::{command::Command, redaction::Redactor, sandbox::SandboxBackend},
    ports::{
        runner::{CommandRequest, CommandRunner, CommandStreams},
        sandbox::Sandbox,
    },
};

fn order(root: &Path) -> CommandRequest {
    CommandRequest {
        command: Command::exec(vec!["/bin/true".into()]),
        directory: root.to_owned(),
        deadline: Duration::from_secs(60),
        idle_deadline: None,
        grace: None,
        environment: Vec::new(),
        output_directory: root.join("logs"),
        index: 1,
        token: "bench/1/1".into(),
        streams: CommandStreams::default(),
    }
}

fn bare(root: &Path) {
    let status = std::process::Command::new("/bin/true")
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

fn starts(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let order = order(root);
    let mut group = criterion.benchmark_group("start");
    group.bench_function("bare", |bench| bench.iter(|| bare(root)));
    let options = CommandRunnerOptions::new(root.to_owned(), Redactor::default());
    let runner = LocalCommandRunner::new(options.clone(), None);
    group.bench_function("runner", |bench| {
        bench.iter(|| black_box(runtime.block_on(runner.run(&order)).unwrap()));
    });
    for backend in SandboxBackend::CONFINING {
        let mut wall = Options::new(root.to_owned(), env!("CARGO_BIN_EXE_tos").into());
        wall.backends = vec![backend];
        let wall = Arc::new(BackendSandbox::new(wall));
        let report = runtime.block_on(wall.report());
        if report.choice.backend() != Some(backend) {
            continue;
        }
        let runner = LocalCommandRunner::new(options.clone(), Some(wall));
        group.bench_function(backend.as_str(), |bench| {
            bench.iter(|| black_box(runtime.block_on(runner.run(&order)).unwrap()));
        });
    }
    group.finish();
}

fn redaction(criterion: &mut Criterion) {
    let line = "compiling module 17 of 204: src/adapters/process/tree.rs (0.3 s)\n";
    let text = line.repeat(16_384);
    let redactor = Redactor::new(["a-secret-of-this-machine".to_owned()]);
    let mut group = criterion.benchmark_group("redaction");
    group.throughput(criterion::Throughput::Bytes(text.len() as u64));
    group.bench_function("stream of 1 MiB", |bench| {
        bench.iter(|| {
            let mut stream = redactor.stream();
            let parts = text.as_bytes().chunks(65_536);
            let let_go: usize = parts.map(|part| stream.push(part).len()).sum();
            black_box(let_go + stream.finish().len())
        });
    });
    group.finish();
}

criterion_group!(benches, starts, redaction);
criterion_main!(benches);
