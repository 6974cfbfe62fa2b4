"""A whole network, and its metadata: name, recipe, classes and input shape."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .checks import inside
from .layer import Layer
from .sequential import Sequential


@dataclass(frozen=True)
class Metadata:
    """The facts about a whole network that its layers do not contain.

    name, options: the arguments with which `models.create` made it.
    recipe, loss: how its paper trains it.
    classes: the names of its classes, in the order of its outputs.
    preprocess: what its weights were trained with, from pixels to input; None: its recipe's.
    trained_on: the data set it was trained on, as `data.load` takes it.
    input_shape: the (H, W, C) that it was designed for; empty if unknown.
    """

    name: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    recipe: Any = None
    loss: Any = None
    classes: tuple[str, ...] = ()
    preprocess: Any = None
    trained_on: str = ""
    input_shape: Shape = ()


def metadata(model: Layer) -> Metadata:
    """The metadata of `model`, read from its attributes; the default for each that it lacks.

    A `Network` has all of them, a `Sequential` has an input shape. A child with such a name, for
    example a layer called `loss`, is not metadata.
    """
    names = [f.name for f in fields(Metadata) if hasattr(model, f.name)]
    found = {name: getattr(model, name) for name in names}
    return Metadata(**{n: value for n, value in found.items() if not isinstance(value, Layer)})


class Network(Sequential):
    """A Sequential that is a whole network. Its attributes are those of `Metadata`."""

    def __init__(self, /, *layers: Layer, input_shape: Shape = (), **named: Layer):
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
    takes the matching tuple of gradients; the dx of a head is added to dy of the layer that it
    reads. In evaluation the heads are not computed (Szegedy et al. 2014, section 5). The names of
    their parameters start with aux1, aux2, and so on.
    """

    def __init__(
        self,
        /,
        *layers: Layer,
        heads: dict[str, Layer],
        input_shape: Shape = (),
        **named: Layer,
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
