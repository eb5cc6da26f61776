//! `explain`: what it shows are the library's numbers, to the bit.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use layers::{BackwardStart, LayerRun, Loss, Mode, Network, Workspace, network_of};
use tensor::{Element, Scratch};

use crate::common::{mnist, objects, run_line, succeeds, text, train_small, write_png};

/// A model of a preset after a few steps, with the page that explains a test image.
#[track_caller]
fn explained(folder: &Path, preset: &str, line: &str) -> String {
    train_small(
        folder,
        &format!("--preset {preset} --epochs 1 --train-limit 100 --test-limit 20 --out {preset}"),
    );
    let printed = succeeds(folder, &format!("explain {preset} {line} --html page.html"));
    assert!(printed.contains("written: page.html"), "{printed}");
    fs::read_to_string(folder.join("page.html")).unwrap()
}

/// The library's numbers on a page: layer, name, number.
fn numbers(page: &str) -> Vec<(String, String, String)> {
    let part = |text: &str, before: &str| {
        let rest = text.split(before).nth(1).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let elements = page.split("<data class=\"library\"").skip(1);
    elements
        .map(|text| {
            (part(text, "data-layer=\""), part(text, "data-name=\""), part(text, "value=\""))
        })
        .collect()
}

/// The layers of a network after both passes of one sample, and the gradient of the input.
struct Passes<'a, T> {
    inputs: Vec<Vec<T>>,
    runs: Vec<LayerRun<'a, T>>,
    input_gradients: Vec<Vec<T>>,
}

impl<'a, T: Element> Passes<'a, T> {
    fn new(network: &'a Network<T>, input: &[T], target: &[T], loss: &Loss) -> Self {
        let (mut inputs, mut runs) = (vec![input.to_vec()], Vec::new());
        let mut scratch = Scratch::sequential();
        for layer in network.layers() {
            let mut run = layer.run(layer.layer, 1, Mode::Inference);
            run.forward(inputs.last().unwrap(), &mut scratch);
            inputs.push(run.output.to_vec());
            runs.push(run);
        }
        let output = inputs.pop().unwrap();
        let mut workspace = Workspace::new(network, 1);
        assert_eq!(network.predict(input, &mut workspace), output);
        let start = BackwardStart::new(network.spec(), loss);
        let mut input_gradients = vec![Vec::new(); runs.len()];
        loss.gradient(&output, target, 1.0, &mut runs.last_mut().unwrap().output_gradient);
        let mut gradient = vec![T::ZERO; output.len()];
        start.gradient(loss, [&output, target], output.len(), 1.0, &mut gradient);
        if start.layers() < runs.len() {
            input_gradients[start.layers()] = gradient.clone();
        }
        for index in (0..start.layers()).rev() {
            runs[index].output_gradient.copy_from_slice(&gradient);
            gradient = vec![T::ZERO; inputs[index].len()];
            runs[index].backward(&inputs[index], Some(&mut gradient), &mut scratch);
            input_gradients[index] = gradient.clone();
        }
        Self { inputs, runs, input_gradients }
    }

    /// The number of this name in a layer, such as `∂E/∂K_2,0[1,1]`.
    fn number(&self, layer: usize, name: &str) -> T {
        let run = &self.runs[layer];
        let is_gradient = name.starts_with("∂E/∂");
        let name = name.trim_start_matches("∂E/∂");
        let symbol = name.chars().next().unwrap();
        let digits = name[symbol.len_utf8()..].replace(|c: char| !c.is_ascii_digit(), " ");
        let indices: Vec<usize> =
            digits.split_whitespace().map(|digits| digits.parse().unwrap()).collect();
        let flat = |axes: &[usize]| {
            // `∂E/∂B[2]` of a bias for each plane has one index, as has an axis.
            assert_eq!(axes.len(), indices.len(), "{name}");
            indices.iter().zip(axes).fold(0, |place, (index, len)| place * len + index)
        };
        let array = |wanted: &str| {
            let mut start = 0;
            for array in run.layer().parameters() {
                if array.name == wanted {
                    return run.gradients[start + flat(array.shape.dims())];
                }
                start += array.shape.len();
            }
            panic!("{name}: no array {wanted}");
        };
        match (symbol, is_gradient) {
            ('Y', false) => run.output[flat(run.layer().output_shape().dims())],
            ('X', true) => self.input_gradients[layer][flat(run.layer().input_shape().dims())],
            ('K' | 'W' | 'γ', true) => array("weight"),
            ('B' | 'β', true) => array("bias"),
            _ => panic!("{name}"),
        }
    }
}

/// Compares all numbers of a page with those of the library.
#[track_caller]
fn compare<T: Element + std::str::FromStr>(folder: &Path, preset: &str, index: usize, page: &str) {
    let bytes = fs::read(folder.join(preset).join("model.safetensors")).unwrap();
    let network: Network<T> = network_of(&bytes).unwrap();
    let loss = mnist_app::presets::experiment(preset).unwrap().loss;
    let samples = &mnist().1;
    let (mut input, mut target) = (vec![T::ZERO; 784], vec![T::ZERO; 10]);
    samples.write_image(index, &mut input);
    samples.write_target(index, &mut target);
    let passes = Passes::new(&network, &input, &target, &loss);
    let found = numbers(page);
    let mut of_layers = BTreeMap::new();
    for (layer, name, value) in &found {
        let value_of = |text: &str| text.parse::<T>().ok().expect("a number");
        if layer != "loss" {
            let layer: usize = layer.parse().unwrap();
            assert_eq!(value_of(value), passes.number(layer, name), "layer {layer}, {name}");
            *of_layers.entry(layer).or_insert(0) += 1;
        } else if name == "E" {
            let output = &passes.runs.last().unwrap().output;
            assert_eq!(value.parse(), Ok(loss.value(output, &target)));
        }
    }
    // At least an output and the gradient of an input each.
    assert!(of_layers.len() == passes.runs.len() && of_layers.values().all(|&count| count >= 2));
    assert_eq!(found.iter().filter(|(layer, ..)| layer == "loss").count(), 2);
    // The numbers with which windows are moved.
    let first = page.split("id=\"numbers-0\">").nth(1).unwrap().split("</script>").next().unwrap();
    let first: serde_json::Value = serde_json::from_str(first).unwrap();
    let outputs = passes.runs[0].output.len() * size_of::<T>();
    assert_eq!(first["y"].as_str().unwrap().len(), outputs.div_ceil(3) * 4);
    assert_eq!(passes.inputs[0].len(), 784);
}

#[test]
fn lenets_page_has_the_numbers_of_the_library() {
    let here = tempfile::tempdir().unwrap();
    let page = explained(here.path(), "lenet", "test:3");
    compare::<f32>(here.path(), "lenet", 3, &page);
    assert!(page.len() < 1_000_000, "{}", page.len());
    for (start, others) in [
        ("http:", &[][..]),
        ("https:", &[]),
        ("src=", &["src=\"data:"]),
        ("href=", &["href=\"#", "href=\"data:"]),
    ] {
        let outside = page
            .match_indices(start)
            .find(|(at, _)| !others.iter().any(|other| page[*at..].starts_with(other)));
        assert_eq!(outside.map(|(at, _)| &page[at..at + 40]), None);
    }
}

#[test]
fn the_notebooks_page_has_the_numbers_of_the_library() {
    let here = tempfile::tempdir().unwrap();
    let page = explained(here.path(), "notebook", "test:7 --layer 0 --kernel 4 --at 11,12");
    compare::<f32>(here.path(), "notebook", 7, &page);
    assert!(page.len() < 1_000_000, "{}", page.len());
    assert!(page.contains("data-name=\"Y_4[11,12]\""));
    assert!(page.contains("those of loss and sigmoid, multiplied, cancel"));
}

#[test]
fn a_picture_of_ones_own_is_explained_and_what_is_no_picture_refused() {
    let here = tempfile::tempdir().unwrap();
    let folder = here.path();
    train_small(folder, "--preset lenet --epochs 1 --train-limit 100 --test-limit 20 --out run");
    let samples = &mnist().1;
    write_png(&folder.join("digit.png"), [1, 28, 28], samples.image(3));
    write_png(&folder.join("colour.png"), [3, 28, 28], &vec![9; 3 * 784]);
    write_png(&folder.join("large.png"), [1, 30, 29], &vec![9; 870]);

    // The same pixels and the same class have the same numbers.
    let label = samples.labels()[3];
    let json = |line: &str| objects(&succeeds(folder, &format!("explain run {line} --json")));
    let (own, known) = (json(&format!("digit.png --label {label}")), json("test:3"));
    assert_eq!(own[1..], known[1..]);
    assert_eq!((own[0]["kind"].as_str(), own.len()), (Some("picture"), 12));
    let told = succeeds(folder, "explain run digit.png");
    assert!(told.contains("the true class is not known"), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 79));
    let one = succeeds(folder, "explain run digit.png --layer 3");
    assert!(one.contains("\n 3 Conv2d") && !one.contains("\n 0 Conv2d") && one.len() < told.len());

    for (line, expected) in [
        ("run nothing.png", "nothing.png: expected test:N, validation:N or train:N"),
        (
            "run digit.png --data nowhere",
            "--data: expected it with test:N, validation:N or train:N",
        ),
        ("run run/config.toml", "found a text"),
        ("run test:10000", "from 0 to 99"),
        ("run test:x", "test:N, validation:N or train:N, counted from 0, or a picture's file"),
        ("run test:3 --label eleven", "--label: expected one of the classes 0, 1, 2"),
        ("run test:3 --kernel 3", "--layer"),
        ("run test:3 --layer 10", "--layer: expected a layer from 0 to 9, found 10"),
        ("run test:3 --layer 0 --at 24,0", "--at: expected from 0,0 to 23,23"),
        ("run test:3 --layer 0 --at 24", "--at: expected a row and a column, such as 5,7"),
        ("run test:3 --html no/such/folder/page.html", "--html no/such/folder/page.html"),
        ("run test:3 --html run/model.safetensors", "a file whose name ends with .html"),
        ("run test:3 --json --html page.html", "found both"),
    ] {
        let output = run_line(folder, &format!("explain {line}"));
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{line}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        // A flag that does not fit is wrong usage.
        let is_usage = said.contains("error: --") && !line.contains("no/such");
        assert!(!is_usage || output.status.code() == Some(2), "{line}: {said}");
    }
}

#[test]
fn of_a_committee_a_member_is_named() {
    let here = tempfile::tempdir().unwrap();
    let folder = here.path();
    fs::write(folder.join("two.toml"), crate::committee::TWO).unwrap();
    train_small(folder, "--config two.toml --epochs 1 --train-limit 20 --test-limit 20 --out two");
    let output = run_line(folder, "explain two test:0");
    let said = text(&output.stderr);
    assert!(said.contains("name the folder of a member, such as two/member-1"), "{said}");
    let member = succeeds(folder, "explain two/member-2 test:0");
    assert!(member.contains("Dropout"), "{member}");
}

/// The number in a line of text that begins with this name.
fn number_after(line: &str, name: &str) -> Option<f64> {
    let rest = line.trim_start().strip_prefix(name)?.trim_start();
    rest.split_whitespace().next()?.replace('−', "-").parse().ok()
}

#[test]
fn what_is_printed_comes_out_by_hand() {
    let here = tempfile::tempdir().unwrap();
    let folder = here.path();
    train_small(folder, "--preset lenet --epochs 1 --train-limit 100 --test-limit 20 --out run");
    let told = succeeds(folder, "explain run test:3");
    assert!(!told.contains('…'), "{told}");
    let lines: Vec<_> = told.lines().collect();
    let nudges = lines.iter().enumerate().filter(|(_, line)| line.contains("nudged, in f64"));
    let mut count = 0;
    for (at, line) in nudges {
        let last = |line: &str| line.split_whitespace().last().unwrap().replace('−', "-");
        let [h, above, below, quotient, gradient] =
            [line, lines[at + 1], lines[at + 2], lines[at + 3], lines[at + 4]]
                .map(|line| last(line).parse::<f64>().unwrap());
        let by_hand = (above - below) / (2.0 * h);
        let size = quotient.abs().max(gradient.abs());
        assert!(
            (by_hand - quotient).abs() <= 1e-9 * size.max(1e-3),
            "{line}: {by_hand} {quotient}"
        );
        if let Some(digits) = lines[at + 5].split("the same in ").nth(1) {
            let digits: i32 = digits.split(' ').next().unwrap().parse().unwrap();
            let bound = size * (10_f64.powi(-digits) + 1e-9);
            assert!((quotient - gradient).abs() <= bound, "{:?}", &lines[at..at + 6]);
            count += 1;
        }
    }
    assert!(count > 10, "{told}");
    // The gradient of the loss.
    for index in 0..4 {
        let told = succeeds(folder, &format!("explain run test:{index} --layer 9"));
        let (_, told) = told.split_once("gradient of the output").unwrap();
        let label = mnist().1.labels()[index];
        let find = |name: &str| told.lines().find_map(|line| number_after(line, name));
        let (p, t) = (find(&format!("p[{label}]")).unwrap(), find(&format!("t[{label}]")).unwrap());
        if let Some(formula) = find("= the formula") {
            assert!((p - t - formula).abs() < 2e-9, "{p} {t} {formula}");
            assert!((formula - find("library").unwrap()).abs() < 1e-6);
        } else {
            let value = find(&format!("= ∂E/∂y[{label}]")).unwrap();
            assert!((p - t - value).abs() < 1e-7 * value.abs(), "{p} {t} {value}");
        }
    }
}
