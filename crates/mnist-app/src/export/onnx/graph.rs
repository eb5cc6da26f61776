//! A graph of ONNX while it is built: nodes, arrays and the shapes of values.

use super::proto::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The operators that are used here, each with the first version of ONNX's operator set from which
/// on it has the form in which it is used. Of the later forms none stands before version 10, which
/// is more than any model here asks for.
pub(super) const OPERATORS: [(&str, i64); 28] = [
    // From version 7 on with NumPy's broadcasting.
    ("Add", 7),
    // From version 7 on with count_include_pad.
    ("AveragePool", 7),
    // From version 7 on without is_test.
    ("BatchNormalization", 7),
    ("Cast", 6),
    ("Clip", 6),
    ("Conv", 1),
    ("ConvTranspose", 1),
    ("Div", 7),
    ("Elu", 6),
    ("Erf", 9),
    ("Flatten", 1),
    ("Gemm", 7),
    ("GlobalAveragePool", 1),
    ("InstanceNormalization", 6),
    ("LeakyRelu", 6),
    ("Log", 6),
    ("LogSoftmax", 1),
    ("MaxPool", 1),
    ("Mean", 6),
    ("Mul", 7),
    ("Neg", 6),
    ("Relu", 6),
    ("Reshape", 5),
    ("Sigmoid", 6),
    ("Softmax", 1),
    ("Softplus", 1),
    ("Sub", 7),
    ("Tanh", 6),
];

/// The oldest version of the operators that ONNX Runtime vouches for.
const OLDEST: i64 = 7;

/// The version of ONNX's operator set from which on all of these nodes mean what they mean here.
pub(super) fn opset(nodes: &[NodeProto]) -> i64 {
    let since = |node: &NodeProto| {
        let known = OPERATORS.iter().find(|(name, _)| node.op_type.as_deref() == Some(name));
        known.map_or(OLDEST, |&(_, since)| since)
    };
    nodes.iter().map(since).fold(OLDEST, i64::max)
}

/// A graph while it is built. A node and the value that it puts out have the same name.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<NodeProto>,
    arrays: Vec<TensorProto>,
    values: Vec<ValueInfoProto>,
}

impl Graph {
    /// Adds a node, and gives its name back.
    pub(super) fn node(
        &mut self,
        name: impl Into<String>,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let name = name.into();
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(operator.to_owned()),
            attribute: attributes,
        });
        name
    }

    /// Adds an array of numbers, and gives its name back.
    pub(super) fn array(
        &mut self,
        name: impl Into<String>,
        dims: &[usize],
        numbers: &[f32],
    ) -> String {
        let raw = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensor(name.into(), dims, (TensorProto::FLOAT, raw))
    }

    /// Adds one number, and gives its name back.
    pub(super) fn number(&mut self, name: impl Into<String>, number: f32) -> String {
        self.array(name, &[], &[number])
    }

    fn tensor(&mut self, name: String, dims: &[usize], (kind, raw): (i32, Vec<u8>)) -> String {
        self.arrays.push(TensorProto {
            dims: dims.iter().copied().map(whole).collect(),
            data_type: Some(kind),
            name: Some(name.clone()),
            raw_data: Some(raw),
        });
        name
    }

    /// Adds a node that gives the samples of a batch this shape; of a 0 in front the size of the batch
    /// is kept.
    pub(super) fn reshape(
        &mut self,
        name: impl Into<String>,
        input: &str,
        sample: &[usize],
    ) -> String {
        let name = name.into();
        let dims = std::iter::once(0).chain(sample.iter().copied().map(whole));
        let raw = dims.flat_map(i64::to_le_bytes).collect();
        let array = (TensorProto::INT64, raw);
        let shape = self.tensor(format!("{name}/shape"), &[sample.len() + 1], array);
        let name = self.node(name, "Reshape", &[input, &shape], Vec::new());
        self.describe(&name, sample);
        name
    }

    /// Says what shape the samples of a value have.
    pub(super) fn describe(&mut self, name: &str, sample: &[usize]) {
        self.values.push(value(name, TensorProto::FLOAT, sample, None));
    }

    /// Gives a node, and the value that it puts out, another name.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let names = self
            .nodes
            .iter_mut()
            .flat_map(|node| node.input.iter_mut().chain(&mut node.output).chain(&mut node.name));
        names.filter(|name| *name == from).for_each(|name| to.clone_into(name));
        self.values.retain(|value| value.name.as_deref() != Some(from));
    }

    /// The graph with its input and its outputs.
    pub(super) fn finish(
        self,
        name: &str,
        input: ValueInfoProto,
        output: Vec<ValueInfoProto>,
    ) -> GraphProto {
        GraphProto {
            node: self.nodes,
            name: Some(name.to_owned()),
            initializer: self.arrays,
            input: vec![input],
            output,
            value_info: self.values,
        }
    }
}

/// A value of `N` samples of this shape.
pub(super) fn value(
    name: &str,
    kind: i32,
    sample: &[usize],
    doc_string: Option<&str>,
) -> ValueInfoProto {
    let batch = DimensionProto { dim_value: None, dim_param: Some("N".to_owned()) };
    let fixed =
        sample.iter().map(|&dim| DimensionProto { dim_value: Some(whole(dim)), dim_param: None });
    let dim = std::iter::once(batch).chain(fixed).collect();
    let tensor = TensorTypeProto { elem_type: Some(kind), shape: Some(TensorShapeProto { dim }) };
    let r#type = TypeProto { tensor_type: Some(tensor) };
    let doc_string = doc_string.map(str::to_owned);
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(r#type), doc_string }
}

/// Sizes fit, as memory holds them.
fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn attribute(name: &str, kind: i32) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind), ..Default::default() }
}

pub(super) fn float(name: &str, number: f64) -> AttributeProto {
    // As every number of the graph.
    #[allow(clippy::cast_possible_truncation)]
    let f = Some(number as f32);
    AttributeProto { f, ..attribute(name, AttributeProto::FLOAT) }
}

pub(super) fn int(name: &str, number: usize) -> AttributeProto {
    AttributeProto { i: Some(whole(number)), ..attribute(name, AttributeProto::INT) }
}

pub(super) fn ints(name: &str, numbers: &[usize]) -> AttributeProto {
    let ints = numbers.iter().copied().map(whole).collect();
    AttributeProto { ints, ..attribute(name, AttributeProto::INTS) }
}
