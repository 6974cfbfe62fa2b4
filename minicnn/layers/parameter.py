"""A trainable array with its gradient."""

from typing import Any

import numpy as np

from ..checks import is_number
from ..device import to_device
from ..errors import ShapeError, brief
from ..kernels.types import Array
from ..rng import generator
from .init import torch_default


class Parameter:
    """A trainable array with its gradient.

    value, grad: arrays of one shape and type. Backward adds into `grad`, `zero_grad` clears it.
    fan_in, fan_out: how many inputs feed one unit, and how many units one input feeds; an
        initializer reads them. fan_in may be an array with one number per output.
    trainable: the number of scalars that are trained; fewer than value.size if some are fixed.
    lr_multiplier, weight_decay_multiplier: factors that the optimizer applies to this parameter
        only (Caffe's lr_mult and decay_mult).
    frozen: True for a parameter that is not trained: it gets no gradient, and optimizers leave it
        as it is. `model.freeze(...)` sets it.
    """

    def __init__(
        self, value: Array, fan_in: Any = 1, fan_out: Any = 1, trainable: int | None = None
    ):
        self.value = value
        self._grad: Array | None = None
        self.fan_in, self.fan_out = fan_in, fan_out
        self.trainable = value.size if trainable is None else trainable
        self.lr_multiplier = 1.0
        self.weight_decay_multiplier = 1.0
        self.frozen = False

    @property
    def grad(self) -> Array:
        """The gradient; zeros before the first backward."""
        if self._grad is None:
            self._grad = np.zeros_like(self.value)
        return self._grad

    @grad.setter
    def grad(self, gradient: Array) -> None:
        if gradient is not self._grad:  # which `parameter.grad += g` has changed in place
            self._grad = self._checked(gradient, copy=True)

    def add_grad(self, gradient: Array, copy: bool = True) -> None:
        """Add an array of the value's shape to the gradient, unless the parameter is frozen.

        copy: False if the caller does not use the array afterwards, so that it need not be copied.
        Raises ShapeError if the shape differs.
        """
        if self.frozen:
            return
        if self._grad is None:
            self._grad = self._checked(gradient, copy)
        else:
            self._grad += self._checked(gradient, copy=False)

    def _checked(self, gradient: Array, copy: bool) -> Array:
        """The gradient in the value's type. Its shape must be right: kernels read it by address."""
        if np.shape(gradient) != self.value.shape:
            raise ShapeError(
                f"{self!r}: the gradient has shape {np.shape(gradient)}; "
                f"expected {self.value.shape}"
            )
        if gradient.dtype != self.value.dtype:
            return gradient.astype(self.value.dtype)
        return gradient.copy() if copy or not gradient.flags.c_contiguous else gradient

    def zero_grad(self) -> None:
        """Set the gradient to zero. Its memory is released."""
        self._grad = None

    def astype(self, dtype: Any) -> None:
        """Convert the value, and the gradient if there is one."""
        self.value = self.value.astype(dtype)
        self._grad = None if self._grad is None else self._grad.astype(dtype)

    def to(self, device: str) -> None:
        """Move the value, and the gradient if there is one, to that device."""
        self.value = to_device(self.value, device)
        self._grad = None if self._grad is None else to_device(self._grad, device)

    def __repr__(self) -> str:
        return f"Parameter({'x'.join(map(str, self.value.shape))}, {self.value.dtype})"


def are_frozen(*parameters: Parameter | None) -> bool:
    """True if none of these is trained, so that their gradients need not be computed."""
    return all(parameter is None or parameter.frozen for parameter in parameters)


def make_bias(size: int, fan_in: Any, fan_out: Any, value: float | None) -> Parameter:
    """The biases of `size` units: the constant `value`, or torch's default draw if None.

    Raises ValueError unless it is a finite number.
    """
    if value is not None and not is_number(value):
        raise ValueError(f"bias_init={brief(value)}: expected a finite number")
    drawn = torch_default()((size,), fan_in, fan_out, generator())
    return Parameter(drawn if value is None else np.full_like(drawn, value), fan_in, fan_out)
