//! One training step of each network, and predictions for one image and for 10,000, on
//! one and two threads. Throughput is in images.

use std::time::Duration;

use benches::{Workload, on_threads, thread_counts};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn networks(criterion: &mut Criterion) {
    for work in Workload::all() {
        let Some(images) = work.images() else { continue };
        let mut group = criterion.benchmark_group(work.to_string());
        group.throughput(Throughput::Elements(images as u64));
        for threads in thread_counts() {
            let id = BenchmarkId::from_parameter(format!("{threads} threads"));
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|calls| on_threads(threads, || work.time(calls)));
            });
        }
        group.finish();
    }
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group!(name = benches; config = short(); targets = networks);
criterion_main!(benches);
