use std::ffi::OsStr;
use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use layers::{Network, Subset, Trainer, TrainerConfig};
use mnist_app::dataset::{DataSource, Samples};
use mnist_app::experiment::Experiment;
use mnist_app::preprocessing::Form;
use mnist_app::presets;
use png::ColorType;
use serde_json::Value;
use tensor::Element;

/// Of MNIST.
pub const CLASSES: usize = 10;

/// What is in the folder of a run that has ended.
pub const WHOLE: [&str; 6] = [
    "checkpoint",
    "config.toml",
    "metrics.jsonl",
    "model.safetensors",
    "report.html",
    "summary.json",
];

/// The four files of MNIST in the repository.
pub fn mnist_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist")
}

/// Training and test samples, read once.
pub fn mnist() -> &'static (Samples, Samples) {
    static SAMPLES: OnceLock<(Samples, Samples)> = OnceLock::new();
    SAMPLES.get_or_init(|| DataSource::Mnist.load_both(None, &Form::default()).unwrap())
}

/// A folder with the first 200 training and 100 test images, not gzipped.
pub fn small_data() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small-mnist");
        fs::create_dir_all(&folder).unwrap();
        let (train, test) = mnist();
        write_part(&folder, "train", train, 200);
        write_part(&folder, "t10k", test, 100);
        folder
    })
}

/// The bytes of an IDX file.
pub fn idx(sizes: &[u32], contents: &[u8]) -> Vec<u8> {
    let magic = 0x800 + sizes.len() as u32;
    let words = std::iter::once(&magic).chain(sizes);
    words.flat_map(|word| word.to_be_bytes()).chain(contents.iter().copied()).collect()
}

/// The experiment of a preset, on as many training samples as it says.
pub fn trainer<T: Element>(experiment: &Experiment, network: Network<T>) -> Trainer<T> {
    let (loss, optimizer) = (experiment.loss.clone(), experiment.optimizer);
    let (batch_size, shard_size) = (experiment.batch_size.get(), experiment.shard_size.get());
    Trainer::new(network, TrainerConfig::new(loss, optimizer, [batch_size, shard_size]))
}

/// The losses of `count` training samples as they are met, in file order.
pub fn losses<T: Element>(trainer: &mut Trainer<T>, count: usize, rate: f64) -> Vec<f64> {
    let order: Vec<_> = (0..count).collect();
    let mut losses = Vec::new();
    for order in order.chunks(trainer.config().batch_size) {
        let batch = Subset::new(&mnist().0, order);
        losses.extend(trainer.step(&batch, rate).unwrap().losses);
    }
    losses
}

/// The notebook's experiment.
pub fn notebook() -> Experiment {
    presets::experiment("notebook").unwrap()
}

/// Runs the program in `folder`.
pub fn run_in(folder: &Path, words: &[&dyn AsRef<OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(folder).env_remove("ASTERISM_SIMD");
    command.args(words).output().unwrap()
}

/// Runs the program in `folder` with the words of `line`.
pub fn run_line(folder: &Path, line: &str) -> Output {
    let words: Vec<_> = line.split_whitespace().collect();
    let words: Vec<&dyn AsRef<OsStr>> = words.iter().map(|word| word as _).collect();
    run_in(folder, &words)
}

/// What the program prints on standard output for `line`, which must succeed.
#[track_caller]
pub fn succeeds(folder: &Path, line: &str) -> String {
    let output = run_line(folder, line);
    assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Trains with the words of `line` on the small data, without a report, the notebook's experiment if
/// they choose none; returns what was printed.
#[track_caller]
pub fn train_small(folder: &Path, line: &str) -> String {
    let (data, chosen) = (small_data().display(), or_notebook(line));
    succeeds(folder, &format!("train --no-report --data {data} --quiet {chosen}"))
}

/// The words of `line`, with the notebook's experiment if they choose none.
pub fn or_notebook(line: &str) -> String {
    let chooses = ["--preset", "--config", "--resume"].iter().any(|flag| line.contains(flag));
    if chooses { line.to_owned() } else { format!("--preset notebook {line}") }
}

/// What a run's `summary.json` says.
#[track_caller]
pub fn summary(folder: &Path, run: &str) -> Value {
    let text = fs::read_to_string(folder.join(run).join("summary.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What is in a folder, sorted; names that are no UTF-8 with replacements in them.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The JSON objects of lines that hold one each.
#[track_caller]
pub fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Expects a number from a file of JSON, which is read to the last digit but one.
#[track_caller]
pub fn assert_close(found: &Value, expected: f64) {
    let distance = (found.as_f64().unwrap() - expected).abs();
    assert!(distance <= 1e-12 * expected.abs(), "expected {expected}, found {found}");
}

/// The bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn write_part(folder: &Path, prefix: &str, samples: &Samples, count: usize) {
    let [height, width] = samples.size().map(|size| size as u32);
    let images: Vec<u8> = (0..count).flat_map(|index| samples.image(index).to_vec()).collect();
    let images = idx(&[count as u32, height, width], &images);
    let labels = idx(&[count as u32], &samples.labels()[..count]);
    fs::write(folder.join(format!("{prefix}-images.idx3-ubyte")), images).unwrap();
    fs::write(folder.join(format!("{prefix}-labels-idx1-ubyte")), labels).unwrap();
}

/// Writes planes `(C, H, W)`, grey or red, green and blue, as a PNG image.
pub fn write_png(path: &Path, [channels, height, width]: [usize; 3], planes: &[u8]) {
    let file = BufWriter::new(fs::File::create(path).unwrap());
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(if channels == 1 { ColorType::Grayscale } else { ColorType::Rgb });
    let area = height * width;
    let pixels: Vec<u8> = (0..area)
        .flat_map(|at| (0..channels).map(move |channel| planes[channel * area + at]))
        .collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}

/// An array of bytes in a file as NumPy writes it.
pub(crate) fn npy(shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
    let len = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], text.as_bytes(), data].concat()
}

/// An archive of such arrays.
pub(crate) fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::write::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, array) in arrays {
        zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, array).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The bytes as a gzip stream.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}
