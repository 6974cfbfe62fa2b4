"""Dropout on the GPU, with the masks of all other backends."""

import numpy as np

from ..reference.arrays import write_to
from ..reference.dropout import draw_keys, drop_threshold, first_position
from ..types import Array, Shape
from .arrays import contiguous, empty, layout, options, output_array
from .capture import replayed_input
from .device import THREADS, blocks, launch


def dropout(
    x: Array, p: float, generator: np.random.Generator, out: Array | None = None
) -> tuple[Array, Array]:
    """See `functional.dropout`."""
    x = contiguous(x)
    y = output_array(out if out is not None and out.flags.c_contiguous else None, x, x.shape)
    mask = empty(x, x.shape, np.bool_)
    shape, (v, vectors, _) = x.shape, layout(x, y, mask)
    keys = replayed_input(lambda: _keys(generator, shape), (3,), np.uint32)
    arguments = x, y, mask, keys, np.uint32(drop_threshold(p)), 1 / (1 - p), vectors
    launch("dropout.cu", "dropout", blocks(vectors), THREADS, *arguments, **options(x, v))
    return write_to(out, y), mask


def _keys(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """Two keys, and the position of the first element."""
    return np.append(draw_keys(generator), np.uint32(first_position(shape)))


def dropout_grad(dy: Array, mask: Array, p: float) -> Array:
    """See `functional.dropout_grad`."""
    dy, mask = contiguous(dy), contiguous(mask)
    dx = empty(dy, dy.shape)
    v, vectors, _ = layout(dy, mask, dx)
    arguments = dy, mask, dx, 1 / (1 - p), vectors
    launch("dropout.cu", "dropout_grad", blocks(vectors), THREADS, *arguments, **options(dy, v))
    return dx
