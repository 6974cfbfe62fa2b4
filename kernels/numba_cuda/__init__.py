"""Twins of the central CUDA C kernels in Numba-CUDA: the same ideas in Python, for reading.

They are not fast. An operation that is missing here falls back to `reference`. The kernels run on
CuPy's arrays, or without a GPU in Numba's simulator, on NumPy's arrays:
`NUMBA_ENABLE_CUDASIM=1 python ...`.
"""

from numba import cuda

from .conv import conv2d, conv2d_grad_input, conv2d_grad_weight
from .loss import softmax_cross_entropy
from .norm import local_response_norm, local_response_norm_grad
from .optim import sgd_update
from .pool import max_pool2d, max_pool2d_grad


def unavailable() -> str | None:
    """One sentence that says why no GPU is available, or None."""
    if cuda.is_available():
        return None
    return (
        "Numba finds no CUDA device; NUMBA_ENABLE_CUDASIM=1 in the environment runs its kernels in "
        "a simulator, on NumPy arrays"
    )
