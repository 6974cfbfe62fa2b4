"""tensor cores, fp32: matrix units, every number in two parts of tf32, so that nothing of float32 is lost.

The same kernel with mma.sync. Three products instead of one (3xTF32), on units that are more than three times as fast.
"""

from ...cuda import conv

ERROR = 1e-5


def forward(x, w, b):
    """See `ladder.gpu`."""
    with conv.precision("fp32"):
        return conv.conv2d(x, w, b, padding=len(w) // 2, activation="relu")
