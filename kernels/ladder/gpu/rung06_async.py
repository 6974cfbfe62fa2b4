"""cp.async: copies to shared memory run by themselves, three steps ahead of the multiply-adds.

The engine's own kernel (cuda/conv.cu) on the ordinary units. Until here every number passed through a register on its way from
global to shared memory, and the thread waited for it; cp.async leaves both out.
"""

from ...cuda import conv

ERROR = 1e-5


def forward(x, w, b):
    """See `ladder.gpu`."""
    with conv.precision("ffma"):
        return conv.conv2d(x, w, b, padding=len(w) // 2, activation="relu")
