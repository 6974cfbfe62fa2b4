"""Local response normalization across channels: definition, cases, mistakes."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Fault, Form, Operation, Results, number
from .lrn_parts import alpha_of, around, gradient_sums, output_faults, scale_of

# shape, size, alpha, beta, k
SHAPES = [
    ((2, 2, 3, 7), 5, 1.0, 0.75, 2.0),
    ((1, 3, 2, 4), 3, 0.5, 0.5, 1.0),
    ((3, 1, 2, 9), 5, 2.0, 0.75, 1.5),
    ((2, 2, 2, 2), 3, 1.0, 1.0, 2.0),
]


def cases(generator: np.random.Generator) -> list[Case]:
    """alpha near 1: with the paper's 1e-4 every mistake is small."""
    return [
        _case(generator.standard_normal(s), generator.standard_normal(s), size, alpha, beta, k)
        for s, size, alpha, beta, k in SHAPES
    ]


def _case(x: Array, dy: Array, size: int, alpha: float, beta: float, k: float) -> Case:
    settings = {"size": size, "alpha": alpha, "beta": beta, "k": k, "divided": False}
    return Case({"x": x}, settings, dy)


def small() -> list[Case]:
    """One pixel; beta 1, so that no root is needed."""
    rows = [[2.0], [1.0, 2.0], [1.0, 2.0, -1.0], [1.0, 2.0, -1.0, 3.0]]
    return [
        _case(np.array([[[row]]]), np.arange(1.0, len(row) + 1)[None, None, None], 3, 1.0, 1.0, 1.0)
        for row in rows
    ]


def _gradient(c: Case, factor: float = 2.0, before: int | None = None) -> Array:
    half = c.size // 2 if before is None else before
    s = scale_of(c)
    crossed = around(c.dy * c.x * s ** (-c.beta - 1), half, half)
    return c.dy * s**-c.beta - factor * alpha_of(c) * c.beta * c.x * crossed


def truth(c: Case, observed: Results) -> Results:
    """The reference's output and gradient."""
    c = settle(c, observed)
    constants = c.size, alpha_of(c), c.beta
    y, scale = reference.local_response_norm(c.x, *constants, c.k)
    return {"y": y, "dx": reference.local_response_norm_grad(c.dy, c.x, y, scale, *constants)}


def settle(c: Case, observed: Results) -> Case:
    """The case with alpha / size, as in torch and Caffe, if the observed y is that of it."""
    divided = c.but(divided=True)
    y = c.x * scale_of(divided) ** -c.beta
    seen = observed.get("y", y[:0])
    return divided if seen.shape == y.shape and np.allclose(seen, y, rtol=1e-9) else c


def terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """The formula with its numbers."""
    i, half, row = index[-1], c.size // 2, c.x[index[:-1]]
    low, high = max(0, i - half), min(len(row), i + half + 1)
    scale = scale_of(c)[index[:-1]]
    if result == "y":
        squares = " + ".join(f"({number(v)})^2" for v in row[low:high])
        inside = f"{number(c.k)} + {number(c.alpha)}*({squares})"
        return f"{number(row[i])} * ({inside})^-{number(c.beta)}"
    dy = c.dy[index[:-1]]
    crossed = " + ".join(
        f"{number(dy[j])}*({number(row[j])})*{number(scale[j])}^-{number(c.beta + 1)}"
        for j in range(low, high)
    )
    factor = number(2 * alpha_of(c) * c.beta)
    first = f"{number(dy[i])}*{number(scale[i])}^-{number(c.beta)}"
    return f"{first} - {factor}*({number(row[i])})*({crossed})"


def _crossed(c: Case, inner: Array) -> Array:
    """dx with other numbers in the place of x_j."""
    s, half = scale_of(c), c.size // 2
    crossed = around(c.dy * inner * s ** (-c.beta - 1), half, half)
    return c.dy * s**-c.beta - 2 * alpha_of(c) * c.beta * c.x * crossed


def _own(c: Case) -> Array:
    """The cross term with a_j * a_j where a_i * a_j is needed."""
    s, half = scale_of(c), c.size // 2
    crossed = around(c.dy * c.x * c.x * s ** (-c.beta - 1), half, half)
    return c.dy * s**-c.beta - 2 * alpha_of(c) * c.beta * crossed


def _diagonal(c: Case) -> Array:
    s = scale_of(c)
    return c.dy * s**-c.beta - 2 * alpha_of(c) * c.beta * c.x * c.dy * c.x * s ** (-c.beta - 1)


def _change(result: str, **changes: Callable[[Case], float]) -> Form:
    def form(c: Case) -> Array:
        return truth(c.but(**{n: f(c) for n, f in changes.items()}), {})[result]

    return form


def _both(**changes: Callable[[Case], float]) -> dict[str, Form]:
    return {result: _change(result, **changes) for result in ("y", "dx")}


def other_windows() -> Iterator[Fault]:
    """Other numbers of neighbors before and after."""
    for before, after in product(COUNTS, COUNTS):
        if (before, after) != ("size//2", "size//2"):
            yield Fault(
                "other window",
                f"the window holds {before} channels before i and {after} after it",
                "N(i) is i - size//2 to i + size//2, both included.",
                {r: partial(_of_window, r, before, after) for r in ("y", "dx")},
            )


COUNTS: dict[str, Callable[[int], int]] = {
    "0": lambda size: 0,
    "size//2 - 1": lambda size: size // 2 - 1,
    "size//2": lambda size: size // 2,
    "size//2 + 1": lambda size: size // 2 + 1,
    "size - 1": lambda size: size - 1,
    "size": lambda size: size,
}


def _of_window(result: str, before: str, after: str, c: Case) -> Array:
    first, last = COUNTS[before](c.size), COUNTS[after](c.size)
    s = scale_of(c, first, last)
    if result == "y":
        return np.asarray(c.x * s**-c.beta)
    crossed = around(c.dy * c.x * s ** (-c.beta - 1), last, first)
    return np.asarray(c.dy * s**-c.beta - 2 * alpha_of(c) * c.beta * c.x * crossed)


def _divided_faults() -> Iterator[Fault]:
    operation: Operation = LRN
    return map(_divided, (*operation.faults, *operation.more))


def _divided(fault: Fault) -> Fault:
    """The same mistake where alpha is divided by the size."""

    def of_torch(form: Form, c: Case) -> Array:
        return form(c.but(divided=True))

    forms = {result: partial(of_torch, form) for result, form in fault.forms.items()}
    says = f"{fault.says} (and alpha is divided by the size, as in torch)"
    return Fault(f"{fault.name}, divided", says, fault.advice, forms)


LRN = Operation(
    name="local_response_norm",
    title="local response normalization",
    source="minicnn.kernels.reference.norm",
    formulas={
        "y": "y_i = x_i * s_i^-beta,  s_i = k + alpha * sum_{j in N(i)} x_j^2",
        "dx": "dx_i = dy_i * s_i^-beta - 2 alpha beta x_i sum_{j in N(i)} dy_j x_j s_j^(-beta-1)",
    },
    cases=cases,
    small=small,
    truth=truth,
    terms=terms,
    settle=settle,
    more=(*other_windows(), *output_faults()),
    pairs=_divided_faults,
    sums={"dx": gradient_sums()},
    gradients=("dx",),
    images=("x", "y", "dy", "dx"),
    faults=(
        Fault(
            "window too wide",
            "the window has `size` channels on each side, 2*size + 1 in all",
            "N(i) holds i - size//2 to i + size//2: size channels in all.",
            _both(size=lambda c: 2 * c.size + 1),
        ),
        Fault(
            "window off by one",
            "the window is one channel too short: the last neighbor is missing",
            "N(i) holds i - size//2 to i + size//2, both included: range(..., i + size//2 + 1).",
            {
                "y": lambda c: c.x * scale_of(c, after=c.size // 2 - 1) ** -c.beta,
                "dx": lambda c: _shorter(c),
            },
        ),
        Fault(
            "window one-sided",
            "the window holds only channels before i",
            "N(i) is centered on i: i - size//2 to i + size//2.",
            {"y": lambda c: c.x * scale_of(c, before=c.size - 1, after=0) ** -c.beta},
        ),
        Fault(
            "alpha multiplied",
            "alpha is multiplied by the size of the window",
            "The paper takes alpha as it is, Caffe and torch divide it by the size.",
            _both(alpha=lambda c: c.alpha * c.size),
        ),
        Fault(
            "power positive",
            "it is multiplied by s**beta, not divided by it",
            "y = x / s**beta.",
            {"y": _change("y", beta=lambda c: -c.beta)},
        ),
        Fault(
            "k missing",
            "k is missing, or 1",
            "s = k + alpha * sum of squares.",
            _both(k=lambda c: 1.0),
        ),
        Fault(
            "k missing",
            "k is missing",
            "s = k + alpha * sum of squares.",
            _both(k=lambda c: 0.0),
        ),
        Fault(
            "beta missing",
            "the power beta is missing: it is divided by s itself",
            "y = x / s**beta.",
            _both(beta=lambda c: 1.0),
        ),
        Fault(
            "not squared",
            "the neighbors are not squared",
            "s sums the squares of the neighbors.",
            {
                "y": lambda c: (
                    c.x
                    * np.abs(c.k + alpha_of(c) * around(c.x, c.size // 2, c.size // 2)) ** -c.beta
                )
            },
        ),
        Fault(
            "a_j a_j",
            "the cross term has x_j * x_j where x_i * x_j is needed",
            "x_i stands in front of the sum: it is the channel whose gradient is computed.",
            {"dx": _own},
        ),
        Fault(
            "x_j squared",
            "the cross term has x_j^2 where x_j is needed",
            "The sum holds dy_j x_j s_j^(-beta-1).",
            {"dx": lambda c: _crossed(c, c.x**2)},
        ),
        Fault(
            "x_j missing",
            "the sum of the cross term lacks the factor x_j",
            "The sum holds dy_j x_j s_j^(-beta-1).",
            {"dx": lambda c: _crossed(c, np.ones_like(c.x))},
        ),
        Fault(
            "y_j for x_j",
            "the cross term has y_j where x_j is needed, or the power -beta twice",
            "The sum holds dy_j x_j s_j^(-beta-1), which is dy_j y_j / s_j.",
            {"dx": lambda c: _crossed(c, c.x * scale_of(c) ** -c.beta)},
        ),
        Fault(
            "power of the cross term",
            "the power of s in the cross term is -beta instead of -beta - 1",
            "The derivative of s^-beta is -beta * s^(-beta-1).",
            {"dx": lambda c: _crossed(c, c.x * scale_of(c))},
        ),
        Fault(
            "no cross term",
            "the cross term is missing: s is treated as a constant",
            "x_i is in the s of each neighbor: subtract 2 alpha beta x_i sum(...).",
            {"dx": lambda c: c.dy * scale_of(c) ** -c.beta},
        ),
        Fault(
            "only the own channel",
            "the cross term holds only the channel itself, not its neighbors",
            "x_i is in the s of each neighbor: sum over all j whose window holds i.",
            {"dx": _diagonal},
        ),
        Fault(
            "sign of the cross term",
            "the cross term has the wrong sign",
            "It is subtracted: the power is -beta.",
            {"dx": lambda c: _gradient(c, -2.0)},
        ),
        Fault(
            "factor 2 missing",
            "the factor 2 of the cross term is missing",
            "The derivative of x^2 is 2x.",
            {"dx": lambda c: _gradient(c, 1.0)},
        ),
        Fault(
            "beta missing in the cross term",
            "the factor beta of the cross term is missing",
            "The derivative of s^-beta is -beta * s^(-beta-1).",
            {"dx": lambda c: _gradient(c, 2.0 / c.beta)},
        ),
        Fault(
            "alpha missing in the cross term",
            "the factor alpha of the cross term is missing",
            "The derivative of s with respect to x_i is 2 alpha x_i.",
            {"dx": lambda c: _gradient(c, 2.0 / alpha_of(c))},
        ),
        Fault(
            "alpha not divided in the cross term",
            "alpha is divided by the size in y, but not in the cross term",
            "Use the same alpha in both passes.",
            {"dx": lambda c: _gradient(c, 2.0 * c.size)},
        ),
        Fault(
            "alpha divided in the cross term",
            "alpha is divided by the size in the cross term only",
            "Use the same alpha in both passes.",
            {"dx": lambda c: _gradient(c, 2.0 / c.size)},
        ),
    ),
)


def _shorter(c: Case) -> Array:
    """The gradient with a window that lacks its last neighbor in the sum."""
    half, s = c.size // 2, scale_of(c)
    crossed = around(c.dy * c.x * s ** (-c.beta - 1), half, half - 1)
    return c.dy * s**-c.beta - 2 * alpha_of(c) * c.beta * c.x * crossed
