//! Files of networks with every layer and setting, compiled; each tests itself with pictures and
//! the bits of their outputs.

mod arithmetic;
mod board;
mod networks;

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use layers::{Network, NetworkSpec, Workspace, save_weights};
use tensor::Element;

use super::program::Line;
use super::{C, Rust};
use crate::export::subject::Subject;
use crate::export::{Answers, Contents, Format, Pictures, Prepared};
use crate::model::{FORM, Model, NORMALIZATION};
use crate::preprocessing::Normalization;
use networks::NETWORKS;

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From −1 to 1.
    fn number(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / f64::from(1_u32 << 31) / f64::from(1_u32 << 21) - 1.0
    }

    fn byte(&mut self) -> u8 {
        self.bits().to_le_bytes()[5]
    }
}

/// A model with weights up to `scale`, and what is exported of it.
fn subject<T: Element>(text: &str, scale: f64, metadata: &[(&str, String)]) -> Subject {
    let spec: NetworkSpec = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut network: Network<T> = spec.build().unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for parameter in network.parameters_mut() {
        *parameter = T::from_f64(random.number() * scale);
    }
    for buffer in network.buffers_mut() {
        *buffer = T::from_f64(0.6 + 0.5 * random.number());
    }
    let precision = ("precision", T::NAME.to_owned());
    let metadata: Vec<_> = metadata.iter().cloned().chain([precision]).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    fs::write(&file, save_weights(&network, &metadata).unwrap()).unwrap();
    Subject::new(Model::open(&file).unwrap())
}

/// Random pictures, a black and a white one, and the outputs for them.
fn pictures(subject: &Subject, count: usize) -> Pictures {
    let network = subject.network::<f32>("test").unwrap();
    let (mut workspace, mut random) = (Workspace::new(&network, 1), Random(88_172_645_463_325_252));
    let mut pictures = Pictures::default();
    let mut input = vec![0.0; subject.pixels()];
    for picture in 0..count {
        let bytes: Vec<u8> = match picture {
            0 => vec![0; subject.pixels()],
            1 => vec![255; subject.pixels()],
            _ => (0..subject.pixels()).map(|_| random.byte()).collect(),
        };
        subject.normalization().write(&bytes, &mut input);
        pictures.outputs.extend_from_slice(network.predict(&input, &mut workspace));
        pictures.bytes.extend(bytes);
    }
    pictures
}

fn file(format: &dyn Format, subject: &Subject, pictures: &Pictures) -> Vec<u8> {
    match format.write(subject, pictures).unwrap().contents {
        Contents::File(bytes) => bytes,
        Contents::Folder(_) => panic!("a folder"),
    }
}

/// Runs a command; what it says is shown if it fails. `None` if it is not on this machine.
fn run(tool: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(tool).args(arguments).current_dir(folder).output();
    let Ok(output) = output else {
        let is_full = env::var_os("ASTERISM_CI").is_some_and(|ci| ci == "full");
        assert!(!is_full, "{tool} is missing");
        eprintln!("skipped: {tool} is missing");
        return None;
    };
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(4000).collect::<String>();
    let (out, error) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{tool} {arguments:?}: {}\n{out}\n{error}", output.status);
    Some(out + &error)
}

fn each_network(mut with: impl FnMut(usize, &str, f64)) {
    NETWORKS.iter().enumerate().for_each(|(index, &(text, scale))| with(index, text, scale));
}

/// What a model says whose pictures are normalised.
fn standard(channels: usize) -> [(&'static str, String); 2] {
    let numbers = |first: f32| (0..channels).map(|c| first + c as f32 / 10.0).collect();
    let normalization = Normalization::Standard { mean: numbers(0.13), deviation: numbers(0.31) };
    let form = r#"{"normalize": "standard"}"#.to_owned();
    [(FORM, form), (NORMALIZATION, serde_json::to_string(&normalization).unwrap())]
}

/// The network at this index; every third one takes normalised pictures.
fn exported(index: usize, text: &str, scale: f64) -> (Subject, Pictures) {
    let subject = match subject::<f32>(text, scale, &[]) {
        plain if !index.is_multiple_of(3) => plain,
        plain => {
            let channels = plain.picture[0];
            subject::<f32>(text, scale, &standard(channels))
        }
    };
    let pictures = pictures(&subject, 5);
    (subject, pictures)
}

/// Every kernel is among those that the networks call, in all its forms.
#[test]
fn the_networks_call_every_kernel() {
    let mut called = BTreeSet::new();
    each_network(|index, text, scale| {
        let (subject, _) = exported(index, text, scale);
        let network = subject.network::<f32>("test").unwrap();
        let program = super::program(&subject, &network).unwrap();
        for line in &program.lines {
            let Line::Call(kernel, arguments) = line else { continue };
            called.insert(kernel.to_string());
            if format!("{arguments:?}").contains("\"is_adjoint\", value: Flag(true)") {
                called.insert(format!("{kernel}, adjoint"));
            }
        }
    });
    let expected = [
        "add",
        "add_bias",
        "batch_norm",
        "copy",
        "correlate",
        "correlate_adjoint",
        "correlate_columns",
        "correlate_columns, adjoint",
        "correlate_tiles",
        "correlate_tiles, adjoint",
        "dense",
        "elu",
        "gelu",
        "group_norm",
        "hard_swish",
        "hyperbolic_tangent",
        "leaky_relu",
        "max_pool",
        "mean_pool",
        "mean_pool_large",
        "pad",
        "relu",
        "sigmoid",
        "silu",
        "softmax",
        "softplus",
        "standardize",
    ];
    assert_eq!(called.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn rust_has_the_same_bits_with_every_layer() {
    let folder = tempfile::tempdir().unwrap();
    let mut main = String::new();
    each_network(|index, text, scale| {
        let (subject, pictures) = exported(index, text, scale);
        let bytes = file(&Rust, &subject, &pictures);
        fs::write(folder.path().join(format!("n{index}.rs")), bytes).unwrap();
        main += &format!("mod n{index};\n");
    });
    main += "fn main() {}\n";
    fs::write(folder.path().join("main.rs"), &main).unwrap();
    // In the oldest edition of the language too.
    let arguments = ["--test", "--emit=metadata", "-Dwarnings", "main.rs"];
    if run("rustc", &arguments, folder.path()).is_some() {
        let arguments = ["--test", "-Copt-level=1", "-Dwarnings", "--edition", "2024", "main.rs"];
        run("rustc", &arguments, folder.path());
        run("./main", &["-q"], folder.path());
    }
}

#[test]
fn c_has_the_same_bits_with_every_layer() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-DNETWORK_TEST"];
    let mut script = String::from("set -e\n");
    each_network(|index, text, scale| {
        let (subject, pictures) = exported(index, text, scale);
        let bytes = file(&C, &subject, &pictures);
        fs::write(folder.path().join(format!("n{index}.c")), bytes).unwrap();
        script += &format!(
            "echo network {index}; cc {} -o n{index} n{index}.c; ./n{index}\n",
            flags.join(" ")
        );
        // In the compiler's own dialect of C, in which it may contract products and sums.
        if text.contains("norm") || text.contains("gelu") {
            script += &format!(
                "cc -O2 -march=native -DNETWORK_TEST -o n{index} n{index}.c; ./n{index}\n"
            );
        }
    });
    if run("cc", &["--version"], folder.path()).is_some() {
        run("sh", &["-c", &script], folder.path());
    }
}

/// Both files run as an export is checked; of blocks, the layers inside come first.
#[test]
fn checks_see_outputs_and_layers() {
    let (text, scale) = NETWORKS.iter().find(|(text, _)| text.contains("residual")).unwrap();
    let subject = subject::<f32>(text, *scale, &[]);
    let pictures = pictures(&subject, 7);
    for (format, name) in [(&Rust as &dyn Format, "rust"), (&C, "c")] {
        assert_eq!(format.answers(), Answers::SameBits);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("a network.{name}"));
        fs::write(&path, file(format, &subject, &pictures)).unwrap();
        let program = match format.prepare(&path, folder.path()).unwrap() {
            Prepared::Program(words) => words,
            Prepared::Missing(what) => {
                eprintln!("skipped: {what}");
                continue;
            }
        };
        let (asked, answers) = (folder.path().join("pictures"), folder.path().join("answers"));
        let ask = |what: &str, bytes: &[u8]| -> Vec<u32> {
            fs::write(&asked, bytes).unwrap();
            let words = [OsStr::new(what), asked.as_os_str(), answers.as_os_str()];
            let status = Command::new(&program[0]).args(&program[1..]).args(words).status();
            assert!(status.unwrap().success());
            let answers = fs::read(&answers).unwrap();
            let (words, _) = answers.as_chunks::<4>();
            words.iter().map(|&word| u32::from_le_bytes(word)).collect()
        };
        let bits: Vec<_> = pictures.outputs.iter().map(|output| output.to_bits()).collect();
        assert_eq!(ask("outputs", &pictures.bytes), bits, "{name}");
        let network = subject.network::<f32>("test").unwrap();
        let steps = crate::export::steps::steps(&network).unwrap();
        let picture = &pictures.bytes[2 * subject.pixels()..3 * subject.pixels()];
        let mut input = vec![0.0; subject.pixels()];
        subject.normalization().write(picture, &mut input);
        let trace = crate::export::steps::trace(&steps, &input);
        let bits: Vec<_> = trace.iter().flat_map(|(_, x)| x.iter().map(|x| x.to_bits())).collect();
        assert_eq!(ask("layers", picture), bits, "{name}");
    }
}

#[test]
fn what_a_file_cannot_hold_is_refused() {
    let text = r#"{"input": [4], "layers": [{"type": "dense", "outputs": 2}]}"#;
    let wide = subject::<f64>(text, 0.5, &[]);
    let none = Pictures::default();
    for (format, name) in [(&Rust as &dyn Format, "rust"), (&C, "c")] {
        let error = format.write(&wide, &none).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "--to {name}: expected a network of --precision f32, found one of f64; train it \
                 with f32"
            )
        );
    }
}

#[test]
fn what_does_not_compile_is_an_error_in_one_line() {
    for (format, name) in [(&Rust as &dyn Format, "rust"), (&C, "c")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, "what is this\n").unwrap();
        match format.prepare(&path, folder.path()) {
            Ok(Prepared::Missing(what)) => eprintln!("skipped: {what}"),
            Ok(Prepared::Program(_)) => panic!("{name}: compiled"),
            Err(error) => {
                let error = format!("{error:#}");
                assert!(error.starts_with("expected a file that compiles, found "), "{error}");
                assert!(!error.contains('\n') && error.len() < 400, "{error}");
            }
        }
    }
}
