"""The same convolution on a GPU, one idea at a time: from a thread for each result to tensor cores.

Every rung computes the forward pass of a stride-1 convolution that keeps the image's size, on arrays of the device:

    forward(x, w, b)            y = max(x conv w + b, 0)            x (N, H, W, C), w (R, R, C, K), b (K,), R odd

The first rungs are Python (Numba-CUDA), the later ones CUDA C, where Python has no word for the idea. `rungs()` finds them by themselves.
All see the product of conv.cu: a row m for each pixel, a column k for each filter, an inner index for each (tap, channel).
"""

from collections.abc import Callable
from typing import NamedTuple

from .. import modules


class Rung(NamedTuple):
    """One way to convolve on a GPU. `error`: the relative L2 error that its numbers may have."""

    name: str
    idea: str
    forward: Callable
    error: float


def rungs() -> list[Rung]:
    """All rungs, lowest first."""
    return [Rung(name, idea, rung.forward, getattr(rung, "ERROR", 1e-5)) for name, idea, rung in modules(__name__, __path__)]
