"""Where the input of a layer comes from, and where the gradient of its output comes from."""

from ...layers import AuxiliaryNetwork, Concat, Graph, Residual, Sequential
from ...layers.graph import INPUT
from ..trace import LossRecord, Record, Trace, number_of
from .explanation import Factor, Index, Parts, Term
from .terms import from_layer, slope_factors, term_of


def origin(record: Record, number: int = 0) -> tuple[Record, str] | None:
    """The record and the array that the x of a layer is: the y of another one, or the input.

    number: which of the arrays that a layer reads, from 0 on.
    None if the container is not one of minicnn's.
    """
    if isinstance(record, LossRecord):
        return _end(record.output), "y"
    parent = record.parent
    if parent is None:
        return record, "x"
    if _is_sequence(parent):
        before = _name_before(parent, record)
        return (_end(parent.children[before]), "y") if before else origin(parent)
    if _computes_as(parent, Graph):
        source = parent.layer.inputs[_name_of(record)][number]
        return origin(parent) if source == INPUT else (_end(parent.children[source]), "y")
    if _computes_as(parent, Concat) or _computes_as(parent, Residual):
        return origin(parent)
    return None


def input_of(record: Record, index: Index, name: str = "x") -> Parts | None:
    """Where x comes from; name: "x2" for the second input of a layer that joins."""
    found = origin(record, number_of(name))
    if found is None:
        return None
    source, what = found
    is_input = what == "x"
    return Parts(
        f"{name} is the input of the network"
        if is_input
        else f"{name} = {source.path or 'network'}.y",
        [term_of(from_layer(source, what, index))],
        None if record.parent is None else type(record.parent.layer).forward,
        kind="paths",
    )


def upstream(trace: Trace, record: Record, index: Index) -> Parts | None:
    """Where dy comes from: the layers that read y, or the loss."""
    terms = _upstream(trace, record, index)
    if terms is None:
        return None
    read = " + ".join(" · ".join(_array(f) for f in term.factors) for term in terms)
    note = "y is read in several places, so their gradients are added." if len(terms) > 1 else ""
    is_given = [(f.path, f.name) for t in terms for f in t.factors] == [(record.path, "dy")]
    return Parts(
        "dy is the gradient that the pass began with" if is_given else f"dy = {read}",
        terms,
        None if record.parent is None else type(record.parent.layer).backward,
        kind="paths",
        note=note,
    )


def _upstream(trace: Trace, record: Record, index: Index) -> list[Term] | None:
    parent = record.parent
    if parent is None:
        return [term_of(_loss_gradient(trace, record, index, ""))]
    if _is_sequence(parent):
        return _in_sequence(trace, parent, record, index)
    if _computes_as(parent, Graph):
        name = _name_of(record)
        terms = read_in_graph(parent, name, index)
        is_last = name == list(parent.children)[-1]
        more = _upstream(trace, parent, index) if is_last else []
        return None if more is None else [*terms, *more]
    if _computes_as(parent, Concat):
        start = 0
        for branch in parent.children.values():
            if branch is record:
                break
            start += branch.y.shape[-1]
        return [term_of(from_layer(parent, "dy", (*index[:-1], start + index[-1])))]
    if _computes_as(parent, Residual):
        slope = slope_factors(parent, parent.layer.activation, index)
        return [term_of(from_layer(parent, "dy", index), *slope)]
    return None


def read_in_graph(graph: Record, source: str, index: Index) -> list[Term]:
    """The dx of all layers of a graph that read `source`, a layer or "input"."""
    terms = []
    for name, sources in graph.layer.inputs.items():
        reader = graph.children[name]
        for number, read in enumerate(sources):
            if read == source:
                what = f"dx{number + 1}" if reader.layer.joins else "dx"
                terms.append(term_of(from_layer(_begin(reader), what, index)))
    return terms


def _name_of(record: Record) -> str:
    """The name of a layer in its container."""
    assert record.parent is not None
    return next(name for name, child in record.parent.children.items() if child is record)


def _in_sequence(trace: Trace, parent: Record, record: Record, index: Index) -> list[Term] | None:
    """The dx of the next layer, plus that of a head that reads y."""
    layer = parent.layer
    names = list(layer._layers)
    place = next((i for i, name in enumerate(names) if parent.children[name] is record), None)
    if place is None:  # an auxiliary classifier
        number = list(layer.heads.values()).index(record.layer) + 1
        return [term_of(_loss_gradient(trace, record, index, f".aux{number}"))]
    if place + 1 < len(names):
        following = _begin(parent.children[names[place + 1]])
        terms: list[Term] | None = [term_of(from_layer(following, "dx", index))]
    else:
        terms = _upstream(trace, parent, index)
    head = layer.heads.get(names[place]) if isinstance(layer, AuxiliaryNetwork) else None
    read = [child for child in parent.children.values() if child.layer is head]
    if terms is not None and read:
        terms.append(term_of(from_layer(_begin(read[0]), "dx", index)))
    return terms


def _loss_gradient(trace: Trace, record: Record, index: Index, suffix: str) -> Factor:
    """The gradient of the loss; the record's own dy if the pass began with it."""
    loss = trace.loss_path + suffix
    owner, what = (trace[loss], "dx") if loss in trace else (record, "dy")
    return from_layer(owner, what, index)


def _computes_as(record: Record, kind: type) -> bool:
    """True for a layer of that kind which overrides neither forward nor backward."""
    own = type(record.layer)
    return isinstance(record.layer, kind) and (own.forward, own.backward) == (
        kind.forward,  # type: ignore[attr-defined]
        kind.backward,  # type: ignore[attr-defined]
    )


def _is_sequence(record: Record) -> bool:
    return _computes_as(record, Sequential) or _computes_as(record, AuxiliaryNetwork)


def _name_before(parent: Record, record: Record) -> str | None:
    """The layer of a sequence whose output this one reads; None for the first."""
    names = list(parent.layer._layers)
    for before, name in zip([None, *names], names, strict=False):
        if parent.children[name] is record:
            return before
    return next(name for name, head in parent.layer.heads.items() if head is record.layer)


def _end(record: Record) -> Record:
    """The last layer of a sequence or graph, of containers in containers the innermost."""
    while _is_sequence(record) or _computes_as(record, Graph):
        record = record.children[list(record.layer._layers)[-1]]
    return record


def _begin(record: Record) -> Record:
    """The first layer of a sequence."""
    while _is_sequence(record):
        record = record.children[next(iter(record.layer._layers))]
    return record


def _array(factor: Factor) -> str:
    return factor.name if factor.path is None else f"{factor.path or 'network'}.{factor.name}"
