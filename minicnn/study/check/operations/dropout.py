"""Dropout: the mask is random, so the right results are those of the mask that was drawn.

`p` is the probability of keeping a value in CS231n, and of dropping it in most other places. Both
are accepted, if the scale fits. The original form, which scales in test mode instead, is not.
"""

from dataclasses import replace

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Form, Operation, Results, number

SHAPES = [((200, 30), 0.75), ((150, 40), 0.6), ((120, 5, 4, 3), 0.3)]


def cases(generator: np.random.Generator) -> list[Case]:
    """Large enough that the share of zeros tells p from 1 - p. No value is 0."""
    found = []
    for shape, p in SHAPES:
        x = generator.standard_normal(shape)
        case = Case(
            {"x": np.where(np.abs(x) < 0.01, 0.5, x)}, {"p": p}, generator.standard_normal(shape)
        )
        found += [case, replace(case, output="y_test")]
    return found


def small() -> list[Case]:
    """Four values; a third of all draws keeps some and drops others."""
    case = Case(
        {"x": np.array([[1.0, 2.0, 3.0, 4.0]])}, {"p": 0.75}, np.array([[5.0, 6.0, 7.0, 8]])
    )
    return [case, replace(case, output="y_test")]


def mask_of(c: Case, observed: Results) -> Array:
    """Where the observed y is not 0; everywhere if nothing was observed."""
    y = observed.get("y")
    return np.ones_like(c.x) if y is None or y.shape != c.x.shape else (y != 0).astype(np.float64)


def kept_share(c: Case, observed: Results) -> float:
    """The probability of keeping a value that the observed share of zeros fits."""
    share = mask_of(c, observed).mean()
    return c.p if abs(share - c.p) <= abs(share - (1 - c.p)) else 1 - c.p


def truth(c: Case, observed: Results) -> Results:
    """y and dx of the mask that was drawn."""
    if c.output == "y_test":
        return {"y_test": c.x}
    mask = mask_of(c, observed) / kept_share(c, observed)
    return {"y": c.x * mask, "dx": c.dy * mask}


def terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """One value and its factor."""
    if result == "y_test":
        return f"x = {number(c.x[index])}"
    value = c.x[index] if result == "y" else c.dy[index]
    if right["y"][index] == 0:
        return "0, because the value was dropped"
    return f"{number(value)} / {number(c.x[index] / right['y'][index])}"


def settle(c: Case, observed: Results) -> Case:
    """The case with the mask that was drawn and its probability of keeping."""
    found = {"mask": mask_of(c, observed), "keep": kept_share(c, observed)}
    found["of_dx"] = np.asarray(observed.get("dx", found["mask"])) != 0
    return replace(c, settings={**c.settings, **found})


def _form(result: str, power: int, of_p: bool = False) -> Form:
    """The right result with another power of the keep probability; -1 is right."""

    def form(c: Case) -> Array:
        mask, keep = c.settings["mask"], c.settings["keep"]
        factor = (1 - keep if of_p else keep) ** power
        return (c.x if result == "y" else c.dy) * mask * factor

    return form


def _undropped(c: Case, name: str) -> Array:
    """x or dy unchanged. Raises ValueError if values were dropped."""
    if not c.settings["mask"].all():
        raise ValueError("values were dropped")
    return np.asarray(c.x if name == "x" else c.dy)


def _of_other_mask(c: Case, keep: float) -> Array:
    """dy where dx is not 0. Raises ValueError unless the zeros fit a mask that was drawn anew."""
    own, mask = c.settings["of_dx"], c.settings["mask"] > 0
    if own.shape != mask.shape or own.all() or abs((own & mask).mean() - mask.mean() ** 2) > 0.05:
        return np.full_like(c.dy, np.nan)
    return np.asarray(c.dy * own / keep)


DROPOUT = Operation(
    name="dropout",
    title="dropout",
    source="minicnn.kernels.reference.dropout",
    formulas={
        "y": "y = x * mask / keep  in training; keep is the probability of keeping a value",
        "dx": "dx = dy * mask / keep",
        "y_test": "y = x  in test mode",
    },
    cases=cases,
    small=small,
    truth=truth,
    terms=terms,
    gradients=("dx",),
    is_random=True,
    settle=settle,
    faults=(
        Fault(
            "nothing dropped",
            "no value is dropped, and none is scaled",
            "In training set each value to 0 with the probability 1 - keep, and divide the others "
            "by keep.",
            {"y": lambda c: _undropped(c, "x"), "dx": lambda c: _undropped(c, "dy")},
        ),
        Fault(
            "no scale",
            "the division by the probability of keeping is missing",
            "Inverted dropout scales in training: mask / keep. Then the mean stays the same.",
            {"y": _form("y", 0), "dx": _form("dx", 0)},
        ),
        Fault(
            "multiplied",
            "it is multiplied by the probability of keeping, not divided",
            "Divide by keep: fewer values are left, so each must be larger.",
            {"y": _form("y", 1), "dx": _form("dx", 1)},
        ),
        Fault(
            "divided twice",
            "it is divided by the probability of keeping twice",
            "The mask of the forward may hold the 1/keep already: dx = dy * mask.",
            {"y": _form("y", -2), "dx": _form("dx", -2)},
        ),
        Fault(
            "the other probability",
            "it is divided by the probability of dropping, not of keeping",
            "Divide by the share that is kept: is p that share, or 1 - p?",
            {"y": _form("y", -1, True), "dx": _form("dx", -1, True)},
        ),
        Fault(
            "mask forgotten",
            "the mask is forgotten: dy passes everywhere",
            "A dropped value has no influence: dx = dy * mask / keep.",
            {"dx": lambda c: c.dy},
        ),
        Fault(
            "mask forgotten",
            "the mask is forgotten: dy / keep passes everywhere",
            "A dropped value has no influence: dx = dy * mask / keep.",
            {"dx": lambda c: c.dy / c.settings["keep"]},
        ),
        Fault(
            "new mask",
            "backward draws a mask of its own: the dropped values are not those of the forward",
            "Keep the mask of the forward in the cache: dx = dy * mask / keep.",
            {"dx": lambda c: _of_other_mask(c, c.settings["keep"])},
        ),
        Fault(
            "new mask",
            "backward draws a mask of its own, and the division by the probability of keeping is "
            "missing",
            "Keep the mask of the forward in the cache: dx = dy * mask / keep.",
            {"dx": lambda c: _of_other_mask(c, 1.0)},
        ),
        Fault(
            "another mask",
            "the mask is inverted: dropped values get the gradient",
            "Use the mask of the forward.",
            {"dx": lambda c: c.dy * (1 - c.settings["mask"]) / c.settings["keep"]},
        ),
        Fault(
            "another mask",
            "the mask is inverted: dropped values get the gradient",
            "Use the mask of the forward.",
            {
                "dx": lambda c: c.dy * (1 - c.settings["mask"]),
            },
        ),
        Fault(
            "scaled in test mode",
            "the output is scaled in test mode, although it was scaled in training",
            "Inverted dropout returns x itself in test mode.",
            {"y_test": lambda c: c.x * c.p},
        ),
        Fault(
            "scaled in test mode",
            "the output is scaled in test mode, although it was scaled in training",
            "Inverted dropout returns x itself in test mode.",
            {"y_test": lambda c: c.x * (1 - c.p)},
        ),
        Fault(
            "divided in test mode",
            "the output is divided by p in test mode",
            "Inverted dropout returns x itself in test mode.",
            {"y_test": lambda c: c.x / c.p},
        ),
    ),
)
