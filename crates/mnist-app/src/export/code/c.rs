//! One file of C99.

use std::fmt::Write as _;
use std::path::Path;

use super::compiler::Recipe;
use super::program::{Argument, Line, Program, Value};
use super::{buffers, kernels, kernels_of, lines, written};
use crate::export::subject::Subject;
use crate::export::{Answers, Format, Kind, Pictures, Prepared, Written};

/// The format `c`: one file of C99 without library calls.
pub(crate) struct C;

const TEMPLATES: [&str; 4] = [
    include_str!("c/arithmetic.c"),
    include_str!("c/convolution.c"),
    include_str!("c/layers.c"),
    include_str!("c/functions.c"),
];

impl Format for C {
    fn kind(&self) -> Kind {
        Kind::File("c")
    }

    fn tests_itself(&self) -> bool {
        true
    }

    fn write(&self, subject: &Subject, pictures: &Pictures) -> anyhow::Result<Written> {
        written("c", subject, |program| source(subject, program, pictures))
    }

    fn answers(&self) -> Answers {
        Answers::SameBits
    }

    fn prepare(&self, path: &Path, workshop: &Path) -> anyhow::Result<Prepared> {
        // With the widest vectors that this machine has; they change no bit.
        let vectors = if cfg!(target_arch = "x86_64") { "-march=native" } else { "-O3" };
        let arguments = ["-std=c99", "-O3", vectors, "-Wall", "-Wextra", "-Wpedantic"];
        let recipe = Recipe {
            compiler: ["CC", "cc"],
            arguments: &arguments,
            name: "network.c",
            main: ("check.c", include_str!("c/check.c")),
        };
        recipe.compile(path, workshop)
    }
}

fn source(subject: &Subject, program: &Program, pictures: &Pictures) -> String {
    let (pixels, outputs) = (subject.pixels(), program.output.len);
    let classes = subject.classes();
    let mut text = include_str!("c/head.c").to_owned();
    let _ = write!(
        text,
        "#define NETWORK_PIXELS {pixels}\n\
         #define NETWORK_OUTPUTS {outputs}\n\
         #define NETWORK_CLASSES {}\n\n\
         // What the network works in: {} bytes.\n\
         struct network_buffers {{\n",
        classes.len(),
        4 * program.room()
    );
    for (buffer, size) in program.buffers.iter().enumerate() {
        let _ = writeln!(text, "    float {}[{size}];", buffers::name(buffer));
    }
    text += "};\n\n";
    text += include_str!("c/declarations.c");
    let names = lines(classes.iter().map(|name| quoted(name)), "    ");
    let _ = write!(text, "const char *const network_classes[NETWORK_CLASSES] = {{\n{names}}};\n\n");
    for constant in &program.constants {
        let numbers = constant.numbers.iter().map(|&number| literal(number));
        let _ = write!(
            text,
            "// {}\nstatic const float {}[{}] = {{\n{}}};\n\n",
            constant.shape,
            constant.name,
            constant.numbers.len(),
            lines(numbers, "    ")
        );
    }
    let (kernels, are_logits) = kernels_of(subject, program);
    text += &kernels::sections(&TEMPLATES, &kernels);
    text += &predict(program);
    if are_logits {
        text += include_str!("c/probabilities.c");
    }
    text + &test(pixels, outputs, pictures)
}

/// The function that calls the kernels.
fn predict(program: &Program) -> String {
    let mut text = include_str!("c/predict.c").to_owned();
    let picture = buffers::name(program.picture.buffer);
    let _ = write!(
        text,
        "    for (size_t i = 0; i < NETWORK_PIXELS; i++) {{\n\
         \x20       buffers->{picture}[i] = (float)picture[i] / 255.0f;\n    }}\n"
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
                writeln!(text, "    NETWORK_OBSERVE({place:?}, buffers->{name}, {});", output.len)
            }
        };
    }
    let output = buffers::name(program.output.buffer);
    let _ = write!(
        text,
        "\n    for (size_t i = 0; i < NETWORK_OUTPUTS; i++) {{\n\
         \x20       outputs[i] = buffers->{output}[i];\n    }}\n\
         \x20   return network_class(outputs);\n}}\n"
    );
    text + include_str!("c/static_buffers.c")
}

fn argument(argument: &Argument) -> String {
    match argument {
        Argument::Read(place) | Argument::Write(place) => {
            format!("buffers->{}", buffers::name(place.buffer))
        }
        Argument::ReadAll(place) | Argument::WriteAll(place) => {
            format!("buffers->{}, {}", buffers::name(place.buffer), place.len)
        }
        Argument::Constant(name) => name.clone(),
        Argument::Number(number) => value(*number),
        Argument::Settings(name, settings) => {
            let mut text = format!("&(const struct {}){{\n", snake_case(name));
            for setting in settings {
                let _ = writeln!(text, "        .{} = {},", setting.name, value(setting.value));
            }
            text + "    }"
        }
    }
}

/// `group_norm` for `GroupNorm`.
fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

fn value(value: Value) -> String {
    match value {
        Value::Whole(number) => number.to_string(),
        Value::Real(number) => literal(number),
        Value::Flag(flag) => u8::from(flag).to_string(),
    }
}

/// The shortest decimal number that is rounded to this one.
fn literal(number: f32) -> String {
    format!("{number:?}f")
}

/// A text as C writes it: bytes that are no plain characters in base 8, and no `??`, which may begin
/// a trigraph.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | b'?' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\{byte:03o}");
            }
        }
    }
    quoted + "\""
}

/// The test inside of the file, if there are pictures for it.
fn test(pixels: usize, outputs: usize, pictures: &Pictures) -> String {
    if pictures.bytes.is_empty() {
        return String::new();
    }
    let count = pictures.bytes.len() / pixels;
    let rows = |rows: Vec<String>| {
        rows.into_iter().map(|row| format!("    {{\n{row}    }},\n")).collect::<String>()
    };
    let bytes = pictures.bytes.chunks_exact(pixels);
    let bytes = bytes.map(|bytes| lines(bytes.iter().map(u8::to_string), "        "));
    let bits = pictures.outputs.chunks_exact(outputs);
    let hex = |number: &f32| format!("0x{:08x}", number.to_bits());
    let bits = bits.map(|numbers| lines(numbers.iter().map(hex), "        "));
    format!(
        "\n#ifdef NETWORK_TEST\n\
         #define PICTURES {count}\n\
         static const uint8_t pictures[PICTURES][NETWORK_PIXELS] = {{\n{}}};\n\n\
         // The bits of what the network put out when it was exported.\n\
         static const uint32_t expected[PICTURES][NETWORK_OUTPUTS] = {{\n{}}};\n\n{}#endif\n",
        rows(bytes.collect()),
        rows(bits.collect()),
        include_str!("c/test.c")
    )
}
