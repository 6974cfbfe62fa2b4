"""The base of every layer: forward saves what backward needs, backward adds the gradients."""

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

from ..kernels.thread_state import grad_enabled
from ..kernels.types import Array, Shape
from .checks import check_floats, check_out
from .hooks import observers
from .tree import Tree


class Layer(Tree):
    """The base of all layers and containers.

    A layer holds parameters, buffers and what backward needs, and no arithmetic: that is in
    `minicnn.kernels`. A layer of your own defines `forward(x)`, `backward(dy)` and, so that shapes
    can be checked and summarized before anything runs, `output_shape`:

        class Scale(Layer):
            def __init__(self, channels):
                self.gain = Parameter(np.ones(channels, np.float32))

            def forward(self, x):
                self.save_for_backward(x)
                return x * self.gain.value

            def backward(self, dy):
                (x,) = self.pop_saved()
                self.gain.add_grad((dy * x).sum(axis=(0, 1, 2)))
                return dy * self.gain.value

            def output_shape(self, shape):
                return shape
    """

    joins = False  # True for a layer that takes a tuple of arrays, as those in `join` do
    _saved: tuple[Any, ...] | None = None

    def forward(self, x: Array, out: Array | None = None) -> Any:
        """y from x. If a layer takes `out`, an array of y's shape, y is written into it."""
        raise TypeError(f"{type(self).__name__} does not define forward")

    def backward(self, dy: Array, need_dx: bool = True) -> Any:
        """dx from dy, the gradient of the loss with respect to what `forward` returned.

        The gradients of parameters are added into `Parameter.grad`. With `need_dx=False`, as for
        the first layer of a network, a layer may return None.
        """
        raise TypeError(f"{type(self).__name__} does not define backward")

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of y for an x of `shape`. Raises ShapeError if the layer cannot take it."""
        raise TypeError(f"{type(self).__name__} does not define output_shape")

    def __call__(self, x: Array, out: Array | None = None) -> Any:
        """Check the input, call `forward`, then the hooks: this is how containers call layers."""
        check_floats(self, x)
        for before in observers.before_forward:
            before(self, x)
        if out is not None:
            check_out(self, x, out)
        if out is None:
            y = self.forward(x)
        elif _takes(type(self).forward, "out"):
            y = self.forward(x, out=out)
        else:
            y = out
            y[...] = self.forward(x)
        for callback in observers.forward:
            callback(self, x, y)
        return y

    def backpropagate(self, dy: Any, need_dx: bool = True) -> Any:
        """Call `backward`, then the hooks: this is how containers call layers."""
        for before in observers.before_backward:
            before(self, dy)
        if _takes(type(self).backward, "need_dx"):
            dx = self.backward(dy, need_dx=need_dx)
        else:
            dx = self.backward(dy)
        for callback in observers.backward:
            callback(self, dy, dx)
        return dx

    def save_for_backward(self, *values: Any) -> None:
        """Keep `values` until `pop_saved`; under `no_grad` keep nothing."""
        self._saved = values if grad_enabled() else None

    def pop_saved(self) -> tuple[Any, ...]:
        """The values that forward saved. They are released, so memory shrinks during backward.

        Raises RuntimeError if no forward ran since the last backward, or it ran under `no_grad`.
        """
        if self._saved is None:
            raise RuntimeError(
                f"{type(self).__name__}: backward needs a forward before it, outside of no_grad()"
            )
        values, self._saved = self._saved, None
        return values

    def __repr__(self) -> str:
        children = list(self.children())
        if not children:
            return f"{type(self).__name__}({', '.join(_arguments(self))})"
        lines = [f"  {name}: " + repr(child).replace("\n", "\n  ") for name, child in children]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


@cache
def _takes(function: Any, name: str) -> bool:
    """True if a method has a parameter of that name; that of a user's layer may lack it."""
    parameters = inspect.signature(function).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _arguments(layer: Layer) -> list[str]:
    """The constructor's arguments for `repr`: required ones, and those that are not the default."""
    found = []
    for name, parameter in inspect.signature(type(layer)).parameters.items():
        if not hasattr(layer, name):
            continue
        value = getattr(layer, name)
        if name == "bias":
            value = value is not None
        text = _text(value)
        if parameter.default is parameter.empty:
            found.append(text)
        elif text != _text(parameter.default):
            found.append(f"{name}={text}")
    return found


def _text(value: Any) -> str:
    if hasattr(value, "shape"):
        return "..."  # arrays are not spelled out
    if isinstance(value, float):
        return f"{value:g}"
    return short(value) if isinstance(value, tuple) else repr(value)


def short(value: float | Sequence[float] | tuple[tuple[int, int], ...]) -> str:
    """A pair as short as it can be written: `(3, 3)` -> `3`, `((1, 1), (2, 2))` -> `(1, 2)`."""
    if isinstance(value, tuple) and len(value) == 2:
        if isinstance(value[0], tuple) and isinstance(value[1], tuple):
            if any(before != after for before, after in (value[0], value[1])):
                return str(value)
            value = (value[0][0], value[1][0])
        return str(value[0] if value[0] == value[1] else value)
    return str(value)
