"""naive: one thread per result, neighboring threads of a warp at neighboring pixels.

The 32 threads of a warp read x and write y at addresses that are C and K floats apart: every access
touches 32 sectors of memory and uses an eighth of each.
"""

from numba import cuda, float32

from ...numba_cuda.launch import THREADS, blocks
from ...reference.arrays import empty
from ...types import Array


@cuda.jit(device=True)
def convolve_at(x: Array, w: Array, b: Array, y: Array, m: int, k: int) -> None:
    """Compute filter k at pixel m of all images."""
    _, height, width, _ = y.shape
    v, h, n = m % width, m // width % height, m // width // height
    pad = w.shape[0] // 2
    total = float32(0)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            row, column = h + i - pad, v + j - pad
            if row >= 0 and row < height and column >= 0 and column < width:
                for c in range(x.shape[3]):
                    total += x[n, row, column, c] * w[i, j, c, k]
    y[n, h, v, k] = max(total + b[k], float32(0))


@cuda.jit
def _convolve(x: Array, w: Array, b: Array, y: Array) -> None:
    at = cuda.grid(1)
    pixels = y.shape[0] * y.shape[1] * y.shape[2]
    if at < y.size:
        convolve_at(x, w, b, y, at % pixels, at // pixels)


def forward(x: Array, w: Array, b: Array) -> Array:
    """See `ladder.gpu`."""
    y = empty(x, (*x.shape[:3], w.shape[3]))
    _convolve[blocks(y.size), THREADS](x, w, b, y)
    return y
