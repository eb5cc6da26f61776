"""JAX on the CPU: whole training steps, compiled by XLA with their buffers donated; inference too."""

import os
import sys

import protocol

ARGUMENTS = protocol.options(__doc__)
# This folder, in which the module of this script's name is this script.
sys.path.pop(0)
# XLA has as many threads as it may use processors.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:ARGUMENTS.threads])
jax, numpy, safetensors = protocol.load("jax", "numpy", "safetensors.numpy")
jax.config.update("jax_platforms", "cpu")
jnp, lax, nn = jax.numpy, jax.lax, jax.nn

FIXTURES = safetensors.load_file(ARGUMENTS.fixtures)


def convolution(x, kernels):
    return lax.conv_general_dilated(x, kernels, (1, 1), "VALID",
                                    dimension_numbers=("NCHW", "OIHW", "NCHW"))


def max_pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def linear(x, w, place):
    return x @ w[f"{place}.weight"].T + w[f"{place}.bias"]


def flat(x):
    return x.reshape(len(x), -1)


def notebook(x, w):
    y = nn.sigmoid(convolution(x, w["0.weight"]) + w["0.bias"])
    return linear(jnp.tanh(linear(flat(y), w, 3)), w, 5)


def lenet(x, w):
    for place in (0, 3):
        bias = w[f"{place}.bias"][:, None, None]
        x = max_pool(nn.relu(convolution(x, w[f"{place}.weight"]) + bias))
    return linear(nn.relu(linear(flat(x), w, 7)), w, 9)


def one_hot_entropy(y, labels):
    """Binary cross-entropy of sigmoid outputs, from what enters the sigmoid."""
    target = nn.one_hot(labels, 10)
    return jnp.mean(jnp.maximum(y, 0) - y * target + jnp.log1p(jnp.exp(-jnp.abs(y))))


def softmax_entropy(y, labels):
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(y), labels[:, None], axis=1))


def descend(w, gradients, state):
    return {name: w[name] - 0.01 * gradients[name] for name in w}, state


def adam(w, gradients, state):
    """Kingma and Ba, 2015, with the first and second moments and the number of steps as state."""
    first, second, steps = state
    steps = steps + 1
    first = {name: 0.9 * first[name] + 0.1 * gradients[name] for name in w}
    second = {name: 0.999 * second[name] + 0.001 * gradients[name] ** 2 for name in w}
    rate, scale = 1e-3 / (1 - 0.9 ** steps), 1 / (1 - 0.999 ** steps)
    w = {name: w[name] - rate * first[name] / (jnp.sqrt(second[name] * scale) + 1e-8)
         for name in w}
    return w, (first, second, steps)


MODELS = {
    "notebook": (notebook, one_hot_entropy, nn.sigmoid, descend),
    "lenet": (lenet, softmax_entropy, lambda y: y, adam),
}


def weights(model):
    prefix = f"{model}/"
    return {name.removeprefix(prefix): jnp.array(value) for name, value in FIXTURES.items()
            if name.startswith(prefix) and "." in name}


class Training:
    """A network's training steps on batches in the order of the fixtures."""

    def __init__(self, model, size):
        network, loss, _, optimizer = MODELS[model]
        images = jnp.array(FIXTURES[f"{model}/images"], dtype=jnp.float32) / 255
        labels = jnp.array(FIXTURES[f"{model}/labels"], dtype=jnp.int32)
        order = jnp.array(FIXTURES[f"{model}/order"], dtype=jnp.int32)
        self.batches, self.size, self.step = len(order) // size, size, 0
        self.data, self.weights = (images, labels, order), weights(model)

        def zeros():
            return {name: jnp.zeros_like(value) for name, value in self.weights.items()}

        self.state = (zeros(), zeros(), jnp.float32(0)) if optimizer is adam else ()

        def run(w, state, data, start):
            images, labels, order = data
            picked = lax.dynamic_slice(order, (start,), (size,))
            x, t = images[picked], labels[picked]
            value, gradients = jax.value_and_grad(lambda w: loss(network(x, w), t))(w)
            return value, *optimizer(w, gradients, state)

        self.run = jax.jit(run, donate_argnums=(0, 1))

    def __call__(self):
        start = self.step % self.batches * self.size
        self.step += 1
        loss, self.weights, self.state = self.run(self.weights, self.state, self.data, start)
        jax.block_until_ready((loss, self.weights))
        return loss


def prediction(name):
    _, model, count = name.split("/")
    network, _, last, _ = MODELS[model]
    images = FIXTURES[f"{model}/images"]
    copies = -(-int(count) // len(images))
    images = numpy.tile(images, (copies, 1, 1, 1))[:int(count)].astype(numpy.float32) / 255
    w = weights(model)

    def variant(size):
        parts = [jnp.array(part) for part in numpy.split(images, range(size, len(images), size))]
        run = jax.jit(lambda x: last(network(x, w)))
        return lambda: jax.block_until_ready([run(part) for part in parts])

    return {f"batches of {size}": variant(size) for size in sorted({min(len(images), n)
                                                                    for n in (100, 1000)})}


def check():
    differences = {}
    for name in workloads():
        kind, model, *rest = name.split("/")
        if kind == "step":
            expected = FIXTURES[f"{name}/losses"]
            step = Training(model, int(rest[0]))
            found = numpy.array([step() for _ in expected])
        elif f"{name}/result" in FIXTURES:
            expected = FIXTURES[f"{name}/result"]
            variant = next(iter(prediction(name).values()))
            found = numpy.concatenate([numpy.array(part) for part in variant()])
        else:
            continue
        differences[name] = protocol.difference(found, expected)
    return differences


def workloads():
    """Each workload's name with the function that makes its variants."""
    found = {}
    for name in FIXTURES:
        kind, model, *rest = name.split("/")
        if kind == "step":
            workload = f"step/{model}/{rest[0]}"
            found[workload] = lambda model=model, size=int(rest[0]): {
                "jit": Training(model, size)}
        elif kind == "predict":
            for count in (1, 10_000):
                workload = f"predict/{model}/{count}"
                found[workload] = lambda workload=workload: prediction(workload)
    return found


protocol.serve("JAX", jax.__version__, workloads(), check)
