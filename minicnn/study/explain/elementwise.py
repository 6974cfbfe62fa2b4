"""Layers in which a number comes from one number: dropout, scale, and changes of the shape."""

from dataclasses import replace

import numpy as np

from ...device import to_host
from ...kernels.reference.dropout import dropout, dropout_grad
from ...kernels.reference.functions import FUNCTIONS
from ...layers import Affine, Dropout, Flatten, Function, Identity, PadShortcut, Scale
from ..trace import Record
from .explanation import Factor, Index, Parts, Step
from .table import explains
from .terms import box, element, elements, number, places_of_channel, products, term_of


@explains(Dropout, what="y")
def kept_or_dropped(record: Record, index: Index) -> Parts:
    """x times the mask, scaled by 1 / (1 - p)."""
    factors, note = _mask(record, index)
    return Parts(
        "y = x · mask / (1 - p)" if factors else "y = x",
        [term_of(element("x", record.x, index), *factors)],
        dropout,
        reads=box(record, "x", elements("x", record.x, *index)),
        note=note,
    )


@explains(Dropout, what="dx")
def gradient_of_kept(record: Record, index: Index) -> Parts:
    """dy times the same mask."""
    factors, note = _mask(record, index)
    return Parts(
        "dx = dy · mask / (1 - p)" if factors else "dx = dy",
        [term_of(element("dy", record.dy, index), *factors)],
        dropout_grad,
        reads=box(record, "dy", elements("dy", record.dy, *index)),
        note=note,
    )


def _mask(record: Record, index: Index) -> tuple[list[Factor], str]:
    """The factors of the mask and of the scale, and a note; no factors without a mask."""
    p, (_, mask) = record.layer.p, record.saved
    if mask is None:
        reason = "In evaluation" if not record.training else "With p = 0"
        return [], f"{reason} dropout is the identity."
    kept = float(to_host(mask).reshape(record.x.shape)[index])
    note = "The mask kept this number." if kept else "The mask dropped this number."
    return [number("mask", kept), number(f"1/(1 - {p:g})", 1 / (1 - p))], note


@explains(Function, what="y")
def function(record: Record, index: Index) -> Parts:
    """A function of one number."""
    layer, x = record.layer, elements("x", record.x, *index)
    text = ", ".join(["x", *(f"{c:g}" for c in layer.constants)])
    compute = FUNCTIONS[layer.name][0]
    return Parts(
        f"y = {layer.name}({text})",
        products(x),
        compute,
        kind="function",
        then=Step(
            f"{layer.name}(sum)", lambda z: float(compute(np.array([z]), *layer.constants)[0])
        ),
        reads=box(record, "x", x),
    )


@explains(Function, what="dx")
def gradient_of_function(record: Record, index: Index) -> Parts:
    """dy times the slope."""
    layer, name = record.layer, record.layer.name
    dy, x = elements("dy", record.dy, *index), elements(f"{name}'", record.x, *index)
    slope = FUNCTIONS[name][1](np.ones(x.values.size), x.values, *layer.constants)
    return Parts(
        f"dx = dy · {name}'({', '.join(['x', *(f'{c:g}' for c in layer.constants)])})",
        products(dy, replace(x, values=slope)),
        FUNCTIONS[name][1],
        reads=(*box(record, "dy", dy), *box(record, "x", elements("x", record.x, *index))),
    )


@explains(Scale, what="y")
def scaled(record: Record, index: Index) -> Parts:
    """x times the factor, and the shift."""
    layer = record.layer
    shift = [term_of(number("shift", layer.shift))] if layer.shift else []
    return Parts(
        "y = factor · x + shift" if shift else "y = factor · x",
        [term_of(number("factor", layer.factor), element("x", record.x, index)), *shift],
        Scale.forward,
        reads=box(record, "x", elements("x", record.x, *index)),
    )


@explains(Scale, what="dx")
def gradient_of_scaled(record: Record, index: Index) -> Parts:
    """dy times the factor."""
    return Parts(
        "dx = factor · dy",
        [term_of(number("factor", record.layer.factor), element("dy", record.dy, index))],
        Scale.backward,
        reads=box(record, "dy", elements("dy", record.dy, *index)),
    )


@explains(Affine, what="y")
def with_factor_and_bias(record: Record, index: Index) -> Parts:
    """x times the factor of its channel, and its bias."""
    factors, terms = _factor(record, index), []
    if record.layer.bias:
        terms = [term_of(element("b", record.parameters["b"], index[-1:]))]
    return Parts(
        "y = " + " + ".join(["w[c] · x" if factors else "x", *(["b[c]"] if terms else [])]),
        [term_of(*factors, element("x", record.x, index)), *terms],
        Affine.forward,
        reads=box(record, "x", elements("x", record.x, *index)),
    )


@explains(Affine, what="dx")
def gradient_by_factor(record: Record, index: Index) -> Parts:
    """dy times the factor of its channel."""
    factors = _factor(record, index)
    return Parts(
        "dx = w[c] · dy" if factors else "dx = dy",
        [term_of(*factors, element("dy", record.dy, index))],
        Affine.backward,
        reads=box(record, "dy", elements("dy", record.dy, *index)),
    )


def _factor(record: Record, index: Index) -> list[Factor]:
    if record.layer.weight is None:
        return []
    return [element("w", record.parameters["w"], index[-1:])]


@explains(Affine, what="w")
def gradient_of_factor(record: Record, index: Index) -> Parts:
    """The factor multiplies x at every place of its channel."""
    places = places_of_channel(record.x.shape, index[0]).T
    dy, x = elements("dy", record.dy, *places), elements("x", record.x, *places)
    reads = *box(record, "dy", dy), *box(record, "x", x)
    return Parts("dw[c] = Σ dy · x", products(dy, x), Affine.backward, reads=reads)


@explains(Affine, what="b")
def gradient_of_bias(record: Record, index: Index) -> Parts:
    """The bias is added at every place of its channel."""
    dy = elements("dy", record.dy, *places_of_channel(record.x.shape, index[0]).T)
    return Parts("db[c] = Σ dy", products(dy), Affine.backward, reads=box(record, "dy", dy))


@explains(Identity, what="y")
def same(record: Record, index: Index) -> Parts:
    """The same element of x."""
    return Parts(
        "y = x",
        [term_of(element("x", record.x, index))],
        Identity.forward,
        kind="paths",
        reads=box(record, "x", elements("x", record.x, *index)),
    )


@explains(Identity, what="dx")
def gradient_of_same(record: Record, index: Index) -> Parts:
    """The same element of dy."""
    return Parts(
        "dx = dy",
        [term_of(element("dy", record.dy, index))],
        Identity.backward,
        kind="paths",
        reads=box(record, "dy", elements("dy", record.dy, *index)),
    )


@explains(Flatten, what="y")
def flattened(record: Record, index: Index) -> Parts:
    """The element of x at the same place in memory."""
    place = (index[0], *map(int, np.unravel_index(index[1], record.x.shape[1:])))
    return Parts(
        "y[n, (h·W + w)·C + c] = x[n,h,w,c]",
        [term_of(element("x", record.x, place))],
        Flatten.forward,
        kind="paths",
        reads=box(record, "x", elements("x", record.x, *place)),
    )


@explains(Flatten, what="dx")
def gradient_of_flattened(record: Record, index: Index) -> Parts:
    """The element of dy at the same place in memory."""
    place = index[0], int(np.ravel_multi_index(index[1:], record.x.shape[1:]))
    return Parts(
        "dx[n,h,w,c] = dy[n, (h·W + w)·C + c]",
        [term_of(element("dy", record.dy, place))],
        Flatten.backward,
        kind="paths",
        reads=box(record, "dy", elements("dy", record.dy, *place)),
    )


@explains(PadShortcut, what="y")
def subsampled_and_padded(record: Record, index: Index) -> Parts:
    """Every s-th pixel of x, or 0 in the new channels."""
    n, p, q, k = index
    layer, first = record.layer, record.layer._old.start
    formula = f"y[n,p,q,k] = x[n, p·{layer.stride}, q·{layer.stride}, k - {first}], or 0"
    if not 0 <= k - first < layer.in_channels:
        note = "The map is one of the new ones, which are 0."
        return Parts(formula, [], PadShortcut.forward, kind="paths", note=note)
    place = n, p * layer.stride, q * layer.stride, k - first
    return Parts(
        formula,
        [term_of(element("x", record.x, place))],
        PadShortcut.forward,
        kind="paths",
        reads=box(record, "x", elements("x", record.x, *place)),
    )


@explains(PadShortcut, what="dx")
def gradient_of_padded(record: Record, index: Index) -> Parts:
    """dy of the pixel, or 0 for a pixel that is left out."""
    n, h, w, c = index
    layer, first = record.layer, record.layer._old.start
    s = layer.stride
    formula = f"dx[n,h,w,c] = dy[n, h÷{s}, w÷{s}, c + {first}] if {s} divides h and w, or 0"
    if h % s or w % s:
        note = f"The pixel is left out: one of {s} rows and columns is read."
        return Parts(formula, [], PadShortcut.backward, kind="paths", note=note)
    place = n, h // s, w // s, c + first
    return Parts(
        formula,
        [term_of(element("dy", record.dy, place))],
        PadShortcut.backward,
        kind="paths",
        reads=box(record, "dy", elements("dy", record.dy, *place)),
    )
