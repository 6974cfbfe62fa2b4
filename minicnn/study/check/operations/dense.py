"""The affine map and ReLU: definition, cases, mistakes."""

from collections.abc import Callable
from functools import partial

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import (
    Case,
    Fault,
    Operation,
    Results,
    integers,
    normal,
    number,
    products,
    signed,
    with_dy,
)

# -- affine ----------------------------------------------------------------------------------------

SHAPES = [((3, 4), 5), ((2, 3), 3), ((4, 2, 3), 2), ((1, 5), 4), ((2, 2, 3, 2), 3), ((3, 1), 2)]
SMALL = [
    ((1, 1), 1),
    ((1, 2), 1),
    ((1, 1), 2),
    ((2, 1), 1),
    ((1, 2), 2),
    ((2, 2), 3),
    ((2, 2, 2), 2),
]


def _make(shape: tuple[int, ...], m: int, draw: Callable[..., Array]) -> Case:
    size = int(np.prod(shape[1:]))
    return Case({"x": draw(*shape), "w": draw(size, m), "b": draw(m)})


def _rows(c: Case) -> Array:
    return c.x.reshape(len(c.x), -1)


def _affine(c: Case) -> Array:
    return reference.linear(_rows(c), c.w, c.b)


def affine_truth(c: Case, observed: Results) -> Results:
    """The reference's results; x may have any number of axes."""
    dw, db = reference.linear_grad_weight(c.dy, _rows(c))
    dx = reference.linear_grad_input(c.dy, c.w).reshape(c.x.shape)
    return {"y": _affine(c), "dx": dx, "dw": dw, "db": db}


def affine_cases(generator: np.random.Generator) -> list[Case]:
    """Random numbers; inputs of two, three and four axes."""
    draw = normal(generator)
    return [with_dy(_make(s, m, draw), _affine, generator) for s, m in SHAPES]


def affine_small() -> list[Case]:
    """Small integers."""
    made = [_make(s, m, integers) for s, m in SMALL]
    return [c.but(dy=integers(*_affine(c).shape, start=3)) for c in made]


def affine_terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """The products that are added for one element."""
    x = _rows(c)
    if result == "y":
        n, m = index
        return products(list(zip(x[n], c.w[:, m], strict=True)), c.b[m])
    if result == "dw":
        d, m = index
        return products(list(zip(x[:, d], c.dy[:, m], strict=True)))
    if result == "db":
        return " + ".join(signed(v) for v in c.dy[:, index[0]])
    d = int(np.ravel_multi_index(index[1:], c.x.shape[1:]))
    return products(list(zip(c.dy[index[0]], c.w[d], strict=True)))


def _square(a: Array) -> Array:
    if a.shape[0] != a.shape[1]:
        raise ValueError("not square")
    return a.T


LINEAR = Operation(
    name="linear",
    title="affine map",
    source="minicnn.kernels.reference.linear",
    formulas={
        "y": "y[n, m] = b[m] + sum_d x[n, d] * w[d, m]",
        "dx": "dx[n, d] = sum_m dy[n, m] * w[d, m]",
        "dw": "dw[d, m] = sum_n x[n, d] * dy[n, m]",
        "db": "db[m] = sum_n dy[n, m]",
    },
    cases=affine_cases,
    small=affine_small,
    truth=affine_truth,
    terms=affine_terms,
    gradients=("dx", "dw", "db"),
    faults=(
        Fault(
            "no bias",
            "the bias is missing",
            "y = x w + b.",
            {"y": lambda c: _affine(c) - c.b},
        ),
        Fault(
            "bias twice",
            "the bias is added twice",
            "y = x w + b.",
            {"y": lambda c: _affine(c) + c.b},
        ),
        Fault(
            "bias subtracted",
            "the bias is subtracted",
            "y = x w + b.",
            {"y": lambda c: _affine(c) - 2 * c.b},
        ),
        Fault(
            "times b",
            "the bias is multiplied, not added",
            "y = x w + b.",
            {"y": lambda c: _rows(c) @ c.w * c.b},
        ),
        Fault(
            "transposed w",
            "w is transposed",
            "Forward multiplies by w, backward by w^T: dx = dy @ w.T.",
            {
                "y": lambda c: _rows(c) @ _square(c.w) + c.b,
                "dx": lambda c: (c.dy @ _square(c.w).T).reshape(c.x.shape),
            },
        ),
        Fault(
            "not reshaped",
            "dx is still flat, `(N, D)`",
            "Give dx the shape of x: dx.reshape(x.shape).",
            {"dx": lambda c: c.dy @ c.w.T},
        ),
        Fault(
            "transposed dw",
            "dw is transposed: it has the shape of w^T",
            "dw = x^T dy, in this order.",
            {"dw": lambda c: affine_truth(c, {})["dw"].T},
        ),
        Fault(
            "axis of db",
            "db is summed over the wrong axis: the examples remain",
            "db[m] sums dy over the batch: np.sum(dy, axis=0).",
            {"db": lambda c: c.dy.sum(axis=1)},
        ),
        Fault(
            "db a single number",
            "db is summed over everything",
            "db[m] sums dy over the batch only: np.sum(dy, axis=0).",
            {"db": lambda c: c.dy.sum()},
        ),
        Fault(
            "db not summed",
            "db is not summed over the batch",
            "db[m] sums dy over the batch: np.sum(dy, axis=0).",
            {"db": lambda c: c.dy},
        ),
        Fault(
            "db of ones",
            "db is 1 everywhere: dy is not used",
            "db[m] sums dy over the batch: np.sum(dy, axis=0).",
            {"db": lambda c: np.ones_like(c.b)},
        ),
    ),
)

# -- ReLU ------------------------------------------------------------------------------------------


def _away_from_zero(a: Array) -> Array:
    """No value so small that it is near the kink of ReLU."""
    return np.where(np.abs(a) < 0.01, 0.5, a)


def relu_cases(generator: np.random.Generator) -> list[Case]:
    """Values of several sizes, none near the kink at 0."""
    found = []
    for shape in ((3, 4), (2, 3, 4, 2), (1, 7), (5, 1)):
        x = _away_from_zero(2 * generator.standard_normal(shape))
        found.append(Case({"x": x}, {}, generator.standard_normal(shape)))
    return found


def relu_truth(c: Case, observed: Results) -> Results:
    """The reference's results."""
    y = reference.relu(c.x)
    return {"y": y, "dx": reference.relu_grad(c.dy, y)}


def relu_terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """max(x, 0), or dy where x > 0."""
    x = number(c.x[index])
    if result == "y":
        return f"max({x}, 0)"
    dy = number(c.dy[index])
    return f"{dy}, because x = {x} > 0" if c.x[index] > 0 else f"0, because x = {x} < 0"


def _leaky(slope: float, what: str, c: Case) -> Array:
    value = c.x if what == "x" else c.dy
    return np.where(c.x > 0, value, slope * value)


RELU = Operation(
    name="relu",
    title="ReLU",
    source="minicnn.kernels.reference.activation",
    formulas={"y": "y = max(x, 0)", "dx": "dx = dy where x > 0, else 0"},
    cases=relu_cases,
    small=lambda: [
        Case({"x": np.array([[-1.0, 2.0]])}, {}, np.array([[3.0, 5.0]])),
        Case({"x": np.array([[-1.0, 2.0, 3.0, -2.0]])}, {}, np.array([[-3.0, -5.0, 2.0, 4.0]])),
        Case({"x": np.array([[0.5, -0.5]])}, {}, np.array([[3.0, 5.0]])),
    ],
    truth=relu_truth,
    terms=relu_terms,
    gradients=("dx",),
    faults=(
        Fault(
            "absolute value",
            "it is the absolute value",
            "Negative values become 0.",
            {"y": lambda c: np.abs(c.x)},
        ),
        Fault(
            "negative side",
            "the negative values are kept, the positive ones set to 0",
            "Keep where x > 0.",
            {"y": lambda c: np.minimum(c.x, 0), "dx": lambda c: c.dy * (c.x < 0)},
        ),
        *(
            Fault(
                "leaky",
                f"negative values are kept with a factor {slope}: a leaky ReLU",
                "ReLU sets negative values to 0.",
                {"y": partial(_leaky, slope, "x"), "dx": partial(_leaky, slope, "dy")},
            )
            for slope in (0.01, 0.1, 0.2)
        ),
        Fault(
            "identity",
            "nothing is set to 0",
            "ReLU sets negative values to 0.",
            {"y": lambda c: c.x},
        ),
        Fault(
            "threshold 1",
            "the threshold is 1, not 0",
            "max(x, 0).",
            {
                "y": lambda c: np.where(c.x > 1, c.x, 0),
                "dx": lambda c: c.dy * (c.x > 1),
            },
        ),
        Fault(
            "maximum with 1",
            "it is max(x, 1), not max(x, 0)",
            "max(x, 0).",
            {"y": lambda c: np.maximum(c.x, 1)},
        ),
        Fault(
            "mask forgotten",
            "the mask is forgotten: dy passes everywhere",
            "dx is dy only where x > 0.",
            {"dx": lambda c: c.dy},
        ),
        Fault(
            "mask of dy",
            "the mask is taken from dy instead of x",
            "dx is dy where *x* > 0, whatever the sign of dy is.",
            {"dx": lambda c: c.dy * (c.dy > 0)},
        ),
        Fault(
            "mask of both",
            "dy passes only where dy, too, is positive: guided backpropagation, not the gradient",
            "dx is dy where x > 0, whatever the sign of dy is.",
            {"dx": lambda c: c.dy * (c.dy > 0) * (c.x > 0)},
        ),
        Fault(
            "mask only",
            "the mask is returned, without dy",
            "dx = dy * (x > 0).",
            {"dx": lambda c: (c.x > 0).astype(np.float64)},
        ),
        Fault(
            "1 for dy",
            "dx is 1 where x > 0, without dy, and dy elsewhere",
            "dx = dy * (x > 0): dy where x > 0, and 0 elsewhere.",
            {"dx": lambda c: np.where(c.x > 0, 1, c.dy)},
        ),
        Fault(
            "times x",
            "dy is multiplied by x",
            "The derivative is 1 where x > 0, not x.",
            {"dx": lambda c: c.dy * np.maximum(c.x, 0)},
        ),
        Fault(
            "x for dy",
            "it is the output again, not the gradient",
            "dx = dy * (x > 0).",
            {"dx": lambda c: np.maximum(c.x, 0)},
        ),
    ),
)
