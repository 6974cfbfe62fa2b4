"""Input gradients on matrix units: forward passes over dy, one per phase of the stride.

Row p of dy has a part in row `h = p * stride + i * dilation - padding` of dx, through row i of the
kernel. With a stride of 2, the even rows of dx therefore use other rows of the kernel than the odd
ones; likewise the columns. Within such a phase, neighbors in dx use neighbors in dy. So each phase
is a convolution of dy with some taps of the kernel, at stride 1, whose sums run over the filters.
No product is with a zero of a stride, and no sum is added up in memory.
"""

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from ..geometry import PaddingPairs, Pair, Window
from ..types import Array
from .direct.patches import PatchGrid, PatchLayout, patch_layout
from .engine.arrays import Image, address
from .engine.launch import kernel, task_range
from .engine.memory import empty
from .engine.records import PLAIN, Rows
from .engine.rows import copy_pixels, fill_zeros
from .engine.simd import FLOAT
from .engine.threads import threads_for
from .matrix_units import DEPTH, Filters, products
from .words import neighbors


class Phase(NamedTuple):
    """The rows (or columns) first, first + stride, ... of dx, `size` of them.

    The r-th is the sum of w[i] * dy[r + distance] over the taps (i, distance).
    """

    first: int
    size: int
    taps: list[Pair]


def phases(kernel: int, stride: int, dilation: int, before: int, size: int) -> list[Phase]:
    """The phases of the `size` rows (or columns) of dx; `before` of them are padding."""
    found = []
    for first in range(min(stride, size)):
        distances = [(i, first + before - i * dilation) for i in reversed(range(kernel))]
        taps = [(i, d // stride) for i, d in distances if d % stride == 0]
        found.append(Phase(first, -(-(size - first) // stride), taps))
    return found


def border(found: list[Phase], size: int) -> Pair:
    """Rows (or columns) of zeros before and after the `size` of dy that the taps read."""
    reach = [(d, d + phase.size) for phase in found for _, d in phase.taps]
    least, most = min([d for d, _ in reach], default=0), max([d for _, d in reach], default=0)
    return max(0, -least), max(0, most - size)


@functools.lru_cache(maxsize=1024)
def _layout(
    taps: tuple[Pair, ...],
    cells: tuple[int, ...],
    channels: int,
    step: int,
    width: int,
    max_run: int,
) -> tuple[PatchLayout, Array]:
    """The layout of the patches of dy, and the first word of each tap of w."""
    return patch_layout(taps, channels, step, width, max_run), np.array(cells, np.int64)


@kernel
def _place(
    task: int, tasks: int, phase: Image, images: int, dx: Image, down: int, across: int
) -> None:
    """Pixels (p, q) of the phase to pixels (p * down, q * across) of dx; zeros if its data is 0.

    dx is the address of the first of them, and the size of a whole image.
    """
    first, last = task_range(images * phase.height, task, tasks)
    for unit in range(first, last):
        n, p = unit // phase.height, unit % phase.height
        to = dx.data + FLOAT * (n * dx.height + p * down) * dx.width * dx.step
        if phase.data != 0:
            source = phase.data + FLOAT * unit * phase.width * phase.step
            copy_pixels(source, phase.step, to, across * dx.step, phase.width, phase.channels)
        else:
            for q in range(phase.width):
                fill_zeros(to + FLOAT * q * across * dx.step, phase.channels)


def conv2d_grad_input(dy: Array, w: Array, geometry: Window, groups: int, dx: Array) -> None:
    """See `direct.conv2d_grad_input`. The filters of a group are even in number."""
    rows, columns = (
        phases(w.shape[i], geometry.stride[i], geometry.dilation[i], before, dx.shape[i + 1])
        for i, (before, _) in enumerate(geometry.padding)
    )
    frame = border(rows, dy.shape[1]), border(columns, dy.shape[2])
    words, filters = neighbors(dy, frame), neighbors(w)
    for down, across in itertools.product(rows, columns):
        taps = list(itertools.product(down.taps, across.taps))
        if geometry.stride == (1, 1):
            return _products(words, filters, taps, frame, groups, dx)
        result = empty((len(dx), down.size, across.size, dx.shape[3]))
        if taps:
            _products(words, filters, taps, frame, groups, result)
        place = address(result) if taps else 0
        source = Image(place, dx.shape[3], *result.shape[1:])
        first = (down.first * dx.shape[2] + across.first) * dx.shape[3]
        target = Image(address(dx) + FLOAT * first, dx.shape[3], *dx.shape[1:])
        tasks = threads_for(bytes=8 * result.size)
        _place(tasks, source, len(dx), target, *geometry.stride)


def _products(
    words: Array,
    filters: Array,
    taps: list[tuple[Pair, Pair]],
    frame: PaddingPairs,
    groups: int,
    dx: Array,
) -> None:
    """dx = the convolution of dy, as words in a frame of zeros, with some taps of the filters.

    taps: the place in the kernel and the distance in dy, of the row and of the column.
    """
    _, height, width, step = words.shape
    (_, columns, channels, _), per_group = filters.shape, step // groups
    (top, _), (left, _) = frame
    layout, offsets = _layout(
        tuple((down + top, across + left) for (_, down), (_, across) in taps),
        tuple((i * columns + j) * channels * step for (i, _), (j, _) in taps),
        *(per_group, step, width, DEPTH),
    )
    for g in range(groups):
        source, place = (address(a) + FLOAT * g * per_group for a in (words, filters))
        grid = PatchGrid(source, step, height, width, 1, 1, *dx.shape[1:3])
        panels = Filters(place, address(offsets), per_group, 1, step)
        target = address(dx) + FLOAT * g * channels
        to = Rows(target, dx.shape[3], math.prod(dx.shape[:3]), channels)
        products(grid, layout, panels, to, PLAIN)
