//! Correlation and convolution of planes against `scipy.signal.correlate2d` and
//! `convolve2d`, and their errors.

use tensor::{
    Element, ShapeError, Tensor, convolve_full, convolve_valid, correlate_full, correlate_valid,
    rotate180,
};

use crate::fixtures::{Array, Fixtures, assert_close, bound};

type Operation<T> = fn(&Tensor<T>, &Tensor<T>) -> Result<Tensor<T>, ShapeError>;

fn plane<T: Element>(array: &Array) -> Tensor<T> {
    let [h, w] = array.shape[..] else { panic!("expected a plane, got {:?}", array.shape) };
    Tensor::from_fn([h, w], |at| T::from_f64(array.numbers[at]))
}

fn agrees_with_scipy<T: Element>() {
    let operations: [(&str, Operation<T>); 4] = [
        ("correlate_valid", correlate_valid),
        ("correlate_full", correlate_full),
        ("convolve_valid", convolve_valid),
        ("convolve_full", convolve_full),
    ];
    let fixtures = Fixtures::read("scipy.safetensors");
    for (case, arrays) in fixtures.cases() {
        let (x, k) = (plane(arrays.array("x")), plane(arrays.array("k")));
        for (name, operation) in operations {
            let expected = arrays.array(name);
            let what = format!("{name} of {} and {}, case {case}", x.shape(), k.shape());
            let found = operation(&x, &k).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(found.shape().dims(), expected.shape, "{what}");
            assert_close(found.as_slice(), &expected.numbers, bound::<T>(k.shape().len()), &what);
        }
    }
}

#[test]
fn planes_agree_with_scipy_f64() {
    agrees_with_scipy::<f64>();
}

#[test]
fn planes_agree_with_scipy_f32() {
    agrees_with_scipy::<f32>();
}

#[test]
fn rotation_by_180_degrees_is_no_transpose() {
    let k = Tensor::from_vec([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let rotated = rotate180(&k).unwrap();
    assert_eq!(rotated.shape().dims(), [2, 3]);
    assert_eq!(rotated.as_slice(), [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
    assert_eq!(rotate180(&rotated).unwrap(), k);

    // Square, so that a transpose would have the right shape.
    let k = Tensor::from_vec([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    assert_eq!(rotate180(&k).unwrap().as_slice(), [4.0, 3.0, 2.0, 1.0]);
}

#[test]
fn an_impulse_shows_the_kernel_in_a_convolution_and_its_rotation_in_a_correlation() {
    let impulse = Tensor::from_vec([3, 3], vec![0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let (x, k) = (impulse.unwrap(), Tensor::from_fn([2, 2], |at| at as f32 + 1.0));
    assert_eq!(convolve_valid(&x, &k).unwrap().as_slice(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(correlate_valid(&x, &k).unwrap().as_slice(), [4.0, 3.0, 2.0, 1.0]);
}

#[test]
fn planes_that_do_not_fit_are_named() {
    let text = |result: Result<Tensor<f32>, ShapeError>| result.unwrap_err().to_string();
    let (x, k) = (Tensor::<f32>::zeros([4, 5]), Tensor::zeros([2, 3]));
    // SciPy swaps the operands where the kernel is larger in both directions.
    for kernel in [[5, 3], [4, 6], [5, 6]] {
        let k = Tensor::zeros(kernel);
        for (name, result) in [
            ("correlate_valid", correlate_valid(&x, &k)),
            ("convolve_valid", convolve_valid(&x, &k)),
        ] {
            let [kh, kw] = kernel;
            let expected = format!(
                "{name}: expected a kernel no larger than the input's (4, 5), got ({kh}, {kw})"
            );
            assert_eq!(text(result), expected);
        }
    }
    let [cube, empty] = [Tensor::zeros([2, 4, 5]), Tensor::zeros([0, 3])];
    for (name, operation) in [
        ("correlate_valid", correlate_valid as fn(&_, &_) -> _),
        ("correlate_full", correlate_full),
        ("convolve_valid", convolve_valid),
        ("convolve_full", convolve_full),
    ] {
        assert_eq!(
            text(operation(&cube, &k)),
            format!("{name}: expected an input that is a non-empty plane (H, W), got (2, 4, 5)")
        );
        assert_eq!(
            text(operation(&x, &empty)),
            format!("{name}: expected a kernel that is a non-empty plane (H, W), got (0, 3)")
        );
    }
    assert_eq!(
        text(rotate180(&Tensor::zeros(7))),
        "rotate180: expected a kernel that is a non-empty plane (H, W), got (7)"
    );
}
