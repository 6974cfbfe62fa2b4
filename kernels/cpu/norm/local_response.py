"""Local response normalization across channels, a pixel at a time: it stays in cache."""

from ...types import Array
from ..engine.arrays import (
    address,
    contiguous,
    expect_shape,
    output_array,
    pixel_step,
    pixels,
    write_to,
)
from ..engine.launch import inline, kernel, task_range
from ..engine.memory import empty, non_temporal
from ..engine.records import Output, Rows
from ..engine.rows import fill_zeros
from ..engine.simd import (
    FLOAT,
    LANES,
    Address,
    Vector,
    fence,
    load,
    load_part,
    splat,
    store_nt_part,
    store_part,
)
from ..engine.simd.functions import negative_power
from ..engine.threads import threads_for
from . import within_channels

FLOPS = 32  # per number, about


@inline
def window_sum(row: Address, c: int, before: int, size: int) -> Vector:
    """The sums of `size` numbers from row[c - before] on, for LANES values of c.

    The row has margins of zeros.
    """
    sum = load(row, c - before)
    for j in range(1, size):
        sum = sum + load(row, c - before + j)
    return sum


@kernel
def _lrn(
    task: int,
    tasks: int,
    x: Rows,
    y: Output,
    scale: Output,
    size: int,
    c: float,
    beta: float,
    k: float,
    scratch: Address,
) -> None:
    """s = k + c * the sum of the neighbors' squares, y = x s^-beta; all `(pixels, C)`.

    The squares of a pixel are written to a row with zeros at both ends, so that the first and the
    last channels need no special case.
    """
    first, last = task_range(x.rows, task, tasks)
    channels, margin = x.columns, size + LANES
    squares = scratch + FLOAT * (task * (channels + 2 * margin) + margin)
    fill_zeros(squares - FLOAT * margin, channels + 2 * margin)
    for m in range(first, last):
        for i in range(0, channels, LANES):
            v = load_part(x.data, m * x.step + i, channels - i)
            store_part(squares, i, v * v, channels - i)
        for i in range(0, channels, LANES):
            n = channels - i
            s = splat(k) + splat(c) * window_sum(squares, i, size // 2, size)
            store_nt_part(scale.data, m * scale.step + i, s, n, scale.non_temporal)
            v = load_part(x.data, m * x.step + i, n) * negative_power(s, beta)
            store_nt_part(y.data, m * y.step + i, v, n, y.non_temporal)
    fence()


@kernel
def _lrn_grad(
    task: int,
    tasks: int,
    dy: Rows,
    x: Rows,
    scale: Address,
    dx: Output,
    size: int,
    c: float,
    beta: float,
    scratch: Address,
) -> None:
    """dx = dy s^-beta - 2 c beta x * the sum of the neighbors' dy y / s, with y = x s^-beta.

    The first loop writes the first term and dy y / s, which share s^-beta, to two rows. The second
    loop sums the neighbors.
    """
    first, last = task_range(x.rows, task, tasks)
    channels, margin = x.columns, size + LANES
    crossed = scratch + FLOAT * (task * 2 * (channels + 2 * margin) + margin)
    direct = crossed + FLOAT * (channels + 2 * margin)
    fill_zeros(crossed - FLOAT * margin, channels + 2 * margin)
    for m in range(first, last):
        for i in range(0, channels, LANES):
            n = channels - i
            s = load_part(scale, m * channels + i, n)
            d = load_part(dy.data, m * dy.step + i, n) * negative_power(s, beta)
            store_part(direct, i, d, n)
            store_part(crossed, i, d * load_part(x.data, m * x.step + i, n) / s, n)
        for i in range(0, channels, LANES):
            n = channels - i
            v = load_part(x.data, m * x.step + i, n) * splat(-2 * c * beta)
            sum = window_sum(crossed, i, (size - 1) // 2, size)
            v = load_part(direct, i, n) + v * sum
            store_nt_part(dx.data, m * dx.step + i, v, n, dx.non_temporal)
    fence()


def _scratch(rows: int, channels: int, size: int, tasks: int) -> Array:
    """The buffer of each task: `rows` rows of channels, each with zeros on both sides.

    The last vector reads up to LANES numbers beyond the window.
    """
    return empty(tasks * rows * (channels + 2 * (size + LANES)) + LANES)


def local_response_norm(
    x: Array,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    alpha_div_n: bool = False,
    within_channel: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """See `functional.local_response_norm`."""
    if x.ndim < 2 or not x.size or size < 1:
        raise ValueError(
            f"local_response_norm: x {x.shape} and size={size}: expected (..., C) and size >= 1"
        )
    if within_channel:
        factor = alpha / size**2 if alpha_div_n else alpha
        return within_channels.local_response_norm(x, size, factor, beta, k, out)
    x, ld = pixels(x)
    channels = x.shape[-1]
    y = output_array(out, x.shape, channel_slice=True)
    scale, y_step = empty(x.shape), pixel_step(y)
    tasks = threads_for(flops=FLOPS * x.size)
    scratch = _scratch(1, channels, size, tasks)
    _lrn(
        tasks,
        Rows(address(x), ld, x.size // channels, channels),
        Output(address(y), y_step, non_temporal(y, y_step)),
        Output(address(scale), channels, non_temporal(scale, channels)),
        size,
        alpha / size if alpha_div_n else alpha,
        beta,
        k,
        address(scratch),
    )
    return write_to(out, y), scale


def local_response_norm_grad(
    dy: Array,
    x: Array,
    y: Array,
    scale: Array,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    alpha_div_n: bool = False,
    within_channel: bool = False,
) -> Array:
    """See `functional.local_response_norm_grad`."""
    if within_channel:
        factor = alpha / size**2 if alpha_div_n else alpha
        return within_channels.local_response_norm_grad(dy, x, scale, size, factor, beta)
    for name, a in (("dy", dy), ("scale", scale)):
        expect_shape(f"local_response_norm_grad: {name}", a, x.shape)
    (dy, dy_step), (x, x_step), scale = pixels(dy), pixels(x), contiguous(scale)
    channels, dx = x.shape[-1], empty(x.shape)
    count = x.size // channels
    tasks = threads_for(flops=FLOPS * x.size)
    scratch = _scratch(2, channels, size, tasks)
    _lrn_grad(
        tasks,
        Rows(address(dy), dy_step, count, channels),
        Rows(address(x), x_step, count, channels),
        address(scale),
        Output(address(dx), channels, non_temporal(dx, channels)),
        size,
        alpha / size if alpha_div_n else alpha,
        beta,
        address(scratch),
    )
    return dx
