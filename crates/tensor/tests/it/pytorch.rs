//! The correlation of batches and its gradients against `torch.nn.functional.conv2d`:
//! stride, padding, groups, both kinds of bias.

use tensor::{Bias, Correlation, Element, Scratch};

use crate::fixtures::{Case, Fixtures, assert_close, bound};

fn layer(case: &Case) -> Correlation {
    let [_, c, h, w] = case.array("input").shape[..] else { panic!("input: four axes") };
    let [d, _, kh, kw] = case.array("kernels").shape[..] else { panic!("kernels: four axes") };
    let geometry: Vec<_> = case.array("geometry").numbers.iter().map(|&n| n as usize).collect();
    let [sh, sw, top, bottom, left, right, groups] = geometry[..] else { panic!("geometry") };
    let layer = Correlation::new([c, h, w], d, [kh, kw]).expect("sizes that fit");
    let layer = layer.with_padding([top, bottom], [left, right]).expect("padding that fits");
    layer.with_stride([sh, sw]).and_then(|l| l.with_groups(groups)).expect("groups that fit")
}

fn agrees_with_pytorch<T: Element>() {
    let fixtures = Fixtures::read("correlation.safetensors");
    let nan = |len: usize| vec![T::from_f64(f64::NAN); len];
    for (name, case) in fixtures.cases() {
        let layer = layer(case);
        let taps = layer.kernels_shape().len() / layer.kernels_shape().dims()[0];
        let plane = layer.output_shape().len() / layer.output_shape().dims()[0];
        let n = case.array("input").shape[0];
        assert_eq!(case.array("output").shape[1..], *layer.output_shape().dims(), "{name}");
        let (x, k) = (case.numbers::<T>("input"), case.numbers::<T>("kernels"));
        let (per_kernel, untied) = (case.numbers("per_kernel"), case.numbers("untied"));
        let mut scratch = Scratch::sequential();
        for (array, bias) in [
            ("output", Bias::None),
            ("output_per_kernel", Bias::PerChannel(&per_kernel[..])),
            ("output_untied", Bias::Untied(&untied[..])),
        ] {
            let expected = &case.array(array).numbers;
            let mut found = nan(expected.len());
            layer.forward(&x, &k, bias, &mut found, &mut scratch);
            assert_close(&found, expected, bound::<T>(taps + 1), &format!("{array}, case {name}"));
        }

        let g = case.numbers::<T>("output_gradient");
        let expected = &case.array("input_gradient").numbers;
        let mut found = nan(expected.len());
        layer.input_gradient(&g, &k, &mut found, &mut scratch);
        let terms = layer.kernels_shape().len() / layer.kernels_shape().dims()[1];
        assert_close(&found, expected, bound::<T>(terms), &format!("input gradient, case {name}"));

        let expected = &case.array("kernel_gradient").numbers;
        let mut found = nan(expected.len());
        layer.kernel_gradient(&x, &g, &mut found, &mut scratch);
        let what = format!("kernel gradient, case {name}");
        assert_close(&found, expected, bound::<T>(n * plane), &what);
    }
}

#[test]
fn correlations_agree_with_pytorch_f64() {
    agrees_with_pytorch::<f64>();
}

#[test]
fn correlations_agree_with_pytorch_f32() {
    agrees_with_pytorch::<f32>();
}
