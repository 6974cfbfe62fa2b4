"""Group normalization: the statistics of each image and group, then one pass for the result.

Sums run over the pixels of an image, channel by channel, so that every loop reads neighboring
channels, however narrow the groups are. The channels are merged into groups afterwards.
"""

from typing import NamedTuple

import numpy as np

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
from ..engine.launch import kernel, task_range
from ..engine.memory import empty, non_temporal
from ..engine.records import Output, Rows
from ..engine.rows import fill_zeros
from ..engine.simd import FLOAT, LANES, Address, fence, load_part, store_nt_part, store_part
from ..engine.simd.functions import constant
from ..engine.threads import threads_for
from .moments import add_differences, add_squares

PART = 1 << 15  # floats that are summed together: they are read twice, the second time from a cache


class Images(NamedTuple):
    """The pixels of an image, and the parts into which its sums are split."""

    pixels: int
    parts: int


class Tables(NamedTuple):
    """Vectors `(N, C)`, one per image: the mean, and the factors of the gradient's terms."""

    mean: Address
    factor: Address
    direct: Address
    crossed: Address


@kernel
def _moments(task: int, tasks: int, x: Rows, images: Images, sums: Address) -> None:
    """The mean and the sum of squared deviations of each part, to sums `(N, parts, 2, C)`."""
    parts = x.rows // images.pixels * images.parts
    first, last = task_range(parts, task, tasks)
    for u in range(first, last):
        start, stop = task_range(images.pixels, u % images.parts, images.parts)
        image = u // images.parts * images.pixels
        means = sums + FLOAT * u * 2 * x.columns
        fill_zeros(means, 2 * x.columns)
        add_differences(x, image + start, image + stop, means)
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            shifted = load_part(means, i, n) * constant(1.0 / (stop - start))
            v = load_part(x.data, (image + start) * x.step + i, n) + shifted
            store_part(means, i, v, n)
        add_squares(x, image + start, image + stop, means, means + FLOAT * x.columns)


@kernel
def _normalize(
    task: int, tasks: int, x: Rows, images: Images, of: Tables, beta: Address, y: Output
) -> None:
    """y = (x - mean) * factor + beta, `(pixels, C)`."""
    first, last = task_range(x.rows, task, tasks)
    for m in range(first, last):
        table = m // images.pixels * x.columns
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            v = load_part(x.data, m * x.step + i, n) - load_part(of.mean, table + i, n)
            v = v * load_part(of.factor, table + i, n) + load_part(beta, i, n)
            store_nt_part(y.data, m * y.step + i, v, n, y.non_temporal)
    fence()


@kernel
def _gradient_sums(
    task: int, tasks: int, dy: Rows, x: Rows, images: Images, mean: Address, sums: Address
) -> None:
    """The sums of dy and of dy (x - mean) of each part, to sums `(N, parts, 2, C)`.

    Four rows are added in registers before the sums are stored.
    """
    parts = x.rows // images.pixels * images.parts
    first, last = task_range(parts, task, tasks)
    for u in range(first, last):
        start, stop = task_range(images.pixels, u % images.parts, images.parts)
        image = u // images.parts * images.pixels
        direct = sums + FLOAT * u * 2 * x.columns
        crossed = direct + FLOAT * x.columns
        table = u // images.parts * x.columns
        fill_zeros(direct, 2 * x.columns)
        for m in range(image + start, image + stop, 4):
            rows = min(4, image + stop - m)
            for i in range(0, x.columns, LANES):
                n = x.columns - i
                center = load_part(mean, table + i, n)
                a, c = load_part(direct, i, n), load_part(crossed, i, n)
                for r in range(m, m + rows):
                    d = load_part(dy.data, r * dy.step + i, n)
                    a = a + d
                    c = c + d * (load_part(x.data, r * x.step + i, n) - center)
                store_part(direct, i, a, n)
                store_part(crossed, i, c, n)


@kernel
def _gradient(
    task: int, tasks: int, dy: Rows, x: Rows, images: Images, of: Tables, dx: Output
) -> None:
    """dx = factor * dy - direct - (x - mean) * crossed, `(pixels, C)`."""
    first, last = task_range(x.rows, task, tasks)
    for m in range(first, last):
        table = m // images.pixels * x.columns
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            v = load_part(x.data, m * x.step + i, n) - load_part(of.mean, table + i, n)
            d = load_part(of.factor, table + i, n) * load_part(dy.data, m * dy.step + i, n)
            d = d - load_part(of.direct, table + i, n) - v * load_part(of.crossed, table + i, n)
            store_nt_part(dx.data, m * dx.step + i, d, n, dx.non_temporal)
    fence()


def group_norm(
    x: Array, gamma: Array, beta: Array, groups: int, eps: float = 1e-5, out: Array | None = None
) -> tuple[Array, Array, Array]:
    """See `functional.group_norm`."""
    expect_channels("group_norm", x, gamma, beta)
    expect_groups("group_norm", x, groups)
    y = output_array(out, x.shape, channel_slice=True)
    (x, step), y_step, beta = pixels(x), pixel_step(y), contiguous(beta)
    rows, images, tasks = _sizes(x, step)
    sums = np.empty((len(x), images.parts, 2, rows.columns), np.float32)
    _moments(tasks, rows, images, address(sums))
    mean, var = _merged(sums, images, groups)
    inv_std = 1 / np.sqrt(var + np.float32(eps))
    center, factor = _per_channel(mean, x), _per_channel(inv_std, x) * gamma
    of = Tables(address(center), address(factor), 0, 0)
    target = Output(address(y), y_step, non_temporal(y, y_step))
    _normalize(tasks, rows, images, of, address(beta), target)
    return write_to(out, y), mean, inv_std


def _merged(sums: Array, images: Images, groups: int) -> tuple[Array, Array]:
    """The mean and the variance of each image and group, `(N, groups)`, from those of the parts.

        squares = sum over parts and channels of: own squares + count * (own mean - mean)^2

    Source: Chan, Golub & LeVeque 1979.
    """
    n, parts, _, channels = sums.shape
    bounds = np.arange(parts + 1) * images.pixels // parts
    counts = np.diff(bounds)[:, None, None].astype(np.float64)
    total = images.pixels * channels // groups
    split = sums.reshape(n, parts, 2, groups, -1).astype(np.float64)
    means, squares = split[:, :, 0], split[:, :, 1]
    mean = (counts * means).sum(axis=(1, 3)) / total
    apart = counts * (means - mean[:, None, :, None]) ** 2
    var = (squares + apart).sum(axis=(1, 3)) / total
    return mean.astype(np.float32), var.astype(np.float32)


def group_norm_grad(
    dy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """See `functional.group_norm_grad`."""
    expect_channels("group_norm_grad", x, gamma)
    expect_shape("group_norm_grad: dy", dy, x.shape)
    expect_shape("group_norm_grad: mean", mean, (len(x), mean.shape[-1]))
    expect_shape("group_norm_grad: inv_std", inv_std, mean.shape)
    groups = mean.shape[1]
    expect_groups("group_norm_grad", x, groups)
    (dy, dy_step), (x, step) = pixels(dy), pixels(x)
    rows, images, tasks = _sizes(x, step)
    dy_rows = Rows(address(dy), dy_step, rows.rows, rows.columns)
    center, scale = _per_channel(mean, x), _per_channel(inv_std, x)
    sums = np.empty((len(x), images.parts, 2, rows.columns), np.float32)
    _gradient_sums(tasks, dy_rows, rows, images, address(center), address(sums))
    direct, crossed = sums.sum(axis=1, dtype=np.float64).transpose(1, 0, 2)
    crossed = crossed * scale
    share = groups / (images.pixels * rows.columns)
    means = [(s * gamma).reshape(len(x), groups, -1).sum(2) * share for s in (direct, crossed)]
    tables = (
        *(center, scale * gamma),
        *(_per_channel(inv_std * means[0], x), _per_channel(inv_std**2 * means[1], x)),
    )
    dx = empty(x.shape)
    target = Output(address(dx), rows.columns, non_temporal(dx, rows.columns))
    _gradient(tasks, dy_rows, rows, images, Tables(*map(address, tables)), target)
    return dx, *(s.sum(axis=0).astype(np.float32) for s in (crossed, direct))


def expect_channels(name: str, x: Array, *vectors: Array) -> None:
    """Raise ValueError unless x is `(N, ..., C)`, not empty, and every vector is `(C,)`."""
    if x.ndim < 2 or not x.size:
        raise ValueError(f"{name}: x has shape {x.shape}: expected (N, ..., C), not empty")
    for vector in vectors:
        expect_shape(f"{name}: a vector of channels", vector, x.shape[-1:])


def expect_groups(name: str, x: Array, groups: int) -> None:
    """Raise ValueError unless the channels of x are a multiple of `groups`."""
    if groups < 1 or x.shape[-1] % groups:
        raise ValueError(f"{name}: groups={groups}: expected a divisor of {x.shape[-1]} channels")


def _sizes(x: Array, step: int) -> tuple[Rows, Images, int]:
    """x as rows, how its images are split, and the number of tasks."""
    count = x.size // x.shape[-1]
    area = count // len(x)
    tasks = threads_for(bytes=x.nbytes)
    parts = max(-(-area * x.shape[-1] // PART), -(-tasks // len(x)))
    return Rows(address(x), step, count, x.shape[-1]), Images(area, min(area, parts)), tasks


def _per_channel(values: Array, x: Array) -> Array:
    """Numbers `(N, groups)` as `(N, C)`."""
    return np.repeat(values.astype(np.float32), x.shape[-1] // values.shape[1], axis=1)
