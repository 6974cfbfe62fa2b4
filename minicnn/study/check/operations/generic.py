"""Mistakes that any operation can have: signs, factors of the batch size, dy not used, axes."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Operation


class General(NamedTuple):
    """A mistake of any gradient: its numbers from the right gradient and the case.

    where: "all" gradients, those of "parameters", or of "vectors" such as a bias. `dy` replaces the
    upstream gradient instead.
    """

    name: str
    says: str
    advice: str
    where: str = "all"
    value: Callable[[Case, Array], Array] | None = None
    dy: Callable[[Case], Array] | None = None


def _only_images(keep: slice) -> Callable[[Case], Array]:
    def dy(c: Case) -> Array:
        kept = np.zeros_like(c.dy)
        kept[keep] = c.dy[keep]
        return kept

    return dy


GENERAL = (
    General(
        "sign",
        "the sign is wrong",
        "Multiply by -1, or look for a minus lost in a derivative.",
        value=lambda c, a: -a,
    ),
    General(
        "zeros",
        "it is all zeros: nothing was ever added to it",
        "Fill the array that you allocated, and return that one.",
        value=lambda c, a: np.zeros_like(a),
    ),
    General(
        "mean over the batch",
        "it is divided by the batch size N",
        "The loss already holds the 1/N, and dy with it: sum over the batch, take no mean.",
        value=lambda c, a: a / len(c.x),
    ),
    General(
        "times the batch size",
        "it is multiplied by the batch size N",
        "Count each image once.",
        value=lambda c, a: a * len(c.x),
    ),
    General(
        "added twice",
        "it is twice the right value: it is added twice",
        "Look for a second `+=`, or for an array that was not reset to zeros.",
        value=lambda c, a: 2 * a,
    ),
    General(
        "half",
        "it is half the right value",
        "Look for a factor 1/2 that was not cancelled, as in the derivative of a square.",
        value=lambda c, a: a / 2,
    ),
    General(
        "kept axis",
        "the numbers are right, but the shape keeps an axis of length 1",
        "A parameter's gradient has the parameter's shape: sum without keepdims.",
        "vectors",
        value=lambda c, a: a[None],
    ),
    General(
        "column",
        "the numbers are right, but the shape is a column (length, 1)",
        "A parameter's gradient has the parameter's shape: use reshape(-1) or no keepdims.",
        "vectors",
        value=lambda c, a: a.reshape(-1, 1),
    ),
    General(
        "dy not used",
        "the upstream gradient is not used, as if it were 1 everywhere",
        "Chain rule: multiply the local derivative by dy.",
        dy=lambda c: np.ones_like(c.dy),
    ),
    General(
        "only the last image",
        "only the last image of the batch counts: `=` where `+=` is needed",
        "Each image adds to the gradient of a parameter; start from zeros and use `+=`.",
        "parameters",
        dy=_only_images(slice(-1, None)),
    ),
    General(
        "only the first image",
        "only the first image of the batch counts",
        "Sum over all images of the batch.",
        "parameters",
        dy=_only_images(slice(0, 1)),
    ),
)


def generic_faults(operation: Operation) -> list[Fault]:
    """The general mistakes of the gradients of one operation."""
    parameters = [name for name in operation.gradients if name != "dx"]
    places = {
        "all": list(operation.gradients),
        "parameters": parameters,
        "vectors": [name for name in parameters if name not in operation.filters],
    }
    is_loss = "loss" in operation.formulas  # without an upstream gradient
    return [
        Fault(
            g.name, g.says, g.advice, {n: partial(_form, operation, g, n) for n in places[g.where]}
        )
        for g in GENERAL
        if not (is_loss and g.dy)
    ]


def _form(operation: Operation, general: General, name: str, c: Case) -> Array:
    if general.dy:
        return operation.right(c.but(dy=general.dy(c)))[name]
    assert general.value
    return general.value(c, operation.right(c)[name])
