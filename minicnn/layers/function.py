"""Functions of single numbers that are no activations: networks of other programs have them."""

from collections.abc import Callable

import numpy as np

from ..checks import is_one_of
from ..errors import brief
from ..kernels.reference.functions import FUNCTIONS
from ..kernels.types import Array, Shape
from .checks import check_dy_shape, check_number
from .layer import Layer


class Function(Layer):
    """`y = f(x)` for any shape, in one of the forms of `minicnn.kernels.reference.functions`.

    name: abs, erf, exp, log, power or softplus.
    exponent: of power, x^exponent; None for the others.
    """

    def __init__(self, name: str, exponent: float | None = None):
        if not is_one_of(name, FUNCTIONS):
            raise ValueError(
                f"Function: name={brief(name)}: expected one of {', '.join(FUNCTIONS)}"
            )
        if (exponent is None) == (name == "power"):
            expected = "a number" if name == "power" else "None"
            raise ValueError(f"Function: {name}: exponent={brief(exponent)}: expected {expected}")
        self.name = name
        self.exponent = None if exponent is None else check_number(self, "exponent", exponent)

    @property
    def constants(self) -> tuple[float, ...]:
        """The exponent, if there is one."""
        return () if self.exponent is None else (self.exponent,)

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        y = self._computed(FUNCTIONS[self.name][0], x)
        self.save_for_backward(x)
        if out is None:
            return y
        out[...] = y
        return out

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        (x,) = self.pop_saved()
        check_dy_shape(self, dy, x.shape)
        return self._computed(FUNCTIONS[self.name][1], dy, x) if need_dx else None

    def _computed(self, function: Callable[..., Array], *arrays: Array) -> Array:
        """The function of arrays; for bfloat16 in float32, rounded once."""
        wide = [a.astype(np.float32) if a.dtype.itemsize == 2 else a for a in arrays]
        return function(*wide, *self.constants).astype(arrays[0].dtype, copy=False)
