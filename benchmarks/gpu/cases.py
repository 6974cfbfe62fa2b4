"""The operations that are compared with float64: names, arguments, options."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minicnn.kernels import reference
from minicnn.kernels.resampling import means, upsampling

Case = tuple[str, str, tuple, dict[str, Any]]  # name, operation, arguments, options
Normal = Callable[..., np.ndarray]

# name: images, kernel, filters, geometry
CONVOLUTIONS: dict[str, tuple] = {
    "3x3": ((4, 14, 14, 64), (3, 3), 128, {"padding": 1}),
    "3x3 odd": ((3, 13, 11, 20), (3, 3), 36, {"padding": 1}),
    "3x3 strided": ((4, 15, 15, 64), (3, 3), 64, {"padding": 1, "stride": 2}),
    "1x1": ((4, 14, 14, 128), (1, 1), 64, {}),
    "1x1 strided": ((4, 14, 14, 64), (1, 1), 128, {"stride": 2}),
    "5x5": ((2, 14, 14, 16), (5, 5), 48, {"padding": 2}),
    "groups": ((2, 13, 13, 96), (5, 5), 256, {"padding": 2, "groups": 2}),
    "dilated": ((2, 12, 12, 32), (3, 3), 32, {"padding": 2, "dilation": 2}),
    "first layer": ((4, 32, 32, 3), (7, 7), 64, {"padding": 3, "stride": 2}),
    "11x11": ((2, 59, 59, 3), (11, 11), 96, {"stride": 4}),
    "LeNet's C1": ((8, 32, 32, 1), (5, 5), 6, {}),
    "depthwise": ((4, 14, 14, 64), (3, 3), 64, {"padding": 1, "groups": 64}),
    "depthwise strided": ((3, 15, 14, 40), (5, 5), 40, {"padding": 2, "stride": 2, "groups": 40}),
    "depthwise odd": ((3, 13, 11, 9), (3, 3), 9, {"padding": 1, "groups": 9}),
    "one pixel": ((32, 5, 5, 16), (5, 5), 120, {}),
}
TINY: tuple[str, ...] = ("3x3 odd", "first layer")
POOLS: tuple[dict[str, int], ...] = (
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1},
)


class Images(NamedTuple):
    """Images or their gradients: stored in the precision under test, bf16 in 16 bits."""

    array: np.ndarray


def cases(generator: np.random.Generator, tiny: bool) -> Iterator[Case]:
    """All cases, on random data."""

    def normal(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape, dtype=np.float32)

    n, side, c = (2, 6, 8) if tiny else (8, 27, 96)
    x, dy = Images(normal(n, side, side, c)), Images(normal(n, side, side, c))
    for name, shape in CONVOLUTIONS.items():
        if not tiny or name in TINY:
            yield from _convolutions(normal, name, *shape)
    yield from _linear(normal, n)
    yield from _activations(x, dy)
    yield from _pools(normal, x)
    yield from _norms(normal, x, dy)
    yield from _losses(normal, generator.integers(0, 10, 64))
    yield from _updates(normal)


def _convolutions(
    normal: Normal,
    name: str,
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    filters: int,
    geometry: dict[str, int],
) -> Iterator[Case]:
    groups = geometry.get("groups", 1)
    channels = shape[3] // groups
    x, w = Images(normal(*shape)), normal(*kernel, channels, filters)
    w /= np.float32(np.sqrt(kernel[0] * kernel[1] * channels))
    pixels = np.zeros((*shape[:3], groups), np.float32)
    dy = Images(normal(*reference.conv2d(pixels, w[:, :, :1], **geometry).shape))
    relu, relu6 = (geometry | {"activation": name} for name in ("relu", "relu6"))
    masked = f"conv {name}, input gradient through a ReLU"
    affine = x, w, normal(filters), normal(filters), dy
    yield f"conv {name}, forward", "conv2d", (x, w, normal(filters)), relu
    yield f"conv {name}, residual", "conv2d_affine", affine, relu
    yield f"conv {name}, ReLU6", "conv2d_affine", affine[:4], relu6
    yield f"conv {name}, input gradient", "conv2d_grad_input", (dy, w, shape), geometry
    yield masked, "conv2d_grad_input_relu", (dy, w, x), geometry
    yield f"conv {name}, input gradient added", "conv2d_grad_input_add", (dy, w, x), geometry
    yield f"conv {name}, weight gradient", "conv2d_grad_weight", (dy, x, w.shape), geometry


def _linear(normal: Normal, n: int) -> Iterator[Case]:
    x, dy, w, b = Images(normal(n, 400)), Images(normal(n, 120)), normal(400, 120) / 20, normal(120)
    yield "linear", "linear", (x, w, b), {"activation": "tanh"}
    yield "linear, input gradient", "linear_grad_input", (dy, w), {}
    yield "linear, weight gradient", "linear_grad_weight", (dy, x), {}


def _activations(x: Images, dy: Images) -> Iterator[Case]:
    y = Images(np.tanh(x.array))
    for activation in ("relu", "sigmoid", "tanh", "scaled_tanh"):
        yield activation, "activate", (x, activation), {}
        yield f"{activation}, gradient", "activation_grad", (dy, y, activation), {}
    yield "add + relu", "add", (x, dy, "relu"), {}


def _pools(normal: Normal, x: Images) -> Iterator[Case]:
    shape = x.array.shape
    for geometry in POOLS:
        text = " ".join(f"{key}={value}" for key, value in geometry.items())
        y, argmax = reference.max_pool2d(x.array, **geometry)
        dy = Images(normal(*y.shape))
        yield f"max pool {text}", "max_pool2d", (x,), geometry
        yield f"avg pool {text}", "avg_pool2d", (x,), geometry
        yield f"max pool gradient {text}", "max_pool2d_grad", (dy, argmax, shape), geometry
        yield f"avg pool gradient {text}", "avg_pool2d_grad", (dy, shape), geometry
    y, argmax = reference.adaptive_max_pool2d(x.array, (4, 5))
    dy = Images(normal(*y.shape))
    yield "adaptive max pool", "adaptive_max_pool2d", (x, (4, 5)), {}
    yield "adaptive max pool, gradient", "adaptive_max_pool2d_grad", (dy, argmax, shape), {}
    yield from _resamplings(x, dy)
    dy = Images(normal(shape[0], shape[3]))
    yield "global average pool", "global_avg_pool2d", (x,), {}
    yield "global average pool, gradient", "global_avg_pool2d_grad", (dy, shape), {}


def _resamplings(x: Images, small: Images) -> Iterator[Case]:
    """To twice the size, and to the 4 x 5 pixels of `small`."""
    h, w = x.array.shape[1:3]
    twice = tuple(upsampling(n, 2 * n, "bilinear") for n in (h, w))
    from_half = tuple(upsampling(n // 2, n, "bilinear") for n in (h, w))
    to_means = means(h, 4), means(w, 5)
    yield "bilinear upsampling", "resample2d", (x, *twice), {}
    yield "bilinear upsampling, gradient", "resample2d_grad", (x, *from_half), {}
    yield "adaptive average pool", "resample2d", (x, *to_means), {}
    yield "adaptive average pool, gradient", "resample2d_grad", (small, *to_means), {}


def _norms(normal: Normal, x: Images, dy: Images) -> Iterator[Case]:
    scale = (2 + x.array**2).astype(np.float32)
    y, c = Images(x.array * scale**-0.75), x.array.shape[3]
    yield "LRN", "local_response_norm", (x, 5, 0.5), {}
    yield "LRN, gradient", "local_response_norm_grad", (dy, x, y, scale, 5, 0.5), {}
    within = {"within_channel": True, "alpha_div_n": True}
    yield "LRN within channels", "local_response_norm", (x, 3, 0.5), within
    yield (
        "LRN within channels, gradient",
        "local_response_norm_grad",
        (dy, x, y, scale, 3, 0.5),
        within,
    )
    gamma, beta, mean = normal(c), normal(c), normal(c)
    var = (1 + normal(c) ** 2).astype(np.float32)
    relu, both = {"activation": "relu"}, {"beta": beta, "activation": "relu"}
    added = x, dy, gamma, beta, mean, var
    yield "batch norm + relu", "batch_norm", (x, gamma, beta, mean, var), relu
    yield "batch norm + residual + relu", "batch_norm_add", added, relu
    yield "batch norm + relu, gradient", "batch_norm_grad", (dy, x, gamma, mean, var), both


def _losses(normal: Normal, labels: np.ndarray) -> Iterator[Case]:
    logits = Images(10 * normal(len(labels), 10))
    yield "softmax", "softmax", (Images(10 * normal(64, 1000)),), {}
    yield "softmax cross-entropy", "softmax_cross_entropy", (logits, labels), {}
    targets = reference.softmax(normal(len(labels), 10))
    smoothed = {"class_weights": normal(10) ** 2, "label_smoothing": 0.1}
    yield "softmax cross-entropy, smoothed", "softmax_cross_entropy", (logits, labels), smoothed
    yield "softmax cross-entropy, soft", "softmax_cross_entropy", (logits, targets), {}
    yield "binary cross-entropy", "binary_cross_entropy", (logits, targets), {}
    yield "mean squared error", "mean_squared_error", (logits, targets), {}


def _updates(normal: Normal) -> Iterator[Case]:
    optimizers = ("sgd", 1, {"momentum": 0.9}), ("adam", 2, {"step": 2}), ("rmsprop", 2, {})
    for name, states, options in optimizers:
        lists = tuple([abs(normal(3, 5)), abs(normal(5000))] for _ in range(2 + states))
        yield name, f"{name}_update", (*lists, [0.1, 0.2], [0.0, 1e-3]), options
