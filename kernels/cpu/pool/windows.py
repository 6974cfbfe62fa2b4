"""The record of a pooling's windows, and the gradient of windows side by side."""

from typing import NamedTuple

from ...geometry import Window
from ..engine.arrays import Image
from ..engine.launch import kernel, task_range
from ..engine.simd import (
    FLOAT,
    LANES,
    Address,
    load_bytes_part,
    load_part,
    select_equal,
    splat,
    store_part,
)
from ..engine.simd.functions import constant


class Windows(NamedTuple):
    """rows x columns windows of kh x kw pixels; the first starts at (-top, -left)."""

    rows: int
    columns: int
    kh: int
    kw: int
    stride_y: int
    stride_x: int
    top: int
    left: int


def windows_of(g: Window) -> Windows:
    """The record of a geometry."""
    return Windows(*g.output, *g.kernel, *g.stride, g.padding[0][0], g.padding[1][0])


def are_side_by_side(g: Window) -> bool:
    """True if windows neither overlap nor leave gaps, and none extends over an edge."""
    return g.stride == g.kernel and g.reach == g.padding == ((0, 0), (0, 0))


@kernel
def spread(
    task: int,
    tasks: int,
    dy: Address,
    step: int,
    argmax: Address,
    images: int,
    windows: Windows,
    inverse: float,
    dx: Image,
) -> None:
    """dx = inverse * dy of the one window that covers the pixel; 0 outside of all windows.

    With `argmax`, only the pixel that was the maximum gets the gradient. Windows that lie side by
    side need no sums: dx is written in the order of memory.
    """
    first, last = task_range(images * windows.rows, task, tasks)
    channels, length = dx.channels, dx.width * dx.channels
    for line in range(first, last):
        n, p = line // windows.rows, line % windows.rows
        # The pixels left over at the right and, with the last windows, at the bottom get 0.
        for i in range(windows.kh if p < windows.rows - 1 else dx.height - p * windows.kh):
            to = dx.data + FLOAT * (n * dx.height + p * windows.kh + i) * length
            if argmax == 0 and 0 < i < windows.kh:
                for place in range(0, length, LANES):  # the row above again
                    v = load_part(to, place - length, length - place)
                    store_part(to, place, v, length - place)
                continue
            inside = windows.columns if i < windows.kh else 0
            # Whole vectors are written where they fit; the next pixel overwrites the excess.
            for q in range(inside):
                window = line * windows.columns + q
                for j in range(windows.kw):
                    for c in range(0, channels, LANES):
                        v = load_part(dy, window * step + c, channels - c) * splat(inverse)
                        if argmax != 0:
                            winner = load_bytes_part(argmax, window * channels + c, channels - c)
                            cell = constant(float(i * windows.kw + j))
                            v = select_equal(winner, cell, v, constant(0.0))
                        place = (q * windows.kw + j) * channels + c
                        store_part(to, place, v, length - place)
            for place in range(inside * windows.kw * channels, length, LANES):
                store_part(to, place, constant(0.0), length - place)
