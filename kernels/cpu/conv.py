"""Convolution on the CPU, and which algorithm serves which shape and pass.

| algorithm   | for                                                                             | relative error (L2, C = 256) |
|-------------|---------------------------------------------------------------------------------|------------------------------|
| `direct`    | everything: a matrix product that walks along the patches in place (direct.py)  | 3e-7                         |
| `winograd2` | 3x3 and 5x5, stride 1: F(2x2), 2.25 and 2.78 times fewer products (winograd.py) | 5e-7, 1e-6                   |
| `winograd4` | 3x3, stride 1: F(4x4), 4 times fewer products                                   | 3e-6                         |
"""

import functools
from contextlib import contextmanager

import numpy as np

from ..geometry import Window, window
from . import direct, linear, winograd
from .activation import activate, activation_grad, add
from .engine.arrays import contiguous, pixel_step, write_to
from .engine.memory import empty
from .engine.simd import COLUMNS
from .narrow import pixels_per_vector

ALGORITHMS = ("auto", "direct", "winograd2", "winograd4")

_forced = "auto"


@contextmanager
def algorithm(name: str):
    """Within this block every convolution uses the algorithm of that name, where it can; "auto" chooses.

    Raises ValueError for an unknown name.
    """
    global _forced
    if name not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {name!r}; expected one of {', '.join(ALGORITHMS)}")
    previous, _forced = _forced, name
    try:
        yield
    finally:
        _forced = previous


def possible(geometry: Window, channels: int, filters: int, groups: int) -> list[str]:
    """The algorithms that can compute this convolution."""
    names = ["direct"]
    if (
        geometry.stride == geometry.dilation == (1, 1)
        and groups == 1
        and winograd.supports(channels, filters)
    ):
        names += ["winograd2"] if geometry.kernel in ((3, 3), (5, 5)) else []
        names += ["winograd4"] if geometry.kernel == (3, 3) else []
    return names


@functools.lru_cache(maxsize=4096)
def choose(
    name: str,
    images: int,
    geometry: Window,
    channels: int,
    filters: int,
    groups: int,
    weights: bool = False,
) -> str:
    """The algorithm for one pass: the one asked for if it can, else the cheapest by `cost`."""
    names = possible(geometry, channels, filters, groups)
    if name in names:
        return name
    return min(names, key=lambda n: cost(n, images, geometry, channels, filters, groups, weights))


def cost(
    name: str,
    images: int,
    geometry: Window,
    channels: int,
    filters: int,
    groups: int,
    weights: bool = False,
) -> float:
    """About how many vector instructions the algorithm takes: products at two a cycle, transforms by what was measured."""
    area, pixels = (
        geometry.kernel[0] * geometry.kernel[1],
        images * geometry.output[0] * geometry.output[1],
    )
    if name == "direct":
        return pixels * area * channels / groups * filters / 2 + pixels * area * channels * PATCH
    m = int(name[-1])
    positions = (m + geometry.kernel[0] - 1) ** 2
    tiles = images * -(-geometry.output[0] // m) * -(-geometry.output[1] // m)
    products = max(tiles, winograd.SUBBATCH // 2) * positions * channels * filters / 2
    return (
        products
        + tiles * positions * (channels + filters) * TRANSFORM
        + positions * channels * filters * FILTER * (1 + weights)
    )


PATCH, TRANSFORM, FILTER = (
    2,
    10,
    30,
)  # instructions a float; filters of many channels come from memory, not from a cache


def _serve(geometry, images, channels, filters, groups, weights=False):
    """The module that does it, with what it wants to know first: direct.py the groups, winograd.py its variant."""
    name = choose(_forced, images, geometry, channels, filters, groups, weights)
    return None if name == "direct" else winograd.winograd(int(name[-1]), geometry.kernel[0])


def _is_linear(geometry: Window, image, groups: int) -> bool:
    """Whether the kernel covers the whole image: a fully connected layer, such as LeNet-5's C5."""
    return (
        geometry.kernel == tuple(image)
        and not any(map(any, geometry.padding))
        and groups == 1
        and geometry.dilation == (1, 1)
    )


def conv2d(
    x, w, b=None, stride=1, padding=0, dilation=1, groups=1, activation=None, connections=None, scale=None, residual=None,
    out=None, keep=None, moments=None,
):  # fmt: skip
    """See `reference.conv2d`."""
    if residual is not None:
        y = conv2d(x, w, b, stride, padding, dilation, groups, None, connections, scale, keep=keep)
        return add(y, residual, activation, out=y if out is None else out)
    geometry = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    w = contiguous(w if connections is None else w * connections)
    b, scale = (a if a is None else contiguous(a) for a in (b, scale))
    shape = (len(x), *geometry.output, w.shape[3])
    if _is_linear(geometry, x.shape[1:3], groups) and scale is None:
        y = linear.linear(x.reshape(len(x), -1), w.reshape(-1, w.shape[3]), b, activation)
        return write_to(out, y.reshape(shape))
    y = out if out is not None and out.shape == shape and pixel_step(out) else empty(shape)
    variant, several = (
        _serve(geometry, len(x), x.shape[3], w.shape[3], groups),
        pixels_per_vector(geometry, w.shape[3], groups),
    )
    if variant:
        winograd.conv2d(variant, x, w, scale, b, geometry.padding, activation == "relu", y, keep)
    elif several and pixel_step(y) == w.shape[3]:
        wide = y.reshape(*y.shape[:2], -1, several.count * w.shape[3])
        factors, bias = (None if a is None else np.tile(a, several.count) for a in (scale, b))
        direct.conv2d(
            x,
            several.pack_filter(w),
            factors,
            bias,
            several.geometry,
            1,
            activation == "relu",
            wide,
        )
    else:
        direct.conv2d(x, w, scale, b, geometry, groups, activation == "relu", y)
    if activation not in (None, "relu"):
        activate(y, activation, out=y)
    return write_to(out, y)


def conv2d_grad_input(
    dy, w, x_shape, stride=1, padding=0, dilation=1, groups=1, connections=None, rectified=None
):
    """See `reference.conv2d_grad_input`."""
    if rectified is not None:
        return activation_grad(
            conv2d_grad_input(dy, w, x_shape, stride, padding, dilation, groups, connections),
            rectified,
            "relu",
        )
    geometry = window(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    w = contiguous(w if connections is None else w * connections)
    if _is_linear(geometry, x_shape[1:3], groups):
        return linear.linear_grad_input(dy.reshape(len(dy), -1), w.reshape(-1, w.shape[3])).reshape(
            x_shape
        )
    dx = empty(x_shape)
    variant = _serve(geometry, len(dy), x_shape[3], w.shape[3], groups)
    if variant:
        winograd.conv2d_grad_input(variant, dy, w, geometry.padding, dx)
    else:
        direct.conv2d_grad_input(dy, w, geometry, groups, dx)
    return dx


def conv2d_grad_weight(
    dy, x, w_shape, stride=1, padding=0, dilation=1, groups=1, connections=None, bias=True
):
    """See `reference.conv2d_grad_weight`."""
    geometry = window(x.shape[1:3], w_shape[:2], stride, padding, dilation)
    if _is_linear(geometry, x.shape[1:3], groups):
        dw, db = linear.linear_grad_weight(dy.reshape(len(dy), -1), x.reshape(len(x), -1))
        dw = dw.reshape(w_shape)
        return (dw if connections is None else dw * connections), db if bias else None
    dw, db = empty(w_shape), empty(w_shape[3])
    variant = _serve(geometry, len(x), x.shape[3], w_shape[3], groups, weights=True)
    several = pixels_per_vector(
        geometry, w_shape[3], groups, COLUMNS
    )  # more of them: gathering patches is what costs
    if variant:
        winograd.conv2d_grad_weight(variant, dy, x, geometry.padding, dw, db if bias else None)
    elif several:
        filters = several.count * w_shape[3]
        wide, sums = empty((*several.geometry.kernel, w_shape[2], filters)), empty(filters)
        direct.conv2d_grad_weight(
            contiguous(dy).reshape(*dy.shape[:2], -1, filters), x, several.geometry, 1, wide, sums
        )
        dw, db = (
            several.unpack_gradient(wide, w_shape[1]),
            sums.reshape(several.count, -1).sum(axis=0),
        )
    else:
        direct.conv2d_grad_weight(dy, x, geometry, groups, dw, db)
    if connections is not None:
        dw *= connections
    return dw, db if bias else None
