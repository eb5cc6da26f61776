#!/usr/bin/env python3
"""Writes the numbers that the tests compare with: what SciPy and PyTorch compute.

    python3 scripts/fixtures.py

needs numpy, scipy, torch, mpmath and safetensors, takes a few seconds, and writes

    crates/tensor/tests/fixtures/scipy.safetensors        correlate2d, convolve2d
    crates/tensor/tests/fixtures/correlation.safetensors  conv2d: stride, padding, groups
    crates/tensor/tests/fixtures/maps.safetensors         exp, tanh, sigmoid to 40 digits
    crates/layers/tests/fixtures/layers.safetensors       each layer, forward and backward
    crates/layers/tests/fixtures/losses.safetensors       each loss, value and gradient
    crates/layers/tests/fixtures/networks.safetensors     networks: gradients, five steps

All numbers are float64. A name is `CASE/ARRAY`. Where cases need a network, `__metadata__`
holds one JSON object under "cases": from a case's name to its network, in the form that
`layers::NetworkSpec` reads, and its loss. Sizes are chosen so that no two axes that could be mixed up
are equal, and every random number comes from a fixed seed: the same versions of the
libraries write the same files.
"""

import json
from pathlib import Path

import mpmath
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from scipy.signal import convolve2d, correlate2d

ROOT = Path(__file__).resolve().parent.parent / "crates"
TENSOR = ROOT / "tensor" / "tests" / "fixtures"
LAYERS = ROOT / "layers" / "tests" / "fixtures"


def write(path, arrays, cases=None):
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(arrays, path, {"cases": json.dumps(cases)} if cases else None)
    count = len({name.split("/")[0] for name in arrays})
    print(f"{path.relative_to(ROOT.parent)}: {count} cases, {path.stat().st_size} bytes")


# ---------------------------------------------------------------------------- tensor

# (H, W), (KH, KW)
PLANES = [
    ((1, 1), (1, 1)),
    ((1, 13), (1, 4)),
    ((13, 1), (5, 1)),
    ((1, 7), (1, 7)),
    ((7, 1), (7, 1)),
    ((5, 3), (5, 3)),
    ((4, 9), (4, 2)),
    ((9, 4), (2, 4)),
    ((3, 3), (2, 2)),
    ((7, 5), (3, 2)),
    ((5, 7), (2, 3)),
    ((11, 13), (1, 5)),
    ((13, 11), (5, 1)),
    ((11, 6), (4, 3)),
    ((6, 17), (3, 7)),
    ((17, 8), (7, 5)),
    ((8, 19), (5, 2)),
    ((10, 16), (3, 3)),
    ((9, 31), (2, 11)),
    ((12, 33), (11, 3)),
    ((15, 15), (1, 1)),
]


def scipy_planes():
    random = np.random.default_rng(1)
    arrays = {}
    for number, (size, kernel) in enumerate(PLANES):
        x, k = random.standard_normal(size), random.standard_normal(kernel)
        case = f"{number:02}"
        arrays |= {f"{case}/x": x, f"{case}/k": k}
        for mode in ("valid", "full"):
            arrays[f"{case}/correlate_{mode}"] = correlate2d(x, k, mode)
            arrays[f"{case}/convolve_{mode}"] = convolve2d(x, k, mode)
    write(TENSOR / "scipy.safetensors", arrays)


# N, (C, H, W), D, (KH, KW), (SH, SW), (top, bottom), (left, right), groups
CORRELATIONS = [
    (2, (1, 7, 5), 3, (3, 2), (1, 1), (0, 0), (0, 0), 1),
    (3, (3, 5, 9), 5, (2, 4), (1, 1), (0, 0), (0, 0), 1),
    (2, (2, 9, 7), 3, (3, 5), (2, 1), (0, 0), (0, 0), 1),
    (2, (3, 8, 11), 2, (2, 3), (1, 3), (0, 0), (0, 0), 1),
    (3, (2, 7, 10), 5, (3, 3), (2, 3), (0, 0), (0, 0), 1),
    (2, (3, 6, 5), 7, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, (2, 5, 8), 3, (4, 3), (1, 1), (2, 1), (0, 2), 1),
    (3, (1, 9, 6), 2, (5, 4), (2, 3), (3, 4), (2, 1), 1),
    (2, (6, 5, 7), 9, (2, 3), (1, 1), (0, 0), (0, 0), 3),
    (2, (5, 7, 4), 5, (3, 2), (1, 1), (1, 1), (0, 1), 5),
    (3, (4, 8, 9), 6, (3, 4), (3, 2), (1, 2), (3, 0), 2),
    (2, (3, 4, 5), 6, (1, 1), (2, 2), (0, 0), (0, 0), 3),
    (1, (2, 3, 11), 17, (3, 1), (1, 1), (2, 2), (0, 0), 1),
]


def correlations():
    torch.manual_seed(2)
    arrays = {}
    for number, case in enumerate(CORRELATIONS):
        n, (c, h, w), d, kernel, stride, rows, columns, groups = case
        x = torch.randn(n, c, h, w, requires_grad=True)
        k = torch.randn(d, c // groups, *kernel, requires_grad=True)
        padded = F.pad(x, (*columns, *rows))
        plain = F.conv2d(padded, k, stride=stride, groups=groups)
        per_kernel = torch.randn(d, requires_grad=True)
        untied = torch.randn(plain.shape[1:], requires_grad=True)
        g = torch.randn(plain.shape)
        plain.backward(g)
        all_arrays = {
            "input": x,
            "kernels": k,
            "per_kernel": per_kernel,
            "untied": untied,
            "output": plain,
            "output_per_kernel": F.conv2d(padded, k, per_kernel, stride, groups=groups),
            "output_untied": plain + untied,
            "output_gradient": g,
            "input_gradient": x.grad,
            "kernel_gradient": k.grad,
        }
        case = f"{number:02}"
        arrays |= {f"{case}/{name}": a.detach().numpy() for name, a in all_arrays.items()}
        arrays[f"{case}/geometry"] = np.array([*stride, *rows, *columns, groups], np.int64)
    write(TENSOR / "correlation.safetensors", arrays)


def maps():
    """Values to 40 digits, as the nearest float64 and the rest that it leaves."""
    mpmath.mp.prec = 140
    random = np.random.default_rng(3)
    functions = {
        "exp": (mpmath.exp, (-745.0, 709.7)),
        "tanh": (mpmath.tanh, (-22.0, 22.0)),
        "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), (-745.0, 45.0)),
    }
    arrays = {}
    for name, (function, (low, high)) in functions.items():
        near = random.standard_normal(300)
        tiny = random.choice([-1, 1], 100) * 10.0 ** random.uniform(-30, 0, 100)
        wide = random.uniform(low, high, 300)
        x = np.concatenate([near, tiny, wide])
        exact = [function(mpmath.mpf(float(value))) for value in x]
        nearest = np.array([float(value) for value in exact])
        rest = np.array([float(value - mpmath.mpf(n)) for value, n in zip(exact, nearest.tolist())])
        arrays |= {f"{name}/x": x, f"{name}/nearest": nearest, f"{name}/rest": rest}
    write(TENSOR / "maps.safetensors", arrays)


# ---------------------------------------------------------------------------- layers


def conv2d(kernels, height, width, bias="per_channel"):
    return {"type": "conv2d", "kernels": kernels, "size": [height, width], "bias": bias}


def dense(outputs):
    return {"type": "dense", "outputs": outputs}


def reshape(*shape):
    return {"type": "reshape", "shape": list(shape)} if shape else {"type": "reshape"}


SIGMOID, TANH, RELU, SOFTMAX = ({"type": t} for t in ("sigmoid", "tanh", "relu", "softmax"))


class Reference:
    """A network of `layers::NetworkSpec` in PyTorch, with parameters from N(0, scale²)."""

    def __init__(self, spec, scale):
        self.layers, self.parameters = spec["layers"], {}
        shape = torch.Size(spec["input"])
        for index, layer in enumerate(self.layers):
            weight = bias = None
            if layer["type"] == "conv2d":
                weight = (layer["kernels"], shape[0], *layer["size"])
                output = F.conv2d(torch.zeros(1, *shape), torch.zeros(weight)).shape[1:]
                bias = {"none": None, "per_channel": output[:1], "untied": output}[layer["bias"]]
            elif layer["type"] == "dense":
                weight, bias = (layer["outputs"], shape[0]), (layer["outputs"],)
            for name, size in (("weight", weight), ("bias", bias)):
                if size:
                    tensor = (torch.randn(size) * scale).requires_grad_()
                    self.parameters[f"{index}.{name}"] = tensor
            with torch.no_grad():
                shape = self.layer(index, torch.zeros(1, *shape)).shape[1:]

    def layer(self, index, x):
        layer = self.layers[index]
        weight = self.parameters.get(f"{index}.weight")
        bias = self.parameters.get(f"{index}.bias")
        match layer["type"]:
            case "conv2d" if layer["bias"] == "untied":
                return F.conv2d(x, weight) + bias
            case "conv2d":
                return F.conv2d(x, weight, bias)
            case "dense":
                return F.linear(x, weight, bias)
            case "reshape":
                return x.reshape(x.shape[0], *layer.get("shape", [-1]))
            case "softmax":
                return torch.softmax(x, dim=1)
            case name:
                return getattr(torch, name)(x)

    def __call__(self, x):
        for index in range(len(self.layers)):
            x = self.layer(index, x)
        return x

    def arrays(self, prefix, of=lambda parameter: parameter):
        named = self.parameters.items()
        return {f"{prefix}/{name}": of(p).detach().numpy().copy() for name, p in named}


# Name, N, input sample, layer.
SINGLE = [
    ("conv2d_none", 3, [2, 7, 5], conv2d(3, 3, 2, "none")),
    ("conv2d_none_wide", 2, [1, 4, 37], conv2d(5, 3, 5, "none")),
    ("conv2d_per_channel", 3, [3, 5, 11], conv2d(7, 2, 3)),
    ("conv2d_per_channel_point", 2, [5, 3, 7], conv2d(2, 1, 1)),
    ("conv2d_untied", 3, [1, 9, 8], conv2d(6, 3, 3, "untied")),
    ("conv2d_untied_whole", 5, [2, 3, 5], conv2d(3, 3, 5, "untied")),
    ("dense", 3, [13], dense(7)),
    ("dense_single_output", 5, [11], dense(1)),
    ("dense_wide", 7, [1], dense(19)),
    ("sigmoid", 3, [2, 3, 5], SIGMOID),
    ("tanh", 2, [7, 3], TANH),
    ("relu", 5, [17], RELU),
    ("softmax", 3, [11], SOFTMAX),
    ("softmax_single", 2, [1], SOFTMAX),
    ("reshape_flat", 3, [2, 3, 5], reshape()),
    ("reshape_axes", 2, [3, 4], reshape(2, 6, 1)),
]


def layers():
    torch.manual_seed(4)
    arrays, cases = {}, {}
    for case, n, sample, layer in SINGLE:
        spec = {"input": sample, "layers": [layer]}
        network = Reference(spec, 1.0)
        x = torch.randn(n, *sample, requires_grad=True)
        y = network(x)
        g = torch.randn(y.shape)
        y.backward(g)
        cases[case] = {"network": spec}
        arrays |= network.arrays(f"{case}/parameter")
        arrays |= network.arrays(f"{case}/gradient", lambda p: p.grad)
        named = {"input": x, "output": y, "output_gradient": g, "input_gradient": x.grad}
        arrays |= {f"{case}/{name}": a.detach().numpy() for name, a in named.items()}
    write(LAYERS / "layers.safetensors", arrays, cases)


LOSSES = {"mean_squared_error": F.mse_loss, "binary_cross_entropy": F.binary_cross_entropy}


def losses():
    torch.manual_seed(5)
    arrays = {}
    for name, loss in LOSSES.items():
        for n, outputs in ((1, 1), (1, 10), (3, 7), (5, 13)):
            # Numbers of single precision: 1 - p would magnify their rounding.
            p = torch.rand(n, outputs).float().double().requires_grad_()
            t = torch.rand(n, outputs)
            t = t if outputs == 7 else t.round()
            value = loss(p, t)
            value.backward()
            named = {"prediction": p, "target": t, "value": value, "gradient": p.grad}
            case = f"{name}-{n}x{outputs}"
            arrays |= {f"{case}/{key}": a.detach().numpy() for key, a in named.items()}
    write(LAYERS / "losses.safetensors", arrays)


# Name, loss, N, input sample, layers. Batches are large enough for odd shards.
NETWORKS = [
    (
        "notebook",
        "binary_cross_entropy",
        3,
        [1, 7, 9],
        [conv2d(3, 3, 2, "untied"), SIGMOID, reshape(), dense(11), TANH, dense(5), SIGMOID],
    ),
    (
        "deep",
        "mean_squared_error",
        5,
        [2, 9, 8],
        [
            *(conv2d(4, 3, 3), RELU, conv2d(3, 2, 3, "none"), TANH),
            *(reshape(), dense(6), SOFTMAX),
        ],
    ),
    (
        "softmax_inside",
        "binary_cross_entropy",
        7,
        [13],
        [dense(7), SOFTMAX, dense(5), TANH, TANH, dense(4), SOFTMAX],
    ),
    (
        "activation_first",
        "mean_squared_error",
        2,
        [30],
        [TANH, reshape(2, 3, 5), SIGMOID, conv2d(3, 2, 2), RELU, RELU, reshape(), dense(3)],
    ),
]
STEPS, RATE = 5, 0.25


def networks():
    torch.manual_seed(6)
    arrays, cases = {}, {}
    for case, loss_name, n, sample, layer_list in NETWORKS:
        spec = {"input": sample, "layers": layer_list}
        network, loss = Reference(spec, 0.5), LOSSES[loss_name]
        cases[case] = {"network": spec, "loss": loss_name}
        x = torch.randn(STEPS, n, *sample)
        outputs = network(x[0]).shape[1]
        t = torch.rand(STEPS, n, outputs)
        t = t if loss_name == "mean_squared_error" else t.round()
        arrays |= {f"{case}/inputs": x.numpy(), f"{case}/targets": t.numpy()}
        arrays |= network.arrays(f"{case}/parameter")
        errors = []
        for step in range(STEPS):
            y = network(x[step])
            error = loss(y, t[step])
            error.backward()
            errors.append(error.item())
            if step == 0:
                arrays[f"{case}/output"] = y.detach().numpy()
                arrays |= network.arrays(f"{case}/gradient", lambda p: p.grad)
            with torch.no_grad():
                for parameter in network.parameters.values():
                    parameter -= RATE * parameter.grad
                    parameter.grad = None
        arrays[f"{case}/losses"] = np.array(errors)
        arrays[f"{case}/rate"] = np.array([RATE])
        arrays |= network.arrays(f"{case}/trained")
    write(LAYERS / "networks.safetensors", arrays, cases)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    for folder in (TENSOR, LAYERS):
        folder.mkdir(parents=True, exist_ok=True)
    for make in (scipy_planes, correlations, maps, layers, losses, networks):
        make()
