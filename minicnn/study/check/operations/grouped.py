"""Grouped and depthwise convolution: the catalogue of the convolution, made in every group."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Fault, Form, Operation, Results, integers, normal, with_dy
from .conv import has_rest, terms
from .conv_borders import border_faults
from .conv_catalogue import FAULTS, FORMULAS, conv_tables
from .reshaped import reshaped

# n, H, W, C, kH, kW, K, stride, padding, groups
GROUPED = [
    (2, 5, 4, 4, 3, 2, 6, 1, 0, 2),
    (2, 5, 6, 6, 3, 3, 3, 2, 1, 3),
    (1, 5, 8, 4, 2, 3, 8, 1, 2, 4),
    (3, 6, 5, 6, 2, 2, 4, 3, 0, 2),
]
DEPTHWISE = [
    (2, 5, 4, 3, 3, 2, 3, 1, 0, 3),
    (2, 5, 6, 4, 3, 3, 4, 2, 1, 4),
    (1, 5, 8, 2, 2, 3, 2, 1, 2, 2),
    (3, 6, 5, 3, 2, 2, 3, 3, 0, 3),
]
SMALL = [
    (1, 1, 1, 2, 1, 1, 2, 1, 0, 2),
    (1, 2, 2, 2, 2, 2, 2, 1, 0, 2),
    (1, 3, 3, 2, 2, 2, 2, 1, 0, 2),
    (1, 3, 3, 2, 2, 2, 2, 1, 1, 2),
    (1, 3, 3, 2, 2, 2, 2, 2, 1, 2),
    (2, 2, 3, 2, 1, 2, 2, 1, 0, 2),
]
MIXED = [(1, 1, 1, 4, 1, 1, 2, 1, 0, 2), (1, 1, 1, 4, 1, 1, 4, 1, 0, 2)]


def _make(geometry: tuple[int, ...], draw: Callable[..., Array]) -> Case:
    n, h, w, c, kh, kw, k, stride, padding, groups = geometry
    arrays = {"x": draw(n, h, w, c), "w": draw(kh, kw, c // groups, k), "b": draw(k)}
    return Case(arrays, {"stride": stride, "padding": padding, "groups": groups})


def _forward(c: Case) -> Array:
    return reference.conv2d(c.x, c.w, c.b, c.stride, c.padding, groups=c.groups)


def _truth(c: Case, observed: Results) -> Results:
    geometry: dict[str, Any] = {"stride": c.stride, "padding": c.padding, "groups": c.groups}
    dx = reference.conv2d_grad_input(c.dy, c.w, c.x.shape, **geometry)
    dw, db = reference.conv2d_grad_weight(c.dy, c.x, c.w.shape, **geometry)
    return {"y": _forward(c), "dx": dx, "dw": dw, "db": np.asarray(db)}


def _of_each_group(c: Case) -> Iterator[Case]:
    """The plain convolution of each group."""
    settings = {"stride": c.stride, "padding": c.padding}
    channels, filters = (np.split(np.arange(a.shape[-1]), c.groups) for a in (c.x, c.dy))
    for own, made in zip(channels, filters, strict=True):
        arrays = {"x": c.x[..., own], "w": c.w[..., made], "b": c.b[made]}
        yield Case(arrays, settings, c.dy[..., made])


def _joined(form: Form, c: Case) -> Array:
    """A form of the convolution in every group."""
    return np.concatenate([form(part) for part in _of_each_group(c)], axis=-1)


def _terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    per = right[result].shape[-1] // c.groups
    part = list(_of_each_group(c))[index[-1] // per]
    return terms(part, result, (*index[:-1], index[-1] % per), right)


def _interleaved(c: Case, name: str) -> Array:
    """An array whose channels are in the order 0, G, 2G, ... instead of 0, 1, 2, ..."""
    a = c.dy if name == "dy" else c.arrays[name]
    order = np.arange(a.shape[-1]).reshape(-1, c.groups).T.ravel()
    return a[..., order]


def _first_group(c: Case) -> Case:
    per = c.x.shape[3] // c.groups
    return c.but(x=np.tile(c.x[..., :per], c.groups))


def _put_in_first(c: Case) -> Array:
    dx = _truth(c, {})["dx"]
    per, total = dx.shape[3] // c.groups, np.zeros_like(dx)
    total[..., :per] = dx.reshape(*dx.shape[:3], c.groups, per).sum(axis=3)
    return total


def _asked(result: str, change: Callable[[Case], Case], c: Case) -> Array:
    return _truth(change(c), {})[result]


# Those of db alone need no filters.
OF_DB = tuple(f for f in FAULTS if list(f.forms) == ["db"] and f.name != "kept axis")
ADVICE = (
    "Group g reads the input channels g*C/G to (g+1)*C/G and writes the output channels g*K/G to "
    "(g+1)*K/G."
)
GROUP_FAULTS = (
    Fault(
        "first group for all",
        "every group reads the input channels of the first one",
        ADVICE,
        {r: partial(_asked, r, _first_group) for r in ("y", "dw")},
    ),
    Fault(
        "all into the first group",
        "the gradients of all groups are added into the channels of the first one",
        ADVICE,
        {"dx": _put_in_first},
    ),
    Fault(
        "interleaved channels",
        "the groups read every G-th input channel instead of neighboring ones",
        ADVICE,
        {
            r: partial(_asked, r, lambda c: c.but(x=_interleaved(c, "x")))
            for r in ("y", "dw")
        },
    ),
    Fault(
        "interleaved filters",
        "filter k belongs to group k % G instead of k // (K/G)",
        ADVICE,
        {"y": lambda c: _joined_by_remainder(c)},
    ),
)  # fmt: skip


def _group_numbers(a: Array, groups: int) -> Array:
    return a // (len(a) // groups)


ORDERS: dict[str, Callable[[Array, int], Array]] = {  # of the channels 0, 1, 2, ... and G groups
    "interleaved: 0, G, 2G, ...": lambda a, groups: a.reshape(-1, groups).T.ravel(),
    "interleaved: 0, C/G, 2C/G, ...": lambda a, groups: a.reshape(groups, -1).T.ravel(),
    "those of the groups in reverse": lambda a, groups: a.reshape(groups, -1)[::-1].ravel(),
    "those of the next group": lambda a, groups: np.roll(a.reshape(groups, -1), -1, 0).ravel(),
    "those of the previous group": lambda a, groups: np.roll(a.reshape(groups, -1), 1, 0).ravel(),
}


def _in_order(order: Callable[[Array, int], Array], name: str, result: str, c: Case) -> Array:
    """The result with the channels of one array, or its own, in another order."""

    def turned(a: Array) -> Array:
        return a[..., order(np.arange(a.shape[-1]), c.groups)]

    if name != result:
        a = c.dy if name == "dy" else c.arrays[name]
        return _truth(c.but(**{name: turned(a)}), {})[result]
    if name == "y":  # the bias is added afterwards
        return turned(_forward(c.but(b=0 * c.b))) + c.b
    return turned(_truth(c, {})[name])


def _order_faults() -> Iterator[Fault]:
    for says, order in ORDERS.items():
        for name, results in (
            ("x", ("y", "dw")),
            ("w", ("y", "dx")),
            ("dy", ("dx", "dw")),
            ("y", ("y",)),
            ("dx", ("dx",)),
            ("dw", ("dw",)),
            ("b", ("y",)),
        ):
            forms = {r: partial(_in_order, order, name, r) for r in results}
            what = "filters" if name in ("w", "dw") else "channels"
            yield Fault("order", f"the {what} of {name} are {says}", ADVICE, forms)


OF_THE_GROUP = Fault(
    "bias of the group",
    "the bias is b[g] of group g, not b[k] of output channel k",
    "Add b[k] to every place of output channel k.",
    {"y": lambda c: _forward(c.but(b=c.b[_group_numbers(np.arange(len(c.b)), c.groups)]))},
)


def _joined_by_remainder(c: Case) -> Array:
    """y whose filter k reads the channels of group k % G."""
    per, y = c.x.shape[3] // c.groups, np.zeros_like(_forward(c))
    for k in range(c.w.shape[3]):
        own = c.x[..., k % c.groups * per :][..., :per]
        y[..., k] = reference.conv2d(own, c.w[..., [k]], c.b[[k]], c.stride, c.padding)[..., 0]
    return y


SUMMED = Fault(
    "channels summed",
    "the channels are summed: each output channel reads all input channels",
    "Output channel c reads input channel c only.",
    {"y": lambda c: _forward(c.but(b=0 * c.b)).sum(axis=3, keepdims=True) + c.b},
)


def _in_every_group(fault: Fault) -> Fault:
    return replace(fault, forms={r: partial(_joined, form) for r, form in fault.forms.items()})


BORDERS = tuple(map(_in_every_group, border_faults()))


def _carried_over(without: tuple[str, ...]) -> tuple[Fault, ...]:
    """The mistakes of the convolution, made in every group; without those that it cannot have."""
    return (
        tuple(
            replace(
                f, change=None, forms={r: partial(_joined, form) for r, form in f.forms.items()}
            )
            for f in FAULTS
            if f not in OF_DB and f.name not in without
        )
        + OF_DB
    )


def _operation(
    name: str,
    title: str,
    geometries: list,
    small: list,
    faults: tuple[Fault, ...],
    more: tuple[Fault, ...],
) -> Operation:
    def cases(generator: np.random.Generator) -> list[Case]:
        draw = normal(generator)
        return [with_dy(_make(g, draw), _forward, generator) for g in geometries]

    def small_cases() -> list[Case]:
        made = [_make(g, integers) for g in small]
        return [c.but(dy=integers(*_forward(c).shape, start=3)) for c in made]

    return Operation(
        name=name,
        title=title,
        source="minicnn.kernels.reference.conv",
        formulas=GROUP_FORMULAS,
        cases=cases,
        small=small_cases,
        truth=_truth,
        terms=_terms,
        faults=faults,
        more=more,
        pairs=lambda: map(_in_every_group, conv_tables()),
        gradients=("dx", "dw", "db"),
        images=("x", "y", "dy", "dx"),
        filters=("w", "dw"),
        may_refuse=has_rest,
    )


GROUP_FORMULAS = {
    result: f"{formula},  c and k in the same group" if result != "db" else formula
    for result, formula in FORMULAS.items()
}
KEPT = ("kept axis",)  # a general mistake has this name, too
# A group of a depthwise convolution has one input channel and one filter.
OF_MANY = (
    "first bias for all",
    "bias per channel",
    "last channel only",
    "first channel only",
    "channels summed",
    "first weights for all channels",
    "last filter only",
    "first filter only",
    "first filter for all",
)
GROUPED_CONV2D = _operation(
    "grouped_conv2d",
    "grouped convolution",
    GROUPED,
    SMALL + MIXED,
    _carried_over(KEPT) + GROUP_FAULTS,
    (*_order_faults(), OF_THE_GROUP, *BORDERS),
)
_DEPTHWISE = _operation(
    "depthwise_conv2d",
    "depthwise convolution",
    DEPTHWISE,
    SMALL,
    (*_carried_over(KEPT + OF_MANY), *GROUP_FAULTS[:2], SUMMED),
    BORDERS,
)
DEPTHWISE_CONV2D = replace(
    _DEPTHWISE,
    forms=tuple(
        reshaped(_DEPTHWISE, {"w": (there, back)}, images=False, axes=axes)
        for axes, there, back in (  # from (kH, kW, 1, C)
            (
                "C kH kW",
                lambda a: a[:, :, 0].transpose(2, 0, 1),
                lambda a: a.transpose(1, 2, 0)[:, :, None],
            ),
            ("kH kW C", lambda a: a[:, :, 0], lambda a: a[:, :, None]),
            ("kH kW C F", lambda a: a.swapaxes(2, 3), lambda a: a.swapaxes(2, 3)),
        )
    ),
)
