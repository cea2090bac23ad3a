//! What a start pays for its configuration: reading, checking and resolving the shipped one.

use std::{hint::black_box, path::Path};

use criterion::{Criterion, criterion_group, criterion_main};
use tos::config::{FlagOverrides, Settings, keys};

fn load(criterion: &mut Criterion) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let environment: Vec<(String, String)> = std::env::vars().collect();
    let flags = FlagOverrides::default();
    criterion.bench_function("settings of the shipped configuration", |bencher| {
        bencher.iter(|| Settings::load(black_box(root), None, &environment, &flags));
    });
    let empty = std::env::temp_dir();
    criterion.bench_function("settings without a file", |bencher| {
        bencher.iter(|| Settings::load(black_box(&empty), None, &environment, &flags));
    });
    let settings = Settings::load(root, None, &environment, &flags);
    let settings = settings.expect("the shipped configuration is valid");
    criterion.bench_function("its policy made ready", |bencher| {
        bencher.iter(|| black_box(&settings).policy());
    });
    criterion.bench_function("one key by name", |bencher| {
        bencher.iter(|| keys::find(black_box("s5_settings.job_loop.max_jobs")));
    });
}

criterion_group!(benches, load);
criterion_main!(benches);
