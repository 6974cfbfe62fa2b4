"""PReLU on the GPU: a leaky ReLU with one trained slope per channel."""

import numpy as np

from ..reference.arrays import write_to
from ..types import Array
from .arrays import (
    empty,
    number_type,
    options,
    output_array,
    parameter,
    pixel_step,
    spaced,
    vector_width,
)
from .device import THREADS, blocks, divisors, launch
from .sums import partial_sums


def prelu(x: Array, w: Array, out: Array | None = None) -> Array:
    """See `functional.prelu`."""
    x, y, channels = spaced(x), output_array(out, x, x.shape), x.shape[-1]
    v = vector_width(channels, x, y)
    slopes, vectors = (parameter(w), int(w.size == 1)), x.size // v
    arguments = x, pixel_step(x), *slopes, y, pixel_step(y), *divisors(channels // v), vectors
    launch("prelu.cu", "prelu", blocks(vectors), THREADS, *arguments, **options(x, v))
    return write_to(out, y)


def prelu_grad(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """See `functional.prelu_grad`."""
    dy, x, channels, shared = spaced(dy), spaced(x), x.shape[-1], int(w.size == 1)
    dx, dw = empty(x, x.shape), empty(x, w.shape, np.float32)
    v = vector_width(channels, dy, x, dx)
    images, vectors = (dy, pixel_step(dy), x, pixel_step(x)), x.size // v
    arguments = *images, parameter(w), shared, dx, *divisors(channels // v), vectors
    launch("prelu.cu", "prelu_grad", blocks(vectors), THREADS, *arguments, **options(x, v))
    real = number_type(x)
    sums = partial_sums("prelu.cu", "prelu_sums", 1, [dy, x], REAL=real)
    totals = sums.values, sums.chunks, channels, shared, dw
    launch("prelu.cu", "prelu_totals", blocks(w.size), THREADS, *totals, REAL=real)
    return dx, dw
