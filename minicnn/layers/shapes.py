"""The shapes of all inputs and outputs in a network, without computing anything."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..kernels.types import Shape
from .branches import Concat, Residual
from .checks import inside
from .graph import Graph
from .layer import Layer
from .network import AuxiliaryNetwork
from .sequential import Sequential
from .tree import join


class LayerTrace(NamedTuple):
    """One leaf layer, its dotted name, and the shapes of its input and output.

    input: of a layer that joins, a tuple of shapes.
    """

    name: str
    layer: Layer
    input: Any
    output: Shape


def shapes_through(layer: Layer, shape: Any, name: str = "") -> Iterator[LayerTrace]:
    """A `LayerTrace` for each leaf layer, for an input of `shape`, in the order of the forward.

    `shapes_through_heads` does the same for the heads of an `AuxiliaryNetwork`.
    Raises ShapeError if a layer cannot take the shape of its input.
    """
    if isinstance(layer, Graph):
        for child_name, child, given in layer.walk(shape):
            with inside(child_name):
                yield from shapes_through(child, given, join(name, child_name))
    elif isinstance(layer, Sequential):
        for child_name, child in layer._layers.items():
            with inside(child_name):
                yield from shapes_through(child, shape, join(name, child_name))
                shape = child.output_shape(shape)
    elif isinstance(layer, (Concat, Residual)):
        layer.output_shape(shape)
        for child_name, child in layer.children():
            yield from shapes_through(child, shape, join(name, child_name))
    else:
        yield LayerTrace(name, layer, shape, layer.output_shape(shape))


def shapes_through_heads(network: AuxiliaryNetwork, shape: Shape) -> Iterator[LayerTrace]:
    """The same for the leaf layers of the auxiliary classifiers."""
    names = {id(head): name for name, head in network.children()}
    for name, layer in network._layers.items():
        shape = layer.output_shape(shape)
        if name in network.heads:
            head = network.heads[name]
            yield from shapes_through(head, shape, names[id(head)])
