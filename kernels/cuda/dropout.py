"""Dropout on the GPU: the same masks as everywhere, made in parallel."""

import numpy as np

from ..reference.dropout import draw_keys, drop_threshold
from .activation import deliver
from .arrays import contiguous, destination, empty, layout, number_type
from .capture import fresh
from .device import THREADS, blocks, launch


def dropout(x, p, generator, out=None):
    """See `reference.dropout`."""
    x = contiguous(x)
    y = destination(out if out is not None and out.flags.c_contiguous else None, x, x.shape)
    keep = empty(x, x.shape, np.bool_)
    v, vectors, _ = layout(x, y, keep)
    drawn = fresh(lambda: draw_keys(generator), (2,), np.uint32)
    arguments = x, y, keep, drawn, np.uint32(drop_threshold(p)), 1 / (1 - p), vectors
    launch("dropout.cu", "dropout", blocks(vectors), THREADS, *arguments, REAL=number_type(x), V=v)
    return deliver(y, out), keep


def dropout_grad(dy, mask, p):
    """See `reference.dropout_grad`."""
    dy, mask = contiguous(dy), contiguous(mask)
    dx = empty(dy, dy.shape)
    v, vectors, _ = layout(dy, mask, dx)
    launch("dropout.cu", "dropout_grad", blocks(vectors), THREADS, dy, mask, dx, 1 / (1 - p), vectors, REAL=number_type(dy), V=v)
    return dx
