"""Transposed convolution: the sums of a convolution's gradients, with x and dy exchanged."""

import numpy as np

from ...kernels.geometry import window
from ...kernels.reference.transposed import (
    conv_transpose2d,
    conv_transpose2d_grad_input,
    conv_transpose2d_grad_weight,
)
from ...layers import ConvTranspose2d
from ..trace import Record
from .explanation import Index, Parts
from .table import explains
from .terms import Axis, axes_of, box, element, elements, flat, products, term_of

PLACES = "p·s+i·d-pad = h, q·s+j·d-pad = w"


@explains(ConvTranspose2d, what="y")
def output(record: Record, index: Index) -> Parts:
    """Every pixel of x whose copy of the kernel covers the place; first the bias, if any."""
    layer = record.layer
    n, h, w, k = index
    rows, columns = _axes(record)
    outputs, inputs = _per_group(layer)
    channels = np.arange(inputs) + k // outputs * inputs
    p, i, q, j, c = flat(np.stack(rows.covering(h)), np.stack(columns.covering(w)), channels)
    x = elements("x", record.x, n, p, q, c)
    weight = elements("w", record.parameters["w"], i, j, k % outputs, c)
    terms = products(x, weight)
    if layer.bias is not None:
        terms.insert(0, term_of(element("b", record.parameters["b"], (k,))))
    bias = "" if layer.bias is None else "b[k] + "
    count = len(rows.covering(h)[0]) * len(columns.covering(w)[0])
    return Parts(
        f"y[n,h,w,k] = {bias}Σ x[n,p,q,c] · w[i,j,k,c] over {PLACES}, all c",
        terms,
        conv_transpose2d,
        reads=(*box(record, "x", x), *box(record, "w", weight)),
        note=f"Pixels whose kernel covers the place: {count}. Maps that it reads: {inputs}.",
    )


@explains(ConvTranspose2d, what="dx")
def input_gradient(record: Record, index: Index) -> Parts:
    """A convolution: the pixel was multiplied by every weight of its channel."""
    n, p, q, c = index
    rows, columns = _axes(record)
    outputs, inputs = _per_group(record.layer)
    filters = np.arange(outputs)
    i, h, j, w, k = flat(np.stack(rows.cells(p)), np.stack(columns.cells(q)), filters)
    dy = elements("dy", record.dy, n, h, w, k + c // inputs * outputs)
    weight = elements("w", record.parameters["w"], i, j, k, c)
    return Parts(
        "dx[n,p,q,c] = Σ(i,j,k) dy[n, p·s+i·d-pad, q·s+j·d-pad, k] · w[i,j,k,c]",
        products(dy, weight),
        conv_transpose2d_grad_input,
        reads=(*box(record, "dy", dy), *box(record, "w", weight)),
    )


@explains(ConvTranspose2d, what="w")
def weight_gradient(record: Record, index: Index) -> Parts:
    """The weight is used once per image and pixel of x."""
    i, j, k, c = index
    rows, columns = _axes(record)
    outputs, inputs = _per_group(record.layer)
    images = np.arange(len(record.x))
    n, p, h, q, w = flat(images, np.stack(rows.pixels_of(i)), np.stack(columns.pixels_of(j)))
    x = elements("x", record.x, n, p, q, c)
    dy = elements("dy", record.dy, n, h, w, k + c // inputs * outputs)
    return Parts(
        "dw[i,j,k,c] = Σ(n,p,q) x[n,p,q,c] · dy[n, p·s+i·d-pad, q·s+j·d-pad, k]",
        products(x, dy),
        conv_transpose2d_grad_weight,
        reads=(*box(record, "x", x), *box(record, "dy", dy)),
        note=f"The weight is used {len(n):,} times: once per image and pixel whose product is not "
        "cut off.",
    )


@explains(ConvTranspose2d, what="b")
def bias_gradient(record: Record, index: Index) -> Parts:
    """The bias is added at every place."""
    dy = elements("dy", record.dy, *flat(*map(np.arange, record.y.shape[:3])), index[0])
    return Parts(
        "db[k] = Σ(n,h,w) dy[n,h,w,k]",
        products(dy),
        conv_transpose2d_grad_weight,
        reads=box(record, "dy", dy),
    )


def _axes(record: Record) -> tuple[Axis, Axis]:
    """The windows of the convolution from y to x."""
    layer, shape = record.layer, record.y.shape
    size = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    return axes_of(shape, window(shape[1:3], *size))


def _per_group(layer: ConvTranspose2d) -> tuple[int, int]:
    """The channels of y and of x in a group."""
    return layer.out_channels // layer.groups, layer.in_channels // layer.groups
