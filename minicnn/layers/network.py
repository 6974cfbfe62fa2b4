"""A whole network, and what is known of it beyond its layers."""

from collections.abc import Iterator
from typing import Any

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .checks import inside
from .layer import Layer
from .sequential import Sequential


class Network(Sequential):
    """A Sequential that is a whole network, with what is known of it.

    name, options: what `models.create` made it from.
    recipe, loss: how its paper trains it.
    classes: the names of what it tells apart, in the order of its outputs.
    preprocess: what its weights were trained with, from pixels to input; None: its recipe's.
    trained_on: the data set it was trained on, as `data.load` takes it.
    """

    def __init__(self, *layers: Layer, input_shape: Shape = (), **named: Layer):
        super().__init__(*layers, input_shape=input_shape, **named)
        self.name: str | None = None
        self.options: dict[str, Any] = {}
        self.recipe: Any = None
        self.loss: Any = None
        self.classes: tuple[str, ...] = ()
        self.preprocess: Any = None
        self.trained_on = ""


class AuxiliaryNetwork(Network):
    """A network with auxiliary classifiers: `heads[name]` also reads the output of layer `name`.

    In training, forward returns `(output, auxiliary, ...)` in the order of the heads, and backward
    takes the matching tuple of gradients; the dx of a head joins the main path where it branched
    off. In evaluation the heads are silent (Szegedy et al. 2014, section 5). Their parameters are
    called aux1..., aux2..., and so on.
    """

    def __init__(
        self, *layers: Layer, heads: dict[str, Layer], input_shape: Shape = (), **named: Layer
    ):
        super().__init__(*layers, input_shape=input_shape, **named)
        for name in heads:
            if name not in self._layers:
                raise ValueError(f"AuxiliaryNetwork: there is no layer {name!r} for a head to read")
        self.heads = dict(heads)
        list(self.named_layers())

    def children(self) -> Iterator[tuple[str, Layer]]:
        yield from self._layers.items()
        for number, head in enumerate(self.__dict__.get("heads", {}).values(), 1):
            yield f"aux{number}", head

    def forward(self, x: Array, out: Array | None = None) -> Any:
        auxiliary = []
        *_, last = self._layers
        for name, layer in self._layers.items():
            with inside(name):
                x = layer(x, out=out if name is last else None)
                if self.training and name in self.heads:
                    auxiliary.append(self.heads[name](x))
        self.save_for_backward(bool(auxiliary))
        return (x, *auxiliary) if auxiliary else x

    def backward(self, dy: Any, need_dx: bool = True) -> Any:
        (with_heads,) = self.pop_saved()
        gradients: dict[str, Array] = {}
        if with_heads:
            expected = 1 + len(self.heads)
            if not isinstance(dy, tuple) or len(dy) != expected:
                raise ShapeError(
                    f"backward in training takes a tuple of {expected} gradients: "
                    "of the output and of each head"
                )
            dy, *rest = dy
            gradients = dict(zip(self.heads, rest, strict=True))
        *_, first = reversed(self._layers)
        for name, layer in reversed(self._layers.items()):
            with inside(name):
                if name in gradients:
                    dy = F.add(dy, self.heads[name].backpropagate(gradients[name]))
                dy = layer.backpropagate(dy, need_dx=need_dx or name is not first)
        return dy
