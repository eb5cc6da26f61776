//! Planes as pictures, with what is looked at framed.

use std::fmt::Write as _;

use tensor::Correlation;

use super::super::LayerWalk;
use super::super::calculation::{Knob, Step};
use super::super::taps::split;
use super::math;
use super::movable::Kind;
use crate::html::{data_uri, figure, image};
use crate::picture::{Picture, Scale};

/// All output planes of a layer in one picture, or the first of them; nothing if it has none.
pub(super) fn outputs(layer: &LayerWalk) -> anyhow::Result<String> {
    const MOST: usize = 16;
    const IN_ROW: usize = 8;
    const GAP: usize = 1;
    const GREY: [u8; 3] = [0x80; 3];
    let &[planes, height, width] = layer.output_shape.as_slice() else { return Ok(String::new()) };
    if planes < 2 || height * width < 4 {
        return Ok(String::new());
    }
    let (shown, area) = (planes.min(MOST), height * width);
    let scale = Scale::of(&layer.maps.output[..shown * area]);
    let rows = shown.div_ceil(IN_ROW);
    let columns = shown.min(IN_ROW);
    let size = [rows * (height + GAP) - GAP, columns * (width + GAP) - GAP];
    let mut sheet = Picture::plain(size, GREY);
    for (plane, numbers) in layer.maps.output.chunks(area).take(shown).enumerate() {
        let picture = Picture::of_signed([height, width], numbers, scale);
        sheet.draw(&picture, [plane / IN_ROW * (height + GAP), plane % IN_ROW * (width + GAP)]);
    }
    let factor = (900 / size[1]).clamp(1, 6);
    let which = match planes > shown {
        true => format!("the first {shown} of {planes} planes"),
        false => format!("all {planes} planes"),
    };
    let alt = format!("The output of layer {}: {which}", layer.layer);
    let caption = format!("Y, {which}. Blue below 0, white at 0, red above; colours from {scale}.");
    Ok(figure(&image(&sheet.png()?, &alt, size.map(|x| x * factor)), &caption))
}

/// One plane with a frame around some of it.
struct Plane<'a> {
    title: String,
    alt: String,
    size: [usize; 2],
    numbers: &'a [f64],
    /// The first row and column in the frame, and its height and width; outside of the plane too.
    frame: [isize; 4],
    class: &'static str,
}

impl Plane<'_> {
    fn html(&self) -> anyhow::Result<String> {
        let Self {
            title,
            alt,
            size: [height, width],
            numbers,
            frame: [y, x, rows, columns],
            class,
        } = self;
        let scale = Scale::of(numbers);
        let picture = Picture::of_signed([*height, *width], numbers, scale).png()?;
        Ok(format!(
            "<div class=\"plane {class}\">\n<p class=\"name\">{}</p>\n\
             <svg viewBox=\"-1 -1 {} {}\" width=\"{}\" role=\"img\" aria-label=\"{}\">\
             <image href=\"{}\" width=\"{width}\" height=\"{height}\"/>\
             <rect class=\"under\" vector-effect=\"non-scaling-stroke\" x=\"{x}\" y=\"{y}\" width=\"{columns}\" height=\"{rows}\"/>\
             <rect class=\"over\" vector-effect=\"non-scaling-stroke\" x=\"{x}\" y=\"{y}\" width=\"{columns}\" height=\"{rows}\"/></svg>\n\
             <p class=\"scale quiet\">{scale}</p>\n</div>\n",
            math(title),
            width + 2,
            height + 2,
            // Small planes are not drawn as large as large ones.
            (width + 2) * (280 / (width.max(height) + 2)).clamp(3, 16),
            crate::html::text(alt),
            data_uri(&picture)
        ))
    }
}

/// The planes that a step of a convolution is about, and how its window is moved; nothing for
/// other steps.
pub(super) fn of_step(layer: &LayerWalk, step: &Step) -> anyhow::Result<(String, Option<Kind>)> {
    let Some(weights) = &layer.correlation else { return Ok((String::new(), None)) };
    let geometry = &weights.geometry;
    match step.knob {
        None if step.title == "forward" => Ok((forward(layer, geometry)?, Some(Kind::Forward))),
        Some(Knob::Input { place, .. }) => {
            Ok((adjoint(layer, geometry, place)?, Some(Kind::Adjoint)))
        }
        Some(Knob::Parameter { place, .. }) if place < weights.kernels.len() => {
            Ok((weight(layer, geometry, place)?, None))
        }
        _ => Ok((String::new(), None)),
    }
}

type Sizes = ([usize; 3], [usize; 4], [usize; 3]);

fn sizes(geometry: &Correlation) -> Sizes {
    (
        geometry.input_shape().axes().unwrap_or_default(),
        geometry.kernels_shape().axes().unwrap_or_default(),
        geometry.output_shape().axes().unwrap_or_default(),
    )
}

fn signed(x: usize) -> isize {
    x.cast_signed()
}

/// Of the planes that are summed over, the one whose window is drawn first.
fn first_plane(step: &Step) -> usize {
    use super::super::calculation::{Calculation, Part};
    let Calculation::Sum(sum) = &step.calculation else { return 0 };
    let Some(Part::Window(window)) = sum.parts.first() else { return 0 };
    window.plane
}

fn planes(planes: &[Plane<'_>], caption: &str) -> anyhow::Result<String> {
    let mut html = "<div class=\"planes\">\n".to_owned();
    for plane in planes {
        html.push_str(&plane.html()?);
    }
    Ok(figure(&(html + "</div>"), &math(caption)))
}

fn forward(layer: &LayerWalk, geometry: &Correlation) -> anyhow::Result<String> {
    let ([_, h, w], [_, _, kh, kw], [_, oh, ow]) = sizes(geometry);
    let [d, y, x] = split(layer.maps.at, geometry.output_shape().axes().unwrap_or_default());
    let ([sh, sw], [dh, dw]) = (geometry.stride(), geometry.dilation());
    let [[top, _], [left, _]] = geometry.padding();
    let c = first_plane(&layer.forward);
    let input = Plane {
        title: format!("X_{c}"),
        alt: format!("Input plane {c}, with the window from row {}, column {} on", y * sh, x * sw),
        size: [h, w],
        numbers: &layer.maps.input[c * h * w..][..h * w],
        frame: [
            signed(y * sh) - signed(top),
            signed(x * sw) - signed(left),
            signed((kh - 1) * dh + 1),
            signed((kw - 1) * dw + 1),
        ],
        class: "from",
    };
    let output = Plane {
        title: format!("Y_{d}"),
        alt: format!("Output plane {d}, with row {y}, column {x} framed"),
        size: [oh, ow],
        numbers: &layer.maps.output[d * oh * ow..][..oh * ow],
        frame: [signed(y), signed(x), 1, 1],
        class: "to",
    };
    planes(
        &[input, output],
        "The kernel lies on the framed part of X; the sum of the products is the framed number of Y.",
    )
}

fn adjoint(layer: &LayerWalk, geometry: &Correlation, place: usize) -> anyhow::Result<String> {
    let ([_, h, w], [_, _, kh, kw], [_, oh, ow]) = sizes(geometry);
    let [c, y, x] = split(place, geometry.input_shape().axes().unwrap_or_default());
    let ([sh, sw], [dh, dw]) = (geometry.stride(), geometry.dilation());
    let [[top, _], [left, _]] = geometry.padding();
    // Rows or columns of the output from the first to the last that may see the input.
    let seen = |at: usize, reach: usize, stride: usize| {
        let last = (at / stride).cast_signed();
        let first = (signed(at) - signed(reach)).div_euclid(signed(stride))
            + isize::from((signed(at) - signed(reach)).rem_euclid(signed(stride)) != 0);
        (first, last - first + 1)
    };
    let (row, rows) = seen(y + top, (kh - 1) * dh, sh);
    let (column, columns) = seen(x + left, (kw - 1) * dw, sw);
    let step = layer.backward.iter().find(|step| matches!(step.knob, Some(Knob::Input { .. })));
    let d = step.map_or(0, first_plane);
    let from = Plane {
        title: format!("∂E/∂Y_{d}"),
        alt: format!(
            "The gradient of output plane {d}, with the window from row {row}, column {column} on"
        ),
        size: [oh, ow],
        numbers: &layer.maps.output_gradient[d * oh * ow..][..oh * ow],
        frame: [row, column, rows, columns],
        class: "from",
    };
    let to = Plane {
        title: format!("∂E/∂X_{c}"),
        alt: format!("The gradient of input plane {c}, with row {y}, column {x} framed"),
        size: [h, w],
        numbers: &layer.maps.input_gradient[c * h * w..][..h * w],
        frame: [signed(y), signed(x), 1, 1],
        class: "to",
    };
    planes(
        &[from, to],
        "The kernel, turned by 180°, lies on the framed part of ∂E/∂Y; it may reach over the edges, \
         where there is nothing.",
    )
}

fn weight(layer: &LayerWalk, geometry: &Correlation, place: usize) -> anyhow::Result<String> {
    let ([_, h, w], axes @ [kernels, channels, _, _], [_, oh, ow]) = sizes(geometry);
    let [d, c, ky, kx] = split(place, axes);
    let channel = d / (kernels / geometry.groups()) * channels + c;
    let ([sh, sw], [dh, dw]) = (geometry.stride(), geometry.dilation());
    let [[top, _], [left, _]] = geometry.padding();
    let (row, column) = (signed(ky * dh) - signed(top), signed(kx * dw) - signed(left));
    let input = Plane {
        title: format!("X_{channel}"),
        alt: format!("Input plane {channel}, with the part framed that the weight meets"),
        size: [h, w],
        numbers: &layer.maps.input[channel * h * w..][..h * w],
        frame: [row, column, signed((oh - 1) * sh + 1), signed((ow - 1) * sw + 1)],
        class: "from",
    };
    let gradient = Plane {
        title: format!("∂E/∂Y_{d}"),
        alt: format!("The gradient of output plane {d}"),
        size: [oh, ow],
        numbers: &layer.maps.output_gradient[d * oh * ow..][..oh * ow],
        frame: [0, 0, signed(oh), signed(ow)],
        class: "to",
    };
    let mut caption =
        "The framed part of X, what this weight is multiplied with anywhere, times ∂E/∂Y, number \
         by number."
            .to_owned();
    if sh > 1 || sw > 1 {
        let _ = write!(caption, " Of X only rows {sh} apart and columns {sw} apart count.");
    }
    planes(&[input, gradient], &caption)
}
