"""The resizing of images as Pillow defines it, to the last bit, in a third of the time.

A pixel of the result is a weighted mean of pixels around its place in the box:

    scale = box width / W; s = max(scale, 1)
    center(x) = left + (x + 1/2) scale
    weight(x, j) = f((j + 1/2 - center(x)) / s), for |j + 1/2 - center(x)| < support(f) s,
                   divided by the sum of all weights of x

first along the rows, rounded to 8 bits, then along the columns: always in this order, while Pillow
13 begins with the columns where that is less work, with other roundings. Weights are integers in
units of 2^-22. Source: Pillow, `src/libImaging/Resample.c`. The filters f:

    box       1 for -1/2 < t <= 1/2
    bilinear  1 - |t|
    bicubic   Keys' cubic with a = -1/2 (Keys 1981, equation 8)
"""

import math
from collections.abc import Iterator

import numpy as np

from ..types import Array
from .engine.arrays import address
from .engine.launch import inline, kernel
from .engine.simd import Address, load_index, store_index
from .engine.simd.pixels import (
    BYTES,
    PRECISION,
    add_scaled,
    add_weighted,
    splat_sum,
    store_four_pixels,
    store_pixels,
    sum_of_five,
    sum_of_sixteen,
)

FILTERS = {"area": (0, 0.5), "bilinear": (1, 1.0), "bicubic": (2, 2.0)}  # kind, support

Size = tuple[int, int]
Box = tuple[float, float, float, float]


@inline
def _filter(kind: int, t: float) -> float:
    """f(t) of the filter of that kind."""
    if kind == 0:
        return 1.0 if -0.5 < t <= 0.5 else 0.0
    t = abs(t)
    if kind == 1:
        return 1.0 - t if t < 1.0 else 0.0
    if t < 1.0:
        return (1.5 * t - 2.5) * t * t + 1.0
    return -0.5 * (((t - 5.0) * t + 8.0) * t - 4.0) if t < 2.0 else 0.0


@kernel
def _weights(
    task: int,
    tasks: int,
    start: float,
    end: float,
    length: int,
    size: int,
    kind: int,
    support: float,
    most: int,
    first: Address,
    weights: Address,
) -> None:
    """The weights of `size` results along one axis of `length` pixels, whose box is start to end.

    first: the first pixel of each result. weights: `(size, most)`, zeros behind the last pixel.
    """
    left, scale = np.float64(start), np.float64(end - start) / size  # a difference of floats
    stretch = max(scale, 1.0)
    reach, inverse = np.float64(support) * stretch, 1.0 / stretch
    for x in range(size):
        center = left + (x + 0.5) * scale
        low, high = max(0, int(center - reach + 0.5)), min(length, int(center + reach + 0.5))
        total = 0.0
        for j in range(low, high):
            total += _filter(kind, (j - center + 0.5) * inverse)
        store_index(first, x, low)
        for j in range(most):
            weight = 0.0
            if low + j < high:
                weight = _filter(kind, (low + j - center + 0.5) * inverse)
                weight = weight / total if total != 0.0 else weight
            rounded = weight * (1 << PRECISION) + (0.5 if weight >= 0.0 else -0.5)
            store_index(weights, x * most + j, int(rounded))


@kernel
def _along_rows(
    task: int,
    tasks: int,
    pixels: Address,
    stride: int,
    rows: int,
    channels: int,
    first: Address,
    weights: Address,
    groups: int,
    width: int,
    mirrored: int,
    y: Address,
) -> None:
    """Each of the `rows` of pixels becomes `width` results: `(rows, width, channels)`.

    weights: int32 `(width, groups, 16)`: as they meet the bytes of 5 pixels with 3 channels, or of
    16 with one.
    """
    step = BYTES - 1 if channels == 3 else BYTES
    for row in range(rows):
        for x in range(width):
            source = width - 1 - x if mirrored else x
            p = pixels + row * stride + load_index(first, source) * channels
            s = splat_sum(0)
            for g in range(groups):
                s = add_weighted(s, p + g * step, weights + 4 * BYTES * (source * groups + g))
            s = sum_of_five(s) if channels == 3 else sum_of_sixteen(s)
            store_four_pixels(y + (row * width + x) * channels, s)


@kernel
def _along_columns(
    task: int,
    tasks: int,
    pixels: Address,
    stride: int,
    first: Address,
    weights: Address,
    most: int,
    height: int,
    y: Address,
) -> None:
    """Rows of `stride` bytes become `height` rows."""
    for row in range(height):
        source = pixels + load_index(first, row) * stride
        for i in range(0, stride, BYTES):
            s = splat_sum(0)
            for j in range(most):
                weight = load_index(weights, row * most + j)
                if weight != 0:  # behind the last weight there may be no row
                    s = add_scaled(s, source + j * stride + i, weight)
            store_pixels(y + row * stride + i, s)


def axis_weights(
    start: float, end: float, length: int, size: int, interpolation: str
) -> tuple[Array, Array]:
    """Where each of `size` results begins along an axis of `length` pixels, and its weights.

    The box is from start to end, rounded to float32 as Pillow rounds it. first: `(size,)`.
    weights: `(size, k)`, in units of 2^-22.
    """
    kind, support = FILTERS[interpolation]
    most = math.ceil(2 * support * max((end - start) / size, 1.0)) + 1
    first, weights = np.empty(size, np.int64), np.empty((size, most), np.int64)
    found = address(first), address(weights)
    _weights(1, start, end, length, size, kind, support, most, *found)
    return first, weights


def needed(box: Box, size: Size, interpolation: str, whole: Size) -> tuple[int, int, int, int]:
    """The part of an image on which the resized box depends: (left, top, right, bottom).

    size, whole: (height, width) of the result and of the image.
    """
    edges = []
    for i in (0, 1):  # along the rows, along the columns
        reach = FILTERS[interpolation][1] * max((box[i + 2] - box[i]) / size[1 - i], 1.0) + 1
        edges.append((max(0, int(box[i] - reach)), min(whole[1 - i], int(box[i + 2] + reach) + 1)))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def resize(
    pixels: Array,
    size: Size,
    interpolation: str = "bilinear",
    box: Box | None = None,
    mirrored: bool = False,
    corner: Size = (0, 0),
    whole: Size | None = None,
) -> Array:
    """A box of an image, resized, by one thread: images are read beside the training step.

    pixels: uint8 `(h, w, C)`, C = 1 or 3. Result: uint8 `(*size, C)`.
    interpolation: one of `FILTERS`, with antialiasing. box: (left, top, right, bottom) in pixels,
    possibly with fractions; by default the whole image. mirrored: left and right are exchanged.
    corner, whole: if `pixels` are only the part of an image that is `needed`, its (top, left), and
    the (height, width) of the image.
    """
    n, width, channels = pixels.shape
    if pixels.strides[1:] != (channels, 1) or pixels.strides[0] < width * channels:
        pixels = np.ascontiguousarray(pixels)
    h, w = whole or pixels.shape[:2]
    left, top, right, bottom = box or (0.0, 0.0, w, h)
    columns, weights = axis_weights(left, right, w, size[1], interpolation)
    rows, by_row = axis_weights(top, bottom, h, size[0], interpolation)
    columns -= corner[1]
    rows -= corner[0]
    low, high = int(rows[0]), min(n, int(rows[-1]) + by_row.shape[1])
    rows -= low
    stride = size[1] * channels
    # Operations read and write 16 bytes at a time: there is room behind the last of them.
    between, y = (np.empty(n * stride + BYTES, np.uint8) for n in (high - low, size[0]))
    spread = _spread(weights, channels)
    by_column = address(columns), address(spread), spread.shape[1], size[1], int(mirrored)
    for start, part in _with_room_behind(pixels, low, high, BYTES * spread.shape[1]):
        out = address(between) + (start - low) * stride
        _along_rows(1, address(part), part.strides[0], len(part), channels, *by_column, out)
    table = address(rows), address(by_row), by_row.shape[1], size[0]
    _along_columns(1, address(between), stride, *table, address(y))
    return y[: size[0] * stride].reshape(*size, channels)


def _spread(weights: Array, channels: int) -> Array:
    """Weights `(W, k)` as `_along_rows` takes them: int32 `(W, groups, 16)`."""
    width, k = weights.shape
    per_group = BYTES // channels
    groups = -(-k // per_group)
    filled = np.zeros((width, groups * per_group), np.int32)
    filled[:, :k] = weights
    spread = np.zeros((width, groups, BYTES), np.int32)
    repeated = np.repeat(filled, channels, axis=1)
    spread[..., : per_group * channels] = repeated.reshape(width, groups, -1)
    return spread


def _with_room_behind(pixels: Array, low: int, high: int, room: int) -> Iterator[tuple[int, Array]]:
    """The rows low to high in parts, with `room` bytes behind each that may be read."""
    last = max(0, len(pixels) - 1 - room // pixels.strides[0])  # from here on the room may lack
    if low < last:
        yield low, pixels[low : min(high, last)]
    low = max(low, last)
    if low < high:
        tail = np.zeros(pixels[low:high].size + room, np.uint8)
        tail[: pixels[low:high].size] = pixels[low:high].reshape(-1)
        yield low, tail[: pixels[low:high].size].reshape(high - low, *pixels.shape[1:])
