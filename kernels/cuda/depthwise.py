"""Depthwise convolution on the GPU: sums over pixels of one map, without a matrix product."""

import functools

import numpy as np

from ..geometry import Window
from ..reference.arrays import write_to
from ..types import Array, Shape
from .activation import BOUNDS, NUMBERS, activate
from .arrays import (
    contiguous,
    empty,
    number_type,
    optional,
    options,
    output_array,
    parameter,
    pixel_step,
    spaced,
    vector_width,
)
from .device import DIVISOR, THREADS, blocks, counted, divisor, divisors, launch
from .pixel_classes import pixel_classes
from .product import Epilogue
from .sums import partial_sums

ACROSS = 4  # results per thread: ACROSS of depthwise.cu
MOST_CELLS, MOST_STRIDE = 7, 2  # along a row: a thread's pixels are in registers

_IMAGE = "height", "width", "pixel_step", "channels", "rows", "columns"
_CELLS = (
    *("cells_y", "step_y", "off_y", "off_x", "move_y", "cell_y", "between_y", "cell_x"),
    *("between_x", "kernel_x"),
)
_OUTPUT = (
    *("out_height", "out_width", "out_step", "mul_y", "mul_x", "first_y", "first_x"),
    *("other_step", "activation"),
)
_DIVISORS = "by_vectors", "by_tiles", "by_rows"
SUMS = np.dtype(
    [(name, np.int32) for name in (*_IMAGE, *_CELLS, *_OUTPUT)]
    + [(name, DIVISOR) for name in _DIVISORS]
)
_READ = "height", "width", "step_y", "off_y", "off_x", "move_y"
READ = np.dtype(
    [(name, np.int32) for name in _READ] + [("by_columns", DIVISOR), ("by_rows", DIVISOR)]
)


def supports(g: Window, w_shape: Shape, groups: int) -> bool:
    """True for one group and one filter per channel, and a kernel whose rows fit into registers."""
    return (
        w_shape[2] == 1
        and w_shape[3] == groups > 1
        and g.kernel[1] <= MOST_CELLS
        and g.stride[1] <= MOST_STRIDE
        and g.dilation[1] == 1
    )


def _run(
    x: Array,
    w: Array,
    y: Array,
    epilogue: Epilogue,
    activation: str | None,
    cells: tuple[int, int],
    sizes: dict[str, int],
) -> None:
    """Launch `sums`: `cells` along a row and the STEP from result to result, and its fields."""
    w, n, channels = contiguous(w), len(x), x.shape[3]
    scale, bias = parameter(epilogue.scale), parameter(epilogue.bias)
    residual, other_step = optional(epilogue.residual)
    relu_output, mask_step = optional(epilogue.relu_output)
    images = [a for a in (x, y, residual, relu_output) if a is not None]
    parameters = [a for a in (w, scale, bias) if a is not None]
    v = vector_width(channels, *images, parameters=parameters)
    tiles = -(-sizes["columns"] // ACROSS)
    threads = n * sizes["rows"] * tiles * (channels // v)
    fields = sizes | {
        **dict(zip(_IMAGE[:4], (*x.shape[1:3], pixel_step(x), channels), strict=True)),
        **dict(zip(_OUTPUT[:3], (*y.shape[1:3], pixel_step(y)), strict=True)),
        "other_step": other_step or mask_step,
        "activation": NUMBERS[activation],
        "by_vectors": channels // v,
        "by_tiles": tiles,
        "by_rows": sizes["rows"],
    }
    counted(max(a.size // channels for a in (x, y)))
    arguments = x, w, scale, bias, residual, relu_output, y, _structure(tuple(fields.items()))
    defines = options(x, v) | {"CELLS": cells[0], "STEP": cells[1]}
    launch("depthwise.cu", "sums", blocks(threads), THREADS, *arguments, threads, **defines)


@functools.lru_cache(maxsize=1024)
def _structure(fields: tuple[tuple[str, int], ...]) -> np.ndarray:
    """The structure `Sums` of depthwise.cu."""
    given = dict(fields)
    values = (divisor(given[k]) if k.startswith("by_") else given[k] for k in SUMS.names or ())
    return np.array([tuple(values)], SUMS)


def conv2d(
    x: Array,
    w: Array,
    epilogue: Epilogue,
    g: Window,
    activation: str | None,
    out: Array | None,
) -> Array:
    """`f(scale * (x conv w) + bias + residual)`."""
    x = spaced(x)
    y = output_array(out, x, (len(x), *g.output, x.shape[3]))
    sizes = {
        **{"rows": g.output[0], "columns": g.output[1], "kernel_x": g.kernel[1]},
        **{"cells_y": g.kernel[0], "cell_y": 0, "between_y": 1, "cell_x": 0, "between_x": 1},
        **{"step_y": g.stride[0], "move_y": g.dilation[0]},
        **{"off_y": -g.padding[0][0], "off_x": -g.padding[1][0]},
        **{"mul_y": 1, "mul_x": 1, "first_y": 0, "first_x": 0},
    }
    f = activation if activation in BOUNDS else None
    _run(x, w, y, epilogue, f, (g.kernel[1], g.stride[1]), sizes)
    if f != activation:
        activate(y, activation, out=y)
    return write_to(out, y)


def conv2d_grad_input(dy: Array, w: Array, x_shape: Shape, epilogue: Epilogue, g: Window) -> Array:
    """dx after an epilogue with one image: `residual` or `relu_output`.

    Pixel h of a class adds up dy at h' + offset + t * move for its taps t. Along a row move is -1:
    the taps are read from the last to the first, so that their pixels are side by side.
    """
    dy, dx = spaced(dy), empty(dy, x_shape)
    for y in pixel_classes(x_shape[1], g, 0):
        for x in pixel_classes(x_shape[2], g, 1):
            last = max(0, x.taps - 1)
            sizes = {
                **{"rows": y.pixels, "columns": x.pixels, "kernel_x": g.kernel[1]},
                **{"cells_y": y.taps if x.taps else 0, "cell_y": y.tap, "between_y": y.between},
                **{"cell_x": x.tap + last * x.between, "between_x": -x.between},
                **{"step_y": 1, "off_y": y.offset, "move_y": y.move, "off_x": x.offset - last},
                **{"mul_y": g.stride[0], "mul_x": g.stride[1]},
                **{"first_y": y.first, "first_x": x.first},
            }
            _run(dy, w, dx, epilogue, None, (max(1, x.taps), 1), sizes)
    return dx


def conv2d_grad_weight(dy: Array, x: Array, w_shape: Shape, g: Window) -> Array:
    """dw `(kH, kW, 1, C)`, float32: a layer of blocks for each row of the kernel."""
    dy, x, dw = spaced(dy), contiguous(x), empty(x, w_shape, np.float32)
    channels, cells, step = w_shape[3], g.kernel[1], g.stride[1]
    offsets = g.stride[0], -g.padding[0][0], -g.padding[1][0], g.dilation[0]
    read = np.array([(*x.shape[1:3], *offsets, *map(divisor, g.output[::-1]))], READ)
    real, layers = number_type(dy), g.kernel[0]
    file, rows = "depthwise.cu", ([dy], x, read)
    sums = partial_sums(
        file, "weight_sums", cells, *rows, layers=layers, REAL=real, CELLS=cells, STEP=step
    )
    totals = sums.values, sums.chunks, *divisors(channels), dw.size, dw
    launch(file, "weight_totals", blocks(dw.size), THREADS, *totals, CELLS=cells)
    return dw
