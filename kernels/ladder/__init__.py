"""Convolution, one idea at a time: from seven loops to Winograd's algorithm, each rung a small file that can be read on its own.

Every rung computes the same stride-1 convolution with `pad` zeros around the image, in three passes:

    forward(x, w, b, pad)               y = max(x conv w + b, 0)        x (N, H, W, C), w (R, R, C, K), b (K,)
    grad_input(dy, w, pad)              dx                              dy (N, H', W', K), the gradient before the ReLU
    grad_weight(dy, x, size, pad)       dw, db                          size = R

A file `rungNN_name.py` is a rung: its docstring's first line is its name and its one idea, `name: idea`. `rungs()` finds them by
themselves, in order. `minicnn ladder conv` checks each against the reference, times it, and draws the ladder.
"""

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple


class Rung(NamedTuple):
    """One way to convolve."""

    name: str
    idea: str
    forward: Callable
    grad_input: Callable
    grad_weight: Callable


def rungs() -> list[Rung]:
    """All rungs, lowest first."""
    return [
        Rung(name, idea, rung.forward, rung.grad_input, rung.grad_weight)
        for name, idea, rung in modules(__name__, __path__)
    ]


def modules(package: str, path) -> list[tuple[str, str, ModuleType]]:
    """Name, idea and module of a package's rungs, lowest first: "Name: the idea." is the first line of each."""
    found = []
    for name in sorted(m.name for m in pkgutil.iter_modules(path) if m.name.startswith("rung")):
        rung = importlib.import_module(f"{package}.{name}")
        title, _, idea = (rung.__doc__ or "").partition("\n")[0].partition(": ")
        found.append((title, idea.rstrip("."), rung))
    return found
