"""Transposed convolution: the catalogue of the convolution with its passes exchanged."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Fault, Form, Operation, Results, integers, normal, products, with_dy
from .conv import terms
from .conv_catalogue import FAULTS, conv_tables
from .grouped import OF_DB
from .reshaped import reshaped

TRANSPOSED = [  # n, H, W, C, kH, kW, K, stride, padding
    (2, 3, 4, 3, 3, 2, 2, 1, 0),
    (2, 3, 2, 2, 3, 3, 3, 2, 1),
    (1, 2, 3, 4, 2, 3, 2, 2, 0),
    (2, 3, 3, 3, 4, 3, 2, 1, 1),
    (3, 2, 3, 2, 2, 2, 4, 3, 0),
]
TRANSPOSED_SMALL = [
    (1, 1, 1, 1, 2, 2, 1, 1, 0),
    (1, 1, 2, 1, 1, 2, 1, 1, 0),
    (1, 2, 2, 1, 2, 2, 1, 1, 0),
    (1, 2, 2, 1, 2, 2, 1, 2, 0),
    (1, 2, 2, 1, 3, 3, 1, 2, 1),
    (1, 1, 1, 2, 2, 2, 1, 1, 0),
    (1, 1, 1, 1, 1, 2, 2, 1, 0),
    (2, 2, 2, 2, 2, 2, 2, 2, 0),
]


def _make_transposed(geometry: tuple[int, ...], draw: Callable[..., Array]) -> Case:
    n, h, w, c, kh, kw, k, stride, padding = geometry
    arrays = {"x": draw(n, h, w, c), "w": draw(kh, kw, k, c), "b": draw(k)}
    return Case(arrays, {"stride": stride, "padding": padding})


def _transposed(c: Case) -> Array:
    return reference.conv_transpose2d(c.x, c.w, c.b, c.stride, c.padding)


def _transposed_truth(c: Case, observed: Results) -> Results:
    dx = reference.conv_transpose2d_grad_input(c.dy, c.w, c.stride, c.padding)
    dw, db = reference.conv_transpose2d_grad_weight(c.dy, c.x, c.w.shape, c.stride, c.padding)
    return {"y": _transposed(c), "dx": dx, "dw": dw, "db": np.asarray(db)}


def _from_y_to_x(c: Case, y: Array | None = None) -> Case:
    """The convolution whose gradients the transposed one is: it reads y, and x is its dy."""
    image = np.zeros_like(_transposed(c)) if y is None else y
    arrays = {"x": image, "w": c.w, "b": np.zeros(c.x.shape[3])}
    return Case(arrays, {"stride": c.stride, "padding": c.padding}, c.x)


def _transposed_terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    if result == "y":
        pairs = terms(_from_y_to_x(c), "dx", index, {})
        return f"{pairs} + {products([], c.b[index[-1]]).removeprefix('0 + ')}"
    if result == "db":
        return terms(c, "db", index, right)
    return terms(_from_y_to_x(c, c.dy), "y" if result == "dx" else "dw", index, right)


ROLES: dict[str, tuple[str, Callable[[Form, Case], Array]]] = {  # by the convolution's result
    "dx": ("y", lambda form, c: form(_from_y_to_x(c)) + c.b),
    "y": ("dx", lambda form, c: form(_from_y_to_x(c, c.dy))),
    "dw": ("dw", lambda form, c: form(_from_y_to_x(c, c.dy))),
}
OTHER = {"x": "dy", "y": "dx", "dx": "y", "dy": "x"}
# Of the bias and of sizes that a transposed convolution does not have.
NOT_CARRIED = ("bias", "no bias", "size", "height for", "width from", "first bias")


def _exchanged(fault: Fault) -> Fault:
    """A mistake of the convolution's pass as one of the transposed convolution's other pass."""
    forms = {
        ROLES[r][0]: partial(ROLES[r][1], form) for r, form in fault.forms.items() if r in ROLES
    }
    says, advice = (
        re.sub(r"\b(d?[xy])\b", lambda m: OTHER[m[0]], text) for text in (fault.says, fault.advice)
    )
    return Fault(fault.name.replace("dx", "y"), says, advice, forms)


def _bias(name: str, says: str, factor: float) -> Fault:
    advice = "Add b[k] once to every place of output channel k."
    return Fault(name, says, advice, {"y": lambda c: _transposed(c) + factor * c.b})


TRANSPOSED_FAULTS = (
    _bias("no bias", "the bias is missing", -1),
    _bias("bias subtracted", "the bias is subtracted", -2),
    _bias("bias twice", "the bias is added twice", 1),
    Fault(
        "bias per contribution",
        "the bias is added with every product, once for each input pixel that reaches the place",
        "Add b[k] once to every place of output channel k.",
        {
            "y": lambda c: (
                _transposed(c.but(b=0 * c.b))
                + c.b
                * _transposed(
                    Case(
                        {k: np.ones_like(a) for k, a in c.arrays.items()} | {"b": 0 * c.b},
                        c.settings,
                    )
                )
            )
        },
    ),
    *(
        _exchanged(fault)
        for fault in FAULTS
        if set(fault.forms) & set(ROLES) and not fault.name.startswith(NOT_CARRIED)
    ),
    *OF_DB,
    Fault(
        "convolution",
        "it is the convolution, not its transpose: the output shrinks",
        "Each x[n, p, q, c] adds x * w to the window of y that starts at p*stride, q*stride.",
        {
            "y": lambda c: reference.conv2d(c.x, c.w.swapaxes(2, 3), c.b, c.stride, c.padding),
            "dx": lambda c: reference.conv_transpose2d(
                c.dy, c.w.swapaxes(2, 3), None, c.stride, c.padding
            ),
        },
    ),
)


def _transposed_cases(generator: np.random.Generator) -> list[Case]:
    draw = normal(generator)
    return [with_dy(_make_transposed(g, draw), _transposed, generator) for g in TRANSPOSED]


def _transposed_small() -> list[Case]:
    made = [_make_transposed(g, integers) for g in TRANSPOSED_SMALL]
    return [c.but(dy=integers(*_transposed(c).shape, start=3)) for c in made]


_TRANSPOSED = Operation(
    name="conv_transpose2d",
    title="transposed convolution",
    source="minicnn.kernels.reference.transposed",
    formulas={
        "y": "y[n, p*s + i, q*s + j, k] += x[n, p, q, c] * w[i, j, k, c], then + b[k]",
        "dx": "dx[n, p, q, c] = sum_{i, j, k} dy[n, p*s + i, q*s + j, k] * w[i, j, k, c]",
        "dw": "dw[i, j, k, c] = sum_{n, p, q} dy[n, p*s + i, q*s + j, k] * x[n, p, q, c]",
        "db": "db[k] = sum_{n, p, q} dy[n, p, q, k]",
    },
    cases=_transposed_cases,
    small=_transposed_small,
    truth=_transposed_truth,
    terms=_transposed_terms,
    faults=TRANSPOSED_FAULTS,
    gradients=("dx", "dw", "db"),
    images=("x", "y", "dy", "dx"),
    filters=("w", "dw"),
    pairs=lambda: map(_exchanged, conv_tables()),
)
_SWAP = (lambda a: a.swapaxes(2, 3), lambda a: a.swapaxes(2, 3))
# torch has filters (C, K, kH, kW); others keep the convolution's (K, C, kH, kW)
CONV_TRANSPOSE2D = replace(
    _TRANSPOSED,
    forms=(replace(reshaped(_TRANSPOSED, {"w": _SWAP}, images=False), filters=("w", "dw")),),
)
