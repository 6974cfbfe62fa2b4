"""Settings that belong to the thread that made them, such as `use` and `no_grad`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


class ThreadState(threading.local):
    """Settings of one thread. A subclass has one class attribute per setting: its default."""

    @contextmanager
    def changed(self, **settings: Any) -> Iterator[None]:
        """Within this block, in this thread, the settings have these values."""
        previous = {name: getattr(self, name) for name in settings}
        for name, value in settings.items():
            setattr(self, name, value)
        try:
            yield
        finally:
            for name, value in previous.items():
                setattr(self, name, value)


class KernelState(ThreadState):
    """The settings that kernels and layers read.

    backend: the name that `use` chose, or None.
    grad_enabled: False within `no_grad`: layers keep nothing for backward, and a backend may keep
    what it derives from weights, since they are not being trained.
    intercept: what `dispatch.intercept` set, or None.
    """

    backend: str | None = None
    grad_enabled: bool = True
    intercept: Callable[[Callable, Callable], Callable] | None = None


state = KernelState()


def no_grad() -> AbstractContextManager[None]:
    """Within this block, in this thread, forward keeps nothing for a backward: less memory."""
    return state.changed(grad_enabled=False)


def grad_enabled() -> bool:
    """True if forward keeps what backward needs: not within `no_grad`."""
    return state.grad_enabled
