"""Fully connected layers."""

import numpy as np

from ...kernels.reference.linear import (
    linear,
    linear_grad_input,
    linear_grad_weight,
)
from ...layers import Linear
from ..trace import Record
from .explanation import Index, Parts
from .table import explains
from .terms import activation_step, box, element, elements, products, slopes, term_of


@explains(Linear, what="y")
def output(record: Record, index: Index) -> Parts:
    """A row of x times a column of w, plus the bias; first the bias, if there is one."""
    layer = record.layer
    n, k = index
    j = np.arange(layer.in_features)
    x = elements("x", record.x, n, j)
    weight = elements("w", record.parameters["w"], j, k)
    terms = products(x, weight)
    if layer.bias is not None:
        terms.insert(0, term_of(element("b", record.parameters["b"], (k,))))
    start, end = (f"{layer.activation}(", ")") if layer.activation else ("", "")
    return Parts(
        f"y[n,k] = {start}b[k] + Σ(j) x[n,j] · w[j,k]{end}",
        terms,
        linear,
        then=activation_step(layer.activation),
        reads=(*box(record, "x", x), *box(record, "w", weight)),
    )


@explains(Linear, what="dx")
def input_gradient(record: Record, index: Index) -> Parts:
    """Every output reads x[n,j] with its own weight."""
    layer = record.layer
    n, j = index
    k = np.arange(layer.out_features)
    dy = elements("dy", record.dy, n, k)
    weight = elements("w", record.parameters["w"], j, k)
    return Parts(
        f"dx[n,j] = Σ(k) dy[n,k]{_slope(layer)} · w[j,k]",
        products(dy, *slopes(record, layer.activation, n, k), weight),
        linear_grad_input,
        reads=(*box(record, "dy", dy), *box(record, "w", weight)),
    )


@explains(Linear, what="w")
def weight_gradient(record: Record, index: Index) -> Parts:
    """The weight is used once per image."""
    layer = record.layer
    j, k = index
    n = np.arange(len(record.x))
    x, dy = elements("x", record.x, n, j), elements("dy", record.dy, n, k)
    return Parts(
        f"dw[j,k] = Σ(n) x[n,j] · dy[n,k]{_slope(layer)}",
        products(x, dy, *slopes(record, layer.activation, n, k)),
        linear_grad_weight,
        reads=(*box(record, "x", x), *box(record, "dy", dy)),
    )


@explains(Linear, what="b")
def bias_gradient(record: Record, index: Index) -> Parts:
    """The bias is added to the output of every image."""
    layer = record.layer
    n = np.arange(len(record.x))
    dy = elements("dy", record.dy, n, index[0])
    return Parts(
        f"db[k] = Σ(n) dy[n,k]{_slope(layer)}",
        products(dy, *slopes(record, layer.activation, n, index[0])),
        linear_grad_weight,
        reads=box(record, "dy", dy),
    )


def _slope(layer: Linear) -> str:
    return f" · {layer.activation}'(y[n,k])" if layer.activation else ""
