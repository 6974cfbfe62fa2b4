"""register tile: each thread makes 4x4 results, so that a number read from shared memory serves four times.

With one result a thread, every multiply-add reads two numbers from shared memory, and that is what the kernel waits for; a 4x4 tile reads
eight for sixteen. A block of 16x16 threads makes 64 pixels of 64 filters.
"""

from numba import cuda, float32

from ...numba_cuda.launch import blocks
from ...reference.arrays import empty

SIDE, INNER, OWN = 64, 16, 4


@cuda.jit
def _convolve(x, w, b, y):
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
        # 256 threads bring 16x64 numbers of each side, four each.
        for part in range(OWN):
            at = thread + 256 * part
            e, m = at % INNER, at // INNER
            a, pixel = start + e, cuda.blockIdx.x * SIDE + m
            c, j, i = a % channels, a // channels % size, a // channels // size
            v, h, n = pixel % width + j - pad, pixel // width % height + i - pad, pixel // width // height
            inside = a < inner and pixel < pixels and h >= 0 and h < height and v >= 0 and v < width
            patches[e, m] = x[n, h, v, c] if inside else float32(0)
            e, m = at // SIDE, at % SIDE
            a, k = start + e, cuda.blockIdx.y * SIDE + m
            inside = a < inner and k < filters
            weights[e, m] = w[a // channels // size, a // channels % size, a % channels, k] if inside else float32(0)
        cuda.syncthreads()
        for e in range(INNER):
            for i in range(OWN):
                for j in range(OWN):
                    total[i, j] += patches[e, ty * OWN + i] * weights[e, tx * OWN + j]
        cuda.syncthreads()
    for i in range(OWN):
        for j in range(OWN):
            pixel, k = cuda.blockIdx.x * SIDE + ty * OWN + i, cuda.blockIdx.y * SIDE + tx * OWN + j
            if pixel < pixels and k < filters:
                y[pixel // width // height, pixel // width % height, pixel % width, k] = max(total[i, j] + b[k], float32(0))


def forward(x, w, b):
    """See `ladder.gpu`."""
    y = empty(x, (*x.shape[:3], w.shape[3]))
    _convolve[(blocks(y.size // w.shape[3], SIDE), blocks(w.shape[3], SIDE)), (16, 16)](x, w, b, y)
    return y
