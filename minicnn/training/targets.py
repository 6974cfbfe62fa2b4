"""What a loss compares with: labels `(N,)`, integers, or targets `(N, classes)`, floats.

Targets are the probabilities of the classes (soft labels, such as those of mixup), or for each
class of its own whether an image has it (multi-label).
"""

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ..device import array_device, to_host
from ..errors import ShapeError
from ..kernels.thread_state import ThreadState

SUM_TOLERANCE = 1e-3  # of the probabilities of one image


class LossState(ThreadState):
    """labels_checked: labels on the GPU are not checked again."""

    labels_checked: bool = False


_state = LossState()


def labels_checked() -> AbstractContextManager[None]:
    """Within this block, labels on a GPU are not checked again: each check makes the host wait."""
    return _state.changed(labels_checked=True)


def most_probable(targets: np.ndarray) -> np.ndarray:
    """One label per image, `(N,)`: of targets `(N, classes)` the largest, the first in a tie."""
    return targets.argmax(axis=1) if targets.ndim == 2 else targets


def check_label_range(labels: np.ndarray, classes: int, what: str = "labels") -> None:
    """Raise ShapeError unless all labels, on the host, are in 0..classes-1."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ShapeError(
            f"{what} run from {low} to {high}; the network has classes 0 to {classes - 1}"
        )


def check_labels(outputs: np.ndarray, labels: Any) -> np.ndarray:
    """The labels as an array. Raises ShapeError unless they fit the outputs `(N, classes)`.

    They must be `(N,)` integers in 0..classes-1.
    """
    labels = _as_array(outputs, labels)
    if labels.shape != outputs.shape[:1] or labels.dtype.kind not in "iu":
        raise ShapeError(
            f"labels are {labels.dtype} {labels.shape}; "
            f"expected integers of shape ({len(outputs)},)"
        )
    if _is_unchecked(labels):
        check_label_range(to_host(labels), outputs.shape[1])
    return labels


def check_targets(
    outputs: np.ndarray, targets: Any, limit: float | None = 1.0, total: float | None = None
) -> np.ndarray:
    """Labels or targets as an array. Raises ShapeError unless they fit the outputs `(N, classes)`.

    Labels are as in `check_labels`. Targets are floats `(N, classes)`: between 0 and `limit`, any
    finite numbers if it is None; with a sum of `total` per image, if that is given.
    """
    targets = _as_array(outputs, targets)
    if targets.ndim < 2:
        return check_labels(outputs, targets)
    if targets.shape != outputs.shape or targets.dtype.kind != "f":
        raise ShapeError(
            f"targets are {targets.dtype} {targets.shape}; expected floats of shape "
            f"{outputs.shape}, or integer labels of shape ({len(outputs)},)"
        )
    if _is_unchecked(targets):
        _check_numbers(to_host(targets), limit, total)
    return targets


def _as_array(outputs: np.ndarray, labels: Any) -> Any:
    if outputs.ndim != 2:
        raise ShapeError(
            f"the network's output has shape {outputs.shape}; a loss expects (N, classes)"
        )
    return labels if hasattr(labels, "dtype") else np.asarray(labels)


def _is_unchecked(labels: Any) -> bool:
    return array_device(labels) == "cpu" or not _state.labels_checked


def _check_numbers(targets: np.ndarray, limit: float | None, total: float | None) -> None:
    low, high = float(targets.min()), float(targets.max())
    if limit is not None and not (low >= 0 and high <= limit + SUM_TOLERANCE):
        raise ShapeError(f"targets run from {low:g} to {high:g}; expected 0 to {limit:g}")
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ShapeError(f"targets run from {low:g} to {high:g}; expected finite numbers")
    sums = targets.sum(axis=1, dtype=np.float64)
    if total is not None and abs(sums - total).max() > SUM_TOLERANCE:
        row = int(abs(sums - total).argmax())
        raise ShapeError(f"row {row} of the targets sums to {sums[row]:g}; expected {total:g}")
