"""Convolution: definition, cases, and the plain loops with what can go wrong in them."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Fault, Results, integers, normal, number, products, with_dy

GEOMETRIES = [
    (2, 5, 4, 3, 3, 2, 4, 1, 0),
    (2, 5, 5, 3, 3, 3, 2, 1, 1),
    (3, 7, 6, 2, 3, 2, 3, 2, 0),
    (2, 6, 7, 3, 3, 3, 2, 2, 1),
    (1, 7, 6, 2, 3, 4, 2, 1, 2),
    (2, 8, 5, 1, 3, 2, 3, 3, 2),
    (2, 5, 7, 2, 3, 3, 3, 2, 0),
    (2, 4, 3, 3, 1, 1, 2, 1, 0),
    (2, 4, 5, 2, 4, 5, 3, 1, 0),
    (2, 5, 5, 2, 3, 3, 3, 2, 1),
]
SMALL = [
    (1, 2, 2, 1, 1, 1, 1, 1, 0),
    (1, 2, 3, 1, 1, 2, 1, 1, 0),
    (1, 3, 3, 1, 2, 2, 1, 1, 0),
    (1, 2, 2, 1, 2, 2, 1, 1, 1),
    (1, 3, 3, 1, 1, 1, 1, 2, 0),
    (1, 3, 3, 1, 2, 2, 1, 2, 1),
    (1, 2, 2, 2, 1, 1, 1, 1, 0),
    (1, 2, 2, 1, 1, 1, 2, 1, 0),
    (2, 2, 2, 1, 1, 1, 1, 1, 0),
    (1, 3, 3, 1, 3, 3, 1, 1, 2),
    (1, 4, 4, 1, 2, 2, 1, 2, 0),
    (1, 4, 4, 1, 3, 3, 1, 1, 0),
    (1, 4, 4, 1, 2, 2, 1, 3, 0),
    (2, 3, 4, 2, 2, 3, 2, 1, 1),
    *GEOMETRIES,
]


def make(geometry: tuple[int, ...], draw: Callable[..., Array]) -> Case:
    """A case of that geometry, filled by `draw(*shape)`."""
    n, h, w, c, kh, kw, k, stride, padding = geometry
    arrays = {"x": draw(n, h, w, c), "w": draw(kh, kw, c, k), "b": draw(k)}
    return Case(arrays, {"stride": stride, "padding": padding})


def cases(generator: np.random.Generator) -> list[Case]:
    """Random numbers in all geometries."""
    draw = normal(generator)
    return [with_dy(make(g, draw), forward, generator) for g in GEOMETRIES]


def small() -> list[Case]:
    """Small integers in small geometries."""
    found = []
    for g in SMALL:
        case = make(g, integers)
        found.append(case.but(dy=integers(*forward(case).shape, start=3)))
    return found


def forward(c: Case) -> Array:
    """The reference's convolution."""
    return reference.conv2d(c.x, c.w, c.b, c.stride, c.padding)


def truth(c: Case, observed: Results) -> Results:
    """The reference's output and gradients."""
    dx = reference.conv2d_grad_input(c.dy, c.w, c.x.shape, c.stride, c.padding)
    dw, db = reference.conv2d_grad_weight(c.dy, c.x, c.w.shape, c.stride, c.padding)
    return {"y": forward(c), "dx": dx, "dw": dw, "db": np.asarray(db)}


def terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """The products that are added for one element."""
    padded = pad(c)
    if result == "y":
        n, p, q, k = index
        patch = window(padded, c, p, q)[n]
        return products(list(zip(patch.ravel(), c.w[..., k].ravel(), strict=True)), c.b[k])
    if result == "db":
        return " + ".join(number(v) for v in c.dy[..., index[0]].ravel())
    pairs = []
    for p, q in places(c):
        if result == "dw":
            i, j, ch, k = index
            pairs += list(zip(window(padded, c, p, q)[:, i, j, ch], c.dy[:, p, q, k], strict=True))
        else:
            n, row, column, ch = index
            i = row + c.padding - p * c.stride
            j = column + c.padding - q * c.stride
            if 0 <= i < c.w.shape[0] and 0 <= j < c.w.shape[1]:
                pairs += list(zip(c.dy[n, p, q], c.w[i, j, ch], strict=True))
    return products(pairs)


# -- the plain loops, with what can go wrong in them as an argument --------------------------------


def pad(c: Case, mode: str = "constant") -> Array:
    """x with the case's padding; `mode` is np.pad's."""
    p = c.padding
    return np.pad(c.x, ((0, 0), (p, p), (p, p), (0, 0)), mode=mode)  # type: ignore[call-overload]


def places(c: Case) -> Iterator[tuple[int, int]]:
    """Every place (p, q) of the output."""
    h, w = ((size + 2 * c.padding - k) // c.stride + 1 for size, k in _axes(c))
    return iter(np.ndindex(h, w))


def _axes(c: Case) -> Iterator[tuple[int, int]]:
    return zip(c.x.shape[1:3], c.w.shape[:2], strict=True)


def window(image: Array, c: Case, p: int, q: int, steps: Any = None) -> Array:
    """The pixels that output (p, q) reads; `steps` replaces the stride."""
    sy, sx = steps or (c.stride, c.stride)
    return image[:, p * sy : p * sy + c.w.shape[0], q * sx : q * sx + c.w.shape[1]]


def correlate(c: Case, image: Array, steps: Any = None) -> Array:
    """y over the right number of places, from a padded image given."""
    y = np.zeros_like(forward(c))
    for p, q in places(c):
        y[:, p, q] = np.einsum("nijc,ijck->nk", window(image, c, p, q, steps), c.w) + c.b
    return y


def spread(c: Case, steps: Any = None, add: bool = True) -> Array:
    """dx with its padding; `add=False`: the last window overwrites the others."""
    padded = np.zeros_like(pad(c))
    for p, q in places(c):
        cells = window(padded, c, p, q, steps)
        cells[...] = cells * add + np.einsum("nk,ijck->nijc", c.dy[:, p, q], c.w)
    return padded


def crop(c: Case, padded: Array) -> Array:
    """dx without the border of the padding."""
    p = c.padding
    return padded[:, p : p + c.x.shape[1], p : p + c.x.shape[2]]


def collect(
    c: Case, steps: Any = None, keep: slice = slice(None), image: Array | None = None
) -> Array:
    """dw as the sum over places; `keep`: only these places; `image`: instead of the padded x."""
    padded, dw = pad(c) if image is None else image, np.zeros_like(c.w)
    for p, q in list(places(c))[keep]:
        dw += np.einsum("nijc,nk->ijck", window(padded, c, p, q, steps), c.dy[:, p, q])
    return dw


def square(c: Case, array: Array, a: int, b: int) -> Array:
    """Two axes exchanged. Raises ValueError if their lengths differ."""
    if array.shape[a] != array.shape[b]:
        raise ValueError("not square")
    return array.swapaxes(a, b)


def only(c: Case, axis: str, which: int) -> Case:
    """The case with one input channel ("c") or filter ("k") left; the others are 0."""
    w = np.zeros_like(c.w)
    place = (..., which, slice(None)) if axis == "c" else (..., which)
    w[place] = c.w[place]
    return c.but(w=w)


def fewer(c: Case, image: Array, height: int, width: int) -> Array:
    """y of another number of places; raises if a window would leave the image."""
    y = np.zeros((len(c.x), max(height, 0), max(width, 0), c.w.shape[3]))
    for p, q in np.ndindex(*y.shape[1:3]):
        y[:, p, q] = np.einsum("nijc,ijck->nk", window(image, c, p, q), c.w) + c.b
    return y


def sizes(c: Case, padding: int, plus: int) -> list[int]:
    """H_out and W_out with another padding in all, and `plus` instead of 1."""
    return [(size + padding - k) // c.stride + plus for size, k in _axes(c)]


def ceil(c: Case) -> Array:
    """y with H_out and W_out rounded up; what lies beyond the image is 0."""
    height, width = (-(-(s + 2 * c.padding - k) // c.stride) + 1 for s, k in _axes(c))
    more = np.pad(pad(c), ((0, 0), (0, c.stride), (0, c.stride), (0, 0)))
    return fewer(c, more, height, width)


def has_rest(c: Case) -> bool:
    """True if the windows leave a rest of the image: courses leave this case open."""
    kernel = c.kernel if "kernel" in c.settings else c.w.shape[:2]
    sizes = zip(c.x.shape[1:3], kernel, strict=True)
    return any((size + 2 * c.padding - k) % c.stride for size, k in sizes)


def asked(name: str, says: str, advice: str, results: str, change: Callable[[Case], Case]) -> Fault:
    """A mistake that is the right answer to another question."""
    forms = {r: partial(_answer, r, change) for r in results.split()}
    return Fault(name, says, advice, forms, change)


def _answer(result: str, change: Callable[[Case], Case], c: Case) -> Array:
    return truth(change(c), {})[result]
