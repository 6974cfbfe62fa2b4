"""Checks that layers make before any arithmetic; each raises ShapeError with one sentence."""

import math
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import checked_flag, checked_whole
from ..errors import ShapeError, wrong
from ..kernels.types import Array, Shape

if TYPE_CHECKING:
    from .layer import Layer
    from .parameter import Parameter


def check_images(layer: "Layer", shape: Shape, channels: int | None = None) -> None:
    """Require `(N, H, W, C)`, not empty, with C = `channels` if that is given."""
    if len(shape) != 4:
        raise ShapeError(f"{layer!r}: the input has shape {shape}; expected images (N, H, W, C)")
    if 0 in shape:
        raise ShapeError(f"{layer!r}: the input is empty: {shape}")
    if channels is not None and shape[3] != channels:
        raise ShapeError(
            f"{layer!r}: the input {shape} has {shape[3]} channels; expected (N, H, W, {channels})"
        )


def check_last_axis(layer: "Layer", shape: Shape, channels: int) -> None:
    """Require `(..., channels)`, not empty."""
    if not shape or 0 in shape:
        raise ShapeError(f"{layer!r}: the input is empty: {shape}")
    if shape[-1] != channels:
        raise ShapeError(
            f"{layer!r}: the input {shape} has {shape[-1]} channels; expected (..., {channels})"
        )


def check_count(layer: "Layer", name: str, value: int) -> int:
    """The argument `name` as an int. Raises ValueError unless it is an integer >= 1."""
    return checked_whole(f"{type(layer).__name__}: {name}", value)


def check_flag(layer: "Layer", name: str, value: bool) -> bool:
    """The argument `name` as a bool. Raises ValueError unless it is True, False, 1 or 0."""
    return checked_flag(f"{type(layer).__name__}: {name}", value)


def check_number(
    layer: "Layer", name: str, value: float, low: float = -math.inf, high: float = math.inf
) -> float:
    """The argument `name` as a float. Raises ValueError unless it is a number in that range."""
    if isinstance(value, (int, float, np.number)) and low <= value <= high:
        return float(value)
    least = f" >= {low:g}" if low > -math.inf else ""
    wanted = f"a number{least}" if high == math.inf else f"a number from {low:g} to {high:g}"
    raise wrong(layer, name, value, wanted)


def check_floats(layer: "Layer", x: Any) -> None:
    """Require an array of floating-point numbers; images as bytes must be normalized first.

    Of a layer that joins, a tuple of arrays of one type.
    """
    if not layer.joins:
        _check_float(layer, x)
        return
    if not isinstance(x, tuple) or not x:
        raise ShapeError(
            f"{type(layer).__name__}: the input is {type(x).__name__}; expected a tuple of arrays"
        )
    for array in x:
        _check_float(layer, array)
    types = sorted({array.dtype.name for array in x})
    if len(types) > 1:
        raise ShapeError(
            f"{layer!r}: the inputs are {' and '.join(types)}; expected arrays of one type"
        )


def _check_float(layer: "Layer", x: Any) -> None:
    if isinstance(x, (np.ma.MaskedArray, np.matrix)):  # their arithmetic is another one
        raise ShapeError(
            f"{type(layer).__name__}: the input is a {type(x).__name__}; "
            "expected a plain array, such as np.asarray(x)"
        )
    if _is_float(x):
        if not x.shape:
            raise ShapeError(f"{layer!r}: the input is a single number; expected (N, ...)")
        return
    hint = ""
    if isinstance(getattr(x, "dtype", None), np.dtype) and x.dtype.kind in "iu":
        hint = "; normalize it first: training.preprocess_of(model)(images), or images / 255"
    raise ShapeError(
        f"{type(layer).__name__}: the input is {_kind(x)}; expected an array of float32{hint}"
    )


def _is_float(x: Any) -> bool:
    dtype = getattr(x, "dtype", None)
    return isinstance(dtype, np.dtype) and (dtype.kind == "f" or dtype.name == "bfloat16")


def _kind(x: Any) -> str:
    """What x is, for a message: a class, or an array of a type."""
    dtype = getattr(x, "dtype", None)
    return f"an array of {dtype}" if isinstance(dtype, np.dtype) else type(x).__name__


def check_dtype(layer: "Layer", x: Array, weight: "Parameter") -> None:
    """Require one type of x and weights: mixing them would silently compute in the wider one.

    Images in bfloat16 go with weights in float32: sums over many steps need their bits.
    """
    if x.dtype == weight.value.dtype:
        return
    names = tuple(t.name if t.isnative else f"{t}" for t in (x.dtype, weight.value.dtype))
    if names != ("bfloat16", "float32"):
        raise ShapeError(
            f"{layer!r}: the input is {names[0]} and the weights are {names[1]}; expected the same"
        )


def check_dy_shape(layer: "Layer", dy: Array, shape: Shape) -> None:
    """Require floating-point numbers in the shape of the output.

    The gradients of a layer have the type of dy: whole numbers would be cut off.
    """
    if not _is_float(dy):
        found = _kind(dy)
    elif dy.shape != shape:
        found = f"a gradient of shape {dy.shape}"
    else:
        return
    name = type(layer).__name__ if "\n" in repr(layer) else repr(layer)
    raise ShapeError(
        f"{name}: backward was given {found}; expected an array of float32 of shape {shape}"
    )


def check_out(layer: "Layer", x: Any, out: Array) -> None:
    """Require a writable array of floating-point numbers in the shape of the output.

    An assignment would repeat a result along other axes, or cut its numbers off.
    """
    given = tuple(a.shape for a in x) if layer.joins else x.shape
    shape = layer.output_shape(given)
    if _is_float(out) and out.shape == shape and getattr(out.flags, "writeable", True):
        return
    kind = "" if getattr(getattr(out, "flags", None), "writeable", True) else "read-only, "
    raise ShapeError(
        f"{type(layer).__name__}: out is {kind}{_kind(out)} of shape {np.shape(out)}; "
        f"expected an array of float32 of shape {shape}"
    )


class inside:  # noqa: N801 - it reads as a word: `with inside("conv1"):`
    """A ShapeError raised in this block names the layer `name` on its path."""

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, ShapeError):
            error.within(self.name)
