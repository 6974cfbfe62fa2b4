"""Occlusion: how the probability of a class falls when a part of the image is covered."""

from typing import Any

import numpy as np

from ...checks import is_whole
from ...device import array_device, to_device, to_host
from ...layers import Layer, fuse, no_grad
from .rewriting import rewritten
from .target import Class, as_batch, class_indices, probabilities, unbatched

BATCH = 32  # covered images that the network gets at a time


def occlusion(
    model: Layer,
    x: Any,
    class_: Class = None,
    *,
    size: int | None = None,
    stride: int | None = None,
    fill: Any = 0.0,
) -> np.ndarray:
    """How far the probability of a class falls if each pixel is covered.

        M[i, j] = p - mean of p' over all squares that cover the pixel (i, j)

    p' is the probability with a square of the image covered. Positive where the image
    supports the class; negative where it contradicts it.

    The arguments are those of `occluded_probabilities`.
    Returns `(H, W)`, or `(N, H, W)` for a batch.
    Source: Zeiler & Fergus 2013, section 4.2.
    """
    batch = as_batch(model, x)
    size, stride = _square(batch.shape[1:3], size, stride)
    whole, covered = _measure(model, batch, class_, size, stride, fill)
    rows, columns = (positions(extent, size, stride) for extent in batch.shape[1:3])
    total, count = np.zeros(batch.shape[:3]), np.zeros(batch.shape[1:3])
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            window = slice(top, top + size), slice(left, left + size)
            total[:, *window] += covered[:, i, j, None, None]
            count[window] += 1
    found = whole[:, None, None] - total / count
    return unbatched(found.astype(np.float32), x)


def occluded_probabilities(
    model: Layer,
    x: Any,
    class_: Class = None,
    *,
    size: int | None = None,
    stride: int | None = None,
    fill: Any = 0.0,
) -> np.ndarray:
    """The probability of a class with a square of the image covered, for each place of the square.

    x, class_: as in `saliency`.
    size: the side of the square in pixels; by default a fifth of the shorter side of the image.
    stride: from one place to the next; by default a third of the size. The last square ends at the
        edge of the image.
    fill: what covers the pixels, a number or one per channel, after preprocessing; 0 is the mean
        that preprocessing subtracts, for most networks that of the training images.
    Returns `(rows, columns)`, or `(N, rows, columns)` for a batch; `positions` says where the
    squares are. Source: Zeiler & Fergus 2013, section 4.2 and figure 7 (d).
    """
    batch = as_batch(model, x)
    size, stride = _square(batch.shape[1:3], size, stride)
    return unbatched(_measure(model, batch, class_, size, stride, fill)[1], x)


def positions(extent: int, size: int, stride: int) -> list[int]:
    """The first row (or column) of each square; they begin at 0 and end at the edge."""
    found = list(range(0, extent - size + 1, stride))
    return found if found[-1] == extent - size else [*found, extent - size]


def _square(shape: tuple[int, ...], size: int | None, stride: int | None) -> tuple[int, int]:
    """Size and stride with their defaults. Raises ValueError for impossible ones."""
    shorter = min(shape)
    size = max(1, round(shorter / 5)) if size is None else size
    if not is_whole(size, 1, shorter):
        raise ValueError(f"size={size}: expected 1 to {shorter} pixels")
    stride = max(1, round(size / 3)) if stride is None else stride
    if not is_whole(stride, 1, size):
        raise ValueError(f"stride={stride}: expected 1 to {size}, the size, to cover all pixels")
    return size, stride


def _measure(
    model: Layer, batch: Any, class_: Class, size: int, stride: int, fill: Any
) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of the whole images `(N,)` and of the covered ones `(N, rows, columns)`."""
    if not np.isfinite(fill).all():
        raise ValueError(f"fill={fill}: expected finite numbers")
    if np.size(fill) not in (1, batch.shape[3]):
        raise ValueError(
            f"fill={fill}: expected a number, or one for each of {batch.shape[3]} channels"
        )
    network, device = fuse(rewritten(model)), array_device(batch)
    images = to_host(batch)

    def likely(images: np.ndarray) -> np.ndarray:
        with no_grad():
            return probabilities(model, network(to_device(images, device)))

    parts = [likely(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    whole = np.concatenate(parts)
    chosen = class_indices(model, class_, whole)
    rows, columns = (positions(extent, size, stride) for extent in images.shape[1:3])
    places = [(top, left) for top in rows for left in columns]
    found = np.empty((len(images), len(places)), np.float32)
    for n, image in enumerate(images):
        for start in range(0, len(places), BATCH):
            part = places[start : start + BATCH]
            covered = np.repeat(image[None], len(part), axis=0)
            for one, (top, left) in zip(covered, part, strict=True):
                one[top : top + size, left : left + size] = fill
            found[n, start : start + len(part)] = likely(covered)[:, chosen[n]]
    whole = whole[np.arange(len(images)), chosen]
    return whole, found.reshape(len(images), len(rows), len(columns))
