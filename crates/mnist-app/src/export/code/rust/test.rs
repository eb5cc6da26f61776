
#[cfg(test)]
mod tests {
    #[test]
    fn outputs_have_the_same_bits() {
        for (picture, bits) in PICTURES.iter().zip(BITS.iter()) {
            let (_, outputs) = super::predict(picture);
            for (output, &bits) in outputs.iter().zip(bits) {
                let are_nan = output.is_nan() && f32::from_bits(bits).is_nan();
                assert!(output.to_bits() == bits || are_nan, "{output} {}", f32::from_bits(bits));
            }
        }
    }
