def pad(x, rows, columns, value=0):
    """More rows above and below, and more columns to the left and to the right."""
    return np.pad(x, ((0, 0), (0, 0), rows, columns), constant_values=value)


def shifts(x, size, stride=(1, 1)):
    """For each place (i, j) of a window, the numbers that lie there as it moves over x."""
    rows, columns = ((x.shape[2 + axis] - size[axis]) // stride[axis] + 1 for axis in (0, 1))
    for i in range(size[0]):
        for j in range(size[1]):
            last = i + rows * stride[0], j + columns * stride[1]
            yield i, j, x[:, :, i:last[0]:stride[0], j:last[1]:stride[1]]


def correlate(x, k, stride=(1, 1)):
    """Y_d = sum of X_c ⋆ K_dc over c, the valid cross-correlation: sums over shifted windows."""
    product = "dc,nchw->ndhw"  # for each d the sum over c
    parts = shifts(x, k.shape[2:], stride)
    return sum(np.einsum(product, k[:, :, i, j], part, optimize=True) for i, j, part in parts)


def dilated(k, dilation):
    """The kernels with zeros between their numbers."""
    (d, c, h, w), (dy, dx) = k.shape, dilation
    wide = np.zeros((d, c, dy * (h - 1) + 1, dx * (w - 1) + 1), k.dtype)
    wide[:, :, ::dy, ::dx] = k
    return wide


def in_groups(function, groups, x, k, *settings):
    """The function of each group of channels with its own kernels."""
    pairs = zip(np.split(x, groups, axis=1), np.split(k, groups))
    return np.concatenate([function(x, k, *settings) for x, k in pairs], axis=1)


def spread(x, k, stride, start, size):
    """The adjoint of the correlation: each number of x adds its multiples of the kernels."""
    (n, _, h, w), (_, d, kh, kw) = x.shape, k.shape
    rows = max((h - 1) * stride[0] + kh, start[0] + size[0])
    columns = max((w - 1) * stride[1] + kw, start[1] + size[1])
    y = np.zeros((n, d, rows, columns), x.dtype)
    for i, j, part in shifts(y, (kh, kw), stride):
        part[:, :, :h, :w] += np.einsum("cd,nchw->ndhw", k[:, :, i, j], x, optimize=True)
    return y[:, :, start[0]:start[0] + size[0], start[1]:start[1] + size[1]]


def max_pool(x, size, stride):
    """The largest number of each window."""
    return np.max([part for _, _, part in shifts(x, size, stride)], axis=0)


def mean_pool(x, size, stride):
    """The mean of each window."""
    return sum(part for _, _, part in shifts(x, size, stride)) / (size[0] * size[1])


def mean_of_counted(x, size, stride, counted, beyond):
    """The mean of each window without what lies in the padding beyond the one that counts."""
    ones = pad(np.ones_like(x[:1, :1]), *counted, value=1)
    share = mean_pool(pad(ones, *beyond), size, stride)
    return mean_pool(pad(pad(x, *counted), *beyond), size, stride) / share


def batch_norm(x, layer, epsilon):
    """weight (x - mean) / sqrt(variance + epsilon) + bias, each for a channel."""
    names = "weight", "bias", "running_mean", "running_var"
    weight, bias, mean, variance = (W[f"{layer}.{name}"][:, None, None] for name in names)
    return weight * (x - mean) / np.sqrt(variance + epsilon) + bias


def group_norm(x, layer, groups, epsilon):
    """The same with mean and variance of each group of channels of x itself."""
    g = x.reshape(len(x), groups, -1)
    mean, variance = g.mean(2, keepdims=True), g.var(2, keepdims=True)
    y = ((g - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)
    channels = (-1,) + (1,) * (x.ndim - 2)
    return W[f"{layer}.weight"].reshape(channels) * y + W[f"{layer}.bias"].reshape(channels)


def dense(x, layer):
    """weight x + bias."""
    return x @ W[f"{layer}.weight"].T + W[f"{layer}.bias"]


def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow."""
    return np.exp(-np.logaddexp(-x, 0))


def leaky_relu(x, slope):
    return np.where(x > 0, x, slope * x)


def gelu(x):
    """x times the probability that a standard normal variable is below x."""
    erf = np.vectorize(math.erf, otypes=[x.dtype])
    return x * (1 + erf(x / math.sqrt(2))) / 2


def elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def hard_swish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def softmax(x):
    """exp x_i / sum of exp x_j; the largest is subtracted first, so that nothing overflows."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def same(x):
    """Dropout, for example, which changes nothing once the network is trained."""
    return x


class Residual(list):
    """Layers with a connection around them: x + f(x)."""

    def __call__(self, x):
        return x + run(self, x)
