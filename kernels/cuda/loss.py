"""Softmax cross-entropy on the GPU: a warp for each image."""

import numpy as np

from .arrays import contiguous, empty, number_type
from .device import THREADS, blocks, launch

LABELS = ("int64", "int32", "uint8")


def softmax(logits):
    """See `reference.softmax`."""
    logits = contiguous(logits)
    y, rows = empty(logits, logits.shape), logits.size // logits.shape[-1]
    launch("loss.cu", "softmax", blocks(rows * 32), THREADS, logits, y, rows, logits.shape[-1], REAL=number_type(logits))
    return y


def softmax_cross_entropy(logits, labels):
    """See `reference.softmax_cross_entropy`; the loss is float32 and stays on the device."""
    logits, labels = contiguous(logits), contiguous(labels)
    if labels.dtype.name not in LABELS:
        labels = labels.astype(np.int64)
    (rows, classes), real = logits.shape, number_type(logits)
    losses, loss, dlogits = empty(logits, (rows,), np.float32), empty(logits, (), np.float32), empty(logits, logits.shape)
    arguments = logits, labels, losses, dlogits, rows, classes, 1.0 / rows
    launch("loss.cu", "cross_entropy", blocks(rows * 32), THREADS, *arguments, REAL=real, LABEL=labels.dtype.name)
    launch("loss.cu", "mean_loss", 1, THREADS, losses, rows, loss, shared=THREADS // 32 * 4, REAL=real)
    return loss, dlogits


def tally(logits, labels, loss, totals) -> None:
    """Add to `totals`, two float64 on the device, the batch's loss times its images, and how many answers are right."""
    logits, labels = contiguous(logits), contiguous(labels)
    arguments = logits, labels, loss, *logits.shape, totals
    launch("loss.cu", "tally", 1, THREADS, *arguments, shared=THREADS * 4, REAL=number_type(logits), LABEL=labels.dtype.name)
