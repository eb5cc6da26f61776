//! One training step of each network, on one and two threads. Throughput is in images.

use std::time::{Duration, Instant};

use benches::{Workload, on_threads, thread_counts};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn training(criterion: &mut Criterion) {
    for work in Workload::all() {
        let Workload::Step(_, images) = work else { continue };
        let mut group = criterion.benchmark_group(work.to_string());
        group.throughput(Throughput::Elements(images as u64));
        for threads in thread_counts() {
            let id = BenchmarkId::from_parameter(format!("{threads} threads"));
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|steps| on_threads(threads, || time(work, steps)));
            });
        }
        group.finish();
    }
}

/// Seconds of `steps` steps from the start weights on, after one that does not count.
fn time(work: Workload, steps: u64) -> Duration {
    let mut step = work.prepare();
    step();
    let start = Instant::now();
    (0..steps).for_each(|_| step());
    start.elapsed()
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group!(name = benches; config = short(); targets = training);
criterion_main!(benches);
