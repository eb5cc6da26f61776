impl Default for Buffers {
    fn default() -> Self {
        Buffers::new()
    }
}

/// The class of a picture and what the network puts out for it, with buffers on the stack. The
/// class is the place of the largest number in the outputs, the first of equal ones; `OUTPUTS` if a
/// number is NaN or the largest is infinite.
///
/// The bytes of a picture are channel by channel, row by row.
#[allow(dead_code)]
pub fn predict(picture: &[u8; PIXELS]) -> (usize, [f32; OUTPUTS]) {
    predict_with(picture, &mut Buffers::new())
}

/// The same with buffers that are lent, for instance from a `static`.
#[allow(dead_code)]
pub fn predict_with(picture: &[u8; PIXELS], buffers: &mut Buffers) -> (usize, [f32; OUTPUTS]) {
    trace(picture, buffers, |_, _| {})
}

/// The place of the largest number.
fn class(outputs: &[f32; OUTPUTS]) -> usize {
    let mut best = 0;
    for (place, &output) in outputs.iter().enumerate() {
        if output.is_nan() {
            return OUTPUTS;
        }
        if output > outputs[best] {
            best = place;
        }
    }
    if outputs[best].is_infinite() { OUTPUTS } else { best }
}

/// The same; each layer's outputs are shown to `observe`, with the layer's place in the network.
pub fn trace(
    picture: &[u8; PIXELS],
    buffers: &mut Buffers,
    mut observe: impl FnMut(&'static str, &[f32]),
) -> (usize, [f32; OUTPUTS]) {
