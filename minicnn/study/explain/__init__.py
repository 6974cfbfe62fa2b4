"""How one number of a traced pass was made: the sum, the selection or the function, term by term.

`explain(trace, path, what, index)` looks the layer up in a table of functions; one file per family
of layers has them.
"""

import math
from collections.abc import Sequence
from typing import Any

from ...errors import brief
from ...kernels.types import Array
from ...layers import dense, fused
from ..trace import Record, Trace, is_activation, number_of
from . import (
    activation,
    adaptive_pool,
    containers,
    conv,
    elementwise,
    flow,
    join,
    linear,
    loss,
    norm,
    pool,
    rearrange,
    resample,
    sample_norm,
    transposed,
)
from .explanation import (
    Explanation,
    Factor,
    Index,
    Parts,
    Read,
    Source,
    Step,
    Term,
    add_up,
    place,
    source_of,
)
from .table import explains, find

__all__ = [
    "Explanation",
    "Factor",
    "Parts",
    "Read",
    "Source",
    "Step",
    "Term",
    "activation",
    "adaptive_pool",
    "array_of",
    "containers",
    "conv",
    "elementwise",
    "explain",
    "explains",
    "flow",
    "join",
    "linear",
    "loss",
    "norm",
    "pool",
    "rearrange",
    "resample",
    "sample_norm",
    "transposed",
]

NAMES = {"weight": "w", "bias": "b", "dweight": "w", "dbias": "b"}  # other names of an array


def explain(trace: Trace, path: str, what: str, index: Sequence[int] | int) -> Explanation:
    """How the number at `index` of an array of the layer `path` was made.

    what: "y"; "dx"; "w", "b" or the name of another parameter, for its gradient; "x" and "dy", for
        where these come from. A layer that joins has "x1" and "dx1", "x2" and "dx2", ...
    index: one integer per axis of that array, the image first.
    Raises ValueError for a layer, an array or an index that the trace does not have.
    """
    record = trace[path]
    what, array = array_of(record, what)
    index = _checked(record, what, array, (index,) if hasattr(index, "__index__") else index)
    engine = float(array[index])
    found = _parts(trace, record, what, index) or _unexplained(record, what)
    if found.kind == "none":
        total = added = math.nan
    else:
        chosen = [term for term in found.terms if term.chosen]
        added = add_up(chosen if found.kind == "selection" else found.terms)
        total = found.then.apply(added) if found.then else added
    return Explanation(
        title=f"{path or record.kind}: {place(title_of(record, what), index)}",
        path=path,
        layer=record.kind,
        what=what,
        index=index,
        formula=found.formula,
        kind=found.kind,
        terms=tuple(found.terms),
        sum=added,
        then=found.then.text if found.then else "",
        total=total,
        engine=engine,
        difference=total - engine,
        dtype=str(array.dtype),
        source=source_of(found.function),
        reads=tuple(_read_where_it_was_made(record, read) for read in found.reads),
        note=found.note,
    )


def _parts(trace: Trace, record: Record, what: str, index: Index) -> Parts | None:
    """The explanation of a path, or that of the layer; None if there is none."""
    is_input = is_activation(what) and what.startswith("x")
    if is_input:
        return flow.input_of(record, index, what)
    if what == "dy":
        return flow.upstream(trace, record, index)
    joins = isinstance(record.x, tuple)
    function = find(record.layer, "dx" if joins and what != "y" else what)
    arguments = (number_of(what),) if joins and what != "y" else ()
    found = function(record, index, *arguments) if function else None
    if not isinstance(found, Parts | None):
        raise ValueError(
            f"{record.kind}.explain returned {type(found).__name__} for {what}; expected Parts, or "
            "None"
        )
    return found


def _read_where_it_was_made(record: Record, read: Read) -> Read:
    """A box of x as a box of the layer whose output x is."""
    is_own = read.path == record.path and is_activation(read.what) and read.what.startswith("x")
    source = flow.origin(record, number_of(read.what)) if is_own else None
    return read._replace(path=source[0].path, what=source[1]) if source else read


def title_of(record: Record, what: str) -> str:
    """The array as formulas have it: the gradient of w is dw."""
    return f"d{what}" if what in record.gradients else what


def array_of(record: Record, what: str) -> tuple[str, Array]:
    """The array that is called so, and its usual name: "w" for "dw", "dweight" or "weight".

    Raises ValueError for one that the record does not have.
    """
    arrays, what = record.arrays(), NAMES.get(what, what)
    if what not in arrays and what.startswith("d") and what[1:] in record.gradients:
        what = what[1:]
    if what not in arrays:
        is_parameter = what in record.parameters and what not in record.layer.buffers
        reason = "is not there"
        if record.dy is None and (is_parameter or what in ("dx", "dy")):
            reason = "is not there: no container called the layer's `backpropagate`"
        elif is_parameter:
            reason = "is frozen: it has no gradient"
        raise ValueError(
            f"{record.path or record.kind}: {what} {reason}; expected one of {', '.join(arrays)}"
        )
    return what, arrays[what]


def _checked(record: Record, what: str, array: Array, index: Sequence[Any]) -> Index:
    """The index in plain integers. Raises ValueError unless it is in the array."""
    name = f"{record.path or record.kind}: {place(what, tuple(index)) if index else what + '[]'}"
    if len(index) != array.ndim:
        raise ValueError(
            f"{name} has {len(index)} indices; expected {array.ndim}: {what} has the shape "
            f"{array.shape}"
        )
    for axis, (i, size) in enumerate(zip(index, array.shape, strict=True)):
        if not hasattr(i, "__index__") or not 0 <= i < size:
            raise ValueError(
                f"{name}: index {brief(i)} of axis {axis}: expected an integer from 0 to {size - 1}"
            )
    return tuple(int(i) for i in index)


def _unexplained(record: Record, what: str) -> Parts:
    remedy = "a class of your own can have a method explain(record, what, index), with result Parts"
    if what == "dy" or (is_activation(what) and what.startswith("x")):
        remedy = "its container is of another kind than minicnn's"
    elif type(record.layer).__module__ in (fused.__name__, dense.__name__):
        remedy = "trace the network before `fuse`"
    return Parts(
        "",
        [],
        None,
        kind="none",
        note=f"There is no explanation for {what} of {record.kind}; {remedy}.",
    )
