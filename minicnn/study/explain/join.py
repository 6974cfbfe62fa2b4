"""Layers that join several arrays, and `Slice` of channels."""

from bisect import bisect_right
from itertools import accumulate
from typing import Any

from ...layers import Add, Concatenate, Maximum, Multiply, Slice
from ..trace import Record
from .explanation import Factor, Index, Parts, Read
from .table import explains
from .terms import activation_step, applied, box, element, elements, slope_factors, term_of


def _at(array: Any, index: Index) -> Index:
    """The place in an array that may be repeated along axes of length 1."""
    return tuple(0 if n == 1 else i for i, n in zip(index, array.shape, strict=True))


def _elements(record: Record, index: Index) -> list[Factor]:
    """The element of each array that becomes the one of y."""
    return [element(f"x{i}", x, _at(x, index)) for i, x in enumerate(record.x, 1)]


def _read(record: Record, index: Index) -> tuple[Read, ...]:
    boxes = [
        box(record, f"x{i}", elements(f"x{i}", x, *_at(x, index)))
        for i, x in enumerate(record.x, 1)
    ]
    return tuple(read for found in boxes for read in found)


def _repeated(record: Record, index: Index, number: int) -> list[Index]:
    """The places of y that an element of the input of that number becomes."""
    places: list[Index] = [()]
    for i, own, size in zip(index, record.x[number].shape, record.y.shape, strict=True):
        repeats = range(size) if own == 1 else (i,)
        places = [(*place, j) for place in places for j in repeats]
    return places


def _dy_read(record: Record, places: list[Index]) -> tuple[Read, ...]:
    assert record.dy is not None
    return box(record, "dy", *(elements("dy", record.dy, *place) for place in places))


@explains(Add, what="y")
def added(record: Record, index: Index) -> Parts:
    """The sum of the inputs, and the activation."""
    name = record.layer.activation
    found = _elements(record, index)
    return Parts(
        f"y = {applied(name, ' + '.join(x.name for x in found))}",
        [term_of(x) for x in found],
        Add.forward,
        then=activation_step(name),
        reads=_read(record, index),
    )


@explains(Add, what="dx")
def gradient_of_added(record: Record, index: Index, number: int) -> Parts:
    """dy before the activation, for every input."""
    name = record.layer.activation
    places = _repeated(record, index, number)
    return Parts(
        f"dx{number + 1} = " + (f"dy · {name}'(y)" if name else "dy"),
        [
            term_of(element("dy", record.dy, place), *slope_factors(record, name, place))
            for place in places
        ],
        Add.backward,
        reads=_dy_read(record, places),
        note=_summed(places),
    )


def _summed(places: list[Index]) -> str:
    return "The number was repeated, so its gradients are added." if places[1:] else ""


@explains(Multiply, what="y")
def multiplied(record: Record, index: Index) -> Parts:
    """The product of the inputs."""
    found = _elements(record, index)
    formula = f"y = {' · '.join(x.name for x in found)}"
    return Parts(formula, [term_of(*found)], Multiply.forward, reads=_read(record, index))


@explains(Multiply, what="dx")
def gradient_of_multiplied(record: Record, index: Index, number: int) -> Parts:
    """dy times the other inputs."""
    places = _repeated(record, index, number)
    terms = []
    for place in places:
        others = [x for i, x in enumerate(_elements(record, place)) if i != number]
        terms.append(term_of(element("dy", record.dy, place), *others))
    names = [f"x{i}" for i in range(1, len(record.x) + 1) if i != number + 1]
    return Parts(
        f"dx{number + 1} = {' · '.join(['dy', *names])}",
        terms,
        Multiply.backward,
        reads=_dy_read(record, places),
        note=_summed(places),
    )


@explains(Maximum, what="y")
def largest(record: Record, index: Index) -> Parts:
    """The largest of the inputs."""
    found, first = _elements(record, index), _first_largest(record, index)
    return Parts(
        f"y = max({', '.join(x.name for x in found)})",
        [term_of(x)._replace(chosen=i == first) for i, x in enumerate(found)],
        Maximum.forward,
        kind="selection",
        reads=_read(record, index),
    )


@explains(Maximum, what="dx")
def gradient_of_largest(record: Record, index: Index, number: int) -> Parts:
    """dy where the input is the largest."""
    won = [p for p in _repeated(record, index, number) if _first_largest(record, p) == number]
    note = "" if won else "Another input is larger here."
    return Parts(
        f"dx{number + 1} = dy where x{number + 1} is the largest",
        [term_of(element("dy", record.dy, place)) for place in won],
        Maximum.backward,
        reads=_dy_read(record, won) if won else (),
        note=note or _summed(won),
    )


def _first_largest(record: Record, index: Index) -> int:
    values = [x.value for x in _elements(record, index)]
    return values.index(max(values))


@explains(Concatenate, what="y")
def one_input(record: Record, index: Index) -> Parts:
    """The input that the channel belongs to."""
    ends = list(accumulate(x.shape[-1] for x in record.x))
    number = bisect_right(ends, index[-1])
    start, name = [0, *ends][number], f"x{number + 1}"
    place = (*index[:-1], index[-1] - start)
    return Parts(
        f"y[..., c] = {name}[..., c - {start}]",
        [term_of(element(name, record.x[number], place))],
        Concatenate.forward,
        kind="paths",
        reads=box(record, name, elements(name, record.x[number], *place)),
        note=f"The channels {start} to {ends[number] - 1} are those of {name}.",
    )


@explains(Concatenate, what="dx")
def gradient_of_one_input(record: Record, index: Index, number: int) -> Parts:
    """The channels of dy that belong to this input."""
    start = sum(x.shape[-1] for x in record.x[:number])
    place = (*index[:-1], index[-1] + start)
    return Parts(
        f"dx{number + 1}[..., c] = dy[..., c + {start}]",
        [term_of(element("dy", record.dy, place))],
        Concatenate.backward,
        kind="paths",
        reads=_dy_read(record, [place]),
    )


@explains(Slice, what="y")
def one_channel(record: Record, index: Index) -> Parts:
    """The same channel of x."""
    start = record.layer.start
    place = (*index[:-1], index[-1] + start)
    return Parts(
        f"y[..., c] = x[..., c + {start}]",
        [term_of(element("x", record.x, place))],
        Slice.forward,
        kind="paths",
        reads=box(record, "x", elements("x", record.x, *place)),
    )


@explains(Slice, what="dx")
def gradient_of_one_channel(record: Record, index: Index) -> Parts:
    """dy, or 0 for the other channels."""
    layer = record.layer
    formula = f"dx[..., c] = dy[..., c - {layer.start}], or 0"
    if not layer.start <= index[-1] < layer.stop:
        note = "The channel is not in the slice."
        return Parts(formula, [], Slice.backward, kind="paths", note=note)
    place = (*index[:-1], index[-1] - layer.start)
    return Parts(
        formula,
        [term_of(element("dy", record.dy, place))],
        Slice.backward,
        kind="paths",
        reads=_dy_read(record, [place]),
    )
