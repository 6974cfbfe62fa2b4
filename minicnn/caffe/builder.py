"""What the converters of Caffe's layers build: our layers, and the arrays between them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..kernels.types import Shape
from ..layers import Layer, Parameter
from ..layers.graph import INPUT
from .net import CaffeLayer
from .order import Order, channels
from .steps import Plan

# What a layer of a Graph cannot be called: its constructor has these arguments.
RESERVED = (INPUT, "inputs", "input_shape")

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
        while name in self.nodes or name in RESERVED or not name:
            name += "_"
        return name

    @property
    def is_only_reader(self) -> bool:
        """True if nothing else reads the first array that the present layer reads."""
        number = self.step.reads[0]
        return self.plan.readers[number] == 1 and number != self.plan.output


def put(parameter: Parameter | None, array: np.ndarray) -> None:
    """Let the parameter have those values, in memory of its own."""
    assert parameter is not None
    assert parameter.value.shape == array.shape, (parameter.value.shape, array.shape)
    parameter.value = np.array(array, np.float32, order="C")
