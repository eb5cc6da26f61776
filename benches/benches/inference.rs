//! Predictions of each network, for one image and for 10,000, on one and two threads.
//! Throughput is in images.

use std::time::{Duration, Instant};

use benches::{Workload, on_threads, thread_counts};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn inference(criterion: &mut Criterion) {
    for work in Workload::all() {
        let Workload::Predict(_, images) = work else { continue };
        let mut group = criterion.benchmark_group(work.to_string());
        group.throughput(Throughput::Elements(images as u64));
        for threads in thread_counts() {
            let id = BenchmarkId::from_parameter(format!("{threads} threads"));
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|calls| on_threads(threads, || time(work, calls)));
            });
        }
        group.finish();
    }
}

/// Seconds of `calls` calls after one that does not count.
fn time(work: Workload, calls: u64) -> Duration {
    let mut call = work.prepare();
    call();
    let start = Instant::now();
    (0..calls).for_each(|_| call());
    start.elapsed()
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group!(name = benches; config = short(); targets = inference);
criterion_main!(benches);
