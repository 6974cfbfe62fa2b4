"""Bilinear upsampling: definition and mistakes. Most mistakes are other matrices of weights.

y = R x S^T for every map, dx = R^T dy S. R `(scale * H, H)` has two weights per row.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from ....kernels.reference import resample2d, resample2d_grad
from ....kernels.resampling import upsampling
from ....kernels.types import Array
from ..case import Case, Fault, Operation, Results, integers, normal, number, with_dy
from .upsample import SHAPES, SMALL

Matrix = Callable[[int, int], Array]  # of H and the scale


def _right(size: int, scale: int) -> Array:
    return upsampling(size, size * scale, "bilinear")


def _at(places: Callable[[int, int], Array], size: int, scale: int) -> Array:
    """The weights of two neighbors for positions in x, none outside the image."""
    h = np.clip(places(size, scale), 0, size - 1)
    return np.maximum(1 - np.abs(h[:, None] - np.arange(size)), 0)


def _exchanged(size: int, scale: int) -> Array:
    """f and 1 - f exchanged; the second neighbor of the last pixel is that pixel."""
    right, h = _right(size, scale), (np.arange(size * scale) + 0.5) / scale - 0.5
    h = np.clip(h, 0, size - 1)
    low, fraction = np.floor(h).astype(int), h - np.floor(h)
    found = np.zeros_like(right)
    np.add.at(found, (np.arange(len(h)), low), fraction)
    np.add.at(found, (np.arange(len(h)), np.minimum(low + 1, size - 1)), 1 - fraction)
    return found


def _faded(size: int, scale: int) -> Array:
    """The pixels beyond the border are 0."""
    h = (np.arange(size * scale) + 0.5) / scale - 0.5
    return np.maximum(1 - np.abs(h[:, None] - np.arange(size)), 0)


def _nearest(size: int, scale: int) -> Array:
    return upsampling(size, size * scale, "nearest")


_RULE = "h = (i + 1/2) / scale - 1/2, at least 0; weights 1 - f and f with f = h - floor(h)."
OTHERS: tuple[tuple[str, str, Matrix], ...] = (
    (
        "corners aligned",
        "the corners are aligned, h = i * (H - 1) / (H_out - 1), as with align_corners=True",
        partial(_at, lambda n, s: np.arange(n * s) * (n - 1) / (n * s - 1)),
    ),
    (
        "half pixels missing",
        "h = i / scale: the centers of the pixels are not at half-integers",
        partial(_at, lambda n, s: np.arange(n * s) / s),
    ),
    (
        "half not subtracted",
        "1/2 is not subtracted: h = (i + 1/2) / scale",
        partial(_at, lambda n, s: (np.arange(n * s) + 0.5) / s),
    ),
    (
        "half not added",
        "1/2 is subtracted, but not added first: h = i / scale - 1/2",
        partial(_at, lambda n, s: np.arange(n * s) / s - 0.5),
    ),
    ("weights exchanged", "the weights f and 1 - f are exchanged", _exchanged),
    ("zeros beyond the border", "the pixels beyond the border count as 0", _faded),
    ("nearest", "it is nearest-neighbor upsampling", _nearest),
)


def _matrices(make: Matrix, c: Case) -> tuple[Array, Array]:
    rows, columns = (make(n, c.scale) for n in c.x.shape[1:3])
    return rows, columns


def _forward(make: Matrix, c: Case) -> Array:
    return resample2d(c.x, *_matrices(make, c))


def _gradient(make: Matrix, c: Case) -> Array:
    return resample2d_grad(c.dy, *_matrices(make, c))


def _resampled(c: Case) -> Array:
    """dy at the centers of the blocks: an interpolation to the small size."""
    start, step = (c.scale - 1) / 2, c.scale
    sides = []
    for size in c.x.shape[1:3]:
        h = start + step * np.arange(size)
        sides.append(np.maximum(1 - np.abs(h[:, None] - np.arange(size * c.scale)), 0))
    return resample2d(c.dy, *sides)


def _truth(c: Case, observed: Results) -> Results:
    return {"y": _forward(_right, c), "dx": _gradient(_right, c)}


def _terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """The weights and the values of an element."""
    n, row, column, channel = index
    rows, columns = _matrices(_right, c)
    if result == "y":
        weights, values = np.outer(rows[row], columns[column]), c.x[n, ..., channel]
    else:
        weights, values = np.outer(rows[:, row], columns[:, column]), c.dy[n, ..., channel]
    chosen = weights > 0
    pairs = zip(weights[chosen], values[chosen], strict=True)
    return " + ".join(f"{number(w)}*({number(v)})" for w, v in pairs)


def _cases(draw: Callable[..., Array], shapes: list) -> list[Case]:
    return [Case({"x": draw(*shape)}, {"scale": scale}) for shape, scale in shapes]


UPSAMPLE_BILINEAR2D = Operation(
    name="upsample_bilinear2d",
    title="bilinear upsampling",
    source="minicnn.kernels.reference.resample",
    formulas={
        "y": "y[p, q] = sum_{i, j} R[p, i] * S[q, j] * x[i, j], two weights in each row of R and S",
        "dx": "dx[i, j] = sum_{p, q} R[p, i] * S[q, j] * dy[p, q]",
    },
    cases=lambda g: [with_dy(c, partial(_forward, _right), g) for c in _cases(normal(g), SHAPES)],
    small=lambda: [
        c.but(dy=integers(*_forward(_right, c).shape, start=3)) for c in _cases(integers, SMALL)
    ],
    truth=_truth,
    terms=_terms,
    gradients=("dx",),
    images=("x", "y", "dy", "dx"),
    faults=(
        *(
            Fault(
                name,
                says,
                _RULE,
                {"y": partial(_forward, matrix), "dx": partial(_gradient, matrix)},
            )
            for name, says, matrix in OTHERS
        ),
        Fault(
            "dy interpolated",
            "dy is interpolated to the size of x: that is not the transpose of the upsampling",
            "Add each dy to the four pixels that it was made of, with the same four weights.",
            {"dx": _resampled},
        ),
    ),
)
