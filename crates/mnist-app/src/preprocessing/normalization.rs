//! How the bytes of an input become numbers.

use serde::{Deserialize, Serialize};
use tensor::{Element, image};

/// How the bytes of an input become numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Normalization {
    /// `x / 255`, from 0 to 1.
    #[default]
    Unit,
    /// `(x / 255 − mean) / deviation`, with a mean and a standard deviation for each channel.
    Standard {
        /// In units of `x / 255`.
        mean: Vec<f32>,
        /// In units of `x / 255`, above 0.
        deviation: Vec<f32>,
    },
}

impl Normalization {
    /// The normalisation of training pictures `(N, C, H, W)` of so many channels, by their means
    /// and standard deviations; of a channel that is the same everywhere the deviation is 1.
    pub fn standard(images: &[u8], [channels, height, width]: [usize; 3]) -> Self {
        let plane = height * width;
        let mut counts = vec![[0_u64; 256]; channels];
        for (at, plane) in images.chunks_exact(plane).enumerate() {
            let counts = &mut counts[at % channels];
            plane.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        }
        let moments = counts.iter().map(|counts| {
            let values = || {
                counts.iter().zip(0_u32..).map(|(&count, x)| (count as f64, f64::from(x) / 255.0))
            };
            let all = values().map(|(count, _)| count).sum::<f64>().max(1.0);
            let mean = values().map(|(count, x)| count * x).sum::<f64>() / all;
            let variance =
                values().map(|(count, x)| count * (x - mean) * (x - mean)).sum::<f64>() / all;
            let deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
            (mean as f32, deviation as f32)
        });
        let (mean, deviation) = moments.unzip();
        Self::Standard { mean, deviation }
    }

    /// Whether it can be that of inputs with these axes: one mean and one deviation for each of
    /// their channels. Of a network that takes the pixels one after another, these are not known.
    pub fn suits(&self, input: &[usize]) -> bool {
        let Self::Standard { mean, deviation } = self else { return true };
        let channels = mean.len();
        let are_channels = match *input {
            [own, _, _] => channels == own,
            _ => matches!(channels, 1 | 3) && input.iter().product::<usize>() % channels == 0,
        };
        let are_numbers = mean.iter().all(|mean| mean.is_finite())
            && deviation.iter().all(|&deviation| deviation > 0.0 && deviation.is_finite());
        are_channels && deviation.len() == channels && are_numbers
    }

    /// Writes the bytes of an input `(C, H, W)` as numbers.
    pub fn write<T: Element>(&self, bytes: &[u8], input: &mut [T]) {
        image::u8_to_unit(bytes, input);
        self.apply(input);
    }

    /// The same for numbers from 0 to 1.
    pub fn apply<T: Element>(&self, input: &mut [T]) {
        let Self::Standard { mean, deviation } = self else { return };
        let plane = (input.len() / mean.len()).max(1);
        let each = mean.iter().zip(deviation);
        for (plane, (&mean, &deviation)) in input.chunks_exact_mut(plane).zip(each) {
            let [mean, deviation] = [mean, deviation].map(|x| T::from_f64(f64::from(x)));
            plane.iter_mut().for_each(|x| *x = (*x - mean) / deviation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Normalization;

    #[test]
    fn each_channel_gets_mean_0_and_deviation_1() {
        let shape = [2, 2, 2];
        let images: Vec<u8> =
            (0..24).map(|at| if at / 4 % 2 == 0 { at * 9 } else { 200 }).collect();
        let normalization = Normalization::standard(&images, shape);
        let mut input = [0.0_f64; 24];
        for (bytes, input) in images.chunks(8).zip(input.chunks_mut(8)) {
            normalization.write(bytes, input);
        }
        let first: Vec<_> = (0..24).filter(|at| at / 4 % 2 == 0).map(|at| input[at]).collect();
        let mean = first.iter().sum::<f64>() / 12.0;
        let variance = first.iter().map(|x| x * x).sum::<f64>() / 12.0;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6, "{mean} {variance}");
        // A channel without contrast is not divided by 0.
        assert!((0..24).filter(|at| at / 4 % 2 == 1).all(|at| input[at].abs() < 1e-6));
    }

    #[test]
    fn unit_numbers_go_from_0_to_1() {
        let mut input = [9.0_f32; 3];
        Normalization::Unit.write(&[0, 51, 255], &mut input);
        assert_eq!(input, [0.0, 0.2, 1.0]);
    }
}
