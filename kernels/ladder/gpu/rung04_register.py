"""register tile: 4x4 results per thread, so that a number from shared memory is used four times.

With one result per thread, every multiply-add reads two numbers from shared memory, and the kernel
waits for these reads; a 4x4 tile reads eight numbers for sixteen multiply-adds. A block of 16x16
threads computes 64 pixels of 64 filters.
"""

from numba import cuda, float32

from ...numba_cuda.launch import blocks
from ...reference.arrays import empty
from ...types import Array

SIDE, INNER, OWN = 64, 16, 4


@cuda.jit
def _convolve(x: Array, w: Array, b: Array, y: Array) -> None:
    patches = cuda.shared.array((INNER, SIDE), float32)
    weights = cuda.shared.array((INNER, SIDE), float32)
    total = cuda.local.array((OWN, OWN), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    thread = ty * 16 + tx
    images, height, width, filters = y.shape
    size, channels = w.shape[0], w.shape[2]
    pad, inner, pixels = size // 2, size * size * channels, images * height * width
    for i in range(OWN):
        for j in range(OWN):
            total[i, j] = 0
    for start in range(0, inner, INNER):
        # 256 threads copy 16x64 numbers of each operand, four each.
        for part in range(OWN):
            at = thread + 256 * part
            e, m = at % INNER, at // INNER
            a, pixel = start + e, cuda.blockIdx.x * SIDE + m
            c, j, i = a % channels, a // channels % size, a // channels // size
            v, h, n = pixel % width, pixel // width % height, pixel // width // height
            v, h = v + j - pad, h + i - pad
            inside = a < inner and pixel < pixels
            inside = inside and h >= 0 and h < height and v >= 0 and v < width
            patches[e, m] = x[n, h, v, c] if inside else float32(0)
            e, m = at // SIDE, at % SIDE
            a, k = start + e, cuda.blockIdx.y * SIDE + m
            c, j, i = a % channels, a // channels % size, a // channels // size
            weights[e, m] = w[i, j, c, k] if a < inner and k < filters else float32(0)
        cuda.syncthreads()
        for e in range(INNER):
            for i in range(OWN):
                for j in range(OWN):
                    total[i, j] += patches[e, ty * OWN + i] * weights[e, tx * OWN + j]
        cuda.syncthreads()
    for i in range(OWN):
        for j in range(OWN):
            pixel, k = cuda.blockIdx.x * SIDE + ty * OWN + i, cuda.blockIdx.y * SIDE + tx * OWN + j
            v, h, n = pixel % width, pixel // width % height, pixel // width // height
            if pixel < pixels and k < filters:
                y[n, h, v, k] = max(total[i, j] + b[k], float32(0))


def forward(x: Array, w: Array, b: Array) -> Array:
    """See `ladder.gpu`."""
    y = empty(x, (*x.shape[:3], w.shape[3]))
    grid = blocks(y.size // w.shape[3], SIDE), blocks(w.shape[3], SIDE)
    _convolve[grid, (16, 16)](x, w, b, y)
    return y
