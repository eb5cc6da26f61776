//! What the exports in Python share: values as Python writes them, constants, and the functions of
//! a file that are needed.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::path::Path;

use anyhow::Context;
use layers::NetworkSpec;
use serde_json::Value;
use tensor::Shape;

use super::subject::Subject;
use super::{Prepared, tools};
use crate::escape::Escape;
use crate::preprocessing::{Normalization, Style};

/// The functions that read pictures.
const READ: &str = include_str!("read.py");

/// Without it Python leaves a folder of compiled files beside the exported ones.
pub(super) const NO_BYTECODE: &str = "-B";

/// The longest line.
const WIDTH: usize = 98;

/// Numbers as a tuple: `(1, 28, 28)`.
pub(super) fn tuple<N: Display>(numbers: &[N]) -> String {
    match numbers {
        [one] => format!("({one},)"),
        _ => format!("({})", numbers.iter().map(N::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// The shape of a sample, without that of the batch.
pub(super) fn shape(shape: Shape) -> String {
    tuple(shape.dims())
}

/// One number, if both are the same, or a pair.
pub(super) fn pair<N: Display + PartialEq>(numbers: [N; 2]) -> String {
    if numbers[0] == numbers[1] { numbers[0].to_string() } else { tuple(&numbers) }
}

/// A list over as many lines as it takes.
fn list(items: impl Iterator<Item = String>) -> String {
    let mut lines = vec![String::new()];
    for item in items {
        let last = lines.last_mut().expect("a line");
        if last.is_empty() {
            *last = format!("{item},");
        } else if last.chars().count() + item.chars().count() + 6 <= WIDTH {
            *last += &format!(" {item},");
        } else {
            lines.push(format!("{item},"));
        }
    }
    match lines.as_slice() {
        [one] if one.chars().count() < WIDTH - 10 => format!("[{}]", one.trim_end_matches(',')),
        _ => format!("[\n    {}\n]", lines.join("\n    ")),
    }
}

/// What is known of the model: its classes, the shape of a picture, and what normalises it.
pub(super) fn constants(subject: &Subject) -> String {
    // JSON's texts are Python's too.
    let names = subject.classes().into_iter().map(|name| Value::from(name).to_string());
    let mut text = String::new();
    // JSON is no Python, so it is a comment.
    if let Ok(form) = subject.preparation() {
        text += &format!("# Before training, pictures were brought to this form:\n# {form}\n");
    }
    text += &format!("CLASSES = {}\n", list(names));
    text += &format!("PICTURE = {}  # channels, height, width\n", tuple(&subject.picture));
    if let Normalization::Standard { mean, deviation } = subject.normalization() {
        for (name, numbers) in [("MEAN", mean), ("DEVIATION", deviation)] {
            let numbers = numbers.iter().map(|number| format!("{number:?}")).collect::<Vec<_>>();
            text += &format!("{name} = [{}]  # of each channel, from 0 to 1\n", numbers.join(", "));
        }
    }
    text
}

/// The function that reads picture files.
pub(super) fn reader(subject: &Subject) -> String {
    let style = subject.model.preprocessing().map(|preprocessing| preprocessing.style);
    let more = match style {
        Ok(Style::Digit) => "Digits must be white on black and centred, as MNIST's are.",
        _ => "They are stretched to the size, whatever else was done before training.",
    };
    READ.trim_end().replace("#: more", more)
}

/// Those functions and classes of a file, two empty lines apart, that a text uses, and those that
/// these use.
pub(super) fn needed(file: &str, text: &str) -> String {
    let blocks: Vec<_> = file.trim_end().split("\n\n\n").collect();
    let mut is_used = vec![false; blocks.len()];
    let mut texts = vec![text];
    while let Some(text) = texts.pop() {
        for (block, is_used) in blocks.iter().zip(&mut is_used) {
            if !*is_used && uses(text, name(block)) {
                *is_used = true;
                texts.push(block);
            }
        }
    }
    let used = blocks.iter().zip(&is_used).filter(|(_, is_used)| **is_used);
    used.map(|(block, _)| *block).collect::<Vec<_>>().join("\n\n\n")
}

/// The name of a function or a class.
fn name(block: &str) -> &str {
    let rest = block.strip_prefix("def ").or(block.strip_prefix("class ")).unwrap_or(block);
    rest.split(['(', ':']).next().unwrap_or(rest)
}

/// Whether a text calls or hands over what has this name, beyond where it defines it.
fn uses(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        !before.ends_with(is_part)
            && !before.ends_with("def ")
            && !before.ends_with("class ")
            && after.starts_with(['(', ',', ')'])
    })
}

/// A setting of the layer at a place, such as `"3.0"`, as the network's description has it.
pub(super) fn setting(network: &NetworkSpec, place: &str, key: &str) -> Option<Value> {
    let mut layer = serde_json::to_value(network).ok()?;
    for index in place.split('.') {
        layer = layer.get_mut("layers")?.get_mut(index.parse::<usize>().ok()?)?.take();
    }
    layer.get(key).cloned()
}

/// Makes what was exported ready to run by a script, which goes into the workshop, in a Python with
/// these modules and flags.
pub(super) fn prepare(
    (script, modules, flags): (&str, &[&str], &[&str]),
    path: &Path,
    workshop: &Path,
) -> anyhow::Result<Prepared> {
    let python = match tools::python(modules, workshop)? {
        Ok(python) => python,
        Err(missing) => return Ok(Prepared::Missing(missing)),
    };
    let file = workshop.join("check.py");
    fs::write(&file, script).with_context(|| file.escaped())?;
    let flags = flags.iter().map(OsString::from);
    let words = [python].into_iter().chain(flags).chain([file.into(), path.into()]);
    Ok(Prepared::Program(words.collect()))
}

#[cfg(test)]
pub(super) mod trials;

#[cfg(test)]
mod tests {
    use super::{list, needed, pair, tuple};

    #[test]
    fn values_are_written_as_python_reads_them() {
        assert_eq!(tuple(&[1, 28, 28]), "(1, 28, 28)");
        assert_eq!((tuple(&[7]), tuple::<usize>(&[])), ("(7,)".into(), "()".into()));
        assert_eq!((pair([2, 2]), pair([1, 2])), ("2".into(), "(1, 2)".into()));
        assert_eq!(list(["1".into(), "2".into()].into_iter()), "[1, 2]");
        let long = list((0..100).map(|x: usize| format!("\"{x}\"")));
        assert!(long.lines().all(|line| line.len() <= super::WIDTH), "{long}");
        assert!(long.starts_with("[\n    \"0\", \"1\"") && long.ends_with("\"99\",\n]"), "{long}");
    }

    #[test]
    fn only_what_is_used_is_written() {
        let file = "def a(x):\n    return b(x)\n\n\ndef b(x):\n    return x\n\n\nclass C(list):\n    pass\n";
        assert_eq!(needed(file, "b(3)"), "def b(x):\n    return x");
        assert!(needed(file, "[a, 4]").starts_with("def a(x):\n    return b(x)\n\n\ndef b(x)"));
        assert_eq!(needed(file, "lab(3), nn.C(4)"), "");
        assert_eq!(needed(file, "C([])"), "class C(list):\n    pass");
    }
}
