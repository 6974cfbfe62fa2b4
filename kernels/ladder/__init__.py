"""Convolution, one idea at a time, from seven loops to Winograd's algorithm: one file per rung.

Every rung computes the same convolution, with stride 1 and `pad` zeros around the image,
0 <= pad < R, in three passes, on contiguous float32 arrays:

    forward(x, w, b, pad)          y = max(x conv w + b, 0)   x (N, H, W, C), w (R, R, C, K), b (K,)
    grad_input(dy, w, pad)         dx                         dy (N, H', W', K), before the ReLU
    grad_weight(dy, x, size, pad)  dw, db                     size = R

A file `rungNN_name.py` is a rung, and the first line of its docstring is `name: idea.` `rungs()`
finds them in order. A rung may have KERNEL, the only size of kernel that it computes; `algorithm`,
which says what it chooses for a shape; ERROR, the relative L2 error that is its rounding; and
`unavailable`, which says why this machine cannot run it. finish.py and squares.py are shared.

`minicnn ladder conv` checks each rung against the reference, measures it, and draws the ladder.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import NamedTuple

from ..types import Array


class Rung(NamedTuple):
    """One way to convolve."""

    name: str
    idea: str
    forward: Callable[..., Array]
    grad_input: Callable[..., Array]
    grad_weight: Callable[..., tuple[Array, Array]]
    kernel: int | None = None  # the only size of kernel that it computes
    algorithm: Callable[..., str] | None = None
    error: float = 1e-4  # any rung may round, none may be wrong
    unavailable: Callable[[], str | None] = lambda: None  # why this machine cannot run it


OPTIONAL = {
    "kernel": "KERNEL",
    "algorithm": "algorithm",
    "error": "ERROR",
    "unavailable": "unavailable",
}


def rungs() -> list[Rung]:
    """All rungs, lowest first."""
    return [
        Rung(
            *(name, idea, rung.forward, rung.grad_input, rung.grad_weight),
            **{
                field: getattr(rung, attribute)
                for field, attribute in OPTIONAL.items()
                if hasattr(rung, attribute)
            },
        )
        for name, idea, rung in modules(__name__, __path__)
    ]


def modules(package: str, path: Iterable[str]) -> list[tuple[str, str, ModuleType]]:
    """Name, idea and module of a package's rungs, lowest first."""
    found = []
    for name in sorted(m.name for m in pkgutil.iter_modules(path) if m.name.startswith("rung")):
        rung = importlib.import_module(f"{package}.{name}")
        title, _, idea = (rung.__doc__ or "").partition("\n")[0].partition(": ")
        found.append((title, idea.rstrip("."), rung))
    return found
