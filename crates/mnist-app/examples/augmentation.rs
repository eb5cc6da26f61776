//! What augmentation makes of a digit: a sheet of images as a PNG file.
//!
//! ```sh
//! cargo run --release -p mnist-app --example augmentation -- sheet.png
//! ```
//!
//! In the first column is the original. Each row shows one kind of deformation: shift,
//! rotation, scale, shear, elastic, with bounds about twice as wide as training wants them,
//! so that one sees them; the last row all of them, with bounds to train with.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use mnist_app::augmentation::{Augmentation, Augmenter, Elastic};
use mnist_app::dataset::{DataSource, Part};
use mnist_app::preprocessing::Form;

/// Deformed images a row, of the training image at this place.
const COLUMNS: usize = 9;
const SAMPLE: usize = 7;

/// Pixels of the sheet for one of the image, and between images.
const ZOOM: usize = 3;
const GAP: usize = 6;

fn main() -> anyhow::Result<()> {
    // Without a name, where runs go too: git does not look there.
    let out = std::env::args_os().nth(1).map(PathBuf::from);
    let out = out.unwrap_or_else(|| "runs/augmentation.png".into());
    let samples = DataSource::Mnist.load(Part::Train, &Form::default())?;
    let none = Augmentation::default();
    let elastic = Some(Elastic { cells: 4, strength: 3.0 });
    let rows = [
        Augmentation { shift: 3.0, ..none },
        Augmentation { rotation: 20.0, ..none },
        Augmentation { scale: 0.2, ..none },
        Augmentation { shear: 20.0, ..none },
        Augmentation { elastic, ..none },
        Augmentation {
            shift: 1.5,
            rotation: 8.0,
            scale: 0.08,
            shear: 8.0,
            elastic: Some(Elastic { cells: 4, strength: 1.5 }),
            ..none
        },
    ];
    let mut sheet = Sheet::new(samples.size(), [rows.len(), COLUMNS + 1]);
    for (row, augmentation) in rows.into_iter().enumerate() {
        let augmenter = Augmenter::new(augmentation, samples.size(), 1);
        let original = Augmenter::new(none, samples.size(), 1);
        let mut image = vec![0.0_f32; samples.image(SAMPLE).len()];
        for epoch in 0..=COLUMNS {
            let augmenter = if epoch == 0 { &original } else { &augmenter };
            augmenter.write(samples.image(SAMPLE), (epoch, SAMPLE), &mut image);
            sheet.draw([row, epoch], &image);
        }
    }
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder)?;
    }
    sheet.write(&out)
}

/// Images in rows and columns, black on white.
struct Sheet {
    image: [usize; 2],
    size: [usize; 2],
    pixels: Vec<u8>,
}

impl Sheet {
    /// For so many rows and columns of images of this height and width.
    fn new(image: [usize; 2], [rows, columns]: [usize; 2]) -> Self {
        let size = [rows * (image[0] * ZOOM + GAP) + GAP, columns * (image[1] * ZOOM + GAP) + GAP];
        Self { image, size, pixels: vec![200; size[0] * size[1]] }
    }

    /// Draws an image of numbers from 0 to 1.
    fn draw(&mut self, [row, column]: [usize; 2], brightness: &[f32]) {
        let [height, width] = self.image.map(|side| side * ZOOM);
        let [top, left] = [row * (height + GAP) + GAP, column * (width + GAP) + GAP];
        for y in 0..height {
            for x in 0..width {
                let value = brightness[y / ZOOM * self.image[1] + x / ZOOM];
                self.pixels[(top + y) * self.size[1] + left + x] = 255 - (value * 255.0) as u8;
            }
        }
    }

    /// Writes a PNG file, eight bits of grey a pixel.
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let [height, width] = self.size.map(|side| side as u32);
        let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        Ok(writer.finish()?)
    }
}
