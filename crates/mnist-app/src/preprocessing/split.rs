//! Several digits in one picture: one picture each, from left to right.

use super::Raster;
use super::digit::ink::Ink;
use super::digit::shapes;

/// The shapes of a grey picture from left to right, each as a picture of its own, light on black,
/// with a margin of a fifth of its longer side; none if there is nothing on the ground. Strokes
/// above one another, as a 5 and its loose bar, are one shape; specks are left out.
pub fn split(picture: &Raster) -> Vec<Raster> {
    let Some(ink) = Ink::of(picture) else { return Vec::new() };
    let shapes = shapes::shapes(&ink);
    let cuts = shapes.iter().filter_map(|shape| shapes::cut(&ink, std::slice::from_ref(shape)));
    cuts.map(|cut| {
        let margin = cut.longer().div_ceil(5);
        let (height, width) = (cut.height + 2 * margin, cut.width + 2 * margin);
        let mut pixels = vec![0; height * width];
        for (row, y) in cut.values.chunks_exact(cut.width).zip(margin..) {
            let to = &mut pixels[y * width + margin..][..cut.width];
            to.iter_mut().zip(row).for_each(|(to, x)| *to = (x * 255.0 + 0.5) as u8);
        }
        Raster { channels: 1, height, width, pixels }
    })
    .collect()
}
