"""vectorized: 16 bytes in every access to memory, and 8x8 results a thread.

One instruction moves what took four, so that fewer of them stand between the multiply-adds; the patches are turned on their way into
shared memory for it. CUDA C: rung05_vectorized.cu. C and K must be multiples of 4.
"""

from pathlib import Path

from ...cuda.arrays import empty
from ...cuda.device import launch

SOURCE = Path(__file__).with_name("rung05_vectorized.cu")
SIDE, INNER = 128, 8


def forward(x, w, b):
    """See `ladder.gpu`."""
    n, height, width, channels = x.shape
    filters = w.shape[3]
    if channels % 4 or filters % 4:
        raise ValueError(f"the rung 'vectorized' moves four channels at once: {channels} and {filters} are not both multiples of 4")
    y, pixels = empty(x, (n, height, width, filters)), n * height * width
    grid = -(-pixels // SIDE), -(-filters // SIDE)
    sizes = pixels, height, width, channels, filters, len(w)
    launch(SOURCE, "vectorized", grid, 256, x, w, b, y, *sizes, shared=2 * INNER * SIDE * 4)
    return y
