//! Arrays that other programs computed; `scripts/fixtures.py` writes the files.

// Several test binaries include this file, and not each uses all of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tensor::Element;

/// The arrays of one file by case and name.
pub struct Fixtures {
    cases: BTreeMap<String, Case>,
    /// What the file says about its cases, as JSON.
    pub description: Option<String>,
}

/// The arrays of one case by name.
pub struct Case {
    arrays: BTreeMap<String, Array>,
}

pub struct Array {
    pub shape: Vec<usize>,
    pub numbers: Vec<f64>,
}

impl Fixtures {
    /// Reads `tests/fixtures/{file}` of the crate under test.
    pub fn read(file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let arrays = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let mut cases = BTreeMap::<_, Case>::new();
        for (name, view) in arrays.tensors() {
            let (case, name) = name.split_once('/').expect("a name CASE/ARRAY");
            let case = cases.entry(case.to_owned()).or_insert(Case { arrays: BTreeMap::new() });
            case.arrays.insert(name.to_owned(), Array::of(&view));
        }
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
        let description = header.metadata().as_ref().and_then(|all| all.get("cases")).cloned();
        Self { cases, description }
    }

    /// The cases in alphabetical order, never none.
    pub fn cases(&self) -> impl Iterator<Item = (&str, &Case)> {
        assert!(!self.cases.is_empty(), "expected at least one case");
        self.cases.iter().map(|(name, case)| (name.as_str(), case))
    }

    #[track_caller]
    pub fn case(&self, name: &str) -> &Case {
        self.cases.get(name).unwrap_or_else(|| panic!("no case {name}"))
    }
}

impl Case {
    #[track_caller]
    pub fn array(&self, name: &str) -> &Array {
        self.arrays.get(name).unwrap_or_else(|| panic!("no array {name}"))
    }

    /// The numbers of an array, rounded to the element.
    #[track_caller]
    pub fn numbers<T: Element>(&self, name: &str) -> Vec<T> {
        self.array(name).numbers.iter().map(|&number| T::from_f64(number)).collect()
    }
}

impl Array {
    fn of(view: &TensorView<'_>) -> Self {
        let (words, _) = view.data().as_chunks();
        let numbers = words.iter().map(|&word| match view.dtype() {
            Dtype::F64 => f64::from_le_bytes(word),
            Dtype::I64 => i64::from_le_bytes(word) as f64,
            other => panic!("expected F64 or I64, got {other:?}"),
        });
        Self { shape: view.shape().to_vec(), numbers: numbers.collect() }
    }
}

/// Asserts that no element is further from the expected one than `bound` times the
/// largest of them.
#[track_caller]
pub fn assert_close<T: Element>(found: &[T], expected: &[f64], bound: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    let largest = expected.iter().fold(0.0_f64, |largest, e| largest.max(e.abs()));
    for (at, (f, e)) in found.iter().zip(expected).enumerate() {
        let difference = (f.to_f64() - e).abs();
        // Not `>`: NaN must fail.
        let close = difference <= bound * largest;
        assert!(close, "{what} [{at}]: expected {e}, got {f}; {:.1e}", difference / largest);
    }
}

/// The bound for results that are sums of `terms` products, relative to the largest.
///
/// In `f64` it is 1e-12, what the project promises. In `f32` operands and result are
/// rounded once, half an ulp each, and a sum of n terms of random sign makes roundings
/// that grow like its own partial sums: ε/2 · √(n/2) of a result of the size of √n, as a
/// standard deviation. Eight times that covers thousands of elements.
pub fn bound<T: Element>(terms: usize) -> f64 {
    let epsilon = T::EPSILON.to_f64();
    if epsilon < 1e-12 { 1e-12 } else { epsilon * (2.0 + 4.0 * (terms as f64 / 2.0).sqrt()) }
}
