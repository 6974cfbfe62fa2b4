"""Hooks: functions called before and after each layer's forward and backward."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Callback = Callable[[Any, Any, Any], None]
BeforeCallback = Callable[[Any, Any], None]


class Observers(threading.local):
    """The callbacks of this thread."""

    def __init__(self) -> None:
        self.before_forward: list[BeforeCallback] = []
        self.forward: list[Callback] = []
        self.before_backward: list[BeforeCallback] = []
        self.backward: list[Callback] = []


observers = Observers()


def is_observed() -> bool:
    """True within `observe` in this thread."""
    return any(vars(observers).values())


@contextmanager
def observe(
    forward: Callback | None = None,
    backward: Callback | None = None,
    before_forward: BeforeCallback | None = None,
    before_backward: BeforeCallback | None = None,
) -> Iterator[None]:
    """Within this block, in this thread, call functions before and after every layer.

    forward: called as `forward(layer, x, y)` after the layer's forward.
    backward: called as `backward(layer, dy, dx)` after its backward; dx is None if it
        was not computed.
    before_forward, before_backward: called as `before_forward(layer, x)` and
        `before_backward(layer, dy)` before them.
    All are called for the network itself and for all layers inside of it. They change no result.
    """
    pairs: list[tuple[list, Callable | None]] = [
        (observers.forward, forward),
        (observers.backward, backward),
        (observers.before_forward, before_forward),
        (observers.before_backward, before_backward),
    ]
    for callbacks, callback in pairs:
        if callback is not None:
            callbacks.append(callback)
    try:
        yield
    finally:
        for callbacks, callback in pairs:
            if callback is not None:
                callbacks.remove(callback)
