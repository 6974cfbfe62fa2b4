"""Group and layer normalization: statistics of a group of channels, or of a pixel."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from ...kernels.reference import norm as kernels
from ...layers import GroupNorm, LayerNorm
from ...layers.norm import SampleNorm
from ..trace import Record
from .explanation import Factor, Index, Parts
from .table import explains
from .terms import (
    Column,
    box,
    element,
    elements,
    number,
    places_of_channel,
    products,
    term_of,
)

FORWARD: dict[type, Callable] = {GroupNorm: kernels.group_norm, LayerNorm: kernels.layer_norm}
BACKWARD: dict[type, Callable] = {
    GroupNorm: kernels.group_norm_grad,
    LayerNorm: kernels.layer_norm_grad,
}


class _Statistics:
    """The mean and the variance that belong to each number of x, in float64, and the normalized x.

    mean, variance, inverse (1 / sqrt(var + eps)), normalized: arrays of x's shape.
    group: the number of the group with which each number of x is normalized, of x's shape.
    """

    def __init__(self, record: Record):
        self.record, layer, x = record, record.layer, record.x.astype(np.float64)
        groups = layer.groups if isinstance(layer, GroupNorm) else 1
        images = len(x) if isinstance(layer, GroupNorm) else x.size // layer.channels
        parts = x.reshape(images, -1, groups, layer.channels // groups)
        mean, variance = (f(axis=(1, 3), keepdims=True) for f in (parts.mean, parts.var))
        numbers = np.arange(images * groups).reshape(mean.shape)
        self.mean, self.variance, self.group = (
            np.broadcast_to(a, parts.shape).reshape(x.shape) for a in (mean, variance, numbers)
        )
        self.inverse = 1 / np.sqrt(self.variance + layer.eps)
        self.normalized = (x - self.mean) * self.inverse

    @cached_property
    def gradient(self) -> np.ndarray:
        """g = w[c] dy."""
        record = self.record
        assert record.dy is not None
        return record.dy.astype(np.float64) * record.parameters["w"].astype(np.float64)

    def with_(self, index: Index) -> np.ndarray:
        """The places `(T, axes)` of the numbers that are normalized together with that one."""
        return np.argwhere(self.group == self.group[index])

    def of(self, index: Index) -> str:
        """Where the statistics come from, in words."""
        if isinstance(self.record.layer, LayerNorm):
            return f"the {self.record.layer.channels} channels of this pixel"
        layer = self.record.layer
        width = layer.channels // layer.groups
        first = index[-1] // width * width
        maps = f"maps {first} to {first + width - 1}" if width > 1 else f"map {first}"
        return f"{maps} of image {index[0]}"


@explains(GroupNorm, LayerNorm, what="y")
def normalized_by_group(record: Record, index: Index) -> Parts:
    """An affine function of x."""
    own, w = _Statistics(record), element("w", record.parameters["w"], index[-1:])
    inverse = number("1/sqrt(var + eps)", own.inverse[index])
    return Parts(
        "y = w[c] · (x - mean) / sqrt(var + eps) + b[c]",
        [
            term_of(element("x", record.x, index), w, inverse),
            term_of(number("-mean", -own.mean[index]), w, inverse),
            term_of(element("b", record.parameters["b"], index[-1:])),
        ],
        FORWARD[_kind(record)],
        reads=box(record, "x", Column("x", own.with_(index), np.empty(0))),
        note=f"Mean {own.mean[index]:.6g} and variance {own.variance[index]:.6g} are of "
        f"{own.of(index)}.",
    )


@explains(GroupNorm, LayerNorm, what="dx")
def gradient_by_group(record: Record, index: Index) -> Parts:
    """Three terms: through x, the mean and the variance."""
    own = _Statistics(record)
    w, inverse = (
        element("w", record.parameters["w"], index[-1:]),
        number("1/sqrt(var + eps)", own.inverse[index]),
    )
    places = own.with_(index)
    g, normalized = own.gradient[tuple(places.T)], own.normalized[tuple(places.T)]
    return Parts(
        "dx = (g - mean(g) - x^ · mean(g · x^)) / sqrt(var + eps), g = w[c] · dy",
        [
            term_of(element("dy", record.dy, index), w, inverse),
            term_of(number("-mean(g)", -g.mean()), inverse),
            term_of(
                Factor("x^", index, float(own.normalized[index])),
                number("-mean(g · x^)", -(g * normalized).mean()),
                inverse,
            ),
        ],
        BACKWARD[_kind(record)],
        reads=tuple(
            read
            for what in ("dy", "x")
            for read in box(record, what, Column(what, places, np.empty(0)))
        ),
        note=f"The means are of {own.of(index)}; x^ is the normalized x.",
    )


@explains(GroupNorm, LayerNorm, what="w")
def gradient_of_factor(record: Record, index: Index) -> Parts:
    """The weight multiplies the normalized x at every place of its channel."""
    own, places = _Statistics(record), places_of_channel(record.x.shape, index[0])
    normalized = Column("x^", places, own.normalized[tuple(places.T)])
    dy = elements("dy", record.dy, *places.T)
    return Parts(
        "dw[c] = Σ dy · x^, x^ = (x - mean) / sqrt(var + eps)",
        products(dy, normalized),
        BACKWARD[_kind(record)],
        reads=(*box(record, "dy", dy), *box(record, "x", normalized)),
    )


@explains(GroupNorm, LayerNorm, what="b")
def gradient_of_shift(record: Record, index: Index) -> Parts:
    """The bias is added at every place of its channel."""
    dy = elements("dy", record.dy, *places_of_channel(record.x.shape, index[0]).T)
    return Parts("db[c] = Σ dy", products(dy), BACKWARD[_kind(record)], reads=box(record, "dy", dy))


def _kind(record: Record) -> type[SampleNorm]:
    return GroupNorm if isinstance(record.layer, GroupNorm) else LayerNorm
