//! Valid and full cross-correlation of single planes, with the result allocated in each call.

use std::hint::black_box;

use benches::largest_difference;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use layers::random::{Purpose, Stream};
use tensor::reference::correlate_plane;
use tensor::{ShapeError, Tensor, correlate_full, correlate_valid};

const PLANES: [([usize; 2], [usize; 2]); 4] =
    [([3, 3], [2, 2]), ([28, 28], [3, 3]), ([28, 28], [5, 5]), ([224, 224], [3, 3])];

type Correlate = fn(&Tensor<f32>, &Tensor<f32>) -> Result<Tensor<f32>, ShapeError>;

fn planes(criterion: &mut Criterion) {
    for (name, correlate) in [
        ("correlate_valid", correlate_valid as Correlate),
        ("correlate_full", correlate_full as Correlate),
    ] {
        let mut group = criterion.benchmark_group(name);
        for (plane, kernel) in PLANES {
            let ([h, w], [kh, kw]) = (plane, kernel);
            let pad = if name == "correlate_full" { [kh - 1, kw - 1] } else { [0, 0] };
            let (x, k) = (numbers(1, plane), numbers(2, kernel));
            let expected = correlate_plane(x.as_slice(), plane, k.as_slice(), kernel, pad);
            let found = correlate(&x, &k).unwrap_or_else(|error| panic!("{error}"));
            let difference = largest_difference(found.as_slice(), &expected);
            assert!(difference < 1e-6, "{name} {plane:?} {kernel:?}: differs by {difference:.1e}");
            group.throughput(Throughput::Elements((expected.len() * kh * kw) as u64));
            let id = BenchmarkId::from_parameter(format!("{h}x{w}*{kh}x{kw}"));
            group.bench_function(id, |bencher| {
                bencher.iter(|| correlate(black_box(&x), black_box(&k)));
            });
        }
        group.finish();
    }
}

fn numbers(seed: u64, shape: [usize; 2]) -> Tensor<f32> {
    let mut stream = Stream::new(seed, Purpose::Initialization, 0);
    Tensor::from_fn(shape, |_| (2.0 * stream.uniform() - 1.0) as f32)
}

criterion_group!(benches, planes);
criterion_main!(benches);
