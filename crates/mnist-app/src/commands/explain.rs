//! `explain`: one picture's way through a network and back, formula by formula.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use layers::Network;
use tensor::Element;

use super::{Common, output_file};
use crate::console::{Console, notice};
use crate::dataset::Classes;
use crate::escape::{Escape, quoted};
use crate::experiment::Precision;
use crate::explain::{Choice, Subject, Walk, html, text};
use crate::files;
use crate::memory;
use crate::model::chosen::{ChosenPicture, PictureChoice};
use crate::model::{Model, SavedNetwork};
use crate::threads::ThreadCount;
use crate::usage::Usage;

/// Walks one picture through a network, forward and backward, with the formulas and its numbers
///
/// Of each layer one output is computed as on paper: the window, the kernel, the products and their
/// sum; then the loss; then each kind of gradient, with what nudging a number does beside it. It is
/// the layer's largest output for this picture, unless --layer, --kernel and --at choose another.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// a model.safetensors or the folder of a run; of a committee, the folder of a member
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// a picture's file, or one of the model's data, counted from 0: test:17, train:3
    #[arg(value_name = "PICTURE", value_parser = picture)]
    picture: PictureChoice,
    /// The class that the picture shows, by its name; without it, that of the data, or of a file
    /// the predicted one
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// The layer that --kernel and --at choose from; as text, it alone is shown
    #[arg(long, value_name = "N", value_parser = place, allow_negative_numbers = true)]
    layer: Option<usize>,
    /// The kernel whose output is shown, or the output of a layer without planes
    #[arg(long, value_name = "D", value_parser = place, allow_negative_numbers = true, requires = "layer")]
    kernel: Option<usize>,
    /// Row and column of the output that is shown, counted from 0
    #[arg(long, value_name = "Y,X", value_parser = row_and_column, allow_negative_numbers = true, requires = "layer")]
    at: Option<[usize; 2]>,
    /// Write a page instead of printing text: one file, in which the window can be moved
    #[arg(long, value_name = "FILE.html", value_parser = output_file::html)]
    html: Option<PathBuf>,
    /// Other data than those that the model is for
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print a JSON object a line instead of text: the picture, each layer, the loss
    #[arg(long, conflicts_with = "html")]
    json: bool,
    #[command(flatten)]
    common: Common,
}

fn picture(text: &str) -> Result<PictureChoice, String> {
    text.parse()
}

/// A whole number from 0 on.
fn place(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "a whole number from 0 on".to_owned())
}

fn row_and_column(text: &str) -> Result<[usize; 2], String> {
    let pair = text.split_once(',').and_then(|(y, x)| Some([y.parse().ok()?, x.parse().ok()?]));
    pair.ok_or_else(|| "a row and a column, such as 5,7".to_owned())
}

/// Prints the walk, or writes it as a page.
///
/// # Errors
/// If the model or the picture is not what it should be.
pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    if let Some(file) = &flags.html {
        output_file::require_place("--html", file)?;
    }
    if let (PictureChoice::File(file), true) = (&flags.picture, flags.data.is_some()) {
        let file = file.escaped();
        let complaint = format!(
            "--data: expected it with test:N, validation:N or train:N, found it with {file}"
        );
        return Err(Usage(complaint).into());
    }
    let model = Model::open(&flags.model)?;
    let [network] = model.networks() else {
        bail!(
            "{}: expected a single network, found a committee of {}; name the folder of a member, \
             such as {}",
            model.path().escaped(),
            model.networks().len(),
            model.path().join(crate::run_folder::member(1)).escaped()
        );
    };
    ThreadCount::of(flags.common.threads)?.share(1, || match network.precision() {
        Precision::F32 => explain::<f32>(flags, &model, network),
        Precision::F64 => explain::<f64>(flags, &model, network),
    })
}

fn explain<T: Element>(flags: &Flags, model: &Model, saved: &SavedNetwork) -> anyhow::Result<()> {
    let picture = flags.picture.read(model, flags.data.as_deref())?;
    if !flags.common.quiet {
        picture.notes.iter().for_each(notice);
    }
    let network: Network<T> = saved.network_as()?;
    let wide: Network<f64> = saved.network_as()?;
    let bytes = network.spec().footprint::<T>()?.inspection(1);
    let bytes = bytes.saturating_add(wide.spec().footprint::<f64>()?.inspection(1));
    memory::require("both passes of one picture", bytes, "choose a smaller model")?;
    let classes: Vec<_> =
        (0..model.classes().count()).map(|label| model.classes().name(label)).collect();
    let label = label(flags, model.classes(), &picture)?;
    if let (Some(target), Some(own)) = (label, picture.label)
        && target != own
        && !flags.common.quiet
    {
        notice(format_args!(
            "--label: {} is taken as the target, though {} is a {}",
            classes[usize::from(target)].escaped(),
            picture.name.escaped(),
            classes[usize::from(own)].escaped()
        ));
    }
    let Flags { layer, kernel, at, .. } = *flags;
    let subject = Subject {
        input: &picture.input::<f64>(),
        loss: saved.loss(),
        label,
        classes: &classes,
        choice: Choice { layer, kernel, at },
    };
    let walk = Walk::new(&network, &wide, &subject)?;
    let mut console = Console::default();
    if flags.json {
        return lines_of_json(&walk, &picture, &mut console);
    }
    let Some(file) = &flags.html else {
        let only = layer.map(|layer| layer.to_string());
        return console.print(text::lines(&walk, &picture.name, only.as_deref()));
    };
    let page = html::page(&walk, &picture)?;
    files::Partial::write(file, page.as_bytes())
        .and_then(files::Partial::rename)
        .with_context(|| format!("--html {}", file.escaped()))?;
    if flags.common.quiet { Ok(()) } else { console.line(format!("written: {}", file.escaped())) }
}

/// The class that is the target, if it is known.
fn label(flags: &Flags, classes: &Classes, picture: &ChosenPicture) -> anyhow::Result<Option<u8>> {
    let Some(name) = &flags.label else { return Ok(picture.label) };
    let label = classes.label(name).ok_or_else(|| {
        Usage(format!("--label: expected one of the classes {classes}, found {}", quoted(name)))
    })?;
    Ok(Some(u8::try_from(label)?))
}

/// The picture, each layer, the loss: an object a line.
fn lines_of_json(
    walk: &Walk,
    picture: &ChosenPicture,
    console: &mut Console,
) -> anyhow::Result<()> {
    #[derive(serde::Serialize)]
    struct Line<'a, V> {
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        picture: Option<&'a str>,
        #[serde(flatten)]
        value: &'a V,
    }
    let head = Line { kind: "picture", picture: Some(&picture.name), value: walk };
    console.line(serde_json::to_string(&head)?)?;
    for layer in &walk.layers {
        let line = Line { kind: "layer", picture: None, value: layer };
        console.line(serde_json::to_string(&line)?)?;
    }
    let loss = Line { kind: "loss", picture: None, value: &walk.loss };
    console.line(serde_json::to_string(&loss)?)
}
