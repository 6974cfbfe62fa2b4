"""The settings that belong to the thread that made them: `use` and `no_grad`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ThreadState(threading.local):
    """Every thread starts with these defaults.

    backend: the name that `use` chose, or None.
    grad_enabled: False within `no_grad`: layers keep nothing for backward, and a backend may keep
    what it derives from weights, since they are not being trained.
    """

    backend: str | None = None
    grad_enabled: bool = True


state = ThreadState()


@contextmanager
def no_grad() -> Iterator[None]:
    """Within this block, in this thread, forward keeps nothing for a backward: less memory."""
    previous, state.grad_enabled = state.grad_enabled, False
    try:
        yield
    finally:
        state.grad_enabled = previous


def grad_enabled() -> bool:
    """Whether forward keeps what backward needs: False within `no_grad`."""
    return state.grad_enabled
