"""Activations as layers."""

import numpy as np

from ...kernels.reference import activation as activations
from ...layers import Activation
from ..trace import Record
from .explanation import Index, Parts
from .table import explains
from .terms import activation_step, box, elements, products, slopes


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


def _texts(record: Record) -> list[str]:
    """The constants of the activation, as formulas have them."""
    return [f"{constant:g}" for constant in record.layer.constants]
