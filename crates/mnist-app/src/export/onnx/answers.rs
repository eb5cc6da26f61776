//! What comes before and behind the networks: pictures become their inputs, and their outputs
//! logits and probabilities.

use layers::{Network, Operation};

use super::Input;
use super::graph::{Graph, float, int};
use super::network::Nodes;
use super::proto::TensorProto;
use crate::evaluation::vote::Outputs;
use crate::export::steps::steps;
use crate::export::subject::{Ending, Subject};
use crate::preprocessing::Normalization;

/// The logarithm of the least probability of a vote, `f64::MIN_POSITIVE`.
const LN_FLOOR: f64 = -708.396_418_532_264_1;

/// The graph of these networks, the members of `subject`, and the names of what their layers put
/// out.
pub(super) fn graph(
    subject: &Subject,
    networks: &[Network<f32>],
    input: Input,
) -> anyhow::Result<(Graph, Vec<String>)> {
    let mut graph = Graph::default();
    let picture = numbers(&mut graph, subject, input);
    let mut layers = Vec::new();
    let mut votes = Vec::new();
    for (index, (network, saved)) in networks.iter().zip(subject.members()).enumerate() {
        let is_alone = networks.len() == 1;
        let prefix = if is_alone { String::new() } else { format!("member-{}/", index + 1) };
        let mut answer = Answer::of(&mut graph, (network, Ending::of(saved)), (&prefix, &picture))?;
        if is_alone {
            answer.finish(&mut graph);
        } else {
            votes.push(logarithms(&mut graph, &prefix, &answer));
        }
        layers.append(&mut answer.layers);
    }
    if !votes.is_empty() {
        vote(&mut graph, &votes);
    }
    Ok((graph, layers))
}

/// A value and the shape of a sample.
struct Value {
    name: String,
    dims: Vec<usize>,
}

/// Adds the nodes that make numbers of pictures, normalised as those that the networks learned
/// from.
fn numbers(graph: &mut Graph, subject: &Subject, input: Input) -> Value {
    let mut value = Value { name: "input".into(), dims: subject.picture.to_vec() };
    if input == Input::U8 {
        let most = graph.number("input/255", 255.0);
        let kind = usize::try_from(TensorProto::FLOAT).unwrap_or(1);
        let float = graph.node("input/float", "Cast", &["input"], vec![int("to", kind)]);
        value.name = graph.node("input/unit", "Div", &[&float, &most], vec![]);
        graph.describe(&value.name, &value.dims);
    }
    let Normalization::Standard { mean, deviation } = subject.normalization() else {
        return value;
    };
    // A network that takes numbers one after another may have several channels of them.
    let channels = mean.len();
    if value.dims[0] != channels {
        let dims = vec![channels, 1, subject.pixels() / channels];
        value = Value { name: graph.reshape("input/channels", &value.name, &dims), dims };
    }
    let mean = graph.array("input/mean", &[channels, 1, 1], mean);
    let deviation = graph.array("input/deviation", &[channels, 1, 1], deviation);
    let centred = graph.node("input/centred", "Sub", &[&value.name, &mean], vec![]);
    let name = graph.node("input/normal", "Div", &[&centred, &deviation], vec![]);
    graph.describe(&name, &value.dims);
    Value { name, ..value }
}

/// What a network puts out.
struct Answer {
    /// Before a last sigmoid or softmax.
    logits: String,
    outputs: String,
    kind: Outputs,
    /// Whether the outputs add up to 1.
    is_softmax: bool,
    /// The name of what each layer puts out.
    layers: Vec<String>,
}

impl Answer {
    /// Adds a network.
    fn of(
        graph: &mut Graph,
        (network, ending): (&Network<f32>, Ending),
        (prefix, picture): (&str, &Value),
    ) -> anyhow::Result<Self> {
        let input = network.input_shape();
        let x = if picture.dims == input.dims() {
            picture.name.clone()
        } else {
            graph.reshape(format!("{prefix}input/reshaped"), &picture.name, input.dims())
        };
        let steps = steps(network)?;
        let (before, last) = steps.split_at(steps.len() - ending.after_logits);
        let mut nodes = Nodes { graph, prefix: prefix.to_owned(), outputs: Vec::new() };
        let mut logits = nodes.steps(before, &x)?;
        let mut outputs = nodes.steps(last, &logits)?;
        let layers = nodes.outputs;
        let shape = network.output_shape();
        if shape.dims().len() != 1 {
            let is_one = logits == outputs;
            logits = graph.reshape(format!("{prefix}logits/flat"), &logits, &[shape.len()]);
            outputs = if is_one {
                logits.clone()
            } else {
                graph.reshape(format!("{prefix}outputs/flat"), &outputs, &[shape.len()])
            };
        }
        let is_softmax = last.iter().any(|step| matches!(step.operation, Operation::Softmax));
        Ok(Self { logits, outputs, kind: ending.outputs, is_softmax, layers })
    }

    /// Makes them the answers of the graph.
    fn finish(&mut self, graph: &mut Graph) {
        if self.is_softmax {
            let outputs = self.outputs.clone();
            self.rename(graph, &outputs, "probabilities");
        } else if self.kind == Outputs::Logits {
            graph.node("probabilities", "Softmax", &[&self.logits], vec![int("axis", 1)]);
        } else {
            let logarithms = logarithms(graph, "", self);
            graph.node("probabilities", "Softmax", &[&logarithms], vec![int("axis", 1)]);
        }
        let logits = self.logits.clone();
        self.rename(graph, &logits, "logits");
    }

    /// Names what a layer or a reshape puts out as an output of the graph.
    fn rename(&mut self, graph: &mut Graph, from: &str, to: &str) {
        graph.rename(from, to);
        for layer in self.layers.iter_mut().filter(|layer| *layer == from) {
            to.clone_into(layer);
        }
    }
}

/// Adds the logarithms of a network's probabilities, as it votes with them: none is below that of
/// the least number, so that no network has a veto. (Of one network the softmax of these is what its
/// outputs are of their sum.)
fn logarithms(graph: &mut Graph, prefix: &str, answer: &Answer) -> String {
    let Answer { outputs: x, kind, .. } = answer;
    let name = |what: &str| format!("{prefix}ln/{what}");
    let ln = match kind {
        Outputs::Logits => graph.node(name("softmax"), "LogSoftmax", &[x], vec![int("axis", 1)]),
        // ln sigmoid(x) = −ln(1 + exp −x).
        Outputs::BinaryLogits => {
            let negative = graph.node(name("negative"), "Neg", &[x], vec![]);
            let softplus = graph.node(name("softplus"), "Softplus", &[&negative], vec![]);
            graph.node(name("sigmoid"), "Neg", &[&softplus], vec![])
        }
        Outputs::Probabilities => {
            let positive = graph.node(name("positive"), "Relu", &[x], vec![]);
            graph.node(name("exact"), "Log", &[&positive], vec![])
        }
    };
    graph.node(format!("{prefix}ln"), "Clip", &[&ln], vec![float("min", LN_FLOOR)])
}

/// Adds the joint answer of a committee: the geometric means of its members' probabilities, divided
/// by their sum.
fn vote(graph: &mut Graph, logarithms: &[String]) {
    let inputs: Vec<_> = logarithms.iter().map(String::as_str).collect();
    let mean = graph.node("vote", "Mean", &inputs, vec![]);
    graph.node("logits", "LogSoftmax", &[&mean], vec![int("axis", 1)]);
    graph.node("probabilities", "Softmax", &[&mean], vec![int("axis", 1)]);
}
