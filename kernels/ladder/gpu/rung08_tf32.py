"""tensor cores, tf32: one product of numbers rounded to 10 bits of mantissa.

PyTorch's default for convolutions of float32.
"""

from ...cuda.conv import conv2d
from ...cuda.precision import precision
from ...types import Array

ERROR = 2e-3


def forward(x: Array, w: Array, b: Array) -> Array:
    """See `ladder.gpu`."""
    with precision("tf32"):
        return conv2d(x, w, b, padding=len(w) // 2, activation="relu")
