//! Weights to safetensors and back, in both precisions; files that do not fit or are
//! damaged change nothing.

use layers::{
    BatchNorm2d, Bias, Conv2d, Dense, LayerSpec, Network, NetworkSpec, Reshape, Sigmoid,
    WeightsHeader, Workspace, load_weights, network_of, save_weights,
};
use safetensors::tensor::{Dtype, TensorView};
use tensor::Element;

use crate::samples::{bits, network, normal};

fn layer_list() -> [LayerSpec; 4] {
    [
        Conv2d::new(2, 3).rectangle(3, 2).bias(Bias::Untied).into(),
        Sigmoid.into(),
        Reshape::flat().into(),
        Dense::new(3).into(),
    ]
}

fn small<T: Element>() -> Network<T> {
    network(&[1, 5, 4], &layer_list())
}

fn zeros<T: Element>() -> Network<T> {
    small::<T>().spec().build().expect("a network")
}

fn round_trip<T: Element>() {
    let network = small::<T>();
    let bytes = save_weights(&network, &[("epoch", "3".to_owned())]).expect("a file");
    let mut loaded = zeros::<T>();
    load_weights(&mut loaded, &bytes).expect("weights that fit");
    assert!(bits(loaded.parameters()) == bits(network.parameters()));

    let rebuilt = network_of::<T>(&bytes).expect("a network");
    assert_eq!(rebuilt.spec(), network.spec());
    assert_eq!(rebuilt.digest(), network.digest());
    let input = normal(3 * network.input_shape().len(), 1);
    let [mut a, mut b] = [&network, &rebuilt].map(|network| Workspace::new(network, 3));
    assert_eq!(network.predict(&input, &mut a), rebuilt.predict(&input, &mut b));
}

#[test]
fn weights_survive_a_file_in_both_precisions() {
    round_trip::<f32>();
    round_trip::<f64>();
}

#[test]
fn names_shapes_and_metadata_are_what_other_programs_read() {
    let network = small::<f32>();
    let bytes = save_weights(&network, &[("epoch", "3".to_owned())]).expect("a file");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let mut arrays: Vec<_> =
        file.iter().map(|(name, view)| (name, view.shape().to_vec(), view.dtype())).collect();
    arrays.sort_unstable_by_key(|&(name, ..)| name);
    let expected = [
        ("0.bias", vec![2, 3, 3], Dtype::F32),
        ("0.weight", vec![2, 1, 3, 2], Dtype::F32),
        ("3.bias", vec![3], Dtype::F32),
        ("3.weight", vec![3, 18], Dtype::F32),
    ];
    assert_eq!(arrays, expected);
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("a header");
    let metadata = header.metadata().as_ref().expect("metadata");
    assert_eq!(metadata["epoch"], "3");
    assert_eq!(metadata["network"], serde_json::to_string(network.spec()).expect("JSON"));
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let network = small::<f32>();
    let keys: Vec<_> = (0..WeightsHeader::MOST_KEYS).map(|key| key.to_string()).collect();
    let all: Vec<_> = keys.iter().map(|key| (&**key, String::new())).collect();
    assert!(save_weights(&network, &all[1..]).is_ok());
    let error = save_weights(&network, &all).expect_err("a key too many, with the network's");
    assert!(error.to_string().contains("at most 1000 keys in __metadata__"), "{error}");
    let long = [("long", "x".repeat(WeightsHeader::LONGEST))];
    let error = save_weights(&network, &long).expect_err("too long");
    assert!(error.to_string().contains("at most 4194304 bytes"), "{error}");
}

#[test]
fn the_largest_network_survives_a_file_and_a_larger_one_is_refused() {
    let normalized = |count: usize| {
        let layers = (0..count).map(|_| LayerSpec::from(BatchNorm2d::new()));
        NetworkSpec { input: vec![1, 1, 1], layers: layers.collect() }
    };
    let most = NetworkSpec::MOST_LAYERS;
    let network = normalized(most).build::<f64>().expect("a network");
    let bytes = save_weights(&network, &[]).expect("a file");
    assert_eq!(network_of::<f64>(&bytes).expect("the same").digest(), network.digest());
    let error = normalized(most + 1).build::<f64>().expect_err("too many");
    assert_eq!(
        error.to_string(),
        "layers: expected at most 4096, those inside of others counted, got 4097"
    );
}

#[test]
fn a_file_of_the_other_precision_is_rounded_or_widened() {
    let double = small::<f64>();
    let bytes = save_weights(&double, &[]).expect("a file");
    let mut single = zeros::<f32>();
    load_weights(&mut single, &bytes).expect("weights that fit");
    let rounded: Vec<_> = double.parameters().iter().map(|&x| x as f32).collect();
    assert_eq!(single.parameters(), rounded);

    let bytes = save_weights(&single, &[]).expect("a file");
    let mut widened = zeros::<f64>();
    load_weights(&mut widened, &bytes).expect("weights that fit");
    let exact: Vec<_> = rounded.iter().map(|&x| f64::from(x)).collect();
    assert_eq!(widened.parameters(), exact);
}

/// The bytes of a file with these arrays of zeros.
fn file(arrays: &[(&str, Dtype, &[usize])]) -> Vec<u8> {
    let zeros = [0; 1024];
    let views = arrays.iter().map(|&(name, dtype, shape)| {
        let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let view = TensorView::new(dtype, shape.to_vec(), &zeros[..bytes]).expect("a view");
        (name, view)
    });
    safetensors::serialize(views, None).expect("a file")
}

/// The error of loading these bytes, after which the network is as before.
#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    let mut network = small::<f32>();
    let before = network.digest();
    let error = load_weights(&mut network, bytes).expect_err("a refusal");
    assert_eq!(network.digest(), before, "the network is as before");
    error.to_string()
}

#[test]
fn all_names_that_differ_are_in_one_message() {
    let bytes = file(&[
        ("0.weight", Dtype::F32, &[2, 1, 2, 3]),
        ("3.weight", Dtype::F32, &[3, 18]),
        ("3.bias", Dtype::I32, &[3]),
        ("4.weight", Dtype::F32, &[1]),
        ("extra", Dtype::F64, &[2, 2]),
    ]);
    assert_eq!(
        refusal(&bytes),
        "weights: 0.weight: expected (2, 1, 3, 2), got (2, 1, 2, 3); \
         0.bias (2, 3, 3) is missing; \
         3.bias: expected F16, BF16, F32 or F64, got I32; \
         4.weight is not in the network; extra is not in the network"
    );
}

#[test]
fn a_shape_with_the_same_number_of_elements_is_another_shape() {
    let bytes = file(&[
        ("0.weight", Dtype::F32, &[2, 1, 3, 2]),
        ("0.bias", Dtype::F32, &[18]),
        ("3.weight", Dtype::F32, &[18, 3]),
        ("3.bias", Dtype::F8_E5M2, &[3]),
    ]);
    assert_eq!(
        refusal(&bytes),
        "weights: 0.bias: expected (2, 3, 3), got (18); 3.weight: expected (3, 18), got (18, 3); \
         3.bias: expected F16, BF16, F32 or F64, got F8_E5M2"
    );
}

#[test]
fn damaged_files_are_refused() {
    let whole = save_weights(&small::<f32>(), &[]).expect("a file");
    let expected = |bytes: &[u8]| format!("expected a safetensors file, got {} bytes", bytes.len());
    let header = u64::from_le_bytes(*whole.first_chunk().expect("eight bytes")) as usize;
    // Cut in the length, in the header, at its end, and in the numbers.
    for len in [0, 1, 7, 8, 8 + header / 2, 8 + header, whole.len() - 1] {
        let text = refusal(&whole[..len]);
        assert!(text.starts_with(&expected(&whole[..len])), "{len} bytes: {text}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(refusal(&longer).starts_with(&expected(&longer)));

    // A header that is longer than the file, or than any memory.
    for length in [whole.len() as u64, 1 << 40, u64::MAX] {
        let mut bytes = whole.clone();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        let text = refusal(&bytes);
        assert!(text.starts_with(&expected(&bytes)), "a header of {length} bytes: {text}");
    }
    let text = "[network]\nlayers = 3\n# no safetensors at all\n".as_bytes();
    assert!(refusal(text).starts_with(&expected(text)));
    assert!(
        network_of::<f32>(text).expect_err("a refusal").to_string().starts_with(&expected(text))
    );
}

#[test]
fn a_file_that_does_not_describe_its_network_is_refused() {
    let bytes = file(&[("0.weight", Dtype::F32, &[2, 3])]);
    assert_eq!(
        network_of::<f32>(&bytes).expect_err("a refusal").to_string(),
        "weights: expected a description of the network under \"network\" in __metadata__, got none"
    );

    let with = |description: &str| {
        let metadata = [("network".to_owned(), description.to_owned())].into_iter().collect();
        let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).expect("a view");
        let bytes = safetensors::serialize([("0.weight", view)], Some(metadata)).expect("a file");
        network_of::<f32>(&bytes).expect_err("a refusal").to_string()
    };
    let text = with(r#"{"input":[3],"layers":[{"type":"unheard_of"}]}"#);
    let found = r#"layer 0: expected one that this version knows, got {"type":"unheard_of"}: "unheard_of" is not a built-in layer type nor one of the given types"#;
    assert_eq!(text, format!("weights, \"network\": {found}"));
    let text = with(r#"{"input":[2,3],"layers":[{"type":"dense","outputs":4}]}"#);
    assert!(text.starts_with("weights, \"network\": layer 0 does not fit: Dense: "), "{text}");
    let text = with(r#"{"input":[1],"layers":[{"type":"dense","outputs":1}]}"#);
    assert_eq!(text, "weights: 0.weight: expected (1, 1), got (1); 0.bias (1) is missing");
}

#[test]
fn narrow_numbers_are_read_exactly() {
    // 1, −2, the smallest of F16, the largest of F16, 2⁻¹⁴.
    let halves = [0x3c00_u16, 0xc000, 0x0001, 0x7bff, 0x0400];
    let of_halves = [1.0, -2.0, 2_f32.powi(-24), 65504.0, 2_f32.powi(-14)];
    let brains = [0x3f80_u16, 0xc000, 0x0001, 0x7f7f, 0x4049];
    let of_brains = brains.map(|bits| f32::from_bits(u32::from(bits) << 16));
    for (dtype, bits, expected) in
        [(Dtype::F16, halves, of_halves), (Dtype::BF16, brains, of_brains)]
    {
        let bytes: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let view = |shape: Vec<usize>, bytes| TensorView::new(dtype, shape, bytes).expect("a view");
        let (weight, bias) = (view(vec![1, 4], &bytes[..8]), view(vec![1], &bytes[8..]));
        let file = safetensors::serialize([("0.weight", weight), ("0.bias", bias)], None);
        let mut dense = network::<f32>(&[4], &[Dense::new(1).into()]);
        load_weights(&mut dense, &file.expect("a file")).expect("weights that fit");
        assert_eq!(dense.parameters(), expected);
    }
}

#[test]
fn normalisations_have_the_counter_of_pytorch_and_nothing_else_has() {
    let layers = [LayerSpec::from(Conv2d::new(2, 3)), BatchNorm2d::new().into()];
    let network = network::<f32>(&[1, 5, 4], &layers);
    let bytes = save_weights(&network, &[]).expect("a file");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let counter = file.tensor("1.num_batches_tracked").expect("a counter");
    assert_eq!(
        (counter.dtype(), counter.shape(), counter.data()),
        (Dtype::I64, &[][..], &[0; 8][..])
    );
    assert_eq!(file.len(), 7);
    assert_eq!(network_of::<f32>(&bytes).expect("the same").digest(), network.digest());
    let bytes = self::file(&[
        ("0.weight", Dtype::F32, &[2, 1, 3, 2]),
        ("0.bias", Dtype::F32, &[2, 3, 3]),
        ("3.weight", Dtype::F32, &[3, 18]),
        ("3.bias", Dtype::F32, &[3]),
        ("0.num_batches_tracked", Dtype::I64, &[]),
    ]);
    assert_eq!(refusal(&bytes), "weights: 0.num_batches_tracked is not in the network");
}

#[test]
fn what_stands_before_all_names_can_be_removed() {
    let header = |names: &[&str]| {
        let arrays: Vec<_> = names.iter().map(|&name| (name, Dtype::F32, &[1][..])).collect();
        let bytes = file(&arrays);
        let length = u64::from_le_bytes(*bytes.first_chunk().expect("eight bytes")) as usize;
        WeightsHeader::parse(&bytes[8..][..length]).expect("a header")
    };
    for (names, expected) in [
        (&["module.0.weight", "module.0.bias"][..], "module."),
        (&["_orig_mod.model.3.0.weight"], "_orig_mod.model."),
        (&["0.weight", "3.0.bias"], ""),
        (&["module.0.weight", "model.0.bias"], ""),
        (&["module.0.weight", "0.bias"], ""),
        (&["fc1.weight", "fc2.weight"], ""),
    ] {
        assert_eq!(header(names).prefix(), expected, "{names:?}");
    }
    let renamed = header(&["a.0.weight", "a.0.bias"]).renamed("a.").expect("other names");
    assert_eq!((renamed.prefix(), renamed.body_len()), (String::new(), 8));
    assert!(header(&["a.0.weight", "0.weight"]).renamed("a.").is_err());
}

/// The file of `small` in double precision with one number of an array changed.
fn changed(array: &str, place: usize, value: f64) -> Vec<u8> {
    let layers = [LayerSpec::from(Conv2d::new(2, 3)), BatchNorm2d::new().into(), Sigmoid.into()];
    let mut bytes = save_weights(&network::<f64>(&[1, 5, 4], &layers), &[]).expect("a file");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let view = file.tensor(array).expect("an array of the network");
    let at = view.data().as_ptr().addr() - bytes.as_ptr().addr() + 8 * place;
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[test]
fn numbers_that_cannot_be_are_refused_by_name() {
    for (array, place, value, complaint) in [
        ("0.weight", 7, f64::NAN, "0.weight: expected finite numbers, found NaN at index 7"),
        ("0.bias", 1, f64::INFINITY, "0.bias: expected finite numbers, found inf at index 1"),
        ("1.running_mean", 0, f64::NEG_INFINITY, "1.running_mean: expected finite numbers"),
        ("1.running_var", 1, f64::NAN, "1.running_var: expected finite numbers, found NaN"),
        ("1.running_var", 1, -1e-9, "1.running_var: expected no variance below 0, found -1e-9"),
    ] {
        let bytes = changed(array, place, value);
        for error in [network_of::<f64>(&bytes).err(), network_of::<f32>(&bytes).err()] {
            let error = error.expect("a refusal").to_string();
            assert!(error.contains(complaint), "expected {complaint:?} in {error:?}");
        }
    }
    // What only the narrower precision cannot hold.
    let bytes = changed("0.weight", 2, -1e300);
    assert!(network_of::<f64>(&bytes).is_ok());
    let error = network_of::<f32>(&bytes).expect_err("1e300 as f32").to_string();
    assert!(error.contains("0.weight: expected finite numbers in f32, found -1e300"), "{error}");
    assert!(network_of::<f32>(&changed("1.running_var", 0, 0.0)).is_ok());
}
