"""`fuse` rewrites a network: the same results in fewer passes over memory.

| neighbors                            | fused layer     | pass that it saves            |
|--------------------------------------|-----------------|-------------------------------|
| convolution, batch norm              | `ConvNorm`      | in evaluation, the batch norm |
| residual block that ends with these  | `ResidualNorm`  | the additions and the ReLU    |
| branches that read the same maps     | `SummingConcat` | in backward, the additions    |
| convolutions with ReLU, max pools    | `ReLUChain`     | in backward, the mask of ReLU |
| concatenations that keep their input | `DenseBlock`    | the copy of all earlier maps  |
| frozen layers at the start           | `FrozenStart`   | backward                      |

A fused layer contains the layers that it replaces, and so shares their parameters and buffers. Its
results are equal to theirs up to rounding. The layers are in `fused.py`, their operations in
`kernels/*/fused.py`; `minicnn.kernels.reference.fused` defines each as a composition.
"""

import copy
from typing import Any

from .branches import Concat, Residual
from .conv import Conv2d
from .dense import DenseBlock
from .fused import ConvNorm, FrozenStart, ReLUChain, ResidualNorm, SummingConcat, runs_as
from .graph import Graph
from .layer import Layer
from .network import AuxiliaryNetwork
from .norm import BatchNorm2d
from .parameter import are_frozen
from .pool import MaxPool2d
from .sequential import Container, Sequential
from .shape import Identity


def fuse(model: Any) -> Any:
    """A network of the same parameters and buffers in which neighbors are fused.

    The model itself is not changed; training either of the two trains both. Layers that minicnn
    does not define are kept. To observe every single layer, run the unfused model. After layers
    were frozen or unfrozen, fuse the model again.
    """
    start, rest = _split_frozen(model)
    if not (start and rest):
        return _fused(model)
    return FrozenStart(_fused(Sequential(**start)), _fused(_with_layers(model, rest)))


def _split_frozen(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The layers before the first one that is trained, and the others; none if none is frozen."""
    start: dict[str, Any] = {}
    rest = dict(model._layers) if is_chain(model) and model.frozen_names() else {}
    for name, layer in list(rest.items()):
        if not are_frozen(*layer.parameters()):
            inner_start, inner_rest = _split_frozen(layer)
            if inner_start and inner_rest:
                start[name] = Sequential(**inner_start)
                rest[name] = _with_layers(layer, inner_rest)
            break
        if name in getattr(model, "heads", {}):
            break
        start[name] = rest.pop(name)
    return (start, rest) if any(layer.parameters() for layer in start.values()) else ({}, {})


def is_chain(layer: Any) -> bool:
    """True if a layer runs its layers in order."""
    return runs_as(layer, Sequential) or runs_as(layer, AuxiliaryNetwork)


def _fused(model: Any) -> Any:
    """The network with its neighbors fused."""
    if runs_as(model, Sequential):
        return _with_layers(model, _fuse_neighbors(model))
    if runs_as(model, Graph):
        return _fuse_graph(model)
    if runs_as(model, Concat):
        return SummingConcat(**{name: _fused(layer) for name, layer in model._layers.items()})
    if runs_as(model, AuxiliaryNetwork):
        twin = _with_layers(model, {name: _fused(layer) for name, layer in model._layers.items()})
        twin.heads = {name: _fused(head) for name, head in model.heads.items()}
        return twin
    if runs_as(model, Residual):
        return _fuse_residual(model)
    return model


def _with_layers(container: Any, layers: dict[str, Layer]) -> Any:
    """A copy of the container with other layers."""
    twin = copy.copy(container)
    twin._layers = layers
    return twin


def _fuse_neighbors(container: Container) -> dict[str, Layer]:
    """The layers of a Sequential by name, with groups of neighbors replaced by fused layers."""
    return _fuse_items(list(container._layers.items()))


def _fuse_items(items: list[tuple[str, Any]]) -> dict[str, Layer]:
    fused: dict[str, Layer] = {}
    while items:
        length = _chain_length(items)
        if length > 1:
            group: dict[str, Any] = dict(items[:length])
            fused["+".join(group)] = ReLUChain(group)
        elif (length := _dense_length(items)) > 1:
            branches = {name: _fused(layer[1]) for name, layer in items[:length]}
            fused["+".join(branches)] = DenseBlock(branches)
        elif len(items) > 1 and are_conv_and_norm(items[0][1], items[1][1]):
            length = 2
            group = dict(items[:2])
            fused["+".join(group)] = ConvNorm(*group.values())
        else:
            length = 1
            fused[items[0][0]] = _fused(items[0][1])
        items = items[length:]
    return fused


def _fuse_graph(graph: Graph) -> Graph:
    """The graph with neighbors fused: layers of which one is the only reader of the other."""
    layers: dict[str, Layer] = {}
    inputs: dict[str, tuple[str, ...]] = {}
    renamed: dict[str, str] = {}  # a layer of the graph to the one that gives its output
    for chain in graph.chains():
        sources = tuple(renamed.get(s, s) for s in graph.inputs[chain[0]])
        for name, layer in _fuse_items([(n, graph._layers[n]) for n in chain]).items():
            layers[name], inputs[name] = layer, sources
            sources = (name,)
        renamed[chain[-1]] = name
    twin = _with_layers(graph, layers)
    twin.inputs = inputs
    return twin


def _fuse_residual(block: Residual) -> Layer:
    body: Any = block.body
    shortcut = block.shortcut and _fused(block.shortcut)
    if runs_as(body, Sequential) and len(body) > 2:
        *first, (_, conv), (_, norm) = body._layers.items()
        if are_conv_and_norm(conv, norm) and norm.activation is None:
            head = _fused(Sequential(**dict(first)))
            return ResidualNorm(head, ConvNorm(conv, norm), shortcut, block.activation)
    return Residual(_fused(body), shortcut, block.activation)


def are_conv_and_norm(layer: Any, follower: Any) -> bool:
    """True for a convolution without activation, and a batch norm that follows it."""
    return runs_as(layer, Conv2d) and runs_as(follower, BatchNorm2d) and layer.activation is None


def _chain_length(items: list[tuple[str, Any]]) -> int:
    """The number of layers at the start that one `ReLUChain` can replace."""
    length = 0
    for _, layer in items:
        is_conv = runs_as(layer, Conv2d) and layer.activation == "relu"
        if not is_conv and not (length and runs_as(layer, MaxPool2d)):
            break
        length += 1
    return length


def _dense_length(items: list[tuple[str, Any]]) -> int:
    """The number of concatenations at the start that one `DenseBlock` can replace."""
    length = 0
    for _, layer in items:
        if not (runs_as(layer, Concat) and len(layer) == 2 and runs_as(layer[0], Identity)):
            break
        length += 1
    return length
