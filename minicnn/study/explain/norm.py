"""Local response normalization and batch normalization."""

import numpy as np

from ...kernels.reference import activation as activations
from ...kernels.reference import norm as kernels
from ...layers import BatchNorm2d, LocalResponseNorm
from ..trace import Record
from .explanation import Factor, Index, Parts, Read, Step, place
from .table import explains
from .terms import (
    Column,
    activation_step,
    applied,
    box,
    constant,
    element,
    elements,
    flat,
    number,
    products,
    slopes,
    term_of,
)


@explains(LocalResponseNorm, what="y")
def normalized_by_neighbors(record: Record, index: Index) -> Parts:
    """The terms are those of the scale s; then x is divided by a power of it."""
    layer = record.layer
    x = elements("x", record.x, *_neighbors(record, index))
    name, alpha = _alpha(layer)
    terms = [term_of(number("k", layer.k)), *products(constant(name, alpha), x, x)]
    value, beta = float(record.x[index]), layer.beta
    where = f"of {layer.size} neighboring maps at the same pixel"
    if layer.within_channel:
        where = f"of {layer.size}x{layer.size} pixels around i in the same map"
    return Parts(
        f"y_i = x_i · s_i^(-beta), s_i = k + {name} · Σ(j in N(i)) x_j²",
        terms,
        kernels.local_response_norm,
        then=Step(f"{place('x', index)} · sum^(-{beta:g})", lambda s: value * s**-beta),
        reads=box(record, "x", x),
        note=f"The terms are those of s; N(i) are {len(x.values)} {where}.",
    )


@explains(LocalResponseNorm, what="dx")
def gradient_by_neighbors(record: Record, index: Index) -> Parts:
    """x is a factor of its own output, and a term in the scale of each neighbor's."""
    layer = record.layer
    j = _neighbors(record, index, mirrored=True)
    name, alpha = _alpha(layer)
    dy, y = elements("dy", record.dy, *j), elements("y", record.y, *j)
    places = list(zip(*(axis.tolist() for axis in j), strict=True))
    scales = np.array([_scale(record, at) for at in places])
    x = [elements("x", record.x, *_neighbors(record, at)) for at in places]
    own = term_of(
        element("dy", record.dy, index),
        number(f"s^(-{layer.beta:g})", _scale(record, index) ** -layer.beta),
    )
    crossed = products(
        constant(f"-2 {name} beta", -2 * alpha * layer.beta),
        elements("x", record.x, *index),
        dy,
        y,
        Column("1/s", None, 1 / scales),
    )
    return Parts(
        f"dx_i = dy_i · s_i^(-beta) - 2 {name} beta · x_i · Σ(j: i in N(j)) dy_j · y_j / s_j",
        [own, *crossed],
        kernels.local_response_norm_grad,
        reads=(*box(record, "x", *x), *box(record, "dy", dy), *box(record, "y", y)),
        note="The first term is that of the own output; the others go through the scales of the "
        f"{'pixels' if layer.within_channel else 'maps'} that have x among their neighbors.",
    )


def _alpha(layer: LocalResponseNorm) -> tuple[str, float]:
    """The factor of the sum, as formulas have it, and its value."""
    if not layer.alpha_div_n:
        return "alpha", layer.alpha
    if layer.within_channel:
        return f"alpha/{layer.size}²", layer.alpha / layer.size**2
    return f"alpha/{layer.size}", layer.alpha / layer.size


def _neighbors(record: Record, index: Index, mirrored: bool = False) -> list[np.ndarray]:
    """The indices of N(index), one array per axis; mirrored: of the j with the index in N(j).

    Across channels they stay in the group, within a channel in the map.
    """
    layer, shape = record.layer, record.x.shape
    before, after = layer.size // 2, (layer.size - 1) // 2
    if mirrored:
        before, after = after, before

    def along(axis: int, first: int, stop: int) -> np.ndarray:
        i = index[axis]
        return np.arange(max(first, i - before), min(stop, i + after + 1))

    sides = [np.array([i]) for i in index]
    if layer.within_channel:
        sides[1], sides[2] = along(1, 0, shape[1]), along(2, 0, shape[2])
    else:
        width = shape[3] // layer.groups
        first = index[3] // width * width
        sides[3] = along(3, first, first + width)
    return flat(*sides)


def _scale(record: Record, index: Index) -> float:
    x = elements("x", record.x, *_neighbors(record, index)).values
    return float(record.layer.k + _alpha(record.layer)[1] * (x * x).sum())


@explains(BatchNorm2d, what="y")
def normalized_by_batch(record: Record, index: Index) -> Parts:
    """An affine function of x; the mean and the variance are those of the batch or running ones."""
    layer, channel = record.layer, _Channel(record, index[3])
    shift = -1.0 * channel.mean.value
    mean = Factor(f"-{channel.mean.name}", channel.mean.index, shift)
    x = element("x", record.x, index)
    name = layer.activation
    affine = f"{channel.gamma_text}(x - mean[c]) / sqrt(var[c] + eps) + b[c]"
    where = "this batch" if record.training else "the running statistics"
    return Parts(
        f"y = {applied(name, affine)}",
        [
            term_of(x, *channel.gamma, channel.inverse),
            term_of(mean, *channel.gamma, channel.inverse),
            term_of(element("b", record.parameters["b"], index[3:])),
        ],
        kernels.batch_norm,
        then=activation_step(name),
        reads=channel.box("x") if record.training else box(record, "x", _one(record, "x", index)),
        note=f"Mean {channel.mean.value:.6g} and variance {channel.variance:.6g} are of {where}.",
    )


@explains(BatchNorm2d, what="dx")
def gradient_by_batch(record: Record, index: Index) -> Parts:
    """In training three terms, as mean and variance depend on x, too."""
    channel = _Channel(record, index[3])
    scale = *channel.gamma, channel.inverse
    own = term_of(element("dy", record.dy, index), *channel.slope(index), *scale)
    if not record.training:
        return Parts(
            f"dx = {channel.gamma_text}dy{channel.slope_text} / sqrt(var[c] + eps)",
            [own],
            kernels.batch_norm_grad,
            reads=box(record, "dy", _one(record, "dy", index)),
            note="In evaluation mean and variance are constants.",
        )
    g = f"dy{channel.slope_text}"
    normalized = channel.normalized[index[:3]]
    means = channel.gradient.mean(), (channel.gradient * channel.normalized).mean()
    return Parts(
        f"dx = {channel.gamma_text}(g - mean(g) - x^ · mean(g · x^)) / sqrt(var[c] + eps), g = {g}",
        [
            own,
            term_of(number("-mean(g)", -means[0]), *scale),
            term_of(
                Factor("x^", index, float(normalized)), number("-mean(g · x^)", -means[1]), *scale
            ),
        ],
        kernels.batch_norm_grad,
        reads=(*channel.box("dy"), *channel.box("x")),
        note="The second term goes through the mean of the batch, the third through its variance; "
        "x^ is the normalized x.",
    )


@explains(BatchNorm2d, what="w")
def gradient_of_gamma(record: Record, index: Index) -> Parts:
    """gamma multiplies the normalized x at every place."""
    channel = _Channel(record, index[0])
    normalized = Column("x^", channel.places, channel.normalized.ravel())
    return Parts(
        f"dw[c] = Σ(n,h,w) dy{channel.slope_text} · x^, x^ = (x - mean[c]) / sqrt(var[c] + eps)",
        products(*channel.gradients(), normalized),
        kernels.batch_norm_grad,
        reads=(*channel.box("dy"), *channel.box("x")),
    )


@explains(BatchNorm2d, what="b")
def gradient_of_beta(record: Record, index: Index) -> Parts:
    """beta is added at every place."""
    channel = _Channel(record, index[0])
    return Parts(
        f"db[c] = Σ(n,h,w) dy{channel.slope_text}",
        products(*channel.gradients()),
        kernels.batch_norm_grad,
        reads=channel.box("dy"),
    )


def _one(record: Record, what: str, index: Index) -> Column:
    return elements(what, record.arrays()[what], *index)


class _Channel:
    """One channel of a batch norm, in float64.

    mean, inverse, gamma: the factors mean, 1 / sqrt(var + eps), and the weight if there is one.
    normalized: x^ `(N, H, W)`.
    """

    def __init__(self, record: Record, c: int):
        self.record, self.c = record, c
        self.activation = record.layer.activation
        own, layer = record.parameters, record.layer
        x = record.x[..., c].astype(np.float64)
        if record.training:
            self.mean, self.variance = number("mean", x.mean()), float(x.var())
        else:
            self.mean = element("running_mean", own["running_mean"], (c,))
            self.variance = float(own["running_var"][c])
        self.inverse = number("1/sqrt(var + eps)", 1 / np.sqrt(self.variance + layer.eps))
        self.gamma = (element("w", own["w"], (c,)),) if layer.weight is not None else ()
        self.normalized = (x - self.mean.value) * self.inverse.value

    @property
    def places(self) -> np.ndarray:
        """The indices of all elements of the channel."""
        grid = flat(*(np.arange(size) for size in self.record.x.shape[:3]))
        return np.stack([*grid, np.full_like(grid[0], self.c)], axis=-1)

    @property
    def gradient(self) -> np.ndarray:
        """The gradient before the activation, `(N, H, W)`."""
        value = np.ones(self.normalized.size)
        for column in self.gradients():
            value = value * column.values
        return value.reshape(self.normalized.shape)

    @property
    def gamma_text(self) -> str:
        """The weight in formulas, if there is one."""
        return "w[c] · " if self.gamma else ""

    @property
    def slope_text(self) -> str:
        """The slope in formulas."""
        return f" · {self.activation}'" if self.activation else ""

    def gradients(self) -> list[Column]:
        """dy and the slope of the activation, of all elements of the channel."""
        dy = elements("dy", self.record.dy, *self.places.T)
        if self.activation not in activations.FROM_INPUT:
            return [dy, *slopes(self.record, self.activation, *self.places.T)]
        z = self.normalized.ravel() * (self.gamma[0].value if self.gamma else 1.0)
        z = z + float(self.record.parameters["b"][self.c])
        slope = activations.ACTIVATIONS[self.activation][1](np.ones(z.size), z)
        return [dy, Column(f"{self.activation}'", self.places, slope)]

    def slope(self, index: Index) -> list[Factor]:
        """The slope of the activation at one element."""
        position = np.ravel_multi_index(index[:3], self.record.x.shape[:3])
        return [Factor(c.name, index, float(c.values[position])) for c in self.gradients()[1:]]

    def box(self, what: str) -> tuple[Read, ...]:
        """All elements of the channel."""
        return box(self.record, what, Column(what, self.places, np.empty(0)))
