"""Max pooling. The position of each maximum in its window is kept as a byte for the gradient."""

import numpy as np

from ... import reference
from ...geometry import pool_window
from ...types import Array, IntOrPair, Padding, Shape
from ..engine.arrays import (
    Image,
    address,
    expect_images,
    expect_shape,
    image,
    output_array,
    pixel_step,
    pixels,
    write_to,
)
from ..engine.launch import covering_windows, kernel, task_range
from ..engine.memory import empty, non_temporal
from ..engine.simd import (
    LANES,
    Address,
    fence,
    load_bytes_part,
    load_part,
    select_equal,
    select_greater_or_nan,
    store_bytes_part,
    store_nt_part,
    store_part,
)
from ..engine.simd.functions import constant
from ..engine.threads import threads_for
from .windows import Windows, are_side_by_side, spread, windows_of


@kernel
def _max(
    task: int,
    tasks: int,
    x: Image,
    images: int,
    windows: Windows,
    y: Address,
    y_step: int,
    argmax: Address,
) -> None:
    """y = the maximum of each window, argmax = its cell, i * kW + j, both `(N, H_out, W_out, C)`.

    The first maximum in row-major order is kept, and NaN if there is one. Cells are counted as
    floats, which one comparison selects together with the values.
    """
    data, width, step, channels, kw = x.data, x.width, x.step, x.channels, windows.kw
    first, last = task_range(images * windows.rows, task, tasks)
    for line in range(first, last):
        n, p = line // windows.rows, line % windows.rows
        h = p * windows.stride_y - windows.top
        i_first, i_last = max(0, -h), min(windows.kh, x.height - h)
        for q in range(windows.columns):
            w = q * windows.stride_x - windows.left
            j_first, j_last = max(0, -w), min(kw, width - w)
            corner = ((n * x.height + h) * width + w) * step
            result = line * windows.columns + q
            for c in range(0, channels, LANES):
                best, winner = constant(-np.inf), constant(float(i_first * kw + j_first))
                for i in range(i_first, i_last):
                    cell = constant(float(i * kw + j_first))
                    for j in range(j_first, j_last):
                        v = load_part(data, corner + (i * width + j) * step + c, channels - c)
                        winner = select_greater_or_nan(v, best, cell, winner)
                        best = select_greater_or_nan(v, best, v, best)
                        cell = cell + constant(1.0)
                store_part(y, result * y_step + c, best, channels - c)
                store_bytes_part(argmax, result * channels + c, winner, channels - c)


@kernel
def _max_grad(
    task: int,
    tasks: int,
    dy: Address,
    step: int,
    argmax: Address,
    images: int,
    windows: Windows,
    dx: Image,
    nt: bool,
) -> None:
    """dx = the sum of dy over the windows whose maximum the pixel was.

    The loop is over pixels, not windows: each is written once, and no sum is shared by tasks. It
    stays in one kernel with its bounds, because calls in it take half of its speed.
    """
    first, last = task_range(images * dx.height, task, tasks)
    for line in range(first, last):
        n, h = line // dx.height, line % dx.height
        p_first, p_last = covering_windows(
            h, windows.top, windows.stride_y, windows.kh, windows.rows
        )
        for w in range(dx.width):
            q_first, q_last = covering_windows(
                w, windows.left, windows.stride_x, windows.kw, windows.columns
            )
            for c in range(0, dx.channels, LANES):
                rest, sum = dx.channels - c, constant(0.0)
                for p in range(p_first, p_last):
                    row = (h + windows.top - p * windows.stride_y) * windows.kw
                    for q in range(q_first, q_last):
                        cell = row + w + windows.left - q * windows.stride_x
                        window = (n * windows.rows + p) * windows.columns + q
                        winner = load_bytes_part(argmax, window * dx.channels + c, rest)
                        v = load_part(dy, window * step + c, rest)
                        sum = sum + select_equal(winner, constant(float(cell)), v, constant(0.0))
                store_nt_part(dx.data, (line * dx.width + w) * dx.channels + c, sum, rest, nt)
    fence()


def max_pool2d(
    x: Array,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """See `reference.max_pool2d`."""
    expect_images("max_pool2d: x", x)
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    if g.kernel[0] * g.kernel[1] > 256:
        return reference.max_pool2d(x, kernel_size, stride, padding, ceil_mode, out)
    x, _ = pixels(x)
    shape = (len(x), *g.output, x.shape[3])
    y, argmax = output_array(out, shape, channel_slice=True), empty(shape, np.uint8)
    if y.size:
        _max(
            threads_for(bytes=x.nbytes),
            image(x),
            len(x),
            windows_of(g),
            address(y),
            pixel_step(y),
            address(argmax),
        )
    return write_to(out, y), argmax


def max_pool2d_grad(
    dy: Array,
    argmax: Array,
    x_shape: Shape,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
) -> Array:
    """See `reference.max_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    if argmax.dtype != np.uint8:
        return reference.max_pool2d_grad(
            dy, argmax, x_shape, kernel_size, stride, padding, ceil_mode
        )
    expected = (x_shape[0], *g.output, x_shape[3])
    expect_shape("max_pool2d_grad: dy", dy, expected)
    expect_shape("max_pool2d_grad: argmax", argmax, expected)
    (dy, step), argmax = pixels(dy), np.ascontiguousarray(argmax)
    dx = empty(tuple(x_shape))
    if not dx.size:
        return dx
    tasks, target = threads_for(bytes=dx.nbytes), image(dx)
    results, windows = (address(dy), step, address(argmax)), windows_of(g)
    if are_side_by_side(g):
        spread(tasks, *results, len(dx), windows, 1.0, target)
    else:
        _max_grad(tasks, *results, len(dx), windows, target, non_temporal(dx, x_shape[3]))
    return dx
