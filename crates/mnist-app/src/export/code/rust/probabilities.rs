/// The probabilities of the classes, given what the network puts out.
#[allow(dead_code)]
pub fn probabilities(outputs: &[f32; OUTPUTS]) -> [f32; OUTPUTS] {
    let mut probabilities = *outputs;
    softmax(&mut probabilities);
    probabilities
}

