"""What the converters of Caffe's layers build: our layers, and the arrays between them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..kernels.types import Shape
from ..layers import Flatten, Graph, Layer, Parameter
from ..layers.graph import INPUT
from .net import CaffeLayer
from .order import Order, channels
from .steps import Plan

PROTOTYPE = Graph(only=Flatten())  # the attributes of a network are no names of layers

Fill = Callable[[Layer], None]


@dataclass(frozen=True)
class Blob:
    """An array between two layers.

    node: the layer of ours that makes it. shape: (H, W, C), or (features,), without the batch.
    order: which of Caffe's channels, or features, ours are.
    """

    node: str
    shape: Shape
    order: Order

    @property
    def channels(self) -> int:
        """The length of the last axis."""
        return self.shape[-1]


@dataclass
class Node:
    """A layer of ours. reads: the nodes that it reads. source: the name of Caffe's layer.

    fill: copies the weights of Caffe's layer into a layer of ours; None for one without weights.
    """

    layer: Layer
    reads: tuple[str, ...]
    source: str
    fill: Fill | None = None


class Builder:
    """The nodes made so far, and the arrays between them by their numbers in the plan."""

    def __init__(self, plan: Plan, input_shape: Shape, flipped: bool):
        self.plan, self.step = plan, plan.steps[0]
        self.nodes: dict[str, Node] = {}
        self.input_shape, self.flipped = input_shape, flipped
        self.blobs = {plan.input: Blob(INPUT, input_shape, channels(input_shape[-1], flipped))}

    def add(
        self,
        source: CaffeLayer,
        layer: Layer,
        *reads: Blob,
        order: Order | None = None,
        fill: Fill | None = None,
        suffix: str = "",
    ) -> Blob:
        """The array that `layer` makes of those it reads, after it has been added to the nodes.

        order: of the result; None for that of the first array.
        """
        name = self._free(source.name.replace(".", "_") + suffix)
        shapes = tuple((1, *blob.shape) for blob in reads)
        joins = len(shapes) > 1 or getattr(layer, "joins", False)
        _, *shape = layer.output_shape(shapes if joins else shapes[0])  # type: ignore[arg-type]
        sources = tuple(blob.node for blob in reads)
        self.nodes[name] = Node(layer, sources, source.name, fill)
        return Blob(name, tuple(shape), reads[0].order if order is None else order)

    def _free(self, name: str) -> str:
        while name in (*self.nodes, INPUT, "") or hasattr(PROTOTYPE, name):
            name += "_"
        return name

    @property
    def is_only_reader(self) -> bool:
        """True if nothing else reads the first array that the present layer reads.

        The array may have several numbers: a layer that changes nothing has no node.
        """
        node = self.blobs[self.step.reads[0]].node
        numbers = [number for number, blob in self.blobs.items() if blob.node == node]
        return all(self.plan.readers[n] == 1 and n != self.plan.output for n in numbers)

    def keep(self, last: str) -> None:
        """Leave out the nodes that the node `last` does not depend on."""
        needed = {last}
        for name, node in reversed(self.nodes.items()):
            if name in needed:
                needed.update(node.reads)
        self.nodes = {name: node for name, node in self.nodes.items() if name in needed}


def put(parameter: Parameter | None, array: np.ndarray) -> None:
    """Let the parameter have those values, in memory of its own."""
    assert parameter is not None
    assert parameter.value.shape == array.shape, (parameter.value.shape, array.shape)
    parameter.value = np.array(array, np.float32, order="C")
