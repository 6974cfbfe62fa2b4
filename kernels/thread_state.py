"""Settings that belong to the thread that made them, such as `use` and `no_grad`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class ThreadState(threading.local):
    """Settings of one thread. A subclass has one class attribute per setting: its default.

    inherited: the settings that `inheriting` passes on.
    """

    inherited: tuple[str, ...] = ()

    def __init__(self) -> None:  # called once per thread
        _states.add(self)

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


_states: set[ThreadState] = set()


def settings() -> tuple[Any, ...]:
    """The settings of this thread that `inheriting` passes on, to compare with those of before."""
    return tuple(getattr(state, name) for state in list(_states) for name in state.inherited)


def inheriting(function: Callable[P, R]) -> Callable[P, R]:
    """The function for another thread, in which it has the settings that this thread has now.

    Threads that a computation starts run such functions: they choose backends, precisions and
    algorithms as it does. A thread of your own starts with the defaults.
    """
    inherited = [
        (state, {name: getattr(state, name) for name in state.inherited}) for state in list(_states)
    ]

    def with_settings(*args: P.args, **kwargs: P.kwargs) -> R:
        with ExitStack() as stack:
            for state, values in inherited:
                stack.enter_context(state.changed(**values))
            return function(*args, **kwargs)

    return with_settings


class Kept(dict[int, Any]):
    """What a block of `inference_mode` keeps, by the id of the array that it was made of."""


class KernelState(ThreadState):
    """The settings that kernels and layers read.

    backend: the name that `use` chose, or None.
    grad_enabled: False within `no_grad`: layers keep nothing for backward, and a backend may keep
    what it derives from weights, since they are not being trained.
    first_image: what `part_of_batch` set.
    kept: what backends keep until the end of `inference_mode`; None outside of it.
    intercept: what `dispatch.intercept` set, or None.
    """

    inherited = ("backend", "grad_enabled")
    backend: str | None = None
    grad_enabled: bool = True
    first_image: int = 0
    kept: Kept | None = None
    intercept: Callable[[Callable, Callable], Callable] | None = None


state = KernelState()


def no_grad() -> AbstractContextManager[None]:
    """Within this block, in this thread, forward keeps nothing for a backward: less memory."""
    return state.changed(grad_enabled=False)


def inference_mode() -> AbstractContextManager[None]:
    """As `no_grad`, and weights do not change within this block.

    What was derived from them, such as Winograd's filters or bfloat16 numbers, is then used by one
    batch after the other, and not compared with the weights again. `predict` and `evaluate` use it.
    """
    return state.changed(grad_enabled=False, kept=Kept() if state.kept is None else state.kept)


def kept_for_inference() -> Kept | None:
    """What backends keep until the end of `inference_mode`; None outside of it."""
    return state.kept


def grad_enabled() -> bool:
    """True if forward keeps what backward needs: not within `no_grad`."""
    return state.grad_enabled


def part_of_batch(first_image: int) -> AbstractContextManager[None]:
    """Within this block, in this thread, a batch is a part of a larger one, from that image on.

    Dropout's masks are those that these images have in the whole batch.
    """
    return state.changed(first_image=first_image)
