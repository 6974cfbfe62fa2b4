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


def softmax_grad(dy: Array, y: Array) -> Array:
    """See `functional.softmax_grad`."""
    dy, y = contiguous(dy), contiguous(y)
    dx, classes = empty(y, y.shape), y.shape[-1]
    rows = y.size // classes
    arguments = dy, y, dx, rows, classes
    launch("loss.cu", "softmax_grad", blocks(rows * WARP), THREADS, *arguments, **options(y))
    return dx


def softmax_cross_entropy(
    logits: Array,
    targets: Array,
    class_weights: Array | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Array, Array]:
    """See `functional.softmax_cross_entropy`; the loss is float32 and stays on the device."""
    logits = contiguous(logits)
    labels, soft = _labels_or_soft(targets)
    if class_weights is not None:
        class_weights = _float32(class_weights)
    rows, classes = logits.shape
    losses, dlogits = empty(logits, (rows,), np.float32), empty(logits, logits.shape)
    defines = options(logits) | _label_type(labels)
    arguments = logits, labels, soft, class_weights, float(label_smoothing)
    results = losses, dlogits, rows, classes, 1.0 / rows
    grid = blocks(rows * WARP)
    launch("loss.cu", "cross_entropy", grid, THREADS, *arguments, *results, **defines)
    return _mean(losses, logits), dlogits


def binary_cross_entropy(logits: Array, targets: Array) -> tuple[Array, Array]:
    """See `functional.binary_cross_entropy`; the loss is float32 and stays on the device."""
    return _over_elements("binary_cross_entropy", logits, targets)


def mean_squared_error(y: Array, targets: Array) -> tuple[Array, Array]:
    """See `functional.mean_squared_error`; the loss is float32 and stays on the device."""
    return _over_elements("mean_squared_error", y, targets)


def tally(
    values: Array, targets: Array, loss: Array, totals: Array, is_multi_label: bool = False
) -> None:
    """Add a batch to `totals`, two float64 on the device.

    totals[0] grows by the loss times the number of images, totals[1] by the number of images whose
    label, or largest target, has the largest value. With is_multi_label, an image counts the share
    of its classes for which value and target are on the same side of 1/2.
    """
    values, (labels, soft) = contiguous(values), _labels_or_soft(targets)
    arguments = values, labels, soft, loss, *values.shape, totals
    defines = options(values) | _label_type(labels)
    if soft is not None:
        defines["TARGETS"] = 2 if is_multi_label else 1
    launch("loss.cu", "tally", 1, THREADS, *arguments, shared=THREADS * 4, **defines)


def _labels_or_soft(targets: Array) -> tuple[Array | None, Array | None]:
    """Labels `(N,)` in a type that the kernels read, and None; or None and targets as float32."""
    if targets.ndim == 2:
        return None, _float32(targets)
    targets = contiguous(targets)
    return targets if targets.dtype.name in LABELS else targets.astype(np.int64), None


def _float32(a: Array) -> Array:
    """The array without gaps, in float32; itself if it is so already."""
    return contiguous(a if a.dtype == np.float32 else a.astype(np.float32))


def _label_type(labels: Array | None) -> dict[str, str]:
    return {} if labels is None else {"LABEL": labels.dtype.name}


def _over_elements(kernel: str, y: Array, targets: Array) -> tuple[Array, Array]:
    """The mean of a term over all elements of y and targets, `(N, K)`, and its gradient."""
    y, (labels, soft) = contiguous(y), _labels_or_soft(targets)
    losses, dy = empty(y, y.shape[:1], np.float32), empty(y, y.shape)
    arguments, defines = (y, labels, soft, losses, dy, *y.shape), options(y) | _label_type(labels)
    launch("loss.cu", kernel, blocks(len(y) * WARP), THREADS, *arguments, **defines)
    return _mean(losses, y), dy


def _mean(losses: Array, y: Array) -> Array:
    """The mean of the losses of the images, a scalar on the device."""
    loss, shared = empty(y, (), np.float32), THREADS // WARP * 4
    arguments = losses, len(losses), loss
    launch("loss.cu", "mean_loss", 1, THREADS, *arguments, shared=shared, **options(y))
    return loss
