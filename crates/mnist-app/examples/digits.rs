//! How many digits `predict` gets right that were not made as MNIST's were: the table of
//! `docs/digits.md`.
//!
//! ```sh
//! cargo build --release -p mnist-app
//! cargo run --release -p mnist-app --example digits -- target/release/mnist-app MODEL digits.png [digits.csv]
//! ```
//!
//! `digits.png` is `OpenCV`'s sheet of 5000 cells of 20×20, 500 of each digit (in Debian's package
//! `opencv-doc`), `digits.csv` scikit-learn's digits of 8×8 (in its package as `digits.csv.gz`).

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayAlphaImage, GrayImage, Luma, LumaA};
use mnist_app::dataset::{DataSource, Part};
use mnist_app::preprocessing;

/// A digit, light on black, and what it shows.
type Digit = (GrayImage, u8);

/// Which digits are brought to other forms: so many, evenly spread.
const SOME: usize = 1000;

fn main() -> anyhow::Result<()> {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let needed = "the program, a model, digits.png and perhaps digits.csv";
    let (program, model, sheet, csv) = match words.as_slice() {
        [] => {
            println!("to measure how many digits are right, name {needed}");
            return Ok(());
        }
        [program, model, sheet, csv @ ..] => (program, model, sheet, csv),
        _ => anyhow::bail!("expected {needed}"),
    };
    let predict = Predict { program, model, folder: tempfile::tempdir()? };
    let mnist = mnist()?;
    predict.line("MNIST's test images", &mnist, plain)?;
    let sheet = cells(sheet)?;
    predict.line("OpenCV's sheet", &sheet, plain)?;
    if let [csv] = csv {
        let small = small(csv)?;
        predict.line("scikit-learn's 8×8", &small, plain)?;
    }
    for (name, digits) in [("MNIST", mnist), ("OpenCV", sheet)] {
        let some: Vec<_> = digits.iter().step_by(digits.len() / SOME).cloned().collect();
        for (form, of) in FORMS {
            predict.line(&format!("{SOME} of {name}: {form}"), &some, of)?;
        }
    }
    Ok(())
}

/// The program, a model, and where pictures are written.
struct Predict<'a> {
    program: &'a Path,
    model: &'a Path,
    folder: tempfile::TempDir,
}

impl Predict<'_> {
    /// Prints how many of the digits are right in this form.
    fn line(
        &self,
        name: &str,
        digits: &[Digit],
        form: fn(&GrayImage) -> File,
    ) -> anyhow::Result<()> {
        let folder = self.folder.path().join("pictures");
        fs::create_dir(&folder)?;
        for (index, (digit, _)) in digits.iter().enumerate() {
            let (ending, bytes) = match form(digit) {
                File::Png(picture) => ("png", png(&picture)?),
                File::Jpeg(bytes) => ("jpg", bytes),
            };
            fs::write(folder.join(format!("{index:05}.{ending}")), bytes)?;
        }
        let words = [OsStr::new("predict"), self.model.as_os_str(), folder.as_os_str()];
        let output = Command::new(self.program).args(words).args(["--json", "--quiet"]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (mut right, mut warned, mut warned_right) = (0, 0, 0);
        for (line, (_, label)) in String::from_utf8(output.stdout)?.lines().zip(digits) {
            let answer: serde_json::Value = serde_json::from_str(line)?;
            let is_right = answer["label"] == u64::from(*label);
            right += usize::from(is_right);
            warned += usize::from(!answer["warning"].is_null());
            warned_right += usize::from(is_right && !answer["warning"].is_null());
        }
        let percent = 100.0 * f64::from(u32::try_from(right)?) / digits.len() as f64;
        let wrong = digits.len() - right;
        let warned_wrong = warned - warned_right;
        println!(
            "| {name} | {right} of {} | {percent:.2} % | {warned_wrong} of {wrong} | {warned_right} |",
            digits.len()
        );
        fs::remove_dir_all(&folder)?;
        Ok(())
    }
}

/// A picture's file.
enum File {
    Png(DynamicImage),
    Jpeg(Vec<u8>),
}

fn png(picture: &DynamicImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// MNIST's test images.
fn mnist() -> anyhow::Result<Vec<Digit>> {
    let samples = DataSource::Mnist.load(Part::Test, &preprocessing::Form::default())?;
    let digit = |index: usize| {
        let pixels = GrayImage::from_raw(28, 28, samples.image(index).to_vec());
        Ok((pixels.context("an image")?, samples.labels()[index]))
    };
    (0..samples.len()).map(digit).collect()
}

/// The cells of `OpenCV`'s sheet: 50 rows of 100, five rows of each digit.
fn cells(file: &Path) -> anyhow::Result<Vec<Digit>> {
    let sheet = image::open(file)?.into_luma8();
    ensure!(sheet.dimensions() == (2000, 1000), "expected a sheet of 2000×1000 pixels");
    let cell = |index: u32| {
        let (x, y) = (20 * (index % 100), 20 * (index / 100));
        Ok((imageops::crop_imm(&sheet, x, y, 20, 20).to_image(), u8::try_from(index / 500)?))
    };
    (0..5000).map(cell).collect()
}

/// The digits of 8×8, of 0 to 16, each in a line before its label.
fn small(file: &Path) -> anyhow::Result<Vec<Digit>> {
    let mut digits = Vec::new();
    for record in csv::ReaderBuilder::new().has_headers(false).from_path(file)?.records() {
        let numbers: Vec<f32> = record?.iter().map(str::parse).collect::<Result<_, _>>()?;
        let (label, pixels) = numbers.split_last().context("an empty line")?;
        let pixels = pixels.iter().map(|x| (x * 15.9375) as u8).collect();
        digits.push((GrayImage::from_raw(8, 8, pixels).context("8×8")?, *label as u8));
    }
    Ok(digits)
}

/// A name, and the picture of a digit.
type Form = (&'static str, fn(&GrayImage) -> File);

const FORMS: [Form; 9] = [
    ("as they are", plain),
    ("dark on white", |digit| grey(inked(digit, 255.0, 0.0))),
    ("light on black, in a wider picture", |digit| {
        let mut canvas = GrayImage::new(60, 60);
        imageops::replace(&mut canvas, digit, 16, 16);
        grey(canvas)
    }),
    ("dark on transparent ground", |digit| clear(digit, 20)),
    ("light on transparent ground", |digit| clear(digit, 240)),
    ("300 pixels wide, dark on white", |digit| grey(inked(&wide(digit, 300), 255.0, 0.0))),
    ("off centre, dark on light", |digit| {
        let mut canvas = GrayImage::from_pixel(90, 60, Luma([230]));
        imageops::replace(&mut canvas, &inked(digit, 230.0, 40.0), 60, 2);
        grey(canvas)
    }),
    ("unevenly lit, with noise", |digit| {
        let mut ink = GrayImage::new(300, 240);
        imageops::replace(&mut ink, &wide(digit, 180), 60, 30);
        grey(GrayImage::from_fn(300, 240, |x, y| {
            let light = 110.0 + 60.0 * y as f32 / 240.0 + 80.0 * x as f32 / 300.0;
            let dark = 0.75 * f32::from(ink.get_pixel(x, y)[0]) / 255.0;
            Luma([(light * (1.0 - dark) + noise(300 * y + x) / 5.0).clamp(0.0, 255.0) as u8])
        }))
    }),
    ("turned by EXIF, as JPEG", |digit| File::Jpeg(turned(&inked(&wide(digit, 120), 250.0, 30.0)))),
];

fn grey(picture: GrayImage) -> File {
    File::Png(picture.into())
}

fn plain(digit: &GrayImage) -> File {
    grey(digit.clone())
}

/// The digit in ink of one brightness on a ground of another.
fn inked(digit: &GrayImage, ground: f32, ink: f32) -> GrayImage {
    let mixed = |x: u8| ground + (ink - ground) * f32::from(x) / 255.0;
    GrayImage::from_fn(digit.width(), digit.height(), |x, y| {
        Luma([mixed(digit.get_pixel(x, y)[0]) as u8])
    })
}

fn clear(digit: &GrayImage, ink: u8) -> File {
    let pixel = |x, y| LumaA([ink, digit.get_pixel(x, y)[0]]);
    File::Png(GrayAlphaImage::from_fn(digit.width(), digit.height(), pixel).into())
}

fn wide(digit: &GrayImage, side: u32) -> GrayImage {
    imageops::resize(digit, side, side, FilterType::Triangle)
}

/// From −127.5 to 127.5, in no order that one sees.
fn noise(at: u32) -> f32 {
    let mixed = at.wrapping_mul(2_654_435_761);
    ((mixed ^ mixed >> 15).wrapping_mul(2_246_822_519) >> 24) as f32 - 127.5
}

/// A JPEG file that lies on its side and says so, by orientation 6.
fn turned(picture: &GrayImage) -> Vec<u8> {
    const EXIF: &[u8] =
        b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
    imageops::rotate270(picture).write_with_encoder(encoder).expect("a picture in memory");
    bytes.splice(2..2, EXIF.iter().copied());
    bytes
}
