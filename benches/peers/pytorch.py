"""PyTorch on the CPU, at its best: several variants of each workload, the fastest kept.

Operations are called directly, without modules or a DataLoader; all data is in memory.
"""

import protocol

ARGUMENTS = protocol.options(__doc__)
torch, numpy, safetensors = protocol.load("torch", "numpy", "safetensors.torch")
functional = torch.nn.functional
torch.set_num_threads(ARGUMENTS.threads)
# Each workload compiles the same functions again; the default limit would give up on some.
torch._dynamo.config.recompile_limit = 64

FIXTURES = safetensors.load_file(ARGUMENTS.fixtures)
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


def correlation(name):
    """The variants of one pass of a correlation."""
    kind = name.rsplit("/", 1)[1]
    first, second = FIXTURES[f"{name}/first"], FIXTURES[f"{name}/second"]
    result = FIXTURES[f"{name}/result"]
    backward = torch.ops.aten.convolution_backward
    rest = (None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)

    def variant(layout):
        a, b = first.contiguous(memory_format=layout), second.contiguous(memory_format=layout)
        out = torch.zeros_like(result).contiguous(memory_format=layout)
        if kind == "forward":
            return lambda: functional.conv2d(a, b)
        if kind == "input-gradient":
            return lambda: backward(a, out, b, *rest, [True, False, False])[0]
        return lambda: backward(b, a, out, *rest, [False, True, False])[1]

    return {layout: inference(variant(memory)) for layout, memory in LAYOUTS.items()}


def inference(call):
    """The call without any record for gradients."""
    def run():
        with torch.inference_mode():
            return call()
    return run


def notebook(x, w):
    y = functional.conv2d(x, w["0.weight"]) + w["0.bias"]
    y = torch.sigmoid(y).flatten(1)
    y = torch.tanh(functional.linear(y, w["3.weight"], w["3.bias"]))
    return functional.linear(y, w["5.weight"], w["5.bias"])


def lenet(x, w):
    y = functional.conv2d(x, w["0.weight"], w["0.bias"])
    y = functional.max_pool2d(functional.relu(y), 2)
    y = functional.conv2d(y, w["3.weight"], w["3.bias"])
    y = functional.max_pool2d(functional.relu(y), 2).flatten(1)
    y = functional.relu(functional.linear(y, w["7.weight"], w["7.bias"]))
    return functional.linear(y, w["9.weight"], w["9.bias"])


def one_hot_entropy(y, labels):
    """Binary cross-entropy of sigmoid outputs, from what enters the sigmoid."""
    target = functional.one_hot(labels, 10).to(y.dtype)
    return functional.binary_cross_entropy_with_logits(y, target)


MODELS = {
    "notebook": (notebook, one_hot_entropy, torch.sigmoid,
                 lambda w, **how: torch.optim.SGD(w, lr=0.01, **how)),
    "lenet": (lenet, functional.cross_entropy, lambda y: y,
              lambda w, **how: torch.optim.Adam(w, lr=1e-3, **how)),
}


class Training:
    """A network's training steps on batches in the order of the fixtures."""

    def __init__(self, model, size, how, layout="contiguous", compiled=False):
        self.size, self.step = size, 0
        images, labels = FIXTURES[f"{model}/images"], FIXTURES[f"{model}/labels"]
        self.order = FIXTURES[f"{model}/order"]
        self.images = (images.float() / 255).contiguous(memory_format=LAYOUTS[layout])
        self.labels = labels.long()
        self.weights = weights(model, layout)
        for weight in self.weights.values():
            weight.requires_grad_()
        network, loss, _, optimizer = MODELS[model]
        self.optimizer = optimizer(list(self.weights.values()), **how)

        def value(x, t):
            return loss(network(x, self.weights), t)

        self.value = torch.compile(value) if compiled else value

    def __call__(self):
        batches = len(self.order) // self.size
        start = self.step % batches * self.size
        picked = self.order[start:start + self.size]
        x, t = self.images[picked], self.labels[picked]
        self.step += 1
        loss = self.value(x, t)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss


def weights(model, layout="contiguous"):
    prefix = f"{model}/"
    found = {name.removeprefix(prefix): value.clone() for name, value in FIXTURES.items()
             if name.startswith(prefix) and "." in name}
    return {name: value.contiguous(memory_format=LAYOUTS[layout]) if value.dim() == 4 else value
            for name, value in found.items()}


def training(name):
    _, model, size = name.split("/")
    how = {"fused": {"fused": True}, "foreach": {"foreach": True}}
    variants = {f"{optimizer}, {layout}": Training(model, int(size), flags, layout)
                for optimizer, flags in how.items() for layout in LAYOUTS}
    return variants | compiled(lambda: Training(model, int(size), how["fused"], compiled=True))


def prediction(name):
    _, model, count = name.split("/")
    network, _, last, _ = MODELS[model]
    images = FIXTURES[f"{model}/images"]
    copies = -(-int(count) // len(images))
    images = images.repeat(copies, 1, 1, 1)[:int(count)].float() / 255

    def variant(layout, compile=lambda call: call):
        x, w = images.contiguous(memory_format=LAYOUTS[layout]), weights(model, layout)
        run = compile(lambda x: last(network(x, w)))
        return inference(lambda: torch.cat([run(part) for part in x.split(1000)]))

    def compiled_variant():
        return variant("contiguous", torch.compile)

    return {layout: variant(layout) for layout in LAYOUTS} | compiled(compiled_variant)


def compiled(make):
    """A variant through torch.compile, where that finds a C++ compiler."""
    try:
        call = make()
        call()
        return {"torch.compile": call}
    except Exception:  # The compiler's many ways to be missing have no common type.
        return {}


def check():
    differences = {}
    for name in workloads():
        kind, model, *_ = name.split("/")
        if kind == "step":
            expected = FIXTURES[f"{name}/losses"].numpy()
            step = Training(model, int(name.split("/")[2]), {"fused": True})
            found = numpy.array([step().item() for _ in expected])
        elif f"{name}/result" in FIXTURES:
            expected = FIXTURES[f"{name}/result"].numpy()
            variants = correlation(name) if kind == "correlate" else prediction(name)
            found = variants["contiguous"]().numpy()
        else:
            continue
        differences[name] = protocol.difference(found, expected)
    return differences


def workloads():
    """Each workload's name with the function that makes its variants."""
    found = {}
    for name in FIXTURES:
        kind = name.split("/")[0]
        if kind == "correlate" and name.endswith("/result"):
            workload = name.removesuffix("/result")
            found[workload] = lambda workload=workload: correlation(workload)
        elif kind == "step":
            workload = name.removesuffix("/losses")
            found[workload] = lambda workload=workload: training(workload)
        elif kind == "predict":
            for count in (1, 10_000):
                workload = f"predict/{name.split('/')[1]}/{count}"
                found[workload] = lambda workload=workload: prediction(workload)
    return found


protocol.serve("PyTorch", torch.__version__, workloads(), check)
