"""Local response normalisation in Numba-CUDA: a block for each pixel, whose threads share the squares of its channels."""

from numba import cuda, float32

from ..reference.arrays import array_module, write_to
from .launch import THREADS, contiguous

CHANNELS = 2048  # the most that a block keeps in shared memory


@cuda.jit
def _forward(x, y, scale, before, after, k, factor, beta):
    squares = cuda.shared.array(CHANNELS, float32)
    pixel, channels = cuda.blockIdx.x, x.shape[1]
    for c in range(cuda.threadIdx.x, channels, cuda.blockDim.x):
        squares[c] = x[pixel, c] * x[pixel, c]
    cuda.syncthreads()
    for c in range(cuda.threadIdx.x, channels, cuda.blockDim.x):
        total = float32(0)
        for j in range(max(0, c - before), min(channels, c + after + 1)):
            total += squares[j]
        scale[pixel, c] = k + factor * total
        y[pixel, c] = x[pixel, c] * scale[pixel, c] ** -beta


@cuda.jit
def _backward(dy, x, y, scale, dx, before, after, factor, beta):
    terms = cuda.shared.array(CHANNELS, float32)
    pixel, channels = cuda.blockIdx.x, x.shape[1]
    for c in range(cuda.threadIdx.x, channels, cuda.blockDim.x):
        terms[c] = dy[pixel, c] * y[pixel, c] / scale[pixel, c]
    cuda.syncthreads()
    for c in range(cuda.threadIdx.x, channels, cuda.blockDim.x):
        total = float32(0)
        for j in range(max(0, c - before), min(channels, c + after + 1)):
            total += terms[j]
        dx[pixel, c] = dy[pixel, c] * scale[pixel, c] ** -beta - 2 * factor * beta * x[pixel, c] * total


def _rows(*arrays):
    """The arrays as `(pixels, channels)`. Raises ValueError for more channels than a block can keep."""
    channels = arrays[0].shape[-1]
    if channels > CHANNELS:
        raise ValueError(f"local_response_norm: {channels} channels; the numba_cuda backend keeps at most {CHANNELS} in shared memory")
    return [contiguous(a).reshape(-1, channels) for a in arrays]


def local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=2.0, alpha_div_n=False, out=None):
    """See `reference.local_response_norm`."""
    (rows,), xp = _rows(x), array_module(x)
    y, scale = xp.empty_like(rows), xp.empty_like(rows)
    factor = alpha / size if alpha_div_n else alpha
    _forward[len(rows), THREADS](rows, y, scale, size // 2, (size - 1) // 2, k, factor, beta)
    return write_to(out, y.reshape(x.shape)), scale.reshape(x.shape)


def local_response_norm_grad(dy, x, y, scale, size=5, alpha=1e-4, beta=0.75, alpha_div_n=False):
    """See `reference.local_response_norm_grad`."""
    rows = _rows(dy, x, y, scale)
    dx = array_module(x).empty_like(rows[1])
    factor = alpha / size if alpha_div_n else alpha
    _backward[len(dx), THREADS](*rows, dx, (size - 1) // 2, size // 2, factor, beta)
    return dx.reshape(x.shape)
