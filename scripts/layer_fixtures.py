#!/usr/bin/env python3
"""Writes what PyTorch's layers, losses and whole networks compute, for the tests.

    python3 scripts/layer_fixtures.py

needs torch, numpy and safetensors, takes a few seconds, and writes

    crates/layers/tests/fixtures/layer_shapes.safetensors    each layer, on chosen and drawn shapes
    crates/layers/tests/fixtures/loss_settings.safetensors   the losses and their settings
    crates/layers/tests/fixtures/adamw_training.safetensors  networks trained by AdamW, with normalisation

All numbers are float64. A name is `CASE/ARRAY`; `__metadata__` holds one JSON object
under "cases", from a case's name to its network in the form that `layers::NetworkSpec`
reads. The shapes in `SINGLE` are chosen, no two axes of a case being equal; those of `drawn`
come from a fixed seed.
"""

import json
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn

LAYERS = Path(__file__).resolve().parent.parent / "crates" / "layers" / "tests" / "fixtures"


def write(file, arrays, cases):
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(arrays, LAYERS / file, {"cases": json.dumps(cases)})
    print(f"{file}: {len(cases)} cases, {(LAYERS / file).stat().st_size} bytes")


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Padded(nn.Module):
    """A layer on its input with zeros around it, whose parameters keep their names."""

    def __init__(self, sides, layer):
        super().__init__()
        self.sides, self.layer = sides, layer
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x):
        return self.layer(F.pad(x, self.sides))


def module(layer, shape):
    """PyTorch's module for one of our layers, on samples of this shape."""
    layer = dict(layer)
    match layer.pop("type"):
        case "conv2d":
            bias = layer.pop("bias", "per_channel") == "per_channel"
            size, kernels = layer.pop("size"), layer.pop("kernels")
            sides = layer.get("padding")
            if isinstance(sides, list) and isinstance(sides[0], list):
                # PyTorch's own padding is the same before and after.
                (top, bottom), (left, right) = layer.pop("padding")
                return Padded((left, right, top, bottom), nn.Conv2d(shape[0], kernels, size, bias=bias, **layer))
            return nn.Conv2d(shape[0], kernels, size, bias=bias, **layer)
        case "conv_transpose2d":
            bias = layer.pop("bias", "per_channel") == "per_channel"
            size, kernels = layer.pop("size"), layer.pop("kernels")
            return nn.ConvTranspose2d(shape[0], kernels, size, bias=bias, **layer)
        case "dense":
            return nn.Linear(shape[0], layer["outputs"])
        case "max_pool2d":
            return nn.MaxPool2d(layer.pop("size"), **layer)
        case "avg_pool2d":
            return nn.AvgPool2d(layer.pop("size"), **layer)
        case "global_avg_pool2d":
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case "batch_norm2d":
            return nn.BatchNorm2d(shape[0], eps=layer.get("epsilon", 1e-5), momentum=layer.get("momentum", 0.1))
        case "group_norm":
            return nn.GroupNorm(layer["groups"], shape[0], eps=layer.get("epsilon", 1e-5))
        case "layer_norm":
            return nn.GroupNorm(1, shape[0], eps=layer.get("epsilon", 1e-5))
        case "elu":
            return nn.ELU(layer.get("alpha", 1.0))
        case "softplus":
            return nn.Softplus(threshold=1000)
        case "hard_swish":
            return nn.Hardswish()
        case "leaky_relu":
            return nn.LeakyReLU(layer.get("slope", 0.01))
        case "gelu":
            return nn.GELU()
        case "silu":
            return nn.SiLU()
        case "relu":
            return nn.ReLU()
        case "flatten":
            return nn.Flatten()
        case "residual":
            return Residual(*sequence(layer["layers"], shape))
    raise ValueError(layer)


def sequence(layers, shape):
    modules = []
    for layer in layers:
        modules.append(module(layer, shape))
        with torch.no_grad():
            shape = modules[-1].eval()(torch.zeros(1, *shape)).shape[1:]
    return modules


def build(spec):
    network = nn.Sequential(*sequence(spec["layers"], spec["input"])).train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape))
    return network


def arrays_of(network, prefix):
    state = {k: v for k, v in network.state_dict().items() if "num_batches" not in k and ".layer." not in k}
    return {f"{prefix}/{name}": a.detach().numpy().copy() for name, a in state.items()}


def conv(kernels, size, **settings):
    return {"type": "conv2d", "kernels": kernels, "size": size} | settings


def of(name, **settings):
    return {"type": name} | settings


# Name, N, input sample, layer.
SINGLE = [
    ("conv_stride", 3, [2, 9, 14], conv(3, [3, 2], stride=2)),
    ("conv_strides", 2, [3, 11, 8], conv(5, [2, 3], stride=[3, 2])),
    ("conv_padding", 3, [2, 5, 7], conv(4, [3, 5], padding=[1, 2])),
    ("conv_padding_stride", 2, [1, 13, 17], conv(3, 5, padding=2, stride=2)),
    ("conv_same", 2, [3, 7, 5], conv(2, [3, 5], padding="same")),
    ("conv_same_even", 2, [2, 9, 11], conv(3, [4, 2], padding="same", bias="none")),
    ("conv_groups", 3, [6, 7, 9], conv(9, [2, 3], groups=3)),
    ("conv_depthwise", 2, [5, 9, 17], conv(5, 3, groups=5, padding="same")),
    ("conv_all", 2, [4, 11, 13], conv(6, 3, groups=2, stride=2, padding=1)),
    ("max_pool", 3, [2, 7, 9], of("max_pool2d", size=2)),
    ("max_pool_wide", 2, [3, 5, 37], of("max_pool2d", size=2)),
    ("max_pool_overlap", 2, [3, 8, 11], of("max_pool2d", size=[3, 2], stride=[2, 1])),
    ("avg_pool", 3, [2, 7, 9], of("avg_pool2d", size=2)),
    ("avg_pool_overlap", 2, [3, 8, 11], of("avg_pool2d", size=[2, 3], stride=2)),
    ("global_avg_pool", 3, [5, 7, 3], of("global_avg_pool2d")),
    ("batch_norm", 3, [4, 5, 7], of("batch_norm2d")),
    ("batch_norm_single", 1, [3, 5, 9], of("batch_norm2d", momentum=0.3, epsilon=1e-3)),
    ("batch_norm_small", 7, [2, 1, 1], of("batch_norm2d")),
    ("leaky_relu", 2, [3, 5, 7], of("leaky_relu")),
    ("leaky_relu_steep", 3, [11], of("leaky_relu", slope=0.3)),
    ("gelu", 3, [2, 7, 5], of("gelu")),
    ("silu", 3, [2, 5, 7], of("silu")),
    (
        "residual",
        3,
        [3, 7, 5],
        of(
            "residual",
            layers=[
                conv(5, 3, padding="same", bias="none"),
                *(of("batch_norm2d"), of("relu")),
                conv(3, [1, 3], padding="same"),
                of("batch_norm2d"),
            ],
        ),
    ),
    (
        "residual_nested",
        2,
        [2, 5, 7],
        of("residual", layers=[of("silu"), of("residual", layers=[conv(2, 3, padding=1), of("gelu")])]),
    ),
]


# The same, after all that is drawn.
ADDED = [
    ("conv_dilation", 2, [2, 9, 11], conv(3, [3, 2], dilation=[2, 3])),
    ("conv_dilation_stride", 3, [2, 13, 12], conv(3, 3, dilation=[4, 3], stride=[2, 3], padding=[3, 5])),
    ("conv_dilation_groups", 2, [4, 8, 10], conv(6, [2, 3], dilation=2, stride=2, groups=2)),
    ("conv_same_dilation", 2, [3, 7, 5], conv(2, [3, 4], padding="same", dilation=[2, 1])),
    ("conv_much_padding", 2, [2, 3, 5], conv(3, [2, 1], padding=[4, 3], stride=[3, 2])),
    ("conv_uneven_padding", 2, [2, 5, 7], conv(4, [3, 2], padding=[[0, 2], [3, 1]])),
    ("conv_transpose", 2, [3, 5, 4], of("conv_transpose2d", kernels=2, size=[3, 2])),
    (
        "conv_transpose_stride",
        3,
        [2, 4, 5],
        of("conv_transpose2d", kernels=3, size=3, stride=[2, 3], padding=[1, 2], output_padding=[1, 2]),
    ),
    (
        "conv_transpose_groups",
        2,
        [6, 3, 4],
        of("conv_transpose2d", kernels=4, size=[2, 3], stride=2, groups=2, dilation=[3, 2], bias="none"),
    ),
    ("conv_transpose_3x3", 1, [17, 6, 10], of("conv_transpose2d", kernels=16, size=3, padding=1)),
    ("max_pool_padding", 2, [2, 7, 9], of("max_pool2d", size=[3, 4], stride=2, padding=[1, 2])),
    ("max_pool_ceil", 2, [2, 7, 9], of("max_pool2d", size=2, ceil_mode=True)),
    ("max_pool_ceil_padding", 2, [3, 8, 5], of("max_pool2d", size=3, stride=[2, 3], padding=1, ceil_mode=True)),
    ("avg_pool_padding", 2, [2, 7, 9], of("avg_pool2d", size=[3, 4], stride=2, padding=[1, 2])),
    (
        "avg_pool_ceil",
        2,
        [2, 8, 9],
        of("avg_pool2d", size=[3, 2], stride=[2, 3], padding=1, ceil_mode=True),
    ),
    (
        "avg_pool_not_counted",
        2,
        [2, 8, 9],
        of("avg_pool2d", size=[3, 2], stride=[2, 3], padding=1, ceil_mode=True, count_include_pad=False),
    ),
    ("group_norm", 3, [6, 5, 4], of("group_norm", groups=3)),
    ("group_norm_single", 2, [4, 3, 7], of("group_norm", groups=4, epsilon=1e-3)),
    ("group_norm_flat", 3, [10], of("group_norm", groups=2)),
    ("layer_norm", 2, [3, 5, 7], of("layer_norm")),
    ("layer_norm_flat", 3, [19], of("layer_norm", epsilon=1e-2)),
    ("elu", 3, [2, 5, 7], of("elu")),
    ("elu_small", 2, [13], of("elu", alpha=0.3)),
    ("softplus", 2, [3, 5, 7], of("softplus")),
    ("hard_swish", 2, [3, 5, 7], of("hard_swish")),
]

# How many shapes are drawn for each layer.
DRAWN = 5


def drawn():
    """Layers with settings and shapes at random, most of them odd."""
    draw = random.Random(12)
    size = lambda most: [draw.randint(1, most), draw.randint(1, most)]
    sample = lambda: [draw.randint(1, 3), draw.randint(5, 8), draw.randint(5, 11)]

    def any_conv():
        groups = draw.choice([1, 1, 2, 3])
        kernel, [channels, *plane] = size(5), sample()
        settings = {"stride": size(3), "padding": [draw.randint(0, k - 1) for k in kernel]}
        bias = draw.choice(["none", "per_channel"])
        layer = conv(groups * draw.randint(1, 5), kernel, groups=groups, bias=bias, **settings)
        return [groups * channels, *plane], layer

    def filtered_conv():
        """Kernels of 3×3, enough channels for minimal filtering."""
        few = draw.random() < 0.5
        channels, kernels = (draw.randint(3, 6), draw.randint(8, 17)) if few else (17, draw.randint(16, 20))
        plane = [draw.randint(6, 8), draw.randint(10, 11)]
        return [channels, *plane], conv(kernels, 3, padding=[draw.randint(0, 2), draw.randint(0, 2)])

    def pool(name):
        return lambda: (sample(), of(name, size=size(4), stride=size(3)))

    def plain(name, **settings):
        return lambda: (sample(), of(name) | {key: value() for key, value in settings.items()})

    kinds = {
        "conv": any_conv,
        "conv_3x3": filtered_conv,
        "max_pool": pool("max_pool2d"),
        "avg_pool": pool("avg_pool2d"),
        "global_avg_pool": plain("global_avg_pool2d"),
        "batch_norm": plain("batch_norm2d", momentum=lambda: round(draw.uniform(0.05, 0.9), 2)),
        "dense": lambda: ([draw.randint(1, 30)], of("dense", outputs=draw.randint(1, 20))),
        "relu": plain("relu"),
        "leaky_relu": plain("leaky_relu", slope=lambda: round(draw.uniform(0, 0.9), 2)),
        "gelu": plain("gelu"),
        "silu": plain("silu"),
        "flatten": plain("flatten"),
    }
    for kind, of_kind in kinds.items():
        for index in range(DRAWN):
            yield (f"drawn_{kind}_{index}", draw.randint(1, 3), *of_kind())


def layers():
    torch.manual_seed(8)
    arrays, cases = {}, {}
    for case, n, sample, layer in [*SINGLE, *drawn(), *ADDED]:
        spec = {"input": sample, "layers": [layer]}
        network = build(spec)
        cases[case] = spec
        arrays |= arrays_of(network, f"{case}/before")
        x = (2 * torch.randn(n, *sample)).requires_grad_()
        y = network(x)
        g = torch.randn(y.shape)
        y.backward(g)
        named = {"input": x, "output": y, "output_gradient": g, "input_gradient": x.grad}
        # What the running statistics have become, and what they make of the input.
        arrays |= arrays_of(network, f"{case}/after")
        named["inference"] = network.eval()(x)
        arrays |= {f"{case}/{name}": a.detach().numpy() for name, a in named.items()}
        for name, p in network.named_parameters():
            arrays[f"{case}/gradient/{name}"] = p.grad.numpy()
    write("layer_shapes.safetensors", arrays, cases)


def loss_arrays(case, loss, x, t):
    y = x.clone().requires_grad_()
    value = loss(y, t)
    value.backward()
    named = {"logits": x, "target": t, "value": value, "gradient": y.grad}
    return {f"{case}/{key}": a.detach().numpy() for key, a in named.items()}


def losses():
    torch.manual_seed(9)
    arrays, cases = {}, {}
    for n, classes in ((1, 1), (3, 7), (5, 10)):
        x = 3 * torch.randn(n, classes)
        probabilities = torch.softmax(torch.randn(n, classes), 1)
        one_hot = F.one_hot(torch.randint(classes, (n,)), classes).to(x.dtype)
        for name, t in (("one_hot", one_hot), ("soft", probabilities)):
            softmax = {
                f"softmax_cross_entropy-{a}": (
                    lambda y, t, a=a: F.cross_entropy(y, t, label_smoothing=a),
                    {"type": "softmax_cross_entropy", "label_smoothing": a},
                )
                for a in (0.0, 0.1)
            }
            binary = {"binary": (F.binary_cross_entropy_with_logits, "binary_cross_entropy_with_logits")}
            for loss_name, (loss, ours) in (softmax | binary).items():
                case = f"{loss_name}-{name}-{n}x{classes}"
                cases[case] = ours
                arrays |= loss_arrays(case, loss, x, t)
    hubers = {
        "huber": (F.huber_loss, "huber"),
        "huber-small": (lambda y, t: F.huber_loss(y, t, delta=0.4), {"type": "huber", "delta": 0.4}),
    }
    for name, (loss, ours) in hubers.items():
        for n, outputs in ((1, 1), (3, 7)):
            arrays |= loss_arrays(f"{name}-{n}x{outputs}", loss, torch.randn(n, outputs), torch.randn(n, outputs))
            cases[f"{name}-{n}x{outputs}"] = ours
    weights = [0.5, 2.0, 0.0, 1.25, 3.0]
    for a in (0.0, 0.1):
        # The mean over the samples, not divided by the weights of their classes.
        loss = lambda y, t, a=a: F.cross_entropy(
            y, t, weight=torch.tensor(weights), label_smoothing=a, reduction="none"
        ).mean()
        t = F.one_hot(torch.randint(5, (4,)), 5).to(torch.float64)
        case = f"softmax_cross_entropy-weights-{a}"
        arrays |= loss_arrays(case, loss, 3 * torch.randn(4, 5), t)
        cases[case] = {"type": "softmax_cross_entropy", "label_smoothing": a, "class_weights": weights}
    binary = {
        "binary_cross_entropy": (F.binary_cross_entropy, torch.sigmoid),
        "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, lambda x: x),
    }
    for name, (function, of_logits) in binary.items():
        loss = lambda y, t, f=function: f(y, t, weight=torch.tensor(weights))
        for targets, t in (("one_hot", F.one_hot(torch.randint(5, (4,)), 5)), ("shares", torch.rand(4, 5))):
            case = f"{name}-weights-{targets}"
            arrays |= loss_arrays(case, loss, of_logits(3 * torch.randn(4, 5)), t.to(torch.float64))
            cases[case] = {"type": name, "class_weights": weights}
    write("loss_settings.safetensors", arrays, cases)


NETWORKS = [
    (
        "residual_net",
        6,
        [2, 11, 13],
        [
            conv(4, 3, padding="same", bias="none"),
            *(of("batch_norm2d"), of("relu"), of("max_pool2d", size=2)),
            of("residual", layers=[conv(4, 3, padding=1), of("batch_norm2d"), of("silu")]),
            conv(6, 3, stride=2, groups=2),
            *(of("gelu"), of("global_avg_pool2d"), of("dense", outputs=3)),
        ],
    ),
    (
        "lenet",
        5,
        [1, 14, 15],
        [
            *(conv(3, 3), of("relu"), of("max_pool2d", size=2)),
            *(conv(5, [3, 2]), of("leaky_relu"), of("avg_pool2d", size=2)),
            *(of("flatten"), of("dense", outputs=4)),
        ],
    ),
]
STEPS, RATE = 5, 0.01


def networks():
    torch.manual_seed(10)
    arrays, cases = {}, {}
    for case, n, sample, layer_list in NETWORKS:
        spec = {"input": sample, "layers": layer_list}
        network = build(spec)
        cases[case] = spec
        arrays |= arrays_of(network, f"{case}/before")
        x = torch.randn(STEPS, n, *sample)
        classes = network[-1].out_features
        t = F.one_hot(torch.randint(classes, (STEPS, n)), classes).to(x.dtype)
        arrays |= {f"{case}/inputs": x.numpy(), f"{case}/targets": t.numpy()}
        optimizer = torch.optim.AdamW(network.parameters(), RATE)
        errors = []
        for step in range(STEPS):
            optimizer.zero_grad()
            error = F.cross_entropy(network(x[step]), t[step], label_smoothing=0.1)
            error.backward()
            optimizer.step()
            errors.append(error.item())
        arrays |= arrays_of(network, f"{case}/after")
        arrays[f"{case}/losses"] = np.array(errors)
        arrays[f"{case}/inference"] = network.eval()(x[0]).detach().numpy()
    write("adamw_training.safetensors", arrays, cases)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    layers()
    losses()
    networks()
