"""Which code of a training is minicnn's own, so that it is known what it changes."""

from typing import Any

PACKAGE = __package__.partition(".")[0]


def is_own(*objects: Any) -> bool:
    """True if the classes of all of these are minicnn's own."""
    return all(type(one).__module__.partition(".")[0] == PACKAGE for one in objects)
