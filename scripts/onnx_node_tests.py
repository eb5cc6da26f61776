#!/usr/bin/env python3
"""Runs those of ONNX's node tests that a network of `layers` can express.

    python3 scripts/onnx_node_tests.py [FOLDER]

needs numpy, onnx and safetensors. FOLDER holds the tests, `test_relu/model.onnx` and so on; if
none is given it is that of Debian's package `libonnx-testdata`. Each test is a graph with one
node, its inputs and its output. A node that is one of our layers becomes a network of that layer,
initializers and all inputs but the first become its weights, and what it answers, in `f32`, is
compared with the output within the bounds of ONNX's own runner. What cannot be expressed is
counted by its reason; `--reasons` lists it. Status 1 if an answer differs.
"""

import argparse
import collections
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent
DEBIAN = Path("/usr/share/libonnx-testdata/data/node")
# ONNX's own: onnx/backend/test/runner.
RELATIVE, ABSOLUTE = 1e-3, 1e-7


class Inexpressible(Exception):
    pass


def need(condition, reason):
    if not condition:
        raise Inexpressible(reason)


def planes(x):
    need(x.ndim == 4, "no planes (N, C, H, W)")


def around(attributes, size, dilation, stride, x):
    """Padding as [[above, below], [left, right]]."""
    match attributes.get("auto_pad", b"NOTSET").decode():
        case "NOTSET":
            top, left, bottom, right = attributes.get("pads", [0] * 4)
            return [[top, bottom], [left, right]]
        case "VALID":
            return [[0, 0], [0, 0]]
        case same:
            sides = []
            for axis in (0, 1):
                length, extent = x.shape[2 + axis], (size[axis] - 1) * dilation[axis] + 1
                outputs = -(-length // stride[axis])
                total = max(0, (outputs - 1) * stride[axis] + extent - length)
                low, high = total // 2, total - total // 2
                sides.append([low, high] if same == "SAME_UPPER" else [high, low])
            return sides


def convolution(attributes, x, weight, bias=None):
    planes(x)
    stride, dilation = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    size = list(weight.shape[2:])
    layer = {
        "type": "conv2d",
        "kernels": weight.shape[0],
        "size": size,
        "stride": stride,
        "dilation": dilation,
        "padding": around(attributes, size, dilation, stride, x),
        "groups": attributes.get("group", 1),
        "bias": "none" if bias is None else "per_channel",
    }
    return layer, {"weight": weight} | ({} if bias is None else {"bias": bias})


def transposed(attributes, x, weight, bias=None):
    planes(x)
    stride, dilation = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    size, groups = list(weight.shape[2:]), attributes.get("group", 1)
    more = attributes.get("output_padding", [0, 0])
    whole = [
        (x.shape[2 + axis] - 1) * stride[axis] + (size[axis] - 1) * dilation[axis] + 1
        for axis in (0, 1)
    ]
    auto = attributes.get("auto_pad", b"NOTSET").decode()
    if "output_shape" in attributes or auto.startswith("SAME"):
        wanted = attributes.get("output_shape") or [x.shape[2 + a] * stride[a] for a in (0, 1)]
        sides = []
        for axis, length in enumerate(wanted[-2:]):
            total = whole[axis] + more[axis] - length
            # Less than the whole is cut off, more than it is padded below and to the right.
            more[axis] += max(0, -total)
            low = max(0, total) // 2
            pair = [low, max(0, total) - low]
            sides.append(pair if auto == "SAME_UPPER" else pair[::-1])
    else:
        sides = around(attributes, size, dilation, stride, x)
    need(all(m < s for m, s in zip(more, stride)), "output padding of a stride and more")
    layer = {
        "type": "conv_transpose2d",
        "kernels": weight.shape[1] * groups,
        "size": size,
        "stride": stride,
        "dilation": dilation,
        "padding": sides,
        "output_padding": more,
        "groups": groups,
        "bias": "none" if bias is None else "per_channel",
    }
    return layer, {"weight": weight} | ({} if bias is None else {"bias": bias})


def pooling(kind):
    def layer(attributes, x):
        planes(x)
        size, stride = attributes["kernel_shape"], attributes.get("strides", [1, 1])
        need(attributes.get("dilations", [1, 1]) == [1, 1], "a pooling with dilation")
        settings = {"count_include_pad": bool(attributes.get("count_include_pad", 0))}
        settings = settings if kind == "avg_pool2d" else {}
        padding = around(attributes, size, [1, 1], stride, x)
        need(
            all(2 * pad <= k for pair, k in zip(padding, size) for pad in pair),
            "padding of more than half of the window",
        )
        common = {"type": kind, "size": size, "stride": stride, "padding": padding}
        return common | {"ceil_mode": bool(attributes.get("ceil_mode", 0))} | settings, {}

    return layer


def global_pooling(kind):
    def layer(_, x):
        planes(x)
        return {"type": kind, "size": list(x.shape[2:])}, {}

    return layer


def plain(kind, **names):
    """A function of one number, with the names of its settings and their defaults."""

    def layer(attributes, x):
        settings = {ours: attributes.get(theirs, value) for ours, (theirs, value) in names.items()}
        return {"type": kind} | settings, {}

    return layer


def softmax(attributes, x):
    need(x.ndim == 2 and attributes.get("axis", -1) in (1, -1), "softmax over other axes than the last of two")
    return {"type": "softmax"}, {}


def gemm(attributes, a, b, c=None):
    a_first = attributes.get("transA", 0) == 0
    need(a_first, "a transposed input")
    weight = b if attributes.get("transB", 0) else b.T
    weight = weight * np.float32(attributes.get("alpha", 1.0))
    bias = np.zeros(weight.shape[0], np.float32)
    if c is not None:
        need(c.size in (1, weight.shape[0]) and (c.ndim < 2 or c.shape[0] == 1), "a bias for each sample")
        bias = bias + c.reshape(-1) * np.float32(attributes.get("beta", 1.0))
    return {"type": "dense", "outputs": weight.shape[0]}, {"weight": weight, "bias": bias}


def product(_, a, b):
    need(a.ndim == 2 and b.ndim == 2, "a product of more axes than two")
    return {"type": "dense", "outputs": b.shape[1]}, {"weight": b.T, "bias": np.zeros(b.shape[1], np.float32)}


def batch_normalization(attributes, x, scale, shift, mean, variance):
    planes(x)
    need(attributes.get("training_mode", 0) == 0, "batch normalisation that learns")
    layer = {"type": "batch_norm2d", "epsilon": attributes.get("epsilon", 1e-5)}
    arrays = {"weight": scale, "bias": shift, "running_mean": mean, "running_var": variance}
    return layer, arrays


def instance_normalization(attributes, x, scale, shift):
    layer = {"type": "group_norm", "groups": x.shape[1], "epsilon": attributes.get("epsilon", 1e-5)}
    return layer, {"weight": scale, "bias": shift}


def group_normalization(attributes, x, scale, shift):
    need(scale.size == x.shape[1], "scale and shift of groups")
    layer = {"type": "group_norm", "groups": attributes["num_groups"], "epsilon": attributes.get("epsilon", 1e-5)}
    return layer, {"weight": scale, "bias": shift}


def layer_normalization(attributes, x, scale, shift=None):
    axis = attributes.get("axis", -1) % x.ndim
    need(axis == 1 and scale.ndim == 1, "layer normalisation with a scale for each number of planes")
    layer = {"type": "layer_norm", "epsilon": attributes.get("epsilon", 1e-5)}
    return layer, {"weight": scale, "bias": np.zeros_like(scale) if shift is None else shift}


def flatten(attributes, x):
    need(attributes.get("axis", 1) % x.ndim == 1 if x.ndim > 1 else False, "flattening of other axes")
    return {"type": "flatten"}, {}


def reshape(attributes, x, shape):
    dims = [x.shape[i] if d == 0 and not attributes.get("allowzero") else int(d) for i, d in enumerate(shape)]
    dims = list(x.reshape(dims).shape)
    need(dims[:1] == [x.shape[0]] and 2 <= len(dims) <= 4, "another shape of the batch")
    return {"type": "reshape", "shape": dims[1:]}, {}


def dropout(attributes, x, ratio=None, training=None):
    need(training is None or not bool(training), "a dropout that learns")
    return {"type": "dropout", "p": 0.5}, {}


def cross_entropy(attributes, x, labels, weights=None):
    """The losses of the samples, and what ONNX makes of them."""
    need(x.ndim == 2 and "ignore_index" not in attributes, "a loss of planes, or one that ignores a class")
    loss = {"type": "softmax_cross_entropy"}
    counts = np.ones(len(x))
    if weights is not None:
        loss["class_weights"] = weights.tolist()
        counts = weights[labels]
    target = np.zeros_like(x)
    target[np.arange(len(x)), labels] = 1
    reductions = {
        b"mean": lambda losses: losses.sum() / counts.sum(),
        b"sum": lambda losses: losses.sum(),
        b"none": lambda losses: losses,
    }
    files = {"loss.json": json.dumps(loss).encode(), "target.bin": target.astype("<f4").tobytes()}
    return {"type": "flatten"}, {}, files, reductions[attributes.get("reduction", b"mean")]


LAYERS = {
    "SoftmaxCrossEntropyLoss": cross_entropy,
    "Conv": convolution,
    "ConvTranspose": transposed,
    "MaxPool": pooling("max_pool2d"),
    "AveragePool": pooling("avg_pool2d"),
    "GlobalMaxPool": global_pooling("max_pool2d"),
    "GlobalAveragePool": global_pooling("avg_pool2d"),
    "BatchNormalization": batch_normalization,
    "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization,
    "LayerNormalization": layer_normalization,
    "Gemm": gemm,
    "MatMul": product,
    "Relu": plain("relu"),
    "LeakyRelu": plain("leaky_relu", slope=("alpha", 0.01)),
    "Elu": plain("elu", alpha=("alpha", 1.0)),
    "Sigmoid": plain("sigmoid"),
    "Tanh": plain("tanh"),
    "Softplus": plain("softplus"),
    "HardSwish": plain("hard_swish"),
    "Softmax": softmax,
    "Flatten": flatten,
    "Reshape": reshape,
    "Dropout": dropout,
}


def read(path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def express(folder, to):
    """Writes a test as a network with its input; returns the expected results, and the
    function that computes them from its outputs."""
    model = onnx.load(folder / "model.onnx")
    graph = model.graph
    need(len(graph.node) == 1, "several nodes")
    node = graph.node[0]
    make = LAYERS.get(node.op_type)
    need(make, f"no layer: {node.op_type}")
    data = folder / "test_data_set_0"
    try:
        values = {i.name: read(data / f"input_{n}.pb") for n, i in enumerate(graph.input)}
        expected = read(data / "output_0.pb")
    except Exception as error:
        raise Inexpressible(f"inputs that are no tensors ({type(error).__name__})")
    values |= {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    operands = [values[name] if name else None for name in node.input]
    x = operands[0]
    need(x.dtype == np.float32 and expected.dtype == np.float32, "no single precision")
    need(x.size > 0 and x.ndim > 0, "nothing, or a single number without axes")
    outputs = [name for name in node.output if name]
    need(len(outputs) == 1 or node.op_type in ("LayerNormalization", "Dropout"), "several outputs")
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    attributes = {k: list(v) if isinstance(v, (list, tuple)) else v for k, v in attributes.items()}
    layer, arrays, *loss = make(attributes, *operands)
    files, finish = loss or ({}, lambda answers: answers)
    # One axis is one sample of it.
    batch = x.reshape(1, -1) if x.ndim == 1 else x
    need(batch.ndim <= 4, "more axes than a batch has")
    to.mkdir()
    spec = {"input": list(batch.shape[1:]), "layers": [layer]}
    (to / "network.json").write_text(json.dumps(spec))
    arrays = {f"0.{name}": np.ascontiguousarray(a, np.float32) for name, a in arrays.items()}
    save_file(arrays, to / "weights.safetensors")
    files["input.bin"] = np.ascontiguousarray(batch, "<f4").tobytes()
    for name, content in files.items():
        (to / name).write_bytes(content)
    return expected, finish


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DEBIAN)
    parser.add_argument("--reasons", action="store_true", help="list what cannot be expressed")
    arguments = parser.parse_args()
    tests = sorted(path.parent for path in arguments.folder.glob("*/model.onnx"))
    if not tests:
        sys.exit(f"{arguments.folder}: expected folders with model.onnx, found none")
    reasons, expected = collections.Counter(), {}
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        for test in tests:
            try:
                expected[test.name] = express(test, work / test.name)
            except Inexpressible as reason:
                reasons[str(reason)] += 1
        folders = [str(work / name) for name in expected]
        cargo = ["cargo", "run", "--quiet", "-p", "layers", "--example", "05-run-networks", "--"]
        subprocess.run([*cargo, *folders], cwd=ROOT, check=True)
        wrong = 0
        for name, (right, finish) in expected.items():
            found = finish(np.frombuffer((work / name / "output.bin").read_bytes(), "<f4"))
            if found.size != right.size:
                print(f"{name}: expected {right.shape}, found {found.size} numbers")
                wrong += 1
            elif not np.allclose(found.reshape(right.shape), right, RELATIVE, ABSOLUTE, equal_nan=True):
                print(f"{name}: differs by {np.abs(found.reshape(right.shape) - right).max():.3e}")
                wrong += 1
    if arguments.reasons:
        for reason, count in reasons.most_common():
            print(f"{count:5} {reason}")
    left = sum(reasons.values())
    print(f"{len(expected)} tests run, {wrong} differ; {left} cannot be expressed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
