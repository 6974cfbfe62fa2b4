"""Convolution, also with groups, dilation and partial connections."""

import numpy as np

from ...kernels.geometry import window
from ...kernels.reference.conv import conv2d, conv2d_grad_input, conv2d_grad_weight
from ...layers import Conv2d
from ..trace import Record
from .explanation import Index, Parts
from .table import explains
from .terms import (
    Axis,
    activation_step,
    applied,
    axes_of,
    box,
    element,
    elements,
    flat,
    products,
    slopes,
    term_of,
)

FORWARD = "Σ(i,j,c) x[n, p·s+i·d-pad, q·s+j·d-pad, c] · w[i,j,c,k]"
INPUT = "dx[n,h,w,c] = Σ dy[n,p,q,k]{f} · w[i,j,c,k] over p·s+i·d-pad = h, q·s+j·d-pad = w, all k"
WEIGHT = "dw[i,j,c,k] = Σ(n,p,q) x[n, p·s+i·d-pad, q·s+j·d-pad, c] · dy[n,p,q,k]{f}"
BIAS = "db[k] = Σ(n,p,q) dy[n,p,q,k]{f}"


@explains(Conv2d, what="y")
def output(record: Record, index: Index) -> Parts:
    """The window times the filter, plus the bias; first the bias, if there is one."""
    layer = record.layer
    n, p, q, k = index
    rows, columns = _axes(record)
    channels, first = _channels(layer, k), _first_channel(layer, k)
    i, h, j, w, c = flat(np.stack(rows.cells(p)), np.stack(columns.cells(q)), channels)
    x = elements("x", record.x, n, h, w, c + first)
    weight = elements("w", record.parameters["w"], i, j, c, k)
    terms = products(x, weight)
    if layer.bias is not None:
        terms.insert(0, term_of(element("b", record.parameters["b"], (k,))))
    padding = rows.kernel * columns.kernel - len(rows.cells(p)[0]) * len(columns.cells(q)[0])
    added = FORWARD if layer.bias is None else f"b[k] + {FORWARD}"
    return Parts(
        f"y[n,p,q,k] = {applied(layer.activation, added)}",
        terms,
        conv2d,
        then=activation_step(layer.activation),
        reads=(*box(record, "x", x), *box(record, "w", weight)),
        note=_note(layer, padding, len(channels), first),
    )


@explains(Conv2d, what="dx")
def input_gradient(record: Record, index: Index) -> Parts:
    """Every output whose window has the pixel sends its gradient back through the same weight."""
    layer = record.layer
    n, h, w, c = index
    rows, columns = _axes(record)
    width = layer.in_channels // layer.groups
    filters = layer.out_channels // layer.groups
    outputs = np.arange(filters) + c // width * filters
    c %= width
    if layer.connections is not None:
        outputs = outputs[np.asarray(layer.connections)[c, outputs] != 0]
    p, i, q, j, k = flat(np.stack(rows.covering(h)), np.stack(columns.covering(w)), outputs)
    dy = elements("dy", record.dy, n, p, q, k)
    slope = slopes(record, layer.activation, n, p, q, k)
    weight = elements("w", record.parameters["w"], i, j, c, k)
    count = len(rows.covering(h)[0]) * len(columns.covering(w)[0])
    return Parts(
        INPUT.format(f=_slope(layer)),
        products(dy, *slope, weight),
        conv2d_grad_input,
        reads=(*box(record, "dy", dy), *box(record, "w", weight)),
        note=f"Windows that contain the pixel: {count}. Filters that read its map: {len(outputs)}.",
    )


@explains(Conv2d, what="w")
def weight_gradient(record: Record, index: Index) -> Parts:
    """The weight is used once per image and place: the products of all places are added."""
    layer = record.layer
    i, j, c, k = index
    rows, columns = _axes(record)
    if layer.connections is not None and not layer.connections[c, k]:
        note = f"Output map {k} does not read input map {c}: the weight is always 0."
        return Parts(WEIGHT.format(f=_slope(layer)), [], conv2d_grad_weight, note=note)
    images = np.arange(len(record.x))
    n, p, h, q, w = flat(images, np.stack(rows.pixels_of(i)), np.stack(columns.pixels_of(j)))
    x = elements("x", record.x, n, h, w, c + _first_channel(layer, k))
    dy = elements("dy", record.dy, n, p, q, k)
    return Parts(
        WEIGHT.format(f=_slope(layer)),
        products(x, dy, *slopes(record, layer.activation, n, p, q, k)),
        conv2d_grad_weight,
        reads=(*box(record, "x", x), *box(record, "dy", dy)),
        note=f"The weight is used {len(n):,} times: once per image and window in which its cell is "
        "not padding.",
    )


@explains(Conv2d, what="b")
def bias_gradient(record: Record, index: Index) -> Parts:
    """The bias is added at every place."""
    layer = record.layer
    n, p, q = flat(*(np.arange(size) for size in record.y.shape[:3]))
    dy = elements("dy", record.dy, n, p, q, index[0])
    return Parts(
        BIAS.format(f=_slope(layer)),
        products(dy, *slopes(record, layer.activation, n, p, q, index[0])),
        conv2d_grad_weight,
        reads=box(record, "dy", dy),
        note=f"The bias is used {len(n):,} times: once per image and place.",
    )


def _axes(record: Record) -> tuple[Axis, Axis]:
    layer = record.layer
    geometry = window(
        record.x.shape[1:3], layer.kernel_size, layer.stride, layer.padding, layer.dilation
    )
    return axes_of(record.x.shape, geometry)


def _channels(layer: Conv2d, k: int) -> np.ndarray:
    """The channels of its group that the output map k reads."""
    width = layer.in_channels // layer.groups
    if layer.connections is None:
        return np.arange(width)
    return np.flatnonzero(np.asarray(layer.connections)[:, k])


def _first_channel(layer: Conv2d, k: int) -> int:
    """The first input channel of the group that the output map k belongs to."""
    return k // (layer.out_channels // layer.groups) * (layer.in_channels // layer.groups)


def _slope(layer: Conv2d) -> str:
    return f" · {layer.activation}'(y[n,p,q,k])" if layer.activation else ""


def _note(layer: Conv2d, padding: int, channels: int, first: int) -> str:
    parts = []
    if padding:
        parts.append(f"Cells of the window in the padding, which add 0: {padding}.")
    if layer.groups > 1:
        read = f"{channels} input maps, of which w counts from {first} on"
        parts.append(f"The map reads one of {layer.groups} groups: {read}.")
    if layer.connections is not None:
        parts.append(f"The map reads {channels} of {layer.in_channels} input maps.")
    return " ".join(parts)
