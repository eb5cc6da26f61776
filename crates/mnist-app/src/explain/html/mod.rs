//! The walk as a page: what is chosen is drawn, and with JavaScript the reader moves the window.

mod calculation;
mod maps;
mod movable;

use std::fmt::Write as _;

use tensor::Shape;

use super::calculation::Step;
use super::text::{head, shown_rows};
use super::{LayerWalk, Walk};
use crate::escape::Escape;
use crate::html::{Cell, Page, figure, image, table, text};
use crate::model::chosen::ChosenPicture;
use crate::picture::Picture;

use calculation::{result, steps_of};
use movable::Movable;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The whole page.
///
/// # Errors
/// If a picture cannot be encoded.
pub(crate) fn page(walk: &Walk, picture: &ChosenPicture) -> anyhow::Result<String> {
    let mut movable = Movable::default();
    let mut body = introduction(walk, picture)?;
    body.push_str(FORWARD);
    for layer in &walk.layers {
        body.push_str(&title("forward", layer));
        let formula = math(&layer.formula);
        let rule = math(&format!("Shown: {}, {}.", layer.forward.name, layer.rule));
        let _ = writeln!(body, "<p class=\"formula\">{formula}</p>\n<p>{rule}</p>");
        body.push_str(&maps::outputs(layer)?);
        body.push_str(&with_maps(layer, &layer.forward, walk.precision, &mut movable)?);
    }
    body.push_str(&loss(walk));
    body.push_str(BACKWARD);
    for layer in walk.layers.iter().rev() {
        body.push_str(&title("backward", layer));
        for formula in &layer.gradient_formulas {
            let _ = writeln!(body, "<p class=\"formula\">{}</p>", math(formula));
        }
        for step in &layer.backward {
            let heading = format!("{}: {}", math(&step.name), text(&step.title));
            let _ = writeln!(body, "<h4>{heading}</h4>");
            body.push_str(&with_maps(layer, step, walk.precision, &mut movable)?);
        }
    }
    body.push_str(NOTES);
    body.push_str(&movable.data());
    let title = format!("{}, explained", picture.name);
    Ok(Page { title: &title, style: STYLE, body: &body, script: Some(SCRIPT) }.html())
}

const FORWARD: &str = "<h2 id=\"forward\">Forward: from the picture to the outputs</h2>\n\
    <p>Each layer turns its input X into an output Y. One number of Y is computed here as on \
    paper; the layer computes all the others in the same way.</p>\n";

const BACKWARD: &str = "<h2 id=\"backward\">Backward: how much the loss changes with each \
    number</h2>\n<p>∂E/∂w says how fast the loss E grows when w grows and nothing else changes. \
    From the last layer to the first, each takes the gradient of its output, ∂E/∂Y, and computes \
    those of its weights and of its input, which is the output of the layer before. Beside each \
    stands what happens when the number itself is nudged: the loss is computed twice more, and the \
    slope between the two is the same number. That is done in f64, as in f32 rounding would hide \
    the difference of the two losses; it is compared with the gradient in f64, to which the \
    library’s is equal up to rounding.</p>\n";

const NOTES: &str = "<h2 id=\"notes\">How to read the numbers</h2>\n\
    <p>Indices begin at 0. Each sum, and each formula beside it, is computed in f64 from what stands above it. The number behind \
    “library” is the one that the network computes with: it adds in another order, and rounds each \
    time to the network’s precision, which makes the small difference. ⋆ is a \
    cross-correlation, a kernel that slides over a picture as it is; * is a convolution, in which \
    the kernel is turned by 180° first. Chapters 1 and 2 of the program’s documentation explain \
    convolutions and gradients from the beginning.</p>\n";

/// The picture, what the network says of it, and where things are on the page.
fn introduction(walk: &Walk, picture: &ChosenPicture) -> anyhow::Result<String> {
    const SIDE: usize = 224;
    let drawn = Picture::of_sample(picture.shape, &picture.pixels);
    let [height, width] = drawn.size();
    let factor = (SIDE / height.max(width)).max(1);
    let picture_html = image(
        &drawn.png()?,
        &format!("{}, enlarged", picture.name),
        [height, width].map(|x| x * factor),
    );
    let mut html = format!("<h1>{}, step by step</h1>\n", text(&picture.name));
    html.push_str(&figure(&picture_html, &text(&head(walk, &picture.name))));
    html.push_str("<nav aria-label=\"Layers\">\n<ul class=\"layers\">\n");
    for layer in &walk.layers {
        let id = id(layer);
        let name = format!("{} {}", layer.layer, layer.name);
        let _ = writeln!(
            html,
            "<li>{}: <a href=\"#forward-{id}\">forward</a>, <a href=\"#backward-{id}\">backward</a></li>",
            text(&name)
        );
    }
    html.push_str("<li><a href=\"#loss\">The loss</a></li>\n<li><a href=\"#notes\">How to read the numbers</a></li>\n</ul>\n</nav>\n");
    Ok(html)
}

fn id(layer: &LayerWalk) -> String {
    layer.layer.replace('.', "-")
}

fn title(part: &str, layer: &LayerWalk) -> String {
    let [input, output] =
        [&layer.input_shape, &layer.output_shape].map(|shape| Shape::new(shape).to_string());
    format!(
        "<h3 id=\"{part}-{}\">{} {} <span class=\"shapes\">{input} → {output}</span></h3>\n",
        id(layer),
        layer.layer,
        text(&layer.name)
    )
}

/// A step's formula, its place in the planes, and its calculation.
fn with_maps(
    layer: &LayerWalk,
    step: &Step,
    precision: &str,
    movable: &mut Movable,
) -> anyhow::Result<String> {
    let formula = format!("{} = {}", math(&step.name), math(&step.formula));
    let mut html = format!("<p class=\"formula\">{formula}</p>\n");
    let (maps, kind) = maps::of_step(layer, step)?;
    let parts = steps_of(step, precision);
    let result = result(&layer.layer, step, precision);
    let is_still = kind.is_some();
    if let Some((kind, id)) = kind.and_then(|kind| Some((kind, movable.add(layer)?))) {
        let _ = write!(
            html,
            "<div class=\"movable\" data-id=\"{id}\" data-kind=\"{kind}\">\n{maps}\
             <div class=\"calculation\">\n{parts}{result}</div>\n</div>\n",
            kind = kind.name()
        );
    } else {
        let why = match is_still {
            true => {
                "<p class=\"quiet\">This window cannot be moved: with the numbers for that the \
                     page would be larger than a megabyte.</p>\n"
            }
            false => "",
        };
        let _ = write!(html, "{maps}{why}<div class=\"calculation\">\n{parts}{result}</div>\n");
    }
    Ok(html)
}

/// The loss with a table of its outputs.
fn loss(walk: &Walk) -> String {
    let loss = &walk.loss;
    let mut html = format!(
        "<h2 id=\"loss\">The loss: how far the outputs are from the target</h2>\n<p>{}:</p>\n",
        text(loss.name)
    );
    for formula in &loss.formulas {
        let _ = writeln!(html, "<p class=\"formula\">{}</p>", math(formula));
    }
    let number = |x: f64| Cell::Html(calculation::data(x, walk.precision));
    let shown = shown_rows(walk);
    let rows: Vec<_> = shown
        .iter()
        .map(|(_, row)| {
            let probability = row.probability.map(|p| Cell::Html(calculation::data(p, "f64")));
            let cells = [Cell::Text(row.class.escaped()), number(row.output)].into_iter();
            let others = [
                number(row.target),
                Cell::Html(calculation::data(row.term, "f64")),
                number(row.gradient),
            ];
            cells.chain(probability).chain(others).collect::<Vec<_>>()
        })
        .collect();
    let caption = match loss.rows.len() - rows.len() {
        0 => "Each output, its target and its part of the loss".to_owned(),
        rest => format!("The outputs with the largest gradients; {rest} more are left out"),
    };
    let has_probabilities = shown.iter().any(|(_, row)| row.probability.is_some());
    let mut head =
        vec!["class", "output y", "probability p", "target t", "part of E", "gradient ∂E/∂y"];
    head.retain(|&name| has_probabilities || name != "probability p");
    html.push_str(&table(&caption, &head, &rows));
    let total: f64 = loss.rows.iter().map(|row| row.term).sum();
    html.push_str(&calculation::loss(total, loss.value));
    let step = &loss.gradient;
    let _ = write!(
        html,
        "<h3>{}: {}</h3>\n<p class=\"formula\">{} = {}</p>\n<div class=\"calculation\">\n{}{}</div>\n",
        math(&step.name),
        text(&step.title),
        math(&step.name),
        math(&step.formula),
        steps_of(step, walk.precision),
        result("loss", step, walk.precision)
    );
    html
}

/// A formula as HTML: what follows `_`, letters, digits and commas, is set lower.
pub(super) fn math(formula: &str) -> String {
    let mut parts = formula.split('_');
    let mut html = text(parts.next().unwrap_or_default());
    for part in parts {
        let is_index = |c: char| c.is_ascii_alphanumeric() || c == ',';
        let end = part.find(|c| !is_index(c)).unwrap_or(part.len());
        // A comma at the end is one of the sentence.
        let end = part[..end].trim_end_matches(',').len();
        let _ = write!(html, "<sub>{}</sub>{}", &part[..end], text(&part[end..]));
    }
    html
}

#[cfg(test)]
mod tests {
    use super::math;

    #[test]
    fn indices_are_set_lower() {
        assert_eq!(
            math("Y_2[5,7], Σ_c X_c · K_2,c <"),
            "Y<sub>2</sub>[5,7], Σ<sub>c</sub> X<sub>c</sub> · K<sub>2,c</sub> &lt;"
        );
    }
}
