"""`Sequential`, and `Container`, the base of all containers."""

from collections.abc import Iterator
from typing import Any

from ..errors import brief
from ..kernels.types import Array, Shape
from .checks import inside
from .layer import Layer


class Container(Layer):
    """Layers by name, in order. Unnamed ones are called "0", "1", ...

    Each is reachable by its name or position, `net.conv1`, `net["conv1"]` or `net[0]`, and can be
    replaced there: `net.fc = Linear(64, 2)`.
    Raises ValueError for anything that is no layer, a name with a dot, or one layer in two places.
    """

    def __init__(self, /, *layers: Layer, **named: Layer):
        self._layers: dict[str, Layer] = {}
        for name, layer in ({str(i): layer for i, layer in enumerate(layers)} | named).items():
            self._layers[name] = self._checked(name, layer)
        if not self._layers:
            raise ValueError(f"{type(self).__name__}: expected at least one layer")
        list(self.named_layers())  # raises ValueError for one layer in two places

    def _checked(self, name: str, layer: Any) -> Layer:
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__}: {name} is {brief(layer)}; expected a layer")
        if "." in name:
            raise ValueError(
                f"{type(self).__name__}: the name {name!r} has a dot, which separates the names "
                "of nested layers"
            )
        return layer

    def children(self) -> Iterator[tuple[str, Layer]]:
        yield from self._layers.items()

    def __getattr__(self, name: str) -> Any:
        layers = self.__dict__.get("_layers", {})
        if name in layers:
            return layers[name]
        raise AttributeError(f"{type(self).__name__} has no layer or attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_layers", {}):
            self._layers[name] = self._checked(name, value)
            list(self.named_layers())
        elif isinstance(value, Layer):
            raise AttributeError(
                f"{type(self).__name__} has no layer {name!r} to replace; "
                f"it has {', '.join(self._layers)}"
            )
        else:
            super().__setattr__(name, value)

    def __getitem__(self, key: str | int) -> Layer:
        return self._layers[key] if isinstance(key, str) else list(self._layers.values())[key]

    def __setitem__(self, key: str | int, layer: Layer) -> None:
        name = key if isinstance(key, str) else list(self._layers)[key]
        if name not in self._layers:
            raise KeyError(f"{type(self).__name__} has no layer {name!r} to replace")
        setattr(self, name, layer)

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers.values())


class Sequential(Container):
    """Layers in order: forward calls them from first to last, backward from last to first.

    `Sequential(conv1=Conv2d(...), pool1=MaxPool2d(...))` names the layers as the paper does.
    input_shape: the (H, W, C) that it was designed for, used for summaries and checks; empty if
        unknown.
    """

    def __init__(self, /, *layers: Layer, input_shape: Shape = (), **named: Layer):
        super().__init__(*layers, **named)
        self.input_shape: Shape = tuple(input_shape)

    def output_shape(self, shape: Shape) -> Shape:
        for name, layer in self._layers.items():
            with inside(name):
                shape = layer.output_shape(shape)
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Any:
        *_, last = self._layers
        for name, layer in self._layers.items():
            with inside(name):
                x = layer(x, out=out if name is last else None)
        return x

    def backward(self, dy: Array, need_dx: bool = True) -> Any:
        *_, first = reversed(self._layers)
        for name, layer in reversed(self._layers.items()):
            with inside(name):
                dy = layer.backpropagate(dy, need_dx=need_dx or name is not first)
        return dy
