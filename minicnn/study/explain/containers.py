"""Containers: which layers their outputs come from, and which paths their gradients add up."""

from bisect import bisect_right
from itertools import accumulate

from ...layers import AuxiliaryNetwork, Concat, Graph, Residual, Sequential
from ...layers.graph import INPUT
from ..trace import Record
from .explanation import Index, Parts
from .flow import read_in_graph
from .table import explains
from .terms import activation_step, applied, from_layer, slope_factors, term_of


@explains(Sequential, AuxiliaryNetwork, Graph, what="y")
def last_output(record: Record, index: Index) -> Parts:
    """The output of the last layer."""
    last = list(record.layer._layers)[-1]
    return Parts(
        f"y = {last}.y",
        [term_of(from_layer(record.children[last], "y", index))],
        type(record.layer).forward,
        kind="paths",
        note="The output of a network is that of its last layer.",
    )


@explains(Sequential, AuxiliaryNetwork, what="dx")
def first_gradient(record: Record, index: Index) -> Parts:
    """The input gradient of the first layer."""
    first = next(iter(record.layer._layers))
    return Parts(
        f"dx = {first}.dx",
        [term_of(from_layer(record.children[first], "dx", index))],
        type(record.layer).backward,
        kind="paths",
        note="The input gradient of a sequence is that of its first layer.",
    )


@explains(Graph, what="dx")
def all_readers(record: Record, index: Index) -> Parts:
    """All layers that read the input, so their input gradients are added."""
    terms = read_in_graph(record, INPUT, index)
    return Parts(
        "dx = " + " + ".join(f"{t.factors[0].path}.{t.factors[0].name}" for t in terms),
        terms,
        Graph.backward,
        kind="paths",
        note="The gradients of all layers that read the input are added." if terms[1:] else "",
    )


@explains(Concat, what="y")
def one_branch(record: Record, index: Index) -> Parts:
    """The branch that the channel belongs to."""
    ends = list(accumulate(branch.y.shape[-1] for branch in record.children.values()))
    number = bisect_right(ends, index[-1])
    name, branch = list(record.children.items())[number]
    start, end = [0, *ends][number], ends[number]
    own = (*index[:-1], index[-1] - start)
    return Parts(
        f"y[..., c] = {name}.y[..., c - {start}]",
        [term_of(from_layer(branch, "y", own))],
        Concat.forward,
        kind="paths",
        note=f"The channels {start} to {end - 1} are those of {name}.",
    )


@explains(Concat, what="dx")
def all_branches(record: Record, index: Index) -> Parts:
    """All branches read x, so their input gradients are added."""
    return Parts(
        "dx = " + " + ".join(f"{name}.dx" for name in record.children),
        [term_of(from_layer(branch, "dx", index)) for branch in record.children.values()],
        Concat.backward,
        kind="paths",
        note="Every branch reads x, so the gradients of all branches are added.",
    )


@explains(Residual, what="y")
def both_paths(record: Record, index: Index) -> Parts:
    """The body plus the shortcut, and the activation."""
    body, shortcut = record.children["body"], record.children.get("shortcut")
    other = from_layer(shortcut, "y", index) if shortcut else from_layer(record, "x", index)
    name = record.layer.activation
    text = f"body.y + {'shortcut.y' if shortcut else 'x'}"
    return Parts(
        f"y = {applied(name, text)}",
        [term_of(from_layer(body, "y", index)), term_of(other)],
        Residual.forward,
        kind="paths",
        then=activation_step(name),
        note="" if shortcut else "The shortcut is the identity.",
    )


@explains(Residual, what="dx")
def both_gradients(record: Record, index: Index) -> Parts:
    """The gradient of the body plus that of the shortcut."""
    body, shortcut = record.children["body"], record.children.get("shortcut")
    name = record.layer.activation
    if shortcut:
        text, other = "shortcut.dx", term_of(from_layer(shortcut, "dx", index))
    else:
        text = f"dy · {name}'(y)" if name else "dy"
        other = term_of(from_layer(record, "dy", index), *slope_factors(record, name, index))
    return Parts(
        f"dx = body.dx + {text}",
        [term_of(from_layer(body, "dx", index)), other],
        Residual.backward,
        kind="paths",
        note="x goes both ways, so both gradients are added.",
    )
