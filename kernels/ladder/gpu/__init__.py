"""One convolution on the GPU, one idea per rung: from a thread per result to tensor cores.

Every rung computes the forward pass of a stride-1 convolution that keeps the image's size, on
arrays of the device:

    forward(x, w, b)        y = max(x conv w + b, 0)        x (N, H, W, C), w (R, R, C, K), b (K,)

R is odd. The first rungs are Python (Numba-CUDA); the later ones are CUDA C, for ideas that Python
cannot express. All compute the product of conv.cu: one row m per pixel, one column k per filter,
one inner index per (tap, channel). `rungs()` finds the files.

Two studies belong to the ladder: lenet.py, a whole training step in one kernel, and peak.py, the
rate of the GPU's ordinary units.
"""

from collections.abc import Callable
from typing import NamedTuple

from ...types import Array
from .. import modules


class Rung(NamedTuple):
    """One way to convolve on a GPU. `error`: the largest relative L2 error that is allowed."""

    name: str
    idea: str
    forward: Callable[[Array, Array, Array], Array]
    error: float


def rungs() -> list[Rung]:
    """All rungs, lowest first."""
    found = modules(__name__, __path__)
    return [
        Rung(name, idea, rung.forward, getattr(rung, "ERROR", 1e-5)) for name, idea, rung in found
    ]
