"""Inputs that change from step to step, such as dropout's keys, of steps that are captured once."""

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from ..types import Array, Shape
from .device import runtime


class Recording(threading.local):
    """The changing inputs of the step that this thread captures, or None."""

    inputs: "ReplayedInputs | None" = None


_recording = Recording()


class ReplayedInputs:
    """The changing inputs of one captured step.

    Within `with inputs:`, for an instance `inputs`, each call of `replayed_input` is recorded: an
    array on the device and the function that draws its values. `inputs.draw_again()` draws and
    uploads all of them, in the same order.
    """

    def __init__(self) -> None:
        self._inputs: list[tuple[Array, Callable[[], np.ndarray]]] = []

    def __enter__(self) -> "ReplayedInputs":
        _recording.inputs = self
        return self

    def __exit__(self, *exception: object) -> None:
        _recording.inputs = None

    def add(self, draw: Callable[[], np.ndarray], shape: Shape, dtype: DTypeLike) -> Array:
        """An array on the device for the values of `draw`, which `draw_again` fills."""
        array = runtime().lasting(shape, dtype)
        self._inputs.append((array, draw))
        return array

    def draw_again(self) -> None:
        """Draw again, for the next replay."""
        for array, draw in self._inputs:
            runtime().overwrite(array, draw())


def replayed_input(draw: Callable[[], np.ndarray], shape: Shape, dtype: DTypeLike) -> Array:
    """The values of `draw` on the device. In a captured step, every replay has its own."""
    if _recording.inputs is not None:
        return _recording.inputs.add(draw, shape, dtype)
    return runtime().upload(draw())
