"""Fully connected layers, and radial basis functions."""

from dataclasses import replace

import numpy as np

from ...kernels.reference.linear import (
    linear,
    linear_grad_input,
    linear_grad_weight,
    rbf,
    rbf_grad,
)
from ...layers import RBF, Linear
from ..trace import Record
from .explanation import Index, Parts
from .table import explains
from .terms import (
    activation_step,
    applied,
    box,
    constant,
    element,
    elements,
    products,
    slopes,
    term_of,
)


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
    added = "Σ(j) x[n,j] · w[j,k]" if layer.bias is None else "b[k] + Σ(j) x[n,j] · w[j,k]"
    return Parts(
        f"y[n,k] = {applied(layer.activation, added)}",
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


@explains(RBF, what="y")
def distance(record: Record, index: Index) -> Parts:
    """The squared distance from x to the code of a class."""
    n, k = index
    j = np.arange(record.x.shape[1])
    codes = elements("codes", record.parameters["codes"], k, j)
    x = elements("x", record.x, n, j)
    difference = replace(codes, name="x - codes", values=x.values - codes.values)
    return Parts(
        "y[n,k] = Σ(j) (x[n,j] - codes[k,j])²",
        products(difference, difference),
        rbf,
        reads=(*box(record, "x", x), *box(record, "codes", codes)),
    )


@explains(RBF, what="dx")
def gradient_of_distance(record: Record, index: Index) -> Parts:
    """Every class moves x away from its code, or towards it."""
    n, j = index
    k = np.arange(record.y.shape[1])
    codes = elements("codes", record.parameters["codes"], k, j)
    difference = replace(codes, name="x - codes", values=float(record.x[index]) - codes.values)
    dy = elements("dy", record.dy, n, k)
    return Parts(
        "dx[n,j] = Σ(k) 2 · dy[n,k] · (x[n,j] - codes[k,j])",
        products(constant("2", 2.0), dy, difference),
        rbf_grad,
        reads=(*box(record, "dy", dy), *box(record, "codes", codes)),
    )


def _slope(layer: Linear) -> str:
    return f" · {layer.activation}'(y[n,k])" if layer.activation else ""
