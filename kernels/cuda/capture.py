"""Numbers that change from step to step, such as dropout's keys, for steps that are captured once and replayed."""

from collections.abc import Callable

import numpy as np

from .device import runtime

_recording: "Fresh | None" = None


class Fresh:
    """The changing numbers of one captured step: each has a place on the device and a way to draw it.

    Within `with numbers:`, for an instance `numbers`, it records those that kernels ask for;
    `numbers.refresh()` then draws and uploads them again, in the same order.
    """

    def __init__(self):
        self._places: list[tuple] = []

    def __enter__(self):
        global _recording
        _recording = self
        return self

    def __exit__(self, *exception):
        global _recording
        _recording = None

    def add(self, draw: Callable[[], np.ndarray], shape, dtype):
        """A place on the device for what `draw` will give; `refresh` fills it before the first replay."""
        numbers = runtime().lasting(shape, dtype)
        self._places.append((numbers, draw))
        return numbers

    def refresh(self) -> None:
        """Draw again, for the next replay."""
        for numbers, draw in self._places:
            runtime().overwrite(numbers, draw())


def fresh(draw: Callable[[], np.ndarray], shape, dtype):
    """What `draw` gives, on the device; where a step is being captured, every replay has its own."""
    return _recording.add(draw, shape, dtype) if _recording is not None else runtime().upload(draw())
