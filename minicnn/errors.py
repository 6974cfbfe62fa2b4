"""Exceptions for wrong input. Each message names the input, its value, and what is expected."""

import reprlib
from typing import Any

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80


def brief(value: Any) -> str:
    """The `repr` of a wrong value for a message: one line, and cut short where it is long."""
    text = " ".join(line.strip() for line in _REPR.repr(value).splitlines())
    return text if len(text) <= 200 else f"{text[:200]}..."


def wrong(owner: object, name: str, value: Any, expected: str) -> ValueError:
    """The error for the argument `name` of a layer, an optimizer, a schedule, ..."""
    return ValueError(f"{type(owner).__name__}: {name}={brief(value)}: expected {expected}")


class MinicnnError(Exception):
    """The base of all of minicnn's own errors."""


class ShapeError(MinicnnError, ValueError):
    """An array of the wrong shape or type; names the layer by its path in the network."""

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message
        self.path: list[str] = []

    def within(self, name: str) -> "ShapeError":
        """The same error with `name`, that of the layer in its container, before its path."""
        self.path.insert(0, name)
        return self

    def __str__(self):
        return f"{'.'.join(self.path)}: {self.message}" if self.path else self.message


class DataError(MinicnnError, ValueError):
    """A file of images or labels that is missing, damaged or of another kind."""


class CheckpointError(MinicnnError, ValueError):
    """A checkpoint that cannot be read, or does not fit the model."""


class TrainingError(MinicnnError, RuntimeError):
    """Training that cannot continue, for example because the loss is NaN."""


class DivergedError(TrainingError):
    """The loss or the weights of a training run are not finite."""
