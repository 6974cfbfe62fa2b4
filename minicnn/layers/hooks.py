"""Hooks: functions called after each layer's forward and backward."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Callback = Callable[[Any, Any, Any], None]


class Observers(threading.local):
    """The callbacks of this thread."""

    def __init__(self) -> None:
        self.forward: list[Callback] = []
        self.backward: list[Callback] = []


observers = Observers()


@contextmanager
def observe(forward: Callback | None = None, backward: Callback | None = None) -> Iterator[None]:
    """Within this block, in this thread, call two functions after every layer.

    forward: called as `forward(layer, x, y)` after the layer's forward.
    backward: called as `backward(layer, dy, dx)` after its backward; dx is None if it
        was not computed.
    Both are called for the network itself and for all layers inside of it. They change no result.
    """
    pairs = [(observers.forward, forward), (observers.backward, backward)]
    for callbacks, callback in pairs:
        if callback is not None:
            callbacks.append(callback)
    try:
        yield
    finally:
        for callbacks, callback in pairs:
            if callback is not None:
                callbacks.remove(callback)
