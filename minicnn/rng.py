"""The one random generator behind initial weights and dropout masks: `minicnn.seed(n)` governs it.

It starts from seed 0, so that a script without a seed repeats itself too. The order and the
augmentation of the data do not draw from it: they are functions of (seed, epoch, batch), see
`minicnn.data.Loader`.
"""

import numpy as np

_generator = np.random.default_rng(0)


def generator() -> np.random.Generator:
    """The current generator."""
    return _generator


def seed(value: int) -> None:
    """Restart the generator from `value`, a non-negative integer."""
    global _generator
    if not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f"seed={value!r}: expected an integer >= 0")
    _generator = np.random.default_rng(value)


def state() -> dict:
    """The generator's position, as plain numbers that JSON can hold."""
    return dict(_generator.bit_generator.state)


def set_state(value: dict) -> None:
    """Return to a position given by `state()`."""
    _generator.bit_generator.state = value
