"""Bilinear upsampling: definition and mistakes. Most mistakes are other matrices of weights.

y = R x S^T for every map, dx = R^T dy S. R `(scale * H, H)` has two weights per row.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from ....kernels.reference import resample2d, resample2d_grad
from ....kernels.resampling import upsampling
from ....kernels.types import Array
from ..case import Case, Fault, Form, Operation, Results, integers, normal, number, with_dy
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


def _matrices(c: Case, rows: Matrix, columns: Matrix) -> tuple[Array, Array]:
    return rows(c.x.shape[1], c.scale), columns(c.x.shape[2], c.scale)


def _forward(rows: Matrix, c: Case, columns: Matrix | None = None) -> Array:
    return resample2d(c.x, *_matrices(c, rows, columns or rows))


def _gradient(rows: Matrix, c: Case, columns: Matrix | None = None) -> Array:
    return resample2d_grad(c.dy, *_matrices(c, rows, columns or rows))


def _one_side(rows: Matrix, columns: Matrix) -> dict[str, Form]:
    return {
        "y": partial(_forward, rows, columns=columns),
        "dx": partial(_gradient, rows, columns=columns),
    }


def _of_one_side() -> Iterator[Fault]:
    """Rows and columns with different matrices."""
    for name, says, matrix in OTHERS:
        yield Fault(name, f"{says}, along the height only", _RULE, _one_side(matrix, _right))
        yield Fault(name, f"{says}, along the width only", _RULE, _one_side(_right, matrix))


# -- the four pixels that an output is made of -----------------------------------------------------

WEIGHTS: dict[str, Callable[[Array, Array], Array]] = {  # of f along the rows and g
    "(1-f)(1-g)": lambda f, g: (1 - f) * (1 - g),
    "(1-f)g": lambda f, g: (1 - f) * g,
    "f(1-g)": lambda f, g: f * (1 - g),
    "fg": lambda f, g: f * g,
    "0": lambda f, g: 0 * f * g,
    "1": lambda f, g: 1 + 0 * f * g,
}
CORNERS = dict(
    zip(("upper left", "upper right", "lower left", "lower right"), list(WEIGHTS)[:4], strict=True)
)


def _sources(size: int, scale: int) -> tuple[Array, Array, Array]:
    """The two pixels of each output, and f."""
    h = np.maximum((np.arange(size * scale) + 0.5) / scale - 0.5, 0)
    low = np.floor(h).astype(int)
    return low, np.minimum(low + 1, size - 1), h - low


def _of_corners(result: str, corner: str, weight: str, c: Case) -> Array:
    """y or dx with another weight at one of the four pixels."""
    (top, bottom, f), (left, right, g) = (_sources(n, c.scale) for n in c.x.shape[1:3])
    places = [(r, k) for r in (top, bottom) for k in (left, right)]
    found = np.zeros_like(c.dy if result == "y" else c.x)
    for (own, name), (rows, columns) in zip(CORNERS.items(), places, strict=True):
        chosen = WEIGHTS[weight if own == corner else name](f[:, None], g[None])[..., None]
        if result == "y":
            found += chosen * c.x[:, rows][:, :, columns]
        else:
            place = slice(None), rows[:, None], columns[None]
            np.add.at(found, place, chosen * c.dy)  # type: ignore[arg-type]
    return found


def _of_one_corner() -> Iterator[Fault]:
    for (corner, right), weight in product(CORNERS.items(), WEIGHTS):
        if weight != right:
            says = f"the {corner} pixel has the weight {weight}, not {right}"
            forms = {r: partial(_of_corners, r, corner, weight) for r in ("y", "dx")}
            yield Fault("weight of a corner", says, _RULE, forms)


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
    rows, columns = _matrices(c, _right, _right)
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
    more=(*_of_one_side(), *_of_one_corner()),
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
