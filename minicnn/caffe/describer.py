"""What the writers of our layers build: Caffe's layers. The inverse of `builder`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import CheckpointError
from ..kernels.types import Shape
from ..layers import (
    AvgPool2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    Sequential,
)
from .message import Message
from .net import CaffeLayer, Weights
from .schema import MESSAGES

INPUT, OUTPUT = "data", "prob"  # Caffe's usual names of the input and of the probabilities

# What can read images as Caffe has them; a Flatten is followed by a Linear.
READ_THE_INPUT = (Conv2d, Flatten, Linear, Sequential, Concat, MaxPool2d, AvgPool2d, Dropout)


@dataclass(frozen=True)
class Array:
    """An array between two layers: Caffe's name, and our shape without the batch.

    maps: the (H, W, C) of maps that we have flattened. flipped: True if Caffe has it as BGR.
    factors: by which Caffe's array has to be multiplied per channel, in our order, to be ours.
    """

    top: str
    shape: Shape
    maps: Shape = ()
    flipped: bool = False
    factors: tuple[float, ...] = ()

    @property
    def is_ours(self) -> bool:
        """True if the array is the same in Caffe, except for its layout in memory."""
        return not (self.flipped or self.factors)


class Describer:
    """Caffe's layers for a network, in the order of computation.

    names: from the dotted name of one of our layers to the name of Caffe's layer.
    writers: a function for each type of our layers. with_heads: also describe auxiliary
    classifiers. heads: the arrays that these write.
    """

    def __init__(
        self, names: Callable[[str], str], writers: Mapping[type, Any], with_heads: bool = False
    ):
        self.names, self.writers, self.with_heads = names, writers, with_heads
        self.layers: list[CaffeLayer] = []
        self.heads: dict[str, str] = {}
        self.tops = {INPUT, OUTPUT}

    def add(
        self,
        type_: str,
        name: str,
        bottoms: list[str],
        *weights: Weights,
        top: str | None = None,
        tops: list[str] | None = None,
        **parameters: dict[str, Any],
    ) -> str:
        """Append a layer; returns the name of the first array that it writes.

        parameters: the fields of its messages, such as `lrn_param={"local_size": 5}`.
        """
        in_place = {top} & set(bottoms)
        tops = [top or name] if tops is None else tops
        again = self.tops.intersection(tops) - in_place
        again |= {name} & {INPUT, OUTPUT, *(layer.name for layer in self.layers)}
        if again:
            raise ValueError(f"the name {min(again)!r} is used twice in Caffe's network")
        self.tops.update(tops)
        message = Message("LayerParameter").add("name", name).add("type", type_)
        message.add("bottom", *bottoms).add("top", *tops)
        for field, values in parameters.items():
            inner = Message(MESSAGES["LayerParameter"][field].type)
            for key, value in values.items():
                inner.add(key, *(value if isinstance(value, (tuple, list)) else (value,)))
            message.add(field, inner)
        self.layers.append(CaffeLayer(name, type_, bottoms, tops, message, list(weights)))
        return tops[0] if tops else name

    def flat(self, x: Array, name: str, with_pixels: bool = False) -> Array:
        """x, whose features are Caffe's channels: maps of one channel are flattened.

        name: of Caffe's layer that does it. with_pixels: also flatten maps of one pixel.
        Raises ValueError if Caffe has the values in another order.
        """
        if not x.maps:
            return x
        *size, channels = x.maps
        if channels > 1 and max(size) > 1:
            raise ValueError("it reads flattened maps, whose order is another one in Caffe")
        if max(size) == 1 and not with_pixels:
            return x
        return replace(x, top=self.add("Flatten", name, [x.top]), maps=())

    def walk(self, layer: Layer, name: str, *x: Array) -> Array:
        """Append what a layer is in Caffe; returns its output.

        name: its dotted name. x: the arrays that it reads.
        Raises CheckpointError for a layer that Caffe does not have.
        """
        kinds = type(layer).__mro__
        write = next((self.writers[kind] for kind in kinds if kind in self.writers), None)
        try:
            if write is None:
                raise ValueError("Caffe has no such layer")
            if not all(a.is_ours for a in x) and not isinstance(layer, READ_THE_INPUT):
                raise ValueError('it reads the input: write with channels="rgb" and one std')
            found: Array = write(self, layer, name, *x)
            return found
        except CheckpointError:
            raise
        except ValueError as error:
            raise CheckpointError(f"{name} ({type(layer).__name__}): {error}") from None
