"""The results of every operation for imagined arrays, with the memory that its kernel uses.

Each function takes the arguments of the operation by name and a `Place`, and gives what the
operation gives. Scratch memory is that of `kernels.cpu` where it matters: padded images and the
transforms of Winograd's algorithm, taken in the order in which the kernel takes them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...kernels.cpu.conv import choose, winograd_sizes
from ...kernels.cpu.engine.simd import COLUMNS
from ...kernels.cpu.engine.threads import threads
from ...kernels.cpu.winograd.kernels import PAD
from ...kernels.cpu.winograd.passes import SMALL_FILTERS, batches, by_panel, padded_stride
from ...kernels.geometry import (
    Window,
    pool_window,
    resampled_shape,
    transposed,
    transposed_size,
    window,
)
from ...kernels.reference.activation import ACTIVATIONS
from ...kernels.types import Shape
from .imagined import ImaginedPool

Arguments = dict[str, Any]


@dataclass
class Place:
    """Where results are allocated, and the transformed filters that are kept for inference."""

    pool: ImaginedPool
    training: bool
    kept: dict[int, Any] = field(default_factory=dict)


def geometry_of(a: Arguments) -> tuple[Window, Shape, Shape]:
    """The geometry of a convolution's call, the shape of its images and that of its weights."""
    images = a["x_shape"] if "x_shape" in a else a["x"].shape
    weights = a["w_shape"] if "w_shape" in a else a["w"].shape
    geometry = window(images[1:3], weights[:2], a["stride"], a["padding"], a["dilation"])
    return geometry, tuple(images), tuple(weights)


def algorithm_of(a: Arguments) -> str:
    """The algorithm that the CPU backend chooses: linear, or one of `conv.ALGORITHMS`."""
    geometry, images, filters = geometry_of(a)
    covers = geometry.kernel == images[1:3] and geometry.dilation == (1, 1)
    if covers and a["groups"] == 1 and not any(map(any, geometry.padding)):
        return "linear"
    return choose("auto", images[0], geometry, images[3], filters[3], a["groups"])


def has_padding(geometry: Window) -> bool:
    """True if zeros surround the images."""
    return any(map(any, geometry.padding))


def _written(a: Arguments, place: Place, shape: Any) -> Any:
    """`out`, or a new array."""
    out = a.get("out")
    return place.pool.empty(tuple(shape)) if out is None else out


# -- convolution -----------------------------------------------------------------------------------


def _conv2d(a: Arguments, place: Place) -> Any:
    geometry, images, weights = geometry_of(a)
    y = _written(a, place, (images[0], *geometry.output, weights[3]))
    algorithm = algorithm_of(a)
    if algorithm.startswith("winograd"):
        kept = None if place.training else place.kept.get(id(a["w"]))
        output = images[0], *geometry.output
        u = _convolve(algorithm, geometry, output, weights[2:], place, kept)
        if not place.training:
            place.kept[id(a["w"])] = u
    elif algorithm == "direct":
        _padded(geometry, images, place)
    return y


def _conv2d_affine(a: Arguments, place: Place) -> Any:
    return _conv2d(a, place)


def _conv2d_grad_input(a: Arguments, place: Place) -> Any:
    geometry, images, weights = geometry_of(a)
    dx, algorithm = place.pool.empty(images), algorithm_of(a)
    if algorithm.startswith("winograd"):
        _convolve(algorithm, geometry, images[:3], weights[:1:-1], place)
    elif algorithm == "direct" and not geometry.kernel == geometry.stride == (1, 1):
        height = images[1] + 2 * geometry.kernel[0]
        width = images[2] + sum(geometry.padding[1])
        _canvas = place.pool.empty(threads() * height * width * images[3])
    return dx


def _conv2d_grad_input_relu(a: Arguments, place: Place) -> Any:
    a = {**a, "x_shape": a["x"].shape}
    _before = _conv2d_grad_input(a, place)
    return place.pool.empty(a["x"].shape)


def _conv2d_grad_input_add(a: Arguments, place: Place) -> Any:
    return _conv2d_grad_input({**a, "x_shape": a["other"].shape}, place)


def _conv2d_grad_weight(a: Arguments, place: Place) -> Any:
    geometry, images, weights = geometry_of(a)
    dw, db = place.pool.empty(weights), place.pool.empty(weights[3])
    algorithm = algorithm_of(a)
    if algorithm.startswith("winograd"):
        channels, filters = weights[2:]
        sizes = winograd_sizes(algorithm, geometry)
        positions, tiles = sizes.positions, images[0] * math.prod(sizes.tiles(geometry.output))
        if not by_panel(tiles, channels, filters, positions):
            _s = place.pool.empty((positions, padded_stride(channels * filters)))
        for first, last in batches(tiles, channels, filters, positions):
            count = last - first
            _v = place.pool.empty((positions + 1, padded_stride(count * (channels + PAD))))
            _z = place.pool.empty((positions, padded_stride(count * filters)))
    elif algorithm == "direct":
        _padded(geometry, images, place)
    return dw, db if a["bias"] else None


def _conv_transpose2d(a: Arguments, place: Place) -> Any:
    """The input gradient of the convolution from y to x."""
    x, w = a["x"].shape, a["w"].shape
    window = a["stride"], a["padding"], a["output_padding"], a["dilation"]
    shape = (x[0], *transposed_size(x[1:3], w[:2], *window), w[2] * a["groups"])
    y = _conv2d_grad_input({**a, "x_shape": shape}, place)
    return y if a["out"] is None else a["out"]


def _conv_transpose2d_grad_input(a: Arguments, place: Place) -> Any:
    return _conv2d({**a, "x": a["dy"], "out": None}, place)


def _conv_transpose2d_grad_weight(a: Arguments, place: Place) -> Any:
    dw, _ = _conv2d_grad_weight({**a, "x": a["dy"], "bias": False}, place)
    return dw, place.pool.empty(a["dy"].shape[3]) if a["bias"] else None


def _convolve(
    algorithm: str,
    geometry: Window,
    output: Shape,
    channels: Shape,
    place: Place,
    u: Any = None,
) -> Any:
    """The transformed filters u and input of `winograd.convolve`: (C, K) are `channels`."""
    sizes = winograd_sizes(algorithm, geometry)
    positions, tiles = sizes.positions, output[0] * math.prod(sizes.tiles(output[1:3]))
    if u is None and place.training and by_panel(tiles, channels[0], channels[1], positions):
        u = place.pool.empty((threads() * positions, padded_stride(channels[0] * COLUMNS)))
    elif u is None:
        u = place.pool.empty((positions, padded_stride(channels[0] * channels[1])))
    if positions * channels[0] * channels[1] <= SMALL_FILTERS:
        return u
    for first, last in batches(tiles, channels[0], channels[1], positions):
        row = padded_stride((last - first) * (channels[0] + PAD))
        _v = place.pool.empty((positions + 1, row))
    return u


def _padded(geometry: Window, images: Shape, place: Place) -> None:
    if has_padding(geometry):
        height, width = (n + sum(p) for n, p in zip(images[1:3], geometry.padding, strict=True))
        _copy = place.pool.empty((images[0], height, width, images[3]))


# -- the others ------------------------------------------------------------------------------------


def _max_pool2d(a: Arguments, place: Place) -> Any:
    shape = _pooled(a)
    return _written(a, place, shape), place.pool.empty(shape, np.uint8)


def _pooled(a: Arguments) -> Shape:
    n, h, w, c = a["x"].shape
    g = pool_window((h, w), a["kernel_size"], a["stride"], a["padding"], a["ceil_mode"])
    return n, *g.output, c


def _resized(a: Arguments) -> Shape:
    return len(a["x"]), *a["output_size"], a["x"].shape[3]


def _like(name: str) -> Callable[[Arguments, Place], Any]:
    """A result of the shape of that argument, or of the shape that it is."""
    return lambda a, place: _written(a, place, getattr(a[name], "shape", a[name]))


def _activate(a: Arguments, place: Place) -> Any:
    if a.get("activation", "relu") is None and a["out"] is None:
        return a["x"]
    return _written(a, place, a["x"].shape)


def _activation_grad(a: Arguments, place: Place) -> Any:
    return a["dy"] if a["activation"] is None else place.pool.empty(a["dy"].shape)


def _batch_norm(a: Arguments, place: Place) -> Any:
    channels = a["x"].shape[3]
    y = _written(a, place, a["x"].shape)
    return y, place.pool.empty(channels), place.pool.empty(channels)


def _batch_norm_grad(a: Arguments, place: Place) -> Any:
    channels = a["x"].shape[3]
    dx = place.pool.empty(a["x"].shape)
    return dx, place.pool.empty(channels), place.pool.empty(channels)


def _normalized(a: Arguments, place: Place, statistics: Shape) -> Any:
    """y, and the mean and 1 / sqrt(var + eps), each of the shape `statistics`."""
    y = _written(a, place, a["x"].shape)
    return y, place.pool.empty(statistics), place.pool.empty(statistics)


def _parameter_gradients(count: int) -> Callable[[Arguments, Place], Any]:
    """dx, and the gradients of `count` parameters of the shape of the first."""

    def gradients(a: Arguments, place: Place) -> Any:
        parameter = a["w"] if "w" in a else a["gamma"]
        others = [place.pool.empty(parameter.size) for _ in range(count)]
        return place.pool.empty(a["x"].shape), *others

    return gradients


def _fold_batch_norm(a: Arguments, place: Place) -> Any:
    return place.pool.empty(a["gamma"].size), place.pool.empty(a["gamma"].size)


def _local_response_norm(a: Arguments, place: Place) -> Any:
    return _written(a, place, a["x"].shape), place.pool.empty(a["x"].shape)


def _local_response_norm_grad(a: Arguments, place: Place) -> Any:
    dx = place.pool.empty(a["x"].shape)
    _crossed = place.pool.empty(a["x"].shape) if a["within_channel"] else None
    return dx


def _subsample2d(a: Arguments, place: Place) -> Any:
    n, h, w, c = a["x"].shape
    return _written(a, place, (n, h // a["size"], w // a["size"], c))


def _subsample2d_grad(a: Arguments, place: Place) -> Any:
    channels = a["w"].size
    return (
        place.pool.empty(a["x"].shape),
        place.pool.empty(channels),
        place.pool.empty(channels),
    )


def _dropout(a: Arguments, place: Place) -> Any:
    return _written(a, place, a["x"].shape), place.pool.empty(a["x"].shape, np.bool_)


def _loss(a: Arguments, place: Place) -> Any:
    outputs = a["logits"] if "logits" in a else a["y"]
    return np.float32(0), place.pool.empty(outputs.shape)


def _linear_grad_weight(a: Arguments, place: Place) -> Any:
    rows, columns = a["x"].shape[1], a["dy"].shape[1]
    dw, db = place.pool.empty((rows, columns)), place.pool.empty(columns)
    _left = place.pool.empty(a["x"].shape)
    return dw, db


RESULTS: dict[str, Callable[[Arguments, Place], Any]] = {
    **{
        f.__name__[1:]: f
        for f in (
            *(_conv2d, _conv2d_affine, _conv2d_grad_input, _conv2d_grad_input_relu),
            _conv2d_grad_input_add,
            *(_conv_transpose2d, _conv_transpose2d_grad_input, _conv_transpose2d_grad_weight),
            *(_conv2d_grad_weight, _max_pool2d, _activate, _activation_grad, _batch_norm),
            *(_batch_norm_grad, _fold_batch_norm, _local_response_norm),
            *(_local_response_norm_grad, _subsample2d, _subsample2d_grad, _dropout),
            _linear_grad_weight,
        )
    },
    "batch_norm_add": _batch_norm,
    "linear": lambda a, place: _written(a, place, (len(a["x"]), a["w"].shape[1])),
    "linear_grad_input": lambda a, place: place.pool.empty((len(a["dy"]), a["w"].shape[0])),
    "rbf": lambda a, place: _written(a, place, (len(a["x"]), len(a["w"]))),
    "rbf_grad": _like("x"),
    "max_pool2d_grad": _like("x_shape"),
    "avg_pool2d": lambda a, place: _written(a, place, _pooled(a)),
    "avg_pool2d_grad": _like("x_shape"),
    "adaptive_max_pool2d": lambda a, place: (
        _written(a, place, _resized(a)),
        place.pool.empty(_resized(a), np.int32),
    ),
    "adaptive_max_pool2d_grad": _like("x_shape"),
    "resample2d": lambda a, place: _written(
        a, place, resampled_shape(a["x"].shape, a["rows"], a["columns"])
    ),
    "resample2d_grad": lambda a, place: place.pool.empty(
        resampled_shape(a["dy"].shape, *transposed(a["rows"], a["columns"]))
    ),
    "global_avg_pool2d": lambda a, place: _written(a, place, (len(a["x"]), a["x"].shape[3])),
    "global_avg_pool2d_grad": _like("x_shape"),
    "dropout_grad": _like("dy"),
    "add": _like("a"),
    "empty": _like("shape"),
    "softmax": _like("logits"),
    "softmax_grad": _like("dy"),
    **dict.fromkeys((*ACTIVATIONS, "prelu"), _activate),
    **{f"{name}_grad": _like("dy") for name in ACTIVATIONS},
    "prelu_grad": _parameter_gradients(1),
    "group_norm": lambda a, place: _normalized(a, place, (len(a["x"]), a["groups"])),
    "layer_norm": lambda a, place: _normalized(a, place, a["x"].shape[:-1]),
    **dict.fromkeys(("group_norm_grad", "layer_norm_grad"), _parameter_gradients(2)),
    **dict.fromkeys(
        ("softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error", "map_loss"), _loss
    ),
    **dict.fromkeys(("sgd_update", "adam_update", "rmsprop_update"), lambda a, place: None),
}
