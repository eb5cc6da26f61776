//! Plots the speed of a correlation against its batch size, the side of the image, the number of
//! kernels, and the number of threads.
//!
//! `growth FILE.svg [--seconds S]`: seconds for each point (default 0.1). Prints the times as a
//! table too. A flat line means that the cost of a multiply-add does not depend on the size.

use std::error::Error;
use std::path::PathBuf;

use benches::{LayerShape, Pass, Workload, machine, measure, on_threads, peak, plot};
use lexopt::prelude::*;
use plot::{Line, Panel};
use tensor::simd::level;

/// The base shape, of which one size is varied: LeNet's second convolution on a batch.
const BASE: LayerShape = LayerShape { batch: 64, input: [8, 12, 12], kernels: 16, side: 5 };

/// The base shape for the side of the image; a few images, so that the smallest takes long enough.
const IMAGE_BASE: LayerShape = LayerShape { batch: 4, input: [8, 28, 28], kernels: 16, side: 3 };

fn main() -> Result<(), Box<dyn Error>> {
    let (path, seconds) = options()?;
    let all = std::thread::available_parallelism()?.get();
    let one = peak::multiply_adds_per_second::<f32>(level(), 1);
    let many = peak::multiply_adds_per_second::<f32>(level(), all);
    println!("{}, {}\n", machine(), level());
    println!("| work | pass | threads | time | GFLOP/s | of peak |");
    println!("|---|---|--:|--:|--:|--:|");
    let mut panels = Vec::new();
    for (title, axis, shapes) in plots() {
        let mut lines = Vec::new();
        for pass in Pass::ALL {
            let point = |&(at, shape): &(usize, LayerShape)| {
                (at as f64, point(shape, pass, (1, one), seconds))
            };
            let points = shapes.iter().map(point).collect();
            lines.push(Line { name: pass.name(), points });
        }
        panels.push(Panel { title, axis, ceiling: gflops(one), lines });
    }
    let mut lines = Vec::new();
    for pass in Pass::ALL {
        let point = |threads| {
            let at_most = one + (many - one) * (threads - 1) as f64 / (all - 1).max(1) as f64;
            (threads as f64, point(BASE, pass, (threads, at_most), seconds))
        };
        lines.push(Line { name: pass.name(), points: (1..=all).map(point).collect() });
    }
    let title = "threads: 64×8×12×12 by 16 kernels of 5×5";
    panels.push(Panel { title, axis: "threads", ceiling: gflops(many), lines });
    let heading = format!("{}, {}: GFLOP/s; dashed, the multiply-add peak", machine(), level());
    std::fs::write(&path, plot::svg(&heading, &panels))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}

/// A plot: its title, its axis, and the sizes along the axis with their shapes.
type Plot = (&'static str, &'static str, Vec<(usize, LayerShape)>);

fn plots() -> [Plot; 3] {
    let batches = (0..=10).map(|power| 1 << power);
    let batches = batches.map(|batch| (batch, LayerShape { batch, ..BASE })).collect();
    let sides = [28, 40, 56, 80, 112, 160, 224];
    let sides = sides.map(|side| (side, LayerShape { input: [8, side, side], ..IMAGE_BASE }));
    let kernels = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
    let kernels = kernels.map(|kernels| (kernels, LayerShape { kernels, ..BASE }));
    [
        ("batch: N×8×12×12 by 16 kernels of 5×5", "batch", batches),
        ("image: 4×8×S×S by 16 kernels of 3×3", "side", sides.into()),
        ("kernels: 64×8×12×12 by D kernels of 5×5", "kernels", kernels.into()),
    ]
}

/// Measures and prints one point; returns its GFLOP/s.
fn point(shape: LayerShape, pass: Pass, (threads, peak): (usize, f64), seconds: f64) -> f64 {
    let workload = Workload::Correlate(shape, pass);
    let timing = on_threads(threads, || measure(seconds, workload.prepare()));
    let rate = shape.multiply_adds() as f64 / timing.median;
    println!(
        "| {shape} | {} | {threads} | {:.1} µs | {:.1} | {:.0} % |",
        pass.name(),
        1e6 * timing.median,
        gflops(rate),
        100.0 * rate / peak,
    );
    gflops(rate)
}

/// GFLOP/s, counting two operations for each multiply-add.
fn gflops(multiply_adds: f64) -> f64 {
    2e-9 * multiply_adds
}

fn options() -> Result<(PathBuf, f64), Box<dyn Error>> {
    let (mut path, mut seconds) = (None, 0.1);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => seconds = parser.value()?.parse()?,
            Value(file) if path.is_none() => path = Some(PathBuf::from(file)),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok((path.ok_or("expected the name of the SVG file to write")?, seconds))
}
