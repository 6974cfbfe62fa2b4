"""Code under test: called with a case, it gives results, or an exception, and its side effects."""

import linecache
import traceback
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ...kernels.types import Array
from .case import Case, Operation, Results


@dataclass(frozen=True)
class Failure:
    """An exception of the code under test: what, and in which of its lines.

    is_refusal: the code itself raised it with `assert` or `raise`: it does not take this geometry.
    """

    text: str
    line: int | None = None
    source: str = ""
    function: str = ""
    is_refusal: bool = False

    def __str__(self) -> str:
        place = f" in line {self.line} of {self.function}: `{self.source}`" if self.line else ""
        return f"{self.text}{place}"


@dataclass
class Outcome:
    """What one case gave: results in minicnn's layout, exceptions by pass, and side effects."""

    results: Results = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)  # "forward", "backward"
    returned: Results = field(default_factory=dict)  # backward's, as they are, in its order
    effects: list[str] = field(default_factory=list)  # one sentence per side effect
    missing: list[str] = field(default_factory=list)  # passes that are not written yet


class Subject(Protocol):
    """Something that computes an operation."""

    name: str
    operation: Operation
    layout: str

    def run(self, case: Case) -> Outcome:
        """Forward and backward of one case."""

    def output(self, case: Case) -> Array | None:
        """Only the forward's output; None if it fails."""

    def interleaved(self, case: Case, other: Case) -> Outcome | None:
        """`case`, with a forward of `other` before its backward; None if that has no meaning."""

    def accepts(self, case: Case) -> bool:
        """False for a geometry that its signature cannot express."""

    def describe(self) -> str:
        """How it is called, as one line."""


def failure(error: BaseException, files: set[str]) -> Failure:
    """The failure with the last line of the traceback that lies in one of `files`."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    text = text.splitlines()[0].strip()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename in files]
    if not own:
        return Failure(text)
    last = own[-1]
    source = (last.line or linecache.getline(last.filename, last.lineno or 0)).strip()
    refusal = frames[-1] is last and source.startswith(("assert", "raise"))
    return Failure(text, last.lineno, source, last.name, refusal)


def to_float(value: Any) -> Array:
    """A result as a NumPy array, from NumPy, torch or a number; of objects if it is none."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        return np.asarray(value)
    except ValueError:  # arrays of several shapes
        return np.array(None)


def shape_of(results: Results, name: str) -> tuple[int, ...] | None:
    """The shape of a result, or None if it is not there."""
    return np.shape(results[name]) if name in results else None


def changed(before: dict[str, Array], after: dict[str, Any], who: str) -> list[str]:
    """A sentence for each input array that is no longer what it was."""
    return [
        f"{who} changes its input {name} in place: work on a copy"
        for name, array in before.items()
        if not np.array_equal(array, to_float(after[name]), equal_nan=True)
    ]


# -- layouts ---------------------------------------------------------------------------------------

LAYOUTS: dict[str, tuple[tuple[int, ...] | None, tuple[int, ...] | None]] = {
    # from minicnn's (N, H, W, C) and (kH, kW, C, K); None: unchanged
    "NCHW": ((0, 3, 1, 2), (3, 2, 0, 1)),
    "NHWC": (None, None),
    "NHWC, filters first": (None, (3, 0, 1, 2)),
}


def to_layout(operation: Operation, name: str, array: Array, layout: str) -> Array:
    """An array as the code under test takes it."""
    axes = _axes(operation, name, layout)
    if array.ndim == 0:
        return np.array(array)
    same = axes is None or array.ndim != 4
    return np.ascontiguousarray(array if same else array.transpose(axes)).copy()


def from_layout(operation: Operation, name: str, array: Array, layout: str) -> Array:
    """A result in minicnn's layout."""
    axes = _axes(operation, name, layout)
    return array if axes is None or array.ndim != 4 else array.transpose(np.argsort(axes))


def _axes(operation: Operation, name: str, layout: str) -> tuple[int, ...] | None:
    images, filters = LAYOUTS[layout]
    return images if name in operation.images else filters if name in operation.filters else None


def describe(operation: Operation, case: Case, layout: str) -> str:
    """The geometry in one line, with the shapes as the student sees them."""
    parts = []
    for name, array in case.arrays.items():
        shape = to_layout(operation, name, array, layout).shape
        parts.append(f"{name} {'x'.join(map(str, shape))}")
    for name, value in case.settings.items():
        if np.isscalar(value) and name != "keep":
            parts.append(f"{name} {value!r}")
        elif name == "kernel":
            parts.append(f"window {value[0]}x{value[1]}")
    return ", ".join(parts) + (", test mode" if case.output == "y_test" else "")


def index_in_layout(operation: Operation, name: str, index: tuple[int, ...], layout: str) -> tuple:
    """The place of one element as the student sees it."""
    axes = _axes(operation, name, layout)
    return index if axes is None or len(index) != 4 else tuple(index[a] for a in axes)
