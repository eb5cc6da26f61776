//! Kernels, feature maps and mistakes as pictures.

use std::fmt::Write as _;

use layers::{Mode, Network};
use tensor::Element;

use super::tables::class_name;
use crate::dataset::Samples;
use crate::escape::Escape;
use crate::evaluation::Evaluation;
use crate::evaluation::mistakes::Mistake;
use crate::evaluation::report::percent_of;
use crate::html;
use crate::kernels;
use crate::passes::Passes;
use crate::picture::{Picture, Scale};

/// The most kernels and channels that are shown of a convolution.
const MOST_KERNELS: usize = 16;
/// The most convolutions whose kernels or maps are shown.
const MOST_LAYERS: [usize; 2] = [8, 4];
/// The most maps that are shown of a layer.
const MOST_MAPS: usize = 8;
/// The most pixels that a map or a mistake is high or wide; larger ones are made smaller.
const MOST_PIXELS: usize = 32;
/// The most mistakes that are shown.
const MOST_MISTAKES: usize = 20;
/// Between pictures that lie side by side.
const GAP: [u8; 3] = [0x80; 3];

/// Pictures side by side in one.
struct Plate {
    png: Vec<u8>,
    /// Height and width in its pixels.
    size: [usize; 2],
    scale: Scale,
}

/// The kernels of a convolution.
pub(super) struct KernelPlate {
    /// The name of its weights, such as `3.weight`.
    name: String,
    /// The layer in a few words.
    summary: String,
    plate: Plate,
    /// How many kernels and channels there are, and their size.
    shape: [usize; 4],
}

/// What convolutions make of a picture.
pub(super) struct Maps {
    /// The picture's place among the test images, its class, and what it was taken for.
    sample: (usize, u8, Option<u8>),
    layers: Vec<LayerMaps>,
}

struct LayerMaps {
    index: usize,
    summary: String,
    plate: Plate,
    /// How many channels there are, and the size of a map.
    shape: [usize; 3],
}

/// Pictures of signed numbers in rows, each number a square of `factor × factor` pixels; all in the
/// same colours.
fn plate<T: Element>(rows: &[Vec<&[T]>], size: [usize; 2], factor: usize) -> anyhow::Result<Plate> {
    let (size_of_one, [height, width]) = (size, size.map(|side| side * factor));
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let all: Vec<T> = rows.iter().flatten().flat_map(|numbers| numbers.iter().copied()).collect();
    let scale = Scale::of(&all);
    let size = [rows.len() * (height + 1) - 1, columns * (width + 1) - 1];
    let mut picture = Picture::plain(size, GAP);
    for (y, row) in rows.iter().enumerate() {
        for (x, numbers) in row.iter().enumerate() {
            let tile = Picture::of_signed(size_of_one, numbers, scale).enlarged(factor);
            picture.draw(&tile, [y * (height + 1), x * (width + 1)]);
        }
    }
    Ok(Plate { png: picture.png()?, size, scale })
}

impl Plate {
    /// As an image about `width` CSS pixels wide, of whole pixels.
    fn html(&self, alt: &str, width: usize, most: usize) -> String {
        const HEIGHT: usize = 480;
        let factor = (width / self.size[1]).min(HEIGHT / self.size[0]).clamp(1, most);
        html::image(&self.png, alt, self.size.map(|pixels| pixels * factor))
    }
}

/// So many of these that the first and the last are among them.
fn spread<T>(mut all: Vec<T>, most: usize) -> Vec<T> {
    let count = all.len();
    if count > most {
        let chosen: Vec<_> =
            (0..most).map(|place| place * (count - 1) / (most - 1).max(1)).collect();
        let mut place = 0..;
        all.retain(|_| place.next().is_some_and(|place| chosen.contains(&place)));
    }
    all
}

/// The kernels of a network's convolutions; of many, some. And how many convolutions there are.
///
/// # Errors
/// If they cannot be drawn.
pub(super) fn kernels<T: Element>(
    network: &Network<T>,
) -> anyhow::Result<(Vec<KernelPlate>, usize)> {
    let all = kernels::kernels(network);
    let count = all.len();
    let mut plates = Vec::new();
    for kernels in spread(all, MOST_LAYERS[0]) {
        let [count, channels, height, width] = kernels.shape;
        let [shown, across] = [count, channels].map(|all| all.min(MOST_KERNELS));
        let row = |kernel: usize| (0..across).map(|at| kernels.one([kernel, at])).collect();
        let rows: Vec<Vec<_>> = match channels {
            // In a few rows, so that they are large enough to be read.
            1 => {
                let columns = [4, 5, 3].into_iter().find(|columns| shown % columns == 0);
                let all: Vec<_> = (0..shown).map(|kernel| kernels.one([kernel, 0])).collect();
                all.chunks(columns.unwrap_or(4)).map(<[_]>::to_vec).collect()
            }
            _ => (0..shown).map(row).collect(),
        };
        let factor = if height.max(width) <= 7 { 4 } else { 1 };
        plates.push(KernelPlate {
            plate: plate(&rows, [height, width], factor)?,
            summary: kernels.layer.1,
            name: kernels.name,
            shape: kernels.shape,
        });
    }
    Ok((plates, count))
}

/// Which test images are looked at: two of different classes that were recognised, and the mistake
/// that is surest of itself.
pub(super) fn chosen(
    evaluation: &Evaluation,
    mistake: Option<&Mistake>,
    test: &Samples,
) -> Vec<(usize, u8, Option<u8>)> {
    let sample = |index: usize| (index, test.labels()[index], evaluation.predictions[index]);
    let right: Vec<_> =
        evaluation.right(test).enumerate().filter(|&(_, is_right)| is_right).collect();
    let first = right.first().map(|&(index, _)| index);
    let label = |index: usize| test.labels()[index];
    let second = first.and_then(|first| {
        right.iter().map(|&(index, _)| index).find(|&index| label(index) != label(first))
    });
    let all = [first, second, mistake.map(|mistake| mistake.index)];
    let mut all: Vec<_> = all.into_iter().flatten().map(sample).collect();
    if all.is_empty() && !test.is_empty() {
        all.push(sample(0));
    }
    all
}

/// What a network's convolutions make of these pictures.
///
/// # Errors
/// If it cannot be drawn.
pub(super) fn maps<T: Element>(
    network: &Network<T>,
    test: &Samples,
    chosen: &[(usize, u8, Option<u8>)],
) -> anyhow::Result<Vec<Maps>> {
    let mut indices: Vec<_> =
        kernels::kernels(network).into_iter().map(|kernels| kernels.layer.0).collect();
    indices.dedup();
    let indices = spread(indices, MOST_LAYERS[1]);
    if indices.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for &sample in chosen {
        let mut input = vec![T::ZERO; network.input_shape().len()];
        test.write_image(sample.0, &mut input);
        let mut passes = Passes::new(network, &input, Mode::Inference);
        passes.forward();
        let mut layers = Vec::new();
        for stage in passes.stages().iter().filter(|stage| indices.contains(&stage.layer.index)) {
            let shape = stage.layer.layer.output_shape();
            let [channels, height, width] = *shape.dims() else { continue };
            let size = small([height, width]);
            let maps = stage.run.output.chunks_exact(height * width).take(MOST_MAPS);
            let maps: Vec<_> = maps.map(|map| shrunk(map, [height, width], size)).collect();
            let row: Vec<&[f64]> = maps.iter().map(Vec::as_slice).collect();
            layers.push(LayerMaps {
                index: stage.layer.index,
                summary: stage.layer.spec.summary(),
                plate: plate(&[row], size, 1)?,
                shape: [channels, height, width],
            });
        }
        all.push(Maps { sample, layers });
    }
    Ok(all)
}

/// A size of the same shape that is not too large.
fn small([height, width]: [usize; 2]) -> [usize; 2] {
    let longest = height.max(width);
    let side = |side: usize| (side * MOST_PIXELS / longest.max(1)).max(1);
    if longest <= MOST_PIXELS { [height, width] } else { [side(height), side(width)] }
}

/// A map of another size: the number that is nearest to each pixel's middle.
fn shrunk<T: Element>(map: &[T], from: [usize; 2], to: [usize; 2]) -> Vec<f64> {
    let at = |place: usize, axis: usize| (2 * place + 1) * from[axis] / (2 * to[axis]);
    let row = |y: usize| (0..to[1]).map(move |x| map[at(y, 0) * from[1] + at(x, 1)].to_f64());
    (0..to[0]).flat_map(row).collect()
}

/// A sample as an image about `side` CSS pixels high and wide.
fn sample(test: &Samples, index: usize, alt: &str, side: usize) -> anyhow::Result<String> {
    let picture = Picture::of_sample(test.shape(), test.image(index));
    let picture = match small(picture.size()) {
        size if size == picture.size() => picture,
        size => picture.resized(size),
    };
    let longest = picture.size().into_iter().max().unwrap_or(1).max(1);
    let factor = (side / longest).max(1);
    Ok(html::image(&picture.png()?, alt, picture.size().map(|pixels| pixels * factor)))
}

/// The kernels as figures.
pub(super) fn kernels_section(kernels: &[KernelPlate], all: usize) -> String {
    let mut section = String::from(
        "<h2 id=\"kernels\">Kernels</h2>\n<p>Blue is below 0, red above, almost white is 0. A row \
         is a kernel, a column the channel of the input that it slides over; of a single channel, \
         the kernels are in rows, one after another.",
    );
    if all > kernels.len() {
        let _ = write!(section, " Shown are {} of {all} convolutions.", kernels.len());
    }
    section.push_str("</p>\n<div class=\"plates\">\n");
    for KernelPlate { name, summary, plate, shape } in kernels {
        let [count, channels, height, width] = *shape;
        let shown = |all: usize, what: &str| match all {
            1 => format!("1 {what}"),
            _ if all > MOST_KERNELS => format!("the first {MOST_KERNELS} of {all} {what}s"),
            _ => format!("{all} {what}s"),
        };
        let what = format!("{}, {}", shown(count, "kernel"), shown(channels, "channel"));
        let alt = format!("{name}: {what}, {height}×{width} each");
        let image = plate.html(&alt, 340, 4);
        let caption = format!(
            "<strong>{}</strong> {}: {what}; colours from {}",
            html::text(name),
            html::text(summary),
            plate.scale
        );
        section.push_str(&html::figure(&image, &caption));
    }
    section + "</div>\n"
}

/// What convolutions make of pictures, as figures.
///
/// # Errors
/// If a picture cannot be drawn.
pub(super) fn maps_section(maps: &[Maps], test: &Samples) -> anyhow::Result<String> {
    let mut section = String::from(
        "<h2 id=\"maps\">Feature maps</h2>\n<p>What convolutions make of test images: of two \
         that were recognised and of the mistake that is surest of itself, as far as there are \
         such. Blue is below 0, red above.</p>\n",
    );
    for Maps { sample: (index, label, predicted), layers } in maps {
        let name = |label: u8| test.classes().name(usize::from(label)).escaped();
        let what = match *predicted {
            Some(predicted) if predicted == *label => format!("{}, recognised", name(*label)),
            Some(other) => format!("{}, taken for {}", name(*label), name(other)),
            None => format!("{}, without an answer", name(*label)),
        };
        let title = html::text(&what);
        let _ = writeln!(section, "<h3>Test image {index}: {title}</h3>\n<div class=\"maps\">");
        let image = sample(test, *index, &format!("test image {index}: {what}"), 84)?;
        section.push_str(&html::figure(&image, "input"));
        section.push_str("<div class=\"stack\">\n");
        for LayerMaps { index, summary, plate, shape: [channels, height, width] } in layers {
            let shown = match *channels {
                1 => "1 map".to_owned(),
                channels if channels > MOST_MAPS => format!("{MOST_MAPS} of {channels} maps"),
                channels => format!("{channels} maps"),
            };
            let alt = format!("layer {index}: {shown} of {height}×{width}");
            let caption = format!(
                "layer {index}, {}: {shown} of {height}×{width}; colours from {}",
                html::text(summary),
                plate.scale
            );
            section.push_str(&html::figure(&plate.html(&alt, 520, 6), &caption));
        }
        section.push_str("</div>\n</div>\n");
    }
    Ok(section)
}

/// The most confident mistakes, as figures.
///
/// # Errors
/// If a picture cannot be drawn.
pub(super) fn mistakes_section(mistakes: &[Mistake], test: &Samples) -> anyhow::Result<String> {
    let mut section = String::from("<h2 id=\"mistakes\">The most confident mistakes</h2>\n");
    if mistakes.is_empty() {
        return Ok(section + "<p>There are none.</p>\n");
    }
    let _ = writeln!(
        section,
        "<p>{} of {} mistakes, those first of which the network was surest: what the image shows \
         → what it was taken for, with the probabilities that the network gave to both.</p>\n\
         <ol class=\"tiles\">",
        mistakes.len().min(MOST_MISTAKES),
        mistakes.len()
    );
    for mistake in mistakes.iter().take(MOST_MISTAKES) {
        let [label, predicted] = [mistake.label, mistake.predicted]
            .map(|label| class_name(test.classes(), usize::from(label)));
        let [of_label, probability] = [mistake.of_label, mistake.probability]
            .map(|probability| html::text(&percent_of(probability)));
        let index = mistake.index;
        let alt = format!("test image {index}, which shows {label}");
        let image = sample(test, index, &alt, 84)?;
        let [label, predicted] = [label, predicted].map(|name| html::text(&name));
        let _ = writeln!(
            section,
            "<li>{image}<strong>{label} → {predicted}</strong><br>{predicted}: {probability}\
             <br>{label}: {of_label}<br><span class=\"quiet\">image {index}</span></li>"
        );
    }
    Ok(section + "</ol>\n")
}

#[cfg(test)]
mod tests {
    use super::{shrunk, small, spread};

    #[test]
    fn of_many_the_first_and_the_last_are_among_those_shown() {
        assert_eq!(spread((0..13).collect(), 4), [0, 4, 8, 12]);
        assert_eq!(spread(vec![1, 2], 4), [1, 2]);
    }

    #[test]
    fn large_maps_are_made_smaller() {
        assert_eq!((small([28, 28]), small([64, 128])), ([28, 28], [16, 32]));
        let map: Vec<f32> = (0..8).map(|x| x as f32).collect();
        assert_eq!(shrunk(&map, [2, 4], [1, 2]), [5.0, 7.0]);
    }
}
