use std::borrow::Cow;
use std::error::Error;
use std::path::Path;

use layers::{Subset, Workspace};
use safetensors::Dtype;
use tensor::{Element, Scratch};

use crate::correlation::{LayerShape, Operands, Pass};
use crate::networks::{Images, Model};
use crate::workload::Workload;

/// How many training steps have losses that peers must reproduce.
const STEPS: usize = 10;

/// Writes what peers compute with, and what we computed from it, as a safetensors file:
/// - `correlate/…/first`, `/second` and `/result`;
/// - `MODEL/images`, `MODEL/labels`, `MODEL/order` and the weights `MODEL/0.weight` …;
/// - `step/MODEL/SIZE/losses`, the mean loss of each of the first ten steps;
/// - `predict/MODEL/1/result`, the outputs for the first image.
///
/// # Errors
/// If the file cannot be written.
pub fn write_peer_fixtures(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut arrays = Vec::new();
    for shape in LayerShape::ALL {
        for pass in Pass::ALL {
            correlation(shape, pass, &mut arrays);
        }
    }
    for model in Model::ALL {
        network(model, &mut arrays)?;
    }
    safetensors::serialize_to_file(arrays, None, path)?;
    Ok(())
}

type Arrays = Vec<(String, Array)>;

fn correlation(shape: LayerShape, pass: Pass, arrays: &mut Arrays) {
    let workload = Workload::Correlate(shape, pass);
    let geometry = shape.geometry();
    let batched = |sample: &[usize]| [&[shape.batch], sample].concat();
    let input = batched(geometry.input_shape().dims());
    let output = batched(geometry.output_shape().dims());
    let kernels = geometry.kernels_shape().dims().to_vec();
    let [first, second, result] = match pass {
        Pass::Forward => [input, kernels, output],
        Pass::InputGradient => [output, kernels, input],
        Pass::KernelGradient => [input, output, kernels],
    };
    let mut operands = Operands::new(shape, pass);
    let numbers = operands.run(&mut Scratch::sequential()).to_vec();
    arrays.push((format!("{workload}/result"), Array::numbers(result, &numbers)));
    for (name, shape, numbers) in
        [("first", first, operands.operands()[0]), ("second", second, operands.operands()[1])]
    {
        arrays.push((format!("{workload}/{name}"), Array::numbers(shape, numbers)));
    }
}

fn network(model: Model, arrays: &mut Arrays) -> Result<(), Box<dyn Error>> {
    let (name, network) = (model.name(), model.network::<f32>());
    for (parameter, range) in network.named_parameters() {
        let numbers = &network.parameters()[range];
        let array = Array::numbers(parameter.shape.dims().to_vec(), numbers);
        arrays.push((format!("{name}/{}", parameter.name), array));
    }
    let images = Images::new(model.images());
    let count = images.labels().len();
    let bytes = |shape, bytes: &[u8]| Array { dtype: Dtype::U8, shape, bytes: bytes.to_vec() };
    arrays.push((format!("{name}/images"), bytes(vec![count, 1, 28, 28], images.pixels())));
    arrays.push((format!("{name}/labels"), bytes(vec![count], images.labels())));
    let order = images.order().iter().flat_map(|&index| (index as i64).to_le_bytes()).collect();
    let order = Array { dtype: Dtype::I64, shape: vec![count], bytes: order };
    arrays.push((format!("{name}/order"), order));
    let data = images.data();
    for size in model.batch_sizes() {
        let mut trainer = model.trainer(size);
        let mut losses = Vec::new();
        for step in 0..STEPS {
            let batch = Subset::new(&data, images.batch(step, size));
            let report = trainer.step(&batch, model.rate())?;
            losses.push(report.losses.iter().sum::<f64>() / size as f64);
        }
        let losses = Array::numbers(vec![STEPS], &losses);
        arrays.push((format!("{}/losses", Workload::Step(model, size)), losses));
    }
    let image = &images.numbers()[..Images::PIXELS];
    let mut workspace = Workspace::new(&network, 1);
    let output = Array::numbers(vec![1, 10], network.predict(image, &mut workspace));
    arrays.push((format!("{}/result", Workload::Predict(model, 1)), output));
    Ok(())
}

struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    fn numbers<T: Element>(shape: Vec<usize>, numbers: &[T]) -> Self {
        let mut bytes = Vec::new();
        T::extend_le_bytes(numbers, &mut bytes);
        let dtype = if size_of::<T>() == 4 { Dtype::F32 } else { Dtype::F64 };
        Self { dtype, shape, bytes }
    }
}

impl safetensors::View for Array {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.bytes.as_slice().into()
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}
