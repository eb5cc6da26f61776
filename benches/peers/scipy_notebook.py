"""The notebook's program in NumPy and SciPy, float64, one sample at a time.

Answers requests for `step/notebook/1`, or, with `--epochs N`, trains on the first 1000
MNIST images as the notebook does and prints one line of JSON for each epoch.
"""

import gzip
import json
import pathlib
import sys
import time

import protocol

ARGUMENTS = protocol.options(__doc__)
numpy, scipy, signal, safetensors = protocol.load(
    "numpy", "scipy", "scipy.signal", "safetensors.numpy")


class Convolution:
    """`Y_d = B_d + Σ_c X_c ⋆ K_dc`, kernel by kernel and channel by channel."""

    def __init__(self, kernels, bias):
        self.kernels, self.bias = kernels, bias

    def forward(self, x):
        self.x = x
        y = numpy.copy(self.bias)
        for d, channels in enumerate(self.kernels):
            for c, kernel in enumerate(channels):
                y[d] += signal.correlate2d(x[c], kernel, "valid")
        return y

    def backward(self, gradient, rate):
        kernels, x = numpy.zeros_like(self.kernels), numpy.zeros_like(self.x)
        for d, channels in enumerate(self.kernels):
            for c, kernel in enumerate(channels):
                kernels[d, c] = signal.correlate2d(self.x[c], gradient[d], "valid")
                x[c] += signal.convolve2d(gradient[d], kernel, "full")
        self.kernels -= rate * kernels
        self.bias -= rate * gradient
        return x


class Dense:
    def __init__(self, weights, bias):
        self.weights, self.bias = weights, bias.reshape(-1, 1)

    def forward(self, x):
        self.x = x
        return self.weights @ x + self.bias

    def backward(self, gradient, rate):
        weights, x = gradient @ self.x.T, self.weights.T @ gradient
        self.weights -= rate * weights
        self.bias -= rate * gradient
        return x


class Sigmoid:
    def forward(self, x):
        self.x = x
        return 1 / (1 + numpy.exp(-x))

    def backward(self, gradient, _):
        y = 1 / (1 + numpy.exp(-self.x))
        return gradient * y * (1 - y)


class Tanh:
    def forward(self, x):
        self.x = x
        return numpy.tanh(x)

    def backward(self, gradient, _):
        return gradient * (1 - numpy.tanh(self.x) ** 2)


class Reshape:
    def __init__(self, before, after):
        self.before, self.after = before, after

    def forward(self, x):
        return x.reshape(self.after)

    def backward(self, gradient, _):
        return gradient.reshape(self.before)


def layers(weights):
    """The notebook's list of layers, with copies of these weights as float64."""
    w = {name: array.astype(numpy.float64) for name, array in weights.items()}
    return [Convolution(w["0.weight"], w["0.bias"]), Sigmoid(),
            Reshape((6, 26, 26), (4056, 1)), Dense(w["3.weight"], w["3.bias"]), Tanh(),
            Dense(w["5.weight"], w["5.bias"]), Sigmoid()]


def predict(network, x):
    for layer in network:
        x = layer.forward(x)
    return x


def entropy(target, y):
    return -numpy.mean(target * numpy.log(y) + (1 - target) * numpy.log(1 - y))


def train(network, x, target, rate=0.01):
    """One step on one image; the loss before it."""
    y = predict(network, x)
    loss = entropy(target, y)
    gradient = ((1 - target) / (1 - y) - target / y) / numpy.size(target)
    for layer in reversed(network):
        gradient = layer.backward(gradient, rate)
    return loss


def samples(pixels, labels):
    """Images as `(1, 28, 28)` from 0 to 1, labels as one-hot columns."""
    x = (pixels.reshape(-1, 1, 28, 28).astype(numpy.float32) / 255).astype(numpy.float64)
    return list(zip(x, numpy.eye(10)[labels].reshape(-1, 10, 1), strict=True))


class Step:
    """Training steps through the images of the fixtures, in their order."""

    def __init__(self, fixtures):
        prefix, self.step = "notebook/", 0
        self.network = layers({name.removeprefix(prefix): array
                               for name, array in fixtures.items()
                               if name.startswith(prefix) and "." in name})
        drawn = samples(fixtures["notebook/images"], fixtures["notebook/labels"])
        self.samples = [drawn[index] for index in fixtures["notebook/order"]]

    def __call__(self):
        x, target = self.samples[self.step % len(self.samples)]
        self.step += 1
        return train(self.network, x, target)


def serve():
    fixtures, name = safetensors.load_file(ARGUMENTS.fixtures), "step/notebook/1"

    def check():
        expected, step = fixtures[f"{name}/losses"], Step(fixtures)
        found = numpy.array([step() for _ in expected])
        return {name: protocol.difference(found, expected)}

    version = f"{scipy.__version__} (NumPy {numpy.__version__})"
    protocol.serve("SciPy", version, {name: lambda: {"float64": Step(fixtures)}}, check)


def whole_program(epochs):
    numpy.random.seed(0)
    shapes = {"0.weight": (6, 1, 3, 3), "0.bias": (6, 26, 26), "3.weight": (100, 4056),
              "3.bias": (100,), "5.weight": (10, 100), "5.bias": (10,)}
    weights = {name: numpy.random.randn(*shape) for name, shape in shapes.items()}
    if ARGUMENTS.save_init:
        safetensors.save_file(weights, ARGUMENTS.save_init)
    network = layers(weights)
    images, labels = idx("train-images-idx3-ubyte", 16), idx("train-labels-idx1-ubyte", 8)
    pairs = samples(images[:1000 * 784], labels[:1000])
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        error = sum(train(network, x, target) for x, target in pairs) / len(pairs)
        print(json.dumps({"epoch": epoch, "train_error": float(error),
                          "train_seconds": time.perf_counter() - start}), flush=True)


def idx(name, header):
    """The bytes of an IDX file after its header."""
    path = pathlib.Path(ARGUMENTS.data) / f"{name}.gz"
    try:
        return numpy.frombuffer(gzip.decompress(path.read_bytes()), numpy.uint8)[header:]
    except OSError as error:
        sys.exit(f"error: {path}: {error}")


if ARGUMENTS.epochs:
    whole_program(ARGUMENTS.epochs)
else:
    serve()
