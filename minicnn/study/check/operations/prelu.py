"""PReLU, whose slopes are trained: definition, cases, mistakes."""

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Fault, Operation, Results, normal, number, signed

SHAPES = ((2, 3, 4, 2), (1, 4, 3, 5), (3, 2, 2, 4), (4, 1, 1, 3))  # a layer may read only images


def _cases(generator: np.random.Generator) -> list[Case]:
    draw, found = normal(generator), []
    for shape in SHAPES:
        x = np.where(np.abs(x := draw(*shape)) < 0.05, 0.5, x)
        slopes = generator.uniform(0.1, 0.9, shape[-1])
        found.append(Case({"x": x, "alpha": slopes}, {}, draw(*shape)))
    return found


def _images(rows: list[list[float]]) -> Array:
    """Images of one pixel, `(N, 1, 1, C)`."""
    return np.array(rows)[:, None, None]


def _small() -> list[Case]:
    return [
        Case({"x": _images(x), "alpha": np.array(a)}, {}, _images(dy))
        for x, a, dy in (
            ([[-2.0]], [0.5], [[3.0]]),
            ([[-1.0, 2.0]], [0.5, 0.25], [[3.0, 5.0]]),
            ([[-1.0, 2.0], [-3.0, -4.0]], [0.5, 0.25], [[3.0, 5.0], [2.0, -1.0]]),
        )
    ]


def _truth(c: Case, observed: Results) -> Results:
    dx, dalpha = reference.prelu_grad(c.dy, c.x, c.alpha)
    return {"y": reference.prelu(c.x, c.alpha), "dx": dx, "dalpha": dalpha}


def _terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    if result == "dalpha":
        dy, x = (np.moveaxis(a, -1, 0)[index[0]].ravel() for a in (c.dy, c.x))
        pairs = [(a, b) for a, b in zip(dy, x, strict=True) if b <= 0]
        return " + ".join(f"{number(a)}*{signed(b)}" for a, b in pairs) or "0"
    given = c.x[index] if result == "y" else c.dy[index]
    if c.x[index] > 0:
        return f"{number(given)}, because x = {number(c.x[index])} > 0"
    return f"{number(c.alpha[index[-1]])}*{signed(given)}"


def _summed(a: Array) -> Array:
    return a.sum(axis=tuple(range(a.ndim - 1)))


_ADVICE = "dalpha[c] sums dy * x over the places of channel c where x <= 0."
_SIDES = "Where x > 0 dx is dy; elsewhere it is alpha[c] * dy."
PRELU = Operation(
    name="prelu",
    title="PReLU",
    source="minicnn.kernels.reference.activation",
    formulas={
        "y": "y = x where x > 0, else alpha[c] * x",
        "dx": "dx = dy where x > 0, else alpha[c] * dy",
        "dalpha": "dalpha[c] = sum dy * x  over the places where x <= 0",
    },
    cases=_cases,
    small=_small,
    truth=_truth,
    terms=_terms,
    gradients=("dx", "dalpha"),
    images=("x", "y", "dy", "dx"),
    faults=(
        Fault(
            "slope on the positive side",
            "the slope is on the positive side",
            _SIDES,
            {
                "y": lambda c: np.where(c.x > 0, c.alpha * c.x, c.x),
                "dx": lambda c: np.where(c.x > 0, c.alpha * c.dy, c.dy),
            },
        ),
        Fault(
            "ReLU",
            "the negative side is 0: the slope is missing",
            _SIDES,
            {"y": lambda c: np.maximum(c.x, 0), "dx": lambda c: c.dy * (c.x > 0)},
        ),
        Fault(
            "mask of dy",
            "the mask is taken from dy instead of x",
            "dx depends on the sign of x, whatever the sign of dy is.",
            {"dx": lambda c: np.where(c.dy > 0, c.dy, c.alpha * c.dy)},
        ),
        Fault(
            "no derivative",
            "dy passes unchanged: the derivative is missing",
            _SIDES,
            {"dx": lambda c: c.dy},
        ),
        Fault(
            "no mask",
            "the positive side counts, too: dalpha sums dy * x over all places",
            _ADVICE,
            {"dalpha": lambda c: _summed(c.dy * c.x)},
        ),
        Fault(
            "positive side",
            "the places where x > 0 are summed instead of those where x <= 0",
            _ADVICE,
            {"dalpha": lambda c: _summed(c.dy * np.maximum(c.x, 0))},
        ),
        Fault(
            "x missing",
            "x is missing: dalpha sums dy only",
            _ADVICE,
            {"dalpha": lambda c: _summed(c.dy * (c.x <= 0))},
        ),
        Fault(
            "alpha in dalpha",
            "dalpha is multiplied by alpha",
            _ADVICE,
            {"dalpha": lambda c: c.alpha * _summed(c.dy * np.minimum(c.x, 0))},
        ),
        Fault(
            "not summed",
            "dalpha is not summed over the batch",
            _ADVICE,
            {"dalpha": lambda c: c.dy * np.minimum(c.x, 0)},
        ),
        Fault(
            "single number",
            "dalpha is summed over the channels, too",
            _ADVICE,
            {"dalpha": lambda c: np.asarray((c.dy * np.minimum(c.x, 0)).sum())},
        ),
    ),
)
