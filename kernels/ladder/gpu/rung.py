"""What a rung of the GPU's ladders is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SOURCES = Path(__file__).parent
Passes = dict[str, Callable[[], Any]]


class Rung(NamedTuple):
    """One way to compute an operation on a GPU."""

    name: str
    idea: str
    prepare: Callable[..., Passes]
    error: float  # the largest relative L2 error that is allowed
    counter: str = ""  # the counter of Nsight Compute that shows what it waits for
    capability: int = 80  # the oldest GPUs that have its instructions
    multiple: int = 1  # the numbers of channels are multiples of it
    least: Callable[..., Any] | None = None  # what it waits for: see roofs.py


def title(file: str) -> tuple[str, str]:
    """Name and idea of a rung, from the first line of its file."""
    first = (SOURCES / file).read_text(encoding="utf-8").partition("\n")[0]
    name, _, idea = first.removeprefix("// ").partition(": ")
    return name, idea.rstrip(".")
