"""Checks of numbers that users give: settings of runs, optimizers, schedules, augmentation."""

import inspect
import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

from .errors import brief


def is_number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    """True for a finite number from `low` to `high`, also one of NumPy's; not for True."""
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value) and low <= value <= high


def is_whole(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    """Likewise for an integer."""
    return isinstance(value, (int, np.integer)) and is_number(value, low, high)


def is_one_of(value: Any, names: Iterable[str]) -> bool:
    """True for one of the names; False also for what cannot be compared with them, as an array."""
    return isinstance(value, str) and value in names


def is_function(value: Any, count: int) -> bool:
    """True for what can be called with so many arguments, as far as Python can tell; no class."""
    if not callable(value) or isinstance(value, type):
        return False
    try:
        inspect.signature(value).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # functions written in C may not say it
        pass
    return True


def plain(value: Any) -> Any:
    """A number of NumPy's as Python's, which JSON and configurations hold; others as they are."""
    return value.item() if isinstance(value, np.generic) else value


def checked_flag(name: str, value: Any) -> bool:
    """The argument `name` as Python's bool. Raises ValueError unless it is True, False, 1 or 0.

    As a condition, "no" would count as True.
    """
    if not isinstance(value, (bool, np.bool_)) and not is_whole(value, 0, 1):
        raise ValueError(f"{name}={brief(value)}: expected True or False")
    return bool(value)


def check_flags(**flags: Any) -> None:
    """Raise ValueError unless each of these is a flag; see `checked_flag`."""
    for name, value in flags.items():
        checked_flag(name, value)


def checked_whole(name: str, value: Any, low: int = 1) -> int:
    """The argument `name` as Python's integer. Raises ValueError unless it is one >= `low`."""
    if not is_whole(value, low):
        raise ValueError(f"{name}={brief(value)}: expected an integer >= {low}")
    return int(value)
