//! One file of Rust.

use std::fmt::Write as _;
use std::path::Path;

use super::compiler::Recipe;
use super::program::{Argument, Line, Program, Value};
use super::{buffers, kernels, kernels_of, lines, written};
use crate::export::subject::Subject;
use crate::export::{Answers, Format, Kind, Pictures, Prepared, Written};

/// The format `rust`: one file of Rust that needs `core` alone.
pub(crate) struct Rust;

const TEMPLATES: [&str; 4] = [
    include_str!("rust/arithmetic.rs"),
    include_str!("rust/convolution.rs"),
    include_str!("rust/layers.rs"),
    include_str!("rust/functions.rs"),
];

impl Format for Rust {
    fn kind(&self) -> Kind {
        Kind::File("rs")
    }

    fn tests_itself(&self) -> bool {
        true
    }

    fn write(&self, subject: &Subject, pictures: &Pictures) -> anyhow::Result<Written> {
        written("rust", subject, |program| source(subject, program, pictures))
    }

    fn answers(&self) -> Answers {
        Answers::SameBits
    }

    fn prepare(&self, path: &Path, workshop: &Path) -> anyhow::Result<Prepared> {
        // With the widest vectors that this machine has; they change no bit.
        let arguments = ["-O", "-Ctarget-cpu=native", "--edition", "2021", "--crate-name", "check"];
        let recipe = Recipe {
            compiler: ["RUSTC", "rustc"],
            arguments: &arguments,
            name: "network.rs",
            main: ("check.rs", include_str!("rust/check.rs")),
        };
        recipe.compile(path, workshop)
    }
}

fn source(subject: &Subject, program: &Program, pictures: &Pictures) -> String {
    let (pixels, outputs) = (subject.pixels(), program.output.len);
    let mut text = include_str!("rust/head.rs").to_owned();
    let classes = subject.classes();
    let names = lines(classes.iter().map(|name| format!("{name:?}")), "    ");
    let _ = write!(
        text,
        "/// How many bytes a picture has.\n\
         pub const PIXELS: usize = {pixels};\n\n\
         /// How many numbers the network puts out.\n\
         pub const OUTPUTS: usize = {outputs};\n\n\
         /// The names of the classes.\n\
         #[allow(dead_code)]\n\
         pub const CLASSES: [&str; {}] = [\n{names}];\n\n",
        classes.len()
    );
    text += &buffers_of(program);
    text += include_str!("rust/predict.rs");
    text += &trace(program);
    let (kernels, are_logits) = kernels_of(subject, program);
    if are_logits {
        text += include_str!("rust/probabilities.rs");
    }
    text += &kernels::sections(&TEMPLATES, &kernels);
    for constant in &program.constants {
        let numbers = constant.numbers.iter().map(|&number| literal(number));
        let _ = write!(
            text,
            "\n// {}\n#[rustfmt::skip]\n#[allow(clippy::approx_constant)]\n\
             static {}: [f32; {}] = [\n{}];\n",
            constant.shape,
            constant.name,
            constant.numbers.len(),
            lines(numbers, "    ")
        );
    }
    text + &test(pixels, outputs, pictures)
}

fn buffers_of(program: &Program) -> String {
    let member = |text: fn(usize) -> String| {
        let sizes = program.buffers.iter().enumerate();
        let each =
            sizes.map(|(buffer, &size)| format!("{}: {}", buffers::name(buffer), text(size)));
        each.collect::<Vec<_>>().join(", ")
    };
    format!(
        "/// What the network works in: {} bytes.\n\
         pub struct Buffers {{\n    {},\n}}\n\n\
         impl Buffers {{\n\
         \x20   /// Buffers of any contents.\n\
         \x20   pub const fn new() -> Self {{\n        Buffers {{ {} }}\n    }}\n}}\n\n",
        4 * program.room(),
        member(|size| format!("[f32; {size}]")).replace(", ", ",\n    "),
        member(|size| format!("[0.0; {size}]"))
    )
}

/// The function that calls the kernels.
fn trace(program: &Program) -> String {
    let names: Vec<_> = (0..program.buffers.len()).map(buffers::name).collect();
    let picture = program.picture;
    let mut text = format!(
        "    let Buffers {{ {} }} = buffers;\n\
         \x20   for (number, &byte) in {}[..{}].iter_mut().zip(picture) {{\n\
         \x20       *number = f32::from(byte) / 255.0;\n    }}\n",
        names.join(", "),
        buffers::name(picture.buffer),
        picture.len
    );
    for line in &program.lines {
        let _ = match line {
            Line::Comment(what) => writeln!(text, "\n    // {what}"),
            Line::Call(kernel, arguments) => {
                let arguments: Vec<_> = arguments.iter().map(argument).collect();
                writeln!(text, "    {kernel}({});", arguments.join(", "))
            }
            Line::Output(place, output) => {
                let name = buffers::name(output.buffer);
                writeln!(text, "    observe({place:?}, &{name}[..{}]);", output.len)
            }
        };
    }
    let output = buffers::name(program.output.buffer);
    let _ = write!(
        text,
        "\n    let mut outputs = [0.0; OUTPUTS];\n\
         \x20   outputs.copy_from_slice(&{output}[..OUTPUTS]);\n\
         \x20   (class(&outputs), outputs)\n}}\n\n"
    );
    text
}

fn argument(argument: &Argument) -> String {
    match argument {
        Argument::Read(place) | Argument::ReadAll(place) => {
            format!("&{}[..{}]", buffers::name(place.buffer), place.len)
        }
        Argument::Write(place) | Argument::WriteAll(place) => {
            format!("&mut {}[..{}]", buffers::name(place.buffer), place.len)
        }
        Argument::Constant(name) => format!("&{name}"),
        Argument::Number(number) => value(*number),
        Argument::Settings(name, settings) => {
            let mut text = format!("&{name} {{\n");
            for setting in settings.iter().filter(|setting| !setting.is_length) {
                let _ = writeln!(text, "        {}: {},", setting.name, value(setting.value));
            }
            text + "    }"
        }
    }
}

fn value(value: Value) -> String {
    match value {
        Value::Whole(number) => number.to_string(),
        Value::Real(number) => literal(number),
        Value::Flag(flag) => flag.to_string(),
    }
}

/// The shortest decimal number that is rounded to this one.
fn literal(number: f32) -> String {
    format!("{number:?}")
}

/// The test inside of the file, if there are pictures for it.
fn test(pixels: usize, outputs: usize, pictures: &Pictures) -> String {
    if pictures.bytes.is_empty() {
        return String::new();
    }
    let mut text = include_str!("rust/test.rs").to_owned();
    let count = pictures.bytes.len() / pixels;
    let rows = |rows: Vec<String>| {
        rows.into_iter().map(|row| format!("        [\n{row}        ],\n")).collect::<String>()
    };
    let bytes = pictures.bytes.chunks_exact(pixels);
    let bytes = bytes.map(|bytes| lines(bytes.iter().map(u8::to_string), "            "));
    let bits = pictures.outputs.chunks_exact(outputs);
    let hex = |number: &f32| format!("0x{:08x}", number.to_bits());
    let bits = bits.map(|numbers| lines(numbers.iter().map(hex), "            "));
    let _ = write!(
        text,
        "\n    #[rustfmt::skip]\n    static PICTURES: [[u8; super::PIXELS]; {count}] = [\n{}    ];\n\n    \
         /// The bits of what the network put out when it was exported.\n    \
         #[rustfmt::skip]\n    static BITS: [[u32; super::OUTPUTS]; {count}] = [\n{}    ];\n}}\n",
        rows(bytes.collect()),
        rows(bits.collect())
    );
    text
}
