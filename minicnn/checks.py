"""Checks of numbers that users give: settings of runs, optimizers, schedules, augmentation."""

import math
from numbers import Real
from typing import Any

import numpy as np


def is_number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    """True for a finite number from `low` to `high`, also one of NumPy's; not for True."""
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value) and low <= value <= high


def plain(value: Any) -> Any:
    """A number of NumPy's as Python's, which JSON and configurations hold; others as they are."""
    return value.item() if isinstance(value, np.generic) else value


def checked_seed(seed: Any) -> int:
    """The seed as Python's integer. Raises ValueError unless it is one of at least 0."""
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed={seed!r}: expected an integer >= 0")
    return int(seed)
