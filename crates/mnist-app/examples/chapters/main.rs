//! The numbers of the chapters 1 and 2 in `docs`, and the figures of the chapters 1 to 3.
//!
//! ```sh
//! cargo run --release -p mnist-app --example chapters                    # prints the numbers
//! cargo run --release -p mnist-app --example chapters -- docs/figures    # draws the figures, too
//! ```

mod figures;
mod sample;
mod svg;
mod text;

use sample::Walk;

fn main() -> anyhow::Result<()> {
    let samples = sample::samples()?;
    let walk = Walk::new(&samples)?;
    for (chapter, blocks) in [(1, text::convolution(&walk)?), (2, text::gradient(&walk)?)] {
        for block in blocks {
            println!("--- chapter {chapter}\n{block}");
        }
    }
    if let Some(folder) = std::env::args_os().nth(1) {
        figures::draw(&walk, &samples, folder.as_ref())?;
    }
    Ok(())
}
