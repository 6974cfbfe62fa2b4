"""Resampling: every output is a weighted sum of pixels along rows and columns."""

import numpy as np

from ...device import to_host
from ...kernels.reference import resample2d, resample2d_grad
from ...layers import Upsample
from ...layers.resample import Resampling
from ..trace import Record
from .explanation import Index, Parts
from .table import explains
from .terms import Column, box, elements, flat, products


@explains(Resampling, what="y")
def output(record: Record, index: Index) -> Parts:
    """The pixels that have a weight for this place: one, or up to four of bilinear upsampling."""
    rows, columns = _weights(record)
    n, p, q, c = index
    h, w = flat(np.flatnonzero(rows[p]), np.flatnonzero(columns[q]))
    x = elements("x", record.x, n, h, w, c)
    return Parts(
        "y[n,p,q,c] = Σ(h,w) R[p,h] · S[q,w] · x[n,h,w,c]",
        products(Column("R", None, rows[p, h]), Column("S", None, columns[q, w]), x),
        resample2d,
        reads=box(record, "x", x),
        note=f"R and S are the weights of {_kind(record)} along each axis.",
    )


@explains(Resampling, what="dx")
def input_gradient(record: Record, index: Index) -> Parts:
    """Every output that reads the pixel sends its gradient back with the same weights."""
    rows, columns = _weights(record)
    n, h, w, c = index
    p, q = flat(np.flatnonzero(rows[:, h]), np.flatnonzero(columns[:, w]))
    dy = elements("dy", record.dy, n, p, q, c)
    return Parts(
        "dx[n,h,w,c] = Σ(p,q) R[p,h] · S[q,w] · dy[n,p,q,c]",
        products(Column("R", None, rows[p, h]), Column("S", None, columns[q, w]), dy),
        resample2d_grad,
        reads=box(record, "dy", dy),
        note=f"Outputs that read the pixel: {len(dy.values)}.",
    )


def _kind(record: Record) -> str:
    layer = record.layer
    return f"{layer.mode} upsampling" if isinstance(layer, Upsample) else "the resizing"


def _weights(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """The matrices R `(P, H)` and S `(Q, W)`."""
    assert isinstance(record.layer, Resampling)
    found = zip(record.layer.matrices(record.x.shape), record.x.shape[1:3], strict=True)
    rows, columns = (np.eye(n) if m is None else to_host(m) for m, n in found)
    return rows, columns
