"""Local response normalization in Numba-CUDA: one block per pixel.

The threads of a block share the squares of the pixel's channels.
"""

from numba import cuda, float32

from .. import reference
from ..reference.arrays import array_module, write_to
from ..types import Array
from .launch import THREADS, contiguous

CHANNELS = 2048  # the most that a block keeps in shared memory


@cuda.jit
def _forward(
    x: Array, y: Array, scale: Array, window: tuple[int, int], k: float, factor: float, beta: float
) -> None:
    squares = cuda.shared.array(CHANNELS, float32)
    pixel, channels = cuda.blockIdx.x, x.shape[1]
    for c in range(cuda.threadIdx.x, channels, cuda.blockDim.x):
        squares[c] = x[pixel, c] * x[pixel, c]
    cuda.syncthreads()
    for c in range(cuda.threadIdx.x, channels, cuda.blockDim.x):
        total = float32(0)
        for j in range(max(0, c - window[0]), min(channels, c + window[1] + 1)):
            total += squares[j]
        scale[pixel, c] = k + factor * total
        y[pixel, c] = x[pixel, c] * scale[pixel, c] ** -beta


@cuda.jit
def _backward(
    dy: Array,
    x: Array,
    y: Array,
    scale: Array,
    dx: Array,
    window: tuple[int, int],
    factor: float,
    beta: float,
) -> None:
    terms = cuda.shared.array(CHANNELS, float32)
    pixel, channels = cuda.blockIdx.x, x.shape[1]
    for c in range(cuda.threadIdx.x, channels, cuda.blockDim.x):
        terms[c] = dy[pixel, c] * y[pixel, c] / scale[pixel, c]
    cuda.syncthreads()
    for c in range(cuda.threadIdx.x, channels, cuda.blockDim.x):
        total = float32(0)
        for j in range(max(0, c - window[0]), min(channels, c + window[1] + 1)):
            total += terms[j]
        direct = dy[pixel, c] * scale[pixel, c] ** -beta
        dx[pixel, c] = direct - 2 * factor * beta * x[pixel, c] * total


def local_response_norm(
    x: Array,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    alpha_div_n: bool = False,
    within_channel: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """See `functional.local_response_norm`."""
    if within_channel:
        return reference.local_response_norm(x, size, alpha, beta, k, alpha_div_n, True, out)
    (rows,), xp = _rows(x), array_module(x)
    y, scale = xp.empty_like(rows), xp.empty_like(rows)
    factor = alpha / size if alpha_div_n else alpha
    window = size // 2, (size - 1) // 2
    _forward[len(rows), THREADS](rows, y, scale, window, k, factor, beta)
    return write_to(out, y.reshape(x.shape)), scale.reshape(x.shape)


def local_response_norm_grad(
    dy: Array,
    x: Array,
    y: Array,
    scale: Array,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    alpha_div_n: bool = False,
    within_channel: bool = False,
) -> Array:
    """See `functional.local_response_norm_grad`."""
    if within_channel:
        constants = size, alpha, beta, alpha_div_n
        return reference.local_response_norm_grad(dy, x, y, scale, *constants, True)
    rows = _rows(dy, x, y, scale)
    dx = array_module(x).empty_like(rows[1])
    factor = alpha / size if alpha_div_n else alpha
    # The windows that contain a channel are mirrored: the halves of an even size change places.
    window = (size - 1) // 2, size // 2
    _backward[len(dx), THREADS](*rows, dx, window, factor, beta)
    return dx.reshape(x.shape)


def _rows(*arrays: Array) -> list[Array]:
    """The arrays as `(pixels, C)`. Raises ValueError for more channels than a block can keep."""
    channels = arrays[0].shape[-1]
    if channels > CHANNELS:
        raise ValueError(
            f"local_response_norm: {channels} channels; the numba_cuda backend keeps at most "
            f"{CHANNELS} in shared memory"
        )
    return [contiguous(a).reshape(-1, channels) for a in arrays]
