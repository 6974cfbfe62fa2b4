"""Local response normalization made of other parts: neighbors, powers, factors of its two terms."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Form


def alpha_of(c: Case) -> float:
    """alpha as it multiplies the sum: in torch and Caffe it is divided by the size."""
    return c.alpha / c.size if c.divided else c.alpha


def around(a: Array, before: int, after: int) -> Array:
    """The sum of each channel and its neighbors, clipped at the ends."""
    total = np.zeros_like(a)
    for i in range(a.shape[-1]):
        total[..., i] = a[..., max(0, i - before) : i + after + 1].sum(axis=-1)
    return total


def scale_of(c: Case, before: int | None = None, after: int | None = None) -> Array:
    """s, with other numbers of neighbors before and after."""
    half = c.size // 2
    before = half if before is None else before
    return c.k + alpha_of(c) * around(c.x**2, before, half if after is None else after)


# -- y: what is summed, and what x is divided by ---------------------------------------------------


def _shifts(a: Array, axis: int, size: int, mode: str) -> Array:
    """The sum of `size` neighbors along an axis; mode: np.pad's."""
    half, count = size // 2, a.shape[axis]
    sides = [(half, half) if i == axis else (0, 0) for i in range(a.ndim)]
    padded = np.pad(a, sides, mode=mode)  # type: ignore[call-overload]
    return np.asarray(sum(np.take(padded, range(d, d + count), axis) for d in range(size)))


def _along(axis: int, mode: str, c: Case, a: Array) -> Array:
    return _shifts(a, axis, c.size, mode)


def _square(c: Case, a: Array) -> Array:
    return _shifts(_shifts(a, 1, c.size, "constant"), 2, c.size, "constant")


NEIGHBORS: dict[str, Callable[[Case, Array], Array]] = {
    "": partial(_along, 3, "constant"),
    "the neighbors beyond the first channel are the last ones": partial(_along, 3, "wrap"),
    "the border's channels are repeated": partial(_along, 3, "edge"),
    "the channels are mirrored at the border": partial(_along, 3, "reflect"),
    "the neighbors are rows, not channels": partial(_along, 1, "constant"),
    "the neighbors are rows, not channels, and wrap around": partial(_along, 1, "wrap"),
    "the neighbors are columns, not channels": partial(_along, 2, "constant"),
    "the neighbors are columns, not channels, and wrap around": partial(_along, 2, "wrap"),
    "the neighbors are pixels of the same channel": _square,
    "all channels are summed": lambda c, a: np.broadcast_to(a.sum(-1, keepdims=True), a.shape),
    "only the channel itself is summed": lambda c, a: a,
    "the largest neighbor counts, not their sum": lambda c, a: _largest(a, c.size // 2),
}
SUMMANDS: dict[str, Callable[[Array], Array]] = {
    "": np.square,
    "the neighbors are not squared": lambda x: x,
    "the magnitudes are summed, not the squares": np.abs,
}
QUOTIENTS: dict[str, Callable[[Case, Array], Array]] = {  # of the case and alpha * sum
    "": lambda c, s: c.x * (c.k + s) ** -c.beta,
    "k is added after the power": lambda c, s: c.x / (c.k + s**c.beta),
    "beta is always 0.5": lambda c, s: c.x * (c.k + s) ** -0.5,
    "beta is always 0.75": lambda c, s: c.x * (c.k + s) ** -0.75,
    "the power beta is missing": lambda c, s: c.x / (c.k + s),
    "it is multiplied by s^beta": lambda c, s: c.x * (c.k + s) ** c.beta,
    "x is missing": lambda c, s: (c.k + s) ** -c.beta,
    "k is missing": lambda c, s: c.x * s**-c.beta,
    "beta is divided by 2": lambda c, s: c.x * (c.k + s) ** (-c.beta / 2),
}


def _largest(a: Array, half: int) -> Array:
    parts = [a[..., max(0, i - half) : i + half + 1].max(-1) for i in range(a.shape[-1])]
    return np.stack(parts, axis=-1)


Choices = tuple[str, str, str]


def _output(choice: Choices, c: Case) -> Array:
    neighbors, summand, quotient = choice
    total = NEIGHBORS[neighbors](c, SUMMANDS[summand](c.x))
    return QUOTIENTS[quotient](c, alpha_of(c) * total)


def output_faults() -> Iterator[Fault]:
    """One or two of the three parts of y are others."""
    for choice in product(NEIGHBORS, SUMMANDS, QUOTIENTS):
        wrong = [part for part in choice if part]
        if len(wrong) in (1, 2):
            advice = "y_i = x_i * (k + alpha * sum of x_j^2 over neighboring channels j)^-beta."
            forms: dict[str, Form] = {"y": partial(_output, choice)}
            yield Fault("other parts", "; and ".join(wrong), advice, forms)


# -- dx --------------------------------------------------------------------------------------------

# dx is the direct term minus the cross term; each can be made of other factors.
DIRECT: dict[str, Form] = {
    "dy_i * s_i^-beta": lambda c: c.dy * scale_of(c) ** -c.beta,
    "dy_i * s_i^-1": lambda c: c.dy / scale_of(c),
    "dy_i * s_i^beta": lambda c: c.dy * scale_of(c) ** c.beta,
    "dy_i": lambda c: c.dy,
}
VALUES: dict[str, Form] = {
    "x_{} ": lambda c: c.x,
    "": lambda c: np.ones_like(c.x),
    "y_{} ": lambda c: c.x * scale_of(c) ** -c.beta,
    "x_{}^2 ": lambda c: c.x**2,
    "s_{} ": lambda c: scale_of(c),
    "x_{} s_{}^(-beta-1) ": lambda c: c.x * scale_of(c) ** (-c.beta - 1),
}
POWERS: dict[str, Callable[[float], float]] = {
    "(-beta-1)": lambda beta: -beta - 1,
    "-beta": lambda beta: -beta,
    "(-beta+1)": lambda beta: 1 - beta,
    "-1": lambda beta: -1.0,
    "0": lambda beta: 0.0,
}


Choice = tuple[str, str, str, str]  # of DIRECT, of VALUES before and in the sum, and of POWERS
RIGHT = ("dy_i * s_i^-beta", "x_{} ", "x_{} ", "(-beta-1)")


def _crossed_as(choice: Choice) -> str:
    _, outer, inner, power = choice
    return f"2 alpha beta {outer.replace('{}', 'i')}sum(dy_j {inner.replace('{}', 'j')}s_j^{power})"


def _gradient_terms(choice: Choice, c: Case) -> dict[str, Array]:
    direct, outer, inner, power = choice
    half, own = c.size // 2, VALUES[inner](c) * scale_of(c) ** POWERS[power](c.beta)
    crossed = -2 * alpha_of(c) * c.beta * VALUES[outer](c) * around(c.dy * own, half, half)
    return {direct: DIRECT[direct](c), _crossed_as(choice): crossed}


def gradient_sums() -> dict[str, Callable[[Case], dict[str, Array]]]:
    """The two terms of dx, right and made of other factors."""
    found: dict[str, Callable[[Case], dict[str, Array]]] = {"": partial(_gradient_terms, RIGHT)}
    for choice in product(DIRECT, VALUES, VALUES, POWERS):
        if choice != RIGHT:
            says = f"dx is {choice[0]} - {_crossed_as(choice)}"
            found[says] = partial(_gradient_terms, choice)
    return found
