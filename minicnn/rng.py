"""The random generator of initial weights and dropout masks, which `minicnn.seed(n)` restarts.

It starts from seed 0, so a script without a seed gives the same results each time. The order and
the augmentation of the data do not use it: they are functions of the seed, the epoch and the place
in it, see `minicnn.data.Loader`.

A thread that seeds has a generator of its own from then on, so that two trainings at once give what
each gives alone. The other threads share that of the main thread.
"""

import threading

import numpy as np

from .checks import checked_whole
from .kernels.thread_state import ThreadState


class RandomState(ThreadState):
    """own: the generator of a thread that has seeded; None stands for the main thread's."""

    inherited = ("own",)
    own: np.random.Generator | None = None


_state = RandomState()
_shared = np.random.default_rng(0)


def generator() -> np.random.Generator:
    """The current generator."""
    return _shared if _state.own is None else _state.own


def seed(value: int) -> None:
    """Restart the generator from `value`, a non-negative integer: in the main thread that of all
    threads without one of their own, in another thread its own.
    """
    global _shared
    restarted = np.random.default_rng(checked_whole("seed", value, 0))
    if threading.current_thread() is threading.main_thread():
        _shared = restarted
    else:
        _state.own = restarted


def state() -> dict:
    """The generator's position, as plain numbers that JSON can hold."""
    return dict(generator().bit_generator.state)


def set_state(value: dict) -> None:
    """Return to a position given by `state()`."""
    generator().bit_generator.state = value
