"""Convolution on the CPU, and which algorithm serves which shape and pass.

| algorithm   | for                                                                             | relative error (L2, C = 256) |
|-------------|---------------------------------------------------------------------------------|------------------------------|
| `direct`    | everything: a matrix product that walks along the patches in place (direct.py)  | 3e-7                         |
| `winograd2` | 3x3 and 5x5, stride 1: F(2x2), 2.25 and 2.78 times fewer products (winograd.py) | 5e-7, 1e-6                   |
| `winograd4` | 3x3, stride 1: F(4x4), 4 times fewer products                                   | 3e-6                         |
"""

import functools
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from ..geometry import Window, window
from ..types import Array, IntOrPair, Padding, Shape
from . import direct, linear, winograd
from .activation import activate, deliver
from .engine.arrays import contiguous, pixel_step
from .engine.memory import empty
from .engine.simd import COLUMNS, LANES
from .engine.weight_cache import weight_cache

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
        and winograd.suits(channels, filters)
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
    return None if name == "direct" else winograd.variant(int(name[-1]), geometry.kernel[0])


class Abreast(NamedTuple):
    """Convolutions with few filters leave lanes idle; `count` neighboring output pixels are computed as filters of one wider kernel.

    Pixel t's filter is the kernel, t strides to the right; the results `(..., count * K)` lie in memory as the pixels `(..., K)` do.
    """

    count: int
    geometry: Window

    def widen(self, w):
        """`(kH, kW, C, K)` -> `(kH, kW + (count - 1) * stride, C, count * K)`."""
        (rows, columns, channels, filters), step = w.shape, self.geometry.stride[1] // self.count
        wide = np.zeros((rows, self.geometry.kernel[1], channels, self.count, filters), np.float32)
        for t in range(self.count):
            wide[:, t * step : t * step + columns, :, t] = w
        return wide.reshape(rows, -1, channels, self.count * filters)

    def narrow(self, dw, columns: int):
        """The gradient of `widen`: its parts, added up."""
        rows, _, channels, filters = dw.shape
        parts, step = (
            dw.reshape(rows, -1, channels, self.count, filters // self.count),
            self.geometry.stride[1] // self.count,
        )
        return sum(parts[:, t * step : t * step + columns, :, t] for t in range(self.count))


@functools.lru_cache(maxsize=1024)
def abreast(geometry: Window, filters: int, groups: int, width: int = LANES) -> Abreast | None:
    """As many output pixels as fill `width` lanes and divide the row evenly, or None if that is one."""
    count = max(n for n in range(1, max(width // filters, 1) + 1) if geometry.output[1] % n == 0)
    if count == 1 or groups > 1 or geometry.dilation != (1, 1):
        return None
    kernel = geometry.kernel[0], geometry.kernel[1] + (count - 1) * geometry.stride[1]
    stride = geometry.stride[0], geometry.stride[1] * count
    return Abreast(
        count,
        geometry._replace(
            kernel=kernel, stride=stride, output=(geometry.output[0], geometry.output[1] // count)
        ),
    )


def _is_linear(geometry: Window, image, groups: int) -> bool:
    """Whether the kernel covers the whole image: a fully connected layer, such as LeNet-5's C5."""
    return (
        geometry.kernel == tuple(image)
        and not any(map(any, geometry.padding))
        and groups == 1
        and geometry.dilation == (1, 1)
    )


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """See `functional.conv2d`."""
    geometry = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    if _is_linear(geometry, x.shape[1:3], groups):
        filters = contiguous(w).reshape(-1, w.shape[3])
        y = linear.linear(x.reshape(len(x), -1), filters, b, activation)
        return deliver(y.reshape(len(x), 1, 1, -1), out)
    return scaled_conv2d(x, w, None, b, geometry, groups, activation, out)


def scaled_conv2d(
    x: Array,
    w: Array,
    scale: Array | None,
    b: Array | None,
    geometry: Window,
    groups: int,
    activation: str | None,
    out: Array | None,
) -> Array:
    """`f(scale * (x conv w) + b)`, by the algorithm that serves this geometry."""
    cache = weight_cache(w)
    w = contiguous(w)
    b, scale = (a if a is None else contiguous(a) for a in (b, scale))
    shape = (len(x), *geometry.output, w.shape[3])
    y = out if out is not None and out.shape == shape and pixel_step(out) else empty(shape)
    variant = _serve(geometry, len(x), x.shape[3], w.shape[3], groups)
    several = abreast(geometry, w.shape[3], groups)
    if variant:
        winograd.conv2d(variant, x, w, scale, b, geometry.padding, activation == "relu", y, cache)
    elif several and pixel_step(y) == w.shape[3]:
        wide = y.reshape(*y.shape[:2], -1, several.count * w.shape[3])
        factors, bias = (None if a is None else np.tile(a, several.count) for a in (scale, b))
        filters = several.widen(w)
        direct.conv2d(x, filters, factors, bias, several.geometry, 1, activation == "relu", wide)
    else:
        direct.conv2d(x, w, scale, b, geometry, groups, activation == "relu", y)
    if activation not in (None, "relu"):
        activate(y, activation, out=y)
    return deliver(y, out)


def conv2d_grad_input(
    dy: Array,
    w: Array,
    x_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """See `functional.conv2d_grad_input`."""
    geometry = window(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    w = contiguous(w)
    if _is_linear(geometry, x_shape[1:3], groups):
        dx = linear.linear_grad_input(dy.reshape(len(dy), -1), w.reshape(-1, w.shape[3]))
        return dx.reshape(x_shape)
    dx = empty(x_shape)
    variant = _serve(geometry, len(dy), x_shape[3], w.shape[3], groups)
    if variant:
        winograd.conv2d_grad_input(variant, dy, w, geometry.padding, dx)
    else:
        direct.conv2d_grad_input(dy, w, geometry, groups, dx)
    return dx


def conv2d_grad_weight(
    dy: Array,
    x: Array,
    w_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    bias: bool = True,
) -> tuple[Array, Array | None]:
    """See `functional.conv2d_grad_weight`."""
    geometry = window(x.shape[1:3], w_shape[:2], stride, padding, dilation)
    if _is_linear(geometry, x.shape[1:3], groups):
        dw, db = linear.linear_grad_weight(dy.reshape(len(dy), -1), x.reshape(len(x), -1))
        return dw.reshape(w_shape), db if bias else None
    dw, db = empty(w_shape), empty(w_shape[3])
    variant = _serve(geometry, len(x), x.shape[3], w_shape[3], groups, weights=True)
    # more pixels side by side than forward takes: gathering patches is what costs
    several = abreast(geometry, w_shape[3], groups, COLUMNS)
    if variant:
        winograd.conv2d_grad_weight(variant, dy, x, geometry.padding, dw, db if bias else None)
    elif several:
        filters = several.count * w_shape[3]
        wide, sums = empty((*several.geometry.kernel, w_shape[2], filters)), empty(filters)
        packed = contiguous(dy).reshape(*dy.shape[:2], -1, filters)
        direct.conv2d_grad_weight(packed, x, several.geometry, 1, wide, sums)
        dw = several.narrow(wide, w_shape[1])
        db = sums.reshape(several.count, -1).sum(axis=0)
    else:
        direct.conv2d_grad_weight(dy, x, geometry, groups, dw, db)
    return dw, db if bias else None
