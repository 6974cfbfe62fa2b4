"""Activations as layers."""

from dataclasses import replace

import numpy as np

from ...kernels.reference import activation as activations
from ...kernels.reference import loss
from ...layers import Activation, PReLU, Softmax
from ..trace import Record
from .explanation import Factor, Index, Parts, Step, place
from .table import explains
from .terms import (
    Column,
    activation_step,
    box,
    element,
    elements,
    products,
    slopes,
    term_of,
)


@explains(Activation, what="y")
def output(record: Record, index: Index) -> Parts:
    """A function of one number."""
    name, constants = record.layer.activation, record.layer.constants
    x = elements("x", record.x, *index)
    return Parts(
        f"y = {name}({', '.join(['x', *_texts(record)])})",
        products(x),
        activations.ACTIVATIONS[name][0],
        kind="function",
        then=activation_step(name, constants),
        reads=box(record, "x", x),
    )


@explains(Activation, what="dx")
def input_gradient(record: Record, index: Index) -> Parts:
    """dy times the slope."""
    name = record.layer.activation
    dy = elements("dy", record.dy, *index)
    argument = "x" if name in activations.FROM_INPUT else "y"
    value = (record.x if argument == "x" else record.y)[index]
    note = ""
    if name == "relu":
        note = (
            "The gradient passes where y > 0." if value > 0 else "No gradient passes where y = 0."
        )
    return Parts(
        f"dx = dy · {name}'({', '.join([argument, *_texts(record)])})",
        products(dy, *slopes(record, name, *index, constants=record.layer.constants)),
        activations.ACTIVATIONS[name][1],
        reads=(
            *box(record, "dy", dy),
            *box(record, argument, elements("", np.asarray(record.y), *index)),
        ),
        note=note,
    )


@explains(PReLU, what="y")
def by_its_slope(record: Record, index: Index) -> Parts:
    """x, or x times the slope of its channel."""
    x = element("x", record.x, index)
    return Parts(
        "y = x if x > 0, else w[c] · x",
        [term_of(*_slope(record, index), x)],
        activations.prelu,
        reads=box(record, "x", elements("x", record.x, *index)),
    )


@explains(PReLU, what="dx")
def gradient_by_slope(record: Record, index: Index) -> Parts:
    """dy, or dy times the slope of its channel."""
    dy = element("dy", record.dy, index)
    return Parts(
        "dx = dy if x > 0, else w[c] · dy",
        [term_of(*_slope(record, index), dy)],
        activations.prelu_grad,
        reads=(
            *box(record, "dy", elements("dy", record.dy, *index)),
            *box(record, "x", elements("x", record.x, *index)),
        ),
        note="x > 0." if record.x[index] > 0 else "x <= 0.",
    )


def _slope(record: Record, index: Index) -> list[Factor]:
    """The slope as a factor where x <= 0."""
    c = index[-1] if record.layer.channels > 1 else 0
    return [] if record.x[index] > 0 else [element("w", record.parameters["w"], (c,))]


@explains(PReLU, what="w")
def gradient_of_slope(record: Record, index: Index) -> Parts:
    """The places where x <= 0: there the slope multiplies x."""
    is_there = ~(record.x > 0)
    if record.layer.channels > 1:
        is_there &= np.arange(record.x.shape[-1]) == index[0]
    places = np.nonzero(is_there)
    dy, x = elements("dy", record.dy, *places), elements("x", record.x, *places)
    of = "[c]" if record.layer.channels > 1 else ""
    return Parts(
        f"dw{of} = Σ(x <= 0) dy · x",
        products(dy, x),
        activations.prelu_grad,
        reads=(*box(record, "dy", dy), *box(record, "x", x)),
    )


@explains(Softmax, what="y")
def share_of_exponentials(record: Record, index: Index) -> Parts:
    """The terms are those of the sum; then the own exponential is divided by it."""
    x = elements("x", record.x, *index[:-1], np.arange(record.x.shape[-1]))
    powers = np.exp(x.values - x.values.max())
    own = float(powers[index[-1]])
    return Parts(
        "y_i = exp(x_i) / Σ(j) exp(x_j)",
        products(Column("exp(x - max)", x.index, powers)),
        loss.softmax,
        then=Step(f"exp({place('x', index)} - max) / sum", lambda s: own / s),
        reads=box(record, "x", x),
        note=f"max is {x.values.max():.6g}, the largest x: without it exp could overflow.",
    )


@explains(Softmax, what="dx")
def gradient_of_share(record: Record, index: Index) -> Parts:
    """x is in the own numerator, and in the denominator of all."""
    row: list[int | np.ndarray] = [*index[:-1], np.arange(record.x.shape[-1])]
    dy, y = elements("dy", record.dy, *row), elements("y", record.y, *row)
    own = element("y", record.y, index)
    minus = replace(y, name="-y", values=-y.values)
    return Parts(
        "dx_i = y_i · dy_i - Σ(j) y_i · dy_j · y_j",
        [
            term_of(own, element("dy", record.dy, index)),
            *products(Column("y", np.array([index]), np.array([own.value])), dy, minus),
        ],
        loss.softmax_grad,
        reads=(*box(record, "dy", dy), *box(record, "y", y)),
        note="The first term is that of the numerator; the others go through the sum.",
    )


def _texts(record: Record) -> list[str]:
    """The constants of the activation, as formulas have them."""
    return [f"{constant:g}" for constant in record.layer.constants]
