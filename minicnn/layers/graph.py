"""`Graph`: a network whose layers read each other in any way that has no cycle."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .checks import inside
from .layer import Layer
from .network import Network
from .parameter import are_frozen

INPUT = "input"  # what a layer reads that reads the input of the network


class Graph(Network):
    """A network in which a layer may read any layers before it.

        Graph(
            conv1=Conv2d(3, 8, 3, padding=1, activation="relu"),
            conv2=Conv2d(8, 8, 3, padding=1),
            shortcut=Conv2d(8, 8, 1),
            add=Add(activation="relu"),
            inputs={"shortcut": "conv1", "add": ("conv2", "shortcut")},
        )

    inputs: for a layer, the names of the layers that it reads; "input" is the input of the network.
        A layer that is not in it reads the layer before it. Only a layer that joins, such as `Add`
        or `Concatenate`, reads several.
    The layers are in the order of computation. The output is that of the last one.
    forward: y_l = layer_l(y_i for the i that it reads)
    backward: dy_l is the sum of the dx of all layers that read y_l.

    Raises ValueError for an unknown input, one that does not come before its reader, a wrong number
    of inputs, and a layer that is not read.
    """

    def __init__(
        self,
        /,
        *layers: Layer,
        inputs: Mapping[str, str | tuple[str, ...]] | None = None,
        input_shape: Shape = (),
        **named: Layer,
    ):
        names = [*map(str, range(len(layers))), *named]
        given = {n: (s,) if isinstance(s, str) else tuple(s) for n, s in (inputs or {}).items()}
        before = dict(zip(names, [INPUT, *names], strict=False))
        self.inputs = {name: given.get(name, (before[name],)) for name in names}
        super().__init__(*layers, input_shape=input_shape, **named)
        unknown = given.keys() - self.inputs
        if unknown:
            raise ValueError(f"Graph: inputs names {sorted(unknown)[0]!r}, which is no layer")
        self._check_order()

    def _check_order(self) -> None:
        before = [INPUT]
        for name, sources in self.inputs.items():
            if name == INPUT:
                raise ValueError(f"Graph: a layer cannot have the name {INPUT!r}")
            for source in sources:
                if source not in [*self.inputs, INPUT]:
                    raise ValueError(f"Graph: {name} reads {source!r}, which is no layer before it")
                if source not in before:
                    raise ValueError(
                        f"Graph: {name} reads {source}, which is computed after it; expected "
                        "the layers in the order of computation, without a cycle"
                    )
            before.append(name)
        *_, last = self.inputs
        unread = self.inputs.keys() - {s for read in self.inputs.values() for s in read} - {last}
        if unread:
            names = ", ".join(name for name in self.inputs if name in unread)
            raise ValueError(f"Graph: no layer reads {names}, and the output is {last}")

    def _checked(self, name: str, layer: Any) -> Layer:
        count = len(self.inputs[name])
        if isinstance(layer, Layer) and not (count == 1 or (count and layer.joins)):
            wanted = "at least 1" if layer.joins else "1"
            raise ValueError(
                f"Graph: {name}, {type(layer).__name__}, reads {count} layers; expected {wanted}"
            )
        return super()._checked(name, layer)

    def _read(self, name: str, values: Mapping[str, Any]) -> Any:
        """What a layer reads: a tuple if it joins."""
        found = tuple(values[source] for source in self.inputs[name])
        return found if self._layers[name].joins else found[0]

    def walk(self, shape: Shape) -> Iterator[tuple[str, Layer, Any]]:
        """The name of each layer, the layer, and the shape, or shapes, that it reads."""
        shapes = {INPUT: shape}
        for name, layer in self._layers.items():
            given = self._read(name, shapes)
            yield name, layer, given
            with inside(name):
                shapes[name] = layer.output_shape(given)

    def output_shape(self, shape: Shape) -> Shape:
        *_, (name, layer, given) = self.walk(shape)
        with inside(name):
            return layer.output_shape(given)

    def chains(self) -> list[list[str]]:
        """The names of the layers in groups, in each of which a layer is read only by the next."""
        readers = Counter(source for sources in self.inputs.values() for source in sources)
        chains: dict[str, list[str]] = {}  # by the name of the last layer
        for name, sources in self.inputs.items():
            follows = len(sources) == 1 and readers[sources[0]] == 1 and sources[0] in chains
            chains[name] = [*chains.pop(sources[0]), name] if follows else [name]
        place = {name: i for i, name in enumerate(self.inputs)}
        return sorted(chains.values(), key=lambda chain: place[chain[0]])

    def forward(self, x: Array, out: Array | None = None) -> Any:
        *_, last = self._layers
        readers = Counter(source for sources in self.inputs.values() for source in sources)
        values = {INPUT: x}
        for name, layer in self._layers.items():
            with inside(name):
                read = self._read(name, values)
                values[name] = layer(read, out=out if name is last else None)
            for source in self.inputs[name]:
                readers[source] -= 1
                if not readers[source]:
                    del values[source]  # nothing reads it any more
        return values[last]

    def backward(self, dy: Array, need_dx: bool = True) -> Any:
        needed = self._needed(need_dx)
        *_, last = self._layers
        gradients: dict[str, Array] = {last: dy}
        for name, layer in reversed(self._layers.items()):
            if name not in needed:
                continue
            sources = self.inputs[name]
            with inside(name):
                dx = layer.backpropagate(
                    gradients.pop(name), need_dx=not needed.isdisjoint(sources)
                )
            for source, part in zip(sources, dx if layer.joins else (dx,), strict=True):
                if source in needed:
                    gradients[source] = (
                        F.add(gradients[source], part) if source in gradients else part
                    )
        return gradients.get(INPUT)

    def _needed(self, need_dx: bool) -> set[str]:
        """The layers whose dy is needed: they are trained, or read one of these."""
        needed = {INPUT} if need_dx else set()
        for name, layer in self._layers.items():
            is_trained = not are_frozen(*layer.parameters())
            if is_trained or not needed.isdisjoint(self.inputs[name]):
                needed.add(name)
        return needed
