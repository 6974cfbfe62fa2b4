"""Convolution on the CPU, and which algorithm serves which shape and pass.

| algorithm   | for                                                   | relative error (L2, C = 256) |
|-------------|-------------------------------------------------------|------------------------------|
| `direct`    | everything: a matrix product whose left side is gathered on the way (direct.py) | 3e-7 |
| `winograd2` | 3x3 and 5x5, stride 1: F(2x2), 2.25 and 2.78 times fewer products (winograd.py) | 5e-7, 1e-6 |
| `winograd4` | 3x3, stride 1: F(4x4), 4 times fewer products         | 3e-6                         |
"""

import functools
from contextlib import contextmanager

from ..geometry import Window, window
from . import direct, winograd
from .activation import activate, deliver
from .arrays import contiguous, pixel_step
from .memory import empty

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
    if geometry.stride == geometry.dilation == (1, 1) and groups == 1 and winograd.suits(channels, filters):
        names += ["winograd2"] if geometry.kernel in ((3, 3), (5, 5)) else []
        names += ["winograd4"] if geometry.kernel == (3, 3) else []
    return names


@functools.lru_cache(maxsize=4096)
def choose(name: str, images: int, geometry: Window, channels: int, filters: int, groups: int) -> str:
    """The algorithm for one pass: the one asked for if it can, else the cheapest by `cost`."""
    names = possible(geometry, channels, filters, groups)
    if name in names:
        return name
    return min(names, key=lambda n: cost(n, images, geometry, channels, filters, groups))


def cost(name: str, images: int, geometry: Window, channels: int, filters: int, groups: int) -> float:
    """About how many vector instructions the algorithm takes: products at two a cycle, transforms by what was measured."""
    area, pixels = geometry.kernel[0] * geometry.kernel[1], images * geometry.output[0] * geometry.output[1]
    if name == "direct":
        return pixels * area * channels / groups * filters / 2 + pixels * area * channels * GATHER
    m = int(name[-1])
    positions = (m + geometry.kernel[0] - 1) ** 2
    tiles = images * -(-geometry.output[0] // m) * -(-geometry.output[1] // m)
    products = max(tiles, winograd.SUBBATCH // 2) * positions * channels * filters / 2
    return products + tiles * positions * (channels + filters) * TRANSFORM + positions * channels * filters * FILTER


GATHER, TRANSFORM, FILTER = 2, 10, 14  # instructions a float


def _serve(geometry, images, channels, filters, groups):
    """The module that does it, with what it wants to know first: direct.py the groups, winograd.py its variant."""
    name = choose(_forced, images, geometry, channels, filters, groups)
    return None if name == "direct" else winograd.variant(int(name[-1]), geometry.kernel[0])


def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, activation=None, connections=None, out=None):
    """See `reference.conv2d`."""
    geometry = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    w = contiguous(w if connections is None else w * connections)
    b = b if b is None else contiguous(b)
    shape = (len(x), *geometry.output, w.shape[3])
    y = out if out is not None and out.shape == shape and pixel_step(out) else empty(shape)
    variant = _serve(geometry, len(x), x.shape[3], w.shape[3], groups)
    if variant:
        winograd.conv2d(variant, x, w, b, geometry.padding, activation == "relu", y)
    else:
        direct.conv2d(x, w, b, geometry, groups, activation == "relu", y)
    if activation not in (None, "relu"):
        activate(y, activation, out=y)
    return deliver(y, out)


def conv2d_grad_input(dy, w, x_shape, stride=1, padding=0, dilation=1, groups=1, connections=None):
    """See `reference.conv2d_grad_input`."""
    geometry = window(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    w = contiguous(w if connections is None else w * connections)
    dx = empty(x_shape)
    variant = _serve(geometry, len(dy), x_shape[3], w.shape[3], groups)
    if variant:
        winograd.conv2d_grad_input(variant, dy, w, geometry.padding, dx)
    else:
        direct.conv2d_grad_input(dy, w, geometry, groups, dx)
    return dx


def conv2d_grad_weight(dy, x, w_shape, stride=1, padding=0, dilation=1, groups=1, connections=None):
    """See `reference.conv2d_grad_weight`."""
    geometry = window(x.shape[1:3], w_shape[:2], stride, padding, dilation)
    dw, db = empty(w_shape), empty(w_shape[3])
    variant = _serve(geometry, len(x), x.shape[3], w_shape[3], groups)
    if variant:
        winograd.conv2d_grad_weight(variant, dy, x, geometry.padding, dw, db)
    else:
        direct.conv2d_grad_weight(dy, x, geometry, groups, dw, db)
    if connections is not None:
        dw *= connections
    return dw, db
