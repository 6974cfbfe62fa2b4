"""Convolution on the CPU, and the choice of the algorithm for each shape and pass.

| algorithm   | for                                                         | relative error |
|-------------|-------------------------------------------------------------|----------------|
| `direct`    | everything: a matrix product that reads patches in place    | 3e-7 to 1e-6   |
| `depthwise` | one group per channel: sums over vectors of channels        | 3e-7           |
| `winograd2` | stride 1, 3x3 and 5x5: 2.25 and 2.78 times fewer products   | 5e-7, 4e-6     |
|             | 3, 5 or 7 pixels in one row or column: 1.5, 1.67, 1.75      | to 2e-6        |
| `winograd4` | stride 1, 3x3: 4 times fewer products                       | 3e-6           |
|             | 3, 5 or 7 pixels in one row or column: 2, 2.5, 2.8          | 1e-6, 1e-6,    |
|             |                                                             | 5e-6           |
| `split`     | an even number of channels (filters): three products of     | 5e-6           |
|             | bfloat16 numbers, only if it is forced (split.py)           |                |

The error is relative to float64, in the L2 norm, with 256 channels. In the precision "bf16" the
direct algorithm multiplies pairs of bfloat16 numbers (bfloat16.py), with an error of 2e-3.
Winograd's stays in float32, and is used where it is still the faster one.
"""

import functools
import math
from contextlib import AbstractContextManager

from ..geometry import Window, window
from ..thread_state import ThreadState
from ..types import Array, IntOrPair, Padding, Shape
from . import bfloat16, depthwise, direct, linear, split, winograd
from .activation import activate
from .direct import few_filters, few_filters_forward
from .engine.arrays import contiguous, expect_shape, output_array, pixel_step, write_to
from .engine.memory import empty
from .engine.records import BOUNDS
from .engine.simd import COLUMNS, ROWS
from .engine.weight_cache import weight_cache
from .narrow import pixels_per_vector
from .precision import PAIR, can_split, in_bfloat16

ALGORITHMS = ("auto", "direct", "depthwise", "winograd2", "winograd4", "split")


class _State(ThreadState):
    """algorithm: one of `ALGORITHMS`."""

    inherited = ("algorithm",)
    algorithm = "auto"


_state = _State()


def algorithm(name: str) -> AbstractContextManager[None]:
    """Use this algorithm in this block, in this thread, if it can compute the convolution.

    "auto" restores the choice by `cost`. Raises ValueError for an unknown name.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {name!r}; expected one of {', '.join(ALGORITHMS)}")
    return _state.changed(algorithm=name)


def possible(geometry: Window, channels: int, filters: int, groups: int) -> list[str]:
    """The algorithms that can compute this convolution."""
    names = ["direct"]
    if depthwise.supports(channels, filters, groups):
        names.append("depthwise")
    is_dense = geometry.stride == geometry.dilation == (1, 1) and groups == 1
    if is_dense and winograd.supports(channels, filters):
        names += [f"winograd{m}" for m in winograd.accurate(geometry.kernel)]
    return names


@functools.lru_cache(maxsize=4096)
def choose(
    name: str,
    images: int,
    geometry: Window,
    channels: int,
    filters: int,
    groups: int,
    rate: int = 2,
) -> str:
    """The algorithm for one pass: `name` if it is possible, else the cheapest by `cost`."""
    names = possible(geometry, channels, filters, groups)
    if name in names:
        return name
    sizes = images, geometry, channels, filters, groups, rate
    return min(names, key=lambda n: cost(n, *sizes))


def cost(
    name: str,
    images: int,
    geometry: Window,
    channels: int,
    filters: int,
    groups: int,
    rate: int = 2,
) -> float:
    """An estimate in cycles: two products per cycle, and the transforms as measured.

    rate: the direct algorithm's products per cycle, of bfloat16 numbers `bfloat16.rate`.
    """
    area, pixels = (
        geometry.kernel[0] * geometry.kernel[1],
        images * geometry.output[0] * geometry.output[1],
    )
    if name == "depthwise":
        return pixels * area * filters / 2
    if name == "direct":
        products = pixels * area * channels / groups * filters / rate
        return products + pixels * area * channels * PATCH
    sizes = winograd_sizes(name, geometry)
    positions, tiles = sizes.positions, images * math.prod(sizes.tiles(geometry.output))
    products = max(tiles, ROWS) * positions * channels * filters / 2
    images_and_results = tiles * positions * (channels + filters) * TRANSFORM
    axes = sum(m > 1 for m in sizes.results)
    return products + axes * (images_and_results + positions * channels * filters * FILTER)


# Instructions per float; of a transform, along each axis.
PATCH, TRANSFORM, FILTER = 2, 5, 2


def winograd_sizes(name: str, geometry: Window) -> winograd.Sizes:
    """The sizes of the algorithm "winograd2" or "winograd4" for this geometry."""
    return winograd.Sizes.of(int(name.removeprefix("winograd")), geometry.kernel)


def _chosen(
    geometry: Window,
    images: Shape,
    filters: int,
    groups: int,
    depth: int,
) -> tuple[str, winograd.Winograd | None]:
    """The algorithm for this convolution, and the `Winograd` if it is one of those.

    depth: of the sums of products in this pass, or a factor of it.
    """
    if _state.algorithm == "split" and can_split(depth):
        return "split", None
    rate = bfloat16.rate() if in_bfloat16(depth) else 2
    name = choose(_state.algorithm, images[0], geometry, images[3], filters, groups, rate)
    if not name.startswith("winograd"):
        return name, None
    return name, winograd.winograd(winograd_sizes(name, geometry))


def _is_linear(geometry: Window, image: Shape, groups: int) -> bool:
    """True if the kernel covers the whole image: a linear layer, such as LeNet-5's C5."""
    return (
        geometry.kernel == tuple(image)
        and not any(map(any, geometry.padding))
        and groups == 1
        and geometry.dilation == (1, 1)
    )


def _expect_shapes(
    x_shape: Shape,
    w_shape: Shape,
    geometry: Window,
    groups: int,
    dy: Array | None = None,
    b: tuple[Array | None, ...] = (),
) -> None:
    """Raise ValueError unless the shapes fit together: kernels read addresses without checks."""
    channels, filters = w_shape[2] * groups, w_shape[3]
    if len(x_shape) != 4 or x_shape[3] != channels or filters % groups or 0 in (*x_shape, *w_shape):
        raise ValueError(
            f"convolution of images {tuple(x_shape)} with weights {tuple(w_shape)} in {groups}"
            " groups: expected (N, H, W, C) and (kH, kW, C / groups, K), K a multiple of groups,"
            " nothing empty"
        )
    if dy is not None:
        expect_shape("convolution: dy", dy, (x_shape[0], *geometry.output, filters))
    for vector in b:
        if vector is not None:
            expect_shape("convolution: bias or scale", vector, (filters,))


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
        _expect_shapes(x.shape, w.shape, geometry, groups, b=(b,))
        filters = contiguous(w).reshape(-1, w.shape[3])
        y = linear.linear(x.reshape(len(x), -1), filters, b, activation)
        return write_to(out, y.reshape(len(x), 1, 1, -1))
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
    """`f(scale * (x conv w) + b)`, by the algorithm that is chosen for this geometry."""
    _expect_shapes(x.shape, w.shape, geometry, groups, b=(b, scale))
    cache = weight_cache(w)
    w = contiguous(w)
    b, scale = (a if a is None else contiguous(a) for a in (b, scale))
    y = output_array(out, (len(x), *geometry.output, w.shape[3]), channel_slice=True)
    pairs, bounds = in_bfloat16(w.shape[2]), BOUNDS.get(activation, 0)
    name, variant = _chosen(geometry, x.shape, w.shape[3], groups, w.shape[2])
    several = pixels_per_vector(geometry, w.shape[3], groups)
    if name == "depthwise":
        depthwise.conv2d(x, w, scale, b, geometry, bounds, y)
    elif name == "split":
        split.conv2d(x, w, scale, b, geometry, groups, bounds, y)
    elif variant:
        winograd.conv2d(variant, x, w, scale, b, geometry.padding, bounds, y, cache)
    elif (
        scale is None
        and pixel_step(y) == w.shape[3]
        and few_filters_forward.supports(geometry, w.shape[2], w.shape[3], groups)
    ):
        few_filters_forward.conv2d(x, w, b, geometry, bounds, y)
    elif several and pixel_step(y) == w.shape[3]:
        wide = y.reshape(*y.shape[:2], -1, several.pixels * w.shape[3])
        factors, bias = (None if a is None else several.repeat(a) for a in (scale, b))
        filters = several.repeat(w)
        direct.conv2d(x, filters, factors, bias, several.geometry, 1, bounds, wide)
    else:
        conv = bfloat16.conv2d if pairs else direct.conv2d
        conv(x, w, scale, b, geometry, groups, bounds, y)
    if activation not in BOUNDS:
        activate(y, activation, out=y)
    return write_to(out, y)


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
    _expect_shapes(x_shape, w.shape, geometry, groups, dy)
    w = contiguous(w)
    if _is_linear(geometry, x_shape[1:3], groups):
        dx = linear.linear_grad_input(dy.reshape(len(dy), -1), w.reshape(-1, w.shape[3]))
        return dx.reshape(x_shape)
    dx = empty(x_shape)
    pairs = in_bfloat16(w.shape[3] // groups)
    name, variant = _chosen(geometry, x_shape, w.shape[3], groups, w.shape[3] // groups)
    if name == "depthwise":
        depthwise.conv2d_grad_input(dy, w, geometry, dx)
    elif name == "split":
        split.conv2d_grad_input(dy, w, geometry, groups, dx)
    elif variant:
        winograd.conv2d_grad_input(variant, dy, w, geometry.padding, dx)
    elif pairs:
        bfloat16.conv2d_grad_input(dy, w, geometry, groups, dx)
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
    _expect_shapes(x.shape, w_shape, geometry, groups, dy)
    if _is_linear(geometry, x.shape[1:3], groups):
        dw, db = linear.linear_grad_weight(dy.reshape(len(dy), -1), x.reshape(len(x), -1))
        return dw.reshape(w_shape), db if bias else None
    dw, db = empty(w_shape), empty(w_shape[3])
    pairs = in_bfloat16(PAIR)  # of pixels, of which an odd one gets a zero
    name, variant = _chosen(geometry, x.shape, w_shape[3], groups, PAIR)
    # More pixels per vector than in the forward pass: gathering patches takes most of the time.
    several = pixels_per_vector(geometry, w_shape[3], groups, COLUMNS)
    if name == "depthwise":
        depthwise.conv2d_grad_weight(dy, x, geometry, dw, db)
    elif name == "split":
        split.conv2d_grad_weight(dy, x, geometry, groups, dw, db)
    elif variant:
        winograd.conv2d_grad_weight(variant, dy, x, geometry.padding, dw, db if bias else None)
    elif few_filters.supports(geometry, w_shape[2], w_shape[3], groups):
        few_filters.conv2d_grad_weight(dy, x, geometry, dw, db)
    elif several:
        filters = several.pixels * w_shape[3]
        wide, sums = empty((*several.geometry.kernel, w_shape[2], filters)), empty(filters)
        packed = contiguous(dy).reshape(*dy.shape[:2], -1, filters)
        direct.conv2d_grad_weight(packed, x, several.geometry, 1, wide, sums)
        dw, db = several.sum_repeated(wide, w_shape), several.sum_repeated(sums, w_shape[3:])
    elif pairs:
        bfloat16.conv2d_grad_weight(dy, x, geometry, groups, dw, db)
    else:
        direct.conv2d_grad_weight(dy, x, geometry, groups, dw, db)
    return dw, db if bias else None
