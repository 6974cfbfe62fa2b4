"""The random generator of initial weights and dropout masks, which `minicnn.seed(n)` restarts.

It starts from seed 0, so a script without a seed gives the same results each time. The order and
the augmentation of the data do not use it: they are functions of the seed, the epoch and the place
in it, see `minicnn.data.Loader`.
"""

import numpy as np

from .checks import checked_seed

_generator = np.random.default_rng(0)


def generator() -> np.random.Generator:
    """The current generator."""
    return _generator


def seed(value: int) -> None:
    """Restart the generator from `value`, a non-negative integer."""
    global _generator
    _generator = np.random.default_rng(checked_seed(value))


def state() -> dict:
    """The generator's position, as plain numbers that JSON can hold."""
    return dict(_generator.bit_generator.state)


def set_state(value: dict) -> None:
    """Return to a position given by `state()`."""
    _generator.bit_generator.state = value
