"""The operations of layers.py by minicnn: the seconds of each, and the errors of convolutions."""

import numpy as np
from layers_work import MEMORY, PASSES, convolutions, median_time

from minicnn.kernels import functional as F
from minicnn.kernels.cpu.engine import memory


def run_minicnn(groups, repeats: int) -> dict[str, float]:
    generator = np.random.default_rng(0)

    def draw(*shape):
        """Arrays as layers get them: they start on a cache line, as PyTorch's do."""
        return generator.standard_normal(out=memory.empty(shape), dtype=np.float32)

    found = {}
    for name, (n, c, k, size, r, stride, pad, g) in convolutions(groups).items():
        x, w, b = draw(n, size, size, c), draw(r, r, c // g, k), draw(k)
        geometry = stride, pad, 1, g
        dy = draw(*F.conv2d(x, w, b, *geometry).shape)
        calls = (
            lambda: F.conv2d(x, w, b, *geometry),
            lambda: F.conv2d_grad_input(dy, w, x.shape, *geometry),
            lambda: F.conv2d_grad_weight(dy, x, w.shape, *geometry),
        )
        found |= {
            f"{name}: {which}": median_time(call, repeats)
            for which, call in zip(PASSES, calls, strict=True)
        }

    def lrn(x, dy):
        y, scale = F.local_response_norm(x)
        F.local_response_norm_grad(dy, x, y, scale)

    def max_pool(x, dy, *window):
        y, argmax = F.max_pool2d(x, *window)
        F.max_pool2d_grad(y, argmax, x.shape, *window)

    def average_pool(x, dy):
        F.avg_pool2d_grad(F.avg_pool2d(x, 2), x.shape, 2)

    def batch_norm(x, dy):
        _, mean, inv_std = F.batch_norm(
            x, ones, zeros, zeros.copy(), ones.copy(), activation="relu"
        )
        F.batch_norm_grad(dy, x, ones, mean, inv_std, beta=zeros, activation="relu")

    def linear(x, dy):
        F.linear(x, w, b)
        F.linear_grad_input(dy, w)
        F.linear_grad_weight(dy, x)

    calls = {
        "LRN, AlexNet's first": lrn,
        "max pool 3x3/2": lambda x, dy: max_pool(x, dy, 3, 2, 1),
        "max pool 2x2": lambda x, dy: max_pool(x, dy, 2),
        "average pool 2x2": average_pool,
        "batch norm + ReLU": batch_norm,
        "ReLU": lambda x, dy: F.relu_grad(dy, F.relu(x)),
        "residual add + ReLU": lambda x, dy: F.relu_grad(dy, F.add(x, dy, "relu")),
        "softmax cross-entropy": lambda x, dy: F.softmax_cross_entropy(x, labels),
        "SGD step, 25 million": lambda x, dy: F.sgd_update([x], [dy], [v], [1e-3], [5e-4], 0.9),
        "Adam step, 25 million": lambda x, dy: F.adam_update([x], [dy], [v], [u], [1e-3], [0.0], 1),
        "linear 4096-4096, batch 4, forward + backward": linear,
        "linear 4096-4096, batch 64, forward + backward": linear,
    }
    ones, zeros = np.ones(64, np.float32), np.zeros(64, np.float32)
    labels = generator.integers(0, 1000, 256)
    for name, (shape, _) in MEMORY.items() if "memory" in groups else ():
        x, dy = draw(*shape), draw(*shape)
        v, u = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        if "linear" in name:
            w, b = draw(4096, 4096), draw(4096)
        found[name] = median_time(lambda: calls[name](x, dy), repeats)
    return found


def errors(groups) -> dict[str, float]:
    """Our relative L2 error against float64 in every pass of every convolution, on one image."""
    generator, found = np.random.default_rng(0), {}
    for name, (_, c, k, size, r, stride, pad, g) in convolutions(groups).items():
        x, w = (
            generator.standard_normal((1, size, size, c), dtype=np.float32),
            generator.standard_normal((r, r, c // g, k), dtype=np.float32),
        )
        b, geometry = np.zeros(k, np.float32), (stride, pad, 1, g)
        exact = F.conv2d(x.astype(float), w.astype(float), b.astype(float), *geometry)
        dy = generator.standard_normal(exact.shape, dtype=np.float32)
        pairs = zip(
            PASSES,
            (
                F.conv2d(x, w, b, *geometry),
                F.conv2d_grad_input(dy, w, x.shape, *geometry),
                F.conv2d_grad_weight(dy, x, w.shape, *geometry)[0],
            ),
            (
                exact,
                F.conv2d_grad_input(dy.astype(float), w.astype(float), x.shape, *geometry),
                F.conv2d_grad_weight(dy.astype(float), x.astype(float), w.shape, *geometry)[0],
            ),
            strict=True,
        )
        found |= {
            f"{name}: {which}": float(np.linalg.norm(a - e) / np.linalg.norm(e))
            for which, a, e in pairs
        }
    return found
