use std::fs::File;
use std::io::Read;

use tensor::Element;
use zip::ZipArchive;

use super::Npz;
use crate::export::python::trials::{NETWORKS, all_agree, network, subject, written};
use crate::export::steps::steps;
use crate::preprocessing::Normalization;

#[test]
fn networks_of_every_layer_answer_the_same_in_numpy() {
    let is_run = all_agree(&Npz);
    let is_full = std::env::var_os("ASTERISM_CI").is_some_and(|value| value == "full");
    assert!(is_run || !is_full, "ASTERISM_CI=full: expected Python with numpy");
}

fn arrays_are_there<T: Element>(text: &str) {
    let network = network::<T>(text);
    let subject = subject(&network, "mean_squared_error", &Normalization::Unit);
    let folder = tempfile::tempdir().unwrap();
    written(&Npz, &subject, folder.path());
    let mut archive =
        ZipArchive::new(File::open(folder.path().join("weights.npz")).unwrap()).unwrap();
    let named = network.named_parameters().into_iter().chain(network.named_buffers());
    let mut count = 0;
    for (index, (array, range)) in named.enumerate() {
        let mut bytes = Vec::new();
        archive.by_name(&format!("{}.npy", array.name)).unwrap().read_to_end(&mut bytes).unwrap();
        let len = size_of::<T>() * array.shape.len();
        let (header, numbers) = bytes.split_at(bytes.len() - len);
        assert!(header.starts_with(b"\x93NUMPY\x01\x00") && header.len().is_multiple_of(64));
        let header = String::from_utf8_lossy(&header[10..]);
        let width = size_of::<T>();
        assert!(header.starts_with(&format!("{{'descr': '<f{width}', 'fortran_order': False, ")));
        assert!(header.ends_with('\n'), "{header}");
        let is_buffer = index >= network.named_parameters().len();
        let all = if is_buffer { network.buffers() } else { network.parameters() };
        let mut expected = Vec::new();
        T::extend_le_bytes(&all[range], &mut expected);
        assert_eq!(numbers, expected, "{}", array.name);
        count += 1;
    }
    assert_eq!(archive.len(), count);
}

#[test]
fn the_archive_has_every_array_under_its_name() {
    for text in NETWORKS {
        arrays_are_there::<f32>(text);
        arrays_are_there::<f64>(text);
    }
}

#[test]
fn only_functions_that_are_needed_are_written() {
    let lenet = crate::presets::experiment("lenet").unwrap();
    let network = lenet.networks.first().build::<f32>().unwrap();
    let subject = subject(&network, "softmax_cross_entropy", &Normalization::Unit);
    let text = super::program::<f32>(&subject, &steps(&network).unwrap()).unwrap();
    assert!(
        !text.contains("#: ") && !text.contains("def spread") && !text.contains("gelu"),
        "{text}"
    );
    assert!(text.lines().count() <= 119, "{text}");
    let long = text.lines().find(|line| line.chars().count() > 98);
    assert_eq!(long, None);
}
