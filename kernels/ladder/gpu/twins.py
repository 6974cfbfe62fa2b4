"""The forward pass of the ladder's first four rungs in Python (Numba-CUDA).

The same ideas as in conv01_naive.cu to conv04_registers.cu, to be read beside them; CUDA C is
needed for the ideas that follow. They run on a GPU, and in Numba's simulator.
"""

from numba import cuda, float32

from ...numba_cuda.conv import TILE, tiled
from ...numba_cuda.launch import THREADS, blocks
from ...reference.arrays import array_module, empty
from ...types import Array

SIDE, INNER, OWN = 64, 16, 4


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
def _naive(x: Array, w: Array, b: Array, y: Array) -> None:
    at = cuda.grid(1)
    pixels = y.shape[0] * y.shape[1] * y.shape[2]
    if at < y.size:
        convolve_at(x, w, b, y, at % pixels, at // pixels)


def naive(x: Array, w: Array, b: Array) -> Array:
    """One thread per result, neighboring threads at neighboring pixels."""
    y = empty(x, (*x.shape[:3], w.shape[3]))
    _naive[blocks(y.size), THREADS](x, w, b, y)
    return y


@cuda.jit
def _coalesced(x: Array, w: Array, b: Array, y: Array) -> None:
    at = cuda.grid(1)
    if at < y.size:
        convolve_at(x, w, b, y, at // y.shape[3], at % y.shape[3])


def coalesced(x: Array, w: Array, b: Array) -> Array:
    """Neighboring threads at neighboring filters."""
    y = empty(x, (*x.shape[:3], w.shape[3]))
    _coalesced[blocks(y.size), THREADS](x, w, b, y)
    return y


def shared_tile(x: Array, w: Array, b: Array) -> Array:
    """16x16 threads share what they read: the kernel of `numba_cuda.conv`."""
    y = empty(x, (*x.shape[:3], w.shape[3]))
    pad = w.shape[0] // 2
    grid = blocks(y.size // w.shape[3], TILE), blocks(w.shape[3], TILE)
    tiled[grid, (TILE, TILE)](x, w, b, y, (1, 1), (pad, pad), (1, 1))
    return array_module(y).maximum(y, 0)


@cuda.jit
def _register_tile(x: Array, w: Array, b: Array, y: Array) -> None:
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


def register_tile(x: Array, w: Array, b: Array) -> Array:
    """4x4 results per thread."""
    y = empty(x, (*x.shape[:3], w.shape[3]))
    grid = blocks(y.size // w.shape[3], SIDE), blocks(w.shape[3], SIDE)
    _register_tile[grid, (16, 16)](x, w, b, y)
    return y
