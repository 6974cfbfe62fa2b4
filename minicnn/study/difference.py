"""The first layer and element in which two backends differ, forward and backward."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import rng
from ..device import to_device, to_host
from ..kernels.dispatch import use
from ..kernels.types import Array, Shape
from ..layers import Layer, metadata, observe

# (layer's name, "forward" or "backward", what) and the numbers
Record = tuple[str, str, str, Array]


@dataclass(frozen=True)
class Difference:
    """The first array in which two backends differ. `print(difference)` says it in one sentence.

    layer, kind: its dotted name, and its class. direction: "forward" or "backward".
    what: "y", "dx", or the name of a parameter whose gradient differs.
    index, a, b: the first element that differs, and both its values.
    error: the largest difference, as a share of the largest value. share: of elements that differ.
    """

    layer: str
    kind: str
    direction: str
    what: str
    index: tuple[int, ...]
    a: float
    b: float
    error: float
    share: float
    backends: tuple[str, str]

    def __str__(self) -> str:
        name = f"{self.layer or 'the network'} ({self.kind})"
        place = f"{self.what}[{', '.join(map(str, self.index))}]"
        a, b = self.backends
        few = self.direction == "backward" and self.share < 1e-4
        hint = "; so few can be ties, which rounding decides: try another seed" if few else ""
        return (
            f"{self.direction}, {name}: {place} is {self.a:.9g} with {a} and {self.b:.9g} "
            f"with {b}; "
            f"{self.share:.2%} of its elements differ, by up to {self.error:.1e} of the largest"
            f"{hint}"
        )


def first_difference(
    model: Layer,
    backend_a: str,
    backend_b: str,
    x: Array | None = None,
    *,
    batch: int = 2,
    tolerance: float = 1e-4,
    seed: int = 0,
    input_shape: Shape | None = None,
) -> Difference | None:
    """Run forward and backward on both backends, and compare every layer's arrays in order.

    Args:
        model: a network or layer in float32; its mode, weights and buffers are kept.
        backend_a, backend_b: "reference", "cpu", "cuda" or "numba_cuda".
        x: the input; by default `batch` random images of `input_shape` (H, W, C), or of the
            network's own shape.
        tolerance: what counts as rounding, as a share of the largest value of the array.
        seed: of the images, of the upstream gradient and of dropout's masks.

    The order is that of the computation, so the first difference is the cause of the later ones.
    Where the input of a ReLU is 0, or the two largest values of a pooling window are equal, but for
    rounding, single elements of the gradient differ though both backends are right: try
    another seed. Returns None if nothing differs.
    Raises ValueError if no input shape is known, RuntimeError if a backend is not available.
    """
    generator = np.random.default_rng(seed)
    if x is None:
        shape = tuple(input_shape or metadata(model).input_shape)
        if not shape:
            raise ValueError(
                "the network has no input shape of its own; give x, or input_shape=(H, W, C)"
            )
        x = generator.standard_normal((batch, *shape)).astype(np.float32)
    kinds = {name: type(layer).__name__ for name, layer in model.named_layers()}
    runs = [_run(model, backend, x, seed) for backend in (backend_a, backend_b)]
    for (layer, direction, what, a), (*same, b) in zip(*runs, strict=True):
        assert same == [layer, direction, what]
        found = _compare(a, b, tolerance)
        if found is not None:
            index, error, share = found
            return Difference(
                layer,
                kinds[layer],
                direction,
                what,
                index,
                float(a[index]),
                float(b[index]),
                error,
                share,
                (backend_a, backend_b),
            )
    return None


def _compare(a: Array, b: Array, tolerance: float) -> tuple[tuple[int, ...], float, float] | None:
    """The first element that differs, the largest error, and the share of such elements."""
    if a.shape != b.shape:
        raise ValueError(f"the shapes differ: {a.shape} and {b.shape}")
    with np.errstate(invalid="ignore"):
        size = np.abs(a - b)
    scale = float(np.abs(a).max(initial=0)) or 1.0
    differs = ~(size <= tolerance * scale) & ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not differs.any():
        return None
    index = tuple(int(i) for i in np.argwhere(differs)[0])
    return index, float(np.nanmax(size)) / scale, float(differs.mean())


def _run(model: Layer, backend: str, x: Array, seed: int) -> list[Record]:
    """Every layer's output, dx and parameter gradients, in the order of the computation."""
    device = "cuda" if backend in ("cuda", "numba_cuda") else "cpu"
    names = {id(layer): name for name, layer in model.named_layers()}
    records: list[Record] = []
    saved = {name: to_host(array).copy() for name, array in model.named_buffers()}
    position = rng.state()
    model.to(device)
    model.zero_grad()
    try:
        with use(backend), observe(*_recorders(names, records)):
            rng.seed(seed)
            y = model(to_device(x, device))
            generator = np.random.default_rng(seed + 1)
            dy = _like(y, lambda a: generator.standard_normal(a.shape).astype(np.float32), device)
            model.backpropagate(dy)
    finally:
        model.zero_grad()
        rng.set_state(position)
        model.to("cpu")
        for name, array in model.named_buffers():
            array[...] = saved[name]
    return records


def _recorders(names: dict[int, str], records: list[Record]) -> tuple[Any, Any]:
    """The hooks that keep what a layer computed."""

    def keep(layer: Layer, direction: str, what: str, array: Any) -> None:
        parts = array if isinstance(array, tuple) else (array,)
        for part in parts:
            if part is not None:
                host = to_host(part).astype(np.float64)
                records.append((names[id(layer)], direction, what, host))

    def forward(layer: Layer, x: Any, y: Any) -> None:
        keep(layer, "forward", "y", y)

    def backward(layer: Layer, dy: Any, dx: Any) -> None:
        keep(layer, "backward", "dx", dx)
        for name, parameter in layer.named_parameters():
            if "." not in name:  # a container's parameters are those of its children
                keep(layer, "backward", f"d{name}", parameter.grad)

    return forward, backward


def _like(y: Any, make: Callable[[Array], Array], device: str) -> Any:
    """An array as `make` makes it for each array of y."""
    if isinstance(y, tuple):
        return tuple(_like(part, make, device) for part in y)
    return to_device(make(y), device)
