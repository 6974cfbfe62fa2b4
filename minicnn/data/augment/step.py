"""What the augmentations of this package have in common."""

from dataclasses import fields
from typing import Any


class Step:
    """Base of the augmentations, which are dataclasses: how they are written in messages.

    `RandomCropFlip(size=32, padding=4)`: arguments that have their default value are left out.
    """

    def __repr__(self) -> str:
        parts: Any = self
        shown = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(parts)
            if getattr(self, field.name) != field.default
        )
        return f"{type(self).__name__}({', '.join(shown)})"


def check_probability(step: Step, p: float) -> None:
    """Raise ValueError unless 0 <= p <= 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"{step}: p={p}; expected 0 to 1")


def check_integer(step: Step, name: str, value: Any, least: int) -> None:
    """Raise ValueError unless the argument is an integer of at least `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise ValueError(f"{step}: {name} must be an integer of at least {least}")
