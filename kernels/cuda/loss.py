"""Softmax and cross-entropy on the GPU: one warp per image."""

import numpy as np

from ..types import Array
from .arrays import contiguous, empty, options
from .device import THREADS, blocks, launch

LABELS = ("int64", "int32", "uint8")
WARP = 32


def softmax(logits: Array) -> Array:
    """See `functional.softmax`."""
    logits = contiguous(logits)
    y, classes = empty(logits, logits.shape), logits.shape[-1]
    rows = logits.size // classes
    arguments = logits, y, rows, classes
    launch("loss.cu", "softmax", blocks(rows * WARP), THREADS, *arguments, **options(logits))
    return y


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    """See `functional.softmax_cross_entropy`; the loss is float32 and stays on the device."""
    logits, labels = contiguous(logits), contiguous(labels)
    if labels.dtype.name not in LABELS:
        labels = labels.astype(np.int64)
    rows, classes = logits.shape
    losses, loss = empty(logits, (rows,), np.float32), empty(logits, (), np.float32)
    dlogits, label = empty(logits, logits.shape), labels.dtype.name
    arguments = logits, labels, losses, dlogits, rows, classes, 1.0 / rows
    grid = blocks(rows * WARP)
    launch("loss.cu", "cross_entropy", grid, THREADS, *arguments, LABEL=label, **options(logits))
    shared = THREADS // WARP * 4
    launch("loss.cu", "mean_loss", 1, THREADS, losses, rows, loss, shared=shared, **options(logits))
    return loss, dlogits


def tally(logits: Array, labels: Array, loss: Array, totals: Array) -> None:
    """Add a batch to `totals`, two float64 on the device.

    totals[0] grows by the loss times the number of images, totals[1] by the number of images whose
    label has the largest logit.
    """
    logits, labels = contiguous(logits), contiguous(labels)
    arguments = logits, labels, loss, *logits.shape, totals
    defines = options(logits) | {"LABEL": labels.dtype.name}
    launch("loss.cu", "tally", 1, THREADS, *arguments, shared=THREADS * 4, **defines)
