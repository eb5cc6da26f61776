//! The three passes of a convolutional layer, for each SIMD level, on one and two threads.
//! Throughput is in multiply-adds.

use std::time::Duration;

use benches::{LayerShape, Operands, Pass, Workload, check, on_threads, thread_counts};
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use tensor::Scratch;
use tensor::simd::{Level, set_level};

fn layers(criterion: &mut Criterion) {
    for shape in LayerShape::ALL {
        for pass in Pass::ALL {
            let work = Workload::Correlate(shape, pass);
            let operands = Operands::new(shape, pass);
            let expected = operands.reference();
            let mut group = criterion.benchmark_group(work.to_string());
            group.throughput(Throughput::Elements(shape.multiply_adds() as u64));
            group.sampling_mode(SamplingMode::Flat);
            for level in Level::available() {
                if !work.is_measured_at(level) {
                    continue;
                }
                set_level(level).unwrap_or_else(|error| panic!("{error}"));
                for threads in thread_counts() {
                    let id = BenchmarkId::new(level.name(), format!("{threads} threads"));
                    on_threads(threads, || {
                        check(&mut operands.clone(), &mut Scratch::parallel(), &expected)
                    })
                    .unwrap_or_else(|error| panic!("{work}, {level}: {error}"));
                    group.bench_function(id, |bencher| {
                        bencher.iter_custom(|calls| on_threads(threads, || work.time(calls)));
                    });
                }
            }
            group.finish();
        }
    }
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
}

criterion_group!(name = benches; config = short(); targets = layers);
criterion_main!(benches);
