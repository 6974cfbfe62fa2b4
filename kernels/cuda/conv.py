"""Convolution on the GPU: the geometry of each pass as one matrix product. See conv.cu, and plan.py for how it is cut."""

import functools
from contextlib import contextmanager
from math import gcd

import numpy as np

from ..geometry import Window, window
from ..types import Array, IntOrPair, Padding, Shape
from .activation import activate, convert, deliver, resize
from .arrays import destination, empty, number_type, optional, parameter, pixel_step, spaced
from .device import DIVISOR, THREADS, blocks, counted, divisor, divisors, launch, runtime
from .plan import Card, inner, plan, shared_bytes
from .sums import partial_sums

PRECISIONS = {"ffma": "FFMA", "tf32": "TF32", "fp32": "TF32X3"}  # of float32 arrays; bfloat16 arrays have their own

_SIZES = """m n k splits tiles_n height width step channels a_group mul_y mul_x off_y off_x tap_y tap_x by_channels by_taps_x
    by_columns by_rows i0 i_step j0 j_step kernel_x w_rows w_step out_height out_width out_step out_group out_mul_y out_mul_x
    out_off_y out_off_x relu other_step"""
PRODUCT = np.dtype([(name, DIVISOR if name.startswith("by_") else np.int32) for name in _SIZES.split()])

_precision = "fp32"


@contextmanager
def precision(name: str):
    """Within this block products of float32 arrays are made that way: "fp32" (3xTF32), "tf32" or "ffma".

    Raises ValueError for an unknown name.
    """
    global _precision
    previous, _precision = _precision, checked_precision(name)
    try:
        yield
    finally:
        _precision = previous


def set_precision(name: str) -> None:
    """As `precision`, for the process."""
    global _precision
    _precision = checked_precision(name)


def checked_precision(name: str) -> str:
    """`name`. Raises ValueError if there is no such precision of float32 arrays."""
    if name not in PRECISIONS:
        raise ValueError(f"unknown precision {name!r}; expected one of {', '.join(PRECISIONS)}")
    return name


# ---- one product -----------------------------------------------------------------------------------------------------


def _run(kernel: str, operands, out, fields: dict, groups: int, a, b, scale=None, bias=None, residual=None, rectified=None):
    """One product into `out`: choose tile and split, launch, and add up the parts.

    `a`: the images that patches are taken from; `b`: the other operand, the length of its rows, and from row to row.
    """
    how = PRECISIONS[_precision] if a.dtype == np.float32 else "BF16"
    tile, stages, splits, *_ = plan(kernel, fields["m"], fields["n"], fields["k"], groups, how, _card())
    options = tile.defines() | {
        "BK": inner(how),
        "STAGES": stages,
        "PRECISION": how,
        "REAL": number_type(a),
        "VEC_A": _copied(a, fields["channels"], fields["step"]),
        "VEC_B": _copied(*b),
        "VEC_C": 2 if fields["n"] % 2 == fields["out_step"] % 2 == runtime().address(out) % (2 * out.itemsize) == 0 else 1,
    }
    counted(a.size // a.shape[-1])
    product = _product(splits=splits, tiles_n=-(-fields["n"] // tile.n), **fields)
    channels = groups * fields["n"]
    partial = empty(a, (splits, fields["m"], channels), np.float32) if splits > 1 else None
    grid = -(-fields["m"] // tile.m) * product["tiles_n"].item(), 1, groups * splits
    arguments = {
        "forward": (*operands, scale, bias, residual, out, partial, product),
        "grad_input": (*operands, rectified, out, partial, product),
        "grad_weight": (*operands, out, partial, product),
    }[kernel]
    launch("conv.cu", kernel, grid, 32 * tile.warps, *arguments, shared=shared_bytes(kernel, tile, how, stages), **options)
    if partial is not None:
        count = partial[0].size
        arguments = partial, scale, bias, residual, rectified, out, channels, *divisors(channels), count, product
        launch("conv_sums.cu", "finish", blocks(count), THREADS, *arguments, REAL=number_type(out))


def _copied(array, *sizes: int) -> int:
    """How many numbers of an operand one copy moves: 16 bytes where it lies at a multiple of them, and `sizes`, rows and steps, are one."""
    vec = 16 // array.itemsize
    return vec if runtime().address(array) % 16 == 0 and all(size % vec == 0 for size in sizes) else 1


def _card() -> Card:
    run = runtime()
    return Card(run.processors, run.shared_memory, run.shared_memory_of_processor)


def _product(**fields) -> np.ndarray:
    """The structure `Product` of product.cuh; fields that a pass does not use are 0 (divisors 1)."""
    for name in ("m", "n", "k"):
        counted(fields[name])
    values = [divisor(max(1, fields.get(name, 1))) if name.startswith("by_") else fields.get(name, 0) for name in PRODUCT.names or ()]
    return np.array([tuple(values)], PRODUCT)


# ---- the passes -----------------------------------------------------------------------------------------------------


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
    g = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    return scaled_conv2d(x, w, None, b, None, g, groups, activation, out)


def scaled_conv2d(
    x: Array,
    w: Array,
    scale: Array | None,
    b: Array | None,
    residual: Array | None,
    g: Window,
    groups: int,
    activation: str | None,
    out: Array | None,
) -> Array:
    """`f(scale * (x conv w) + b + residual)`: the product's epilogue does the rest."""
    x, w, filters = spaced(x), _weights(w, x.dtype), w.shape[3]
    wide = _wide(x, groups)
    if wide != x.shape[3]:
        x, w = resize(x, wide), _resized(w, wide)
    y = destination(out, x, (len(x), *g.output, filters))
    residual, residual_step = optional(residual)
    channels, per_group = w.shape[2], filters // groups
    fields = _patches(g, x, channels) | {
        "m": len(x) * g.output[0] * g.output[1],
        "n": per_group,
        "k": g.kernel[0] * g.kernel[1] * channels,
        "w_step": filters,
        "out_height": g.output[0],
        "out_width": g.output[1],
        "out_step": pixel_step(y),
        "out_group": per_group,
        "out_mul_y": 1,
        "out_mul_x": 1,
        "relu": activation == "relu",
        "other_step": residual_step,
    }
    _run("forward", (x, w), y, fields, groups, x, (w, per_group, filters), parameter(scale), parameter(b), residual)
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
    g = window(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    return masked_grad_input(dy, w, x_shape, None, g, groups)


def masked_grad_input(
    dy: Array, w: Array, x_shape: Shape, rectified: Array | None, g: Window, groups: int
) -> Array:
    """dx, and 0 where `rectified`, the output of a ReLU, is not above 0.

    A stride of s makes s^2 products, one for each class of pixels that the same taps see.
    """
    dy, w, filters, channels = spaced(dy), _weights(w, dy.dtype), w.shape[3], w.shape[2]
    dx, (rectified, rectified_step) = empty(dy, x_shape), optional(rectified)
    per_group = filters // groups
    for vertical in _classes(x_shape[1], g, 0):
        for horizontal in _classes(x_shape[2], g, 1):
            (rows, out_y, off_y, tap_y, i0, i_step, taps_y), (columns, out_x, off_x, tap_x, j0, j_step, taps_x) = vertical, horizontal
            fields = {
                "m": len(dy) * rows * columns,
                "n": channels,
                "k": taps_y * taps_x * per_group,
                "height": dy.shape[1],
                "width": dy.shape[2],
                "step": pixel_step(dy),
                "channels": per_group,
                "a_group": per_group,
                "mul_y": 1,
                "mul_x": 1,
                "off_y": off_y,
                "off_x": off_x,
                "tap_y": tap_y,
                "tap_x": tap_x,
                "by_channels": per_group,
                "by_taps_x": taps_x,
                "by_columns": columns,
                "by_rows": rows,
                "i0": i0,
                "i_step": i_step,
                "j0": j0,
                "j_step": j_step,
                "kernel_x": g.kernel[1],
                "w_rows": channels,
                "w_step": filters,
                "out_height": x_shape[1],
                "out_width": x_shape[2],
                "out_step": x_shape[3],
                "out_group": channels,
                "out_mul_y": g.stride[0],
                "out_mul_x": g.stride[1],
                "out_off_y": out_y,
                "out_off_x": out_x,
                "other_step": rectified_step,
            }
            _run("grad_input", (dy, w), dx, fields, groups, dy, (w, per_group, filters), rectified=rectified)
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
    """See `functional.conv2d_grad_weight`; dw and db are float32 whatever the images are."""
    g = window(x.shape[1:3], w_shape[:2], stride, padding, dilation)
    dy, x, filters, channels, wide = spaced(dy), spaced(x), w_shape[3], w_shape[2], _wide(x, groups)
    if wide != x.shape[3]:
        dw, db = conv2d_grad_weight(dy, resize(x, wide), (*w_shape[:2], wide, filters), stride, padding, dilation, bias=bias)
        return _resized(dw, channels), db
    dw, per_group = empty(x, w_shape, np.float32), filters // groups
    fields = _patches(g, x, channels) | {
        "m": g.kernel[0] * g.kernel[1] * channels,
        "n": per_group,
        "k": len(x) * g.output[0] * g.output[1],
        "out_step": filters,
        "out_group": per_group,
    }
    _run("grad_weight", (dy, pixel_step(dy), x), dw, fields, groups, x, (dy, per_group, pixel_step(dy)))
    return dw, bias_gradient(dy) if bias else None


def bias_gradient(dy):
    """`db[k] = sum dy[..., k]`, float32."""
    channels = dy.shape[-1]
    sums = partial_sums("conv_sums.cu", "bias_sums", 1, [spaced(dy)], REAL=number_type(dy))
    db = empty(dy, (channels,), np.float32)
    launch("conv_sums.cu", "bias_totals", blocks(channels), THREADS, sums.values, sums.chunks, channels, db)
    return db


def _wide(x, groups: int) -> int:
    """How many channels the product's images have: a first layer's few get zeros beside them, so that a pixel is one copy of 16 bytes."""
    pixel = 16 // x.itemsize
    return pixel if 1 < x.shape[3] < pixel and groups == 1 else x.shape[3]


def _resized(w, channels: int):
    """The weights of so many channels: the first ones, and zeros."""
    filters = w.shape[3]
    return resize(w.reshape(*w.shape[:2], -1), channels * filters).reshape(*w.shape[:2], channels, filters)


def _weights(w, dtype):
    """The weights as the product takes them: of the images' type."""
    return convert(parameter(w), dtype)


def _patches(g: Window, x, channels: int) -> dict:
    """The fields that say which pixels a window of x covers."""
    return {
        "height": x.shape[1],
        "width": x.shape[2],
        "step": pixel_step(x),
        "channels": channels,
        "a_group": channels,
        "mul_y": g.stride[0],
        "mul_x": g.stride[1],
        "off_y": -g.padding[0][0],
        "off_x": -g.padding[1][0],
        "tap_y": g.dilation[0],
        "tap_x": g.dilation[1],
        "by_channels": channels,
        "by_taps_x": g.kernel[1],
        "by_columns": g.output[1],
        "by_rows": g.output[0],
    }


@functools.lru_cache(maxsize=4096)
def _classes(size: int, g: Window, axis: int) -> list[tuple[int, ...]]:
    """The classes of pixels h = a + s h' along one axis, each with the taps r for which s divides h + padding - d r.

    For each: how many pixels, a, the p that tap r0 saw h' = 0 from, how p moves from tap to tap, r0, the step between taps, how many.
    """
    s, d, before, kernel = g.stride[axis], g.dilation[axis], g.padding[axis][0], g.kernel[axis]
    found = []
    for a in range(min(s, size)):
        taps = [r for r in range(kernel) if (a + before - r * d) % s == 0]
        between = s // gcd(s, d)
        first = taps[0] if taps else 0
        found.append((-(-(size - a) // s), a, (a + before - first * d) // s, -between * d // s, first, between, len(taps)))
    return found
