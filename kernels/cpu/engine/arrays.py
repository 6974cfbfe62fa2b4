"""Arrays as kernels take them: float32, by address, with the distance between pixels."""

import ctypes
from typing import NamedTuple

import numpy as np

from ... import geometry
from .memory import empty
from .recording import active, current, give_up

FLOAT32 = np.dtype(np.float32)  # compares faster than the scalar type
_pointer_at = ctypes.c_size_t.from_address
_HEADER = object.__basicsize__  # in an array, the pointer to its data follows the object's header


def address(a: np.ndarray) -> int:
    """The address of the array's first element. The caller keeps the array alive meanwhile.

    So does a `Recording`. This takes 0.25 us instead of 1 us for `a.ctypes.data`; a training step
    of LeNet calls it hundreds of times.
    """
    if active and (recording := current()):
        recording.keep(a)
    return _pointer_at(id(a) + _HEADER).value


if address(_probe := np.empty(1)) != _probe.ctypes.data:  # not CPython's usual object layout

    def address(a: np.ndarray) -> int:
        """The address of the array's first element. The caller keeps the array alive meanwhile."""
        if active and (recording := current()):
            recording.keep(a)
        return a.ctypes.data


def is_contiguous(a: np.ndarray) -> bool:
    """True if kernels can take `a` as it is."""
    return a.dtype == FLOAT32 and a.flags.c_contiguous


def contiguous(a: np.ndarray) -> np.ndarray:
    """`a`, or a contiguous float32 copy."""
    if a.dtype == FLOAT32 and a.flags.c_contiguous:
        return a
    give_up()
    return np.array(a, np.float32, order="C")


def pixel_step(a: np.ndarray) -> int:
    """The distance in floats between pixels, or 0 if kernels cannot take `a` as it is.

    See `geometry.pixel_step`.
    """
    return geometry.pixel_step(a) if a.dtype == FLOAT32 else 0


def pixels(a: np.ndarray) -> tuple[np.ndarray, int]:
    """`a` and its pixel step; a contiguous copy if it has none."""
    step = pixel_step(a)
    if step:
        return a, step
    give_up()
    a = np.array(a, np.float32, order="C")
    return a, a.shape[-1]


class Image(NamedTuple):
    """Images `(N, H, W, C)` as kernels take them: the address, and the floats between pixels."""

    data: int
    step: int
    height: int
    width: int
    channels: int


def image(x: np.ndarray) -> Image:
    """The record of x, an array that has a pixel step."""
    return Image(address(x), pixel_step(x), *x.shape[1:])


def expect_shape(name: str, a: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `a` has that shape: kernels read addresses, and check nothing."""
    if a.shape != tuple(shape):
        raise ValueError(f"{name} has shape {a.shape}: expected {tuple(shape)}")


def expect_images(name: str, x: np.ndarray) -> None:
    """Raise ValueError unless x is `(N, H, W, C)`."""
    if x.ndim != 4:
        raise ValueError(f"{name} has shape {x.shape}: expected (N, H, W, C)")


def output_array(
    out: np.ndarray | None, shape: tuple[int, ...], channel_slice: bool = False
) -> np.ndarray:
    """The array that a kernel writes to: `out` if the kernel can, else a new one.

    With `channel_slice` the kernel can also write to a slice of channels. `write_to(out, y)`
    follows. Raises ValueError for an `out` of another shape or one that is read-only.
    """
    if out is None:
        return empty(shape)
    if out.shape != tuple(shape) or not out.flags.writeable:
        kind = "an" if out.flags.writeable else "a read-only"
        raise ValueError(f"out is {kind} array of shape {out.shape}: expected {tuple(shape)}")
    fits = pixel_step(out) if channel_slice else is_contiguous(out)
    return out if fits else empty(shape)


def write_to(out: np.ndarray | None, y: np.ndarray) -> np.ndarray:
    """y, or `out` with y copied into it."""
    if out is None or y is out:
        return y
    if out.shape != y.shape:
        raise ValueError(f"out has shape {out.shape}: expected {y.shape}")
    give_up()
    out[...] = y
    return out
