"""Local response normalization within a channel: sums over a square of pixels of the same map.

A sum over size x size pixels is one along columns, then one along rows: 2 size additions.
"""

from typing import NamedTuple

from ...types import Array
from ..engine.arrays import (
    Image,
    address,
    contiguous,
    expect_images,
    expect_shape,
    image,
    output_array,
    pixel_step,
    pixels,
    write_to,
)
from ..engine.launch import inline, kernel, task_range
from ..engine.memory import empty
from ..engine.simd import (
    FLOAT,
    LANES,
    Address,
    Vector,
    load,
    load_part,
    splat,
    store,
    store_part,
)
from ..engine.simd.functions import constant, negative_power
from ..engine.threads import threads_for


class Reach(NamedTuple):
    """How many pixels of a window lie before its center and behind it, along each axis."""

    before: int
    after: int


@inline
def column_sums(a: Image, n: int, h: int, reach: Reach, squared: int, sums: Address) -> None:
    """sums `(W, C)` of image n = a, or its squares, added up over the rows around h.

    Whole vectors are written where they fit; the next pixel overwrites the excess.
    """
    top, bottom = max(0, h - reach.before), min(a.height, h + reach.after + 1)
    for w in range(a.width):
        for c in range(0, a.channels, LANES):
            sum = constant(0.0)
            for i in range(top, bottom):
                pixel = (n * a.height + i) * a.width + w
                v = load_part(a.data, pixel * a.step + c, a.channels - c)
                sum = sum + (v * v if squared else v)
            store(sums, w * a.channels + c, sum)


@inline
def window_total(sums: Address, w: int, c: int, width: int, channels: int, reach: Reach) -> Vector:
    """The column sums `(W, C)` of the columns around w, added up, from channel c on."""
    sum = constant(0.0)
    for j in range(max(0, w - reach.before), min(width, w + reach.after + 1)):
        sum = sum + load(sums, j * channels + c)
    return sum


@kernel
def _normalize(
    task: int,
    tasks: int,
    x: Image,
    images: int,
    reach: Reach,
    factor: float,
    beta: float,
    k: float,
    scale: Address,
    y: Address,
    y_step: int,
    scratch: Address,
) -> None:
    """s = k + factor * the sum of the window's squares, y = x s^-beta."""
    first, last = task_range(images * x.height, task, tasks)
    sums = scratch + FLOAT * task * (x.width * x.channels + LANES)
    for line in range(first, last):
        column_sums(x, line // x.height, line % x.height, reach, 1, sums)
        for w in range(x.width):
            pixel = line * x.width + w
            for c in range(0, x.channels, LANES):
                rest = x.channels - c
                s = window_total(sums, w, c, x.width, x.channels, reach)
                s = splat(k) + splat(factor) * s
                store_part(scale, pixel * x.channels + c, s, rest)
                v = load_part(x.data, pixel * x.step + c, rest) * negative_power(s, beta)
                store_part(y, pixel * y_step + c, v, rest)


@kernel
def _terms(
    task: int,
    tasks: int,
    dy: Image,
    x: Image,
    pixels: int,
    scale: Address,
    beta: float,
    direct: Address,
    crossed: Address,
) -> None:
    """direct = dy s^-beta, crossed = dy y / s with y = x s^-beta, for `pixels` pixels."""
    first, last = task_range(pixels, task, tasks)
    for m in range(first, last):
        for c in range(0, x.channels, LANES):
            place, rest = m * x.channels + c, x.channels - c
            s = load_part(scale, place, rest)
            d = load_part(dy.data, m * dy.step + c, rest) * negative_power(s, beta)
            store_part(direct, place, d, rest)
            store_part(crossed, place, d * load_part(x.data, m * x.step + c, rest) / s, rest)


@kernel
def _add_crossed(
    task: int,
    tasks: int,
    x: Image,
    crossed: Image,
    images: int,
    reach: Reach,
    factor: float,
    dx: Address,
    scratch: Address,
) -> None:
    """dx += factor * x * the sum of the window's `crossed`."""
    first, last = task_range(images * x.height, task, tasks)
    sums = scratch + FLOAT * task * (x.width * x.channels + LANES)
    for line in range(first, last):
        column_sums(crossed, line // x.height, line % x.height, reach, 0, sums)
        for w in range(x.width):
            pixel = line * x.width + w
            for c in range(0, x.channels, LANES):
                place, rest = pixel * x.channels + c, x.channels - c
                s = window_total(sums, w, c, x.width, x.channels, reach)
                v = load_part(x.data, pixel * x.step + c, rest) * splat(factor)
                store_part(dx, place, load_part(dx, place, rest) + v * s, rest)


def _scratch(x: Array, tasks: int) -> Array:
    """A row of column sums per task; vectors reach LANES numbers beyond it."""
    return empty(tasks * (x.shape[2] * x.shape[3] + LANES) + LANES)


def local_response_norm(
    x: Array, size: int, factor: float, beta: float, k: float, out: Array | None
) -> tuple[Array, Array]:
    """y and scale of `functional.local_response_norm` within channels; factor: c of the sum."""
    expect_images("local_response_norm: x", x)
    x, _ = pixels(x)
    y, scale = output_array(out, x.shape, channel_slice=True), empty(x.shape)
    tasks = threads_for(bytes=x.nbytes)
    scratch, reach = _scratch(x, tasks), Reach(size // 2, (size - 1) // 2)
    numbers = factor, beta, k
    target = address(scale), address(y), pixel_step(y), address(scratch)
    _normalize(tasks, image(x), len(x), reach, *numbers, *target)
    return write_to(out, y), scale


def local_response_norm_grad(
    dy: Array, x: Array, scale: Array, size: int, factor: float, beta: float
) -> Array:
    """dx of `functional.local_response_norm_grad` within channels.

    The windows that contain a pixel are its own, mirrored.
    """
    expect_images("local_response_norm_grad: x", x)
    for name, a in (("dy", dy), ("scale", scale)):
        expect_shape(f"local_response_norm_grad: {name}", a, x.shape)
    (dy, _), (x, _), scale = pixels(dy), pixels(x), contiguous(scale)
    dx, crossed = empty(x.shape), empty(x.shape)
    tasks, count = threads_for(bytes=x.nbytes), x.size // max(1, x.shape[3])
    scratch, reach = _scratch(x, tasks), Reach((size - 1) // 2, size // 2)
    both = image(dy), image(x)
    _terms(tasks, *both, count, address(scale), beta, address(dx), address(crossed))
    sources, minus = (image(x), image(crossed)), -2 * factor * beta
    _add_crossed(tasks, *sources, len(x), reach, minus, address(dx), address(scratch))
    return dx
