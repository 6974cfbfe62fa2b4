"""A check of hand-written gradients by finite differences, in float64, along random directions."""

from collections.abc import Callable

import numpy as np

from ..kernels.types import Array
from ..layers import Layer
from ..text import aligned, html_table


class GradientCheck(dict[str, float]):
    """The largest relative error by name: "x", and the names of the parameters.

    `ok` is True if all are within `tolerance`. `print(check)` and a notebook show each error with
    its verdict.
    """

    def __init__(self, errors: dict[str, float], tolerance: float):
        super().__init__(errors)
        self.tolerance = tolerance

    @property
    def ok(self) -> bool:
        """True if every error is within the tolerance."""
        return all(error <= self.tolerance for error in self.values())

    def __str__(self) -> str:
        return "\n".join([*aligned(self._rows(), left={0, 2}), self._verdict()])

    def _repr_html_(self) -> str:
        return html_table(
            [["gradient", "error", ""], *self._rows()], {0, 2}, footer=self._verdict()
        )

    def _rows(self) -> list[list[str]]:
        return [
            [name, f"{error:8.1e}", "ok" if error <= self.tolerance else "WRONG"]
            for name, error in self.items()
        ]

    def _verdict(self) -> str:
        verdict = "all gradients are right" if self.ok else "a gradient is wrong"
        return f"{verdict} (tolerance {self.tolerance:g})"


def check_gradients(
    layer: Layer,
    x: Array,
    *,
    seed: int = 0,
    eps: float = 1e-5,
    directions: int = 3,
    tolerance: float = 1e-5,
) -> GradientCheck:
    """Compare backward with central differences, for the input and every parameter.

    With a random upstream gradient g, let f = sum(g * layer(x)). For a random direction d of one
    array, `(f(+eps d) - f(-eps d)) / (2 eps)` must equal the scalar product of d and the gradient
    that backward gives. Every element contributes to this number, so a single wrong, forgotten or
    zero element changes it. Keep x away from kinks (ReLU at 0, ties in max pooling).

    layer and x are used in float64: convert the layer with `layer.astype(float)`. A dropout layer
    must be in evaluation mode. The gradients of the layer are cleared afterwards.
    Returns the errors with a verdict, see `GradientCheck`.
    Raises ValueError unless all arrays are float64, and if forward changes its input or its output
    is not finite.
    """
    arrays = {"x": x} | {name: p.value for name, p in layer.named_parameters()}
    for name, array in arrays.items():
        if array.dtype != np.float64:
            raise ValueError(
                f"check_gradients: {name} is {array.dtype}; expected float64 (layer.astype(float))"
            )
    buffers = {name: array.copy() for name, array in layer.named_buffers()}

    def run() -> Array:
        y = layer(x)
        for name, array in layer.named_buffers():  # each evaluation starts from the same statistics
            array[...] = buffers[name]
        return y

    def value() -> float:
        return float((run() * upstream).sum())

    generator = np.random.default_rng(seed)
    given = x.copy()
    y = run()
    if not np.array_equal(x, given, equal_nan=True):
        raise ValueError(
            f"check_gradients: the forward of {type(layer).__name__} changes its input"
        )
    if not np.isfinite(y).all():
        raise ValueError(
            f"check_gradients: the output of {type(layer).__name__} is not finite; expected an x "
            "in its domain"
        )
    upstream = generator.standard_normal(y.shape)
    layer.zero_grad()
    gradients = {"x": layer.backpropagate(upstream)}
    gradients |= {name: p.grad.copy() for name, p in layer.named_parameters()}
    layer.zero_grad()
    rounding = 1e-9 * float(np.abs(y * upstream).sum()) / eps  # what differences cannot resolve

    errors = {}
    for name, array in arrays.items():
        if np.shape(gradients[name]) != array.shape:
            errors[name] = float("inf")
            continue
        drawn = [generator.standard_normal(array.shape) for _ in range(directions)]
        errors[name] = max(
            _error_along(d, array, gradients[name], value, eps, rounding) for d in drawn
        )
    return GradientCheck(errors, tolerance)


def _error_along(
    direction: Array,
    array: Array,
    gradient: Array,
    value: Callable[[], float],
    eps: float,
    rounding: float,
) -> float:
    """The relative error of the derivative of `value()` in that direction of the array."""
    original = array.copy()
    array[...] = original + eps * direction
    above = value()
    array[...] = original - eps * direction
    below = value()
    array[...] = original
    numeric = (above - below) / (2 * eps)
    exact = float((gradient * direction).sum())
    error = abs(numeric - exact) / (max(abs(numeric), abs(exact), rounding) or 1.0)
    return error if np.isfinite(error) else float("inf")  # max() would drop NaN
